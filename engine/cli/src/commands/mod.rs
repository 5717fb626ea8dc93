//! The commands, one a file, and how they end.

pub mod bench;
pub mod eval;
pub mod generate;
pub mod logprobs;
pub mod plan;
pub mod report;
pub mod run;
pub mod test;
pub mod verify;

use rlvr_model::Model;
use rlvr_model::hf::adapter_base;
use rlvr_model::tokenizer::Tokenizer;
use rlvr_rollouts::{SAMPLE_BITS, SEED_BITS};
use rlvr_train::checkpoint::check_folder;
use rlvr_train::config::{LEAST_TEMPERATURE, MOST_THREADS, is_temperature};
use std::fmt;
use std::io::{self, ErrorKind, Write};
use std::path::PathBuf;
use std::process::ExitCode;

/// Wrong input: exit code 2.
#[derive(Debug)]
pub struct Wrong(pub String);

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Wrong {}

/// An error about the user's input.
pub fn wrong(message: impl fmt::Display) -> anyhow::Error {
    Wrong(message.to_string()).into()
}

/// Prints the error, if any, and chooses the exit code. A closed stdout ends quietly.
pub fn exit(result: anyhow::Result<ExitCode>) -> ExitCode {
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    if error.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == ErrorKind::BrokenPipe) {
        return ExitCode::SUCCESS;
    }
    eprintln!("error: {}", told_once(&error));
    if error.downcast_ref::<Wrong>().is_some() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// Which model a command works on.
#[derive(Clone, clap::Args)]
pub struct ModelFolder {
    /// A Hugging Face model folder, such as a checkpoint, or the folder of a PEFT adapter that names one as its base
    #[arg(long)]
    pub model: PathBuf,
    /// The folder of a PEFT adapter for the model, whatever base it names
    #[arg(long, value_name = "DIR")]
    pub adapter: Option<PathBuf>,
}

impl ModelFolder {
    /// The model and its tokenizer; a checkpoint of a run is compared with its hashes first.
    ///
    /// # Errors
    /// Wrong input: what cannot be read, was altered, or does not fit together.
    pub fn open(&self) -> anyhow::Result<(Model, Tokenizer)> {
        let model = self.load()?;
        let tokenizer = Tokenizer::load(&self.model).map_err(wrong)?;
        tokenizer.check_fits(&model.config).map_err(wrong)?;
        Ok((model, tokenizer))
    }

    /// As [`ModelFolder::open`], without a tokenizer.
    ///
    /// # Errors
    /// As for [`ModelFolder::open`].
    pub fn load(&self) -> anyhow::Result<Model> {
        let base = adapter_base(&self.model).map_err(wrong)?;
        for folder in [Some(&self.model), base.as_ref(), self.adapter.as_ref()].into_iter().flatten() {
            check_folder(folder).map_err(wrong)?;
        }
        let model = Model::load_watched(&self.model, &mut crate::progress::loading()).map_err(wrong)?;
        match &self.adapter {
            Some(adapter) => model.with_adapter(adapter).map_err(wrong),
            None => Ok(model),
        }
    }
}

/// Says so where the tokenizer does not know a part of a text.
///
/// # Errors
/// When the text cannot be written as ids.
pub fn tell_unknown(tokenizer: &Tokenizer, text: &str) -> anyhow::Result<()> {
    if let Some(part) = tokenizer.unknown(text)? {
        eprintln!("the tokenizer does not know {part:?}; the model reads <unk> in its place");
    }
    Ok(())
}

/// An error and its causes, but for those whose words the one above them already has.
fn told_once(error: &anyhow::Error) -> String {
    error.chain().map(|cause| cause.to_string()).fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

/// Writes a line to stdout.
pub fn say(line: impl fmt::Display) -> io::Result<()> {
    writeln!(io::stdout().lock(), "{line}")
}

/// Parses a count that cannot be 0.
pub fn at_least_one(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|count| *count > 0)
        .ok_or_else(|| "a whole number of 1 or more is right".to_owned())
}

/// Parses a sampling temperature.
pub fn temperature(text: &str) -> Result<f32, String> {
    let right = || format!("0, for the likeliest token, or {LEAST_TEMPERATURE} or more is right");
    text.parse().ok().filter(|t| is_temperature(*t)).ok_or_else(right)
}

/// Parses a number of threads.
pub fn threads() -> clap::builder::RangedU64ValueParser<usize> {
    clap::builder::RangedU64ValueParser::new().range(..=MOST_THREADS as u64)
}

/// Parses a share.
pub fn share(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|s| (0.0..=1.0).contains(s))
        .ok_or_else(|| "a share in 0 to 1 is right".to_owned())
}

/// Parses a number of samples of one prompt.
pub fn samples(text: &str) -> Result<usize, String> {
    let most = 1 << SAMPLE_BITS;
    at_least_one(text).ok().filter(|count| *count <= most).ok_or_else(|| format!("1 to {most} is right"))
}

/// Parses a seed.
pub fn seed() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(..1 << SEED_BITS)
}
