//! Runs the suites again whenever one of their files changes.

use super::{Args, tell, tested};
use crate::commands::{Wrong, say};
use rlvr_verdict::Registry;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime};

/// The time between two looks at the files. They are few, and looking works on every file system.
const LOOK: Duration = Duration::from_millis(300);

/// Runs until Ctrl-C. What is wrong with the input is told, and may be mended.
pub fn execute(args: &Args, registry: &Registry) -> anyhow::Result<ExitCode> {
    let given: Vec<PathBuf> = args.tasks.iter().chain(&args.suites).cloned().collect();
    let mut files = given.clone();
    loop {
        let seen = modified(&files);
        match tested(args, registry) {
            Ok((suites, reports)) => {
                files =
                    given.iter().cloned().chain(suites.into_iter().flat_map(|suite| suite.files)).collect();
                tell(args, &reports)?;
            }
            Err(error) if error.is::<Wrong>() => eprintln!("error: {error}"),
            Err(error) => return Err(error),
        }
        // files that the suites name for the first time count as seen
        let mut seen_now = modified(&files);
        seen_now.extend(seen);
        if !args.json {
            say("waiting for a change ...\n")?;
        }
        while modified(&files) == seen_now {
            std::thread::sleep(LOOK);
        }
    }
}

fn modified(files: &[PathBuf]) -> BTreeMap<PathBuf, Option<SystemTime>> {
    let time = |path: &PathBuf| std::fs::metadata(path).and_then(|meta| meta.modified()).ok();
    files.iter().map(|path| (path.clone(), time(path))).collect()
}
