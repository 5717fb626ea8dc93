//! `rlvr generate`: samples completions of a prompt; a single one streams as it is drawn.

use super::{say, wrong};
use rlvr_model::Model;
use rlvr_model::chat::Message;
use rlvr_model::tokenizer::Tokenizer;
use rlvr_rollouts::{Finish, Request, RngKey, Rollout, Sampler, SamplerConfig, SamplingParams, StopRule};
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Arguments of `generate`.
#[derive(clap::Args)]
pub struct Args {
    /// The prompt's text
    prompt: String,
    /// A Hugging Face model folder
    #[arg(long)]
    model: PathBuf,
    /// Put the prompt through the model's chat template
    #[arg(long)]
    chat: bool,
    /// Completions
    #[arg(long, default_value_t = 1)]
    samples: u32,
    /// Most tokens of a completion
    #[arg(long, default_value_t = 256)]
    max_tokens: usize,
    /// Logits are divided by it; 0 takes the likeliest token
    #[arg(long, default_value_t = 1.0)]
    temperature: f32,
    /// Only so many likeliest tokens; 0 for all
    #[arg(long, default_value_t = 0)]
    top_k: usize,
    /// Only the fewest tokens whose probabilities sum to this
    #[arg(long, default_value_t = 1.0)]
    top_p: f32,
    /// Only tokens of at least this share of the likeliest one's probability
    #[arg(long, default_value_t = 0.0)]
    min_p: f32,
    /// Strings that end a completion
    #[arg(long)]
    stop: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// One JSON object for each completion
    #[arg(long)]
    json: bool,
}

/// Prints what is new of the text after each token, and stops at stop strings.
struct Watch<'a> {
    tokenizer: &'a Tokenizer,
    strings: &'a [String],
    stream: bool,
    printed: Mutex<usize>,
}

impl StopRule for Watch<'_> {
    fn stops(&self, ids: &[u32]) -> bool {
        let Ok(text) = self.tokenizer.decode(ids) else { return false };
        if self.stream {
            let mut printed = self.printed.lock().unwrap_or_else(PoisonError::into_inner);
            // a character of several tokens is printed when it is whole
            if let Some(new) = text.get(*printed..).filter(|new| !new.ends_with('\u{fffd}')) {
                *printed = text.len();
                let mut out = io::stdout().lock();
                let _ = out.write_all(new.as_bytes()).and_then(|()| out.flush()); // a closed pipe ends the command below
            }
        }
        self.strings.iter().any(|stop| text.contains(stop.as_str()))
    }
}

/// Samples.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let model = Model::load(&args.model).map_err(wrong)?;
    let tokenizer = Tokenizer::load(&args.model).map_err(wrong)?;
    tokenizer.check_fits(&model.config).map_err(wrong)?;
    let ids = match args.chat {
        false => tokenizer.encode_with_special(&args.prompt).map_err(wrong)?,
        true => {
            let template = tokenizer.chat_template().map_err(wrong)?;
            let template =
                template.ok_or_else(|| wrong("--chat: the model's tokenizer has no chat template"))?;
            let message = Message { role: "user".into(), content: args.prompt.clone() };
            tokenizer.encode(&template.render_prompt(&[message]).map_err(wrong)?).map_err(wrong)?
        }
    };
    let longest = (ids.len() + args.max_tokens).min(model.config.max_position_embeddings);
    let sizes = SamplerConfig::for_sequences(args.samples.clamp(1, 128) as usize, longest);
    let mut sampler = Sampler::new(&model.config, sizes).map_err(wrong)?;
    let params = SamplingParams {
        temperature: args.temperature,
        top_k: args.top_k,
        top_p: args.top_p,
        min_p: args.min_p,
        max_tokens: args.max_tokens,
        stop_ids: model.generation.eos_token_id.clone(),
        ..SamplingParams::default()
    };
    let stream = args.samples == 1 && !args.json;
    let watch = Watch { tokenizer: &tokenizer, strings: &args.stop, stream, printed: Mutex::new(0) };
    let request = Request { prompt: 0, attempt: 0, ids: ids.into(), samples: args.samples };
    let key = RngKey { seed: args.seed, stage: 4001, step: 0 };
    let mut done: Vec<Rollout> = Vec::new();
    let stats = sampler.generate(&model, &[request], &params, key, &watch, &mut |rollout| {
        done.push(rollout);
        ControlFlow::Continue(())
    });
    let stats = stats.map_err(wrong)?;
    done.sort_by_key(|rollout| rollout.sample);
    for rollout in &done {
        let text = tokenizer.decode(&rollout.ids)?;
        if args.json {
            let mean = rollout.logprobs.iter().sum::<f32>() / rollout.logprobs.len().max(1) as f32;
            say(
                json!({ "sample": rollout.sample, "text": text, "ids": rollout.ids, "logprobs": rollout.logprobs,
                        "mean_logprob": mean, "finish": rollout.finish }),
            )?;
        } else if stream {
            say("")?;
        } else {
            say(format!("--- {}\n{text}", rollout.sample))?;
        }
    }
    if io::stderr().is_terminal() {
        let speed = stats.generated_tokens as f64 / stats.seconds;
        let cut = done.iter().filter(|r| r.finish == Finish::Length).count();
        eprintln!("{} tokens, {speed:.0} a second, {cut} of {} cut off", stats.generated_tokens, done.len());
    }
    Ok(ExitCode::SUCCESS)
}
