//! Values of trees: exactly over the rationals, modulo large primes, and as balls of floating-point numbers.

pub(crate) mod ball;
pub(crate) mod complex;
pub(crate) mod evaluate;
pub(crate) mod exact;
pub(crate) mod modular;
pub(crate) mod real;

/// A sequence of well-mixed numbers from a seed (splitmix64, Steele et al. 2014).
#[derive(Clone, Debug)]
pub(crate) struct Mix(pub u64);

impl Mix {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A seed from a text (FNV-1a).
    pub(crate) fn of(text: &str) -> Mix {
        Mix(text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)))
    }
}
