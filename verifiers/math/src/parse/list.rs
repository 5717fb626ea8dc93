//! Lists: elements and what separates them, and groups of elements.

use super::{Parsed, Parser, Stop, name};
use crate::lex::Kind;
use crate::tree::{Expr, Relator};

/// What stands between two elements of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Separator {
    Comma,
    Semicolon,
    /// "or", or a space that is as good.
    Word,
    And,
}

impl Parser<'_> {
    fn separator(&mut self) -> Option<Separator> {
        let mut found = None;
        loop {
            let one = match self.peek()? {
                Kind::Symbol(',') => Separator::Comma,
                Kind::Symbol(';') => Separator::Semicolon,
                Kind::Letters("and") => Separator::And,
                Kind::Letters("or") => Separator::Word,
                Kind::Symbol('&') if found.is_some() => Separator::Comma,
                Kind::Text(words) => match words.trim().trim_matches(|c| ",;".contains(c)).trim() {
                    "and" => Separator::And,
                    "or" | "" => Separator::Word,
                    _ => return found,
                },
                Kind::Command("lor" | "vee") => Separator::Word,
                Kind::Command("land" | "wedge") => Separator::And,
                _ => return found,
            };
            found = match found {
                Some(Separator::Semicolon) => found,
                Some(Separator::Comma) if matches!(one, Separator::Word | Separator::And) => found,
                _ => Some(one),
            };
            self.at += 1;
        }
    }

    /// Elements and what separates them, until something that is neither.
    pub(super) fn elements(&mut self) -> Result<(Vec<Expr>, Vec<Separator>), Stop> {
        let mut elements = vec![self.relation()?];
        let mut separators = Vec::new();
        while let Some(separator) = self.separator() {
            // a comma at the end separates nothing
            if self.peek().is_none() {
                break;
            }
            separators.push(separator);
            elements.push(self.relation()?);
        }
        Ok((elements, separators))
    }

    /// One element, or a list; a list of groups where semicolons separate groups.
    pub(super) fn list(&mut self) -> Parsed {
        let (elements, separators) = self.elements()?;
        Ok(grouped(elements, &separators))
    }
}

/// The only element, or all of them made one.
pub(super) fn one_or(mut elements: Vec<Expr>, make: impl FnOnce(Vec<Expr>) -> Expr) -> Expr {
    match elements.pop() {
        Some(only) if elements.is_empty() => only,
        Some(last) => {
            elements.push(last);
            make(elements)
        }
        None => make(elements),
    }
}

/// A list of elements; of groups, where semicolons separate groups or words separate groups of the same names.
pub(super) fn grouped(elements: Vec<Expr>, separators: &[Separator]) -> Expr {
    if elements.len() < 2 {
        return one_or(elements, Expr::List);
    }
    let has = |s: Separator| separators.contains(&s);
    let splits = |strong: &dyn Fn(Separator) -> bool| {
        let mut groups: Vec<Vec<Expr>> = vec![Vec::new()];
        for (i, element) in elements.iter().enumerate() {
            if i > 0 && strong(separators[i - 1]) {
                groups.push(Vec::new());
            }
            if let Some(group) = groups.last_mut() {
                group.push(element.clone());
            }
        }
        groups
    };
    let list =
        |groups: Vec<Vec<Expr>>| Expr::List(groups.into_iter().map(|g| one_or(g, Expr::List)).collect());
    if has(Separator::Semicolon) && has(Separator::Comma) {
        return list(splits(&|s| s == Separator::Semicolon));
    }
    let word = |s: Separator| matches!(s, Separator::Word | Separator::And);
    let inequality = |e: &Expr| matches!(e, Expr::Relation(_, rest) if rest.iter().all(|(r, _)| matches!(r, Relator::Less | Relator::LessEqual | Relator::Greater | Relator::GreaterEqual | Relator::NotEqual)));
    if separators.iter().all(|s| *s == Separator::And) && elements.iter().all(inequality) {
        return Expr::Opaque("and".into(), elements);
    }
    if separators.iter().any(|s| word(*s)) && has(Separator::Comma) {
        let groups = splits(&word);
        let names = |group: &Vec<Expr>| group.iter().map(name::assigned).collect::<Option<Vec<_>>>();
        let first = groups.first().and_then(names);
        if first.is_some() && groups.len() > 1 && groups.iter().all(|g| g.len() > 1 && names(g) == first) {
            return list(groups);
        }
    }
    Expr::List(elements)
}
