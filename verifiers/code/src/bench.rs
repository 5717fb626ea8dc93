//! What verification costs: latency, throughput on one and two threads, fuel against native time, memory of a warm worker, and one
//! `python3` process per check beside it.

use crate::judge::judge;
use crate::output::Compare;
use crate::sandbox::{Limits, Pair, Sandbox, SandboxError, THREAD_STACK};
use crate::task::{Credit, StdinCase, Task, Tests};
use rlvr_verdict::{Outcome, Problem, ProblemError};
use serde::Serialize;
use std::io::Write;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Instant;

/// Rows that are left out of the throughput, the slowest first.
const SLOWEST: usize = 5;

/// Results of [`verify_python`].
#[derive(Debug, Serialize)]
pub struct VerifyPython {
    /// Rows checked.
    pub checks: usize,
    /// Rows whose completion passes.
    pub passed: usize,
    /// Median seconds of a check on one thread.
    pub p50_s: f64,
    /// 99th percentile.
    pub p99_s: f64,
    /// Checks a second on one thread, without the slowest rows.
    pub checks_per_s_1: f64,
    /// The same on two threads.
    pub checks_per_s_2: f64,
    /// The slowest rows with their median seconds.
    pub slowest: Vec<(String, f64)>,
    /// Rows whose fuel differed between any two runs, in kept or fresh instances, on one or two threads.
    pub fuel_differs: Vec<String>,
    /// Runs of each row that were compared.
    pub fuel_runs: usize,
    /// Fuel units that the work of a second of native Python costs, in the program `bench.py`; none without `python3`.
    pub fuel_per_native_second: Option<f64>,
    /// Median seconds of one `python3` process per check; none without `python3`.
    pub subprocess_p50_s: Option<f64>,
    /// Median over rows of the process's seconds by the sandbox's.
    pub speedup_median: Option<f64>,
    /// Seconds until the sandbox was ready.
    pub open_s: f64,
    /// Bytes of private memory of a warm worker's two instances, at most; none where the kernel does not say.
    pub worker_private_bytes: Option<u64>,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// No sandbox.
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    /// A row that cannot be judged.
    #[error("row `{0}`: {1}")]
    Row(String, ProblemError),
    /// No rows.
    #[error("there are no rows")]
    Empty,
    /// A thread could not be started.
    #[error("a thread cannot be started: {0}")]
    Thread(#[from] std::io::Error),
}

struct Row {
    id: String,
    task: Task,
    completion: String,
}

/// Runs every row's completion `rounds` times in each setting.
///
/// # Errors
/// [`BenchError`].
pub fn verify_python(
    rows: &[(Problem, String)],
    rounds: usize,
    progress: &dyn Fn(&str),
) -> Result<VerifyPython, BenchError> {
    let rows: Vec<Row> = rows
        .iter()
        .map(|(problem, completion)| {
            let task = Task::read(problem).map_err(|e| BenchError::Row(problem.id.clone(), e))?;
            Ok(Row { id: problem.id.clone(), task, completion: completion.clone() })
        })
        .collect::<Result<_, BenchError>>()?;
    if rows.is_empty() {
        return Err(BenchError::Empty);
    }
    let start = Instant::now();
    let sandbox = Sandbox::open(progress)?;
    let open_s = start.elapsed().as_secs_f64();
    let all: Vec<usize> = (0..rows.len()).collect();
    let one = on_threads(1, &sandbox, &rows, &all, rounds, true)?.remove(0);
    let worker_private_bytes = one.private_bytes;
    let medians: Vec<f64> = one.seconds.iter().map(|s| quantile(s, 0.5)).collect();
    let mut order = all.clone();
    order.sort_by(|a, b| medians[*b].total_cmp(&medians[*a]));
    let slowest: Vec<(String, f64)> =
        order.iter().take(SLOWEST).map(|i| (rows[*i].id.clone(), medians[*i])).collect();
    let mut quick = order[SLOWEST.min(order.len() - 1)..].to_vec();
    quick.sort_unstable();
    let throughput = |threads: usize| -> Result<(f64, Vec<Run>), BenchError> {
        let start = Instant::now();
        let runs = on_threads(threads, &sandbox, &rows, &quick, rounds, true)?;
        Ok(((threads * rounds * quick.len()) as f64 / start.elapsed().as_secs_f64(), runs))
    };
    let (checks_per_s_1, _) = throughput(1)?;
    let (checks_per_s_2, two) = throughput(2)?;
    let fresh = on_threads(1, &sandbox, &rows, &all, 2, false)?.remove(0);
    let mut fuel_differs = Vec::new();
    for (i, row) in rows.iter().enumerate() {
        let fuels = two.iter().chain([&one, &fresh]).flat_map(|run| &run.fuel[i]);
        if fuels.clone().any(|f| *f != one.fuel[i][0]) {
            fuel_differs.push(row.id.clone());
        }
    }
    let seconds: Vec<f64> = one.seconds.iter().flatten().copied().collect();
    let python = executable();
    let native: Option<Vec<f64>> =
        rows.iter().map(|row| native_seconds(python.as_deref()?, row, 3)).collect();
    let fuel_per_native_second = fuel_per_native_second(&sandbox, python.as_deref())?;
    Ok(VerifyPython {
        checks: rows.len(),
        passed: one.passed,
        p50_s: quantile(&seconds, 0.5),
        p99_s: quantile(&seconds, 0.99),
        checks_per_s_1,
        checks_per_s_2,
        slowest,
        fuel_differs,
        fuel_runs: 3 * rounds + 2,
        fuel_per_native_second,
        subprocess_p50_s: native.as_ref().map(|n| quantile(n, 0.5)),
        speedup_median: native.map(|native| {
            let ratios: Vec<f64> = native.iter().zip(&medians).map(|(n, m)| n / m).collect();
            quantile(&ratios, 0.5)
        }),
        open_s,
        worker_private_bytes,
    })
}

/// What a thread saw: seconds and fuel of each row, by run.
struct Run {
    seconds: Vec<Vec<f64>>,
    fuel: Vec<Vec<u64>>,
    passed: usize,
    private_bytes: Option<u64>,
}

fn on_threads(
    threads: usize,
    sandbox: &Arc<Sandbox>,
    rows: &[Row],
    chosen: &[usize],
    rounds: usize,
    kept: bool,
) -> Result<Vec<Run>, BenchError> {
    std::thread::scope(|scope| {
        let work = || {
            let mut pair = Pair::new(sandbox.clone());
            let mut run = Run {
                seconds: vec![Vec::new(); rows.len()],
                fuel: vec![Vec::new(); rows.len()],
                passed: 0,
                private_bytes: None,
            };
            for round in 0..rounds {
                for &i in chosen {
                    let (row, start) = (&rows[i], Instant::now());
                    let verdict =
                        judge(&mut pair, &row.task, &row.completion, Credit::All, Limits::default());
                    run.seconds[i].push(start.elapsed().as_secs_f64());
                    run.fuel[i].push(verdict.cost.fuel);
                    run.passed += usize::from(round == 0 && verdict.outcome == Outcome::Pass);
                    if round == 0 {
                        run.private_bytes = run.private_bytes.max(pair.private_bytes());
                    }
                    if !kept {
                        pair.drop_instances();
                    }
                }
            }
            run
        };
        let spawned: Vec<_> = (0..threads)
            .map(|_| std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, work))
            .collect::<Result<_, _>>()?;
        Ok(spawned.into_iter().filter_map(|thread| thread.join().ok()).collect())
    })
}

/// Anonymous memory of this process in bytes; 0 where the system does not say.
pub fn private_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"));
    line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok()).map_or(0, |kb| kb * 1024)
}

fn quantile(values: &[f64], q: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(((sorted.len().max(1) - 1) as f64 * q) as usize).copied().unwrap_or(f64::NAN)
}

/// The row as one program for a Python process.
fn program(row: &Row) -> Option<String> {
    let Task { prefix, setup, entry, .. } = &row.task;
    let completion = &row.completion;
    match &row.task.tests {
        Tests::Asserts(code) => Some(format!("{prefix}{completion}\n{setup}\n{code}\n")),
        Tests::Check(code) => Some(format!("{prefix}{completion}\n{setup}\n{code}\ncheck({entry})\n")),
        _ => None,
    }
}

/// The interpreter behind `python3`, which may be a script that looks for it.
fn executable() -> Option<String> {
    let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output().ok()?;
    let path = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (output.status.success() && !path.is_empty()).then_some(path)
}

/// The quickest of `runs` processes for a row, in seconds.
fn native_seconds(python: &str, row: &Row, runs: usize) -> Option<f64> {
    let program = program(row)?;
    let seconds: Option<Vec<f64>> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run_native(python, &program)?;
            Some(start.elapsed().as_secs_f64())
        })
        .collect();
    seconds.map(|s| quantile(&s, 0.0))
}

/// Runs a program in a Python process; what it wrote.
fn run_native(python: &str, program: &str) -> Option<String> {
    let mut process = Command::new(python)
        .args(["-I", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    process.stdin.take()?.write_all(program.as_bytes()).ok()?;
    String::from_utf8(process.wait_with_output().ok()?.stdout).ok()
}

/// A program of ordinary work, which ends by writing the processor seconds that it took.
const WORK: &str = include_str!("bench.py");

/// The fuel of [`WORK`] by its seconds in a Python process.
fn fuel_per_native_second(sandbox: &Arc<Sandbox>, python: Option<&str>) -> Result<Option<f64>, BenchError> {
    let seconds = |_| run_native(python?, WORK)?.trim().parse::<f64>().ok();
    let Some(seconds) = (0..3).map(seconds).collect::<Option<Vec<f64>>>() else { return Ok(None) };
    let cases = vec![StdinCase { input: String::new(), output: String::new() }];
    let tests = Tests::Stdin { cases, compare: Compare::Whitespace, tolerance: 0.0 };
    let (none, seconds_limit) = (String::new(), Some(1e3));
    let task = Task {
        tests,
        prefix: none.clone(),
        setup: none.clone(),
        entry: none,
        shared: false,
        seconds: seconds_limit,
        credit: None,
    };
    let row = Row { id: "work".into(), task, completion: WORK.into() };
    let run = on_threads(1, sandbox, &[row], &[0], 1, true)?.remove(0);
    Ok(Some(run.fuel[0][0] as f64 / quantile(&seconds, 0.0)))
}
