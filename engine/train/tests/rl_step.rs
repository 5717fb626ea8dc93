//! A whole RL step: sampling, verification, advantages, update.

use rlvr_model::tokenizer::Tokenizer;
use rlvr_model::{Model, ModelConfig};
use rlvr_rollouts::{RngKey, Sampler, SamplerConfig, SamplingParams};
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::config::{RunConfig, Work};
use rlvr_train::ledger::Row;
use rlvr_train::rl::order::{TaskCursor, TaskOrder};
use rlvr_train::rl::step::{Learner, StepDone, StepError, StepPlan};
use rlvr_train::scoring::{PromptedProblem, Scorer};
use rlvr_train::update::Optimizer;
use rlvr_verdict::{Completion, Problem, ProblemError, Verdict, Verifier, VerifierPool};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Passes completions with a vowel early on; with `faulty`, knows nothing of those with a `Q`.
struct EarlyVowel {
    faulty: bool,
}

impl Verifier for EarlyVowel {
    fn name(&self) -> &str {
        "early_vowel"
    }
    fn version(&self) -> &str {
        "1"
    }
    fn check(&self, _: &Problem) -> Result<(), ProblemError> {
        Ok(())
    }
    fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
        assert!(!(self.faulty && completion.text.contains('Q')), "no idea about Q");
        let early = completion.text.chars().take(12).any(|c| "aeiou".contains(c));
        if early { Verdict::pass("a vowel early on") } else { Verdict::fail("no vowel early on") }
    }
}

const CONFIG: &str = r#"
[model]
new = { hidden_size = 48, intermediate_size = 96, num_hidden_layers = 2, num_attention_heads = 4, num_key_value_heads = 2, max_position_embeddings = 128, tie_word_embeddings = true, initializer_range = 0.1 }
tokenizer = { kind = "characters" }
[tasks.t]
generator = "math-tasks"
count = 10
[[stage]]
name = "rl"
kind = "rl"
steps = 1
tasks = "t"
prompts_per_step = 4
samples_per_prompt = 6
sampling = { max_tokens = 20, temperature = 0.9 }
learning_rate = 1e-3
"#;

/// A step of a random model, with a sampler of so many sequences and so many verifier threads.
fn step(faulty: bool, sequences: usize, workers: usize, share: f64) -> (Result<StepDone, StepError>, Model) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = RunConfig::load(&path, &[]).unwrap();
    let Work::Rl(rl) = &config.stages[0].work else { panic!("an rl stage") };
    let tokenizer = Arc::new(Tokenizer::characters().unwrap());
    let shape: ModelConfig = config.model.config(tokenizer.vocab_size()).unwrap();
    let model = Model::random(shape, 5).unwrap();
    let sampler = Sampler::new(&model.config, SamplerConfig::for_sequences(sequences, 64)).unwrap();
    let verifier: Arc<dyn Verifier> = Arc::new(EarlyVowel { faulty });
    let verifiers = BTreeMap::from([("early_vowel".to_owned(), verifier)]);
    let pool = VerifierPool::new(workers, VerifierPool::HANG).unwrap();
    let mut scorer = Scorer::new(sampler, tokenizer.clone(), verifiers, pool, Default::default(), share);
    let prompted = |i: usize| {
        let problem = Problem { id: i.to_string(), verifier: "early_vowel".into(), ..Problem::default() };
        let text = format!("prompt number {i}:");
        let ids = tokenizer.encode(&text).unwrap().into();
        PromptedProblem { problem: Arc::new(problem), prompt: text.into(), ids }
    };
    let tasks = vec![(0..9).map(prompted).collect::<Vec<_>>()];
    let params =
        SamplingParams { temperature: 0.9, max_tokens: 20, stop_ids: vec![2], ..SamplingParams::default() };
    let order = TaskOrder::new(1, vec![(1.0, 9)]);
    let plan = StepPlan {
        stage: "rl",
        rl,
        micro_batch_tokens: 100,
        tasks: &tasks,
        order: &order,
        params: &params,
        key: RngKey { seed: 1, stage: 0, step: 0 },
        rate: &|_| 1e-3,
    };
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0).unwrap();
    let mut learner =
        Learner { model: &model, reference: None, optimizer: &mut optimizer, scorer: &mut scorer };
    let done = plan.run(1, &mut learner, &mut TaskCursor::default());
    (done, model)
}

fn bits(model: &Model) -> Vec<u32> {
    let floats = |p: &rlvr_model::params::Param| rlvr_model::tensor::floats(&p.value).unwrap().to_vec();
    model.params.iter().flat_map(floats).map(f32::to_bits).collect()
}

#[test]
fn a_step_is_the_same_to_the_bit_whatever_the_batch_and_the_workers_and_has_no_mismatch() {
    let (first, model) = step(false, 64, 1, 1.0);
    let (second, other) = step(false, 3, 4, 1.0);
    let (first, second) = (first.unwrap(), second.unwrap());
    let number = |name: &str| first.record.get(name).and_then(|v| v.as_f64());
    assert_eq!((number("mismatch/max"), number("mismatch/mean")), (Some(0.0), Some(0.0)));
    assert!(number("groups/with_variance") > Some(0.0) && number("grad_norm") > Some(0.0));
    let timeless = |done: &StepDone| done.rows.iter().map(Row::without_timings).collect::<Vec<_>>();
    assert_eq!(timeless(&first), timeless(&second));
    assert_eq!(bits(&model), bits(&other));
}

#[test]
fn a_sample_whose_verifier_fails_leaves_its_group_and_too_many_of_them_stop_the_run() {
    let done = step(true, 64, 2, 1.0).0.unwrap();
    let faults: Vec<&Row> = done.rows.iter().filter(|row| row.outcome == "fault").collect();
    assert!(faults.len() > 1, "the model writes a Q now and then");
    assert_eq!(done.record.get("faults").and_then(|v| v.as_u64()), Some(faults.len() as u64));
    for row in faults {
        assert!(row.score.is_none() && row.reward.is_none() && row.advantage.is_none() && !row.used);
        assert!(
            row.reason.contains("early_vowel") && row.reason.contains("no idea about Q"),
            "{}",
            row.reason
        );
    }
    let error = step(true, 64, 2, 0.01).0.err().expect("more faults than one in a hundred").to_string();
    assert!(error.contains("`early_vowel`") && error.contains("max_fault_share"), "{error}");
}
