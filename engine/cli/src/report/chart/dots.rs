//! One row a stage, a dot with its confidence interval for each measure: how far stages differ, at a glance.

use std::fmt::Write as _;

use super::scale::Scale;
use crate::report::html::escape;

/// Width of the drawing, in its own pixels.
const WIDTH: f64 = 640.0;
/// Left and right of the axis.
const AXIS: (f64, f64) = (130.0, 604.0);
/// Height of a row.
const ROW: f64 = 34.0;
/// Ticks aimed at.
const TICKS: usize = 5;

/// A share with its confidence interval, each in 0..=1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// The estimate.
    pub value: f64,
    /// The interval's ends, where they are known.
    pub ends: Option<(f64, f64)>,
}

/// A stage.
pub struct Row {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub colour: usize,
    /// pass@1: a full dot.
    pub one: Option<Interval>,
    /// pass@k: a ring.
    pub many: Option<Interval>,
}

/// The chart of one task set.
pub struct Dots {
    /// What is drawn, for those who cannot see it.
    pub title: String,
    /// The stages, top down.
    pub rows: Vec<Row>,
}

impl Dots {
    /// The chart as SVG.
    pub fn svg(&self) -> String {
        let bottom = self.rows.len() as f64 * ROW + 8.0;
        let x = Scale::exactly(0.0, 1.0, AXIS);
        let mut svg = format!(
            "<svg class=\"dots\" viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">",
            bottom + 20.0,
            escape(&self.title)
        );
        for tick in x.ticks(TICKS) {
            let at = x.at(tick);
            let _ = write!(
                svg,
                "<line class=\"grid\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"4\" y2=\"{bottom}\"/>\
                 <text class=\"tick\" x=\"{at:.1}\" y=\"{}\" text-anchor=\"middle\">{:.0}%</text>",
                bottom + 15.0,
                tick * 100.0
            );
        }
        for (index, row) in self.rows.iter().enumerate() {
            let middle = index as f64 * ROW + ROW / 2.0 + 4.0;
            let _ = write!(
                svg,
                "<text class=\"name\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
                AXIS.0 - 14.0,
                middle + 4.0,
                escape(&row.name)
            );
            // The two measures lie a little apart, so that overlapping intervals stay legible.
            for (measure, class, at) in [(row.one, "dot", middle - 4.0), (row.many, "ring", middle + 6.0)] {
                let Some(Interval { value, ends }) = measure else { continue };
                if let Some((low, high)) = ends {
                    let _ = write!(
                        svg,
                        "<line class=\"whisker {class} c{}\" x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>",
                        row.colour,
                        x.at(low.clamp(0.0, 1.0)),
                        x.at(high.clamp(0.0, 1.0))
                    );
                }
                let _ = write!(
                    svg,
                    "<circle class=\"{class} c{}\" cx=\"{:.1}\" cy=\"{at:.1}\" r=\"4.5\"/>",
                    row.colour,
                    x.at(value)
                );
            }
        }
        svg.push_str("</svg>");
        svg
    }
}
