//! Tuples, vectors and matrices in order, ratios up to a factor, lists and sets in any order.

use super::{Comparer, Finding, shape};
use crate::limits::ELEMENTS;
use crate::tree::{Expr, Relator};
use dashu_ratio::RBig;

impl Comparer<'_> {
    pub(super) fn in_order(&self, gold: &[Expr], answer: &[Expr]) -> Finding {
        for (i, (g, a)) in gold.iter().zip(answer).enumerate() {
            let one = self.compare(g, a);
            if !one.equal {
                return Finding::no(format!("element {} differs: {}", i + 1, one.why));
            }
        }
        Finding::yes("equal elements")
    }

    /// A matrix of one row or column beside a tuple.
    pub(super) fn vector(&self, matrix: &[Vec<Expr>], other: &Expr, gold_is_matrix: bool) -> Finding {
        let cells: Vec<Expr> = matrix.concat();
        let flat = matrix.len() == 1 || matrix[0].len() == 1;
        let list = match other {
            Expr::Tuple(v) => v.clone(),
            Expr::Interval(a, b, true, true) => vec![(**a).clone(), (**b).clone()],
            _ => return Finding::no("only one is a matrix"),
        };
        if !flat || cells.len() != list.len() {
            return Finding::no("only one is a matrix");
        }
        if gold_is_matrix { self.in_order(&cells, &list) } else { self.in_order(&list, &cells) }
    }

    pub(super) fn ratios(&self, gold: &[Expr], answer: &[Expr]) -> Finding {
        if gold.len() != answer.len() {
            return Finding::no("a ratio of another length");
        }
        let (Some(g), Some(a)) = (self.exact_values(gold), self.exact_values(answer)) else {
            return self.in_order(gold, answer);
        };
        let zero = g.iter().chain(&a).any(|v| v.is_zero());
        let proportional = g.iter().zip(&a).all(|(x, y)| x * &a[0] == y * &g[0]);
        if g == a || !zero && proportional {
            Finding::yes("the same ratio")
        } else {
            Finding::no("another ratio")
        }
    }

    /// Assignments to the same names, or beside a tuple in the order of their names; none where there are no such.
    fn assignments(&self, gold: &Expr, answer: &Expr) -> Option<Finding> {
        if let (Some(g), Some(a)) = (shape::named_values(gold), shape::named_values(answer))
            && g.len() == a.len()
            && let Some(ordered) = g
                .iter()
                .map(|(name, _)| a.iter().find(|(n, _)| n == name).map(|(_, v)| v.clone()))
                .collect::<Option<Vec<_>>>()
        {
            let g: Vec<Expr> = g.into_iter().map(|(_, value)| value).collect();
            return Some(self.in_order(&g, &ordered));
        }
        for (list, tuple, swapped) in [(gold, answer, false), (answer, gold, true)] {
            if let (Some(values), Expr::Tuple(items)) = (shape::named_values(list), tuple)
                && values.len() == items.len()
            {
                let values = shape::by_name(values);
                let (gold, answer) = if swapped { (items, &values) } else { (&values, items) };
                return Some(self.in_order(gold, answer));
            }
        }
        None
    }

    /// Lists and sets in any order; each of their elements must have its like in the other.
    pub(super) fn collections(&self, gold: &Expr, answer: &Expr) -> Finding {
        if let Some(finding) = self.assignments(gold, answer) {
            return finding;
        }
        let relations = |e: &Expr| matches!(e, Expr::List(v) if v.iter().all(|e| matches!(e, Expr::Relation(_, r) if r[0].0 != Relator::Equal) || matches!(e, Expr::Interval(..))));
        if (relations(gold) || relations(answer))
            && let (Some(g), Some(a)) = (self.solution(gold), self.solution(answer))
        {
            return self.solutions(&g, &a);
        }
        // a list in brackets, as programs write it
        if let (Expr::List(g), Expr::Interval(a, b, true, true)) = (gold, answer)
            && g.len() == 2
        {
            return self.collections(gold, &Expr::List(vec![(**a).clone(), (**b).clone()]));
        }
        if let (Expr::Set(v), Expr::Interval(..) | Expr::Union(_))
        | (Expr::Interval(..) | Expr::Union(_), Expr::Set(v)) = (gold, answer)
        {
            return Finding::no(if v.is_empty() { "one is empty" } else { "a set of points is no interval" });
        }
        if let (Expr::Tuple(g), Expr::List(a)) = (gold, answer)
            && g.len() == a.len()
        {
            return self.in_order(g, a);
        }
        if matches!((gold, answer), (Expr::Tuple(_), _) | (_, Expr::Tuple(_)))
            && shape::elements(gold).len() != shape::elements(answer).len()
        {
            return Finding::no("an ordered tuple is no unordered list");
        }
        self.any_order(gold, answer)
    }

    fn any_order(&self, gold: &Expr, answer: &Expr) -> Finding {
        // a set has each element once, and so have points and a single answer that is repeated; other lists have their
        // elements as often as they are written
        let once = |e: &Expr| matches!(e, Expr::Set(_) | Expr::Union(_));
        let points = |v: &[Expr]| v.iter().all(|e| matches!(e, Expr::Tuple(_)));
        let (mut g, mut a) = (shape::elements(gold), shape::elements(answer));
        if points(&g) && points(&a) || once(gold) || once(answer) || g.len() == 1 || a.len() == 1 {
            (g, a) = (self.distinct(g), self.distinct(a));
        }
        if g.len() != a.len() {
            return Finding::no(format!("{} instead of {}", counted(a.len()), counted(g.len())));
        }
        if let (Some(mut g), Some(mut a)) = (self.exact_values(&g), self.exact_values(&a)) {
            g.sort();
            a.sort();
            if g == a {
                return Finding::yes("equal elements in any order");
            }
        }
        if g.len() > ELEMENTS {
            return Finding::no("too many elements to compare");
        }
        let mut left: Vec<&Expr> = a.iter().collect();
        for element in &g {
            // most lists are in the same order
            let Some(found) = left.iter().position(|other| self.compare(element, other).equal) else {
                let shown: String = element.to_string().chars().take(40).collect();
                return Finding::no(format!("there is no {shown} among its elements"));
            };
            left.remove(found);
        }
        Finding::yes("equal elements in any order")
    }

    pub(super) fn exact_values(&self, list: &[Expr]) -> Option<Vec<RBig>> {
        list.iter().map(|e| self.exact(e)).collect()
    }

    /// Elements without those that are the same rational, or written the same, as one before.
    fn distinct(&self, elements: Vec<Expr>) -> Vec<Expr> {
        let mut seen = std::collections::BTreeSet::new();
        let mut forms: Vec<Expr> = Vec::new();
        elements
            .into_iter()
            .filter(|e| match self.exact(e) {
                Some(value) => seen.insert(value),
                None if forms.len() > ELEMENTS || forms.contains(e) => false,
                None => {
                    forms.push(e.clone());
                    true
                }
            })
            .collect()
    }
}

fn counted(count: usize) -> String {
    if count == 1 { "1 answer".into() } else { format!("{count} answers") }
}
