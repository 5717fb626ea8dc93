//! Task sets: rows as problems with prompts, and what is said of rows, prompts and keys that are wrong.

use serde_json::json;

use super::*;

fn verifiers() -> BTreeMap<String, Arc<dyn Verifier>> {
    let mut registry = rlvr_verdict::Registry::new();
    rlvr_math::register(&mut registry);
    rlvr_text::register(&mut registry);
    rlvr_code::register(&mut registry);
    ["math", "choice", "python"]
        .map(|name| (name.to_string(), registry.make(name, &Value::Null).unwrap()))
        .into()
}

fn load(config: Value, context: usize) -> Result<Vec<PromptedProblem>, DataError> {
    load_with(&Tokenizer::characters().unwrap(), config, context)
}

fn load_with(
    tokenizer: &Tokenizer,
    config: Value,
    context: usize,
) -> Result<Vec<PromptedProblem>, DataError> {
    let verifiers = verifiers();
    let checks = TaskChecks {
        tokenizer,
        verifiers: &verifiers,
        with_settings: &["format"],
        reward: &[],
        context,
        max_tokens: 20,
    };
    load_set(config, &checks).map(|set| set.tasks)
}

fn load_set(config: Value, checks: &TaskChecks<'_>) -> Result<TaskSet, DataError> {
    load_tasks("t", &serde_json::from_value(config).unwrap(), 1, checks)
}

fn rows(folder: &Path, rows: &[Value]) -> std::path::PathBuf {
    let path = folder.join("rows.jsonl");
    let lines: Vec<String> = rows.iter().map(Value::to_string).collect();
    std::fs::write(&path, lines.join("\n")).unwrap();
    path
}

#[test]
fn gsm8k_rows_become_problems_with_their_prompts() {
    let folder = tempfile::tempdir().unwrap();
    let question = json!({ "question": "One and one?", "answer": "1+1=<<1+1=2>>2\n#### 2,000" });
    let path = rows(folder.path(), &[json!({ "question": "skipped", "answer": "" }), question, json!({})]);
    let config = json!({
        "path": path, "map": { "prompt": "question" }, "verifier": "math", "skip": 1, "limit": 1,
        "transform": [{ "field": "answer", "capture": "####\\s*(.+)" },
                      { "field": "answer", "replace": ",", "with": "" }],
        "template": "Question: {{ prompt }}\nAnswer:",
    });
    let tasks = load(config, 100).unwrap();
    assert_eq!(tasks.len(), 1);
    let PromptedProblem { problem, prompt, ids } = &tasks[0];
    assert_eq!((problem.answer.as_deref(), problem.verifier.as_str()), (Some("2000"), "math"));
    assert_eq!(problem.id, "rows.jsonl:2");
    assert_eq!(&**prompt, "Question: One and one?\nAnswer:");
    let tokenizer = Tokenizer::characters().unwrap();
    assert_eq!(ids[0], tokenizer.bos_id().unwrap());
    assert_eq!(tokenizer.decode(ids).unwrap(), **prompt);
}

#[test]
fn all_that_is_wrong_in_a_set_is_told_at_once_with_file_line_and_field() {
    let folder = tempfile::tempdir().unwrap();
    let row = |id: &str| json!({ "id": id, "prompt": "1+1", "verifier": "math", "answer": "2" });
    let with = |id: &str, field: &str, value: Value| {
        let mut row = row(id);
        row[field] = value;
        row
    };
    let path = rows(
        folder.path(),
        &[
            row("a"),
            row("a"),
            with("b", "verifier", json!("mth")),
            with("c", "answer", json!(["2"])),
            with("d", "answer", Value::Null),
            with("e", "prompt", json!("long ".repeat(30))),
            with("f", "prompt", Value::Null),
            with("h", "verifier", json!("format")),
            with("g", "prompt", json!([{ "role": "user", "content": "hi" }])),
        ],
    );
    let mut file = std::fs::read_to_string(&path).unwrap();
    file.push_str("\n{\"id\": \n");
    std::fs::write(&path, file).unwrap();
    let error = load(json!({ "path": path }), 100).unwrap_err();
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[0], "task set `t`: 9 of its rows cannot be used");
    let expected = [
        ("rows.jsonl:2: field `id`", "`a` is the id of"),
        ("rows.jsonl:3: field `verifier`", "there is no verifier `mth`; did you mean `math`?"),
        ("rows.jsonl:4: field `answer`", "a string or a number is right"),
        ("rows.jsonl:5: field `answer`", "missing"),
        (
            "rows.jsonl:6: field `prompt`",
            "is 151 tokens long, but the context of 100 leaves 80 beside max_tokens 20: shorten the prompt",
        ),
        ("rows.jsonl:7: field `prompt`", ""),
        ("rows.jsonl:8: field `verifier`", "`format` needs settings; a table [verifiers.format]"),
        ("rows.jsonl:9: field `prompt`", "set `chat = true`"),
        ("rows.jsonl:10: column", "not a JSON object in one line"),
    ];
    for (line, (place, problem)) in lines[1..].iter().zip(expected) {
        assert!(line.contains(place) && line.contains(problem), "{line}\n{place} {problem}");
    }
    assert_eq!(lines.len(), 10);
}

#[test]
fn no_more_than_twenty_errors_are_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = rows(folder.path(), &vec![json!({ "question": "?" }); 33]);
    let error = load(json!({ "path": path, "verifier": "math" }), 100).unwrap_err();
    assert!(matches!(&error, DataError::Rows { errors, more: 13, .. } if errors.len() == 20), "{error:?}");
    assert!(error.to_string().ends_with("  and 13 more"), "{error}");
}

#[test]
fn a_mapped_column_that_a_row_lacks_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = rows(folder.path(), &[json!({ "questions": "1+1", "answer": "2" })]);
    let error = load(json!({ "path": path, "map": { "prompt": "question" }, "verifier": "math" }), 100);
    let text = error.unwrap_err().to_string();
    assert!(text.contains("rows.jsonl:1: field `question`: is missing; did you mean `questions`?"), "{text}");
}

#[test]
fn a_generator_is_a_task_set_whose_every_row_checks() {
    let made = |generator: &str, split: &str| {
        load(json!({ "generator": generator, "count": 300, "split": split }), 200).unwrap()
    };
    let math = made("math-tasks", "held-out");
    assert_eq!((math.len(), math[0].problem.id.as_str()), (300, "math-tasks/1"));
    let train = made("math-tasks", "train");
    let seen: std::collections::BTreeSet<&str> = train.iter().map(|task| &*task.prompt).collect();
    assert!(math.iter().all(|task| !seen.contains(&*task.prompt)));
    assert_eq!(made("facts", "held-out")[0].problem.choices.len(), 4);
}

#[test]
fn with_chat_a_prompt_is_one_message_of_the_users_in_the_template() {
    let folder = tempfile::tempdir().unwrap();
    Tokenizer::characters().unwrap().save(folder.path()).unwrap();
    let template = "<s>{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}[assistant] ";
    std::fs::write(folder.path().join("chat_template.jinja"), template).unwrap();
    let tokenizer = Tokenizer::load(folder.path()).unwrap();
    let turns = json!([{ "role": "system", "content": "Be brief." }, { "role": "user", "content": "2+2?" }]);
    let path = rows(
        folder.path(),
        &[json!({ "prompt": "1+1?", "answer": 2 }), json!({ "prompt": turns, "answer": 4 })],
    );
    let tasks =
        load_with(&tokenizer, json!({ "path": path, "verifier": "math", "chat": true }), 100).unwrap();
    assert_eq!(&*tasks[0].prompt, "<s>[user] 1+1?\n[assistant] ");
    assert_eq!(&*tasks[1].prompt, "<s>[system] Be brief.\n[user] 2+2?\n[assistant] ");
    // The template brings the `<s>`; it stands there once.
    let begins = tasks[0].ids.iter().filter(|id| Some(**id) == tokenizer.bos_id()).count();
    assert_eq!((begins, tasks[0].ids.len()), (1, "[user] 1+1?\n[assistant] ".len() + 1));
}

#[test]
fn all_of_gsm8k_loads_with_answers_that_the_verifier_reads() {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let data = std::env::var_os("RLVR_DATA").map_or(beside, Into::into);
    let path = data.join("gsm8k/train.jsonl");
    if !path.is_file() {
        eprintln!("skipped: {} is not there; set RLVR_DATA to the data's folder", path.display());
        return;
    }
    let config = json!({
        "path": path, "map": { "prompt": "question" }, "verifier": "math",
        "transform": [{ "field": "answer", "capture": "####\\s*(.+)" },
                      { "field": "answer", "replace": ",", "with": "" }],
        "template": "Question: {{ prompt }}\nAnswer:",
    });
    let tasks = load(config, 2048).unwrap();
    assert_eq!((tasks.len(), tasks[0].problem.answer.as_deref()), (7473, Some("72")));
}

#[test]
fn a_base_models_prompt_is_a_conversation_and_a_rows_own_system_message_stands() {
    let folder = tempfile::tempdir().unwrap();
    let row = |prompt: Value| json!({ "prompt": prompt, "verifier": "math", "answer": "2" });
    let told = json!([{ "role": "system", "content": "Be kind." }, { "role": "user", "content": "1+1" }]);
    let path = rows(folder.path(), &[row(json!("1+1")), row(told.clone())]);
    let prompts = |changes: Value| -> Vec<String> {
        let mut config = json!({ "path": path });
        config.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        load(config, 200).unwrap().iter().map(|task| task.prompt.to_string()).collect()
    };
    let kind = "Be kind.\n\nUser: 1+1\n\nAssistant:";
    assert_eq!(prompts(json!({ "chat": "user_assistant" })), ["User: 1+1\n\nAssistant:", kind]);
    let brief = prompts(json!({ "chat": "user_assistant", "system": "Be brief." }));
    assert_eq!(brief, ["Be brief.\n\nUser: 1+1\n\nAssistant:", kind]);

    let path = rows(folder.path(), &[row(json!("1+1"))]);
    let raw = load(json!({ "path": path, "chat": "raw", "system": "Be brief." }), 200).unwrap();
    assert_eq!(&*raw[0].prompt, "Be brief.\n\n1+1");
    let tool = json!([{ "role": "user", "content": "1+1" }, { "role": "tool", "content": "2" }]);
    let path = rows(folder.path(), &[row(tool)]);
    let error = load(json!({ "path": path, "chat": "user_assistant" }), 200).unwrap_err().to_string();
    assert!(error.contains("message 1 has the role `tool`"), "{error}");
    let error = serde_json::from_value::<TaskSetConfig>(json!({ "chat": "chatml" })).unwrap_err().to_string();
    assert!(error.contains("\"user_assistant\""), "{error}");
}

#[test]
fn a_document_begins_with_the_very_ids_of_its_prompt() {
    let tokenizer = Tokenizer::characters().unwrap();
    let documents = generators::documents("s", "worked-math", &Map::new(), 1).unwrap();
    for document in (0..100).map(|index| documents.document(index)) {
        let prompt = text_ids::prompt(&tokenizer, &document.prompt).unwrap();
        let (ids, start) = text_ids::document(&tokenizer, &document).unwrap();
        assert_eq!((&ids[..start], ids.last().copied()), (&prompt[..], tokenizer.eos_id()));
    }
}

#[test]
fn keys_that_do_not_belong_together_are_refused() {
    let error = |config| load(config, 100).unwrap_err().to_string();
    let text = error(json!({ "path": "a.jsonl", "generator": "facts" }));
    assert_eq!(text, "tasks.t: has both `path` and `generator`; keep one");
    let text = error(json!({}));
    assert_eq!(
        text,
        "tasks.t: needs a `path` to a .jsonl or .parquet file, or a `generator` (math-tasks, facts, programs)"
    );
    let text = error(json!({ "generator": "facts" }));
    assert_eq!(text, "tasks.t.count: is missing or 0; say how many problems the generator makes");
    let text = error(json!({ "path": "a.csv" }));
    assert_eq!(text, "tasks.t.path: a.csv: a file that ends in .jsonl or .parquet is right");
    let text = error(json!({ "path": "a.jsonl", "split": "train" }));
    assert_eq!(text, "tasks.t.split: belongs to a generator; leave it out beside `path`");
    let text = error(json!({ "generator": "facts", "count": 5, "chat": true }));
    assert!(text.starts_with("tasks.t.chat: is true, but the tokenizer has no chat template"), "{text}");
}

#[test]
fn rows_whose_tests_need_what_the_sandbox_lacks_are_counted_and_left_out_where_the_set_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let row = |tests: &str| json!({ "prompt": "f", "verifier": "python", "tests": { "kind": "asserts", "code": tests } });
    let sound = row("assert f(1) == 1");
    let mut all: Vec<Value> =
        vec![sound.clone(), row("import numpy as np\nassert f(1) == np.ones(1)"), sound.clone()];
    all.extend([row("from pandas.core import x\nassert f(x)"), row("import numpy\nassert f(numpy)"), sound]);
    let path = rows(folder.path(), &all);
    let tokenizer = Tokenizer::characters().unwrap();
    let verifiers = verifiers();
    let checks = TaskChecks {
        tokenizer: &tokenizer,
        verifiers: &verifiers,
        with_settings: &[],
        reward: &[],
        context: 99,
        max_tokens: 20,
    };
    let error = load_set(json!({ "path": path }), &checks).unwrap_err().to_string();
    for part in [
        "rows.jsonl:2: field `tests`: need the module `numpy`",
        "3 of 6 tasks need modules that the sandbox lacks (numpy 2, pandas 1); unsupported = \"skip\" in [tasks.t]",
    ] {
        assert!(error.contains(part), "{error}");
    }
    let set = load_set(json!({ "path": path, "unsupported": "skip" }), &checks).unwrap();
    let ids: Vec<&str> = set.tasks.iter().map(|task| &*task.problem.id).collect();
    assert_eq!(ids, ["rows.jsonl:1", "rows.jsonl:3", "rows.jsonl:6"]);
    assert_eq!(
        set.lacking.to_string(),
        "3 of 6 tasks need modules that the sandbox lacks (numpy 2, pandas 1)"
    );
    // what is wrong otherwise stays wrong
    all.push(json!({ "prompt": "f", "verifier": "python", "tests": { "kind": "asserts", "code": "" } }));
    let path = rows(folder.path(), &all);
    let error = load_set(json!({ "path": path, "unsupported": "skip" }), &checks).unwrap_err().to_string();
    assert!(error.contains("1 of its rows") && error.contains("rows.jsonl:7"), "{error}");
}
