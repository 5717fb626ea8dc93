//! A reward function in a Python file as a part of a run's reward.

use crate::tiny::{CONFIG, came, finished, folder, said};

const TABLE: &str = "kind = \"regex\"\npattern = \"[0-9]\"\nmode = \"search\"\n";

/// What the pattern of [`TABLE`] says.
const REWARD: &str = "import re\n\ndef digit_reward(completions, **kwargs):\n    return [float(bool(re.search('[0-9]', c.rpartition('</think>')[2]))) for c in completions]\n";

#[test]
fn a_run_learns_from_a_python_file_what_it_learns_from_a_verifier_that_says_the_same() {
    let folder = folder();
    let native = came(&finished(folder.path(), "native", &[]));
    assert!(CONFIG.contains(TABLE));
    let config = CONFIG.replace(TABLE, "python = \"rewards/digit.py\"\n");
    std::fs::write(folder.path().join("tiny.toml"), config).unwrap();
    std::fs::create_dir(folder.path().join("rewards")).unwrap();
    std::fs::write(folder.path().join("rewards/digit.py"), REWARD).unwrap();
    let run = finished(folder.path(), "out", &[]);
    assert!(came(&run).tensors == native.tensors, "the weights are the same to the bit");

    // the finished run explains its samples, and is not gone on with under another reward
    let (code, _, stderr) = said(folder.path(), &["report", "out"]);
    assert_eq!(code, Some(0), "{stderr}");
    let page = std::fs::read_to_string(run.join("report.html")).unwrap();
    assert!(page.contains("digit_reward"), "the report says which function it was");
    std::fs::write(folder.path().join("rewards/digit.py"), format!("{REWARD}# changed\n")).unwrap();
    let (code, _, stderr) = said(folder.path(), &["run", "tiny.toml", "--out", "out", "--resume"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("the file of the verifier `digit` has changed"), "{stderr}");
    std::fs::remove_file(folder.path().join("rewards/digit.py")).unwrap();
    let (code, _, stderr) = said(folder.path(), &["plan", "tiny.toml"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("`verifiers.digit`") && stderr.contains("digit.py"), "{stderr}");
}
