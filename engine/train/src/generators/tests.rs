//! Generators: right answers, judged by the verifiers and by arithmetic read from the text; sides that share no problem; sizes.

use std::collections::{BTreeMap, BTreeSet};

use regex::Regex;
use rlvr_verdict::{Completion, Outcome, Problem, Registry, Verifier};
use serde_json::{Value, json};

use super::*;

fn params(value: Value) -> Map<String, Value> {
    value.as_object().cloned().unwrap()
}

fn made(name: &str, given: Value) -> Box<dyn Documents> {
    documents("sources.s", name, &params(given), 1).unwrap()
}

fn task_rows(name: &str, split: Split, count: u64) -> Vec<Row> {
    let tasks = tasks("tasks.t", name, &Map::new(), 1, split).unwrap();
    distinct_rows("tasks.t", name, &*tasks, count).unwrap()
}

fn normalised(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn text_of(row: &Row, field: &str) -> String {
    row.fields[field].as_str().unwrap().to_string()
}

fn problem_of(row: &Row) -> Problem {
    let place = &row.place;
    rlvr_verdict::tasks::read_row(row.fields.clone(), place, &BTreeMap::new(), None).unwrap().problem
}

fn verifier(name: &str) -> std::sync::Arc<dyn Verifier> {
    let mut registry = Registry::new();
    rlvr_math::register(&mut registry);
    rlvr_text::register(&mut registry);
    rlvr_code::register(&mut registry);
    registry.make(name, &Value::Null).unwrap()
}

#[test]
fn an_item_is_a_function_of_name_params_seed_and_number() {
    for name in DOCUMENTS {
        let (first, again) = (made(name, json!({})), made(name, json!({})));
        let other = documents("sources.s", name, &Map::new(), 2).unwrap();
        let all: Vec<Document> = (0..200).map(|i| first.document(i)).collect();
        for i in (0..200).rev() {
            assert_eq!(again.document(i), all[i as usize], "{name} {i}");
        }
        let same = (0..200).filter(|i| other.document(*i) == all[*i as usize]).count();
        assert!(same < 20, "{name}: {same} of 200 the same under another seed");
    }
    for name in TASKS {
        assert_eq!(task_rows(name, Split::HeldOut, 50), task_rows(name, Split::HeldOut, 100)[..50]);
    }
}

#[test]
fn no_held_out_problem_is_in_any_document_or_training_task() {
    let held_out: BTreeSet<String> = ["math-tasks", "facts"]
        .iter()
        .flat_map(|name| task_rows(name, Split::HeldOut, 300))
        .map(|row| normalised(&text_of(&row, "prompt")))
        .collect();
    assert_eq!(held_out.len(), 600);
    let mut checked = 0;
    let mut check = |text: &str| {
        checked += 1;
        let text = normalised(text);
        // A prompt is everything up to and with the `a:` that the answer follows.
        for (end, _) in text.match_indices("a:") {
            assert!(!held_out.contains(text[..end + 2].trim()), "held out, but in training: {text}");
        }
    };
    let sources = [
        ("worked-math", json!({ "sloppy": 0.5 })),
        ("worked-math", json!({ "digits": 2, "largest": 9 })),
        ("facts", json!({})),
        ("web", json!({ "solved": 0.5, "answers": 0.5 })),
    ];
    for (name, given) in sources {
        let documents = made(name, given);
        for document in (0..20_000).map(|i| documents.document(i)) {
            check(&format!("{}{}", document.prompt, document.text));
        }
    }
    for row in
        task_rows("math-tasks", Split::Train, 2000).iter().chain(&task_rows("facts", Split::Train, 900))
    {
        check(&text_of(row, "prompt"));
    }
    assert_eq!(checked, 82_900);
}

/// What a question of fact asks, from its text alone: the choices in any order, what is right among them, and for units, which
/// are asked in one way only, the question itself.
fn asked(prompt: &str, answer: &str) -> (BTreeSet<String>, String, Option<String>) {
    let (question, choices) =
        prompt.trim_start_matches("Q: ").trim_end_matches("\nA:").split_once(" (A) ").unwrap();
    let choices = Regex::new(r" \([BCD]\) ").unwrap().split(choices).map(str::to_owned).collect();
    (choices, answer.trim().to_owned(), question.starts_with("How many").then(|| question.to_owned()))
}

#[test]
fn a_held_out_question_is_not_in_training_in_other_words_or_with_its_choices_in_another_order() {
    let right = |row: &Row| {
        let choices = row.fields["choices"].as_array().unwrap();
        let at = "ABCD".find(row.fields["answer"].as_str().unwrap()).unwrap();
        choices[at].as_str().unwrap().to_owned()
    };
    let of_rows = |split, count| -> BTreeSet<_> {
        task_rows("facts", split, count)
            .iter()
            .map(|row| asked(&text_of(row, "prompt"), &right(row)))
            .collect()
    };
    let held_out = of_rows(Split::HeldOut, 300);
    assert_eq!(held_out.len(), 300, "all of them different");
    assert!(held_out.is_disjoint(&of_rows(Split::Train, 900)));
    let (facts, web) = (made("facts", json!({})), made("web", json!({ "answers": 1.0, "solved": 0.0 })));
    let mut questions = 0;
    for document in (0..20_000).flat_map(|i| [facts.document(i), web.document(i)]) {
        if document.prompt.contains("(A)") {
            questions += 1;
            assert!(!held_out.contains(&asked(&document.prompt, &document.text)), "{document:?}");
        }
    }
    assert!(questions > 25_000);
}

#[test]
fn a_held_out_sum_is_not_in_training_the_other_way_round_either() {
    let sum = Regex::new(r"^Q: (\d+)\+(\d+)\n").unwrap();
    let numbers = |text: &str| {
        let found = sum.captures(text)?;
        let mut pair = [found[1].to_string(), found[2].to_string()];
        pair.sort();
        Some(pair)
    };
    let held_out: BTreeSet<_> = task_rows("math-tasks", Split::HeldOut, 500)
        .iter()
        .filter_map(|row| numbers(&text_of(row, "prompt")))
        .collect();
    let two_digits = tasks("t", "math-tasks", &params(json!({ "digits": 2 })), 1, Split::HeldOut).unwrap();
    let held_out: BTreeSet<_> = (0..4000)
        .filter_map(|i| numbers(two_digits.task(0, i).fields["prompt"].as_str()?))
        .chain(held_out)
        .collect();
    assert!(held_out.len() > 400, "{}", held_out.len());
    let documents = made("worked-math", json!({ "digits": 2, "families": { "addition": 1.0 } }));
    let trained: BTreeSet<_> = (0..20_000).filter_map(|i| numbers(&documents.document(i).prompt)).collect();
    assert!(trained.len() > 3000, "{}", trained.len());
    assert!(trained.is_disjoint(&held_out));
}

#[test]
fn each_family_has_its_share_of_a_task_set_to_the_row() {
    let share = |given: Value, count| {
        let tasks = tasks("tasks.t", "math-tasks", &params(given), 1, Split::HeldOut).unwrap();
        let mut families: BTreeMap<String, usize> = BTreeMap::new();
        for row in distinct_rows("tasks.t", "math-tasks", &*tasks, count).unwrap() {
            *families.entry(row.fields["tags"][0].as_str().unwrap().to_string()).or_default() += 1;
        }
        families.into_iter().collect::<Vec<_>>()
    };
    let named = |counts: [usize; 4]| {
        let names = ["addition", "product", "story", "units"].map(str::to_owned);
        names.into_iter().zip(counts).collect::<Vec<_>>()
    };
    assert_eq!(share(json!({}), 500), named([125; 4]));
    // the quickstart's
    let families = json!({ "addition": 0.2, "product": 0.16, "story": 0.36, "units": 0.28 });
    assert_eq!(share(json!({ "largest": 10, "families": families }), 500), named([100, 80, 180, 140]));
}

#[test]
fn worked_solutions_verify_and_sloppy_ones_mostly_do_not() {
    let (tasks, math) = (task_rows("math-tasks", Split::Train, 400), verifier("math"));
    let answers: BTreeMap<String, Problem> =
        tasks.iter().map(|row| (text_of(row, "prompt"), problem_of(row))).collect();
    let outcome = |document: &Document, problem: &Problem| {
        math.check(problem).unwrap();
        math.verify(problem, &Completion::new(&document.text)).outcome
    };
    // A document of the same problem as a task; its solution is judged with the task's answer.
    let (worked, sloppy) = (made("worked-math", json!({})), made("worked-math", json!({ "sloppy": 1.0 })));
    let (mut right, mut guesses, mut lucky) = (0, 0, 0);
    for index in 0..40_000 {
        let document = worked.document(index);
        if let Some(problem) = answers.get(&document.prompt) {
            assert_eq!(outcome(&document, problem), Outcome::Pass, "{document:?}");
            right += 1;
        }
        let document = sloppy.document(index);
        if let Some(problem) = answers.get(&document.prompt) {
            guesses += 1;
            lucky += usize::from(outcome(&document, problem) == Outcome::Pass);
        }
    }
    assert!(right > 200 && guesses > 200, "{right} {guesses}");
    assert!(lucky * 10 < guesses, "{lucky} of {guesses} guesses are right");
}

#[test]
fn every_step_of_a_worked_solution_is_true() {
    let documents = made("worked-math", json!({}));
    for document in (0..3000).map(|i| documents.document(i)) {
        let (steps, answer) = document.text.split_once("\n#### ").unwrap();
        let mut last = 0;
        for step in steps.split_whitespace() {
            let (sum, result) = step.split_once('=').unwrap();
            let value = |text: &str| text.parse::<i64>().unwrap();
            let total = match sum.split_once('*') {
                Some((a, b)) => value(a) * value(b),
                None => match sum.split_once('-') {
                    Some((a, b)) => value(a) - value(b),
                    None => sum.split('+').map(value).sum(),
                },
            };
            assert_eq!(total, value(result), "{document:?}");
            last = total;
        }
        // Additions end with their leftmost column; the others with the answer.
        let answer: i64 = answer.parse().unwrap();
        assert!(answer == last || answer.to_string().starts_with(&last.to_string()), "{document:?}");
    }
}

#[test]
fn the_share_of_sloppy_solutions_is_as_asked() {
    let documents = made("worked-math", json!({ "sloppy": 0.45 }));
    let sloppy = (0..10_000).filter(|i| documents.document(*i).text.starts_with("\n####")).count();
    // Five standard deviations of a binomial: 5 * sqrt(10,000 * 0.45 * 0.55) = 249.
    assert!(sloppy.abs_diff(4500) < 249, "{sloppy}");
}

#[test]
fn documents_are_short_plain_ascii() {
    for name in DOCUMENTS {
        let documents = made(name, json!({}));
        let texts = (0..5000).map(|i| documents.document(i)).map(|document| document.prompt + &document.text);
        let texts: Vec<String> = texts.collect();
        assert!(
            texts.iter().all(|text| text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))),
            "{name}"
        );
        let longest = texts.iter().map(String::len).max().unwrap();
        assert!(longest <= 150, "{name}: {longest}");
        if name == "worked-math" {
            assert!(longest <= 90, "{longest}");
        }
    }
}

#[test]
fn facts_have_one_right_choice_which_the_choice_verifier_passes() {
    let choice = verifier("choice");
    for row in task_rows("facts", Split::HeldOut, 300) {
        let problem = problem_of(&row);
        choice.check(&problem).unwrap();
        let different: BTreeSet<&String> = problem.choices.iter().collect();
        assert_eq!((different.len(), problem.choices.len()), (4, 4), "{row:?}");
        for letter in ["A", "B", "C", "D"] {
            let passed =
                choice.verify(&problem, &Completion::new(format!(" ({letter})"))).outcome == Outcome::Pass;
            assert_eq!(passed, problem.answer.as_deref() == Some(letter), "{row:?} {letter}");
        }
    }
}

#[test]
fn no_letter_is_right_more_often_than_another() {
    let mut counts: BTreeMap<String, u32> = BTreeMap::new();
    let documents = made("facts", json!({}));
    for index in 0..8000 {
        let document = documents.document(index);
        let place = ["(A)", "(B)", "(C)", "(D)"].into_iter().find(|letter| {
            let rest = document.prompt.split(letter).nth(1).unwrap();
            rest.split(" (").next().unwrap().trim_end_matches("\nA:") == document.text
        });
        *counts.entry(place.unwrap().to_owned()).or_default() += 1;
    }
    // Five standard deviations of a binomial: 5 * sqrt(8,000 * 3 / 16) = 194.
    assert!(counts.len() == 4 && counts.values().all(|count| count.abs_diff(2000) < 194), "{counts:?}");
}

#[test]
fn held_out_facts_are_asked_about_in_training_in_other_lines() {
    let documents = made("facts", json!({}));
    let question = |prompt: &str| prompt.split(" (A)").next().unwrap().to_string();
    let trained: BTreeSet<String> = (0..20_000).map(|i| question(&documents.document(i).prompt)).collect();
    for row in task_rows("facts", Split::HeldOut, 300) {
        assert!(trained.contains(&question(&text_of(&row, "prompt"))), "{row:?}");
    }
}

#[test]
fn the_web_has_its_shares() {
    let documents = made("web", json!({ "solved": 0.1, "answers": 0.3, "digits": 1, "largest": 5 }));
    let asked: Vec<Document> =
        (0..10_000).map(|i| documents.document(i)).filter(|document| !document.prompt.is_empty()).collect();
    // Five standard deviations: 5 * sqrt(10,000 * 0.4 * 0.6) = 245.
    assert!(asked.len().abs_diff(4000) < 245, "{}", asked.len());
    let worked = asked.iter().filter(|document| document.text.contains('=')).count();
    assert!(worked.abs_diff(1000) < 150, "{worked}");
}

#[test]
fn wrong_names_and_parameters_are_refused_with_the_remedy() {
    let error = |name: &str, given: Value| {
        documents("sources.s", name, &params(given), 1).err().map(|error| error.to_string()).unwrap()
    };
    let text = error("worked-maths", json!({}));
    assert_eq!(
        text,
        "sources.s.generator: is `worked-maths`, which makes no documents; did you mean `worked-math`?"
    );
    assert_eq!(
        error("worked-math", json!({ "sloppy": 2 })),
        "sources.s.params.sloppy: is 2; a share in 0 to 1 is right"
    );
    assert_eq!(
        error("worked-math", json!({ "slopy": 0.2 })),
        "sources.s.params.slopy: is no parameter here; did you mean `sloppy`?"
    );
    let text = error("worked-math", json!({ "families": { "adition": 1 } }));
    assert_eq!(text, "sources.s.params.families.adition: is no family; did you mean `addition`?");
    assert_eq!(
        error("worked-math", json!({ "digits": 0 })),
        "sources.s.params.digits: is 0; 1 to 9 is right"
    );
    assert_eq!(error("facts", json!({ "n": 1 })), "sources.s.params.n: is no parameter here; there is none");
    assert!(error("web", json!({ "solved": 0.9, "answers": 0.2 })).contains("1 together at most"));
    let few = tasks(
        "tasks.t",
        "math-tasks",
        &params(json!({ "families": { "addition": 1, "product": 1 }, "largest": 3 })),
        1,
        Split::Train,
    );
    let text = distinct_rows("tasks.t", "math-tasks", &*few.unwrap(), 100).unwrap_err().to_string();
    assert!(text.starts_with("tasks.t.count: is 100, of which `product` has the share 0.50, but"), "{text}");
}
