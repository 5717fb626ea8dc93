//! Tokens of LaTeX and plain text. What only changes the look of an answer (`\left`, `\displaystyle`, thin
//! spaces, fonts) ends here; what is written in several ways (`\dfrac`, `≤`, `**`) becomes one.

mod names;

use crate::limits::{DIGITS, LimitError, NODES};
use names::{FONT, LOOK, SPACE, TEXT, canonical, synonym};
use std::borrow::Cow;

/// What a token is.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind<'a> {
    /// A number without sign: digits, at most one point, at most one exponent after `e`.
    Number(Cow<'a, str>),
    /// A run of letters.
    Letters(&'a str),
    /// A LaTeX command, without its backslash.
    Command(&'a str),
    /// The content of `\text{...}` and the like.
    Text(&'a str),
    /// An operator or bracket. `{` and `}` are the escaped, visible ones.
    Symbol(char),
    /// `{`, which only groups.
    Open,
    /// `}`.
    Close,
    /// `\\`: the end of a row.
    Row,
    /// `\begin{...}`.
    Begin(&'a str),
    /// `\end{...}`.
    End(&'a str),
}

/// A token.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Token<'a> {
    /// What it is.
    pub kind: Kind<'a>,
    /// Whether there is space before it.
    pub spaced: bool,
    /// Where it starts, in bytes.
    pub at: usize,
}

/// How a comma between digits is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Commas {
    /// Groups of three digits are one number.
    Thousands,
    /// It separates.
    Separate,
    /// It is the decimal point.
    Decimal,
}

/// The tokens of a text.
pub(crate) fn tokens(text: &str, commas: Commas) -> Result<Vec<Token<'_>>, LimitError> {
    let mut lexer = Lexer {
        text,
        at: 0,
        commas,
        environments: 0,
        out: Vec::with_capacity(16),
        spaced: false,
        brackets: 0,
    };
    while lexer.at < text.len() {
        lexer.step()?;
        if lexer.out.len() > NODES {
            return Err(LimitError::Nodes);
        }
    }
    Ok(lexer.out)
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
    commas: Commas,
    environments: usize,
    out: Vec<Token<'a>>,
    spaced: bool,
    /// Open brackets, in which a comma separates.
    brackets: usize,
}

impl<'a> Lexer<'a> {
    fn push(&mut self, kind: Kind<'a>, length: usize) {
        match kind {
            Kind::Symbol('(' | '[' | '{') => self.brackets += 1,
            Kind::Symbol(')' | ']' | '}') => self.brackets = self.brackets.saturating_sub(1),
            _ => {}
        }
        self.out.push(Token { kind, spaced: self.spaced, at: self.at });
        self.spaced = false;
        self.at += length;
    }

    fn skip(&mut self, length: usize) {
        self.spaced = true;
        self.at += length;
    }

    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn step(&mut self) -> Result<(), LimitError> {
        let rest = self.rest();
        let Some(c) = rest.chars().next() else { return Ok(()) };
        match c {
            '0'..='9' => return self.number(),
            '.' if rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit) => return self.number(),
            'a'..='z' | 'A'..='Z' => {
                let end = rest.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(rest.len());
                self.push(Kind::Letters(&rest[..end]), end);
            }
            '\\' => return self.command(),
            '{' => self.push(Kind::Open, 1),
            '}' => self.push(Kind::Close, 1),
            '*' if rest.starts_with("**") => self.push(Kind::Symbol('^'), 2),
            '<' if rest.starts_with("<=") => self.push(Kind::Symbol('≤'), 2),
            '>' if rest.starts_with(">=") => self.push(Kind::Symbol('≥'), 2),
            '!' if rest.starts_with("!=") => self.push(Kind::Symbol('≠'), 2),
            '=' if rest.starts_with("==") => self.push(Kind::Symbol('='), 2),
            '-' if rest.starts_with("->") => self.push(Kind::Command("to"), 2),
            '$' | '~' => self.skip(1),
            c if c.is_whitespace()
                || matches!(c, '\u{200b}' | '\u{2061}' | '\u{feff}' | '\u{200e}' | '\u{200f}') =>
            {
                self.skip(c.len_utf8());
            }
            '\'' | '’' | '′' => self.push(Kind::Symbol('\''), c.len_utf8()),
            '″' => self.push(Kind::Symbol('"'), c.len_utf8()),
            c => self.unicode(c),
        }
        Ok(())
    }

    fn unicode(&mut self, c: char) {
        let length = c.len_utf8();
        let symbol = match c {
            '−' | '–' | '—' | '－' | '‐' | '‑' => '-',
            '×' | '·' | '⋅' | '∙' | '∗' | '•' | '⋆' => '*',
            '÷' | '∕' | '⁄' => '/',
            '，' | '、' | '،' => ',',
            '；' => ';',
            '：' | '∶' => ':',
            '（' => '(',
            '）' => ')',
            '［' => '[',
            '］' => ']',
            '＝' => '=',
            '＜' => '<',
            '＞' => '>',
            '≦' | '⩽' => '≤',
            '≧' | '⩾' => '≥',
            '％' => '%',
            '。' => '.',
            '∣' | '｜' => '|',
            'º' | '˚' => '°',
            '＋' => '+',
            '…' => '…',
            other => other,
        };
        let command = match c {
            'π' => "pi",
            '√' => "sqrt",
            '∞' => "infty",
            '∪' => "cup",
            '∩' => "cap",
            '∈' => "in",
            '∉' => "notin",
            'θ' => "theta",
            'α' => "alpha",
            'β' => "beta",
            'γ' => "gamma",
            'λ' => "lambda",
            'μ' => "mu",
            'φ' | 'ϕ' => "phi",
            'ω' => "omega",
            'σ' => "sigma",
            'ρ' => "rho",
            'Δ' => "Delta",
            '∅' => "emptyset",
            'ℝ' => "R",
            'ℤ' => "Z",
            '→' => "to",
            '≡' => "equiv",
            '±' => "pm",
            '∓' => "mp",
            '≈' | '≃' => "approx",
            '∠' => "angle",
            '⊂' | '⊆' => "subset",
            '∛' => "cbrt",
            '½' | '¼' | '¾' | '²' | '³' | '¹' => "",
            c if word(c) => {
                let rest = self.rest();
                let end = rest.find(|c| !word(c)).unwrap_or(rest.len());
                return self.push(Kind::Text(&rest[..end]), end);
            }
            _ => return self.push(Kind::Symbol(symbol), length),
        };
        if !command.is_empty() {
            return self.push(Kind::Command(command), length);
        }
        let power = |digit| [Kind::Symbol('^'), Kind::Number(Cow::Borrowed(digit))];
        let fraction =
            |a, b| [Kind::Command("frac"), Kind::Number(Cow::Borrowed(a)), Kind::Number(Cow::Borrowed(b))];
        let kinds = match c {
            '½' => fraction("1", "2").to_vec(),
            '¼' => fraction("1", "4").to_vec(),
            '¾' => fraction("3", "4").to_vec(),
            '²' => power("2").to_vec(),
            '³' => power("3").to_vec(),
            _ => power("1").to_vec(),
        };
        for kind in kinds {
            self.push(kind, 0);
        }
        self.at += length;
    }

    /// A number with its separators of thousands and its exponent.
    fn number(&mut self) -> Result<(), LimitError> {
        let rest = self.rest();
        let bytes = rest.as_bytes();
        let digits = |from: usize| bytes[from..].iter().take_while(|b| b.is_ascii_digit()).count();
        let whole = digits(0);
        let mut at = whole;
        let mut text = Cow::Borrowed(&rest[..whole]);
        let grouped = (1..=3).contains(&whole) && bytes[0] != b'0' && self.commas != Commas::Separate;
        loop {
            let plain_comma = rest[at..].starts_with(',');
            let Some(gap) = separator(&rest[at..]).filter(|_| grouped) else { break };
            if plain_comma && (self.brackets > 0 && gap == 1 || self.commas == Commas::Decimal) {
                break;
            }
            if digits(at + gap) != 3 {
                break;
            }
            text.to_mut().push_str(&rest[at + gap..at + gap + 3]);
            at += gap + 3;
        }
        let decimal_comma = self.commas == Commas::Decimal && bytes.get(at) == Some(&b',');
        let point = (bytes.get(at) == Some(&b'.') || decimal_comma)
            && (digits(at + 1) > 0
                || ["\\overline", "\\bar", "\\dot"].iter().any(|c| rest[at + 1..].starts_with(c)));
        if point {
            let fraction = digits(at + 1);
            text.to_mut().push('.');
            text.to_mut().push_str(&rest[at + 1..at + 1 + fraction]);
            at += 1 + fraction;
        } else if bytes.get(at) == Some(&b'.')
            && whole > 0
            && digits(at + 1) == 0
            && at + 1 == rest.trim_end().len()
        {
            at += 1;
        }
        if text.len() > DIGITS {
            return Err(LimitError::Digits(text.len()));
        }
        if matches!(bytes.get(at), Some(b'e' | b'E')) {
            let sign = usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-')));
            let exponent = digits(at + 1 + sign);
            let ends = !bytes.get(at + 1 + sign + exponent).is_some_and(u8::is_ascii_alphabetic);
            if exponent > 0 && ends {
                if exponent > 6 {
                    return Err(LimitError::Exponent);
                }
                text.to_mut().push('e');
                text.to_mut().push_str(&rest[at + 1..at + 1 + sign + exponent]);
                at += 1 + sign + exponent;
            }
        }
        self.push(Kind::Number(text), at);
        Ok(())
    }

    fn command(&mut self) -> Result<(), LimitError> {
        let rest = self.rest();
        let body = &rest[1..];
        let length = body.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(body.len());
        if length == 0 {
            self.control(body);
            return Ok(());
        }
        let name = &body[..length];
        let after = 1 + length;
        if LOOK.contains(&name) {
            // `\left.` and `\right.` are no brackets
            let none = matches!(name, "left" | "right") && body[length..].trim_start().starts_with('.');
            let blank = body[length..].len() - body[length..].trim_start().len();
            self.at += after + if none { blank + 1 } else { 0 };
            return Ok(());
        }
        if let Some(space) = SPACE.iter().find(|s| name == **s || (name.starts_with("quad") && **s == "quad"))
        {
            self.skip(1 + space.len());
            if name.ends_with("space") && self.rest().starts_with('{') || name.ends_with("phantom") {
                let group = group(self.rest()).map_or(0, |inner| inner.len() + 2);
                self.skip(group);
            }
            return Ok(());
        }
        if TEXT.contains(&name) {
            let spaces = body[length..].len() - body[length..].trim_start().len();
            if let Some(inner) = group(&rest[after + spaces..]) {
                self.push(Kind::Text(inner), after + spaces + inner.len() + 2);
                return Ok(());
            }
        }
        if FONT.contains(&name) {
            self.at += after;
            if name.ends_with("color")
                && let Some(inner) = group(self.rest())
            {
                self.at += inner.len() + 2;
            }
            return Ok(());
        }
        if let ("begin" | "end", Some(inner)) = (name, group(&rest[after..])) {
            let kind = if name == "begin" { Kind::Begin(inner) } else { Kind::End(inner) };
            self.environments =
                if name == "begin" { self.environments + 1 } else { self.environments.saturating_sub(1) };
            self.push(kind, after + inner.len() + 2);
            if name == "begin"
                && inner == "array"
                && let Some(columns) = group(self.rest())
            {
                self.at += columns.len() + 2;
            }
            return Ok(());
        }
        match synonym(name) {
            Some(symbol) => self.push(Kind::Symbol(symbol), after),
            None => self.push(Kind::Command(canonical(name)), after),
        }
        Ok(())
    }

    /// A backslash before something that is no letter.
    fn control(&mut self, body: &'a str) {
        let Some(c) = body.chars().next() else { return self.skip(1) };
        let length = 1 + c.len_utf8();
        match c {
            ',' | ';' | ':' | '!' | ' ' | '\n' | '>' | '/' | '-' | '@' | '_' => self.skip(length),
            '{' | '}' | '%' | '$' | '&' | '#' => self.push(Kind::Symbol(c), length),
            '|' => self.push(Kind::Symbol('‖'), length),
            '\\' => {
                // text that was escaped twice
                let twice = self.environments == 0
                    && body[1..].starts_with(|c: char| c.is_ascii_alphabetic() || "{}%$,!".contains(c));
                if twice { self.at += 1 } else { self.push(Kind::Row, length) }
            }
            // brackets of mathematics in text
            '(' | ')' | '[' | ']' => self.skip(length),
            _ => self.skip(length),
        }
    }
}

/// Whether a character is a letter of a script that mathematics takes no variables from.
fn word(c: char) -> bool {
    !c.is_ascii()
        && (c.is_alphabetic() || ('\u{900}'..='\u{97f}').contains(&c))
        && !('α'..='ω').contains(&c)
        && !('Α'..='Ω').contains(&c)
}

/// Length of a separator of thousands at the start of a text.
fn separator(text: &str) -> Option<usize> {
    const SEPARATORS: [&str; 14] = [
        ",\\!\\,", ",\\!", "{,}", "{, }", " {,}", " {, }", "{,\\!}", "\\,", "\\!", "\\ ", ",", "~", " ",
        "\u{a0}",
    ];
    const THIN: [&str; 2] = ["\u{202f}", "\u{2009}"];
    let found = SEPARATORS.iter().chain(&THIN).find(|s| text.starts_with(**s))?;
    // `32,\! 349`
    let space = usize::from(found.ends_with("\\!") && text[found.len()..].starts_with(' '));
    Some(found.len() + space)
}

/// The content of a group at the start of a text.
pub(crate) fn group(text: &str) -> Option<&str> {
    let bytes = text.as_bytes();
    if bytes.first() != Some(&b'{') {
        return None;
    }
    let mut depth = 0usize;
    let mut i = 0;
    while i < bytes.len() {
        match bytes[i] {
            b'\\' => i += 1,
            b'{' => depth += 1,
            b'}' => {
                depth -= 1;
                if depth == 0 {
                    return Some(&text[1..i]);
                }
            }
            _ => {}
        }
        i += 1;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<String> {
        let tokens = tokens(text, Commas::Thousands).unwrap();
        tokens
            .into_iter()
            .filter_map(|t| match t.kind {
                Kind::Number(n) => Some(n.into_owned()),
                _ => None,
            })
            .collect()
    }

    #[test]
    fn thousands_are_grouped_by_threes_and_lists_are_not() {
        for text in ["1,234", "1{,}234", "1 234", r"1,\!234", r"1\,234", r"1,\! 234"] {
            assert_eq!(numbers(text), ["1234"], "{text}");
        }
        assert_eq!(numbers("1, 234"), ["1", "234"]);
        assert_eq!(numbers("2500,7500"), ["2500", "7500"]);
        assert_eq!(numbers("0,111"), ["0", "111"]);
        assert_eq!(numbers("1.5e-3 4e"), ["1.5e-3", "4"]);
    }

    #[test]
    fn spellings_of_one_thing_are_one_token() {
        let kinds =
            |text| tokens(text, Commas::Thousands).unwrap().into_iter().map(|t| t.kind).collect::<Vec<_>>();
        assert_eq!(kinds(r"\left(\dfrac12\right)"), kinds(r"(\frac12)"));
        assert_eq!(kinds(r"x \leqslant 2 \cdot y"), kinds("x<=2*y"));
        assert_eq!(kinds(r"\\frac{1}{2}"), kinds(r"\frac{1}{2}"));
        assert_eq!(kinds(r"\begin{pmatrix}1\\x\end{pmatrix}")[2], Kind::Row);
    }

    #[test]
    fn a_number_beyond_the_limit_is_refused() {
        assert_eq!(tokens(&"9".repeat(2000), Commas::Thousands), Err(LimitError::Digits(2000)));
    }
}
