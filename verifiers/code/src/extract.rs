//! Where the code of a completion may stand: fenced blocks first, those marked as Python before the others, the last before those
//! above it, then the whole text.
//!
//! Which of them parses is not known here: the guest tries them in this order.

/// Candidates at most; earlier ones of a completion with more blocks are left out.
const MOST: usize = 24;

struct Block {
    mark: Mark,
    /// What the fence says of its language.
    info: String,
    code: String,
}

/// A text that may be the program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Candidate {
    /// Where it stands, for a person.
    pub place: String,
    pub code: String,
}

/// What is said of a block's language, best first. Unmarked blocks beside marked ones are mostly what a program prints.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Python,
    Nothing,
    Other,
}

/// The texts that may be the program, best first: fenced blocks marked as Python, last to first; unmarked ones, last to first;
/// others, last to first; what stands before a fence that nothing opened; the whole text.
pub fn candidates(text: &str) -> Vec<String> {
    located(text).into_iter().map(|candidate| candidate.code).collect()
}

/// The candidates with the places where they stand.
pub(crate) fn located(text: &str) -> Vec<Candidate> {
    let (blocks, stray) = blocks(text);
    let count = blocks.len();
    let numbered: Vec<(usize, &Block)> = blocks.iter().enumerate().rev().collect();
    let of = |mark: Mark| numbered.iter().filter(move |(_, block)| block.mark == mark);
    let mut found: Vec<Candidate> = of(Mark::Python)
        .chain(of(Mark::Nothing))
        .chain(of(Mark::Other))
        .map(|(i, block)| {
            let info = if block.info.is_empty() { "no language" } else { &block.info };
            Candidate { place: format!("block {} of {count} ({info})", i + 1), code: block.code.clone() }
        })
        .take(MOST)
        .collect();
    found.extend(stray.map(|code| Candidate { place: "the text before a fence".into(), code }));
    if blocks.is_empty() || found.is_empty() || !text.trim_start().starts_with("```") {
        found.push(Candidate { place: "the whole text".into(), code: text.replace("\r\n", "\n") });
    }
    found.retain(|candidate| !candidate.code.trim().is_empty());
    found.dedup_by(|a, b| a.code == b.code);
    found
}

/// All fenced blocks in order, and the text before a fence that closes what was never opened.
fn blocks(text: &str) -> (Vec<Block>, Option<String>) {
    let lines: Vec<&str> = text.lines().collect();
    let (mut blocks, mut at, mut stray) = (Vec::new(), 0, None);
    while at < lines.len() {
        let Some(fence) = Fence::open(lines[at]) else {
            at += 1;
            continue;
        };
        let end = (at + 1..lines.len()).find(|i| fence.closes(lines[*i]));
        // a bare fence that nothing closes may itself be what closes code that a prompt opened
        if end.is_none() && fence.info.is_empty() && blocks.is_empty() && at > 0 {
            stray = Some(lines[..at].join("\n") + "\n");
        }
        let body = &lines[at + 1..end.unwrap_or(lines.len())];
        let code: String = body.iter().map(|line| fence.unindented(line).to_owned() + "\n").collect();
        let mark = match &*fence.info {
            "python" | "python3" | "py" | "py3" | "{.python}" | "pycon" => Mark::Python,
            "" => Mark::Nothing,
            _ => Mark::Other,
        };
        blocks.push(Block { mark, info: fence.info.clone(), code });
        at = end.map_or(lines.len(), |end| end + 1);
    }
    (blocks, stray)
}

/// The line that opens a block.
struct Fence {
    mark: char,
    length: usize,
    indent: usize,
    info: String,
}

impl Fence {
    fn open(line: &str) -> Option<Fence> {
        let bare = line.trim_start_matches([' ', '\t']);
        let mark = bare.chars().next().filter(|c| *c == '`' || *c == '~')?;
        let rest = bare.trim_start_matches(mark);
        let length = bare.len() - rest.len();
        // inline code such as ```x``` opens nothing
        if length < 3 || mark == '`' && rest.contains('`') {
            return None;
        }
        let info = rest.split_whitespace().next().unwrap_or("").to_lowercase();
        Some(Fence { mark, length, indent: line.len() - bare.len(), info })
    }

    fn closes(&self, line: &str) -> bool {
        let bare = line.trim();
        bare.len() >= self.length && bare.chars().all(|c| c == self.mark)
    }

    /// A line of the block without the indentation of its fence, as far as the line has it.
    fn unindented<'a>(&self, line: &'a str) -> &'a str {
        let has = line.len() - line.trim_start_matches([' ', '\t']).len();
        &line[has.min(self.indent)..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_python_block_comes_first_and_the_whole_text_last() {
        let text =
            "Use:\n```py\na = 1\n```\n```python\na = 2\n```\nrun\n```bash\nls\n```\nor\n```\nb = 2\n```\n";
        let found = candidates(text);
        assert_eq!(found[..4], ["a = 2\n", "a = 1\n", "b = 2\n", "ls\n"]);
        assert_eq!(found[4], text);
        let places: Vec<String> = located(text).into_iter().map(|candidate| candidate.place).collect();
        assert_eq!(
            places,
            [
                "block 2 of 4 (python)",
                "block 1 of 4 (py)",
                "block 4 of 4 (no language)",
                "block 3 of 4 (bash)",
                "the whole text"
            ]
        );
    }

    #[test]
    fn code_without_a_fence_is_the_whole_text() {
        assert_eq!(candidates("    return x\n"), ["    return x\n"]);
        assert!(candidates(" \n").is_empty());
    }

    #[test]
    fn a_block_that_is_never_closed_ends_with_the_text() {
        assert_eq!(candidates("```py\nx = 1\ny = 2")[0], "x = 1\ny = 2\n");
    }

    #[test]
    fn a_fence_that_closes_what_the_prompt_opened_ends_the_code() {
        let found = candidates("    return x\n```\nThat is it.");
        assert!(found.contains(&"    return x\n".to_owned()), "{found:?}");
    }

    #[test]
    fn a_block_in_a_list_loses_the_indentation_of_its_fence() {
        assert_eq!(candidates("1. do\n   ```python\n   if x:\n       y\n   ```\n")[0], "if x:\n    y\n");
    }

    #[test]
    fn a_longer_fence_holds_a_shorter_one() {
        assert_eq!(candidates("````\ns = '''\n```\n'''\n````\n")[0], "s = '''\n```\n'''\n");
    }
}
