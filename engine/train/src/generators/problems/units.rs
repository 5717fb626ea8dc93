//! `3 h 25 min in min?`: a measure in two units, put into the smaller one.

use super::{MathProblem, Problems};
use crate::data::keyed::Draws;

const UNITS: [(&str, &str, i64); 9] = [
    ("h", "min", 60),
    ("min", "s", 60),
    ("days", "h", 24),
    ("weeks", "days", 7),
    ("m", "cm", 100),
    ("cm", "mm", 10),
    ("kg", "g", 1000),
    ("ft", "in", 12),
    ("yd", "ft", 3),
];

pub(super) fn problem(problems: &Problems, draws: &mut Draws) -> MathProblem {
    let (large, small, factor) = *draws.pick(&UNITS);
    let count = draws.within(2, 12);
    let rest = draws.within(1, problems.largest.min(factor - 1));
    let whole = count * factor;
    MathProblem {
        family: "units",
        key: format!("{count} times {factor} and {rest}"),
        question: format!("{count} {large} {rest} {small} in {small}?"),
        steps: format!("{count}*{factor}={whole} {whole}+{rest}={}", whole + rest),
        answer: whole + rest,
    }
}
