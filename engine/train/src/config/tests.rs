//! Reading configs: what is right is read and written back, what is wrong is told with its place and remedy.

use std::fs;

use rlvr_model::LoraTargets;

use super::*;

/// Sections that a test puts its stages behind.
const BASE: &str = r#"
name = "small"
seed = 7

[model]
new = { hidden_size = 32, intermediate_size = 64, num_hidden_layers = 2, num_attention_heads = 2, max_position_embeddings = 128, tie_word_embeddings = true }
tokenizer = { kind = "characters" }

[sources.worked]
kind = "text"
path = "worked.txt"

[tasks.sums]
path = "sums.jsonl"

[tasks.held-out]
path = "sums.jsonl"
"#;

const STAGES: &str = r#"
[defaults.mid_train]
learning_rate = 2e-3
schedule = { kind = "wsd", warmup = 5, decay = 3 }

[defaults.rl]
learning_rate = 3e-5
sampling = { max_tokens = 48, stop = ["\n\n"] }

[defaults.eval]
tasks = ["held-out"]
max_tokens = 64

[[stage]]
name = "mid"
kind = "mid_train"
tokens = 10_000
batch_tokens = 1024
mixture = [ { domain = "math", source = "worked", weight = 1.0 } ]

[[stage]]
name = "mid+rl"
kind = "rl"
from = "mid"
steps = 6
tasks = "sums"
sampling = { temperature = 0.7 }
eval = { samples = 4 }

[[stage]]
name = "more"
kind = "mid_train"
from = "mid"
steps = 3
schedule = { kind = "constant" }
eval = false
mixture = [ { domain = "math", source = "worked", weight = 1.0 } ]
"#;

/// A folder with the files that [`BASE`] names and a config `run.toml` of these contents.
fn folder(contents: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("worked.txt"), "1 + 1 = 2").unwrap();
    fs::write(folder.path().join("sums.jsonl"), "{}").unwrap();
    let path = folder.path().join("run.toml");
    fs::write(&path, contents).unwrap();
    (folder, path)
}

fn load(contents: &str, sets: &[&str]) -> Result<RunConfig, ConfigError> {
    let (_folder, path) = folder(contents);
    RunConfig::load(&path, &sets.iter().map(|&set| set.to_owned()).collect::<Vec<_>>())
}

/// The problems of a config, each as `LINE:COLUMN key what` or `--set ... key what`.
fn problems(contents: &str, sets: &[&str]) -> Vec<String> {
    let Err(ConfigError::Problems(problems)) = load(contents, sets) else { return Vec::new() };
    let short = |at: &str| at.split_once("run.toml:").map_or(at.to_owned(), |(_, place)| place.to_owned());
    problems.iter().map(|one| format!("{} {} {}", short(&one.at), one.key, one.what)).collect()
}

/// `LINE:COLUMN` of the first byte of a text's only occurrence.
fn place(contents: &str, text: &str) -> String {
    let at = contents.find(text).unwrap();
    assert_eq!(contents.rfind(text), Some(at), "{text:?} occurs twice");
    let line = contents[..at].matches('\n').count() + 1;
    format!("{line}:{}", at - contents[..at].rfind('\n').map_or(0, |newline| newline + 1) + 1)
}

fn rl(config: &RunConfig) -> &Rl {
    let Work::Rl(work) = &config.stages[1].work else { panic!("the second stage is one of RL") };
    work
}

#[test]
fn stages_take_over_the_defaults_of_their_kind_key_by_key() {
    let config = load(&[BASE, STAGES].concat(), &[]).unwrap();
    assert_eq!((config.name.as_str(), config.seed, &config.out), ("small", 7, &PathBuf::from("runs/run")));
    let [mid, rl_stage, more] = &config.stages[..] else { panic!("three stages") };
    assert_eq!((mid.training.learning_rate, mid.training.schedule.decay, mid.steps()), (2e-3, Some(3), 10));
    assert_eq!(rl_stage.training.learning_rate, 3e-5);
    let sampling = &rl(&config).sampling;
    assert_eq!((sampling.temperature, sampling.max_tokens, sampling.stop.len()), (0.7, 48, 1));
    // A schedule with a kind of its own is not mixed with the default one's keys.
    assert_eq!((more.training.schedule.warmup, more.training.schedule.decay), (0, None));
    let samples = |stage: &Stage| stage.eval.as_ref().map(|eval| (eval.samples, eval.max_tokens));
    assert_eq!((samples(mid), samples(rl_stage), samples(more)), (Some((8, 64)), Some((4, 64)), None));
}

#[test]
fn what_is_written_back_reads_as_the_same_config() {
    let (folder, path) = folder(&[BASE, STAGES].concat());
    let config = RunConfig::load(&path, &[]).unwrap();
    let resolved = config.to_toml().unwrap();
    let elsewhere = folder.path().join("run");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("config.toml"), &resolved).unwrap();
    let again = RunConfig::load(&elsewhere.join("config.toml"), &[]).unwrap();
    assert_eq!(again.to_toml().unwrap(), resolved);
    assert_eq!(again.stages, config.stages);
    assert!(!resolved.contains("defaults"), "{resolved}");
}

#[test]
fn adapters_of_the_defaults_are_changed_key_by_key_or_taken_away_and_written_back() {
    let stages = STAGES.replace("[defaults.eval]", "lora = { rank = 8, alpha = 16 }\n\n[defaults.eval]");
    let (folder, path) = folder(&[BASE, &stages].concat());
    let adapters = |set: &str| {
        let config = RunConfig::load(&path, &[set.to_owned()]).unwrap();
        let written = folder.path().join("again.toml");
        fs::write(&written, config.to_toml().unwrap()).unwrap();
        let again = RunConfig::load(&written, &[]).unwrap();
        assert_eq!(again.stages, config.stages);
        assert!(config.stages[0].training.lora.is_none(), "the defaults are those of RL");
        config.stages[1].training.lora.clone()
    };
    let lora = adapters("stage.mid+rl.lora.rslora=true").unwrap().adapters();
    assert_eq!((lora.rank, lora.scale(), &lora.targets), (8, 16.0 / 8f32.sqrt(), &LoraTargets::AllLinear));
    let lora = adapters("stage.mid+rl.lora.targets=q_proj").unwrap().adapters();
    assert_eq!((lora.scale(), lora.targets), (2.0, LoraTargets::Named(vec!["q_proj".into()])));
    assert!(adapters("stage.mid+rl.lora=false").is_none());
}

#[test]
fn set_changes_a_stage_by_name_and_takes_bare_strings() {
    let sets = ["stage.mid+rl.steps=9", "stage.mid+rl.sampling.top_p = 0.9", "name=my run", "seed=12"];
    let config = load(&[BASE, STAGES].concat(), &sets).unwrap();
    assert_eq!((config.name.as_str(), config.seed, rl(&config).steps), ("my run", 12, 9));
    assert_eq!((rl(&config).sampling.top_p, rl(&config).sampling.temperature), (0.9, 0.7));
    let sets = ["stage.mid.mixture.0.weight=2.5", "defaults.rl.clip_high=0.3", "stage.more.from=\"mid+rl\""];
    let config = load(&[BASE, STAGES].concat(), &sets).unwrap();
    assert_eq!(rl(&config).clip_high, 0.3);
    assert_eq!(config.stages[2].from.as_deref(), Some("mid+rl"));
}

#[test]
fn a_wrong_set_argument_is_named() {
    let contents = [BASE, STAGES].concat();
    let [problem] = &problems(&contents, &["stage.midd.steps=9"])[..] else { panic!() };
    assert!(problem.starts_with("--set stage.midd.steps=9"), "{problem}");
    assert!(problem.contains("did you mean `mid`?"), "{problem}");
    let [problem] = &problems(&contents, &["seed=many"])[..] else { panic!() };
    assert_eq!(problem, "--set seed=many seed is string \"many\"; a whole number, 0 or more, is right");
    let [problem] = &problems(&contents, &["stage.mid+rl.lr=1"])[..] else { panic!() };
    assert!(problem.starts_with("--set stage.mid+rl.lr=1 stage.mid+rl.lr is no key here"), "{problem}");
    assert!(problems(&contents, &["seed"])[0].contains("no `=`"));
}

#[test]
fn an_unknown_key_is_placed_and_corrected_wherever_it_stands() {
    for (right, slip, key, near) in [
        ("seed = 7", "sede = 7", "sede", "seed"),
        ("[sources.worked]", "[source.worked]", "source", "sources"),
        ("[defaults.rl]", "[defaults.lr]", "defaults.lr", ""),
        ("batch_tokens = 1024", "batch_token = 1024", "stage.mid.batch_token", "batch_tokens"),
        ("temperature = 0.7", "temprature = 0.7", "stage.mid+rl.sampling.temprature", "temperature"),
        ("warmup = 5", "warm_up = 5", "stage.mid.schedule.warm_up", "warmup"),
        ("tie_word_embeddings", "tie_embeddings", "model.new.tie_embeddings", ""),
    ] {
        let contents = [BASE, STAGES].concat().replace(right, slip);
        let problems = problems(&contents, &[]);
        let slip_key = slip.trim_matches(['[', ']']).split(['=', '.']).map(str::trim).collect::<Vec<_>>();
        let written = if slip.starts_with("[defaults") { slip_key[1] } else { slip_key[0] };
        let at = place(&contents, slip).split_once(':').map(|(line, _)| format!("{line}:")).unwrap();
        let found = problems.iter().find(|one| one.contains(key)).unwrap_or_else(|| panic!("{problems:#?}"));
        assert!(found.starts_with(&at), "{found} should be at {at}");
        assert!(found.contains(&format!(" {key} ")), "{found}");
        assert!(near.is_empty() || found.contains(&format!("did you mean `{near}`?")), "{written}: {found}");
    }
}

#[test]
fn values_of_a_wrong_type_are_told_in_words() {
    let contents = [BASE, STAGES].concat().replace("steps = 6", "steps = \"six\"");
    let expected = format!(
        "{} stage.mid+rl.steps is string \"six\"; a whole number, 0 or more, is right",
        place(&contents, "\"six\"")
    );
    assert_eq!(problems(&contents, &[]), [expected]);
    let contents = [BASE, STAGES].concat().replacen("kind = \"mid_train\"", "kind = \"mid_trian\"", 1);
    let at = place(&contents, "\"mid_trian\"");
    let expected = format!("{at} stage.mid.kind is \"mid_trian\"; did you mean `mid_train`?");
    assert_eq!(problems(&contents, &[]), [expected]);
}

#[test]
fn a_name_that_leads_nowhere_is_placed_and_corrected() {
    for (right, slip, key, near) in [
        ("tasks = \"sums\"", "tasks = \"sum\"", "stage.mid+rl.tasks", "sums"),
        ("tasks = [\"held-out\"]", "tasks = [\"heldout\"]", "stage.mid.eval.tasks[0]", "held-out"),
        ("tasks = \"sums\"", "tasks = [{ tasks = \"sms\" }]", "stage.mid+rl.tasks[0].tasks", "sums"),
    ] {
        let contents = [BASE, STAGES].concat().replace(right, slip);
        let [problem] = &problems(&contents, &[])[..] else { panic!("{:#?}", problems(&contents, &[])) };
        assert!(problem.contains(&format!(" {key} is ")), "{problem}");
        assert!(problem.contains(&format!("did you mean `{near}`?")), "{problem}");
    }
    let problem = &problems(&[BASE, STAGES].concat(), &["stage.more.from=midd"])[0];
    assert!(problem.contains("no such stage; did you mean `mid`?"), "{problem}");
    let contents = [BASE, STAGES].concat().replace("path = \"worked.txt\"", "path = \"work.txt\"");
    assert!(problems(&contents, &[])[0].contains("sources.worked.path leads to no file"));
}

#[test]
fn circles_and_later_stages_are_told_apart() {
    let contents = [BASE, STAGES].concat();
    let circle = problems(&contents, &["stage.mid.from=more"]);
    assert!(circle[0].contains("stage.mid.from leads in a circle: mid from more from mid"), "{circle:?}");
    assert!(problems(&contents, &["stage.mid.from=mid"])[0].contains("in a circle: mid from mid"));
    let later = problems(&contents, &["stage.mid+rl.from=more"]);
    assert_eq!(later.len(), 1);
    assert!(later[0].contains("a later stage; stages run in the file's order"), "{later:?}");
}

#[test]
fn numbers_out_of_range_are_found_together() {
    let sets = [
        "stage.mid.learning_rate=0",
        "stage.mid+rl.sampling.top_p=1.5",
        "stage.mid+rl.clip_low=-0.1",
        "stage.mid+rl.prompts_per_step=0",
        "stage.mid+rl.kl.coefficient=-1",
        "stage.more.adamw.beta1=1",
        "stage.mid.context=4096",
        "stage.more.tokens=5",
        "stage.mid.eval.samples=0",
    ];
    let problems = problems(&[BASE, STAGES].concat(), &sets);
    for key in [
        "stage.mid.learning_rate is 0;",
        "stage.mid+rl.sampling.top_p is 1.5;",
        "stage.mid+rl.clip_low is -0.1;",
        "stage.mid+rl.prompts_per_step is 0;",
        "stage.mid.context is 4096; 2 to 128",
        "stage.more.tokens stands beside `steps`",
        "stage.mid.eval.samples is 0;",
        "stage.more.adamw.beta1 is 1;",
    ] {
        assert!(problems.iter().any(|one| one.contains(key)), "{key}: {problems:#?}");
    }
}

#[test]
fn a_slip_in_the_defaults_is_told_once_at_its_place() {
    let contents = [BASE, STAGES].concat().replace("learning_rate = 2e-3", "learning_rate = -2");
    let found = problems(&contents, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].starts_with(&place(&contents, "-2\nschedule")), "{found:?}");
}

#[test]
fn text_that_is_no_toml_and_a_missing_file_are_told() {
    assert!(problems("name = \n", &[])[0].starts_with("1:"));
    let missing = RunConfig::load(Path::new("no/such.toml"), &[]).unwrap_err().to_string();
    assert!(missing.contains("no/such.toml"), "{missing}");
    let found = problems("name = \"x\"", &[]);
    assert!(found.iter().any(|one| one.contains("stage is missing")), "{found:?}");
    assert!(found.iter().any(|one| one.contains("model needs `path`")), "{found:?}");
}

#[test]
fn a_later_error_is_placed_at_its_key_or_at_what_is_above() {
    let contents = [BASE, STAGES].concat();
    let (_folder, path) = folder(&contents);
    let config = RunConfig::load(&path, &[]).unwrap();
    let message = config.problem("stage.mid+rl.sampling.temperature", "is too hot").to_string();
    assert!(
        message.ends_with(&format!(
            "{}: `stage.mid+rl.sampling.temperature` is too hot",
            place(&contents, "0.7")
        ))
    );
    let message = config.problem("tasks.sums.map.prompt", "is odd").to_string();
    let line = place(&contents, "[tasks.sums]").split_once(':').unwrap().0.to_owned();
    assert!(message.contains(&format!("run.toml:{line}:")), "{message}");
}

/// A kind that takes `most`, and one that cannot be made without `pattern`.
fn registry() -> rlvr_verdict::Registry {
    use rlvr_verdict::{Completion, Problem as Task, ProblemError, Verdict, Verifier};

    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Limit {
        #[serde(default)]
        most: usize,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Pattern {
        pattern: String,
    }
    struct AtMost(usize);
    impl Verifier for AtMost {
        fn name(&self) -> &str {
            "at_most"
        }
        fn version(&self) -> &str {
            "1"
        }
        fn check(&self, _: &Task) -> Result<(), ProblemError> {
            Ok(())
        }
        fn verify(&self, _: &Task, completion: &Completion) -> Verdict {
            if completion.text.len() <= self.0 { Verdict::pass("short") } else { Verdict::fail("long") }
        }
    }
    let mut registry = rlvr_verdict::Registry::new();
    registry.add("at_most", |limit: Limit| Ok::<_, String>(AtMost(limit.most)));
    registry.add("pattern", |pattern: Pattern| Ok::<_, String>(AtMost(pattern.pattern.len())));
    registry
}

#[test]
fn verifiers_are_made_from_the_registry_and_from_their_tables() {
    let tables = "[verifiers.short]\nkind = \"at_most\"\nmost = 3\n[reward]\nparts = [{ name = \"a\", verifier = \"short\" }]\n";
    let config = load(&[BASE, tables, STAGES].concat(), &["tasks.sums.verifier=at_most"]).unwrap();
    let verifiers = config.make_verifiers(&registry()).unwrap();
    assert_eq!(verifiers.keys().collect::<Vec<_>>(), ["at_most", "short"]);
    let score =
        |name: &str| verifiers[name].verify(&Default::default(), &rlvr_verdict::Completion::new("abc")).score;
    assert_eq!((score("at_most"), score("short")), (Some(0.0), Some(1.0)));
}

#[test]
fn a_component_is_a_verifier_by_its_table_and_by_its_path() {
    let file = format!("{}/../../examples/wasm_verifier/c/similarity.wasm", env!("CARGO_MANIFEST_DIR"));
    let tables = format!("[verifiers.near]\nwasm = \"{file}\"\nlimits = {{ fuel = 1_000_000 }}\n");
    let set = format!("tasks.sums.verifier={file}");
    let config = load(&[BASE, &tables, STAGES].concat(), &[&set]).unwrap();
    let verifiers = config.make_verifiers(&crate::run::verifiers()).unwrap();
    assert_eq!((verifiers["near"].name(), verifiers[&file].name()), ("similarity", "similarity"));
    let tables = "[verifiers.near]\nwasm = \"missing.wasm\"\n";
    let config = load(&[BASE, tables, STAGES].concat(), &[]).unwrap();
    let message = config.make_verifiers(&crate::run::verifiers()).err().unwrap().to_string();
    assert!(message.contains("`verifiers.near`") && message.contains("missing.wasm"), "{message}");
}

#[test]
fn a_verifier_that_is_unknown_or_refuses_its_settings_is_placed() {
    let tables = "[verifiers.short]\nkind = \"at_msot\"\n[verifiers.at_most]\nmots = 3\n";
    let sets = ["tasks.sums.verifier=atmost", "tasks.held-out.verifier=pattern"];
    let contents = [BASE, tables, STAGES].concat();
    let message = load(&contents, &sets).unwrap().make_verifiers(&registry()).err().unwrap().to_string();
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].contains("`verifiers.at_most.mots` is no key here; did you mean `most`?"), "{message}");
    assert!(lines[0].contains(&format!("run.toml:{}:", place(&contents, "3\n\n[defaults"))), "{message}");
    assert!(lines[1].contains("`verifiers.short.kind` is \"at_msot\"; did you mean `at_most`?"), "{message}");
    assert!(lines[1].contains(&format!("run.toml:{}:", place(&contents, "\"at_msot\""))), "{message}");
    assert!(lines[2].contains("`tasks.held-out.verifier` is \"pattern\", which needs settings"), "{message}");
    assert!(lines[3].starts_with("--set tasks.sums.verifier=atmost"), "{message}");
    assert!(lines[3].contains("did you mean `at_most`?"), "{message}");
}

#[test]
fn a_verifier_that_is_a_file_is_seen_from_the_configs_folder_also_after_it_is_written_back() {
    let tables = "[verifiers.mine]\npython = \"rewards/mine.py\"\nfunction = \"f\"\n";
    let sets = ["tasks.sums.verifier=mine", "tasks.held-out.verifier=rewards/other.py"];
    let sets = sets.map(str::to_owned);
    let (folder, path) = folder(&[BASE, tables, STAGES].concat());
    let config = RunConfig::load(&path, &sets).unwrap();
    let rewards = folder.path().canonicalize().unwrap().join("rewards");
    let mine = &config.verifiers["mine"];
    assert_eq!((&*mine.kind, &mine.settings["function"]), ("python_file", &serde_json::json!("f")));
    assert_eq!(mine.settings["python"], serde_json::json!(rewards.join("mine.py")));
    assert_eq!(config.tasks["held-out"].verifier.as_deref(), rewards.join("other.py").to_str());
    let elsewhere = folder.path().join("run");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("config.toml"), config.to_toml().unwrap()).unwrap();
    let again = RunConfig::load(&elsewhere.join("config.toml"), &[]).unwrap();
    assert_eq!(again.verifiers, config.verifiers);

    let message = config.make_verifiers(&registry()).err().unwrap().to_string();
    assert!(message.contains("`tasks.held-out.verifier`") && message.contains("other.py"), "{message}");
    let both = "[verifiers.mine]\npython = \"mine.py\"\nkind = \"at_most\"\n";
    let message = load(&[BASE, both, STAGES].concat(), &[]).unwrap_err().to_string();
    assert!(message.contains("`verifiers.mine` has both `kind`"), "{message}");
}
