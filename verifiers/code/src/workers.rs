//! Threads that run guests. A guest needs more native stack than the threads of a verifier pool have; so each check is handed to a
//! thread of ours, which keeps its pair of instances warm.

use crate::sandbox::{Pair, Sandbox};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

/// What a worker does; it sends its result itself.
type Job = Box<dyn FnOnce(&mut Pair) + Send>;

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
    ///
    /// # Errors
    /// Why there is no result.
    pub fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Pair) -> T + Send + 'static,
    ) -> Result<T, String> {
        // the most recently used worker has the warmest caches
        let idle = self.idle.lock().pop();
        let worker = idle
            .map_or_else(|| self.start(), Ok)
            .map_err(|error| format!("a worker thread cannot be started: {error}"))?;
        let (sender, answer) = channel();
        let job = Box::new(move |pair: &mut Pair| {
            // the caller may have given up
            let _ = sender.send(work(pair));
        });
        worker.send(job).map_err(|_| "a worker thread was lost")?;
        let answer = answer.recv().map_err(|_| "a worker thread panicked")?;
        let mut idle = self.idle.lock();
        if idle.len() < self.kept {
            idle.push(worker);
        }
        Ok(answer)
    }

    fn start(&self) -> std::io::Result<Sender<Job>> {
        let (sender, jobs) = channel::<Job>();
        let sandbox = self.sandbox.clone();
        std::thread::Builder::new().name("python".into()).stack_size(crate::sandbox::THREAD_STACK).spawn(
            move || {
                let mut pair = Pair::new(sandbox);
                while let Ok(job) = jobs.recv() {
                    job(&mut pair);
                }
            },
        )?;
        Ok(sender)
    }
}
