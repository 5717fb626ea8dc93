//! Verification over threads: verdicts stream out as they are made, while more completions come in.
//!
//! A fault is retried once. A native verifier that hangs cannot be stopped: it is named, its thread is abandoned, and the
//! others go on. Verdicts do not depend on the number of workers or the order of completion.

use crate::verifier::verify_guarded;
use crate::{Completion, Outcome, Problem, Verdict, Verifier};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, mpsc};

/// A completion to judge.
pub struct Job {
    /// Who judges.
    pub verifier: Arc<dyn Verifier>,
    /// What was asked.
    pub problem: Arc<Problem>,
    /// What was answered.
    pub completion: Arc<Completion>,
    /// The sample's index in its group, for messages.
    pub sample: u32,
}

/// How often a verifier was asked and how often it failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FaultCount {
    /// Completions judged.
    pub samples: u64,
    /// Faults that stood after the retry.
    pub faults: u64,
}

/// Worker threads for verifiers.
pub struct VerifierPool {
    runtime: Option<Runtime>,
    workers: Arc<Semaphore>,
    hang: Duration,
    counts: Arc<Mutex<BTreeMap<String, FaultCount>>>,
}

/// One round of verification: submit jobs, receive verdicts.
pub struct Round<'a, K> {
    pool: &'a VerifierPool,
    sender: mpsc::UnboundedSender<(K, Verdict)>,
    receiver: mpsc::UnboundedReceiver<(K, Verdict)>,
    waiting: usize,
}

impl VerifierPool {
    /// The time after which a verifier counts as hanging, unless set otherwise.
    pub const HANG: Duration = Duration::from_secs(60);

    /// A pool of `workers` threads; 0 for as many as there are cores. A verifier that takes longer than `hang` for one
    /// completion is abandoned.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(workers: usize, hang: Duration) -> std::io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if workers == 0 { cores() } else { workers };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(workers + 512)
            .thread_name("verifier")
            .enable_time()
            .build()?;
        let workers = Arc::new(Semaphore::new(workers));
        Ok(VerifierPool { runtime: Some(runtime), workers, hang, counts: Arc::default() })
    }

    /// Starts a round whose verdicts come back with keys of type `K`.
    pub fn round<K: Send + 'static>(&self) -> Round<'_, K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        Round { pool: self, sender, receiver, waiting: 0 }
    }

    /// Counts by verifier since the pool was made.
    pub fn counts(&self) -> BTreeMap<String, FaultCount> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Goes on with counts of an earlier pool.
    pub fn restore_counts(&self, counts: BTreeMap<String, FaultCount>) {
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }

    /// The verifier with the largest share of faults above `share` of its samples, if any, with its counts. Of few samples, one
    /// may fail whatever the share.
    pub fn over(&self, share: f64) -> Option<(String, FaultCount)> {
        let rate = |c: &FaultCount| c.faults as f64 / c.samples.max(1) as f64;
        self.counts()
            .into_iter()
            .filter(|(_, count)| rate(count) > share && count.faults > 1)
            .max_by(|a, b| rate(&a.1).total_cmp(&rate(&b.1)))
    }
}

impl Drop for VerifierPool {
    fn drop(&mut self) {
        // an abandoned thread must not keep the process waiting
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<K: Send + 'static> Round<'_, K> {
    /// Hands a completion to the pool and returns at once.
    pub fn submit(&mut self, key: K, job: Job) {
        let Some(runtime) = &self.pool.runtime else { return };
        self.waiting += 1;
        let (sender, workers) = (self.sender.clone(), self.pool.workers.clone());
        let (counts, hang) = (self.pool.counts.clone(), self.pool.hang);
        runtime.spawn(async move {
            let job = Arc::new(job);
            let mut verdict = judge(&job, &workers, hang).await;
            // what hangs once is not given a second thread to hold
            if verdict.as_ref().is_some_and(|v| v.outcome == Outcome::Fault) {
                verdict = judge(&job, &workers, hang).await;
            }
            let verdict = verdict.unwrap_or_else(|| hanging(&job, hang));
            {
                let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
                let count = counts.entry(job.verifier.name().to_owned()).or_default();
                count.samples += 1;
                count.faults += u64::from(verdict.outcome == Outcome::Fault);
            }
            let _ = sender.send((key, verdict)); // fails only when the round was dropped
        });
    }

    /// The next verdict, in order of completion; none when all that was submitted has come back. Blocks.
    pub fn next_verdict(&mut self) -> Option<(K, Verdict)> {
        if self.waiting == 0 {
            return None;
        }
        self.waiting -= 1;
        self.receiver.blocking_recv()
    }

    /// A verdict that is ready now, if there is one.
    pub fn try_next(&mut self) -> Option<(K, Verdict)> {
        let got = self.receiver.try_recv().ok()?;
        self.waiting -= 1;
        Some(got)
    }

    /// Verdicts that have not come back yet.
    pub fn waiting(&self) -> usize {
        self.waiting
    }
}

/// One attempt; none when it hangs: the permit is then given back and the thread left to itself.
async fn judge(job: &Arc<Job>, workers: &Semaphore, hang: Duration) -> Option<Verdict> {
    let Ok(_permit) = workers.acquire().await else {
        return Some(Verdict::fault("the verifier pool was closed"));
    };
    let worker = job.clone();
    let work = tokio::task::spawn_blocking(move || {
        verify_guarded(&*worker.verifier, &worker.problem, &worker.completion)
    });
    match tokio::time::timeout(hang, work).await.ok()? {
        Ok(verdict) => Some(verdict),
        Err(error) => Some(Verdict::fault(format!("verifier `{}` was lost: {error}", job.verifier.name()))),
    }
}

fn hanging(job: &Job, hang: Duration) -> Verdict {
    Verdict::fault(format!(
        "verifier `{}` had not answered for problem `{}`, sample {}, within {} s; its thread was abandoned",
        job.verifier.name(),
        job.problem.id,
        job.sample,
        hang.as_secs_f64(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProblemError;
    use std::sync::atomic::{AtomicU32, Ordering};

    /// Does what the completion says.
    #[derive(Default)]
    struct Obedient {
        calls: AtomicU32,
    }

    impl Verifier for Obedient {
        fn name(&self) -> &str {
            "obedient"
        }
        fn version(&self) -> &str {
            "1"
        }
        fn check(&self, _: &Problem) -> Result<(), ProblemError> {
            Ok(())
        }
        fn verify(&self, _: &Problem, completion: &Completion) -> Verdict {
            let call = self.calls.fetch_add(1, Ordering::SeqCst);
            match completion.text.as_str() {
                "panic" => panic!("told to"),
                "panic once" if call == 0 => panic!("told to"),
                "hang" => loop {
                    std::thread::sleep(Duration::from_secs(1));
                },
                "nan" => Verdict::scored(Outcome::Pass, f32::NAN, ""),
                _ => Verdict::pass("fine"),
            }
        }
    }

    fn verdicts(pool: &VerifierPool, texts: &[&str]) -> Vec<Verdict> {
        let verifier: Arc<dyn Verifier> = Arc::new(Obedient::default());
        let problem = Arc::new(Problem { id: "p7".into(), ..Problem::default() });
        let mut round = pool.round();
        for (i, text) in texts.iter().enumerate() {
            let (verifier, problem) = (verifier.clone(), problem.clone());
            round.submit(
                i,
                Job { verifier, problem, completion: Arc::new(Completion::new(*text)), sample: i as u32 },
            );
        }
        let mut all: Vec<(usize, Verdict)> = std::iter::from_fn(|| round.next_verdict()).collect();
        all.sort_by_key(|(i, _)| *i);
        assert_eq!(all.len(), texts.len());
        all.into_iter().map(|(_, v)| v).collect()
    }

    #[test]
    fn every_job_comes_back_with_its_own_verdict() {
        let pool = VerifierPool::new(3, VerifierPool::HANG).unwrap();
        let texts: Vec<&str> = (0..200).map(|i| if i % 7 == 0 { "nan" } else { "ok" }).collect();
        for (i, verdict) in verdicts(&pool, &texts).into_iter().enumerate() {
            assert_eq!(verdict.score, if i % 7 == 0 { None } else { Some(1.0) });
        }
        assert_eq!(pool.counts()["obedient"], FaultCount { samples: 200, faults: 29 });
        assert_eq!(pool.over(0.01).unwrap().0, "obedient");
        assert_eq!(pool.over(0.2), None);
    }

    #[test]
    fn a_panic_is_a_fault_with_its_message_and_is_retried_once() {
        let pool = VerifierPool::new(1, VerifierPool::HANG).unwrap();
        let fault = &verdicts(&pool, &["panic"])[0];
        assert_eq!(fault.outcome, Outcome::Fault);
        assert!(fault.reason.contains("obedient") && fault.reason.contains("told to"), "{}", fault.reason);
        assert_eq!(verdicts(&pool, &["panic once"])[0].score, Some(1.0));
    }

    #[test]
    fn a_verifier_that_hangs_is_named_and_the_others_go_on() {
        let pool = VerifierPool::new(1, Duration::from_millis(50)).unwrap();
        let all = verdicts(&pool, &["ok", "hang", "ok", "ok"]);
        let outcomes: Vec<Outcome> = all.iter().map(|v| v.outcome).collect();
        assert_eq!(outcomes, [Outcome::Pass, Outcome::Fault, Outcome::Pass, Outcome::Pass]);
        let reason = &all[1].reason;
        assert!(
            reason.contains("`p7`") && reason.contains("sample 1") && reason.contains("obedient"),
            "{reason}"
        );
    }
}
