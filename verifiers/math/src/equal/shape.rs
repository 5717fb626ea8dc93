//! Forms that say the same in other words: assignments and what they assign, both signs as two elements, matrices
//! that are sums or products, lists of lists.

use super::sets::named;
use crate::limits::NODES;
use crate::number::{evaluate::size, exact};
use crate::tree::{Expr, Function, Number, Relator};
use crate::work::Work;
use std::cell::Cell;

/// The elements of a list or set, both signs as two of them.
pub(super) fn elements(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::List(v) | Expr::Set(v) => {
            let v = distributed(v);
            v.iter()
                .flat_map(|e| if matches!(e, Expr::List(_)) { vec![e.clone()] } else { signs(e) })
                .collect()
        }
        other => signs(other),
    }
}

/// `x \neq -1, 4` as two relations.
fn distributed(elements: &[Expr]) -> Vec<Expr> {
    if let [Expr::Relation(first, rest), others @ ..] = elements
        && let [(Relator::NotEqual, _)] = rest.as_slice()
        && !others.is_empty()
        && others.iter().all(|e| !matches!(e, Expr::Relation(..)))
    {
        let others =
            others.iter().map(|e| Expr::Relation(first.clone(), vec![(Relator::NotEqual, e.clone())]));
        return std::iter::once(elements[0].clone()).chain(others).collect();
    }
    elements.to_vec()
}

/// Whether there is a `\pm` anywhere in it.
pub(super) fn has_signs(expr: &Expr) -> bool {
    expr.any(&|e| matches!(e, Expr::PlusMinus(..)))
}

/// An expression with both signs as its two values: all upper signs, then all lower ones.
pub(super) fn signs(expr: &Expr) -> Vec<Expr> {
    match expr {
        Expr::List(v) | Expr::Set(v) if has_signs(expr) => v.iter().flat_map(signs).collect(),
        _ if !has_signs(expr) => vec![expr.clone()],
        _ => [true, false].into_iter().map(|upper| signed(expr, upper)).collect(),
    }
}

fn signed(expr: &Expr, upper: bool) -> Expr {
    expr.map(&|e| match e {
        Expr::PlusMinus(inner, up) => {
            let inner = signed(inner, upper);
            Some(if *up == upper { inner } else { inner.negative() })
        }
        _ => None,
    })
}

/// What a chain of relations says that a name is: `5` for `x = 2 + 3 = 5`, `1/3` for `x = 1/3 \approx 0.33`.
pub(super) fn assigned(expr: &Expr) -> Option<&Expr> {
    let Expr::Relation(first, rest) = expr else { return None };
    if let [(Relator::Approx, side)] = rest.as_slice() {
        // `1/3 \approx 0.33` is a third, `x \approx 0.33` is 0.33
        return if named(first) { Some(side).filter(|_| assignable(first)) } else { Some(first) };
    }
    let exact = rest.iter().take_while(|(r, _)| *r == Relator::Equal).count();
    if exact == 0 || !rest[exact..].iter().all(|(r, _)| *r == Relator::Approx) {
        return None;
    }
    if named(first) {
        return assignable(first).then(|| &rest[exact - 1].1);
    }
    // `5 = x`
    match rest.as_slice() {
        [(_, side)]
            if named(side) && assignable(side) && !matches!(side, Expr::Opaque(..) | Expr::Series(_)) =>
        {
            Some(first)
        }
        _ => None,
    }
}

/// Whether what is made of names has one value by its name: `|x| = 5` says that x is 5 or -5. Lengths, sizes of sets and
/// absolute values of complex numbers, `|AB|`, `|S|` and `|z|`, are values.
fn assignable(expr: &Expr) -> bool {
    let real = |e: &Expr| match e {
        Expr::Variable(name) => {
            name.chars().next().is_some_and(char::is_lowercase)
                && !name.contains(' ')
                && !matches!(name.split('_').next(), Some("z" | "w"))
        }
        _ => false,
    };
    !expr.any(&|e| matches!(e, Expr::Apply(Function::Abs, v) if v.iter().any(|inner| inner.any(&real))))
}

/// The element and the condition of a set builder, or of an expression beside the condition of its parameter.
pub(super) fn builder(expr: &Expr) -> Option<(&Expr, &Expr)> {
    match expr {
        Expr::Comprehension(element, condition) => Some((element, condition)),
        Expr::List(parts) => match parts.as_slice() {
            [element, condition @ Expr::Relation(_, rest)]
                if matches!(rest.as_slice(), [(Relator::In, _)]) =>
            {
                Some((assigned(element).unwrap_or(element), condition))
            }
            _ => None,
        },
        _ => None,
    }
}

/// What a condition says the set of.
pub(super) fn parameter(condition: &Expr) -> Option<&str> {
    match condition {
        Expr::Relation(first, rest) if matches!(rest.as_slice(), [(Relator::In, _)]) => match &**first {
            Expr::Variable(name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// The expression with one name in place of another.
pub(super) fn renamed(expr: &Expr, from: &str, to: &str) -> Expr {
    if from == to {
        return expr.clone();
    }
    expr.map(&|e| matches!(e, Expr::Variable(n) if n.as_ref() == from).then(|| Expr::Variable(to.into())))
}

/// Whether a relation's first side is a sum of names, such as `x + y`.
pub(super) fn sum_of_names(relation: &Expr) -> bool {
    matches!(relation, Expr::Relation(first, _) if matches!(&**first, Expr::Sum(_)))
}

/// The set that a name is said to be in.
pub(super) fn member(expr: &Expr) -> Option<&Expr> {
    match expr {
        Expr::Relation(first, rest) if named(first) => match rest.as_slice() {
            [(Relator::In, set)] => Some(set),
            _ => None,
        },
        _ => None,
    }
}

/// The values of assignments in the order of their names, where one side has no names: `y = 1, x = 2` is (2, 1).
pub(super) fn by_name(mut values: Vec<(String, Expr)>) -> Vec<Expr> {
    values.sort_by(|a, b| a.0.cmp(&b.0));
    values.into_iter().map(|(_, value)| value).collect()
}

/// Whether an answer is a number in a form that leaves nothing to compute: digits, a fraction of them, scientific
/// notation, with a sign, a unit, or in other words. What is no value at all is not asked for one.
pub(super) fn is_evaluated(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::Based(..) | Expr::Text(_) | Expr::Time(..) | Expr::Constant(_) => true,
        Expr::Negative(inner) | Expr::Percent(inner) | Expr::Quantity(inner, _) => is_evaluated(inner),
        Expr::Quotient(above, below) => super::is_number(above) && super::is_number(below),
        Expr::Ratio(parts) | Expr::List(parts) | Expr::Set(parts) | Expr::Tuple(parts) => {
            parts.iter().all(|part| is_evaluated(assigned(part).unwrap_or(part)))
        }
        Expr::Power(base, exponent) => **base == Expr::integer(10) && super::is_number(exponent),
        Expr::Product(factors) => match factors.as_slice() {
            [value, scale @ Expr::Power(..)] => super::is_number(value) && is_evaluated(scale),
            // "2.5 million", 30 degrees
            [value, Expr::Number(_) | Expr::Constant(crate::tree::Constant::Degree)] => {
                super::is_number(value)
            }
            _ => false,
        },
        _ => false,
    }
}

/// Whether it only restates what was asked.
pub(super) fn restates(expr: &Expr) -> bool {
    match expr {
        Expr::Series(_) => true,
        Expr::Apply(function, _) => matches!(
            function,
            Function::Gcd
                | Function::Lcm
                | Function::Min
                | Function::Max
                | Function::Mod
                | Function::Floor
                | Function::Ceil
        ),
        Expr::Opaque(name, _) => name.as_ref() != "dots",
        _ => false,
    }
}

/// Values by name: of `x = 1, y = 2` or `(x, y) = (1, 2)`.
pub(super) fn named_values(expr: &Expr) -> Option<Vec<(String, Expr)>> {
    if let Expr::Relation(first, rest) = expr {
        let (Expr::Tuple(names), [(Relator::Equal, Expr::Tuple(values))]) = (&**first, rest.as_slice())
        else {
            return None;
        };
        let pairs = names.iter().map(ToString::to_string).zip(values.iter().cloned());
        return (names.len() == values.len()).then(|| pairs.collect());
    }
    let values = tuple_of_assignments(expr)?;
    let Expr::List(items) = expr else { return None };
    let name = |item: &Expr| match item {
        Expr::Relation(first, _) => first.to_string(),
        other => other.to_string(),
    };
    Some(items.iter().map(name).zip(values).collect())
}

/// Assignments to different names as the tuple of what they assign.
fn tuple_of_assignments(expr: &Expr) -> Option<Vec<Expr>> {
    let Expr::List(items) = expr else { return None };
    let mut names = Vec::new();
    let mut values = Vec::new();
    for item in items {
        let Expr::Relation(first, _) = item else { return None };
        let name = first.to_string();
        if names.contains(&name) {
            return None;
        }
        names.push(name);
        values.push(assigned(item)?.clone());
    }
    (values.len() > 1).then_some(values)
}

/// The tree with the integer parameters of a family of answers (`k \in \mathbb{Z}`) numbered rather than named.
pub(super) fn parameters(expr: &Expr) -> Expr {
    let Expr::List(items) = expr else { return expr.clone() };
    let mut names: Vec<&str> = Vec::new();
    for item in items {
        if let Expr::Relation(first, rest) = item
            && let (Expr::Variable(name), [(Relator::In, Expr::Variable(set))]) = (&**first, rest.as_slice())
            && matches!(set.as_ref(), "bb Z" | "Z")
        {
            names.push(name);
        }
    }
    if names.is_empty() {
        return expr.clone();
    }
    expr.map(&|e| match e {
        Expr::Variable(name) => {
            let at = names.iter().position(|n| *n == name.as_ref())?;
            Some(Expr::Variable(format!("k_{{\\mathbb{{Z}}{at}}}").into()))
        }
        _ => None,
    })
}

/// The tree with sums and products of matrices carried out; none where a result has more than [`NODES`] parts or takes
/// more work than is left.
pub(super) fn matrices(expr: &Expr, work: &Work) -> Option<Expr> {
    if !expr.any(&|e| matches!(e, Expr::Matrix(_))) {
        return Some(expr.clone());
    }
    let over = Cell::new(false);
    let carried = expr.map(&|e| {
        let result = carried_out(e, work);
        over.set(over.get() || result.is_err());
        result.unwrap_or(None)
    });
    (!over.get()).then_some(carried)
}

/// A result is more than may be computed.
struct TooLarge;

/// What a sum, product, quotient, negative or determinant of matrices is; none for what is none of these.
fn carried_out(expr: &Expr, work: &Work) -> Result<Option<Expr>, TooLarge> {
    let all = |v: &[Expr]| v.iter().map(|e| matrices(e, work).ok_or(TooLarge)).collect::<Result<Vec<_>, _>>();
    Ok(match expr {
        Expr::Sum(terms) => {
            let terms = all(terms)?;
            let sum = added(&terms).map(|rows| kept(rows, work)).transpose()?;
            Some(sum.map_or(Expr::Sum(terms), Expr::Matrix))
        }
        Expr::Product(factors) => {
            let factors = all(factors)?;
            Some(multiplied(&factors, work)?.unwrap_or(Expr::Product(factors)))
        }
        Expr::Negative(inner) => match matrices(inner, work).ok_or(TooLarge)? {
            Expr::Matrix(rows) => Some(Expr::Matrix(scaled(&rows, &|cell| cell.clone().negative()))),
            inner => Some(Expr::Negative(Box::new(inner))),
        },
        Expr::Quotient(above, below) => match matrices(above, work).ok_or(TooLarge)? {
            Expr::Matrix(rows) => Some(Expr::Matrix(kept(
                scaled(&rows, &|cell| Expr::Quotient(Box::new(cell.clone()), below.clone())),
                work,
            )?)),
            _ => None,
        },
        Expr::Opaque(name, parts) if name.as_ref() == "det" => match parts.as_slice() {
            [Expr::Matrix(rows)] => {
                work.spend(24 * rows.iter().flatten().map(size).sum::<u64>()).ok_or(TooLarge)?;
                determinant(rows)
            }
            _ => None,
        },
        _ => None,
    })
}

/// A result's cells, each as a number where it is one, within the limits.
fn kept(rows: Rows, work: &Work) -> Result<Rows, TooLarge> {
    let number = |cell: Expr| match exact::value(&cell, work) {
        Some(value) => Expr::Number(Number { value, decimal: None }),
        None => cell,
    };
    let rows: Rows = rows.into_iter().map(|row| row.into_iter().map(number).collect()).collect();
    let parts: u64 = rows.iter().flatten().map(size).sum();
    if parts > NODES as u64 {
        return Err(TooLarge);
    }
    work.spend(12 * parts).ok_or(TooLarge)?;
    Ok(rows)
}

type Rows = Vec<Vec<Expr>>;

fn scaled(rows: &Rows, change: &dyn Fn(&Expr) -> Expr) -> Rows {
    rows.iter().map(|row| row.iter().map(change).collect()).collect()
}

fn added(terms: &[Expr]) -> Option<Rows> {
    let mut sum: Option<Rows> = None;
    for term in terms {
        let rows = match term {
            Expr::Matrix(rows) => rows.clone(),
            Expr::Negative(inner) => match &**inner {
                Expr::Matrix(rows) => scaled(rows, &|cell| cell.clone().negative()),
                _ => return None,
            },
            _ => return None,
        };
        sum = Some(match sum {
            None => rows,
            Some(before) => {
                let same = before.len() == rows.len() && before[0].len() == rows[0].len();
                if !same {
                    return None;
                }
                let pair = |(a, b): (Vec<Expr>, Vec<Expr>)| {
                    a.into_iter().zip(b).map(|(a, b)| Expr::Sum(vec![a, b])).collect()
                };
                before.into_iter().zip(rows).map(pair).collect()
            }
        });
    }
    sum
}

/// The product of factors of which some are matrices; none where there is none or they do not fit.
fn multiplied(factors: &[Expr], work: &Work) -> Result<Option<Expr>, TooLarge> {
    let mut scalars = Vec::new();
    let mut product: Option<Rows> = None;
    for factor in factors {
        let Expr::Matrix(rows) = factor else {
            scalars.push(factor.clone());
            continue;
        };
        product = Some(match product {
            None => rows.clone(),
            Some(before) => {
                if before[0].len() != rows.len() {
                    return Ok(None);
                }
                // every cell of a factor is in as many cells of the result as the other has columns or rows
                let parts = |rows: &Rows| rows.iter().flatten().map(size).sum::<u64>();
                let result = parts(&before) * rows[0].len() as u64 + parts(rows) * before.len() as u64;
                if result > 4 * NODES as u64 {
                    return Err(TooLarge);
                }
                work.spend(8 * result).ok_or(TooLarge)?;
                let cell = |row: &Vec<Expr>, j: usize| {
                    let pairs = row.iter().zip(rows);
                    Expr::Sum(pairs.map(|(a, b)| Expr::Product(vec![a.clone(), b[j].clone()])).collect())
                };
                let columns = 0..rows[0].len();
                kept(
                    before.iter().map(|row| columns.clone().map(|j| cell(row, j)).collect()).collect(),
                    work,
                )?
            }
        });
    }
    let Some(rows) = product else { return Ok(None) };
    if scalars.is_empty() {
        return Ok(Some(Expr::Matrix(rows)));
    }
    let scale = |cell: &Expr| Expr::Product(scalars.iter().cloned().chain([cell.clone()]).collect());
    let result = scalars.iter().map(size).sum::<u64>() * rows.iter().map(|r| r.len() as u64).sum::<u64>();
    if result > 4 * NODES as u64 {
        return Err(TooLarge);
    }
    Ok(Some(Expr::Matrix(kept(scaled(&rows, &scale), work)?)))
}

/// The determinant of up to 4 rows, by its first row.
fn determinant(rows: &[Vec<Expr>]) -> Option<Expr> {
    let size = rows.len();
    if size == 0 || size > 4 || rows[0].len() != size {
        return None;
    }
    if size == 1 {
        return Some(rows[0][0].clone());
    }
    let mut terms = Vec::new();
    for (j, cell) in rows[0].iter().enumerate() {
        let minor: Rows = rows[1..]
            .iter()
            .map(|row| row.iter().enumerate().filter(|(k, _)| *k != j).map(|(_, e)| e.clone()).collect())
            .collect();
        let term = Expr::Product(vec![cell.clone(), determinant(&minor)?]);
        terms.push(if j % 2 == 0 { term } else { term.negative() });
    }
    Some(Expr::Sum(terms))
}

/// The value in degrees, where it is an angle in degrees.
pub(super) fn degrees(expr: &Expr) -> Option<Expr> {
    use crate::tree::Constant::Degree;
    match expr {
        Expr::Product(factors) => match factors.split_last() {
            Some((Expr::Constant(Degree), [value])) => Some(value.clone()),
            Some((Expr::Constant(Degree), values)) => Some(Expr::Product(values.to_vec())),
            Some((Expr::Product(inner), rest)) if !rest.is_empty() => match inner.split_last() {
                Some((Expr::Constant(Degree), values)) => {
                    Some(Expr::Product(rest.iter().chain(values).cloned().collect()))
                }
                _ => None,
            },
            _ => None,
        },
        Expr::Negative(inner) => degrees(inner).map(Expr::negative),
        _ => None,
    }
}

/// Whether an expression can only be a value, and not a set, a point or a statement.
pub(super) fn is_scalar(expr: &Expr) -> bool {
    !matches!(
        expr,
        Expr::Tuple(_)
            | Expr::Set(_)
            | Expr::List(_)
            | Expr::Interval(..)
            | Expr::Union(_)
            | Expr::Without(..)
            | Expr::Comprehension(..)
            | Expr::Matrix(_)
            | Expr::Relation(..)
            | Expr::Ratio(_)
            | Expr::Time(..)
            | Expr::Text(_)
            | Expr::PlusMinus(..)
    ) && !matches!(expr, Expr::Apply(Function::Mod, _))
}
