//! Rotary position embedding (Su et al., arXiv 2104.09864) in the half-split layout of Hugging Face checkpoints.

/// Cosines and sines of every position and frequency.
#[derive(Clone, Debug)]
pub struct RopeTable {
    /// `[positions][pairs]` of (cos, sin).
    table: Vec<(f32, f32)>,
    pairs: usize,
}

impl RopeTable {
    /// The table for positions `0..positions` and the given inverse frequencies, `[head_dim / 2]`; computed in f64.
    pub fn new(positions: usize, inverse_frequencies: &[f64]) -> Self {
        let pairs = inverse_frequencies.len();
        let table = (0..positions * pairs)
            .map(|i| {
                // transformers takes the angle in f32, and at large angles that shows
                let angle = ((i / pairs) as f32 * inverse_frequencies[i % pairs] as f32) as f64;
                (angle.cos() as f32, angle.sin() as f32)
            })
            .collect();
        RopeTable { table, pairs }
    }

    /// Rotates one head, `[head_dim]`, to `position`: pair `i` is `(x[i], x[i + head_dim / 2])`.
    pub fn rotate(&self, position: usize, head: &mut [f32]) {
        let angles = &self.table[position * self.pairs..(position + 1) * self.pairs];
        let (low, high) = head.split_at_mut(self.pairs);
        for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }

    /// The inverse rotation: the backward of [`RopeTable::rotate`].
    pub fn rotate_back(&self, position: usize, head: &mut [f32]) {
        let angles = &self.table[position * self.pairs..(position + 1) * self.pairs];
        let (low, high) = head.split_at_mut(self.pairs);
        for ((a, b), (cos, sin)) in low.iter_mut().zip(high).zip(angles) {
            (*a, *b) = (*a * cos + *b * sin, *b * cos - *a * sin);
        }
    }

    /// Number of positions that the table covers.
    pub fn positions(&self) -> usize {
        self.table.len().checked_div(self.pairs).unwrap_or(0)
    }
}
