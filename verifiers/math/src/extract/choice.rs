//! Letters of multiple-choice answers in prose, for rows that ask for one of a few strings.

use super::statement;

/// The choice that a text makes among strings: the one announced, the one it begins with, or the last one it names.
pub(crate) fn choice<'s>(text: &str, strings: &'s [String]) -> Option<&'s str> {
    let text = text.trim();
    if let Some((_, end)) = statement::announcement(text)
        && let Some(found) = first(&text[end..], strings)
    {
        return Some(found);
    }
    let head = text.trim_start_matches(['(', '*', '[', ' ']);
    let leading = strings.iter().find(|s| {
        head.strip_prefix(s.as_str())
            .is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '\''))
    });
    if let Some(found) = leading.filter(|_| !sentence_starts_with_article(head)) {
        return Some(found);
    }
    last(text, strings)
}

/// Whether "A" begins a sentence as an article: a lower-case word follows.
fn sentence_starts_with_article(text: &str) -> bool {
    text.strip_prefix("A ").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_lowercase()))
}

fn standing<'t>(text: &'t str, string: &'t str) -> impl Iterator<Item = usize> + 't {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '\'' || c == '’' || c == '_';
    text.match_indices(string)
        .map(|(at, _)| at)
        .filter(move |at| !text[..*at].ends_with(word) && !text[at + string.len()..].starts_with(word))
}

fn first<'s>(text: &str, strings: &'s [String]) -> Option<&'s str> {
    strings.iter().filter_map(|s| standing(text, s).next().map(|at| (at, s))).min().map(|(_, s)| s.as_str())
}

fn last<'s>(text: &str, strings: &'s [String]) -> Option<&'s str> {
    strings.iter().filter_map(|s| standing(text, s).last().map(|at| (at, s))).max().map(|(_, s)| s.as_str())
}
