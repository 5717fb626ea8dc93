//! Verification over threads: verdicts stream out as they are made, while more completions come in.
//!
//! A fault is retried once. A native verifier that hangs cannot be stopped: it is named, its thread is abandoned, another takes
//! its place, and the others go on. Verdicts do not depend on the number of workers or the order of completion.
//!
//! A job costs one push and one pop of a queue: the workers are threads that stay, and what watches for hangs looks at all of
//! them a few times in the time that counts as one, in place of a timer for each job.

use crate::verifier::verify_guarded;
use crate::{Completion, Outcome, Problem, Verdict, Verifier};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tokio::sync::mpsc;

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
    shared: Arc<Shared>,
}

/// One round of verification: submit jobs, receive verdicts.
pub struct Round<'a, K> {
    pool: &'a VerifierPool,
    sender: mpsc::UnboundedSender<(K, Verdict)>,
    receiver: mpsc::UnboundedReceiver<(K, Verdict)>,
    waiting: usize,
}

/// Threads that may be abandoned before the pool gives up.
const ABANDONED: usize = 512;

struct Shared {
    queue: Mutex<Queue>,
    /// Told when a task comes in or the pool is dropped.
    ready: Condvar,
    slots: Mutex<Vec<Arc<Slot>>>,
    hang: Duration,
    counts: Mutex<BTreeMap<String, FaultCount>>,
    abandoned: AtomicUsize,
}

#[derive(Default)]
struct Queue {
    tasks: VecDeque<Task>,
    /// Workers that wait for a task.
    idle: usize,
    /// Whether no worker is left to take one.
    dead: bool,
    closed: bool,
}

struct Task {
    job: Job,
    deliver: Box<dyn FnOnce(Verdict) + Send>,
}

/// What a worker is doing: a task, and since when. Whoever takes the task out delivers its verdict: the worker, or the watch when
/// the worker hangs.
#[derive(Default)]
struct Slot(Mutex<Option<(Task, Instant)>>);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl VerifierPool {
    /// The time after which a verifier counts as hanging, unless set otherwise.
    pub const HANG: Duration = Duration::from_secs(60);

    /// A pool of `workers` threads; 0 for as many as there are cores. A verifier that takes longer than `hang` for one
    /// completion is abandoned, at the latest an eighth of that time later.
    ///
    /// # Errors
    /// When the system gives no threads.
    pub fn new(workers: usize, hang: Duration) -> std::io::Result<Self> {
        let cores = || std::thread::available_parallelism().map_or(1, usize::from);
        let workers = if workers == 0 { cores() } else { workers };
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(workers + ABANDONED)
            .thread_name("verifier")
            .enable_time()
            .build()?;
        let slots: Vec<Arc<Slot>> = (0..workers).map(|_| Arc::default()).collect();
        let shared = Arc::new(Shared {
            queue: Mutex::default(),
            ready: Condvar::new(),
            slots: Mutex::new(slots.clone()),
            hang,
            counts: Mutex::default(),
            abandoned: AtomicUsize::new(0),
        });
        for slot in slots {
            let shared = shared.clone();
            runtime.spawn_blocking(move || work(&shared, &slot));
        }
        runtime.spawn(watch(shared.clone(), runtime.handle().clone()));
        Ok(VerifierPool { runtime: Some(runtime), shared })
    }

    /// Starts a round whose verdicts come back with keys of type `K`.
    pub fn round<K: Send + 'static>(&self) -> Round<'_, K> {
        let (sender, receiver) = mpsc::unbounded_channel();
        Round { pool: self, sender, receiver, waiting: 0 }
    }

    /// Counts by verifier since the pool was made.
    pub fn counts(&self) -> BTreeMap<String, FaultCount> {
        lock(&self.shared.counts).clone()
    }

    /// Threads that were left to a verifier that hangs.
    pub fn abandoned(&self) -> usize {
        self.shared.abandoned.load(Ordering::Relaxed)
    }

    /// Goes on with counts of an earlier pool.
    pub fn restore_counts(&self, counts: BTreeMap<String, FaultCount>) {
        *lock(&self.shared.counts) = counts;
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
        lock(&self.shared.queue).closed = true;
        self.shared.ready.notify_all();
        // an abandoned thread must not keep the process waiting
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl<K: Send + 'static> Round<'_, K> {
    /// Hands a completion to the pool and returns at once.
    pub fn submit(&mut self, key: K, job: Job) {
        self.waiting += 1;
        let sender = self.sender.clone();
        // fails only when the round was dropped
        let deliver = Box::new(move |verdict| drop(sender.send((key, verdict))));
        self.pool.shared.push(Task { job, deliver });
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

impl Shared {
    fn push(&self, task: Task) {
        let mut queue = lock(&self.queue);
        if queue.dead {
            drop(queue);
            return self.finish(task, Verdict::fault(spent()));
        }
        queue.tasks.push_back(task);
        let wake = queue.idle > 0;
        drop(queue);
        if wake {
            self.ready.notify_one();
        }
    }

    /// The next task; waits for one, and is none when the pool is dropped.
    fn pop(&self) -> Option<Task> {
        let mut queue = lock(&self.queue);
        loop {
            if queue.closed {
                return None;
            }
            if let Some(task) = queue.tasks.pop_front() {
                return Some(task);
            }
            queue.idle += 1;
            queue = self.ready.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle -= 1;
        }
    }

    /// Counts and delivers.
    fn finish(&self, task: Task, verdict: Verdict) {
        let name = task.job.verifier.name();
        let faults = u64::from(verdict.outcome == Outcome::Fault);
        {
            let mut counts = lock(&self.counts);
            match counts.get_mut(name) {
                Some(count) => {
                    *count = FaultCount { samples: count.samples + 1, faults: count.faults + faults }
                }
                None => drop(counts.insert(name.to_owned(), FaultCount { samples: 1, faults })),
            }
        }
        (task.deliver)(verdict);
    }
}

/// A worker: judges one task after the other until the pool is dropped, or until it has hung and was replaced.
fn work(shared: &Shared, slot: &Slot) {
    while let Some(task) = shared.pop() {
        let Job { verifier, problem, completion, .. } = &task.job;
        let (verifier, problem, completion) = (verifier.clone(), problem.clone(), completion.clone());
        *lock(&slot.0) = Some((task, Instant::now()));
        let mut verdict = verify_guarded(&*verifier, &problem, &completion);
        if verdict.outcome == Outcome::Fault {
            match &mut *lock(&slot.0) {
                Some((_, since)) => *since = Instant::now(),
                None => return,
            }
            verdict = verify_guarded(&*verifier, &problem, &completion);
        }
        let Some((task, _)) = lock(&slot.0).take() else { return };
        shared.finish(task, verdict);
    }
}

/// Looks for workers that hang: answers in their place, and puts new ones there. What hangs once is not given a second thread.
async fn watch(shared: Arc<Shared>, runtime: Handle) {
    let period = (shared.hang / 8).clamp(Duration::from_millis(2), Duration::from_secs(1));
    loop {
        tokio::time::sleep(period).await;
        if lock(&shared.queue).closed {
            return;
        }
        let slots = lock(&shared.slots).clone();
        for (index, slot) in slots.iter().enumerate() {
            let hung = lock(&slot.0).take_if(|(_, since)| since.elapsed() > shared.hang);
            let Some((task, _)) = hung else { continue };
            let verdict = hanging(&task.job, shared.hang);
            let abandoned = 1 + shared.abandoned.fetch_add(1, Ordering::Relaxed);
            shared.finish(task, verdict);
            if abandoned < ABANDONED {
                let fresh = Arc::<Slot>::default();
                lock(&shared.slots)[index] = fresh.clone();
                let shared = shared.clone();
                runtime.spawn_blocking(move || work(&shared, &fresh));
            } else if abandoned + 1 >= ABANDONED + slots.len() {
                let left = {
                    let mut queue = lock(&shared.queue);
                    queue.dead = true;
                    std::mem::take(&mut queue.tasks)
                };
                left.into_iter().for_each(|task| shared.finish(task, Verdict::fault(spent())));
            }
        }
    }
}

fn spent() -> String {
    format!("{ABANDONED} verifier threads hang: no more are started")
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
    use std::sync::atomic::AtomicU32;

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
