//! What was judged is judged again, in ways that must make no difference: by another worker, in other orders, beside one another,
//! later.

use super::report::{CheckResult, Finding, said};
use super::run::{Item, Run, evenly, judge_all};
use super::suite::SuiteError;
use crate::{Verdict, VerifierPool};
use std::time::{Duration, Instant};

/// Threads that judge at the same time where that is what is tested.
const THREADS: usize = 8;

/// The time between a verdict and the one that it is compared with to see whether it depends on the clock: more than a second, so
/// that whole seconds differ.
const LATER: Duration = Duration::from_millis(1100);

impl Run<'_> {
    /// By another worker, in other orders, and by many at the same time.
    pub(super) fn repeated(&mut self) -> Result<(), SuiteError> {
        let items = self.sampled();
        let n = items.len();
        let forward: Vec<usize> = (0..n).collect();
        let other = self.threads(1)?;
        if self.suite.checks.determinism {
            self.again("determinism/twice", "as by the first worker", &items, &forward, &other, false);
        }
        if self.suite.checks.metamorphic {
            // backwards, and as a fixed shuffle: a step that shares no factor with the count visits all
            let step = (n / 2 + 1..).find(|step| gcd(*step, n.max(1)) == 1).unwrap_or(1);
            let shuffled = (0..n).map(|i| i * step % n);
            let orders: Vec<usize> = (0..n).rev().chain(shuffled).collect();
            self.again("meta/order", "as in the first order", &items, &orders, &other, false);
            let twice: Vec<usize> = forward.iter().flat_map(|i| [*i, *i]).collect();
            let many = self.threads(THREADS)?;
            self.again("meta/threads", "as when judged alone", &items, &twice, &many, true);
        }
        Ok(())
    }

    /// More than a second after the suite was started: by now that time has often passed.
    pub(super) fn later(&mut self, started: Instant) -> Result<(), SuiteError> {
        if !self.suite.checks.determinism || !self.wants("determinism/clock") {
            return Ok(());
        }
        std::thread::sleep(LATER.saturating_sub(started.elapsed()));
        let items = self.sampled();
        let order: Vec<usize> = (0..items.len()).collect();
        let pool = self.threads(1)?;
        self.again("determinism/clock", "as more than a second before", &items, &order, &pool, false);
        Ok(())
    }

    fn sampled(&self) -> Vec<Item> {
        evenly(self.judged.len(), self.suite.checks.sample).map(|i| self.judged[i].clone()).collect()
    }

    /// A check that verdicts are as they were. `together`: all at once, or one after the other.
    fn again(
        &mut self,
        name: &str,
        expected: &str,
        items: &[Item],
        order: &[usize],
        pool: &VerifierPool,
        together: bool,
    ) {
        if !self.wants(name) {
            return;
        }
        if items.is_empty() {
            return self.checks.push(CheckResult::skipped(name, "there is nothing to judge again"));
        }
        let pair = |i: &usize| (items[*i].problem.clone(), items[*i].completion.clone());
        let verdicts = if together {
            judge_all(pool, &self.verifier, order.iter().map(pair))
        } else {
            let one = |i: &usize| judge_all(pool, &self.verifier, std::iter::once(pair(i))).swap_remove(0);
            order.iter().map(one).collect()
        };
        let mut check = CheckResult { tried: verdicts.len() as u64, ..CheckResult::new(name) };
        for (i, verdict) in order.iter().zip(&verdicts) {
            let item = &items[*i];
            // fuel may vary with what a worker has already set up, which decides nothing
            if differs(&item.first, verdict) {
                let expected = format!("{expected}: {} ({})", said(&item.first), item.first.reason);
                check.found(Finding::new(item.of.clone(), expected, verdict, &item.completion.text));
            }
        }
        self.checks.push(check);
    }
}

/// Whether two verdicts on the same completion say different things: costs aside, of which the memory of a sandbox that is used
/// again is one.
fn differs(a: &Verdict, b: &Verdict) -> bool {
    let bare = |verdict: &Verdict| Verdict { cost: Default::default(), ..verdict.clone() };
    bare(a) != bare(b)
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
