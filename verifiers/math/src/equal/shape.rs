//! Forms that say the same in other words: assignments and what they assign, both signs as two elements, matrices
//! that are sums or products, lists of lists.

use super::sets::named;
use crate::limits::ELEMENTS;
use crate::tree::{Expr, Function, Relator};

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
        return Some(if named(first) { side } else { first });
    }
    let exact = rest.iter().take_while(|(r, _)| *r == Relator::Equal).count();
    if exact == 0 || !rest[exact..].iter().all(|(r, _)| *r == Relator::Approx) {
        return None;
    }
    if named(first) {
        return Some(&rest[exact - 1].1);
    }
    // `5 = x`
    match rest.as_slice() {
        [(_, side)] if named(side) && !matches!(side, Expr::Opaque(..) | Expr::Series(_)) => Some(first),
        _ => None,
    }
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
pub(super) fn tuple_of_assignments(expr: &Expr) -> Option<Vec<Expr>> {
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

/// The tree with sums and products of matrices carried out.
pub(super) fn matrices(expr: &Expr) -> Expr {
    if !expr.any(&|e| matches!(e, Expr::Matrix(_))) {
        return expr.clone();
    }
    expr.map(&|e| match e {
        Expr::Sum(terms) => {
            let terms: Vec<Expr> = terms.iter().map(matrices).collect();
            Some(added(&terms).map_or(Expr::Sum(terms), Expr::Matrix))
        }
        Expr::Product(factors) => {
            let factors: Vec<Expr> = factors.iter().map(matrices).collect();
            Some(multiplied(&factors).unwrap_or(Expr::Product(factors)))
        }
        Expr::Negative(inner) => match matrices(inner) {
            Expr::Matrix(rows) => Some(Expr::Matrix(scaled(&rows, &|cell| cell.clone().negative()))),
            inner => Some(Expr::Negative(Box::new(inner))),
        },
        Expr::Quotient(above, below) => match matrices(above) {
            Expr::Matrix(rows) => Some(Expr::Matrix(scaled(&rows, &|cell| {
                Expr::Quotient(Box::new(cell.clone()), below.clone())
            }))),
            _ => None,
        },
        Expr::Opaque(name, parts) if name.as_ref() == "det" => match parts.as_slice() {
            [Expr::Matrix(rows)] => determinant(rows),
            _ => None,
        },
        _ => None,
    })
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

fn multiplied(factors: &[Expr]) -> Option<Expr> {
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
                if before[0].len() != rows.len() || before.len() * rows.len() * rows[0].len() > ELEMENTS {
                    return None;
                }
                let cell = |row: &Vec<Expr>, j: usize| {
                    Expr::Sum(
                        row.iter()
                            .zip(rows)
                            .map(|(a, b)| Expr::Product(vec![a.clone(), b[j].clone()]))
                            .collect(),
                    )
                };
                before.iter().map(|row| (0..rows[0].len()).map(|j| cell(row, j)).collect()).collect()
            }
        });
    }
    let rows = product?;
    if scalars.is_empty() {
        return Some(Expr::Matrix(rows));
    }
    let scale = |cell: &Expr| Expr::Product(scalars.iter().cloned().chain([cell.clone()]).collect());
    Some(Expr::Matrix(scaled(&rows, &scale)))
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
