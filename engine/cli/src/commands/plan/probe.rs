//! How fast this machine trains: a few real steps on a copy of the model.

use rlvr_model::Model;
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::mid_train::{MicroBatch, mid_train_step};
use rlvr_train::update::Optimizer;
use std::time::Instant;

/// Tokens of a step of the probe.
const PROBE_TOKENS: usize = 1024;

/// Tokens per second of training steps, measured on a copy of the model.
pub fn tokens_per_s(model: &Model) -> anyhow::Result<f64> {
    let model = model.snapshot()?;
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0)?;
    let length = model.config.max_position_embeddings.min(128);
    let step = |optimizer: &mut Optimizer| -> anyhow::Result<()> {
        let mut micro = MicroBatch::default();
        for s in 0..PROBE_TOKENS / length {
            let ids: Vec<u32> = (0..length).map(|i| ((i * 7 + s) % model.config.vocab_size) as u32).collect();
            let start = micro.packed.len() as u32;
            micro.packed.push(&ids);
            micro.targets.rows.extend(start..start + length as u32 - 1);
            micro.targets.ids.extend(&ids[1..]);
        }
        micro.domains = vec![0; micro.targets.ids.len()];
        mid_train_step(&model, optimizer, vec![micro], 1, 0.0)?;
        Ok(())
    };
    step(&mut optimizer)?;
    let start = Instant::now();
    let mut rounds = 0;
    while rounds < 3 || start.elapsed().as_secs_f64() < 0.5 {
        step(&mut optimizer)?;
        rounds += 1;
    }
    Ok((rounds * (PROBE_TOKENS / length) * length) as f64 / start.elapsed().as_secs_f64())
}
