//! Names: variables with subscripts and primes, letters in text, words.

use super::{Parsed, Parser, Stop, function};
use crate::lex::{Commas, Kind, tokens};
use crate::tree::{Constant, Expr, Relator};

/// The only letter of a text, if it is one.
pub(super) fn letter(text: &str) -> Option<&str> {
    let text = text.trim().trim_matches('~');
    let mut chars = text.chars();
    (chars.next().is_some_and(char::is_alphabetic) && chars.next().is_none()).then_some(text)
}

/// Whether a letter of another script stands for a variable.
pub(super) fn greek(c: char) -> bool {
    ('α'..='ω').contains(&c) || ('Α'..='Ω').contains(&c)
}

/// What an assignment such as `x = 5` names.
pub(super) fn assigned(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Relation(first, rest) if rest.len() == 1 && rest[0].0 == Relator::Equal => match &**first {
            Expr::Variable(name) => Some(name.to_string()),
            _ => None,
        },
        _ => None,
    }
}

/// Functions that are known by name only.
const CALLED: &[&str] = &["f", "g", "h", "F", "G", "H", "P", "E", "Var", "Pr", "phi", "varphi"];

impl<'a> Parser<'a> {
    /// A variable or constant of this name, with what belongs to the name.
    pub(super) fn variable(&mut self, name: &str) -> Parsed {
        let subscripted = self.symbol() == Some('_');
        if !subscripted {
            match name {
                "e" => return Ok(Expr::Constant(Constant::E)),
                "i" => return Ok(Expr::Constant(Constant::I)),
                "pi" | "π" => return Ok(Expr::Constant(Constant::Pi)),
                _ => {}
            }
        }
        let mut name = name.to_owned();
        if self.eat('_') {
            name.push('_');
            name.push_str(&self.subscript()?);
        }
        while self.eat('\'') {
            name.push('\'');
        }
        self.call(Expr::Variable(name.into()))
    }

    /// A name that is followed by arguments as a call.
    pub(super) fn call(&mut self, name: Expr) -> Parsed {
        let Expr::Variable(text) = &name else { return Ok(name) };
        let stem = text.trim_end_matches('\'').split('_').next().unwrap_or_default();
        if !CALLED.contains(&stem) {
            return Ok(name);
        }
        let inverse = [Kind::Symbol('^'), Kind::Open, Kind::Symbol('-')];
        let inverted = (0..3).all(|i| self.kind(i) == Some(&inverse[i]))
            && matches!(self.kind(3), Some(Kind::Number(n)) if n == "1")
            && self.kind(4) == Some(&Kind::Close)
            && self.kind(5) == Some(&Kind::Symbol('('));
        let text = if inverted {
            self.at += 5;
            format!("{text}^{{-1}}")
        } else {
            text.to_string()
        };
        if self.symbol() != Some('(') {
            return Ok(name);
        }
        let arguments = match self.atom()? {
            Expr::Tuple(v) => v,
            other => vec![other],
        };
        Ok(Expr::Call(text.into(), arguments))
    }

    /// The text of a subscript, its look aside.
    pub(super) fn subscript(&mut self) -> Result<String, Stop> {
        let mut depth = 0usize;
        let mut text = String::new();
        loop {
            let Some(token) = self.tokens.get(self.at) else { return Err(Stop::Syntax) };
            self.at += 1;
            match &token.kind {
                Kind::Open => depth += 1,
                Kind::Close if depth == 0 => return Err(Stop::Syntax),
                Kind::Close => depth -= 1,
                Kind::Number(n) => text.push_str(n),
                Kind::Letters(l) if depth == 0 && l.len() > 1 => {
                    // `x_ab` is `x_a b`
                    let (head, rest) = l.split_at(1);
                    text.push_str(head);
                    let mut rest_token = token.clone();
                    rest_token.kind = Kind::Letters(rest);
                    self.at -= 1;
                    self.tokens[self.at] = rest_token;
                }
                Kind::Letters(l) => text.push_str(l),
                Kind::Command(c) => text.push_str(c),
                Kind::Text(t) => text.extend(t.chars().filter(|c| !c.is_whitespace() && *c != '~')),
                Kind::Symbol(c) => text.push(*c),
                _ => return Err(Stop::Syntax),
            }
            if depth == 0 {
                return Ok(text);
            }
        }
    }

    /// A run of letters: a function, a constant, a word or a product of variables.
    pub(super) fn letters(&mut self, run: &'a str) -> Parsed {
        if let Some(function) = function::named(run) {
            return self.function(function);
        }
        match run {
            "pi" | "Pi" => return Ok(Expr::Constant(Constant::Pi)),
            "oo" | "inf" | "infty" | "infinity" | "Infinity" | "Inf" => {
                return Ok(Expr::Constant(Constant::Infinity));
            }
            "theta" | "alpha" | "beta" | "gamma" | "lambda" | "omega" | "phi" | "sigma" | "mu" => {
                return self.variable(run);
            }
            "sqrt" => return self.root(),
            "NaN" | "nan" => return Err(Stop::Syntax),
            _ => {}
        }
        let Some(first) = run.chars().next() else { return Err(Stop::Syntax) };
        let rest = &run[first.len_utf8()..];
        if rest.is_empty() {
            return self.variable(run);
        }
        if run.len() > 4 {
            return Ok(Expr::Variable(run.into()));
        }
        // the letters one by one, so that powers and subscripts belong to the last
        self.at -= 1;
        let mut token = self.tokens[self.at].clone();
        token.kind = Kind::Letters(rest);
        token.spaced = false;
        self.tokens[self.at] = token;
        self.variable(&run[..first.len_utf8()])
    }

    /// Words within mathematics: a letter, a number or a function in another font, or a word as a name.
    pub(super) fn text(&mut self, content: &'a str) -> Parsed {
        let content = content.trim().trim_matches('~').trim();
        if let Some(letter) = letter(content) {
            return self.variable(letter);
        }
        if let Some(function) = function::named(content) {
            return self.function(function);
        }
        if content == "sqrt" {
            return self.root();
        }
        let single = |w: &str| {
            w.is_empty() || w == "and" || w.len() == 1 && w.starts_with(|c: char| c.is_ascii_uppercase())
        };
        let letters = content.len() > 1 && content.split([' ', ',']).all(single);
        if letters || content.starts_with(|c: char| c.is_ascii_digit() || "-(\\$".contains(c)) {
            let inner = tokens(content, Commas::Thousands).map_err(Stop::Limit)?;
            return self.deeper(|p| {
                let mut nested = Parser {
                    tokens: inner,
                    at: 0,
                    depth: p.depth,
                    nodes: p.nodes,
                    bar: false,
                    quantities: true,
                    wraps: p.wraps,
                };
                let expr = nested.list()?;
                if nested.at < nested.tokens.len() { Err(Stop::Syntax) } else { Ok(expr) }
            });
        }
        let word = crate::words::normal(content);
        if word.is_empty() {
            return Err(Stop::Syntax);
        }
        let mut name = word;
        if self.eat('_') {
            name.push('_');
            name.push_str(&self.subscript()?);
        }
        Ok(Expr::Text(name.into()))
    }
}
