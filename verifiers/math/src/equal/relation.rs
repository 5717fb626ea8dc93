//! Equations, inequalities and chains of them, beside one another and beside what they assign.

use super::scalar::{Question, names};
use super::{Comparer, Finding, shape};
use crate::tree::{Expr, Relator};

impl Comparer<'_> {
    /// At least one side is a relation.
    pub(super) fn relations(&self, gold: &Expr, answer: &Expr) -> Finding {
        let named = |e: &Expr| shape::named_values(e).is_some();
        let point = |e: &Expr| matches!(e, Expr::Tuple(_));
        if named(gold) && (named(answer) || point(answer)) || point(gold) && named(answer) {
            return self.collections(gold, answer);
        }
        match (gold, answer) {
            // `x \equiv 5 \pmod 7` and `5 \pmod 7`
            (Expr::Relation(_, rest), residue) | (residue, Expr::Relation(_, rest))
                if is_residue(residue)
                    && matches!(rest.as_slice(), [(Relator::Other, side)] if is_residue(side)) =>
            {
                self.compare(&rest[0].1, residue)
            }
            (Expr::Relation(gf, gr), Expr::Relation(af, ar)) => self.both(gold, answer, (gf, gr), (af, ar)),
            (Expr::Relation(..), other) => match self.said(gold) {
                // `x + y = 1` is a line, not 1
                Some(_) if shape::sum_of_names(gold) && shape::is_scalar(other) => {
                    Finding::no("an equation is no value")
                }
                Some(value) => self.compare(&value, other),
                None => self.as_sets(gold, answer),
            },
            (other, Expr::Relation(..)) => match self.said(answer) {
                Some(value) => self.compare(other, &value),
                None => self.as_sets(gold, answer),
            },
            _ => Finding::no("no relation"),
        }
    }

    /// What a relation says that the answer is: what it assigns, the set that something is in, or the common value of
    /// a chain of numbers that are all equal.
    fn said(&self, relation: &Expr) -> Option<Expr> {
        if let Some(value) = shape::assigned(relation).or_else(|| shape::member(relation)) {
            return Some(value.clone());
        }
        let Expr::Relation(first, rest) = relation else { return None };
        let mut free = Vec::new();
        names(relation, &mut free);
        if !free.is_empty() || rest.iter().any(|(r, _)| !matches!(r, Relator::Equal | Relator::Approx)) {
            return None;
        }
        let mut value: &Expr = first;
        for (relator, side) in rest {
            if *relator == Relator::Approx {
                break;
            }
            if !self.compare(value, side).equal {
                return None;
            }
            value = side;
        }
        Some(value.clone())
    }

    /// Whether the answer is an inequality where the gold answer is a set, and policy is against it.
    fn inequality(&self, gold: &Expr, answer: &Expr) -> bool {
        let compares = |e: &Expr| match e {
            Expr::Relation(_, rest) => {
                rest.iter().all(|(r, _)| !matches!(r, Relator::Equal | Relator::Approx | Relator::In))
            }
            _ => false,
        };
        !self.policies.inequality_for_set && compares(answer) && !compares(gold)
    }

    fn as_sets(&self, gold: &Expr, answer: &Expr) -> Finding {
        if self.inequality(gold, answer) {
            return Finding::no("an inequality instead of the set; policy `inequality_for_set`");
        }
        if let (Expr::List(_) | Expr::Set(_), _) | (_, Expr::List(_) | Expr::Set(_)) = (gold, answer)
            && !matches!((gold, answer), (Expr::Set(_), _) | (_, Expr::Set(_)))
        {
            return self.collections(gold, answer);
        }
        match (self.solution(gold), self.solution(answer)) {
            (Some(g), Some(a)) => self.solutions(&g, &a),
            _ => Finding::no("only one is a relation, and it does not say what the answer is"),
        }
    }

    fn both(
        &self,
        gold: &Expr,
        answer: &Expr,
        (gf, gr): (&Expr, &[(Relator, Expr)]),
        (af, ar): (&Expr, &[(Relator, Expr)]),
    ) -> Finding {
        let said = (shape::assigned(gold), shape::assigned(answer));
        if let (Some(g), Some(a)) = said {
            let same_name = gf.to_string() == af.to_string();
            let called =
                |e: &Expr| matches!(e, Expr::Call(..)) || matches!(e, Expr::Variable(n) if n.as_ref() == "y");
            if same_name || self.policies.rename_variables || called(gf) && called(af) && gf != af {
                let values = self.compare(g, a);
                if values.equal {
                    return values;
                }
            }
            if let (Expr::Ratio(_), Expr::Ratio(_)) = (g, a) {
                return self.compare(g, a);
            }
        }
        if let (Some(g), Some(a)) = (shape::member(gold), shape::member(answer))
            && gf.to_string() == af.to_string()
        {
            return self.compare(g, a);
        }
        if let (Some(g), Some(a)) = (self.solution(gold), self.solution(answer))
            && !self.inequality(gold, answer)
        {
            let finding = self.solutions(&g, &a);
            if finding.equal {
                return finding;
            }
        }
        if let ([(g, right)], [(a, other)]) = (gr, ar) {
            return self.pair((gf, *g, right), (af, *a, other));
        }
        if let (Some(g), Some(a)) = (self.said(gold), self.said(answer)) {
            let same = gf.to_string() == af.to_string();
            if same {
                return self.compare(&g, &a);
            }
        }
        self.chains((gf, gr), (af, ar))
    }

    /// Two chains side by side, or one read from its end.
    fn chains(
        &self,
        (gf, gr): (&Expr, &[(Relator, Expr)]),
        (af, ar): (&Expr, &[(Relator, Expr)]),
    ) -> Finding {
        if gr.len() != ar.len() {
            return Finding::no("another chain of relations");
        }
        let forward: Vec<&Expr> = std::iter::once(af).chain(ar.iter().map(|(_, e)| e)).collect();
        let gold: Vec<&Expr> = std::iter::once(gf).chain(gr.iter().map(|(_, e)| e)).collect();
        let same = |sides: &[&Expr]| gold.iter().zip(sides).all(|(g, a)| self.compare(g, a).equal);
        let relators = |v: &[(Relator, Expr)]| v.iter().map(|(r, _)| *r).collect::<Vec<_>>();
        if relators(gr) == relators(ar) && same(&forward) {
            return Finding::yes("equal sides");
        }
        let backward: Vec<&Expr> = forward.into_iter().rev().collect();
        let mirrored: Vec<Relator> = ar.iter().rev().map(|(r, _)| mirror(*r)).collect();
        if relators(gr) == mirrored && same(&backward) {
            return Finding::yes("equal sides");
        }
        Finding::no("another chain of relations")
    }

    /// Two relations of two sides each.
    fn pair(
        &self,
        (gf, g, right): (&Expr, Relator, &Expr),
        (af, a, other): (&Expr, Relator, &Expr),
    ) -> Finding {
        use Relator::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
        let sides_of = |e: &Expr| shape::is_scalar(e);
        let scalar = [gf, right, af, other].into_iter().all(sides_of);
        if !scalar {
            let forward = g == a && self.compare(gf, af).equal && self.compare(right, other).equal;
            let backward = g == mirror(a) && self.compare(gf, other).equal && self.compare(right, af).equal;
            return if forward || backward {
                Finding::yes("equal sides")
            } else {
                Finding::no("other sides")
            };
        }
        let difference = |a: &Expr, b: &Expr| a.clone().minus(b.clone());
        let (left, rest) = (difference(gf, right), difference(af, other));
        let mut free = (Vec::new(), Vec::new());
        names(&left, &mut free.0);
        names(&rest, &mut free.1);
        if free.0.is_empty() || free.1.is_empty() {
            // a statement about numbers is true or false, and says nothing
            let same = g == a && self.compare(gf, af).equal && self.compare(right, other).equal;
            return if same {
                Finding::yes("equal sides")
            } else {
                Finding::no("a relation without variables says nothing")
            };
        }
        match (g, a) {
            (Equal, Equal) | (NotEqual, NotEqual) => {
                let finding = self.expressions(&left, &rest, Question::Proportional);
                if finding.equal {
                    Finding::yes("the same equation up to a factor")
                } else {
                    Finding::no("another equation")
                }
            }
            (Less | LessEqual | Greater | GreaterEqual, Less | LessEqual | Greater | GreaterEqual) => {
                let (strict, loose) = (|r| matches!(r, Less | Greater), |r| matches!(r, Less | LessEqual));
                if strict(g) != strict(a) {
                    return Finding::no("one is strict");
                }
                let turned = loose(g) != loose(a);
                let proportional = self.expressions(&left, &rest, Question::Proportional).equal;
                if proportional && self.ratio_sign(&left, &rest) == Some(!turned) {
                    Finding::yes("the same inequality up to a factor")
                } else {
                    Finding::no("another inequality")
                }
            }
            _ if g == a => {
                let same = self.compare(gf, af).equal && self.compare(right, other).equal;
                if same { Finding::yes("equal sides") } else { Finding::no("other sides") }
            }
            _ => Finding::no("another relation"),
        }
    }
}

/// Whether it is a number modulo another.
fn is_residue(expr: &Expr) -> bool {
    matches!(expr, Expr::Opaque(name, _) if name.as_ref() == "mod")
}

/// The relation read from the right.
fn mirror(relator: Relator) -> Relator {
    match relator {
        Relator::Less => Relator::Greater,
        Relator::LessEqual => Relator::GreaterEqual,
        Relator::Greater => Relator::Less,
        Relator::GreaterEqual => Relator::LessEqual,
        other => other,
    }
}
