//! Gradients of the mean cross entropy with respect to every parameter, against PyTorch's on the same checkpoints
//! (`tests/oracles/llama_logits.py`, `family_logits.py`).

use rlvr_model::logprobs::Targets;
use rlvr_model::tensor::floats;
use rlvr_model::{Model, Packed, Tape};
use safetensors::SafeTensors;
use std::path::Path;
use std::sync::Arc;

fn numbers(file: &SafeTensors, name: &str) -> Vec<f32> {
    let view = file.tensor(name).unwrap_or_else(|e| panic!("{name}: {e}"));
    view.data().as_chunks::<4>().0.iter().map(|b| f32::from_le_bytes(*b)).collect()
}

#[test]
fn the_gradient_of_every_parameter_is_that_of_pytorch() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures");
    let mut checked = 0;
    let entries = |group: &str| std::fs::read_dir(root.join(group)).unwrap();
    for entry in entries("llama").chain(entries("families")) {
        let folder = entry.unwrap().path();
        let Ok(bytes) = std::fs::read(folder.join("expected.safetensors")) else { continue };
        let expected = SafeTensors::deserialize(&bytes).unwrap();
        let ids = expected.tensor("input_ids").unwrap();
        let ids: Vec<u32> =
            ids.data().as_chunks::<8>().0.iter().map(|b| i64::from_le_bytes(*b) as u32).collect();
        let model = Model::load(&folder).unwrap();
        let mut batch = Packed::new();
        batch.push(&ids);
        let count = ids.len() - 1;
        let targets = Targets { rows: (0..count as u32).collect(), ids: ids[1..].to_vec() };
        let tape = Tape::new();
        let scored = model.token_logprobs(&tape, &Arc::new(batch), targets, 1.0).unwrap();
        let loss = -floats(&scored.logprobs.value).unwrap().iter().sum::<f32>() / count as f32;
        assert!((loss - numbers(&expected, "loss")[0]).abs() < 1e-4, "{}: loss {loss}", folder.display());
        let mut grads = model.params.zero_grads().unwrap();
        tape.backward(&scored.logprobs, vec![-1.0 / count as f32; count], &mut grads).unwrap();
        assert_eq!(grads.untouched(), None);
        for (param, grad) in model.params.iter().zip(grads.iter()) {
            let name = format!("grad.{}", param.name);
            let (ours, theirs) = (floats(grad).unwrap(), numbers(&expected, &name));
            let norm = theirs.iter().map(|x| x * x).sum::<f32>().sqrt();
            let off = ours.iter().zip(&theirs).map(|(a, b)| (a - b) * (a - b)).sum::<f32>().sqrt();
            assert!(off <= 1e-3 * norm, "{}: {name} is off by {off}, its norm is {norm}", folder.display());
            checked += 1;
        }
    }
    assert!(checked > 300, "only {checked} gradients were in the fixtures");
}
