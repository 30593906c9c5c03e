//! The jobs of one call: starts them at the providers, hears from them, stops them.

use std::{
    collections::VecDeque,
    sync::Arc,
    task::{Context, Poll},
};

use sidetone_core::job::{
    FailureKind, Job, JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, SttEvent, TtsEvent,
    TurnEvent,
};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Tts, TurnDetector};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// How many updates may wait for a call; then its providers wait.
const UPDATES: usize = 64;

/// What the engine's calls share: the services, and how much may be done ahead.
#[derive(Clone)]
pub(crate) struct Services {
    pub(crate) stt: Arc<dyn Stt>,
    pub(crate) llm: Arc<dyn Llm>,
    pub(crate) tts: Arc<dyn Tts>,
    pub(crate) turn_detector: Option<Arc<dyn TurnDetector>>,
    /// A permit for each job that may be eager at the same time.
    pub(crate) eager: Arc<Semaphore>,
}

/// The running jobs of one call. Dropping it stops them all.
pub(crate) struct Jobs {
    services: Services,
    /// A handful at most.
    running: Vec<Running>,
    /// What is told of the jobs that nobody works on.
    refused: VecDeque<JobUpdate>,
    updates: mpsc::Receiver<JobUpdate>,
    sender: mpsc::Sender<JobUpdate>,
}

struct Running {
    id: JobId,
    _handle: JobHandle,
    /// Given back when the job is over.
    _permit: Option<OwnedSemaphorePermit>,
}

impl Jobs {
    pub(crate) fn new(services: Services) -> Self {
        let (sender, updates) = mpsc::channel(UPDATES);
        Self {
            services,
            running: Vec::new(),
            refused: VecDeque::new(),
            updates,
            sender,
        }
    }

    pub(crate) fn start(&mut self, job: Job) {
        let id = job.id();
        let permit = if job.is_eager() {
            let Ok(permit) = Arc::clone(&self.services.eager).try_acquire_owned() else {
                return self.refuse(
                    &job,
                    FailureKind::Overloaded,
                    "as many jobs are eager as `eager.max_jobs` allows",
                );
            };
            Some(permit)
        } else {
            None
        };
        let handle = match job {
            Job::Stt(job) => self.services.stt.start(job, self.sink(id)),
            Job::Llm(job) => self.services.llm.start(job, self.sink(id)),
            Job::Tts(job) => self.services.tts.start(job, self.sink(id)),
            Job::Turn(turn) => match &self.services.turn_detector {
                Some(detector) => detector.start(turn, self.sink(id)),
                None => {
                    return self.refuse(
                        &Job::Turn(turn),
                        FailureKind::Unavailable,
                        "the engine has no turn detector",
                    );
                }
            },
        };
        self.running.push(Running {
            id,
            _handle: handle,
            _permit: permit,
        });
    }

    fn refuse(&mut self, job: &Job, kind: FailureKind, detail: &str) {
        let failure = JobFailure::new(kind, detail);
        let event = match job {
            Job::Stt(_) => SttEvent::Failed(failure).into(),
            Job::Llm(_) => LlmEvent::Failed(failure).into(),
            Job::Tts(_) => TtsEvent::Failed(failure).into(),
            Job::Turn(_) => TurnEvent::Failed(failure).into(),
        };
        let id = job.id();
        self.refused.push_back(JobUpdate { id, event });
    }

    fn sink<E: Into<JobEvent>>(&self, id: JobId) -> Sink<E> {
        Sink::new(id, self.sender.clone())
    }

    pub(crate) fn cancel(&mut self, id: JobId) {
        self.running.retain(|running| running.id != id);
        self.refused.retain(|refused| refused.id != id);
    }

    /// The next news of any job. A job that ended is forgotten.
    pub(crate) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<JobUpdate> {
        if let Some(update) = self.refused.pop_front() {
            return Poll::Ready(update);
        }
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
        JobEvent::Llm(
            LlmEvent::Delta { .. } | LlmEvent::Expects { .. } | LlmEvent::Uninterruptible,
        )
        | JobEvent::Tts(TtsEvent::Audio { .. }) => false,
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use sidetone_codecs::SampleRate;
    use sidetone_core::job::{LlmJob, TurnJob};
    use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts, FakeTurnDetector};

    use super::*;

    /// One eager job may run.
    fn services(turn_detector: Option<Arc<dyn TurnDetector>>) -> Services {
        Services {
            stt: Arc::new(FakeStt::new()),
            llm: Arc::new(FakeLlm::new()),
            tts: Arc::new(FakeTts::new()),
            turn_detector,
            eager: Arc::new(Semaphore::new(1)),
        }
    }

    async fn judged(turn_detector: Option<Arc<dyn TurnDetector>>) -> JobUpdate {
        let mut jobs = Jobs::new(services(turn_detector));
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

    fn answer(id: u64, eager: bool) -> Job {
        Job::Llm(LlmJob {
            id: JobId(id),
            messages: Arc::from([]),
            language: "en".into(),
            eager,
        })
    }

    #[tokio::test]
    async fn eager_jobs_beyond_the_limit_are_refused_at_once() {
        let services = services(None);
        let mut call = Jobs::new(services.clone());
        let mut other = Jobs::new(services);
        call.start(answer(1, true));
        other.start(answer(1, true));
        other.start(answer(2, false));
        let update = poll_fn(|cx| other.poll_next(cx)).await;
        assert_eq!(update.id, JobId(1));
        match update.event {
            JobEvent::Llm(LlmEvent::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::Overloaded);
            }
            event => panic!("refused: {event:?}"),
        }
        let update = poll_fn(|cx| other.poll_next(cx)).await;
        assert_eq!(update.id, JobId(2), "what is not eager is not limited");
        call.cancel(JobId(1));
        other.start(answer(3, true));
        assert!(
            other.refused.is_empty(),
            "a job that is over gives its place back"
        );
    }
}
