//! An answer as it is compared: an exact number where it is one, normalised text otherwise.

use crate::arithmetic::{Stop, evaluate};
use crate::lex::{Spaced, Token, lex};
use crate::limits::{ANSWER_BYTES, LimitError};
use crate::units;
use dashu_ratio::RBig;
use std::fmt;

/// What an answer was read as.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// An exact number.
    Number(Number),
    /// Anything else: its tokens in a normal form, with one space between them. Letters of plain words are in
    /// lower case.
    Text(String),
}

/// An exact number with what was written around it.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// The value; hundredths are already taken of a percentage.
    pub value: RBig,
    /// Whether it was written as a percentage.
    pub percent: bool,
    /// Its unit in a normal form, if it has one.
    pub unit: Option<String>,
    /// The variable it was assigned to, as in `x = 5`.
    pub variable: Option<String>,
    /// Where it was written as one decimal number with a point: its digits after the point.
    pub decimals: Option<usize>,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Reading::Number(number) => number.fmt(f),
            Reading::Text(text) => f.write_str(text),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(variable) = &self.variable {
            write!(f, "{variable} = ")?;
        }
        if self.percent {
            write!(f, "{}%", &self.value * RBig::from(100u8))?;
        } else {
            write!(f, "{}", self.value)?;
        }
        self.unit.iter().try_for_each(|unit| write!(f, " {unit}"))
    }
}

/// Reads an answer: the content of a box, the end of a sentence, a gold answer.
///
/// # Errors
/// When it is empty, has braces that do not match, or is beyond a limit.
pub fn read(answer: &str) -> Result<Reading, LimitError> {
    if answer.len() > ANSWER_BYTES {
        return Err(LimitError::Bytes(answer.len()));
    }
    let tokens = lex(unwrapped(answer))?;
    let tokens = without_outer_braces(&tokens);
    if tokens.is_empty() {
        return Err(LimitError::Empty);
    }
    match number(tokens) {
        Ok(number) => Ok(Reading::Number(number)),
        Err(Stop::NotArithmetic) => Ok(Reading::Text(normal_text(tokens))),
        Err(Stop::Limit(limit)) => Err(limit),
    }
}

/// The answer without the punctuation of its sentence and the marks around it as a whole.
fn unwrapped(answer: &str) -> &str {
    const PAIRS: [(&str, &str); 9] = [
        ("$$", "$$"),
        ("$", "$"),
        ("\\(", "\\)"),
        ("\\[", "\\]"),
        ("**", "**"),
        ("__", "__"),
        ("*", "*"),
        ("`", "`"),
        ("\"", "\""),
    ];
    let mut text = answer.trim();
    // each round takes at least one byte; more rounds than this are no answer's
    for _ in 0..16 {
        let mut inner = text;
        if let Some(rest) = text.strip_suffix(['.', ',', ';', ':', '。', '，']) {
            // `\,` is a space
            inner = rest.strip_suffix('\\').unwrap_or(rest);
        }
        for (open, close) in PAIRS {
            let content = inner.strip_prefix(open).and_then(|rest| rest.strip_suffix(close));
            if let Some(content) = content.filter(|c| !c.contains(close) && !c.ends_with('\\')) {
                inner = content;
                break;
            }
        }
        inner = inner.trim();
        if inner.len() == text.len() {
            break;
        }
        text = inner;
    }
    text
}

/// Strips groups that hold all tokens.
fn without_outer_braces<'t, 'a>(mut tokens: &'t [Spaced<'a>]) -> &'t [Spaced<'a>] {
    while let [first, inner @ .., last] = tokens {
        if first.token != Token::Open || last.token != Token::Close {
            break;
        }
        let mut depth = 0i32;
        let closes_early = inner.iter().any(|t| {
            depth += i32::from(t.token == Token::Open) - i32::from(t.token == Token::Close);
            depth < 0
        });
        if closes_early {
            break;
        }
        tokens = inner;
    }
    tokens
}

/// A number, or one assigned to a variable, or equal numbers joined by `=`.
fn number(tokens: &[Spaced<'_>]) -> Result<Number, Stop> {
    let mut sides = tokens.split(|t| t.token == Token::Symbol('='));
    let variable = sides.clone().next().filter(|first| first.len() < tokens.len()).and_then(variable);
    if variable.is_some() {
        sides.next();
    }
    let mut number: Option<Number> = None;
    for side in sides {
        let next = quantity(side)?;
        if number.is_some_and(|n| n.value != next.value) {
            return Err(Stop::NotArithmetic);
        }
        number = Some(next);
    }
    number.map(|n| Number { variable, ..n }).ok_or(Stop::NotArithmetic)
}

/// One letter, with a subscript or without.
fn variable(side: &[Spaced<'_>]) -> Option<String> {
    let (first, subscript) = side.split_first()?;
    let name = match &first.token {
        Token::Word { text, .. } if text.chars().count() == 1 => *text,
        Token::Command(name) if GREEK.contains(name) => name,
        _ => return None,
    };
    match subscript {
        [] => Some(name.to_owned()),
        [mark, rest @ ..] if mark.token == Token::Symbol('_') && rest.len() <= 3 => {
            let rest = normal_text(without_outer_braces(rest));
            rest.chars().all(char::is_alphanumeric).then(|| format!("{name}_{rest}"))
        }
        _ => None,
    }
}

const GREEK: [&str; 20] = [
    "alpha",
    "beta",
    "gamma",
    "delta",
    "epsilon",
    "varepsilon",
    "zeta",
    "eta",
    "theta",
    "kappa",
    "lambda",
    "mu",
    "nu",
    "rho",
    "sigma",
    "tau",
    "phi",
    "varphi",
    "psi",
    "omega",
];

/// A number with its currency, percent sign and unit.
fn quantity(side: &[Spaced<'_>]) -> Result<Number, Stop> {
    let mut tokens = without_outer_braces(side).to_vec();
    // the sign of a currency stands before the number, or after its minus
    let mut currency = None;
    for at in 0..tokens.len().min(2) {
        currency = units::currency(&tokens[at].token);
        if currency.is_some() {
            tokens.remove(at);
            break;
        }
        if tokens[at].token != Token::Symbol('-') {
            break;
        }
    }
    let (mut value, used) = evaluate(&tokens)?;
    let mut rest = &tokens[used..];
    if let (None, [sign, after @ ..]) = (currency, rest) {
        currency = units::currency(&sign.token);
        rest = if currency.is_some() { after } else { rest };
    }
    let tail = units::tail(rest).ok_or(Stop::NotArithmetic)?;
    if let Some(scale) = tail.scale {
        value *= RBig::from(scale);
    }
    if tail.percent {
        value /= RBig::from(100u8);
    }
    let unit = match (currency, tail.unit) {
        (Some(money), Some(unit)) if unit.split(' ').next() == Some(money) => Some(unit),
        (Some(money), Some(unit)) => Some(format!("{money} {unit}")),
        (Some(money), None) => Some(money.to_owned()),
        (None, unit) => unit,
    };
    let literal = tokens[..used].iter().filter(|t| t.token != Token::Symbol('-')).collect::<Vec<_>>();
    let decimals = match (literal.as_slice(), tail.scale) {
        ([Spaced { token: Token::Number(text), .. }], None) if !text.contains('e') => {
            text.split_once('.').map(|(_, fraction)| fraction.len())
        }
        _ => None,
    };
    Ok(Number { value, percent: tail.percent, unit, variable: None, decimals })
}

/// Tokens with one space between them; groups of one token lose their braces, numbers their needless zeros,
/// words their article.
fn normal_text(tokens: &[Spaced<'_>]) -> String {
    let words = tokens.iter().all(|t| matches!(t.token, Token::Word { .. }));
    let letters: usize =
        tokens.iter().map(|t| if let Token::Word { text, .. } = t.token { text.len() } else { 0 }).sum();
    if words && letters >= 3 {
        let all = tokens
            .iter()
            .filter_map(|t| if let Token::Word { text, .. } = t.token { Some(text) } else { None });
        let mut all: Vec<String> = all.map(str::to_lowercase).collect();
        if all.len() > 1 && matches!(all[0].as_str(), "a" | "an" | "the") {
            all.remove(0);
        }
        return all.join(" ");
    }
    let mut out: Vec<String> = Vec::with_capacity(tokens.len());
    let mut open = Vec::new();
    // arguments still owed to a `\frac` or `\sqrt`: without braces they are one digit
    let mut owed = 0;
    for Spaced { token, .. } in tokens {
        match token {
            Token::Open => {
                open.push((out.len(), owed));
                owed = 0;
                out.push("{".into());
            }
            Token::Close => {
                let Some((at, before)) = open.pop() else { continue };
                owed = usize::saturating_sub(before, 1);
                if out.len() == at + 2 {
                    out.remove(at);
                } else {
                    out.push("}".into());
                }
            }
            Token::Number(text) => {
                let mut text = text.as_ref();
                while owed > 0 && text.len() > 1 && text.starts_with(|c: char| c.is_ascii_digit()) {
                    out.push(text[..1].to_owned());
                    text = &text[1..];
                    owed -= 1;
                }
                owed = owed.saturating_sub(1);
                out.push(decimal(text));
            }
            Token::Word { text, .. } => {
                owed = owed.saturating_sub(1);
                out.push((*text).to_owned());
            }
            Token::Command(name) => {
                owed = match *name {
                    "frac" => 2,
                    "sqrt" => 1,
                    _ => owed.saturating_sub(1),
                };
                out.push(format!("\\{name}"));
            }
            Token::Symbol(c) => {
                owed = 0;
                out.push(c.to_string());
            }
        }
    }
    out.join(" ")
}

/// A number as written, without zeros that say nothing.
fn decimal(text: &str) -> String {
    if !text.contains('.') || text.contains('e') {
        return text.to_owned();
    }
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text.is_empty() || text.starts_with('.') { format!("0{text}") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn shown(text: &str) -> String {
        match read(text).unwrap() {
            Reading::Number(number) => number.to_string(),
            Reading::Text(text) => format!("text: {text}"),
        }
    }

    #[test]
    fn numbers_are_read_with_what_stands_around_them() {
        for (text, right) in [
            ("$18$", "18"),
            ("**18**.", "18"),
            (r"\(\frac{3}{4}\)", "3/4"),
            ("$18", "18 dollar"),
            (r"-\$1,250.50", "-2501/2 dollar"),
            (r"\$-5", "-5 dollar"),
            ("$18 per day", "18 dollar per day"),
            ("12 €", "12 euro"),
            (r"28\%", "28%"),
            (r"$x = 5$", "x = 5"),
            (r"x_{1}=\frac12", "x_1 = 1/2"),
            (r"\theta = 45^{\circ}", "theta = 45 degree"),
            ("2+3 = 5", "5"),
            (r"18\mathrm{~min}", "18 minute"),
            ("3 million", "3000000"),
            (r"{5}", "5"),
            (r"\boxed{\text{7}}", "7"),
            (r"7\,", "7"),
        ] {
            assert_eq!(shown(text), right, "{text}");
        }
    }

    #[test]
    fn what_is_no_single_number_is_text() {
        for text in [
            "5 or 6",
            "5, 6",
            "0=5",
            "6=5",
            "2+3=6",
            "12_3",
            r"7\pi",
            "(1,2)",
            "x=1 or x=5",
            "five",
            "$5$6",
            "1 # 2",
        ] {
            assert!(shown(text).starts_with("text: "), "{text}: {}", shown(text));
        }
    }

    #[test]
    fn text_has_one_form_whatever_its_typesetting() {
        for (a, b) in [
            (r"\text{Even}", "even"),
            (r"2\sqrt2", r"2\sqrt{2}"),
            (r"\dfrac{\pi}{2}", r"\frac\pi2"),
            (r"\left(1, 2\right)", "(1,2)"),
            (r"x^{2}+1", "x^2 + 1"),
            (r"\frac{\sqrt3}{2}", r"\frac{\sqrt{3}}2"),
            ("0.50x", ".5x"),
            ("an answer", "answer"),
        ] {
            assert_eq!(shown(a), shown(b));
        }
        for (a, b) in [
            ("1, 2", "12x"),
            (r"\frac{1}{25}x", r"\frac{1}{2}5x"),
            ("stop", "post"),
            ("A", "a"),
            ("(1,2)", "[1,2]"),
        ] {
            assert_ne!(shown(a), shown(b));
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in r"(\PC|[-+*/^(){}$\\.,=0-9a-z% ]|\\frac|\\boxed\{|\\text\{|\\left|10\^){0,200}") {
            let first = read(&text);
            prop_assert_eq!(first, read(&text));
        }

        #[test]
        fn zeros_and_typesetting_do_not_change_a_number(top in -5000i64..5000, bottom in 1i64..900) {
            let plain = read(&format!("{top}/{bottom}")).unwrap();
            let tex = read(&format!(r"$\left(\dfrac{{{top}}}{{{bottom}}}\right)$")).unwrap();
            let padded = read(&format!(" {top}.00/{bottom} "));
            prop_assert_eq!(&plain, &tex);
            prop_assert_eq!(plain, padded.unwrap());
        }
    }
}
