//! Whether an answer equals the gold answer, by shape: numbers and expressions by value, sets in any order, tuples in
//! order, intervals by bounds and closure, matrices by element, equations up to a constant factor, words as words.

mod collections;
mod relation;
mod rounding;
mod scalar;
mod sets;
mod shape;
mod value;

use crate::lex::Commas;
use crate::lexicon::Context;
use crate::number::{Mix, exact, modular};
use crate::reading::{Reading, read_with};
use crate::trace::Trace;
use crate::tree::Expr;
use crate::work::Work;
use dashu_ratio::RBig;
use rlvr_verdict::Step;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;

/// What counts as equal where mathematics alone does not say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Policies {
    /// Significant digits that a decimal must state to pass for a value that it rounds; 0: never.
    pub rounding: u32,
    /// Decimal places to which two values may agree instead; what rounds to nothing does not count.
    pub decimals: Option<u32>,
    /// Whether a unit may be missing on one side.
    pub missing_unit: bool,
    /// Whether a percent sign may be missing on one side.
    pub missing_percent: bool,
    /// Whether the constant of an antiderivative may have another name.
    pub rename_constant: bool,
    /// Whether the answer's variables may have other names.
    pub rename_variables: bool,
    /// Whether an inequality passes for the set of its solutions, where the gold answer is the set.
    pub inequality_for_set: bool,
    /// Whether a comma between digits may be a decimal point, where that fits the other side: `1,5` for 1.5.
    pub decimal_comma: bool,
    /// Whether an answer may leave something to compute where the gold answer is a number.
    pub unevaluated: Unevaluated,
    /// The base of a logarithm without one.
    pub log: Log,
}

/// What an answer may leave to compute where the gold answer is a number: `437 + 2 \cdot 234` may be the question.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unevaluated {
    /// Anything.
    Any,
    /// Arithmetic, powers, roots and functions of numbers; no sums or products with bounds, no gcd, lcm, least or greatest
    /// of several, no remainder, no determinant.
    Arithmetic,
    /// Nothing: it must be a number, a fraction of numbers, or one in scientific notation.
    Nothing,
}

/// The base of `\log`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Log {
    /// 10 or e, the same on both sides.
    Either,
    /// 10.
    Ten,
    /// e.
    E,
}

impl Default for Policies {
    fn default() -> Self {
        Policies {
            rounding: 6,
            decimals: None,
            missing_unit: true,
            missing_percent: true,
            rename_constant: true,
            rename_variables: false,
            inequality_for_set: true,
            decimal_comma: true,
            unevaluated: Unevaluated::Arithmetic,
            log: Log::Either,
        }
    }
}

/// Whether two answers are equal, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Whether they are.
    pub equal: bool,
    /// The reason in a few words.
    pub why: Cow<'static, str>,
}

impl Finding {
    fn yes(why: impl Into<Cow<'static, str>>) -> Self {
        Finding { equal: true, why: why.into() }
    }

    fn no(why: impl Into<Cow<'static, str>>) -> Self {
        Finding { equal: false, why: why.into() }
    }
}

/// Compares an answer with the gold answer under policies.
pub fn compare(gold: &Reading, answer: &Reading, policies: &Policies) -> Finding {
    compare_within(gold, answer, policies, &Work::default(), Context::default(), &Trace::default())
}

/// Compares within the work that is left for a verdict.
pub(crate) fn compare_within(
    gold: &Reading,
    answer: &Reading,
    policies: &Policies,
    work: &Work,
    context: Context<'_>,
    trace: &Trace,
) -> Finding {
    if let (Expr::Number(g), Expr::Number(a)) = (&gold.expr, &answer.expr)
        && g.value == a.value
    {
        return Finding::yes("equal values");
    }
    if gold.plain == answer.plain {
        return Finding::yes("the same text");
    }
    let comparer = Comparer { policies, seed: Mix::of(&gold.plain).0, work, context, trace };
    let finding = comparer.readings(gold, answer);
    if !finding.equal && work.is_over() {
        return Finding::no("comparing takes more work than a verdict may");
    }
    finding
}

/// Whether a relation says what a name is, as `x = 5` does.
pub(crate) fn says_a_value(relation: &Expr) -> bool {
    shape::assigned(relation).or_else(|| shape::member(relation)).is_some()
}

/// Whether it is a number, or a quotient or negative of one, with a unit or without.
pub(crate) fn is_number(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) => true,
        Expr::Negative(inner) | Expr::Percent(inner) | Expr::Quantity(inner, _) => is_number(inner),
        Expr::Quotient(above, below) => is_number(above) && is_number(below),
        _ => false,
    }
}

struct Comparer<'p> {
    policies: &'p Policies,
    seed: u64,
    work: &'p Work,
    context: Context<'p>,
    trace: &'p Trace,
}

impl Comparer<'_> {
    fn readings(&self, gold: &Reading, answer: &Reading) -> Finding {
        let whole = |reading: &Reading| shape::matrices(&shape::parameters(&reading.expr), self.work);
        let (Some(g), Some(a)) = (whole(gold), whole(answer)) else {
            return Finding::no("its matrices are more than can be multiplied");
        };
        let mut finding = self.compare(&g, &a);
        if !finding.equal {
            finding = self.other_commas(gold, answer).unwrap_or(finding);
        }
        if finding.equal && is_number(&gold.expr) { self.evaluated(finding, &answer.expr) } else { finding }
    }

    /// A finding of equality with a number, under the policy on answers that leave something to compute.
    fn evaluated(&self, finding: Finding, answer: &Expr) -> Finding {
        let answer = shape::assigned(answer).unwrap_or(answer);
        if shape::is_evaluated(answer) {
            return finding;
        }
        match self.policies.unevaluated {
            Unevaluated::Any => {}
            Unevaluated::Arithmetic if answer.any(&shape::restates) => {
                return Finding::no("it leaves to compute what the answer is; policy `unevaluated`");
            }
            Unevaluated::Arithmetic => {}
            Unevaluated::Nothing => return Finding::no("it is not evaluated; policy `unevaluated`"),
        }
        Finding::yes(format!("{}, by policy `unevaluated`", finding.why))
    }

    /// The exact value, if there is one within the work that is left.
    fn exact(&self, expr: &Expr) -> Option<RBig> {
        exact::value(expr, self.work)
    }

    fn prime(&self) -> u64 {
        modular::prime(self.seed)
    }

    /// `2,500` is a number or a list of two, and `0,5` may be a decimal: the reading that fits the other side counts.
    fn other_commas(&self, gold: &Reading, answer: &Reading) -> Option<Finding> {
        let digits = |text: &str| {
            text.as_bytes().windows(3).any(|w| w[1] == b',' && w[0].is_ascii_digit() && w[2].is_ascii_digit())
        };
        let list = |e: &Expr| matches!(e, Expr::List(_));
        if matches!(gold.expr, Expr::Set(_)) || matches!(answer.expr, Expr::Set(_)) {
            return None;
        }
        let (many, one) = (list(&gold.expr), list(&answer.expr));
        if many == one {
            return None;
        }
        let reread = |reading: &Reading, commas| {
            let other = digits(&reading.text).then(|| read_with(&reading.text, commas).ok())??;
            (other.expr != reading.expr).then_some(other.expr)
        };
        let decimal = |finding: Finding| Finding {
            why: format!("{}, with a decimal comma, by policy `decimal_comma`", finding.why).into(),
            ..finding
        };
        let found = if many {
            let separate =
                reread(answer, Commas::Separate).filter(|e| list(e)).map(|a| self.compare(&gold.expr, &a));
            separate.filter(|f| f.equal).or_else(|| {
                let gold = reread(gold, Commas::Decimal).filter(|_| self.policies.decimal_comma)?;
                Some(decimal(self.compare(&gold, &answer.expr)))
            })
        } else {
            reread(answer, Commas::Decimal)
                .filter(|_| self.policies.decimal_comma)
                .map(|a| decimal(self.compare(&gold.expr, &a)))
        };
        found.filter(|f| f.equal)
    }

    fn compare(&self, gold: &Expr, answer: &Expr) -> Finding {
        let finding = self.by_shape(gold, answer);
        self.trace
            .step(|| Step::rule("compared", finding.equal, format!("{answer} with {gold}: {}", finding.why)));
        finding
    }

    fn by_shape(&self, gold: &Expr, answer: &Expr) -> Finding {
        match (gold, answer) {
            (Expr::Relation(..), _) | (_, Expr::Relation(..)) => self.relations(gold, answer),
            (Expr::Comprehension(..), _) | (_, Expr::Comprehension(..)) => self.builders(gold, answer),
            _ if shape::is_scalar(gold) && shape::has_signs(gold)
                || shape::is_scalar(answer) && shape::has_signs(answer) =>
            {
                self.collections(gold, answer)
            }
            (Expr::Text(g), a) => self.words(g, a, gold),
            (g, Expr::Text(a)) => self.words(a, g, answer),
            (Expr::List(_) | Expr::Set(_) | Expr::PlusMinus(..), _)
            | (_, Expr::List(_) | Expr::Set(_) | Expr::PlusMinus(..)) => self.collections(gold, answer),
            (Expr::Tuple(g), Expr::Tuple(a)) if g.len() == a.len() => self.in_order(g, a),
            (Expr::Matrix(g), Expr::Matrix(a)) => {
                let shape = |m: &Vec<Vec<Expr>>| (m.len(), m[0].len());
                if shape(g) != shape(a) {
                    return Finding::no("a matrix of another size");
                }
                self.in_order(&g.concat(), &a.concat())
            }
            (Expr::Matrix(m), other) => self.vector(m, other, true),
            (other, Expr::Matrix(m)) => self.vector(m, other, false),
            (Expr::Ratio(g), Expr::Ratio(a)) => self.ratios(g, a),
            (Expr::Ratio(parts), other) | (other, Expr::Ratio(parts))
                if parts.len() == 2 && shape::is_scalar(other) =>
            {
                let quotient = Expr::Quotient(Box::new(parts[0].clone()), Box::new(parts[1].clone()));
                if matches!(gold, Expr::Ratio(_)) {
                    self.scalars(&quotient, other)
                } else {
                    self.scalars(other, &quotient)
                }
            }
            (Expr::Time(g, gh), Expr::Time(a, ah)) => {
                let pad =
                    |v: &Vec<u32>| v.iter().copied().chain(std::iter::repeat(0)).take(3).collect::<Vec<_>>();
                let same = pad(g) == pad(a) && (gh == ah || gh.is_none() || ah.is_none());
                if same { Finding::yes("the same time") } else { Finding::no("another time") }
            }
            (Expr::Time(t, _), other) | (other, Expr::Time(t, _)) => match other {
                Expr::Ratio(parts) if parts.len() == t.len() => {
                    let same = parts.iter().zip(t).all(|(p, t)| *p == Expr::integer(i64::from(*t)));
                    if same { Finding::yes("the same time") } else { Finding::no("another time") }
                }
                _ => Finding::no("one is a time"),
            },
            _ if shape::is_scalar(gold) && shape::is_scalar(answer) => self.scalars(gold, answer),
            _ => match (self.solution(gold), self.solution(answer)) {
                (Some(g), Some(a)) => self.solutions(&g, &a),
                _ if gold == answer => Finding::yes("the same form"),
                _ => Finding::no("another kind of answer"),
            },
        }
    }

    /// Set builders: by condition where their elements are just a name, and otherwise by elements and condition.
    fn builders(&self, gold: &Expr, answer: &Expr) -> Finding {
        let plain = |e: &Expr| match e {
            Expr::Comprehension(element, condition) => {
                sets::plain_builder(element, condition).map(|(name, c)| (name.to_owned(), c.clone()))
            }
            _ => None,
        };
        match (plain(gold), plain(answer)) {
            (Some((name, g)), Some((other, a))) => self.compare(&g, &shape::renamed(&a, &other, &name)),
            (Some((_, g)), None) if !matches!(answer, Expr::Comprehension(..)) => self.compare(&g, answer),
            (None, Some((_, a))) if !matches!(gold, Expr::Comprehension(..)) => self.compare(gold, &a),
            _ => {
                let (Some((ge, gc)), Some((ae, ac))) = (shape::builder(gold), shape::builder(answer)) else {
                    return Finding::no("only one is a set of values of an expression");
                };
                // the parameter may have another name
                let (ae, ac) = match (shape::parameter(gc), shape::parameter(ac)) {
                    (Some(g), Some(a)) => (shape::renamed(ae, a, g), shape::renamed(ac, a, g)),
                    _ => (ae.clone(), ac.clone()),
                };
                let elements = self.compare(ge, &ae);
                if !elements.equal {
                    return Finding::no(format!("other elements: {}", elements.why));
                }
                let conditions = self.compare(gc, &ac);
                if conditions.equal {
                    elements
                } else {
                    Finding::no(format!("other condition: {}", conditions.why))
                }
            }
        }
    }
}
