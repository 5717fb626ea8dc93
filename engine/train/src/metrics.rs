//! `metrics.jsonl`: the numbers of a run, one flat JSON object a line.
//!
//! Each line names its `stage`, its `kind` and its `step`; every other field is a number (or, in an evaluation, the task
//! set's name) under a name with slashes, such as `loss/math`. Lines are only ever added, except when a run is resumed:
//! then those later than its checkpoint are dropped first, so that the file of a resumed run is that of an
//! uninterrupted one but for its timings.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::durable;
use crate::timeline::{Timeline, UnknownStage};

/// Why metrics could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The file system's error.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// A line, other than a half-written last one, is no record.
    #[error("{}:{line}: {reason}; every line is an object with `stage`, `kind` and `step`: remove this one", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A line is of a stage that the config does not have.
    #[error("{}:{line}: {source}", path.display())]
    Stage {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// The stage, and those known.
        source: UnknownStage,
    },
    /// Metrics that must be finite are not; the record was written, with null for them.
    #[error(
        "stage `{stage}`, step {step}: {names} not finite: the training has diverged (lower the learning rate or the clipping norm) or its input is at fault"
    )]
    NotFinite {
        /// The stage.
        stage: String,
        /// The step.
        step: u64,
        /// The metrics' names and values.
        names: String,
    },
}

/// What a record is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// One optimiser step of mid-training.
    MidTrain,
    /// One step of reinforcement learning.
    Rl,
    /// One evaluation on one task set.
    Eval,
}

/// One line of the file, its fields in the order in which they were given.
#[derive(Clone, Debug)]
pub struct Record {
    stage: String,
    kind: Kind,
    step: u64,
    fields: Map<String, Value>,
    not_finite: Vec<String>,
}

/// The fields that every line has; what else it has is read as it comes.
#[derive(Deserialize)]
struct Head {
    stage: String,
    kind: Kind,
    step: u64,
}

impl Record {
    /// A record without numbers yet.
    pub fn new(stage: &str, kind: Kind, step: u64) -> Record {
        Record { stage: stage.to_string(), kind, step, fields: Map::new(), not_finite: Vec::new() }
    }

    /// Adds a number that must be finite: if it is not, it is written as null, and [`Metrics::append`] reports it after
    /// the line is written. f32 and f64 are written so that they read back exactly.
    pub fn number(mut self, name: &str, value: impl Into<f64>) -> Record {
        let value = value.into();
        if !value.is_finite() {
            self.not_finite.push(format!("`{name}` is {value}"));
        }
        self.optional(name, Some(value))
    }

    /// Adds a number that may be undefined, such as a mean over nothing: `None`, NaN and infinities are written as null.
    pub fn optional(mut self, name: &str, value: Option<f64>) -> Record {
        let value = value.and_then(Number::from_f64).map_or(Value::Null, Value::Number);
        self.fields.insert(name.to_string(), value);
        self
    }

    /// Adds a count, exact to the last digit.
    pub fn count(mut self, name: &str, value: u64) -> Record {
        self.fields.insert(name.to_string(), value.into());
        self
    }

    /// Adds a name, such as an evaluation's `taskset`.
    pub fn text(mut self, name: &str, value: &str) -> Record {
        self.fields.insert(name.to_string(), value.into());
        self
    }

    /// The stage's name.
    pub fn stage(&self) -> &str {
        &self.stage
    }

    /// What the record is about.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The step in the stage.
    pub fn step(&self) -> u64 {
        self.step
    }

    /// A field other than `stage`, `kind` and `step`.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// The finite numbers, counts among them, in the order in which they were added.
    pub fn numbers(&self) -> impl Iterator<Item = (&str, f64)> {
        self.fields.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_f64()?)))
    }

    /// The record as the object that its line holds.
    pub fn to_json(&self) -> Value {
        let mut object = Map::new();
        object.insert("stage".into(), self.stage.as_str().into());
        object.insert("kind".into(), serde_json::json!(self.kind));
        object.insert("step".into(), self.step.into());
        object.extend(self.fields.clone());
        Value::Object(object)
    }
}

/// The file of a run's metrics, open for more.
#[derive(Debug)]
pub struct Metrics {
    path: PathBuf,
    file: File,
}

impl Metrics {
    /// Opens `run_dir/metrics.jsonl`, which is made if it is missing, and drops the lines that the timeline does not
    /// keep, and a half-written last one: by one rename, so that a kill loses none that stays.
    ///
    /// # Errors
    /// A line that is no record, a stage that the timeline does not have, and the file system's errors.
    pub fn open(run_dir: &Path, timeline: &Timeline) -> Result<Metrics, MetricsError> {
        let path = run_dir.join("metrics.jsonl");
        let io = |source| MetricsError::Io { path: path.clone(), source };
        if path.exists() {
            drop_superseded(&path, timeline)?;
        }
        let file = OpenOptions::new().append(true).create(true).open(&path).map_err(io)?;
        Ok(Metrics { path, file })
    }

    /// Adds a record as one line, in one write. It outlives a kill of the process at once, and a loss of power after
    /// [`sync`](Self::sync).
    ///
    /// # Errors
    /// The file system's errors; a metric that must be finite and is not (the line is written all the same).
    pub fn append(&mut self, record: &Record) -> Result<(), MetricsError> {
        let line = format!("{}\n", record.to_json());
        self.file
            .write_all(line.as_bytes())
            .map_err(|source| MetricsError::Io { path: self.path.clone(), source })?;
        if record.not_finite.is_empty() {
            return Ok(());
        }
        let (stage, names) = (record.stage.clone(), record.not_finite.join(", "));
        Err(MetricsError::NotFinite { stage, step: record.step, names })
    }

    /// Flushes the lines to the disk. To be called before a checkpoint is saved, which relies on them.
    ///
    /// # Errors
    /// The file system's errors.
    pub fn sync(&self) -> Result<(), MetricsError> {
        self.file.sync_all().map_err(|source| MetricsError::Io { path: self.path.clone(), source })
    }
}

/// The records of a metrics file, in order, as JSON objects; a half-written last line is left out.
///
/// # Errors
/// A line that is no record, and the file system's errors.
pub fn read(path: &Path) -> Result<Vec<Value>, MetricsError> {
    let mut records = Vec::new();
    each_line(path, |line, _, text| {
        records.push(serde_json::from_str(text).map_err(|error| malformed(path, line, error))?);
        Ok(())
    })?;
    Ok(records)
}

/// A record without what may differ between two runs that computed the same: the fields whose names begin with
/// `seconds` or `tokens_per_s`, and `time`.
pub fn strip_timings(record: &Value) -> Value {
    let Value::Object(fields) = record else { return record.clone() };
    let timing =
        |name: &str| name.starts_with("seconds") || name.starts_with("tokens_per_s") || name == "time";
    Value::Object(
        fields.iter().filter(|(name, _)| !timing(name)).map(|(n, v)| (n.clone(), v.clone())).collect(),
    )
}

fn drop_superseded(path: &Path, timeline: &Timeline) -> Result<(), MetricsError> {
    let io = |source| MetricsError::Io { path: path.to_path_buf(), source };
    let length = fs::metadata(path).map_err(io)?.len();
    let mut kept = Vec::new();
    each_line(path, |line, head, text| {
        let keeps = match head.kind {
            Kind::Eval => timeline.keeps_evaluation(&head.stage, head.step),
            Kind::MidTrain | Kind::Rl => timeline.keeps_step(&head.stage, head.step),
        };
        if keeps.map_err(|source| MetricsError::Stage { path: path.to_path_buf(), line, source })? {
            kept.extend_from_slice(text.as_bytes());
            kept.push(b'\n');
        }
        Ok(())
    })?;
    if kept.len() as u64 != length {
        durable::write_bytes(path, &kept).map_err(io)?;
    }
    Ok(())
}

/// Calls `each` with every complete line: its number from 1, its head, its text. What follows the last line break was
/// being written when the process ended.
fn each_line(
    path: &Path,
    mut each: impl FnMut(usize, Head, &str) -> Result<(), MetricsError>,
) -> Result<(), MetricsError> {
    let io = |source| MetricsError::Io { path: path.to_path_buf(), source };
    let mut reader = BufReader::new(File::open(path).map_err(io)?);
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        reader.read_until(b'\n', &mut bytes).map_err(io)?;
        let Some(complete) = bytes.strip_suffix(b"\n") else { break };
        let text = std::str::from_utf8(complete).map_err(|error| malformed(path, line, error))?;
        let head: Head = serde_json::from_str(text).map_err(|error| malformed(path, line, error))?;
        each(line, head, text)?;
    }
    Ok(())
}

fn malformed(path: &Path, line: usize, error: impl std::fmt::Display) -> MetricsError {
    MetricsError::Malformed { path: path.to_path_buf(), line, reason: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::timeline::Mark;

    const STAGES: [&str; 2] = ["base", "base+rl"];

    fn at(stage: &str, step: u64, evaluated: bool) -> Timeline {
        let before = STAGES.iter().take_while(|name| **name != stage);
        let before = before.map(|name| Mark { stage: name.to_string(), step: 4, evaluated: true });
        let mark = Mark { stage: stage.to_string(), step, evaluated };
        Timeline::new(&STAGES, before.chain([mark])).unwrap()
    }

    fn anew() -> Timeline {
        Timeline::new(&STAGES, None).unwrap()
    }

    /// What a run of 4 steps of each stage writes, an evaluation after each even step; `clock` stands for its timings.
    fn records(clock: f64) -> Vec<Record> {
        let mut records = Vec::new();
        for (stage, kind) in STAGES.into_iter().zip([Kind::MidTrain, Kind::Rl]) {
            for step in 1..=4 {
                let loss = 1.0 / (step as f64 + 0.1);
                let record = Record::new(stage, kind, step).number("loss", loss).count("tokens", 4096 * step);
                records.push(record.number("seconds/train", clock).number("tokens_per_s/train", 1.0 / clock));
                if step % 2 == 0 {
                    let record = Record::new(stage, Kind::Eval, step).text("taskset", "math");
                    records.push(record.number("pass@1", loss / 2.0).number("seconds", clock));
                }
            }
        }
        records
    }

    fn append_all<'a>(metrics: &mut Metrics, records: impl IntoIterator<Item = &'a Record>) {
        records.into_iter().for_each(|record| metrics.append(record).unwrap());
    }

    #[test]
    fn a_resumed_run_writes_the_file_of_an_uninterrupted_one_wherever_it_was_killed() {
        let whole = tempfile::tempdir().unwrap();
        append_all(&mut Metrics::open(whole.path(), &anew()).unwrap(), &records(0.1));
        let expected: Vec<Value> =
            read(&whole.path().join("metrics.jsonl")).unwrap().iter().map(strip_timings).collect();
        assert_eq!(expected.len(), 12);

        let all = records(0.1);
        let checkpoints = [("base", 2), ("base", 4), ("base+rl", 3), ("base+rl", 4)];
        for (stage, step) in checkpoints {
            for evaluated in [false, true] {
                let is_kept = |record: &Record| {
                    let rank = STAGES.iter().position(|name| *name == record.stage());
                    let at =
                        (rank, record.step()).cmp(&(STAGES.iter().position(|name| *name == stage), step));
                    at.is_lt() || at.is_eq() && (evaluated || record.kind() != Kind::Eval)
                };
                let first = all.iter().position(|record| !is_kept(record)).unwrap_or(all.len());
                for killed_after in first..=all.len() {
                    let run = tempfile::tempdir().unwrap();
                    let mut metrics = Metrics::open(run.path(), &anew()).unwrap();
                    append_all(&mut metrics, &all[..killed_after]);
                    metrics.file.write_all(br#"{"stage":"base","kind":"mid_tr"#).unwrap();
                    let mut metrics = Metrics::open(run.path(), &at(stage, step, evaluated)).unwrap();
                    append_all(&mut metrics, &records(0.7)[first..]);
                    let path = run.path().join("metrics.jsonl");
                    let found: Vec<Value> = read(&path).unwrap().iter().map(strip_timings).collect();
                    assert_eq!(found, expected, "{stage} {step} {evaluated} {killed_after}");
                }
            }
        }
    }

    #[test]
    fn a_run_started_anew_in_an_old_folder_starts_an_empty_file() {
        let run = tempfile::tempdir().unwrap();
        append_all(&mut Metrics::open(run.path(), &anew()).unwrap(), &records(0.1));
        Metrics::open(run.path(), &anew()).unwrap();
        assert_eq!(fs::read(run.path().join("metrics.jsonl")).unwrap(), b"");
    }

    #[test]
    fn numbers_read_back_bit_for_bit() {
        let doubles = [0.1, -0.0, 5e-324, f64::MAX, 1.0 / 3.0, 1e300, 123_456_789.123_456_79];
        let singles = [0.1f32, f32::MIN_POSITIVE, 1.0e-45, f32::MAX, 16_777_217.0, 1.0 / 3.0];
        let mut record = Record::new("base", Kind::Rl, u64::MAX).count("tokens", (1 << 53) + 1);
        for (i, value) in doubles.iter().enumerate() {
            record = record.number(&format!("double/{i}"), *value);
        }
        for (i, value) in singles.iter().enumerate() {
            record = record.number(&format!("single/{i}"), *value);
        }
        let run = tempfile::tempdir().unwrap();
        Metrics::open(run.path(), &anew()).unwrap().append(&record).unwrap();
        let read = &read(&run.path().join("metrics.jsonl")).unwrap()[0];
        for (i, value) in doubles.iter().enumerate() {
            let found = read[format!("double/{i}")].as_f64().unwrap();
            assert_eq!(found.to_bits(), value.to_bits());
        }
        for (i, value) in singles.iter().enumerate() {
            let found = read[format!("single/{i}")].as_f64().unwrap() as f32;
            assert_eq!(found.to_bits(), value.to_bits());
        }
        assert_eq!(read["step"].as_u64(), Some(u64::MAX));
        assert_eq!(read["tokens"].as_u64(), Some((1 << 53) + 1));
    }

    #[test]
    fn a_number_that_must_be_finite_is_null_in_the_file_and_an_error() {
        let run = tempfile::tempdir().unwrap();
        let mut metrics = Metrics::open(run.path(), &anew()).unwrap();
        let record = Record::new("base", Kind::MidTrain, 7).number("loss", f64::NAN).number("lr", 0.1);
        let record = record.number("grad_norm", f32::INFINITY).optional("loss/code", None);
        let error = metrics.append(&record).unwrap_err().to_string();
        let named = ["`base`", "step 7", "`loss` is NaN", "`grad_norm` is inf"];
        assert!(named.iter().all(|name| error.contains(name)) && !error.contains("code"), "{error}");
        let text = fs::read_to_string(run.path().join("metrics.jsonl")).unwrap();
        let line = r#"{"stage":"base","kind":"mid_train","step":7,"loss":null,"lr":0.1,"grad_norm":null,"loss/code":null}"#;
        assert_eq!(text, format!("{line}\n"));
        metrics.append(&Record::new("base", Kind::MidTrain, 8).optional("kl", Some(f64::NAN))).unwrap();
    }

    #[test]
    fn a_line_that_is_no_record_is_named_with_its_number() {
        let run = tempfile::tempdir().unwrap();
        let path = run.path().join("metrics.jsonl");
        let good = r#"{"stage":"base","kind":"rl","step":1}"#;
        let open = |second: &str| {
            fs::write(&path, format!("{good}\n{second}\n{good}\n")).unwrap();
            Metrics::open(run.path(), &at("base", 2, true)).unwrap_err().to_string()
        };
        for (line, reason) in [
            ("{", "EOF while parsing"),
            (r#"{"stage":"base","step":1}"#, "missing field `kind`"),
            (r#"{"stage":"base","kind":"train","step":1}"#, "unknown variant `train`"),
            (r#"{"stage":"gone","kind":"rl","step":1}"#, "`gone` is not among this run's stages"),
        ] {
            let error = open(line);
            assert!(error.contains("metrics.jsonl:2: ") && error.contains(reason), "{error}");
            assert!(
                fs::read_to_string(&path).unwrap().contains(line),
                "the file is left for the user to mend"
            );
        }
    }
}
