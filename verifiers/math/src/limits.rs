//! What an answer may cost, checked before the work is done. An answer beyond a limit is not read, whatever
//! it might equal.

/// Bytes of an answer.
pub const ANSWER_BYTES: usize = 4096;
/// Digits of one number as written.
pub const DIGITS: usize = 1000;
/// Brackets of any kind within each other, and powers of powers.
pub const DEPTH: usize = 64;
/// Absolute value of the power of ten in scientific notation.
pub const DECIMAL_EXPONENT: i64 = 2000;
/// Bits of numerator and denominator together, of any result on the way.
pub const BITS: usize = 8192;
/// Bits of all operands of one answer's arithmetic together.
pub const WORK_BITS: usize = 256 * 1024;

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
    /// Over [`DEPTH`].
    #[error("it is nested deeper than {DEPTH} levels")]
    Depth,
    /// Over [`DECIMAL_EXPONENT`], [`BITS`] or [`WORK_BITS`].
    #[error("its value, or one on the way to it, is beyond {BITS} bits")]
    Size,
    /// A brace is not closed or not opened.
    #[error("its braces do not match")]
    Braces,
}
