//! Rows out of files: JSON lines, streamed with their line numbers and offsets, and Parquet, as JSON values.
//!
//! Both give the same thing, fields with a [`Place`], so that nothing behind them knows where a row came from.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row as ParquetRow};
use serde_json::{Map, Number, Value};

use super::error::{DataError, Place, RowError};
use super::transform::kind;

/// A row: its fields, in the file's order, and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Where it stands.
    pub place: Place,
    /// Its fields.
    pub fields: Map<String, Value>,
}

/// The files at `path`: itself, or where it is a folder, the files in it that end in one of `extensions` (without the
/// dot; any where there is none), at any depth, in the order of their paths.
///
/// # Errors
/// Where nothing is there, or a folder holds no such file.
pub fn files_at(path: &Path, extensions: &[&str]) -> Result<Vec<PathBuf>, DataError> {
    let failed = |path: &Path, source| DataError::Read { path: path.to_path_buf(), source };
    if !std::fs::metadata(path).map_err(|error| failed(path, error))?.is_dir() {
        return Ok(vec![path.to_path_buf()]);
    }
    let (mut files, mut folders) = (Vec::new(), vec![path.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| failed(&folder, error))? {
            let entry = entry.map_err(|error| failed(&folder, error))?.path();
            let ending = entry.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if entry.is_dir() {
                folders.push(entry);
            } else if extensions.is_empty() || extensions.contains(&ending) {
                files.push(entry);
            }
        }
    }
    files.sort();
    if files.is_empty() {
        let wanted = extensions.iter().map(|ending| format!(".{ending}")).collect::<Vec<_>>().join(" or ");
        let problem =
            format!("the folder holds no {} file", if wanted.is_empty() { "readable" } else { &wanted });
        return Err(DataError::File { path: path.to_path_buf(), problem });
    }
    Ok(files)
}

/// The fields of one line of JSON.
///
/// # Errors
/// Where it is not a JSON object.
pub fn parse_line(place: &Place, line: &[u8]) -> Result<Map<String, Value>, RowError> {
    match rlvr_verdict::read_json(line) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(other) => Err(RowError::row(
            place,
            format!("is {}; a row is a JSON object such as {{\"id\": ...}}", kind(&other)),
        )),
        Err(error) => {
            let cause = error.to_string();
            let cause = cause.split(" at line ").next().unwrap_or_default();
            Err(RowError::row(
                place,
                format!("column {}: not a JSON object in one line: {cause}", error.column()),
            ))
        }
    }
}

/// A line of a file, with the bytes it takes.
#[derive(Clone, Debug)]
pub struct Line {
    /// Where it stands.
    pub place: Place,
    /// First byte in the file.
    pub start: u64,
    /// The line without its end.
    pub bytes: Vec<u8>,
}

/// The lines of a file, one at a time.
pub struct Lines {
    path: PathBuf,
    reader: BufReader<File>,
    line: usize,
    at: u64,
}

const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

impl Lines {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DataError::Read`].
    pub fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(|source| DataError::Read { path: path.to_path_buf(), source })?;
        Ok(Self { path: path.to_path_buf(), reader: BufReader::with_capacity(1 << 20, file), line: 0, at: 0 })
    }
}

impl Iterator for Lines {
    type Item = Result<Line, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut bytes = Vec::new();
        let mut start = self.at;
        match self.reader.read_until(b'\n', &mut bytes) {
            Ok(0) => return None,
            Ok(count) => self.at += count as u64,
            Err(source) => return Some(Err(DataError::Read { path: self.path.clone(), source })),
        }
        self.line += 1;
        let ends = bytes.iter().rev().take_while(|byte| matches!(byte, b'\n' | b'\r')).count();
        bytes.truncate(bytes.len() - ends);
        if self.line == 1 && bytes.starts_with(BYTE_ORDER_MARK) {
            bytes.drain(..BYTE_ORDER_MARK.len());
            start += BYTE_ORDER_MARK.len() as u64;
        }
        Some(Ok(Line { place: Place { file: self.path.clone(), line: self.line }, start, bytes }))
    }
}

/// Calls `each` with every row of the file, which is Parquet where its name ends so and JSON lines otherwise. A row
/// that is none is passed on as its error; blank lines are passed over.
///
/// # Errors
/// Where the file cannot be read, and whatever `each` returns.
pub fn for_each_row(
    path: &Path,
    mut each: impl FnMut(Result<Row, RowError>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    if path.extension().is_some_and(|ending| ending == "parquet") {
        return for_each_parquet(path, each);
    }
    for line in Lines::open(path)? {
        let Line { place, bytes, .. } = line?;
        if !bytes.trim_ascii().is_empty() {
            each(parse_line(&place, &bytes).map(|fields| Row { place, fields }))?;
        }
    }
    Ok(())
}

fn for_each_parquet(
    path: &Path,
    mut each: impl FnMut(Result<Row, RowError>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let file = File::open(path).map_err(|source| DataError::Read { path: path.to_path_buf(), source })?;
    let broken = |error: parquet::errors::ParquetError| DataError::File {
        path: path.to_path_buf(),
        problem: format!("not a Parquet file that can be read: {error}"),
    };
    let reader = SerializedFileReader::new(file).map_err(broken)?;
    for (index, row) in reader.get_row_iter(None).map_err(broken)?.enumerate() {
        let place = Place { file: path.to_path_buf(), line: index + 1 };
        let fields = object(&row.map_err(broken)?);
        each(Ok(Row { place, fields }))?;
    }
    Ok(())
}

fn object(row: &ParquetRow) -> Map<String, Value> {
    row.get_column_iter().map(|(name, field)| (name.clone(), json(field))).collect()
}

/// A Parquet value as JSON. Floats that JSON cannot write become null; dates, times and decimals their text.
fn json(field: &Field) -> Value {
    let float = |value: f64| Number::from_f64(value).map_or(Value::Null, Value::Number);
    match field {
        Field::Null => Value::Null,
        Field::Bool(value) => (*value).into(),
        Field::Byte(value) => (*value).into(),
        Field::Short(value) => (*value).into(),
        Field::Int(value) => (*value).into(),
        Field::Long(value) => (*value).into(),
        Field::UByte(value) => (*value).into(),
        Field::UShort(value) => (*value).into(),
        Field::UInt(value) => (*value).into(),
        Field::ULong(value) => (*value).into(),
        Field::Float16(value) => float(value.to_f64()),
        Field::Float(value) => float((*value).into()),
        Field::Double(value) => float(*value),
        Field::Str(text) => text.as_str().into(),
        // Writers that leave out the annotation for text mean text all the same.
        Field::Bytes(bytes) => String::from_utf8_lossy(bytes.data()).into(),
        Field::Group(row) => Value::Object(object(row)),
        Field::ListInternal(list) => list.elements().iter().map(json).collect(),
        Field::MapInternal(map) => {
            let name = |key: &Field| match json(key) {
                Value::String(text) => text,
                other => other.to_string(),
            };
            Value::Object(map.entries().iter().map(|(key, value)| (name(key), json(value))).collect())
        }
        other => other.to_string().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Float64Array, Int64Array, ListArray, StringArray};
    use arrow::datatypes::Int32Type;
    use arrow::record_batch::RecordBatch;
    use parquet::arrow::ArrowWriter;
    use serde_json::json;

    use super::*;

    fn rows_of(path: &Path) -> Result<Vec<Result<Row, RowError>>, DataError> {
        let mut rows = Vec::new();
        for_each_row(path, |row| {
            rows.push(row);
            Ok(())
        })?;
        Ok(rows)
    }

    #[test]
    fn json_lines_keep_their_numbers_over_blank_and_broken_ones() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        std::fs::write(&path, b"\xef\xbb\xbf{\"a\": 1}\r\n\n{\"a\": }\n[1]\n{\"a\": \"\\u00e9\"}").unwrap();
        let rows = rows_of(&path).unwrap();
        assert_eq!(rows[0].as_ref().unwrap().fields["a"], 1);
        let error = rows[1].as_ref().unwrap_err().to_string();
        assert!(
            error.contains("rows.jsonl:3: column 7: not a JSON object in one line: expected value"),
            "{error}"
        );
        let error = rows[2].as_ref().unwrap_err().to_string();
        assert!(error.contains("rows.jsonl:4: is a list; a row is a JSON object"), "{error}");
        let last = rows[3].as_ref().unwrap();
        assert_eq!((last.place.line, &last.fields["a"]), (5, &json!("\u{e9}")));
        assert_eq!(rows.len(), 4);
    }

    #[test]
    fn a_line_knows_its_first_byte() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let contents = b"\xef\xbb\xbf{}\r\n\n{\"a\": 1}\n";
        std::fs::write(&path, contents).unwrap();
        for line in Lines::open(&path).unwrap() {
            let line = line.unwrap();
            assert_eq!(&contents[line.start as usize..][..line.bytes.len()], line.bytes);
        }
    }

    #[test]
    fn parquet_rows_are_json_objects() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.parquet");
        let lists = vec![Some(vec![Some(1), None]), None];
        let batch = RecordBatch::try_from_iter([
            ("question", Arc::new(StringArray::from(vec![Some("one"), None])) as ArrayRef),
            ("n", Arc::new(Int64Array::from(vec![i64::MAX, -1])) as ArrayRef),
            ("x", Arc::new(Float64Array::from(vec![0.1, f64::NAN])) as ArrayRef),
            ("list", Arc::new(ListArray::from_iter_primitive::<Int32Type, _, _>(lists)) as ArrayRef),
        ])
        .unwrap();
        let mut writer = ArrowWriter::try_new(File::create(&path).unwrap(), batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        let rows: Vec<Value> =
            rows_of(&path).unwrap().into_iter().map(|row| Value::Object(row.unwrap().fields)).collect();
        assert_eq!(rows[0], json!({ "question": "one", "n": i64::MAX, "x": 0.1, "list": [1, null] }));
        assert_eq!(rows[1], json!({ "question": null, "n": -1, "x": null, "list": null }));
        std::fs::write(&path, "no parquet").unwrap();
        let error = rows_of(&path).unwrap_err().to_string();
        assert!(error.contains("rows.parquet: not a Parquet file that can be read"), "{error}");
    }

    #[test]
    fn a_folder_gives_its_files_in_order() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        for name in ["c.jsonl", "b/x.jsonl", "a.jsonl", "a.txt"] {
            std::fs::write(folder.path().join(name), "").unwrap();
        }
        let files = files_at(folder.path(), &["jsonl"]).unwrap();
        let names: Vec<_> = files.iter().map(|file| file.strip_prefix(folder.path()).unwrap()).collect();
        assert_eq!(names, [Path::new("a.jsonl"), Path::new("b/x.jsonl"), Path::new("c.jsonl")]);
        let error = files_at(folder.path(), &["parquet"]).unwrap_err().to_string();
        assert!(error.ends_with("the folder holds no .parquet file"), "{error}");
        assert!(matches!(files_at(&folder.path().join("no"), &[]), Err(DataError::Read { .. })));
    }
}
