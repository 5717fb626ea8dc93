//! Reverse-mode differentiation over the operations in [`crate::ops`].
//!
//! A tape records one closure per operation and runs them backwards. Compared with candle's own `backward`, an edge costs no
//! zero tensor and no addition (the first gradient to arrive is moved in, later ones and those of parameters are
//! accumulated in place, inside the matrix product where there is one), activations are freed as the walk passes them,
//! and a parameter that no gradient reached is seen instead of skipped ([`ParamGrads::untouched`]).

use crate::params::ParamGrads;
use candle_core::{Result, Tensor};
use std::cell::RefCell;

/// A value on a tape: a tensor and, when its gradient is wanted, the operation that made it.
#[derive(Clone, Debug)]
pub struct Var {
    /// The value.
    pub value: Tensor,
    /// Where its gradient goes. An operation whose backward needs no value of an input keeps this alone, so that the value is freed.
    pub(crate) node: Node,
}

/// An operation's place on its tape; none where no gradient is wanted.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Node(Option<usize>);

type Backward = Box<dyn FnOnce(Vec<f32>, &mut Gradients<'_>) -> Result<()>>;

/// Operations in the order they ran.
#[derive(Default)]
pub struct Tape {
    nodes: Option<RefCell<Vec<Backward>>>,
}

impl Tape {
    /// A tape that records.
    pub fn new() -> Self {
        Tape { nodes: Some(RefCell::default()) }
    }

    /// A tape that records nothing: for forwards whose gradient is not wanted.
    pub fn idle() -> Self {
        Tape { nodes: None }
    }

    /// Puts the result of an operation on the tape; `backward` gets the gradient of `value` and hands on those of the inputs.
    pub(crate) fn record(
        &self,
        value: Tensor,
        backward: impl FnOnce(Vec<f32>, &mut Gradients<'_>) -> Result<()> + 'static,
    ) -> Var {
        let place = self.nodes.as_ref().map(|nodes| {
            let mut nodes = nodes.borrow_mut();
            nodes.push(Box::new(backward));
            nodes.len() - 1
        });
        Var { value, node: Node(place) }
    }

    /// Whether it records.
    pub(crate) fn records(&self) -> bool {
        self.nodes.is_some()
    }

    /// A value that no operation made, and whose gradient is wanted ([`Tape::gradient_of`]).
    pub(crate) fn leaf(&self, value: Tensor) -> Var {
        self.record(value, |_, _| Ok(()))
    }

    /// Runs the tape backwards from `var`, whose gradient is `seed` (as long as the value), adding the parameters' gradients to `params`.
    ///
    /// # Errors
    /// When an operation fails.
    pub fn backward(self, var: &Var, seed: Vec<f32>, params: &mut ParamGrads) -> Result<()> {
        self.walk(var, seed, 0, params).map(drop)
    }

    /// As [`Tape::backward`], down to `leaf`, the first value of this tape: returns the leaf's gradient.
    pub(crate) fn gradient_of(
        self,
        leaf: &Var,
        var: &Var,
        seed: Vec<f32>,
        params: &mut ParamGrads,
    ) -> Result<Vec<f32>> {
        debug_assert_eq!(leaf.node.0, Some(0));
        let gradient = self.walk(var, seed, 1, params)?.into_iter().next().flatten();
        Ok(gradient.unwrap_or_else(|| vec![0.0; leaf.value.elem_count()]))
    }

    /// Runs the operations from that of `var` down to number `last`, and returns the gradients that are left below.
    fn walk(
        self,
        var: &Var,
        seed: Vec<f32>,
        last: usize,
        params: &mut ParamGrads,
    ) -> Result<Vec<Option<Vec<f32>>>> {
        let (Some(nodes), Node(Some(node))) = (self.nodes, var.node) else { return Ok(Vec::new()) };
        let mut nodes = nodes.into_inner();
        let mut grads = Gradients { by_node: (0..nodes.len()).map(|_| None).collect(), params };
        grads.by_node[node] = Some(seed);
        nodes.truncate(node + 1);
        while nodes.len() > last
            && let Some(backward) = nodes.pop()
        {
            if let Some(grad) = grads.by_node[nodes.len()].take() {
                backward(grad, &mut grads)?;
            }
        }
        Ok(grads.by_node)
    }
}

/// Gradients under way: of the recorded values, and of the parameters.
pub(crate) struct Gradients<'a> {
    by_node: Vec<Option<Vec<f32>>>,
    pub params: &'a mut ParamGrads,
}

impl Gradients<'_> {
    /// Hands a gradient to the value of `node`.
    pub fn give(&mut self, node: Node, grad: Vec<f32>) {
        let Node(Some(node)) = node else { return };
        match &mut self.by_node[node] {
            Some(sum) => crate::kernels::elementwise::add_assign(sum, &grad),
            empty => *empty = Some(grad),
        }
    }

    /// Lets `write` put a gradient of `len` floats in place: it gets the buffer and whether to add to it (else it holds zeros).
    pub fn write(&mut self, node: Node, len: usize, write: impl FnOnce(&mut [f32], bool)) {
        let Node(Some(node)) = node else { return };
        match &mut self.by_node[node] {
            Some(sum) => write(sum, true),
            empty => {
                let mut grad = vec![0.0; len];
                write(&mut grad, false);
                *empty = Some(grad);
            }
        }
    }
}
