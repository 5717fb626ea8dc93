//! Random numbers by address instead of by sequence: Philox4x32-10 (Salmon, Moraes, Dror and Shaw, "Parallel Random
//! Numbers: As Easy as 1, 2, 3", SC 2011).
//!
//! Each draw of a run has an address: (seed, stage, step, prompt, sample, attempt, position). The address is packed
//! into the cipher's key and counter, and the cipher's output is the random number. So what a sample draws depends on
//! nothing but its own address: not on what it was batched with, how often a step was retried or which thread asked.
//!
//! The packing gives each part its own bits, so two different addresses are two different (key, counter) pairs; and
//! under one key the cipher is a bijection of the counter. The parts are bounded in return, and an address out of
//! bounds is an error before anything is drawn:
//!
//! | word | bits 31..0 |
//! | --- | --- |
//! | key 0 | seed, low 32 bits |
//! | key 1 | seed, next 12 bits; stage, 12 bits; attempt, 8 bits |
//! | counter 0, 1 | prompt, all 64 bits |
//! | counter 2 | step, low 26 bits; position, high 6 bits |
//! | counter 3 | position, low 18 bits; sample, 14 bits |

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A run's seed is below two to the power of this.
pub const SEED_BITS: u32 = 44;
const STAGE_BITS: u32 = 12;
const STEP_BITS: u32 = 26;
/// The number of a prompt's samples is at most two to the power of this.
pub const SAMPLE_BITS: u32 = 14;
const ATTEMPT_BITS: u32 = 8;
const POSITION_BITS: u32 = 24;

/// The part of a draw's address that one call of the sampler has in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct RngKey {
    /// The run's seed, below 2^44.
    pub seed: u64,
    /// Index of the stage within the run, below 2^12. Evaluations need an index of their own.
    pub stage: u32,
    /// Step within the stage, below 2^26.
    pub step: u64,
}

/// Which draw within a [`RngKey`]: the rest of the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Draw {
    /// Key of the prompt; all 64 bits count.
    pub prompt: u64,
    /// Index of the sample within its group, below 2^14.
    pub sample: u32,
    /// How often this prompt was drawn before in this step, below 2^8.
    pub attempt: u32,
    /// Index of the generated token, below 2^24.
    pub position: u32,
}

/// A part of an address that does not fit the bits it is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{part} is {value}: random numbers are keyed by it in {bits} bits, so it must be below {}", 1u64 << .bits)]
pub struct AddressError {
    /// Which part.
    pub part: &'static str,
    /// What was given.
    pub value: u64,
    /// The bits there are.
    pub bits: u32,
}

fn bounded(part: &'static str, value: u64, bits: u32) -> Result<(), AddressError> {
    if value >> bits == 0 { Ok(()) } else { Err(AddressError { part, value, bits }) }
}

impl RngKey {
    /// Checks every part against its bits.
    ///
    /// # Errors
    /// Names the first part that is too large, and its bound.
    pub fn check(&self) -> Result<(), AddressError> {
        bounded("seed", self.seed, SEED_BITS)?;
        bounded("stage", self.stage.into(), STAGE_BITS)?;
        bounded("step", self.step, STEP_BITS)
    }

    /// The uniform number at `draw`, in `[0, 1)` with 53 bits.
    ///
    /// Addresses within bounds ([`RngKey::check`], [`Draw::check`]) never share a number's source; parts out of
    /// bounds lose their upper bits.
    ///
    /// ```
    /// use rlvr_rollouts::{Draw, RngKey};
    /// let key = RngKey { seed: 1, stage: 0, step: 7 };
    /// let draw = Draw { prompt: 42, sample: 3, attempt: 0, position: 5 };
    /// assert_eq!(key.uniform(draw), key.uniform(draw));
    /// assert_ne!(key.uniform(draw), key.uniform(Draw { position: 6, ..draw }));
    /// ```
    pub fn uniform(&self, draw: Draw) -> f64 {
        let (key, counter) = pack(self, draw);
        let [high, low, ..] = philox4x32_10(counter, key);
        let bits = u64::from(high) << 32 | u64::from(low);
        (bits >> 11) as f64 * (1.0 / (1u64 << 53) as f64)
    }
}

impl Draw {
    /// Checks every part against its bits.
    ///
    /// # Errors
    /// Names the first part that is too large, and its bound.
    pub fn check(&self) -> Result<(), AddressError> {
        bounded("sample", self.sample.into(), SAMPLE_BITS)?;
        bounded("attempt", self.attempt.into(), ATTEMPT_BITS)?;
        bounded("position", self.position.into(), POSITION_BITS)
    }
}

/// The packing of the module's table: (key, counter).
fn pack(key: &RngKey, draw: Draw) -> ([u32; 2], [u32; 4]) {
    let low = |value: u32, bits: u32| value & ((1 << bits) - 1);
    let seed_high = low((key.seed >> 32) as u32, SEED_BITS - 32);
    let stage = low(key.stage, STAGE_BITS);
    let step = low(key.step as u32, STEP_BITS);
    let position = low(draw.position, POSITION_BITS);
    let position_low = 32 - SAMPLE_BITS;
    (
        [
            key.seed as u32,
            seed_high << (STAGE_BITS + ATTEMPT_BITS)
                | stage << ATTEMPT_BITS
                | low(draw.attempt, ATTEMPT_BITS),
        ],
        [
            draw.prompt as u32,
            (draw.prompt >> 32) as u32,
            step << (32 - STEP_BITS) | position >> position_low,
            position << SAMPLE_BITS | low(draw.sample, SAMPLE_BITS),
        ],
    )
}

/// Ten rounds of Philox4x32: 128 random bits for a counter under a key.
fn philox4x32_10(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let [a, b, c, d] = counter;
        let first = u64::from(a) * 0xD251_1F53;
        let second = u64::from(c) * 0xCD9E_8D57;
        counter = [
            (second >> 32) as u32 ^ b ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ d ^ key[1],
            first as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    /// Known answers of the Random123 distribution, tests/kat_vectors: counter, key, output.
    #[test]
    fn the_cipher_gives_the_known_answers_of_random123() {
        let vectors = [
            ([0; 4], [0; 2], [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]),
            ([u32::MAX; 4], [u32::MAX; 2], [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]),
            (
                [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
                [0xa409_3822, 0x299f_31d0],
                [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1],
            ),
        ];
        for (counter, key, expected) in vectors {
            assert_eq!(philox4x32_10(counter, key), expected);
        }
    }

    /// Each bit of each part lands on exactly one bit of key and counter, and no two land on the same one: then the
    /// packing, being linear, is injective.
    #[test]
    fn every_bit_of_an_address_has_a_bit_of_its_own() {
        let zero = RngKey { seed: 0, stage: 0, step: 0 };
        let origin = Draw { prompt: 0, sample: 0, attempt: 0, position: 0 };
        let mut addresses = Vec::new();
        addresses.extend((0..SEED_BITS).map(|b| (RngKey { seed: 1 << b, ..zero }, origin)));
        addresses.extend((0..STAGE_BITS).map(|b| (RngKey { stage: 1 << b, ..zero }, origin)));
        addresses.extend((0..STEP_BITS).map(|b| (RngKey { step: 1 << b, ..zero }, origin)));
        addresses.extend((0..64).map(|b| (zero, Draw { prompt: 1 << b, ..origin })));
        addresses.extend((0..SAMPLE_BITS).map(|b| (zero, Draw { sample: 1 << b, ..origin })));
        addresses.extend((0..ATTEMPT_BITS).map(|b| (zero, Draw { attempt: 1 << b, ..origin })));
        addresses.extend((0..POSITION_BITS).map(|b| (zero, Draw { position: 1 << b, ..origin })));
        assert_eq!(addresses.len(), 192, "the parts fill key and counter exactly");
        let mut taken = HashSet::new();
        for (key, draw) in addresses {
            assert!(key.check().is_ok() && draw.check().is_ok());
            let (k, c) = pack(&key, draw);
            let words: Vec<u32> = k.into_iter().chain(c).collect();
            assert_eq!(words.iter().map(|w| w.count_ones()).sum::<u32>(), 1, "{key:?} {draw:?}");
            assert!(taken.insert(words), "{key:?} {draw:?} shares a bit");
        }
    }

    #[test]
    fn a_part_out_of_bounds_is_named_with_its_bound() {
        let key = RngKey { seed: 1 << 44, stage: 0, step: 0 };
        let error = key.check().unwrap_err();
        assert_eq!(
            error.to_string(),
            "seed is 17592186044416: random numbers are keyed by it in 44 bits, so it must be below 17592186044416"
        );
        let draw = Draw { prompt: u64::MAX, sample: 0, attempt: 256, position: 0 };
        assert_eq!(draw.check().unwrap_err().part, "attempt");
    }

    #[test]
    fn uniforms_fill_the_unit_interval_evenly() {
        let key = RngKey { seed: 9, stage: 1, step: 2 };
        let mut bins = [0u32; 64];
        let mut sum = 0.0;
        let n = 64_000;
        for i in 0..n {
            let draw =
                Draw { prompt: u64::from(i / 1000), sample: i % 10, attempt: 0, position: i / 10 % 100 };
            let u = key.uniform(draw);
            assert!((0.0..1.0).contains(&u));
            bins[(u * 64.0) as usize] += 1;
            sum += u;
        }
        let expected = f64::from(n) / 64.0;
        let chi: f64 = bins.iter().map(|b| (f64::from(*b) - expected).powi(2) / expected).sum();
        // 63 degrees of freedom: mean 63, standard deviation 11.2; 130 is six of them away.
        assert!(chi < 130.0, "chi-square {chi}");
        assert!((sum / f64::from(n) - 0.5).abs() < 0.005);
    }
}
