//! Trains a tokenizer and writes its folder, for a model made from nothing or to open in transformers.
//!
//! `cargo run --release -p rlvr-model --example train_tokenizer -- FOLDER characters`
//! `cargo run --release -p rlvr-model --example train_tokenizer -- FOLDER bpe VOCAB_SIZE TEXT...`
//! `cargo run --release -p rlvr-model --example train_tokenizer -- FOLDER bpe+digits VOCAB_SIZE TEXT...`
//!
//! A TEXT file's paragraphs are the documents; `bpe+digits` keeps each digit a token of its own.

use std::error::Error;
use std::path::Path;

use rlvr_model::tokenizer::Tokenizer;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let (folder, tokenizer) = match arguments.as_slice() {
        [folder, "characters"] => (folder, Tokenizer::characters()?),
        [folder, kind @ ("bpe" | "bpe+digits"), size, files @ ..] if !files.is_empty() => {
            let texts = files.iter().map(std::fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
            let documents = texts.iter().flat_map(|text| text.split("\n\n"));
            (folder, Tokenizer::train_bpe(documents, size.parse()?, *kind == "bpe+digits")?)
        }
        _ => {
            return Err("usage: train_tokenizer FOLDER (characters | bpe[+digits] VOCAB_SIZE TEXT...)".into());
        }
    };
    std::fs::create_dir_all(folder)?;
    tokenizer.save(Path::new(folder))?;
    println!("{folder}: {} tokens", tokenizer.vocab_size());
    Ok(())
}
