//! Random numbers and shuffles that are functions of a key, so that data needs no random state to be resumed.
//!
//! A key is mixed from what names a draw (seed, stage, epoch, item). A shuffle is a Feistel network over the next
//! power of four, walked until it lands inside (Black and Rogaway, "Ciphers with Arbitrary Finite Domains", CT-RSA
//! 2002): item `i` of an epoch is found in O(1) without holding the order.

/// The finaliser of SplitMix64 (Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// One key from several parts; their order counts.
pub fn key(parts: &[u64]) -> u64 {
    parts.iter().fold(GAMMA, |key, part| mix(key.wrapping_add(GAMMA) ^ mix(part.wrapping_add(GAMMA))))
}

/// A number for a text (FNV-1a, mixed): for keys that include a name, and for splits by a problem's text.
pub fn of_text(text: &str) -> u64 {
    mix(text
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)))
}

/// A stream of random numbers under one key (SplitMix64).
#[derive(Clone, Debug)]
pub struct Draws {
    state: u64,
}

impl Draws {
    /// The stream of a [`key`].
    pub fn new(key: u64) -> Self {
        Self { state: key }
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GAMMA);
        mix(self.state)
    }

    /// A whole number in `low..=high`.
    ///
    /// # Panics
    /// When `low` is above `high`.
    pub fn within(&mut self, low: i64, high: i64) -> i64 {
        assert!(low <= high, "an empty range {low}..={high}");
        let span = high.abs_diff(low);
        // Multiply-shift: with ranges this small against 2^64 the bias cannot be seen.
        low + ((u128::from(self.next()) * (u128::from(span) + 1)) >> 64) as i64
    }

    /// A number in `[0, 1)` with 53 bits.
    pub fn uniform(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// One of `items`.
    ///
    /// # Panics
    /// When there is none.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.within(0, items.len() as i64 - 1) as usize]
    }

    /// Index of one of `weights`, with a probability in proportion. The weights are not negative and not all 0.
    pub fn weighted(&mut self, weights: &[f64]) -> usize {
        let mut left = self.uniform() * weights.iter().sum::<f64>();
        for (index, weight) in weights.iter().enumerate() {
            if left < *weight {
                return index;
            }
            left -= weight;
        }
        weights.iter().rposition(|weight| *weight > 0.0).unwrap_or(0)
    }
}

/// Where a shuffle of `0..count` under `key` puts `index`: a bijection of `0..count`.
///
/// # Panics
/// When `index` is not below `count`.
pub fn shuffled(index: u64, count: u64, key: u64) -> u64 {
    assert!(index < count, "index {index} of {count}");
    let half = (64 - (count - 1).leading_zeros()).div_ceil(2);
    if half == 0 {
        return 0;
    }
    let mask = (1u64 << half) - 1;
    let mut at = index;
    loop {
        let (mut left, mut right) = (at >> half, at & mask);
        for round in 0..4 {
            (left, right) = (right, left ^ (mix(key ^ mix(right.wrapping_add(round * GAMMA))) & mask));
        }
        at = left << half | right;
        if at < count {
            return at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shuffle_reaches_every_index_once_and_keys_differ() {
        for count in [1, 2, 3, 7, 16, 17, 1000] {
            for key in [0, 9, u64::MAX] {
                let mut seen: Vec<u64> = (0..count).map(|i| shuffled(i, count, key)).collect();
                seen.sort_unstable();
                assert_eq!(seen, (0..count).collect::<Vec<_>>());
            }
        }
        let same = (0..1000).filter(|i| shuffled(*i, 1000, 1) == shuffled(*i, 1000, 2)).count();
        assert!(same < 10, "{same} of 1000 in the same place under two keys");
    }

    #[test]
    fn a_shuffle_moves_neighbours_apart() {
        // Of 999 neighbours about 2 stay neighbours in a uniform shuffle.
        let near =
            (1..1000u64).filter(|i| shuffled(*i, 1000, 5).abs_diff(shuffled(i - 1, 1000, 5)) == 1).count();
        assert!(near < 12, "{near}");
    }

    #[test]
    fn draws_are_uniform_over_their_range() {
        let mut draws = Draws::new(key(&[1, 2]));
        let mut counts = [0u32; 7];
        for _ in 0..70_000 {
            counts[(draws.within(-3, 3) + 3) as usize] += 1;
        }
        // Chi-squared with 6 degrees of freedom: 22.5 is its 0.999 quantile.
        let chi: f64 = counts.iter().map(|c| (f64::from(*c) - 10_000.0).powi(2) / 10_000.0).sum();
        assert!(chi < 22.5, "{chi} {counts:?}");
        let heads = (0..10_000).filter(|_| draws.weighted(&[1.0, 0.0, 3.0]) == 0).count();
        assert!((2_300..2_700).contains(&heads), "{heads}");
    }

    #[test]
    fn keys_depend_on_every_part_and_their_order() {
        let keys = [key(&[1, 2]), key(&[2, 1]), key(&[1]), key(&[1, 2, 0]), key(&[0, 1, 2])];
        for (i, a) in keys.iter().enumerate() {
            assert!(!keys[i + 1..].contains(a));
        }
    }
}
