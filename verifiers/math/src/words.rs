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

/// The number that words name: "forty-two", "one hundred twenty-one", "two thousand and five".
pub(crate) fn numeral(words: &str) -> Option<i64> {
    if let Some(number) = below_hundred(words) {
        return Some(number);
    }
    if !words.contains([' ', '-']) || words.len() > 100 {
        return None;
    }
    let (mut total, mut group, mut any) = (0i64, 0i64, false);
    for word in words.split([' ', '-', ',']).filter(|w| !w.is_empty() && *w != "and") {
        match (word, below_hundred(word)) {
            ("hundred", _) if (1..100).contains(&group) => group *= 100,
            ("thousand" | "million" | "billion", _) if (1..1000).contains(&group) => {
                let scale = crate::lexicon::scale(word)?;
                // larger scales first
                if total != 0 && total % (scale * 1000) != 0 {
                    return None;
                }
                total += group * scale;
                group = 0;
            }
            (_, Some(number)) if number > 0 && fits(group, number) => group += number,
            _ => return None,
        }
        any = true;
    }
    any.then_some(total + group)
}

/// Whether a number may follow those of its group, as "two" may follow "forty" and "one hundred".
fn fits(group: i64, number: i64) -> bool {
    group % 100 == 0 || number < 10 && group % 10 == 0 && group % 100 >= 20
}

/// The number below a hundred that a word names.
fn below_hundred(word: &str) -> Option<i64> {
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
        for (words, number) in [
            ("seven", Some(7)),
            ("forty-two", Some(42)),
            ("often", None),
            ("one hundred", Some(100)),
            ("one hundred twenty-one", Some(121)),
            ("two thousand and five", Some(2005)),
            ("three million four thousand", Some(3_004_000)),
            ("hundred", None),
            ("one two", None),
            ("five thousand two million", None),
        ] {
            assert_eq!(numeral(words), number, "{words}");
        }
    }
}
