//! A run's folder as the report sees it: its stages, each with its lines of the metrics.

use std::path::Path;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use serde_json::{Map, Value};

/// A line of `metrics.jsonl`.
pub type Line = Map<String, Value>;

/// A run, finished or not.
pub struct Run {
    /// Its name.
    pub name: String,
    /// Its seed.
    pub seed: u64,
    /// The version of rlvr that wrote it, once a stage is done.
    pub version: Option<String>,
    /// The stages of the config, in order.
    pub stages: Vec<Stage>,
    /// `config.toml`.
    pub config: String,
    /// Whether every stage is done and in `summary.json`.
    pub finished: bool,
}

/// A stage with what has been measured in it.
pub struct Stage {
    /// Its name.
    pub name: String,
    /// `mid_train` or `rl`.
    pub kind: String,
    /// The stage that it started from.
    pub from: Option<String>,
    /// Which of the page's colours it has.
    pub colour: usize,
    /// Seconds of its steps and evaluations.
    pub seconds: f64,
    /// Its training steps.
    pub steps: Vec<Line>,
    /// Its evaluations, all task sets.
    pub evals: Vec<Line>,
}

#[derive(Deserialize)]
struct ConfigFile {
    name: String,
    seed: u64,
    #[serde(rename = "stage")]
    stages: Vec<ConfigStage>,
}

#[derive(Deserialize)]
struct ConfigStage {
    name: String,
    kind: String,
    from: Option<String>,
}

#[derive(Deserialize)]
struct Summary {
    version: Option<String>,
    #[serde(default)]
    stages: Vec<SummaryStage>,
}

#[derive(Deserialize)]
struct SummaryStage {
    name: String,
}

/// A line's number.
pub fn number(line: &Line, name: &str) -> Option<f64> {
    line.get(name).and_then(Value::as_f64)
}

/// A line's text.
pub fn text<'a>(line: &'a Line, name: &str) -> Option<&'a str> {
    line.get(name).and_then(Value::as_str)
}

impl Run {
    /// Reads `config.toml`, `metrics.jsonl` and, once a stage is done, `summary.json`.
    ///
    /// # Errors
    /// One of the first two is missing, or one cannot be understood.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("config.toml");
        let config = std::fs::read_to_string(&path).with_context(|| {
            format!("{}: cannot be read; a run's folder is one that `rlvr run` wrote", path.display())
        })?;
        let parsed: ConfigFile =
            toml::from_str(&config).with_context(|| format!("{}: no run's config", path.display()))?;
        let stage = |(index, stage): (usize, ConfigStage)| Stage {
            name: stage.name,
            kind: stage.kind,
            from: stage.from,
            colour: index % 8,
            seconds: 0.0,
            steps: Vec::new(),
            evals: Vec::new(),
        };
        let mut stages: Vec<Stage> = parsed.stages.into_iter().enumerate().map(stage).collect();
        let path = folder.join("metrics.jsonl");
        for line in rlvr_train::metrics::read(&path)? {
            let Value::Object(line) = line else { continue };
            let (name, kind) = (text(&line, "stage"), text(&line, "kind"));
            let Some(stage) = stages.iter_mut().find(|stage| Some(stage.name.as_str()) == name) else {
                bail!("{}: a line is of the stage {name:?}, which config.toml does not have", path.display());
            };
            stage.seconds += number(&line, "seconds").unwrap_or(0.0);
            if kind == Some("eval") { stage.evals.push(line) } else { stage.steps.push(line) }
        }
        let path = folder.join("summary.json");
        let summary: Option<Summary> = match std::fs::read_to_string(&path) {
            Ok(text) => {
                Some(serde_json::from_str(&text).with_context(|| format!("{}: no summary", path.display()))?)
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("{}: cannot be read", path.display())),
        };
        let done =
            |stage: &Stage| summary.iter().flat_map(|all| &all.stages).any(|one| one.name == stage.name);
        let finished = stages.iter().all(done);
        let version = summary.and_then(|summary| summary.version);
        Ok(Self { name: parsed.name, seed: parsed.seed, version, stages, config, finished })
    }

    /// Task sets in the order of their first evaluation.
    pub fn tasksets(&self) -> Vec<&str> {
        let mut sets: Vec<&str> = Vec::new();
        let evals = self.stages.iter().flat_map(|stage| stage.evals.iter());
        for set in evals.filter_map(|line| text(line, "taskset")) {
            if !sets.contains(&set) {
                sets.push(set);
            }
        }
        sets
    }

    /// The stages of a kind that have taken steps.
    pub fn trained<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Stage> {
        self.stages.iter().filter(move |stage| stage.kind == kind && !stage.steps.is_empty())
    }
}

impl Stage {
    /// Steps done.
    pub fn done(&self) -> u64 {
        self.steps.last().and_then(|line| number(line, "step")).unwrap_or(0.0) as u64
    }

    /// The last evaluation on a task set.
    pub fn eval(&self, taskset: &str) -> Option<&Line> {
        self.evals.iter().rfind(|line| text(line, "taskset") == Some(taskset))
    }

    /// A metric over the steps. An outcome that a step does not name had no share in it.
    pub fn points(&self, metric: &str) -> Vec<(f64, f64)> {
        let absent = metric.starts_with("outcome/").then_some(0.0);
        let point = |line| Some((number(line, "step")?, number(line, metric).or(absent)?));
        self.steps.iter().filter_map(point).collect()
    }

    /// Names of the metrics that start so, without that start, in the order of their first appearance.
    pub fn metrics(&self, start: &str) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for name in self.steps.iter().flat_map(|line| line.keys()).filter_map(|name| name.strip_prefix(start))
        {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }
}
