//! Attacks, and changes that must change nothing.

use super::attacks::{self, Material};
use super::golds::{Gold, content};
use super::metamorphic::{CHANGES, changed};
use super::report::{CheckResult, Finding, said};
use super::run::{Item, Run, evenly};
use crate::{Expect, Outcome, Problem, Verdict};
use std::sync::Arc;

/// Rivals that an attack is made with.
const RIVALS: usize = 3;

/// A thought where no answer is known to think of.
const DOUBT: &str = "Perhaps not.";

impl Run<'_> {
    /// The attack corpora, on a few problems.
    pub(super) fn attacks(&mut self, golds: &[Gold]) {
        if !self.suite.checks.attacks {
            return;
        }
        let mut checks: Vec<CheckResult> = Vec::new();
        let mut skips: Vec<(&str, &str)> = Vec::new();
        let problems = self.attacked();
        for problem in &problems {
            let (gold, rivals) = self.beside(problem, golds);
            let material = Material {
                problem,
                gold: gold.map(|gold| gold.completion.text.as_str()),
                rivals: rivals.iter().map(|rival| rival.completion.text.as_str()).collect(),
                rival_answers: rivals.iter().filter_map(|rival| rival.problem.answer.as_deref()).collect(),
            };
            let (mut attacks, skipped) = attacks::generic(self.judges, &material);
            attacks.extend(self.verifier.attacks(problem));
            skips.extend(skipped);
            for attack in attacks {
                let name = format!("attack/{}", attack.name);
                if !self.wants(&name) {
                    continue;
                }
                let completion = Arc::new(attack.completion);
                let verdict = self.judge(problem, &completion);
                let index = checks.iter().position(|check| check.name == name).unwrap_or_else(|| {
                    checks.push(CheckResult::new(&name));
                    checks.len() - 1
                });
                let of = format!("{} on {}", attack.name, problem.id);
                self.note_fault(&of, &verdict, &completion);
                checks[index].tried += 1;
                if let Some(expected) = missed(attack.expect, &verdict) {
                    checks[index].found(Finding::new(of.clone(), expected, &verdict, &completion.text));
                }
                self.worst.push((of, verdict));
            }
        }
        for (name, why) in skips {
            let name = format!("attack/{name}");
            if self.wants(&name) && checks.iter().all(|check| check.name != name) {
                checks.push(CheckResult::skipped(name, why));
            }
        }
        self.checks.extend(checks);
    }

    /// Problems that attacks are tried on: with different answers as far as there are.
    fn attacked(&self) -> Vec<Arc<Problem>> {
        let cases = self.suite.cases.iter().map(|case| &case.problem);
        let mut distinct: Vec<&Arc<Problem>> = Vec::new();
        for problem in cases.chain(self.suite.problems.iter().map(|(_, problem)| problem)) {
            let same = |one: &&Arc<Problem>| {
                one.answer == problem.answer && one.prompt == problem.prompt && one.tests == problem.tests
            };
            let judged = self.verifier.check(problem).is_ok();
            if judged && !distinct.iter().any(same) {
                distinct.push(problem);
            }
            if distinct.len() >= 64 * self.suite.checks.problems.max(1) {
                break;
            }
        }
        evenly(distinct.len(), self.suite.checks.problems).map(|i| distinct[i].clone()).collect()
    }

    /// The problem's gold, and a few of other problems that fail this one.
    fn beside<'g>(&self, problem: &Arc<Problem>, golds: &'g [Gold]) -> (Option<&'g Gold>, Vec<&'g Gold>) {
        let key = content(problem);
        let passes = |gold: &&Gold| gold.verdict.outcome == Outcome::Pass;
        let gold = golds.iter().filter(passes).find(|gold| content(&gold.problem) == key);
        let fails = |rival: &&Gold| self.judge(problem, &rival.completion).outcome == Outcome::Fail;
        let rivals =
            golds.iter().filter(passes).filter(|rival| content(&rival.problem) != key).take(50).filter(fails);
        (gold, rivals.take(RIVALS).collect())
    }

    pub(super) fn metamorphic(&mut self, golds: &[Gold]) {
        if !self.suite.checks.metamorphic {
            return;
        }
        for change in &CHANGES {
            if !self.wants(change.name) {
                continue;
            }
            if !(change.holds_for)(self.judges) {
                self.checks.push(CheckResult::skipped(change.name, change.otherwise));
                continue;
            }
            let items = self.changeable(golds, change.on_cases);
            let mut check = CheckResult::new(change.name);
            for (item, rival) in &items {
                for completion in changed(change, &item.completion, rival) {
                    let completion = Arc::new(completion);
                    let verdict = self.judge(&item.problem, &completion);
                    check.tried += 1;
                    self.note_fault(&item.of, &verdict, &completion);
                    if (verdict.outcome, verdict.score) != (item.first.outcome, item.first.score) {
                        let expected = format!("as without the change: {}", said(&item.first));
                        check.found(Finding::new(item.of.clone(), expected, &verdict, &completion.text));
                    }
                }
            }
            if check.tried == 0 {
                check = CheckResult::skipped(
                    change.name,
                    "no right completion is known: give the suite a `gold`",
                );
            }
            self.checks.push(check);
        }
    }

    /// What changes are tried on, each with an answer that is right where it is wrong, or wrong where it is right: golds of the attacked problems as answers to them
    /// and to one another, and cases.
    fn changeable(&self, golds: &[Gold], on_cases: bool) -> Vec<(Item, String)> {
        let mut items = Vec::new();
        for problem in self.attacked() {
            let (gold, rivals) = self.beside(&problem, golds);
            let right = gold.map(|gold| gold.completion.text.as_str());
            let wrong = rivals.first().map(|rival| rival.completion.text.as_str());
            let with = gold.map(|gold| (gold, wrong)).into_iter().chain(rivals.iter().map(|r| (*r, right)));
            for (answer, other) in with {
                let first = self.judge(&problem, &answer.completion);
                let of = format!("gold of {} as an answer to {}", answer.problem.id, problem.id);
                let (problem, completion) = (problem.clone(), answer.completion.clone());
                let other = other.unwrap_or(DOUBT).to_owned();
                items.push((Item { of, problem, completion, first, case: false }, other));
            }
        }
        if on_cases {
            let cases = self.judged.iter().filter(|item| item.case && item.first.outcome != Outcome::Fault);
            items.extend(cases.map(|item| (item.clone(), DOUBT.to_owned())));
        }
        items
    }
}

/// What a verdict on an attack should have been, where it is not.
fn missed(expect: Expect, verdict: &Verdict) -> Option<&'static str> {
    match (expect, verdict.outcome) {
        (_, Outcome::Fault) => Some("a verdict that is no fault"),
        (Expect::NoPass, Outcome::Pass) => Some("no pass"),
        (Expect::Pass, outcome) if outcome != Outcome::Pass => Some("pass"),
        _ => None,
    }
}
