//! Announced answers: after `####`, after "the answer is" in several languages, or the whole text.

use super::{Extracted, Rule, found, trimmed};
use crate::limits::ANSWER_BYTES;
use regex::Regex;
use std::sync::LazyLock;

/// Lines with `####` that are looked at, from the end.
const HEADINGS: usize = 16;

/// What follows the last `####` that stands before an answer. Before words it is a heading, unless they end the text.
pub(super) fn hashes(text: &str) -> Option<Extracted<'_>> {
    let mut end_of_search = text.len();
    for _ in 0..HEADINGS {
        let start = memchr::memmem::rfind(&text.as_bytes()[..end_of_search], b"####")? + 4;
        let end = text[start..].find('\n').map_or(text.len(), |at| start + at);
        let rest = text[start..end].trim_start_matches('#');
        let line = trimmed(text, end - rest.len()..end);
        if !line.is_empty() && short(&text[line.clone()]) {
            let last = text[end..].trim().is_empty();
            let answer = last || crate::reading::read(&text[line.clone()]).is_ok_and(|r| !r.is_words());
            if answer {
                return Some(found(text, Rule::Hashes, start - 4..line.end, line));
            }
        }
        end_of_search = text[..start - 4].trim_end_matches('#').len();
    }
    None
}

static PHRASE: LazyLock<Option<Regex>> = LazyLock::new(|| {
    let pattern = r"(?xi)
        \b(?:the\s+)?(?:(?:final|correct|right)\s+)?answers?(?:\*\*|__)?
            (?:\s+to\s+[^.:=\n]{1,60}?)?\s*(?:(?:is|are)\b\s*:?|:|=|：)
      | \banswers?(?:\*\*|__)?\s+(?:\$|\\\(|\\\[)
      | \b(?:la\s+)?r[ée]ponses?(?:\s+(?:finale|correcte))?(?:\*\*|__)?\s*(?:(?:est|sont)\b\s*:?|:|=)
      | \b(?:die\s+)?(?:endg[üu]ltige\s+|richtige\s+)?antwort(?:\*\*|__)?\s*(?:(?:ist|lautet)\b\s*:?|:|=)
      | \b(?:la\s+)?respuesta(?:\s+(?:final|correcta))?(?:\*\*|__)?\s*(?:(?:es)\b\s*:?|:|=)
      | 答案(?:\*\*|__)?\s*(?:应该)?(?:是|为|為|:|：|=)+
      | (?:अंतिम\s+|सही\s+)?उत्तर(?:\*\*|__)?\s*(?:है\s*:?|:|=|\s)
      | (?:الإجابة|الجواب|الاجابة)(?:\s+(?:النهائية|النهائي|الصحيحة|الصحيح))?(?:\*\*|__)?\s*(?:هي|هو|:|=)\s*:?
      | \bо(?:твет)(?:\*\*|__)?\s*:";
    Regex::new(pattern).ok()
});

/// Whether a text announces an answer.
pub(super) fn announces(text: &str) -> bool {
    PHRASE.as_ref().is_some_and(|p| p.is_match(text))
}

/// Where the last announcement of an answer is, and where it ends. "I do not know what the answer is" announces none.
pub(super) fn announcement(text: &str) -> Option<(usize, usize)> {
    let heading = heading(text);
    let said = PHRASE.as_ref()?.find_iter(text).last().map(|said| {
        // marks of mathematics belong to the answer
        let marks = ["$", "\\(", "\\["].iter().find(|m| said.as_str().ends_with(**m)).map_or(0, |m| m.len());
        (said.start(), said.end() - marks)
    });
    let last = match (said, heading) {
        (Some(said), Some(heading)) if heading.1 > said.1 => heading,
        (Some(said), _) => said,
        (None, heading) => heading?,
    };
    (!denied(&text[..last.0])).then_some(last)
}

/// Whether what stands before an announcement in its clause takes it back.
fn denied(before: &str) -> bool {
    let clause = before.rfind(['.', '!', '?', '\n', ',', ';', ':']).map_or(before, |at| &before[at + 1..]);
    let mut last = "";
    for word in crate::lexicon::words(clause) {
        let lower = word.to_lowercase();
        match lower.as_str() {
            "so" | "thus" | "therefore" | "hence" | "but" | "then" => last = "",
            "not" | "cannot" | "never" | "doesn't" | "don't" | "can't" | "don’t" | "can’t" | "unsure"
            | "unknown" | "doubt" => return true,
            _ => last = word,
        }
    }
    ["what", "whatever", "whether"].iter().any(|w| last.eq_ignore_ascii_case(w))
}

/// A line that is a heading for the answer, such as `### Answer` or `**Final Answer**`, with the rest of the text after it.
fn heading(text: &str) -> Option<(usize, usize)> {
    let mut end = text.len();
    for _ in 0..4 {
        let at = memchr::memmem::rfind(&text.as_bytes()[..end], b"nswer")?;
        let start = text[..at].rfind('\n').map_or(0, |i| i + 1);
        let stop = text[at..].find('\n').map_or(text.len(), |i| at + i);
        let line = text[start..stop].trim_matches(|c: char| c.is_whitespace() || "#*_:".contains(c));
        let marked = text[start..stop].trim_start().starts_with(['#', '*', '_']);
        let name = line.to_ascii_lowercase();
        if marked && matches!(name.as_str(), "answer" | "final answer" | "the answer" | "the final answer") {
            return Some((start, stop));
        }
        end = at;
    }
    None
}

pub(super) fn phrase(text: &str) -> Option<Extracted<'_>> {
    let (said, end) = announcement(text)?;
    let rest = &text[end..];
    let start =
        text.len() - rest.trim_start_matches(|c: char| c.is_whitespace() || ":*_：".contains(c)).len();
    let rest = &text[start..];
    for (open, close) in [("$$", "$$"), ("\\[", "\\]")] {
        if let Some(end) = rest.strip_prefix(open).and_then(|r| r.find(close)) {
            let answer = trimmed(text, start + open.len()..start + open.len() + end);
            let mut extracted = found(text, Rule::Phrase, said..start + 2 * open.len() + end, answer);
            extracted.open_end = false;
            return Some(extracted);
        }
    }
    let mut end = start + sentence(rest).min(clause(rest));
    // bold that ends before the sentence does
    if let Some(bold) = text[start..end].find("**").filter(|at| *at > 0)
        && !text[start + bold + 2..end].starts_with(|c: char| c.is_ascii_digit() || c == '(' || c == '-')
    {
        end = start + bold;
    }
    let answer = trimmed(text, start..end);
    (!answer.is_empty()).then(|| found(text, Rule::Phrase, said..answer.end, answer))
}

/// Length of the sentence at the start: to the end of the line, or to a full stop before a space.
pub(super) fn sentence(text: &str) -> usize {
    let line = text.find('\n').unwrap_or(text.len());
    let stop = text[..line]
        .char_indices()
        .find(|&(i, c)| match c {
            '。' | '।' | '！' => true,
            '.' | '?' | '؟' => {
                i + c.len_utf8() == line || text[i + c.len_utf8()..].starts_with(char::is_whitespace)
            }
            _ => false,
        })
        .map(|(i, _)| i);
    stop.unwrap_or(line)
}

/// Length of what stands before a reason or a remark.
pub(super) fn clause(text: &str) -> usize {
    const OPENERS: [&str; 12] = [
        "because",
        "since",
        "which",
        "where",
        "as",
        "so",
        "thus",
        "therefore",
        "car",
        "parce",
        "weil",
        "porque",
    ];
    // "64, not 65" and "64 (not 65)" take nothing back
    const REMARKS: [&str; 15] = [
        ", not ",
        " (not ",
        ", instead of ",
        ", and we ",
        ", and this ",
        ", and it ",
        ", and that ",
        ", and so ",
        ", but ",
        ", since ",
        ", because ",
        ", so ",
        ", which ",
        ", as ",
        ", hence ",
    ];
    let line = &text[..text.find('\n').unwrap_or(text.len())];
    let line = REMARKS.iter().filter_map(|m| line.find(m)).min().map_or(line, |at| &line[..at]);
    // "5 - five apples"
    let dash = [" - ", " – ", " — "].iter().filter_map(|dash| {
        let at = line.find(dash).filter(|at| *at > 0)?;
        let word = line[at + dash.len()..].chars().take_while(|c| c.is_alphabetic()).count();
        (word > 1).then_some(at)
    });
    let line = dash.min().map_or(line, |at| &line[..at]);
    let mut at = 0;
    for word in line.split_inclusive(' ') {
        if at > 0 && OPENERS.contains(&word.trim_end().trim_start_matches('(')) {
            return at;
        }
        at += word.len();
    }
    line.len()
}

/// Verbs of languages without spaces, or whose verbs end the sentence.
const OTHER_VERBS: [&str; 6] = ["是", "为", "等于", " هو ", " هي ", " है "];

/// The answer within an announced sentence that says more: the value after the last verb ("the largest n is 34", "there are
/// 34 marbles"), or after words that say nothing ("therefore 34"). None where a word is beside it that is not known to
/// say nothing, or one takes it back: "the square root of 16", "anything but 5".
pub(super) fn within(text: &str) -> Option<&str> {
    let mut verb = None;
    let mut at = 0;
    let mut formula = false;
    for word in text.split_inclusive([' ', '\n']) {
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric() && c != '\\' && c != '$');
        if !formula && !bare.contains(['\\', '$']) {
            if crate::lexicon::denies(bare) || at > 0 && crate::lexicon::relates(bare) {
                return None;
            }
            if crate::lexicon::says(bare) {
                verb = Some(at + word.len());
            }
        }
        formula ^= word.matches('$').count() % 2 == 1;
        at += word.len();
    }
    let other = OTHER_VERBS.iter().filter_map(|v| text.rfind(v).map(|at| at + v.len())).max();
    let start = verb.max(other);
    // "5 and x is 3" says two things
    if start.is_some() && text.trim_start().starts_with(|c: char| c.is_ascii_digit() || "-−$\\(".contains(c))
    {
        return None;
    }
    let mut rest = text[start.unwrap_or(0)..].trim();
    let all = text.trim();
    while let Some(end) = rest.find(|c: char| !c.is_alphabetic()).filter(|end| *end > 0)
        && crate::lexicon::fills(&rest[..end])
    {
        rest = rest[end..].trim_start_matches([' ', ',', ':']);
    }
    rest = [" in total", " in all"]
        .iter()
        .find_map(|end| rest.trim_end_matches(['.', ' ']).strip_suffix(end))
        .unwrap_or(rest);
    while let Some(space) = rest.trim_end_matches(['.', '!', ' ', ',']).rfind(' ')
        && crate::lexicon::trails(rest[space..].trim_matches(|c: char| !c.is_alphabetic()))
    {
        rest = rest[..space].trim_end();
    }
    let value = rest.contains(|c: char| c.is_ascii_digit() || c == '$' || c == '\\');
    (value && (rest.len() < all.len() || start.is_some())).then_some(rest)
}

pub(super) fn whole(text: &str) -> Option<Extracted<'_>> {
    let mut range = trimmed(text, 0..text.len());
    for opener in ["Therefore", "Thus", "Hence", "So"] {
        let rest = text[range.clone()].strip_prefix(opener).filter(|r| r.starts_with([',', ':', ' ']));
        if let Some(rest) = rest {
            range = trimmed(text, range.end - rest.len() + 1..range.end);
        }
    }
    let part = &text[range.clone()];
    if part.is_empty() || part.len() > ANSWER_BYTES || !short(part) {
        return None;
    }
    let display = part.starts_with("$$") || part.starts_with("\\[") || part.contains("\\begin{");
    // "The answer is" alone has been left without one
    let open_box = part.contains("\\boxed") || part.contains("\\fbox");
    if (part.contains('\n') && !display) || announces(part) || open_box {
        return None;
    }
    Some(found(text, Rule::Whole, range.clone(), range))
}

/// Whether a line is an answer rather than prose: at most three words, LaTeX commands aside.
fn short(text: &str) -> bool {
    let mut words = 0;
    let mut command = false;
    let mut letters = 0;
    for c in text.chars().chain([' ']) {
        if c.is_alphabetic() {
            letters += 1;
            continue;
        }
        words += usize::from(letters > 1 && !command);
        letters = 0;
        command = c == '\\';
    }
    words <= 3
}
