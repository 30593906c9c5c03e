//! The jobs of one call: starts them at the providers, hears from them, stops them.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use sidetone_core::job::{Job, JobEvent, JobId, JobUpdate, LlmEvent, SttEvent, TtsEvent};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Tts};
use tokio::sync::mpsc;

/// How many updates may wait for a call; then its providers wait.
const UPDATES: usize = 64;

/// What the engine's calls share: the services.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) stt: Arc<dyn Stt>,
    pub(crate) llm: Arc<dyn Llm>,
    pub(crate) tts: Arc<dyn Tts>,
}

/// The running jobs of one call. Dropping it stops them all.
pub(crate) struct Jobs {
    services: Services,
    /// A handful at most.
    running: Vec<(JobId, JobHandle)>,
    updates: mpsc::Receiver<JobUpdate>,
    sender: mpsc::Sender<JobUpdate>,
}

impl Jobs {
    pub(crate) fn new(services: Services) -> Self {
        let (sender, updates) = mpsc::channel(UPDATES);
        Self {
            services,
            running: Vec::new(),
            updates,
            sender,
        }
    }

    pub(crate) fn start(&mut self, job: Job) {
        let id = job.id();
        let handle = match job {
            Job::Stt(job) => self.services.stt.start(job, self.sink(id)),
            Job::Llm(job) => self.services.llm.start(job, self.sink(id)),
            Job::Tts(job) => self.services.tts.start(job, self.sink(id)),
            Job::Turn(_) => return,
        };
        self.running.push((id, handle));
    }

    fn sink<E: Into<JobEvent>>(&self, id: JobId) -> Sink<E> {
        Sink::new(id, self.sender.clone())
    }

    pub(crate) fn cancel(&mut self, id: JobId) {
        self.running.retain(|(running, _)| *running != id);
    }

    /// The next news of any job. A job that ended is forgotten.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<JobUpdate> {
        let Poll::Ready(Some(update)) = self.updates.poll_recv(cx) else {
            return Poll::Pending;
        };
        if ends_job(&update.event) {
            self.cancel(update.id);
        }
        Poll::Ready(update)
    }
}

fn ends_job(event: &JobEvent) -> bool {
    match event {
        JobEvent::Stt(SttEvent::Transcript(_) | SttEvent::Failed(_)) => true,
        JobEvent::Llm(LlmEvent::Done { .. } | LlmEvent::Failed(_)) => true,
        JobEvent::Tts(TtsEvent::Done | TtsEvent::Failed(_)) => true,
        JobEvent::Turn(_) => true,
        JobEvent::Llm(LlmEvent::Delta { .. } | LlmEvent::Expects { .. }) | JobEvent::Tts(TtsEvent::Audio { .. }) => false,
    }
}
