//! Where the time went: one bar a stage, cut into its phases.

use std::fmt::Write as _;

use super::html::{duration, escape, grouped};
use super::run::{Run, Stage, number};

/// A phase's name and seconds.
type Phase = (&'static str, f64);

/// The section; empty before the first step.
pub fn section(run: &Run) -> String {
    let stages: Vec<(&Stage, Vec<Phase>)> = run
        .stages
        .iter()
        .map(|stage| (stage, phases(stage)))
        .filter(|(stage, _)| stage.seconds > 0.0)
        .collect();
    let longest = stages.iter().map(|(stage, _)| stage.seconds).fold(0.0, f64::max);
    if longest == 0.0 {
        return String::new();
    }
    let mut html = String::from(
        "<section><h2>Time</h2><p class=\"legend\"><span class=\"phase p-train\">training</span>\
         <span class=\"phase p-rollout\">rollouts</span>\
         <span class=\"phase p-verify\">waiting for verdicts</span><span class=\"phase p-eval\">evaluation</span>\
         <span class=\"phase p-other\">other</span></p><table class=\"times\"><tbody>",
    );
    for (stage, phases) in &stages {
        let _ = write!(
            html,
            "<tr><td><span class=\"key c{}\">{}</span></td><td class=\"bar\"><div>",
            stage.colour,
            escape(&stage.name)
        );
        for (name, seconds) in phases.iter().filter(|(_, seconds)| *seconds > 0.0) {
            let _ = write!(
                html,
                "<i class=\"p-{name}\" style=\"width:{:.2}%\" title=\"{name}: {}\"></i>",
                100.0 * seconds / longest,
                duration(*seconds)
            );
        }
        let _ = write!(html, "</div></td><td>{}</td><td>{}</td></tr>", duration(stage.seconds), speed(stage));
    }
    html += "</tbody></table></section>";
    html
}

/// A stage's seconds by phase; they sum to its own.
fn phases(stage: &Stage) -> Vec<Phase> {
    let sum = |metric: &str| stage.steps.iter().filter_map(|line| number(line, metric)).sum::<f64>();
    let steps = sum("seconds");
    let eval: f64 = stage.evals.iter().filter_map(|line| number(line, "seconds")).sum();
    if stage.kind == "mid_train" {
        return vec![("train", steps), ("eval", eval)];
    }
    let (rollout, verify, train) = (sum("seconds/rollout"), sum("seconds/verify"), sum("seconds/train"));
    let other = (steps - rollout - verify - train).max(0.0);
    vec![("rollout", rollout), ("verify", verify), ("train", train), ("other", other), ("eval", eval)]
}

/// Median tokens a second of each phase.
fn speed(stage: &Stage) -> String {
    let said = |metric: &str, phase: &str| {
        let mut speeds: Vec<f64> = stage.steps.iter().filter_map(|line| number(line, metric)).collect();
        speeds.sort_by(f64::total_cmp);
        let median = speeds.get(speeds.len() / 2)?;
        Some(format!("{} tokens/s{phase}", grouped(median.round() as i64)))
    };
    let all = [
        said("tokens_per_s", ""),
        said("tokens_per_s/rollout", " sampled"),
        said("tokens_per_s/train", " trained"),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
