//! The verifier `math`: extraction, reading and comparison put together, with the reason of each verdict in one line.

use crate::config::{MathConfig, NoRules, Settings};
use crate::extract::{self, Extracted, Rule, all_boxes, answer_part, first_number, within_sentence};
use crate::tree::Expr;
use crate::{Finding, LimitError, Policies, Reading, compare, read};
use rlvr_verdict::{Completion, Judges, Problem, ProblemError, Verdict, Verifier};
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
    /// When it has no rule of extraction.
    pub fn new(config: MathConfig) -> Result<Self, NoRules> {
        if config.extract.is_empty() {
            return Err(NoRules);
        }
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
                let choice = extract::choice::choice(answer, strings);
                GoldAnswer::Choice(
                    choice.ok_or_else(|| unreadable(&"it names none of the choices"))?.to_owned(),
                )
            }
            None => GoldAnswer::Mathematics(read_gold(answer, &settings).map_err(|e| unreadable(&e))?),
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

    fn judge(&self, gold: &Gold, completion: &Completion) -> Verdict {
        let part = if self.config.after_thinking {
            answer_part(&completion.text)
        } else {
            Some(completion.text.as_str())
        };
        let Some(part) = part else {
            return Verdict::unparseable("the thinking does not end, so there is no answer");
        };
        let reading = match &gold.answer {
            GoldAnswer::Choice(right) => return chosen(right, part, gold),
            GoldAnswer::Mathematics(reading) => reading,
        };
        let Some((found, answer)) = answer_in(part, &gold.settings) else {
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
        let shown = clipped(&answer);
        let stated = format!("{stated}, read as {shown}; gold {}", gold.shown);
        let verdict = match found.alternative.and_then(|rival| rival_of(&answer, rival)) {
            Some(rival) => Verdict::fail(format!("{stated}: {} is offered in its place", clipped(&rival))),
            None => {
                let mut finding = compare(reading, &answer, &gold.settings.policies);
                if !finding.equal
                    && found.rule == Rule::Boxed
                    && let Some(other) = spread(reading, part, &gold.settings.policies)
                {
                    finding = other;
                }
                let reason = format!("{stated}: {}", finding.why);
                if finding.equal { Verdict::pass(reason) } else { Verdict::fail(reason) }
            }
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
        let found = if settings.search { answer_in(answer, settings) } else { None };
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
fn answer_in<'a>(part: &'a str, settings: &Settings) -> Option<(Extracted<'a>, Result<Reading, LimitError>)> {
    let mut words = None;
    for rule in &settings.rules {
        let Some(mut found) = extract::extract(part, *rule) else { continue };
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
            && !matches!(reading.expr, Expr::Text(_))
        {
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

/// Whether an answer is words, or has words for factors or terms.
fn has_words(expr: &Expr) -> bool {
    let factors = |v: &[Expr]| v.iter().any(|e| matches!(e, Expr::Text(_)));
    match expr {
        Expr::Text(_) => true,
        Expr::Product(v) | Expr::Sum(v) => factors(v),
        Expr::Quantity(inner, _) => has_words(inner),
        _ => false,
    }
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
fn spread(gold: &Reading, part: &str, policies: &Policies) -> Option<Finding> {
    let (Expr::List(elements) | Expr::Set(elements)) = &gold.expr else { return None };
    let boxes = all_boxes(part);
    if boxes.len() != elements.len() || boxes.len() < 2 {
        return None;
    }
    let items = boxes.iter().map(|b| read(b).ok().map(|r| r.expr)).collect::<Option<Vec<_>>>()?;
    let plain = boxes.join(", ").into_boxed_str();
    let all = Reading { expr: Expr::List(items), text: plain.clone(), plain };
    let finding = compare(gold, &all, policies);
    finding.equal.then_some(finding)
}

/// A choice among strings.
fn chosen(right: &str, part: &str, gold: &Gold) -> Verdict {
    let strings = gold.settings.strings.as_deref().unwrap_or_default();
    match extract::choice::choice(part, strings) {
        None => Verdict::unparseable("the text names none of the choices"),
        Some(found) => {
            let reason = format!("choice {found}; gold {right}");
            let verdict = if found == right { Verdict::pass(reason) } else { Verdict::fail(reason) };
            verdict.with_answer(found)
        }
    }
}

/// The answer in what is offered beside an answer, unless it is the same one or no answer at all.
fn rival_of(answer: &Reading, beside: &str) -> Option<Reading> {
    let words = matches!(answer.expr, Expr::Text(_));
    let rival = match read(beside).ok() {
        Some(rival) if words || !matches!(rival.expr, Expr::Text(_)) => rival,
        _ => read(first_number(beside)?).ok()?,
    };
    // an equation that is still to be solved is no answer
    if matches!(&rival.expr, Expr::Relation(..)) && !crate::equal::says_a_value(&rival.expr) {
        return None;
    }
    // "or about 0.33" is no rival of a third
    let coarse = Policies { rounding: 1, ..Policies::default() };
    (!compare(answer, &rival, &coarse).equal).then_some(rival)
}

impl Verifier for MathVerifier {
    fn name(&self) -> &str {
        "math"
    }

    fn version(&self) -> &str {
        "2"
    }

    fn check(&self, problem: &Problem) -> Result<(), ProblemError> {
        self.gold(problem).map(|_| ())
    }

    fn judges(&self) -> Judges {
        Judges::Statement
    }

    fn gold(&self, problem: &Problem) -> Option<Completion> {
        problem
            .answer
            .as_deref()
            .map(|answer| Completion::new(format!("The final answer is $\\boxed{{{answer}}}$.")))
    }

    fn verify(&self, problem: &Problem, completion: &Completion) -> Verdict {
        match self.gold(problem) {
            Ok(gold) => self.judge(&gold, completion),
            Err(error) => Verdict::fault(error.to_string()),
        }
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

#[cfg(test)]
mod tests;
