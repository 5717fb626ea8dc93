//! Sources: documents by number, from files or generators.
//!
//! Opening a source reads it once, so that every row is checked before training. Of JSON lines and text only the
//! places are kept and a document is read when it is drawn, so that a corpus may be larger than memory; the documents
//! of Parquet files, which cannot be read one at a time, are held.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::config::{SourceConfig, SourceKind, TextSplit};
use super::error::{DataError, Place, RowError};
use super::keyed;
use super::rows::{self, Line, Lines, Row};
use super::transform::{Template, Transforms, kind, missing};
use crate::generators::{self, Documents};

/// A text to train on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Document {
    /// What comes first and can be spared the loss; often nothing.
    pub prompt: String,
    /// What follows.
    pub text: String,
}

/// A source of documents, numbered from 0.
pub struct Source {
    name: String,
    mask_prompt: bool,
    fingerprint: u64,
    contents: Contents,
}

enum Contents {
    /// `limit` documents, or no end of them.
    Generated { generator: Box<dyn Documents>, limit: Option<u64> },
    /// Runs of bytes of files.
    Places { files: Vec<PathBuf>, spans: Vec<Span>, reading: Reading },
    /// All of them.
    Held(Vec<Document>),
}

#[derive(Clone, Copy, Debug)]
struct Span {
    file: u32,
    len: u32,
    start: u64,
    line: u64,
}

/// What a run of bytes is.
enum Reading {
    Json(Box<RowReading>),
    Text,
}

/// How a row becomes a document.
struct RowReading {
    transforms: Transforms,
    prompt: Option<Template>,
    /// Without it, the field `text`.
    text: Option<Template>,
}

impl RowReading {
    fn new(at: &str, config: &SourceConfig) -> Result<Self, DataError> {
        let template = |key: &str, source: &Option<String>| {
            source.as_deref().map(|source| Template::new(&format!("{at}.{key}"), source)).transpose()
        };
        Ok(Self {
            transforms: Transforms::new(at, &config.transform)?,
            prompt: template("prompt", &config.prompt)?,
            text: template("template", &config.template)?,
        })
    }

    fn document(&self, mut row: Row) -> Result<Document, RowError> {
        let Row { place, fields } = &mut row;
        self.transforms.apply(place, fields)?;
        let prompt = match &self.prompt {
            Some(template) => template.render(place, fields)?,
            None => String::new(),
        };
        let text = match &self.text {
            Some(template) => template.render(place, fields)?,
            None => match fields.get("text") {
                Some(serde_json::Value::String(text)) => text.clone(),
                Some(other) => {
                    return Err(RowError::field(place, "text", format!("is {}; text is right", kind(other))));
                }
                None => {
                    let mut error = missing(place, "text", fields);
                    error.problem.push_str(" (or declare a `template` over the row's fields)");
                    return Err(error);
                }
            },
        };
        Ok(Document { prompt, text })
    }
}

impl Source {
    /// Opens the source that stands under `sources.NAME`. `seed` is the run's, for generators.
    ///
    /// # Errors
    /// Keys that do not belong together, files that cannot be read, the first row that is wrong, no document at all.
    pub fn open(name: &str, config: &SourceConfig, seed: u64) -> Result<Self, DataError> {
        let at = format!("sources.{name}");
        check_keys(&at, config)?;
        let limit = config.limit.unwrap_or(u64::MAX);
        let mut fingerprint = keyed::of_text(name);
        let contents = match config.kind {
            SourceKind::Generator => {
                let generator = config.generator.as_deref().unwrap_or_default();
                let generator = generators::documents(&at, generator, &config.params, seed)?;
                // A sample tells whether the parameters are the same.
                for index in 0..16 {
                    fingerprint = print(fingerprint, &generator.document(index));
                }
                Contents::Generated { generator, limit: config.limit }
            }
            SourceKind::Text => {
                let files = rows::files_at(path_of(config), &[])?;
                let mut spans = Vec::new();
                for (index, file) in files.iter().enumerate() {
                    let parts = text_spans(file, index, config.split.unwrap_or_default(), &mut fingerprint)?;
                    spans.extend(parts);
                }
                spans.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
                Contents::Places { files, spans, reading: Reading::Text }
            }
            SourceKind::Jsonl => {
                let files = rows::files_at(path_of(config), &["jsonl"])?;
                let reading = RowReading::new(&at, config)?;
                let mut spans = Vec::new();
                for (index, file) in files.iter().enumerate() {
                    for line in Lines::open(file)? {
                        let Line { place, start, bytes } = line?;
                        if bytes.trim_ascii().is_empty() || spans.len() as u64 >= limit {
                            continue;
                        }
                        let span = span(index, start, &place, bytes.len())?;
                        let fields = rows::parse_line(&place, &bytes)?;
                        fingerprint = print(fingerprint, &reading.document(Row { place, fields })?);
                        spans.push(span);
                    }
                }
                Contents::Places { files, spans, reading: Reading::Json(Box::new(reading)) }
            }
            SourceKind::Parquet => {
                let reading = RowReading::new(&at, config)?;
                let mut documents = Vec::new();
                for file in rows::files_at(path_of(config), &["parquet"])? {
                    rows::for_each_row(&file, |row| {
                        if (documents.len() as u64) < limit {
                            let document = reading.document(row?)?;
                            fingerprint = print(fingerprint, &document);
                            documents.push(document);
                        }
                        Ok(())
                    })?;
                }
                Contents::Held(documents)
            }
        };
        let source = Self { name: name.to_string(), mask_prompt: config.mask_prompt, fingerprint, contents };
        match source.count() {
            Some(0) => Err(DataError::config(at, "holds no document")),
            _ => Ok(source),
        }
    }

    /// Its name in the configuration.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Documents of an epoch; `None` where there is no end of them.
    pub fn count(&self) -> Option<u64> {
        match &self.contents {
            Contents::Generated { limit, .. } => *limit,
            Contents::Places { spans, .. } => Some(spans.len() as u64),
            Contents::Held(documents) => Some(documents.len() as u64),
        }
    }

    /// Whether the loss leaves out each document's prompt.
    pub fn mask_prompt(&self) -> bool {
        self.mask_prompt
    }

    /// A number that changes with the documents: a run must not go on with others than it began with.
    pub fn fingerprint(&self) -> u64 {
        self.fingerprint
    }

    /// Document `index`, below [`count`](Self::count).
    ///
    /// # Errors
    /// Where its file can no longer be read or has changed since it was opened.
    pub fn document(&self, index: u64) -> Result<Document, DataError> {
        match &self.contents {
            Contents::Generated { generator, .. } => Ok(generator.document(index)),
            Contents::Held(documents) => Ok(documents[index as usize].clone()),
            Contents::Places { files, spans, reading } => {
                let span = spans[index as usize];
                let file = &files[span.file as usize];
                let bytes =
                    read_at(file, span).map_err(|source| DataError::Read { path: file.clone(), source })?;
                let place = Place { file: file.clone(), line: span.line as usize };
                match reading {
                    Reading::Text => {
                        let text =
                            String::from_utf8(bytes).map_err(|_| RowError::row(&place, "not UTF-8 text"))?;
                        Ok(Document { prompt: String::new(), text })
                    }
                    Reading::Json(reading) => {
                        let fields = rows::parse_line(&place, &bytes)?;
                        Ok(reading.document(Row { place, fields })?)
                    }
                }
            }
        }
    }

    /// All documents of an epoch, or the first `most` of them: what a tokenizer is trained on.
    pub fn documents(&self, most: u64) -> impl Iterator<Item = Result<Document, DataError>> + '_ {
        (0..self.count().unwrap_or(u64::MAX).min(most)).map(|index| self.document(index))
    }
}

impl std::fmt::Debug for Source {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Source")
            .field("name", &self.name)
            .field("count", &self.count())
            .finish_non_exhaustive()
    }
}

/// Which keys a source of each kind has.
fn check_keys(at: &str, config: &SourceConfig) -> Result<(), DataError> {
    let generated = config.kind == SourceKind::Generator;
    let rows = matches!(config.kind, SourceKind::Jsonl | SourceKind::Parquet);
    let keys = [
        ("path", config.path.is_some(), !generated, "a source from files"),
        ("split", config.split.is_some(), config.kind == SourceKind::Text, "kind = \"text\""),
        ("transform", !config.transform.is_empty(), rows, "kind = \"jsonl\" and \"parquet\""),
        ("template", config.template.is_some(), rows, "kind = \"jsonl\" and \"parquet\""),
        ("prompt", config.prompt.is_some(), rows, "kind = \"jsonl\" and \"parquet\""),
        ("mask_prompt", config.mask_prompt, generated || config.prompt.is_some(), "a source with a `prompt`"),
        ("generator", config.generator.is_some(), generated, "kind = \"generator\""),
        ("params", !config.params.is_empty(), generated, "kind = \"generator\""),
    ];
    for (key, given, belongs, to) in keys {
        if given && !belongs {
            return Err(DataError::config(
                format!("{at}.{key}"),
                format!("belongs to {to}; leave it out here"),
            ));
        }
    }
    if generated && config.generator.is_none() {
        let names = generators::DOCUMENTS.join(", ");
        return Err(DataError::config(format!("{at}.generator"), format!("is missing; there are {names}")));
    }
    if !generated && config.path.is_none() {
        return Err(DataError::config(
            format!("{at}.path"),
            "is missing; a file or a folder of files is right",
        ));
    }
    Ok(())
}

fn path_of(config: &SourceConfig) -> &Path {
    config.path.as_deref().unwrap_or(Path::new(""))
}

fn print(fingerprint: u64, document: &Document) -> u64 {
    keyed::key(&[fingerprint, keyed::of_text(&document.prompt), keyed::of_text(&document.text)])
}

fn span(file: usize, start: u64, place: &Place, len: usize) -> Result<Span, DataError> {
    let too_long = || RowError::row(place, "a document of 4 GiB or more; cut it");
    let len = u32::try_from(len).map_err(|_| too_long())?;
    Ok(Span { file: file as u32, len, start, line: place.line as u64 })
}

/// The documents of a text file: all of it, or its runs of lines that are not blank.
fn text_spans(
    path: &Path,
    index: usize,
    split: TextSplit,
    fingerprint: &mut u64,
) -> Result<Vec<Span>, DataError> {
    let mut spans: Vec<Span> = Vec::new();
    let mut inside = false;
    for line in Lines::open(path)? {
        let Line { place, start, bytes } = line?;
        let text = std::str::from_utf8(&bytes)
            .map_err(|_| RowError::row(&place, "not UTF-8 text; convert the file to UTF-8"))?;
        *fingerprint = keyed::key(&[*fingerprint, keyed::of_text(text)]);
        let blank = text.trim().is_empty();
        if blank && (split == TextSplit::Paragraph || spans.is_empty()) {
            inside = false;
            continue;
        }
        let here = span(index, start, &place, bytes.len())?;
        match spans.last_mut() {
            Some(last) if inside => {
                // A blank line at the end of a file is not part of its text.
                if !blank {
                    let len = (start - last.start) as usize + bytes.len();
                    last.len = span(index, last.start, &place, len)?.len;
                }
            }
            _ => spans.push(here),
        }
        inside = true;
    }
    Ok(spans)
}

fn read_at(path: &Path, span: Span) -> std::io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(span.start))?;
    let mut bytes = vec![0; span.len as usize];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
