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
    /// Word for word; integers equal, other numbers within the tolerance, relative or absolute.
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

/// Two integers are near only where they are equal, whatever their size. Beside an expected integer, a number with a fraction or an
/// exponent is near by its absolute difference alone: a relative one would take 1e9 for 1000000007.
fn near(got: &str, expected: &str, tolerance: f64) -> bool {
    let whole = integer(expected).filter(|_| !expected.contains('.'));
    match (integer(got), &whole) {
        (Some(a), Some(b)) => return a == *b,
        (None, Some(b)) if b.trim_start_matches('-').len() > 15 => return false,
        _ => {}
    }
    let (Some(a), Some(b)) = (number(got), number(expected)) else { return false };
    let scale = if whole.is_some() { 1.0 } else { a.abs().max(b.abs()).max(1.0) };
    a == b || (a - b).abs() <= tolerance * scale
}

/// The digits of an integer, as each integer has them once; a fraction of zeros is none.
fn integer(word: &str) -> Option<String> {
    let (minus, digits) = match word.strip_prefix(['-', '+']) {
        Some(digits) => (word.starts_with('-'), digits),
        None => (false, word),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let valid =
        !whole.is_empty() && whole.bytes().all(|b| b.is_ascii_digit()) && fraction.bytes().all(|b| b == b'0');
    let whole = whole.trim_start_matches('0');
    valid.then(|| match (minus, whole) {
        (_, "") => "0".to_owned(),
        (true, _) => format!("-{whole}"),
        (false, _) => whole.to_owned(),
    })
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
        assert!(same(b"2.9999999999", "3") && same(b"3.000", "3") && same(b"+03", "3") && same(b"-0", "0"));
        assert!(!same(b"1000000000", "1000000007") && !same(b"1e9", "1000000007"));
        assert!(!same(b"123456789012345678901234567890", "123456789012345678901234567891"));
        assert!(!same(b"9007199254740992.5", "9007199254740993") && !same(b"3", "-3"));
    }
}
