//! `345+678`, column by column from the right, with the carries written out.

use super::{MathProblem, Problems};
use crate::data::keyed::Draws;

pub(super) fn problem(problems: &Problems, draws: &mut Draws) -> MathProblem {
    let low = 10i64.pow(problems.digits - 1);
    let (a, b) = (draws.within(low, low * 10 - 1), draws.within(low, low * 10 - 1));
    let mut steps = Vec::new();
    let mut carry = 0;
    for place in 0..problems.digits {
        let digit = |number: i64| number / 10i64.pow(place) % 10;
        let (x, y) = (digit(a), digit(b));
        let sum = x + y + carry;
        let carried = if carry > 0 { "+1" } else { "" };
        steps.push(format!("{x}+{y}{carried}={sum}"));
        carry = sum / 10;
    }
    MathProblem {
        family: "addition",
        key: format!("{}+{}", a.min(b), a.max(b)),
        question: format!("{a}+{b}"),
        steps: steps.join(" "),
        answer: a + b,
    }
}
