//! What an answer may cost, checked before the work is done. An answer beyond a limit is not read, whatever it
//! might equal; an operation beyond one has no value.

/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 8192;
/// Bytes at the end of a completion in which announced answers, and the last mathematics and number, are looked for.
pub const TAIL_BYTES: usize = 8192;
/// Bytes at the end of a completion in which boxes and tags are looked for.
pub const BOX_BYTES: usize = 128 * 1024;
/// Digits of one number as written.
pub const DIGITS: usize = 1000;
/// Brackets, radicals, powers and functions within each other. With it, reading and comparing take less than 256 KiB of
/// stack.
pub const DEPTH: usize = 32;
/// Nodes of an answer's tree.
pub const NODES: usize = 4000;
/// Absolute value of the power of ten in scientific notation.
pub const DECIMAL_EXPONENT: i64 = 2000;
/// Bits of numerator and denominator together, of any exact result on the way.
pub const BITS: usize = 32 * 1024;
/// Units of [`Work`](crate::Work) of one verdict, of some 20 ns each: all that is computed for it, by whichever
/// comparison. An operation is 2, one at high precision 16, a function there 1,000, an exact operation the square of its
/// length in words.
pub const WORK: u64 = 100_000;
/// The largest argument of a factorial or binomial that is multiplied out.
pub const FACTORIAL: u64 = 3000;
/// Terms of a sum or product that is written with bounds.
pub const TERMS: u64 = 500;
/// Elements of a list, a set or a matrix that are compared in any order.
pub const ELEMENTS: usize = 64;

/// Why an answer is not read at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// There is nothing to read.
    #[error("it is empty")]
    Empty,
    /// Over [`ANSWER_BYTES`].
    #[error("it is {0} bytes long; the limit is {ANSWER_BYTES}")]
    Bytes(usize),
    /// Over [`DIGITS`].
    #[error("it has a number of {0} digits; the limit is {DIGITS}")]
    Digits(usize),
    /// Over [`DECIMAL_EXPONENT`].
    #[error("it has a power of ten beyond {DECIMAL_EXPONENT}")]
    Exponent,
    /// Over [`DEPTH`].
    #[error("it is nested deeper than {DEPTH} levels")]
    Depth,
    /// A brace is not closed or not opened.
    #[error("its braces do not match")]
    Braces,
    /// Over [`NODES`].
    #[error("it has more than {NODES} parts")]
    Nodes,
}
