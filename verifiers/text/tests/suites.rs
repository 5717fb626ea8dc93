//! The suites of these verifiers, each a test.

rlvr_verdict::test_suites! {
    registry: rlvr_text::register;
    choice => "../../tests/suites/choice.toml";
    exact => "../../tests/suites/exact.toml";
    regex => "../../tests/suites/regex.toml";
    format => "../../tests/suites/format.toml";
    length => "../../tests/suites/length.toml";
}
