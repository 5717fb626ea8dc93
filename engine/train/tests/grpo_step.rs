//! The policy update against PyTorch on the same tokens (`tests/oracles/grpo_step.py`), however it is cut into micro batches.

use rlvr_model::Model;
use rlvr_objective::{Normalisation, PolicyLossConfig};
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::rl::policy::{Group, PolicySettings, Sample, update_policy};
use rlvr_train::update::Optimizer;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;

#[derive(Deserialize)]
struct Fixture {
    clip: f64,
    temperature: f32,
    tokens: u64,
    groups: Vec<FixtureGroup>,
    expected: BTreeMap<String, Expected>,
}

#[derive(Deserialize)]
struct FixtureGroup {
    prompt: Vec<u32>,
    samples: Vec<FixtureSample>,
}

#[derive(Deserialize)]
struct FixtureSample {
    ids: Vec<u32>,
    old_logprobs: Vec<f32>,
    advantage: f32,
}

#[derive(Deserialize)]
struct Expected {
    loss: f64,
    grad_norm: f64,
}

#[test]
fn loss_and_gradient_norm_of_a_step_are_those_of_pytorch() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let text = std::fs::read_to_string(fixtures.join("grpo_step.json")).unwrap();
    let fixture: Fixture = serde_json::from_str(&text).unwrap();
    let sample = |s: FixtureSample| Sample {
        ids: s.ids,
        old_logprobs: s.old_logprobs,
        advantage: s.advantage,
        ..Sample::default()
    };
    let groups: Vec<Group> = (fixture.groups.into_iter())
        .map(|g| Group { prompt: g.prompt.into(), samples: g.samples.into_iter().map(sample).collect() })
        .collect();
    for (name, normalisation) in [("sequence", Normalisation::Sequence), ("token", Normalisation::Token)] {
        for micro_batch_tokens in [1000, 30, 1] {
            let model = Model::load(&fixtures.join("llama/tied_gqa")).unwrap();
            let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0).unwrap();
            let loss =
                PolicyLossConfig { clip_low: fixture.clip, clip_high: fixture.clip, normalisation, kl: None };
            let settings =
                PolicySettings { loss, temperature: fixture.temperature, max_tokens: 16, micro_batch_tokens };
            let stats = update_policy(&model, &mut optimizer, &groups, &settings, 1e-4).unwrap();
            let expected = &fixture.expected[name];
            assert_eq!(stats.metrics.tokens, fixture.tokens);
            assert!(
                (stats.loss - expected.loss).abs() < 1e-5,
                "{name}: {} for {}",
                stats.loss,
                expected.loss
            );
            let off = (stats.grad_norm - expected.grad_norm).abs() / expected.grad_norm;
            assert!(off < 1e-4, "{name}, micro batches of {micro_batch_tokens}: norm off by {off}");
        }
    }
}
