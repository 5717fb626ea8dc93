//! Runs that are killed or interrupted and go on end as those that were left alone.

use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::tiny::{Came, assert_same, came, files, finished, folder, rlvr, wait_for};

/// Moments in every stage: a line of the metrics after which the run is stopped.
const MOMENTS: [(&str, &str, u64); 7] = [
    ("base", "mid_train", 1),
    ("base", "mid_train", 5),
    ("base+rl", "rl", 1),
    ("base+rl", "rl", 4),
    ("mid", "mid_train", 3),
    ("mid", "eval", 6),
    ("mid+rl", "rl", 4),
];

fn start(folder: &Path, resume: bool) -> Child {
    let args = ["run", "tiny.toml", "--out", "out", "--resume"];
    let args = &args[..if resume { 5 } else { 4 }];
    rlvr(folder, args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn finish(folder: &Path) -> Came {
    came(&finished(folder, "out", &["--resume"]))
}

/// The run's files but those that are named after the clock.
fn lasting(run: &Path) -> Vec<PathBuf> {
    files(run).into_iter().filter(|path| !path.starts_with("tensorboard")).collect()
}

#[test]
fn a_run_killed_at_any_moment_ends_as_one_that_was_left_alone() {
    let folder = folder();
    let whole = finished(folder.path(), "whole", &[]);
    let run = folder.path().join("out");
    for (i, moment) in MOMENTS.into_iter().enumerate() {
        let mut child = start(folder.path(), i > 0);
        wait_for(&mut child, &run, moment);
        child.kill().unwrap();
        assert_eq!(child.wait_with_output().unwrap().status.signal(), Some(9), "{moment:?}");
    }
    assert_same(&came(&whole), &finish(folder.path()));
    let (left, wanted) = (lasting(&run), lasting(&whole));
    let differ = |of: &[PathBuf], others: &[PathBuf]| -> Vec<PathBuf> {
        of.iter().filter(|path| !others.contains(path)).cloned().collect()
    };
    assert_eq!((differ(&left, &wanted), differ(&wanted, &left)), (vec![], vec![]));
}

#[test]
fn a_run_killed_after_ever_longer_times_ends_as_one_that_was_left_alone() {
    let folder = folder();
    let whole = came(&finished(folder.path(), "whole", &[]));
    let mut kills = 0;
    for times in 1.. {
        let mut child = start(folder.path(), folder.path().join("out/config.toml").exists());
        std::thread::sleep(Duration::from_millis(20 * times));
        child.kill().unwrap();
        let output = child.wait_with_output().unwrap();
        if output.status.code().is_some() {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            break;
        }
        kills += 1;
    }
    assert!(kills >= 2, "killed {kills} times only");
    assert_same(&whole, &finish(folder.path()));
}

#[test]
fn a_run_interrupted_in_each_stage_saves_and_goes_on_to_the_same_end() {
    let folder = folder();
    let whole = came(&finished(folder.path(), "whole", &[]));
    let run = folder.path().join("out");
    for (i, moment) in MOMENTS.into_iter().enumerate() {
        let mut child = start(folder.path(), i > 0);
        wait_for(&mut child, &run, moment);
        assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(130), "{moment:?}: {stderr}");
        assert!(stderr.ends_with("to go on: rlvr run tiny.toml --out out --resume\n"), "{stderr}");
    }
    assert_same(&whole, &finish(folder.path()));
}

#[test]
fn stages_run_one_by_one_end_as_the_whole_run() {
    let folder = folder();
    let whole = came(&finished(folder.path(), "whole", &[]));
    for (stage, _) in crate::tiny::STAGES {
        finished(folder.path(), "out", &["--stage", stage]);
    }
    assert_same(&whole, &came(&folder.path().join("out")));
}

#[test]
fn a_stage_killed_after_a_later_one_has_ended_goes_on_to_the_same_end() {
    let folder = folder();
    let whole = came(&finished(folder.path(), "whole", &[]));
    let run = finished(folder.path(), "out", &["--stage", "base"]);
    finished(folder.path(), "out", &["--stage", "mid"]);
    let args = ["run", "tiny.toml", "--out", "out", "--stage", "base+rl"];
    let mut child = rlvr(folder.path(), &args).stderr(Stdio::piped()).spawn().unwrap();
    wait_for(&mut child, &run, ("base+rl", "rl", 4));
    child.kill().unwrap();
    child.wait_with_output().unwrap();
    let mut end = finish(folder.path());
    // The lines stand in the order in which the stages were run.
    let stage_of = |line: &String| whole.metrics.iter().position(|other| other == line);
    end.metrics.sort_by_key(stage_of);
    end.summary["stages"]
        .as_array_mut()
        .unwrap()
        .sort_by_key(|stage| crate::tiny::STAGES.iter().position(|(name, _)| stage["name"] == *name));
    assert_same(&whole, &end);
}
