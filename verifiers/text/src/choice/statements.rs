//! Which choice a completion commits to.
//!
//! Statements are ranked: a final one (`\boxed{B}`, `<answer>B</answer>`, `Final answer: B`), one of the answer (`The answer is
//! B`, `I choose B`, `B is correct`), a line that is a letter, a choice's text or both, a line that begins with a letter
//! (`B. Because ...`), and a letter set apart in the last line. Only those of the highest rank that occurs count, and they must
//! agree; but an answer that is taken back in words (`wait`, `that is wrong`) gives way to the next. Whatever is offered beside
//! the answer afterwards (`or maybe C`, `C is also possible`, a line that is `C`) makes it a hedge.

use super::letter;
use super::letters::{Mark, Reading, Texts, line_mark, mark_at, own, reading_at, separated, with_text};
use crate::answer::{excerpt, tail};
use regex::Regex;
use std::sync::LazyLock;

/// What a text states, with the line that states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stated<'t> {
    /// A choice, by its index; it may be beyond the last.
    One { choice: usize, from: &'t str },
    /// More than one, two of which are these.
    Several { choices: [usize; 2], from: &'t str },
    /// That the answer is not something.
    Denied { from: &'t str },
    /// No choice.
    Nothing,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    Mention,
    Lead,
    Alone,
    Answer,
    Final,
}

/// One statement of a text; without a reading it is a denial.
#[derive(Clone, Copy, Debug)]
struct Statement {
    rank: Rank,
    at: usize,
    end: usize,
    reading: Option<Reading>,
}

static CUE: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"(?i)(?P<tag><answer>)|\b(?:(?P<final>final(?:\s+\w+)?\s+)?(?:answer|solution)|(?:correct|right|best)\s+(?:option|choice|one|letter))s?\b",
        r"(?:\s+(?:to|for|of|here|choice|option|letter)\b[^.:\n]{0,80}?|\s*\([^()\n]{0,40}\))?[*_`\s]{0,4}",
        r"(?:(?P<no>isn['’]t\b|cannot be\b|can['’]t be\b)|[:=：]|->|→|⇒|",
        r"\b(?:is|are|would be|should be|must be|has to be|will be|could be|might be|may be)\b)"
    ))
});
static PICK: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"(?i)\b(?:I|we)(?:['’]d|['’]ll|\s+would|\s+will)?\s+(?:choose|pick|select|say|answer|guess)\b|",
        r"\b(?:I|we|I['’]d|I['’]ll|I['’]m|will|would|to|let['’]s|let me|am)\s+(?:go|going)\s+with\b"
    ))
});
static DENIAL: LazyLock<Regex> = LazyLock::new(|| {
    own(
        r"(?i)^[\s:*_]*(?:(?:definitely|clearly|certainly|probably)\s+)?(?:not|neither|none|unclear|unknown)\b",
    )
});
static BOX: LazyLock<Regex> = LazyLock::new(|| own(r"\\(?:boxed|fbox)\s*\{"));
/// `B is correct`, where the letter begins its clause.
static REVERSED: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"(?m)(?:^|[.!?:;,]\s|\b(?i:option|choice|answer|so|thus|therefore|hence|that|think|believe|because|since|means|only)\s)",
        r"\s*[*_(]{0,3}([A-Z])[)*_]{0,3}\s+(?:is|would be|must be|should be)\s+(?:(?:clearly|definitely|therefore|thus|indeed)\s+)?",
        r"(?:(?:the|my|our)\s+)?(?:(?:most\s+)?(?:correct|right|best|accurate|appropriate|likely)(?:\s+(?:answer|option|choice|one)\b|\s*[.,;!]|\s*$|\s+(?:because|since)\b)|answer\b)"
    ))
});
/// `A and B are correct`.
static JOINTLY: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"\b([A-Z])[)*_]{0,3}\s+(?:and|or)\s+[*_(]{0,3}([A-Z])[)*_]{0,3}\s+(?:is|are|could|might|may|both|would|seem)\b\s*",
        r"(?:(?:be|both|is|are|all|equally|also)\s+)*(?:correct|right|possible|plausible|true|valid|acceptable|answers?|work)\b"
    ))
});
static MENTION: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"[(\[][A-Z][)\]]|\*\*\(?[A-Z][.):]?\)?\*\*|",
        r"(?i:\b(?:option|choice|it['’]s|it is|it must be|it has to be|that['’]s|so|thus|hence|therefore)\b)"
    ))
});
static NOT_BEFORE: LazyLock<Regex> = LazyLock::new(|| {
    own(
        r"(?i)(?:\b(?:not|neither|nor|except|without|unlike|than|whether|if|eliminates?|excludes?|rules? out)|n['’]t)\W*(?:(?:be|option|choice|the|answer|is)\s+)*\W*$",
    )
});
static RETRACTION: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"(?i)\b(?:wait|actually|correction|scratch that|mistaken?|wrong|incorrect|instead|reconsider\w*|recheck\w*|re-check\w*|",
        r"revis\w+|sorry|oops|second thoughts?|not right|not correct)\b|\bno[,:.!]"
    ))
});
static NEGATIVE: LazyLock<Regex> = LazyLock::new(|| {
    own(
        r"(?i)\b(?:not|no|neither|nor|than|unlike|rather|instead|without|wrong|incorrect|false|whether|rul\w+ out|eliminat\w+|exclud\w+)\b|n['’]t\b",
    )
});
/// What introduces another choice in a later clause.
static OFFER: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"(?i)(?:^|[.!?;,(\n—–])\s*(?:(?:but|and)\s+)?(?:or|maybe|perhaps|possibly|alternatively|otherwise)\b[,:]?|",
        r"\b(?:could|might|may)\s+(?:(?:also|well|equally|just|as|even)\s+)*be\b"
    ))
});
static ALSO: LazyLock<Regex> = LazyLock::new(|| {
    own(concat!(
        r"\b([A-Z])[)\]*_]*\s+(?:is|are|could be|might be|may be|would be|seems|looks)\s+",
        r"(?:also|equally|just as|another|possible|plausible)\b"
    ))
});
/// What joins two statements to one that has not chosen.
static JOINED: LazyLock<Regex> = LazyLock::new(|| {
    own(
        r"(?i)^[\s,;.]*(?:or|maybe|perhaps|possibly|alternatively)\b(?:[\s,]+(?:or|maybe|perhaps|possibly|else|also|the|my|that))*[\s,]*$",
    )
});
static OR: LazyLock<Regex> = LazyLock::new(|| own(r"(?i)\b(?:or|and)\b"));

/// Words that may begin an explanation after `B.`, where names such as `B. Franklin` may stand too.
const EXPLAINING: [&str; 24] = [
    "the", "this", "that", "these", "those", "it", "its", "because", "since", "as", "in", "an", "when", "if",
    "by", "to", "for", "with", "we", "there", "so", "which", "due", "given",
];

/// Reads what a text of a problem with these choices states.
pub(super) fn read<'t>(text: &'t str, choices: &[String]) -> Stated<'t> {
    let reader = Reader { text, texts: Texts::new(choices) };
    let mut statements = reader.answers();
    if statements.is_empty() {
        statements = reader.lines();
    }
    if statements.is_empty() {
        statements = reader.mentions();
    }
    reader.decide(statements)
}

/// What each way of reading finds, in the order in which they are tried: the first that finds anything decides.
pub(super) fn tried(text: &str, choices: &[String]) -> [(&'static str, Vec<String>); 3] {
    let reader = Reader { text, texts: Texts::new(choices) };
    let shown = |statements: Vec<Statement>| statements.iter().map(|one| reader.shown(one)).collect();
    [
        ("stated in words or in a box", shown(reader.answers())),
        ("a line of its own", shown(reader.lines())),
        ("set apart in the last line", shown(reader.mentions())),
    ]
}

struct Reader<'t> {
    text: &'t str,
    texts: Texts,
}

impl<'t> Reader<'t> {
    /// A statement for a person.
    fn shown(&self, statement: &Statement) -> String {
        let what = match statement.reading {
            Some(Reading::One(choice)) => letter(choice).to_string(),
            Some(Reading::Several([a, b])) => format!("both {} and {}", letter(a), letter(b)),
            None => "a denial".to_owned(),
        };
        let weight = match statement.rank {
            Rank::Final => "final",
            Rank::Answer => "of the answer",
            Rank::Alone => "alone",
            Rank::Lead => "before an explanation",
            Rank::Mention => "a mention",
        };
        format!("{what} in {} ({weight})", excerpt(&self.text[statement.at..statement.end.max(statement.at)]))
    }

    /// Statements in so many words, and in boxes.
    fn answers(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        let mut add = |rank, at, reading: Option<(Option<Reading>, usize)>| {
            found.extend(reading.map(|(reading, end)| Statement { rank, at, end, reading }));
        };
        for cue in CUE.captures_iter(self.text) {
            let all = cue.get_match();
            let last = cue.name("tag").is_some() || cue.name("final").is_some();
            let rank = if last { Rank::Final } else { Rank::Answer };
            let denied = cue.name("no").is_some() || DENIAL.is_match(&self.text[all.end()..]);
            let reading = match denied {
                true => Some((None, all.end())),
                false => self.at(all.end()),
            };
            add(rank, all.start(), reading);
        }
        for pick in PICK.find_iter(self.text) {
            add(Rank::Answer, pick.start(), self.at(pick.end()));
        }
        for open in BOX.find_iter(self.text) {
            let Some(inside) = boxed(&self.text[open.end()..]) else { continue };
            let line = inside.trim().replace('\n', ", ");
            let reading = reading_at(&line, 0, &self.texts).map(|(reading, _)| reading);
            add(Rank::Final, open.start(), reading.map(|r| (Some(r), open.end() + inside.len() + 1)));
        }
        for reversed in REVERSED.captures_iter(self.text) {
            let place = reversed.get(1).map_or(0..0, |letter| letter.range());
            let reading = Reading::One(index(&self.text[place.clone()]));
            add(Rank::Answer, place.start, Some((Some(reading), reversed.get_match().end())));
        }
        for jointly in JOINTLY.captures_iter(self.text) {
            let (_, [a, b]) = jointly.extract();
            let all = jointly.get_match();
            let reading = Reading::Several([index(a), index(b)]);
            add(Rank::Answer, all.start(), Some((Some(reading), all.end())));
        }
        found.sort_by_key(|statement| statement.at);
        found
    }

    fn at(&self, place: usize) -> Option<(Option<Reading>, usize)> {
        reading_at(self.text, place, &self.texts).map(|(reading, end)| (Some(reading), end))
    }

    /// Lines that are a letter or a choice's text, or begin with a letter.
    fn lines(&self) -> Vec<Statement> {
        let mut found = Vec::new();
        for line in self.text.lines().filter(|line| !line.trim().is_empty()) {
            let at = line.as_ptr() as usize - self.text.as_ptr() as usize;
            let mut add = |rank, reading| {
                found.push(Statement { rank, at, end: at + line.len(), reading: Some(reading) });
            };
            if let Some((reading @ Reading::Several(_), _)) = reading_at(line, 0, &self.texts) {
                add(Rank::Alone, reading);
            } else if let Some(choice) = self.texts.whole(line) {
                add(Rank::Alone, Reading::One(choice));
            } else if let Some(mark) = line_mark(line).or_else(|| whole_mark(line)) {
                let rest = separated(&line[mark.end..]).trim_end().trim_end_matches("</answer>");
                let reading = with_text(&mark, &line[mark.end..], &self.texts);
                if !rest.contains(char::is_alphanumeric) || self.texts.whole(rest) == Some(mark.choice) {
                    add(Rank::Alone, reading);
                } else if matches!(reading, Reading::Several(_)) || self.explains(&mark, rest) {
                    add(Rank::Lead, reading);
                }
            }
        }
        found
    }

    /// Whether what follows the letter that begins a line is its choice's text or an explanation.
    fn explains(&self, mark: &Mark, rest: &str) -> bool {
        let word: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
        mark.closed
            || EXPLAINING.contains(&word.to_lowercase().as_str())
            || matches!(reading_at(rest, 0, &self.texts), Some((Reading::One(own), _)) if own == mark.choice)
    }

    /// Letters set apart in the last line, unless they are denied.
    fn mentions(&self) -> Vec<Statement> {
        let start = self.text.trim_end().rfind('\n').map_or(0, |at| at + 1);
        let mut found = Vec::new();
        for mention in MENTION.find_iter(&self.text[start..]) {
            let at = start + mention.start();
            if NOT_BEFORE.is_match(tail(&self.text[start..at], 64)) {
                continue;
            }
            if let Some((reading, end)) = reading_at(self.text, at, &self.texts) {
                found.push(Statement { rank: Rank::Mention, at, end, reading: Some(reading) });
            }
        }
        found
    }

    /// What the statements of the highest rank come to.
    fn decide(&self, statements: Vec<Statement>) -> Stated<'t> {
        let rank = statements.iter().map(|s| s.rank).max();
        let counting: Vec<Statement> = statements.into_iter().filter(|s| Some(s.rank) == rank).collect();
        let Some((last, before)) = counting.split_last() else { return Stated::Nothing };
        let from = self.line_from(last.at);
        let choice = match last.reading {
            Some(Reading::One(choice)) => choice,
            Some(Reading::Several(choices)) => return Stated::Several { choices, from },
            None => return Stated::Denied { from },
        };
        for earlier in before.iter().rev() {
            let other =
                match earlier.reading {
                    Some(Reading::One(other)) if other != choice => other,
                    // narrowing down two choices is no hedge in words, but it is in a list of lines, and where the second one is
                    // only joined: `the answer is A or the answer is B`
                    Some(Reading::Several([a, b]))
                        if last.rank < Rank::Answer
                            || JOINED.is_match(&self.text[earlier.end.min(last.at)..last.at]) =>
                    {
                        if a == choice { b } else { a }
                    }
                    _ => continue,
                };
            let between = &self.text[earlier.end.min(last.at)..last.at];
            if last.rank < Rank::Answer || !RETRACTION.is_match(between) {
                return Stated::Several { choices: [other, choice], from };
            }
            break;
        }
        match self.offered_after(last.end, choice) {
            Some(other) => Stated::Several { choices: [choice, other], from },
            None => Stated::One { choice, from },
        }
    }

    /// Another choice that the text offers after it has stated one.
    fn offered_after(&self, end: usize, choice: usize) -> Option<usize> {
        let text = self.text;
        let another = |reading: Option<(Reading, usize)>| match reading {
            Some((Reading::One(other), _)) if other != choice => Some(other),
            Some((Reading::Several([a, b]), _)) => Some(if a == choice { b } else { a }),
            _ => None,
        };
        let line = &text[end..][..text[end..].find('\n').unwrap_or(text.len() - end)];
        let negative = NEGATIVE.find(line).map_or(line.len(), |found| found.start());
        let clauses = OFFER.find_iter(&text[end..]).filter_map(|offer| {
            let denied = offer.start() < line.len() && offer.start() > negative;
            (!denied).then(|| another(reading_at(text, end + offer.end(), &self.texts))).flatten()
        });
        let also =
            ALSO.captures_iter(&text[end..]).map(|also| index(&also[1])).filter(|other| *other != choice);
        let lines = self.lines().into_iter().filter(|line| line.rank == Rank::Alone && line.at >= end);
        let lines = lines.filter_map(|line| match line.reading? {
            Reading::Several(choices) if !choices.contains(&choice) => None,
            reading => another(Some((reading, line.end))),
        });
        let same_line = OR.find_iter(&line[..negative]).filter_map(|or| {
            mark_at(text, end + or.end()).map(|mark| mark.choice).filter(|other| *other != choice)
        });
        clauses.chain(also).chain(same_line).chain(lines).next()
    }

    fn line_from(&self, at: usize) -> &'t str {
        let line = self.text[at..].trim_start();
        line.lines().next().unwrap_or(line)
    }
}

/// The letter that a line ends with after marks and words alone: `So it's B.`
fn whole_mark(line: &str) -> Option<Mark> {
    mark_at(line, 0).filter(|mark| !line[mark.end..].contains(char::is_alphanumeric))
}

/// The index of the choice with this letter.
fn index(letter: &str) -> usize {
    letter.bytes().next().map_or(0, |byte| byte.saturating_sub(b'A') as usize)
}

/// What stands up to the brace that closes a box, within 1,000 bytes.
fn boxed(text: &str) -> Option<&str> {
    let mut depth = 1;
    for (at, byte) in text.bytes().enumerate().take(1000) {
        depth += match byte {
            b'{' => 1,
            b'}' => -1,
            _ => 0,
        };
        if depth == 0 {
            return Some(&text[..at]);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        for pattern in [&CUE, &PICK, &DENIAL, &BOX, &REVERSED, &JOINTLY, &MENTION] {
            assert!(!pattern.is_match(""));
        }
        for pattern in [&NOT_BEFORE, &RETRACTION, &NEGATIVE, &OFFER, &ALSO, &OR] {
            assert!(!pattern.is_match(""));
        }
    }

    #[test]
    fn a_box_ends_at_its_own_brace() {
        assert_eq!(boxed(r"\text{B}} or {"), Some(r"\text{B}"));
        assert_eq!(boxed(r"\text{B}"), None);
    }
}
