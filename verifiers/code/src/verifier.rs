//! The verifier `python`: its configuration, and the sandbox that all verifiers of a process share.

use crate::attacks;
use crate::judge::{judge, judge_watched};
use crate::modules::missing_module;
use crate::sandbox::{Limits, Pair, Sandbox};
use crate::task::{Credit, Task};
use crate::watch::Watch;
use crate::workers::Workers;
use rlvr_verdict::{Attack, Completion, Judges, Problem, ProblemError, Step, Verdict, Verifier};
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
    workers: OnceLock<Result<Workers<Pair>, String>>,
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

    fn workers(&self) -> Result<&Workers<Pair>, String> {
        let made = self.workers.get_or_init(|| {
            let sandbox = (self.open)()?;
            Ok(Workers::new(self.config.workers, move || Pair::new(sandbox.clone())))
        });
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
pub(crate) fn shared_sandbox() -> Result<Arc<Sandbox>, String> {
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
            )
            .lacking(module)),
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
        let judged = workers.run(move |pair| judge(pair, &task, &answer, credit, limits));
        judged.unwrap_or_else(Verdict::fault)
    }

    fn attacks(&self, problem: &Problem) -> Vec<Attack> {
        self.task(problem).map(|task| attacks::on(&task)).unwrap_or_default()
    }

    /// Every candidate for the program and the one that is taken; of each case its source, what it compared and its fuel; what
    /// was printed.
    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let (Ok(task), Ok(workers)) = (self.task(problem), self.workers()) else { return Vec::new() };
        let answer = completion.answer_text().to_owned();
        let (credit, limits) = (self.config.credit, self.config.limits);
        let watched = workers.run(move |pair| {
            let mut watch = Watch::on();
            judge_watched(pair, &task, &answer, credit, limits, &mut watch);
            watch.steps()
        });
        watched.unwrap_or_default()
    }
}
