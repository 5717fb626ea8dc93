//! Runs a suite: judges its cases and golds alone and in order, then all of them again in the ways that must make no difference,
//! then what must not pass.

use super::report::{CaseResult, CheckResult, Finding, Report};
use super::stats::{CostSummary, Rate, duration};
use super::suite::{Suite, SuiteError};
use crate::{Completion, Job, Judges, Outcome, Problem, Registry, Verdict, Verifier, VerifierPool};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How suites are run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Only cases and checks whose `SUITE/NAME` contains this.
    pub filter: Option<String>,
    /// The time after which a verifier counts as hanging.
    pub hang: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Options { filter: None, hang: Duration::from_secs(20) }
    }
}

/// Times that a verifier may hang before it is not asked any more.
const HANGS: usize = 3;

/// Runs a suite with a verifier of the registry.
///
/// # Errors
/// The verifier cannot be made or refuses a problem, or the system gives no threads.
pub fn run(suite: &Suite, registry: &Registry, options: &Options) -> Result<Report, SuiteError> {
    let verifier = suite.verifier(registry)?;
    run_verifier(suite, verifier, options)
}

/// Runs a suite with this verifier, whatever verifier the suite names.
///
/// # Errors
/// The system gives no threads.
pub fn run_verifier(
    suite: &Suite,
    verifier: Arc<dyn Verifier>,
    options: &Options,
) -> Result<Report, SuiteError> {
    let started = Instant::now();
    let judges = suite.judges.unwrap_or_else(|| verifier.judges());
    let mut run = Run {
        suite,
        options,
        judges,
        alone: threads(suite, 1, options.hang)?,
        verifier,
        checks: Vec::new(),
        judged: Vec::new(),
        worst: Vec::new(),
        faults: CheckResult::new("faults"),
        false_negatives: None,
        false_positives: None,
    };
    let cases = run.cases();
    let golds = run.golds();
    run.repeated()?;
    run.rates(&golds);
    run.attacks(&golds);
    run.metamorphic(&golds);
    run.later(started)?;
    Ok(run.finish(cases, started))
}

/// A completion with its first verdict: what is judged again.
#[derive(Clone)]
pub(super) struct Item {
    pub of: String,
    pub problem: Arc<Problem>,
    pub completion: Arc<Completion>,
    pub first: Verdict,
    /// Whether it is a case, and not a gold.
    pub case: bool,
}

pub(super) struct Run<'a> {
    pub suite: &'a Suite,
    pub options: &'a Options,
    pub judges: Judges,
    pub verifier: Arc<dyn Verifier>,
    /// One worker, for verdicts that are made while no other is.
    alone: VerifierPool,
    pub checks: Vec<CheckResult>,
    pub judged: Vec<Item>,
    /// The verdicts on attacks, for their cost.
    pub worst: Vec<(String, Verdict)>,
    faults: CheckResult,
    pub false_negatives: Option<Rate>,
    pub false_positives: Option<Rate>,
}

type Pair = (Arc<Problem>, Arc<Completion>);

/// Verdicts in the order of their pairs, judged at the same time as far as the pool has workers.
pub(super) fn judge_all(
    pool: &VerifierPool,
    verifier: &Arc<dyn Verifier>,
    pairs: impl Iterator<Item = Pair>,
) -> Vec<Verdict> {
    let mut round = pool.round::<usize>();
    let mut count = 0;
    for (index, (problem, completion)) in pairs.enumerate() {
        count += 1;
        if pool.abandoned() >= HANGS {
            continue;
        }
        round.submit(index, Job { verifier: verifier.clone(), problem, completion, sample: 0 });
    }
    let mut verdicts: Vec<Option<Verdict>> = vec![None; count];
    while let Some((index, verdict)) = round.next_verdict() {
        verdicts[index] = Some(verdict);
    }
    let given_up = || Verdict::fault(format!("not judged: the verifier had hung {HANGS} times"));
    verdicts.into_iter().map(|verdict| verdict.unwrap_or_else(given_up)).collect()
}

/// At most `most` of `count` indices, evenly spaced.
pub(super) fn evenly(count: usize, most: usize) -> impl Iterator<Item = usize> {
    let taken = count.min(most);
    (0..taken).map(move |index| index * count / taken)
}

fn threads(suite: &Suite, workers: usize, hang: Duration) -> Result<VerifierPool, SuiteError> {
    VerifierPool::new(workers, hang).map_err(|error| SuiteError::File {
        file: suite.file.clone(),
        problem: format!("threads for the verifier cannot be started: {error}"),
    })
}

impl Run<'_> {
    /// Workers of their own.
    pub(super) fn threads(&self, workers: usize) -> Result<VerifierPool, SuiteError> {
        threads(self.suite, workers, self.options.hang)
    }

    /// Whether a check is asked for.
    pub(super) fn wants(&self, name: &str) -> bool {
        let under = format!("{}/{name}", self.suite.name);
        let filtered = self.options.filter.as_ref().is_none_or(|part| under.contains(part.as_str()));
        filtered && !self.suite.checks.skips(name)
    }

    pub(super) fn judge(&self, problem: &Arc<Problem>, completion: &Arc<Completion>) -> Verdict {
        let pair = std::iter::once((problem.clone(), completion.clone()));
        judge_all(&self.alone, &self.verifier, pair).swap_remove(0)
    }

    /// Notes a verdict that is a fault where none may be.
    pub(super) fn note_fault(&mut self, of: &str, verdict: &Verdict, completion: &Completion) {
        self.faults.tried += 1;
        if verdict.outcome == Outcome::Fault {
            let finding =
                Finding::new(of.to_owned(), "a verdict that is no fault", verdict, &completion.text);
            self.faults.found(finding);
        }
    }

    fn cases(&mut self) -> Vec<CaseResult> {
        let suite = self.suite;
        let mut results = Vec::new();
        for case in &suite.cases {
            if !self.wants(&format!("case/{}", case.name)) {
                continue;
            }
            let verdict = self.judge(&case.problem, &case.completion);
            let of = format!("case {}", case.name);
            if !case.expected.allows_fault() {
                self.note_fault(&of, &verdict, &case.completion);
            }
            let differences = case.expected.differences(&verdict);
            self.judged.push(Item {
                of,
                problem: case.problem.clone(),
                completion: case.completion.clone(),
                first: verdict.clone(),
                case: true,
            });
            results.push(CaseResult {
                name: case.name.clone(),
                place: case.place.to_string(),
                passed: differences.is_empty(),
                differences,
                verdict,
            });
        }
        results
    }

    fn finish(mut self, cases: Vec<CaseResult>, started: Instant) -> Report {
        let judged: Vec<(String, Verdict)> =
            self.judged.iter().map(|item| (item.of.clone(), item.first.clone())).collect();
        let mut cost = CostSummary::of(&judged);
        self.worst.iter().for_each(|(of, verdict)| cost.note(of, verdict));
        if self.suite.checks.cost && self.wants("cost") {
            let mut check = CheckResult { tried: cost.verdicts, ..CheckResult::new("cost") };
            check.note = format!(
                "p50 {}, p99 {}, worst {} ({}), fuel {}, {} bytes",
                duration(cost.p50_s),
                duration(cost.p99_s),
                duration(cost.max_s),
                cost.slowest,
                cost.fuel,
                cost.peak_bytes
            );
            for (name, limit, value) in cost.over(&self.suite.budget) {
                let none = Verdict::pass("");
                let mut finding =
                    Finding::new(format!("budget.{name}"), format!("at most {limit}"), &none, "");
                (finding.got, finding.of) = (value, format!("budget.{name}"));
                check.found(finding);
            }
            self.checks.push(check);
        }
        if self.wants("faults") {
            self.checks.push(self.faults);
        }
        let verifier = (self.verifier.name().to_owned(), self.verifier.version().to_owned());
        Report {
            suite: self.suite.name.clone(),
            file: self.suite.file.clone(),
            verifier,
            judges: self.judges,
            cases,
            checks: self.checks,
            cost,
            false_negatives: self.false_negatives,
            false_positives: self.false_positives,
            seconds: started.elapsed().as_secs_f64(),
        }
    }
}
