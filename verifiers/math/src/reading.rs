//! How the text of an answer is read: marks of layout are taken off, then it is mathematics, words, or mathematics
//! as words where it has a form that is not known here.

use crate::lex::{Commas, Kind, Token, tokens};
use crate::limits::{ANSWER_BYTES, LimitError};
use crate::parse::{Stop, parse};
use crate::tree::Expr;
use crate::words;
use crate::work::Work;
use std::borrow::Cow;
use std::fmt;

/// An answer as read.
#[derive(Clone, Debug)]
pub struct Reading {
    /// Its tree.
    pub expr: Expr,
    /// Its text, layout aside: what answers that cannot be understood are compared by.
    pub(crate) plain: Box<str>,
    /// The text itself, for other readings of its commas.
    pub(crate) text: Box<str>,
    /// Whether it is mathematics or words, rather than mathematics in a form that is not known here.
    pub(crate) understood: bool,
}

impl fmt::Display for Reading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.expr.fmt(f)
    }
}

impl Reading {
    /// Whether it is words rather than mathematics.
    pub(crate) fn is_words(&self) -> bool {
        has_words(&self.expr)
    }

    /// A normal form, the same for `0.5` and `\frac12`: what majority votes count.
    pub fn normal(&self) -> String {
        match &self.expr {
            Expr::Based(..) | Expr::Quantity(..) | Expr::Percent(_) => self.to_string(),
            expr => crate::number::exact::value(expr, &Work::default())
                .map_or_else(|| self.to_string(), |value| value.to_string()),
        }
    }
}

/// Reads an answer.
///
/// # Errors
/// When it is empty or beyond a limit. What is not understood as mathematics is text, which is no error.
pub fn read(text: &str) -> Result<Reading, LimitError> {
    read_with(text, Commas::Thousands)
}

pub(crate) fn read_with(text: &str, commas: Commas) -> Result<Reading, LimitError> {
    if text.len() > ANSWER_BYTES {
        return Err(LimitError::Bytes(text.len()));
    }
    let digits = ascii_digits(text);
    let inner = unwrapped(&digits);
    if inner.is_empty() {
        return Err(LimitError::Empty);
    }
    if let Some(expr) = integer(inner) {
        return Ok(Reading { expr, plain: inner.into(), text: inner.into(), understood: true });
    }
    if !closes(inner) {
        return Err(LimitError::Braces);
    }
    let tokens = tokens(inner, commas)?;
    if !balanced(&tokens) {
        return Err(LimitError::Braces);
    }
    let plain = plain(&tokens);
    let (expr, understood) = if let Some(words) = prose(inner, &tokens) {
        (Expr::Text(words.into()), true)
    } else {
        match parse(&tokens) {
            Ok(expr) => (unlabelled(expr), true),
            Err(Stop::Limit(limit)) => return Err(limit),
            Err(Stop::Syntax) => {
                (Expr::Text(words::normal(&plain).into()), only_words(&tokens) || well_formed(&tokens))
            }
        }
    };
    // signs alone, such as a colon: nothing is left of them as text
    if matches!(&expr, Expr::Text(words) if words.is_empty()) {
        return Err(LimitError::Empty);
    }
    Ok(Reading { expr, plain: plain.into(), text: inner.into(), understood })
}

/// Whether an answer is words, or has words for factors or terms.
pub(crate) fn has_words(expr: &Expr) -> bool {
    let factors = |v: &[Expr]| v.iter().any(|e| matches!(e, Expr::Text(_)));
    match expr {
        Expr::Text(_) => true,
        Expr::Product(v) | Expr::Sum(v) => factors(v),
        Expr::Quantity(inner, _) => has_words(inner),
        _ => false,
    }
}

/// Whether tokens that are no known mathematics can be words: they have a word, and none of mathematics' own signs.
fn only_words(tokens: &[Token<'_>]) -> bool {
    let word =
        |t: &Token<'_>| matches!(&t.kind, Kind::Letters(w) | Kind::Text(w) if w.trim().chars().count() > 1);
    let sign = |t: &Token<'_>| match &t.kind {
        Kind::Letters(_) | Kind::Text(_) | Kind::Number(_) | Kind::Open | Kind::Close => false,
        Kind::Symbol(c) => !".,;:'\"?!-()/&#%°".contains(*c) && !c.is_alphabetic(),
        _ => true,
    };
    tokens.iter().any(word) && !tokens.iter().any(sign)
}

/// Whether tokens that have no form that is known here are still whole: commands that are read, brackets that close, no
/// operator without its operand. They are compared as text.
fn well_formed(tokens: &[Token<'_>]) -> bool {
    let commands = tokens.iter().all(|t| match &t.kind {
        Kind::Command(name) => crate::parse::reads(name),
        Kind::Begin(name) => crate::parse::reads_environment(name),
        _ => true,
    });
    let mut depth = 0i64;
    let closed = tokens.iter().all(|t| {
        depth += match t.kind {
            Kind::Symbol('(' | '[' | '{' | '⌊' | '⌈') => 1,
            Kind::Symbol(')' | ']' | '}' | '⌋' | '⌉') => -1,
            _ => 0,
        };
        depth >= 0
    });
    let dangles = |kind: Option<&Kind<'_>>| {
        matches!(
            kind,
            Some(
                Kind::Symbol('+' | '-' | '*' | '/' | '^' | '_' | '=' | '≠' | '<' | '>' | '≤' | '≥')
                    | Kind::Command(
                        "pm" | "mp" | "cup" | "cap" | "setminus" | "in" | "notin" | "approx" | "to" | "mod"
                    )
            )
        )
    };
    commands && closed && depth == 0 && !dangles(tokens.last().map(|t| &t.kind))
}

/// The answer without a label in words before it, as in `Total: 18`.
fn unlabelled(expr: Expr) -> Expr {
    let label = |e: &Expr| match e {
        Expr::Text(words) => !crate::lexicon::no_label(words),
        Expr::Variable(name) => {
            name.len() > 3
                && name.chars().all(|c| c.is_ascii_alphabetic())
                && !crate::parse::is_letter(name)
                && !crate::lexicon::no_label(name)
        }
        _ => false,
    };
    match expr {
        Expr::Ratio(mut parts) if parts.len() == 2 && label(&parts[0]) => parts.remove(1),
        Expr::Relation(first, rest) => Expr::Relation(Box::new(unlabelled(*first)), rest),
        other => other,
    }
}

/// The text with the digits of other scripts as ASCII.
fn ascii_digits(text: &str) -> Cow<'_, str> {
    let digit = |c: char| {
        ['٠', '۰', '०', '０']
            .into_iter()
            .find_map(|zero| (c as u32).checked_sub(zero as u32).filter(|d| *d < 10))
    };
    if text.is_ascii() || !text.chars().any(|c| digit(c).is_some()) {
        return Cow::Borrowed(text);
    }
    let ascii = |c: char| match (digit(c), c) {
        (Some(d), _) => char::from(b'0' + d as u8),
        (None, '٫') => '.',
        (None, '٬') => ',',
        (None, other) => other,
    };
    Cow::Owned(text.chars().map(ascii).collect())
}

/// Whether no more groups open than close in a text: found before any of them is looked for.
fn closes(text: &str) -> bool {
    let (mut depth, mut escaped) = (0i64, false);
    for byte in text.bytes() {
        match byte {
            b'{' if !escaped => depth += 1,
            b'}' if !escaped => depth -= 1,
            _ => {}
        }
        escaped = byte == b'\\' && !escaped;
    }
    depth == 0
}

/// Whether every group that opens closes.
fn balanced(tokens: &[Token<'_>]) -> bool {
    let mut depth = 0i64;
    for token in tokens {
        depth += match token.kind {
            Kind::Open => 1,
            Kind::Close => -1,
            _ => 0,
        };
        if depth < 0 {
            return false;
        }
    }
    depth == 0
}

/// A short integer without any marks: most answers.
fn integer(text: &str) -> Option<Expr> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.is_empty() || digits.len() > 15 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    text.parse().ok().map(Expr::integer)
}

/// Pairs of marks around a whole answer.
const AROUND: [(&str, &str); 8] = [
    ("$$", "$$"),
    ("$", "$"),
    ("\\[", "\\]"),
    ("\\(", "\\)"),
    ("**", "**"),
    ("__", "__"),
    ("`", "`"),
    ("\"", "\""),
];

/// The answer without the marks around it, full stops and emphasis.
pub(crate) fn unwrapped(text: &str) -> &str {
    let mut text = text.trim();
    loop {
        let before = text.len();
        text = text.trim_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        text = text.trim_end_matches(['。', ';', ',', '،']).trim_start_matches(',');
        let stop = text
            .strip_suffix('.')
            .filter(|t| !t.ends_with('.'))
            .filter(|t| !t.ends_with("\\left") && !t.ends_with("\\right"));
        text = stop.unwrap_or(text).trim_end_matches("\\\\").trim();
        for command in ["\\quad", "\\qquad", "\\displaystyle"] {
            text = text.strip_prefix(command).filter(|t| !t.starts_with(char::is_alphabetic)).unwrap_or(text);
            text = text.strip_suffix(command).unwrap_or(text);
        }
        for (open, close) in AROUND {
            let inner = text.strip_prefix(open).and_then(|t| t.strip_suffix(close));
            if let Some(inner) = inner.filter(|t| !t.contains(close) && !t.is_empty()) {
                text = inner.trim();
            }
        }
        for command in ["\\boxed", "\\fbox", "\\mathbf", "\\boldsymbol", "\\displaystyle"] {
            let rest = text.strip_prefix('\\').filter(|t| t.starts_with('\\')).unwrap_or(text);
            if let Some(rest) = rest.strip_prefix(command)
                && let Some(inner) = crate::lex::group(rest.trim_start())
                && inner.len() + 2 == rest.trim_start().len()
            {
                text = inner;
            }
        }
        if text.len() == before {
            return text;
        }
    }
}

/// The tokens as text: what LaTeX says the same in other words is the same.
fn plain(tokens: &[Token<'_>]) -> String {
    let mut out = String::new();
    let mut word = false;
    for token in tokens {
        let letters = matches!(token.kind, Kind::Letters(_) | Kind::Text(_) | Kind::Number(_));
        if token.spaced && word && letters && !out.is_empty() {
            out.push(' ');
        }
        word = letters;
        match &token.kind {
            Kind::Number(n) => out.push_str(n),
            Kind::Letters(l) => out.push_str(l),
            Kind::Text(t) => {
                let inner = t.trim().trim_matches('~');
                if t.starts_with([' ', '~']) && out.ends_with(|c: char| c.is_alphanumeric()) {
                    out.push(' ');
                }
                out.push_str(inner);
                if t.ends_with(' ') {
                    out.push(' ');
                }
            }
            Kind::Command(c) => {
                out.push('\\');
                out.push_str(c);
            }
            Kind::Symbol(c) => out.push(*c),
            Kind::Open => out.push('{'),
            Kind::Close => out.push('}'),
            Kind::Row => out.push_str("\\\\"),
            Kind::Begin(e) | Kind::End(e) => out.push_str(e),
        }
    }
    out
}

/// The words of an answer that is words rather than mathematics: a run of letters is a word, not a product.
fn prose(text: &str, tokens: &[Token<'_>]) -> Option<String> {
    let word = |kind: &Kind<'_>| match kind {
        Kind::Letters(run) => run.len() > 2 && !crate::parse::known(run),
        Kind::Text(content) => content.trim().len() > 1,
        _ => false,
    };
    let neutral = |kind: &Kind<'_>| {
        matches!(kind, Kind::Symbol('.' | '!' | '?' | '\'' | '"' | ':') | Kind::Open | Kind::Close)
    };
    let small = |kind: &Kind<'_>| {
        matches!(
            kind,
            Kind::Letters(
                "of" | "it"
                    | "is"
                    | "to"
                    | "on"
                    | "at"
                    | "by"
                    | "as"
                    | "be"
                    | "we"
                    | "if"
                    | "so"
                    | "no"
                    | "he"
                    | "me"
                    | "my"
                    | "us"
            )
        )
    };
    if tokens.iter().any(|t| t.spaced && small(&t.kind))
        && tokens.len() < 200
        && !tokens.iter().any(|t| matches!(t.kind, Kind::Text(_)))
    {
        return Some(words::normal(&plain(tokens)));
    }
    let count = tokens.iter().filter(|t| word(&t.kind)).count();
    if count == 0 {
        // scripts without Latin letters
        let letters = tokens
            .iter()
            .filter(|t| matches!(t.kind, Kind::Symbol(c) if c.is_alphabetic() && !c.is_ascii()))
            .count();
        let all = letters > 1
            && tokens
                .iter()
                .all(|t| matches!(t.kind, Kind::Symbol(c) if c.is_alphabetic()) || neutral(&t.kind));
        return all.then(|| words::normal(text));
    }
    let only_words =
        tokens.iter().all(|t| word(&t.kind) || neutral(&t.kind) || matches!(&t.kind, Kind::Letters(_)));
    if only_words {
        return words_of(tokens);
    }
    // a sentence that has some mathematics in it
    let bare = tokens
        .iter()
        .filter(|t| matches!(&t.kind, Kind::Letters(run) if run.len() > 2 && !crate::parse::known(run)))
        .count();
    let starts_with_value =
        matches!(tokens.first().map(|t| &t.kind), Some(Kind::Number(_) | Kind::Symbol(_) | Kind::Command(_)));
    (bare >= 4 || bare >= 2 && !starts_with_value).then(|| words::normal(&plain(tokens)))
}

/// The tokens as words; a numeral, or one letter in brackets, is left to be read.
fn words_of(tokens: &[Token<'_>]) -> Option<String> {
    let text = plain(tokens);
    let words = words::normal(text.trim_matches(['{', '}']));
    match tokens {
        [Token { kind: Kind::Text(content), .. }] => {
            let content = content.trim();
            let letter = content.trim_matches(['(', ')']).chars().count() == 1;
            let number = content.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '$');
            let letters = content.split([' ', ',']).all(|w| {
                w.is_empty() || w == "and" || w.len() == 1 && w.starts_with(|c: char| c.is_ascii_uppercase())
            });
            if letter || number || letters {
                return None;
            }
        }
        [] => return None,
        _ => {}
    }
    Some(words)
}
