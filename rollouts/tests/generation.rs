//! The sampler with a real model: the same rollouts however they are batched, the same log-probabilities as a forward
//! pass from scratch, and no page left behind.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use rlvr_model::logprobs::Targets;
use rlvr_model::{KvCache, Model, ModelConfig, PAGE, Packed, Row, Tape};
use rlvr_rollouts::{
    Finish, NoStopRule, Request, RngKey, Rollout, RolloutError, Sampler, SamplerConfig, SamplingParams,
    Stats, StopRule,
};

const KEY: RngKey = RngKey { seed: 11, stage: 2, step: 5 };
const VOCAB: usize = 61;
const CONTEXT: usize = 96;

fn model() -> Model {
    let fields = serde_json::json!({
        "model_type": "llama", "vocab_size": VOCAB, "hidden_size": 48, "intermediate_size": 96,
        "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": false, "initializer_range": 0.2,
    });
    let config = ModelConfig::from_json(fields.as_object().unwrap()).unwrap();
    Model::random(config, 4).unwrap()
}

/// Attention and recurrent states: what a sample continues is a copy of its prompt's state.
fn hybrid() -> Model {
    let fields = serde_json::json!({
        "model_type": "granitemoehybrid", "vocab_size": VOCAB, "hidden_size": 48, "num_hidden_layers": 3,
        "layer_types": ["mamba", "attention", "mamba"], "num_attention_heads": 4, "num_key_value_heads": 2,
        "shared_intermediate_size": 64, "num_local_experts": 0, "mamba_n_heads": 6, "mamba_d_state": 16,
        "max_position_embeddings": CONTEXT, "initializer_range": 0.2, "attention_multiplier": 0.25,
    });
    Model::random(ModelConfig::from_json(fields.as_object().unwrap()).unwrap(), 4).unwrap()
}

fn request(prompt: u64, tokens: usize, samples: u32) -> Request {
    let ids: Vec<u32> = (0..tokens).map(|i| ((i * i + 7 * prompt as usize + 3) % VOCAB) as u32).collect();
    Request { prompt, attempt: 0, ids: ids.into(), samples }
}

fn requests() -> Vec<Request> {
    [(0, 5, 4), (1, 16, 3), (2, 40, 5), (3, 33, 1), (4, 1, 2), (5, 17, 6)]
        .map(|(p, t, s)| request(p, t, s))
        .to_vec()
}

fn params() -> SamplingParams {
    SamplingParams { max_tokens: 30, stop_ids: vec![1, 2], ..SamplingParams::default() }
}

fn config(max_sequences: usize, kv_pages: usize, prefill_chunk: usize) -> SamplerConfig {
    SamplerConfig { max_sequences, kv_pages, prefill_chunk }
}

fn generate(
    model: &Model,
    config: SamplerConfig,
    requests: &[Request],
    params: &SamplingParams,
) -> (BTreeMap<(u64, u32), Rollout>, Stats) {
    let mut sampler = Sampler::new(&model.config, config).unwrap();
    let mut rollouts = BTreeMap::new();
    let stats = sampler
        .generate(model, requests, params, KEY, &NoStopRule, &mut |rollout| {
            let key = (rollout.prompt, rollout.sample);
            assert!(
                rollouts.insert(key, Rollout { sampled_s: 0.0, ..rollout }).is_none(),
                "{key:?} came twice"
            );
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(sampler.pages().in_use(), 0);
    assert!(stats.peak_pages <= sampler.pages().total());
    (rollouts, stats)
}

/// Log-probabilities under `softmax(logits / temperature)` by one forward pass over the whole sequence in a cache of
/// its own and an f64 softmax.
fn from_scratch(model: &Model, prompt: &[u32], ids: &[u32], temperature: f64) -> Vec<f64> {
    let sequence = [prompt, ids].concat();
    let pages: Vec<u32> = (0..sequence.len().div_ceil(PAGE) as u32).collect();
    let rows: Vec<Row<'_>> = (0..sequence.len() - 1)
        .map(|p| Row { token: sequence[p], position: p as u32, pages: &pages[..=p / PAGE], state: 0 })
        .collect();
    let wanted: Vec<usize> = (prompt.len() - 1..rows.len()).collect();
    let mut logits = Vec::new();
    let mut cache = KvCache::new(&model.config, pages.len(), 1);
    model.forward_cached(&rows, &wanted, &mut cache, &mut logits).unwrap();
    let rows = logits.chunks(VOCAB).zip(ids);
    rows.map(|(row, id)| {
        let scaled: Vec<f64> = row.iter().map(|x| f64::from(*x) / temperature).collect();
        scaled[*id as usize] - scaled.iter().map(|x| x.exp()).sum::<f64>().ln()
    })
    .collect()
}

#[test]
fn rollouts_are_the_same_to_the_bit_however_they_are_batched() {
    [model(), hybrid()].iter().for_each(rollouts_do_not_depend_on_the_batch);
}

fn rollouts_do_not_depend_on_the_batch(model: &Model) {
    let (reference, stats) = generate(model, config(64, 200, 4096), &requests(), &params());
    assert_eq!(reference.len(), 21);
    assert_eq!(stats.prefill_tokens, 112, "each prompt runs once");
    assert_eq!(stats.generated_tokens, reference.values().map(|r| r.ids.len() as u64).sum::<u64>());
    let ends: Vec<Finish> = reference.values().map(|r| r.finish).collect();
    assert!(
        ends.contains(&Finish::Stop) && ends.contains(&Finish::Length),
        "both ends are exercised: {ends:?}"
    );
    let mut reversed = requests();
    reversed.reverse();
    for (config, requests) in [
        (config(1, 200, 4096), requests()),
        (config(3, 11, 7), requests()),
        (config(64, 20, 1), requests()),
        (config(10, 200, 20), reversed),
    ] {
        let (rollouts, _) = generate(model, config, &requests, &params());
        assert_eq!(rollouts, reference, "{config:?}");
    }
    let (alone, _) = generate(model, config(2, 20, 9), &[request(2, 40, 2)], &params());
    for (key, rollout) in alone {
        assert_eq!(rollout, reference[&key], "two of five samples, alone");
    }
}

#[test]
fn one_thread_draws_what_many_draw() {
    let model = model();
    let (reference, _) = generate(&model, config(64, 200, 64), &requests(), &params());
    for threads in [1, 5] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (rollouts, _) = pool.install(|| generate(&model, config(64, 200, 64), &requests(), &params()));
        assert_eq!(rollouts, reference);
    }
}

#[test]
fn kept_log_probabilities_are_those_of_a_forward_pass_from_scratch() {
    for (model, temperature) in [(model(), 1.0), (model(), 0.7), (hybrid(), 1.0), (hybrid(), 0.7)] {
        let params = SamplingParams { temperature, top_p: 0.9, ..params() };
        let (rollouts, _) = generate(&model, config(6, 30, 10), &requests(), &params);
        for request in requests() {
            for sample in 0..request.samples {
                let rollout = &rollouts[&(request.prompt, sample)];
                let expected = from_scratch(&model, &request.ids, &rollout.ids, f64::from(temperature));
                assert_eq!(rollout.logprobs.len(), expected.len());
                for (kept, expected) in rollout.logprobs.iter().zip(expected) {
                    assert!((f64::from(*kept) - expected).abs() < 1e-5, "{kept} for {expected}");
                }
            }
        }
    }
}

#[test]
fn kept_log_probabilities_are_the_trainers_to_the_bit() {
    for (model, temperature) in [(model(), 1.0), (model(), 0.7), (model(), 1.6), (hybrid(), 0.7)] {
        let params = SamplingParams { temperature, top_k: 12, ..params() };
        let (rollouts, _) = generate(&model, config(6, 30, 10), &requests(), &params);
        for rollout in rollouts.values() {
            let prompt = &requests()[rollout.prompt as usize].ids;
            let mut batch = Packed::new();
            batch.push(&[prompt, &rollout.ids[..]].concat());
            let first = prompt.len() as u32 - 1;
            let rows = (first..first + rollout.ids.len() as u32).collect();
            let targets = Targets { rows, ids: rollout.ids.clone() };
            let scored = model.token_logprobs(&Tape::idle(), &batch.into(), targets, temperature).unwrap();
            assert_eq!(scored.logprobs.value.to_vec1::<f32>().unwrap(), rollout.logprobs);
        }
    }
}

#[test]
fn samples_attempts_steps_and_seeds_draw_different_completions() {
    let model = model();
    let params = SamplingParams { stop_ids: vec![], ..params() };
    let mut sampler = Sampler::new(&model.config, config(64, 200, 4096)).unwrap();
    let mut seen = std::collections::HashSet::new();
    let keys = [KEY, RngKey { seed: 12, ..KEY }, RngKey { stage: 3, ..KEY }, RngKey { step: 6, ..KEY }];
    for key in keys {
        let again = Request { attempt: 1, ..request(0, 5, 4) };
        let mut keep = |rollout: Rollout| {
            assert!(seen.insert(rollout.ids), "drawn before");
            ControlFlow::Continue(())
        };
        sampler.generate(&model, &[request(0, 5, 4), again], &params, key, &NoStopRule, &mut keep).unwrap();
    }
    assert_eq!(seen.len(), 32);
}

/// Stops once two ids in a row are even: something that only the ids so far show.
struct TwoEven;

impl StopRule for TwoEven {
    fn stops(&self, ids: &[u32]) -> bool {
        matches!(ids, [.., a, b] if a % 2 == 0 && b % 2 == 0)
    }
}

#[test]
fn completions_end_at_stop_ids_stop_rules_and_limits() {
    let model = model();
    let mut sampler = Sampler::new(&model.config, config(16, 100, 64)).unwrap();
    let mut rollouts = Vec::new();
    let mut keep = |rollout| {
        rollouts.push(rollout);
        ControlFlow::Continue(())
    };
    let stats = sampler.generate(&model, &requests(), &params(), KEY, &TwoEven, &mut keep).unwrap();
    assert_eq!(rollouts.len(), 21);
    assert!(rollouts.iter().all(|r| r.sampled_s > 0.0 && r.sampled_s <= stats.seconds));
    for rollout in &rollouts {
        let (last, before) = rollout.ids.split_last().unwrap();
        assert!(
            before.iter().all(|id| ![1, 2].contains(id)) && !TwoEven.stops(before),
            "it would have ended sooner"
        );
        match rollout.finish {
            Finish::Stop => assert!([1, 2].contains(last)),
            Finish::StopString => assert!(TwoEven.stops(&rollout.ids)),
            Finish::Length => assert_eq!(rollout.ids.len(), 30),
            Finish::Cancelled => panic!("nobody cancelled"),
        }
    }
    assert!(rollouts.iter().any(|r| r.finish == Finish::StopString));
    assert!(rollouts.windows(2).any(|w| w[0].prompt > w[1].prompt), "short completions overtake long ones");
}

#[test]
fn a_full_context_ends_a_completion() {
    let model = model();
    let params = SamplingParams { max_tokens: 1000, ignore_stop: true, ..params() };
    let prompts = [request(0, CONTEXT - 1, 2), request(1, CONTEXT - 20, 1)];
    let (rollouts, stats) = generate(&model, config(4, 20, 64), &prompts, &params);
    let lengths: Vec<usize> = rollouts.values().map(|r| r.ids.len()).collect();
    assert_eq!(lengths, [1, 1, 20]);
    assert!(rollouts.values().all(|r| r.finish == Finish::Length));
    assert_eq!(stats.peak_pages, 2 * 6, "both prompts fill six pages, and what follows fits into the last");
}

#[test]
fn ignored_stops_and_suppressed_ids_give_completions_of_a_fixed_length() {
    let model = model();
    let params = SamplingParams { ignore_stop: true, suppress_ids: vec![1, 2], ..params() };
    let (rollouts, stats) = generate(&model, config(64, 200, 4096), &requests(), &params);
    assert!(rollouts.values().all(|r| r.ids.len() == 30 && !r.ids.contains(&1) && !r.ids.contains(&2)));
    assert_eq!((stats.steps, stats.generated_tokens), (30, 21 * 30));
    let full = 21.0 / 64.0;
    assert!((stats.occupancy - full).abs() < 1e-9);
}

#[test]
fn breaking_off_gives_out_every_sample_once_and_frees_every_page() {
    let model = model();
    let (reference, _) = generate(&model, config(64, 200, 4096), &requests(), &params());
    for after in [1, 6, 15] {
        let mut sampler = Sampler::new(&model.config, config(7, 30, 16)).unwrap();
        let mut rollouts = BTreeMap::new();
        let mut keep = |rollout: Rollout| {
            rollouts.insert((rollout.prompt, rollout.sample), rollout);
            if rollouts.len() >= after { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        sampler.generate(&model, &requests(), &params(), KEY, &NoStopRule, &mut keep).unwrap();
        assert_eq!((rollouts.len(), sampler.pages().in_use()), (21, 0), "after {after}");
        let cancelled = rollouts.values().filter(|r| r.finish == Finish::Cancelled).count();
        assert!(cancelled > 0 && cancelled <= 21 - after, "after {after}: {cancelled}");
        for (key, rollout) in rollouts {
            let whole = &reference[&key];
            assert!(whole.ids.starts_with(&rollout.ids), "what was drawn is a beginning of the whole");
            assert!(rollout.finish == Finish::Cancelled || rollout.ids == whole.ids);
        }
        // The sampler goes on as if nothing had happened.
        let mut count = 0;
        let mut keep = |rollout: Rollout| {
            count += 1;
            assert_eq!(rollout.ids, reference[&(rollout.prompt, rollout.sample)].ids);
            ControlFlow::Continue(())
        };
        sampler.generate(&model, &requests(), &params(), KEY, &NoStopRule, &mut keep).unwrap();
        assert_eq!(count, 21);
    }
}

#[test]
fn a_diverged_model_is_an_error_that_frees_every_page() {
    let model = model();
    let mut sampler = Sampler::new(&model.config, config(16, 100, 64)).unwrap();
    // Logits divided by this overflow, as those of a diverged model do.
    let params = SamplingParams { temperature: 1e-39, ..params() };
    let mut none = |_| panic!("nothing can be drawn");
    let prompt = [request(4, 40, 2)];
    let error = sampler.generate(&model, &prompt, &params, KEY, &NoStopRule, &mut none).unwrap_err();
    let message = error.to_string();
    assert!(
        message.starts_with("the logits for token 0 of sample ")
            && message.ends_with("of prompt 4 are not finite")
    );
    assert_eq!(sampler.pages().in_use(), 0);
}

#[test]
fn requests_that_cannot_run_are_named_before_anything_does() {
    let model = model();
    let mut sampler = Sampler::new(&model.config, config(4, 5, 16)).unwrap();
    let mut error = |requests: &[Request], params: &SamplingParams, key: RngKey| -> RolloutError {
        let mut none = |_| panic!("nothing may run");
        sampler.generate(&model, requests, params, key, &NoStopRule, &mut none).unwrap_err()
    };
    let good = request(0, 5, 1);
    let wrong = |bad: Request| [good.clone(), bad];
    let cases = [
        (
            error(&wrong(request(7, CONTEXT, 1)), &params(), KEY),
            "prompt 7 is 96 tokens long, but the model's context is 96: shorten it to at most 95 tokens",
        ),
        (
            error(&wrong(request(7, 60, 2)), &params(), KEY),
            "prompt 7 of 60 tokens with up to 30 new ones needs 7 KV pages of 16 tokens, but the sampler has 5: \
             raise kv_pages or lower max_tokens",
        ),
        (
            error(&wrong(good.clone()), &params(), KEY),
            "prompt 0, attempt 0: asked for twice, which would draw the same samples twice; count attempt up",
        ),
        (
            error(&wrong(Request { ids: [3, 61].into(), ..request(8, 2, 1) }), &params(), KEY),
            "prompt 8, attempt 0: id 61 at 1, but the model's ids end at 60",
        ),
        (
            error(&wrong(request(8, 0, 1)), &params(), KEY),
            "prompt 8, attempt 0: the prompt has no tokens; begin it with at least one, such as the BOS id",
        ),
        (
            error(&wrong(request(8, 2, 0)), &params(), KEY),
            "prompt 8, attempt 0: 0 samples; ask for at least 1",
        ),
        (
            error(&wrong(Request { attempt: 300, ..request(8, 2, 1) }), &params(), KEY),
            "prompt 8, attempt 300: attempt is 300: random numbers are keyed by it in 8 bits, so it must be below 256",
        ),
        (
            error(std::slice::from_ref(&good), &params(), RngKey { step: 1 << 26, ..KEY }),
            "prompt 0, attempt 0: step is 67108864: random numbers are keyed by it in 26 bits, so it must be below \
             67108864",
        ),
        (
            error(std::slice::from_ref(&good), &SamplingParams { temperature: -1.0, ..params() }, KEY),
            "temperature is -1: it must be a finite number, 0 (greedy) or more",
        ),
    ];
    for (error, expected) in cases {
        assert_eq!(error.to_string(), expected);
    }
    let zero = Sampler::new(&model.config, config(0, 5, 16)).err().unwrap();
    assert_eq!(zero.to_string(), "max_sequences is 0: it must be at least 1");
}
