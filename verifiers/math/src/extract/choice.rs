//! Letters of multiple-choice answers in prose, for rows that ask for one of a few strings.

use super::boxes;
use super::hedge::{after_or, has_or};
use super::statement::{self, sentence};

/// What a text says of the choices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice<'s> {
    /// It names none.
    None,
    /// It chooses one.
    One(&'s str),
    /// It offers several, or denies the one it names.
    Several,
}

/// The choice that a text makes among strings: the one in its last box, the one announced, the one it begins with, or the
/// last one it names.
pub(crate) fn choice<'s>(text: &str, strings: &'s [String]) -> Choice<'s> {
    let text = text.trim();
    if let Some(content) = boxes::contents(text).last() {
        let framed = of(content, &named(content, strings));
        if framed != Choice::None {
            return framed;
        }
    }
    if let Some((_, end)) = statement::announcement(text) {
        let rest = text[end..].trim_start_matches(|c: char| c.is_whitespace() || ":*_".contains(c));
        let clause = &rest[..sentence(rest).min(statement::clause(rest))];
        let all = named(clause, strings);
        // "B. Or C."
        let next = rest[clause.len()..].trim_start_matches(|c: char| !c.is_alphanumeric());
        let more = after_or(next).is_some_and(|next| !named(&next[..sentence(next)], strings).is_empty());
        match of(clause, &all) {
            Choice::One(_) if more => return Choice::Several,
            Choice::None if denies(clause, strings) => return Choice::Several,
            Choice::None => {}
            found => return found,
        }
    }
    let head = text.trim_start_matches(['(', '*', '[', ' ']);
    let leading = strings.iter().find(|s| {
        head.strip_prefix(s.as_str())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '\''))
    });
    if let Some(found) = leading.filter(|_| !sentence_starts_with_article(head)) {
        let first = &head[..sentence(head)];
        return if has_or(first) { of(first, &named(first, strings)) } else { Choice::One(found) };
    }
    last(text, strings).map_or(Choice::None, Choice::One)
}

/// The choice of a text that names these: the first, unless another is joined to it or offered in its place.
fn of<'s>(text: &str, all: &[(usize, &'s str)]) -> Choice<'s> {
    let Some(((at, first), rest)) = all.split_first() else { return Choice::None };
    for (other_at, other) in rest {
        let between = &text[at + first.len()..*other_at];
        let mut words = crate::lexicon::words(between);
        let joined =
            words.clone().all(|word| has_or(word) || matches!(word, "and" | "either" | "und" | "et" | "y"));
        let offered = words.any(|word| {
            matches!(word, "maybe" | "perhaps" | "possibly" | "alternatively" | "otherwise" | "or")
                && between.len() < 40
        });
        let several = other != first && (joined || offered && !between.contains(['.', '!', '?']));
        if several {
            return Choice::Several;
        }
        if !joined {
            break;
        }
    }
    Choice::One(first)
}

/// The choices that a clause names and does not deny, with their places.
fn named<'s>(text: &str, strings: &'s [String]) -> Vec<(usize, &'s str)> {
    let mut found: Vec<(usize, &str)> = strings
        .iter()
        .flat_map(|s| {
            standing(text, s).filter(|at| !denied(text, *at, s.len())).map(move |at| (at, s.as_str()))
        })
        .collect();
    found.sort_unstable();
    found
}

fn denies(text: &str, strings: &[String]) -> bool {
    strings.iter().any(|s| standing(text, s).any(|at| denied(text, at, s.len())))
}

/// Whether the string at this place is said not to be the answer: "not A", "A is wrong".
fn denied(text: &str, at: usize, length: usize) -> bool {
    let before = text[..at].trim_end_matches(|c: char| !c.is_alphanumeric()).to_lowercase();
    let after = text[at + length..].trim_start_matches(|c: char| !c.is_alphanumeric());
    let words: Vec<&str> = crate::lexicon::words(after).take(3).collect();
    ["not", "neither", "nor", "except", "n't"].iter().any(|word| before.ends_with(word))
        || matches!(words.first(), Some(&("is" | "was" | "isn't" | "cannot")))
            && words.iter().any(|word| crate::lexicon::denies(word))
}

/// Whether "A" begins a sentence as an article: a lower-case word follows.
fn sentence_starts_with_article(text: &str) -> bool {
    text.strip_prefix("A ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

/// The letter and the value of an answer that gives both, such as `\textbf{(A)}\ 5`, `(A) 5` or `A. 5`.
pub(crate) fn lettered(text: &str) -> Option<(&str, &str)> {
    let text = text.trim();
    let command =
        ["\\textbf{", "\\text{", "\\mathrm{", "\\mathbf{"].into_iter().find(|c| text.starts_with(c));
    let (head, rest) = match command {
        Some(command) => text[command.len()..].split_once('}')?,
        None => text.split_at(text.find(['.', ')'])? + 1),
    };
    let letter = head.trim().trim_matches(['(', ')', '.', ':']).trim();
    let marked = head.contains(['(', ')', '.']);
    let rest = rest.trim_start_matches([' ', '~', '.', ':', '\\']).trim();
    let single = letter.len() == 1 && letter.starts_with(|c: char| c.is_ascii_uppercase());
    (single && marked && !rest.is_empty()).then_some((letter, rest))
}

fn standing<'t>(text: &'t str, string: &'t str) -> impl Iterator<Item = usize> + 't {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '\'' || c == '’' || c == '_';
    text.match_indices(string)
        .map(|(at, _)| at)
        .filter(move |at| !text[..*at].ends_with(word) && !text[at + string.len()..].starts_with(word))
}

fn last<'s>(text: &str, strings: &'s [String]) -> Option<&'s str> {
    strings.iter().filter_map(|s| standing(text, s).last().map(|at| (at, s))).max().map(|(_, s)| s.as_str())
}
