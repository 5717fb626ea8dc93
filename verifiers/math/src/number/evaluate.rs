//! The real value of a tree at a point, as a ball of either precision.

use super::ball::{Ball, Sign, Stop, Value};
use super::real::Real;
use crate::limits::TERMS;
use crate::tree::{Constant, Expr, Function, Series};
use crate::work::Work;
use dashu_base::BitTest;
use dashu_ratio::RBig;

/// Where and how values are taken.
pub(crate) struct At<'a> {
    /// Values of variables by name.
    pub point: &'a dyn Fn(&str) -> Option<RBig>,
    /// Whether `\log` without a base is of base 10 rather than e.
    pub decimal_log: bool,
    /// What may still be spent.
    pub work: &'a Work,
}

impl<'a> At<'a> {
    pub(crate) fn new(point: &'a dyn Fn(&str) -> Option<RBig>, decimal_log: bool, work: &'a Work) -> Self {
        At { point, decimal_log, work }
    }

    /// The value of a variable.
    pub(crate) fn variable<R: Real>(&self, name: &str, index: Option<(&str, i64)>) -> Value<R> {
        match index {
            Some((n, value)) if n == name => Ok(Ball::integer(value)),
            _ => {
                self.operations::<R>(4)?;
                Ball::exact(&(self.point)(name).ok_or(Stop::Unsupported)?)
            }
        }
    }

    /// Takes so many functions or roots off the budget.
    pub(crate) fn calls<R: Real>(&self, count: u64) -> Result<(), Stop> {
        self.work.spend(count * R::FUNCTION).ok_or(Stop::Overflow)
    }

    /// Takes so many operations off it.
    pub(crate) fn operations<R: Real>(&self, count: u64) -> Result<(), Stop> {
        self.work.spend(count * R::OPERATION).ok_or(Stop::Overflow)
    }

    /// A rational as a real.
    pub(crate) fn rational<R: Real>(&self, value: &RBig) -> Value<R> {
        let words = (value.numerator().bit_len() + value.denominator().bit_len()) as u64 / 64;
        self.work.spend(R::OPERATION + words / 4).ok_or(Stop::Overflow)?;
        Ball::exact(value)
    }
}

/// Names of parts that have no value of their own are their LaTeX: the same part has the same value everywhere.
pub(crate) fn atom(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Variable(_) | Expr::Text(_) => Some(expr.to_string()),
        Expr::Opaque(..) | Expr::Call(..) => Some(sorted(expr).to_string()),
        _ => None,
    }
}

/// The same with the terms of sums and the factors of products in one order.
fn sorted(expr: &Expr) -> Expr {
    let order = |list: &[Expr]| {
        let mut keyed: Vec<(String, Expr)> = list.iter().map(sorted).map(|e| (e.to_string(), e)).collect();
        keyed.sort_by(|a, b| a.0.cmp(&b.0));
        keyed.into_iter().map(|(_, e)| e).collect()
    };
    expr.map(&|e| match e {
        Expr::Sum(terms) => Some(Expr::Sum(order(terms))),
        Expr::Product(factors) => Some(Expr::Product(order(factors))),
        _ => None,
    })
}

/// Parts of an expression.
pub(crate) fn size(expr: &Expr) -> u64 {
    1 + expr.children().into_iter().map(size).sum::<u64>()
}

/// The real value of the expression.
pub(crate) fn value<R: Real>(expr: &Expr, at: &At<'_>) -> Value<R> {
    real(expr, at, None)
}

fn real<R: Real>(expr: &Expr, at: &At<'_>, index: Option<(&str, i64)>) -> Value<R> {
    at.operations::<R>(1)?;
    let go = |e: &Expr| real::<R>(e, at, index);
    match expr {
        Expr::Number(number) => at.rational(&number.value),
        Expr::Based(_, value, _) => at.rational(value),
        Expr::Constant(Constant::Pi) => Ok(Ball::pi()),
        Expr::Constant(Constant::E) => {
            at.calls::<R>(1)?;
            Ball::integer(1).exp()
        }
        Expr::Constant(Constant::Degree) => Ball::pi().div(&Ball::integer(180)),
        Expr::Constant(Constant::I) => Err(Stop::NotReal),
        Expr::Constant(Constant::Infinity) => Err(Stop::Unsupported),
        Expr::Variable(name) => at.variable(name, index),
        Expr::Sum(terms) => terms.iter().try_fold(Ball::integer(0), |sum, term| sum.add(&go(term)?)),
        Expr::Product(factors) => {
            factors.iter().try_fold(Ball::integer(1), |product, f| product.mul(&go(f)?))
        }
        Expr::Quotient(above, below) => {
            let below = go(below)?;
            go(above)?.div(&below)
        }
        Expr::Negative(inner) => Ok(go(inner)?.neg()),
        Expr::Percent(inner) => go(inner)?.div(&Ball::integer(100)),
        Expr::Power(base, exponent) => power(base, exponent, at, index),
        Expr::Apply(function, arguments) => {
            at.calls::<R>(cost(*function))?;
            let values = arguments.iter().map(go).collect::<Result<Vec<_>, _>>()?;
            apply(*function, &values, at)
        }
        Expr::Series(series) => self::series(series, at, index),
        Expr::Quantity(inner, _) => go(inner),
        other => match at.work.spend(20 * size(other)).and_then(|()| atom(other)) {
            Some(name) => at.variable(&name, index),
            None => Err(Stop::Unsupported),
        },
    }
}

fn series<R: Real>(series: &Series, at: &At<'_>, index: Option<(&str, i64)>) -> Value<R> {
    if index.is_some() {
        return Err(Stop::Unsupported);
    }
    let bound = |e: &Expr| real::<R>(e, at, None)?.whole().ok_or(Stop::Unsupported);
    let (from, to) = (bound(&series.from)?, bound(&series.to)?);
    if to - from >= TERMS as i64 {
        return Err(Stop::Overflow);
    }
    let mut value = Ball::integer(i64::from(series.product));
    for i in from..=to {
        let term = real(&series.body, at, Some((&series.index, i)))?;
        value = if series.product { value.mul(&term)? } else { value.add(&term)? };
    }
    Ok(value)
}

fn power<R: Real>(base: &Expr, exponent: &Expr, at: &At<'_>, index: Option<(&str, i64)>) -> Value<R> {
    if *base == Expr::Constant(Constant::E) {
        at.calls::<R>(1)?;
        return real(exponent, at, index)?.exp();
    }
    let base: Ball<R> = real(base, at, index)?;
    if let Some(exponent) = super::exact::value(exponent, at.work) {
        return rational_power(&base, &exponent, at);
    }
    let exponent: Ball<R> = real(exponent, at, index)?;
    if let Some(whole) = exponent.whole() {
        return rational_power(&base, &RBig::from(whole), at);
    }
    match base.sign()? {
        Sign::Positive => {
            at.calls::<R>(2)?;
            base.ln()?.mul(&exponent)?.exp()
        }
        Sign::Zero if exponent.sign()? == Sign::Positive => Ok(Ball::integer(0)),
        Sign::Zero => Err(Stop::Pole),
        Sign::Negative => Err(Stop::NotReal),
    }
}

/// A rational power: the real root first where the denominator is odd.
fn rational_power<R: Real>(base: &Ball<R>, exponent: &RBig, at: &At<'_>) -> Value<R> {
    let above = i64::try_from(exponent.numerator().clone()).map_err(|_| Stop::Overflow)?;
    let index = u32::try_from(exponent.denominator()).map_err(|_| Stop::Overflow)?;
    if base.is_zero() {
        return if above > 0 { Ok(Ball::integer(0)) } else { Err(Stop::Pole) };
    }
    let root = match index {
        1 => base.clone(),
        _ if at.calls::<R>(1).is_err() => return Err(Stop::Overflow),
        2..=64 => base.root(index)?,
        _ => {
            // a decimal such as 2.6 as an exponent
            let exponent: Ball<R> = Ball::exact(exponent)?;
            return match base.sign()? {
                Sign::Positive => base.ln()?.mul(&exponent)?.exp(),
                _ => Err(Stop::NotReal),
            };
        }
    };
    if above.unsigned_abs() <= 4096 {
        at.operations::<R>(2 * u64::from(above.unsigned_abs().max(1).ilog2()) + 2)?;
        return root.power(above);
    }
    at.calls::<R>(2)?;
    match root.sign()? {
        Sign::Positive => root.ln()?.mul(&Ball::integer(above))?.exp(),
        Sign::Negative => {
            let size = root.neg().ln()?.mul(&Ball::integer(above))?.exp()?;
            Ok(if above % 2 == 0 { size } else { size.neg() })
        }
        Sign::Zero => Err(Stop::Uncertain),
    }
}

/// Operations as dear as an exponential that a function takes.
fn cost(function: Function) -> u64 {
    match function {
        Function::Abs | Function::Floor | Function::Ceil | Function::Sign | Function::Min | Function::Max => {
            0
        }
        Function::Sqrt | Function::Exp | Function::Ln | Function::Sin | Function::Cos | Function::Arctan => 1,
        _ => 2,
    }
}

fn reciprocal<R: Real>(value: Ball<R>) -> Value<R> {
    Ball::integer(1).div(&value)
}

fn apply<R: Real>(function: Function, values: &[Ball<R>], at: &At<'_>) -> Value<R> {
    let one = || Ball::<R>::integer(1);
    let half_pi = || Ball::<R>::pi().div(&Ball::integer(2));
    match (function, values) {
        (Function::Sin, [x]) => x.sin(),
        (Function::Cos, [x]) => x.cos(),
        (Function::Tan, [x]) => x.sin()?.div(&x.cos()?),
        (Function::Cot, [x]) => x.cos()?.div(&x.sin()?),
        (Function::Sec, [x]) => reciprocal(x.cos()?),
        (Function::Csc, [x]) => reciprocal(x.sin()?),
        (Function::Arcsin, [x]) => x.asin(),
        (Function::Arccos, [x]) => x.acos(),
        (Function::Arctan, [x]) => x.atan(),
        (Function::Arccot, [x]) => half_pi()?.sub(&x.atan()?),
        (Function::Arcsec, [x]) => reciprocal(x.clone())?.acos(),
        (Function::Arccsc, [x]) => reciprocal(x.clone())?.asin(),
        (Function::Sinh, [x]) => x.exp()?.sub(&x.neg().exp()?)?.div(&Ball::integer(2)),
        (Function::Cosh, [x]) => x.exp()?.add(&x.neg().exp()?)?.div(&Ball::integer(2)),
        (Function::Tanh | Function::Coth, [x]) => {
            let (up, down) = (x.exp()?, x.neg().exp()?);
            let (minus, plus) = (up.sub(&down)?, up.add(&down)?);
            if function == Function::Tanh { minus.div(&plus) } else { plus.div(&minus) }
        }
        (Function::Arsinh, [x]) => x.add(&x.mul(x)?.add(&one())?.sqrt()?)?.ln(),
        (Function::Arcosh, [x]) => x.add(&x.mul(x)?.sub(&one())?.sqrt()?)?.ln(),
        (Function::Artanh, [x]) => one().add(x)?.div(&one().sub(x)?)?.ln()?.div(&Ball::integer(2)),
        (Function::Exp, [x]) => x.exp(),
        (Function::Ln, [x]) => x.ln(),
        (Function::Log, [x]) if at.decimal_log => x.ln()?.div(&Ball::integer(10).ln()?),
        (Function::Log, [x]) => x.ln(),
        (Function::LogBase, [base, x]) => x.ln()?.div(&base.ln()?),
        (Function::Sqrt, [x]) => x.sqrt(),
        (Function::Root, [n, x]) => match n.whole() {
            Some(index @ 1..=64) => x.root(index as u32),
            _ => x.ln()?.div(n)?.exp(),
        },
        (Function::Abs, [x]) => Ok(x.abs()),
        (Function::Floor, [x]) => x.floor(),
        (Function::Ceil, [x]) => Ok(x.neg().floor()?.neg()),
        (Function::Sign, [x]) => Ok(match x.sign()? {
            Sign::Negative => Ball::integer(-1),
            Sign::Zero => Ball::integer(0),
            Sign::Positive => one(),
        }),
        (Function::Factorial, [x]) => falling(x, 1, at),
        (Function::DoubleFactorial, [x]) => falling(x, 2, at),
        (Function::Binomial, [n, k]) => {
            let k = k.whole().filter(|k| (0..=170).contains(k)).ok_or(Stop::Domain)?;
            at.operations::<R>(2 * k.unsigned_abs())?;
            let below = falling(&Ball::<R>::integer(k), 1, at)?;
            // any upper index: n (n - 1) ... (n - k + 1) / k!
            let above = (0..k).try_fold(one(), |product, i| product.mul(&n.sub(&Ball::integer(i))?))?;
            above.div(&below)
        }
        (Function::Min | Function::Max, [first, rest @ ..]) => {
            rest.iter().try_fold(first.clone(), |best, next| {
                let smaller = next.sub(&best)?.sign()? == Sign::Negative;
                Ok(if smaller == (function == Function::Min) { next.clone() } else { best })
            })
        }
        (Function::Re | Function::Conjugate, [x]) => Ok(x.clone()),
        (Function::Im, [_]) => Ok(Ball::integer(0)),
        _ => Err(Stop::Unsupported),
    }
}

/// n (n - step) ... down to the last positive factor.
fn falling<R: Real>(n: &Ball<R>, step: i64, at: &At<'_>) -> Value<R> {
    let n = n.whole().ok_or(Stop::Domain)?;
    if !(0..=170).contains(&n) {
        return Err(if n < 0 { Stop::Domain } else { Stop::Overflow });
    }
    at.operations::<R>(n.unsigned_abs())?;
    (0..n / step).try_fold(Ball::integer(1), |product, i| product.mul(&Ball::integer(n - i * step)))
}
