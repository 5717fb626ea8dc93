//! The complex value of a tree at a point, with principal branches.

use super::ball::{Ball, Sign, Stop, by_squaring};
use super::evaluate::{At, value as real_value};
use super::real::Real;
use crate::tree::{Constant, Expr, Function};
use dashu_ratio::RBig;

/// A complex number.
#[derive(Clone, Debug)]
pub(crate) struct Complex<R> {
    pub re: Ball<R>,
    pub im: Ball<R>,
}

/// Real functions in a complex one.
const COMPLEX: u64 = 6;

type Value<R> = Result<Complex<R>, Stop>;

impl<R: Real> Complex<R> {
    pub(crate) fn real(re: Ball<R>) -> Self {
        Complex { re, im: Ball::integer(0) }
    }

    fn integer(value: i64) -> Self {
        Self::real(Ball::integer(value))
    }

    fn i() -> Self {
        Complex { re: Ball::integer(0), im: Ball::integer(1) }
    }

    fn add(&self, other: &Self) -> Value<R> {
        Ok(Complex { re: self.re.add(&other.re)?, im: self.im.add(&other.im)? })
    }

    fn sub(&self, other: &Self) -> Value<R> {
        self.add(&other.neg())
    }

    fn neg(&self) -> Self {
        Complex { re: self.re.neg(), im: self.im.neg() }
    }

    fn mul(&self, other: &Self) -> Value<R> {
        let re = self.re.mul(&other.re)?.sub(&self.im.mul(&other.im)?)?;
        let im = self.re.mul(&other.im)?.add(&self.im.mul(&other.re)?)?;
        Ok(Complex { re, im })
    }

    fn norm(&self) -> Result<Ball<R>, Stop> {
        self.re.mul(&self.re)?.add(&self.im.mul(&self.im)?)
    }

    fn div(&self, other: &Self) -> Value<R> {
        let norm = other.norm()?;
        let above = self.mul(&Complex { re: other.re.clone(), im: other.im.neg() })?;
        Ok(Complex { re: above.re.div(&norm)?, im: above.im.div(&norm)? })
    }

    fn exp(&self) -> Value<R> {
        let size = self.re.exp()?;
        Ok(Complex { re: size.mul(&self.im.cos()?)?, im: size.mul(&self.im.sin()?)? })
    }

    /// The principal argument, in (-pi, pi].
    fn argument(&self) -> Result<Ball<R>, Stop> {
        let half = Ball::<R>::pi().div(&Ball::integer(2))?;
        if self.im.is_zero() {
            return Ok(match self.re.sign()? {
                Sign::Negative => Ball::pi(),
                Sign::Positive => Ball::integer(0),
                Sign::Zero => return Err(Stop::Pole),
            });
        }
        if self.re.is_zero() || self.re.size() < self.im.size() {
            let angle = self.re.div(&self.im)?.atan()?;
            return match self.im.sign()? {
                Sign::Positive => half.sub(&angle),
                _ => half.neg().sub(&angle),
            };
        }
        let angle = self.im.div(&self.re)?.atan()?;
        match (self.re.sign()?, self.im.sign()) {
            (Sign::Positive, _) => Ok(angle),
            (_, Ok(Sign::Negative)) => angle.sub(&Ball::pi()),
            (_, Ok(_)) => angle.add(&Ball::pi()),
            // on the branch cut as far as is known
            (_, Err(_)) => Err(Stop::Uncertain),
        }
    }

    fn ln(&self) -> Value<R> {
        let im = self.argument()?;
        Ok(Complex { re: self.norm()?.ln()?.div(&Ball::integer(2))?, im })
    }

    fn sqrt(&self) -> Value<R> {
        if self.im.is_zero() {
            return Ok(match self.re.sign() {
                Ok(Sign::Negative) => Complex { re: Ball::integer(0), im: self.re.neg().sqrt()? },
                _ => Self::real(self.re.sqrt()?),
            });
        }
        let ln = self.ln()?;
        let two = Self::integer(2);
        ln.div(&two)?.exp()
    }

    fn power(&self, exponent: i64) -> Value<R> {
        by_squaring(self, exponent, Self::integer(1), Self::mul, Self::div)
    }

    /// Whether the two are certainly different.
    pub(crate) fn differs(&self, other: &Self) -> bool {
        self.re.differs(&other.re) || self.im.differs(&other.im)
    }

    /// Whether the two are equal as far as the precision goes, and that is far.
    pub(crate) fn agrees(&self, other: &Self) -> bool {
        self.re.agrees(&other.re) && self.im.agrees(&other.im)
    }
}

/// The complex value of the expression.
pub(crate) fn value<R: Real>(expr: &Expr, at: &At<'_>) -> Value<R> {
    at.operations::<R>(4)?;
    let go = |e: &Expr| value::<R>(e, at);
    match expr {
        Expr::Constant(Constant::I) => Ok(Complex::i()),
        Expr::Variable(name) => at.variable(name, None).map(Complex::real),
        Expr::Sum(terms) => terms.iter().try_fold(Complex::integer(0), |sum, term| sum.add(&go(term)?)),
        Expr::Product(factors) => {
            factors.iter().try_fold(Complex::integer(1), |product, f| product.mul(&go(f)?))
        }
        Expr::Quotient(above, below) => {
            let below = go(below)?;
            go(above)?.div(&below)
        }
        Expr::Negative(inner) => Ok(go(inner)?.neg()),
        Expr::Quantity(inner, _) => go(inner),
        Expr::Power(base, exponent) => power(base, exponent, at),
        Expr::Apply(function, arguments) => {
            let values = arguments.iter().map(go).collect::<Result<Vec<_>, _>>()?;
            at.calls::<R>(if values.iter().all(|v| v.im.is_zero()) { 1 } else { COMPLEX })?;
            apply(*function, &values, expr, at)
        }
        other => real_value(other, at).map(Complex::real),
    }
}

fn power<R: Real>(base: &Expr, exponent: &Expr, at: &At<'_>) -> Value<R> {
    let base_value: Complex<R> = value(base, at)?;
    if let Some(exact) = super::exact::value(exponent, at.work) {
        if exact.is_int() {
            let whole = i64::try_from(exact.numerator().clone()).map_err(|_| Stop::Overflow)?;
            if whole.unsigned_abs() > 4096 {
                return Err(Stop::Overflow);
            }
            at.operations::<R>(8 * u64::from(whole.unsigned_abs().max(1).ilog2()) + 8)?;
            return base_value.power(whole);
        }
        if exact == RBig::from_parts(1.into(), 2u8.into()) {
            at.calls::<R>(COMPLEX)?;
            return base_value.sqrt();
        }
    }
    at.calls::<R>(COMPLEX)?;
    let exponent: Complex<R> = value(exponent, at)?;
    if *base == Expr::Constant(Constant::E) {
        return exponent.exp();
    }
    base_value.ln()?.mul(&exponent)?.exp()
}

fn apply<R: Real>(function: Function, values: &[Complex<R>], expr: &Expr, at: &At<'_>) -> Value<R> {
    let two = || Complex::<R>::integer(2);
    let real = values.iter().all(|v| v.im.is_zero());
    match (function, values) {
        (Function::Sqrt, [z]) => z.sqrt(),
        (Function::Root, [n, z]) if !real || z.re.sign()? == Sign::Negative => z.ln()?.div(n)?.exp(),
        (Function::Ln, [z]) => z.ln(),
        (Function::Exp, [z]) => z.exp(),
        (Function::Log, [z]) if at.decimal_log => z.ln()?.div(&Complex::integer(10).ln()?),
        (Function::Log, [z]) => z.ln(),
        (Function::LogBase, [base, z]) => z.ln()?.div(&base.ln()?),
        (Function::Abs, [z]) => Ok(Complex::real(z.norm()?.sqrt()?)),
        (Function::Re, [z]) => Ok(Complex::real(z.re.clone())),
        (Function::Im, [z]) => Ok(Complex::real(z.im.clone())),
        (Function::Conjugate, [z]) => Ok(Complex { re: z.re.clone(), im: z.im.neg() }),
        _ if real => real_value(expr, at).map(Complex::real),
        (Function::Sin, [z]) | (Function::Cos, [z]) | (Function::Tan, [z]) => {
            let turned = z.mul(&Complex::i())?;
            let (up, down) = (turned.exp()?, turned.neg().exp()?);
            let cos = up.add(&down)?.div(&two())?;
            let sin = up.sub(&down)?.div(&two().mul(&Complex::i())?)?;
            match function {
                Function::Sin => Ok(sin),
                Function::Cos => Ok(cos),
                _ => sin.div(&cos),
            }
        }
        (Function::Sinh, [z]) => z.exp()?.sub(&z.neg().exp()?)?.div(&two()),
        (Function::Cosh, [z]) => z.exp()?.add(&z.neg().exp()?)?.div(&two()),
        (Function::Sec, [z]) => {
            let turned = z.mul(&Complex::i())?;
            two().div(&turned.exp()?.add(&turned.neg().exp()?)?)
        }
        _ => Err(Stop::Unsupported),
    }
}
