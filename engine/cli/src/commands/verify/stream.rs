//! Rows in, one verdict a row out, as JSON lines in input order; a summary on stderr.

use super::rows::{Rows, for_each_line};
use rlvr_verdict::{Cost, Outcome, Verdict, VerifierPool};
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::process::ExitCode;

/// Rows that are read ahead of the first one whose verdict is not printed yet: bounds memory, and keeps workers busy.
const WINDOW: usize = 4096;

/// Wrong rows that are told one by one; the rest are counted.
const TOLD: u64 = 20;

/// Judges. A row that is wrong is told and gets no verdict; the others are judged all the same.
pub fn execute(path: &Path, rows: &mut Rows<'_>, workers: usize) -> anyhow::Result<ExitCode> {
    let pool = VerifierPool::new(workers, VerifierPool::HANG)?;
    let mut round = pool.round::<usize>();
    let out = BufWriter::with_capacity(1 << 16, io::stdout().lock());
    let mut printer = Printer { out, waiting: VecDeque::new(), first: 0 };
    let mut tally = Tally::default();
    for_each_line(path, |line, place| {
        let job = match rows.read(line, place) {
            Ok(job) => job,
            Err(problem) => {
                tally.tell(&problem);
                return Ok(());
            }
        };
        round.submit(printer.expect(job.problem.id.clone()), job);
        while let Some((key, verdict)) = round.try_next() {
            printer.take(key, verdict, &mut tally)?;
        }
        while printer.waiting.len() >= WINDOW {
            let Some((key, verdict)) = round.next_verdict() else { break };
            printer.take(key, verdict, &mut tally)?;
        }
        Ok(())
    })?;
    while let Some((key, verdict)) = round.next_verdict() {
        printer.take(key, verdict, &mut tally)?;
    }
    printer.out.flush()?;
    eprint!("{}", tally.table());
    Ok(tally.code())
}

/// A line of the output.
#[derive(Serialize)]
struct Line<'v> {
    id: &'v str,
    outcome: Outcome,
    score: Option<f32>,
    reason: &'v str,
    #[serde(serialize_with = "object")]
    parts: &'v [(String, f32)],
    cost: Cost,
}

fn object<S: Serializer>(parts: &[(String, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(parts.len()))?;
    for (name, score) in parts {
        map.serialize_entry(name, score)?;
    }
    map.end()
}

/// Prints verdicts in the order in which their rows were read, whatever the order in which they come back.
struct Printer<W> {
    out: W,
    /// Ids of the rows that are not printed yet, with their verdicts where they are there.
    waiting: VecDeque<(String, Option<Verdict>)>,
    /// The key of the first of these.
    first: usize,
}

impl<W: Write> Printer<W> {
    /// The key under which the row's verdict will come.
    fn expect(&mut self, id: String) -> usize {
        self.waiting.push_back((id, None));
        self.first + self.waiting.len() - 1
    }

    /// Takes a verdict and prints all that are next in order.
    fn take(&mut self, key: usize, verdict: Verdict, tally: &mut Tally) -> anyhow::Result<()> {
        tally.count(&verdict);
        if let Some(row) = self.waiting.get_mut(key - self.first) {
            row.1 = Some(verdict);
        }
        while let Some((id, Some(verdict))) = self.waiting.front() {
            let Verdict { outcome, score, reason, parts, cost, .. } = verdict;
            let line = Line { id, outcome: *outcome, score: *score, reason, parts, cost: *cost };
            serde_json::to_writer(&mut self.out, &line).map_err(io::Error::from)?;
            self.out.write_all(b"\n")?;
            self.waiting.pop_front();
            self.first += 1;
        }
        Ok(())
    }
}

/// What came out, for the summary and the exit code.
#[derive(Default)]
pub(super) struct Tally {
    rows: u64,
    wrong: u64,
    score: f64,
    outcomes: BTreeMap<Outcome, u64>,
}

impl Tally {
    /// Counts a verdict.
    pub(super) fn count(&mut self, verdict: &Verdict) {
        self.rows += 1;
        self.score += f64::from(verdict.score.unwrap_or(0.0));
        *self.outcomes.entry(verdict.outcome).or_default() += 1;
    }

    /// Tells what is wrong with a row.
    pub(super) fn tell(&mut self, problem: &str) {
        self.wrong += 1;
        if self.wrong <= TOLD {
            eprintln!("error: {problem}");
        }
    }

    fn faults(&self) -> u64 {
        self.outcomes.get(&Outcome::Fault).copied().unwrap_or(0)
    }

    /// The summary.
    pub(super) fn table(&self) -> String {
        let scored = self.rows - self.faults();
        let mean = match scored {
            0 => "no scores".to_owned(),
            scored => format!("mean score {:.4}", self.score / scored as f64),
        };
        let mut text = format!("{} rows, {mean}\n", self.rows);
        for (outcome, count) in &self.outcomes {
            let share = 100.0 * *count as f64 / self.rows as f64;
            text.push_str(&format!("{:>14} {count:>8}  {share:5.1} %\n", outcome.name()));
        }
        if self.wrong > 0 {
            text.push_str(&format!("{} rows are wrong and have no verdict\n", self.wrong));
        }
        text
    }

    /// 2 where rows are wrong, 1 where a verifier failed.
    pub(super) fn code(&self) -> ExitCode {
        match (self.wrong, self.faults()) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}
