//! The learning rate of each step of a stage: a linear warm-up, then one of four courses to a final fraction.
//!
//! The rate is a function of the step alone, so a resumed run needs nothing but its step. It reaches the peak at the
//! end of the warm-up (at once without one) and `final` times the peak at the last step.

use std::f64::consts::PI;

use rlvr_objective::InvalidSetting;
use serde::{Deserialize, Serialize};

/// What the rate does after its warm-up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScheduleKind {
    /// Stays at the peak.
    #[default]
    Constant,
    /// Falls along half a cosine (SGDR, <https://arxiv.org/abs/1608.03983>, equation 5).
    Cosine,
    /// Falls in a line.
    Linear,
    /// Warm-up, stable, decay: stays at the peak, then falls in a line over the last `decay` steps
    /// (MiniCPM, <https://arxiv.org/abs/2404.06395>, section 4).
    Wsd,
}

/// The `schedule` table of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScheduleConfig {
    /// The course after the warm-up.
    pub kind: ScheduleKind,
    /// Steps over which the rate rises to the peak, in a line whose first step is above 0.
    pub warmup: u64,
    /// The last step's rate as a fraction of the peak, in 0..=1. Without it 0.1; a constant rate ends at 1.
    #[serde(rename = "final", skip_serializing_if = "Option::is_none")]
    pub final_fraction: Option<f64>,
    /// Steps over which [`ScheduleKind::Wsd`] falls; without it a fifth of the stage. The others have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decay: Option<u64>,
}

impl ScheduleConfig {
    /// Refuses a schedule that a stage of `steps` steps cannot follow.
    pub fn check(&self, steps: u64) -> Result<(), InvalidSetting> {
        let wrong = |field, value, expected| Err(InvalidSetting { field, value, expected });
        if self.warmup > steps {
            let expected = format!("at most {steps}, the stage's steps");
            return wrong("schedule.warmup", self.warmup as f64, expected);
        }
        if let Some(fraction) = self.final_fraction {
            if !(0.0..=1.0).contains(&fraction) {
                let expected = "between 0 and 1, a fraction of the peak".to_owned();
                return wrong("schedule.final", fraction, expected);
            }
            if self.kind == ScheduleKind::Constant && fraction != 1.0 {
                let expected =
                    "1 or left out for a constant rate; \"wsd\" is constant with a fall at the end";
                return wrong("schedule.final", fraction, expected.to_owned());
            }
        }
        if let Some(decay) = self.decay {
            if self.kind != ScheduleKind::Wsd {
                let expected = "left out, or the kind \"wsd\": only that has a decay of its own".to_owned();
                return wrong("schedule.decay", decay as f64, expected);
            }
            if decay == 0 || decay > steps - self.warmup {
                let expected = format!("between 1 and {}, the steps after the warm-up", steps - self.warmup);
                return wrong("schedule.decay", decay as f64, expected);
            }
        }
        Ok(())
    }

    /// The learning rate of a step of a stage of `steps` steps, both counted from 1; beyond the stage the last one's.
    pub fn rate(&self, peak: f64, step: u64, steps: u64) -> f64 {
        let step = step.clamp(1, steps.max(1));
        if step < self.warmup {
            return peak * step as f64 / self.warmup as f64;
        }
        peak * self.fraction(step, steps)
    }

    /// The fraction of the peak at a step that is not before the warm-up's end.
    fn fraction(&self, step: u64, steps: u64) -> f64 {
        let fall_from = match self.kind {
            ScheduleKind::Constant => return 1.0,
            ScheduleKind::Cosine | ScheduleKind::Linear => self.warmup.max(1),
            ScheduleKind::Wsd => {
                let decay = self.decay.unwrap_or_else(|| steps.div_ceil(5));
                steps.saturating_sub(decay).max(self.warmup)
            }
        };
        if step <= fall_from {
            return 1.0;
        }
        let progress = (step - fall_from) as f64 / (steps - fall_from) as f64;
        let left = match self.kind {
            ScheduleKind::Cosine => 0.5 * (1.0 + (PI * progress).cos()),
            _ => 1.0 - progress,
        };
        let last = self.final_fraction.unwrap_or(0.1);
        last + (1.0 - last) * left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEAK: f64 = 3e-3;
    const KINDS: [ScheduleKind; 4] =
        [ScheduleKind::Constant, ScheduleKind::Cosine, ScheduleKind::Linear, ScheduleKind::Wsd];

    fn schedule(kind: ScheduleKind, warmup: u64) -> ScheduleConfig {
        ScheduleConfig { kind, warmup, final_fraction: None, decay: None }
    }

    fn near(rate: f64, right: f64) {
        assert!((rate - right).abs() < 1e-15, "{rate} against {right}");
    }

    #[test]
    fn every_kind_warms_up_in_a_line_whose_first_step_is_above_zero() {
        for kind in KINDS {
            for step in 1..=10 {
                near(schedule(kind, 10).rate(PEAK, step, 100), PEAK * step as f64 / 10.0);
            }
            for warmup in [0, 1] {
                assert_eq!(schedule(kind, warmup).rate(PEAK, 1, 100), PEAK, "{kind:?}");
            }
        }
    }

    #[test]
    fn the_closed_forms_hold_at_every_step() {
        for step in 11..=100 {
            let p = (step - 10) as f64 / 90.0;
            near(schedule(ScheduleKind::Constant, 10).rate(PEAK, step, 100), PEAK);
            let last = |kind| ScheduleConfig { final_fraction: Some(0.2), ..schedule(kind, 10) };
            near(last(ScheduleKind::Linear).rate(PEAK, step, 100), PEAK * (1.0 - 0.8 * p));
            let cosine = 0.2 * PEAK + 0.5 * (PEAK - 0.2 * PEAK) * (1.0 + (PI * p).cos());
            near(last(ScheduleKind::Cosine).rate(PEAK, step, 100), cosine);
            let wsd = ScheduleConfig { decay: Some(30), ..last(ScheduleKind::Wsd) };
            let fall = if step <= 70 { 0.0 } else { (step - 70) as f64 / 30.0 };
            near(wsd.rate(PEAK, step, 100), PEAK * (1.0 - 0.8 * fall));
        }
    }

    #[test]
    fn the_last_step_has_the_final_fraction() {
        for kind in [ScheduleKind::Cosine, ScheduleKind::Linear, ScheduleKind::Wsd] {
            for (fraction, right) in [(None, 0.1), (Some(0.0), 0.0), (Some(0.5), 0.5), (Some(1.0), 1.0)] {
                for (warmup, steps) in [(0, 50), (7, 50), (49, 50), (0, 2)] {
                    let schedule = ScheduleConfig { final_fraction: fraction, ..schedule(kind, warmup) };
                    near(schedule.rate(PEAK, steps, steps), PEAK * right);
                    near(schedule.rate(PEAK, steps + 9, steps), PEAK * right);
                }
            }
        }
        assert_eq!(schedule(ScheduleKind::Constant, 3).rate(PEAK, 50, 50), PEAK);
    }

    #[test]
    fn the_rate_is_never_above_the_peak_and_moves_in_small_steps() {
        for kind in KINDS {
            let schedule = ScheduleConfig { final_fraction: Some(1.0), ..schedule(kind, 100) };
            for schedule in [schedule, ScheduleConfig { final_fraction: None, ..schedule }] {
                let rates: Vec<f64> = (1..=1000).map(|step| schedule.rate(PEAK, step, 1000)).collect();
                assert!(rates.iter().all(|&rate| rate > 0.0 && rate <= PEAK), "{schedule:?}");
                assert!(rates.windows(2).all(|w| (w[1] - w[0]).abs() <= 0.0101 * PEAK), "{schedule:?}");
                assert!(rates[100..].windows(2).all(|w| w[1] <= w[0]), "{schedule:?}");
            }
        }
    }

    #[test]
    fn a_stage_that_is_all_warm_up_or_one_step_long_has_a_rate() {
        for kind in KINDS {
            assert_eq!(schedule(kind, 5).rate(PEAK, 5, 5), PEAK, "{kind:?}");
            assert!(schedule(kind, 0).rate(PEAK, 1, 1) > 0.0, "{kind:?}");
        }
    }

    #[test]
    fn the_keys_are_those_of_the_config() {
        let read = |text: &str| toml::from_str::<ScheduleConfig>(text);
        let all = read("kind = \"wsd\"\nwarmup = 50\nfinal = 0.05\ndecay = 200\n");
        let right = ScheduleConfig {
            kind: ScheduleKind::Wsd,
            warmup: 50,
            final_fraction: Some(0.05),
            decay: Some(200),
        };
        assert_eq!(all.as_ref(), Ok(&right));
        assert_eq!(toml::to_string(&right).map(|text| read(&text) == all), Ok(true));
        assert_eq!(read(""), Ok(schedule(ScheduleKind::Constant, 0)));
        assert!(read("warm_up = 50").is_err() && read("kind = \"step\"").is_err());
    }

    #[test]
    fn schedules_that_a_stage_cannot_follow_are_refused_by_name() {
        let cosine = schedule(ScheduleKind::Cosine, 10);
        let wsd = ScheduleConfig { decay: Some(90), ..schedule(ScheduleKind::Wsd, 10) };
        assert!(cosine.check(10).is_ok() && wsd.check(100).is_ok());
        assert!(
            ScheduleConfig { final_fraction: Some(1.0), ..schedule(ScheduleKind::Constant, 0) }
                .check(1)
                .is_ok()
        );
        for (bad, steps, field, words) in [
            (cosine, 9, "schedule.warmup", "at most 9"),
            (ScheduleConfig { final_fraction: Some(1.1), ..cosine }, 99, "schedule.final", "between 0 and 1"),
            (ScheduleConfig { final_fraction: Some(f64::NAN), ..cosine }, 99, "schedule.final", "fraction"),
            (
                ScheduleConfig { final_fraction: Some(0.1), ..schedule(ScheduleKind::Constant, 0) },
                99,
                "schedule.final",
                "wsd",
            ),
            (ScheduleConfig { decay: Some(5), ..cosine }, 99, "schedule.decay", "wsd"),
            (wsd, 99, "schedule.decay", "between 1 and 89"),
            (ScheduleConfig { decay: Some(0), ..wsd }, 99, "schedule.decay", "between 1 and 89"),
        ] {
            let error = bad.check(steps).err();
            let named = error.as_ref().is_some_and(|e| e.field == field && e.to_string().contains(words));
            assert!(named, "{bad:?}: {error:?}");
        }
    }
}
