//! Values with what they count, numbers and expressions under the policies, and words.

use super::scalar::{self, Question};
use super::{Comparer, Finding, shape};
use crate::tree::Expr;
use crate::units::Match;
use crate::words;

impl Comparer<'_> {
    /// Words beside something else.
    pub(super) fn words(&self, text: &str, other: &Expr, expr: &Expr) -> Finding {
        if let Expr::Text(other) = other {
            let bare = |s: &str| words::normal(s.trim_matches(['(', ')']));
            return if text == other.as_ref() || bare(text) == bare(other) || nothing(text) && nothing(other) {
                Finding::yes("the same words")
            } else {
                Finding::no("other words")
            };
        }
        if let Some(number) = words::numeral(text) {
            return self.compare(&Expr::integer(number), other);
        }
        if nothing(text) && matches!(other, Expr::Set(v) if v.is_empty()) {
            return Finding::yes("no elements");
        }
        if let (Some(g), Some(a)) = (self.solution(expr), self.solution(other)) {
            return self.solutions(&g, &a);
        }
        // letters that are a product in one and a word in the other: `abc`
        let letters = |e: &Expr| match e {
            Expr::Variable(name) => Some(name.to_lowercase()),
            Expr::Product(v) => v
                .iter()
                .map(|f| if let Expr::Variable(n) = f { Some(n.to_lowercase()) } else { None })
                .collect::<Option<String>>(),
            _ => None,
        };
        if text.len() < 3 && letters(other).is_some_and(|l| l == *text) {
            Finding::yes("the same letters")
        } else {
            Finding::no("one is words")
        }
    }

    /// Values, with what they count.
    pub(super) fn scalars(&self, gold: &Expr, answer: &Expr) -> Finding {
        match (gold, answer) {
            (Expr::Quantity(_, unit), Expr::Quantity(_, other))
                if other
                    .unvouched(&self.context)
                    .filter(|w| !unit.strange.iter().any(|u| **u == **w))
                    .is_some() =>
            {
                Finding::no(format!("what \"{}\" says of the number is not known", other.name))
            }
            (Expr::Quantity(g, unit), Expr::Quantity(a, other)) => match unit.compare(other) {
                Match::Same => self.scalars(g, a),
                Match::Factor(factor) => {
                    let factor = Expr::Number(crate::tree::Number { value: factor, decimal: None });
                    let converted = Expr::Product(vec![(**g).clone(), factor]);
                    self.scalars(&converted, a)
                }
                Match::Different => Finding::no(format!("{} is not {}", other.name, unit.name)),
            },
            (Expr::Quantity(value, unit), other) | (other, Expr::Quantity(value, unit)) => {
                if let Some(degrees) = shape::degrees(other).filter(|_| unit.name.contains("rad")) {
                    let angle = Expr::Product(vec![degrees, Expr::Constant(crate::tree::Constant::Degree)]);
                    return self.expressions(value, &angle, Question::Equal);
                }
                let temperature = matches!(unit.name.as_ref(), "celsius" | "fahrenheit");
                let degrees = shape::degrees(other);
                if matches!(other, Expr::Percent(_)) || degrees.is_some() && !temperature {
                    return Finding::no(format!("one is in {}, the other is not", unit.name));
                }
                let other = degrees.as_ref().unwrap_or(other);
                if let Some(word) = unit.unvouched(&self.context) {
                    return Finding::no(format!("what \"{word}\" says of the number is not known"));
                }
                if !self.policies.missing_unit {
                    return Finding::no(format!(
                        "the unit {} is only in one; policy `missing_unit`",
                        unit.name
                    ));
                }
                let plain = if matches!(gold, Expr::Quantity(..)) {
                    self.scalars(value, other)
                } else {
                    self.scalars(other, value)
                };
                missing(plain, "missing_unit")
            }
            (Expr::Percent(g), Expr::Percent(a)) => self.scalars(g, a),
            (Expr::Percent(value), other) | (other, Expr::Percent(value)) => {
                let hundredths = self.values(gold, answer);
                if hundredths.equal || !self.policies.missing_percent || self.exact(other).is_none() {
                    return hundredths;
                }
                let plain = matches!(other, Expr::Number(_) | Expr::Negative(_) | Expr::Quotient(..));
                if !plain {
                    return hundredths;
                }
                let plain = if matches!(gold, Expr::Percent(_)) {
                    self.values(value, other)
                } else {
                    self.values(other, value)
                };
                missing(plain, "missing_percent")
            }
            (Expr::Based(_, g, base), Expr::Based(_, a, other)) => match (base == other, g == a) {
                (true, true) => Finding::yes("the same digits in the same base"),
                (false, _) => Finding::no(format!("base {other} instead of {base}")),
                _ => Finding::no("other value"),
            },
            (Expr::Based(_, _, base), _) if *base != 10 => Finding::no(format!("not in base {base}")),
            _ => match (shape::degrees(gold), shape::degrees(answer)) {
                (Some(g), Some(a)) => self.values(&g, &a),
                (None, None) => self.values(gold, answer),
                (g, a) => {
                    let angle = self.values(gold, answer);
                    if angle.equal || !self.policies.missing_unit {
                        return angle;
                    }
                    let plain = self.values(g.as_ref().unwrap_or(gold), a.as_ref().unwrap_or(answer));
                    if plain.equal { missing(plain, "missing_unit") } else { plain }
                }
            },
        }
    }

    fn values(&self, gold: &Expr, answer: &Expr) -> Finding {
        if let (Some(g), Some(a)) = (self.exact(gold), self.exact(answer)) {
            if g == a {
                return Finding::yes("equal values");
            }
            return self.rounds(gold, answer).unwrap_or(Finding::no("other value"));
        }
        let finding = self.renamed(gold, answer);
        if finding.equal {
            return finding;
        }
        let mut names = Vec::new();
        scalar::names(gold, &mut names);
        scalar::names(answer, &mut names);
        if names.is_empty()
            && let Some(rounded) = self.rounds(gold, answer)
        {
            return rounded;
        }
        finding
    }

    /// Expressions, with names that may differ by policy.
    fn renamed(&self, gold: &Expr, answer: &Expr) -> Finding {
        let finding = self.expressions(gold, answer, Question::Equal);
        if finding.equal {
            return finding;
        }
        let (mut g, mut a) = (Vec::new(), Vec::new());
        scalar::names(gold, &mut g);
        scalar::names(answer, &mut a);
        if g.is_empty() || g.len() != a.len() {
            return finding;
        }
        let replaced = |from: &[String], to: &[String]| {
            answer.map(&|e| match e {
                Expr::Variable(name) => {
                    let at = from.iter().position(|n| n == name.as_ref())?;
                    Some(Expr::Variable(to[at].as_str().into()))
                }
                _ => None,
            })
        };
        if self.policies.rename_variables {
            let (mut g, mut a) = (Vec::new(), Vec::new());
            scalar::variables(gold, &mut g);
            scalar::variables(answer, &mut a);
            if g.len() == a.len() {
                return missing(
                    self.expressions(gold, &replaced(&a, &g), Question::Equal),
                    "rename_variables",
                );
            }
        }
        let free = |name: &str, expr: &Expr| matches!(expr, Expr::Sum(terms) if terms.iter().any(|t| matches!(t, Expr::Variable(n) if n.as_ref() == name)));
        let only = |mine: &[String], other: &[String]| {
            let mut extra = mine.iter().filter(|n| !other.contains(n));
            extra.next().filter(|_| extra.next().is_none()).cloned()
        };
        if self.policies.rename_constant
            && let (Some(x), Some(y)) = (only(&g, &a), only(&a, &g))
            && free(&x, gold)
            && free(&y, answer)
            && constant_of_integration(&x, &g)
            && matches!(y.split('_').next(), Some("C" | "c" | "K" | "k"))
        {
            return missing(
                self.expressions(gold, &replaced(&[y], &[x]), Question::Equal),
                "rename_constant",
            );
        }
        finding
    }
}

/// Whether a name among others is that of an antiderivative's constant: C where no other capital is a parameter beside it, c
/// where all others are the usual variables.
fn constant_of_integration(name: &str, all: &[String]) -> bool {
    let mut others = all.iter().filter(|other| *other != name);
    match name.split('_').next() {
        Some("C") => !others.any(|other| other.starts_with(|c: char| c.is_ascii_uppercase())),
        Some("c") => others.all(|other| matches!(other.as_str(), "x" | "t" | "y" | "u" | "z" | "\\theta")),
        _ => false,
    }
}

/// Whether words say that there is no solution.
fn nothing(words: &str) -> bool {
    let words = words.strip_prefix("there is ").or(words.strip_prefix("there are ")).unwrap_or(words);
    let words = words.strip_suffix('s').unwrap_or(words);
    matches!(words, "no solution" | "no real solution" | "none" | "empty set")
}

/// A finding that rests on a policy says so.
fn missing(finding: Finding, policy: &str) -> Finding {
    if finding.equal { Finding::yes(format!("{}, by policy `{policy}`", finding.why)) } else { finding }
}
