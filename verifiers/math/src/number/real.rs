//! Real numbers of two precisions behind one set of operations: f64 and 320 bits (dashu).

use dashu_float::round::mode::HalfEven;
use dashu_float::{ConstCache, Context, FBig};
use dashu_int::IBig;
use dashu_ratio::RBig;
use std::cell::RefCell;

/// Operations of a real number. Arguments are in the domains of the functions; callers see to it.
pub(crate) trait Real: Clone {
    /// Bound of the relative error of an operation.
    const EPSILON: f64;
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

/// A number of 320 bits.
#[derive(Clone, Debug)]
pub(crate) struct Big(FBig<HalfEven, 2>);

thread_local! {
    /// Digits of pi and logarithms, computed once a thread.
    static CONSTANTS: RefCell<ConstCache> = RefCell::new(ConstCache::new());
}

const CONTEXT: Context<HalfEven> = Context::new(PRECISION);

/// Applies an operation of the context; a result that is none (overflow) is taken for zero, and never met, because
/// f64 has been finite at the same place.
macro_rules! unary {
    ($self:ident, $name:ident) => {
        CONSTANTS.with_borrow_mut(|cache| match CONTEXT.$name($self.0.repr(), Some(cache)) {
            Ok(value) => Big(value.value()),
            Err(_) => Big(FBig::ZERO.with_precision(PRECISION).value()),
        })
    };
}

impl Real for Big {
    const EPSILON: f64 = 1.0e-92;
    fn rational(value: &RBig) -> Self {
        let big = |n: IBig| FBig::<HalfEven, 2>::from(n).with_precision(PRECISION).value();
        if value.is_int() {
            return Big(big(value.numerator().clone()));
        }
        Big(big(value.numerator().clone()) / big(value.denominator().clone().into()))
    }
    fn pi() -> Self {
        CONSTANTS.with_borrow_mut(|cache| Big(CONTEXT.pi::<2>(Some(cache)).value()))
    }
    fn add(&self, other: &Self) -> Self {
        Big(&self.0 + &other.0)
    }
    fn sub(&self, other: &Self) -> Self {
        Big(&self.0 - &other.0)
    }
    fn mul(&self, other: &Self) -> Self {
        Big(&self.0 * &other.0)
    }
    fn div(&self, other: &Self) -> Self {
        Big(&self.0 / &other.0)
    }
    fn neg(&self) -> Self {
        Big(-self.0.clone())
    }
    fn sqrt(&self) -> Self {
        Big(self.0.sqrt())
    }
    fn root(&self, index: u32) -> Self {
        Big(self.0.nth_root(index as usize))
    }
    fn exp(&self) -> Self {
        unary!(self, exp)
    }
    fn ln(&self) -> Self {
        unary!(self, ln)
    }
    fn sin(&self) -> Self {
        unary!(self, sin)
    }
    fn cos(&self) -> Self {
        unary!(self, cos)
    }
    fn atan(&self) -> Self {
        unary!(self, atan)
    }
    fn floor(&self) -> Self {
        Big(self.0.floor())
    }
    fn approx(&self) -> f64 {
        self.0.to_f64().value()
    }
}
