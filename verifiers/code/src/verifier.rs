//! The verifier `python`: its configuration, and the sandbox that all verifiers of a process share.

use crate::judge::judge;
use crate::modules::missing_module;
use crate::sandbox::{Limits, Sandbox};
use crate::task::{Credit, Task};
use crate::workers::Workers;
use rlvr_verdict::{Completion, Judges, Problem, ProblemError, Verdict, Verifier};
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// Where tests may run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Isolation {
    /// Tests never run in an interpreter that the solution has touched.
    #[default]
    Split,
    /// Rows may ask for tests in the solution's interpreter, which a solution can deceive. Said in each such verdict's reason.
    Shared,
}

/// Configuration of the verifier `python`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PythonConfig {
    /// What a check may use.
    pub limits: Limits,
    /// The score of several cases, where a row does not say.
    pub credit: Credit,
    /// Whether rows may have their tests run in the solution's interpreter.
    pub isolation: Isolation,
    /// Workers that are kept warm; 0: as many as there are cores.
    pub workers: usize,
}

/// Judges Python programs.
pub struct PythonVerifier {
    config: PythonConfig,
    workers: OnceLock<Result<Workers, String>>,
    open: fn() -> Result<Arc<Sandbox>, String>,
}

impl PythonVerifier {
    /// A verifier of this configuration. The guest is loaded, or compiled, with the first completion.
    ///
    /// # Errors
    /// The key of the configuration that cannot be meant.
    pub fn new(config: PythonConfig) -> Result<Self, String> {
        config.limits.check()?;
        Ok(PythonVerifier { config, workers: OnceLock::new(), open: shared_sandbox })
    }

    fn workers(&self) -> Result<&Workers, String> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let kept = if self.config.workers == 0 { cores() } else { self.config.workers };
        let made = self.workers.get_or_init(|| Ok(Workers::new((self.open)()?, kept)));
        made.as_ref().map_err(String::clone)
    }

    fn task(&self, problem: &Problem) -> Result<Task, ProblemError> {
        let task = Task::read(problem)?;
        if task.shared && self.config.isolation == Isolation::Split {
            return Err(ProblemError::new(
                "tests.isolation",
                "is shared, which a solution can deceive",
                "allow it with isolation = \"shared\" in the verifier's configuration, or leave it out",
            ));
        }
        Ok(task)
    }
}

/// The sandbox of this process; progress goes to standard error.
fn shared_sandbox() -> Result<Arc<Sandbox>, String> {
    static SANDBOX: OnceLock<Result<Arc<Sandbox>, String>> = OnceLock::new();
    SANDBOX
        .get_or_init(|| Sandbox::open(&|line| eprintln!("{line}")).map_err(|error| error.to_string()))
        .clone()
}

impl Verifier for PythonVerifier {
    fn name(&self) -> &str {
        "python"
    }

    fn version(&self) -> &str {
        const WHOLE: &str =
            concat!(env!("CARGO_PKG_VERSION"), "+", include_str!("../guest/python.wasm.zst.sha256"));
        // the crate's version, and 16 digits of the guest's hash
        const { WHOLE.split_at(env!("CARGO_PKG_VERSION").len() + 1 + 16).0 }
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        let task = self.task(problem)?;
        match task.test_code().into_iter().find_map(missing_module) {
            None => Ok(()),
            Some(module) => Err(ProblemError::new(
                "tests",
                format!("need the module `{module}`, which the sandbox does not have"),
                "leave the row out",
            )),
        }
    }

    fn judges(&self) -> Judges {
        Judges::Program
    }

    fn gold(&self, _problem: &Problem) -> Option<Completion> {
        None
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        let task = match self.task(problem) {
            Ok(task) => task,
            Err(error) => return Verdict::fault(error.to_string()),
        };
        let workers = match self.workers() {
            Ok(workers) => workers,
            Err(error) => return Verdict::fault(error),
        };
        let answer = completion.answer_text().to_owned();
        let (credit, limits) = (self.config.credit, self.config.limits);
        workers.run(Box::new(move |pair| judge(pair, &task, &answer, credit, limits)))
    }
}
