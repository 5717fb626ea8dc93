//! Exact values: rational numbers, of everything that has one and stays within the limits. What would grow beyond
//! them is refused before it is computed.

use crate::limits::{BITS, FACTORIAL, TERMS};
use crate::tree::{Constant, Expr, Function, Series};
use crate::work::Work;
use dashu_base::{Abs, BitTest, DivEuclid, Gcd, Signed, UnsignedAbs};
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;

/// The exact value, if it is a rational that can be computed within the limits and the work that is left.
pub(crate) fn value(expr: &Expr, work: &Work) -> Option<RBig> {
    match expr {
        Expr::Number(number) => Some(number.value.clone()),
        Expr::Variable(_) | Expr::Constant(_) | Expr::Text(_) => None,
        _ => Exact { work }.value(expr, None),
    }
}

struct Exact<'w> {
    work: &'w Work,
}

fn bits(value: &RBig) -> usize {
    value.numerator().bit_len() + value.denominator().bit_len()
}

impl Exact<'_> {
    fn pair(&self, a: &RBig, b: &RBig) -> Option<()> {
        let size = bits(a) + bits(b);
        self.work.spend_bits(size, !a.is_int() || !b.is_int())?;
        (size <= 2 * BITS).then_some(())
    }

    fn keep(&self, value: RBig) -> Option<RBig> {
        (bits(&value) <= BITS).then_some(value)
    }

    fn value(&self, expr: &Expr, index: Option<(&str, i64)>) -> Option<RBig> {
        self.work.spend(2)?;
        match expr {
            Expr::Number(number) => Some(number.value.clone()),
            Expr::Based(_, value, _) => Some(value.clone()),
            Expr::Variable(name) => index.filter(|(n, _)| *n == name.as_ref()).map(|(_, value)| value.into()),
            Expr::Sum(terms) => terms.iter().try_fold(RBig::ZERO, |sum, term| {
                let term = self.value(term, index)?;
                self.pair(&sum, &term)?;
                self.keep(sum + term)
            }),
            Expr::Product(factors) => {
                // nothing is multiplied out before every factor has a value
                let factors = factors.iter().map(|f| self.value(f, index)).collect::<Option<Vec<_>>>()?;
                factors.into_iter().try_fold(RBig::ONE, |product, factor| {
                    self.pair(&product, &factor)?;
                    self.keep(product * factor)
                })
            }
            Expr::Quotient(above, below) => {
                let (above, below) = (self.value(above, index)?, self.value(below, index)?);
                self.work.spend_bits(bits(&above) + bits(&below), true)?;
                if below.is_zero() { None } else { self.keep(above / below) }
            }
            Expr::Negative(inner) => self.value(inner, index).map(|v| -v),
            Expr::Percent(inner) => {
                let inner = self.value(inner, index)?;
                self.work.spend_bits(bits(&inner), true)?;
                Some(inner / RBig::from(100))
            }
            Expr::Power(base, exponent) => {
                let exponent = self.value(exponent, index)?;
                let base = self.value(base, index)?;
                self.power(base, exponent)
            }
            Expr::Apply(function, arguments) => {
                let arguments = arguments.iter().map(|a| self.value(a, index)).collect::<Option<Vec<_>>>()?;
                self.apply(*function, &arguments)
            }
            Expr::Series(series) => self.series(series, index),
            Expr::Quantity(inner, _) => self.value(inner, index),
            Expr::Constant(
                Constant::Pi | Constant::E | Constant::I | Constant::Infinity | Constant::Degree,
            ) => None,
            _ => None,
        }
    }

    fn power(&self, base: RBig, exponent: RBig) -> Option<RBig> {
        if base.is_zero() {
            return exponent.is_positive().then_some(RBig::ZERO).filter(|_| !exponent.is_zero());
        }
        if base.is_one() {
            return Some(base);
        }
        if !exponent.is_int() {
            let index = u32::try_from(exponent.denominator()).ok().filter(|n| *n <= 64)?;
            let root = self.root(&base, index)?;
            return self.power(root, RBig::from(exponent.numerator().clone()));
        }
        let negative = exponent.is_negative();
        let exponent = exponent.into_parts().0.unsigned_abs();
        if base == RBig::from(IBig::NEG_ONE) {
            return Some(if exponent.bit(0) { base } else { RBig::ONE });
        }
        let exponent = usize::try_from(&exponent).ok().filter(|e| *e <= BITS)?;
        let (above, below) = base.into_parts();
        let size = above.bit_len() + below.bit_len();
        // at least (bits - 1) per factor, so nothing that fits is refused and nothing big is computed
        if size.saturating_sub(2) * exponent > BITS {
            return None;
        }
        self.work.spend_bits(size * exponent, below.bit_len() > 1)?;
        let value = RBig::from_parts(above.pow(exponent), below.pow(exponent));
        self.keep(if negative { RBig::ONE / value } else { value })
    }

    /// The rational root, where there is one; that of an odd index keeps the sign.
    fn root(&self, value: &RBig, index: u32) -> Option<RBig> {
        if index == 0 || value.is_negative() && index.is_multiple_of(2) {
            return None;
        }
        self.work.spend_bits(bits(value), true)?;
        let exact = |n: &UBig| {
            let root = n.nth_root(index as usize);
            (root.pow(index as usize) == *n).then_some(root)
        };
        let above = exact(&value.numerator().clone().unsigned_abs())?;
        let below = exact(value.denominator())?;
        let root = RBig::from_parts(above.into(), below);
        Some(if value.is_negative() { -root } else { root })
    }

    fn apply(&self, function: Function, arguments: &[RBig]) -> Option<RBig> {
        let integer = |v: &RBig| v.is_int().then(|| v.numerator().clone());
        match (function, arguments) {
            (Function::Sqrt, [x]) => self.root(x, 2),
            (Function::Root, [n, x]) => {
                let index = u32::try_from(integer(n)?).ok().filter(|n| *n <= 64)?;
                self.root(x, index)
            }
            (Function::Abs, [x]) => Some(x.clone().abs()),
            (Function::Floor, [x]) => Some(x.floor().into()),
            (Function::Ceil, [x]) => Some(x.ceil().into()),
            (Function::Sign, [x]) => {
                Some(if x.is_zero() { RBig::ZERO } else { RBig::from(if x.is_negative() { -1 } else { 1 }) })
            }
            (Function::Factorial, [n]) => self.falling(u64::try_from(integer(n)?).ok()?, None, 1),
            (Function::DoubleFactorial, [n]) => self.falling(u64::try_from(integer(n)?).ok()?, None, 2),
            (Function::Binomial, [n, k]) => {
                let (n, k) = (u64::try_from(integer(n)?).ok()?, u64::try_from(integer(k)?).ok()?);
                if k > n {
                    return Some(RBig::ZERO);
                }
                let k = k.min(n - k);
                let above = self.falling(n, Some(k), 1)?;
                let below = self.falling(k, None, 1)?;
                self.work.spend_bits(bits(&above) + bits(&below), true)?;
                Some(above / below)
            }
            (Function::Gcd | Function::Lcm, [first, rest @ ..]) => {
                let mut value = integer(first)?.unsigned_abs();
                for other in rest {
                    let other = integer(other)?.unsigned_abs();
                    self.work.spend_bits(value.bit_len() + other.bit_len(), true)?;
                    if value.is_zero() || other.is_zero() {
                        return None;
                    }
                    let gcd = (&value).gcd(&other);
                    value = if function == Function::Gcd { gcd } else { value / gcd * other };
                    if value.bit_len() > BITS {
                        return None;
                    }
                }
                Some(RBig::from(value))
            }
            (Function::Min, list) => list.iter().min().cloned(),
            (Function::Max, list) => list.iter().max().cloned(),
            (Function::Mod, [a, n]) if !n.is_zero() => {
                let (a, n) = (integer(a)?, integer(n)?);
                self.work.spend_bits(a.bit_len() + n.bit_len(), true)?;
                let quotient = (&a).div_euclid(&n);
                Some(RBig::from(a - quotient * n))
            }
            (Function::LogBase, [base, x]) => self.logarithm(base, x),
            (Function::Log, [x]) => self.logarithm(&RBig::from(10), x),
            _ => None,
        }
    }

    /// n (n - step) ... of `factors` factors, or down to 1.
    fn falling(&self, n: u64, factors: Option<u64>, step: u64) -> Option<RBig> {
        let count = factors.unwrap_or(n / step);
        let size = count.checked_mul(u64::from(n.max(2).ilog2()) + 1)?;
        if count > FACTORIAL || size > 2 * BITS as u64 {
            return None;
        }
        // each factor runs over all that is multiplied so far
        self.work.spend(4 + 2 * count + count * (size / 64) / 8)?;
        let mut product = UBig::ONE;
        for i in 0..count {
            product *= UBig::from(n - i * step);
        }
        self.keep(RBig::from(product))
    }

    fn series(&self, series: &Series, index: Option<(&str, i64)>) -> Option<RBig> {
        let bound =
            |value: RBig| value.is_int().then(|| i64::try_from(value.numerator().clone()).ok()).flatten();
        let from = bound(self.value(&series.from, index)?)?;
        let to = bound(self.value(&series.to, index)?)?;
        if to.checked_sub(from)? >= TERMS as i64 || index.is_some() {
            return None;
        }
        let mut value = if series.product { RBig::ONE } else { RBig::ZERO };
        for i in from..=to {
            let term = self.value(&series.body, Some((&series.index, i)))?;
            self.pair(&value, &term)?;
            value = self.keep(if series.product { value * term } else { value + term })?;
        }
        Some(value)
    }

    /// The logarithm, where it is a whole number or the reciprocal of one.
    fn logarithm(&self, base: &RBig, x: &RBig) -> Option<RBig> {
        let fits = |v: &RBig| v.is_positive() && !v.is_zero() && bits(v) <= 4096;
        if !fits(base) || !fits(x) || base.is_one() {
            return None;
        }
        if x.is_one() {
            return Some(RBig::ZERO);
        }
        self.whole_logarithm(base, x)
            .map(RBig::from)
            .or_else(|| self.whole_logarithm(x, base).map(|n| RBig::ONE / RBig::from(n)))
    }

    /// The n with base^n = x. There is one at most, and an estimate in f64 says which it could be.
    fn whole_logarithm(&self, base: &RBig, x: &RBig) -> Option<i64> {
        self.work.spend(20)?;
        let log2 =
            |v: &RBig| binary_logarithm(v.numerator()) - binary_logarithm(&v.denominator().clone().into());
        let estimate = (log2(x) / log2(base)).round();
        if !estimate.is_finite() || estimate == 0.0 || estimate.abs() > 4096.0 {
            return None;
        }
        let power = self.power(base.clone(), RBig::from(estimate as i64))?;
        (power == *x).then_some(estimate as i64)
    }
}

/// The logarithm of base 2 of a positive number, to the precision of f64.
fn binary_logarithm(n: &IBig) -> f64 {
    let shift = n.bit_len().saturating_sub(60);
    let top = u64::try_from(n >> shift).unwrap_or(u64::MAX);
    (top as f64).log2() + shift as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reading::read;

    fn exact(text: &str) -> Option<String> {
        value(&read(text).unwrap().expr, &Work::default()).map(|v| v.to_string())
    }

    #[test]
    fn rationals_are_exact() {
        for (text, right) in [
            (r"\frac12+\frac13", "5/6"),
            ("1{,}000", "1000"),
            (r"2\frac58", "21/8"),
            ("1 1/2", "3/2"),
            ("28%", "7/25"),
            (r"\binom{5}{2}!", "3628800"),
            (r"\sqrt{\frac{4}{9}}", "2/3"),
            (r"(-8)^{1/3}", "-2"),
            (r"0.1\overline{36}", "3/22"),
            ("204_5", "54"),
            (r"\sum_{k=1}^{10} k^2", "385"),
            (r"\log_2 8", "3"),
            ("6!!", "48"),
            ("1.5e3", "1500"),
            ("-2^2", "-4"),
        ] {
            assert_eq!(exact(text).as_deref(), Some(right), "{text}");
        }
    }

    #[test]
    fn what_would_be_too_big_has_no_value_and_takes_no_time() {
        for text in [
            "9^{9^{9^9}}",
            "1000000000!",
            r"\binom{10^9}{5\cdot10^8}",
            r"\sum_{k=1}^{10^9} k",
            "10^{100000}",
            "1/0",
            "0^0",
        ] {
            assert_eq!(exact(text), None, "{text}");
        }
    }
}
