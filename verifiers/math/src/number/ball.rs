//! A real number with a bound of its error: every operation carries the bound along, so that "different" and "equal
//! to a hundred bits" are decided by what was lost on the way and not by a guess at it.

use super::real::Real;
use dashu_ratio::RBig;

/// A value and a bound of its absolute error.
#[derive(Clone, Debug)]
pub(crate) struct Ball<R> {
    pub value: R,
    pub error: f64,
}

/// Why there is no value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// An even root of a negative number: no real value.
    NotReal,
    /// Outside the domain of a function.
    Domain,
    /// A division by zero.
    Pole,
    /// The error is too large to tell on which side of a border the value is.
    Uncertain,
    /// Too large, too small or too long.
    Overflow,
    /// It has no value here.
    Unsupported,
}

pub(crate) type Value<R> = Result<Ball<R>, Stop>;

/// How a value stands to zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    Negative,
    Zero,
    Positive,
}

/// The integer power of a number by squaring; a negative one is `one` over the positive.
pub(super) fn by_squaring<T: Clone>(
    number: &T,
    exponent: i64,
    one: T,
    mul: impl Fn(&T, &T) -> Result<T, Stop>,
    div: impl Fn(&T, &T) -> Result<T, Stop>,
) -> Result<T, Stop> {
    let mut left = exponent.unsigned_abs();
    let (mut base, mut product) = (number.clone(), one.clone());
    while left > 0 {
        if left & 1 == 1 {
            product = mul(&product, &base)?;
        }
        left >>= 1;
        if left > 0 {
            base = mul(&base, &base)?;
        }
    }
    if exponent < 0 { div(&one, &product) } else { Ok(product) }
}

impl<R: Real> Ball<R> {
    pub(crate) fn new(value: R, error: f64) -> Value<R> {
        let size = value.approx();
        if size.is_finite() && error.is_finite() { Ok(Ball { value, error }) } else { Err(Stop::Overflow) }
    }

    /// The result of an operation with this error of its own.
    fn rounded(value: R, error: f64) -> Value<R> {
        let size = value.approx().abs();
        // a result that vanishes below the range of f64 is not known to be zero
        let tiny = if size == 0.0 && error > 0.0 { 1e-300 } else { 0.0 };
        Self::new(value, error + size * R::EPSILON + tiny)
    }

    pub(crate) fn exact(value: &RBig) -> Value<R> {
        let real = R::rational(value);
        let small = value.is_int() && real.approx().abs() < 9e15;
        if small {
            return Self::new(real, 0.0);
        }
        let nonzero = real.approx().abs().max(1e-300);
        Self::new(real, nonzero * R::EPSILON)
    }

    pub(crate) fn integer(value: i64) -> Ball<R> {
        Ball { value: R::rational(&RBig::from(value)), error: 0.0 }
    }

    pub(crate) fn pi() -> Ball<R> {
        Ball { value: R::pi(), error: 4.0 * R::EPSILON }
    }

    pub(crate) fn size(&self) -> f64 {
        self.value.approx().abs()
    }

    pub(crate) fn sign(&self) -> Result<Sign, Stop> {
        let value = self.value.approx();
        if value.abs() > self.error {
            return Ok(if value < 0.0 { Sign::Negative } else { Sign::Positive });
        }
        if self.error == 0.0 { Ok(Sign::Zero) } else { Err(Stop::Uncertain) }
    }

    /// The whole number that this is, if it is known to be one.
    pub(crate) fn whole(&self) -> Option<i64> {
        let value = self.value.approx();
        (self.error == 0.0 && value.fract() == 0.0 && value.abs() < 1e9).then_some(value as i64)
    }

    /// The sum. A term that is not zero and too small to change it leaves what is left uncertain.
    pub(crate) fn add(&self, other: &Self) -> Value<R> {
        let (a, b) = (self.size(), other.size());
        let (small, large) = if a < b { (self, b) } else { (other, a) };
        if !small.is_zero() && small.size() > small.error && small.size() < large * R::EPSILON {
            return Err(Stop::Uncertain);
        }
        let sum = self.value.add(&other.value);
        if self.whole().is_some() && other.whole().is_some() {
            return Self::new(sum, 0.0);
        }
        Self::rounded(sum, self.error + other.error)
    }

    pub(crate) fn sub(&self, other: &Self) -> Value<R> {
        self.add(&other.neg())
    }

    pub(crate) fn mul(&self, other: &Self) -> Value<R> {
        let error = self.size() * other.error + other.size() * self.error + self.error * other.error;
        if self.is_zero() || other.is_zero() {
            return Ok(Self::integer(0));
        }
        let product = self.value.mul(&other.value);
        let whole = self.whole().zip(other.whole()).is_some() && product.approx().abs() < 9e15;
        if whole { Self::new(product, 0.0) } else { Self::rounded(product, error) }
    }

    /// Whether it is exactly zero.
    pub(crate) fn is_zero(&self) -> bool {
        self.error == 0.0 && self.value.approx() == 0.0
    }

    pub(crate) fn div(&self, other: &Self) -> Value<R> {
        if other.sign()? == Sign::Zero {
            return Err(Stop::Pole);
        }
        let value = self.value.div(&other.value);
        let error = (self.error + value.approx().abs() * other.error) / (other.size() - other.error);
        Self::rounded(value, error)
    }

    pub(crate) fn neg(&self) -> Self {
        Ball { value: self.value.neg(), error: self.error }
    }

    pub(crate) fn abs(&self) -> Self {
        if self.value.approx() < 0.0 { self.neg() } else { self.clone() }
    }

    pub(crate) fn sqrt(&self) -> Value<R> {
        match self.sign() {
            Ok(Sign::Negative) => Err(Stop::NotReal),
            Ok(Sign::Zero) => Ok(Self::integer(0)),
            Ok(Sign::Positive) => {
                let root = self.value.sqrt();
                let error = self.error / root.approx();
                Self::rounded(root, error)
            }
            Err(_) => Self::new(Self::integer(0).value, (2.0 * self.error).sqrt()),
        }
    }

    /// The real root; of an odd index also of a negative number.
    pub(crate) fn root(&self, index: u32) -> Value<R> {
        if index == 2 {
            return self.sqrt();
        }
        match self.sign() {
            Ok(Sign::Negative) if index.is_multiple_of(2) => Err(Stop::NotReal),
            Ok(Sign::Negative) => Ok(self.neg().root(index)?.neg()),
            Ok(Sign::Zero) => Ok(Self::integer(0)),
            Ok(Sign::Positive) => {
                let root = self.value.root(index);
                let slope = 1.0 + self.size().ln().abs();
                let size = root.approx();
                let error = size * (self.error / (self.size() - self.error) + R::EPSILON * slope);
                Self::rounded(root, error)
            }
            Err(_) => Self::new(Self::integer(0).value, (2.0 * self.error).powf(1.0 / f64::from(index))),
        }
    }

    pub(crate) fn exp(&self) -> Value<R> {
        if self.size() > 700.0 || self.error > 1.0 {
            return Err(Stop::Overflow);
        }
        let value = self.value.exp();
        let error = value.approx() * (self.error.exp_m1() + 2.0 * R::EPSILON);
        Self::rounded(value, error)
    }

    pub(crate) fn ln(&self) -> Value<R> {
        match self.sign()? {
            Sign::Positive => {
                let value = self.value.ln();
                Self::rounded(value, self.error / (self.size() - self.error) + R::EPSILON)
            }
            _ => Err(Stop::Domain),
        }
    }

    pub(crate) fn sin(&self) -> Value<R> {
        if self.size() > 1e15 {
            return Err(Stop::Overflow);
        }
        Self::rounded(self.value.sin(), self.error.min(2.0) + R::EPSILON)
    }

    pub(crate) fn cos(&self) -> Value<R> {
        if self.size() > 1e15 {
            return Err(Stop::Overflow);
        }
        Self::rounded(self.value.cos(), self.error.min(2.0) + R::EPSILON)
    }

    pub(crate) fn atan(&self) -> Value<R> {
        Self::rounded(self.value.atan(), self.error + R::EPSILON)
    }

    /// asin x = atan(x / sqrt(1 - x^2)).
    pub(crate) fn asin(&self) -> Value<R> {
        let one = Self::integer(1);
        let rest = one.sub(self)?.mul(&one.add(self)?)?;
        match rest.sign() {
            Ok(Sign::Negative) => Err(Stop::Domain),
            Ok(Sign::Zero) => {
                let right = Self::pi().div(&Self::integer(2))?;
                Ok(if self.value.approx() < 0.0 { right.neg() } else { right })
            }
            Ok(Sign::Positive) => self.div(&rest.sqrt()?)?.atan(),
            Err(_) => {
                let right = Self::pi().div(&Self::integer(2))?;
                let right = if self.value.approx() < 0.0 { right.neg() } else { right };
                Self::new(right.value, right.error + 2.0 * rest.error.sqrt())
            }
        }
    }

    pub(crate) fn acos(&self) -> Value<R> {
        Self::pi().div(&Self::integer(2))?.sub(&self.asin()?)
    }

    pub(crate) fn floor(&self) -> Value<R> {
        let floor = self.value.floor();
        let part = self.value.sub(&floor).approx();
        if self.error > 0.0 && (part <= self.error || 1.0 - part <= self.error) {
            return Err(Stop::Uncertain);
        }
        Ok(Ball { value: floor, error: 0.0 })
    }

    /// The integer power by squaring.
    pub(crate) fn power(&self, exponent: i64) -> Value<R> {
        by_squaring(self, exponent, Self::integer(1), Self::mul, Self::div)
    }

    /// Whether the two are certainly different.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        let gap = self.value.sub(&other.value).approx().abs();
        gap > self.error + other.error
    }

    /// Whether the two are equal as far as the precision goes, and that is far.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        let error = self.error + other.error;
        !self.differs(other) && (error <= 1e-60 * self.size().max(other.size()) || error <= 1e-70)
    }
}
