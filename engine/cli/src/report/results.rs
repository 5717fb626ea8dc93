//! What each stage can do: pass@1 and pass@k with confidence intervals, in words, as a chart and as a table.

use std::fmt::Write as _;

use super::chart::{Dots, Interval, Lines, Row, Series};
use super::html::{escape, grouped};
use super::run::{Line, Run, Stage, number, text};

/// The section; a sentence where nothing has been evaluated yet.
pub fn section(run: &Run) -> String {
    let sets = run.tasksets();
    if sets.is_empty() {
        return "<section><h2>What each stage can do</h2><p>No stage has been evaluated yet.</p></section>"
            .to_owned();
    }
    let mut html = String::from("<section><h2>What each stage can do</h2>");
    for set in &sets {
        html += &taskset(run, set);
    }
    html += "</section>";
    html
}

/// One sentence a stage, on the task set with the most problems.
pub fn story(run: &Run) -> String {
    let problems = |set: &&str| {
        let sizes = run.stages.iter().filter_map(|stage| number(stage.eval(set)?, "n"));
        sizes.fold(0.0, f64::max) as u64
    };
    // The first of the largest: the order is the config's.
    let sets = run.tasksets();
    let Some(set) = sets.iter().copied().rev().max_by_key(problems) else { return String::new() };
    let mut html = format!(
        "<div class=\"story\"><p>On the {} problems of <b>{}</b>, at the first try:</p><ul>",
        grouped(problems(&set) as i64),
        escape(set)
    );
    for stage in &run.stages {
        let Some(now) = stage.eval(set).and_then(|line| interval(line, "pass@1")) else { continue };
        let _ = write!(
            html,
            "<li><span class=\"key c{}\"><b>{}</b></span> solves <b>{}</b>",
            stage.colour,
            escape(&stage.name),
            percent(now.value)
        );
        let parent =
            stage.from.as_deref().and_then(|from| run.stages.iter().find(|stage| stage.name == from));
        let before = parent.and_then(|parent| Some((parent, interval(parent.eval(set)?, "pass@1")?)));
        match before {
            Some((parent, before)) => {
                let _ = write!(html, ", {} {}", difference(now.value - before.value), escape(&parent.name));
                let apart = match (now.ends, before.ends) {
                    (Some(now), Some(before)) => now.0 > before.1 || now.1 < before.0,
                    _ => true,
                };
                html += if apart { "" } else { " (their intervals overlap)" };
                html += ".</li>";
            }
            None => html += ".</li>",
        }
    }
    html += "</ul></div>";
    html
}

fn taskset(run: &Run, set: &str) -> String {
    let evaluated: Vec<(&Stage, &Line)> =
        run.stages.iter().filter_map(|stage| Some((stage, stage.eval(set)?))).collect();
    let k = evaluated.iter().filter_map(|(_, line)| most_tries(line)).max();
    let many = k.map(|k| format!("pass@{k}"));
    let row = |(stage, line): &(&Stage, &Line)| Row {
        name: stage.name.clone(),
        colour: stage.colour,
        one: interval(line, "pass@1"),
        many: many.as_ref().and_then(|many| interval(line, many)),
    };
    let title = format!("pass@1 and pass@k of each stage on {set}");
    let dots = Dots { title, rows: evaluated.iter().map(row).collect() }.svg();
    let ring = many.as_ref().map_or_else(String::new, |many| {
        format!("<span class=\"mark ring\">{many}: solved in any of {} tries</span>", &many[5..])
    });
    let mut html = format!(
        "<h3>{}</h3><figure class=\"wide\"><figcaption><span class=\"legend\">\
         <span class=\"mark dot\">pass@1: solved at the first try</span>{ring}</span>\
         <small>lines: 95 % intervals</small></figcaption>{dots}</figure>",
        escape(set)
    );
    html += &table(&evaluated, many.as_deref(), k);
    html += &tags(&evaluated, many.as_deref());
    html += &course(run, set);
    html
}

/// The numbers behind the chart.
fn table(evaluated: &[(&Stage, &Line)], many: Option<&str>, k: Option<u64>) -> String {
    let maj =
        k.map(|k| format!("maj@{k}")).filter(|maj| evaluated.iter().any(|(_, line)| line.contains_key(maj)));
    let heads = ["stage", "from", "pass@1"].into_iter().chain(many).chain(maj.as_deref());
    let heads = heads.chain(["problems", "tokens", "cut off"]);
    let mut html = String::from("<div class=\"scroll\"><table><thead><tr>");
    for head in heads {
        let _ = write!(html, "<th>{head}</th>");
    }
    html += "</tr></thead><tbody>";
    for (stage, line) in evaluated {
        let _ = write!(
            html,
            "<tr><td><span class=\"key c{}\">{}</span></td><td>{}</td><td>{}</td>",
            stage.colour,
            escape(&stage.name),
            stage.from.as_deref().map_or_else(|| "–".to_owned(), escape),
            with_ends(interval(line, "pass@1"))
        );
        if let Some(many) = many {
            let _ = write!(html, "<td>{}</td>", with_ends(interval(line, many)));
        }
        if let Some(maj) = &maj {
            let _ = write!(html, "<td>{}</td>", number(line, maj).map_or("–".to_owned(), percent));
        }
        let _ = write!(
            html,
            "<td>{}</td><td>{}</td><td>{}</td></tr>",
            grouped(number(line, "n").unwrap_or(0.0) as i64),
            number(line, "length/mean").map_or("–".to_owned(), |length| format!("{length:.0}")),
            number(line, "truncated").map_or("–".to_owned(), percent)
        );
    }
    html += "</tbody></table></div>";
    html
}

/// pass@1 and pass@k by tag, one column a stage.
fn tags(evaluated: &[(&Stage, &Line)], many: Option<&str>) -> String {
    let mut tags: Vec<&str> = Vec::new();
    for (_, line) in evaluated {
        for tag in line.keys().filter_map(|key| key.strip_prefix("tag/")?.strip_suffix("/pass@1")) {
            if !tags.contains(&tag) {
                tags.push(tag);
            }
        }
    }
    if tags.is_empty() {
        return String::new();
    }
    let both = many.map_or_else(|| "pass@1".to_owned(), |many| format!("pass@1 / {many}"));
    let mut html = format!(
        "<details><summary>By kind of problem</summary><div class=\"scroll\"><table><thead><tr><th>{both}</th>"
    );
    for (stage, _) in evaluated {
        let _ = write!(html, "<th>{}</th>", escape(&stage.name));
    }
    html += "<th>problems</th></tr></thead><tbody>";
    for tag in tags {
        let _ = write!(html, "<tr><td>{}</td>", escape(tag));
        for (_, line) in evaluated {
            let share = |measure: &str| {
                let share = number(line, &format!("tag/{tag}/{measure}"));
                share.map_or_else(|| "–".to_owned(), percent)
            };
            let second = many.map_or_else(String::new, |many| format!(" / {}", share(many)));
            let _ = write!(html, "<td>{}{second}</td>", share("pass@1"));
        }
        let count = evaluated.iter().find_map(|(_, line)| number(line, &format!("tag/{tag}/n")));
        let _ = write!(html, "<td>{}</td></tr>", grouped(count.unwrap_or(0.0) as i64));
    }
    html += "</tbody></table></div></details>";
    html
}

/// pass@1 over the steps, for stages that were evaluated on the way.
fn course(run: &Run, set: &str) -> String {
    let series = |stage: &Stage| {
        let lines = stage.evals.iter().filter(|line| text(line, "taskset") == Some(set));
        let points: Vec<_> =
            lines.filter_map(|line| Some((number(line, "step")?, number(line, "pass@1")?))).collect();
        (points.len() > 1).then(|| Series { name: stage.name.clone(), colour: stage.colour, points })
    };
    let series: Vec<Series> = run.stages.iter().filter_map(series).collect();
    if series.is_empty() {
        return String::new();
    }
    let title = format!("pass@1 on {set} on the way");
    let lines = Lines { title, note: String::new(), series, from_zero: true, noisy: false };
    format!("<div class=\"charts\">{}</div>", lines.figure())
}

/// The largest k above 1 for which a line has pass@k.
fn most_tries(line: &Line) -> Option<u64> {
    line.keys().filter_map(|key| key.strip_prefix("pass@")?.parse().ok()).filter(|k| *k > 1).max()
}

fn interval(line: &Line, measure: &str) -> Option<Interval> {
    let end = |end: &str| number(line, &format!("{measure}/{end}"));
    Some(Interval { value: number(line, measure)?, ends: end("low").zip(end("high")) })
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn with_ends(interval: Option<Interval>) -> String {
    let Some(Interval { value, ends }) = interval else { return "–".to_owned() };
    let ends = ends.map_or_else(String::new, |(low, high)| {
        format!(" <small>{:.1}–{:.1}</small>", 100.0 * low, 100.0 * high)
    });
    format!("<b>{}</b>{ends}", percent(value))
}

/// A difference of shares in words that lead up to what it is a difference to.
fn difference(share: f64) -> String {
    let points = 100.0 * share.abs();
    match share {
        _ if points < 0.05 => "the same as".to_owned(),
        share if share > 0.0 => format!("{points:.1} points more than"),
        _ => format!("{points:.1} points less than"),
    }
}
