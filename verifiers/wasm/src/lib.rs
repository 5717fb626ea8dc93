//! What the sandboxes of rlvr share, whatever runs in them: native code that is compiled once per machine ([`cache`]), the epoch
//! that ends what does not end ([`epoch`]), and random numbers that are the same each time ([`Random`]).

pub mod cache;
pub mod epoch;
mod random;

pub use random::Random;
