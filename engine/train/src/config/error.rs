//! What is wrong with a run's config, and where: every problem names its file, line, column and key, and the remedy.

use std::fmt;
use std::path::PathBuf;

pub(super) use rlvr_verdict::settings::remedy;
use thiserror::Error;

/// One thing that is wrong in a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// `FILE:LINE:COLUMN`, or the `--set` argument that the value came from.
    pub at: String,
    /// The dotted key; stages go by their names: `stage.mid+rl.sampling.top_p`. Empty where the text is no TOML.
    pub key: String,
    /// What is wrong, and what would be right.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.key.as_str() {
            "" => write!(f, "{}: {}", self.at, self.what),
            key => write!(f, "{}: `{key}` {}", self.at, self.what),
        }
    }
}

/// Why a config is refused.
#[derive(Debug, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{path}: cannot be read: {source}; a run's config is a TOML file")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Everything that was found wrong, in the order of the checks.
    #[error("{}", .0.iter().map(Problem::to_string).collect::<Vec<_>>().join("\n"))]
    Problems(Vec<Problem>),
}
