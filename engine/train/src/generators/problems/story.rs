//! Short word problems with two steps: a product, and then a sum or a difference. The names and things in a story do
//! not make it another problem.

use super::{MathProblem, Problems};
use crate::data::keyed::Draws;

const NAMES: [&str; 10] = ["Tom", "Ann", "Ben", "Eva", "Sam", "Mia", "Leo", "Zoe", "Max", "Ida"];
const THINGS: [&str; 8] = ["pens", "nuts", "figs", "eggs", "cups", "pins", "caps", "buns"];

pub(super) fn problem(problems: &Problems, draws: &mut Draws) -> MathProblem {
    let first = draws.within(0, NAMES.len() as i64 - 1) as usize;
    let other = (first + draws.within(1, NAMES.len() as i64 - 1) as usize) % NAMES.len();
    let (name, other, things) = (NAMES[first], NAMES[other], *draws.pick(&THINGS));
    let (key, question, steps, answer) = match draws.within(0, 2) {
        0 => {
            let (a, b) = (draws.within(2, problems.largest), draws.within(2, 9));
            let more = a * b;
            (
                format!("{a} and {b} times {a}"),
                format!("{name} has {a} {things}. {other} has {b} times as many. Total?"),
                format!("{a}*{b}={more} {a}+{more}={}", a + more),
                a + more,
            )
        }
        1 => {
            let (a, b) = (draws.within(2, 9), draws.within(2, 9));
            let all = a * b;
            let c = draws.within(1, problems.largest.min(all - 1));
            (
                format!("{}*{}-{c}", a.min(b), a.max(b)),
                format!("{name} has {a} bags of {b} {things} and sells {c}. How many left?"),
                format!("{a}*{b}={all} {all}-{c}={}", all - c),
                all - c,
            )
        }
        _ => {
            let (a, b) = (draws.within(2, 9), draws.within(2, 9));
            let c = draws.within(2, problems.largest);
            let cost = a * b;
            (
                format!("{}*{}+{c}", a.min(b), a.max(b)),
                format!("{name} buys {a} {things} at {b} coins and a hat for {c}. Total cost?"),
                format!("{a}*{b}={cost} {cost}+{c}={}", cost + c),
                cost + c,
            )
        }
    };
    MathProblem { family: "story", key, question, steps, answer }
}
