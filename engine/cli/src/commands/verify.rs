//! `rlvr verify FILE.jsonl`: one verdict a row as JSON lines on stdout, in input order; a summary on stderr.

use super::wrong;
use rlvr_train::run::verifiers;
use rlvr_verdict::tasks::{ColumnMap, Place, TaskRow, read_row};
use rlvr_verdict::{Job, Outcome, ProblemError, Registry, RegistryError, Verdict, Verifier, VerifierPool};
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Rows with a field `completion` (JSON lines); `-` for standard input
    file: PathBuf,
    /// Verifier of rows that name none
    #[arg(long)]
    verifier: Option<String>,
    /// Our field = the row's column, such as `answer=gold,completion=pred`
    #[arg(long, value_delimiter = ',', value_name = "FIELD=COLUMN")]
    map: Vec<String>,
    /// The verifiers' configuration, as a JSON object
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Worker threads; 0 for as many as there are cores
    #[arg(long, default_value_t = 0)]
    workers: usize,
}

/// Rows that are read ahead of the first one whose verdict is not printed yet: bounds memory, and keeps workers busy.
const WINDOW: usize = 4096;

/// Wrong rows that are told one by one; the rest are counted.
const TOLD: u64 = 20;

/// Reads `FIELD=COLUMN` pairs.
pub fn column_map(pairs: &[String]) -> anyhow::Result<ColumnMap> {
    pairs
        .iter()
        .map(|pair| {
            let (field, column) = pair
                .split_once('=')
                .ok_or_else(|| wrong(format!("--map {pair}: FIELD=COLUMN is right, such as answer=gold")))?;
            if !rlvr_verdict::tasks::FIELDS.contains(&field) {
                let known = rlvr_verdict::tasks::FIELDS.join(", ");
                return Err(wrong(format!("--map {pair}: there is no field `{field}`; fields are {known}")));
            }
            Ok((field.to_owned(), column.to_owned()))
        })
        .collect()
}

/// Judges. A row that is wrong is told and gets no verdict; the others are judged all the same.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let map = column_map(&args.map)?;
    let config = match &args.config {
        None => Value::Null,
        Some(text) => {
            serde_json::from_str(text).map_err(|e| wrong(format!("--config: {e}; a JSON object is right")))?
        }
    };
    let mut rows = Rows::new(map, args.verifier, config);
    if let Some(name) = rows.verifier.clone() {
        rows.verifier_of(&name).map_err(wrong)?;
    }
    let reader: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&args.file).map_err(|e| wrong(format!("{}: {e}", args.file.display())))?;
        Box::new(BufReader::new(file))
    };
    let pool = VerifierPool::new(args.workers, VerifierPool::HANG)?;
    let mut round = pool.round::<usize>();
    let mut printer =
        Printer { out: BufWriter::new(io::stdout().lock()), waiting: VecDeque::new(), first: 0 };
    let mut tally = Tally::default();
    for (index, line) in reader.lines().enumerate() {
        let place = Place { file: args.file.clone(), line: index + 1 };
        let line = match line {
            // a folder, or a disk that fails: there is no next line
            Err(error) if error.kind() != io::ErrorKind::InvalidData => {
                return Err(wrong(format!("{}: cannot be read: {error}", args.file.display())));
            }
            line => line.map(|line| line.trim_start_matches('\u{feff}').to_owned()),
        };
        let read = line.map_err(|e| format!("{place}: {e}; UTF-8 text is right")).and_then(|line| {
            if line.trim().is_empty() { Ok(None) } else { rows.read(&line, &place).map(Some) }
        });
        let (id, job) = match read {
            Ok(None) => continue,
            Ok(Some(job)) => (job.problem.id.clone(), job),
            Err(problem) => {
                tally.tell(&problem);
                continue;
            }
        };
        round.submit(printer.expect(id), job);
        while let Some((key, verdict)) = round.try_next() {
            printer.take(key, verdict, &mut tally)?;
        }
        while printer.waiting.len() >= WINDOW {
            let Some((key, verdict)) = round.next_verdict() else { break };
            printer.take(key, verdict, &mut tally)?;
        }
    }
    while let Some((key, verdict)) = round.next_verdict() {
        printer.take(key, verdict, &mut tally)?;
    }
    printer.out.flush()?;
    eprint!("{}", tally.table());
    Ok(tally.code())
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
            let Verdict { outcome, score, reason, .. } = verdict;
            let parts: Map<String, Value> =
                verdict.parts.iter().map(|(name, part)| (name.clone(), json!(part))).collect();
            let line = json!({ "id": id, "outcome": outcome, "score": score, "reason": reason, "parts": parts,
                               "cost": verdict.cost });
            writeln!(self.out, "{line}")?;
            self.waiting.pop_front();
            self.first += 1;
        }
        Ok(())
    }
}

/// How rows become jobs.
pub struct Rows {
    map: ColumnMap,
    /// The verifier of rows that name none.
    verifier: Option<String>,
    registry: Registry,
    config: Value,
    /// Verifiers by name, each made once.
    made: BTreeMap<String, Arc<dyn Verifier>>,
}

impl Rows {
    /// Rows of these columns, judged by `verifier` where they name none.
    pub fn new(map: ColumnMap, verifier: Option<String>, config: Value) -> Self {
        Rows { map, verifier, registry: verifiers(), config, made: BTreeMap::new() }
    }

    /// The row's job. The error says where, which field, and what would be right.
    pub fn read(&mut self, line: &str, place: &Place) -> Result<Job, String> {
        let row =
            serde_json::from_str(line).map_err(|e| format!("{place}: {e}; a JSON object a line is right"))?;
        let TaskRow { problem, completion } =
            read_row(row, place, &self.map, self.verifier.as_deref()).map_err(|e| e.to_string())?;
        let column = |field: &str| self.map.get(field).cloned().unwrap_or_else(|| field.to_owned());
        let Some(completion) = completion else {
            let column = column("completion");
            return Err(format!(
                "{place}: field `{column}`: is missing; the text that is to be judged is right"
            ));
        };
        let verifier = self.verifier_of(&problem.verifier).map_err(|e| format!("{place}: {e}"))?;
        verifier.check(&problem).map_err(|error| {
            let ProblemError { field, problem, remedy } = error;
            format!("{place}: field `{}`: {problem}; {remedy}", self.map.get(&field).unwrap_or(&field))
        })?;
        Ok(Job { verifier, problem: Arc::new(problem), completion: Arc::new(completion), sample: 0 })
    }

    /// A verifier that has judged nothing yet.
    pub fn fresh(&self, name: &str) -> Result<Arc<dyn Verifier>, RegistryError> {
        self.registry.make(name, &self.config)
    }

    fn verifier_of(&mut self, name: &str) -> Result<Arc<dyn Verifier>, RegistryError> {
        if let Some(verifier) = self.made.get(name) {
            return Ok(verifier.clone());
        }
        let verifier = self.fresh(name)?;
        self.made.insert(name.to_owned(), verifier.clone());
        Ok(verifier)
    }
}

/// What came out, for the summary and the exit code.
#[derive(Default)]
struct Tally {
    rows: u64,
    wrong: u64,
    score: f64,
    outcomes: BTreeMap<Outcome, u64>,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.rows += 1;
        self.score += f64::from(verdict.score.unwrap_or(0.0));
        *self.outcomes.entry(verdict.outcome).or_default() += 1;
    }

    fn tell(&mut self, problem: &str) {
        self.wrong += 1;
        if self.wrong <= TOLD {
            eprintln!("error: {problem}");
        }
    }

    fn faults(&self) -> u64 {
        self.outcomes.get(&Outcome::Fault).copied().unwrap_or(0)
    }

    fn table(&self) -> String {
        let scored = self.rows - self.faults();
        let mut text = format!("{} rows, mean score {:.4}\n", self.rows, self.score / scored.max(1) as f64);
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
    fn code(&self) -> ExitCode {
        match (self.wrong, self.faults()) {
            (0, 0) => ExitCode::SUCCESS,
            (0, _) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}
