//! How a run shows itself: bars with an estimate of the time left on a terminal, plain lines otherwise.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use rlvr_train::metrics::{Kind, Record};
use rlvr_train::progress::{Event, Observer};
use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The observer for this process's stderr.
pub fn observer(quiet: bool) -> Box<dyn Observer> {
    if quiet {
        return Box::new(Quiet);
    }
    if std::io::stderr().is_terminal() { Box::new(Bars::default()) } else { Box::new(Lines::default()) }
}

/// A bar over the reading of a model outside a run, on a terminal.
pub fn loading() -> impl FnMut(usize, usize) {
    let bars = std::io::stderr().is_terminal().then(Bars::default);
    move |done, of| {
        if let Some(bars) = &bars {
            bars.loading(done, of);
        }
    }
}

/// Numbers of a model whose reading is shown.
const LARGE: usize = 250_000_000;
/// What the bar over it is called; it counts millions of numbers.
const LOADING: &str = "weights, M";

/// Says nothing but what needs attention.
struct Quiet;

impl Observer for Quiet {
    fn observe(&self, event: Event<'_>) {
        if let Event::Message(message) = event {
            eprintln!("{message}");
        }
    }
}

/// At most a line a second, and one for whatever begins or ends.
#[derive(Default)]
struct Lines {
    last: Mutex<Option<Instant>>,
    steps: Mutex<u64>,
}

impl Lines {
    fn due(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|at| at.elapsed() >= Duration::from_secs(1));
        if due {
            *last = Some(Instant::now());
        }
        due
    }
}

impl Observer for Lines {
    fn observe(&self, event: Event<'_>) {
        let mut steps = self.steps.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::StageStarted { stage, kind, from, done, steps: all } => {
                *steps = all;
                eprintln!("{}", started(stage, kind, from, done, all));
            }
            Event::Step { record } => {
                if self.due() || record.step() == *steps {
                    eprintln!("{} {}/{}  {}", record.stage(), record.step(), steps, figures(record));
                }
            }
            Event::EvalDone { record } => eprintln!("{}", evaluated(record)),
            Event::StageDone { stage, seconds } => eprintln!("{stage}: done in {seconds:.1} s"),
            Event::Message(message) => eprintln!("{message}"),
            Event::Loading { .. }
            | Event::EvalStarted { .. }
            | Event::EvalProgress { .. }
            | Event::Saved { .. } => {}
        }
    }
}

/// One bar at a time.
#[derive(Default)]
struct Bars {
    bar: Mutex<Option<ProgressBar>>,
}

impl Bars {
    fn replace(&self, length: u64, done: u64, name: &str) {
        let template = "{prefix:>10} [{bar:28}] {pos}/{len}  {elapsed} + {eta}  {msg}";
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr_with_hz(8));
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(name.to_owned());
        bar.set_position(done);
        bar.reset_eta();
        *self.bar.lock().unwrap_or_else(PoisonError::into_inner) = Some(bar);
    }

    /// Shows how far the reading of a model has come, if it is one that takes a while.
    fn loading(&self, done: usize, of: usize) {
        if of < LARGE {
            return;
        }
        let millions = |numbers: usize| (numbers / 1_000_000) as u64;
        let mut begun = false;
        self.with(|bar| begun = bar.prefix() == LOADING);
        if !begun {
            self.replace(millions(of), 0, LOADING);
        }
        self.with(|bar| match done == of {
            true => {
                bar.finish_and_clear();
                bar.set_prefix("");
            }
            false => bar.set_position(millions(done)),
        });
    }

    fn with(&self, body: impl FnOnce(&ProgressBar)) {
        if let Some(bar) = &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            body(bar);
        }
    }

    fn line(&self, text: &str) {
        let bar = self.bar.lock().unwrap_or_else(PoisonError::into_inner);
        match &*bar {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }
}

impl Observer for Bars {
    fn observe(&self, event: Event<'_>) {
        match event {
            Event::StageStarted { stage, kind, from, done, steps } => {
                self.line(&started(stage, kind, from, done, steps));
                self.replace(steps, done, stage);
            }
            Event::Loading { done, of } => self.loading(done, of),
            Event::Step { record } => self.with(|bar| {
                bar.set_position(record.step());
                bar.set_message(figures(record));
            }),
            Event::EvalStarted { taskset, samples, .. } => {
                self.with(|bar| bar.finish());
                self.replace(samples, 0, taskset);
            }
            Event::EvalProgress { done } => self.with(|bar| bar.set_position(done)),
            Event::EvalDone { record } => {
                self.with(|bar| bar.finish_and_clear());
                self.line(&evaluated(record));
            }
            Event::StageDone { stage, seconds } => self.line(&format!("{stage}: done in {seconds:.1} s")),
            Event::Message(message) => self.line(message),
            Event::Saved { .. } => {}
        }
    }
}

fn started(stage: &str, kind: &str, from: Option<&str>, done: u64, steps: u64) -> String {
    let kind = if kind == "rl" { "reinforcement learning" } else { "mid-training" };
    let from = from.map(|from| format!(" from {from}")).unwrap_or_default();
    let done = if done > 0 { format!(", going on after step {done}") } else { String::new() };
    format!("{stage}: {kind}{from}, {steps} steps{done}")
}

fn number(record: &Record, name: &str) -> Option<f64> {
    record.get(name).and_then(|value| value.as_f64())
}

/// The few numbers of a step that a person follows.
fn figures(record: &Record) -> String {
    let names: &[(&str, &str)] = match record.kind() {
        Kind::MidTrain => &[("loss", "loss"), ("grad_norm", "|g|"), ("tokens_per_s", "tok/s")],
        _ => &[
            ("reward/mean", "reward"),
            ("pass_rate", "pass"),
            ("entropy", "entropy"),
            ("length/mean", "length"),
            ("seconds", "s"),
        ],
    };
    let shown = names.iter().filter_map(|(name, short)| {
        let value = number(record, name)?;
        let digits = if value.abs() >= 100.0 { 0 } else { 3 };
        Some(format!("{short} {value:.digits$}"))
    });
    shown.collect::<Vec<_>>().join("  ")
}

fn evaluated(record: &Record) -> String {
    let taskset = record.get("taskset").and_then(|v| v.as_str()).unwrap_or_default();
    let passes = record.numbers().filter(|(name, _)| name.starts_with("pass@") && !name.contains('/'));
    let passes: Vec<String> = passes
        .map(|(name, value)| {
            let bound = |side: &str| number(record, &format!("{name}/{side}")).unwrap_or(f64::NAN);
            format!("{name} {value:.3} [{:.3}, {:.3}]", bound("low"), bound("high"))
        })
        .collect();
    format!("{} on {taskset}: {}", record.stage(), passes.join("  "))
}
