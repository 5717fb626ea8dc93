//! What follows a value: units, currencies, percent in words, scales such as "million", times of the day.

use super::{Parsed, Parser, function, literal};
use crate::lex::{Kind, Token};
use crate::tree::{Constant, Expr};
use crate::units;

impl Parser<'_> {
    /// The tokens from `start` as a time, where they have two-digit minutes that begin with 0, or am or pm after them.
    pub(super) fn time(&mut self, start: usize) -> Option<Expr> {
        let mut parts = Vec::new();
        for token in self.tokens[start..self.at].iter().step_by(2) {
            match &token.kind {
                Kind::Number(n) if n.bytes().all(|b| b.is_ascii_digit()) => parts.push(n.as_ref()),
                _ => return None,
            }
        }
        if self.at - start != 2 * parts.len() - 1 {
            return None;
        }
        let half = half_of_day(&self.tokens[self.at..]);
        let padded = parts[1..].iter().any(|p| p.len() == 2 && p.starts_with('0'));
        if half.is_none() && !padded {
            return None;
        }
        let values = parts.iter().map(|p| p.parse().ok()).collect::<Option<Vec<u32>>>()?;
        if let Some((_, used)) = half {
            self.at += used;
        }
        Some(Expr::Time(values, half.map(|(pm, _)| pm)))
    }

    /// The value with the unit after it, if there is one.
    pub(super) fn quantity(&mut self, value: Expr) -> Parsed {
        if !self.quantities || self.depth > 2 {
            return Ok(value);
        }
        let half = half_of_day(&self.tokens[self.at..]);
        if half.is_some() && self.at > 1 && self.tokens[self.at - 2].kind == Kind::Symbol(':') {
            // minutes: the time is read as a whole
            return Ok(value);
        }
        if let (Expr::Number(n), Some((pm, used))) = (&value, half)
            && let Ok(hour) = u32::try_from(n.value.numerator().clone())
            && n.value.is_int()
        {
            self.at += used;
            return Ok(Expr::Time(vec![hour], Some(pm)));
        }
        if let Some(Kind::Symbol(c @ ('$' | '€' | '£' | '¥' | '₹'))) = self.peek() {
            let unit = currency(*c);
            self.at += 1;
            return Ok(Expr::Quantity(Box::new(value), unit));
        }
        let percent = match self.peek() {
            Some(Kind::Letters("percent" | "pct" | "percentage")) => true,
            Some(Kind::Text(t)) => matches!(t.trim(), "percent" | "%" | "pct" | r"\%"),
            _ => false,
        };
        if percent {
            self.at += 1;
            let value = Expr::Percent(Box::new(value));
            return self.deeper(|p| p.quantity(value));
        }
        if let Some((factor, used)) = scale(&self.tokens[self.at..]) {
            self.at += used;
            let value = Expr::Product(vec![value, Expr::integer(factor)]);
            return self.deeper(|p| p.quantity(value));
        }
        match units::read(&self.tokens[self.at..]) {
            Some((unit, used)) if used > 0 => {
                self.at += used;
                if unit.name.as_ref() == "degree" {
                    return Ok(Expr::Product(vec![value, Expr::Constant(Constant::Degree)]));
                }
                let quantity = Expr::Quantity(Box::new(value), unit.clone());
                self.compound(quantity, &unit)
            }
            _ => Ok(value),
        }
    }

    /// `1 hour 30 minutes`: quantities of one dimension side by side are their sum, in the unit of the first.
    fn compound(&mut self, quantity: Expr, unit: &units::Unit) -> Parsed {
        let Some(Kind::Number(text)) = self.peek() else { return Ok(quantity) };
        let number = literal::number(text)?;
        let Some((other, used)) = units::read(&self.tokens[self.at + 1..]) else { return Ok(quantity) };
        let units::Match::Factor(factor) = other.compare(unit) else { return Ok(quantity) };
        let Expr::Quantity(value, unit) = quantity else { return Ok(quantity) };
        self.at += 1 + used;
        self.wrap()?;
        let factor = Expr::Number(crate::tree::Number { value: factor, decimal: None });
        let part = Expr::Product(vec![Expr::Number(number), factor]);
        Ok(Expr::Quantity(Box::new(Expr::Sum(vec![*value, part])), unit))
    }

    /// Whether a unit and the end of the element follow.
    pub(super) fn unit_ahead(&self, last: Option<&Expr>) -> bool {
        if !self.quantities || self.depth > 2 || last.is_none() {
            return false;
        }
        let letters = match self.peek() {
            Some(Kind::Letters(word)) => *word,
            Some(Kind::Text(_)) => "",
            _ => return false,
        };
        if half_of_day(&self.tokens[self.at..]).is_some() || scale(&self.tokens[self.at..]).is_some() {
            return true;
        }
        let minutes = letters == "min"
            && !matches!(self.kind(1), Some(Kind::Open | Kind::Symbol('(' | '{' | '[' | '_')));
        if !letters.is_empty()
            && !minutes
            && (letters.len() == 1 || function::named(letters).is_some() || letters == "pi")
        {
            return false;
        }
        match units::read(&self.tokens[self.at..]) {
            Some((_, used)) => matches!(
                self.kind(used),
                None | Some(
                    Kind::Symbol(',' | ';' | ')' | ']' | '}' | '.' | '=' | '<' | '>' | '≤' | '≥')
                        | Kind::Text(_)
                        | Kind::Letters("and" | "or")
                        | Kind::Command("approx")
                        | Kind::Close
                )
            ),
            None => false,
        }
    }
}

/// `am` or `pm` at the start of the tokens: whether it is pm, and how many tokens.
fn half_of_day(tokens: &[Token<'_>]) -> Option<(bool, usize)> {
    let word = match &tokens.first()?.kind {
        Kind::Letters(word) => *word,
        Kind::Text(word) => word.trim(),
        _ => return None,
    };
    match word.to_ascii_lowercase().replace('.', "").as_str() {
        "am" => Some((false, 1)),
        "pm" => Some((true, 1)),
        half @ ("a" | "p") => {
            let dotted = tokens.get(1)?.kind == Kind::Symbol('.')
                && matches!(tokens.get(2)?.kind, Kind::Letters("m" | "M"));
            let end = usize::from(tokens.get(3).is_some_and(|t| t.kind == Kind::Symbol('.')));
            dotted.then_some((half == "p", 3 + end))
        }
        _ => None,
    }
}

/// A word that multiplies, such as "million".
fn scale(tokens: &[Token<'_>]) -> Option<(i64, usize)> {
    let word = match &tokens.first()?.kind {
        Kind::Letters(word) => *word,
        Kind::Text(word) => word.trim(),
        _ => return None,
    };
    let factor = match word {
        "dozen" => 12,
        "hundred" => 100,
        "thousand" => 1000,
        "million" => 1_000_000,
        "billion" => 1_000_000_000,
        "trillion" => 1_000_000_000_000,
        _ => return None,
    };
    Some((factor, 1))
}

/// The unit of a currency sign.
pub(super) fn currency(sign: char) -> units::Unit {
    let dollar = || units::Unit::named("dollar");
    let noun = |name: &str| units::Unit { name: name.into(), known: None };
    match sign {
        '$' => dollar().unwrap_or_else(|| noun("dollar")),
        '€' => noun("euro"),
        '£' => noun("sterling"),
        '¥' => noun("yen"),
        _ => noun("rupee"),
    }
}
