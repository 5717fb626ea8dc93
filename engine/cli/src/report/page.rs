//! The page's frame: head, story, sections, the browser of samples, with style and script inline.
//!
//! The content-security policy allows nothing from outside and no script but this page's own, by its hash: should text
//! from a run ever reach the page unescaped, it still could not run.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::html::{duration, escape, grouped, json_in_script};
use super::run::{Run, Stage, number};
use super::{results, timings, training};

const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = include_str!("page.js");

/// The whole page.
pub fn render(run: &Run, samples: &[Value]) -> String {
    let hash = BASE64_STANDARD.encode(Sha256::digest(SCRIPT));
    let name = escape(&run.name);
    let mut html = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; \
         script-src 'sha256-{hash}'\"><title>{name}</title><style>{STYLE}</style></head><body><main>\
         <header><h1>{name}</h1>{}</header>",
        facts(run)
    );
    html += &results::story(run);
    html += &stages(run);
    html += &results::section(run);
    html += &training::mid_training(run);
    html += &training::reinforcement(run);
    html += &timings::section(run);
    html += &browser(samples);
    html += &format!(
        "<section><h2>Config</h2><details><summary>config.toml, with every default filled in</summary>\
         <pre class=\"config\">{}</pre></details></section></main>",
        escape(&run.config)
    );
    html += &format!(
        "<script type=\"application/json\" id=\"samples\">{}</script><script>{SCRIPT}</script></body></html>\n",
        json_in_script(&Value::Array(samples.to_vec()))
    );
    html
}

/// The line below the title.
fn facts(run: &Run) -> String {
    let seconds: f64 = run.stages.iter().map(|stage| stage.seconds).sum();
    let count = run.stages.len();
    let mut facts = vec![
        format!("{count} stage{}", if count == 1 { "" } else { "s" }),
        format!("seed {}", run.seed),
        duration(seconds),
    ];
    facts.extend(run.version.as_ref().map(|version| format!("rlvr {version}")));
    if !run.finished {
        facts.push("not finished: this is how far it has come".to_owned());
    }
    format!("<p class=\"facts\">{}</p>", escape(&facts.join(" · ")))
}

/// What was done, as a tree: each stage below the one that it started from.
fn stages(run: &Run) -> String {
    let roots = |stage: &&Stage| {
        stage.from.as_deref().is_none_or(|from| run.stages.iter().all(|one| one.name != from))
    };
    let items: String = run.stages.iter().filter(roots).map(|stage| branch(run, stage)).collect();
    format!("<ul class=\"tree\">{items}</ul>")
}

fn branch(run: &Run, stage: &Stage) -> String {
    let below: String = run
        .stages
        .iter()
        .filter(|one| one.from.as_deref() == Some(&stage.name))
        .map(|one| branch(run, one))
        .collect();
    let below = if below.is_empty() { below } else { format!("<ul>{below}</ul>") };
    let kind = if stage.kind == "rl" { "reinforcement learning" } else { "mid-training" };
    let tokens: f64 = stage.steps.iter().filter_map(|line| number(line, "tokens")).sum();
    format!(
        "<li><span class=\"key c{}\"><b>{}</b></span> <small>{kind}, {} steps, {} tokens, {}</small>{below}</li>",
        stage.colour,
        escape(&stage.name),
        grouped(stage.done() as i64),
        grouped(tokens as i64),
        duration(stage.seconds)
    )
}

/// The empty frame that the script fills with samples.
fn browser(samples: &[Value]) -> String {
    if samples.is_empty() {
        return String::new();
    }
    format!(
        "<section id=\"browser\"><h2>Completions and their verdicts</h2>\
         <p class=\"aside\">{} of the samples, in whole groups; all of them are in <code>samples/</code> (evaluations) and \
         <code>ledger/</code> (training). <kbd>j</kbd> and <kbd>k</kbd> go to the next and the previous one, \
         <kbd>g</kbd> to the next group.</p>\
         <noscript><p>The browser of completions needs JavaScript, which this page carries itself.</p></noscript>\
         <form id=\"filters\"></form><div class=\"browser\"><ol id=\"list\" tabindex=\"0\" \
         aria-label=\"samples\"></ol><article id=\"sample\" aria-live=\"polite\"></article></div></section>",
        samples.len()
    )
}
