//! Whether an answer equals the gold answer, and why.

use crate::reading::{Number, Reading};
use dashu_base::{Abs, BitTest};
use dashu_int::UBig;
use dashu_ratio::RBig;

/// A comparison and its reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Comparison {
    /// Whether the answer is right.
    pub equal: bool,
    /// Why, in a few words.
    pub why: &'static str,
}

const fn equal(why: &'static str) -> Comparison {
    Comparison { equal: true, why }
}

const fn different(why: &'static str) -> Comparison {
    Comparison { equal: false, why }
}

/// Compares an answer with the gold answer.
///
/// Numbers are equal by value; a unit, a variable or a percent sign may be missing on one side, but may not
/// differ. A gold fraction is also equal to a decimal that rounds it to at least `rounding` significant
/// digits; 0 turns that off. Text equals text of the same normal form. Text never equals a number.
pub fn compare(gold: &Reading, answer: &Reading, rounding: usize) -> Comparison {
    match (gold, answer) {
        (Reading::Number(gold), Reading::Number(answer)) => numbers(gold, answer, rounding),
        (Reading::Text(gold), Reading::Text(answer)) if gold == answer => equal("the same text"),
        (Reading::Text(_), Reading::Text(_)) => different("different text"),
        (Reading::Number(_), Reading::Text(_)) => different("the answer is not a single number"),
        (Reading::Text(_), Reading::Number(_)) => different("the gold answer is not a single number"),
    }
}

fn numbers(gold: &Number, answer: &Number, rounding: usize) -> Comparison {
    let differ = |a: &Option<String>, b: &Option<String>| a.is_some() && b.is_some() && a != b;
    if differ(&gold.variable, &answer.variable) {
        return different("another variable");
    }
    if differ(&gold.unit, &answer.unit) {
        return different("another unit");
    }
    if gold.value == answer.value {
        return equal("equal values");
    }
    let hundred = RBig::from(100u8);
    if gold.percent != answer.percent {
        // the percent sign left out, as a unit may be
        let bare = |n: &Number| if n.percent { &n.value * &hundred } else { n.value.clone() };
        return if bare(gold) == bare(answer) {
            equal("equal but for the percent sign")
        } else {
            different("other value")
        };
    }
    if rounds(gold, answer, rounding) {
        return equal("the gold answer, rounded");
    }
    different("other value")
}

/// Whether the answer is a decimal that rounds an exact gold fraction to enough digits.
fn rounds(gold: &Number, answer: &Number, rounding: usize) -> bool {
    let Some(decimals) = answer.decimals else { return false };
    if rounding == 0 || gold.decimals.is_some() || gold.value.is_int() || gold.percent {
        return false;
    }
    let unit = RBig::from(UBig::from(10u8).pow(decimals));
    let steps = (&answer.value * &unit).into_parts().0;
    let off = (&gold.value - &answer.value).abs() * unit * RBig::from(2u8);
    // a number of n decimal digits has at least 3.3 (n - 1) bits, so most short ones need no printing
    let long = steps.bit_len() + 3 >= rounding && steps.to_string().trim_start_matches('-').len() >= rounding;
    long && off <= RBig::ONE
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::read;
    use proptest::prelude::*;

    fn is(gold: &str, answer: &str) -> bool {
        compare(&read(gold).unwrap(), &read(answer).unwrap(), 6).equal
    }

    #[test]
    fn values_are_compared_exactly() {
        for (gold, answer) in [
            (r"\frac12", "0.5"),
            ("0.5", r"\frac{1}{2}"),
            ("1000", "1,000"),
            ("1500", "1.5e3"),
            ("8", "2^3"),
            (r"\frac{11}{2}", r"5\frac12"),
            ("18", "$18.00"),
            ("18", "18 dollars per day"),
            ("10 cm", "10"),
            ("28%", "28"),
            ("0.28", "28%"),
            ("5", "x = 5"),
            (r"90^\circ", "90"),
            (r"\text{Yes}", "yes"),
        ] {
            assert!(is(gold, answer), "{gold} {answer}");
        }
        for (gold, answer) in [
            ("10^{-20}", "0"),
            (r"\frac{1}{2^{99}}", r"\frac{1}{3^{99}}"),
            ("0.0000001", "0.0000002"),
            ("5", "5, 6"),
            ("5", "0 = 5"),
            ("5", "6 = 5"),
            ("5", "5 or 5"),
            ("12", "1 2"),
            ("5", "5x"),
            ("10 cm", "10 m"),
            ("10 cm", "10 cm^2"),
            ("x = 5", "y = 5"),
            ("28", "2.8%"),
            ("4", "2^6"),
            ("1.0000001", "1"),
            ("Yes", "No"),
        ] {
            assert!(!is(gold, answer), "{gold} {answer}");
        }
    }

    #[test]
    fn a_fraction_may_be_rounded_to_the_digits_that_the_policy_states_and_no_fewer() {
        assert!(is("1/3", "0.333333") && is("2/3", "0.666667") && is("20000/3", "6666.67"));
        assert!(!is("1/3", "0.33333") && !is("2/3", "0.666666") && !is("0.333", r"\frac13"));
        assert!(!is("1/3000000", "0.0000003"), "zeros before the first digit do not count");
        assert!(!is("3", "3.0000001") && !is("0.3333333", "0.333333"));
        let (third, decimal) = (read("1/3").unwrap(), read("0.333333").unwrap());
        assert!(!compare(&third, &decimal, 0).equal);
    }

    proptest! {
        #[test]
        fn equality_is_symmetric_without_rounding(a in "[0-9x/.%=, -]{1,8}", b in "[0-9x/.%=, -]{1,8}") {
            if let (Ok(a), Ok(b)) = (read(&a), read(&b)) {
                prop_assert!(compare(&a, &a, 6).equal);
                prop_assert_eq!(compare(&a, &b, 0).equal, compare(&b, &a, 0).equal);
            }
        }
    }
}
