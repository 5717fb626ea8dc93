//! Equal and different answers of all the kinds that the verifier reads, one pair a line in `equivalence.txt`.

use rlvr_math::MathVerifier;
use rlvr_verdict::{Completion, Outcome, Problem, Verifier};

#[test]
fn pairs_are_equal_or_different_as_mathematics_and_the_default_policies_say() {
    let math = MathVerifier::default();
    let mut wrong = Vec::new();
    for line in
        include_str!("equivalence.txt").lines().filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let parts: Vec<&str> = line.splitn(3, " | ").collect();
        let [equal, gold, answer] = parts[..] else { panic!("{line}") };
        let completion =
            answer.strip_prefix('!').map_or_else(|| format!("\\boxed{{{answer}}}"), str::to_owned);
        let problem = Problem { answer: Some(gold.into()), ..Problem::default() };
        let verdict = math.verify(&problem, &Completion::new(completion));
        if (verdict.outcome == Outcome::Pass) != (equal == "T") {
            wrong.push(format!("{line}: {}", verdict.reason));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
