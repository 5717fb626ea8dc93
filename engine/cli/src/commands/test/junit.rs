//! Results as JUnit XML, which continuous integration reads: a suite a test suite, a case or check a test case.

use crate::commands::wrong;
use quick_junit::{NonSuccessKind, Report as Xml, TestCase, TestCaseStatus, TestSuite};
use rlvr_verdict::testkit::{CaseResult, CheckResult, Report, Status};
use std::path::Path;
use std::time::Duration;

/// Writes the file.
pub fn write(path: &Path, reports: &[Report]) -> anyhow::Result<()> {
    let mut xml = Xml::new("rlvr test");
    for report in reports {
        let mut suite = TestSuite::new(report.suite.as_str());
        suite.set_time(Duration::from_secs_f64(report.seconds));
        suite.add_property(("file", report.file.display().to_string().as_str()));
        suite.add_property(("verifier", format!("{} {}", report.verifier.0, report.verifier.1).as_str()));
        let cases = report.cases.iter().map(|case| of_case(report, case));
        suite.add_test_cases(cases.chain(report.checks.iter().map(|check| of_check(report, check))));
        xml.add_test_suite(suite);
    }
    let text = xml.to_string()?;
    std::fs::write(path, text).map_err(|error| wrong(format!("--junit {}: {error}", path.display())))
}

fn of_case(report: &Report, case: &CaseResult) -> TestCase {
    let status = if case.passed {
        TestCaseStatus::success()
    } else {
        let told =
            case.differences.iter().map(|d| format!("{}: expected {}, got {}", d.of, d.expected, d.got));
        let told = told.collect::<Vec<_>>().join("\n");
        failed(&told, &format!("{told}\nat {}\nreason: {}", case.place, case.verdict.reason))
    };
    let mut test = TestCase::new(format!("case/{}", case.name), status);
    test.set_classname(report.suite.as_str());
    test.set_time(Duration::from_secs_f64(case.verdict.cost.wall));
    test
}

fn of_check(report: &Report, check: &CheckResult) -> TestCase {
    let status = match check.status {
        Status::Passed => TestCaseStatus::success(),
        Status::Skipped => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(check.note.as_str());
            status
        }
        Status::Failed => {
            let told = check.findings.iter().map(|f| {
                format!("{}: expected {}, got {} ({})\n  {}", f.of, f.expected, f.got, f.reason, f.completion)
            });
            failed(
                &format!("{} of {} verdicts", check.failed, check.tried),
                &told.collect::<Vec<_>>().join("\n"),
            )
        }
    };
    let mut test = TestCase::new(check.name.as_str(), status);
    test.set_classname(report.suite.as_str());
    test
}

fn failed(message: &str, description: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
    status.set_message(message);
    status.set_description(description);
    status
}
