//! The jobs of one call: starts them at the providers, hears from them, stops them.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use sidetone_core::job::{
    FailureKind, Job, JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, SttEvent, TtsEvent,
    TurnEvent,
};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Tts, TurnDetector};
use tokio::sync::mpsc;

/// How many updates may wait for a call; then its providers wait.
const UPDATES: usize = 64;

/// What the engine's calls share: the services.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) stt: Arc<dyn Stt>,
    pub(crate) llm: Arc<dyn Llm>,
    pub(crate) tts: Arc<dyn Tts>,
    pub(crate) turn_detector: Option<Arc<dyn TurnDetector>>,
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
            Job::Turn(job) => match &self.services.turn_detector {
                Some(detector) => detector.start(job, self.sink(id)),
                None => no_turn_detector(self.sink(id)),
            },
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

/// The call asks for judgements, and there is nobody to give one.
fn no_turn_detector(sink: Sink<TurnEvent>) -> JobHandle {
    let failure = JobFailure::new(FailureKind::Unavailable, "the engine has no turn detector");
    JobHandle::spawn(async move {
        // A closed sink: the call has ended.
        let _ = sink.send(TurnEvent::Failed(failure)).await;
    })
}

fn ends_job(event: &JobEvent) -> bool {
    match event {
        JobEvent::Stt(SttEvent::Transcript(_) | SttEvent::Failed(_)) => true,
        JobEvent::Llm(LlmEvent::Done { .. } | LlmEvent::Failed(_)) => true,
        JobEvent::Tts(TtsEvent::Done | TtsEvent::Failed(_)) => true,
        JobEvent::Turn(_) => true,
        JobEvent::Llm(LlmEvent::Delta { .. } | LlmEvent::Expects { .. })
        | JobEvent::Tts(TtsEvent::Audio { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use sidetone_codecs::SampleRate;
    use sidetone_core::job::TurnJob;
    use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts, FakeTurnDetector};

    use super::*;

    async fn judged(turn_detector: Option<Arc<dyn TurnDetector>>) -> JobUpdate {
        let mut jobs = Jobs::new(Services {
            stt: Arc::new(FakeStt::new()),
            llm: Arc::new(FakeLlm::new()),
            tts: Arc::new(FakeTts::new()),
            turn_detector,
        });
        jobs.start(Job::Turn(TurnJob {
            id: JobId(7),
            audio: Arc::new([0; 160]),
            rate: SampleRate::HZ_8000,
        }));
        let update = poll_fn(|cx| jobs.poll_next(cx)).await;
        assert!(jobs.running.is_empty(), "the judgement ends the job");
        update
    }

    #[tokio::test]
    async fn a_turn_is_judged_by_the_detector() {
        let detector = FakeTurnDetector::new().judges(0.25);
        let event = TurnEvent::Complete { probability: 0.25 };
        let expected = JobUpdate {
            id: JobId(7),
            event: event.into(),
        };
        assert_eq!(judged(Some(Arc::new(detector))).await, expected);
    }

    #[tokio::test]
    async fn without_a_detector_a_judgement_fails_at_once() {
        match judged(None).await.event {
            JobEvent::Turn(TurnEvent::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::Unavailable);
            }
            other => panic!("a failure was due, not {other:?}"),
        }
    }
}
