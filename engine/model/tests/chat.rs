//! Chat templates against what transformers rendered (`tests/oracles/chat_templates.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlvr_model::chat::{ChatError, ChatTemplate, Message};
use serde::Deserialize;

#[derive(Deserialize)]
struct Expected {
    special: BTreeMap<String, String>,
    now: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    template: String,
    messages: Vec<Message>,
    add_generation_prompt: bool,
    text: Option<String>,
    error: Option<String>,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/chat").join(name)
}

#[test]
fn every_template_renders_as_in_transformers() {
    let expected = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let expected: Expected = serde_json::from_str(&expected).unwrap();
    let now = expected.now.parse().unwrap();
    assert!(expected.cases.len() >= 4 * 2 * 7);
    for case in &expected.cases {
        let source = std::fs::read_to_string(fixture(&case.template)).unwrap();
        let template = ChatTemplate::at(&source, &expected.special, now).unwrap();
        let rendered = match case.add_generation_prompt {
            true => template.render_prompt(&case.messages),
            false => template.render(&case.messages),
        };
        match (rendered, &case.text, &case.error) {
            (Ok(text), Some(expected), None) => {
                assert_eq!(&text, expected, "{} of {:?}", case.template, case.messages);
            }
            (Err(ChatError::Refused { problem, .. }), None, Some(expected)) => assert_eq!(&problem, expected),
            (found, _, _) => panic!("{} of {:?} gave {found:?}", case.template, case.messages),
        }
    }
}

#[test]
fn a_template_with_a_syntax_error_names_its_line() {
    let error =
        ChatTemplate::new("{{ bos_token }}\n{% if messages %}\n{% endfor %}", &BTreeMap::new()).unwrap_err();
    assert!(error.to_string().contains("line 3"), "{error}");
}

#[test]
fn an_error_inside_a_template_is_a_refusal_with_its_line() {
    let template = ChatTemplate::new("a\n{{ messages[0].nothing.at_all }}", &BTreeMap::new()).unwrap();
    let error = template.render(&[Message::user("hi")]).unwrap_err();
    assert!(matches!(error, ChatError::Refused { line: 2, .. }), "{error:?}");
}
