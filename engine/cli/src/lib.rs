//! `rlvr`: reinforcement learning from verifiable rewards, from the command line.
//!
//! The command line is a library, so that a binary of your own can have verifiers of its own: [`main_with`].
//!
//! Results go to stdout, messages and progress to stderr. Exit codes: 0; 1, a check or a run failed; 2, the user's input
//! is wrong, and the message says where and what would be right.

mod allocator;
mod commands;
mod progress;
mod report;

use clap::{ArgAction, Parser, Subcommand};
use rlvr_train::config::RunConfig;
use rlvr_verdict::Registry;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Reinforcement learning from verifiable rewards for language models.
#[derive(Parser)]
#[command(name = "rlvr", version, about, max_term_width = 100)]
struct Cli {
    /// Threads; 0 for what the config says, or as many as there are cores
    #[arg(long, global = true, default_value_t = 0, value_parser = commands::threads())]
    threads: usize,
    /// More messages; twice for all
    #[arg(short, long, global = true, action = ArgAction::Count)]
    verbose: u8,
    /// Errors only
    #[arg(short, long, global = true)]
    quiet: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the stages of a config, in order
    Run(commands::run::Args),
    /// Check a config and all its data, and say what it will need; nothing is trained
    Plan(commands::plan::Args),
    /// Evaluate a model: pass@1, pass@k, maj@k
    Eval(commands::eval::Args),
    /// Judge completions: one verdict a row, as JSON lines
    Verify(commands::verify::Args),
    /// Log-probability of each token given those before it
    Logprobs(commands::logprobs::Args),
    /// Sample completions of a prompt
    Generate(commands::generate::Args),
    /// Test a reward function: suites of cases, attacks, changes that must change nothing
    Test(commands::test::Args),
    /// Make one self-contained HTML page of a run
    Report(commands::report::Args),
    /// Run a benchmark; JSON on stdout
    Bench(commands::bench::Args),
}

impl Command {
    /// Threads that the command's config asks for; 0 where there is none. What is wrong with it the command will say.
    fn threads(&self) -> usize {
        let (config, sets) = match self {
            Command::Run(args) => (&args.config, &args.sets[..]),
            Command::Plan(args) => (&args.config, &args.sets[..]),
            Command::Eval(args) => match &args.config {
                Some(config) => (config, &args.sets[..]),
                None => return 0,
            },
            _ => return 0,
        };
        RunConfig::load_without_data(config, sets).map_or(0, |config| config.threads)
    }
}

/// The whole command line, with the verifiers that `add` adds to the built-in ones; they are known by name to configs, task rows,
/// suites and flags alike. One of a built-in's name takes its place.
///
/// ```no_run
/// # use rlvr_verdict::*;
/// # struct Mine;
/// # impl Verifier for Mine {
/// #     fn name(&self) -> &str { "mine" }
/// #     fn version(&self) -> &str { "1" }
/// #     fn check(&self, _: &Problem) -> Result<(), ProblemError> { Ok(()) }
/// #     fn verify(&self, _: &Problem, _: &Completion) -> Verdict { Verdict::pass("") }
/// # }
/// fn main() -> std::process::ExitCode {
///     rlvr::main_with(|registry| registry.add_verifier(Mine))
/// }
/// ```
pub fn main_with(add: impl FnOnce(&mut Registry)) -> ExitCode {
    allocator::set_up();
    let mut registry = rlvr_train::run::verifiers();
    add(&mut registry);
    let cli = Cli::parse();
    let level = match (cli.quiet, cli.verbose) {
        (true, _) => "error",
        (_, 0) => "warn",
        (_, 1) => "info",
        _ => "debug",
    };
    let threads = if cli.threads > 0 { cli.threads } else { cli.command.threads() };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    if let Err(error) = rayon::ThreadPoolBuilder::new().num_threads(threads).build_global() {
        eprintln!("error: the thread pool cannot be started: {error}");
        return ExitCode::FAILURE;
    }
    let quiet = cli.quiet;
    // inside the pool, so that parallel work starts without waking it from outside
    let result = rayon::scope(|_| match cli.command {
        Command::Run(args) => commands::run::execute(args, &registry, quiet),
        Command::Plan(args) => commands::plan::execute(args, &registry),
        Command::Eval(args) => commands::eval::execute(args, &registry, quiet),
        Command::Verify(args) => commands::verify::execute(args, &registry),
        Command::Logprobs(args) => commands::logprobs::execute(args),
        Command::Generate(args) => commands::generate::execute(args),
        Command::Test(args) => commands::test::execute(args, &registry),
        Command::Report(args) => commands::report::execute(args, &registry),
        Command::Bench(args) => commands::bench::execute(args, &registry),
    });
    commands::exit(result)
}
