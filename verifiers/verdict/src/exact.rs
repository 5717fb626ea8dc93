//! JSON whose large integers keep their digits: a reader of JSON makes floats of integers beyond 64 bits, and a test that expects
//! such an integer would then accept its neighbours.

use serde::de::DeserializeOwned;
use std::borrow::Cow;

/// Reads JSON. An integer beyond 64 bits inside a field's list or object becomes `{"$integer": "digits"}`, which verifiers of
/// tests read as the integer.
///
/// ```
/// let row: serde_json::Value = rlvr_verdict::read_json(br#"{"tests": [18446744073709551616, 5]}"#).unwrap();
/// assert_eq!(row["tests"][0]["$integer"], "18446744073709551616");
/// assert_eq!(row["tests"][1], 5);
/// ```
///
/// # Errors
/// Where the text is no JSON.
pub fn read_json<T: DeserializeOwned>(text: &[u8]) -> serde_json::Result<T> {
    serde_json::from_slice(&with_marked_integers(text))
}

fn with_marked_integers(text: &[u8]) -> Cow<'_, [u8]> {
    let (mut out, mut copied) = (Vec::new(), 0);
    let (mut at, mut depth) = (0, 0_usize);
    while at < text.len() {
        match text[at] {
            b'"' => at = end_of_string(text, at),
            b'{' | b'[' => (at, depth) = (at + 1, depth + 1),
            b'}' | b']' => (at, depth) = (at + 1, depth.saturating_sub(1)),
            b'-' | b'0'..=b'9' => {
                let number = |b: &&u8| b.is_ascii_digit() || b"+-.eE".contains(*b);
                let end = at + text[at..].iter().take_while(number).count();
                if depth > 1 && is_large(&text[at..end]) {
                    out.extend_from_slice(&text[copied..at]);
                    out.extend_from_slice(b"{\"$integer\":\"");
                    out.extend_from_slice(&text[at..end]);
                    out.extend_from_slice(b"\"}");
                    copied = end;
                }
                at = end;
            }
            _ => at += 1,
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(&text[copied..]);
    Cow::Owned(out)
}

/// Where the text goes on after the string that opens at `at`.
fn end_of_string(text: &[u8], mut at: usize) -> usize {
    at += 1;
    while at < text.len() && text[at] != b'"' {
        at += if text[at] == b'\\' { 2 } else { 1 };
    }
    at + 1
}

/// Whether a number is an integer beyond 64 bits.
fn is_large(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let text = std::str::from_utf8(number).unwrap_or_default();
    digits.len() > 18
        && digits[0] != b'0'
        && digits.iter().all(u8::is_ascii_digit)
        && text.parse::<i64>().is_err()
        && text.parse::<u64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn only_integers_beyond_64_bits_inside_fields_are_marked() {
        let read = |text: &str| read_json::<Value>(text.as_bytes()).unwrap();
        let row = read(
            r#"{"a": 18446744073709551616, "t": [18446744073709551615, -9223372036854775809, 1e30, 18446744073709551616.0]}"#,
        );
        assert_eq!(row["a"], json!(18446744073709551616.0));
        assert_eq!(row["t"][0], json!(u64::MAX));
        assert_eq!(row["t"][1], json!({ "$integer": "-9223372036854775809" }));
        assert_eq!((&row["t"][2], &row["t"][3]), (&json!(1e30), &json!(18446744073709551616.0)));
    }

    #[test]
    fn digits_in_strings_and_what_is_no_json_stay_as_they_are() {
        let text = r#"{"t": ["99999999999999999999", "\"99999999999999999999", "\\"]}"#;
        assert_eq!(
            read_json::<Value>(text.as_bytes()).unwrap(),
            serde_json::from_str::<Value>(text).unwrap()
        );
        for broken in ["{\"t\": [099999999999999999999]}", "[[9", "[[\"9", "[[\"\\", "-", "{\"t\": [-]}"] {
            assert!(read_json::<Value>(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
