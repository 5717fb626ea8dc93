//! Letters and choices' texts in running text: what stands for a choice, and what is only an article, a word or a name.
//!
//! A letter stands for a choice where it is set apart (`(B)`, `**B**`, `B.`, `$B$`, `\boxed{\text{B}}`), ends its clause, or is
//! followed by a word such as `because`; a lower-case letter only between brackets or marks, or at a line's end. `A train`,
//! `vitamin B12`, `A-level` and `a good reason` are none.

use regex::Regex;
use std::sync::LazyLock;

/// Bytes of a line that are compared with choices' texts; longer choices are read by letter only.
const LINE: usize = 1000;

/// A pattern of this crate's own.
pub(super) fn own(pattern: &str) -> Regex {
    Regex::new(pattern).expect("patterns of this crate are tested")
}

/// What may stand between the words `answer is` and the answer.
pub(super) static WORDS: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r#"^(?:[\s:*_`$"'“‘(\[{]|\\[(\[]|\\(?:text|textbf|mathrm|mathbf|mathsf|boxed|fbox)\s*\{|(?i:it['’]s|that['’]s|for sure|"#,
        r"option|choice|letter|answer|the|it|is|be|could|might|may|must|has|to|also|even|maybe|perhaps|possibly|probably|likely|",
        r"most|definitely|clearly|certainly|obviously|surely|simply|just|indeed|so|therefore|thus|hence|actually|still|either|",
        r"both|between|correct|right)\b){0,24}"
    ))
});
/// The marks among them.
static MARKS: LazyLock<Regex> = LazyLock::new(|| {
    own(r#"^(?:[\s*_`$"'“‘(\[{]|\\[(\[]|\\(?:text|textbf|mathrm|mathbf|mathsf|boxed|fbox)\s*\{){0,24}"#)
});
/// What makes a line an item, a heading or a quotation.
static BULLET: LazyLock<Regex> = LazyLock::new(|| own(r"^\s*(?:(?:[-+•*>]|#{1,6})\s+){0,4}"));
/// What separates a letter from its choice's text; a sign is none.
static SEPARATOR: LazyLock<Regex> = LazyLock::new(|| own(r"^(?:[\s.):,*_(=–—]|-\s){0,16}"));
static LABEL: LazyLock<Regex> = LazyLock::new(|| own(r#"(?i)\b(?:option|choice|letter)[\s:*_`$"'“‘(\[{]*$"#));
static CLOSERS: LazyLock<Regex> = LazyLock::new(|| own(r#"^(?:[)\]}*_`$"”'’]|\\[)\]])+"#));
/// What ends the clause of a bare letter.
static CLAUSE_END: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r#"^(?:\s*$|[ \t]*\n|[.,;:!]+(?:[\s)\]}*_`$"”'’<\\(]|$)|[.:][A-Z][a-z]|[<|—–]|\s*\\|"#,
        r"\s+(?:[-—–(=→<]|(?i:because|since|as|due|given|for|so|based|which)\b))"
    ))
});
static LINE_END: LazyLock<Regex> = LazyLock::new(|| own(r"^[.)]?\s*(?:$|\n|<)"));
/// What ends a choice's text, in lower case.
static TEXT_END: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r#"^[*_`$"”'’)\]}]*(?:$|[.,;:!]+(?:[\s*_`$"”'’)\]}<]|$)|[<—–]|\s*\\|"#,
        r"\s(?:[-—–(=→<]|(?:because|since|as|due|given|so|based|which)\b))"
    ))
});
static NEGATED: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r#"(?i)^[\s.:)\]*_"'”]*(?:(?:is|are|was|would be|seems|can be|must be)\s+(?:\w+\s+)?"#,
        r"(?:not|wrong|incorrect|false|ruled|eliminated|impossible|out|unlikely)\b|(?:is|does|would|wo|ca|was|could)n['’]t\b|cannot\b)"
    ))
});
static JOINER: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r#"^[\s*_)\]}$"?!]*(?:\([^()\n]{0,60}\)\s*)?"#,
        r"(?:[,;]?\s*(?P<word>(?i:or|and/or|and|nor|plus|as well as|versus|vs)\b)|[/&|,;])"
    ))
});
static VERB: LazyLock<Regex> =
    LazyLock::new(|| own(r"^[)\]*_]*\s+(?:are|is|both|could|might|may|would|seem)\b"));

/// A letter that stands for a choice.
pub(super) struct Mark {
    /// The choice's index: 0 for A.
    pub choice: usize,
    /// Where the letter and the marks around it end in the text.
    pub end: usize,
    /// Whether brackets or marks close it.
    pub closed: bool,
}

/// What a text says at some place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reading {
    /// This choice, by its index.
    One(usize),
    /// More than one choice, two of which are these.
    Several([usize; 2]),
}

/// The choices of a problem by their texts.
pub(super) struct Texts(Vec<Option<String>>);

impl Texts {
    /// Texts that are blank, a single letter, longer than a line or the same as another's name no choice.
    pub fn new(choices: &[String]) -> Self {
        let bare = choices.iter().map(|choice| bare(&folded(choice)).to_owned()).collect::<Vec<_>>();
        let usable = |text: &String| {
            let repeated = bare.iter().filter(|other| *other == text).count() > 1;
            let letter = text.len() == 1 && text.bytes().all(|b| b.is_ascii_alphabetic());
            !text.is_empty() && !letter && text.len() <= LINE && !repeated
        };
        Texts(bare.iter().map(|text| usable(text).then(|| text.clone())).collect())
    }

    /// The choice whose text a whole line is.
    pub fn whole(&self, line: &str) -> Option<usize> {
        let line = folded(cut(line, 2 * LINE));
        self.0.iter().position(|choice| choice.as_deref() == Some(bare(&line)))
    }

    /// The choice whose text the folded line starts with, the longest one, and what follows.
    fn start<'l>(&self, line: &'l str) -> Option<(usize, &'l str)> {
        let starts = self.0.iter().enumerate().filter_map(|(i, choice)| {
            let rest = line.strip_prefix(choice.as_deref()?)?;
            (!rest.starts_with(char::is_alphanumeric)).then_some((i, rest))
        });
        starts.min_by_key(|(_, rest)| rest.len())
    }
}

/// In lower case, each run of white space one space.
fn folded(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

/// Without marks around and punctuation after it.
fn bare(text: &str) -> &str {
    text.trim_matches(['*', '_', '`', '$', '"', '“', '”', '.', ',', ';', ':', '!', ' '])
}

/// The first bytes of a text, at most `most`, in whole characters.
fn cut(text: &str, most: usize) -> &str {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// Where the first `count` words of a text end.
fn words_end(text: &str, count: usize) -> usize {
    let last = text.split_whitespace().nth(count.saturating_sub(1));
    last.map_or(text.len(), |word| word.as_ptr() as usize + word.len() - text.as_ptr() as usize)
}

fn first_line(text: &str) -> &str {
    cut(text.trim_start().lines().next().unwrap_or_default(), LINE)
}

/// What stands at the beginning of a line, if that is a choice's letter.
pub(super) fn line_mark(line: &str) -> Option<Mark> {
    let item = BULLET.find(line).map_or(0, |bullet| bullet.end());
    mark_after(line, item + MARKS.find(&line[item..]).map_or(0, |marks| marks.end()), false)
}

/// The letter at a place of a text, after marks and words such as `option`.
pub(super) fn mark_at(text: &str, from: usize) -> Option<Mark> {
    let lead = WORDS.find(&text[from..]).map_or("", |lead| lead.as_str());
    mark_after(text, from + lead.len(), LABEL.is_match(lead))
}

/// The letter at exactly this place; one that is `labelled` as an option may go on in words.
fn mark_after(text: &str, at: usize, labelled: bool) -> Option<Mark> {
    let (index, upper, rest) = letter(text, at)?;
    let closers = CLOSERS.find(rest).map_or(0, |closers| closers.end());
    let closed = closers > 0 && !rest[closers..].starts_with(char::is_alphanumeric);
    let stands = match upper {
        true => closed || labelled || CLAUSE_END.is_match(rest),
        false => closed || LINE_END.is_match(rest),
    };
    let end = at + 1 + if closed { closers } else { 0 };
    (stands && !NEGATED.is_match(&text[end..])).then_some(Mark { choice: index, end, closed })
}

/// A letter that is a word: its choice, whether it is upper case, and what follows it.
fn letter(text: &str, at: usize) -> Option<(usize, bool, &str)> {
    let byte = *text.as_bytes().get(at)?;
    if !byte.is_ascii_alphabetic() {
        return None;
    }
    let rest = &text[at + 1..];
    let mut next = rest.chars();
    let word = match next.next() {
        Some('\'' | '’') => next.next().is_some_and(char::is_alphanumeric),
        Some(c) => c.is_alphanumeric(),
        None => false,
    };
    (!word).then_some(((byte.to_ascii_uppercase() - b'A') as usize, byte.is_ascii_uppercase(), rest))
}

/// What a text says at a place, after marks and words such as `option`, and where that ends.
pub(super) fn reading_at(text: &str, from: usize, texts: &Texts) -> Option<(Reading, usize)> {
    let lead = from + WORDS.find(&text[from..]).map_or(0, |lead| lead.end());
    // a choice's own text may begin with what else is skipped: "the answer is The Beatles"
    for start in [from + MARKS.find(&text[from..]).map_or(0, |marks| marks.end()), lead] {
        let line = folded(first_line(&text[start..]));
        let Some((choice, rest)) = texts.start(&line) else { continue };
        let end = start + words_end(&text[start..], line[..line.len() - rest.len()].split(' ').count());
        if let Some(other) = joined(rest, choice, texts) {
            return Some((Reading::Several([choice, other]), end));
        }
        if TEXT_END.is_match(rest) {
            return Some((Reading::One(choice), end));
        }
    }
    if let Some((choice, _, rest)) = letter(text, lead).filter(|(_, upper, _)| *upper) {
        if let Some(other) = joined(rest, choice, texts) {
            return Some((Reading::Several([choice, other]), lead + 1));
        }
        if texts.start(&folded(first_line(rest))).is_some_and(|(own, _)| own == choice) {
            return Some((Reading::One(choice), lead + 1));
        }
    }
    let mark = mark_at(text, from)?;
    Some((with_text(&mark, &text[mark.end..], texts), mark.end))
}

/// A letter together with the rest of its line, which must not be another choice's text.
pub(super) fn with_text(mark: &Mark, rest: &str, texts: &Texts) -> Reading {
    if let Some(other) = joined(rest, mark.choice, texts) {
        return Reading::Several([mark.choice, other]);
    }
    let line = cut(rest.lines().next().unwrap_or_default(), 2 * LINE);
    match texts.whole(separated(line).trim_end_matches(')')) {
        Some(other) if other != mark.choice => Reading::Several([mark.choice, other]),
        _ => Reading::One(mark.choice),
    }
}

/// What follows a letter, without what separates the two.
pub(super) fn separated(rest: &str) -> &str {
    &rest[SEPARATOR.find(rest).map_or(0, |separator| separator.end())..]
}

/// The other choice that is named in one breath with a choice: `rest` is what follows the latter.
fn joined(rest: &str, choice: usize, texts: &Texts) -> Option<usize> {
    let joiner = JOINER.captures(rest)?;
    let after = joiner.get_match().end();
    if let Some(mark) = mark_at(rest, after) {
        return Some(mark.choice).filter(|other| *other != choice);
    }
    let at = after + WORDS.find(&rest[after..]).map_or(0, |lead| lead.end());
    if let Some((other, true, behind)) = letter(rest, at)
        && !NEGATED.is_match(behind)
        && joiner.name("word").is_some()
        && VERB.is_match(behind)
    {
        return Some(other).filter(|other| *other != choice);
    }
    [after, at].iter().find_map(|at| {
        let line = folded(first_line(&rest[*at..]));
        texts.start(&line).map(|(other, _)| other).filter(|other| *other != choice)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mark(text: &str) -> Option<usize> {
        mark_at(text, 0).map(|mark| mark.choice)
    }

    #[test]
    fn every_pattern_compiles() {
        let patterns = [
            &WORDS,
            &MARKS,
            &BULLET,
            &SEPARATOR,
            &LABEL,
            &CLOSERS,
            &CLAUSE_END,
            &LINE_END,
            &TEXT_END,
            &NEGATED,
            &JOINER,
        ];
        assert!(patterns.iter().all(|pattern| pattern.as_str().starts_with(['^', '('])));
        assert!(VERB.is_match(" is"));
    }

    #[test]
    fn a_letter_set_apart_stands_for_a_choice() {
        for text in [
            "B",
            "(B)",
            "[B]",
            "**B**",
            "B.",
            "B)",
            "b)",
            "(b)",
            "`B`",
            "$B$",
            r"\text{B}",
            r"\boxed{\textbf{(B)}}",
            "B, of course",
            "**B.** Paris",
            "option B makes sense",
            "B because",
            "[[B]]",
            "B</answer>",
            "b",
            "B: Paris",
            "B — Paris",
        ] {
            assert_eq!(mark(text), Some(1), "{text}");
        }
    }

    #[test]
    fn articles_words_and_names_are_no_letters() {
        for text in [
            "A train",
            "a train",
            "A-level",
            "A's",
            "B12",
            "Both",
            "A*B",
            "b is",
            "B?",
            "B major",
            "I think",
            "U.S.",
            "B is wrong",
            "(B) is not right",
            "option B isn't",
            "**A train**",
            "(A train)",
            "",
            "é",
            "A/C unit",
        ] {
            assert_eq!(mark(text), None, "{text}");
        }
    }

    #[test]
    fn a_choices_text_ends_where_its_clause_does() {
        let texts = Texts::new(&["5", "New York", "New York City", "The Beatles"].map(String::from));
        let read = |text: &str| reading_at(text, 0, &texts).map(|(reading, _)| reading);
        for (text, choice) in [
            ("5", 0),
            ("5.", 0),
            ("**5**", 0),
            ("5, since", 0),
            ("New York.", 1),
            ("new  york city", 2),
            ("the Beatles", 3),
            ("The Beatles.", 3),
            ("$5$", 0),
            ("D. The Beatles", 3),
        ] {
            assert_eq!(read(text), Some(Reading::One(choice)), "{text}");
        }
        for text in ["5.5", "5/6", "5,000", "-5", "5 + 3 = 8", "50", "5%", "5x", "New Yorker", "5 of them"] {
            assert_eq!(read(text), None, "{text}");
        }
        assert_eq!(read("5 or New York"), Some(Reading::Several([0, 1])));
        assert_eq!(read("A. New York"), Some(Reading::Several([0, 1])));
    }
}
