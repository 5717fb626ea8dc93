//! A whole RL step (sampling, verification, advantages, update), and what becomes of faults in it and in an evaluation.

use rlvr_model::tokenizer::Tokenizer;
use rlvr_model::{Model, ModelConfig};
use rlvr_objective::{KlEstimator, KlPlace};
use rlvr_rollouts::{RngKey, Sampler, SamplerConfig, SamplingParams};
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::config::{Kl, Rl, RunConfig, Work};
use rlvr_train::eval::{EvalPlan, EvalResult, evaluate};
use rlvr_train::ledger::Row;
use rlvr_train::rl::order::{TaskCursor, TaskOrder};
use rlvr_train::rl::step::{Learner, StepDone, StepError, StepPlan};
use rlvr_train::scoring::{PromptedProblem, Scorer, ScoringError};
use rlvr_train::update::Optimizer;
use rlvr_verdict::{Completion, FaultCount, Problem, ProblemError, Verdict, Verifier, VerifierPool};
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

/// A random model, what draws and judges its completions, and problems for it.
struct Setting {
    config: RunConfig,
    model: Model,
    scorer: Scorer,
    problems: Vec<PromptedProblem>,
}

/// With a sampler of so many sequences, so many verifier threads, and this share of faults allowed.
fn setting(faulty: bool, sequences: usize, workers: usize, share: f64) -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.toml");
    std::fs::write(&path, CONFIG).unwrap();
    let config = RunConfig::load(&path, &[]).unwrap();
    let tokenizer = Arc::new(Tokenizer::characters().unwrap());
    let shape: ModelConfig = config.model.config(tokenizer.vocab_size()).unwrap();
    let model = Model::random(shape, 5).unwrap();
    let sampler = Sampler::new(&model.config, SamplerConfig::for_sequences(sequences, 64)).unwrap();
    let verifier: Arc<dyn Verifier> = Arc::new(EarlyVowel { faulty });
    let verifiers = BTreeMap::from([("early_vowel".to_owned(), verifier)]);
    let pool = VerifierPool::new(workers, VerifierPool::HANG).unwrap();
    let scorer = Scorer::new(sampler, tokenizer.clone(), verifiers, pool, Default::default(), share);
    let prompted = |i: usize| {
        let problem = Problem { id: i.to_string(), verifier: "early_vowel".into(), ..Problem::default() };
        let text = format!("prompt number {i}:");
        let ids = tokenizer.encode(&text).unwrap().into();
        PromptedProblem { problem: Arc::new(problem), prompt: text.into(), ids }
    };
    Setting { config, model, scorer, problems: (0..9).map(prompted).collect() }
}

fn params() -> SamplingParams {
    SamplingParams { temperature: 0.9, max_tokens: 20, stop_ids: vec![2], ..SamplingParams::default() }
}

fn step(faulty: bool, sequences: usize, workers: usize, share: f64) -> (Result<StepDone, StepError>, Model) {
    let setting = setting(faulty, sequences, workers, share);
    let Work::Rl(rl) = setting.config.stages[0].work.clone() else { panic!("an rl stage") };
    step_of(setting, &rl, params(), None)
}

fn step_of(
    Setting { model, mut scorer, problems, .. }: Setting,
    rl: &Rl,
    params: SamplingParams,
    reference: Option<&Model>,
) -> (Result<StepDone, StepError>, Model) {
    let plan = StepPlan {
        stage: "rl",
        rl,
        micro_batch_tokens: 100,
        tasks: &[problems],
        order: &TaskOrder::new(1, vec![(1.0, 9)]),
        params: &params,
        key: RngKey { seed: 1, stage: 0, step: 0 },
        rate: &|_| 1e-3,
    };
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0).unwrap();
    let mut learner = Learner { model: &model, reference, optimizer: &mut optimizer, scorer: &mut scorer };
    let done = plan.run(1, &mut learner, &mut TaskCursor::default());
    (done, model)
}

/// An evaluation of all problems, and what the scorer has counted after it; it goes on from `before`.
fn evaluation(
    share: f64,
    before: Option<BTreeMap<String, FaultCount>>,
) -> (Result<EvalResult, ScoringError>, BTreeMap<String, FaultCount>) {
    let Setting { model, mut scorer, problems, .. } = setting(true, 64, 2, share);
    if let Some(counts) = before {
        scorer.restore_faults(counts);
    }
    let key = RngKey { seed: 1, stage: 9, step: 0 };
    let plan = EvalPlan { taskset: "t", problems: &problems, samples: 6, params: params(), stop: &[], key };
    let result = evaluate(&model, &mut scorer, &plan, None, &mut |_| ());
    (result, scorer.faults())
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

#[test]
fn an_evaluation_counts_faults_apart_and_too_many_of_them_end_it() {
    let (result, counts) = evaluation(1.0, None);
    let result = result.unwrap();
    let faults = result.scored.iter().filter(|s| s.verdict.score.is_none()).count();
    assert!(faults > 1, "the model writes a Q now and then");
    assert_eq!((result.faults, result.all.samples), (faults, 54 - faults));
    assert_eq!(result.summary()["faults"], faults);
    assert_eq!(counts["early_vowel"], FaultCount { samples: 54, faults: faults as u64 });
    let error = evaluation(0.01, None).0.err().expect("more faults than one in a hundred").to_string();
    assert!(error.contains("`early_vowel`") && error.contains("max_fault_share"), "{error}");
}

#[test]
fn fault_counts_that_are_restored_go_on() {
    let share = evaluation(1.0, None).1["early_vowel"];
    let half = share.faults as f64 / share.samples as f64 / 2.0;
    assert!(evaluation(half, None).0.is_err(), "twice the share that is allowed");
    let many = FaultCount { samples: 10 * share.samples, faults: 0 };
    let (result, counts) = evaluation(half, Some(BTreeMap::from([("early_vowel".to_owned(), many)])));
    assert!(result.is_ok(), "few among all those of the run so far");
    let sum = FaultCount { samples: many.samples + share.samples, faults: share.faults };
    assert_eq!(counts["early_vowel"], sum);
}

#[test]
fn a_kl_penalty_in_the_reward_is_in_the_ledger_and_advantages_follow_from_its_rewards() {
    let setting = setting(false, 64, 2, 1.0);
    let Work::Rl(mut rl) = setting.config.stages[0].work.clone() else { panic!("an rl stage") };
    let coefficient = 0.05;
    rl.kl = Kl { coefficient, estimator: KlEstimator::K1, place: KlPlace::Reward, refresh: 0 };
    let reference = Model::random(setting.model.config.clone(), 6).unwrap();
    let params = SamplingParams { temperature: 1.0, ..params() };
    let done = step_of(setting, &rl, params, Some(&reference)).0.unwrap();
    let used: Vec<&Row> = done.rows.iter().filter(|row| row.used).collect();
    assert!(!used.is_empty());
    let mut penalties = Vec::new();
    for row in &used {
        let part = |name: &str| row.parts.iter().find(|(part, _)| part == name).unwrap().1;
        let all = reference.logprobs(&[&row.prompt_ids[..], &row.ids].concat()).unwrap();
        let of_reference = all[row.prompt_ids.len()..].iter().map(|p| f64::from(p.unwrap())).sum::<f64>();
        let divergence = row.logprobs.iter().map(|p| f64::from(*p)).sum::<f64>() - of_reference;
        assert!((f64::from(part("kl_penalty")) - coefficient * divergence).abs() < 1e-4, "{row:?}");
        assert!((row.reward.unwrap() - (part("score") - part("kl_penalty"))).abs() < 1e-6);
        penalties.push(f64::from(part("kl_penalty")));
    }
    let groups: std::collections::BTreeSet<i64> = used.iter().map(|row| row.group).collect();
    for group in groups {
        let rows: Vec<&&Row> = used.iter().filter(|row| row.group == group).collect();
        let rewards: Vec<f64> = rows.iter().map(|row| f64::from(row.reward.unwrap())).collect();
        let mean = rewards.iter().sum::<f64>() / rewards.len() as f64;
        let squares = rewards.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>();
        let std = (squares / (rewards.len() - 1) as f64).sqrt();
        for (row, reward) in rows.iter().zip(rewards) {
            let wanted = (reward - mean) / (std + 1e-4);
            assert!((f64::from(row.advantage.unwrap()) - wanted).abs() < 1e-5, "{row:?}");
        }
    }
    let number = |name: &str| done.record.get(name).and_then(|v| v.as_f64()).unwrap();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!((number("reward/part/kl_penalty") - mean(&penalties)).abs() < 1e-9);
    let scores: Vec<f64> = done.rows.iter().map(|row| f64::from(row.score.unwrap())).collect();
    assert!((number("reward/mean") - mean(&scores)).abs() < 1e-9, "without the penalty");
}

#[test]
fn a_step_whose_groups_all_agree_says_that_nothing_was_learned() {
    let setting = setting(false, 64, 2, 1.0);
    let Work::Rl(rl) = setting.config.stages[0].work.clone() else { panic!("an rl stage") };
    let alone = Rl { samples_per_prompt: 1, drop_zero_variance: false, ..rl };
    let done = step_of(setting, &alone, params(), None).0.unwrap();
    assert!(done.rows.iter().all(|row| row.used && row.advantage == Some(0.0)));
    let message = done.message.unwrap();
    assert!(message.contains("none of the 4 groups") && message.contains("nothing was learned"), "{message}");
}
