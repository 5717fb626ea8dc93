//! `(14+5)*3`: the sum first, then the product.

use super::{MathProblem, Problems};
use crate::data::keyed::Draws;

pub(super) fn problem(problems: &Problems, draws: &mut Draws) -> MathProblem {
    let (a, b) = (draws.within(2, problems.largest), draws.within(2, problems.largest));
    let c = draws.within(2, 9);
    let (sum, answer) = (a + b, (a + b) * c);
    MathProblem {
        family: "product",
        key: format!("({}+{})*{c}", a.min(b), a.max(b)),
        question: format!("({a}+{b})*{c}"),
        steps: format!("{a}+{b}={sum} {sum}*{c}={answer}"),
        answer,
    }
}
