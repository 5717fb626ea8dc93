//! The ledger: every rollout of a run, with what it drew, what its verifier said and what became of it.
//!
//! One Parquet file a step, `ledger/STAGE-000012.parquet`, one row a sample, so that any step can be recomputed and any
//! tool that reads Parquet can ask questions of a run. Equal rows give equal bytes: nothing of the clock or the machine is
//! in a file but the timings that its rows hold.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BooleanArray, Float32Array, Float64Array, Int32Array, Int64Array, ListArray,
    ListBuilder, PrimitiveArray, PrimitiveBuilder, RecordBatch, StringArray, UInt32Array, UInt64Array,
};
use arrow::datatypes::{ArrowPrimitiveType, Float32Type, UInt32Type};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use rlvr_verdict::Problem;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::durable;
use crate::timeline::{Timeline, UnknownStage};

/// Why a ledger's file could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// The file system's error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// The file is not Parquet, or a write within it failed.
    #[error("{}: {source}", path.display())]
    Parquet {
        /// The file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// A column is missing, of another type, or holds what it cannot.
    #[error("{}: column `{column}`: {reason}; a ledger's file is one that `rlvr run` wrote", path.display())]
    Column {
        /// The file.
        path: PathBuf,
        /// The column's name.
        column: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// A file is of a stage that the config does not have.
    #[error("{}: {source}", path.display())]
    Stage {
        /// The file.
        path: PathBuf,
        /// The stage, and those known.
        source: UnknownStage,
    },
}

/// One sample of one RL step. The file's columns have these names and types.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The stage's name.
    pub stage: String,
    /// The step in the stage, from 1.
    pub step: i64,
    /// The index of the prompt among the step's prompts.
    pub group: i64,
    /// The problem's `id` in its task set.
    pub problem_id: String,
    /// The problem as its verifier got it; in the file a JSON object. With it the verdict can be made again from the ledger alone.
    pub problem: Arc<Problem>,
    /// The key of the prompt's random numbers.
    pub prompt_key: u64,
    /// The index of the sample in its group.
    pub sample: i32,
    /// How often the sample had been drawn before; runs draw each once.
    pub attempt: i32,
    /// The prompt's text.
    pub prompt: String,
    /// The prompt's token ids.
    pub prompt_ids: Vec<u32>,
    /// The completion's text, as the verifier read it.
    pub completion: String,
    /// The generated token ids, a stop id among them.
    pub ids: Vec<u32>,
    /// The log-probability of each generated id when it was drawn, in nats.
    pub logprobs: Vec<f32>,
    /// Why the generation ended.
    pub finish: String,
    /// The number of optimiser steps that the weights had seen in the stage when the sample was drawn.
    pub policy_version: i64,
    /// The verifier whose verdict follows: the problem's own where a part of the reward is its score, else the first part's.
    pub verifier: String,
    /// The verdict's outcome, in snake_case.
    pub outcome: String,
    /// The verdict's score in `0..=1`; none for a fault.
    pub score: Option<f32>,
    /// The verifier's reason.
    pub reason: String,
    /// The parts of the reward by name; in the file a JSON object. One that is not finite reads back as NaN.
    pub parts: Vec<(String, f32)>,
    /// Each part's verdict where the reward has several; in the file a JSON object of `{verifier, outcome, score, reason}`.
    pub verdicts: Vec<(String, PartVerdict)>,
    /// The reward; none for a fault.
    pub reward: Option<f32>,
    /// The advantage; none where the sample left its group.
    pub advantage: Option<f32>,
    /// Whether the sample was part of the update.
    pub used: bool,
    /// The fuel that the verification burnt.
    pub fuel: u64,
    /// The time that the verification took, in seconds.
    pub wall_s: f64,
    /// The time from the first token of the prompt's prefill to the sample's last token, in seconds.
    pub sampled_s: f64,
}

/// What a verifier said of one part of the reward.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PartVerdict {
    /// The verifier's name.
    pub verifier: String,
    /// Its verdict's outcome, in snake_case.
    pub outcome: String,
    /// Its score; none for a fault.
    pub score: Option<f32>,
    /// Its reason.
    pub reason: String,
}

impl Row {
    /// The row without what differs between two runs that computed the same: its timings are 0.
    pub fn without_timings(&self) -> Row {
        Row { wall_s: 0.0, sampled_s: 0.0, ..self.clone() }
    }
}

/// The ledger's files of a run.
#[derive(Clone, Debug)]
pub struct Ledger {
    dir: PathBuf,
}

impl Ledger {
    /// Opens `run_dir/ledger`, which is made if it is missing, to write to it, and removes the files of steps that the
    /// timeline does not keep.
    ///
    /// # Errors
    /// A file of a stage that the timeline does not have, and the file system's errors.
    pub fn open(run_dir: &Path, timeline: &Timeline) -> Result<Ledger, LedgerError> {
        let dir = run_dir.join("ledger");
        fs::create_dir_all(&dir).map_err(|source| LedgerError::Io { path: dir.clone(), source })?;
        for (stage, step, path) in files(run_dir)? {
            let keeps = timeline.keeps_step(&stage, step);
            if !keeps.map_err(|source| LedgerError::Stage { path: path.clone(), source })? {
                fs::remove_file(&path).map_err(|source| LedgerError::Io { path, source })?;
            }
        }
        Ok(Ledger { dir })
    }

    /// Writes the rows of a step, in place of what the step's file held before.
    ///
    /// # Errors
    /// The file system's errors and the Parquet library's; the file is then as it was.
    pub fn write(&self, stage: &str, step: u64, rows: &[Row]) -> Result<PathBuf, LedgerError> {
        let path = self.dir.join(format!("{stage}-{step:06}.parquet"));
        write_rows(&path, rows)?;
        Ok(path)
    }
}

/// Writes rows to a file of the ledger's form, in place of what it held before.
///
/// # Errors
/// The file system's errors and the Parquet library's; the file is then as it was.
pub fn write_rows(path: &Path, rows: &[Row]) -> Result<(), LedgerError> {
    let failed = |source| LedgerError::Parquet { path: path.to_path_buf(), source };
    let batch = to_batch(rows).map_err(|error| failed(error.into()))?;
    let level = ZstdLevel::try_new(3).map_err(failed)?;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
    durable::write(path, |file| {
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.close()?;
        Ok(())
    })
    .map_err(failed)
}

/// The ledger's files of a run: stage, step and path, by stage and then step; none if the run has no ledger.
///
/// # Errors
/// The folder cannot be listed.
pub fn files(run_dir: &Path) -> Result<Vec<(String, u64, PathBuf)>, LedgerError> {
    let dir = run_dir.join("ledger");
    if !dir.is_dir() {
        return Ok(Vec::new());
    }
    let io = |source| LedgerError::Io { path: dir.clone(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(&dir).map_err(io)? {
        let path = entry.map_err(io)?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let parts = name.and_then(|name| name.strip_suffix(".parquet")?.rsplit_once('-'));
        if let Some((stage, step)) = parts
            && let Ok(step) = step.parse()
        {
            files.push((stage.to_string(), step, path));
        }
    }
    files.sort_unstable();
    Ok(files)
}

/// Reads the rows of a step's file, in the order in which they were written.
///
/// # Errors
/// The file is missing, not Parquet, or not a ledger's.
pub fn read(path: &Path) -> Result<Vec<Row>, LedgerError> {
    let file = File::open(path).map_err(|source| LedgerError::Io { path: path.to_path_buf(), source })?;
    let failed = |source| LedgerError::Parquet { path: path.to_path_buf(), source };
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(file).and_then(|builder| builder.build()).map_err(failed)?;
    let mut rows = Vec::new();
    for batch in reader {
        from_batch(path, &batch.map_err(|error| failed(error.into()))?, &mut rows)?;
    }
    Ok(rows)
}

fn to_batch(rows: &[Row]) -> Result<RecordBatch, ArrowError> {
    let text = |field: fn(&Row) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(field)))
    };
    let parts = rows.iter().map(|row| parts_to_json(&row.parts));
    let verdicts = rows.iter().map(|row| {
        let named = row.verdicts.iter().map(|(name, verdict)| (name.clone(), json!(verdict)));
        Value::Object(named.collect()).to_string()
    });
    let problems: Vec<String> = rows
        .iter()
        .map(|row| serde_json::to_string(&*row.problem))
        .collect::<Result<_, _>>()
        .map_err(|error| ArrowError::JsonError(error.to_string()))?;
    RecordBatch::try_from_iter_with_nullable([
        ("stage", text(|row| &row.stage), false),
        ("step", numbers::<Int64Array, _>(rows, |row| row.step), false),
        ("group", numbers::<Int64Array, _>(rows, |row| row.group), false),
        ("problem_id", text(|row| &row.problem_id), false),
        ("problem", Arc::new(StringArray::from_iter_values(problems)), false),
        ("prompt_key", numbers::<UInt64Array, _>(rows, |row| row.prompt_key), false),
        ("sample", numbers::<Int32Array, _>(rows, |row| row.sample), false),
        ("attempt", numbers::<Int32Array, _>(rows, |row| row.attempt), false),
        ("prompt", text(|row| &row.prompt), false),
        ("prompt_ids", lists::<UInt32Type>(rows, |row| &row.prompt_ids), false),
        ("completion", text(|row| &row.completion), false),
        ("ids", lists::<UInt32Type>(rows, |row| &row.ids), false),
        ("logprobs", lists::<Float32Type>(rows, |row| &row.logprobs), false),
        ("finish", text(|row| &row.finish), false),
        ("policy_version", numbers::<Int64Array, _>(rows, |row| row.policy_version), false),
        ("verifier", text(|row| &row.verifier), false),
        ("outcome", text(|row| &row.outcome), false),
        ("score", numbers::<Float32Array, _>(rows, |row| row.score), true),
        ("reason", text(|row| &row.reason), false),
        ("parts", Arc::new(StringArray::from_iter_values(parts)), false),
        ("verdicts", Arc::new(StringArray::from_iter_values(verdicts)), false),
        ("reward", numbers::<Float32Array, _>(rows, |row| row.reward), true),
        ("advantage", numbers::<Float32Array, _>(rows, |row| row.advantage), true),
        ("used", Arc::new(BooleanArray::from_iter(rows.iter().map(|row| Some(row.used)))), false),
        ("fuel", numbers::<UInt64Array, _>(rows, |row| row.fuel), false),
        ("wall_s", numbers::<Float64Array, _>(rows, |row| row.wall_s), false),
        ("sampled_s", numbers::<Float64Array, _>(rows, |row| row.sampled_s), false),
    ])
}

fn numbers<A: Array + FromIterator<T> + 'static, T>(rows: &[Row], field: fn(&Row) -> T) -> ArrayRef {
    Arc::new(rows.iter().map(field).collect::<A>())
}

fn lists<T: ArrowPrimitiveType>(rows: &[Row], field: fn(&Row) -> &Vec<T::Native>) -> ArrayRef {
    let mut builder = ListBuilder::new(PrimitiveBuilder::<T>::new());
    for row in rows {
        builder.values().append_slice(field(row));
        builder.append(true);
    }
    Arc::new(builder.finish())
}

fn parts_to_json(parts: &[(String, f32)]) -> String {
    Value::Object(parts.iter().map(|(name, part)| (name.clone(), (*part).into())).collect()).to_string()
}

fn parts_from_json(text: &str) -> Result<Vec<(String, f32)>, String> {
    let parts: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let part = |(name, value): (String, Value)| match value {
        Value::Null => Ok((name, f32::NAN)),
        other => match other.as_f64() {
            Some(number) => Ok((name, number as f32)),
            None => Err(format!("`{name}` is not a number")),
        },
    };
    parts.into_iter().map(part).collect()
}

fn verdicts_from_json(text: &str) -> Result<Vec<(String, PartVerdict)>, String> {
    let verdicts: Map<String, Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let read = |(name, value)| match serde_json::from_value(value) {
        Ok(verdict) => Ok((name, verdict)),
        Err(error) => Err(error.to_string()),
    };
    verdicts.into_iter().map(read).collect()
}

fn from_batch(path: &Path, batch: &RecordBatch, rows: &mut Vec<Row>) -> Result<(), LedgerError> {
    let columns = Columns { path, batch };
    let texts = |name| columns.get::<StringArray>(name);
    let integers = |name| columns.get::<Int64Array>(name);
    let seconds = |name| columns.get::<Float64Array>(name);
    let (stage, step, group) = (texts("stage")?, integers("step")?, integers("group")?);
    let problems = texts("problem")?;
    let (problem_id, prompt_key) = (texts("problem_id")?, columns.get::<UInt64Array>("prompt_key")?);
    let (sample, attempt) = (columns.get::<Int32Array>("sample")?, columns.get::<Int32Array>("attempt")?);
    let (prompt, completion) = (texts("prompt")?, texts("completion")?);
    let (prompt_ids, ids) =
        (columns.lists::<UInt32Array>("prompt_ids")?, columns.lists::<UInt32Array>("ids")?);
    let logprobs = columns.lists::<Float32Array>("logprobs")?;
    let (finish, policy_version) = (texts("finish")?, integers("policy_version")?);
    let (verifier, outcome, reason) = (texts("verifier")?, texts("outcome")?, texts("reason")?);
    let (score, reward) = (columns.get::<Float32Array>("score")?, columns.get::<Float32Array>("reward")?);
    let (advantage, parts) = (columns.get::<Float32Array>("advantage")?, texts("parts")?);
    let verdicts = texts("verdicts")?;
    let (used, fuel) = (columns.get::<BooleanArray>("used")?, columns.get::<UInt64Array>("fuel")?);
    let (wall_s, sampled_s) = (seconds("wall_s")?, seconds("sampled_s")?);
    // the samples of a group share their problem
    let mut last: Option<(&str, Arc<Problem>)> = None;
    for i in 0..batch.num_rows() {
        let text = problems.value(i);
        let problem = match last {
            Some((known, problem)) if known == text => problem,
            _ => serde_json::from_str(text).map_err(|error| columns.wrong("problem", error.to_string()))?,
        };
        last = Some((text, problem.clone()));
        rows.push(Row {
            stage: stage.value(i).to_string(),
            step: step.value(i),
            group: group.value(i),
            problem_id: problem_id.value(i).to_string(),
            problem,
            prompt_key: prompt_key.value(i),
            sample: sample.value(i),
            attempt: attempt.value(i),
            prompt: prompt.value(i).to_string(),
            prompt_ids: list_at(prompt_ids, i),
            completion: completion.value(i).to_string(),
            ids: list_at(ids, i),
            logprobs: list_at(logprobs, i),
            finish: finish.value(i).to_string(),
            policy_version: policy_version.value(i),
            verifier: verifier.value(i).to_string(),
            outcome: outcome.value(i).to_string(),
            score: value_at(score, i),
            reason: reason.value(i).to_string(),
            parts: parts_from_json(parts.value(i)).map_err(|reason| columns.wrong("parts", reason))?,
            verdicts: verdicts_from_json(verdicts.value(i))
                .map_err(|reason| columns.wrong("verdicts", reason))?,
            reward: value_at(reward, i),
            advantage: value_at(advantage, i),
            used: used.value(i),
            fuel: fuel.value(i),
            wall_s: wall_s.value(i),
            sampled_s: sampled_s.value(i),
        });
    }
    Ok(())
}

fn value_at(column: &Float32Array, row: usize) -> Option<f32> {
    column.is_valid(row).then(|| column.value(row))
}

/// A list of a column that [`Columns::lists`] has checked.
fn list_at<T: ArrowPrimitiveType>(
    (lists, values): (&ListArray, &PrimitiveArray<T>),
    row: usize,
) -> Vec<T::Native> {
    let offsets = lists.value_offsets();
    values.values()[offsets[row] as usize..offsets[row + 1] as usize].to_vec()
}

struct Columns<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
}

impl<'a> Columns<'a> {
    fn wrong(&self, column: &'static str, reason: String) -> LedgerError {
        LedgerError::Column { path: self.path.to_path_buf(), column, reason }
    }

    fn get<A: Array + 'static>(&self, name: &'static str) -> Result<&'a A, LedgerError> {
        let column =
            self.batch.column_by_name(name).ok_or_else(|| self.wrong(name, "it is missing".to_string()))?;
        column
            .as_any()
            .downcast_ref()
            .ok_or_else(|| self.wrong(name, format!("it cannot be of type {}", column.data_type())))
    }

    fn lists<A: Array + 'static>(&self, name: &'static str) -> Result<(&'a ListArray, &'a A), LedgerError> {
        let lists: &ListArray = self.get(name)?;
        let values = lists.values().as_any().downcast_ref();
        let values =
            values.ok_or_else(|| self.wrong(name, format!("it cannot be of type {}", lists.data_type())))?;
        Ok((lists, values))
    }
}
