//! `rlvr test`: unit tests of reward functions. Suites of cases, and what every reward must survive.

mod junit;
mod tasks;
mod watch;

use super::verify::settings;
use super::{at_least_one, say, wrong};
use rlvr_verdict::testkit::{Options, Report, Suite, run};
use rlvr_verdict::{Judges, Registry};
use serde_json::json;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `test`.
#[derive(clap::Args)]
pub struct Args {
    /// Suites (TOML)
    #[arg(required_unless_present = "tasks", conflicts_with = "tasks")]
    suites: Vec<PathBuf>,
    /// Test the verifiers of a task set's file (.jsonl or .parquet), without a suite
    #[arg(long, value_name = "FILE")]
    tasks: Option<PathBuf>,
    /// With --tasks: the verifier of rows that name none
    #[arg(long, requires = "tasks", conflicts_with = "suites")]
    verifier: Option<String>,
    /// With --tasks: the verifiers' configuration, as a JSON object
    #[arg(long, value_name = "JSON", requires = "tasks", conflicts_with = "suites")]
    config: Option<String>,
    /// With --tasks: our field = the row's column, such as `answer=gold`
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "FIELD=COLUMN",
        requires = "tasks",
        conflicts_with = "suites"
    )]
    map: Vec<String>,
    /// With --tasks: how a right completion is written, such as `The answer is {answer}.` [default: the verifier's own way]
    #[arg(long, value_name = "TEXT", requires = "tasks", conflicts_with = "suites")]
    gold: Option<String>,
    /// With --tasks: which part of a completion counts: form, text, answer, statement or program [default: what the verifier says]
    #[arg(long, value_parser = judges, requires = "tasks", conflicts_with = "suites")]
    judges: Option<Judges>,
    /// With --tasks: at most so many problems, evenly spaced
    #[arg(long, value_parser = at_least_one, requires = "tasks", conflicts_with = "suites")]
    limit: Option<usize>,
    /// Only cases and checks whose SUITE/NAME contains this, such as `attack/`
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// Leave out checks of this name, or below it, such as `attack/huge` or `meta` (may be given several times)
    #[arg(long, value_name = "NAME")]
    skip: Vec<String>,
    /// Run again whenever a file changes, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// Write the results as JUnit XML too
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Results as JSON
    #[arg(long)]
    json: bool,
}

fn judges(name: &str) -> Result<Judges, String> {
    let names = || Judges::ALL.map(Judges::name).join(", ");
    Judges::named(name).ok_or_else(|| format!("one of {} is right", names()))
}

/// Tests; the exit code is 1 when anything failed.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    if args.watch {
        return watch::execute(&args, registry);
    }
    let (_, reports) = tested(&args, registry)?;
    tell(&args, &reports)?;
    Ok(if reports.iter().all(Report::passed) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Reads the suites and runs them.
fn tested(args: &Args, registry: &Registry) -> anyhow::Result<(Vec<Suite>, Vec<Report>)> {
    let mut suites = match &args.tasks {
        Some(path) => tasks::suites(path, args)?,
        None => args.suites.iter().map(|path| Suite::read(path)).collect::<Result<_, _>>().map_err(wrong)?,
    };
    // what is wrong with the last suite is told before the first one runs
    for suite in &mut suites {
        suite.checks.skip.extend(args.skip.iter().cloned());
        suite.verifier(registry).map_err(wrong)?;
    }
    let options = Options { filter: args.filter.clone(), ..Options::default() };
    let reports: Vec<Report> =
        suites.iter().map(|suite| run(suite, registry, &options)).collect::<Result<_, _>>().map_err(wrong)?;
    if let Some(filter) = &args.filter
        && reports.iter().all(|report| report.cases.is_empty() && report.checks.is_empty())
    {
        return Err(wrong(format!(
            "--filter {filter}: no case or check has this in its SUITE/NAME; part of one such as {}/case/... is right",
            suites.first().map_or("suite", |suite| &suite.name)
        )));
    }
    Ok((suites, reports))
}

/// Prints the reports, and writes them where asked.
fn tell(args: &Args, reports: &[Report]) -> anyhow::Result<()> {
    if let Some(path) = &args.junit {
        junit::write(path, reports)?;
    }
    if args.json {
        let failed: usize = reports.iter().map(Report::failures).sum();
        return Ok(say(json!({"passed": failed == 0, "failed": failed, "suites": reports}))?);
    }
    for report in reports {
        say(report)?;
    }
    if reports.len() > 1 {
        let failed: Vec<&str> = reports.iter().filter(|r| !r.passed()).map(|r| r.suite.as_str()).collect();
        match failed.len() {
            0 => say(format!("all {} suites passed", reports.len()))?,
            n => say(format!("{n} of {} suites failed: {}", reports.len(), failed.join(", ")))?,
        }
    }
    Ok(())
}
