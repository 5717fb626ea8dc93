//! The suites as tests: `cargo test` shows the whole report of one that fails.

rlvr_verdict::test_suites! {
    registry: |registry| registry.add_verifier(countdown_verifier::Countdown);
    countdown => "tests/countdown.toml";
}
