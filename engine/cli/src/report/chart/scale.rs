//! A linear axis: from values to pixels, and round numbers for its ticks.

/// An axis from `low` to `high`, drawn from pixel `from` to pixel `to`.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Scale {
    /// An axis for these values, widened to end at ticks; the ends of an axis of one value lie around it.
    pub fn around(values: impl Iterator<Item = f64>, ticks: usize, (from, to): (f64, f64)) -> Self {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if low == high {
            let margin = if low == 0.0 { 1.0 } else { low.abs() * 0.1 };
            (low, high) = if low == 0.0 { (0.0, 1.0) } else { (low - margin, high + margin) };
        }
        let step = step(high - low, ticks);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, from, to }
    }

    /// An axis with exactly these ends.
    pub fn exactly(low: f64, high: f64, (from, to): (f64, f64)) -> Self {
        Self { low, high: if high > low { high } else { low + 1.0 }, from, to }
    }

    /// The pixel of a value.
    pub fn at(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values within the axis, about `count` of them.
    pub fn ticks(&self, count: usize) -> Vec<f64> {
        let step = step(self.high - self.low, count);
        let first = (self.low / step - 1e-9).ceil() as i64;
        let last = (self.high / step + 1e-9).floor() as i64;
        (first..=last).map(|tick| tick as f64 * step).collect()
    }

    /// A tick's label, with as many decimals as tell the ticks apart.
    pub fn label(&self, tick: f64, count: usize) -> String {
        let step = step(self.high - self.low, count);
        let size = self.low.abs().max(self.high.abs());
        if tick == 0.0 {
            return "0".to_owned();
        }
        if !(1e-3..1e6).contains(&size) {
            let text = format!("{tick:.1e}");
            return text.replace(".0e", "e");
        }
        if size >= 1e4 {
            let text = format!("{:.1}", tick / 1000.0);
            return format!("{}k", text.trim_end_matches(".0"));
        }
        let decimals = (-(step.log10() + 1e-9).floor()).clamp(0.0, 6.0) as usize;
        format!("{tick:.decimals$}")
    }
}

/// The step of 1, 2 or 5 times a power of ten that cuts a range into about `count` parts.
fn step(range: f64, count: usize) -> f64 {
    let rough = range / count.max(1) as f64;
    let power = 10f64.powf(rough.log10().floor());
    let factor = [1.0, 2.0, 5.0].into_iter().find(|factor| factor * power >= rough * 0.999).unwrap_or(10.0);
    factor * power
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_lie_within_the_axis() {
        let scale = Scale::around([0.13, 0.93].into_iter(), 5, (100.0, 0.0));
        let labels: Vec<String> = scale.ticks(5).iter().map(|tick| scale.label(*tick, 5)).collect();
        assert_eq!(labels, ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]);
        assert_eq!((scale.at(0.0), scale.at(1.0)), (100.0, 0.0));
    }

    #[test]
    fn a_flat_series_and_an_empty_one_have_an_axis_too() {
        for values in [vec![], vec![0.0], vec![3.5, 3.5], vec![-2.0], vec![f64::NAN]] {
            let scale = Scale::around(values.iter().copied(), 4, (0.0, 100.0));
            assert!(scale.ticks(4).len() >= 2, "{values:?}");
            assert!(values.iter().filter(|v| v.is_finite()).all(|v| (0.0..=100.0).contains(&scale.at(*v))));
        }
    }

    #[test]
    fn tiny_and_huge_ticks_are_short() {
        let tiny = Scale::around([0.0, 4e-7].into_iter(), 4, (0.0, 1.0));
        assert_eq!(tiny.label(2e-7, 4), "2e-7");
        let huge = Scale::around([0.0, 2.4e4].into_iter(), 4, (0.0, 1.0));
        assert_eq!(huge.label(1e4, 4), "10k");
    }
}
