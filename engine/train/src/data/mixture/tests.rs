//! Mixtures: shares and budgets by domain, packing, epochs, states that are restored, and configs that cannot be drawn from.

use serde_json::json;

use super::*;
use crate::mid_train::MicroBatch;

fn tokenizer() -> Tokenizer {
    Tokenizer::characters().unwrap()
}

fn source(name: &str, value: serde_json::Value) -> (String, Arc<Source>) {
    (name.to_string(), Arc::new(Source::open(name, &serde_json::from_value(value).unwrap(), 1).unwrap()))
}

fn generators() -> BTreeMap<String, Arc<Source>> {
    [
        source("math", json!({ "kind": "generator", "generator": "worked-math", "mask_prompt": true })),
        source("web", json!({ "kind": "generator", "generator": "web", "limit": 40 })),
        source("facts", json!({ "kind": "generator", "generator": "facts" })),
    ]
    .into()
}

/// Documents of one source, a line each.
fn lines(folder: &std::path::Path, lines: &[&str]) -> BTreeMap<String, Arc<Source>> {
    let path = folder.join("lines.jsonl");
    let rows: Vec<String> = lines.iter().map(|line| json!({ "text": line }).to_string()).collect();
    std::fs::write(&path, rows.join("\n")).unwrap();
    [source("lines", json!({ "kind": "jsonl", "path": path }))].into()
}

fn plan(steps: u64, batch_tokens: usize, micro_batch_tokens: usize, context: usize) -> MixturePlan<'static> {
    MixturePlan { seed: 7, stage: "mid", steps, batch_tokens, micro_batch_tokens, context }
}

fn entries(value: serde_json::Value) -> Vec<MixtureEntry> {
    serde_json::from_value(value).unwrap()
}

fn three() -> Vec<MixtureEntry> {
    entries(json!([
        { "domain": "math", "source": "math", "weight": 3 },
        { "domain": "web", "source": "web", "weight": 1 },
        { "domain": "facts", "source": "facts", "weight": 1 },
    ]))
}

fn tokens_by_entry(mixture: &Mixture) -> Vec<u64> {
    mixture.state().entries.iter().map(|entry| entry.tokens).collect()
}

/// Everything of a step that training sees.
fn contents(step: &[MicroBatch]) -> String {
    format!("{step:?}")
}

#[test]
fn weights_are_shares_of_tokens_to_within_one_per_cent() {
    let mut mixture =
        Mixture::new(&three(), &generators(), &tokenizer(), &plan(30, 2048, 1024, 256)).unwrap();
    for _ in 0..30 {
        mixture.next_step().unwrap();
    }
    let tokens = tokens_by_entry(&mixture);
    let total: u64 = tokens.iter().sum();
    for (tokens, share) in tokens.iter().zip([0.6, 0.2, 0.2]) {
        assert!((*tokens as f64 / total as f64 - share).abs() < 0.01, "{tokens} of {total}");
    }
    assert_eq!(mixture.domains(), ["math", "web", "facts"]);
}

#[test]
fn a_stream_resumed_at_any_step_is_the_uninterrupted_one() {
    // Short contexts cut documents; forty documents of `web` make many epochs; `facts` ends within the stage.
    let mut entries = three();
    entries[2].tokens = Some(2_000);
    let plan = plan(25, 700, 350, 40);
    let new = || Mixture::new(&entries, &generators(), &tokenizer(), &plan).unwrap();
    let mut whole = new();
    let mut steps = Vec::new();
    let mut states = Vec::new();
    for _ in 0..25 {
        states.push(serde_json::to_string(&whole.state()).unwrap());
        steps.push(contents(&whole.next_step().unwrap()));
    }
    for at in [0, 1, 7, 13, 24] {
        let mut resumed = new();
        resumed.restore(serde_json::from_str(&states[at]).unwrap()).unwrap();
        for step in at..25 {
            assert_eq!(
                serde_json::to_string(&resumed.state()).unwrap(),
                states[step],
                "state {at} -> {step}"
            );
            assert_eq!(contents(&resumed.next_step().unwrap()), steps[step], "resumed at {at}, step {step}");
        }
    }
}

#[test]
fn every_epoch_has_each_document_once_in_another_order() {
    let folder = tempfile::tempdir().unwrap();
    let sources = lines(folder.path(), &["aa", "bb", "cc", "dd", "ee", "ff", "gg", "hh"]);
    let entries = entries(json!([{ "domain": "d", "source": "lines", "weight": 1 }]));
    // A document is `<s>`, two letters and `</s>`: an epoch fills a step of 32 tokens exactly.
    let mut mixture = Mixture::new(&entries, &sources, &tokenizer(), &plan(4, 32, 32, 16)).unwrap();
    let mut orders = Vec::new();
    for _ in 0..4 {
        let step = mixture.next_step().unwrap();
        assert_eq!((step.len(), step[0].packed.len(), step[0].packed.segments.len()), (1, 32, 8));
        let order = tokenizer().decode(&step[0].packed.ids).unwrap();
        let mut sorted: Vec<char> = order.chars().collect();
        sorted.sort_unstable();
        assert_eq!(sorted.into_iter().collect::<String>(), "aabbccddeeffgghh");
        orders.push(order);
    }
    orders.dedup();
    assert!(orders.len() > 2, "{orders:?}");
}

#[test]
fn a_budget_is_spent_to_within_a_document_and_the_weights_share_the_rest() {
    let mut entries = three();
    entries[2].weight = None;
    entries[2].tokens = Some(5_000);
    let mut mixture =
        Mixture::new(&entries, &generators(), &tokenizer(), &plan(40, 1024, 1024, 256)).unwrap();
    let mut halfway = 0;
    for step in 0..40 {
        mixture.next_step().unwrap();
        if step == 19 {
            halfway = tokens_by_entry(&mixture)[2];
        }
    }
    let tokens = tokens_by_entry(&mixture);
    // No document of `facts` is longer than 150 tokens.
    assert!((5_000..5_150).contains(&tokens[2]), "{tokens:?}");
    assert!((2_300..3_000).contains(&halfway), "not spread over the stage: {halfway} of 5,000 at half time");
    let share = tokens[0] as f64 / (tokens[0] + tokens[1]) as f64;
    assert!((share - 0.75).abs() < 0.01, "{share}");
}

#[test]
fn a_mixture_whose_budgets_are_spent_says_so() {
    let entries = entries(json!([
        { "domain": "math", "source": "math", "tokens": 600 },
        { "domain": "facts", "source": "facts", "tokens": 424, "weight": 1 },
    ]));
    let mut mixture = Mixture::new(&entries, &generators(), &tokenizer(), &plan(2, 512, 512, 256)).unwrap();
    let error = (0..5).find_map(|_| mixture.next_step().err()).unwrap();
    assert!(
        error.to_string().contains("every domain has spent its budget; give one of them a weight"),
        "{error}"
    );
    let tokens: u64 = tokens_by_entry(&mixture).iter().sum();
    assert!(
        matches!(error, DataError::Exhausted { drawn } if drawn == tokens && tokens >= 1024),
        "{error:?}"
    );
}

#[test]
fn documents_keep_their_borders_and_their_ends() {
    let folder = tempfile::tempdir().unwrap();
    let sources = lines(folder.path(), &["abcdef", "xy", "0123456789"]);
    let entries = entries(json!([{ "domain": "d", "source": "lines", "weight": 1 }]));
    let tokenizer = tokenizer();
    let mut mixture = Mixture::new(&entries, &sources, &tokenizer, &plan(9, 24, 12, 8)).unwrap();
    let (bos, eos) = (tokenizer.bos_id().unwrap(), tokenizer.eos_id().unwrap());
    let mut pieces = std::collections::BTreeSet::new();
    for _ in 0..9 {
        let step = mixture.next_step().unwrap();
        assert!(step.len() <= 2 && step.iter().all(|micro| micro.packed.len() <= 12));
        for micro in step {
            let packed = &micro.packed;
            let mut expected = (Vec::new(), Vec::new());
            for segment in &packed.segments {
                assert_eq!(segment.prefix, None);
                let ids = &packed.ids[segment.start..][..segment.len];
                pieces.insert(tokenizer.decode_with_special(ids).unwrap());
                let positions = &packed.positions[segment.start..][..segment.len];
                assert!(positions.iter().enumerate().all(|(i, position)| *position as usize == i));
                // All but the first token of a segment are predicted, by the token before them.
                expected.0.extend((segment.start..segment.start + segment.len - 1).map(|row| row as u32));
                expected.1.extend(&ids[1..]);
            }
            assert_eq!((micro.targets.rows, micro.targets.ids), expected);
            assert!(packed.ids.contains(&bos) || packed.ids.contains(&eos));
        }
    }
    // `abcdef` takes eight tokens with its ends; ten digits take twelve, cut after eight.
    let expected = ["789</s>", "<s>0123456", "<s>abcdef</s>", "<s>xy</s>"];
    assert_eq!(pieces.iter().map(String::as_str).collect::<Vec<_>>(), expected);
}

#[test]
fn a_masked_prompt_is_read_and_not_learned() {
    let sources = generators();
    let entries = entries(json!([{ "domain": "math", "source": "math", "weight": 1 }]));
    let tokenizer = tokenizer();
    let mut mixture = Mixture::new(&entries, &sources, &tokenizer, &plan(3, 1024, 1024, 256)).unwrap();
    let micro = mixture.next_step().unwrap().remove(0);
    let learned: BTreeMap<u32, u32> = micro.targets.rows.iter().copied().zip(micro.targets.ids).collect();
    for segment in &micro.packed.segments {
        let ids = &micro.packed.ids[segment.start..][..segment.len];
        let text = tokenizer.decode(ids).unwrap();
        let prompt = 1 + text.find("\nA:").unwrap() + 3;
        for (at, id) in ids.iter().enumerate().skip(1) {
            let target = learned.get(&((segment.start + at - 1) as u32));
            assert_eq!(target, (at >= prompt).then_some(id), "{text:?} at {at}");
        }
    }
}

#[test]
fn stages_and_entries_go_through_a_source_in_orders_of_their_own() {
    let entries = entries(json!([
        { "domain": "a", "source": "web", "weight": 1 }, { "domain": "b", "source": "web", "weight": 1 },
    ]));
    let first = |stage| {
        let plan = MixturePlan { stage, ..plan(1, 4096, 4096, 256) };
        let mut mixture = Mixture::new(&entries, &generators(), &tokenizer(), &plan).unwrap();
        mixture.next_step().unwrap().remove(0).packed.ids
    };
    assert_eq!(first("mid"), first("mid"));
    assert_ne!(first("mid"), first("base"));
}

#[test]
fn a_state_of_other_data_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let entries = entries(json!([{ "domain": "d", "source": "lines", "weight": 1 }]));
    let open = |texts: &[&str]| {
        Mixture::new(&entries, &lines(folder.path(), texts), &tokenizer(), &plan(1, 32, 32, 16)).unwrap()
    };
    let state = open(&["aa", "bb"]).state();
    open(&["aa", "bb"]).restore(state.clone()).unwrap();
    let error = open(&["aa", "bc"]).restore(state.clone()).unwrap_err().to_string();
    assert!(error.contains("the documents of source `lines` have changed since; put them back"), "{error}");
    let mut other = state;
    other.entries[0].source = "elsewhere".into();
    let error = open(&["aa", "bb"]).restore(other.clone()).unwrap_err().to_string();
    assert!(error.contains("source `elsewhere` stands where the configuration has `lines`"), "{error}");
    other.entries.clear();
    let error = open(&["aa", "bb"]).restore(other).unwrap_err().to_string();
    assert!(error.contains("it has 0 entries in its mixture and the configuration 1"), "{error}");
}

#[test]
fn impossible_mixtures_are_refused_before_training() {
    let error = |value| {
        let made = Mixture::new(&entries(value), &generators(), &tokenizer(), &plan(10, 1000, 1000, 256));
        made.err().map(|error| error.to_string()).unwrap()
    };
    let text = error(json!([{ "domain": "d", "source": "mth", "weight": 1 }]));
    assert_eq!(text, "stage.mid.mixture[0].source: there is no source `mth`; did you mean `math`?");
    let text = error(json!([{ "domain": "d", "source": "math" }]));
    assert_eq!(text, "stage.mid.mixture[0]: has neither `weight` nor `tokens`; give it a share or a budget");
    let text = error(json!([{ "domain": "d", "source": "math", "weight": 0 }]));
    assert_eq!(text, "stage.mid.mixture[0].weight: is 0; it must be above 0");
    let text = error(json!([{ "domain": "d", "source": "math", "tokens": 9999 }]));
    assert!(text.contains("the budgets are 9999 tokens together, but the stage trains on 10000"), "{text}");
    let text = error(json!([
        { "domain": "d", "source": "math", "tokens": 9999 }, { "domain": "e", "source": "web", "weight": 1 },
    ]));
    assert!(text.contains("leave nothing to the weights"), "{text}");
}

#[test]
fn a_source_with_nothing_to_learn_is_named() {
    // Thirteen tokens of prompt and ends, so that in a context of four the text is all that is learned of a document.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("rows.jsonl");
    std::fs::write(&path, "{\"p\": \"long prompt\"}").unwrap();
    let config =
        json!({ "kind": "jsonl", "path": path, "prompt": "{{ p }}", "template": "", "mask_prompt": true });
    let sources = [source("empty", config)].into();
    let entries = entries(json!([{ "domain": "d", "source": "empty", "weight": 1 }]));
    // The last piece is the closing `</s>` alone, which has no predecessor there.
    let mut mixture = Mixture::new(&entries, &sources, &tokenizer(), &plan(1, 32, 32, 4)).unwrap();
    let error = mixture.next_step().unwrap_err().to_string();
    assert_eq!(
        error,
        "sources.empty: has no document with anything to learn: each is a single token, or all prompt"
    );
}
