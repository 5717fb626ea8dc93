//! Real numbers of two precisions behind one set of operations: f64 and 320 bits (astro-float). No operation of
//! either panics; what has no value is not a number.

use astro_float_num::{BigFloat, Consts, NAN, RoundingMode, Sign, Word};
use dashu_base::BitTest;
use dashu_int::UBig;
use dashu_ratio::RBig;
use std::cell::RefCell;

/// Operations of a real number. Arguments are in the domains of the functions; callers see to it.
pub(crate) trait Real: Clone {
    /// Bound of the relative error of an operation.
    const EPSILON: f64;
    /// What an arithmetic operation takes, in units of [`Work`](crate::Work).
    const OPERATION: u64;
    /// What a function or root takes.
    const FUNCTION: u64;
    fn rational(value: &RBig) -> Self;
    fn pi() -> Self;
    fn add(&self, other: &Self) -> Self;
    fn sub(&self, other: &Self) -> Self;
    fn mul(&self, other: &Self) -> Self;
    fn div(&self, other: &Self) -> Self;
    fn neg(&self) -> Self;
    fn sqrt(&self) -> Self;
    fn root(&self, index: u32) -> Self;
    fn exp(&self) -> Self;
    fn ln(&self) -> Self;
    fn sin(&self) -> Self;
    fn cos(&self) -> Self;
    fn atan(&self) -> Self;
    fn floor(&self) -> Self;
    /// The nearest f64; magnitudes beyond its range are infinite or 0.
    fn approx(&self) -> f64;
}

impl Real for f64 {
    const EPSILON: f64 = 1.0e-15;
    const OPERATION: u64 = 2;
    const FUNCTION: u64 = 4;
    fn rational(value: &RBig) -> Self {
        value.to_f64_fast()
    }
    fn pi() -> Self {
        std::f64::consts::PI
    }
    fn add(&self, other: &Self) -> Self {
        self + other
    }
    fn sub(&self, other: &Self) -> Self {
        self - other
    }
    fn mul(&self, other: &Self) -> Self {
        self * other
    }
    fn div(&self, other: &Self) -> Self {
        self / other
    }
    fn neg(&self) -> Self {
        -self
    }
    fn sqrt(&self) -> Self {
        f64::sqrt(*self)
    }
    fn root(&self, index: u32) -> Self {
        self.powf(1.0 / f64::from(index))
    }
    fn exp(&self) -> Self {
        f64::exp(*self)
    }
    fn ln(&self) -> Self {
        f64::ln(*self)
    }
    fn sin(&self) -> Self {
        f64::sin(*self)
    }
    fn cos(&self) -> Self {
        f64::cos(*self)
    }
    fn atan(&self) -> Self {
        f64::atan(*self)
    }
    fn floor(&self) -> Self {
        f64::floor(*self)
    }
    fn approx(&self) -> f64 {
        *self
    }
}

/// Bits of a [`Big`].
const PRECISION: usize = 320;
/// Results are within a unit of the last bit or two, far inside [`Real::EPSILON`].
const ROUND: RoundingMode = RoundingMode::None;

/// A number of 320 bits.
#[derive(Clone, Debug)]
pub(crate) struct Big(BigFloat);

thread_local! {
    /// Digits of pi and logarithms, computed once a thread; none when memory is short.
    static CONSTANTS: RefCell<Option<Consts>> = RefCell::new(Consts::new().ok());
}

/// A result of functions that need constants.
fn with_constants(work: impl FnOnce(&mut Consts) -> BigFloat) -> Big {
    CONSTANTS.with_borrow_mut(|constants| Big(constants.as_mut().map_or(NAN, work)))
}

/// A natural number, cut to what fits the precision.
fn natural(n: &UBig) -> BigFloat {
    let length = n.bit_len();
    if length == 0 {
        return BigFloat::new(PRECISION);
    }
    // the value is the mantissa as a fraction below 1 times 2^length
    let width = PRECISION + 64;
    let aligned = if length > width { n >> (length - width) } else { n << (width - length) };
    let mut number = BigFloat::from_words(
        &aligned.as_words().iter().map(|w| *w as Word).collect::<Vec<_>>(),
        Sign::Pos,
        length as i32,
    );
    // never fails: the precision is far above the least
    let _ = number.set_precision(PRECISION, ROUND);
    number
}

impl Real for Big {
    const EPSILON: f64 = 1.0e-92;
    const OPERATION: u64 = 16;
    const FUNCTION: u64 = 1000;
    fn rational(value: &RBig) -> Self {
        let (sign, above) = value.numerator().clone().into_parts();
        let mut number = natural(&above);
        if !value.is_int() {
            number = number.div(&natural(value.denominator()), PRECISION, ROUND);
        }
        Big(if sign == dashu_base::Sign::Negative { number.neg() } else { number })
    }
    fn pi() -> Self {
        with_constants(|c| c.pi(PRECISION, ROUND))
    }
    fn add(&self, other: &Self) -> Self {
        Big(self.0.add(&other.0, PRECISION, ROUND))
    }
    fn sub(&self, other: &Self) -> Self {
        Big(self.0.sub(&other.0, PRECISION, ROUND))
    }
    fn mul(&self, other: &Self) -> Self {
        Big(self.0.mul(&other.0, PRECISION, ROUND))
    }
    fn div(&self, other: &Self) -> Self {
        Big(self.0.div(&other.0, PRECISION, ROUND))
    }
    fn neg(&self) -> Self {
        Big(self.0.neg())
    }
    fn sqrt(&self) -> Self {
        Big(self.0.sqrt(PRECISION, ROUND))
    }
    fn root(&self, index: u32) -> Self {
        if index == 3 {
            return Big(self.0.cbrt(PRECISION, ROUND));
        }
        Real::exp(&Real::div(&Real::ln(self), &Big(BigFloat::from_u32(index, PRECISION))))
    }
    fn exp(&self) -> Self {
        with_constants(|c| self.0.exp(PRECISION, ROUND, c))
    }
    fn ln(&self) -> Self {
        with_constants(|c| self.0.ln(PRECISION, ROUND, c))
    }
    fn sin(&self) -> Self {
        with_constants(|c| self.0.sin(PRECISION, ROUND, c))
    }
    fn cos(&self) -> Self {
        with_constants(|c| self.0.cos(PRECISION, ROUND, c))
    }
    fn atan(&self) -> Self {
        with_constants(|c| self.0.atan(PRECISION, ROUND, c))
    }
    fn floor(&self) -> Self {
        Big(self.0.floor())
    }
    fn approx(&self) -> f64 {
        let Some((mantissa, _, sign, exponent, _)) = self.0.as_raw_parts() else { return f64::NAN };
        let top = mantissa.last().map_or(0.0, |word| *word as f64);
        let size = top * 2f64.powi(-64) * 2f64.powi(exponent.clamp(-1074, 1100));
        if sign == Sign::Neg { -size } else { size }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_precisions_agree_on_rationals_and_functions() {
        for (a, b) in [(1i64, 3i64), (-22, 7), (1_000_000_007, 2), (5, 1), (1, 1_000_000_007), (0, 1)] {
            let value = RBig::from(a) / RBig::from(b);
            let (near, big) = (f64::rational(&value), Big::rational(&value));
            let close = |x: f64, y: &Big| (x - y.approx()).abs() <= 1e-14 * x.abs().max(1e-300);
            assert!(close(near, &big), "{a}/{b}: {near} {}", big.approx());
            assert!((Real::sin(&near) - Real::sin(&big).approx()).abs() < 1e-9);
            assert!(close(Real::atan(&near), &Real::atan(&big)));
            if near > 0.0 {
                assert!(
                    close(Real::sqrt(&near), &Real::sqrt(&big)) && close(near.cbrt(), &Real::root(&big, 3))
                );
                assert!((Real::ln(&near) - Real::ln(&big).approx()).abs() < 1e-12);
            }
        }
        assert_eq!(Big::pi().approx(), std::f64::consts::PI);
    }

    #[test]
    fn a_big_number_has_the_digits_of_its_name() {
        // Hermite's near-integer: e^(pi sqrt 163) is 7.5e-13 below a whole number (OEIS A060295)
        let root = Real::sqrt(&Big::rational(&RBig::from(163)));
        let value = Real::exp(&Real::mul(&Big::pi(), &root));
        let whole = Big::rational(&RBig::from(262_537_412_640_768_744u64));
        let gap = Real::sub(&whole, &value).approx();
        assert!((gap - 7.499_274_028_018e-13).abs() < 1e-24, "{gap}");
    }
}
