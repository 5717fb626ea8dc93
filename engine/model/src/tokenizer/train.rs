//! New tokenizers: one of characters, one of numbered words, and byte-level BPE trained on text.
//!
//! Both are written as the files of a Hugging Face folder and then loaded from them, so that a model trained from
//! nothing opens in transformers like any other. Training is deterministic: the same texts give the same bytes.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use tokenizers::models::TrainerWrapper;
use tokenizers::models::bpe::{BPE, BpeTrainer};
use tokenizers::pre_tokenizers::PreTokenizerWrapper;
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::pre_tokenizers::digits::Digits;
use tokenizers::pre_tokenizers::sequence::Sequence;
use tokenizers::processors::template::TemplateProcessing;
use tokenizers::{AddedToken, PostProcessorWrapper};

use super::{CONFIG, JSON, Tokenizer, TokenizerError, failed};
use crate::hf::pretty;

/// The characters of [`Tokenizer::characters`], in the order of their ids: newline and printable ASCII.
pub const ALPHABET: &str =
    "\n !\"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefghijklmnopqrstuvwxyz{|}~";

/// The smallest vocabulary of [`Tokenizer::train_bpe`]: 256 bytes and 3 special tokens.
pub const SMALLEST_BPE: usize = 259;

const PAD: &str = "<pad>";
const BOS: &str = "<s>";
const EOS: &str = "</s>";
const UNK: &str = "<unk>";

impl Tokenizer {
    /// One token for each character of [`ALPHABET`], after `<pad>` 0, `<s>` 1, `</s>` 2 and `<unk>` 3.
    ///
    /// A character outside the alphabet becomes `<unk>`: the ids can be counted by
    /// [`unk_id`](Tokenizer::unk_id), where a text must survive.
    /// [`encode_with_special`](Tokenizer::encode_with_special) puts `<s>` first.
    pub fn characters() -> Result<Self, TokenizerError> {
        let specials = [PAD, BOS, EOS, UNK];
        let letters = ALPHABET.chars().map(String::from);
        let vocabulary: Map<String, Value> = specials
            .iter()
            .map(|token| token.to_string())
            .chain(letters)
            .enumerate()
            .map(|(id, token)| (token, json!(id)))
            .collect();
        let document = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": special_tokens(),
            "normalizer": null,
            "pre_tokenizer": null,
            "post_processor": serde_json::to_value(begin_with_bos()?).map_err(|error| failed("writing", &error))?,
            "decoder": { "type": "Fuse" },
            // BPE without merges: every character by itself.
            "model": { "type": "BPE", "dropout": null, "unk_token": UNK, "continuing_subword_prefix": null,
                       "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
                       "ignore_merges": false, "vocab": vocabulary, "merges": [] },
        });
        finished(pretty(&document), Some(UNK))
    }

    /// One token for each of the words `w4`, `w5` and so on below `vocab_size`, after `<pad>` 0, `<s>` 1, `</s>` 2 and `<unk>` 3:
    /// text for models that were never trained on any, as benchmarks need.
    ///
    /// # Errors
    /// [`TokenizerError::TooSmall`] without a word, below 5.
    pub fn words(vocab_size: usize) -> Result<Self, TokenizerError> {
        if vocab_size < 5 {
            return Err(TokenizerError::TooSmall { asked: vocab_size, least: 5 });
        }
        let specials = [PAD, BOS, EOS, UNK].map(String::from).into_iter();
        let words = (4..vocab_size).map(|id| format!("w{id}"));
        let vocabulary: Map<String, Value> =
            specials.chain(words).enumerate().map(|(id, token)| (token, json!(id))).collect();
        let document = json!({
            "version": "1.0",
            "truncation": null,
            "padding": null,
            "added_tokens": special_tokens(),
            "normalizer": null,
            "pre_tokenizer": { "type": "WhitespaceSplit" },
            "post_processor": null,
            // without one, words are joined by spaces
            "decoder": null,
            "model": { "type": "WordLevel", "vocab": vocabulary, "unk_token": UNK },
        });
        finished(pretty(&document), Some(UNK))
    }

    /// Byte-level BPE of at most `vocab_size` tokens (fewer where the texts have no more to merge), after `<pad>` 0,
    /// `<s>` 1 and `</s>` 2. Every text can be written, byte by byte where nothing was merged.
    ///
    /// With `split_digits` each digit is a token of its own, so that numbers are spelled alike everywhere.
    /// [`encode_with_special`](Tokenizer::encode_with_special) puts `<s>` first.
    ///
    /// # Errors
    /// [`TokenizerError::TooSmall`] below [`SMALLEST_BPE`].
    pub fn train_bpe<'a>(
        texts: impl Iterator<Item = &'a str> + Send,
        vocab_size: usize,
        split_digits: bool,
    ) -> Result<Self, TokenizerError> {
        if vocab_size < SMALLEST_BPE {
            return Err(TokenizerError::TooSmall { asked: vocab_size, least: SMALLEST_BPE });
        }
        let bytes = ByteLevel::new(false, true, true);
        let mut steps: Vec<PreTokenizerWrapper> = vec![bytes.into()];
        if split_digits {
            steps.insert(0, Digits::new(true).into());
        }
        let mut trained = tokenizers::Tokenizer::new(BPE::default());
        trained.with_pre_tokenizer(Some(Sequence::new(steps)));
        trained.with_decoder(Some(bytes));
        let trainer = BpeTrainer::builder()
            .vocab_size(vocab_size)
            .min_frequency(2)
            .show_progress(false)
            .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
            .special_tokens([PAD, BOS, EOS].map(|token| AddedToken::from(token, true)).to_vec())
            .build();
        trained
            .train(&mut TrainerWrapper::from(trainer), texts)
            .map_err(|error| failed("training the tokenizer", &error))?;
        trained.with_post_processor(Some(begin_with_bos()?));
        let json = trained.to_string(true).map_err(|error| failed("writing the tokenizer", &error))?;
        finished(json, None)
    }
}

/// The entries of `<pad>`, `<s>`, `</s>` and `<unk>`, ids 0 to 3.
fn special_tokens() -> Vec<Value> {
    let entry = |(id, token): (usize, &str)| {
        json!({ "id": id, "content": token, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": true })
    };
    [PAD, BOS, EOS, UNK].into_iter().enumerate().map(entry).collect()
}

/// `<s>` before a text, as Llama has it: a document has a beginning, and an empty prompt has an id to go on from.
fn begin_with_bos() -> Result<PostProcessorWrapper, TokenizerError> {
    let template = TemplateProcessing::builder()
        .try_single(format!("{BOS} $A"))
        .and_then(|builder| builder.try_pair(format!("{BOS} $A {BOS}:1 $B:1")))
        .map_err(|error| failed("making the post-processor", &error))?
        .special_tokens(vec![(BOS, 1)])
        .build()
        .map_err(|error| failed("making the post-processor", &error))?;
    Ok(template.into())
}

/// Adds `tokenizer_config.json` and loads the result.
fn finished(tokenizer: String, unknown: Option<&str>) -> Result<Tokenizer, TokenizerError> {
    let mut config = json!({
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": EOS,
        "pad_token": PAD,
        "clean_up_tokenization_spaces": false,
    });
    if let Some(unknown) = unknown {
        config["unk_token"] = json!(unknown);
    }
    let files = BTreeMap::from([(JSON, tokenizer.into_bytes()), (CONFIG, pretty(&config).into_bytes())]);
    Tokenizer::from_files(files, Path::new(""))
}
