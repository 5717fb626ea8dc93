//! Decimals that round a value. `0.333333` is not a third; whether it passes for one is a policy: it does when it
//! states enough significant digits and all of them are right.

use super::{Comparer, Finding};
use crate::number::exact;
use crate::tree::{Decimal, Expr};
use crate::work::Work;
use dashu_base::{Abs, Signed};
use dashu_ratio::RBig;

/// A decimal as written: its value and precision.
struct Written {
    value: RBig,
    decimal: Decimal,
}

fn written(expr: &Expr, work: &Work) -> Option<Written> {
    match expr {
        Expr::Number(number) => Some(Written { value: number.value.clone(), decimal: number.decimal? }),
        Expr::Negative(inner) => written(inner, work).map(|w| Written { value: -w.value, ..w }),
        Expr::Percent(inner) => {
            let inner = written(inner, work)?;
            let decimal = Decimal { last: inner.decimal.last - 2, ..inner.decimal };
            Some(Written { value: inner.value / RBig::from(100), decimal })
        }
        Expr::Quantity(inner, _) => written(inner, work),
        // scientific notation
        Expr::Product(factors) => match factors.as_slice() {
            [mantissa, Expr::Power(ten, power)] if **ten == Expr::integer(10) => {
                let mantissa = written(mantissa, work)?;
                let shift = exact::value(power, work).filter(RBig::is_int)?;
                let shift = i64::try_from(shift.numerator().clone()).ok().filter(|s| s.abs() < 2000)?;
                let value = exact::value(expr, work)?;
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
    /// Whether one of two constants is a decimal that rounds the other as precisely as the policies ask.
    pub(super) fn rounds(&self, gold: &Expr, answer: &Expr) -> Option<Finding> {
        let least = self.policies.rounding;
        let (g, a) = (written(gold, self.work), written(answer, self.work));
        // a whole number is met exactly: 1.00000e6 does not pass for 1000001
        let whole = g.is_none() && a.is_some() && self.exact(gold).is_some_and(|v| v.is_int());
        let (decimal, other, both) = match (g, a) {
            (None, None) => return None,
            (Some(decimal), None) => (decimal, answer, false),
            (None, Some(decimal)) => (decimal, gold, false),
            // the shorter rounds the longer
            (Some(g), Some(a)) if g.decimal.last >= a.decimal.last => (g, answer, true),
            (Some(_), Some(a)) => (a, gold, true),
        };
        if let Some(places) = self.policies.decimals
            && self.same_places(&decimal, other, places)
        {
            return Some(Finding::yes(format!("equal to {places} decimal places, by policy `decimals`")));
        }
        if least == 0 || whole {
            return None;
        }
        let signed = self.distance(other, &decimal.value)?;
        let gap = signed.abs();
        // the decimal is nearer to zero
        let below = signed == 0.0 || (signed > 0.0) == decimal.value.is_positive();
        let unit = 10f64.powi(i32::try_from(decimal.decimal.last).ok()?);
        let digits = decimal.decimal.significant;
        let within_half = gap <= 0.5 * unit * (1.0 + 1e-12);
        let truncated = digits > least && below && gap < unit * (1.0 - 1e-12) && !both;
        if digits >= least && within_half || truncated {
            return Some(Finding::yes(format!(
                "equal to {digits} significant digits; policy `rounding` asks for {least}"
            )));
        }
        (digits < least && within_half).then(|| {
            Finding::no(format!(
                "it is rounded to {digits} significant digits; policy `rounding` asks for {least}"
            ))
        })
    }

    /// Whether both round to the same number of so many decimal places, and not just to nothing.
    fn same_places(&self, decimal: &Written, other: &Expr, places: u32) -> bool {
        let scale = RBig::from(dashu_int::UBig::from(10u8).pow(places as usize));
        let value = &decimal.value * &scale;
        let rounded = value.round();
        let nothing = value.clone().abs() < RBig::from(10);
        let Some(gap) = self.distance(other, &decimal.value) else { return false };
        if nothing || other_sign(&decimal.value, gap) != decimal.value.is_negative() {
            return false;
        }
        match self.exact(other) {
            Some(other) => (other * scale).round() == rounded,
            // how far the other is from the place that both are to round to
            None => {
                let from = (value - RBig::from(rounded)).to_f64_fast() + gap * scale.to_f64_fast();
                from.abs() < 0.5
            }
        }
    }
}

/// Whether a value so far from another is negative.
fn other_sign(value: &RBig, gap: f64) -> bool {
    value.to_f64_fast() + gap < 0.0
}
