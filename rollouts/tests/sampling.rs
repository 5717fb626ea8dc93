//! The tail of a decoding step against a naive one in f64: which tokens survive, how often each is drawn, and what
//! log-probability it is given.

use rlvr_rollouts::{Draw, RngKey, SamplingParams, Tail};

const KEY: RngKey = RngKey { seed: 3, stage: 0, step: 0 };

fn uniform(case: u64, position: u32) -> f64 {
    KEY.uniform(Draw { prompt: case, sample: 0, attempt: 0, position })
}

/// Roughly normal logits with standard deviation `spread`.
fn logits(case: u64, vocab: u32, spread: f64) -> Vec<f32> {
    (0..vocab)
        .map(|i| ((0..6).map(|k| uniform(case, 6 * i + k)).sum::<f64>() - 3.0) / 0.5f64.sqrt() * spread)
        .map(|x| x as f32)
        .collect()
}

fn softmax(logits: &[f64]) -> Vec<f64> {
    let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = logits.iter().map(|x| (x - top).exp()).collect();
    let total: f64 = weights.iter().sum();
    weights.iter().map(|w| w / total).collect()
}

/// The distribution after each of transformers' warpers in turn, each by its definition: probabilities by id.
fn naive(logits: &[f32], params: &SamplingParams) -> Vec<f64> {
    let mut x: Vec<f64> = logits.iter().map(|x| f64::from(*x) / f64::from(params.temperature)).collect();
    for id in &params.suppress_ids {
        x[*id as usize] = f64::NEG_INFINITY;
    }
    let ranked = |x: &[f64]| {
        let mut ids: Vec<usize> = (0..x.len()).collect();
        ids.sort_by(|a, b| x[*b].total_cmp(&x[*a]));
        ids
    };
    if params.top_k > 0 {
        for id in ranked(&x).into_iter().skip(params.top_k) {
            x[id] = f64::NEG_INFINITY;
        }
    }
    if params.top_p < 1.0 {
        let (p, mut before) = (softmax(&x), 0.0);
        for id in ranked(&x) {
            if before >= f64::from(params.top_p) {
                x[id] = f64::NEG_INFINITY;
            }
            before += p[id];
        }
    }
    let p = softmax(&x);
    let top = p.iter().copied().fold(0.0, f64::max);
    for (x, p) in x.iter_mut().zip(p) {
        if p < f64::from(params.min_p) * top {
            *x = f64::NEG_INFINITY;
        }
    }
    softmax(&x)
}

/// Share of an even grid of uniforms that draws each id: the inverted distribution to within a grid cell or two.
fn shares(logits: &[f32], params: &SamplingParams, grid: u32) -> Vec<f64> {
    let mut tail = Tail::default();
    let mut counts = vec![0u32; logits.len()];
    for i in 0..grid {
        let drawn = tail.draw(logits, params, (f64::from(i) + 0.5) / f64::from(grid)).unwrap();
        counts[drawn.id as usize] += 1;
    }
    counts.into_iter().map(|c| f64::from(c) / f64::from(grid)).collect()
}

#[test]
fn truncated_distributions_are_those_of_the_definitions() {
    let plain = SamplingParams::default;
    let settings = [
        plain(),
        SamplingParams { temperature: 0.6, ..plain() },
        SamplingParams { temperature: 1.7, suppress_ids: vec![0, 7, 7, 90], ..plain() },
        SamplingParams { top_k: 1, ..plain() },
        SamplingParams { top_k: 9, ..plain() },
        SamplingParams { top_k: 1000, ..plain() },
        SamplingParams { top_p: 0.9, ..plain() },
        SamplingParams { top_p: 1e-6, ..plain() },
        SamplingParams { top_p: 0.999, temperature: 3.0, ..plain() },
        SamplingParams { min_p: 0.1, ..plain() },
        SamplingParams { min_p: 1.0, ..plain() },
        SamplingParams {
            temperature: 0.8,
            top_k: 30,
            top_p: 0.8,
            min_p: 0.05,
            suppress_ids: vec![3],
            ..plain()
        },
        SamplingParams { temperature: 1.3, top_k: 70, top_p: 0.97, min_p: 0.02, ..plain() },
    ];
    let grid = 4000;
    for (case, vocab) in [(1, 91), (2, 130), (3, 300)] {
        let row = logits(case, vocab, 1.5);
        for params in &settings {
            let expected = naive(&row, params);
            for (id, (share, p)) in shares(&row, params, grid).into_iter().zip(&expected).enumerate() {
                assert!(*p > 0.0 || share == 0.0, "id {id} was cut, but drawn: {params:?}");
                // An interval of length p holds p * grid points of an even grid, give or take one.
                let off = (share - p).abs() * f64::from(grid);
                assert!(off <= 1.01, "id {id}: {share} for {p}, {off} cells off: {params:?}");
            }
        }
    }
}

#[test]
fn draws_with_keyed_numbers_follow_the_distribution() {
    for (case, params) in [
        (11, SamplingParams::default()),
        (12, SamplingParams { temperature: 0.7, top_p: 0.95, ..SamplingParams::default() }),
    ] {
        let row = logits(case, 200, 1.0);
        let expected = naive(&row, &params);
        let n = 200_000u32;
        let mut counts = vec![0u32; row.len()];
        let mut tail = Tail::default();
        for position in 0..n {
            let draw = Draw { prompt: 77, sample: 1, attempt: 0, position };
            counts[tail.draw(&row, &params, KEY.uniform(draw)).unwrap().id as usize] += 1;
        }
        // Cells expected fewer than ten times are pooled.
        let (mut chi, mut cells, mut rest) = (0.0, 0.0, (0.0, 0.0));
        for (count, p) in counts.iter().zip(&expected) {
            let (seen, mean) = (f64::from(*count), p * f64::from(n));
            if mean >= 10.0 {
                chi += (seen - mean).powi(2) / mean;
                cells += 1.0;
            } else {
                rest = (rest.0 + seen, rest.1 + mean);
            }
        }
        if rest.1 > 0.0 {
            chi += (rest.0 - rest.1).powi(2) / rest.1;
            cells += 1.0;
        }
        let freedom: f64 = cells - 1.0;
        // Five standard deviations of the chi-square distribution.
        assert!(chi < freedom + 5.0 * (2.0 * freedom).sqrt(), "chi-square {chi} of {freedom}");
    }
}

#[test]
fn log_probabilities_are_those_before_truncation() {
    let row = logits(5, 150, 2.0);
    for temperature in [1.0, 0.5, 2.0] {
        let params =
            SamplingParams { temperature, top_k: 5, suppress_ids: vec![4, 9], ..SamplingParams::default() };
        let whole = naive(&row, &SamplingParams { top_k: 0, ..params.clone() });
        for i in 0..50 {
            let drawn = Tail::default().draw(&row, &params, f64::from(i) / 50.0).unwrap();
            let expected = whole[drawn.id as usize].ln();
            assert!((f64::from(drawn.logprob) - expected).abs() < 1e-5, "{} for {expected}", drawn.logprob);
        }
    }
}

#[test]
fn temperature_zero_takes_the_most_likely_token_and_its_plain_log_probability() {
    let row = logits(6, 100, 2.0);
    let params = SamplingParams { temperature: 0.0, top_k: 3, ..SamplingParams::default() };
    let plain = naive(&row, &SamplingParams::default());
    let best = (0..100).max_by(|a, b| plain[*a].total_cmp(&plain[*b])).unwrap();
    for u in [0.0, 0.5, 0.999] {
        let drawn = Tail::default().draw(&row, &params, u).unwrap();
        assert_eq!(drawn.id as usize, best);
        assert!((f64::from(drawn.logprob) - plain[best].ln()).abs() < 1e-5);
    }
    let without = SamplingParams { suppress_ids: vec![best as u32], ..params };
    assert_ne!(Tail::default().draw(&row, &without, 0.5).unwrap().id as usize, best);
}

#[test]
fn ties_go_to_the_lower_id() {
    let row = [1.0, 3.0, 3.0, 3.0, 0.0];
    let greedy = SamplingParams { temperature: 0.0, ..SamplingParams::default() };
    assert_eq!(Tail::default().draw(&row, &greedy, 0.9).unwrap().id, 1);
    let two = SamplingParams { top_k: 2, ..SamplingParams::default() };
    assert_eq!(shares(&row, &two, 100), [0.0, 0.5, 0.5, 0.0, 0.0]);
    let half = SamplingParams { top_p: 0.4, ..SamplingParams::default() };
    assert_eq!(shares(&row, &half, 100), [0.0, 0.5, 0.5, 0.0, 0.0]);
}

#[test]
fn impossible_tokens_are_never_drawn_at_the_ends_of_the_interval() {
    let mut row = vec![f32::NEG_INFINITY; 400];
    row[130] = 0.0;
    row[270] = -1.0;
    for params in [SamplingParams::default(), SamplingParams { top_p: 0.99, ..SamplingParams::default() }] {
        let draw = |u| Tail::default().draw(&row, &params, u).unwrap().id;
        assert_eq!(draw(0.0), 130);
        assert_eq!(draw(1.0 - f64::EPSILON / 2.0), 270);
    }
}

#[test]
fn logits_that_are_not_finite_draw_nothing() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        assert_eq!(Tail::default().draw(&[bad; 8], &SamplingParams::default(), 0.5), None);
    }
}

#[test]
fn settings_out_of_range_are_named() {
    let plain = SamplingParams::default;
    let cases = [
        (SamplingParams { temperature: -1.0, ..plain() }, "temperature is -1: "),
        (SamplingParams { temperature: f32::NAN, ..plain() }, "temperature is NaN: "),
        (SamplingParams { top_p: 0.0, ..plain() }, "top_p is 0: "),
        (SamplingParams { top_p: 1.5, ..plain() }, "top_p is 1.5: "),
        (SamplingParams { min_p: 2.0, ..plain() }, "min_p is 2: "),
        (SamplingParams { max_tokens: 0, ..plain() }, "max_tokens is 0: "),
        (SamplingParams { stop_ids: vec![1, 10], ..plain() }, "stop_ids is 10: the model's ids end at 9"),
        (
            SamplingParams { suppress_ids: vec![12], ..plain() },
            "suppress_ids is 12: the model's ids end at 9",
        ),
        (SamplingParams { suppress_ids: (0..10).collect(), ..plain() }, "suppress_ids is all 10 ids: "),
    ];
    for (params, start) in cases {
        let message = params.check(10).unwrap_err().to_string();
        assert!(message.starts_with(start), "{message}");
    }
    assert!(plain().check(10).is_ok());
}
