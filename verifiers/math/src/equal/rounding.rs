//! Decimals that round a value. `0.333333` is not a third; whether it passes for one is a policy: it does when it
//! states enough significant digits and all of them are right.

use super::scalar::distance;
use super::{Comparer, Finding};
use crate::number::exact;
use crate::tree::{Decimal, Expr};
use dashu_base::Signed;
use dashu_ratio::RBig;

/// A decimal as written: its value and precision.
struct Written {
    value: RBig,
    decimal: Decimal,
}

fn written(expr: &Expr) -> Option<Written> {
    match expr {
        Expr::Number(number) => Some(Written { value: number.value.clone(), decimal: number.decimal? }),
        Expr::Negative(inner) => written(inner).map(|w| Written { value: -w.value, ..w }),
        Expr::Percent(inner) => {
            let inner = written(inner)?;
            let decimal = Decimal { last: inner.decimal.last - 2, ..inner.decimal };
            Some(Written { value: inner.value / RBig::from(100), decimal })
        }
        Expr::Quantity(inner, _) => written(inner),
        // scientific notation
        Expr::Product(factors) => match factors.as_slice() {
            [mantissa, Expr::Power(ten, power)] if **ten == Expr::integer(10) => {
                let mantissa = written(mantissa)?;
                let shift = exact::value(power).filter(RBig::is_int)?;
                let shift = i64::try_from(shift.numerator().clone()).ok().filter(|s| s.abs() < 2000)?;
                let value = exact::value(expr)?;
                Some(Written {
                    value,
                    decimal: Decimal { last: mantissa.decimal.last + shift, ..mantissa.decimal },
                })
            }
            _ => None,
        },
        _ => None,
    }
}

impl Comparer<'_> {
    /// Whether one of two constants is a decimal that rounds the other as precisely as the policy asks.
    pub(super) fn rounds(&self, gold: &Expr, answer: &Expr) -> Option<Finding> {
        let least = self.policies.rounding;
        if least == 0 {
            return None;
        }
        let (decimal, other, both) = match (written(gold), written(answer)) {
            (None, None) => return None,
            (Some(decimal), None) => (decimal, answer, false),
            (None, Some(decimal)) => (decimal, gold, false),
            // the shorter rounds the longer
            (Some(g), Some(a)) if g.decimal.last >= a.decimal.last => (g, answer, true),
            (Some(_), Some(a)) => (a, gold, true),
        };
        let signed = distance(other, &decimal.value)?;
        let gap = signed.abs();
        // the decimal is nearer to zero
        let below = signed == 0.0 || (signed > 0.0) == decimal.value.is_positive();
        let unit = 10f64.powi(i32::try_from(decimal.decimal.last).ok()?);
        let size = decimal.value.to_f64_fast().abs();
        let digits = decimal.decimal.significant;
        let rounded = digits >= least && gap <= 0.5 * unit * (1.0 + 1e-12);
        let truncated = digits > least && below && gap < unit * (1.0 - 1e-12) && !both;
        // what a double prints has noise in its last digits
        let noise = (14..=18).contains(&digits) && gap <= 1e-12 * size;
        let places = self.policies.decimals.is_some_and(|places| self.same_places(&decimal, other, places));
        if rounded || truncated || noise || places {
            let right = if noise && !rounded { 12 } else { digits };
            return Some(Finding::yes(format!(
                "equal to {right} significant digits; policy `rounding` asks for {least}"
            )));
        }
        let precise = digits < least && gap <= 0.5 * unit * (1.0 + 1e-12);
        precise.then(|| {
            Finding::no(format!(
                "it is rounded to {digits} significant digits; policy `rounding` asks for {least}"
            ))
        })
    }

    /// Whether both round to the same number of so many decimal places, and not just to nothing.
    fn same_places(&self, decimal: &Written, other: &Expr, places: u32) -> bool {
        let Some(other) = super::scalar::approximate(other) else { return false };
        let scale = 10f64.powi(places as i32);
        let value = decimal.value.to_f64_fast();
        let large = other.abs() * scale >= 10.0;
        large
            && other.is_finite()
            && decimal.value.is_negative() == (other < 0.0)
            && (value * scale).round() == (other * scale).round()
    }
}
