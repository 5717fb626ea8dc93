//! The ledger: rows come back as they were, equal rows give equal bytes, a resumed run drops what it repeats.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use rlvr_train::ledger::{Ledger, LedgerError, PartVerdict, Row, files, read};
use rlvr_train::timeline::{Mark, Timeline};
use rlvr_verdict::Problem;

fn problem(sample: i32) -> Arc<Problem> {
    let extra = serde_json::json!({"level": sample, "nested": {"a": [1, null]}}).as_object().unwrap().clone();
    Arc::new(Problem { id: format!("sums/{sample}"), answer: Some("4".into()), extra, ..Problem::default() })
}

fn row(step: i64, sample: i32) -> Row {
    let scored = sample % 3 != 2;
    Row {
        stage: "mid+rl-2".to_string(),
        step,
        group: i64::from(sample / 2),
        problem_id: format!("sums/{sample}"),
        problem: problem(sample),
        prompt_key: u64::MAX - sample as u64,
        sample,
        attempt: sample / 5,
        prompt: "What is 2 + 2?\n\"quoted\" ½ 🦆".to_string(),
        prompt_ids: vec![0, 1, u32::MAX],
        completion: if sample == 1 { String::new() } else { format!("<script>{sample}</script>\u{0}") },
        ids: (0..sample as u32).collect(),
        logprobs: (0..sample).map(|i| -1.0 / (i as f32 + 0.3)).collect(),
        finish: "stop".to_string(),
        policy_version: step - 1,
        verifier: "math".to_string(),
        outcome: if scored { "pass" } else { "fault" }.to_string(),
        score: scored.then_some(0.1),
        reason: "4 equals 4".to_string(),
        parts: vec![
            ("z/format".to_string(), 0.1),
            ("correct".to_string(), f32::MIN_POSITIVE),
            ("a".into(), -1e30),
        ],
        verdicts: vec![(
            "z/format".to_string(),
            PartVerdict {
                verifier: "format".to_string(),
                outcome: "fail".to_string(),
                score: scored.then_some(0.1),
                reason: "\"quoted\"".to_string(),
            },
        )],
        reward: scored.then_some(-2.5),
        advantage: (sample % 2 == 0).then_some(1.0e-45),
        used: sample % 2 == 0,
        fuel: u64::MAX,
        wall_s: 0.1 + 0.2,
        sampled_s: 5e-324,
    }
}

fn timeline(marks: &[(&str, u64)]) -> Timeline {
    let mark = |(stage, step): &(&str, u64)| Mark { stage: stage.to_string(), step: *step, evaluated: true };
    Timeline::new(&["rl-1", "mid+rl-2"], marks.iter().map(mark)).unwrap()
}

#[test]
fn rows_come_back_as_they_were_in_order() {
    let run = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(run.path(), &timeline(&[])).unwrap();
    let rows: Vec<Row> = (0..3_000).map(|sample| row(12, sample % 40)).collect();
    let path = ledger.write("mid+rl-2", 12, &rows).unwrap();
    assert_eq!(path, run.path().join("ledger/mid+rl-2-000012.parquet"));
    assert!(read(&path).unwrap() == rows);
    let path = ledger.write("mid+rl-2", 13, &[]).unwrap();
    assert_eq!(read(&path).unwrap(), []);
    assert_eq!(fs::read_dir(run.path().join("ledger")).unwrap().count(), 2, "no temporary file is left");
}

#[test]
fn a_part_that_is_not_finite_reads_as_nan() {
    let run = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(run.path(), &timeline(&[])).unwrap();
    let parts = vec![("length".to_string(), f32::NEG_INFINITY), ("correct".to_string(), 1.0)];
    let path = ledger.write("rl-1", 1, &[Row { parts, ..row(1, 0) }]).unwrap();
    let parts = &read(&path).unwrap()[0].parts;
    assert!(parts[0].1.is_nan() && parts[1] == ("correct".to_string(), 1.0));
}

#[test]
fn equal_rows_give_equal_bytes_and_timings_can_be_left_out_of_a_comparison() {
    let run = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(run.path(), &timeline(&[])).unwrap();
    let rows: Vec<Row> = (0..50).map(|sample| row(1, sample)).collect();
    let first = fs::read(ledger.write("rl-1", 1, &rows).unwrap()).unwrap();
    let other = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(other.path(), &timeline(&[])).unwrap();
    let second = fs::read(ledger.write("rl-1", 1, &rows).unwrap()).unwrap();
    assert!(first == second);
    let slower = Row { wall_s: 9.0, sampled_s: 8.0, ..row(1, 4) };
    assert_ne!(slower, row(1, 4));
    assert_eq!(slower.without_timings(), row(1, 4).without_timings());
    let other_reward = Row { reward: Some(0.0), ..row(1, 4) };
    assert_ne!(other_reward.without_timings(), row(1, 4).without_timings());
}

#[test]
fn a_resumed_run_drops_the_steps_that_it_repeats_and_nothing_else() {
    let run = tempfile::tempdir().unwrap();
    let ledger = Ledger::open(run.path(), &timeline(&[])).unwrap();
    for (stage, steps) in [("rl-1", 1..=3), ("mid+rl-2", 1..=4)] {
        steps.for_each(|step| drop(ledger.write(stage, step, &[row(step as i64, 0)]).unwrap()));
    }
    let ledger_dir = run.path().join("ledger");
    fs::write(ledger_dir.join("notes.txt"), "mine").unwrap();
    let left = |marks: &[_]| {
        Ledger::open(run.path(), &timeline(marks)).unwrap();
        files(run.path())
            .unwrap()
            .into_iter()
            .map(|(stage, step, _)| format!("{stage} {step}"))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        left(&[("rl-1", 3), ("mid+rl-2", 2)]),
        ["mid+rl-2 1", "mid+rl-2 2", "rl-1 1", "rl-1 2", "rl-1 3"]
    );
    assert_eq!(left(&[("rl-1", 3)]), ["rl-1 1", "rl-1 2", "rl-1 3"]);
    assert_eq!(left(&[]), [""; 0]);
    assert!(ledger_dir.join("notes.txt").exists());
    fs::write(ledger_dir.join("gone-000001.parquet"), "").unwrap();
    let error = Ledger::open(run.path(), &timeline(&[])).unwrap_err().to_string();
    assert!(error.contains("gone-000001.parquet") && error.contains("`gone`"), "{error}");
    assert!(files(Path::new("no such run")).unwrap().is_empty());
}

#[test]
fn a_file_that_is_no_ledgers_is_an_error_that_names_it() {
    let run = tempfile::tempdir().unwrap();
    let path = run.path().join("rl-1-000001.parquet");
    assert!(matches!(read(&path), Err(LedgerError::Io { .. })));
    fs::write(&path, "PAR1 but for the rest").unwrap();
    let error = read(&path).unwrap_err();
    assert!(
        matches!(error, LedgerError::Parquet { .. }) && error.to_string().contains("rl-1-000001.parquet")
    );

    let other = |column: &str, array: arrow::array::ArrayRef| {
        let batch = arrow::array::RecordBatch::try_from_iter([(column, array)]).unwrap();
        let file = fs::File::create(&path).unwrap();
        let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        read(&path).unwrap_err().to_string()
    };
    let integers = || Arc::new(arrow::array::Int64Array::from(vec![1]));
    let error = other("stage", integers());
    assert!(error.contains("column `stage`: it cannot be of type Int64"), "{error}");
    let error = other("question", integers());
    assert!(error.contains("column `stage`: it is missing"), "{error}");
}
