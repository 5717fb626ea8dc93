//! What types cannot say of a config: numbers within their ranges, and names that lead somewhere.

use rlvr_model::LoraTargets;
use rlvr_model::lora::LoraError;
use rlvr_objective::{AdvantageNorm, InvalidSetting};
use rlvr_rollouts::{SAMPLE_BITS, SEED_BITS};
use rlvr_verdict::compose::RewardConfig;
use toml::Spanned;
use toml::de::DeValue;

use super::document::Document;
use super::error::{Problem, remedy};
use super::stage::{
    self, Eval, LEAST_TEMPERATURE, MOST_EVALUATED, MidTrain, Rl, Sampling, Stage, Work, is_temperature,
};
use super::{Lora, MOST_THREADS, ModelSource, RunConfig, TokenizerSource, fields};

/// Problems with the keys of the `[defaults.KIND]` tables; their values are checked where stages take them over.
pub(super) fn defaults(document: &Document) -> Vec<Problem> {
    let mut problems = document.unknown_keys(&["defaults"], &["mid_train", "rl", "eval"]);
    for kind in ["mid_train", "rl"] {
        problems.extend(document.unknown_keys(&["defaults", kind], &stage::keys_of(kind)[3..]));
    }
    problems.extend(document.unknown_keys(&["defaults", "eval"], fields::of::<Eval>()));
    problems
}

/// Problems with a config whose sections could be read, as far as they could; `positions` are the indices of its
/// stages in the document.
pub(super) fn config(
    config: &RunConfig,
    positions: &[usize],
    document: &Document,
    data: bool,
) -> Vec<Problem> {
    let mut check = Check { config, document, problems: Vec::new() };
    if data {
        check.files();
    }
    check.sections();
    check.names();
    for (stage, index) in config.stages.iter().zip(positions) {
        StageCheck { check: &mut check, stage, index: index.to_string() }.all();
    }
    check.problems
}

struct Check<'a, 't> {
    config: &'a RunConfig,
    document: &'a Document<'t>,
    problems: Vec<Problem>,
}

impl<'a> Check<'a, '_> {
    fn wrong(&mut self, path: &[&str], what: impl Into<String>) {
        self.problems.push(self.document.problem(path, what));
    }

    /// Every name must be one of the `[table.NAME]` tables.
    fn reference(&mut self, path: &[&str], name: &str, table: &str) {
        let names = self.document.keys(&[table]);
        if !names.contains(&name) {
            let what =
                format!("is \"{name}\", but there is no [{table}.{name}]; {}", remedy(name, table, names));
            self.wrong(path, what);
        }
    }

    fn files(&mut self) {
        let sources = self.config.sources.iter().map(|(name, source)| ("sources", name, &source.path));
        let tasks = self.config.tasks.iter().map(|(name, tasks)| ("tasks", name, &tasks.path));
        for (table, name, path) in sources.chain(tasks) {
            if let Some(path) = path.as_ref().filter(|path| !path.exists()) {
                self.problems.push(
                    self.document
                        .problem(&[table, name, "path"], format!("leads to no file: {}", path.display())),
                );
            }
        }
    }

    /// The tokenizer's sources, the reward, the seed.
    fn sections(&mut self) {
        if let ModelSource::New { tokenizer: TokenizerSource::Bpe { sources, .. }, .. } = &self.config.model {
            for (index, source) in sources.iter().enumerate() {
                self.reference(&["model", "tokenizer", "sources", &index.to_string()], source, "sources");
            }
        }
        if let Some(Err(what)) = self.config.reward.as_ref().map(RewardConfig::check) {
            self.wrong(&["reward"], what);
        }
        if self.config.threads > MOST_THREADS {
            let what = format!(
                "is {}; 0, for as many as there are cores, to {MOST_THREADS} is right",
                self.config.threads
            );
            self.wrong(&["threads"], what);
        }
        if self.config.out.as_os_str().is_empty() {
            self.wrong(&["out"], "is empty; a folder is right");
        }
        if self.config.seed >> SEED_BITS != 0 {
            let most = (1u64 << SEED_BITS) - 1;
            self.wrong(&["seed"], format!("is {}; at most {most} is right", self.config.seed));
        }
    }

    /// Each stage's name and the one that it starts from, as written; nameless ones are left out.
    fn stages(&self) -> Vec<(&'a str, Option<&'a str>)> {
        let stages = self.document.get(&["stage"]).and_then(|stages| stages.get_ref().as_array());
        let text = |stage: &'a DeValue, key: &str| stage.get(key).and_then(|value| value.get_ref().as_str());
        let each = stages.into_iter().flat_map(|stages| stages.iter()).map(Spanned::get_ref);
        each.filter_map(|stage| Some((text(stage, "name")?, text(stage, "from")))).collect()
    }

    /// Stage names: well-formed, and each once.
    fn names(&mut self) {
        let mut seen: Vec<&str> = Vec::new();
        for index in 0.. {
            let position = index.to_string();
            let Some(stage) = self.document.get(&["stage", &position]) else { break };
            let Some(name) = stage.get_ref().get("name").and_then(|name| name.get_ref().as_str()) else {
                continue;
            };
            let path = ["stage", &position, "name"];
            let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "+_.-".contains(c);
            if name.is_empty() || name.starts_with('.') || !name.chars().all(fits) {
                self.wrong(
                    &path,
                    format!("is \"{name}\"; letters a-z, digits and + _ . - are right, no dot in front"),
                );
            }
            if seen.contains(&name) {
                self.wrong(
                    &path,
                    format!("is \"{name}\", as an earlier stage's is; each stage has a name of its own"),
                );
            }
            seen.push(name);
        }
    }
}

/// The checks of one stage, which stands at `stage.INDEX` in the document.
struct StageCheck<'c, 'a, 't> {
    check: &'c mut Check<'a, 't>,
    stage: &'a Stage,
    index: String,
}

impl StageCheck<'_, '_, '_> {
    fn wrong(&mut self, key: &str, what: impl Into<String>) {
        let keys: Vec<&str> = key.split('.').collect();
        let index = self.index.clone();
        self.check.wrong(&[&["stage", &index], &keys[..]].concat(), what);
    }

    fn reference(&mut self, key: &str, name: &str, table: &str) {
        let keys: Vec<&str> = key.split('.').collect();
        let index = self.index.clone();
        self.check.reference(&[&["stage", &index], &keys[..]].concat(), name, table);
    }

    fn setting(&mut self, checked: Result<(), InvalidSetting>) {
        if let Err(InvalidSetting { field, value, expected }) = checked {
            self.wrong(field, format!("is {value}; {expected} is right"));
        }
    }

    fn at_least_one(&mut self, settings: &[(&str, u64)]) {
        for (key, value) in settings {
            if *value == 0 {
                self.wrong(key, "is 0; 1 or more is right");
            }
        }
    }

    fn all(mut self) {
        self.from();
        self.training();
        match &self.stage.work {
            Work::MidTrain(work) => self.mid_train(work),
            Work::Rl(work) => self.rl(work),
        }
        if let Some(eval) = &self.stage.eval {
            self.eval(eval);
        }
    }

    /// `from` must name an earlier stage; a circle and a stage that comes later are told apart.
    fn from(&mut self) {
        let Some(from) = self.stage.from.as_deref() else { return };
        let own = self.stage.name.as_str();
        // From the document, for stages that could not be read are still there to start from.
        let stages = self.check.stages();
        let position = |name: &str| stages.iter().position(|(one, _)| *one == name);
        if position(from).is_none() {
            let names = stages.iter().map(|(name, _)| *name).filter(|name| *name != own);
            let what =
                format!("is \"{from}\", but there is no such stage; {}", remedy(from, "stages", names));
            return self.wrong("from", what);
        }
        let before = |name: &str| position(name).and_then(|index| stages[index].1);
        let mut way = vec![own];
        let mut next = Some(from);
        while let Some(stage) = next.filter(|stage| !way.contains(stage)) {
            way.push(stage);
            next = before(stage);
        }
        if next == Some(own) {
            way.push(own);
            self.wrong("from", format!("leads in a circle: {}", way.join(" from ")));
        } else if position(from) > position(own) {
            let what = format!(
                "is \"{from}\", a later stage; stages run in the file's order, so it must stand before"
            );
            self.wrong("from", what);
        }
    }

    fn training(&mut self) {
        let training = &self.stage.training;
        for (key, value) in [("learning_rate", training.learning_rate), ("clip_norm", training.clip_norm)] {
            if !(value.is_finite() && value > 0.0) {
                self.wrong(key, format!("is {value}; a number above 0 is right"));
            }
        }
        self.at_least_one(&[
            ("micro_batch_tokens", training.micro_batch_tokens as u64),
            ("checkpoint_every", training.checkpoint_every),
        ]);
        self.setting(training.adamw.check());
        if let Some(lora) = &training.lora {
            self.lora(lora);
        }
        if self.stage.updates() > 0 {
            self.setting(training.schedule.check(self.stage.updates()));
        }
    }

    fn lora(&mut self, lora: &Lora) {
        self.at_least_one(&[("lora.rank", lora.rank as u64)]);
        if !(lora.alpha.is_finite() && lora.alpha > 0.0) {
            self.wrong("lora.alpha", format!("is {}; a number above 0 is right", lora.alpha));
        }
        if lora.dropout != 0.0 {
            let what =
                format!("is {}; only 0 is supported: adapters are trained without dropout", lora.dropout);
            self.wrong("lora.dropout", what);
        }
        let LoraTargets::Named(targets) = &lora.targets else { return };
        if targets.is_empty() {
            self.wrong("lora.targets", "is empty; projections' names or \"all-linear\" is right");
        }
        let Some(model) = self.check.config.model.config(1 << 10).ok() else { return };
        let known = model.lora_targets();
        for (index, target) in targets.iter().enumerate().filter(|(_, target)| !known.contains(target)) {
            let one = LoraTargets::Named(vec![target.clone()]);
            let what = match model.lora_projections(&one) {
                Err(error @ LoraError::Refused { .. }) => format!("is \"{target}\": {error}"),
                _ => {
                    let remedy = remedy(target, "projections", known.iter().map(String::as_str));
                    format!("is \"{target}\", which is no projection of the model; {remedy}")
                }
            };
            self.wrong(&format!("lora.targets.{index}"), what);
        }
    }

    fn mid_train(&mut self, work: &MidTrain) {
        match (work.steps, work.tokens) {
            (Some(_), Some(_)) => self.wrong("tokens", "stands beside `steps`; one of them is right"),
            (None, None) => self.wrong("steps", "is missing; `steps` or `tokens` is right"),
            (Some(0), _) => self.wrong("steps", "is 0; 1 or more is right"),
            (_, Some(0)) => self.wrong("tokens", "is 0; 1 or more is right"),
            _ => {}
        }
        self.at_least_one(&[("batch_tokens", work.batch_tokens as u64)]);
        let longest = self.longest();
        if let Some(context) = work.context
            && (context < 2 || longest.is_some_and(|longest| context > longest))
        {
            let most =
                longest.map_or_else(String::new, |longest| format!(" to {longest}, the model's positions,"));
            self.wrong("context", format!("is {context}; 2{most} is right"));
        }
        if work.mixture.is_empty() {
            self.wrong("mixture", "is empty; at least one { domain, source, weight } is right");
        }
        for (index, entry) in work.mixture.iter().enumerate() {
            self.reference(&format!("mixture.{index}.source"), &entry.source, "sources");
        }
    }

    fn rl(&mut self, work: &Rl) {
        self.at_least_one(&[
            ("steps", work.steps),
            ("prompts_per_step", work.prompts_per_step as u64),
            ("samples_per_prompt", work.samples_per_prompt as u64),
            ("max_sequences", work.max_sequences as u64),
            ("kv_pages", work.kv_pages.map_or(1, |pages| pages as u64)),
            ("optimizer_steps", work.optimizer_steps as u64),
        ]);
        if work.optimizer_steps > work.prompts_per_step {
            let most = work.prompts_per_step;
            let what = format!("is {}; at most {most}, the step's prompts, is right", work.optimizer_steps);
            self.wrong("optimizer_steps", what);
        }
        self.most_samples("samples_per_prompt", work.samples_per_prompt);
        if work.sampling.temperature == 0.0 && work.samples_per_prompt > 1 {
            let what = "is 0, so that all samples of a group are the same one and there is nothing to learn from; a number above 0 is right";
            self.wrong("sampling.temperature", what);
        }
        if work.drop_zero_variance && work.samples_per_prompt == 1 {
            let what = "is 1, and a group of one has no variance; 2 or more, or drop_zero_variance = false, is right";
            self.wrong("samples_per_prompt", what);
        }
        if !work.drop_zero_variance && work.samples_per_prompt == 1 && work.advantage != AdvantageNorm::None {
            let what = "is 1, and the advantage of a group of one is 0: nothing would be learned; 2 or more, or advantage = \"none\", is right";
            self.wrong("samples_per_prompt", what);
        }
        self.setting(work.policy_loss().check());
        self.fault_share("max_fault_share", work.max_fault_share);
        if work.workers > MOST_THREADS {
            let what =
                format!("is {}; 0, for as many as there are cores, to {MOST_THREADS} is right", work.workers);
            self.wrong("workers", what);
        }
        if work.mismatch_bound.is_nan() || work.mismatch_bound <= 0.0 {
            self.wrong("mismatch_bound", format!("is {}; a number above 0 is right", work.mismatch_bound));
        }
        self.tasks(work);
        self.sampling(&work.sampling);
    }

    fn tasks(&mut self, work: &Rl) {
        let stage = self.index.clone();
        let path = ["stage", &stage, "tasks"];
        let list = self.check.document.get(&path).is_some_and(|tasks| tasks.get_ref().is_array());
        if work.tasks.is_empty() {
            self.wrong("tasks", "is empty; a task set's name is right");
        }
        for (index, share) in work.tasks.iter().enumerate() {
            let at = index.to_string();
            let table = list && {
                let item = [&path[..], &[&at]].concat();
                self.check.document.get(&item).is_some_and(|item| item.get_ref().is_table())
            };
            let key = match (list, table) {
                (false, _) => "tasks".to_owned(),
                (true, false) => format!("tasks.{index}"),
                (true, true) => format!("tasks.{index}.tasks"),
            };
            self.reference(&key, &share.tasks, "tasks");
            if !(share.weight.is_finite() && share.weight > 0.0) {
                let what = format!("is {}; a number above 0 is right", share.weight);
                self.wrong(&format!("tasks.{index}.weight"), what);
            }
        }
    }

    fn sampling(&mut self, sampling: &Sampling) {
        self.temperature("sampling.temperature", sampling.temperature);
        if !(sampling.top_p > 0.0 && sampling.top_p <= 1.0) {
            self.wrong("sampling.top_p", format!("is {}; above 0 and at most 1 is right", sampling.top_p));
        }
        if !(0.0..1.0).contains(&sampling.min_p) {
            self.wrong("sampling.min_p", format!("is {}; 0 or more and below 1 is right", sampling.min_p));
        }
        self.max_tokens("sampling", sampling.max_tokens, &sampling.stop);
    }

    fn eval(&mut self, eval: &Eval) {
        if self.index.parse().is_ok_and(|index: usize| index >= MOST_EVALUATED) {
            let what = format!(
                "is of a stage after the first {MOST_EVALUATED}, the most that random numbers of evaluations are kept for; \
                 eval = false is right, or fewer stages"
            );
            self.wrong("eval", what);
        }
        if eval.tasks.is_empty() {
            self.wrong("eval.tasks", "is empty; task sets' names are right, or eval = false");
        }
        for (index, name) in eval.tasks.iter().enumerate() {
            self.reference(&format!("eval.tasks.{index}"), name, "tasks");
        }
        self.at_least_one(&[
            ("eval.samples", eval.samples as u64),
            ("eval.limit", eval.limit.map_or(1, |limit| limit as u64)),
            ("eval.every", eval.every.unwrap_or(1)),
        ]);
        self.most_samples("eval.samples", eval.samples);
        self.fault_share("eval.max_fault_share", eval.max_fault_share);
        self.temperature("eval.temperature", eval.temperature);
        self.max_tokens("eval", eval.max_tokens, &eval.stop);
    }

    fn most_samples(&mut self, key: &str, samples: usize) {
        let most = 1 << SAMPLE_BITS;
        if samples > most {
            self.wrong(key, format!("is {samples}; at most {most} is right"));
        }
    }

    fn fault_share(&mut self, key: &str, share: f64) {
        if !(0.0..=1.0).contains(&share) {
            self.wrong(key, format!("is {share}; a share in 0 to 1 is right"));
        }
    }

    fn temperature(&mut self, key: &str, temperature: f32) {
        if !is_temperature(temperature) {
            let what = format!(
                "is {temperature}; 0, for the likeliest token, or {LEAST_TEMPERATURE} or more is right"
            );
            self.wrong(key, what);
        }
    }

    fn max_tokens(&mut self, table: &str, max_tokens: usize, stop: &[String]) {
        let longest = self.longest();
        if max_tokens == 0 || longest.is_some_and(|longest| max_tokens >= longest) {
            let most = longest
                .map_or_else(String::new, |longest| format!(", below the model's {longest} positions,"));
            self.wrong(&format!("{table}.max_tokens"), format!("is {max_tokens}; 1 or more{most} is right"));
        }
        for (index, _) in stop.iter().enumerate().filter(|(_, stop)| stop.is_empty()) {
            self.wrong(&format!("{table}.stop.{index}"), "is empty, and every text would end at once");
        }
    }

    /// Positions that the model has.
    fn longest(&self) -> Option<usize> {
        self.check.config.model.config(1 << 10).ok().map(|model| model.max_position_embeddings)
    }
}
