//! Numbers as written: integers, decimals, repeating decimals, scientific notation, digits in other bases.

use super::Stop;
use crate::limits::{DECIMAL_EXPONENT, DIGITS, LimitError};
use crate::tree::{Decimal, Expr, Number};
use dashu_int::UBig;
use dashu_ratio::RBig;

/// The number of a token.
pub(super) fn number(text: &str) -> Result<Number, Stop> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, ""));
    if mantissa.len() < 18 && exponent.is_empty() && !mantissa.contains('.') {
        let value: i64 = mantissa.parse().map_err(|_| Stop::Syntax)?;
        return Ok(Number::integer(value));
    }
    let power: i64 = if exponent.is_empty() { 0 } else { exponent.parse().map_err(|_| Stop::Syntax)? };
    if power.abs() > DECIMAL_EXPONENT {
        return Err(Stop::Limit(LimitError::Exponent));
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    if digits.len() > DIGITS {
        return Err(Stop::Limit(LimitError::Digits(digits.len())));
    }
    let integer: UBig =
        if digits.is_empty() { UBig::ZERO } else { digits.parse().map_err(|_| Stop::Syntax)? };
    let last = power - fraction.len() as i64;
    let ten = UBig::from(10u8).pow(last.unsigned_abs() as usize);
    let value = if last >= 0 { RBig::from(integer * ten) } else { RBig::from_parts(integer.into(), ten) };
    let significant = digits.trim_start_matches('0').len() as u32;
    let decimal = (!fraction.is_empty() || !exponent.is_empty()).then_some(Decimal { significant, last });
    Ok(Number { value, decimal })
}

/// A decimal whose last digits repeat: `0.1` and `36` are 0.1363636...
pub(super) fn repeating(head: &str, period: &str) -> Result<Number, Stop> {
    let plain = number(head.trim_end_matches('.'))?;
    let places = head.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    if period.is_empty() || places + period.len() > 200 {
        return Err(Stop::Syntax);
    }
    let digits: UBig = period.parse().map_err(|_| Stop::Syntax)?;
    let nines = UBig::from(10u8).pow(period.len()) - UBig::ONE;
    let tail = RBig::from_parts(digits.into(), nines * UBig::from(10u8).pow(places));
    Ok(Number { value: plain.value + tail, decimal: None })
}

/// A decimal with an ellipsis after it, whose last digits have been repeated at least three times: `0.333...`, `0.121212...`.
pub(super) fn continued(text: &str) -> Result<Number, Stop> {
    let (_, fraction) = text.split_once('.').ok_or(Stop::Syntax)?;
    let digits = fraction.as_bytes();
    if !digits.iter().all(u8::is_ascii_digit) {
        return Err(Stop::Syntax);
    }
    for period in 1..=digits.len() / 3 {
        let tail = &digits[digits.len() - 3 * period..];
        if tail.chunks(period).all(|chunk| chunk == &tail[..period]) {
            let head = text.len() - 3 * period;
            return repeating(&text[..head], &text[head..head + period]);
        }
    }
    Err(Stop::Syntax)
}

/// Digits in a base from 2 to 36.
pub(super) fn based(digits: &str, base: u32) -> Option<Expr> {
    if !(2..=36).contains(&base) || digits.len() > 200 {
        return None;
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let integer = UBig::from_str_radix(&format!("{whole}{fraction}"), base).ok()?;
    let value = RBig::from_parts(integer.into(), UBig::from(base).pow(fraction.len()));
    let digits = digits.trim_start_matches('0').to_uppercase();
    Some(Expr::Based(digits.into(), value, base))
}
