//! Right completions: that they pass, and that they fail other problems.

use super::report::{CheckResult, Finding, Status, clipped};
use super::run::{Item, Run, evenly};
use super::stats::Rate;
use crate::{Completion, Outcome, Problem, Verdict};
use std::collections::HashMap;
use std::sync::Arc;

/// A problem and a completion that should pass it, with its verdict.
pub(super) struct Gold {
    pub problem: Arc<Problem>,
    pub completion: Arc<Completion>,
    pub verdict: Verdict,
    /// Whether the verifier or the suite wrote it, and not a case.
    pub written: bool,
}

/// Other problems whose golds each problem is judged with.
const OTHERS: usize = 2;

impl Run<'_> {
    /// For every problem, at least one completion that should pass where one is known: as the suite or the verifier writes it, or
    /// else that of a case.
    pub(super) fn golds(&mut self) -> Vec<Gold> {
        let suite = self.suite;
        if !self.judges.correctness() {
            return Vec::new();
        }
        let of_cases = suite.cases.iter().map(|case| {
            let passing = case.expected.is_pass().then(|| case.completion.clone());
            (&case.problem, passing)
        });
        let sampled =
            evenly(suite.problems.len(), suite.rates.problems).map(|i| (&suite.problems[i].1, None));
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut problems: Vec<(Arc<Problem>, Option<Arc<Completion>>)> = Vec::new();
        for (problem, passing) in of_cases.chain(sampled) {
            let place = *places.entry(content(problem)).or_insert(problems.len());
            if place == problems.len() {
                problems.push((problem.clone(), None));
            }
            problems[place].1 = problems[place].1.take().or(passing);
        }
        let mut golds = Vec::new();
        for (problem, passing) in problems {
            let written = match suite.gold {
                Some(_) => suite.written_gold(&problem),
                None => self.verifier.gold(&problem),
            };
            let passes =
                written.is_some_and(|written| self.push_gold(&mut golds, &problem, Arc::new(written)));
            if let Some(completion) = passing.filter(|_| !passes) {
                let verdict = self.judge(&problem, &completion);
                golds.push(Gold { problem, completion, verdict, written: false });
            }
        }
        golds
    }

    /// Adds a gold that the suite or the verifier wrote, and says whether it passes.
    fn push_gold(
        &mut self,
        golds: &mut Vec<Gold>,
        problem: &Arc<Problem>,
        completion: Arc<Completion>,
    ) -> bool {
        let verdict = self.judge(problem, &completion);
        let passes = verdict.outcome == Outcome::Pass;
        let of = format!("gold of {}", problem.id);
        self.note_fault(&of, &verdict, &completion);
        let (problem, first) = (problem.clone(), verdict.clone());
        self.judged.push(Item {
            of,
            problem: problem.clone(),
            completion: completion.clone(),
            first,
            case: false,
        });
        golds.push(Gold { problem, completion, verdict, written: true });
        passes
    }

    /// Golds pass; those of other problems fail.
    pub(super) fn rates(&mut self, golds: &[Gold]) {
        if !self.suite.checks.rates {
            return;
        }
        let names = ["rates/golds-pass", "rates/other-golds-fail"];
        if !self.judges.correctness() {
            let skipped =
                names.map(|name| CheckResult::skipped(name, "a verifier of forms has no right answer"));
            self.checks
                .extend(skipped.into_iter().filter(|check| self.wants(&check.name)).collect::<Vec<_>>());
            return;
        }
        if self.wants(names[0]) {
            let check = self.golds_pass(names[0], golds);
            self.checks.push(check);
        }
        if self.wants(names[1]) {
            let check = self.other_golds_fail(names[1], golds);
            self.checks.push(check);
        }
    }

    fn golds_pass(&mut self, name: &str, golds: &[Gold]) -> CheckResult {
        let written: Vec<&Gold> = golds.iter().filter(|gold| gold.written).collect();
        if written.is_empty() {
            let why = "no right completion can be written: give the suite a `gold`, such as \"The answer is {answer}.\"";
            return CheckResult::skipped(name, why);
        }
        let mut check = CheckResult { tried: written.len() as u64, ..CheckResult::new(name) };
        for gold in written.iter().filter(|gold| gold.verdict.outcome != Outcome::Pass) {
            let of = format!("gold of {}", gold.problem.id);
            check.found(Finding::new(of, "pass", &gold.verdict, &gold.completion.text));
        }
        let rate = Rate::new(check.failed, check.tried);
        if rate.value <= self.suite.rates.max_false_negative {
            check.status = Status::Passed;
        }
        check.note = format!("false negatives {rate}");
        self.false_negatives = Some(rate);
        check
    }

    fn other_golds_fail(&mut self, name: &str, golds: &[Gold]) -> CheckResult {
        let passing: Vec<&Gold> = golds.iter().filter(|gold| gold.verdict.outcome == Outcome::Pass).collect();
        let mut check = CheckResult::new(name);
        for (i, gold) in passing.iter().enumerate() {
            let others = others(&passing, i).take(OTHERS);
            for other in others {
                let verdict = self.judge(&gold.problem, &other.completion);
                let of = format!("gold of {} as an answer to {}", other.problem.id, gold.problem.id);
                self.note_fault(&of, &verdict, &other.completion);
                check.tried += 1;
                if verdict.outcome == Outcome::Pass {
                    let expected = format!("no pass: {} passes", clipped(&gold.completion.text));
                    check.found(Finding::new(of, expected, &verdict, &other.completion.text));
                }
            }
        }
        if check.tried == 0 {
            return CheckResult::skipped(name, "there are no two problems whose golds are known and differ");
        }
        let rate = Rate::new(check.failed, check.tried);
        if rate.value <= self.suite.rates.max_false_positive {
            check.status = Status::Passed;
        }
        check.note = format!("false positives {rate}");
        self.false_positives = Some(rate);
        check
    }
}

/// A problem without its id, as a key.
pub(super) fn content(problem: &Problem) -> String {
    let bare = Problem { id: String::new(), ..problem.clone() };
    serde_json::to_string(&bare).unwrap_or_default()
}

/// Golds of other problems whose right answer is another one: as far as the verifier says what it read, in its normal form, and
/// otherwise by their texts.
fn others<'g>(golds: &'g [&'g Gold], index: usize) -> impl Iterator<Item = &'g Gold> {
    let (gold, count) = (golds[index], golds.len());
    let same = |other: &Gold| {
        let answers = gold.verdict.answer.is_some() && gold.verdict.answer == other.verdict.answer;
        let texts = gold.completion.text.trim() == other.completion.text.trim();
        answers || texts || gold.problem.answer.is_some() && gold.problem.answer == other.problem.answer
    };
    (1..count).map(move |by| golds[(index + by) % count]).take(20).filter(move |other| !same(other))
}
