//! The verifier `python_file`: a reward function in a Python file, run in the sandbox guest.
//!
//! The file is loaded when the verifier is made; each completion is judged by an instance that is as loading left it, so that
//! nothing a function keeps carries over from one check to the next. How a value becomes a verdict is in [`verdict`].

mod program;
mod verdict;

use crate::sandbox::{GUEST_SHA256, Limits, Resident, THREAD_STACK};
use crate::verifier::shared_sandbox;
use crate::workers::Workers;
use program::{Program, Reply, Style};
use rlvr_verdict::{Completion, Problem, ProblemError, Step, Verdict, Verifier};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Bytes that a file may have.
const MOST_BYTES: u64 = 1 << 20;

/// Configuration of the verifier `python_file`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PythonFileConfig {
    /// The file.
    pub python: PathBuf,
    /// The function, where the file has several.
    #[serde(default)]
    pub function: Option<String>,
    /// The least and the largest value that the function gives: scores 0 and 1.
    #[serde(default = "unit")]
    pub range: [f64; 2],
    /// Whether prompts and completions are given as lists of messages; without it, as the row's prompt is (TRL's signature) or
    /// always (the verifiers library's).
    #[serde(default)]
    pub conversational: Option<bool>,
    /// What a check may use.
    #[serde(default)]
    pub limits: Limits,
    /// Workers that are kept warm; 0: as many as there are cores.
    #[serde(default)]
    pub workers: usize,
}

fn unit() -> [f64; 2] {
    [0.0, 1.0]
}

/// A reward function in a Python file.
pub struct PythonFile {
    name: String,
    version: String,
    /// The file's name, for messages.
    file: String,
    config: PythonFileConfig,
    program: Program,
    workers: Workers<Resident>,
}

impl PythonFile {
    /// Loads the file.
    ///
    /// # Errors
    /// A file that cannot be read or loaded, a function that is not there or has no known signature, a module that the sandbox
    /// does not have: with file, line and remedy.
    pub fn open(config: PythonFileConfig) -> Result<Self, String> {
        config.limits.check()?;
        let [least, most] = config.range;
        if !(least.is_finite() && most.is_finite() && least < most) {
            return Err(format!(
                "range: [{least}, {most}] is no range; the least and the largest value are right"
            ));
        }
        let path = config.python.display();
        let read = || -> std::io::Result<Vec<u8>> {
            if std::fs::metadata(&config.python)?.len() > MOST_BYTES {
                return Err(std::io::Error::other(format!("has more than {MOST_BYTES} bytes")));
            }
            std::fs::read(&config.python)
        };
        let bytes = read().map_err(|error| format!("python: {path}: {error}"))?;
        let hash: String = Sha256::digest(&bytes)[..6].iter().map(|b| format!("{b:02x}")).collect();
        let text = String::from_utf8(bytes)
            .map_err(|error| format!("python: {path}: {error}; UTF-8 text is right"))?;
        let file = config.python.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let sandbox = shared_sandbox()?;
        let load = || {
            let source = text.trim_start_matches('\u{feff}');
            let (function, conversational) = (config.function.as_deref(), config.conversational);
            Program::load(&sandbox, &file, source, function, conversational, config.limits)
        };
        let loaded = std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().stack_size(THREAD_STACK).spawn_scoped(scope, load);
            thread.map(|thread| thread.join().unwrap_or_else(|_| Err(format!("{file}: loading it panicked"))))
        });
        let program = loaded.map_err(|error| format!("a thread cannot be started: {error}"))??;
        let image = program.image.clone();
        let workers =
            Workers::new(config.workers, move || Resident::new(sandbox.clone(), Some(image.clone())));
        let name = match &*program.function.name {
            "verify" => file.clone(),
            function => format!("{file}:{function}"),
        };
        let version = format!("{}+{}+{hash}", env!("CARGO_PKG_VERSION"), &GUEST_SHA256[..8]);
        Ok(PythonFile { name, version, file, config, program, workers })
    }

    /// What the function says, as a verdict; and what it said.
    fn judge(&self, problem: &Problem, completion: &Completion) -> (Verdict, Reply) {
        let limits = self.config.limits;
        let ask = |completion: &Completion| {
            let request = self.program.request(problem, completion);
            self.workers.run(move |resident| program::ask(resident, limits, request))
        };
        let judged = ask(completion).and_then(|(answer, used)| {
            // what an empty completion uses up too is the function's own doing
            let own = verdict::exhausted(&answer).is_some()
                && (completion.text.is_empty()
                    || verdict::exhausted(&ask(&Completion::default())?.0).is_some());
            Ok((answer, used, own))
        });
        match judged {
            Ok((answer, used, own)) => {
                let mut verdict = self.verdict(&answer, own);
                (verdict.cost.fuel, verdict.cost.peak_bytes) = (used.fuel, used.peak_bytes);
                (verdict, answer.unwrap_or_default())
            }
            Err(error) => (Verdict::fault(error), Reply::default()),
        }
    }
}

impl Verifier for PythonFile {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        let function = &self.program.function;
        for column in &function.columns {
            let there = match &**column {
                "answer" => problem.answer.is_some(),
                "choices" => !problem.choices.is_empty(),
                "tags" => !problem.tags.is_empty(),
                "tests" => problem.tests.is_some(),
                "id" | "prompt" => true,
                other => problem.extra.contains_key(other),
            };
            if !there {
                let at = format!("{}:{}", self.file, function.line);
                let what = format!("is missing; `{}` ({at}) takes it by this name", function.name);
                let remedy = match (&**column, function.style) {
                    ("judge" | "judge_client" | "judge_model" | "client" | "model", Style::Verifiers) => {
                        "a function in the sandbox has no model to ask; leave the argument out".to_owned()
                    }
                    _ => format!(
                        "a column `{column}`, or a default in the function, is right; a column that is mapped to one of ours has our name"
                    ),
                };
                return Err(ProblemError::new(column.clone(), what, remedy));
            }
        }
        Ok(())
    }

    fn gold(&self, _problem: &Problem) -> Option<Completion> {
        None
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        self.judge(problem, completion).0
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let (verdict, reply) = self.judge(problem, completion);
        self.steps(&verdict, &reply)
    }
}
