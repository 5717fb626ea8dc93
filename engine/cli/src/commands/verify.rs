//! `rlvr verify FILE.jsonl`: one verdict a row as JSON lines on stdout, in input order; a summary on stderr.

use super::wrong;
use rlvr_train::run::verifiers;
use rlvr_verdict::tasks::{ColumnMap, Place, TaskRow, read_row};
use rlvr_verdict::{Job, Outcome, Registry, Verdict, Verifier, VerifierPool};
use serde_json::{Value, json};
use std::collections::BTreeMap;
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

/// Rows judged at a time: bounds memory, and keeps workers busy.
const BATCH: usize = 4096;

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

/// Judges.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let map = column_map(&args.map)?;
    let config = match &args.config {
        None => Value::Null,
        Some(text) => serde_json::from_str(text).map_err(|e| wrong(format!("--config: {e}; a JSON object is right")))?,
    };
    let mut makers = Makers { registry: verifiers(), config, made: BTreeMap::new() };
    if let Some(name) = &args.verifier {
        makers.get(name).map_err(wrong)?;
    }
    let reader: Box<dyn BufRead> = if args.file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        let file = File::open(&args.file).map_err(|e| wrong(format!("{}: {e}", args.file.display())))?;
        Box::new(BufReader::new(file))
    };
    let pool = VerifierPool::new(args.workers, VerifierPool::HANG)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let mut tally = Tally::default();
    let mut lines = reader.lines().enumerate();
    loop {
        let mut rows = Vec::new();
        for (index, line) in lines.by_ref() {
            let place = Place { file: args.file.clone(), line: index + 1 };
            let line = line.map_err(|e| wrong(format!("{place}: {e}; UTF-8 text is right")))?;
            if line.trim().is_empty() {
                continue;
            }
            let row = serde_json::from_str(&line)
                .map_err(|e| wrong(format!("{place}: {e}; a JSON object a line is right")))?;
            let row = read_row(row, &place, &map, args.verifier.as_deref()).map_err(wrong)?;
            let verifier = makers.get(&row.problem.verifier).map_err(|e| wrong(format!("{place}: {e}")))?;
            if row.completion.is_none() {
                let column = map.get("completion").map_or("completion", String::as_str);
                return Err(wrong(format!("{place}: field `{column}` is missing; what is to be judged stands there")));
            }
            rows.push((row, verifier));
            if rows.len() == BATCH {
                break;
            }
        }
        if rows.is_empty() {
            break;
        }
        for (id, verdict) in judge(&pool, rows) {
            tally.count(&verdict);
            let mut row = json!({ "id": id });
            if let (Value::Object(row), Value::Object(verdict)) = (&mut row, serde_json::to_value(&verdict)?) {
                let wanted = ["outcome", "score", "reason", "parts", "cost"];
                row.extend(wanted.iter().filter_map(|key| Some(((*key).to_owned(), verdict.get(*key)?.clone()))));
            }
            writeln!(out, "{row}")?;
        }
    }
    out.flush()?;
    eprint!("{}", tally.table());
    Ok(ExitCode::SUCCESS)
}

/// Verdicts in the order of the rows.
fn judge(pool: &VerifierPool, rows: Vec<(TaskRow, Arc<dyn Verifier>)>) -> Vec<(String, Verdict)> {
    let mut round = pool.round::<usize>();
    let mut verdicts: Vec<(String, Option<Verdict>)> = Vec::with_capacity(rows.len());
    for (index, (row, verifier)) in rows.into_iter().enumerate() {
        verdicts.push((row.problem.id.clone(), None));
        // a problem that cannot be judged is no zero for its completion
        if let Err(error) = verifier.check(&row.problem) {
            verdicts[index].1 = Some(Verdict::fault(error.to_string()));
            continue;
        }
        let completion = Arc::new(row.completion.unwrap_or_default());
        round.submit(index, Job { verifier, problem: Arc::new(row.problem), completion, sample: 0 });
    }
    while let Some((index, verdict)) = round.next_verdict() {
        verdicts[index].1 = Some(verdict);
    }
    let none = || Verdict::fault("no verdict came back");
    verdicts.into_iter().map(|(id, verdict)| (id, verdict.unwrap_or_else(none))).collect()
}

/// Verifiers by name, each made once.
struct Makers {
    registry: Registry,
    config: Value,
    made: BTreeMap<String, Arc<dyn Verifier>>,
}

impl Makers {
    fn get(&mut self, name: &str) -> Result<Arc<dyn Verifier>, rlvr_verdict::RegistryError> {
        if let Some(verifier) = self.made.get(name) {
            return Ok(verifier.clone());
        }
        let verifier = self.registry.make(name, &self.config)?;
        self.made.insert(name.to_owned(), verifier.clone());
        Ok(verifier)
    }
}

#[derive(Default)]
struct Tally {
    rows: u64,
    score: f64,
    outcomes: BTreeMap<Outcome, u64>,
}

impl Tally {
    fn count(&mut self, verdict: &Verdict) {
        self.rows += 1;
        self.score += f64::from(verdict.score.unwrap_or(0.0));
        *self.outcomes.entry(verdict.outcome).or_default() += 1;
    }

    fn table(&self) -> String {
        let scored = self.rows - self.outcomes.get(&Outcome::Fault).copied().unwrap_or(0);
        let mut text = format!("{} rows, mean score {:.4}\n", self.rows, self.score / scored.max(1) as f64);
        for (outcome, count) in &self.outcomes {
            let share = 100.0 * *count as f64 / self.rows as f64;
            text.push_str(&format!("{:>14} {count:>8}  {share:5.1} %\n", outcome.name()));
        }
        text
    }
}
