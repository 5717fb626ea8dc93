//! Arithmetic in exact fractions: `+ - * /`, parentheses, whole numbers. Whatever would overflow, nest too deeply or divide by
//! zero is an error, never a panic: a completion must not provoke one.

use std::fmt;

/// Open parentheses and signs at most.
const DEPTH: usize = 64;

/// A fraction in lowest terms with a positive denominator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fraction {
    numerator: i64,
    denominator: i64,
}

impl From<i64> for Fraction {
    fn from(number: i64) -> Self {
        Fraction { numerator: number, denominator: 1 }
    }
}

impl fmt::Display for Fraction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.denominator {
            1 => write!(f, "{}", self.numerator),
            denominator => write!(f, "{}/{denominator}", self.numerator),
        }
    }
}

impl Fraction {
    /// In lowest terms; none for a denominator of 0 or when it does not fit.
    fn new(numerator: i128, denominator: i128) -> Option<Fraction> {
        let (mut a, mut b) = (numerator.unsigned_abs(), denominator.unsigned_abs());
        while b > 0 {
            (a, b) = (b, a % b);
        }
        let common = i128::try_from(a).ok()?.max(1) * denominator.signum();
        let lowest = |n: i128| i64::try_from(n.checked_div(common)?).ok();
        Some(Fraction { numerator: lowest(numerator)?, denominator: lowest(denominator)? })
    }

    fn apply(self, operator: u8, other: Fraction) -> Option<Fraction> {
        let wide = |n: i64| i128::from(n);
        let (a, b) = (wide(self.numerator), wide(self.denominator));
        let (c, d) = (wide(other.numerator), wide(other.denominator));
        match operator {
            b'+' => Fraction::new((a * d).checked_add(c * b)?, b * d),
            b'-' => Fraction::new((a * d).checked_sub(c * b)?, b * d),
            b'*' => Fraction::new(a * c, b * d),
            _ => Fraction::new(a * d, b * c),
        }
    }
}

/// An expression with its value and the numbers in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expression {
    /// Its value.
    pub value: Fraction,
    /// The numbers, in their order.
    pub numbers: Vec<i64>,
}

impl Expression {
    /// Reads the whole text.
    pub fn read(text: &str) -> Result<Expression, String> {
        let mut reader = Reader { rest: text.trim().as_bytes(), numbers: Vec::new() };
        let value = reader.sum(0)?;
        match reader.rest {
            [] => Ok(Expression { value, numbers: reader.numbers }),
            rest => Err(format!("{} bytes follow it", rest.len())),
        }
    }
}

struct Reader<'t> {
    rest: &'t [u8],
    numbers: Vec<i64>,
}

impl Reader<'_> {
    fn next(&mut self) -> Option<u8> {
        self.rest = self.rest.trim_ascii_start();
        self.rest.first().copied()
    }

    fn skip(&mut self) {
        self.rest = &self.rest[1..];
    }

    fn sum(&mut self, depth: usize) -> Result<Fraction, String> {
        let mut value = self.product(depth)?;
        while let Some(operator @ (b'+' | b'-')) = self.next() {
            self.skip();
            value = combined(value, operator, self.product(depth)?)?;
        }
        Ok(value)
    }

    fn product(&mut self, depth: usize) -> Result<Fraction, String> {
        let mut value = self.factor(depth)?;
        while let Some(operator @ (b'*' | b'/')) = self.next() {
            self.skip();
            value = combined(value, operator, self.factor(depth)?)?;
        }
        Ok(value)
    }

    fn factor(&mut self, depth: usize) -> Result<Fraction, String> {
        if depth > DEPTH {
            return Err(format!("more than {DEPTH} parentheses and signs are open"));
        }
        match self.next() {
            Some(b'(') => {
                self.skip();
                let value = self.sum(depth + 1)?;
                match self.next() {
                    Some(b')') => {
                        self.skip();
                        Ok(value)
                    }
                    _ => Err("a parenthesis is not closed".to_owned()),
                }
            }
            Some(b'-') => {
                self.skip();
                let value = self.factor(depth + 1)?;
                combined(Fraction::from(0), b'-', value)
            }
            Some(b'0'..=b'9') => self.number(),
            _ => Err("a number is missing".to_owned()),
        }
    }

    fn number(&mut self) -> Result<Fraction, String> {
        let end = self.rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(self.rest.len());
        let (digits, rest) = self.rest.split_at(end);
        self.rest = rest;
        let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
        let number = number.ok_or_else(|| format!("a number of {end} digits is too large"))?;
        self.numbers.push(number);
        Ok(Fraction::from(number))
    }
}

fn combined(a: Fraction, operator: u8, b: Fraction) -> Result<Fraction, String> {
    let wrong = || format!("{a} {} {b} is undefined or too large", char::from(operator));
    a.apply(operator, b).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Result<String, String> {
        Expression::read(text).map(|expression| expression.value.to_string())
    }

    #[test]
    fn values_are_exact_and_operators_bind_as_written() {
        for (text, right) in [
            ("1 + 2 * 3", "7"),
            ("(1+2)*3", "9"),
            ("8/(3-8/3)", "24"),
            ("1/3 + 1/6", "1/2"),
            ("-2 - -2", "0"),
            ("7-3-2", "2"),
        ] {
            assert_eq!(value(text).as_deref(), Ok(right), "{text}");
        }
        assert_eq!(Expression::read("8/(3-8/3)").unwrap().numbers, [8, 3, 8, 3]);
    }

    #[test]
    fn what_is_no_expression_is_an_error() {
        for text in
            ["", "1 +", "(1", "1)", "1 / 0", "x", "2 ** 3", "9223372036854775807 + 1", "99999999999999999999"]
        {
            assert!(value(text).is_err(), "{text}");
        }
        assert!(value(&"(".repeat(1000)).is_err() && value(&"-".repeat(1000)).is_err());
    }
}
