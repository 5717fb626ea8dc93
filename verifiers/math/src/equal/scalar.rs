//! Whether two expressions have the same value: exactly where both are rational, as rational functions modulo a large
//! prime, and otherwise by rejection in f64 and confirmation at 320 bits. Points come from the gold answer's text,
//! so that no answer can be made to agree at them.

use super::{Comparer, Finding};
use crate::number::Mix;
use crate::number::ball::{Ball, Sign, Stop};
use crate::number::complex::{self, Complex};
use crate::number::evaluate::{At, atom, size, value};
use crate::number::modular::{self, Field};
use crate::number::real::{Big, Real};
use crate::tree::{Constant, Expr, Function};
use dashu_ratio::RBig;
use std::cmp::Ordering;

/// Points at which values are compared in f64.
const POINTS: u64 = 8;
/// Points at which they are confirmed.
const CONFIRMED: usize = 3;
/// Points further out, for expressions that have other formulas there: some of magnitude a thousand, a million and so on.
const FAR: u64 = 8;
/// Constants of such expressions around which there are points, one on either side of each.
const BREAKS: usize = 8;

/// Where variables take their values.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Domain {
    Reals,
    Naturals,
}

/// What values of two expressions are compared for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Question {
    /// Whether they are equal.
    Equal,
    /// Whether one is a constant multiple of the other, other than zero.
    Proportional,
}

/// The variables, and the parts without a value, of an expression.
pub(super) fn names(expr: &Expr, out: &mut Vec<String>) {
    match expr {
        Expr::Variable(_) | Expr::Text(_) | Expr::Call(..) | Expr::Opaque(..) => {
            if let Some(name) = atom(expr)
                && !out.contains(&name)
            {
                out.push(name);
            }
        }
        Expr::Series(series) => {
            let mut inner = Vec::new();
            for child in [&series.from, &series.to, &series.body] {
                names(child, &mut inner);
            }
            for name in inner {
                if name != series.index.as_ref() && !out.contains(&name) {
                    out.push(name);
                }
            }
        }
        other => {
            for child in other.children() {
                names(child, out);
            }
        }
    }
}

/// The variables of an expression in order, those within calls as well.
pub(super) fn variables(expr: &Expr, out: &mut Vec<String>) {
    if let Expr::Variable(name) = expr
        && !out.iter().any(|n| n == name.as_ref())
    {
        out.push(name.to_string());
    }
    for child in expr.children() {
        variables(child, out);
    }
}

fn contains_i(expr: &Expr) -> bool {
    expr.any(&|e| *e == Expr::Constant(Constant::I))
}

/// How two scalars are compared at points.
#[derive(Clone, Copy)]
struct Plan<'a> {
    question: Question,
    /// Whether `log` without a base is decimal.
    log: bool,
    points: u64,
    domain: Domain,
    /// Whether both are rational functions, equal modulo primes.
    rational: bool,
    /// Constants at which a formula may change.
    breaks: &'a [RBig],
}

impl Comparer<'_> {
    /// The value of a variable at a point.
    fn coordinate(&self, name: &str, point: u64, domain: Domain, breaks: &[RBig]) -> RBig {
        let mut mix = Mix(self.seed ^ Mix::of(name).0 ^ point.wrapping_mul(0x9e37_79b9));
        let draw = mix.next();
        if domain == Domain::Naturals {
            return RBig::from(1 + draw % (3 + 2 * point + if point < POINTS { 0 } else { 1000 }));
        }
        if point >= POINTS + FAR {
            // on either side of a constant
            let index = point - POINTS - FAR;
            let offset = RBig::from_parts(((draw >> 44) as i64 + 1).into(), (1u32 << 21).into());
            let constant = breaks.get(index as usize / 2).cloned().unwrap_or_default();
            return if index.is_multiple_of(2) { constant + offset } else { constant - offset };
        }
        if point >= POINTS {
            let magnitude = [1_000i64, 1_000_000, 300, 30_000_000][(point - POINTS) as usize % 4];
            let whole = RBig::from(magnitude + (draw % 997) as i64 * magnitude / 1000);
            let value = whole + RBig::from_parts(((draw >> 44) as i64 + 1).into(), (1u32 << 20).into());
            return if point.is_multiple_of(2) == (draw & 1 == 0) { value } else { -value };
        }
        let part = (draw >> 44) as i64; // of 2^20
        let negative = match point {
            0 | 1 | 5 => false,
            2 => true,
            _ => draw & 1 == 1,
        };
        let (offset, scale) =
            [(0, 1), (1, 3), (0, 4), (0, 2), (1, 4), (3, 27), (0, 1), (0, 9)][point as usize % 8];
        let value = RBig::from_parts((part * scale + offset * (1 << 20) + 1).into(), (1u32 << 20).into());
        if negative { -value } else { value }
    }

    /// Whether the gold expression and the answer's have the same value, or are proportional.
    pub(super) fn expressions(&self, gold: &Expr, answer: &Expr, question: Question) -> Finding {
        if self.work.spend(50 + 12 * (size(gold) + size(answer))).is_none() {
            return Finding::no("there are too many parts to compare");
        }
        if question == Question::Equal && gold == answer {
            return Finding::yes("the same expression");
        }
        let mut variables = Vec::new();
        names(gold, &mut variables);
        names(answer, &mut variables);
        let rational = self.rational_functions(gold, answer, question);
        if rational == Some(false) {
            return Finding::no(if variables.is_empty() { "other value" } else { "other function" });
        }
        let bare_log = |e: &Expr| e.any(&|e| matches!(e, Expr::Apply(Function::Log, _)));
        let logs: &[bool] = match (bare_log(gold) || bare_log(answer), self.policies.log) {
            (false, _) | (_, super::Log::Ten) => &[true],
            (_, super::Log::E) => &[false],
            (true, super::Log::Either) => &[true, false],
        };
        let mut finding = Finding::no("no value within the limits to compare");
        for log in logs {
            finding =
                self.sampled(gold, answer, question, *log, variables.is_empty(), rational == Some(true));
            if finding.equal {
                break;
            }
        }
        finding
    }

    /// Both as rational functions modulo a prime; none where they are not.
    fn rational_functions(&self, gold: &Expr, answer: &Expr, question: Question) -> Option<bool> {
        let prime = self.prime();
        let mut agreed = 0;
        let mut first = None;
        for point in 0..6u64 {
            let coordinate = |name: &str| {
                let mut mix = Mix(self.seed ^ Mix::of(name).0.rotate_left(17) ^ point);
                mix.next() % prime
            };
            let field = Field { prime, point: &coordinate, work: self.work };
            let (x, y) = match (field.value(gold), field.value(answer)) {
                (Ok(x), Ok(y)) => (x, y),
                (Err(modular::Stop::Unsupported), _) | (_, Err(modular::Stop::Unsupported)) => return None,
                _ => continue,
            };
            match question {
                Question::Equal if x != y => return Some(false),
                Question::Equal => agreed += 1,
                Question::Proportional => {
                    let times = |a: u64, b: u64| u128::from(a) * u128::from(b) % u128::from(prime);
                    let (x0, y0) = *first.get_or_insert((x, y));
                    if (x0 == 0) != (y0 == 0) || (x == 0) != (y == 0) || times(x0, y) != times(y0, x) {
                        return Some(false);
                    }
                    agreed += usize::from(x != 0);
                }
            }
            if agreed > 2 {
                return Some(true);
            }
        }
        None
    }

    fn sampled(
        &self,
        gold: &Expr,
        answer: &Expr,
        question: Question,
        log: bool,
        constant: bool,
        rational: bool,
    ) -> Finding {
        let imaginary = contains_i(gold) || contains_i(answer);
        let mut points = if constant { 1 } else { POINTS };
        let mut breaks = Vec::new();
        if !constant && !imaginary && (breaks_off(gold) || breaks_off(answer)) {
            constants(gold, &mut breaks);
            constants(answer, &mut breaks);
            breaks.truncate(BREAKS);
            points = POINTS + FAR + 2 * breaks.len() as u64;
        }
        if !imaginary {
            for domain in [Domain::Reals, Domain::Naturals] {
                let plan = Plan { question, log, points, domain, rational, breaks: &breaks };
                if let Some(finding) = self.real(gold, answer, plan) {
                    return finding;
                }
                if constant {
                    break;
                }
            }
        }
        if question == Question::Equal
            && let Some(finding) = self.complex(gold, answer, log, points)
        {
            return finding;
        }
        if rational {
            Finding::yes("equal rational values")
        } else {
            Finding::no("no value within the limits to compare")
        }
    }

    /// Comparison at real points; none where fewer than two have values.
    fn real(&self, gold: &Expr, answer: &Expr, plan: Plan<'_>) -> Option<Finding> {
        let Plan { question, log, points, domain, rational, breaks } = plan;
        let mut met: Vec<(u64, Ball<f64>, Ball<f64>)> = Vec::new();
        let mut unclear = Vec::new();
        for point in 0..points {
            let coordinate = |name: &str| Some(self.coordinate(name, point, domain, breaks));
            let x = value::<f64>(gold, &At::new(&coordinate, log, self.work));
            let y = value::<f64>(answer, &At::new(&coordinate, log, self.work));
            match (x, y) {
                (Ok(x), Ok(y)) => {
                    if !consistent(question, met.first().map(|(_, a, b)| (a, b)), (&x, &y)) {
                        return Some(Finding::no(if points == 1 {
                            "other value"
                        } else {
                            "other values at some point"
                        }));
                    }
                    met.push((point, x, y));
                }
                (Ok(_), Err(Stop::Domain | Stop::NotReal)) if self.pieced(gold) => return Some(apart()),
                (Err(Stop::Domain | Stop::NotReal), Ok(_)) if self.pieced(answer) => return Some(apart()),
                (Err(Stop::Uncertain), Ok(_))
                | (Ok(_), Err(Stop::Uncertain))
                | (Err(Stop::Uncertain), Err(Stop::Uncertain)) => {
                    unclear.push(point);
                }
                _ => {}
            }
        }
        let candidates: Vec<u64> = met.iter().map(|(point, ..)| *point).chain(unclear).collect();
        if candidates.len() < 2.min(points as usize) {
            return None;
        }
        if rational {
            return Some(Finding::yes("equal rational functions"));
        }
        // the outermost points first: those of different signs
        let chosen = candidates.iter().rev().take(CONFIRMED);
        let mut first: Option<(Ball<Big>, Ball<Big>)> = None;
        let mut confirmed = 0;
        for point in chosen {
            let coordinate = |name: &str| Some(self.coordinate(name, *point, domain, breaks));
            let x = value::<Big>(gold, &At::new(&coordinate, log, self.work));
            let y = value::<Big>(answer, &At::new(&coordinate, log, self.work));
            let (Ok(x), Ok(y)) = (x, y) else { continue };
            if !consistent(question, first.as_ref().map(|(a, b)| (a, b)), (&x, &y)) {
                return Some(Finding::no("other value, beyond the precision of f64"));
            }
            if !confirms(question, first.as_ref().map(|(a, b)| (a, b)), (&x, &y)) {
                return Some(Finding::no("the values are too close to tell apart"));
            }
            first.get_or_insert((x, y));
            confirmed += 1;
        }
        Some(if confirmed >= 2.min(candidates.len()).min(points as usize) {
            Finding::yes(if points == 1 {
                "equal values to 60 digits"
            } else {
                "equal values at points to 60 digits"
            })
        } else {
            Finding::no("no value within the limits to compare")
        })
    }

    fn complex(&self, gold: &Expr, answer: &Expr, log: bool, points: u64) -> Option<Finding> {
        let mut candidates = Vec::new();
        for point in 0..points {
            let coordinate = |name: &str| Some(self.coordinate(name, point, Domain::Reals, &[]));
            let x: Result<Complex<f64>, _> = complex::value(gold, &At::new(&coordinate, log, self.work));
            let y = complex::value(answer, &At::new(&coordinate, log, self.work));
            match (x, y) {
                (Ok(x), Ok(y)) if x.differs(&y) => return Some(Finding::no("other complex value")),
                (Ok(_), Ok(_)) | (Err(Stop::Uncertain), _) | (_, Err(Stop::Uncertain)) => {
                    candidates.push(point)
                }
                _ => {}
            }
        }
        let mut confirmed = 0;
        for point in candidates.iter().rev().take(CONFIRMED) {
            let coordinate = |name: &str| Some(self.coordinate(name, *point, Domain::Reals, &[]));
            let x: Result<Complex<Big>, _> = complex::value(gold, &At::new(&coordinate, log, self.work));
            let y = complex::value(answer, &At::new(&coordinate, log, self.work));
            let (Ok(x), Ok(y)) = (x, y) else { continue };
            if !x.agrees(&y) {
                return Some(Finding::no("other complex value"));
            }
            confirmed += 1;
        }
        (confirmed >= 2.min(points as usize)).then(|| Finding::yes("equal complex values to 60 digits"))
    }

    /// The sign of the constant ratio of two proportional expressions.
    pub(super) fn ratio_sign(&self, gold: &Expr, answer: &Expr) -> Option<bool> {
        (0..POINTS).find_map(|point| {
            let coordinate = |name: &str| Some(self.coordinate(name, point, Domain::Reals, &[]));
            let x = value::<f64>(gold, &At::new(&coordinate, true, self.work)).ok()?;
            let y = value::<f64>(answer, &At::new(&coordinate, true, self.work)).ok()?;
            let product = x.mul(&y).ok()?;
            match product.sign() {
                Ok(Sign::Positive) => Some(true),
                Ok(Sign::Negative) => Some(false),
                _ => None,
            }
        })
    }

    /// Whether an expression may have another formula elsewhere: what equals it in one place then says nothing of another.
    fn pieced(&self, expr: &Expr) -> bool {
        let even = |e: &Expr| matches!(e, Expr::Power(_, n) if self.exact(n).is_some_and(|n| n.is_int() && (n / RBig::from(2)).is_int()));
        expr.any(&|e| match e {
            Expr::Apply(
                Function::Abs
                | Function::Max
                | Function::Min
                | Function::Floor
                | Function::Ceil
                | Function::Sign,
                _,
            ) => true,
            Expr::Apply(Function::Sqrt | Function::Root, v) => v.iter().any(|e| e.any(&even)),
            Expr::Power(base, n) => self.exact(n).is_some_and(|n| !n.is_int()) && base.any(&even),
            _ => false,
        })
    }

    /// The value of a constant expression as an f64.
    pub(super) fn approximate(&self, expr: &Expr) -> Option<f64> {
        match expr {
            Expr::Constant(Constant::Infinity) => return Some(f64::INFINITY),
            Expr::Negative(inner) if **inner == Expr::Constant(Constant::Infinity) => {
                return Some(f64::NEG_INFINITY);
            }
            _ => {}
        }
        value::<f64>(expr, &At::new(&|_| None, true, self.work)).ok().map(|v| v.value)
    }

    /// How two constant expressions that are not equal stand to each other, at high precision.
    pub(super) fn order_of(&self, a: &Expr, b: &Expr) -> Option<Ordering> {
        let gap = a.clone().minus(b.clone());
        match value::<Big>(&gap, &At::new(&|_| None, true, self.work)).ok()?.sign().ok()? {
            Sign::Negative => Some(Ordering::Less),
            Sign::Zero => Some(Ordering::Equal),
            Sign::Positive => Some(Ordering::Greater),
        }
    }

    /// The signed distance of a constant expression from a rational, as an f64, computed at high precision.
    pub(super) fn distance(&self, expr: &Expr, from: &RBig) -> Option<f64> {
        if let Some(exact) = self.exact(expr) {
            return Some((exact - from).to_f64_fast());
        }
        let value = value::<Big>(expr, &At::new(&|_| None, true, self.work)).ok()?;
        let from = Ball::exact(from).ok()?;
        Some(value.sub(&from).ok()?.value.approx())
    }
}

/// Whether an expression has other formulas in other places.
fn breaks_off(expr: &Expr) -> bool {
    expr.any(&|e| {
        matches!(
            e,
            Expr::Apply(
                Function::Abs
                    | Function::Max
                    | Function::Min
                    | Function::Floor
                    | Function::Ceil
                    | Function::Sign,
                _
            )
        )
    })
}

/// The numbers in an expression.
fn constants(expr: &Expr, out: &mut Vec<RBig>) {
    if let Expr::Number(number) = expr
        && !out.contains(&number.value)
        && out.len() < BREAKS
    {
        out.push(number.value.clone());
        if !number.value.is_zero() && out.len() < BREAKS {
            out.push(-number.value.clone());
        }
    }
    for child in expr.children() {
        constants(child, out);
    }
}

fn apart() -> Finding {
    Finding::no("they are defined in different places")
}

/// Whether a pair of values may answer the question with yes; for proportions given the first pair.
fn consistent<R: Real>(
    question: Question,
    first: Option<(&Ball<R>, &Ball<R>)>,
    (x, y): (&Ball<R>, &Ball<R>),
) -> bool {
    match (question, first) {
        (Question::Equal, _) => !x.differs(y),
        (Question::Proportional, None) => x.is_zero() == y.is_zero(),
        (Question::Proportional, Some((x0, y0))) => match (x0.mul(y), y0.mul(x)) {
            (Ok(a), Ok(b)) => !a.differs(&b),
            _ => true,
        },
    }
}

/// Whether a pair of values of high precision answers it with yes.
fn confirms<R: Real>(
    question: Question,
    first: Option<(&Ball<R>, &Ball<R>)>,
    (x, y): (&Ball<R>, &Ball<R>),
) -> bool {
    match (question, first) {
        (Question::Equal, _) => x.agrees(y),
        // what is zero everywhere is a multiple of everything
        (Question::Proportional, None) => {
            [x, y].into_iter().all(|v| matches!(v.sign(), Ok(Sign::Negative | Sign::Positive)))
        }
        (Question::Proportional, Some((x0, y0))) => match (x0.mul(y), y0.mul(x)) {
            (Ok(a), Ok(b)) => a.agrees(&b),
            _ => false,
        },
    }
}
