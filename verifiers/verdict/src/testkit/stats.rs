//! Rates with their intervals, and what verdicts cost.

use super::suite::Budget;
use crate::Verdict;
use serde::Serialize;

/// A share of trials with its 95 % Wilson score interval (Wilson 1927, equation 3).
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Rate {
    /// How many.
    pub count: u64,
    /// Of how many.
    pub of: u64,
    /// The share; 0 of none.
    pub value: f64,
    /// The interval's lower end.
    pub low: f64,
    /// The interval's upper end.
    pub high: f64,
}

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

impl Rate {
    /// `count` of `of`.
    pub fn new(count: u64, of: u64) -> Rate {
        if of == 0 {
            return Rate { count, of, value: 0.0, low: 0.0, high: 1.0 };
        }
        let n = of as f64;
        let value = count as f64 / n;
        let z2 = Z * Z / n;
        let centre = (value + z2 / 2.0) / (1.0 + z2);
        let half = Z / (1.0 + z2) * (value * (1.0 - value) / n + z2 / (4.0 * n)).sqrt();
        Rate {
            count,
            of,
            value,
            low: (centre - half).clamp(0.0, value),
            high: (centre + half).clamp(value, 1.0),
        }
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let percent = |share: f64| 100.0 * share;
        let Rate { count, of, value, low, high } = *self;
        write!(f, "{count} of {of}, {:.2} % [{:.2}, {:.2}]", percent(value), percent(low), percent(high))
    }
}

/// What verdicts cost: seconds of wall time, units of fuel, bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct CostSummary {
    /// Verdicts on cases and golds, each judged while no other was.
    pub verdicts: u64,
    /// Half of these took no more seconds.
    pub p50_s: f64,
    /// 99 of 100 took no more.
    pub p99_s: f64,
    /// The longest of all, attacks included, took so many.
    pub max_s: f64,
    /// Which it was.
    pub slowest: String,
    /// The most fuel that any took; 0 for native verifiers.
    pub fuel: u64,
    /// The most memory of a sandbox that any took; 0 for native verifiers.
    pub peak_bytes: u64,
}

impl CostSummary {
    /// Of verdicts on cases and golds.
    pub(super) fn of(judged: &[(String, Verdict)]) -> CostSummary {
        let mut walls: Vec<f64> = judged.iter().map(|(_, verdict)| verdict.cost.wall).collect();
        walls.sort_by(f64::total_cmp);
        let quantile = |share: f64| {
            let rank = (share * walls.len() as f64).ceil() as usize;
            walls.get(rank.saturating_sub(1)).copied().unwrap_or(0.0)
        };
        let mut cost = CostSummary {
            verdicts: walls.len() as u64,
            p50_s: quantile(0.5),
            p99_s: quantile(0.99),
            ..CostSummary::default()
        };
        judged.iter().for_each(|(name, verdict)| cost.note(name, verdict));
        cost
    }

    /// Takes another verdict into account for the most that any cost.
    pub(super) fn note(&mut self, name: &str, verdict: &Verdict) {
        let cost = verdict.cost;
        if cost.wall > self.max_s {
            (self.max_s, self.slowest) = (cost.wall, name.to_owned());
        }
        self.fuel = self.fuel.max(cost.fuel);
        self.peak_bytes = self.peak_bytes.max(cost.peak_bytes);
    }

    /// What is over the budget: name, limit and value of each.
    pub(super) fn over(&self, budget: &Budget) -> Vec<(&'static str, String, String)> {
        let mut over = Vec::new();
        let mut seconds = |name, limit: Option<f64>, value: f64| {
            if let Some(limit) = limit.filter(|limit| value > *limit) {
                over.push((name, duration(limit), duration(value)));
            }
        };
        seconds("p50_s", budget.p50_s, self.p50_s);
        seconds("p99_s", budget.p99_s, self.p99_s);
        seconds("max_s", Some(budget.max_s), self.max_s);
        for (name, limit, value) in
            [("fuel", budget.fuel, self.fuel), ("peak_bytes", budget.peak_bytes, self.peak_bytes)]
        {
            if let Some(limit) = limit.filter(|limit| value > *limit) {
                over.push((name, limit.to_string(), value.to_string()));
            }
        }
        over
    }
}

/// Seconds in the unit that reads best.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1e-6 => format!("{:.0} ns", s * 1e9),
        s if s < 1e-3 => format!("{:.1} µs", s * 1e6),
        s if s < 1.0 => format!("{:.1} ms", s * 1e3),
        s => format!("{s:.2} s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cost;

    #[test]
    fn the_ends_of_an_interval_are_the_rates_that_lie_z_deviations_away() {
        // Wilson's definition, not his formula: (share - end)^2 = z^2 end (1 - end) / n
        for (count, of) in [(1, 10), (3, 10), (30, 300), (999, 1000)] {
            let rate = Rate::new(count, of);
            for end in [rate.low, rate.high] {
                let deviations = (rate.value - end).abs() / (end * (1.0 - end) / of as f64).sqrt();
                assert!((deviations - 1.96).abs() < 1e-3, "{rate:?}: {deviations}");
            }
            assert!(rate.low < rate.value && rate.value < rate.high);
        }
        assert_eq!((Rate::new(0, 10).low, Rate::new(10, 10).high), (0.0, 1.0));
        assert_eq!((Rate::new(0, 0).low, Rate::new(0, 0).high), (0.0, 1.0));
    }

    #[test]
    fn quantiles_are_ranks_and_the_slowest_is_named() {
        let judged: Vec<(String, Verdict)> = (1..=100)
            .map(|i| {
                let cost = Cost { fuel: i, peak_bytes: 0, wall: i as f64 };
                (format!("case {i}"), Verdict { cost, ..Verdict::pass("") })
            })
            .collect();
        let cost = CostSummary::of(&judged);
        assert_eq!(
            (cost.p50_s, cost.p99_s, cost.max_s, cost.slowest.as_str()),
            (50.0, 99.0, 100.0, "case 100")
        );
        let budget = Budget {
            p50_s: Some(50.0),
            p99_s: Some(98.0),
            max_s: 100.0,
            fuel: Some(99),
            peak_bytes: Some(0),
        };
        let over: Vec<&str> = cost.over(&budget).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(over, ["p99_s", "fuel"]);
    }
}
