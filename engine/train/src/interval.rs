//! The 95 % confidence interval of a mean over problems.
//!
//! A pass rate over problems is a mean of values in `0..=1`, one a problem: the problems are what was drawn, and the
//! samples of one problem are a cluster. A normal interval fails near 0 and 1, where blank models live (no problem solved
//! would give a width of 0), and the binomial Wilson interval takes the samples of one problem for independent. So: the
//! Wilson score interval at the *effective* number of independent draws, which is read off the variance between
//! problems, corrected for its few degrees of freedom (Dean and Pagano 2015, "Evaluating Confidence Interval Methods for
//! Binomial Proportions in Clustered Surveys", J. Survey Statistics and Methodology 3(4); Korn and Graubard 1998).

/// A mean and its 95 % confidence interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimate {
    /// The mean over problems, in `0..=1`.
    pub value: f64,
    /// The interval's lower end, in `0..=1`.
    pub low: f64,
    /// The interval's upper end, in `0..=1`.
    pub high: f64,
    /// The number of problems.
    pub n: usize,
}

/// The 97.5 % quantile of the normal distribution.
const Z: f64 = 1.959_963_984_540_054;

/// The mean of `values`, one in `0..=1` for each problem, with its interval; `None` without problems. `draws`: the number
/// of independent draws behind all values together, which the effective number does not exceed, so that problems that
/// agree by chance make no interval of width 0.
pub fn estimate(values: &[f64], draws: f64) -> Option<Estimate> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let problems = n as f64;
    let value = (values.iter().sum::<f64>() / problems).clamp(0.0, 1.0);
    let effective = effective_draws(values, value, draws);

    // Wilson 1927, equation (3), with `effective` for the number of trials.
    let z2 = Z * Z / effective;
    let centre = (value + z2 / 2.0) / (1.0 + z2);
    let half = Z / (1.0 + z2) * (value * (1.0 - value) / effective + z2 / (4.0 * effective)).sqrt();
    let low = (centre - half).clamp(0.0, value);
    let high = (centre + half).clamp(value, 1.0);
    Some(Estimate { value, low, high, n })
}

/// The number of independent draws whose mean would vary as much as this one does.
fn effective_draws(values: &[f64], mean: f64, draws: f64) -> f64 {
    let problems = values.len() as f64;
    if values.len() < 2 {
        return 1.0;
    }
    let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (problems - 1.0);
    let binomial = mean * (1.0 - mean);
    let effective = if binomial > 0.0 {
        (problems * binomial / variance).min(draws.max(problems))
    } else {
        // All or none: nothing tells how alike the samples of a problem are, so that each problem counts once.
        problems
    };
    effective * (Z / t_quantile(values.len() - 1)).powi(2)
}

/// The 97.5 % quantile of Student's t distribution with `freedom >= 1` degrees of freedom, to 1e-5: a table, then the
/// expansion in powers of `1 / freedom` (Abramowitz and Stegun, 26.7.5).
fn t_quantile(freedom: usize) -> f64 {
    const TABLE: [f64; 10] = [
        12.706_204_74,
        4.302_652_73,
        3.182_446_31,
        2.776_445_11,
        2.570_581_84,
        2.446_911_85,
        2.364_624_25,
        2.306_004_14,
        2.262_157_16,
        2.228_138_85,
    ];
    if let Some(quantile) = TABLE.get(freedom - 1) {
        return *quantile;
    }
    let nu = freedom as f64;
    let z = |power| Z.powi(power);
    let g1 = (z(3) + Z) / 4.0;
    let g2 = (5.0 * z(5) + 16.0 * z(3) + 3.0 * Z) / 96.0;
    let g3 = (3.0 * z(7) + 19.0 * z(5) + 17.0 * z(3) - 15.0 * Z) / 384.0;
    let g4 = (79.0 * z(9) + 776.0 * z(7) + 1482.0 * z(5) - 1920.0 * z(3) - 945.0 * Z) / 92_160.0;
    Z + g1 / nu + g2 / nu.powi(2) + g3 / nu.powi(3) + g4 / nu.powi(4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_sample_a_problem_gives_the_binomial_wilson_interval() {
        // Wilson's own definition: the ends are the rates p from which 30 of 300 are z standard deviations away,
        // (0.1 - p)^2 = z^2 p (1 - p) / n. The divisor n - 1 and 299 degrees of freedom take 1.1 % off n.
        let values: Vec<f64> = (0..300).map(|i| f64::from(i < 30)).collect();
        let found = estimate(&values, 300.0).unwrap();
        assert_eq!((found.value, found.n), (0.1, 300));
        for end in [found.low, found.high] {
            let draws = 1.96f64.powi(2) * end * (1.0 - end) / (0.1 - end).powi(2);
            assert!((295.0..300.0).contains(&draws), "{found:?}: {draws}");
        }
        assert!(found.low < 0.1 && found.high > 0.1);
    }

    #[test]
    fn quantiles_leave_a_fortieth_of_the_t_distribution_above() {
        for freedom in [1, 2, 3, 5, 7, 10, 11, 13, 20, 50, 300, 5000] {
            // The density's integral from 0 by Simpson's rule; its constant from the integral to pi/2 after the
            // substitution x = sqrt(freedom) tan(angle), where the density becomes cos^(freedom - 1).
            let nu = freedom as f64;
            let density = |angle: f64| angle.cos().powf(nu - 1.0);
            let integral = |to: f64| {
                let n = 200_000;
                let h = to / n as f64;
                let weight = |i| if i == 0 || i == n { 1.0 } else { 2.0 + 2.0 * f64::from(i % 2) };
                (0..=n).map(|i| weight(i) * density(i as f64 * h)).sum::<f64>() * h / 3.0
            };
            let to = (t_quantile(freedom) / nu.sqrt()).atan();
            let above = 0.5 - 0.5 * integral(to) / integral(std::f64::consts::FRAC_PI_2);
            assert!((above - 0.025).abs() < 2e-6, "{freedom}: {above}");
        }
    }

    #[test]
    fn no_problem_solved_leaves_room_for_a_rate_above_zero() {
        let found = estimate(&[0.0; 100], 800.0).unwrap();
        assert_eq!((found.value, found.low), (0.0, 0.0));
        assert!(found.high > 0.03 && found.high < 0.05, "about z^2 / (n + z^2): {found:?}");
        let found = estimate(&[1.0; 100], 800.0).unwrap();
        assert_eq!((found.value, found.high), (1.0, 1.0));
        assert!(found.low < 0.97 && found.low > 0.95);
    }

    #[test]
    fn problems_that_agree_by_chance_and_few_problems_give_wide_intervals() {
        let same = estimate(&[0.5; 4], 32.0).unwrap();
        assert!(same.high - same.low > 0.3, "{same:?}");
        let one = estimate(&[0.5], 8.0).unwrap();
        assert!(one.low < 0.1 && one.high > 0.9, "{one:?}");
        assert_eq!(estimate(&[], 0.0), None);
    }

    #[test]
    fn the_interval_holds_the_truth_about_95_times_in_100() {
        // Problems of very different difficulty, 8 samples each: the rate of problem i is drawn from a two-point or a
        // power distribution, and its samples from that rate.
        let mut state = 0x0123_4567_89AB_CDEF_u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state ^ state >> 29).wrapping_mul(0xBF58_476D_1CE4_E5B9) >> 11) as f64 / (1u64 << 53) as f64
        };
        type Rate = fn(f64) -> f64;
        let rates: [(&str, Rate, f64); 4] = [
            ("even", |u| u, 0.5),
            ("hard", |u| u.powi(9), 0.1),
            ("all or none", |u| f64::from(u < 0.2), 0.2),
            ("alike", |_| 0.3, 0.3),
        ];
        for (name, rate, truth) in rates {
            // Few problems of which most are never solved are the hardest: there some coverage is lost.
            for (problems, least) in [(20, 0.91), (120, 0.93), (500, 0.935)] {
                let trials = 2_000;
                let mut held = 0;
                for _ in 0..trials {
                    let values: Vec<f64> = (0..problems)
                        .map(|_| {
                            let rate = rate(uniform());
                            (0..8).filter(|_| uniform() < rate).count() as f64 / 8.0
                        })
                        .collect();
                    let found = estimate(&values, 8.0 * f64::from(problems)).unwrap();
                    held += usize::from(found.low <= truth && truth <= found.high);
                }
                let coverage = held as f64 / f64::from(trials);
                assert!((least..=0.985).contains(&coverage), "{name}, {problems} problems: {coverage}");
            }
        }
    }
}
