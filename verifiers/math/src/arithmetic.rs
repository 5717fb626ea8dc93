//! Exact value of plain arithmetic: integers, decimals, fractions, mixed numbers, sums, products, quotients
//! and whole powers of rationals. Anything else is not arithmetic, which is no error; what would grow beyond
//! the limits is refused before it is computed.

use crate::lex::{Spaced, Token};
use crate::limits::{BITS, DECIMAL_EXPONENT, DEPTH, LimitError, WORK_BITS};
use dashu_base::{BitTest, Signed, UnsignedAbs};
use dashu_int::{IBig, UBig};
use dashu_ratio::RBig;
use std::borrow::Cow;

/// Why there is no value.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// The tokens are not plain arithmetic.
    NotArithmetic,
    /// They are, but beyond a limit.
    Limit(LimitError),
}

/// The value of the longest arithmetic expression at the start of the tokens, and how many tokens it is made
/// of.
pub(crate) fn evaluate(tokens: &[Spaced<'_>]) -> Result<(RBig, usize), Stop> {
    let mut parser = Parser { tokens: tokens.to_vec(), at: 0, work: 0, depth: 0 };
    let value = parser.sum()?;
    Ok((value, parser.at))
}

/// Value of one number as written.
pub(crate) fn literal(text: &str) -> Result<RBig, Stop> {
    let (mantissa, exponent) = text.split_once('e').unwrap_or((text, "0"));
    let exponent: i64 = exponent.parse().map_err(|_| Stop::Limit(LimitError::Size))?;
    if exponent.abs() > DECIMAL_EXPONENT {
        return Err(Stop::Limit(LimitError::Size));
    }
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: UBig = format!("{whole}{fraction}").parse().map_err(|_| Stop::NotArithmetic)?;
    let exponent = exponent - fraction.len() as i64;
    let power = UBig::from(10u8).pow(exponent.unsigned_abs() as usize);
    let value = match exponent {
        0.. => RBig::from(digits * power),
        _ => RBig::from_parts(digits.into(), power),
    };
    if bits(&value) > BITS { Err(Stop::Limit(LimitError::Size)) } else { Ok(value) }
}

/// Bits of numerator and denominator.
fn bits(value: &RBig) -> usize {
    value.numerator().bit_len() + value.denominator().bit_len()
}

struct Parser<'a> {
    tokens: Vec<Spaced<'a>>,
    at: usize,
    work: usize,
    depth: usize,
}

type Value = Result<RBig, Stop>;

impl<'a> Parser<'a> {
    fn peek(&self) -> Option<&Token<'a>> {
        self.tokens.get(self.at).map(|t| &t.token)
    }

    fn peek_symbol(&self) -> Option<char> {
        match self.peek() {
            Some(Token::Symbol(c)) => Some(*c),
            _ => None,
        }
    }

    fn take(&mut self, token: &Token<'_>) -> Result<(), Stop> {
        if self.peek() == Some(token) {
            self.at += 1;
            return Ok(());
        }
        Err(Stop::NotArithmetic)
    }

    /// Whether an operand can start at `at`.
    fn operand_at(&self, at: usize) -> bool {
        match self.tokens.get(at).map(|t| &t.token) {
            Some(Token::Number(_) | Token::Open) => true,
            Some(Token::Symbol(c)) => matches!(c, '(' | '-' | '+'),
            Some(Token::Command(name)) => *name == "frac",
            _ => false,
        }
    }

    fn spend(&mut self, a: &RBig, b: &RBig) -> Result<(), Stop> {
        let size = bits(a) + bits(b);
        self.work += size.max(64);
        if size > 2 * BITS || self.work > WORK_BITS { Err(Stop::Limit(LimitError::Size)) } else { Ok(()) }
    }

    fn keep(&self, value: RBig) -> Value {
        if bits(&value) > BITS { Err(Stop::Limit(LimitError::Size)) } else { Ok(value) }
    }

    fn divide(&mut self, a: RBig, b: RBig) -> Value {
        self.spend(&a, &b)?;
        if b.is_zero() { Err(Stop::NotArithmetic) } else { self.keep(a / b) }
    }

    fn multiply(&mut self, a: RBig, b: RBig) -> Value {
        self.spend(&a, &b)?;
        self.keep(a * b)
    }

    fn sum(&mut self) -> Value {
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Stop::Limit(LimitError::Depth));
        }
        let mut value = self.product()?;
        while let Some(sign @ ('+' | '-')) = self.peek_symbol() {
            if !self.operand_at(self.at + 1) {
                break;
            }
            self.at += 1;
            let term = self.product()?;
            self.spend(&value, &term)?;
            value = self.keep(if sign == '+' { value + term } else { value - term })?;
        }
        self.depth -= 1;
        Ok(value)
    }

    fn product(&mut self) -> Value {
        let mut value = self.signed()?;
        let mut divided = false;
        loop {
            match self.peek_symbol() {
                Some(sign @ ('*' | '/')) if self.operand_at(self.at + 1) => {
                    self.at += 1;
                    let factor = self.signed()?;
                    divided |= sign == '/';
                    value =
                        if sign == '*' { self.multiply(value, factor)? } else { self.divide(value, factor)? };
                }
                // `2(3)`; but `1/2(3)` may mean two things
                Some('(') if divided => return Err(Stop::NotArithmetic),
                Some('(') => {
                    let factor = self.power()?;
                    value = self.multiply(value, factor)?;
                }
                _ if self.times_ten() => {
                    self.at += 1;
                    let factor = self.power()?;
                    value = self.multiply(value, factor)?;
                }
                _ => return Ok(value),
            }
        }
    }

    /// Whether the letter x stands for "times" here, as in `1.5 x 10^3`.
    fn times_ten(&self) -> bool {
        let token = |i: usize| self.tokens.get(self.at + i).map(|t| &t.token);
        matches!(token(0), Some(Token::Word { text: "x" | "X", .. }))
            && matches!(token(1), Some(Token::Number(n)) if n == "10")
            && token(2) == Some(&Token::Symbol('^'))
    }

    fn signed(&mut self) -> Value {
        let mut negative = false;
        while let Some(sign @ ('-' | '+')) = self.peek_symbol() {
            negative ^= sign == '-';
            self.at += 1;
        }
        let value = self.power()?;
        Ok(if negative { -value } else { value })
    }

    fn power(&mut self) -> Value {
        let base = self.atom()?;
        // a degree sign is a unit
        let degree = |t: &[Spaced<'_>]| match t {
            [a, ..] if a.token == Token::Command("circ") => true,
            [a, b, ..] => a.token == Token::Open && b.token == Token::Command("circ"),
            _ => false,
        };
        if self.peek_symbol() != Some('^') || degree(&self.tokens[self.at + 1..]) {
            return Ok(base);
        }
        self.at += 1;
        self.depth += 1;
        if self.depth > DEPTH {
            return Err(Stop::Limit(LimitError::Depth));
        }
        let exponent = self.signed()?;
        self.depth -= 1;
        self.raise(base, exponent)
    }

    fn raise(&mut self, base: RBig, exponent: RBig) -> Value {
        if !exponent.is_int() || (base.is_zero() && (exponent.is_zero() || exponent.is_negative())) {
            return Err(Stop::NotArithmetic);
        }
        let negative = exponent.is_negative();
        let exponent = exponent.into_parts().0.unsigned_abs();
        if base.is_zero() || base.is_one() {
            return Ok(base);
        }
        if base == RBig::from(IBig::NEG_ONE) {
            return Ok(if exponent.bit(0) { base } else { RBig::ONE });
        }
        let exponent = usize::try_from(&exponent).ok().filter(|e| *e <= BITS);
        let exponent = exponent.ok_or(Stop::Limit(LimitError::Size))?;
        // at least (bits - 1) per factor, so nothing that fits is refused and nothing big is computed
        let (top, bottom) = base.into_parts();
        if (top.bit_len() + bottom.bit_len()).saturating_sub(2) * exponent > BITS {
            return Err(Stop::Limit(LimitError::Size));
        }
        self.work += (top.bit_len() + bottom.bit_len()) * exponent;
        if self.work > WORK_BITS {
            return Err(Stop::Limit(LimitError::Size));
        }
        let value = RBig::from_parts(top.pow(exponent), bottom.pow(exponent));
        self.keep(if negative { RBig::ONE / value } else { value })
    }

    fn atom(&mut self) -> Value {
        let Some(token) = self.peek().cloned() else { return Err(Stop::NotArithmetic) };
        self.at += 1;
        match token {
            Token::Number(text) => self.number(&text),
            Token::Symbol('(') => self.enclosed(&Token::Symbol(')')),
            Token::Open => self.enclosed(&Token::Close),
            Token::Command("frac") => {
                let (top, bottom) = (self.argument()?, self.argument()?);
                self.divide(top, bottom)
            }
            _ => Err(Stop::NotArithmetic),
        }
    }

    fn enclosed(&mut self, end: &Token<'_>) -> Value {
        let value = self.sum()?;
        self.take(end)?;
        Ok(value)
    }

    /// An argument of `\frac`: a group, or one digit of what follows.
    fn argument(&mut self) -> Value {
        match self.peek().cloned() {
            Some(Token::Open) => {
                self.at += 1;
                self.enclosed(&Token::Close)
            }
            Some(Token::Number(text)) if text.starts_with(|c: char| c.is_ascii_digit()) => {
                let (digit, rest) = text.split_at(1);
                if rest.is_empty() {
                    self.at += 1;
                } else {
                    self.tokens[self.at].token = Token::Number(Cow::Owned(rest.to_owned()));
                }
                literal(digit)
            }
            _ => Err(Stop::NotArithmetic),
        }
    }

    /// A number, or a mixed number: an integer before a proper fraction of integers.
    fn number(&mut self, text: &str) -> Value {
        let value = literal(text)?;
        self.work += 64 + text.len();
        if self.work > WORK_BITS {
            return Err(Stop::Limit(LimitError::Size));
        }
        let plain = text.bytes().all(|b| b.is_ascii_digit());
        let fraction = match &self.tokens[self.at..] {
            [first, ..] if first.token == Token::Command("frac") => {
                self.at += 1;
                let (top, bottom) = (self.argument()?, self.argument()?);
                (top, bottom)
            }
            [
                Spaced { token: Token::Number(top), spaced: true },
                Spaced { token: Token::Symbol('/'), .. },
                Spaced { token: Token::Number(bottom), .. },
                ..,
            ] => {
                let fraction = (literal(top)?, literal(bottom)?);
                self.at += 3;
                fraction
            }
            // two numbers side by side are not one
            [Spaced { token: Token::Number(_) | Token::Open, .. }, ..] => return Err(Stop::NotArithmetic),
            _ => return Ok(value),
        };
        let (top, bottom) = fraction;
        let proper = top.is_int() && bottom.is_int() && top > RBig::ZERO && top < bottom;
        if !plain || !proper || self.peek_symbol() == Some('^') {
            return Err(Stop::NotArithmetic);
        }
        let fraction = self.divide(top, bottom)?;
        self.spend(&value, &fraction)?;
        self.keep(value + fraction)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lex::lex;
    use proptest::prelude::*;

    fn value(text: &str) -> Result<String, Stop> {
        let tokens = lex(text).map_err(Stop::Limit)?;
        let (value, used) = evaluate(&tokens)?;
        if used == tokens.len() { Ok(value.to_string()) } else { Err(Stop::NotArithmetic) }
    }

    #[test]
    fn every_spelling_of_a_number_has_its_exact_value() {
        for (text, right) in [
            ("18", "18"),
            ("-0.50", "-1/2"),
            (".7", "7/10"),
            ("1,234.5", "2469/2"),
            ("2.5e3", "2500"),
            (r"6.02 \times 10^{3}", "6020"),
            ("1.5 x 10^-1", "3/20"),
            (r"\frac12", "1/2"),
            (r"\frac1{20}", "1/20"),
            (r"\frac{-3}{6}", "-1/2"),
            (r"-\dfrac{3}{6}", "-1/2"),
            (r"\frac{1+1}{\frac{1}{3}}", "6"),
            (r"2\frac{1}{2}", "5/2"),
            (r"-2\frac12", "-5/2"),
            ("3 1/4", "13/4"),
            ("2^10", "1024"),
            ("-2^2", "-4"),
            ("2^{-3}", "1/8"),
            ("2^3^2", "512"),
            ("(1+2)(3)", "9"),
            ("2 - 3 * 4 / 6", "0"),
            ("--5", "5"),
        ] {
            assert_eq!(value(text), Ok(right.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_may_mean_two_things_or_nothing_has_no_value() {
        for text in [
            "5 6",
            "1/0",
            "0^0",
            "1/2(3)",
            r"2\frac{3}{2}",
            "2 3/2",
            "2^0.5",
            "5!",
            "x",
            "2x",
            "(1",
            "1.2.3",
            "1,23",
            "",
            "3 100/7",
            r"\frac1",
            "5 or 6",
            "{1}{2}",
        ] {
            assert_eq!(value(text), Err(Stop::NotArithmetic), "{text}");
        }
    }

    #[test]
    fn towers_and_huge_powers_are_refused_before_they_are_computed() {
        for text in [
            "9^9^9",
            "9^{9^{9^9}}",
            "2^{10^{10}}",
            "10**100000",
            "(10**9)**(10**9)",
            "1e2001",
            "1e99999999999",
        ] {
            assert_eq!(value(text), Err(Stop::Limit(LimitError::Size)), "{text}");
        }
        assert_eq!(value(&["2"; 80].join("^")), Err(Stop::Limit(LimitError::Depth)));
        let sum = (2..900).map(|n| format!("1/{n}")).collect::<Vec<_>>().join("+");
        assert_eq!(value(&sum[..4000]), Err(Stop::Limit(LimitError::Size)));
        assert_eq!(value("(-1)^{10^{300}}"), Ok("1".into()));
        assert_eq!(value(&"-".repeat(4000)), Err(Stop::NotArithmetic));
    }

    /// Random arithmetic that both evaluators read the same way, in brackets where they would not.
    fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            (0u32..1000).prop_map(|n| n.to_string()),
            (0u32..10_000).prop_map(|n| format!("{}.{:02}", n / 100, n % 100))
        ];
        leaf.prop_recursive(5, 40, 2, |inner| {
            prop_oneof![
                (inner.clone(), "[-+*/]", inner.clone()).prop_map(|(a, op, b)| format!("{a} {op} {b}")),
                inner.clone().prop_map(|a| format!("({a})")),
                inner.clone().prop_map(|a| format!("(-({a}))")),
                (inner, 0u32..4).prop_map(|(a, n)| format!("({a})^{n}")),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_agree_with_meval(text in expressions()) {
            let theirs = meval::eval_str(&text).unwrap();
            match value(&text) {
                Ok(ours) => {
                    let (top, bottom) = ours.split_once('/').unwrap_or((&ours, "1"));
                    let ours = top.parse::<f64>().unwrap() / bottom.parse::<f64>().unwrap();
                    // f64 loses digits by cancellation, and overflows where we do not
                    let lost = !theirs.is_finite() || !ours.is_finite() || theirs.abs() < 1e-3;
                    prop_assert!(lost || (ours - theirs).abs() <= 1e-6 * theirs.abs(), "{text}: {ours} {theirs}");
                }
                Err(Stop::Limit(LimitError::Size)) => {}
                Err(Stop::NotArithmetic) => {
                    // a division by zero, which f64 hides at times, or zero to the power of zero
                    prop_assert!(text.contains('/') || text.contains("^0"), "{text}");
                }
                Err(stop) => prop_assert!(false, "{text}: {stop:?}"),
            }
        }
    }
}
