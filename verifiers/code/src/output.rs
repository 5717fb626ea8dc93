//! Comparison of what a program wrote with what it should have written. Done on the host: the program never sees the expected
//! output.

use serde::Deserialize;

/// How outputs are compared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// Byte for byte.
    Exact,
    /// Word for word, whatever the white space between.
    #[default]
    Whitespace,
    /// Word for word; words that are numbers within the tolerance, relative or absolute.
    Numeric,
}

/// Whether `got` is `expected`. `tolerance` is that of [`Compare::Numeric`].
pub fn same_output(got: &[u8], expected: &str, compare: Compare, tolerance: f64) -> bool {
    if compare == Compare::Exact {
        return got == expected.as_bytes();
    }
    let got = String::from_utf8_lossy(got);
    let (mut left, mut right) = (got.split_whitespace(), expected.split_whitespace());
    loop {
        match (left.next(), right.next()) {
            (None, None) => return true,
            (Some(a), Some(b)) if a == b || compare == Compare::Numeric && near(a, b, tolerance) => {}
            _ => return false,
        }
    }
}

fn near(a: &str, b: &str, tolerance: f64) -> bool {
    match (number(a), number(b)) {
        (Some(a), Some(b)) => a == b || (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0),
        _ => false,
    }
}

/// A finite decimal number; `nan`, `inf` and the like are words.
fn number(word: &str) -> Option<f64> {
    let digits = word.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    word.parse().ok().filter(|n: &f64| digits && n.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_counts_only_in_exact_comparison() {
        let same = |compare| same_output(b"1  2\n3", "1 2\n3\n", compare, 0.0);
        assert!(same(Compare::Whitespace) && !same(Compare::Exact));
        assert!(!same_output(b"12 3", "1 2 3", Compare::Whitespace, 0.0));
        assert!(!same_output(b"1 2 3 4", "1 2 3", Compare::Whitespace, 0.0));
    }

    #[test]
    fn numbers_are_near_within_the_tolerance_and_words_are_not() {
        let same = |got: &[u8], expected| same_output(got, expected, Compare::Numeric, 1e-6);
        assert!(same(b"x 1000000.5", "x 1000000.0") && same(b"1.0", "1"));
        assert!(!same(b"1.001", "1") && !same(b"nan", "1") && !same(b"inf", "1e999"));
    }
}
