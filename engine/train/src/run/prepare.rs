//! What a run needs before its first step: tokenizer, starting model, verifiers and checked task sets.
//!
//! Everything that can be wrong with the user's data is found here, before any training.

use crate::checkpoint::{CheckpointError, check_folder};
use crate::config::{
    ConfigError, Eval, MidTrain, ModelSource, Rl, RunConfig, TokenizerSource, Training, Work,
};
use crate::data::keyed;
use crate::data::{DataError, Lacking, Mixture, MixturePlan, MixtureState, Source, TaskChecks, load_tasks};
use crate::durable;
use crate::plan::{TaskSize, eval_sampling, rl_sampling};
use crate::scoring::{PromptedProblem, Scorer};
use rayon::prelude::*;
use rlvr_model::hf::{HfError, adapter_base};
use rlvr_model::tokenizer::{Tokenizer, TokenizerError};
use rlvr_model::{Model, ModelConfig, ModelError};
use rlvr_rollouts::{Limits, RolloutError, Sampler, SamplerConfig};
use rlvr_verdict::compose::RewardConfig;
use rlvr_verdict::{FILE_KINDS, FileKind, Registry, Verifier, VerifierPool};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Documents of each source that a tokenizer is trained on at most.
const TOKENIZER_DOCUMENTS: u64 = 20_000;

/// Documents of each source that are looked through for text that the tokenizer does not know.
const PROBED_DOCUMENTS: u64 = 1000;

/// Why a run cannot start.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The config asks for what is not there.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The data are wrong.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The model's config is wrong.
    #[error(transparent)]
    ModelConfig(#[from] HfError),
    /// The tokenizer cannot be made, or does not fit the model.
    #[error(transparent)]
    Tokenizer(#[from] TokenizerError),
    /// The model's folder is a checkpoint that was altered.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The sampler cannot be made.
    #[error(transparent)]
    Rollout(#[from] RolloutError),
    /// The verifier threads cannot be started.
    #[error("verifier threads cannot be started: {0}")]
    Threads(#[from] std::io::Error),
}

/// What all stages of a run share.
pub struct Prepared {
    /// The run's tokenizer.
    pub tokenizer: Arc<Tokenizer>,
    /// The shape of its models.
    pub model_config: ModelConfig,
    model: ModelSource,
    seed: u64,
    verifiers: BTreeMap<String, Arc<dyn Verifier>>,
    reward: RewardConfig,
    tasks: BTreeMap<String, Vec<PromptedProblem>>,
    lacking: BTreeMap<String, Lacking>,
    sources: BTreeMap<String, Arc<Source>>,
}

/// All built-in verifiers.
pub fn verifiers() -> Registry {
    let mut registry = Registry::new();
    rlvr_text::register(&mut registry);
    rlvr_math::register(&mut registry);
    rlvr_code::register(&mut registry);
    rlvr_plugin::register(&mut registry);
    registry
}

/// The tokenizer that the config asks for; a BPE is trained on the sources named.
///
/// # Errors
/// When it cannot be read or trained.
pub fn load_tokenizer(
    model: &ModelSource,
    sources: &BTreeMap<String, Arc<Source>>,
) -> Result<Tokenizer, PrepareError> {
    Ok(match model {
        ModelSource::Folder(folder) => Tokenizer::load(folder)?,
        ModelSource::New { tokenizer: TokenizerSource::File(path), .. } => Tokenizer::load(path)?,
        ModelSource::New { tokenizer: TokenizerSource::Characters, .. } => Tokenizer::characters()?,
        ModelSource::New {
            tokenizer: TokenizerSource::Bpe { vocab_size, split_digits, sources: names },
            ..
        } => {
            let mut texts = Vec::new();
            for source in names.iter().filter_map(|name| sources.get(name)) {
                for document in source.documents(TOKENIZER_DOCUMENTS) {
                    let document = document?;
                    texts.push(format!("{}{}", document.prompt, document.text));
                }
            }
            Tokenizer::train_bpe(texts.iter().map(String::as_str), *vocab_size, *split_digits)?
        }
    })
}

/// A scorer for an evaluation on task sets of at most this size.
///
/// # Errors
/// When the sampler does not fit the model, or the system gives no threads.
pub fn eval_scorer(
    model: &ModelConfig,
    tokenizer: &Arc<Tokenizer>,
    verifiers: &BTreeMap<String, Arc<dyn Verifier>>,
    eval: &Eval,
    size: TaskSize,
) -> Result<Scorer, PrepareError> {
    let sampler = Sampler::new(model, eval_sampling(eval, size, model.max_position_embeddings).sampler)?;
    let pool = VerifierPool::new(0, VerifierPool::HANG)?;
    let reward = RewardConfig::default();
    Ok(Scorer::new(sampler, tokenizer.clone(), verifiers.clone(), pool, reward, eval.max_fault_share))
}

/// Most tokens that a stage or an evaluation generates for a task set.
fn completion_tokens(config: &RunConfig, tasks: &str) -> usize {
    let of_rl = |stage: &crate::config::Stage| match &stage.work {
        Work::Rl(rl) if rl.tasks.iter().any(|share| share.tasks == tasks) => rl.sampling.max_tokens,
        _ => 0,
    };
    let of_eval = |stage: &crate::config::Stage| match &stage.eval {
        Some(eval) if eval.tasks.iter().any(|name| name == tasks) => eval.max_tokens,
        _ => 0,
    };
    config.stages.iter().map(|stage| of_rl(stage).max(of_eval(stage))).max().unwrap_or(0)
}

/// An error of the data with its place in the config, where it is one of the config.
fn placed(config: &RunConfig, error: DataError) -> PrepareError {
    match error {
        DataError::Config { at, problem } => config.problem(&at, problem).into(),
        other => other.into(),
    }
}

/// Whether a stage rewards completions of a task set.
fn rewarded(config: &RunConfig, tasks: &str) -> bool {
    config.stages.iter().any(|stage| match &stage.work {
        Work::Rl(rl) => rl.tasks.iter().any(|share| share.tasks == tasks),
        Work::MidTrain(_) => false,
    })
}

/// What the tokenizer cannot write of a task set's prompts, as a sentence that names the set.
///
/// # Errors
/// When a prompt cannot be written as ids.
pub fn unknown_prompts(
    tokenizer: &Tokenizer,
    set: &str,
    tasks: &[PromptedProblem],
) -> Result<Option<String>, DataError> {
    let mut unknown = Vec::new();
    for task in tasks {
        if let Some(part) = tokenizer.unknown(&task.prompt)? {
            unknown.push((task.problem.id.clone(), part.to_owned()));
        }
    }
    Ok(unknown_told(&format!("prompts of `{set}`"), tasks.len(), &unknown))
}

/// The sentence on those of `all` texts that the tokenizer does not know, each a place and a part of it; none without any.
fn unknown_told(what: &str, all: usize, unknown: &[(String, String)]) -> Option<String> {
    let (place, part) = unknown.first()?;
    let count = unknown.len();
    Some(format!(
        "{what}: {count} of {all} have text that the tokenizer does not know, the first {place} with {part:?}; \
         the model reads <unk> in its place"
    ))
}

/// Whether a file of a model's folder says what the model computes or how its text is written.
fn of_model(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    path.is_file() && ["json", "safetensors", "jinja"].iter().any(|known| ending == *known)
}

impl Prepared {
    /// Prepares everything that the config's stages use, with the verifiers of the registry, and sees that each stage could start.
    ///
    /// # Errors
    /// The first thing that is wrong, with its place in the config where it is there, or all wrong rows of a task set.
    pub fn new(config: &RunConfig, registry: &Registry) -> Result<Self, PrepareError> {
        let placed = |error| placed(config, error);
        if let ModelSource::Folder(folder) = &config.model {
            check_folder(folder)?;
            adapter_base(folder)?.map_or(Ok(()), |base| check_folder(&base))?;
        }
        let mut sources = BTreeMap::new();
        for (name, source) in &config.sources {
            sources.insert(name.clone(), Arc::new(Source::open(name, source, config.seed).map_err(placed)?));
        }
        let tokenizer = Arc::new(load_tokenizer(&config.model, &sources)?);
        let mut model_config = config.model.config(tokenizer.vocab_size())?;
        if matches!(config.model, ModelSource::New { .. }) {
            model_config.bos_token_id = tokenizer.bos_id();
            model_config.eos_token_id = tokenizer.eos_id().into_iter().collect();
            model_config.pad_token_id = tokenizer.pad_id();
        }
        tokenizer.check_fits(&model_config)?;
        let verifiers = config.make_verifiers(registry)?;
        let with_settings: Vec<&str> =
            registry.names().filter(|name| !verifiers.contains_key(*name)).collect();
        let reward = config.reward.clone().unwrap_or_default();
        let (mut tasks, mut lacking) = (BTreeMap::new(), BTreeMap::new());
        for (name, set) in &config.tasks {
            let parts = reward.parts.iter().filter(|_| rewarded(config, name));
            let checks = TaskChecks {
                tokenizer: &tokenizer,
                verifiers: &verifiers,
                with_settings: &with_settings,
                reward: &parts.filter_map(|part| part.verifier.as_deref()).collect::<Vec<_>>(),
                context: model_config.max_position_embeddings,
                max_tokens: completion_tokens(config, name),
            };
            let set = load_tasks(name, set, config.seed, &checks).map_err(placed)?;
            tasks.insert(name.clone(), set.tasks);
            lacking.insert(name.clone(), set.lacking);
        }
        let (model, seed) = (config.model.clone(), config.seed);
        let prepared =
            Prepared { tokenizer, model_config, model, seed, verifiers, reward, tasks, lacking, sources };
        prepared.check_stages(config)?;
        Ok(prepared)
    }

    /// Sees that the data of every mid-training stage can be drawn and that every sampler holds its longest sequence.
    fn check_stages(&self, config: &RunConfig) -> Result<(), PrepareError> {
        for (index, stage) in config.stages.iter().enumerate() {
            match &stage.work {
                Work::MidTrain(work) => {
                    let made = self.mixture(config, index, work, &stage.training, None);
                    made.map_err(|error| placed(config, error))?;
                }
                Work::Rl(work) => self.check_pages(config, &stage.name, work)?,
            }
        }
        Ok(())
    }

    /// Sees that the sampler of an RL stage has the pages that each of its groups takes to start.
    fn check_pages(&self, config: &RunConfig, stage: &str, work: &Rl) -> Result<(), PrepareError> {
        let sizes = self.rl_sampler(work);
        let limits = Limits {
            max_sequences: sizes.max_sequences,
            prefill_chunk: sizes.prefill_chunk,
            context: self.model_config.max_position_embeddings,
            max_tokens: work.sampling.max_tokens,
        };
        let samples = work.samples_per_prompt as u32;
        let prompts = work.tasks.iter().filter_map(|share| self.tasks.get(&share.tasks)).flatten();
        let most = prompts.max_by_key(|prompt| limits.pages_to_start(prompt.ids.len(), samples));
        let Some((prompt, needed)) =
            most.map(|prompt| (prompt, limits.pages_to_start(prompt.ids.len(), samples)))
        else {
            return Ok(());
        };
        if needed <= sizes.kv_pages {
            return Ok(());
        }
        let what = format!(
            "is {}, but the prompt `{}` of {} tokens with {} new ones needs {needed}: raise it, or lower sampling.max_tokens",
            sizes.kv_pages,
            prompt.problem.id,
            prompt.ids.len(),
            limits.longest(prompt.ids.len())
        );
        Err(config.problem(&format!("stage.{stage}.kv_pages"), what).into())
    }

    /// A number for the contents of each task set: ids, prompts as the model reads them, and what verifiers compare with.
    pub fn task_fingerprints(&self) -> BTreeMap<String, u64> {
        let print = |task: &PromptedProblem| {
            let problem = serde_json::to_string(&*task.problem).unwrap_or_default();
            keyed::of_text(&format!("{problem}\u{0}{}", task.prompt))
        };
        let of_set = |set: &Vec<PromptedProblem>| keyed::key(&set.iter().map(print).collect::<Vec<_>>());
        self.tasks.iter().map(|(name, set)| (name.clone(), of_set(set))).collect()
    }

    /// The versions of the verifiers that are files of the user's, by name: another file may stand there when the run goes on.
    pub fn file_verifiers(&self, config: &RunConfig) -> BTreeMap<String, String> {
        let of_table = |name: &str| config.verifiers.get(name).map(|table| &*table.kind);
        let is_file = |name: &str| {
            FileKind::of_name(name).is_some()
                || FILE_KINDS.iter().any(|file| of_table(name) == Some(file.kind))
        };
        let files = self.verifiers.iter().filter(|(name, _)| is_file(name));
        files.map(|(name, verifier)| (name.clone(), verifier.version().to_owned())).collect()
    }

    /// What was left out of a task set since its verifier lacks what it needs.
    pub fn lacking(&self, tasks: &str) -> Lacking {
        self.lacking.get(tasks).cloned().unwrap_or_default()
    }

    /// A sentence for each task set of which rows were left out.
    pub fn left_out(&self) -> impl Iterator<Item = String> {
        let some = self.lacking.iter().filter(|(_, lacking)| lacking.total() > 0);
        some.map(|(name, lacking)| format!("tasks.{name}: {lacking}; they are left out"))
    }

    /// The SHA-256 of every file that the model and its tokenizer come from, by its name, that of an adapter's base behind
    /// `base/`; of a tokenizer that the run trains, a number for its tokens, as `tokenizer`.
    ///
    /// # Errors
    /// A file that cannot be read.
    pub fn model_fingerprints(&self) -> Result<BTreeMap<String, String>, PrepareError> {
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| CheckpointError::Io { path, source }
        };
        let files = match &self.model {
            ModelSource::New { tokenizer: TokenizerSource::File(path), .. } => vec![("", path.clone())],
            ModelSource::New { tokenizer: TokenizerSource::Characters, .. } => Vec::new(),
            ModelSource::New { tokenizer: TokenizerSource::Bpe { .. }, .. } => {
                let texts = (0..self.tokenizer.vocab_size() as u32).map(|id| self.tokenizer.token(id));
                let print = keyed::key(
                    &texts.map(|text| keyed::of_text(&text.unwrap_or_default())).collect::<Vec<_>>(),
                );
                return Ok(BTreeMap::from([("tokenizer".to_owned(), format!("{print:016x}"))]));
            }
            ModelSource::Folder(folder) => {
                let mut files = Vec::new();
                let base = adapter_base(folder)?;
                for (of, folder) in [("", Some(folder)), ("base/", base.as_ref())] {
                    let Some(folder) = folder else { continue };
                    let entries = std::fs::read_dir(folder).map_err(failed(folder))?;
                    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
                    let paths: Vec<PathBuf> = paths.collect::<Result<_, _>>().map_err(failed(folder))?;
                    files.extend(paths.into_iter().filter(|path| of_model(path)).map(|path| (of, path)));
                }
                files
            }
        };
        let print = |(of, path): &(&str, PathBuf)| {
            let (sha256, _) = durable::sha256(path).map_err(failed(path))?;
            Ok((format!("{of}{}", path.file_name().unwrap_or_default().to_string_lossy()), sha256))
        };
        files.par_iter().map(print).collect()
    }

    /// Sees that the weights of the model's folder can be read.
    ///
    /// # Errors
    /// As for [`initial_model`](Self::initial_model).
    pub fn check_weights(&self) -> Result<(), ModelError> {
        match &self.model {
            ModelSource::Folder(_) => self.initial_model().map(drop),
            ModelSource::New { .. } => Ok(()),
        }
    }

    /// What the tokenizer cannot write, a sentence for each task set and source that has such text: the model would read
    /// `<unk>` in its place, in silence. Of a source the first thousand documents are looked through.
    ///
    /// # Errors
    /// When a document cannot be read or written as ids.
    pub fn unknown_text(&self) -> Result<Vec<String>, DataError> {
        let mut found = Vec::new();
        if self.tokenizer.unk_id().is_none() {
            return Ok(found);
        }
        for (name, tasks) in &self.tasks {
            found.extend(unknown_prompts(&self.tokenizer, &format!("tasks.{name}"), tasks)?);
        }
        for (name, source) in &self.sources {
            let (mut unknown, mut all) = (Vec::new(), 0);
            for document in source.documents(PROBED_DOCUMENTS) {
                let document = document?;
                all += 1;
                for text in [&document.prompt, &document.text] {
                    if let Some(part) = self.tokenizer.unknown(text)? {
                        unknown.push((format!("document {all}"), part.to_owned()));
                        break;
                    }
                }
            }
            found.extend(unknown_told(&format!("documents of `sources.{name}`"), all, &unknown));
        }
        Ok(found)
    }

    /// The model that stages without `from` start from.
    ///
    /// # Errors
    /// When its folder cannot be read.
    pub fn initial_model(&self) -> Result<Model, ModelError> {
        match &self.model {
            ModelSource::Folder(folder) => {
                let model = Model::load(folder)?;
                if model.lora.is_some() { model.merged() } else { Ok(model) }
            }
            ModelSource::New { .. } => Model::random(self.model_config.clone(), self.seed),
        }
    }

    /// The folder of that model, where it is a whole one.
    pub(super) fn initial_folder(&self) -> Option<PathBuf> {
        match &self.model {
            ModelSource::Folder(folder) if adapter_base(folder).is_ok_and(|base| base.is_none()) => {
                Some(folder.clone())
            }
            _ => None,
        }
    }

    /// The problems of a task set; none for an unknown one, which the config's checks have refused.
    pub fn tasks(&self, name: &str) -> Vec<PromptedProblem> {
        self.tasks.get(name).cloned().unwrap_or_default()
    }

    /// A mid-training stage's data, where `state` left it.
    pub(super) fn mixture(
        &self,
        config: &RunConfig,
        index: usize,
        work: &MidTrain,
        training: &Training,
        state: Option<MixtureState>,
    ) -> Result<Mixture, DataError> {
        let plan = MixturePlan {
            seed: config.seed,
            stage: &config.stages[index].name,
            steps: work.steps(),
            batch_tokens: work.batch_tokens,
            micro_batch_tokens: training.micro_batch_tokens,
            context: work.context.unwrap_or(self.model_config.max_position_embeddings),
        };
        let mut mixture = Mixture::new(&work.mixture, &self.sources, &self.tokenizer, &plan)?;
        if let Some(state) = state {
            mixture.restore(state)?;
        }
        Ok(mixture)
    }

    fn rl_sampler(&self, work: &Rl) -> SamplerConfig {
        let longest = work.tasks.iter().map(|share| self.longest_prompt(&share.tasks)).max().unwrap_or(1);
        rl_sampling(work, longest, self.model_config.max_position_embeddings).sampler
    }

    pub(super) fn rl_scorer(&self, work: &Rl) -> Result<Scorer, PrepareError> {
        let sizes = self.rl_sampler(work);
        let sampler = Sampler::new(&self.model_config, sizes)?;
        let pool = VerifierPool::new(work.workers, VerifierPool::HANG)?;
        let (tokenizer, verifiers) = (self.tokenizer.clone(), self.verifiers.clone());
        Ok(Scorer::new(sampler, tokenizer, verifiers, pool, self.reward.clone(), work.max_fault_share))
    }

    pub(super) fn eval_scorer(&self, eval: &Eval) -> Result<Scorer, PrepareError> {
        let problems = eval.tasks.iter().map(|name| self.task_size(name).problems).max().unwrap_or(0);
        let size = TaskSize { problems, longest_prompt: self.longest_eval_prompt(eval) };
        eval_scorer(&self.model_config, &self.tokenizer, &self.verifiers, eval, size)
    }

    /// The sizes of a task set; of an unknown one none.
    pub fn task_size(&self, tasks: &str) -> TaskSize {
        let problems = self.tasks.get(tasks).map_or(0, Vec::len);
        TaskSize { problems, longest_prompt: self.longest_prompt(tasks) }
    }

    fn longest_eval_prompt(&self, eval: &Eval) -> usize {
        eval.tasks.iter().map(|name| self.longest_prompt(name)).max().unwrap_or(1)
    }

    fn longest_prompt(&self, tasks: &str) -> usize {
        self.tasks.get(tasks).into_iter().flatten().map(|p| p.ids.len()).max().unwrap_or(1)
    }
}
