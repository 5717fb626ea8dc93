//! The command line `rlvr` with one more verifier: `custom-rlvr test`, `run`, `verify` and the others know `countdown`.

use countdown_verifier::Countdown;
use std::process::ExitCode;

fn main() -> ExitCode {
    rlvr::main_with(|registry| registry.add_verifier(Countdown))
}
