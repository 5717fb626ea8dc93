//! Solution sets on the real line: intervals, unions, inequalities and what is excluded, as pieces in order.

use super::scalar::approximate;
use super::{Comparer, Finding};
use crate::tree::{Constant, Expr, Function, Relator};

/// An interval, or a point where both bounds are the same.
#[derive(Clone, Debug)]
struct Piece {
    low: Expr,
    high: Expr,
    from: bool,
    to: bool,
}

/// A set of reals, and the name of what is in it, if it is named.
pub(super) struct Solution {
    pieces: Vec<Piece>,
    subject: Option<String>,
}

fn infinity() -> Expr {
    Expr::Constant(Constant::Infinity)
}

fn everything() -> Vec<Piece> {
    vec![Piece { low: infinity().negative(), high: infinity(), from: false, to: false }]
}

/// Whether an expression is made of names only: what an assignment may have on its left.
pub(super) fn named(expr: &Expr) -> bool {
    match expr {
        Expr::Variable(_) | Expr::Call(..) | Expr::Text(_) => true,
        Expr::Opaque(name, _) => !matches!(name.as_ref(), "dots" | "and" | "cases"),
        Expr::Series(_) => true,
        Expr::Tuple(v) | Expr::Sum(v) | Expr::Product(v) | Expr::Ratio(v) | Expr::Apply(Function::Abs, v) => {
            v.iter().all(named)
        }
        Expr::Quotient(a, b) => named(a) && named(b),
        Expr::Power(a, b) => named(a) && matches!(&**b, Expr::Variable(_)),
        Expr::Constant(Constant::E | Constant::I) => false,
        _ => false,
    }
}

/// The set of reals that an expression describes; `inequalities` alone counts only relations.
pub(super) fn solution(expr: &Expr) -> Option<Solution> {
    let set = |pieces| Solution { pieces, subject: None };
    match expr {
        Expr::Interval(low, high, from, to) => {
            Some(set(vec![Piece { low: (**low).clone(), high: (**high).clone(), from: *from, to: *to }]))
        }
        Expr::Tuple(v) => match v.as_slice() {
            [low, high] => {
                Some(set(vec![Piece { low: low.clone(), high: high.clone(), from: false, to: false }]))
            }
            _ => None,
        },
        Expr::Set(v) if !v.is_empty() => Some(set(v
            .iter()
            .map(|e| Piece { low: e.clone(), high: e.clone(), from: true, to: true })
            .collect())),
        Expr::List(parts) if parts.iter().all(excludes) => {
            let mut all = Solution { pieces: everything(), subject: None };
            for part in parts {
                let part = solution(part)?;
                all.pieces = intersection(&all.pieces, &part.pieces)?;
                all.subject = all.subject.or(part.subject);
            }
            Some(all)
        }
        Expr::Union(sets) | Expr::List(sets) => {
            let mut all = set(Vec::new());
            for one in sets {
                let one = solution(one)?;
                if matches!(expr, Expr::List(_))
                    && one.subject.is_none()
                    && !matches!(expr, Expr::Union(_))
                    && sets.len() > 1
                {
                    // points side by side are points, not intervals
                    if !sets.iter().any(|s| matches!(s, Expr::Interval(..) | Expr::Relation(..))) {
                        return None;
                    }
                }
                all.pieces.extend(one.pieces);
                all.subject = all.subject.or(one.subject);
            }
            Some(all)
        }
        Expr::Variable(name) if name.as_ref() == "bb R" => Some(set(everything())),
        Expr::Text(words)
            if matches!(
                words.as_ref(),
                "all real numbers" | "all reals" | "all real values" | "real numbers" | "any real number"
            ) =>
        {
            Some(set(everything()))
        }
        Expr::Without(from, out) => {
            let from = solution(from)?;
            let Expr::Set(out) = &**out else { return None };
            Some(set(without(from.pieces, out)?))
        }
        Expr::Comprehension(_, condition) => solution(condition),
        Expr::Relation(first, rest) => relation(first, rest),
        Expr::Opaque(name, parts) if name.as_ref() == "and" => {
            let mut all = Solution { pieces: everything(), subject: None };
            for part in parts {
                let part = solution(part)?;
                if all.subject.as_ref().zip(part.subject.as_ref()).is_some_and(|(a, b)| a != b) {
                    return None;
                }
                all.pieces = intersection(&all.pieces, &part.pieces)?;
                all.subject = all.subject.or(part.subject);
            }
            Some(all)
        }
        _ => None,
    }
}

/// Whether it only excludes something, as `x \neq 5` does.
fn excludes(expr: &Expr) -> bool {
    matches!(expr, Expr::Relation(_, rest) if matches!(rest.as_slice(), [(Relator::NotEqual, _)]))
}

fn relation(first: &Expr, rest: &[(Relator, Expr)]) -> Option<Solution> {
    match rest {
        [(Relator::In, set)] if named(first) => {
            let mut inner = solution(set)?;
            inner.subject = Some(first.to_string());
            Some(inner)
        }
        [(Relator::NotEqual, out)] if named(first) => {
            let pieces = without(everything(), &super::shape::signs(out))?;
            Some(Solution { pieces, subject: Some(first.to_string()) })
        }
        [(relator, side)] if named(first) && !named(side) => bounded(first, None, Some((*relator, side))),
        [(relator, side)] if named(side) && !named(first) => bounded(side, Some((first, *relator)), None),
        [(left, middle), (right, side)] if named(middle) => {
            bounded(middle, Some((first, *left)), Some((*right, side)))
        }
        _ => None,
    }
}

/// `low relator subject relator high`, of which one bound may be missing.
fn bounded(
    subject: &Expr,
    left: Option<(&Expr, Relator)>,
    right: Option<(Relator, &Expr)>,
) -> Option<Solution> {
    let mut piece = everything().pop()?;
    let mut bound = |upper: bool, value: &Expr, closed: bool| {
        if upper {
            (piece.high, piece.to) = (value.clone(), closed);
        } else {
            (piece.low, piece.from) = (value.clone(), closed);
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
        return Some(Solution {
            pieces: vec![piece],
            subject: Some(subject.to_string()).filter(|s| !s.is_empty()),
        });
    };
    let subject = Some(inner.first()?.to_string());
    let mirror = |p: &Piece| Piece {
        low: p.high.clone().negative(),
        high: p.low.clone().negative(),
        from: p.to,
        to: p.from,
    };
    if approximate(&piece.low)? < 0.0 {
        let high = piece.high.clone();
        let both = Piece { low: high.clone().negative(), high, from: piece.to, to: piece.to };
        return Some(Solution { pieces: vec![both], subject });
    }
    Some(Solution { pieces: vec![mirror(&piece), piece], subject })
}

/// What is in both.
fn intersection(left: &[Piece], right: &[Piece]) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    for a in left {
        for b in right {
            let (al, bl, ah, bh) =
                (approximate(&a.low)?, approximate(&b.low)?, approximate(&a.high)?, approximate(&b.high)?);
            let (low, from) = if al == bl {
                (&a.low, a.from && b.from)
            } else if al > bl {
                (&a.low, a.from)
            } else {
                (&b.low, b.from)
            };
            let (high, to) = if ah == bh {
                (&a.high, a.to && b.to)
            } else if ah < bh {
                (&a.high, a.to)
            } else {
                (&b.high, b.to)
            };
            if al.max(bl) < ah.min(bh) || al.max(bl) == ah.min(bh) && from && to {
                pieces.push(Piece { low: low.clone(), high: high.clone(), from, to });
            }
        }
    }
    Some(pieces)
}

/// Pieces without some points.
fn without(pieces: Vec<Piece>, points: &[Expr]) -> Option<Vec<Piece>> {
    let mut pieces = pieces;
    for point in points {
        let at = approximate(point)?;
        let mut split = Vec::new();
        for piece in pieces {
            let (low, high) = (approximate(&piece.low)?, approximate(&piece.high)?);
            if low < at && at < high {
                split.push(Piece { high: point.clone(), to: false, ..piece.clone() });
                split.push(Piece { low: point.clone(), from: false, ..piece });
            } else {
                split.push(piece);
            }
        }
        pieces = split;
    }
    Some(pieces)
}

impl Comparer<'_> {
    /// Whether two sets of reals are the same.
    pub(super) fn solutions(&self, gold: &Solution, answer: &Solution) -> Finding {
        if let (Some(g), Some(a)) = (&gold.subject, &answer.subject)
            && g != a
            && !self.policies.rename_variables
        {
            return Finding::no(format!("it is about {a}, not {g}"));
        }
        let (gold, answer) = (self.ordered(&gold.pieces), self.ordered(&answer.pieces));
        if gold.len() != answer.len() {
            return Finding::no(format!("a set of {} pieces, not {}", answer.len(), gold.len()));
        }
        for (g, a) in gold.iter().zip(&answer) {
            if (g.from, g.to) != (a.from, a.to) {
                return Finding::no("an end is open in one and closed in the other");
            }
            for (g, a) in [(&g.low, &a.low), (&g.high, &a.high)] {
                let bound = self.bound(g, a);
                if !bound.equal {
                    return Finding::no(format!("other bound: {}", bound.why));
                }
            }
        }
        Finding::yes("the same set")
    }

    fn bound(&self, gold: &Expr, answer: &Expr) -> Finding {
        let infinite = |e: &Expr| approximate(e).filter(|v| v.is_infinite());
        match (infinite(gold), infinite(answer)) {
            (None, None) => self.compare(gold, answer),
            (g, a) if g == a => Finding::yes("the same bound"),
            _ => Finding::no("one is infinite"),
        }
    }

    /// Pieces in order, those that touch made one.
    fn ordered(&self, pieces: &[Piece]) -> Vec<Piece> {
        let mut keyed: Vec<(f64, Piece)> =
            pieces.iter().map(|p| (approximate(&p.low).unwrap_or(f64::NAN), p.clone())).collect();
        if keyed.len() < 2 || keyed.iter().any(|(key, _)| key.is_nan()) {
            return keyed.into_iter().map(|(_, p)| p).collect();
        }
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        let mut merged: Vec<Piece> = Vec::new();
        for (low, piece) in keyed {
            if let Some(last) = merged.last_mut()
                && let Some(high) = approximate(&last.high)
                && (last.to || piece.from)
                && (high - low).abs() <= 1e-12 * high.abs().max(1.0)
            {
                (last.high, last.to) = (piece.high, piece.to);
            } else {
                merged.push(piece);
            }
        }
        merged
    }
}
