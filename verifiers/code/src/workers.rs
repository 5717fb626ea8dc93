//! Threads that run guests. A guest needs more native stack than the threads of a verifier pool have; so each check is handed to a
//! thread of ours, which keeps its instances warm.

use crate::sandbox::{Stack, THREAD_STACK};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

type Work<T> = Box<dyn FnOnce(&mut T, &Stack) + Send>;

/// Warm workers, each with a `T` of its own.
pub(crate) struct Workers<T> {
    make: Arc<dyn Fn() -> T + Send + Sync>,
    idle: Mutex<Vec<Sender<Work<T>>>>,
    /// Workers that are kept when they have nothing to do.
    kept: usize,
}

impl<T: 'static> Workers<T> {
    /// Workers that `make` what they work with; `kept` of them stay when they have nothing to do, 0 for as many as there are cores.
    pub fn new(kept: usize, make: impl Fn() -> T + Send + Sync + 'static) -> Self {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let kept = if kept == 0 { cores() } else { kept };
        Workers { make: Arc::new(make), idle: Mutex::default(), kept }
    }

    /// Does the work on a worker and waits. As many checks run at once as there are callers.
    ///
    /// # Errors
    /// A sentence, when the thread cannot be started or panics.
    pub fn run<R: Send + 'static>(
        &self,
        work: impl FnOnce(&mut T) -> R + Send + 'static,
    ) -> Result<R, String> {
        // the most recently used worker has the warmest caches
        let idle = self.idle.lock().pop();
        let worker = idle
            .map_or_else(|| self.start(), Ok)
            .map_err(|error| format!("a worker thread cannot be started: {error}"))?;
        let (answer, result) = channel();
        let work: Work<T> = Box::new(move |own, stack| {
            let result = work(own);
            stack.release();
            // the caller may have given up
            drop(answer.send(result));
        });
        worker.send(work).map_err(|_| "a worker thread was lost")?;
        let result = result.recv().map_err(|_| "a worker thread panicked")?;
        let mut idle = self.idle.lock();
        if idle.len() < self.kept {
            idle.push(worker);
        }
        Ok(result)
    }

    fn start(&self) -> io::Result<Sender<Work<T>>> {
        let (sender, jobs) = channel::<Work<T>>();
        let make = self.make.clone();
        std::thread::Builder::new().name("python".into()).stack_size(THREAD_STACK).spawn(move || {
            let (mut own, stack) = (make(), Stack::of_this_thread());
            while let Ok(work) = jobs.recv() {
                work(&mut own, &stack);
            }
        })?;
        Ok(sender)
    }
}
