//! What follows a value: units, currencies, percent in words, scales such as "million", times of the day.

use super::{Parsed, Parser, function, literal};
use crate::lex::{Kind, Token};
use crate::lexicon;
use crate::tree::{Constant, Expr, Number};
use crate::units;
use dashu_ratio::RBig;

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
            Some(Kind::Text(t)) => {
                first_word(t).is_some_and(|(word, _)| matches!(word, "percent" | "%" | "pct" | r"\%"))
            }
            _ => false,
        };
        if percent {
            self.skip_word();
            let value = Expr::Percent(Box::new(value));
            return self.deeper(|p| p.quantity(value));
        }
        if let Some(factor) = scale(&self.tokens[self.at..]) {
            self.skip_word();
            let scaled = |value: Expr| {
                Expr::Product(vec![value, Expr::Number(Number { value: factor, decimal: None })])
            };
            // `\$2.5 million`
            let value = match value {
                Expr::Quantity(value, unit) => Expr::Quantity(Box::new(scaled(*value)), unit),
                value => scaled(value),
            };
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

    /// Goes past the word at hand, which may be the first of a text.
    fn skip_word(&mut self) {
        if let Some(Token { kind: Kind::Text(words), .. }) = self.tokens.get_mut(self.at)
            && let Some((_, rest)) = first_word(words).filter(|(_, rest)| !rest.trim().is_empty())
        {
            *words = rest;
            return;
        }
        self.at += 1;
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
        let factor = Expr::Number(Number { value: factor, decimal: None });
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

/// The scale of a temperature after its degree sign.
pub(super) fn temperature(kind: Option<&Kind<'_>>) -> Option<units::Unit> {
    let letter = match kind? {
        Kind::Letters(letter) => letter,
        Kind::Text(letter) => letter.trim(),
        _ => return None,
    };
    match letter {
        "C" | "Celsius" | "celsius" => Some(units::Unit::noun("celsius")),
        "F" | "Fahrenheit" | "fahrenheit" => Some(units::Unit::noun("fahrenheit")),
        _ => None,
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

/// A word that multiplies or divides, such as "million" or "quarters": its factor. It may begin a text of more words.
fn scale(tokens: &[Token<'_>]) -> Option<RBig> {
    let word = match &tokens.first()?.kind {
        Kind::Letters(word) => *word,
        Kind::Text(words) => first_word(words)?.0,
        _ => return None,
    };
    let part = |n: i64| RBig::ONE / RBig::from(n);
    lexicon::scale(word).map(RBig::from).or_else(|| lexicon::part(word).map(part))
}

/// The first word of a text, and what follows it.
fn first_word(text: &str) -> Option<(&str, &str)> {
    let text = text.trim_start_matches(|c: char| c.is_whitespace() || c == '~');
    let end = text.find(|c: char| c.is_whitespace() || c == '~').unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// The unit of a currency sign.
pub(super) fn currency(sign: char) -> units::Unit {
    let dollar = || units::Unit::named("dollar");
    let noun = units::Unit::noun;
    match sign {
        '$' => dollar().unwrap_or_else(|| noun("dollar")),
        '€' => noun("euro"),
        '£' => noun("sterling"),
        '¥' => noun("yen"),
        _ => noun("rupee"),
    }
}
