//! Updates of a model with adapters: they alone move, they alone have optimiser state, and the reference policy is their base.

use rlvr_model::lora::Projection;
use rlvr_model::tensor::floats;
use rlvr_model::{LoraConfig, LoraTargets, Model, ModelConfig};
use rlvr_train::adamw::AdamWConfig;
use rlvr_train::mid_train::{MicroBatch, mid_train_step};
use rlvr_train::update::Optimizer;
use std::collections::BTreeMap;

fn model() -> Model {
    let config = serde_json::json!({
        "model_type": "llama", "vocab_size": 61, "hidden_size": 24, "intermediate_size": 40, "num_hidden_layers": 2,
        "num_attention_heads": 2, "max_position_embeddings": 64, "initializer_range": 0.2,
    });
    Model::random(ModelConfig::from_json(config.as_object().unwrap()).unwrap(), 2).unwrap()
}

fn bits(model: &Model) -> BTreeMap<String, Vec<u32>> {
    let of = |p: &rlvr_model::params::Param| floats(&p.value).unwrap().iter().map(|x| x.to_bits()).collect();
    model.params.iter().map(|p| (p.name.clone(), of(p))).collect()
}

fn batch() -> MicroBatch {
    let mut micro = MicroBatch::default();
    micro.packed.push(&(0..40).map(|i| i * 7 % 61).collect::<Vec<u32>>());
    micro.targets.rows = (0..39).collect();
    micro.targets.ids = micro.packed.ids[1..].to_vec();
    micro.domains = vec![0; 39];
    micro
}

#[test]
fn updates_move_the_adapters_alone_and_their_state_is_of_the_adapters_alone() {
    let targets = LoraTargets::Named(vec!["v_proj".into(), "up_proj".into()]);
    let lora = LoraConfig { rank: 3, alpha: 6.0, targets, rslora: false };
    let base = bits(&model());
    let model = model().with_lora(lora, 9).unwrap();
    let reference = model.base();
    let mut optimizer = Optimizer::new(&model.params, AdamWConfig::default(), 1.0).unwrap();
    let step = |optimizer: &mut Optimizer| mid_train_step(&model, optimizer, vec![batch()], 1, 1e-2).unwrap();
    let losses: Vec<f64> = (0..8).map(|_| step(&mut optimizer).loss).collect();
    assert!(losses[7] < losses[0] - 0.1, "{losses:?}");

    let moved = bits(&model);
    for (name, values) in &base {
        assert!(moved[name] == *values, "{name} moved");
    }
    assert_eq!(moved.len(), base.len() + 2 * 2 * 2);
    assert_ne!(model.logprobs(&[1, 2, 3]).unwrap(), reference.logprobs(&[1, 2, 3]).unwrap());
    assert_eq!(reference.logprobs(&[1, 2, 3]).unwrap(), self::model().logprobs(&[1, 2, 3]).unwrap());

    let projections: Vec<Projection> = model.config.projections();
    let state = optimizer.tensors(&model.params);
    assert_eq!(state.len(), 2 * 2 * 2 * 2);
    for (name, shape, values) in state {
        let (projection, matrix) = name.split_once(".lora_").unwrap();
        let Projection { outputs, inputs, .. } = projections.iter().find(|p| p.name == projection).unwrap();
        assert_eq!(shape, if matrix.starts_with('A') { [3, *inputs] } else { [*outputs, 3] }, "{name}");
        assert!(values.iter().any(|x| *x != 0.0), "{name}");
    }
}
