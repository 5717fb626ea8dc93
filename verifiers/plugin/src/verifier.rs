//! The verifier `wasm`: its configuration, and each call as a verdict.

use crate::bindings::{self, Description};
use crate::engine::{Plugin, STACK};
use crate::limits::Limits;
use crate::state::{State, Stop};
use rlvr_verdict::{Completion, Cost, Judges, Problem, ProblemError, Step, Verdict, Verifier};
use serde::Deserialize;
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use wasmtime::Store;

/// Bytes of a reason, and of a name or an answer, that are kept.
const MOST_TEXT: usize = 16 << 10;

/// Parts that a verdict may have.
const MOST_PARTS: usize = 1000;

/// Bytes of a component's output that a fault's reason quotes, from the end.
const QUOTED: usize = 4 << 10;

/// Configuration of the verifier `wasm`.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WasmConfig {
    /// The component's file.
    #[serde(default)]
    pub wasm: PathBuf,
    /// Settings of the component's own.
    #[serde(default)]
    pub settings: Map<String, Value>,
    /// What a call may use.
    #[serde(default)]
    pub limits: Limits,
}

/// A verifier that is a component.
pub struct WasmVerifier {
    plugin: Plugin,
    file: PathBuf,
    /// As JSON.
    settings: String,
    limits: Limits,
    name: String,
    version: String,
    judges: Judges,
}

/// How a call ended, and what it used.
struct Ended<T> {
    result: Result<T, Stop>,
    cost: Cost,
    output: String,
}

impl WasmVerifier {
    /// Loads the component and asks it what it is.
    ///
    /// # Errors
    /// A file that is no verifier, settings that it refuses, limits that cannot be meant: each with what would be right.
    pub fn new(config: WasmConfig) -> Result<Self, String> {
        if config.wasm.as_os_str().is_empty() {
            return Err(
                "has no file; `wasm`, the path of a component such as \"my_verifier.wasm\", is right".into(),
            );
        }
        config.limits.check()?;
        let plugin = Plugin::load(&config.wasm, &|line| eprintln!("{line}")).map_err(|e| e.to_string())?;
        let mut verifier = WasmVerifier {
            plugin,
            file: config.wasm,
            settings: Value::Object(config.settings).to_string(),
            limits: config.limits,
            name: String::new(),
            version: String::new(),
            judges: Judges::default(),
        };
        let Description { name, version, judges } = verifier.describe()?;
        let hash: String = verifier.plugin.hash[..8].iter().map(|b| format!("{b:02x}")).collect();
        (verifier.name, verifier.version) = (clipped(name), format!("{}+{hash}", clipped(version)));
        verifier.judges = judges.into();
        Ok(verifier)
    }

    /// The component's file.
    pub fn file(&self) -> &Path {
        &self.file
    }

    fn describe(&self) -> Result<Description, String> {
        let file = self.file.display();
        let ended = self
            .call(b"", |plugin, store| plugin.rlvr_verifier_verifier().call_describe(store, &self.settings));
        match ended.result {
            Ok(Ok(description)) if description.name.trim().is_empty() => {
                Err(format!("{file}: `describe` gave no name; a name for messages and reports is right"))
            }
            Ok(Ok(description)) => Ok(description),
            Ok(Err(problem)) => Err(format!("{file}: refuses its `settings` {}: {problem}", self.settings)),
            Err(stop) => Err(format!("{file}: {}", self.stopped("describe", &stop, &ended.output))),
        }
    }

    /// Runs one call in an instance of its own. Its random numbers are a function of the file and `seed`.
    fn call<T>(
        &self,
        seed: &[u8],
        function: impl FnOnce(&bindings::Plugin, &mut Store<State>) -> wasmtime::Result<T>,
    ) -> Ended<T> {
        let seed = Sha256::new().chain_update(self.plugin.hash).chain_update(seed).finalize().into();
        // threads of a pool have less stack than a component may use
        stacker::grow(STACK, || {
            let mut store = match self.plugin.store(&self.limits, seed) {
                Ok(store) => store,
                Err(error) => {
                    let (result, cost) = (Err(error.into()), Cost::default());
                    return Ended { result, cost, output: String::new() };
                }
            };
            let instance = self.plugin.instantiate(&mut store);
            let result = instance.and_then(|plugin| function(&plugin, &mut store)).map_err(Stop::from);
            let fuel = self.limits.fuel - store.get_fuel().unwrap_or(0);
            let state = store.data();
            let cost = Cost { fuel, peak_bytes: state.peak as u64, wall: 0.0 };
            Ended { result, cost, output: state.output.text() }
        })
    }

    /// What stopped a call, with the end of what it wrote: where a language runtime says why.
    fn stopped(&self, function: &str, stop: &Stop, output: &str) -> String {
        let limit = match stop {
            Stop::Fuel => format!(" ({} units; limits.fuel)", self.limits.fuel),
            Stop::Memory => format!(" ({} bytes; limits.memory)", self.limits.memory),
            Stop::Backstop => format!(" ({} s; limits.backstop)", self.limits.backstop),
            _ => String::new(),
        };
        let written = match last_bytes(output.trim_end(), QUOTED) {
            "" => String::new(),
            text => format!("; it wrote: {text}"),
        };
        format!("`{function}` of `{}` {stop}{limit}{written}", self.label())
    }

    fn label(&self) -> String {
        match self.name.as_str() {
            "" => self.file.display().to_string(),
            name => name.to_owned(),
        }
    }

    fn run(&self, problem: &Problem, completion: &Completion) -> Ended<bindings::Verdict> {
        let seed = Sha256::new().chain_update(&problem.id).chain_update([0]).chain_update(&completion.text);
        self.call(&seed.finalize(), |plugin, store| {
            let (problem, completion) = (problem.into(), completion.into());
            plugin.rlvr_verifier_verifier().call_verify(store, &self.settings, &problem, &completion)
        })
    }

    /// The verdict, and what the component wrote.
    fn judge(&self, problem: &Problem, completion: &Completion) -> (Verdict, String) {
        let Ended { result, cost, output } = self.run(problem, completion);
        let verdict = match result {
            Ok(verdict) if verdict.parts.len() > MOST_PARTS => Verdict::fault(format!(
                "the verdict has {} parts; {MOST_PARTS} are the most",
                verdict.parts.len()
            )),
            Ok(verdict) => bounded(verdict.into()),
            Err(stop) => {
                let reason = self.stopped("verify", &stop, &output);
                match stop.exhausted() {
                    // what a completion has used up is no escape from a penalty, unless nothing at all uses it up as well
                    Some(outcome) if !self.exhausted_by_nothing(problem) => {
                        Verdict::scored(outcome, 0.0, reason)
                    }
                    Some(_) => Verdict::fault(format!("{reason}; so it does with an empty completion")),
                    None => Verdict::fault(reason),
                }
            }
        };
        (Verdict { cost, ..verdict }, output)
    }

    fn exhausted_by_nothing(&self, problem: &Problem) -> bool {
        let ended = self.run(problem, &Completion::default());
        ended.result.is_err_and(|stop| stop.exhausted().is_some())
    }
}

/// The text, cut where it is longer than a person reads.
fn clipped(mut text: String) -> String {
    if text.len() > MOST_TEXT {
        text.truncate(text.floor_char_boundary(MOST_TEXT));
        text.push_str("...");
    }
    text
}

fn last_bytes(text: &str, most: usize) -> &str {
    &text[text.ceil_char_boundary(text.len().saturating_sub(most))..]
}

fn bounded(verdict: Verdict) -> Verdict {
    Verdict {
        reason: clipped(verdict.reason),
        parts: verdict.parts.into_iter().map(|(name, score)| (clipped(name), score)).collect(),
        answer: verdict.answer.map(clipped),
        ..verdict
    }
}

impl Verifier for WasmVerifier {
    fn name(&self) -> &str {
        &self.name
    }

    fn version(&self) -> &str {
        &self.version
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        let ended = self.call(problem.id.as_bytes(), |plugin, store| {
            plugin.rlvr_verifier_verifier().call_check(store, &self.settings, &problem.into())
        });
        match ended.result {
            Ok(checked) => checked.map_err(ProblemError::from),
            Err(stop) => Err(ProblemError::new(
                "verifier",
                self.stopped("check", &stop, &ended.output),
                "mend the component, or leave the row out",
            )),
        }
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        self.judge(problem, completion).0
    }

    fn judges(&self) -> Judges {
        self.judges
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let (verdict, output) = self.judge(problem, completion);
        let Cost { fuel, peak_bytes, .. } = verdict.cost;
        let mut steps = vec![Step::note("component", self.file.display().to_string())];
        if self.settings != "{}" {
            steps.push(Step::note("settings", &self.settings));
        }
        steps.extend(output.lines().map(|line| Step::note("wrote", line)));
        steps.extend(Step::of_verdict(&verdict));
        steps.push(Step::note("used", format!("{fuel} units of fuel, {peak_bytes} bytes of memory")));
        steps
    }
}
