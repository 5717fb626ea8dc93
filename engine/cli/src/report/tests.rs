//! The page of a made-up run that has everything in it: four stages, two task sets, hostile completions.

use std::path::Path;
use std::sync::Arc;

use rlvr_train::ledger::{Ledger, Row, write_rows};
use rlvr_train::timeline::Timeline;
use rlvr_verdict::{Problem, Registry};
use serde_json::{Value, json};

use super::*;

const CONFIG: &str = r#"name = "made up <b>run</b>"
seed = 3

[[stage]]
name = "base"
kind = "mid_train"

[[stage]]
name = "base+rl"
kind = "rl"
from = "base"

[[stage]]
name = "mid"
kind = "mid_train"
from = "base"

[[stage]]
name = "mid+rl"
kind = "rl"
from = "mid"
"#;

const SUMMARY: &str = r#"{"version": "0.1.0", "stages":
    [{"name": "base"}, {"name": "base+rl"}, {"name": "mid"}, {"name": "mid+rl"}]}"#;

/// What ends a script, opens markup, or looks like a template, each in a completion.
const HOSTILE: [&str; 3] = [
    "</script><script>document.title='owned'</script>",
    "<img src=x onerror=\"document.title='owned'\">",
    "<!-- ${1+1}",
];

fn eval(stage: &str, step: u64, set: &str, n: u64, one: f64, many: f64) -> Value {
    let mut line = json!({
        "stage": stage, "kind": "eval", "step": step, "taskset": set, "n": n, "samples": 8, "maj@8": (one * 1.2).min(1.0),
        "length/mean": 61.3, "truncated": 0.03, "seconds": 12.5,
    });
    for (name, value) in [("pass@1", one), ("pass@8", many)] {
        line[name] = json!(value);
        line[format!("{name}/low")] = json!(value - 0.03);
        line[format!("{name}/high")] = json!(value + 0.03);
        for (tag, factor) in [("add", 0.8), ("story", 1.1)] {
            line[format!("tag/{tag}/{name}")] = json!((value * factor).min(1.0));
            line[format!("tag/{tag}/n")] = json!(n / 2);
        }
    }
    line
}

fn mid_train(stage: &str, step: u64, from: f64) -> Value {
    let wave = (step as f64 * 1.7).sin() * 0.05;
    let loss = 0.4 + from * (-(step as f64) / 120.0).exp() + wave;
    json!({
        "stage": stage, "kind": "mid_train", "step": step, "loss": loss, "loss/math": loss * 0.8, "loss/web": loss * 1.3,
        "tokens": 4096, "tokens/math": 2900, "tokens/web": 1196, "lr": 2e-3 * (1.0 - step as f64 / 500.0),
        "grad_norm": 0.8 + wave, "tokens_per_s": 41_000.0, "seconds": 0.1,
    })
}

fn rl(stage: &str, step: u64, rate: f64) -> Value {
    let at = step as f64 / 60.0;
    let pass = (rate * (1.0 + at) + (step as f64 * 2.3).sin() * 0.03).max(0.0);
    json!({
        "stage": stage, "kind": "rl", "step": step, "reward/mean": pass * 1.1, "reward/std": 0.4, "pass_rate": pass,
        "reward/part/correct": pass, "reward/part/format": 0.9, "outcome/pass": pass, "outcome/fail": 0.9 - pass,
        "outcome/unparseable": 0.1, "groups": 16, "groups/with_variance": 9, "groups/dropped": 3, "group_std": 0.3,
        "refills": 1, "faults": 0, "entropy": 0.7 - 0.3 * at, "kl": 0.0, "clip_fraction": 0.0, "ratio/mean": 1.0,
        "ratio/max": 1.2, "policy_loss": -0.01, "grad_norm": 0.2, "lr": 3e-5, "length/mean": 60.0 + 8.0 * at,
        "length/max": 96, "length/prompt": 31.0, "truncated": 0.05, "mismatch/mean": 2e-8, "mismatch/max": 4e-7,
        "mismatch/k3": 1e-14, "tokens": 7900, "tokens_per_s/rollout": 13_000.0, "tokens_per_s/train": 9_000.0,
        "seconds": 1.2, "seconds/rollout": 0.6, "seconds/verify": 0.01, "seconds/train": 0.5,
    })
}

fn row(stage: &str, step: i64, group: i64, sample: i32) -> Row {
    let outcome = ["pass", "fail", "unparseable"][((group + i64::from(sample)) % 3) as usize];
    let text = match sample {
        0..3 => HOSTILE[sample as usize].to_owned(),
        _ => format!("12 + {group}: 2 + {group} = {}, carry 0.\n#### {}", group + 2, group + 12),
    };
    Row {
        stage: stage.to_owned(),
        step,
        group,
        problem_id: format!("math-tasks/train/{}", 100 * step + group),
        problem: Arc::new(Problem { answer: Some((group + 12).to_string()), ..Problem::default() }),
        prompt_key: 7,
        sample,
        attempt: 0,
        prompt: format!("What is 12 + {group}?\n"),
        prompt_ids: vec![1, 2],
        completion: text,
        ids: vec![5; 40],
        logprobs: vec![-0.25; 40],
        finish: "stop".to_owned(),
        policy_version: step - 1,
        verifier: "math".to_owned(),
        outcome: outcome.to_owned(),
        score: Some(if outcome == "pass" { 1.0 } else { 0.0 }),
        reason: format!("read {} after ####, wanted {}", group + 12, group + 12),
        parts: vec![("correct".to_owned(), 1.0), ("format".to_owned(), 0.1)],
        verdicts: Vec::new(),
        reward: Some(if outcome == "pass" { 1.1 } else { 0.1 }),
        advantage: Some(0.5),
        used: sample != 3,
        fuel: 0,
        wall_s: 1e-5,
        sampled_s: 0.4,
    }
}

/// Writes the run's folder.
fn made_up_run(folder: &Path) {
    std::fs::write(folder.join("config.toml"), CONFIG).unwrap();
    std::fs::write(folder.join("summary.json"), SUMMARY).unwrap();
    let mut lines = Vec::new();
    let stages = [
        ("base", 150, 0.01, 0.06),
        ("base+rl", 60, 0.03, 0.11),
        ("mid", 400, 0.27, 0.69),
        ("mid+rl", 60, 0.51, 0.85),
    ];
    for (stage, steps, one, many) in stages {
        for step in 1..=steps {
            lines.push(if stage.ends_with("rl") {
                rl(stage, step, one)
            } else {
                mid_train(stage, step, 1.5 - one)
            });
            if stage == "mid+rl" && step % 20 == 0 && step < steps {
                lines.push(eval(stage, step, "math", 512, 0.3 + step as f64 / 300.0, 0.8));
            }
        }
        lines.push(eval(stage, steps, "math", 512, one, many));
        lines.push(eval(stage, steps, "facts", 200, one * 0.9 + 0.1, many));
    }
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(folder.join("metrics.jsonl"), text).unwrap();
    let timeline = Timeline::new(&["base", "base+rl", "mid", "mid+rl"], None).unwrap();
    let ledger = Ledger::open(folder, &timeline).unwrap();
    for stage in ["base+rl", "mid+rl"] {
        for step in 1..=60u64 {
            let rows: Vec<Row> = (0..16)
                .flat_map(|group| (0..8).map(move |sample| row(stage, step as i64, group, sample)))
                .collect();
            ledger.write(stage, step, &rows).unwrap();
        }
    }
    let samples = folder.join("samples");
    std::fs::create_dir(&samples).unwrap();
    for (stage, steps, ..) in stages {
        for (set, step) in [("math", steps), ("facts", steps), ("math", 20)] {
            let rows: Vec<Row> = (0..50)
                .flat_map(|group| (0..8).map(move |sample| row(stage, step as i64, group, sample)))
                .collect();
            write_rows(&samples.join(format!("{stage}-{step:06}-{set}.parquet")), &rows).unwrap();
        }
    }
}

fn page() -> String {
    let folder = tempfile::tempdir().unwrap();
    made_up_run(folder.path());
    std::fs::read_to_string(write(folder.path(), &Registry::new()).unwrap()).unwrap()
}

/// The JSON that the page's script reads.
fn samples(page: &str) -> Vec<Value> {
    let start = "<script type=\"application/json\" id=\"samples\">";
    let data = page.split(start).nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(data).unwrap()
}

#[test]
fn the_page_tells_the_story_and_holds_every_section() {
    let page = page();
    for part in [
        "solves <b>51.0 %</b>, 24.0 points more than mid.",
        "On the 512 problems of <b>math</b>",
        "Loss of mid",
        "Pass rate",
        "Zero throughout: kl to the reference, clipped, verifier faults.",
        "Part of the reward: format",
        "pass@1 on math on the way",
        "By kind of problem",
        "13,000 tokens/s sampled",
        "rlvr 0.1.0",
    ] {
        assert!(page.contains(part), "{part}");
    }
}

#[test]
fn nothing_in_a_run_becomes_markup_and_nothing_comes_from_outside() {
    let page = page();
    assert!(page.contains("made up &lt;b&gt;run&lt;/b&gt;") && !page.contains("made up <b>"));
    assert_eq!(page.matches("</script>").count(), 2, "the data's and the page's own");
    assert!(!page.contains("<img") && !page.contains("<!--"));
    let shown = samples(&page);
    for text in HOSTILE {
        assert!(shown.iter().any(|sample| sample["completion"] == text), "{text} is shown as it is");
    }
    let urls: Vec<&str> = ["http://", "https://", "src=\"", "url(", "@import"]
        .into_iter()
        .filter(|u| page.contains(u))
        .collect();
    assert_eq!(urls, Vec::<&str>::new());
}

#[test]
fn samples_are_bounded_the_same_each_time_and_in_whole_groups() {
    let (page, again) = (page(), page());
    assert_eq!(page, again);
    let shown = samples(&page);
    assert!((200..=400).contains(&shown.len()), "{}", shown.len());
    let key = |sample: &Value| ["drawn", "stage", "step", "group"].map(|field| sample[field].to_string());
    for group in shown.chunk_by(|a, b| key(a) == key(b)) {
        assert_eq!(group.len(), 8);
    }
    for stage in ["base+rl", "mid+rl"] {
        let trained = |sample: &&Value| sample["drawn"] == "training" && sample["stage"] == stage;
        let steps: Vec<u64> =
            shown.iter().filter(trained).filter_map(|sample| sample["step"].as_u64()).collect();
        assert_eq!(
            (steps.first(), steps.last()),
            (Some(&1), Some(&60)),
            "the first and the last step are shown"
        );
    }
    assert!(page.len() < 1 << 20, "{}", page.len());
}

#[test]
fn stages_are_shown_on_the_same_problems_of_their_last_evaluation() {
    let page = page();
    let shown = samples(&page);
    let math: Vec<&Value> = shown.iter().filter(|sample| sample["drawn"] == "evaluation on math").collect();
    let first: Vec<(&str, u64)> = math
        .iter()
        .take(32)
        .step_by(8)
        .map(|sample| (sample["stage"].as_str().unwrap(), sample["step"].as_u64().unwrap()))
        .collect();
    assert_eq!(shown[0], *math[0], "the first task set of the results comes first");
    assert_eq!(first, [("base", 150), ("base+rl", 60), ("mid", 400), ("mid+rl", 60)]);
    assert!(math[..32].iter().all(|sample| sample["group"] == math[0]["group"]));
}

#[test]
fn a_run_that_has_only_begun_has_a_page_too() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.toml"), CONFIG).unwrap();
    std::fs::write(folder.path().join("metrics.jsonl"), "").unwrap();
    let page = std::fs::read_to_string(write(folder.path(), &Registry::new()).unwrap()).unwrap();
    assert!(page.contains("not finished") && page.contains("No stage has been evaluated yet."));
}

#[test]
fn a_folder_that_is_no_runs_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let message = format!("{:#}", write(folder.path(), &Registry::new()).unwrap_err());
    assert!(
        message.contains("config.toml: cannot be read; a run's folder is one that `rlvr run` wrote"),
        "{message}"
    );
}

#[test]
fn faults_are_counted_by_verifier_and_verdicts_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let judging = "[verifiers.lenient]\nkind = \"exact\"\ncase = \"ignore\"\n\n\
        [[reward.parts]]\nname = \"right\"\n\n[[reward.parts]]\nname = \"nearly\"\nverifier = \"lenient\"\n\n";
    let stages = CONFIG.find("[[stage]]").unwrap();
    let config = format!("{}{judging}{}", &CONFIG[..stages], &CONFIG[stages..]);
    std::fs::write(folder.path().join("config.toml"), config).unwrap();
    let mut line = rl("mid+rl", 1, 0.5);
    line["faults"] = json!(3);
    line["faults/exact"] = json!(2);
    line["faults/lint"] = json!(1);
    std::fs::write(folder.path().join("metrics.jsonl"), format!("{line}\n")).unwrap();
    let ledger = Ledger::open(folder.path(), &Timeline::new(&["mid+rl"], None).unwrap()).unwrap();
    let problem = Problem { verifier: "exact".into(), answer: Some("Paris".into()), ..Problem::default() };
    let sample = Row { problem: Arc::new(problem), verifier: "exact".into(), ..row("mid+rl", 1, 0, 3) };
    ledger.write("mid+rl", 1, &[sample]).unwrap();
    let page = write(folder.path(), &rlvr_train::run::verifiers()).unwrap();
    let page = std::fs::read_to_string(page).unwrap();
    assert!(page.contains("Faults by verifier"), "{page}");
    for (verifier, count) in [("exact", 2), ("lint", 1)] {
        assert!(
            page.contains(&format!("<tr><td>{verifier}</td>")) && page.contains(&format!("<td>{count}</td>"))
        );
    }
    let steps = &samples(&page)[0]["steps"];
    assert_eq!(steps[0], json!({"name": "right: gold, in normal form", "found": "\"Paris\""}), "{steps}");
    assert_eq!(steps[3], json!({"name": "nearly: gold, in normal form", "found": "\"paris\""}), "{steps}");
}
