//! `rlvr generate`: samples completions of a prompt; a single one streams as it is drawn.

use super::{ModelFolder, at_least_one, samples, say, seed, temperature, wrong};
use rlvr_model::chat::Message;
use rlvr_model::tokenizer::StreamDecoder;
use rlvr_rollouts::{Finish, Request, RngKey, Rollout, Sampler, SamplerConfig, SamplingParams, StopRule};
use rlvr_train::scoring::StopStrings;
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

/// Arguments of `generate`.
#[derive(clap::Args)]
pub struct Args {
    /// The prompt's text
    prompt: String,
    #[command(flatten)]
    model: ModelFolder,
    /// Put the prompt through the model's chat template
    #[arg(long)]
    chat: bool,
    /// Completions
    #[arg(long, default_value_t = 1, value_parser = samples)]
    samples: usize,
    /// Most tokens of a completion
    #[arg(long, default_value_t = 256, value_parser = at_least_one)]
    max_tokens: usize,
    /// Logits are divided by it; 0 takes the likeliest token
    #[arg(long, default_value_t = 1.0, value_parser = temperature)]
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
    #[arg(long, value_parser = clap::builder::NonEmptyStringValueParser::new())]
    stop: Vec<String>,
    /// Seed of the random numbers
    #[arg(long, default_value_t = 1, value_parser = seed())]
    seed: u64,
    /// One JSON object for each completion
    #[arg(long)]
    json: bool,
}

/// Stops at stop strings, and prints the text of a single completion as it grows.
struct Watch<'a> {
    stop: StopStrings<'a>,
    stream: Option<Mutex<StreamDecoder<'a>>>,
}

impl StopRule for Watch<'_> {
    fn stops(&self, ids: &[u32]) -> bool {
        if let (Some(stream), Some(id)) = (&self.stream, ids.last()) {
            let new = stream.lock().unwrap_or_else(PoisonError::into_inner).push(*id).unwrap_or_default();
            show(&new);
        }
        self.stop.stops(ids)
    }
}

/// Prints a piece of a completion at once.
fn show(text: &str) {
    let mut out = io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush()); // a closed pipe ends the command below
}

/// Samples.
pub fn execute(args: Args) -> anyhow::Result<ExitCode> {
    let (model, tokenizer) = args.model.open()?;
    if let Some(part) = tokenizer.unknown(&args.prompt)? {
        eprintln!("the tokenizer does not know {part:?}; the model reads <unk> in its place");
    }
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
    let sizes = SamplerConfig::for_sequences(args.samples.min(128), longest);
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
    let stream = (args.samples == 1 && !args.json).then(|| Mutex::new(tokenizer.stream()));
    let watch = Watch { stop: StopStrings::new(&tokenizer, &args.stop), stream };
    let request = Request { prompt: 0, attempt: 0, ids: ids.into(), samples: args.samples as u32 };
    let key = RngKey { seed: args.seed, stage: 4001, step: 0 };
    let mut done: Vec<Rollout> = Vec::new();
    let stats = sampler.generate(&model, &[request], &params, key, &watch, &mut |rollout| {
        done.push(rollout);
        ControlFlow::Continue(())
    });
    let stats = stats.map_err(wrong)?;
    done.sort_by_key(|rollout| rollout.sample);
    let cut = done.iter().filter(|r| r.finish == Finish::Length).count();
    if let Some(stream) = watch.stream {
        show(&stream.into_inner().unwrap_or_else(PoisonError::into_inner).finish()?);
        say("")?;
        done.clear();
    }
    for rollout in &done {
        let text = tokenizer.decode(&rollout.ids)?;
        if args.json {
            let mean = rollout.logprobs.iter().sum::<f32>() / rollout.logprobs.len().max(1) as f32;
            say(
                json!({ "sample": rollout.sample, "text": text, "ids": rollout.ids, "logprobs": rollout.logprobs,
                        "mean_logprob": mean, "finish": rollout.finish }),
            )?;
        } else {
            say(format!("--- {}\n{text}", rollout.sample))?;
        }
    }
    if io::stderr().is_terminal() {
        let speed = stats.generated_tokens as f64 / stats.seconds;
        let samples = args.samples;
        eprintln!("{} tokens, {speed:.0} a second, {cut} of {samples} cut off", stats.generated_tokens);
    }
    Ok(ExitCode::SUCCESS)
}
