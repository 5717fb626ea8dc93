//! Sources: documents of each kind of file and of generators, and what is said of files that are missing or malformed.

use std::sync::Arc;

use serde_json::json;

use super::*;

fn open(value: serde_json::Value) -> Result<Source, DataError> {
    Source::open("s", &serde_json::from_value(value).unwrap(), 1)
}

fn texts(source: &Source) -> Vec<String> {
    source.documents(100).map(|document| document.unwrap().text).collect()
}

#[test]
fn json_lines_become_documents_through_transforms_and_templates() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let rows = "{\"q\": \"1+1\", \"a\": \"<<1+1=2>>2\"}\n\n{\"q\": \"2+2\", \"a\": 4}\n{\"q\": \"3\", \"a\": \"3\"}\n";
    std::fs::write(&path, rows).unwrap();
    let config = json!({
        "kind": "jsonl", "path": path, "prompt": "Q: {{ q }}\n", "template": "{{ a }}\n", "limit": 2,
        "transform": [{ "field": "a", "replace": "<<.*?>>" }],
    });
    let source = open(config).unwrap();
    assert_eq!(source.count(), Some(2));
    assert_eq!(source.document(1).unwrap(), Document { prompt: "Q: 2+2\n".into(), text: "4\n".into() });
    assert_eq!(source.document(0).unwrap(), Document { prompt: "Q: 1+1\n".into(), text: "2\n".into() });
}

#[test]
fn the_first_wrong_row_is_named_when_the_source_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"text\": \"a\"}\n{\"txt\": \"b\"}\n").unwrap();
    let error = open(json!({ "kind": "jsonl", "path": path })).unwrap_err().to_string();
    assert!(error.ends_with(
        "rows.jsonl:2: field `text`: is missing; did you mean `txt`? (or declare a `template` over the row's fields)"
    ), "{error}");
}

#[test]
fn text_files_are_documents_whole_or_by_paragraph() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("a.txt"), "\n\nOne\n  two\n \nThree\r\n\n\n").unwrap();
    std::fs::write(folder.path().join("b.txt"), "Four").unwrap();
    let whole = open(json!({ "kind": "text", "path": folder.path() })).unwrap();
    assert_eq!(texts(&whole), ["One\n  two\n \nThree", "Four"]);
    let parts = open(json!({ "kind": "text", "path": folder.path(), "split": "paragraph" })).unwrap();
    assert_eq!(texts(&parts), ["One\n  two", "Three", "Four"]);
}

#[test]
fn text_that_is_not_utf8_is_named_by_its_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.txt");
    std::fs::write(&path, b"fine\ncaf\xe9\n").unwrap();
    let error = open(json!({ "kind": "text", "path": path })).unwrap_err().to_string();
    assert!(error.ends_with("a.txt:2: not UTF-8 text; convert the file to UTF-8"), "{error}");
}

#[test]
fn a_generator_is_a_source_with_or_without_end() {
    let endless = open(json!({ "kind": "generator", "generator": "facts" })).unwrap();
    assert_eq!(endless.count(), None);
    let some = open(json!({ "kind": "generator", "generator": "facts", "limit": 5 })).unwrap();
    assert_eq!(some.count(), Some(5));
    assert_eq!(some.document(3).unwrap(), endless.document(3).unwrap());
}

#[test]
fn the_fingerprint_changes_with_the_documents_only() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    let print = |rows: &str| {
        std::fs::write(&path, rows).unwrap();
        open(json!({ "kind": "jsonl", "path": path })).unwrap().fingerprint()
    };
    let first = print("{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
    assert_eq!(first, print("{\"text\":\"a\", \"note\": 1}\n\n{\"text\":\"b\"}"));
    assert_ne!(first, print("{\"text\": \"b\"}\n{\"text\": \"a\"}\n"));
    let generated = |seed| {
        let config = json!({ "kind": "generator", "generator": "worked-math", "params": { "digits": 2 } });
        Source::open("s", &serde_json::from_value(config).unwrap(), seed).unwrap().fingerprint()
    };
    assert_eq!(generated(1), generated(1));
    assert_ne!(generated(1), generated(2));
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let error = |value| open(value).unwrap_err().to_string();
    assert_eq!(
        error(json!({ "kind": "jsonl" })),
        "sources.s.path: is missing; a file or a folder of files is right"
    );
    assert_eq!(
        error(json!({ "kind": "text", "path": "x", "template": "{{ a }}" })),
        "sources.s.template: belongs to kind = \"jsonl\" and \"parquet\"; leave it out here"
    );
    assert_eq!(
        error(json!({ "kind": "jsonl", "path": "x", "mask_prompt": true })),
        "sources.s.mask_prompt: belongs to a source with a `prompt`; leave it out here"
    );
    assert_eq!(
        error(json!({ "kind": "generator" })),
        "sources.s.generator: is missing; there are worked-math, facts, programs, web"
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("empty.jsonl");
    std::fs::write(&path, "\n").unwrap();
    assert_eq!(error(json!({ "kind": "jsonl", "path": path })), "sources.s: holds no document");
}

#[test]
fn parquet_rows_are_documents_as_json_lines_are() {
    use arrow::array::{ArrayRef, StringArray};
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.parquet");
    let column = |texts: Vec<&str>| Arc::new(StringArray::from(texts)) as ArrayRef;
    let columns = [("q", column(vec!["1+1", "2+2"])), ("a", column(vec!["2", "4"]))];
    let batch = arrow::record_batch::RecordBatch::try_from_iter(columns).unwrap();
    let file = File::create(&path).unwrap();
    let mut writer = parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    let source =
        open(json!({ "kind": "parquet", "path": folder.path(), "template": "{{ q }}={{ a }}" })).unwrap();
    assert_eq!(texts(&source), ["1+1=2", "2+2=4"]);
    let error =
        open(json!({ "kind": "parquet", "path": path, "template": "{{ b }}" })).unwrap_err().to_string();
    assert!(error.contains("rows.parquet:1: field `b`: is missing"), "{error}");
}
