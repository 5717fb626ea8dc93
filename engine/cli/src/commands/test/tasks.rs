//! A task set without a suite: a suite of its problems for each verifier that they name.

use super::{Args, settings};
use crate::commands::verify::column_map;
use crate::commands::wrong;
use rlvr_train::data::rows::for_each_row;
use rlvr_verdict::tasks::{Ids, Place, read_row};
use rlvr_verdict::testkit::Suite;
use rlvr_verdict::{FileKind, Problem};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Wrong rows that are told.
const TOLD: usize = 20;

/// The suites of the file's problems, by verifier.
pub fn suites(path: &Path, args: &Args) -> anyhow::Result<Vec<Suite>> {
    let map = column_map(&args.map)?;
    let mut by_verifier: BTreeMap<String, Vec<(Place, Arc<Problem>)>> = BTreeMap::new();
    let mut wrongs: Vec<String> = Vec::new();
    let mut ids = Ids::default();
    for_each_row(path, |row| {
        let read = row.map_err(|error| error.to_string()).and_then(|row| {
            let place = Place { file: row.place.file, line: row.place.line };
            let problem = read_row(row.fields, &place, &map, args.verifier.as_deref());
            let mut problem = problem.map_err(|error| error.to_string())?.problem;
            if args.verifier.as_ref() != Some(&problem.verifier) {
                problem.verifier = FileKind::beside(&problem.verifier, path);
            }
            let column = map.get("id").map_or("id", String::as_str);
            ids.insert(&problem.id, &place, column).map_err(|error| error.to_string())?;
            Ok((place, problem))
        });
        match read {
            Ok((place, problem)) => {
                by_verifier.entry(problem.verifier.clone()).or_default().push((place, Arc::new(problem)));
            }
            Err(problem) => wrongs.push(problem),
        }
        Ok(())
    })
    .map_err(wrong)?;
    if !wrongs.is_empty() {
        let more = wrongs.len().saturating_sub(TOLD);
        wrongs.truncate(TOLD);
        if more > 0 {
            wrongs.push(format!("and {more} more"));
        }
        return Err(wrong(wrongs.join("\n")));
    }
    if by_verifier.is_empty() {
        return Err(wrong(format!("{}: has no row; a task a line is right", path.display())));
    }
    let stem = path.file_stem().map_or_else(String::new, |stem| stem.to_string_lossy().into_owned());
    let several = by_verifier.len() > 1;
    let config = settings(args.config.as_deref())?;
    let suite = |(kind, problems): (String, Vec<(Place, Arc<Problem>)>)| {
        let name = if several { format!("{stem}-{kind}") } else { stem.clone() };
        let mut suite = Suite::of_problems(&name, path, &kind, problems);
        (suite.settings, suite.gold, suite.judges) = (config.clone(), args.gold.clone(), args.judges);
        suite.rates.problems = args.limit.unwrap_or(suite.rates.problems);
        suite
    };
    Ok(by_verifier.into_iter().map(suite).collect())
}
