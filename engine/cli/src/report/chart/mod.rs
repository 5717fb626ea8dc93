//! Charts as inline SVG, drawn by hand: their colours are the page's CSS variables, so that one drawing serves a light and
//! a dark page, and their coordinates keep fractions of a pixel.

mod dots;
mod lines;
mod scale;

pub use dots::{Dots, Interval, Row};
pub use lines::{Lines, Series};
