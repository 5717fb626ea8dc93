//! Tokens of an answer, in LaTeX or plain text alike: spellings of the same thing (`\dfrac`, `\left(`,
//! `1{,}000`, `×`) become the same tokens here, so that nothing after it knows how an answer was typeset.

use crate::limits::{ANSWER_BYTES, DEPTH, DIGITS, LimitError};
use std::borrow::Cow;

/// One token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Token<'a> {
    /// Digits with at most one point and one exponent, without separators of thousands.
    Number(Cow<'a, str>),
    /// A run of letters. `roman`: set as text, so no product of variables.
    Word { text: &'a str, roman: bool },
    /// A LaTeX command, without its backslash.
    Command(&'a str),
    /// Anything else; `{` and `}` are the braces of a set.
    Symbol(char),
    /// A brace that groups.
    Open,
    /// The end of a group.
    Close,
}

/// A token and whether space or markup stood before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Spaced<'a> {
    pub token: Token<'a>,
    pub spaced: bool,
}

/// Commands that only change how something looks.
const INVISIBLE: [&str; 22] = [
    "left",
    "right",
    "big",
    "Big",
    "bigg",
    "Bigg",
    "bigl",
    "bigr",
    "Bigl",
    "Bigr",
    "biggl",
    "biggr",
    "Biggl",
    "Biggr",
    "displaystyle",
    "textstyle",
    "limits",
    "quad",
    "qquad",
    "thinspace",
    "boldsymbol",
    "bm",
];
/// Commands whose argument is text.
const TEXT: [&str; 14] = [
    "text",
    "mathrm",
    "mbox",
    "textbf",
    "textit",
    "textrm",
    "textnormal",
    "texttt",
    "mathbf",
    "mathit",
    "operatorname",
    "hbox",
    "rm",
    "bf",
];
/// Commands around a whole answer.
const WRAPPERS: [&str; 3] = ["boxed", "fbox", "ensuremath"];
/// What may separate groups of three digits.
const SEPARATORS: [&str; 11] =
    [",\\! ", "{,}\\!", "{,}", ",\\!", ",", "{\\,}", "\\,", "\\ ", " ", "\u{a0}", "\u{202f}"];

/// The tokens of an answer.
///
/// # Errors
/// Over the limits of bytes, digits or depth, or with braces that do not match.
pub(crate) fn lex(text: &str) -> Result<Vec<Spaced<'_>>, LimitError> {
    if text.len() > ANSWER_BYTES {
        return Err(LimitError::Bytes(text.len()));
    }
    let dollars = text.matches('$').count() - text.matches("\\$").count();
    let mut lexer = Lexer {
        text,
        at: 0,
        spaced: false,
        tokens: Vec::new(),
        braces: Vec::new(),
        brackets: 0,
        // math is set between dollar signs; a single one is money
        currency: dollars % 2 == 1,
    };
    while lexer.at < text.len() {
        lexer.step()?;
    }
    if lexer.braces.is_empty() { Ok(lexer.tokens) } else { Err(LimitError::Braces) }
}

/// What an open brace belongs to.
#[derive(Clone, Copy, PartialEq)]
enum Brace {
    Group,
    /// Not a token: its command stands for the look of what is inside.
    Hidden {
        roman: bool,
    },
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    spaced: bool,
    tokens: Vec<Spaced<'a>>,
    braces: Vec<Brace>,
    brackets: usize,
    currency: bool,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn push(&mut self, token: Token<'a>) {
        self.tokens.push(Spaced { token, spaced: self.spaced });
        self.spaced = false;
    }

    fn skip(&mut self, bytes: usize) {
        self.at += bytes;
        self.spaced = true;
    }

    fn deeper(&self) -> Result<(), LimitError> {
        if self.braces.len() + self.brackets >= DEPTH { Err(LimitError::Depth) } else { Ok(()) }
    }

    fn step(&mut self) -> Result<(), LimitError> {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return Ok(()) };
        match c {
            c if c.is_whitespace() || c == '~' => self.skip(c.len_utf8()),
            '\\' => return self.command(),
            '0'..='9' => return self.number(),
            '.' if rest[1..].starts_with(|d: char| d.is_ascii_digit()) && !self.touches_number() => {
                return self.number();
            }
            '{' => {
                self.at += 1;
                self.deeper()?;
                self.braces.push(Brace::Group);
                self.push(Token::Open);
            }
            '}' => {
                self.at += 1;
                match self.braces.pop() {
                    None => return Err(LimitError::Braces),
                    Some(Brace::Group) => self.push(Token::Close),
                    Some(Brace::Hidden { .. }) => self.spaced = true,
                }
            }
            '*' if rest.starts_with("**") => self.stars(),
            '$' if !self.currency => self.skip(1),
            c if c.is_alphabetic() => self.word(),
            c => {
                self.at += c.len_utf8();
                self.symbol(c)?;
            }
        }
        Ok(())
    }

    fn symbol(&mut self, c: char) -> Result<(), LimitError> {
        match c {
            '−' | '–' | '—' | '﹣' | '－' => self.push(Token::Symbol('-')),
            '×' | '·' | '⋅' | '∗' | '∙' => self.push(Token::Symbol('*')),
            '÷' | '∕' | '⁄' => self.push(Token::Symbol('/')),
            '％' => self.push(Token::Symbol('%')),
            '＋' => self.push(Token::Symbol('+')),
            '＝' => self.push(Token::Symbol('=')),
            '，' => self.push(Token::Symbol(',')),
            '°' => {
                self.push(Token::Symbol('^'));
                self.push(Token::Command("circ"));
            }
            '²' | '³' => {
                self.push(Token::Symbol('^'));
                self.push(Token::Number(Cow::Borrowed(if c == '²' { "2" } else { "3" })));
            }
            '√' => self.push(Token::Command("sqrt")),
            '∞' => self.push(Token::Command("infty")),
            '(' | '[' => {
                self.deeper()?;
                self.brackets += 1;
                self.push(Token::Symbol(c));
            }
            ')' | ']' => {
                // half-open intervals close what they did not open
                self.brackets = self.brackets.saturating_sub(1);
                self.push(Token::Symbol(c));
            }
            c => self.push(Token::Symbol(c)),
        }
        Ok(())
    }

    /// `**` is a power between two operands, and bold elsewhere.
    fn stars(&mut self) {
        let operand = |c: char| c.is_alphanumeric() || c == '(' || c == ')';
        let before = self.text[..self.at].chars().next_back().is_some_and(operand);
        let after = self.text[self.at + 2..].chars().next().is_some_and(|c| operand(c) || c == '-');
        if before && after {
            self.at += 2;
            self.push(Token::Symbol('^'));
        } else {
            self.skip(2);
        }
    }

    fn word(&mut self) {
        let rest = self.rest();
        let end = rest
            .char_indices()
            .find(|&(i, c)| {
                let inside =
                    matches!(c, '\'' | '’') && rest[i + c.len_utf8()..].starts_with(char::is_alphabetic);
                !c.is_alphabetic() && !inside
            })
            .map_or(rest.len(), |(i, _)| i);
        self.at += end;
        let roman = self.braces.contains(&Brace::Hidden { roman: true });
        self.push(Token::Word { text: &rest[..end], roman });
    }

    fn command(&mut self) -> Result<(), LimitError> {
        let rest = &self.rest()[1..];
        let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
        if end == 0 {
            let Some(c) = rest.chars().next() else {
                self.skip(1);
                return Ok(());
            };
            let bytes = 1 + c.len_utf8();
            match c {
                ',' | ';' | ':' | '!' | '/' | '(' | ')' | '[' | ']' => self.skip(bytes),
                c if c.is_whitespace() => self.skip(bytes),
                _ => {
                    self.at += bytes;
                    self.push(Token::Symbol(c));
                }
            }
            return Ok(());
        }
        let name = &rest[..end];
        self.at += 1 + end;
        if INVISIBLE.contains(&name) {
            self.spaced = true;
        } else if TEXT.contains(&name) || WRAPPERS.contains(&name) {
            self.spaced = true;
            let blank = self.rest().len() - self.rest().trim_start().len();
            if self.rest()[blank..].starts_with('{') {
                self.at += blank + 1;
                self.deeper()?;
                self.braces.push(Brace::Hidden { roman: TEXT.contains(&name) });
            }
        } else {
            match name {
                "dfrac" | "tfrac" | "cfrac" => self.push(Token::Command("frac")),
                "cdot" | "times" | "ast" => self.push(Token::Symbol('*')),
                "div" => self.push(Token::Symbol('/')),
                "lbrace" => self.push(Token::Symbol('{')),
                "rbrace" => self.push(Token::Symbol('}')),
                "degree" => {
                    self.push(Token::Symbol('^'));
                    self.push(Token::Command("circ"));
                }
                "leq" => self.push(Token::Command("le")),
                "geq" => self.push(Token::Command("ge")),
                name => self.push(Token::Command(name)),
            }
        }
        Ok(())
    }

    fn touches_number(&self) -> bool {
        !self.spaced && matches!(self.tokens.last(), Some(Spaced { token: Token::Number(_), .. }))
    }

    fn number(&mut self) -> Result<(), LimitError> {
        let rest = self.rest();
        let whole = digits(rest);
        let (mut value, mut end) = (Cow::Borrowed(&rest[..whole]), whole);
        if (1..=3).contains(&whole)
            && !rest.starts_with('0')
            && !self.touches_number()
            && let Some(separator) = SEPARATORS.iter().find(|s| group(&rest[end..], s).is_some())
        {
            let mut grouped = rest[..whole].to_owned();
            while let Some(group) = group(&rest[end..], separator) {
                grouped.push_str(group);
                end += separator.len() + group.len();
            }
            // `3 100/7` is a mixed number or two numbers
            if *separator == " " && rest[end..].starts_with('/') {
                end = whole;
            } else {
                value = Cow::Owned(grouped);
            }
        }
        if rest[end..].starts_with('.') {
            let fraction = digits(&rest[end + 1..]);
            if fraction > 0 {
                value.to_mut().push_str(&rest[end..end + 1 + fraction]);
                end += 1 + fraction;
            }
        }
        if let Some(power) = rest[end..].strip_prefix(['e', 'E']) {
            let sign = usize::from(power.starts_with(['+', '-']));
            let size = digits(&power[sign..]);
            let next = power[sign + size..].chars().next();
            if size > 0 && !next.is_some_and(|c| c.is_alphanumeric() || c == '.') {
                value.to_mut().push('e');
                value.to_mut().push_str(&power[..sign + size]);
                end += 1 + sign + size;
            }
        }
        if end > DIGITS {
            return Err(LimitError::Digits(value.len()));
        }
        self.at += end;
        self.push(Token::Number(value));
        Ok(())
    }
}

/// Length of the run of ASCII digits at the start.
fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}

/// The group of exactly three digits after a separator.
fn group<'a>(text: &'a str, separator: &str) -> Option<&'a str> {
    let rest = text.strip_prefix(separator)?;
    (digits(rest) == 3).then(|| &rest[..3])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<String> {
        let tokens = lex(text).unwrap().into_iter();
        tokens
            .map(|t| match t.token {
                Token::Number(n) => n.into_owned(),
                other => format!("{other:?}"),
            })
            .collect()
    }

    #[test]
    fn separators_of_thousands_are_removed_whatever_they_are() {
        for text in [
            "1,234,567",
            "1{,}234{,}567",
            r"1\,234\,567",
            r"1,\!234,\!567",
            "1 234 567",
            "1\u{202f}234\u{202f}567",
        ] {
            assert_eq!(numbers(text), ["1234567"], "{text}");
        }
        assert_eq!(numbers("12,345.50"), ["12345.50"]);
        assert_eq!(numbers("1.5e-3"), ["1.5e-3"]);
    }

    #[test]
    fn commas_that_do_not_group_three_digits_separate() {
        for text in ["1,23", "0,245", "1234,567", "1,2345", "12,34,567"] {
            assert!(numbers(text).len() > 1, "{text}: {:?}", numbers(text));
        }
    }

    #[test]
    fn typesetting_leaves_no_trace() {
        let kinds = |text| lex(text).unwrap().into_iter().map(|t| t.token).collect::<Vec<_>>();
        assert_eq!(kinds(r"\left( \dfrac{1}{2} \right)"), kinds(r"(\frac{1}{2})"));
        assert_eq!(kinds(r"90^{\circ}").len(), 5);
        assert_eq!(kinds("90°"), kinds(r"90^\circ"));
        assert_eq!(kinds(r"$\boxed{7}$"), kinds("7"));
    }

    #[test]
    fn what_is_too_long_too_deep_or_unbalanced_is_refused() {
        assert_eq!(lex(&"9".repeat(200_000)), Err(LimitError::Bytes(200_000)));
        assert_eq!(lex(&"9".repeat(1001)), Err(LimitError::Digits(1001)));
        for bracket in ["(", "[", "{", r"\text{"] {
            assert_eq!(lex(&bracket.repeat(65)), Err(LimitError::Depth), "{bracket}");
        }
        assert_eq!(lex("}"), Err(LimitError::Braces));
        assert_eq!(lex("{1"), Err(LimitError::Braces));
    }
}
