//! What came of a suite, as data and as text.

use super::case::Difference;
use super::stats::{CostSummary, Rate, duration};
use crate::{Judges, Outcome, Verdict};
use serde::Serialize;
use std::fmt::{self, Write as _};
use std::path::PathBuf;

/// What came of a suite.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The suite.
    pub suite: String,
    /// Its file.
    pub file: PathBuf,
    /// The verifier's name and version.
    pub verifier: (String, String),
    /// What it judges.
    pub judges: Judges,
    /// The cases.
    pub cases: Vec<CaseResult>,
    /// The other checks.
    pub checks: Vec<CheckResult>,
    /// The cost of the verdicts.
    pub cost: CostSummary,
    /// Golds that did not pass; none where there are no golds.
    pub false_negatives: Option<Rate>,
    /// Other problems' golds that passed; none where there are none.
    pub false_positives: Option<Rate>,
    /// Seconds that the suite took.
    pub seconds: f64,
}

/// What came of a case.
#[derive(Clone, Debug, Serialize)]
pub struct CaseResult {
    /// Its name.
    pub name: String,
    /// Where it is written.
    pub place: String,
    /// Whether the verdict is as expected.
    pub passed: bool,
    /// What is not.
    pub differences: Vec<Difference>,
    /// The verdict.
    pub verdict: Verdict,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// All was well.
    Passed,
    /// Something was not.
    Failed,
    /// It had no meaning for this verifier, or lacked what it needs.
    Skipped,
}

/// What came of a check.
#[derive(Clone, Debug, Serialize)]
pub struct CheckResult {
    /// Its name, such as `attack/hedge`.
    pub name: String,
    /// How it ended.
    pub status: Status,
    /// What was measured, or why it was skipped.
    pub note: String,
    /// Verdicts that were looked at.
    pub tried: u64,
    /// Those that were not well.
    pub failed: u64,
    /// The first of them.
    pub findings: Vec<Finding>,
}

/// A verdict that is not what it should be.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// Of what: a case, a problem and an attack.
    pub of: String,
    /// What would be right.
    pub expected: String,
    /// What it is.
    pub got: String,
    /// The verdict's reason.
    pub reason: String,
    /// The completion's beginning.
    pub completion: String,
}

/// Findings of a check that are kept; the others are counted.
const KEPT: usize = 10;
/// Findings of a check that are printed.
const PRINTED: usize = 3;
/// Characters of a completion in a report.
const SHOWN: usize = 160;

impl CheckResult {
    pub(super) fn new(name: impl Into<String>) -> Self {
        CheckResult {
            name: name.into(),
            status: Status::Passed,
            note: String::new(),
            tried: 0,
            failed: 0,
            findings: Vec::new(),
        }
    }

    pub(super) fn skipped(name: impl Into<String>, why: impl Into<String>) -> Self {
        CheckResult { status: Status::Skipped, note: why.into(), ..CheckResult::new(name) }
    }

    pub(super) fn found(&mut self, finding: Finding) {
        self.status = Status::Failed;
        self.failed += 1;
        if self.findings.len() < KEPT {
            self.findings.push(finding);
        }
    }
}

impl Finding {
    pub(super) fn new(of: String, expected: impl Into<String>, verdict: &Verdict, completion: &str) -> Self {
        Finding {
            of,
            expected: expected.into(),
            got: said(verdict),
            reason: verdict.reason.clone(),
            completion: clipped(completion),
        }
    }
}

/// Outcome and score in words.
pub(super) fn said(verdict: &Verdict) -> String {
    match verdict.score {
        Some(score) => format!("{}, score {score}", verdict.outcome),
        None => verdict.outcome.to_string(),
    }
}

/// The beginning of a text, on one line.
pub(super) fn clipped(text: &str) -> String {
    let line: String = text.chars().take(SHOWN).flat_map(char::escape_debug).collect();
    let line = line.replace("\\\"", "\"").replace("\\'", "'").replace("\\\\", "\\");
    if text.chars().nth(SHOWN).is_some() { format!("{line}... ({} bytes)", text.len()) } else { line }
}

impl Report {
    /// Whether all cases and checks passed.
    pub fn passed(&self) -> bool {
        self.failures() == 0
    }

    /// Cases and checks that failed.
    pub fn failures(&self) -> usize {
        let cases = self.cases.iter().filter(|case| !case.passed).count();
        cases + self.count(Status::Failed)
    }

    fn count(&self, status: Status) -> usize {
        self.checks.iter().filter(|check| check.status == status).count()
    }

    /// The check of this name.
    pub fn check(&self, name: &str) -> Option<&CheckResult> {
        self.checks.iter().find(|check| check.name == name)
    }
}

impl fmt::Display for Report {
    /// A line for each check and for each case that failed, with what was expected and what came.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, version) = &self.verifier;
        writeln!(
            f,
            "{} ({}): verifier `{name}` {version}, judges {}",
            self.suite,
            self.file.display(),
            self.judges
        )?;
        for case in &self.cases {
            writeln!(f, "  {} case/{}", if case.passed { "ok  " } else { "FAIL" }, case.name)?;
            if !case.passed {
                f.write_str(&failed_case(case))?;
            }
        }
        for check in &self.checks {
            let mark = match check.status {
                Status::Passed => "ok  ",
                Status::Failed => "FAIL",
                Status::Skipped => "skip",
            };
            write!(f, "  {mark} {}", check.name)?;
            match (check.status, check.note.as_str()) {
                (_, "") => writeln!(f, ": {} verdicts", check.tried)?,
                (_, note) => writeln!(f, ": {note}")?,
            }
            for finding in check.findings.iter().take(PRINTED) {
                f.write_str(&found(finding))?;
            }
            let more = check.failed.saturating_sub(PRINTED as u64);
            if more > 0 {
                writeln!(f, "         ... and {more} more")?;
            }
        }
        let (passed, failed) = (self.cases.iter().filter(|case| case.passed).count(), self.failures());
        writeln!(
            f,
            "  {passed} of {} cases and {} of {} checks passed, {failed} failed, {} skipped; {}",
            self.cases.len(),
            self.count(Status::Passed),
            self.checks.len() - self.count(Status::Skipped),
            self.count(Status::Skipped),
            duration(self.seconds),
        )
    }
}

fn failed_case(case: &CaseResult) -> String {
    let mut text = format!("         at        {}\n", case.place);
    for Difference { of, expected, got } in &case.differences {
        let _ = writeln!(text, "         {of}\n           - {expected}\n           + {got}");
    }
    let parts = case.verdict.parts.iter().map(|(name, score)| format!("{name} {score}")).collect::<Vec<_>>();
    let _ = writeln!(text, "         got       {}", said(&case.verdict));
    if !parts.is_empty() {
        let _ = writeln!(text, "         parts     {}", parts.join(", "));
    }
    let _ = writeln!(text, "         reason    {}", case.verdict.reason);
    text
}

fn found(finding: &Finding) -> String {
    let Finding { of, expected, got, reason, completion } = finding;
    let mut text = format!("         {of}\n           expected  {expected}\n           got       {got}\n");
    if !reason.is_empty() {
        let _ = writeln!(text, "           reason    {reason}");
    }
    if !completion.is_empty() {
        let _ = writeln!(text, "           text      {completion}");
    }
    text
}

impl CaseResult {
    /// Whether the verdict is a fault that nobody expected.
    pub fn is_fault(&self) -> bool {
        !self.passed && self.verdict.outcome == Outcome::Fault
    }
}
