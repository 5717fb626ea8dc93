//! Threads that run guests. A guest needs more native stack than the threads of a verifier pool have; so each check is handed to a
//! thread of ours, which keeps its pair of instances warm.

use crate::sandbox::{Pair, Sandbox, Stack};
use parking_lot::Mutex;
use rlvr_verdict::Verdict;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

type Work = Box<dyn FnOnce(&mut Pair) -> Verdict + Send>;

struct Job {
    work: Work,
    answer: Sender<Verdict>,
}

/// Warm workers of one sandbox.
pub(crate) struct Workers {
    sandbox: Arc<Sandbox>,
    idle: Mutex<Vec<Sender<Job>>>,
    /// Workers that are kept when they have nothing to do.
    kept: usize,
}

impl Workers {
    pub fn new(sandbox: Arc<Sandbox>, kept: usize) -> Self {
        Workers { sandbox, idle: Mutex::default(), kept }
    }

    /// Does the work on a worker and waits. As many checks run at once as there are callers.
    pub fn run(&self, work: Work) -> Verdict {
        // the most recently used worker has the warmest caches
        let idle = self.idle.lock().pop();
        let worker = match idle.map_or_else(|| self.start(), Ok) {
            Ok(worker) => worker,
            Err(error) => return Verdict::fault(format!("a worker thread cannot be started: {error}")),
        };
        let (answer, verdict) = channel();
        if worker.send(Job { work, answer }).is_err() {
            return Verdict::fault("a worker thread was lost");
        }
        let Ok(verdict) = verdict.recv() else { return Verdict::fault("a worker thread panicked") };
        let mut idle = self.idle.lock();
        if idle.len() < self.kept {
            idle.push(worker);
        }
        verdict
    }

    fn start(&self) -> std::io::Result<Sender<Job>> {
        let (sender, jobs) = channel::<Job>();
        let sandbox = self.sandbox.clone();
        std::thread::Builder::new().name("python".into()).stack_size(crate::sandbox::THREAD_STACK).spawn(
            move || {
                let (mut pair, stack) = (Pair::new(sandbox), Stack::of_this_thread());
                while let Ok(Job { work, answer }) = jobs.recv() {
                    let verdict = work(&mut pair);
                    stack.release();
                    // the caller may have given up
                    let _ = answer.send(verdict);
                }
            },
        )?;
        Ok(sender)
    }
}
