//! The typed tree that an answer is read into.

use dashu_ratio::RBig;

/// A number as written.
#[derive(Clone, Debug, PartialEq)]
pub struct Number {
    /// Its exact value.
    pub value: RBig,
    /// Significant digits, where it is written as a decimal (`0.50` has 2); none for integers.
    pub decimal: Option<Decimal>,
}

/// How precisely a decimal is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decimal {
    /// Significant digits as written.
    pub significant: u32,
    /// Power of ten of the last digit.
    pub last: i64,
}

impl Number {
    /// A whole number.
    pub fn integer(value: i64) -> Self {
        Number { value: value.into(), decimal: None }
    }
}

/// A constant with a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Constant {
    /// The circle's.
    Pi,
    /// Euler's.
    E,
    /// The imaginary unit.
    I,
    /// Positive infinity; only a bound of intervals, or an answer of its own.
    Infinity,
    /// One degree as an angle: pi/180.
    Degree,
}

/// A function that has a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)] // the names are the documentation
pub enum Function {
    Sin,
    Cos,
    Tan,
    Cot,
    Sec,
    Csc,
    Arcsin,
    Arccos,
    Arctan,
    Arccot,
    Arcsec,
    Arccsc,
    Sinh,
    Cosh,
    Tanh,
    Coth,
    Arsinh,
    Arcosh,
    Artanh,
    Exp,
    Ln,
    /// `\log` without a base: 10 or e, see the policy `log`.
    Log,
    /// Of base (first argument) and argument.
    LogBase,
    /// Of index (first argument) and radicand.
    Root,
    Sqrt,
    Abs,
    Floor,
    Ceil,
    Sign,
    Factorial,
    DoubleFactorial,
    Binomial,
    Gcd,
    Lcm,
    Min,
    Max,
    Re,
    Im,
    Conjugate,
    Mod,
}

/// How two sides are related.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Relator {
    Equal,
    Approx,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    NotIn,
    Subset,
    /// `\equiv`, `\sim`, `\to`, ...: compared by their sign only.
    Other,
}

/// A sum or product with bounds.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Whether it is a product.
    pub product: bool,
    /// The running variable.
    pub index: Box<str>,
    /// First value.
    pub from: Expr,
    /// Last value.
    pub to: Expr,
    /// What is added or multiplied.
    pub body: Expr,
}

/// An answer, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expr {
    /// A number.
    Number(Number),
    /// Digits in another base, such as `204_5`: value and base.
    Based(Box<str>, RBig, u32),
    /// A constant.
    Constant(Constant),
    /// A variable or name, with its subscript and primes.
    Variable(Box<str>),
    /// A sum.
    Sum(Vec<Expr>),
    /// A product.
    Product(Vec<Expr>),
    /// Numerator and denominator.
    Quotient(Box<Expr>, Box<Expr>),
    /// The negative.
    Negative(Box<Expr>),
    /// Both signs of it (`\pm`); `false` where the lower sign comes first (`\mp`).
    PlusMinus(Box<Expr>, bool),
    /// Base and exponent.
    Power(Box<Expr>, Box<Expr>),
    /// Hundredths.
    Percent(Box<Expr>),
    /// A function that has a value, of its arguments.
    Apply(Function, Vec<Expr>),
    /// A function known by name only, such as `f(x)`.
    Call(Box<str>, Vec<Expr>),
    /// Something whose parts are read but which has no value here, such as an integral: its name and parts.
    Opaque(Box<str>, Vec<Expr>),
    /// A sum or product with bounds.
    Series(Box<Series>),
    /// Elements in parentheses, in order. Two may also be an open interval.
    Tuple(Vec<Expr>),
    /// Elements in braces, in any order.
    Set(Vec<Expr>),
    /// Elements side by side, in any order: `1, 2 or 3`.
    List(Vec<Expr>),
    /// Bounds, and whether each belongs to it.
    Interval(Box<Expr>, Box<Expr>, bool, bool),
    /// A union of sets.
    Union(Vec<Expr>),
    /// One set without another.
    Without(Box<Expr>, Box<Expr>),
    /// `{x | condition}`.
    Comprehension(Box<Expr>, Box<Expr>),
    /// Rows of equal length.
    Matrix(Vec<Vec<Expr>>),
    /// A chain of relations: the first side, then each relation with its right side.
    Relation(Box<Expr>, Vec<(Relator, Expr)>),
    /// `a : b : c`.
    Ratio(Vec<Expr>),
    /// A time of the day or a duration: its parts between colons, and `am` or `pm`.
    Time(Vec<u32>, Option<bool>),
    /// A value with a unit.
    Quantity(Box<Expr>, crate::units::Unit),
    /// Words, in a normal form.
    Text(Box<str>),
}

impl Expr {
    /// A whole number.
    pub fn integer(value: i64) -> Self {
        Expr::Number(Number::integer(value))
    }

    /// The negative, without double signs.
    pub fn negative(self) -> Self {
        match self {
            Expr::Negative(inner) => *inner,
            other => Expr::Negative(Box::new(other)),
        }
    }

    /// The difference of two.
    pub fn minus(self, other: Expr) -> Self {
        Expr::Sum(vec![self, other.negative()])
    }

    /// The parts that this is made of.
    pub fn children(&self) -> Vec<&Expr> {
        match self {
            Expr::Number(_)
            | Expr::Based(..)
            | Expr::Constant(_)
            | Expr::Variable(_)
            | Expr::Text(_)
            | Expr::Time(..) => Vec::new(),
            Expr::Sum(v)
            | Expr::Product(v)
            | Expr::Apply(_, v)
            | Expr::Call(_, v)
            | Expr::Opaque(_, v)
            | Expr::Tuple(v)
            | Expr::Set(v)
            | Expr::List(v)
            | Expr::Union(v)
            | Expr::Ratio(v) => v.iter().collect(),
            Expr::Quotient(a, b)
            | Expr::Power(a, b)
            | Expr::Interval(a, b, ..)
            | Expr::Without(a, b)
            | Expr::Comprehension(a, b) => vec![a, b],
            Expr::Negative(a) | Expr::PlusMinus(a, _) | Expr::Percent(a) | Expr::Quantity(a, _) => vec![a],
            Expr::Series(s) => vec![&s.from, &s.to, &s.body],
            Expr::Matrix(rows) => rows.iter().flatten().collect(),
            Expr::Relation(first, rest) => {
                std::iter::once(&**first).chain(rest.iter().map(|(_, e)| e)).collect()
            }
        }
    }

    /// Whether the test holds for this or any part of it.
    pub fn any(&self, test: &dyn Fn(&Expr) -> bool) -> bool {
        test(self) || self.children().into_iter().any(|child| child.any(test))
    }

    /// The same with every part that `change` has another form for replaced, from the outside in.
    pub fn map(&self, change: &dyn Fn(&Expr) -> Option<Expr>) -> Expr {
        if let Some(other) = change(self) {
            return other;
        }
        let list = |v: &[Expr]| v.iter().map(|e| e.map(change)).collect::<Vec<_>>();
        let one = |e: &Expr| Box::new(e.map(change));
        match self {
            Expr::Number(_)
            | Expr::Based(..)
            | Expr::Constant(_)
            | Expr::Variable(_)
            | Expr::Text(_)
            | Expr::Time(..) => self.clone(),
            Expr::Sum(v) => Expr::Sum(list(v)),
            Expr::Product(v) => Expr::Product(list(v)),
            Expr::Apply(f, v) => Expr::Apply(*f, list(v)),
            Expr::Call(f, v) => Expr::Call(f.clone(), list(v)),
            Expr::Opaque(f, v) => Expr::Opaque(f.clone(), list(v)),
            Expr::Tuple(v) => Expr::Tuple(list(v)),
            Expr::Set(v) => Expr::Set(list(v)),
            Expr::List(v) => Expr::List(list(v)),
            Expr::Union(v) => Expr::Union(list(v)),
            Expr::Ratio(v) => Expr::Ratio(list(v)),
            Expr::Quotient(a, b) => Expr::Quotient(one(a), one(b)),
            Expr::Power(a, b) => Expr::Power(one(a), one(b)),
            Expr::Interval(a, b, c, d) => Expr::Interval(one(a), one(b), *c, *d),
            Expr::Without(a, b) => Expr::Without(one(a), one(b)),
            Expr::Comprehension(a, b) => Expr::Comprehension(one(a), one(b)),
            Expr::Negative(a) => Expr::Negative(one(a)),
            Expr::PlusMinus(a, s) => Expr::PlusMinus(one(a), *s),
            Expr::Percent(a) => Expr::Percent(one(a)),
            Expr::Quantity(a, u) => Expr::Quantity(one(a), u.clone()),
            Expr::Series(s) => Expr::Series(Box::new(Series {
                product: s.product,
                index: s.index.clone(),
                from: s.from.map(change),
                to: s.to.map(change),
                body: s.body.map(change),
            })),
            Expr::Matrix(rows) => Expr::Matrix(rows.iter().map(|row| list(row)).collect()),
            Expr::Relation(first, rest) => {
                Expr::Relation(one(first), rest.iter().map(|(r, e)| (*r, e.map(change))).collect())
            }
        }
    }
}
