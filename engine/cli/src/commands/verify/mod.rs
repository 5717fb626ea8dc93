//! `rlvr verify`: verdicts on completions.
//!
//! | module | does |
//! | --- | --- |
//! | `stream` | rows in, one verdict a row out, in input order |
//! | `explain` | the same for a few rows, with every step of the way |
//! | `rescore` | another verifier over a finished run's rollouts, and what would have changed |
//! | `rows` | rows to jobs |

mod explain;
mod rescore;
mod rows;
mod stream;

pub use rows::Rows;

use super::wrong;
use rlvr_verdict::Registry;
use rlvr_verdict::tasks::ColumnMap;
use serde_json::Value;
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `verify`.
#[derive(clap::Args)]
pub struct Args {
    /// Rows with a field `completion` (JSON lines); `-` for standard input
    #[arg(required_unless_present = "rescore")]
    file: Option<PathBuf>,
    /// Verifier of rows that name none; with --rescore, the one that judges anew
    #[arg(long)]
    verifier: Option<String>,
    /// Our field = the row's column, such as `answer=gold,completion=pred`
    #[arg(long, value_delimiter = ',', value_name = "FIELD=COLUMN")]
    map: Vec<String>,
    /// The verifiers' configuration, as a JSON object
    #[arg(long, value_name = "JSON")]
    config: Option<String>,
    /// Worker threads; 0 for as many as there are cores
    #[arg(long, default_value_t = 0, value_parser = super::threads(), conflicts_with = "explain")]
    workers: usize,
    /// Say how each verdict came about: what was read, every rule that was tried, each part
    #[arg(long)]
    explain: bool,
    /// Only the row with this id (may be given several times); with --explain
    #[arg(long, requires = "explain", conflicts_with = "rescore")]
    id: Vec<String>,
    /// Judge a finished run's rollouts anew: its folder, its ledger, or files of that
    #[arg(long, value_name = "LEDGER", conflicts_with_all = ["file", "map", "explain"], requires = "verifier", num_args = 1..)]
    rescore: Vec<PathBuf>,
    /// With --explain and --rescore: JSON on stdout
    #[arg(long)]
    json: bool,
}

/// Judges.
pub fn execute(args: Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    let map = column_map(&args.map)?;
    let config = settings(args.config.as_deref())?;
    if !args.rescore.is_empty() {
        return rescore::execute(&args, &config, registry);
    }
    let Some(file) = &args.file else {
        return Err(wrong("name the FILE of rows, or `-` for standard input"));
    };
    let mut rows = Rows::new(map, args.verifier.clone(), registry, config);
    if let Some(name) = &args.verifier {
        rows.verifier(name).map_err(wrong)?;
    }
    if args.explain {
        return explain::execute(file, &mut rows, &args.id, args.json);
    }
    stream::execute(file, &mut rows, args.workers)
}

/// A verifier's settings as they are given with `--config`.
pub fn settings(text: Option<&str>) -> anyhow::Result<Value> {
    let object = |text| {
        serde_json::from_str(text).map_err(|e| wrong(format!("--config: {e}; a JSON object is right")))
    };
    text.map_or(Ok(Value::Null), object)
}

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
