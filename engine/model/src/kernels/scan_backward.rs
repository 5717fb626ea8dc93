//! Backward of the selective scan in [`super::scan`], one head at a time.
//!
//! Nothing but the forward's inputs is needed: a first walk over the tokens leaves the state at every 64th of them, then
//! the chunks are walked in reverse, each with its states computed again: those between the tiles in memory, those within
//! a tile in registers. Sums over `head_dim` run over the vectors first and then over the lanes, sums over `state` from its first
//! component on, whatever the tile, so the bits do not depend on the instruction set.

use super::scan::{Run, tile};
use super::simd::{Simd, dispatch};

/// Tokens between states that the first walk keeps.
const CHUNK: usize = 64;

/// Where the gradients of a run's inputs go, and that of its output.
pub struct RunGradients<'a> {
    /// `[tokens, d_y_width]`: rows that hold the gradient of `y`.
    pub d_y: &'a [f32],
    /// Floats of a row of `d_y`.
    pub d_y_width: usize,
    /// Where in a row this head's part begins.
    pub d_y_at: usize,
    /// `[tokens, head_dim]`: overwritten by the gradient of `x`.
    pub d_x: &'a mut [f32],
    /// `[tokens, state]`: the gradient of `B` is added.
    pub d_b: &'a mut [f32],
    /// `[tokens, state]`: the gradient of `C` is added.
    pub d_c: &'a mut [f32],
    /// `[tokens]`: overwritten by the gradient of `dt`, not counting its part in the decay.
    pub d_dt: &'a mut [f32],
    /// `[tokens]`: overwritten by the gradient of the decay.
    pub d_decay: &'a mut [f32],
}

dispatch! {
    /// Backward of [`super::scan::scan`] from the state `initial` (`[state, head_dim]`), where `d_state` is the gradient of the state at the
    /// end and becomes that of `initial`. Returns the gradient of `skip`.
    ///
    /// `scratch` grows to `tokens / 64` states and a few more.
    pub fn scan_backward(
        run: Run<'_>, initial: &[f32], d_state: &mut [f32], grads: RunGradients<'_>, scratch: &mut Scratch,
    ) -> f32 = scan_backward_on
}

#[inline(always)]
unsafe fn scan_backward_on<S: Simd>(
    run: Run<'_>,
    initial: &[f32],
    d_state: &mut [f32],
    mut grads: RunGradients<'_>,
    scratch: &mut Scratch,
) -> f32 {
    run.check();
    let (tokens, dim, n) = (run.len(), run.head_dim, run.state);
    assert!(
        initial.len() == n * dim
            && d_state.len() == n * dim
            && grads.d_y.len() == tokens * grads.d_y_width
            && grads.d_y_at + dim <= grads.d_y_width
            && grads.d_x.len() == tokens * dim
            && grads.d_b.len() == tokens * n
            && grads.d_c.len() == tokens * n
            && grads.d_dt.len() == tokens
            && grads.d_decay.len() == tokens,
        "scan backward: shapes"
    );
    // SAFETY: the shapes have been checked.
    unsafe {
        if S::WIDE {
            Walk::<S, 4>::new(&run, scratch).back(&run, initial, d_state, &mut grads)
        } else {
            Walk::<S, 2>::new(&run, scratch).back(&run, initial, d_state, &mut grads)
        }
    }
}

/// Buffers kept between one backward and the next. Rows of head components are padded with zeros to whole vectors.
#[derive(Default)]
pub struct Scratch {
    /// Gradient of the state, `[state, padded]`.
    d_state: Vec<f32>,
    /// States at the borders of the chunks, and of the tiles of one chunk: `[borders, state, padded]`.
    chunks: Vec<f32>,
    tiles: Vec<f32>,
    /// `dt x`, the gradient of `y` and that of `dt x` for the tokens of a tile: `[padded / 16, tile, 3, 16]`, so that a vector's
    /// turn in the innermost loop has one address.
    turns: Vec<f32>,
    /// Lanes of sums over `head_dim`, for `C` and then for `B`: `[2, tile, 16 components of the state, 16]`.
    lanes: Vec<f32>,
}

/// One backward in tiles of `T` tokens.
struct Walk<'a, S: Simd, const T: usize> {
    padded: usize,
    scratch: &'a mut Scratch,
    set: std::marker::PhantomData<S>,
}

impl<'a, S: Simd, const T: usize> Walk<'a, S, T> {
    #[inline(always)]
    fn new(run: &Run<'_>, scratch: &'a mut Scratch) -> Self {
        let padded = run.head_dim.next_multiple_of(16);
        let state = run.state * padded;
        scratch.d_state.resize(state, 0.0);
        scratch.chunks.resize(run.len().div_ceil(CHUNK) * state, 0.0);
        scratch.tiles.resize(CHUNK / T * state, 0.0);
        scratch.lanes.resize(2 * T * 256, 0.0);
        scratch.turns.resize(3 * T * padded, 0.0);
        Walk { padded, scratch, set: std::marker::PhantomData }
    }

    /// # Safety
    /// `S` must be available and the shapes checked.
    #[inline(always)]
    unsafe fn back(
        mut self,
        run: &Run<'_>,
        initial: &[f32],
        d_state: &mut [f32],
        grads: &mut RunGradients<'_>,
    ) -> f32 {
        let (tokens, dim, padded) = (run.len(), run.head_dim, self.padded);
        let size = self.scratch.d_state.len();
        for (to, from) in [(&mut self.scratch.chunks, initial), (&mut self.scratch.d_state, &*d_state)] {
            to[..size].fill(0.0);
            let rows = to.chunks_exact_mut(padded).zip(from.chunks_exact(dim));
            rows.for_each(|(to, from)| to[..dim].copy_from_slice(from));
        }
        let (chunks, tiles) = (self.scratch.chunks.as_mut_ptr(), self.scratch.tiles.as_mut_ptr());
        // SAFETY: the borders are `size` floats each, and every tile lies within the run.
        unsafe {
            let mut d_skip = S::splat(0.0);
            for border in 1..tokens.div_ceil(CHUNK) {
                let at = chunks.add(border * size);
                let mut from = at.sub(size).cast_const();
                for first in ((border - 1) * CHUNK..border * CHUNK).step_by(T) {
                    tile::<S, T, false>(run, first, (from, at), padded, std::ptr::null_mut());
                    from = at;
                }
            }
            for chunk in (0..tokens.div_ceil(CHUNK)).rev() {
                let first = chunk * CHUNK;
                let count = (tokens - first).min(CHUNK);
                std::ptr::copy_nonoverlapping(chunks.add(chunk * size), tiles, size);
                for i in 1..count.div_ceil(T) {
                    let states = (tiles.add((i - 1) * size).cast_const(), tiles.add(i * size));
                    tile::<S, T, false>(run, first + (i - 1) * T, states, padded, std::ptr::null_mut());
                }
                for i in (0..count.div_ceil(T)).rev() {
                    let some = (count - i * T).min(T);
                    d_skip = self.tile(run, first + i * T, some, tiles.add(i * size), grads, d_skip);
                }
            }
            let rows = self.scratch.d_state.chunks_exact(padded).zip(d_state.chunks_exact_mut(dim));
            rows.for_each(|(from, to)| to.copy_from_slice(&from[..dim]));
            S::sum(d_skip)
        }
    }

    /// Walks `count <= T` tokens from `first` on in reverse, from `state`, the state before them. Returns the lanes of `skip`'s
    /// gradient added to `d_skip`.
    ///
    /// A tile that is not full is filled up with tokens of no effect: `dt x` and the gradient of `y` are zero, and the decay is 1.
    ///
    /// # Safety
    /// `S` must be available, the shapes checked and the tokens within the run.
    #[inline(always)]
    unsafe fn tile(
        &mut self,
        run: &Run<'_>,
        first: usize,
        count: usize,
        state: *const f32,
        grads: &mut RunGradients<'_>,
        mut d_skip: S::V,
    ) -> S::V {
        let (dim, padded, n) = (run.head_dim, self.padded, run.state);
        // SAFETY: by this function's contract; a padding token reads the last real token's `B` and `C`.
        unsafe {
            let token = |t: usize| first + t.min(count - 1);
            self.load(run, first, count, grads);
            let decay: [S::V; T] =
                std::array::from_fn(|t| S::splat(if t < count { run.left(first + t) } else { 1.0 }));
            let b: [*const f32; T] =
                std::array::from_fn(|t| run.rows.as_ptr().add(token(t) * run.width + run.b));
            let c: [*const f32; T] =
                std::array::from_fn(|t| run.rows.as_ptr().add(token(t) * run.width + run.c));
            let mut d_decay = [S::splat(0.0); T];
            // as locals, or the compiler would read the fields again after every store
            let (lanes, turns) = (self.scratch.lanes.as_mut_ptr(), self.scratch.turns.as_mut_ptr());
            let d_state = self.scratch.d_state.as_mut_ptr();
            for from in (0..n).step_by(16) {
                let some = (n - from).min(16);
                for i in from..from + some {
                    let (mut d_b, mut d_c) = ([S::splat(0.0); T], [S::splat(0.0); T]);
                    let b: [S::V; T] = std::array::from_fn(|t| S::splat(*b[t].add(i)));
                    let c: [S::V; T] = std::array::from_fn(|t| S::splat(*c[t].add(i)));
                    for v in (0..padded).step_by(16) {
                        let turn = turns.add(v * 3 * T);
                        let mut s = S::load(state.add(i * padded + v));
                        let mut before = [s; T];
                        for t in 0..T {
                            before[t] = s;
                            s = S::fma(decay[t], s, S::mul(S::load(turn.add(t * 48)), b[t]));
                            d_c[t] = S::fma(s, S::load(turn.add(t * 48 + 16)), d_c[t]);
                        }
                        let at = d_state.add(i * padded + v);
                        let mut g = S::load(at);
                        for t in (0..T).rev() {
                            g = S::fma(S::load(turn.add(t * 48 + 16)), c[t], g);
                            d_b[t] = S::fma(g, S::load(turn.add(t * 48)), d_b[t]);
                            let to = turn.add(t * 48 + 32);
                            S::store(to, S::fma(g, b[t], S::load(to)));
                            d_decay[t] = S::fma(g, before[t], d_decay[t]);
                            g = S::mul(g, decay[t]);
                        }
                        S::store(at, g);
                    }
                    for t in 0..T {
                        S::store(lanes.add((t * 16 + i - from) * 16), d_c[t]);
                        S::store(lanes.add(((T + t) * 16 + i - from) * 16), d_b[t]);
                    }
                }
                for t in 0..count {
                    let at = (first + t) * n + from;
                    for (which, sums) in [(t, &mut *grads.d_c), (T + t, &mut *grads.d_b)] {
                        let to = sums.as_mut_ptr().add(at);
                        let total = S::add(S::load_part(to, some), row_sums::<S>(lanes.add(which * 256)));
                        S::store_part(to, total, some);
                    }
                }
            }
            for (t, d_decay) in d_decay.into_iter().enumerate().take(count).rev() {
                grads.d_decay[first + t] = S::sum(d_decay);
                let x = run.rows.as_ptr().add((first + t) * run.width + run.x);
                let (dt, skip) = (S::splat(run.step(first + t)), S::splat(run.skip));
                let mut d_dt = S::splat(0.0);
                for v in (0..dim).step_by(16) {
                    let len = (dim - v).min(16);
                    let x = S::load_part(x.add(v), len);
                    let turn = turns.add((v * T + t * 16) * 3);
                    let (d_y, d_scaled) = (S::load(turn.add(16)), S::load(turn.add(32)));
                    d_dt = S::fma(d_scaled, x, d_dt);
                    d_skip = S::fma(d_y, x, d_skip);
                    let d_x = S::fma(dt, d_scaled, S::mul(skip, d_y));
                    S::store_part(grads.d_x.as_mut_ptr().add((first + t) * dim + v), d_x, len);
                }
                grads.d_dt[first + t] = S::sum(d_dt);
            }
            d_skip
        }
    }

    /// Lays out `dt x`, the gradient of `y` and zeros for that of `dt x`.
    ///
    /// # Safety
    /// As for [`Walk::tile`].
    #[inline(always)]
    unsafe fn load(&mut self, run: &Run<'_>, first: usize, count: usize, grads: &RunGradients<'_>) {
        self.scratch.turns.fill(0.0);
        let turns = self.scratch.turns.as_mut_ptr();
        for t in 0..count {
            // SAFETY: by this function's contract.
            unsafe {
                let dt = S::splat(run.step(first + t));
                let x = run.rows.as_ptr().add((first + t) * run.width + run.x);
                let d_y = grads.d_y.as_ptr().add((first + t) * grads.d_y_width + grads.d_y_at);
                for v in (0..run.head_dim).step_by(16) {
                    let len = (run.head_dim - v).min(16);
                    let turn = turns.add((v * T + t * 16) * 3);
                    S::store(turn, S::mul(dt, S::load_part(x.add(v), len)));
                    S::store(turn.add(16), S::load_part(d_y.add(v), len));
                }
            }
        }
    }
}

/// The sums of 16 rows of 16 floats, one a lane.
///
/// # Safety
/// `S` must be available and `rows` hold 256 floats.
#[inline(always)]
unsafe fn row_sums<S: Simd>(rows: *const f32) -> S::V {
    // SAFETY: by this function's contract.
    unsafe {
        let (low, high) = (S::load_transposed_8(rows, 16), S::load_transposed_8(rows.add(8), 16));
        let halves: [S::V; 8] = std::array::from_fn(|i| S::add(low[i], high[i]));
        let quarters: [S::V; 4] = std::array::from_fn(|i| S::add(halves[i], halves[i + 4]));
        S::add(S::add(quarters[0], quarters[2]), S::add(quarters[1], quarters[3]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::scan::{advance, scan};
    use super::*;

    fn wave(n: usize, seed: f32) -> Vec<f32> {
        (0..n).map(|i| ((i as f32 + seed) * 0.7371).sin()).collect()
    }

    /// The inputs of one head of two, in f32: rows of `[x | C | B]`, steps, decays and the state before them.
    #[derive(Clone)]
    struct Inputs {
        rows: Vec<f64>,
        dt: Vec<f64>,
        decay: Vec<f64>,
        initial: Vec<f64>,
        skip: f64,
    }

    /// The recurrence in f64: the sums of `y * d_y` and of the last state times `d_state`.
    fn loss(inputs: &Inputs, (dim, n): (usize, usize), d_y: &[f32], d_state: &[f32]) -> f64 {
        let width = dim + 2 * n;
        let mut state = inputs.initial.clone();
        let mut total = 0.0;
        for (t, row) in inputs.rows.chunks_exact(width).enumerate() {
            for p in 0..dim {
                let mut y = inputs.skip * row[p];
                for i in 0..n {
                    let s = &mut state[i * dim + p];
                    *s = inputs.decay[2 * t + 1] * *s + inputs.dt[2 * t + 1] * row[p] * row[dim + n + i];
                    y += *s * row[dim + i];
                }
                total += y * f64::from(d_y[t * (dim + 3) + 2 + p]);
            }
        }
        total + state.iter().zip(d_state).map(|(s, d)| s * f64::from(*d)).sum::<f64>()
    }

    #[test]
    fn outputs_and_gradients_agree_with_the_recurrence_in_f64_and_its_differences() {
        let mut scratch = Scratch::default();
        for (tokens, dim, n) in [(1, 16, 3), (7, 12, 10), (CHUNK + 3, 20, 17), (2 * CHUNK + 9, 32, 16)] {
            let width = dim + 2 * n;
            let (rows, initial) = (wave(tokens * width, 1.0), wave(n * dim, 2.0));
            let dt: Vec<f32> = wave(2 * tokens, 3.0).into_iter().map(|x| 0.6 + 0.5 * x).collect();
            let decay: Vec<f32> = wave(2 * tokens, 4.0).into_iter().map(|x| 0.7 + 0.299 * x).collect();
            let run = Run {
                rows: &rows,
                width,
                x: 0,
                b: dim + n,
                c: dim,
                head_dim: dim,
                state: n,
                dt: &dt,
                decay: &decay,
                heads: 2,
                head: 1,
                skip: 0.3,
            };
            let (d_y, d_last) = (wave(tokens * (dim + 3), 5.0), wave(n * dim, 6.0));
            let wide = |v: &[f32]| v.iter().map(|x| f64::from(*x)).collect::<Vec<f64>>();
            let inputs = Inputs {
                rows: wide(&rows),
                dt: wide(&dt),
                decay: wide(&decay),
                initial: wide(&initial),
                skip: f64::from(0.3f32),
            };
            let loss = |inputs: &Inputs| loss(inputs, (dim, n), &d_y, &d_last);

            let (mut state, mut y) = (initial.clone(), vec![0.0; tokens * dim]);
            scan(run, &mut state, &mut y);
            let mut advanced = initial.clone();
            advance(run, &mut advanced);
            assert_eq!(advanced, state);
            let of_y = y.iter().enumerate().map(|(i, y)| y * d_y[i / dim * (dim + 3) + 2 + i % dim]);
            let of_state = state.iter().zip(&d_last).map(|(s, d)| s * d);
            let ours: f64 = of_y.chain(of_state).map(f64::from).sum();
            assert!((ours - loss(&inputs)).abs() < 1e-5 * (tokens * dim) as f64);
            let (mut stepped, mut row) = (initial.clone(), vec![0.0; dim]);
            for t in 0..tokens {
                scan(run.part(t, 1), &mut stepped, &mut row);
                assert_eq!(row, y[t * dim..(t + 1) * dim], "token {t} of {tokens}");
            }
            assert_eq!(stepped, state);

            let mut d_state = d_last.clone();
            let [mut d_x, mut d_dt, mut d_decay] = [dim, 1, 1].map(|w| vec![9.0; tokens * w]);
            let [mut d_b, mut d_c] = [(); 2].map(|()| vec![0.5; tokens * n]);
            let grads = RunGradients {
                d_y: &d_y,
                d_y_width: dim + 3,
                d_y_at: 2,
                d_x: &mut d_x,
                d_b: &mut d_b,
                d_c: &mut d_c,
                d_dt: &mut d_dt,
                d_decay: &mut d_decay,
            };
            let d_skip = scan_backward(run, &initial, &mut d_state, grads, &mut scratch);
            type Nudge<'a> = &'a dyn Fn(&mut Inputs, f64);
            let check = |what: &str, found: f32, nudge: Nudge<'_>| {
                let at = |e: f64| {
                    let mut inputs = inputs.clone();
                    nudge(&mut inputs, e);
                    loss(&inputs)
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                let off = (slope - f64::from(found)).abs();
                assert!(off < 2e-5 * (1.0 + slope.abs()), "{what}, {tokens} tokens: {slope}, {found}");
            };
            check("skip", d_skip, &|inputs, e| inputs.skip += e);
            for i in (0..n * dim).step_by(7) {
                check("initial", d_state[i], &|inputs, e| inputs.initial[i] += e);
            }
            for t in (0..tokens).step_by(tokens / 9 + 1).chain([tokens - 1]) {
                check("dt", d_dt[t], &|inputs, e| inputs.dt[2 * t + 1] += e);
                check("decay", d_decay[t], &|inputs, e| inputs.decay[2 * t + 1] += e);
                for i in (0..dim).step_by(5) {
                    check("x", d_x[t * dim + i], &|inputs, e| inputs.rows[t * width + i] += e);
                }
                for i in (0..n).step_by(3).chain([n - 1]) {
                    let at = t * width + dim + i;
                    check("C", d_c[t * n + i] - 0.5, &|inputs, e| inputs.rows[at] += e);
                    check("B", d_b[t * n + i] - 0.5, &|inputs, e| inputs.rows[at + n] += e);
                }
            }
        }
    }
}
