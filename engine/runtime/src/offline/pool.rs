//! The threads that decode, for all recordings that are under way.

use std::{
    collections::VecDeque,
    io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
};

use sidetone_speech::stt::whisper::batch::{
    DecodedWindow, Piece, WindowDecoder, WindowError, WindowTask,
};

/// What decodes. Never leaves its thread.
pub(super) trait Recogniser {
    /// The language of the first speech in `samples`.
    fn detect(&mut self, samples: &[f32]) -> Result<String, WindowError>;

    /// The words of a window.
    fn decode(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
        task: &WindowTask,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<DecodedWindow, WindowError>;
}

impl Recogniser for WindowDecoder {
    fn detect(&mut self, samples: &[f32]) -> Result<String, WindowError> {
        Self::detect(self, samples).map(str::to_owned)
    }

    fn decode(
        &mut self,
        samples: &[f32],
        pieces: &[Piece],
        task: &WindowTask,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<DecodedWindow, WindowError> {
        Self::decode(self, samples, pieces, task, stop)
    }
}

/// Makes a recogniser, in the thread that is to use it.
pub(super) type Build = dyn Fn() -> Result<Box<dyn Recogniser>, WindowError> + Send + Sync;

/// Work for a thread. It answers for itself; the thread only brings the recogniser.
pub(super) trait Task: Send {
    /// Whether it is to be begun at all. Where not, it has been told.
    fn begin(&mut self) -> bool;

    /// Does it.
    fn run(&mut self, recogniser: &mut dyn Recogniser) -> Result<(), WindowError>;

    /// Says why it was not done. Not called after [`WindowError::Stopped`].
    fn fail(self: Box<Self>, reason: WindowError);
}

/// The threads. Dropping it waits for them, which takes until the decodes under way are stopped or
/// done.
pub(super) struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Pool {
    pub(super) fn start(threads: usize, build: Arc<Build>) -> io::Result<Self> {
        let mut pool = Self {
            queue: Arc::default(),
            threads: Vec::with_capacity(threads),
        };
        for n in 0..threads {
            let (queue, build) = (pool.queue.clone(), build.clone());
            let thread = thread::Builder::new()
                .name(format!("transcribe-{n}"))
                .spawn(move || work(&queue, &*build))?;
            pool.threads.push(thread);
        }
        Ok(pool)
    }

    pub(super) fn queue(&self) -> Arc<Queue> {
        self.queue.clone()
    }

    pub(super) fn threads(&self) -> usize {
        self.threads.len()
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let mut waiting = self.queue.lock();
        waiting.closed = true;
        waiting.tasks.clear();
        drop(waiting);
        self.queue.arrived.notify_all();
        for thread in self.threads.drain(..) {
            // It catches its tasks' panics; if it died all the same, its panic has been printed.
            let _ = thread.join();
        }
    }
}

/// Tasks in the order in which they came. Those who fill it bound how many they have in it.
#[derive(Default)]
pub(super) struct Queue {
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

#[derive(Default)]
struct Waiting {
    tasks: VecDeque<Box<dyn Task>>,
    closed: bool,
}

impl Queue {
    pub(super) fn push(&self, task: Box<dyn Task>) {
        self.lock().tasks.push_back(task);
        self.arrived.notify_one();
    }

    /// The next task; waits for one. `None`: the pool is being dropped.
    fn next(&self) -> Option<Box<dyn Task>> {
        let mut waiting = self.lock();
        loop {
            if waiting.closed {
                return None;
            }
            if let Some(task) = waiting.tasks.pop_front() {
                return Some(task);
            }
            waiting = self
                .arrived
                .wait(waiting)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The queue stays whole whatever happens while it is locked.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn work(queue: &Queue, build: &Build) {
    let mut recogniser: Option<Box<dyn Recogniser>> = None;
    while let Some(mut task) = queue.next() {
        if !task.begin() {
            continue;
        }
        let result = caught(|| {
            let recogniser = match &mut recogniser {
                Some(recogniser) => recogniser,
                none => none.insert(build()?),
            };
            task.run(&mut **recogniser)
        });
        match result {
            Ok(()) | Err(WindowError::Stopped) => {}
            Err(reason) => {
                // It may be anything but whole.
                recogniser = None;
                tracing::error!(%reason, "a transcription's thread starts over");
                task.fail(reason);
            }
        }
    }
}

/// Runs `work`; a panic becomes an error. What it touched is dropped by the caller, not reused.
pub(super) fn caught<T>(work: impl FnOnce() -> Result<T, WindowError>) -> Result<T, WindowError> {
    let failed = |message| WindowError::Broken(format!("a panic: {message}"));
    sidetone_speech::caught(work, failed)
}
