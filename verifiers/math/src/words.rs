//! Words as answers: a normal form, and numbers in words.

/// Words in a normal form: lower case, single spaces, without articles, punctuation at the ends and quotes.
pub(crate) fn normal(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let edges = |c: char| c.is_whitespace() || "~.,;:!?\"'`*“”‘’".contains(c);
    let mut words = text
        .split(|c: char| c.is_whitespace() || c == '~')
        .filter(|w| !w.trim_matches(edges).is_empty())
        .peekable();
    while let Some(word) = words.next() {
        // "A, C" are letters
        let more = words.peek().is_some_and(|next| next.trim_matches(edges).len() > 1);
        if more && matches!(word, "a" | "an" | "the" | "A" | "An" | "The") {
            continue;
        }
        if !out.is_empty() {
            out.push(' ');
        }
        let comma = word.ends_with(',') && words.peek().is_some();
        out.push_str(&word.trim_matches(edges).to_lowercase());
        if comma {
            out.push(',');
        }
    }
    out
}

/// The number that a word names.
pub(crate) fn numeral(word: &str) -> Option<i64> {
    const UNITS: [&str; 20] = [
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    let index = |list: &[&str], word: &str| list.iter().position(|w| *w == word);
    if let Some(n) = index(&UNITS, word) {
        return Some(n as i64);
    }
    let (tens, unit) = word.split_once(['-', ' ']).unwrap_or((word, "zero"));
    let tens = index(&TENS, tens)? as i64 * 10 + 20;
    let unit = index(&UNITS, unit).filter(|u| *u < 10)? as i64;
    Some(tens + unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_compared_without_case_articles_and_punctuation() {
        assert_eq!(normal("  The Ellipse. "), "ellipse");
        assert_eq!(normal("an answer"), "answer");
        assert_eq!(normal("A"), "a");
    }

    #[test]
    fn numbers_in_words_are_read() {
        assert_eq!((numeral("seven"), numeral("forty-two"), numeral("often")), (Some(7), Some(42), None));
    }
}
