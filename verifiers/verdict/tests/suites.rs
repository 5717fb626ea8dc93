//! Suites as files: what is read, and what is said of one that is wrong.

use rlvr_verdict::testkit::Suite;
use rlvr_verdict::{Judges, Outcome, Registry};
use std::path::Path;

fn read(folder: &Path, suite: &str) -> Result<Suite, String> {
    let path = folder.join("words.toml");
    std::fs::write(&path, suite).unwrap();
    Suite::read(&path).map_err(|error| error.to_string().replace(&format!("{}/", folder.display()), ""))
}

#[test]
fn cases_stand_in_the_suite_and_in_files_beside_it_with_columns_of_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let rows = "{\"q\": 1, \"gold\": \"Rome\", \"pred\": \"Rome\", \"expected\": true}\n\n{\"gold\": \"Oslo\", \"pred\": {\"text\": \"x\", \"tokens\": 3}, \"expected\": false}\n";
    std::fs::write(folder.path().join("more.jsonl"), rows).unwrap();
    std::fs::write(folder.path().join("problems.jsonl"), "{\"prompt\": \"?\", \"gold\": \"Bern\"}\n")
        .unwrap();
    let suite = read(
        folder.path(),
        r#"
verifier = { kind = "exact", case = "ignore" }
judges = "statement"
gold = "It is {answer}, {level}."
cases = ["more.jsonl"]
tasks = ["problems.jsonl"]
map = { answer = "gold", completion = "pred", expect = "expected" }

[problem]
level = 3
answer = "Paris"

[[case]]
completion = "paris"
expect = ["pass", "fail"]
"#,
    )
    .unwrap();
    assert_eq!(
        (suite.name.as_str(), suite.kind.as_str(), suite.judges),
        ("words", "exact", Some(Judges::Statement))
    );
    assert_eq!(suite.settings, serde_json::json!({"case": "ignore"}));
    let names: Vec<&str> = suite.cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names, ["words:13", "more:1", "more:3"]);
    let answers: Vec<&str> = suite.cases.iter().map(|case| case.problem.answer.as_deref().unwrap()).collect();
    assert_eq!(answers, ["Paris", "Rome", "Oslo"]);
    assert_eq!(suite.cases[2].completion.tokens, 3);
    assert!(!suite.cases[2].expected.outcomes.contains(&Outcome::Fault));
    let problem = &suite.problems[0].1;
    assert_eq!(suite.written_gold(problem).unwrap().text, "It is Bern, 3.");
    assert_eq!(suite.files.len(), 3);
}

#[test]
fn what_is_wrong_is_told_with_file_line_field_and_what_would_be_right() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("bad.jsonl"),
        "{\"completion\": \"a\", \"expect\": \"pass\"}\n{\"completion\": \n",
    )
    .unwrap();
    let case = "[[case]]\ncompletion = \"a\"\nexpect = \"pass\"\n";
    for (suite, start, parts) in [
        ("verifier = \"exact\"\n", "words.toml: ", &["has no case", "[[case]]"][..]),
        ("verifer = \"exact\"\n", "words.toml:1: ", &["verifer", "verifier"]),
        (&format!("\nverifier = 3\n{case}"), "words.toml:2: field `verifier`: ", &["kind = \"exact\""]),
        (
            &format!("verifier = {{ case = \"x\" }}\n{case}"),
            "words.toml:1: field `verifier`: ",
            &["`kind` is missing"],
        ),
        (
            "verifier = \"exact\"\n\n[[case]]\nexpect = \"pass\"\n",
            "words.toml:3: field `completion`: ",
            &["missing"],
        ),
        (
            "verifier = \"exact\"\n[[case]]\ncompletion = \"a\"\n",
            "words.toml:2: field `expect`: ",
            &["\"pass\""],
        ),
        (
            "verifier = \"exact\"\n[[case]]\ncompletion = \"a\"\nexpect = \"pased\"\n",
            "words.toml:2: field `expect`: ",
            &["pased", "unparseable"],
        ),
        (
            &format!("verifier = \"exact\"\n{case}name = \"x\"\n{case}name = \"x\"\n"),
            "words.toml:6: field `name`: ",
            &["another case"],
        ),
        (
            &format!("verifier = \"exact\"\nmap = {{ anser = \"x\" }}\n{case}"),
            "words.toml:2: field `map.anser`: ",
            &["did you mean `answer`"],
        ),
        ("verifier = \"exact\"\ncases = [\"none.jsonl\"]\n", "none.jsonl: ", &["words.toml names it"]),
        ("verifier = \"exact\"\ncases = [\"bad.jsonl\"]\n", "bad.jsonl:2: ", &["JSON object"]),
        (
            &format!("verifier = \"exact\"\n[checks]\natacks = false\n{case}"),
            "words.toml:3: ",
            &["atacks", "attacks"],
        ),
        (&format!("verifier = \"exact\"\n[budget]\nmax_s = \"1\"\n{case}"), "words.toml:3: ", &["f64"]),
    ] {
        let error = read(folder.path(), suite).unwrap_err();
        assert!(error.starts_with(start), "{suite}: {error}");
        parts.iter().for_each(|part| assert!(error.contains(part), "{suite}: {error}"));
    }
}

#[test]
fn a_verifier_that_there_is_none_of_is_told_with_the_nearest() {
    let folder = tempfile::tempdir().unwrap();
    let suite = read(folder.path(), "verifier = \"exct\"\n[[case]]\ncompletion = \"a\"\nexpect = \"pass\"\n")
        .unwrap();
    let error = suite.verifier(&Registry::new()).err().unwrap().to_string();
    assert!(error.contains("words.toml: field `verifier`: there is no verifier `exct`"), "{error}");
}

#[test]
fn a_suites_verifier_may_be_a_file_that_is_seen_from_the_suite() {
    let folder = tempfile::tempdir().unwrap();
    let case = "[[case]]\ncompletion = \"a\"\nexpect = \"pass\"\n";
    let path = folder.path().join("mine.py");
    for verifier in
        ["\"mine.py\"", "{ python = \"mine.py\" }", "{ kind = \"python_file\", python = \"mine.py\" }"]
    {
        let suite = read(folder.path(), &format!("verifier = {verifier}\n{case}")).unwrap();
        assert_eq!((&*suite.kind, &suite.settings["python"]), ("python_file", &serde_json::json!(path)));
        assert!(suite.files.contains(&path), "it is watched");
    }
    for (verifier, told) in [
        ("{ python = 3 }", "its `python` is 3"),
        ("{ python = \"mine.py\", kind = \"math\" }", "both `kind`"),
    ] {
        let error = read(folder.path(), &format!("verifier = {verifier}\n{case}")).unwrap_err();
        assert!(error.starts_with("words.toml:1: field `verifier`: ") && error.contains(told), "{error}");
    }
}
