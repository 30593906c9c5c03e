//! A fixed set of worker threads that answer jobs in the queue's order.
//!
//! The pool knows nothing of models: its [`Worker`]s do.

mod queue;

use std::{
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use sidetone_core::job::{FailureKind, JobEvent, JobFailure};
use tokio::{runtime::Handle, sync::watch};
use tokio_util::sync::CancellationToken;

use self::queue::Queue;
pub(crate) use self::queue::Urgency;
use crate::{
    caught,
    job::{JobHandle, Sink},
};

/// What one thread works with. It never leaves it.
pub(crate) trait Worker {
    /// What it is asked.
    type Job: Send + Sync + 'static;
    /// What it answers.
    type Event: Answer;

    /// Runs once through everything, so that the first job is as quick as the next.
    fn warm_up(&mut self) -> Result<(), WorkError>;

    /// Answers `job`; gives up with [`WorkError::Stopped`] soon after `stop` says so.
    fn work(&mut self, job: &Self::Job, stop: &Stop<'_>) -> Result<Self::Event, WorkError>;
}

/// The event that ends a job, for better or worse.
pub(crate) trait Answer: Into<JobEvent> + From<JobFailure> + Send + 'static {}

impl<E: Into<JobEvent> + From<JobFailure> + Send + 'static> Answer for E {}

/// Tells whether anybody still waits for the work at hand.
pub(crate) type Stop<'a> = dyn Fn() -> bool + Sync + 'a;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum WorkError {
    /// Nobody waits for it.
    Stopped,
    /// The job asks for what cannot be had. The worker is as good as before.
    Refused(String),
    /// The worker failed and is not to be used again.
    Broken(String),
}

/// The workers and what waits for them. Dropping it stops the work at hand, answers what waits
/// with [`FailureKind::Unavailable`] and joins the threads.
#[derive(Debug)]
pub(crate) struct Pool<J, E: Answer> {
    service: &'static str,
    shared: Arc<Shared<J, E>>,
    workers: Vec<JoinHandle<()>>,
    readiness: watch::Receiver<Readiness>,
}

impl<J: Send + Sync + 'static, E: Answer> Pool<J, E> {
    /// Starts `workers` threads, each with a worker of its own that `build` makes there. `service`
    /// names them in failures and as threads.
    pub(crate) fn start<W: Worker<Job = J, Event = E> + 'static>(
        service: &'static str,
        workers: usize,
        queue: usize,
        build: impl Fn() -> Result<W, String> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (report, readiness) = watch::channel(Readiness::default());
        let build = Arc::new(build);
        let mut pool = Self {
            service,
            shared: Arc::new(Shared {
                waiting: Mutex::new(Waiting {
                    queue: Queue::new(queue),
                    closed: false,
                }),
                arrived: Condvar::new(),
                closing: AtomicBool::new(false),
            }),
            workers: Vec::with_capacity(workers),
            readiness,
        };
        for n in 0..workers {
            let (shared, build, report) = (pool.shared.clone(), build.clone(), report.clone());
            let worker = thread::Builder::new()
                .name(format!("{service}-{n}"))
                .spawn(move || work(service, &shared, &*build, &report))?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// Lets `job` wait for a worker. Never blocks; must be called within a tokio runtime.
    pub(crate) fn submit(&self, job: J, urgency: Urgency, sink: Sink<E>) -> JobHandle {
        let cancelled = CancellationToken::new();
        let task = Task {
            job,
            sink,
            cancelled: cancelled.clone(),
            runtime: Handle::current(),
        };
        let turned_away = self
            .shared
            .lock()
            .queue
            .push(urgency, task, Task::is_cancelled);
        match turned_away {
            None => self.shared.arrived.notify_one(),
            Some(task) => {
                // If it was an older, less urgent one that gave way, the new job waits in its place; the
                // workers are all busy then, and whichever is free next finds it.
                task.fail(
                    FailureKind::Overloaded,
                    format!(
                        "{}: every worker is busy and the queue is full",
                        self.service
                    ),
                );
            }
        }
        JobHandle::new(cancelled)
    }

    /// Waits until every worker has run warm.
    pub(crate) async fn ready(&self) -> Result<(), JobFailure> {
        let workers = self.workers.len();
        let mut readiness = self.readiness.clone();
        let seen = readiness
            .wait_for(|readiness| readiness.reported == workers)
            .await;
        let failure = match &seen {
            Ok(readiness) => readiness.failure.clone(),
            Err(_) => Some("the workers are gone".into()),
        };
        match failure {
            None => Ok(()),
            Some(detail) => Err(JobFailure::new(
                FailureKind::Unavailable,
                format!("{}: {detail}", self.service),
            )),
        }
    }
}

impl<J, E: Answer> Drop for Pool<J, E> {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Relaxed);
        let mut waiting = self.shared.lock();
        waiting.closed = true;
        let left_over: Vec<Task<J, E>> = std::iter::from_fn(|| waiting.queue.pop()).collect();
        drop(waiting);
        self.shared.arrived.notify_all();
        for task in left_over {
            task.fail(FailureKind::Unavailable, shut_down(self.service));
        }
        for worker in self.workers.drain(..) {
            // A thread catches its worker's panics; if one died all the same, its panic has been
            // printed, and there is nobody left to tell.
            let _ = worker.join();
        }
    }
}

fn shut_down(service: &str) -> String {
    format!("{service}: shut down while the job was under way")
}

/// How far the workers are with warming up.
#[derive(Debug, Default)]
struct Readiness {
    reported: usize,
    failure: Option<String>,
}

#[derive(Debug)]
struct Shared<J, E> {
    waiting: Mutex<Waiting<J, E>>,
    arrived: Condvar,
    closing: AtomicBool,
}

#[derive(Debug)]
struct Waiting<J, E> {
    queue: Queue<Task<J, E>>,
    closed: bool,
}

impl<J, E> Shared<J, E> {
    /// The queue stays whole whatever happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Waiting<J, E>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next job; waits for one. `None`: the pool is being dropped.
    fn next(&self) -> Option<Task<J, E>> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            match waiting.queue.pop() {
                Some(task) if task.is_cancelled() => {}
                Some(task) => return Some(task),
                None => {
                    waiting = self
                        .arrived
                        .wait(waiting)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }
}

/// A job and the way back to who asked.
#[derive(Debug)]
struct Task<J, E> {
    job: J,
    sink: Sink<E>,
    cancelled: CancellationToken,
    runtime: Handle,
}

impl<J, E> Task<J, E> {
    fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }
}

impl<J, E: Answer> Task<J, E> {
    fn fail(self, kind: FailureKind, detail: impl Into<String>) {
        self.answer(E::from(JobFailure::new(kind, detail)));
    }

    /// Sends the answer from a task of its own: a call that does not read its updates holds back
    /// neither a worker nor whoever filled the queue.
    fn answer(self, event: E) {
        let Self {
            sink, cancelled, ..
        } = self;
        self.runtime.spawn(async move {
            tokio::select! {
                biased;
                () = cancelled.cancelled() => {}
                // A closed sink: the call ended without cancelling.
                _ = sink.send(event) => {}
            }
        });
    }
}

fn work<W: Worker>(
    service: &str,
    shared: &Shared<W::Job, W::Event>,
    build: &impl Fn() -> Result<W, String>,
    report: &watch::Sender<Readiness>,
) {
    let mut worker = prepare(build);
    report.send_modify(|readiness| {
        readiness.reported += 1;
        if let Err(failure) = &worker {
            readiness.failure = Some(failure.clone());
        }
    });
    loop {
        if worker.is_err() {
            worker = prepare(build);
        }
        let Some(task) = shared.next() else {
            return;
        };
        let stop = || task.is_cancelled() || shared.closing.load(Ordering::Relaxed);
        let result = match &mut worker {
            Ok(ready) => caught(
                || ready.work(&task.job, &stop),
                |message| WorkError::Broken(panicked(message)),
            ),
            Err(failure) => Err(WorkError::Broken(failure.clone())),
        };
        match result {
            Ok(event) => task.answer(event),
            // Whoever cancelled wants no answer; otherwise the pool is being dropped.
            Err(WorkError::Stopped) => task.fail(FailureKind::Unavailable, shut_down(service)),
            Err(WorkError::Refused(detail)) => {
                task.fail(FailureKind::Refused, format!("{service}: {detail}"));
            }
            Err(WorkError::Broken(detail)) => {
                tracing::error!(service, detail, "a worker starts over");
                task.fail(FailureKind::Unavailable, format!("{service}: {detail}"));
                worker = Err(detail);
            }
        }
    }
}

impl WorkError {
    fn describe(self) -> String {
        match self {
            Self::Stopped => "stopped".into(),
            Self::Refused(detail) | Self::Broken(detail) => detail,
        }
    }
}

/// A worker that has run warm.
fn prepare<W: Worker>(build: &impl Fn() -> Result<W, String>) -> Result<W, String> {
    let mut worker = caught(build, panicked)?;
    caught(|| worker.warm_up().map_err(WorkError::describe), panicked)?;
    Ok(worker)
}

fn panicked(message: String) -> String {
    format!("it panicked: {message}")
}

#[cfg(test)]
mod tests {
    use std::sync::{atomic::AtomicUsize, mpsc as std_mpsc};

    use sidetone_codecs::SampleRate;
    use sidetone_core::job::{JobId, JobUpdate, SttEvent, SttJob, SttPurpose, Transcript};
    use tokio::sync::mpsc;

    use super::*;

    /// Does what the job's language says.
    struct Fake {
        world: Arc<World>,
    }

    #[derive(Default)]
    struct World {
        built: AtomicUsize,
        warmed: AtomicUsize,
        alive: AtomicUsize,
        failing_builds: AtomicUsize,
        seen: Mutex<Vec<u64>>,
        release: AtomicBool,
    }

    impl Fake {
        fn build(world: &Arc<World>) -> Result<Self, String> {
            let failing = &world.failing_builds;
            let fails =
                failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1));
            if fails.is_ok() {
                return Err("no room".into());
            }
            world.built.fetch_add(1, Ordering::SeqCst);
            world.alive.fetch_add(1, Ordering::SeqCst);
            Ok(Self {
                world: world.clone(),
            })
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            self.world.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }

    impl Worker for Fake {
        type Job = SttJob;
        type Event = SttEvent;

        fn warm_up(&mut self) -> Result<(), WorkError> {
            self.world.warmed.fetch_add(1, Ordering::SeqCst);
            Ok(())
        }

        fn work(&mut self, job: &SttJob, stop: &Stop<'_>) -> Result<SttEvent, WorkError> {
            self.world.seen.lock().unwrap().push(job.id.0);
            match job.language.as_deref() {
                Some("panics") => panic!("out of tune"),
                Some("breaks") => return Err(WorkError::Broken("cracked".into())),
                Some("refuses") => return Err(WorkError::Refused("not that".into())),
                Some("waits") => {
                    while !self.world.release.load(Ordering::SeqCst) {
                        if stop() {
                            return Err(WorkError::Stopped);
                        }
                        thread::yield_now();
                    }
                }
                _ => {}
            }
            Ok(SttEvent::Transcript(Transcript::default()))
        }
    }

    /// A pool of fakes and everything that came back.
    struct Bench {
        pool: Option<Pool<SttJob, SttEvent>>,
        world: Arc<World>,
        updates: mpsc::Receiver<JobUpdate>,
        to_updates: mpsc::Sender<JobUpdate>,
    }

    impl Bench {
        fn new(workers: usize, queue: usize) -> Self {
            Self::in_world(workers, queue, World::default())
        }

        fn in_world(workers: usize, queue: usize, world: World) -> Self {
            let world = Arc::new(world);
            let builder = world.clone();
            let (to_updates, updates) = mpsc::channel(64);
            Self {
                pool: Some(
                    Pool::start("fake", workers, queue, move || Fake::build(&builder)).unwrap(),
                ),
                world,
                updates,
                to_updates,
            }
        }

        fn submit(&self, id: u64, urgency: Urgency, manner: &str) -> JobHandle {
            self.submit_to(self.to_updates.clone(), id, urgency, manner)
        }

        fn submit_to(
            &self,
            updates: mpsc::Sender<JobUpdate>,
            id: u64,
            urgency: Urgency,
            manner: &str,
        ) -> JobHandle {
            let id = JobId(id);
            let job = SttJob {
                id,
                purpose: SttPurpose::Final,
                audio: Arc::new([]),
                rate: SampleRate::HZ_8000,
                language: Some(manner.into()),
            };
            self.pool
                .as_ref()
                .unwrap()
                .submit(job, urgency, Sink::new(id, updates))
        }

        fn urgent(&self, id: u64, manner: &str) -> JobHandle {
            self.submit(id, Urgency::Urgent, manner)
        }

        fn deferrable(&self, id: u64) -> JobHandle {
            self.submit(id, Urgency::Deferrable, "answers")
        }

        /// Keeps the only worker busy until `release`.
        fn occupy(&self, id: u64) -> JobHandle {
            let handle = self.urgent(id, "waits");
            self.until(|world| world.seen.lock().unwrap().contains(&id));
            handle
        }

        fn until(&self, condition: impl Fn(&World) -> bool) {
            while !condition(&self.world) {
                thread::yield_now();
            }
        }

        fn release(&self) {
            self.world.release.store(true, Ordering::SeqCst);
        }

        fn seen(&self) -> Vec<u64> {
            self.world.seen.lock().unwrap().clone()
        }

        /// The next answer: whose, and the failure if it is one.
        async fn answer(&mut self) -> (u64, Option<FailureKind>) {
            let update = self.updates.recv().await.unwrap();
            match update.event {
                JobEvent::Stt(SttEvent::Transcript(_)) => (update.id.0, None),
                JobEvent::Stt(SttEvent::Failed(failure)) => (update.id.0, Some(failure.kind)),
                other => panic!("{other:?}"),
            }
        }
    }

    #[tokio::test]
    async fn the_urgent_overtake() {
        let mut bench = Bench::new(1, 8);
        let _handles = [
            bench.occupy(1),
            bench.deferrable(2),
            bench.deferrable(3),
            bench.urgent(4, "answers"),
            bench.urgent(5, "answers"),
        ];
        bench.release();
        for _ in 0..5 {
            assert_eq!(bench.answer().await.1, None);
        }
        assert_eq!(bench.seen(), [1, 4, 5, 2, 3]);
    }

    #[tokio::test]
    async fn a_full_queue_answers_at_once_and_prefers_the_urgent() {
        let mut bench = Bench::new(1, 2);
        let _busy = bench.occupy(1);
        let _waiting = [bench.deferrable(2), bench.deferrable(3)];
        let overloaded = Some(FailureKind::Overloaded);
        let _refused = bench.deferrable(4);
        assert_eq!(bench.answer().await, (4, overloaded));
        let _kept = [bench.urgent(5, "answers"), bench.urgent(6, "answers")];
        assert_eq!(bench.answer().await, (2, overloaded));
        assert_eq!(bench.answer().await, (3, overloaded));
        let _refused = bench.urgent(7, "answers");
        assert_eq!(bench.answer().await, (7, overloaded));
        bench.release();
        assert_eq!(bench.answer().await, (1, None));
        assert_eq!(bench.answer().await, (5, None));
        assert_eq!(bench.answer().await, (6, None));
        assert_eq!(bench.seen(), [1, 5, 6]);
    }

    #[tokio::test]
    async fn a_job_cancelled_in_the_queue_never_runs_and_frees_its_place() {
        let mut bench = Bench::new(1, 1);
        let _busy = bench.occupy(1);
        drop(bench.urgent(2, "answers"));
        let _next = bench.urgent(3, "answers");
        bench.release();
        assert_eq!(bench.answer().await, (1, None));
        assert_eq!(bench.answer().await, (3, None));
        assert_eq!(bench.seen(), [1, 3]);
    }

    #[tokio::test]
    async fn a_job_cancelled_at_work_frees_its_worker_and_says_nothing() {
        let mut bench = Bench::new(1, 8);
        drop(bench.occupy(1));
        let _next = bench.urgent(2, "answers");
        assert_eq!(bench.answer().await, (2, None));
        assert_eq!(bench.world.built.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_worker_that_breaks_fails_its_job_and_the_next_has_a_fresh_one() {
        let mut bench = Bench::new(1, 8);
        let unavailable = Some(FailureKind::Unavailable);
        for (id, manner) in [(1, "panics"), (3, "breaks")] {
            let _handle = bench.urgent(id, manner);
            assert_eq!(bench.answer().await, (id, unavailable));
            let _handle = bench.urgent(id + 1, "answers");
            assert_eq!(bench.answer().await, (id + 1, None));
        }
        assert_eq!(bench.world.built.load(Ordering::SeqCst), 3);
        assert_eq!(bench.world.warmed.load(Ordering::SeqCst), 3);
        assert_eq!(bench.world.alive.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn a_refused_job_leaves_the_worker_alone() {
        let mut bench = Bench::new(1, 8);
        let _handle = bench.urgent(1, "refuses");
        assert_eq!(bench.answer().await, (1, Some(FailureKind::Refused)));
        let _handle = bench.urgent(2, "answers");
        assert_eq!(bench.answer().await, (2, None));
        assert_eq!(bench.world.built.load(Ordering::SeqCst), 1);
    }

    #[tokio::test]
    async fn dropping_the_pool_stops_answers_and_joins() {
        let mut bench = Bench::new(1, 8);
        let _handles = [
            bench.occupy(1),
            bench.urgent(2, "answers"),
            bench.deferrable(3),
        ];
        drop(bench.pool.take());
        assert_eq!(bench.world.alive.load(Ordering::SeqCst), 0);
        let mut answers = [
            bench.answer().await,
            bench.answer().await,
            bench.answer().await,
        ];
        answers.sort_by_key(|(id, _)| *id);
        let unavailable = Some(FailureKind::Unavailable);
        assert_eq!(answers, [1, 2, 3].map(|id| (id, unavailable)));
        assert_eq!(bench.seen(), [1]);
    }

    #[tokio::test]
    async fn readiness_tells_of_a_worker_that_cannot_be_made_and_jobs_try_again() {
        let world = World::default();
        world.failing_builds.store(2, Ordering::SeqCst);
        let mut bench = Bench::in_world(1, 8, world);
        let failure = bench.pool.as_ref().unwrap().ready().await.unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unavailable);
        assert!(failure.detail.contains("no room"), "{}", failure.detail);
        let _handle = bench.urgent(1, "answers");
        assert_eq!(bench.answer().await, (1, Some(FailureKind::Unavailable)));
        let _handle = bench.urgent(2, "answers");
        assert_eq!(bench.answer().await, (2, None));
    }

    #[tokio::test]
    async fn every_worker_is_ready_before_the_pool_is() {
        let bench = Bench::new(3, 8);
        bench.pool.as_ref().unwrap().ready().await.unwrap();
        assert_eq!(bench.world.alive.load(Ordering::SeqCst), 3);
    }

    #[tokio::test]
    async fn a_call_that_does_not_read_holds_up_nobody() {
        let mut bench = Bench::new(1, 8);
        let (deaf, _unread) = mpsc::channel(1);
        let _deaf: Vec<_> = (1..=4)
            .map(|id| bench.submit_to(deaf.clone(), id, Urgency::Urgent, "answers"))
            .collect();
        let _handle = bench.urgent(5, "answers");
        assert_eq!(bench.answer().await, (5, None));
        assert_eq!(bench.seen(), [1, 2, 3, 4, 5]);
    }

    #[test]
    fn jobs_come_from_any_thread() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut bench = runtime.block_on(async { Bench::new(2, 64) });
        let (done, joined) = std_mpsc::channel();
        thread::scope(|scope| {
            for id in 0..8 {
                let (bench, runtime, done) = (&bench, &runtime, done.clone());
                scope.spawn(move || {
                    let _context = runtime.enter();
                    done.send(bench.urgent(id, "answers")).unwrap();
                });
            }
        });
        let _handles: Vec<_> = joined.try_iter().collect();
        let mut answered: Vec<u64> = (0..8).map(|_| runtime.block_on(bench.answer()).0).collect();
        answered.sort_unstable();
        assert_eq!(answered, [0, 1, 2, 3, 4, 5, 6, 7]);
    }
}
