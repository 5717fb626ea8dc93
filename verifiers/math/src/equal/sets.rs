//! Solution sets on the real line: intervals, unions, inequalities and what is excluded, as pieces in order.

use super::scalar::names;
use super::{Comparer, Finding};
use crate::tree::{Constant, Expr, Function, Relator};
use std::cmp::Ordering;

/// A bound of a piece, and its value in f64 (not a number where it has none), by which most bounds are ordered.
#[derive(Clone, Debug)]
struct Bound {
    value: Expr,
    near: f64,
}

/// An interval, or a point where both bounds are the same.
#[derive(Clone, Debug)]
struct Piece {
    low: Bound,
    high: Bound,
    from: bool,
    to: bool,
}

/// A set of reals, and the name of what is in it, if it is named.
pub(super) struct Solution {
    pieces: Vec<Piece>,
    subject: Option<String>,
}

impl Solution {
    fn of(pieces: Vec<Piece>) -> Self {
        Solution { pieces, subject: None }
    }
}

fn everything() -> Piece {
    let infinity = Expr::Constant(Constant::Infinity);
    let low = Bound { value: infinity.clone().negative(), near: f64::NEG_INFINITY };
    let high = Bound { value: infinity, near: f64::INFINITY };
    Piece { low, high, from: false, to: false }
}

/// Whether an expression is made of names only: what a relation may be about.
pub(super) fn named(expr: &Expr) -> bool {
    match expr {
        Expr::Variable(_) | Expr::Call(..) => true,
        Expr::Text(words) => !crate::lexicon::no_label(words),
        Expr::Opaque(name, _) => !matches!(name.as_ref(), "dots" | "and" | "cases"),
        Expr::Series(_) => true,
        Expr::Tuple(v) | Expr::Sum(v) | Expr::Product(v) | Expr::Ratio(v) | Expr::Apply(Function::Abs, v) => {
            v.iter().all(named)
        }
        Expr::Quotient(a, b) => named(a) && named(b),
        Expr::Power(a, b) => named(a) && matches!(&**b, Expr::Variable(_)),
        _ => false,
    }
}

/// Whether it only excludes something, as `x \neq 5` does.
fn excludes(expr: &Expr) -> bool {
    matches!(expr, Expr::Relation(_, rest) if matches!(rest.as_slice(), [(Relator::NotEqual, _)]))
}

/// The condition of a set builder whose elements are just a name that the condition is about: such a set is what the
/// condition describes. `{2k | k \in Z}` is not.
pub(super) fn plain_builder<'e>(element: &'e Expr, condition: &'e Expr) -> Option<(&'e str, &'e Expr)> {
    let name = match element {
        Expr::Variable(name) => name,
        Expr::Relation(first, rest) => match (&**first, rest.as_slice()) {
            (Expr::Variable(name), [(Relator::In, Expr::Variable(set))]) if set.as_ref() == "bb R" => name,
            _ => return None,
        },
        _ => return None,
    };
    let mut about = Vec::new();
    names(condition, &mut about);
    about.iter().any(|n| *n == Expr::Variable(name.clone()).to_string()).then_some((name.as_ref(), condition))
}

impl Comparer<'_> {
    fn bound_of(&self, value: &Expr) -> Bound {
        Bound { value: value.clone(), near: self.approximate(value).unwrap_or(f64::NAN) }
    }

    fn piece(&self, low: &Expr, high: &Expr, from: bool, to: bool) -> Piece {
        Piece { low: self.bound_of(low), high: self.bound_of(high), from, to }
    }

    /// The set of reals that an expression describes.
    pub(super) fn solution(&self, expr: &Expr) -> Option<Solution> {
        match expr {
            Expr::Interval(low, high, from, to) => {
                Some(Solution::of(vec![self.piece(low, high, *from, *to)]))
            }
            Expr::Tuple(v) => match v.as_slice() {
                [low, high] => Some(Solution::of(vec![self.piece(low, high, false, false)])),
                _ => None,
            },
            Expr::Set(v) if !v.is_empty() => {
                Some(Solution::of(v.iter().map(|e| self.piece(e, e, true, true)).collect()))
            }
            Expr::List(parts) if parts.iter().all(excludes) => self.in_all(parts),
            Expr::Union(sets) | Expr::List(sets) => {
                let interval = |e: &Expr| matches!(e, Expr::Interval(..) | Expr::Relation(..));
                // points side by side are points, not intervals
                let points = matches!(expr, Expr::List(_)) && !sets.iter().any(interval);
                let mut all = Solution::of(Vec::new());
                for one in sets {
                    let one = self.solution(one)?;
                    if points && one.subject.is_none() {
                        return None;
                    }
                    all.pieces.extend(one.pieces);
                    all.subject = all.subject.or(one.subject);
                }
                Some(all)
            }
            Expr::Variable(name) if name.as_ref() == "bb R" => Some(Solution::of(vec![everything()])),
            Expr::Text(words)
                if matches!(
                    words.as_ref(),
                    "all real numbers" | "all reals" | "all real values" | "real numbers" | "any real number"
                ) =>
            {
                Some(Solution::of(vec![everything()]))
            }
            Expr::Without(from, out) => {
                let from = self.solution(from)?;
                let Expr::Set(out) = &**out else { return None };
                Some(Solution::of(self.without(from.pieces, out)?))
            }
            Expr::Comprehension(element, condition) => self.solution(plain_builder(element, condition)?.1),
            Expr::Relation(first, rest) => self.relation_set(first, rest),
            Expr::Opaque(name, parts) if name.as_ref() == "and" => self.in_all(parts),
            _ => None,
        }
    }

    /// What is in all of the sets, which must be about the same thing. What some exclude is taken out at once.
    fn in_all(&self, parts: &[Expr]) -> Option<Solution> {
        let mut all = Solution::of(vec![everything()]);
        let mut out = Vec::new();
        for part in parts {
            let one = match part {
                Expr::Relation(first, rest) if excludes(part) && named(first) => {
                    out.extend(super::shape::signs(&rest[0].1));
                    Solution { pieces: vec![everything()], subject: Some(first.to_string()) }
                }
                _ => self.solution(part)?,
            };
            if all.subject.as_ref().zip(one.subject.as_ref()).is_some_and(|(a, b)| a != b) {
                return None;
            }
            all.pieces = self.intersection(&all.pieces, &one.pieces)?;
            all.subject = all.subject.or(one.subject);
        }
        all.pieces = self.without(all.pieces, &out)?;
        Some(all)
    }

    fn relation_set(&self, first: &Expr, rest: &[(Relator, Expr)]) -> Option<Solution> {
        match rest {
            [(Relator::In, set)] if named(first) => {
                let inner = self.solution(set)?;
                Some(Solution { subject: Some(first.to_string()), ..inner })
            }
            [(Relator::NotEqual, out)] if named(first) => {
                let pieces = self.without(vec![everything()], &super::shape::signs(out))?;
                Some(Solution { pieces, subject: Some(first.to_string()) })
            }
            [(relator, side)] if named(first) && !named(side) => {
                self.bounded(first, None, Some((*relator, side)))
            }
            [(relator, side)] if named(side) && !named(first) => {
                self.bounded(side, Some((first, *relator)), None)
            }
            [(left, middle), (right, side)] if named(middle) => {
                self.bounded(middle, Some((first, *left)), Some((*right, side)))
            }
            _ => None,
        }
    }

    /// `low relator subject relator high`, of which one bound may be missing.
    fn bounded(
        &self,
        subject: &Expr,
        left: Option<(&Expr, Relator)>,
        right: Option<(Relator, &Expr)>,
    ) -> Option<Solution> {
        let mut piece = everything();
        let mut bound = |upper: bool, value: &Expr, closed: bool| {
            if upper {
                (piece.high, piece.to) = (self.bound_of(value), closed);
            } else {
                (piece.low, piece.from) = (self.bound_of(value), closed);
            }
        };
        for (relator, value, mirrored) in
            left.map(|(v, r)| (r, v, true)).into_iter().chain(right.map(|(r, v)| (r, v, false)))
        {
            let (less, closed) = match relator {
                Relator::Less => (true, false),
                Relator::LessEqual => (true, true),
                Relator::Greater => (false, false),
                Relator::GreaterEqual => (false, true),
                _ => return None,
            };
            bound(less != mirrored, value, closed);
        }
        let Expr::Apply(Function::Abs, inner) = subject else {
            let subject = Some(subject.to_string()).filter(|s| !s.is_empty());
            return Some(Solution { pieces: vec![piece], subject });
        };
        let subject = Some(inner.first()?.to_string());
        let turned = |b: &Bound| Bound { value: b.value.clone().negative(), near: -b.near };
        if piece.low.near.is_nan() {
            return None;
        }
        let pieces = if piece.low.near < 0.0 {
            vec![Piece { low: turned(&piece.high), from: piece.to, ..piece }]
        } else {
            let mirror =
                Piece { low: turned(&piece.high), high: turned(&piece.low), from: piece.to, to: piece.from };
            vec![mirror, piece]
        };
        Some(Solution { pieces, subject })
    }

    /// How two bounds stand to each other: by f64 where they are well apart, exactly or by value where not.
    fn order(&self, a: &Bound, b: &Bound) -> Option<Ordering> {
        self.work.spend(4)?;
        let gap = (a.near - b.near).abs();
        if a.near.is_infinite()
            || b.near.is_infinite()
            || gap > 1e-9 * a.near.abs().max(b.near.abs()).max(1.0)
        {
            return a.near.partial_cmp(&b.near);
        }
        if let (Some(x), Some(y)) = (self.exact(&a.value), self.exact(&b.value)) {
            return Some(x.cmp(&y));
        }
        if self.compare(&a.value, &b.value).equal {
            return Some(Ordering::Equal);
        }
        self.order_of(&a.value, &b.value)
    }

    /// What is in both.
    fn intersection(&self, left: &[Piece], right: &[Piece]) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        for a in left {
            for b in right {
                let (low, from) = match self.order(&a.low, &b.low)? {
                    Ordering::Equal => (&a.low, a.from && b.from),
                    Ordering::Greater => (&a.low, a.from),
                    Ordering::Less => (&b.low, b.from),
                };
                let (high, to) = match self.order(&a.high, &b.high)? {
                    Ordering::Equal => (&a.high, a.to && b.to),
                    Ordering::Less => (&a.high, a.to),
                    Ordering::Greater => (&b.high, b.to),
                };
                let filled = match self.order(low, high)? {
                    Ordering::Less => true,
                    Ordering::Equal => from && to,
                    Ordering::Greater => false,
                };
                if filled {
                    self.work.spend(20)?;
                    pieces.push(Piece { low: low.clone(), high: high.clone(), from, to });
                }
            }
        }
        Some(pieces)
    }

    /// Pieces without some points.
    fn without(&self, pieces: Vec<Piece>, points: &[Expr]) -> Option<Vec<Piece>> {
        let mut points: Vec<Bound> = points.iter().map(|p| self.bound_of(p)).collect();
        if points.iter().any(|p| p.near.is_nan()) {
            return None;
        }
        points.sort_by(|a, b| a.near.total_cmp(&b.near));
        let mut left = Vec::new();
        for mut piece in pieces {
            for point in &points {
                match (self.order(&piece.low, point)?, self.order(point, &piece.high)?) {
                    (Ordering::Less, Ordering::Less) => {
                        self.work.spend(20)?;
                        left.push(Piece { high: point.clone(), to: false, ..piece.clone() });
                        (piece.low, piece.from) = (point.clone(), false);
                    }
                    (Ordering::Equal, Ordering::Less) => piece.from = false,
                    (Ordering::Less, Ordering::Equal) => piece.to = false,
                    _ => {}
                }
            }
            left.push(piece);
        }
        Some(left)
    }

    /// Whether two sets of reals are the same.
    pub(super) fn solutions(&self, gold: &Solution, answer: &Solution) -> Finding {
        if let (Some(g), Some(a)) = (&gold.subject, &answer.subject)
            && g != a
            && !self.policies.rename_variables
        {
            return Finding::no(format!("it is about {a}, not {g}"));
        }
        let (gold, answer) = (self.merged(&gold.pieces), self.merged(&answer.pieces));
        if gold.len() != answer.len() {
            return Finding::no(format!("a set of {} pieces, not {}", answer.len(), gold.len()));
        }
        for (g, a) in gold.iter().zip(&answer) {
            if (g.from, g.to) != (a.from, a.to) {
                return Finding::no("an end is open in one and closed in the other");
            }
            for (g, a) in [(&g.low, &a.low), (&g.high, &a.high)] {
                let bound = self.same_bound(g, a);
                if !bound.equal {
                    return Finding::no(format!("other bound: {}", bound.why));
                }
            }
        }
        Finding::yes("the same set")
    }

    fn same_bound(&self, gold: &Bound, answer: &Bound) -> Finding {
        match (gold.near.is_infinite(), answer.near.is_infinite()) {
            (false, false) => self.compare(&gold.value, &answer.value),
            _ if gold.near == answer.near => Finding::yes("the same bound"),
            _ => Finding::no("one is infinite"),
        }
    }

    /// Pieces in order, those that overlap or touch made one.
    fn merged(&self, pieces: &[Piece]) -> Vec<Piece> {
        let mut pieces = pieces.to_vec();
        if pieces.len() < 2 || pieces.iter().any(|p| p.low.near.is_nan() || p.high.near.is_nan()) {
            return pieces;
        }
        pieces.sort_by(|a, b| a.low.near.total_cmp(&b.low.near));
        let mut merged: Vec<Piece> = Vec::new();
        for piece in pieces {
            let Some(last) = merged.last_mut() else {
                merged.push(piece);
                continue;
            };
            let joined = match self.order(&piece.low, &last.high) {
                Some(Ordering::Less) => true,
                Some(Ordering::Equal) => last.to || piece.from,
                _ => false,
            };
            if !joined {
                merged.push(piece);
                continue;
            }
            match self.order(&piece.low, &last.low) {
                Some(Ordering::Less) => (last.low, last.from) = (piece.low, piece.from),
                Some(Ordering::Equal) => last.from |= piece.from,
                _ => {}
            }
            match self.order(&piece.high, &last.high) {
                Some(Ordering::Greater) => (last.high, last.to) = (piece.high, piece.to),
                Some(Ordering::Equal) => last.to |= piece.to,
                _ => {}
            }
        }
        merged
    }
}
