//! How the stages went: losses by domain in mid-training; reward, lengths, entropy and the rest in reinforcement learning.

use super::chart::{Lines, Series};
use super::html::{escape, grouped};
use super::run::{Run, Stage, number};
use std::collections::BTreeMap;

/// Loss by domain, learning rate and gradient norm of the mid-training stages; empty where there is none.
pub fn mid_training(run: &Run) -> String {
    let stages: Vec<&Stage> = run.trained("mid_train").collect();
    if stages.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section><h2>Mid-training</h2><div class=\"charts\">");
    for stage in &stages {
        let mut domains = stage.metrics("loss/");
        let metric =
            |domain: &str| if domain.is_empty() { "loss".to_owned() } else { format!("loss/{domain}") };
        if domains.is_empty() {
            domains.push("");
        }
        let series = domains.iter().enumerate().map(|(colour, domain)| Series {
            name: (*domain).to_owned(),
            colour: colour % 8,
            points: stage.points(&metric(domain)),
        });
        let title = format!("Loss of {}", stage.name);
        let note = "nats a token, by domain".to_owned();
        html += &Lines { title, note, series: series.collect(), from_zero: false, noisy: true }.figure();
    }
    html += &over_stages(&stages, "lr", "Learning rate", "", true);
    html += &over_stages(&stages, "grad_norm", "Gradient norm", "before clipping", true);
    html += "</div>";
    html += &tokens(&stages);
    html += "</section>";
    html
}

/// Tokens trained on, by stage and domain.
fn tokens(stages: &[&Stage]) -> String {
    let mut html = String::from(
        "<details><summary>Tokens by domain</summary><div class=\"scroll\"><table><thead><tr><th>stage</th>\
         <th>domain</th><th>tokens</th><th>share</th></tr></thead><tbody>",
    );
    for stage in stages {
        let sum = |metric: &str| stage.steps.iter().filter_map(|line| number(line, metric)).sum::<f64>();
        let all = sum("tokens").max(1.0);
        for domain in stage.metrics("tokens/") {
            let tokens = sum(&format!("tokens/{domain}"));
            html += &format!(
                "<tr><td><span class=\"key c{}\">{}</span></td><td>{}</td><td>{}</td><td>{:.1} %</td></tr>",
                stage.colour,
                escape(&stage.name),
                escape(domain),
                grouped(tokens as i64),
                100.0 * tokens / all
            );
        }
    }
    html + "</tbody></table></div></details>"
}

/// What is drawn of the RL stages: the metric, its title, a note, and whether its axis starts at 0.
const RL: [(&str, &str, &str, bool); 17] = [
    ("reward/mean", "Reward", "mean of the step's samples", true),
    ("pass_rate", "Pass rate", "share of samples that pass", true),
    ("group_std", "Spread within groups", "mean standard deviation of a group's rewards", true),
    ("entropy", "Entropy", "nats a token", true),
    ("length/mean", "Completion length", "mean tokens", true),
    ("truncated", "Cut off", "share of samples that reach max_tokens", true),
    ("kl", "KL to the reference", "nats a token", true),
    ("clip_fraction", "Clipped", "share of tokens", true),
    ("ratio/max", "Largest ratio", "of new to old probability", false),
    (
        "mismatch/max",
        "Largest mismatch",
        "sampler against trainer: difference of a token's log-probability",
        true,
    ),
    ("mismatch/mean", "Mean mismatch", "sampler against trainer: difference of log-probabilities", true),
    ("grad_norm", "Gradient norm", "before clipping", true),
    ("policy_loss", "Policy loss", "", false),
    ("lr", "Learning rate", "", true),
    ("refills", "Refills", "draws of more prompts, for groups without variance", true),
    ("groups/dropped", "Groups dropped", "all rewards equal, or too many faults", true),
    ("faults", "Verifier faults", "samples", true),
];

/// The small charts of the RL stages, one line a stage; empty where there is none.
pub fn reinforcement(run: &Run) -> String {
    let stages: Vec<&Stage> = run.trained("rl").collect();
    if stages.is_empty() {
        return String::new();
    }
    let mut html = String::from("<section><h2>Reinforcement learning</h2><div class=\"charts\">");
    let mut zero: Vec<String> = Vec::new();
    let mut draw = |metric: &str, title: &str, note: &str, from_zero: bool| {
        let all_zero = stages.iter().all(|stage| stage.points(metric).iter().all(|point| point.1 == 0.0));
        let measured = stages.iter().any(|stage| !stage.points(metric).is_empty());
        if all_zero && measured {
            zero.push(title.to_lowercase());
        } else {
            html += &over_stages(&stages, metric, title, note, from_zero);
        }
    };
    for (metric, title, note, from_zero) in RL {
        draw(metric, title, note, from_zero);
    }
    for part in names(&stages, "reward/part/") {
        draw(&format!("reward/part/{part}"), &format!("Part of the reward: {part}"), "mean", true);
    }
    for outcome in names(&stages, "outcome/").into_iter().filter(|outcome| *outcome != "pass") {
        draw(
            &format!("outcome/{outcome}"),
            &format!("Outcome: {}", outcome.replace('_', " ")),
            "share of samples",
            true,
        );
    }
    html += "</div>";
    if !zero.is_empty() {
        html += &format!("<p class=\"aside\">Zero throughout: {}.</p>", escape(&zero.join(", ")));
    }
    html += &faults(run);
    html + "</section>"
}

/// Faults by verifier and stage, of training and evaluations; empty where there were none.
fn faults(run: &Run) -> String {
    let mut rows = String::new();
    for stage in &run.stages {
        let mut counts: BTreeMap<&str, [f64; 2]> = BTreeMap::new();
        for (kind, lines) in [&stage.steps, &stage.evals].into_iter().enumerate() {
            for (name, count) in lines.iter().flatten() {
                if let (Some(verifier), Some(count)) = (name.strip_prefix("faults/"), count.as_f64()) {
                    counts.entry(verifier).or_default()[kind] += count;
                }
            }
        }
        for (verifier, [training, evaluation]) in counts {
            rows += &format!(
                "<tr><td>{}</td><td><span class=\"key c{}\">{}</span></td><td>{}</td><td>{}</td></tr>",
                escape(verifier),
                stage.colour,
                escape(&stage.name),
                grouped(training as i64),
                grouped(evaluation as i64)
            );
        }
    }
    if rows.is_empty() {
        return rows;
    }
    format!(
        "<h3>Faults by verifier</h3><p class=\"aside\">Samples on which a verifier itself failed: they have no reward, and left their \
         group. Their reasons are in the ledger.</p><div class=\"scroll\"><table><thead><tr><th>verifier</th><th>stage</th>\
         <th>in training</th><th>in evaluations</th></tr></thead><tbody>{rows}</tbody></table></div>"
    )
}

/// The names of metrics with this start in any of the stages.
fn names<'a>(stages: &[&'a Stage], start: &str) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::new();
    for name in stages.iter().flat_map(|stage| stage.metrics(start)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// One metric, a line for each stage.
fn over_stages(stages: &[&Stage], metric: &str, title: &str, note: &str, from_zero: bool) -> String {
    let series = stages.iter().map(|stage| Series {
        name: stage.name.clone(),
        colour: stage.colour,
        points: stage.points(metric),
    });
    let noisy = metric != "lr";
    Lines { title: title.to_owned(), note: note.to_owned(), series: series.collect(), from_zero, noisy }
        .figure()
}
