//! The verifier `math`: extraction, reading and comparison put together, with the reason of each verdict in one line.

use crate::config::{ConfigError, MathConfig, Settings};
use crate::equal::compare_within;
use crate::extract::choice::{Choice, choice};
use crate::extract::{self, Extracted, Rule, all_boxes, first_number, within_sentence};
use crate::lexicon::Context;
use crate::reading::has_words;
use crate::trace::Trace;
use crate::tree::Expr;
use crate::{Finding, LimitError, Policies, Reading, Work, compare, read};
use rlvr_verdict::{Attack, Completion, Judges, Problem, ProblemError, Step, Verdict, Verifier};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

/// Judges final answers in mathematics.
#[derive(Debug)]
pub struct MathVerifier {
    config: MathConfig,
    settings: Arc<Settings>,
    /// Gold answers as read, by their text: the samples of a group share one.
    golds: RwLock<HashMap<String, Arc<Gold>>>,
}

/// A gold answer as read, with the settings of its row.
#[derive(Debug)]
struct Gold {
    answer: GoldAnswer,
    /// As shown in reasons.
    shown: String,
    settings: Arc<Settings>,
}

#[derive(Debug)]
enum GoldAnswer {
    Mathematics(Reading),
    Choice(String),
}

/// Gold answers kept at most; a run works on few problems at a time.
const GOLDS: usize = 1024;

impl Default for MathVerifier {
    fn default() -> Self {
        Self::of(MathConfig::default())
    }
}

impl MathVerifier {
    /// A verifier of this configuration.
    ///
    /// # Errors
    /// When a setting is out of its range.
    pub fn new(config: MathConfig) -> Result<Self, ConfigError> {
        config.checked()?;
        Ok(Self::of(config))
    }

    fn of(config: MathConfig) -> Self {
        extract::prepare();
        let settings = Arc::new(config.settings());
        MathVerifier { config, settings, golds: RwLock::default() }
    }

    /// The problem's gold answer, read once for all samples of its group.
    fn gold(&self, problem: &Problem) -> Result<Arc<Gold>, ProblemError> {
        let remedy = r"give one answer, such as 18, \frac{1}{2}, (1,2) or a few words";
        let Some(answer) = &problem.answer else {
            return Err(ProblemError::new("answer", "is missing", remedy));
        };
        let row = problem.extra.get("extraction_config").filter(|field| !field.is_null());
        let key: Cow<'_, str> = match row {
            None => Cow::Borrowed(answer),
            Some(field) => Cow::Owned(format!("{answer}\u{0}{field}")),
        };
        if let Some(gold) = self.golds.read().unwrap_or_else(PoisonError::into_inner).get(key.as_ref()) {
            return Ok(gold.clone());
        }
        let settings = match row {
            None => self.settings.clone(),
            Some(field) => Arc::new(self.config.row(field).map_err(|problem| {
                let right = r#"an object such as {"targets": ["latex", "expr"], "float_rounding": 6, "strict": true} is right"#;
                ProblemError::new("extraction_config", problem, right)
            })?),
        };
        let unreadable = |why: &dyn std::fmt::Display| {
            ProblemError::new("answer", format!("cannot be read from {}: {why}", quoted(answer)), remedy)
        };
        let answer = match &settings.strings {
            Some(strings) => {
                let Choice::One(choice) = choice(answer, strings) else {
                    return Err(unreadable(&"it does not name one of the choices"));
                };
                GoldAnswer::Choice(choice.to_owned())
            }
            None => {
                let reading = read_gold(answer, &settings).map_err(|e| unreadable(&e))?;
                if !reading.understood {
                    return Err(unreadable(&"it is neither mathematics that is understood nor words"));
                }
                GoldAnswer::Mathematics(reading)
            }
        };
        let shown = match &answer {
            GoldAnswer::Mathematics(reading) => clipped(reading),
            GoldAnswer::Choice(choice) => choice.clone(),
        };
        let gold = Arc::new(Gold { answer, shown, settings });
        let mut golds = self.golds.write().unwrap_or_else(PoisonError::into_inner);
        if golds.len() >= GOLDS {
            golds.clear();
        }
        golds.insert(key.into_owned(), gold.clone());
        Ok(gold)
    }

    fn judge(&self, gold: &Gold, problem: &Problem, completion: &Completion, trace: &Trace) -> Verdict {
        let part = if self.config.after_thinking {
            let asked = problem.messages.last().map_or(problem.prompt.as_str(), |last| last.content.as_str());
            let must_close =
                self.config.thinking.opened_by(asked) || self.config.thinking.opened_by(&problem.prompt);
            self.config.thinking.answer_part(&completion.text, must_close)
        } else {
            Some(completion.text.as_str())
        };
        let Some(part) = part else {
            return Verdict::unparseable("the thinking does not end, so there is no answer");
        };
        trace.step(|| {
            let skipped = completion.text.len() - part.len();
            Step::note(
                "looked in",
                format!("the {} bytes after the thinking; {skipped} do not count", part.len()),
            )
        });
        let reading = match &gold.answer {
            GoldAnswer::Choice(right) => return chosen(right, part, gold, completion.truncated),
            GoldAnswer::Mathematics(reading) => reading,
        };
        let Some((found, answer)) = answer_in(part, &gold.settings, trace) else {
            return Verdict::unparseable("no final answer is stated");
        };
        let stated = format!("{}: {}", found.rule, quoted(&found.text));
        if completion.truncated && found.open_end {
            return Verdict::unparseable(format!(
                "{stated} may be incomplete: the completion was cut off there"
            ));
        }
        let answer = match answer {
            Ok(answer) => answer,
            Err(limit) => return Verdict::unparseable(format!("{stated} is not read: {limit}")),
        };
        trace.step(|| {
            Step::note("answer read as", format!("{}: {answer}", crate::render::kind(&answer.expr)))
        });
        trace.step(|| {
            Step::note("gold read as", format!("{}: {reading}", crate::render::kind(&reading.expr)))
        });
        let stated = format!("{stated}, read as {}; gold {}", clipped(&answer), gold.shown);
        let policies = &gold.settings.policies;
        let work = Work::default();
        let gold_text = problem.answer.as_deref().unwrap_or_default();
        let context = Context { prompt: &problem.prompt, gold: gold_text };
        let compare = |answer: &Reading| compare_within(reading, answer, policies, &work, context, trace);
        let verdict = if let Some(why) = found.objection {
            Verdict::fail(format!("{stated}: {why}"))
        } else if let Some(rival) = rival_of(&found, &answer, &work, trace) {
            Verdict::fail(format!("{stated}: {} is offered in its place", clipped(&rival)))
        } else if let Some(later) = contradiction(part, &found, &answer) {
            Verdict::fail(format!("{stated}: {} is said to be the answer after it", clipped(&later)))
        } else {
            let mut finding = compare(&answer);
            if !finding.equal
                && found.rule == Rule::Boxed
                && let Some(other) = spread(reading, part, &compare)
            {
                finding = other;
            }
            if !finding.equal
                && let Some(other) = lettered(reading, &found.text, &compare)
            {
                finding = other;
            }
            let reason = format!("{stated}: {}", finding.why);
            if finding.equal { Verdict::pass(reason) } else { Verdict::fail(reason) }
        };
        verdict.with_answer(answer.normal())
    }
}

/// A gold answer: in its box or boxes or after its last `####` if it has any, all of it if that is mathematics, and
/// otherwise what it announces as its answer.
fn read_gold(answer: &str, settings: &Settings) -> Result<Reading, LimitError> {
    let stated = extract::extract(answer, Rule::Boxed).or_else(|| extract::extract(answer, Rule::Hashes));
    if let Some(stated) = stated {
        return read(&stated.text);
    }
    // a box that is cut off
    let open =
        ["\\boxed{", "\\fbox{"].into_iter().find_map(|b| answer.rfind(b).map(|at| &answer[at + b.len()..]));
    let whole = read(open.unwrap_or(answer));
    let prose = !matches!(&whole, Ok(reading) if !matches!(reading.expr, Expr::Text(_)));
    if prose && answer.len() > 40 {
        let found = if settings.search { answer_in(answer, settings, &Trace::default()) } else { None };
        let announced =
            || extract::announced(answer).map(|found| (read(&found.text), found)).map(|(r, f)| (f, r));
        if let Some((_, Ok(reading))) = found.or_else(announced)
            && !matches!(reading.expr, Expr::Text(_))
        {
            return Ok(reading);
        }
    }
    whole
}

/// The answer of the first rule that finds one. Where the rules end with a search, what is no mathematics is passed
/// over as long as there is another rule.
fn answer_in<'a>(
    part: &'a str,
    settings: &Settings,
    trace: &Trace,
) -> Option<(Extracted<'a>, Result<Reading, LimitError>)> {
    let mut words = None;
    for rule in &settings.rules {
        let extracted = extract::extract(part, *rule);
        trace.step(|| match &extracted {
            Some(found) => Step::rule(rule.to_string(), true, quoted(&found.text)),
            None => Step::rule(rule.to_string(), false, "nothing"),
        });
        let Some(mut found) = extracted else { continue };
        if let Some(other) = later(part, settings, &found) {
            found = other;
        }
        if *rule == Rule::Whole
            && settings.rules.contains(&Rule::LastMath)
            && extract::words_beside_mathematics(part)
        {
            continue;
        }
        let mut answer = read(&found.text);
        // "the answer is 5" within a box
        if *rule == Rule::Boxed
            && matches!(&answer, Ok(Reading { expr: Expr::Text(_), .. }))
            && let Ok(Reading { plain, .. }) = &answer
            && let Some(inner) = extract::announced(plain)
        {
            let inner = inner.text.into_owned();
            answer = read(&inner);
            found.text = Cow::Owned(inner);
        }
        if found.rule == Rule::Phrase
            && matches!(&answer, Ok(reading) if has_words(&reading.expr))
            && let Some(inner) = within_sentence(&found.text)
            && let Ok(reading) = read(inner)
            && !reading.is_words()
        {
            trace.step(|| Step::note("within the sentence", quoted(inner)));
            found.text = Cow::Owned(inner.to_owned());
            answer = Ok(reading);
        }
        let prose = matches!(&answer, Ok(reading) if has_words(&reading.expr));
        if !prose || !settings.search || found.rule == Rule::Boxed {
            return Some((found, answer));
        }
        if found.rule == Rule::Phrase
            && let Some(number) = first_number(&found.text)
        {
            let reading = read(number);
            found.text = Cow::Owned(number.to_owned());
            return Some((found, reading));
        }
        words.get_or_insert((found, answer));
    }
    words
}

/// What is stated later and counts more, in a search: a final answer announced after the last box, a number after the
/// last mathematics.
fn later<'a>(part: &'a str, settings: &Settings, found: &Extracted<'_>) -> Option<Extracted<'a>> {
    let other = match found.rule {
        Rule::Boxed if settings.search => {
            let end = found.at + found.text.len();
            let announced = extract::announced(part).filter(|other| other.at > end)?;
            let head = part[announced.at..].chars().take(40).collect::<String>().to_lowercase();
            return head.contains("final answer is").then_some(announced);
        }
        Rule::LastMath if settings.rules.contains(&Rule::LastNumber) => {
            extract::extract(part, Rule::LastNumber)
        }
        _ => None,
    };
    other.filter(|other| other.at > found.at + found.text.len())
}

/// Where the gold answer is a list: all boxes of a completion that has one for each element.
fn spread(gold: &Reading, part: &str, compare: &dyn Fn(&Reading) -> Finding) -> Option<Finding> {
    let (Expr::List(elements) | Expr::Set(elements)) = &gold.expr else { return None };
    let boxes = all_boxes(part);
    if boxes.len() != elements.len() || boxes.len() < 2 {
        return None;
    }
    let items = boxes.iter().map(|b| read(b).ok().map(|r| r.expr)).collect::<Option<Vec<_>>>()?;
    let plain = boxes.join(", ").into_boxed_str();
    let all = Reading { expr: Expr::List(items), text: plain.clone(), plain, understood: true };
    let finding = compare(&all);
    finding.equal.then_some(finding)
}

/// The comparison of an answer that gives a letter and a value, `(A) 5`, with the gold answer, which is one of them.
fn lettered(gold: &Reading, answer: &str, compare: &dyn Fn(&Reading) -> Finding) -> Option<Finding> {
    let (letter, value) = extract::choice::lettered(answer)?;
    let of_letters =
        matches!(&gold.expr, Expr::Variable(name) if name.starts_with(|c: char| c.is_ascii_uppercase()));
    let finding = compare(&read(if of_letters { letter } else { value }).ok()?);
    finding.equal.then_some(finding)
}

/// A choice among strings.
fn chosen(right: &str, part: &str, gold: &Gold, truncated: bool) -> Verdict {
    let strings = gold.settings.strings.as_deref().unwrap_or_default();
    match choice(part, strings) {
        Choice::None => Verdict::unparseable("the text names none of the choices"),
        Choice::Several => {
            Verdict::fail(format!("more than one choice is named, or the one is denied; gold {right}"))
        }
        Choice::One(found) if truncated && part.trim_end().ends_with(found) => Verdict::unparseable(format!(
            "choice {found} may be incomplete: the completion was cut off there"
        )),
        Choice::One(found) => {
            let reason = format!("choice {found}; gold {right}");
            let verdict = if found == right { Verdict::pass(reason) } else { Verdict::fail(reason) };
            verdict.with_answer(found)
        }
    }
}

/// The answer in what is offered beside an answer, unless it is the same one or no answer at all.
fn rival_of(found: &Extracted<'_>, answer: &Reading, work: &Work, trace: &Trace) -> Option<Reading> {
    let beside = found.alternative.as_ref()?;
    let rival = extract::rival::offered(beside, matches!(answer.expr, Expr::Text(_)))?;
    // "or about 0.33" is no rival of a third
    let coarse = Policies { rounding: 1, ..Policies::default() };
    let same = compare_within(answer, &rival, &coarse, work, Context::default(), &Trace::default()).equal;
    trace.step(|| Step::rule("offered beside it", !same, quoted(beside.text)));
    (!same).then_some(rival)
}

/// Another number that is said to be the answer after the last box.
fn contradiction(part: &str, found: &Extracted<'_>, answer: &Reading) -> Option<Reading> {
    if found.rule != Rule::Boxed || !crate::equal::is_number(&answer.expr) {
        return None;
    }
    let after = part.get(found.at + found.text.len()..)?;
    // few completions go on after their box, and the pattern of announcements is dear
    memchr::memmem::find(after.as_bytes(), b"nswer")?;
    let later = extract::announced(after)?;
    let reading = read(&later.text).ok().filter(|reading| crate::equal::is_number(&reading.expr))?;
    let coarse = Policies { rounding: 1, ..Policies::default() };
    (!compare(answer, &reading, &coarse).equal).then_some(reading)
}

impl Verifier for MathVerifier {
    fn name(&self) -> &str {
        "math"
    }

    fn version(&self) -> &str {
        "3"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        self.gold(problem).map(|_| ())
    }

    fn judges(&self) -> Judges {
        Judges::Statement
    }

    fn gold(&self, problem: &Problem) -> Option<Completion> {
        let answer = problem.answer.as_deref()?;
        let asked = problem.messages.last().map_or(problem.prompt.as_str(), |last| last.content.as_str());
        let thinking = &self.config.thinking;
        let close = match thinking.tags.first() {
            Some([_, close]) if thinking.closed || thinking.opened_by(asked) => close.as_str(),
            _ => "",
        };
        Some(Completion::new(format!("{close}The final answer is $\\boxed{{{answer}}}$.")))
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        match self.gold(problem) {
            Ok(gold) => self.judge(&gold, problem, completion, &Trace::default()),
            Err(error) => Verdict::fault(error.to_string()),
        }
    }

    fn attacks(&self, problem: &Problem) -> Vec<Attack> {
        self.gold(problem).map_or_else(|_| Vec::new(), |gold| attacks::on(problem, &gold.answer))
    }

    fn explain(&self, problem: &Problem, completion: &Completion) -> Vec<Step> {
        let trace = Trace::noting();
        match self.gold(problem) {
            Ok(gold) => {
                let verdict = self.judge(&gold, problem, completion, &trace);
                let policy = verdict.reason.split('`').skip_while(|part| !part.ends_with("policy ")).nth(1);
                trace.step(|| Step::note("policy", policy.unwrap_or("none was needed")));
            }
            Err(error) => trace.step(|| Step::rule("gold", false, error.to_string())),
        }
        trace.steps()
    }
}

/// Characters of an answer in a reason.
const SHOWN: usize = 80;

fn clipped(reading: &Reading) -> String {
    let text = reading.to_string();
    match text.char_indices().nth(SHOWN) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

/// The text in quotes, on one line.
fn quoted(text: &str) -> String {
    let text = text.trim();
    let (text, dots) = match text.char_indices().nth(SHOWN) {
        Some((at, _)) => (&text[..at], "..."),
        None => (text, ""),
    };
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    format!("`{line}{dots}`")
}

mod attacks;
#[cfg(test)]
mod tests;
