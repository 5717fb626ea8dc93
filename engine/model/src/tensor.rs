//! The floats behind a candle tensor, for kernels that work on slices.
//!
//! Parameters, gradients and activations are contiguous f32 tensors on the CPU; these three functions are the only
//! door between them and the kernels.

use candle_core::{CpuStorage, Device, Error, InplaceOp1, Layout, Result, Shape, Storage, Tensor};
use parking_lot::RwLockReadGuard;
use std::cell::Cell;
use std::ops::Deref;

/// A tensor's floats, read-locked while this lives.
pub struct Floats<'a> {
    guard: RwLockReadGuard<'a, Storage>,
    range: (usize, usize),
}

impl Deref for Floats<'_> {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        match &*self.guard {
            Storage::Cpu(CpuStorage::F32(data)) => &data[self.range.0..self.range.1],
            _ => unreachable!("`floats` has checked the storage"),
        }
    }
}

/// The floats of a contiguous f32 tensor on the CPU.
///
/// # Errors
/// When the tensor is of another dtype, on another device or not contiguous.
pub fn floats(tensor: &Tensor) -> Result<Floats<'_>> {
    let (guard, layout) = tensor.storage_and_layout();
    let range = contiguous(layout)?;
    match &*guard {
        Storage::Cpu(CpuStorage::F32(_)) => Ok(Floats { guard, range }),
        _ => Err(Error::Msg(format!(
            "expected f32 on the CPU, found {:?} on {:?}",
            tensor.dtype(),
            tensor.device()
        ))),
    }
}

fn contiguous(layout: &Layout) -> Result<(usize, usize)> {
    layout
        .contiguous_offsets()
        .ok_or_else(|| Error::Msg(format!("expected a contiguous tensor, found {layout:?}")))
}

/// Runs `change` on the floats of a contiguous f32 tensor on the CPU, in place.
///
/// # Errors
/// As for [`floats`].
pub fn change<R>(tensor: &Tensor, change: impl FnOnce(&mut [f32]) -> R) -> Result<R> {
    struct Change<F, R>(Cell<Option<F>>, Cell<Option<R>>);
    impl<F: FnOnce(&mut [f32]) -> R, R> InplaceOp1 for Change<F, R> {
        fn name(&self) -> &'static str {
            "change"
        }
        fn cpu_fwd(&self, storage: &mut CpuStorage, layout: &Layout) -> Result<()> {
            let (start, end) = contiguous(layout)?;
            match (storage, self.0.take()) {
                (CpuStorage::F32(data), Some(change)) => self.1.set(Some(change(&mut data[start..end]))),
                _ => return Err(Error::Msg("expected an f32 tensor".into())),
            }
            Ok(())
        }
    }
    let op = Change(Cell::new(Some(change)), Cell::new(None));
    tensor.inplace_op1(&op)?;
    op.1.take().ok_or_else(|| Error::Msg("an in-place change did not run".into()))
}

/// A CPU tensor of `data` in the given shape.
///
/// # Errors
/// When the shape does not hold `data.len()` elements.
pub fn tensor(data: Vec<f32>, shape: impl Into<Shape>) -> Result<Tensor> {
    Tensor::from_vec(data, shape.into(), &Device::Cpu)
}
