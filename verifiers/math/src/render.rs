//! A tree as LaTeX that reads back as the same tree: how reasons show what was read, how parts without a value are
//! compared, and the normal form of an answer that majority votes count.

use crate::tree::{Constant, Expr, Function, Number, Relator, Series};
use dashu_base::Signed;
use dashu_ratio::RBig;
use std::fmt::{self, Display, Write};

/// How tightly a form holds together: what is looser than its place asks for is put in parentheses.
#[derive(Clone, Copy, PartialEq, PartialOrd)]
enum Level {
    List,
    Relation,
    Union,
    Sum,
    Product,
    Power,
    Atom,
}

impl Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_expr(self, f)
    }
}

/// What an expression is, in a word or two.
pub(crate) fn kind(expr: &Expr) -> &'static str {
    match expr {
        Expr::Number(_) | Expr::Negative(_) => "number",
        Expr::Based(..) => "number in another base",
        Expr::Constant(_) => "constant",
        Expr::Variable(_) => "name",
        Expr::Sum(_) => "sum",
        Expr::Product(_) => "product",
        Expr::Quotient(..) => "quotient",
        Expr::PlusMinus(..) => "both signs",
        Expr::Power(..) => "power",
        Expr::Percent(_) => "percentage",
        Expr::Apply(..) => "function",
        Expr::Call(..) => "call of a named function",
        Expr::Opaque(..) => "operation without a value",
        Expr::Series(_) => "sum or product with bounds",
        Expr::Tuple(_) => "tuple",
        Expr::Set(_) => "set",
        Expr::List(_) => "list",
        Expr::Interval(..) => "interval",
        Expr::Union(_) => "union",
        Expr::Without(..) => "set without another",
        Expr::Comprehension(..) => "set builder",
        Expr::Matrix(_) => "matrix",
        Expr::Relation(..) => "relation",
        Expr::Ratio(_) => "ratio",
        Expr::Time(..) => "time",
        Expr::Quantity(..) => "quantity",
        Expr::Text(_) => "words",
    }
}

fn level(expr: &Expr) -> Level {
    match expr {
        Expr::List(v) if v.len() > 1 => Level::List,
        Expr::Relation(..) => Level::Relation,
        Expr::Union(_) | Expr::Without(..) | Expr::Ratio(_) => Level::Union,
        Expr::Opaque(name, _) if name.as_ref() == "cap" => Level::Union,
        Expr::Sum(_) | Expr::Quantity(..) | Expr::PlusMinus(..) | Expr::Negative(_) => Level::Sum,
        Expr::Number(n) if n.value.is_negative() => Level::Sum,
        Expr::Product(_) | Expr::Series(_) | Expr::Apply(..) => Level::Product,
        Expr::Opaque(name, _) if matches!(name.as_ref(), "mod" | "sum" | "prod" | "int" | "lim") => {
            Level::Product
        }
        Expr::Number(n) if !n.value.is_int() && n.decimal.is_none() => Level::Product,
        Expr::Power(..) | Expr::Percent(_) => Level::Power,
        _ => Level::Atom,
    }
}

fn write_at(expr: &Expr, least: Level, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if level(expr) < least {
        f.write_str("\\left(")?;
        write_expr(expr, f)?;
        return f.write_str("\\right)");
    }
    write_expr(expr, f)
}

fn write_list(items: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let groups = items.iter().any(|e| matches!(e, Expr::List(v) if v.len() > 1));
    for (i, item) in items.iter().enumerate() {
        if i > 0 {
            f.write_str(if groups { "; " } else { ", " })?;
        }
        write_expr(item, f)?;
    }
    Ok(())
}

fn write_expr(expr: &Expr, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match expr {
        Expr::Number(number) => write_number(number, f),
        Expr::Based(digits, _, base) => write!(f, "{digits}_{{{base}}}"),
        Expr::Constant(constant) => f.write_str(match constant {
            Constant::Pi => "\\pi",
            Constant::E => "e",
            Constant::I => "i",
            Constant::Infinity => "\\infty",
            Constant::Degree => "\\circ",
        }),
        Expr::Variable(name) => write_name(name, f),
        Expr::Sum(terms) => write_sum(terms, f),
        Expr::Product(factors) => write_product(factors, f),
        Expr::Quotient(above, below) => write!(f, "\\frac{{{above}}}{{{below}}}"),
        Expr::Negative(inner) => {
            f.write_char('-')?;
            write_at(inner, Level::Product, f)
        }
        Expr::PlusMinus(inner, upper) => {
            f.write_str(if *upper { "\\pm " } else { "\\mp " })?;
            write_at(inner, Level::Product, f)
        }
        Expr::Power(base, exponent) => {
            write_at(base, Level::Atom, f)?;
            write!(f, "^{{{exponent}}}")
        }
        Expr::Percent(inner) => {
            write_at(inner, Level::Atom, f)?;
            f.write_str("\\%")
        }
        Expr::Apply(function, arguments) => write_function(*function, arguments, f),
        Expr::Call(name, arguments) => write_call(name, arguments, f),
        Expr::Opaque(name, parts) => write_opaque(name, parts, f),
        Expr::Series(series) => {
            let Series { product, index, from, to, body } = &**series;
            let name = if *product { "prod" } else { "sum" };
            write!(f, "\\{name}_{{{index}={from}}}^{{{to}}} ")?;
            write_at(body, Level::Product, f)
        }
        Expr::Tuple(items) => {
            f.write_str("\\left(")?;
            write_list(items, f)?;
            f.write_str("\\right)")
        }
        Expr::Set(items) if items.is_empty() => f.write_str("\\emptyset"),
        Expr::Set(items) => {
            f.write_str("\\{")?;
            write_list(items, f)?;
            f.write_str("\\}")
        }
        Expr::List(items) => write_list(items, f),
        Expr::Interval(low, high, from, to) => {
            let (open, close) = (if *from { '[' } else { '(' }, if *to { ']' } else { ')' });
            write!(f, "\\left{open}{low}, {high}\\right{close}")
        }
        Expr::Union(sets) => {
            for (i, set) in sets.iter().enumerate() {
                if i > 0 {
                    f.write_str(" \\cup ")?;
                }
                write_at(set, Level::Sum, f)?;
            }
            Ok(())
        }
        Expr::Without(set, other) => {
            write_at(set, Level::Sum, f)?;
            f.write_str(" \\setminus ")?;
            write_at(other, Level::Sum, f)
        }
        Expr::Comprehension(element, condition) => write!(f, "\\{{{element} | {condition}\\}}"),
        Expr::Matrix(rows) => write_matrix(rows, f),
        Expr::Relation(first, rest) => write_relation(first, rest, f),
        Expr::Ratio(parts) => {
            for (i, part) in parts.iter().enumerate() {
                if i > 0 {
                    f.write_char(':')?;
                }
                write_at(part, Level::Sum, f)?;
            }
            Ok(())
        }
        Expr::Time(parts, half) => write_time(parts, *half, f),
        Expr::Quantity(value, unit) => {
            write_at(value, Level::Product, f)?;
            f.write_str(" \\text{ ")?;
            f.write_str(&unit.name)?;
            f.write_char('}')
        }
        Expr::Text(words) => write!(f, "\\text{{{words}}}"),
    }
}

/// Terms with their signs between them.
fn write_sum(terms: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, term) in terms.iter().enumerate() {
        match term {
            Expr::Negative(inner) if i > 0 => {
                f.write_str(" - ")?;
                write_at(inner, Level::Product, f)?;
                continue;
            }
            Expr::PlusMinus(inner, upper) if i > 0 => {
                f.write_str(if *upper { " \\pm " } else { " \\mp " })?;
                write_at(inner, Level::Product, f)?;
                continue;
            }
            _ if i > 0 => f.write_str(" + ")?,
            _ => {}
        }
        write_at(term, if i > 0 { Level::Product } else { Level::Sum }, f)?;
    }
    Ok(())
}

/// Factors with dots between them; an angle in degrees with its sign.
fn write_product(factors: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if let [value, Expr::Constant(Constant::Degree)] = factors {
        write_at(value, Level::Power, f)?;
        return f.write_str("^{\\circ}");
    }
    for (i, factor) in factors.iter().enumerate() {
        if i > 0 {
            f.write_str(" \\cdot ")?;
        }
        write_at(factor, Level::Power, f)?;
    }
    Ok(())
}

fn write_matrix(rows: &[Vec<Expr>], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    f.write_str("\\begin{pmatrix}")?;
    for (i, row) in rows.iter().enumerate() {
        if i > 0 {
            f.write_str(" \\\\ ")?;
        }
        for (j, cell) in row.iter().enumerate() {
            if j > 0 {
                f.write_str(" & ")?;
            }
            write_expr(cell, f)?;
        }
    }
    f.write_str("\\end{pmatrix}")
}

fn write_relation(first: &Expr, rest: &[(Relator, Expr)], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    write_at(first, Level::Union, f)?;
    for (relator, side) in rest {
        f.write_str(match relator {
            Relator::Equal => " = ",
            Relator::Approx => " \\approx ",
            Relator::NotEqual => " \\neq ",
            Relator::Less => " < ",
            Relator::LessEqual => " \\leq ",
            Relator::Greater => " > ",
            Relator::GreaterEqual => " \\geq ",
            Relator::In => " \\in ",
            Relator::NotIn => " \\notin ",
            Relator::Subset => " \\subset ",
            Relator::Other => " \\sim ",
        })?;
        write_at(side, Level::Union, f)?;
    }
    Ok(())
}

fn write_time(parts: &[u32], half: Option<bool>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (i, part) in parts.iter().enumerate() {
        if i > 0 {
            f.write_char(':')?;
            write!(f, "{part:02}")?;
        } else {
            write!(f, "{part}")?;
        }
    }
    match half {
        Some(pm) => f.write_str(if pm { " \\text{ pm}" } else { " \\text{ am}" }),
        None => Ok(()),
    }
}

/// A call of a function that is known by name only, which may be an inverse.
fn write_call(name: &str, arguments: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match name.strip_suffix("^{-1}") {
        Some(stem) => {
            write_name(stem, f)?;
            f.write_str("^{-1}")?;
        }
        None => write_name(name, f)?,
    }
    f.write_char('(')?;
    write_list(arguments, f)?;
    f.write_char(')')
}

/// A name with its subscript in braces; words and decorations as commands.
fn write_name(name: &str, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let primes = name.len() - name.trim_end_matches('\'').len();
    let (name, primes) = name.split_at(name.len() - primes);
    let (stem, subscript) = name.split_once('_').unwrap_or((name, ""));
    match stem.split_once(' ') {
        Some(("bb", letter)) => write!(f, "\\mathbb{{{letter}}}")?,
        Some(("cal", letter)) => write!(f, "\\mathcal{{{letter}}}")?,
        Some(("circled", text)) => write!(f, "\\textcircled{{{text}}}")?,
        Some((kind, inner)) => write!(f, "\\{kind}{{{inner}}}")?,
        None if stem.chars().count() > 1 && crate::parse::is_letter(stem) => write!(f, "\\{stem}")?,
        None => f.write_str(stem)?, // nothing where it has no name
    }
    if !subscript.is_empty() {
        write!(f, "_{{{subscript}}}")?;
    }
    f.write_str(primes)
}

/// A number as written where it is a decimal, otherwise as a fraction.
fn write_number(number: &Number, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let value = &number.value;
    if value.is_int() {
        return write!(f, "{}", value.numerator());
    }
    let Some(decimal) = number.decimal.filter(|d| d.last < 0 && d.last > -400) else {
        let (sign, above) = if value.is_negative() {
            ("-", -value.numerator().clone())
        } else {
            ("", value.numerator().clone())
        };
        return write!(f, "{sign}\\frac{{{above}}}{{{}}}", value.denominator());
    };
    let places = decimal.last.unsigned_abs() as usize;
    let scaled = value.clone() * RBig::from(dashu_int::UBig::from(10u8).pow(places));
    let digits = scaled.numerator().to_string();
    let (sign, digits) = digits.strip_prefix('-').map_or(("", digits.as_str()), |d| ("-", d));
    let digits = format!("{digits:0>width$}", width = places + 1);
    let (whole, fraction) = digits.split_at(digits.len() - places);
    write!(f, "{sign}{whole}.{fraction}")
}

fn write_function(function: Function, arguments: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let [first, second] = [arguments.first(), arguments.get(1)];
    match (function, first, second) {
        (Function::Sqrt, Some(x), _) => write!(f, "\\sqrt{{{x}}}"),
        (Function::Root, Some(n), Some(x)) => write!(f, "\\sqrt[{n}]{{{x}}}"),
        (Function::Abs, Some(x), _) => write!(f, "\\left|{x}\\right|"),
        (Function::Floor, Some(x), _) => write!(f, "\\lfloor {x} \\rfloor"),
        (Function::Ceil, Some(x), _) => write!(f, "\\lceil {x} \\rceil"),
        (Function::LogBase, Some(base), Some(x)) => write!(f, "\\log_{{{base}}}\\left({x}\\right)"),
        (Function::Binomial, Some(n), Some(k)) => write!(f, "\\binom{{{n}}}{{{k}}}"),
        (Function::Factorial | Function::DoubleFactorial, Some(x), _) => {
            write_at(x, Level::Atom, f)?;
            f.write_str(if function == Function::Factorial { "!" } else { "!!" })
        }
        _ => {
            let name = format!("{function:?}").to_lowercase();
            let name = match function {
                Function::Arsinh
                | Function::Arcosh
                | Function::Artanh
                | Function::Arccot
                | Function::Arcsec
                | Function::Arccsc => {
                    format!("\\operatorname{{{name}}}")
                }
                Function::Gcd | Function::Min | Function::Max => format!("\\{name}"),
                Function::Lcm | Function::Mod => format!("\\operatorname{{{name}}}"),
                Function::Sign => "\\operatorname{sgn}".to_owned(),
                Function::Re | Function::Im => format!("\\operatorname{{{function:?}}}"),
                _ => format!("\\{name}"),
            };
            f.write_str(&name)?;
            f.write_str("\\left(")?;
            write_list(arguments, f)?;
            f.write_str("\\right)")
        }
    }
}

fn write_opaque(name: &str, parts: &[Expr], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    match (name, parts) {
        ("dots", _) => f.write_str("\\dots"),
        ("norm", [x]) => write!(f, "\\|{x}\\|"),
        ("det", [Expr::Matrix(_)]) => write!(f, "\\left|{}\\right|", parts[0]),
        ("det", [x]) => {
            f.write_str("\\det ")?;
            write_at(x, Level::Atom, f)
        }
        ("and", parts) => {
            for (i, part) in parts.iter().enumerate() {
                let gap = if i > 0 { " \\text{ and } " } else { "" };
                write!(f, "{gap}{part}")?;
            }
            Ok(())
        }
        ("cases", cells) => {
            f.write_str("\\begin{cases}")?;
            for (i, cell) in cells.iter().enumerate() {
                let gap = match i {
                    0 => "",
                    i if i % 2 == 1 => " & ",
                    _ => " \\\\ ",
                };
                write!(f, "{gap}{cell}")?;
            }
            f.write_str("\\end{cases}")
        }
        ("cap", [a, b]) => {
            write_at(a, Level::Sum, f)?;
            f.write_str(" \\cap ")?;
            write_at(b, Level::Sum, f)
        }
        ("mod", [a, b]) => {
            write_at(a, Level::Power, f)?;
            f.write_str(" \\bmod ")?;
            write_at(b, Level::Power, f)
        }
        (_, [below, above, body]) => {
            write!(f, "\\{name}_{{{below}}}^{{{above}}} ")?;
            write_at(body, Level::Product, f)
        }
        (_, [below, body]) => {
            write!(f, "\\{name}_{{{below}}} ")?;
            write_at(body, Level::Product, f)
        }
        (_, [body]) => {
            write!(f, "\\{name} ")?;
            write_at(body, Level::Product, f)
        }
        _ => f.write_str(name),
    }
}
