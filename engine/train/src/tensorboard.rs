//! TensorBoard event files, so that a run can be watched with what people have open already.
//!
//! An event file is a sequence of TFRecords (length, checksum, data, checksum), each a protocol buffer `Event`. Scalars
//! need six fields of four message types (`tensorboard/compat/proto/{event,summary}.proto`), which are encoded here by
//! hand. Each stage is a TensorBoard run of its own, `tensorboard/STAGE`, so that stages lie over each other in a plot.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::metrics::{Kind, Record};

/// An event file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct EventsError {
    /// The file or folder.
    pub path: PathBuf,
    /// What the file system said.
    pub source: io::Error,
}

/// A stage's event file, open for more.
#[derive(Debug)]
pub struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Starts a new event file in `run_dir/tensorboard/STAGE`. `first_step`: the first step that will be written. What
    /// older files of the stage say about this step and later ones is superseded, and TensorBoard drops it.
    ///
    /// # Errors
    /// The file system's errors.
    pub fn open(run_dir: &Path, stage: &str, first_step: u64) -> Result<Events, EventsError> {
        let dir = run_dir.join("tensorboard").join(stage);
        let failed = |path: &Path| {
            let path = path.to_path_buf();
            move |source| EventsError { path, source }
        };
        fs::create_dir_all(&dir).map_err(failed(&dir))?;
        // TensorBoard reads a run's files in the order of their names: a later one must have a later second.
        let mut second = now() as u64;
        for entry in fs::read_dir(&dir).map_err(failed(&dir))? {
            let name = entry.map_err(failed(&dir))?.file_name();
            let older = name.to_str().and_then(|name| name.strip_prefix("events.out.tfevents."));
            let older = older.and_then(|rest| rest.split('.').next()?.parse::<u64>().ok());
            second = second.max(older.map_or(0, |older| older.saturating_add(1)));
        }
        let path = dir.join(format!("events.out.tfevents.{second:010}.rlvr"));
        let file = File::create_new(&path).map_err(failed(&path))?;
        let mut events = Events { path, file };
        events.append(&file_version(now()))?;
        events.append(&session_start(now(), first_step))?;
        Ok(events)
    }

    /// Writes the finite numbers of a record as scalars of its step. An evaluation's are named
    /// `eval/TASKSET/NAME`, others as they are.
    ///
    /// # Errors
    /// The file system's errors.
    pub fn write(&mut self, record: &Record) -> Result<(), EventsError> {
        let prefix = match (record.kind(), record.get("taskset").and_then(|name| name.as_str())) {
            (Kind::Eval, Some(taskset)) => format!("eval/{taskset}/"),
            (Kind::Eval, None) => "eval/".to_string(),
            (Kind::MidTrain | Kind::Rl, _) => String::new(),
        };
        let scalars: Vec<_> =
            record.numbers().map(|(name, value)| (format!("{prefix}{name}"), value as f32)).collect();
        self.append(&scalar_event(now(), record.step(), &scalars))
    }

    fn append(&mut self, event: &[u8]) -> Result<(), EventsError> {
        // One write a record: a kill leaves at most one half record, at the end, which TensorBoard passes over.
        self.file.write_all(&framed(event)).map_err(|source| EventsError { path: self.path.clone(), source })
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |elapsed| elapsed.as_secs_f64())
}

/// `Event { wall_time = 1, file_version = 3 }`, the first of a file.
fn file_version(wall_time: f64) -> Vec<u8> {
    let mut event = event_head(wall_time, 0);
    put_bytes(&mut event, 3, b"brain.Event:2");
    event
}

/// `Event { wall_time = 1, step = 2, session_log = 7: SessionLog { status = 1: START } }`: events of this step and later
/// in the files before are superseded.
fn session_start(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = event_head(wall_time, step);
    put_bytes(&mut event, 7, &[1 << 3, 1]);
    event
}

/// `Event { wall_time = 1, step = 2, summary = 5: Summary { value = 1: Value { tag = 1, simple_value = 2 }, ... } }`.
fn scalar_event(wall_time: f64, step: u64, scalars: &[(String, f32)]) -> Vec<u8> {
    let mut summary = Vec::new();
    for (tag, scalar) in scalars {
        let mut value = Vec::new();
        put_bytes(&mut value, 1, tag.as_bytes());
        value.push(2 << 3 | 5);
        value.extend(scalar.to_le_bytes());
        put_bytes(&mut summary, 1, &value);
    }
    let mut event = event_head(wall_time, step);
    put_bytes(&mut event, 5, &summary);
    event
}

/// The fields `wall_time` and, unless it is 0 (proto3's default, which is not written), `step`.
fn event_head(wall_time: f64, step: u64) -> Vec<u8> {
    let mut event = vec![1 << 3 | 1];
    event.extend(wall_time.to_le_bytes());
    if step > 0 {
        event.push(2 << 3);
        put_varint(&mut event, step);
    }
    event
}

/// A field of bytes (a string, or a message within a message): key with wire type 2, length, bytes.
fn put_bytes(message: &mut Vec<u8>, field: u8, bytes: &[u8]) {
    message.push(field << 3 | 2);
    put_varint(message, bytes.len() as u64);
    message.extend(bytes);
}

fn put_varint(message: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        message.push(value as u8 | 0x80);
        value >>= 7;
    }
    message.push(value as u8);
}

/// A TFRecord: length as u64, its masked checksum, the data, its masked checksum; all little-endian.
fn framed(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let mut record = Vec::with_capacity(data.len() + 16);
    record.extend(length);
    record.extend(masked(crc32c(&length)).to_le_bytes());
    record.extend(data);
    record.extend(masked(crc32c(data)).to_le_bytes());
    record
}

/// TFRecord's masking of a checksum, for data that hold checksums themselves.
fn masked(crc: u32) -> u32 {
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

/// CRC-32C (Castagnoli, reflected polynomial 0x82f63b78; RFC 3720, appendix B.4), a byte at a time.
fn crc32c(data: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0; 256];
        let mut byte = 0;
        while byte < 256 {
            let mut crc = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
                bit += 1;
            }
            table[byte] = crc;
            byte += 1;
        }
        table
    };
    !data.iter().fold(!0, |crc, byte| TABLE[(crc as u8 ^ byte) as usize] ^ crc >> 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksums_are_those_of_the_iscsi_standard() {
        // RFC 3720, appendix B.4, and the check value of CRC-32C in the catalogue of CRC algorithms.
        let ascending: Vec<u8> = (0..32).collect();
        let descending: Vec<u8> = (0..32).rev().collect();
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        assert_eq!(crc32c(&[0xff; 32]), 0x62a8_ab43);
        assert_eq!(crc32c(&ascending), 0x46dd_794e);
        assert_eq!(crc32c(&descending), 0x113f_db5c);
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn the_bytes_are_those_that_tensorboard_writes() {
        let expected = include_bytes!("../../../tests/fixtures/tensorboard_events.tfevents");
        let tag = "x".repeat(150); // longer than one varint byte
        let scalars =
            [("reward/mean".to_string(), 0.25), ("grad_norm/größe".to_string(), -1.5e-7), (tag, f32::MAX)];
        let wall_time = 1_700_000_000.125;
        let events = [
            file_version(wall_time),
            session_start(wall_time, 301),
            session_start(wall_time, 0),
            scalar_event(wall_time, 301, &scalars),
            scalar_event(wall_time, 1 << 40, &scalars[..1]),
        ];
        let found: Vec<u8> = events.iter().flat_map(|event| framed(event)).collect();
        assert!(found == expected, "{} bytes, expected {}", found.len(), expected.len());
    }

    #[test]
    fn a_resumed_stage_starts_a_file_that_is_read_after_the_others() {
        let run = tempfile::tempdir().unwrap();
        let names = || {
            let entries = fs::read_dir(run.path().join("tensorboard/mid")).unwrap();
            let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        let mut before = Vec::new();
        for first_step in [1, 11, 21] {
            Events::open(run.path(), "mid", first_step).unwrap();
            let after = names();
            assert_eq!(after[..before.len()], before[..], "the new file is the last");
            assert_eq!(after.len(), before.len() + 1);
            before = after;
        }
    }

    #[test]
    fn a_record_becomes_scalars_and_an_evaluation_is_named_by_its_task_set() {
        let run = tempfile::tempdir().unwrap();
        let mut events = Events::open(run.path(), "mid", 1).unwrap();
        let record = Record::new("mid", Kind::MidTrain, 1).number("loss", 2.0).optional("loss/code", None);
        events.write(&record).unwrap();
        let record = Record::new("mid", Kind::Eval, 1).text("taskset", "math").number("pass@1", 0.5);
        events.write(&record).unwrap();
        let bytes = fs::read(&events.path).unwrap();
        let holds = |tag: &str| bytes.windows(tag.len()).any(|window| window == tag.as_bytes());
        assert!(holds("\x0a\x04loss\x15") && holds("eval/math/pass@1"));
        assert!(!holds("loss/code") && !holds("taskset"));
    }
}
