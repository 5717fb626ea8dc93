//! `rlvr logprobs`: the log-probability of each token given those before it, for comparison with other engines.

use super::{load_model, open_model, say, tell_unknown, wrong};
use std::path::PathBuf;
use std::process::ExitCode;

/// Arguments of `logprobs`.
#[derive(clap::Args)]
pub struct Args {
    /// A Hugging Face model folder
    #[arg(long)]
    model: PathBuf,
    #[command(flatten)]
    input: Input,
}

/// What is scored: one of the two.
#[derive(clap::Args)]
#[group(required = true, multiple = false)]
struct Input {
    /// Text to score, with the tokenizer's special tokens in front
    #[arg(long)]
    text: Option<String>,
    /// Token ids to score, as they are
    #[arg(long, value_delimiter = ',')]
    ids: Option<Vec<u32>>,
}

/// Scores.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let (model, ids) = match (args.input.ids, args.input.text) {
        (Some(ids), _) => (load_model(&args.model)?, ids),
        (None, text) => {
            let (model, tokenizer) = open_model(&args.model)?;
            let text = text.unwrap_or_default();
            tell_unknown(&tokenizer, &text)?;
            (model, tokenizer.encode_with_special(&text).map_err(wrong)?)
        }
    };
    let logprobs = model.logprobs(&ids).map_err(wrong)?;
    say(serde_json::json!({ "ids": ids, "logprobs": logprobs }))?;
    Ok(ExitCode::SUCCESS)
}
