//! What an evaluation says of a task set: pass@k, maj@k and the mean score, over problems and by tag.
//!
//! Each is an expectation over which k of a problem's n samples are looked at, computed exactly and not by drawing
//! subsets: pass@k by the unbiased estimator of Chen et al. 2021 (arXiv 2107.03374, equation 1), maj@k by counting the
//! subsets in which each answer wins. Problems are averaged with equal weight; see [`interval`](crate::interval) for the
//! confidence intervals.

use std::collections::BTreeMap;

use crate::interval::{Estimate, estimate};

/// One sample of a problem, with its verdict. A sample whose verifier failed has none, and is left out.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Whether the verdict is a pass.
    pub passed: bool,
    /// The verdict's score, in `0..=1`.
    pub score: f32,
    /// The answer that the completion gives, in the form in which equal answers are equal texts; `None` if it gives none,
    /// which votes for nothing.
    pub answer: Option<String>,
}

/// A problem's samples.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    /// The problem's tags.
    pub tags: Vec<String>,
    /// Its samples, in any order.
    pub samples: Vec<Sample>,
}

/// The results of one task set, or of its problems with one tag. An estimate is missing where no problem has k samples;
/// problems with fewer do not enter, which [`Estimate::n`] shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// The number of problems with at least one sample.
    pub n: usize,
    /// The number of samples of all problems.
    pub samples: usize,
    /// pass@k for each k asked for: the probability that one of k samples passes at least.
    pub pass: Vec<(usize, Option<Estimate>)>,
    /// maj@k for each k asked for: the probability that the answer most frequent among k samples is right.
    pub maj: Vec<(usize, Option<Estimate>)>,
    /// avg@n: the mean score of a problem's samples, averaged over problems.
    pub average: Option<Estimate>,
}

/// Summarises problems, with pass@k and maj@k for each of `ks` (each at least 1).
pub fn summarise<'a>(problems: impl IntoIterator<Item = &'a Problem>, ks: &[usize]) -> Summary {
    let problems: Vec<&Problem> =
        problems.into_iter().filter(|problem| !problem.samples.is_empty()).collect();
    let samples = problems.iter().map(|problem| problem.samples.len()).sum();
    let at = |k: usize, measure: fn(&Problem, usize) -> f64| {
        let enough = problems.iter().filter(|problem| problem.samples.len() >= k);
        let values: Vec<f64> = enough.clone().map(|problem| measure(problem, k)).collect();
        let draws: usize = enough.map(|problem| problem.samples.len() / k).sum();
        estimate(&values, draws as f64)
    };
    let pass_at = |problem: &Problem, k| {
        let passes = problem.samples.iter().filter(|sample| sample.passed).count();
        pass_at_k(problem.samples.len(), passes, k)
    };
    Summary {
        n: problems.len(),
        samples,
        pass: ks.iter().map(|k| (*k, at(*k, pass_at))).collect(),
        maj: ks.iter().map(|k| (*k, at(*k, |p, k| maj_at_k(&p.samples, k)))).collect(),
        average: at(1, |p, _| {
            p.samples.iter().map(|s| f64::from(s.score)).sum::<f64>() / p.samples.len() as f64
        }),
    }
}

/// Summarises the problems of each tag, by the tag's name. A problem with several tags enters under each.
pub fn summarise_by_tag(problems: &[Problem], ks: &[usize]) -> BTreeMap<String, Summary> {
    let mut by_tag: BTreeMap<&str, Vec<&Problem>> = BTreeMap::new();
    for problem in problems {
        for (i, tag) in problem.tags.iter().enumerate() {
            if !problem.tags[..i].contains(tag) {
                by_tag.entry(tag).or_default().push(problem);
            }
        }
    }
    by_tag.into_iter().map(|(tag, problems)| (tag.to_string(), summarise(problems, ks))).collect()
}

/// The probability that k of n samples, drawn without replacement, hold one of the c that pass at least:
/// `1 - C(n - c, k) / C(n, k)` (arXiv 2107.03374, equation 1), as a product, which neither overflows nor cancels.
/// `c <= n` and `1 <= k <= n`.
pub fn pass_at_k(n: usize, c: usize, k: usize) -> f64 {
    if n - c < k {
        return 1.0;
    }
    1.0 - (n - c + 1..=n).map(|i| 1.0 - k as f64 / i as f64).product::<f64>()
}

/// The probability that the most frequent answer among k of the samples, drawn without replacement, is right. Answers that
/// share the first place win with equal probability. An answer is right as often as its samples pass, which is always or
/// never, unless the verdict depends on more than the answer. `1 <= k <= samples.len()`.
pub fn maj_at_k(samples: &[Sample], k: usize) -> f64 {
    let n = samples.len();
    // Votes and passes of each answer.
    let mut answers: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for sample in samples {
        if let Some(answer) = &sample.answer {
            let (votes, passes) = answers.entry(answer).or_default();
            *votes += 1;
            *passes += usize::from(sample.passed);
        }
    }
    let votes: Vec<usize> = answers.values().map(|(votes, _)| *votes).collect();
    let silent = n - votes.iter().sum::<usize>();

    // ln C(n, k) is shared out over the answers by their votes, so that products of counts stay in range for any n.
    let log_factorials: Vec<f64> = std::iter::once(0.0)
        .chain((1..=n).scan(0.0, |sum, i| {
            *sum += (i as f64).ln();
            Some(*sum)
        }))
        .collect();
    let log_choose = |n: usize, k: usize| log_factorials[n] - log_factorials[k] - log_factorials[n - k];
    let share = log_choose(n, k) / n as f64;
    let ways = |of: usize, drawn: usize| (log_choose(of, drawn) - share * of as f64).exp();

    let mut wins_by_votes: BTreeMap<usize, f64> = BTreeMap::new();
    let mut expected = 0.0;
    for (index, (own, passes)) in answers.values().enumerate() {
        if *passes == 0 {
            continue;
        }
        let wins = *wins_by_votes.entry(*own).or_insert_with(|| {
            let others: Vec<usize> = [&votes[..index], &votes[index + 1..]].concat();
            (1..=k.min(*own))
                .map(|drawn| ways(*own, drawn) * unbeaten(&others, silent, drawn, k - drawn, &ways))
                .sum()
        });
        expected += wins * *passes as f64 / *own as f64;
    }
    expected.clamp(0.0, 1.0)
}

/// The (scaled) number of ways to draw `rest` samples from the other answers and the silent ones such that no answer is
/// drawn more than `most` times, each divided by the number of answers that then share the first place.
fn unbeaten(
    others: &[usize],
    silent: usize,
    most: usize,
    rest: usize,
    ways: &dyn Fn(usize, usize) -> f64,
) -> f64 {
    // `table[ties][drawn]`: from the answers seen so far, `drawn` samples, `ties` answers level with the first.
    let most_ties = (rest / most).min(others.len());
    let mut table = vec![vec![0.0; rest + 1]; most_ties + 1];
    table[0][0] = 1.0;
    for votes in others {
        let mut next = vec![vec![0.0; rest + 1]; most_ties + 1];
        for (ties, row) in table.iter().enumerate() {
            for (drawn, count) in row.iter().enumerate().filter(|(_, count)| **count > 0.0) {
                for more in 0..=most.min(*votes).min(rest - drawn) {
                    let level = ties + usize::from(more == most);
                    next[level][drawn + more] += count * ways(*votes, more);
                }
            }
        }
        table = next;
    }
    let drawn = rest.saturating_sub(silent)..=rest;
    table
        .iter()
        .enumerate()
        .map(|(ties, row)| {
            drawn.clone().map(|d| row[d] * ways(silent, rest - d)).sum::<f64>() / (ties + 1) as f64
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(answer: char) -> Sample {
        // Capital letters are right, small ones wrong, a dot gives no answer.
        let passed = answer.is_ascii_uppercase();
        let answer = (answer != '.').then(|| answer.to_string());
        Sample { passed, score: f32::from(u8::from(passed)), answer }
    }

    fn samples(answers: &str) -> Vec<Sample> {
        answers.chars().map(sample).collect()
    }

    fn problem(answers: &str, tags: &[&str]) -> Problem {
        Problem { tags: tags.iter().map(|tag| tag.to_string()).collect(), samples: samples(answers) }
    }

    /// The mean of `measure` over all subsets of k samples, by enumeration.
    fn by_enumeration(samples: &[Sample], k: usize, measure: impl Fn(&[&Sample]) -> f64) -> f64 {
        let (mut sum, mut subsets) = (0.0, 0.0);
        for mask in 0u32..1 << samples.len() {
            if mask.count_ones() as usize == k {
                let chosen: Vec<_> =
                    (0..samples.len()).filter(|i| mask >> i & 1 == 1).map(|i| &samples[i]).collect();
                sum += measure(&chosen);
                subsets += 1.0;
            }
        }
        sum / subsets
    }

    fn majority_is_right(chosen: &[&Sample]) -> f64 {
        let count = |answer: &Option<String>| chosen.iter().filter(|sample| sample.answer == *answer).count();
        let voting: Vec<_> = chosen.iter().filter(|sample| sample.answer.is_some()).collect();
        let most = voting.iter().map(|sample| count(&sample.answer)).max().unwrap_or(0);
        let winners: Vec<_> = voting.iter().filter(|sample| count(&sample.answer) == most).collect();
        let right = winners.iter().filter(|sample| sample.passed).count();
        if winners.is_empty() { 0.0 } else { right as f64 / winners.len() as f64 }
    }

    const CASES: [&str; 12] = [
        "A",
        "b",
        ".",
        "Ab",
        "AAb..",
        "AAbbc",
        "Abcdefgh",
        "AABBccdd",
        "AAAbbb.c",
        "........",
        "AAbbbb..Cdd",
        "AAAAAAbbbbbb",
    ];

    #[test]
    fn pass_at_k_is_the_mean_over_all_subsets() {
        for case in CASES {
            let samples = samples(case);
            let passes = samples.iter().filter(|sample| sample.passed).count();
            for k in 1..=samples.len() {
                let any = |chosen: &[&Sample]| f64::from(chosen.iter().any(|sample| sample.passed));
                let expected = by_enumeration(&samples, k, any);
                let found = pass_at_k(samples.len(), passes, k);
                assert!((found - expected).abs() < 1e-12, "{case} at {k}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn maj_at_k_is_the_mean_over_all_subsets_with_ties_shared() {
        for case in CASES {
            let samples = samples(case);
            for k in 1..=samples.len() {
                let expected = by_enumeration(&samples, k, majority_is_right);
                let found = maj_at_k(&samples, k);
                assert!((found - expected).abs() < 1e-12, "{case} at {k}: {found}, expected {expected}");
            }
        }
    }

    #[test]
    fn an_answer_whose_samples_pass_in_part_is_right_in_part() {
        // Three samples give 7, two of them in the form that the verifier wants; whichever k, 7 wins.
        let mut samples = samples("777");
        samples[0].passed = true;
        samples[1].passed = true;
        for k in 1..=3 {
            assert!((maj_at_k(&samples, k) - 2.0 / 3.0).abs() < 1e-12);
        }
    }

    #[test]
    fn many_samples_neither_overflow_nor_lose_digits() {
        // 1 of 4,000 passes: pass@k is k / n. 2,400 votes against 1,600: the majority of 401 is all but certain.
        for k in [1, 8, 400, 3_999] {
            assert!((pass_at_k(4_000, 1, k) - k as f64 / 4_000.0).abs() < 1e-12);
        }
        let votes = |right: usize, wrong: usize| samples(&("A".repeat(right) + &"b".repeat(wrong)));
        let found = maj_at_k(&votes(2_400, 1_600), 401);
        assert!(found > 0.999 && found <= 1.0, "{found}");
        assert!((maj_at_k(&votes(1_000, 1_000), 200) - 0.5).abs() < 1e-9);
        assert!((maj_at_k(&votes(700, 300), 1) - 0.7).abs() < 1e-9);
    }

    #[test]
    fn problems_with_fewer_samples_than_k_do_not_enter() {
        let problems = [problem("AAbb", &[]), problem("A", &[]), problem("", &[])];
        let summary = summarise(&problems, &[1, 4, 8]);
        assert_eq!((summary.n, summary.samples), (2, 5));
        let pass: Vec<_> =
            summary.pass.iter().map(|(k, found)| (*k, found.map(|e| (e.value, e.n)))).collect();
        assert_eq!(pass, [(1, Some((0.75, 2))), (4, Some((1.0, 1))), (8, None)]);
        assert_eq!(summarise(&[], &[1]).average, None);
    }

    #[test]
    fn the_average_is_of_scores_and_every_problem_weighs_the_same() {
        let mut half = problem("ab", &[]);
        half.samples.iter_mut().for_each(|sample| sample.score = 0.5);
        let found = summarise(&[half, problem("BBBBBBBB", &[])], &[1]).average.unwrap();
        assert_eq!((found.value, found.n), (0.75, 2));
    }

    #[test]
    fn each_tag_is_summarised_over_its_own_problems() {
        let problems = [
            problem("Ab", &["sums", "easy"]),
            problem("AB", &["sums", "sums"]),
            problem("ab", &["facts"]),
            problem("ab", &[]),
        ];
        let by_tag = summarise_by_tag(&problems, &[1, 2]);
        let rates: Vec<_> =
            by_tag.iter().map(|(tag, s)| (tag.as_str(), s.n, s.pass[0].1.unwrap().value)).collect();
        assert_eq!(rates, [("easy", 1, 0.5), ("facts", 1, 0.0), ("sums", 2, 0.75)]);
    }
}
