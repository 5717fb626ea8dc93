//! The binary `rlvr`: the command line with the built-in verifiers. One with more of them is as short; see
//! `examples/custom_cli`.

use std::process::ExitCode;

fn main() -> ExitCode {
    rlvr::main_with(|_| {})
}
