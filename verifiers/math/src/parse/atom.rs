//! Atoms: numbers, brackets of all kinds, fractions, radicals, binomials, matrices, decorated names.

use super::{Parsed, Parser, Stop, function, grouped, literal, one_or};
use crate::lex::{Kind, Token};
use crate::limits::ELEMENTS;
use crate::tree::{Constant, Expr, Function};
use std::borrow::Cow;

/// Environments of equations one below the other.
pub(super) const SYSTEMS: [&str; 5] = ["cases", "aligned", "gathered", "align", "align*"];
/// Environments of matrices.
pub(super) const MATRICES: [&str; 8] =
    ["matrix", "pmatrix", "bmatrix", "Bmatrix", "vmatrix", "Vmatrix", "smallmatrix", "array"];

impl<'a> Parser<'a> {
    pub(super) fn atom(&mut self) -> Parsed {
        let Some(token) = self.tokens.get(self.at).cloned() else { return Err(Stop::Syntax) };
        self.node()?;
        self.at += 1;
        match token.kind {
            Kind::Number(text) => self.number(&text),
            Kind::Letters(run) => self.letters(run),
            Kind::Command(name) => self.command(name),
            Kind::Text(content) => self.text(content),
            Kind::Open => {
                let group = self.braces()?;
                self.subscripted(group)
            }
            Kind::Begin(environment) => self.matrix(environment),
            Kind::Symbol('(' | '[') => self.brackets(token.kind == Kind::Symbol('[')),
            Kind::Symbol('{') => self.set(),
            Kind::Symbol('|') => self.absolute(),
            Kind::Symbol('‖') => {
                let inner = self.enclosed(Self::sum)?;
                self.expect(&Kind::Symbol('‖'))?;
                Ok(Expr::Opaque("norm".into(), vec![inner]))
            }
            Kind::Symbol('⌊') => self.rounded(Function::Floor, &Kind::Symbol('⌋')),
            Kind::Symbol('⌈') => self.rounded(Function::Ceil, &Kind::Symbol('⌉')),
            Kind::Symbol(sign @ ('$' | '€' | '£' | '¥' | '₹')) => {
                let value = self.deeper(Self::power)?;
                Ok(Expr::Quantity(Box::new(value), super::currency(sign)))
            }
            Kind::Symbol('…') => Ok(Expr::Opaque("dots".into(), Vec::new())),
            Kind::Symbol(c) if c.is_alphabetic() => self.variable(&c.to_string()),
            _ => Err(Stop::Syntax),
        }
    }

    /// A number, with what may be part of it: a repeating part, a base, a fraction that makes it mixed.
    fn number(&mut self, text: &str) -> Parsed {
        if text.contains('.')
            && let Some(Kind::Command("overline" | "bar" | "dot")) = self.peek()
        {
            let period = match (self.kind(1), self.kind(2), self.kind(3)) {
                (Some(Kind::Open), Some(Kind::Number(n)), Some(Kind::Close)) => n.to_string(),
                _ => return Err(Stop::Syntax),
            };
            self.at += 4;
            return literal::repeating(text, &period).map(Expr::Number);
        }
        if let Some(Kind::Letters(digits)) = self.peek()
            && self.kind(1) == Some(&Kind::Symbol('_'))
            && !self.tokens[self.at].spaced
            && digits.bytes().all(|b| b.is_ascii_hexdigit())
        {
            let digits = format!("{text}{digits}");
            self.at += 1;
            return self.based(&digits);
        }
        if self.symbol() == Some('_') {
            return self.based(text);
        }
        if text.contains('.')
            && let Some(used) = self.ellipsis()
            && let Ok(number) = literal::continued(text)
        {
            self.at += used;
            return Ok(Expr::Number(number));
        }
        let number = literal::number(text)?;
        if number.decimal.is_none()
            && let Some((above, below, used)) = self.fraction_ahead()
            && above < below
            && below != 0
        {
            self.at += used;
            let fraction = dashu_ratio::RBig::from_parts(above.into(), below.into());
            return Ok(Expr::Number(crate::tree::Number { value: number.value + fraction, decimal: None }));
        }
        Ok(Expr::Number(number))
    }

    /// Tokens of an ellipsis that ends the element.
    fn ellipsis(&self) -> Option<usize> {
        let used = match self.peek()? {
            Kind::Symbol('…') => 1,
            Kind::Symbol('.') if (1..3).all(|i| self.kind(i) == Some(&Kind::Symbol('.'))) => 3,
            Kind::Symbol('.') if self.kind(1) == Some(&Kind::Symbol('.')) && self.kind(2).is_none() => 2,
            _ => return None,
        };
        matches!(self.kind(used), None | Some(Kind::Symbol(',' | ')' | ';') | Kind::Close)).then_some(used)
    }

    /// `204_5`, `204_{5}`, `1A_{16}` after its first digits.
    fn based(&mut self, digits: &str) -> Parsed {
        let base = match (self.kind(1), self.kind(2), self.kind(3)) {
            (Some(Kind::Number(n)), ..) => Some((n.to_string(), 2)),
            (Some(Kind::Open), Some(Kind::Number(n)), Some(Kind::Close)) => Some((n.to_string(), 4)),
            (Some(Kind::Open), Some(Kind::Text(t)), Some(Kind::Close)) => {
                Some((word_base(t).unwrap_or_default(), 4))
            }
            (Some(Kind::Text(t)), ..) => Some((word_base(t).unwrap_or_default(), 2)),
            _ => None,
        };
        let (base, used) = base.ok_or(Stop::Syntax)?;
        let base = base.parse().map_err(|_| Stop::Syntax)?;
        self.at += used;
        literal::based(digits, base).ok_or(Stop::Syntax)
    }

    /// A fraction of integers right after an integer: `\frac12`, ` 1/2`.
    fn fraction_ahead(&self) -> Option<(u64, u64, usize)> {
        let integer = |kind: Option<&Kind<'_>>| match kind {
            Some(Kind::Number(n)) => n.parse::<u64>().ok(),
            _ => None,
        };
        if self.peek() == Some(&Kind::Command("frac")) {
            // `\frac12` is one token of two digits
            if let Some(Kind::Number(n)) = self.kind(1)
                && n.len() == 2
            {
                let digits = n.parse::<u64>().ok()?;
                return Some((digits / 10, digits % 10, 2));
            }
            let mut at = 1;
            let mut parts = [0u64; 2];
            for part in &mut parts {
                let open = usize::from(self.kind(at) == Some(&Kind::Open));
                *part = integer(self.kind(at + open))?;
                if open == 1 && self.kind(at + 2) != Some(&Kind::Close) {
                    return None;
                }
                at += 1 + 2 * open;
            }
            return Some((parts[0], parts[1], at));
        }
        let spaced = self.tokens.get(self.at).is_some_and(|t| t.spaced);
        if !spaced || self.kind(1) != Some(&Kind::Symbol('/')) {
            return None;
        }
        Some((integer(self.peek())?, integer(self.kind(2))?, 3))
    }

    /// A group in braces. It groups only; several elements in it are a list.
    fn braces(&mut self) -> Parsed {
        self.enclosed(|p| {
            if p.peek() == Some(&Kind::Close) {
                p.at += 1;
                // `{}^\circ`, `{,}`: nothing is grouped
                return p.atom();
            }
            let first_at = p.at;
            let (elements, separators) = p.elements()?;
            if p.peek() == Some(&Kind::Command("choose")) && first_at < p.at {
                p.at += 1;
                let below = p.sum()?;
                p.expect(&Kind::Close)?;
                return Ok(Expr::Apply(Function::Binomial, vec![one_or(elements, Expr::List), below]));
            }
            p.expect(&Kind::Close)?;
            Ok(grouped(elements, &separators))
        })
    }

    /// A name in braces with its subscript: `\mathbf{u}_{1}`.
    fn subscripted(&mut self, group: Expr) -> Parsed {
        if self.symbol() != Some('_') {
            return Ok(group);
        }
        match group {
            Expr::Variable(name) if !name.contains('_') => self.variable(&name),
            Expr::Constant(Constant::E) => self.variable("e"),
            Expr::Constant(Constant::I) => self.variable("i"),
            _ => Err(Stop::Syntax),
        }
    }

    /// Parentheses and brackets: a group, a tuple or an interval.
    fn brackets(&mut self, square: bool) -> Parsed {
        let (elements, closed) = self.enclosed(|p| {
            let (elements, _) = p.elements()?;
            let closed = match p.symbol() {
                Some(')') => false,
                Some(']') => true,
                _ => return Err(Stop::Syntax),
            };
            p.at += 1;
            Ok((elements, closed))
        })?;
        if square
            && closed
            && let Some(matrix) = rows_in_brackets(&elements)
        {
            return Ok(matrix);
        }
        if elements.len() == 1 {
            let only = one_or(elements, Expr::Tuple);
            return if square == closed { Ok(only) } else { Err(Stop::Syntax) };
        }
        if elements.len() == 2 && (square || closed) {
            let mut bounds = elements.into_iter();
            let (Some(low), Some(high)) = (bounds.next(), bounds.next()) else { return Err(Stop::Syntax) };
            return Ok(Expr::Interval(Box::new(low), Box::new(high), square, closed));
        }
        if square != closed {
            return Err(Stop::Syntax);
        }
        Ok(Expr::Tuple(elements))
    }

    /// A set in visible braces.
    fn set(&mut self) -> Parsed {
        self.enclosed(|p| {
            if p.eat('}') {
                return Ok(Expr::Set(Vec::new()));
            }
            p.bar = true;
            let (elements, _) = p.elements()?;
            if p.eat('|') || p.eat(':') {
                let condition = p.list()?;
                p.expect(&Kind::Symbol('}'))?;
                return Ok(Expr::Comprehension(Box::new(one_or(elements, Expr::Tuple)), Box::new(condition)));
            }
            p.expect(&Kind::Symbol('}'))?;
            match elements.as_slice() {
                // `{x : x > 1}` is read as a ratio first
                [Expr::Ratio(parts)] if parts.len() == 2 => {
                    Ok(Expr::Comprehension(Box::new(parts[0].clone()), Box::new(parts[1].clone())))
                }
                [Expr::Relation(first, rest)] if matches!(&**first, Expr::Ratio(parts) if parts.len() == 2) =>
                {
                    let Expr::Ratio(parts) = &**first else { return Err(Stop::Syntax) };
                    let condition = Expr::Relation(Box::new(parts[1].clone()), rest.clone());
                    Ok(Expr::Comprehension(Box::new(parts[0].clone()), Box::new(condition)))
                }
                _ => Ok(Expr::Set(elements)),
            }
        })
    }

    fn absolute(&mut self) -> Parsed {
        let inner = self.enclosed(|p| {
            p.bar = true;
            let inner = p.sum()?;
            p.expect(&Kind::Symbol('|'))?;
            Ok(inner)
        })?;
        Ok(match inner {
            matrix @ Expr::Matrix(_) => Expr::Opaque("det".into(), vec![matrix]),
            inner => Expr::Apply(Function::Abs, vec![inner]),
        })
    }

    pub(super) fn rounded(&mut self, function: Function, end: &Kind<'_>) -> Parsed {
        let inner = self.enclosed(Self::sum)?;
        self.expect(end)?;
        Ok(Expr::Apply(function, vec![inner]))
    }

    /// An argument of `\frac` and the like: a group, or one digit or letter of what follows.
    pub(super) fn argument(&mut self) -> Parsed {
        let Some(token) = self.tokens.get(self.at).cloned() else { return Err(Stop::Syntax) };
        let split = |head: &str, rest: Cow<'a, str>| {
            (head.to_owned(), Token { kind: Kind::Number(rest), ..token.clone() })
        };
        match &token.kind {
            Kind::Number(text) if text.len() > 1 => {
                let (head, rest) = text.split_at(1);
                let (head, rest) = split(head, Cow::Owned(rest.to_owned()));
                self.tokens[self.at] = rest;
                literal::number(&head).map(Expr::Number)
            }
            Kind::Letters(run) if run.len() > 1 => {
                let (head, rest) = run.split_at(1);
                self.tokens[self.at].kind = Kind::Letters(rest);
                Ok(match head {
                    "e" => Expr::Constant(Constant::E),
                    "i" => Expr::Constant(Constant::I),
                    name => Expr::Variable(name.into()),
                })
            }
            _ => self.deeper(Self::atom),
        }
    }

    pub(super) fn root(&mut self) -> Parsed {
        let index = if self.symbol() == Some('[') {
            self.at += 1;
            let index = self.enclosed(Self::sum)?;
            self.expect(&Kind::Symbol(']'))?;
            Some(index)
        } else {
            None
        };
        let radicand = if let Some(Kind::Number(_)) = self.peek() {
            // `\sqrt 12` and `√12` take the whole number; LaTeX's single digit is written with braces
            self.deeper(|p| {
                p.at += 1;
                match &p.tokens[p.at - 1].kind {
                    Kind::Number(text) => literal::number(text).map(Expr::Number),
                    _ => Err(Stop::Syntax),
                }
            })?
        } else {
            self.argument()?
        };
        Ok(match index {
            Some(index) => Expr::Apply(Function::Root, vec![index, radicand]),
            None => Expr::Apply(Function::Sqrt, vec![radicand]),
        })
    }

    fn command(&mut self, name: &'a str) -> Parsed {
        if let Some(function) = function::named(name) {
            return self.function(function);
        }
        match name {
            "frac" => {
                let above = self.argument()?;
                let below = self.argument()?;
                Ok(Expr::Quotient(Box::new(above), Box::new(below)))
            }
            "sqrt" => self.root(),
            "cbrt" => {
                let radicand = self.argument()?;
                Ok(Expr::Apply(Function::Root, vec![Expr::integer(3), radicand]))
            }
            "binom" => {
                let above = self.argument()?;
                let below = self.argument()?;
                Ok(Expr::Apply(Function::Binomial, vec![above, below]))
            }
            "pi" => self.variable("pi"),
            "infty" => Ok(Expr::Constant(Constant::Infinity)),
            "circ" => Ok(Expr::Constant(Constant::Degree)),
            "imath" => Ok(Expr::Constant(Constant::I)),
            "lfloor" => self.rounded(Function::Floor, &Kind::Command("rfloor")),
            "lceil" => self.rounded(Function::Ceil, &Kind::Command("rceil")),
            "emptyset" => Ok(Expr::Set(Vec::new())),
            "mathbb" | "R" | "Z" | "mathcal" | "mathfrak" => {
                let inner = if name.len() == 1 { name.to_owned() } else { self.subscript()? };
                self.variable(&format!("{}{inner}", if name == "mathcal" { "cal " } else { "bb " }))
            }
            "overline" | "bar" | "vec" | "hat" | "overrightarrow" | "tilde" | "widehat" | "dot" | "ddot"
            | "overleftrightarrow" | "widetilde" => {
                let inner = self.subscript()?;
                let kind = if matches!(name, "vec" | "overrightarrow") { "vec" } else { name };
                self.variable(&format!("{kind} {inner}"))
            }
            "angle" | "triangle" | "measuredangle" => {
                let inner = self.subscript()?;
                self.variable(&format!("{name} {inner}"))
            }
            "partial" => self.variable("partial"),
            "textcircled" => {
                let inner = self.subscript()?;
                self.variable(&format!("circled {inner}"))
            }
            "det" => {
                let inner = self.deeper(Self::atom)?;
                Ok(Expr::Opaque("det".into(), vec![inner]))
            }
            "sum" | "prod" => self.series(name == "prod"),
            "int" | "iint" | "iiint" | "oint" | "lim" | "limsup" | "liminf" | "bigcup" | "bigcap" => {
                self.operator(name)
            }
            _ if function::letter(name) => self.variable(name),
            _ => Err(Stop::Syntax),
        }
    }

    fn matrix(&mut self, environment: &str) -> Parsed {
        let system = SYSTEMS.contains(&environment);
        if !system && !MATRICES.contains(&environment) {
            return Err(Stop::Syntax);
        }
        let rows = self.enclosed(|p| {
            let mut rows: Vec<Vec<Expr>> = vec![Vec::new()];
            let mut filled = false;
            loop {
                match p.peek() {
                    Some(Kind::End(end)) if *end == environment => {
                        p.at += 1;
                        break;
                    }
                    Some(Kind::Row) => {
                        p.at += 1;
                        rows.push(Vec::new());
                        filled = false;
                    }
                    // a cell without content is no cell that is left out; a system's marks only align
                    Some(Kind::Symbol('&')) if !system && !filled => return Err(Stop::Syntax),
                    Some(Kind::Symbol('&')) => {
                        p.at += 1;
                        filled = false;
                        let ends = matches!(p.peek(), Some(Kind::Row | Kind::End(_)) | None);
                        if !system && ends {
                            return Err(Stop::Syntax);
                        }
                    }
                    _ if filled && !system => return Err(Stop::Syntax),
                    _ => {
                        filled = true;
                        let cell = p.relation()?;
                        while system && matches!(p.symbol(), Some(',' | ';' | '.')) {
                            p.at += 1;
                        }
                        if let Some(row) = rows.last_mut() {
                            row.push(cell);
                        }
                    }
                }
                if rows.len() > ELEMENTS {
                    return Err(Stop::Syntax);
                }
            }
            rows.retain(|row| !row.is_empty());
            Ok(rows)
        })?;
        if system {
            // a system of equations, or the branches of a function
            let single = rows.iter().all(|row| row.len() == 1);
            let cells: Vec<Expr> = rows.into_iter().flatten().collect();
            return match (cells.is_empty(), single) {
                (true, _) => Err(Stop::Syntax),
                (_, true) => Ok(one_or(cells, Expr::List)),
                _ => Ok(Expr::Opaque("cases".into(), cells)),
            };
        }
        let width = rows.first().map_or(0, Vec::len);
        if width == 0 || rows.iter().any(|row| row.len() != width) {
            return Err(Stop::Syntax);
        }
        let matrix = Expr::Matrix(rows);
        Ok(if environment == "vmatrix" { Expr::Opaque("det".into(), vec![matrix]) } else { matrix })
    }
}

/// `[[1, 2], [3, 4]]` as a matrix.
fn rows_in_brackets(rows: &[Expr]) -> Option<Expr> {
    let row = |e: &Expr| match e {
        Expr::Tuple(values) => Some(values.clone()),
        Expr::Interval(a, b, true, true) => Some(vec![(**a).clone(), (**b).clone()]),
        _ => None,
    };
    let rows = rows.iter().map(row).collect::<Option<Vec<_>>>()?;
    let width = rows.first()?.len();
    (rows.len() > 1 && rows.iter().all(|row| row.len() == width)).then_some(Expr::Matrix(rows))
}

/// A base in words: `\text{two}`, `\text{base 5}`.
fn word_base(text: &str) -> Option<String> {
    let word = text.trim().trim_start_matches("base").trim();
    if !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit()) {
        return Some(word.to_owned());
    }
    crate::words::numeral(word).map(|n| n.to_string())
}
