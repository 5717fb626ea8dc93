//! The mixer against its definition in f64, against transformers and against itself in other company.

mod reference;

use super::*;
use crate::params::ParamGrads;
use candle_core::{Device, Tensor};
use reference::{PARAMETERS, inputs, loss, parameters, wave};
use std::cell::RefCell;
use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::rc::Rc;

fn shapes() -> [(MambaShape, bool); 3] {
    let shape = |heads, head_dim, groups, state, kernel, dt_min, dt_max| MambaShape {
        heads,
        head_dim,
        groups,
        state,
        kernel,
        dt_min,
        dt_max,
        eps: 1e-5,
    };
    [
        (shape(4, 12, 2, 17, 4, 0.3, 1.5), true),
        (shape(20, 8, 1, 5, 3, 0.0, f32::INFINITY), false),
        (shape(2, 20, 1, 6, 1, 0.0, f32::INFINITY), true),
    ]
}

/// Documents, long and short, beside prompts with continuations; one prompt is shorter than the convolution.
fn batch() -> Packed {
    let mut batch = Packed::new();
    batch.push(&[0; 5]);
    let prompt = batch.push(&[0; 70]);
    for len in [3, 1, 19] {
        batch.push_continuation(prompt, &vec![0; len]);
    }
    batch.push(&[0; 1]);
    let short = batch.push(&[0; 2]);
    batch.push_continuation(short, &[0; 4]);
    batch.push_continuation(short, &[0; 1]);
    batch
}

struct Mixed {
    out: Vec<f32>,
    /// Of the projected input and then of the parameters.
    grads: Vec<Vec<f32>>,
}

/// Runs [`mix`] forward, and backward from the gradient that `seed` makes of the result.
fn mixed(shape: &MambaShape, inputs: &[Vec<f32>], batch: Packed, seed: impl Fn(&[f32]) -> Vec<f32>) -> Mixed {
    let (params, weights) = parameters(shape, inputs);
    let tape = Tape::new();
    let arrived = Rc::new(RefCell::new(Vec::new()));
    let to = arrived.clone();
    let projected = tensor(inputs[0].clone(), (batch.len(), shape.projected())).unwrap();
    let projected = tape.record(projected, move |grad, _| {
        *to.borrow_mut() = grad;
        Ok(())
    });
    let out = mix(&tape, &params, shape, &weights, &Arc::new(batch), &projected).unwrap();
    let values = floats(&out.value).unwrap().to_vec();
    let mut grads: ParamGrads = params.zero_grads().unwrap();
    tape.backward(&out, seed(&values), &mut grads).unwrap();
    assert_eq!(grads.untouched(), None);
    let of_params = grads.iter().map(|g| floats(g).unwrap().to_vec());
    Mixed { out: values, grads: std::iter::once(arrived.take()).chain(of_params).collect() }
}

fn largest(values: &[f32]) -> f32 {
    values.iter().fold(0.0, |top, x| x.abs().max(top))
}

#[track_caller]
fn assert_close(what: &str, ours: &[f32], theirs: &[f32], tolerance: f32) {
    assert_eq!(ours.len(), theirs.len(), "{what}");
    let (off, size) = (ours.iter().zip(theirs).map(|(a, b)| a - b).collect::<Vec<f32>>(), largest(theirs));
    assert!(largest(&off) <= tolerance * size, "{what} is off by {}, the largest is {size}", largest(&off));
}

#[test]
fn results_and_gradients_agree_with_the_definition_in_f64_and_its_differences() {
    for (shape, bias) in shapes() {
        let batch = batch();
        let inputs = inputs(&shape, bias, batch.len());
        let weight = wave(batch.len() * shape.inner(), 9.0);
        let ours = mixed(&shape, &inputs, batch.clone(), |_| weight.clone());
        let wide: Vec<Vec<f64>> = inputs.iter().map(|v| v.iter().map(|x| f64::from(*x)).collect()).collect();
        let total: f64 = ours.out.iter().zip(&weight).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
        let theirs = loss(&shape, &wide, &batch, &weight);
        assert!((total - theirs).abs() < 1e-5 * ours.out.len() as f64, "{shape:?}: {total}, {theirs}");
        for (which, grads) in ours.grads.iter().enumerate() {
            let size = largest(grads);
            for i in (0..grads.len()).step_by(grads.len() / 17 + 1) {
                let at = |e: f64| {
                    let mut inputs = wide.clone();
                    inputs[which][i] += e;
                    loss(&shape, &inputs, &batch, &weight)
                };
                let slope = (at(1e-4) - at(-1e-4)) / 2e-4;
                let off = (slope - f64::from(grads[i])).abs() as f32;
                assert!(off < 5e-5 * size, "{shape:?}, input {which}, element {i}: {slope}, {}", grads[i]);
            }
        }
    }
}

/// The rows of `all`, `[tokens, width]`, that belong to some segments, one after the other.
fn rows_of(all: &[f32], batch: &Packed, segments: &[usize]) -> Vec<f32> {
    let width = all.len() / batch.len();
    let each = segments.iter().map(|s| &batch.segments[*s]);
    each.flat_map(|s| all[s.start * width..(s.start + s.len) * width].to_vec()).collect()
}

/// Every sequence of a batch: the segments that it is made of.
fn sequences(batch: &Packed) -> Vec<Vec<usize>> {
    let each = batch.segments.iter().enumerate();
    each.map(|(i, s)| s.prefix.into_iter().chain([i]).collect()).collect()
}

#[test]
fn a_packed_sequence_has_the_bits_and_the_gradients_that_it_has_alone() {
    for (shape, bias) in shapes() {
        let batch = batch();
        let inputs = inputs(&shape, bias, batch.len());
        let weight = wave(batch.len() * shape.inner(), 9.0);
        let packed = mixed(&shape, &inputs, batch.clone(), |_| weight.clone());
        let mut sums: Vec<Vec<f32>> = packed.grads.iter().map(|g| vec![0.0; g.len()]).collect();
        for segments in sequences(&batch) {
            let mut alone = inputs.clone();
            alone[0] = rows_of(&inputs[0], &batch, &segments);
            let mut whole = Packed::new();
            whole.push(&vec![0; alone[0].len() / shape.projected()]);
            // a prefix counts once: as a sequence of its own
            let mut seed = rows_of(&weight, &batch, &segments);
            let prefix = if segments.len() == 2 { batch.segments[segments[0]].len } else { 0 };
            seed[..prefix * shape.inner()].fill(0.0);
            let alone = mixed(&shape, &alone, whole, |_| seed.clone());
            assert_eq!(alone.out, rows_of(&packed.out, &batch, &segments));
            let mut grad = alone.grads[0].chunks_exact(shape.projected());
            for segment in segments.iter().map(|s| &batch.segments[*s]) {
                let to = &mut sums[0][segment.start * shape.projected()..];
                for (to, row) in to.chunks_exact_mut(shape.projected()).zip(grad.by_ref().take(segment.len)) {
                    to.iter_mut().zip(row).for_each(|(sum, x)| *sum += x);
                }
            }
            for (sum, part) in sums[1..].iter_mut().zip(&alone.grads[1..]) {
                sum.iter_mut().zip(part).for_each(|(sum, x)| *sum += x);
            }
        }
        for (which, (ours, theirs)) in packed.grads.iter().zip(&sums).enumerate() {
            assert_close(&format!("{shape:?}: gradient of input {which}"), ours, theirs, 1e-5);
        }
    }
}

#[test]
fn the_cached_form_has_the_bits_of_the_training_forward_however_its_rows_come() {
    for (shape, bias) in shapes() {
        let batch = batch();
        let inputs = inputs(&shape, bias, batch.len());
        let expected = mixed(&shape, &inputs, batch.clone(), <[f32]>::to_vec).out;
        let (params, weights) = parameters(&shape, &inputs);
        let mixer = Mixer::new(&shape, &params.read().unwrap(), &weights);
        for segments in sequences(&batch) {
            let (rows, expected) =
                (rows_of(&inputs[0], &batch, &segments), rows_of(&expected, &batch, &segments));
            let mut last: Option<Vec<f32>> = None;
            for chunk in [1, 2, 5, 1000] {
                let mut state = vec![0.0; shape.state_len()];
                let mut out = vec![0.0; expected.len()];
                let rows = rows.chunks(chunk * shape.projected());
                for (rows, out) in rows.zip(out.chunks_mut(chunk * shape.inner())) {
                    mixer.rows(rows, &mut state, out);
                }
                assert_eq!(out, expected, "{shape:?}, {chunk} rows at a time");
                assert!(last.is_none_or(|last| last == state), "{shape:?}, {chunk} rows at a time");
                last = Some(state);
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let (shape, bias) = shapes()[1].clone();
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let batch = batch();
            let inputs = inputs(&shape, bias, batch.len());
            mixed(&shape, &inputs, batch, <[f32]>::to_vec)
        })
    };
    let (one, three) = (run(1), run(3));
    assert_eq!(one.out, three.out);
    assert_eq!(one.grads, three.grads);
}

/// A number that changes with any bit of results and gradients.
fn fingerprint() -> u64 {
    let fold = |hash: u64, x: &f32| (hash ^ u64::from(x.to_bits())).wrapping_mul(0x0100_0000_01b3);
    shapes().into_iter().fold(0xcbf2_9ce4_8422_2325, |hash, (shape, bias)| {
        let batch = batch();
        let inputs = inputs(&shape, bias, batch.len());
        let mixed = mixed(&shape, &inputs, batch, <[f32]>::to_vec);
        mixed.grads.iter().fold(mixed.out.iter().fold(hash, fold), |hash, g| g.iter().fold(hash, fold))
    })
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    if let Ok(path) = std::env::var("RLVR_TEST_FINGERPRINT") {
        std::fs::write(path, fingerprint().to_string()).unwrap();
        return;
    }
    let here = fingerprint().to_string();
    for isa in ["portable", "avx2", "avx512"] {
        let file = std::env::temp_dir().join(format!("rlvr-mamba-fingerprint-{}-{isa}", std::process::id()));
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "mamba::tests::every_instruction_set_gives_the_same_bits"])
            .env("RLVR_ISA", isa)
            .env("RLVR_TEST_FINGERPRINT", &file)
            .output()
            .unwrap();
        assert!(child.status.success(), "{isa}: {}", String::from_utf8_lossy(&child.stderr));
        let there = std::fs::read_to_string(&file).unwrap();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(there, here, "{isa}");
    }
}

/// The layer of `tests/oracles/mamba2.py`, whose loss is half the sum of squares of its output.
#[test]
fn results_and_gradients_are_those_of_transformers() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/mamba2.safetensors");
    let file: HashMap<String, Tensor> = candle_core::safetensors::load(path, &Device::Cpu).unwrap();
    for name in ["grouped", "plain"] {
        let numbers = |key: &str| floats(&file[&format!("{name}.{key}")]).unwrap().to_vec();
        let found = numbers("shape");
        let [heads, head_dim, groups, state, kernel] = [0, 1, 2, 3, 4].map(|i| found[i] as usize);
        let [dt_min, dt_max, eps] = [5, 6, 7].map(|i| found[i]);
        let shape = MambaShape { heads, head_dim, groups, state, kernel, dt_min, dt_max, eps };
        let mut keys = vec!["input"];
        keys.extend(PARAMETERS.iter().filter(|key| file.contains_key(&format!("{name}.{key}"))));
        let inputs: Vec<Vec<f32>> = keys.iter().map(|key| numbers(key)).collect();
        let mut batch = Packed::new();
        batch.push(&vec![0; inputs[0].len() / shape.projected()]);
        let ours = mixed(&shape, &inputs, batch, <[f32]>::to_vec);
        assert_close(&format!("{name}: output"), &ours.out, &numbers("output"), 1e-5);
        for (key, grad) in keys.iter().zip(&ours.grads) {
            assert_close(&format!("{name}: gradient of {key}"), grad, &numbers(&format!("grad.{key}")), 2e-5);
        }
    }
}
