//! Random numbers for guests: a function of a seed, so that a check is the same each time.

use sha2::{Digest, Sha256};

/// A stream of random bytes: SHA-256 of the seed and a counter.
#[derive(Clone, Default)]
pub struct Random {
    seed: [u8; 32],
    blocks: u64,
    /// Bytes of the current block that are still to be given.
    left: Vec<u8>,
}

impl Random {
    /// The stream of this seed, from its beginning.
    pub fn new(seed: [u8; 32]) -> Self {
        Random { seed, ..Random::default() }
    }

    /// The next bytes.
    pub fn fill(&mut self, out: &mut [u8]) {
        for byte in out {
            if self.left.is_empty() {
                let block = Sha256::new().chain_update(self.seed).chain_update(self.blocks.to_le_bytes());
                self.blocks += 1;
                self.left.extend_from_slice(&block.finalize());
            }
            *byte = self.left.pop().unwrap_or(0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_a_function_of_its_seed_however_it_is_read() {
        let read = |seed: u8, pieces: &[usize]| {
            let mut random = Random::new([seed; 32]);
            pieces
                .iter()
                .flat_map(|&n| {
                    let mut bytes = vec![0; n];
                    random.fill(&mut bytes);
                    bytes
                })
                .collect::<Vec<u8>>()
        };
        assert_eq!(read(1, &[100]), read(1, &[1, 40, 0, 59]));
        assert_ne!(read(1, &[32]), read(2, &[32]));
        assert_ne!(read(1, &[64])[..32], read(1, &[64])[32..]);
    }
}
