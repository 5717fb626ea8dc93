//! `rlvr logprobs`: the log-probability of each token given those before it, for comparison with other engines.

use super::{ModelFolder, say, wrong};
use std::process::ExitCode;

/// Arguments of `logprobs`.
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    model: ModelFolder,
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
        (Some(ids), _) => (args.model.load()?, ids),
        (None, text) => {
            let (model, tokenizer) = args.model.open()?;
            (model, tokenizer.encode_with_special(&text.unwrap_or_default()).map_err(wrong)?)
        }
    };
    let logprobs = model.logprobs(&ids).map_err(wrong)?;
    say(serde_json::json!({ "ids": ids, "logprobs": logprobs }))?;
    Ok(ExitCode::SUCCESS)
}
