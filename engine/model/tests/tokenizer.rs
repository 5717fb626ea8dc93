//! Tokenizers against what transformers makes of the same folders (`tests/oracles/tokenizer_parity.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use rlvr_model::chat::Message;
use rlvr_model::config::ModelConfig;
use rlvr_model::tokenizer::{ALPHABET, SMALLEST_BPE, Tokenizer, TokenizerError};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Expected {
    tokens: usize,
    special: BTreeMap<String, Option<u32>>,
    texts: Vec<Text>,
}

#[derive(Deserialize)]
struct Text {
    text: String,
    ids: Vec<u32>,
    with_special: Vec<u32>,
    decoded: String,
    decoded_with_special: String,
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/tokenizers").join(name)
}

fn corpus() -> String {
    std::fs::read_to_string(fixture("corpus.txt")).unwrap()
}

fn config(vocab_size: usize) -> ModelConfig {
    let fields = json!({ "vocab_size": vocab_size, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1,
                         "num_attention_heads": 1, "max_position_embeddings": 8 });
    ModelConfig::from_json(fields.as_object().unwrap()).unwrap()
}

#[test]
fn every_folder_encodes_and_decodes_as_in_transformers() {
    let expected = std::fs::read_to_string(fixture("expected.json")).unwrap();
    let expected: BTreeMap<String, Expected> = serde_json::from_str(&expected).unwrap();
    let names = ["bpe", "bpe_digits", "characters", "llama2_style", "llama3_style", "qwen_style"];
    assert_eq!(expected.keys().collect::<Vec<_>>(), names);
    for (name, expected) in expected {
        let tokenizer = Tokenizer::load(&fixture(&name)).unwrap();
        assert_eq!(tokenizer.vocab_size(), expected.tokens, "{name}");
        assert_eq!(tokenizer.bos_id(), expected.special["bos"], "{name}");
        assert_eq!(tokenizer.eos_id(), expected.special["eos"], "{name}");
        assert_eq!(tokenizer.pad_id(), expected.special["pad"], "{name}");
        assert_eq!(tokenizer.unk_id(), expected.special["unk"], "{name}");
        for text in expected.texts {
            assert_eq!(tokenizer.encode(&text.text).unwrap(), text.ids, "{name}: {:?}", text.text);
            assert_eq!(
                tokenizer.encode_with_special(&text.text).unwrap(),
                text.with_special,
                "{name}: {:?}",
                text.text
            );
            assert_eq!(tokenizer.decode(&text.with_special).unwrap(), text.decoded, "{name}");
            assert_eq!(
                tokenizer.decode_with_special(&text.with_special).unwrap(),
                text.decoded_with_special,
                "{name}"
            );
        }
    }
}

#[test]
fn training_again_gives_the_committed_files_byte_for_byte() {
    let corpus = corpus();
    let documents = || corpus.split("\n\n");
    for (name, trained) in [
        ("characters", Tokenizer::characters().unwrap()),
        ("bpe", Tokenizer::train_bpe(documents(), 400, false).unwrap()),
        ("bpe_digits", Tokenizer::train_bpe(documents(), 420, true).unwrap()),
    ] {
        let folder = tempfile::tempdir().unwrap();
        trained.save(folder.path()).unwrap();
        for file in ["tokenizer.json", "tokenizer_config.json"] {
            let (found, committed) = (folder.path().join(file), fixture(name).join(file));
            assert!(std::fs::read(found).unwrap() == std::fs::read(committed).unwrap(), "{name}/{file}");
        }
    }
}

#[test]
fn a_loaded_tokenizer_is_saved_byte_for_byte_with_its_template() {
    let folder = tempfile::tempdir().unwrap();
    let original = folder.path().join("original");
    std::fs::create_dir(&original).unwrap();
    // Another spelling than ours, with fields that we do not read.
    let json: serde_json::Value =
        serde_json::from_slice(&std::fs::read(fixture("bpe/tokenizer.json")).unwrap()).unwrap();
    std::fs::write(original.join("tokenizer.json"), json.to_string()).unwrap();
    std::fs::write(
        original.join("tokenizer_config.json"),
        r#"{"bos_token": {"content": "<s>", "lstrip": false}, "eos_token": "</s>", "model_max_length": 99,
            "chat_template": [{"name": "tool_use", "template": "T"}, {"name": "default", "template": "old"}]}"#,
    )
    .unwrap();
    let tokenizer = Tokenizer::load(&original).unwrap();
    assert_eq!((tokenizer.bos_id(), tokenizer.eos_id(), tokenizer.pad_id()), (Some(1), Some(2), None));
    let render = |tokenizer: &Tokenizer| {
        tokenizer.chat_template().unwrap().unwrap().render(&[Message::user("x")]).unwrap()
    };
    assert_eq!(render(&tokenizer), "old");

    std::fs::write(original.join("chat_template.jinja"), "{{ bos_token }}{{ messages[0].content }}").unwrap();
    let tokenizer = Tokenizer::load(&original.join("tokenizer.json")).unwrap();
    assert_eq!(render(&tokenizer), "<s>x");

    let copy = folder.path().join("copy");
    std::fs::create_dir(&copy).unwrap();
    tokenizer.save(&copy).unwrap();
    for file in ["tokenizer.json", "tokenizer_config.json", "chat_template.jinja"] {
        assert_eq!(
            std::fs::read(copy.join(file)).unwrap(),
            std::fs::read(original.join(file)).unwrap(),
            "{file}"
        );
    }
    assert_eq!(render(&Tokenizer::load(&copy).unwrap()), "<s>x");
}

#[test]
fn every_character_of_the_alphabet_is_one_token_and_comes_back() {
    let tokenizer = Tokenizer::characters().unwrap();
    let ids = tokenizer.encode(ALPHABET).unwrap();
    assert_eq!(ids, (4..100).collect::<Vec<u32>>());
    assert_eq!(tokenizer.decode(&ids).unwrap(), ALPHABET);
    assert_eq!(tokenizer.vocab_size(), 100);
    let printable = (' '..='~').chain(['\n']).all(|c| ALPHABET.contains(c));
    assert!(printable && ALPHABET.chars().count() == 96);
}

#[test]
fn words_are_numbered_by_their_ids_and_survive_the_way_to_text_and_back() {
    let tokenizer = Tokenizer::words(12).unwrap();
    assert_eq!(tokenizer.vocab_size(), 12);
    let ids = [4, 11, 7, 7];
    assert_eq!(tokenizer.decode(&ids).unwrap(), "w4 w11 w7 w7");
    assert_eq!(tokenizer.encode("w4 w11 w7 w7").unwrap(), ids);
    let error = Tokenizer::words(4).unwrap_err().to_string();
    assert!(error.contains('4') && error.contains("at least 5"), "{error}");
}

#[test]
fn what_the_alphabet_lacks_becomes_one_unknown_token_a_character() {
    let tokenizer = Tokenizer::characters().unwrap();
    let unknown = tokenizer.unk_id().unwrap();
    let ids = tokenizer.encode("a é\u{1F642}b").unwrap();
    assert_eq!(ids.iter().filter(|id| **id == unknown).count(), 2);
    assert_eq!(ids.len(), 5);
}

#[test]
fn digits_stay_apart_only_where_that_is_asked_for() {
    let corpus = "1234 1234 1234 1234 99 99 99 99 ".repeat(8);
    let joined = Tokenizer::train_bpe([corpus.as_str()].into_iter(), 300, false).unwrap();
    let apart = Tokenizer::train_bpe([corpus.as_str()].into_iter(), 300, true).unwrap();
    assert!(joined.encode("1234").unwrap().len() < 4);
    assert_eq!(apart.encode("x 1234").unwrap().len(), 6);
    let spelled = (0..apart.vocab_size() as u32).filter_map(|id| apart.token(id));
    assert!(spelled.filter(|token| token.chars().any(|c| c.is_ascii_digit())).all(|token| token.len() == 1));
}

#[test]
fn every_text_survives_bytes_that_were_never_trained_on() {
    let tokenizer = Tokenizer::train_bpe(["abc abc"].into_iter(), SMALLEST_BPE, false).unwrap();
    assert_eq!(tokenizer.vocab_size(), SMALLEST_BPE);
    let text: String = (0..0x3000).filter_map(char::from_u32).collect();
    assert_eq!(tokenizer.decode(&tokenizer.encode(&text).unwrap()).unwrap(), text);
}

#[test]
fn a_vocabulary_without_room_for_all_bytes_is_refused() {
    let error = Tokenizer::train_bpe(["a"].into_iter(), SMALLEST_BPE - 1, false).unwrap_err();
    assert!(error.to_string().contains("258") && error.to_string().contains("259"), "{error}");
}

#[test]
fn a_stream_gives_the_whole_text_and_never_part_of_a_character() {
    let bytes = Tokenizer::train_bpe(["abc"].into_iter(), SMALLEST_BPE, false).unwrap();
    for (tokenizer, text) in [
        (&bytes, "naïve 🙂🏽 日本 end"),
        (&Tokenizer::load(&fixture("bpe")).unwrap(), "The naïve café owner — 彼女は 3 🙂"),
        (&Tokenizer::load(&fixture("llama2_style")).unwrap(), "Two words — 日本 🙂 3 яблока"),
        (&Tokenizer::characters().unwrap(), "  plain\n\ntext  "),
    ] {
        let ids = tokenizer.encode_with_special(text).unwrap();
        let mut stream = tokenizer.stream();
        let mut given = String::new();
        for id in &ids {
            let piece = stream.push(*id).unwrap();
            assert!(!piece.contains('\u{FFFD}'), "{piece:?} after {given:?}");
            given += &piece;
        }
        // Nothing is held back once a character is whole.
        assert_eq!(given, text);
        assert_eq!(stream.finish().unwrap(), "");
    }
}

#[test]
fn a_stream_of_broken_bytes_goes_on_and_ends_with_what_was_left() {
    let tokenizer = Tokenizer::train_bpe(["abc"].into_iter(), SMALLEST_BPE, false).unwrap();
    let euro = tokenizer.encode("€").unwrap();
    let mut ids = vec![euro[1]; 7];
    ids.extend(tokenizer.encode("fine").unwrap());
    ids.push(euro[0]);
    let mut stream = tokenizer.stream();
    let mut given: String = ids.iter().map(|id| stream.push(*id).unwrap()).collect();
    assert!(given.ends_with("fine"), "{given:?}");
    given += &stream.finish().unwrap();
    assert!(given.ends_with("fine\u{FFFD}"), "{given:?}");
}

#[test]
fn a_tokenizer_larger_than_the_model_is_refused_and_a_smaller_one_is_not() {
    let tokenizer = Tokenizer::characters().unwrap();
    tokenizer.check_fits(&config(100)).unwrap();
    tokenizer.check_fits(&config(128)).unwrap();
    let error = tokenizer.check_fits(&config(99)).unwrap_err();
    assert!(
        matches!(error, TokenizerError::DoesNotFit { tokens: 100, id: 99, vocab_size: 99, .. }),
        "{error:?}"
    );
    assert!(error.to_string().contains("\"~\""), "{error}");
}

#[test]
fn files_that_are_missing_or_broken_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = || Tokenizer::load(folder.path()).unwrap_err().to_string();
    assert!(load().contains("tokenizer.json: cannot be read"));
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    assert!(load().contains("tokenizer.json: not a tokenizer"));
    std::fs::copy(fixture("bpe/tokenizer.json"), folder.path().join("tokenizer.json")).unwrap();
    std::fs::write(folder.path().join("tokenizer_config.json"), "[").unwrap();
    assert!(load().contains("tokenizer_config.json: not a JSON object"));
    std::fs::write(folder.path().join("tokenizer_config.json"), r#"{"eos_token": "<|end|>"}"#).unwrap();
    assert!(load().contains("tokenizer_config.json: `eos_token` is \"<|end|>\""));
}
