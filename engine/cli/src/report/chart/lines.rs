//! Lines over steps: losses, rewards, lengths. The raw values are faint and, where there are many, their moving mean is
//! strong.

use std::fmt::Write as _;

use super::scale::Scale;
use crate::report::html::escape;

/// Width and height of the drawing, in its own pixels.
const SIZE: (f64, f64) = (420.0, 210.0);
/// The plot's left, right, top and bottom.
const FRAME: (f64, f64, f64, f64) = (54.0, 408.0, 12.0, 178.0);
/// Ticks aimed at on the vertical axis.
const TICKS: usize = 4;
/// Ticks aimed at on the axis of steps.
const STEPS: usize = 6;
/// Most points of a line; longer ones are drawn as means of neighbours.
const POINTS: usize = 400;
/// From so many points on, a moving mean is drawn.
const SMOOTHED: usize = 40;

/// One line.
pub struct Series {
    /// What it is called.
    pub name: String,
    /// Which of the page's colours it has.
    pub colour: usize,
    /// Steps and values.
    pub points: Vec<(f64, f64)>,
}

/// Lines over one axis of steps.
pub struct Lines {
    /// What is drawn, above the chart.
    pub title: String,
    /// A sentence below the title: the unit, or what to look for.
    pub note: String,
    /// The lines.
    pub series: Vec<Series>,
    /// Whether the vertical axis starts at 0.
    pub from_zero: bool,
    /// Whether the values are noisy, so that a moving mean helps.
    pub noisy: bool,
}

impl Lines {
    /// The chart as a `<figure>`; empty where no line has a point.
    pub fn figure(&self) -> String {
        let series: Vec<&Series> = self.series.iter().filter(|one| !one.points.is_empty()).collect();
        if series.is_empty() {
            return String::new();
        }
        let (left, right, top, bottom) = FRAME;
        let drawn: Vec<(&Series, Vec<(f64, f64)>)> =
            series.iter().map(|one| (*one, thinned(&one.points))).collect();
        let every = || drawn.iter().flat_map(|(_, points)| points.iter());
        let zero = self.from_zero.then_some(0.0);
        let y = Scale::around(every().map(|point| point.1).chain(zero), TICKS, (bottom, top));
        let steps = every().map(|point| point.0);
        let (first, last) = steps.fold((f64::INFINITY, 0f64), |(low, high), x| (low.min(x), high.max(x)));
        let x = Scale::exactly(first.min(last), last, (left, right));
        let mut svg = format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">",
            SIZE.0,
            SIZE.1,
            escape(&self.title)
        );
        for tick in y.ticks(TICKS) {
            let at = y.at(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>\
                 <text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                left - 6.0,
                at + 3.5,
                y.label(tick, TICKS)
            );
        }
        for tick in x.ticks(STEPS).into_iter().filter(|tick| tick.fract() == 0.0) {
            let _ = write!(
                svg,
                "<text class=\"tick\" x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
                x.at(tick),
                bottom + 16.0,
                x.label(tick, STEPS)
            );
        }
        let _ = write!(
            svg,
            "<text class=\"axis\" x=\"{right}\" y=\"{}\" text-anchor=\"end\">step</text>",
            SIZE.1 - 2.0
        );
        for (one, points) in &drawn {
            let smooth = self.noisy && points.len() >= SMOOTHED;
            let faint = if smooth { " faint" } else { "" };
            path(&mut svg, &format!("line c{}{faint}", one.colour), points, &x, &y);
            if smooth {
                path(&mut svg, &format!("line c{}", one.colour), &smoothed(points), &x, &y);
            }
            if let [only] = points[..] {
                let (cx, cy) = (x.at(only.0), y.at(only.1));
                let _ = write!(
                    svg,
                    "<circle class=\"dot c{}\" cx=\"{cx:.1}\" cy=\"{cy:.1}\" r=\"3\"/>",
                    one.colour
                );
            }
        }
        svg.push_str("</svg>");
        let legend: String = match &series[..] {
            [_] => String::new(),
            many => many
                .iter()
                .map(|one| format!("<span class=\"key c{}\">{}</span>", one.colour, escape(&one.name)))
                .collect(),
        };
        let note = if self.note.is_empty() {
            String::new()
        } else {
            format!(" <small>{}</small>", escape(&self.note))
        };
        format!(
            "<figure><figcaption><b>{}</b>{note}<span class=\"legend\">{legend}</span></figcaption>{svg}</figure>",
            escape(&self.title)
        )
    }
}

fn path(svg: &mut String, class: &str, points: &[(f64, f64)], x: &Scale, y: &Scale) {
    let _ = write!(svg, "<path class=\"{class}\" d=\"");
    for (index, point) in points.iter().enumerate() {
        let command = if index == 0 { 'M' } else { 'L' };
        let _ = write!(svg, "{command}{:.1} {:.1}", x.at(point.0), y.at(point.1));
    }
    svg.push_str("\"/>");
}

/// At most [`POINTS`] points, each the mean of as many neighbours as that takes.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let points: Vec<(f64, f64)> = points.iter().copied().filter(|point| point.1.is_finite()).collect();
    let size = points.len().div_ceil(POINTS).max(1);
    points.chunks(size).map(mean).collect()
}

/// The centred moving mean over a twelfth of the line.
fn smoothed(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let half = points.len() / 24 + 1;
    (0..points.len())
        .map(|at| {
            let window = &points[at.saturating_sub(half)..(at + half + 1).min(points.len())];
            (points[at].0, mean(window).1)
        })
        .collect()
}

fn mean(points: &[(f64, f64)]) -> (f64, f64) {
    let sum = points.iter().fold((0.0, 0.0), |sum, point| (sum.0 + point.0, sum.1 + point.1));
    (sum.0 / points.len() as f64, sum.1 / points.len() as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(points: Vec<(f64, f64)>) -> String {
        let series = vec![Series { name: "<a>".to_owned(), colour: 1, points }];
        Lines { title: "loss & more".to_owned(), note: String::new(), series, from_zero: false, noisy: true }
            .figure()
    }

    #[test]
    fn a_long_line_is_bounded_and_keeps_its_mean() {
        let points: Vec<(f64, f64)> = (0..100_000).map(|step| (step as f64, (step % 10) as f64)).collect();
        let thin = thinned(&points);
        assert!(thin.len() <= POINTS);
        assert!(thin.iter().all(|point| (point.1 - 4.5).abs() < 1e-9));
        assert!(lines(points).len() < 30_000);
    }

    #[test]
    fn coordinates_are_numbers_whatever_the_values() {
        for points in [vec![(1.0, 2.0)], vec![(1.0, f64::NAN), (2.0, 1.0)], vec![(3.0, 0.0), (4.0, 0.0)]] {
            let figure = lines(points);
            assert!(
                figure.contains("<svg") && !figure.contains("NaN") && !figure.contains("inf\""),
                "{figure}"
            );
            assert!(figure.contains("loss &amp; more"));
        }
        assert_eq!(lines(Vec::new()), "");
    }
}
