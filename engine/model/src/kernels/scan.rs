//! The selective scan of Mamba-2 (Dao and Gu, arXiv 2405.21060, equation 2 with a scalar decay), one head at a time.
//!
//! `S_t = decay_t S_{t-1} + dt_t x_t B_t^T` and `y_t = S_t C_t + skip x_t`. The state is laid out `[state, head_dim]` with
//! vector lanes over `head_dim`: each of its elements is one chain of operations over the tokens, and each element of `y` one
//! chain over `state`. How many tokens a tile takes changes neither, so decode, prefill and training agree to the bit,
//! which the paper's block decomposition into matrix products could not promise.

use super::simd::{Simd, dispatch};

/// One head's inputs over a run of tokens.
#[derive(Clone, Copy)]
pub struct Run<'a> {
    /// `[tokens, width]`: rows that hold `x`, `B` and `C` of all heads.
    pub rows: &'a [f32],
    /// Floats of a row.
    pub width: usize,
    /// Where in a row this head's `x` begins, `[head_dim]`.
    pub x: usize,
    /// Where this head's `B` begins, `[state]`.
    pub b: usize,
    /// Where this head's `C` begins, `[state]`.
    pub c: usize,
    /// Components of a head.
    pub head_dim: usize,
    /// Components of the state per component of the head.
    pub state: usize,
    /// `[tokens, heads]`: time steps.
    pub dt: &'a [f32],
    /// `[tokens, heads]`: what a token leaves of the state before it.
    pub decay: &'a [f32],
    /// Number of heads.
    pub heads: usize,
    /// Which of them this is.
    pub head: usize,
    /// Factor of the path from `x` past the state.
    pub skip: f32,
}

impl<'a> Run<'a> {
    /// Number of tokens.
    pub fn len(&self) -> usize {
        self.rows.len() / self.width
    }

    /// Whether the run has no token.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// `count` of the tokens, from `first` on.
    ///
    /// # Panics
    /// When the run has not that many.
    pub fn part(&self, first: usize, count: usize) -> Run<'a> {
        let steps = first * self.heads..(first + count) * self.heads;
        Run {
            rows: &self.rows[first * self.width..(first + count) * self.width],
            dt: &self.dt[steps.clone()],
            decay: &self.decay[steps],
            ..*self
        }
    }

    /// The time step of a token.
    pub(super) fn step(&self, token: usize) -> f32 {
        self.dt[token * self.heads + self.head]
    }

    /// The decay of a token.
    pub(super) fn left(&self, token: usize) -> f32 {
        self.decay[token * self.heads + self.head]
    }

    pub(super) fn check(&self) {
        let steps = self.len() * self.heads;
        let ends = [self.x + self.head_dim, self.b + self.state, self.c + self.state];
        assert!(
            self.rows.len() == self.len() * self.width
                && ends.iter().all(|end| *end <= self.width)
                && self.dt.len() == steps
                && self.decay.len() == steps
                && self.head < self.heads,
            "scan: shapes"
        );
    }
}

dispatch! {
    /// Runs the tokens through `state` (`[state, head_dim]`, in and out) and writes `y`, `[tokens, head_dim]`.
    pub fn scan(run: Run<'_>, state: &mut [f32], y: &mut [f32]) = scan_on
}

#[inline(always)]
unsafe fn scan_on<S: Simd>(run: Run<'_>, state: &mut [f32], y: &mut [f32]) {
    run.check();
    let dim = run.head_dim;
    assert!(state.len() == run.state * dim && y.len() == run.len() * dim, "scan: shapes");
    // SAFETY: the shapes have been checked.
    unsafe { tiles::<S, true>(&run, state.as_mut_ptr(), dim, y.as_mut_ptr()) }
}

dispatch! {
    /// As [`scan`], without `y`.
    pub fn advance(run: Run<'_>, state: &mut [f32]) = advance_on
}

#[inline(always)]
unsafe fn advance_on<S: Simd>(run: Run<'_>, state: &mut [f32]) {
    run.check();
    assert_eq!(state.len(), run.state * run.head_dim, "scan: shapes");
    // SAFETY: the shapes have been checked; without `OUT` nothing is written to `y`.
    unsafe { tiles::<S, false>(&run, state.as_mut_ptr(), run.head_dim, std::ptr::null_mut()) }
}

/// Runs all tokens, in tiles as large as the registers allow.
///
/// # Safety
/// As for [`tile`].
#[inline(always)]
unsafe fn tiles<S: Simd, const OUT: bool>(run: &Run<'_>, state: *mut f32, stride: usize, y: *mut f32) {
    let (mut first, n) = (0, run.len());
    // SAFETY: forwarded from the caller; the tiles are within the run.
    unsafe {
        while S::WIDE && first + 8 <= n {
            tile::<S, 8, OUT>(run, first, (state, state), stride, y);
            first += 8;
        }
        while first + 2 <= n {
            tile::<S, 2, OUT>(run, first, (state, state), stride, y);
            first += 2;
        }
        if first < n {
            tile::<S, 1, OUT>(run, first, (state, state), stride, y);
        }
    }
}

/// Runs the `T` tokens from `first` on, a state row being in registers for all of them, from one state to another, or the same.
///
/// # Safety
/// The run must be checked and hold the tokens; both states must hold `run.state` rows of `stride >= head_dim` floats, and `y`,
/// where `OUT`, the run's `[tokens, head_dim]`.
#[inline(always)]
pub(super) unsafe fn tile<S: Simd, const T: usize, const OUT: bool>(
    run: &Run<'_>,
    first: usize,
    (from, to): (*const f32, *mut f32),
    stride: usize,
    y: *mut f32,
) {
    let dim = run.head_dim;
    // SAFETY: by this function's contract.
    unsafe {
        let row = run.rows.as_ptr().add(first * run.width);
        let (b, c) = (row.add(run.b), row.add(run.c));
        let decay: [S::V; T] = std::array::from_fn(|t| S::splat(run.left(first + t)));
        for v in (0..dim).step_by(16) {
            let len = (dim - v).min(16);
            let x: [S::V; T] = std::array::from_fn(|t| S::load_part(row.add(t * run.width + run.x + v), len));
            let scaled: [S::V; T] = std::array::from_fn(|t| S::mul(S::splat(run.step(first + t)), x[t]));
            let mut sums = x.map(|x| S::mul(S::splat(run.skip), x));
            for i in 0..run.state {
                let at = i * stride + v;
                let mut s = S::load_part(from.add(at), len);
                for t in 0..T {
                    let b = S::splat(*b.add(t * run.width + i));
                    s = S::fma(decay[t], s, S::mul(scaled[t], b));
                    if OUT {
                        sums[t] = S::fma(s, S::splat(*c.add(t * run.width + i)), sums[t]);
                    }
                }
                S::store_part(to.add(at), s, len);
            }
            if OUT {
                for (t, sum) in sums.into_iter().enumerate() {
                    S::store_part(y.add((first + t) * dim + v), sum, len);
                }
            }
        }
    }
}
