//! A file of reward functions as the sandbox knows it: loaded once, then asked about completions.
//!
//! Requests and replies are JSON, answered by `driver/` in the guest. A reply is read as JSON of a known shape: a function that
//! evaluates a completion may have handed the instance over to it.

use crate::sandbox::{Image, Limits, Resident, Sandbox, Stop, Used};
use rlvr_verdict::{Completion, Problem};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// The program that the guest loads before a file.
static DRIVER: &str = concat!(include_str!("driver/loading.py"), "\n\n", include_str!("driver/calling.py"));

/// Loading a file may take as much fuel as so many checks.
const LOAD_CHECKS: f64 = 10.0;

/// How a function wants to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Style {
    /// `verify(problem, completion)`.
    Problem,
    /// TRL's `(completions, **columns)`.
    Trl,
    /// The verifiers library's `(prompt, completion, answer, state, ...)`.
    Verifiers,
}

/// The function that was chosen.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Function {
    #[serde(rename = "function")]
    pub name: String,
    pub line: u64,
    pub style: Style,
    /// Its parameters, as Python writes them.
    pub signature: String,
    /// Columns that rows must have.
    pub columns: Vec<String>,
    /// What the file printed when it was loaded.
    pub printed: String,
}

/// A line of the user's file that an exception passed through.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Frame {
    pub line: u64,
    pub function: String,
    pub code: String,
}

/// What the function says of a completion.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Reply {
    /// The number; none where the function does not apply.
    pub value: Option<f64>,
    pub outcome: Option<String>,
    pub reason: Option<String>,
    pub answer: Option<String>,
    pub parts: Vec<(String, f64)>,
    /// An exception, or a return value that is no score.
    pub fault: Option<String>,
    /// `RecursionError` or `MemoryError`.
    pub exhausted: Option<String>,
    pub frames: Vec<Frame>,
    pub printed: String,
    /// Columns that it logged.
    pub extras: Map<String, Value>,
}

/// A loaded file.
pub(super) struct Program {
    pub function: Function,
    pub image: Arc<Image>,
}

impl Program {
    /// Loads a file and chooses its function. Needs a thread with the stack of a guest's.
    ///
    /// # Errors
    /// Why the file cannot be used, with its line.
    pub fn load(
        sandbox: &Arc<Sandbox>,
        file: &str,
        source: &str,
        function: Option<&str>,
        conversational: Option<bool>,
        limits: Limits,
    ) -> Result<Program, String> {
        let limits = Limits { seconds: limits.seconds * LOAD_CHECKS, ..limits };
        let mut resident = Resident::new(sandbox.clone(), None);
        let seed: [u8; 32] = Sha256::digest(source).into();
        let ended = |stop: Stop| match stop {
            Stop::Fuel => {
                format!(
                    "{file}: takes more than {} s to load, {LOAD_CHECKS} times limits.seconds",
                    limits.seconds
                )
            }
            Stop::Memory => {
                format!("{file}: takes more than {} bytes of memory to load (limits.memory)", limits.memory)
            }
            Stop::Exit(code) => format!("{file}: ends the process with code {code} when it is loaded"),
            stop => format!("{file}: cannot be loaded: {stop}"),
        };
        let boot = json!({ "op": "load", "candidates": [DRIVER], "prefix": "", "setup": "", "wanted": [], "main": false });
        let mut ask = |request: Value| {
            let (answer, _) = resident.ask(limits, seed, request.to_string().into_bytes());
            let answer: Value = serde_json::from_slice(&answer.map_err(&ended)?).unwrap_or_default();
            Ok::<Value, String>(answer)
        };
        let booted = ask(boot)?;
        if booted["status"] != "loaded" {
            return Err(format!("the sandbox cannot run reward files: {booted}"));
        }
        let request = json!({ "op": "load", "file": file, "source": source, "function": function,
                              "conversational": conversational });
        let loaded = ask(request)?;
        if let Some(refused) = loaded["refused"].as_str() {
            return Err(refused.to_owned());
        }
        let function = serde_json::from_value(loaded)
            .map_err(|error| format!("{file}: the sandbox's answer makes no sense: {error}"))?;
        let image = Arc::new(resident.freeze().map_err(ended)?);
        Ok(Program { function, image })
    }

    /// The request to judge a completion, and the seed of its random numbers.
    pub fn request(&self, problem: &Problem, completion: &Completion) -> (Vec<u8>, [u8; 32]) {
        let seed: [u8; 32] = Sha256::new()
            .chain_update((problem.id.len() as u64).to_le_bytes())
            .chain_update(&problem.id)
            .chain_update(&completion.text)
            .finalize()
            .into();
        let of_random = u32::from_le_bytes([seed[0], seed[1], seed[2], seed[3]]);
        let style = match self.function.style {
            Style::Problem => "problem",
            Style::Trl => "trl",
            Style::Verifiers => "verifiers",
        };
        let request = json!({ "op": "judge", "style": style, "problem": problem, "completion": completion, "seed": of_random });
        (request.to_string().into_bytes(), seed)
    }
}

/// Asks about a completion, and leaves the instance as it was.
pub(super) fn ask(
    resident: &mut Resident,
    limits: Limits,
    (message, seed): (Vec<u8>, [u8; 32]),
) -> (Result<Reply, Stop>, Used) {
    let (answer, used) = resident.ask(limits, seed, message);
    match answer {
        Err(Stop::Host(_) | Stop::Backstop) => resident.drop_instance(),
        _ => resident.put_back(),
    }
    let read = |answer: Vec<u8>| {
        serde_json::from_slice(&answer)
            .map_err(|error| Stop::Trap(format!("the answer makes no sense: {error}")))
    };
    (answer.and_then(read), used)
}
