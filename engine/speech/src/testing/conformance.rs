//! What every implementation of a trait must do, as checks that panic where it does not.
//!
//! Each suite takes a provider that works; [`fails`] takes one that does not. They run in real
//! time and take as long as the provider does; a minute of nothing counts as never.

use std::{future::Future, time::Duration};

use futures_util::future::join_all;
use sidetone_core::job::{
    JobEvent, JobId, JobUpdate, LlmEvent, LlmJob, SttEvent, SttJob, TtsEvent, TtsJob, TurnEvent,
    TurnJob,
};
use tokio::sync::mpsc;

use crate::{
    job::{JobHandle, Sink},
    llm::Llm,
    stt::Stt,
    tts::Tts,
    turn_detector::TurnDetector,
};

/// A minute: far more than anything here takes, so that a hang becomes a failure.
const NEVER: Duration = Duration::from_secs(60);

/// Checks a recogniser that works. `job` makes a job with an id.
pub async fn stt(provider: &dyn Stt, job: impl Fn(JobId) -> SttJob) {
    let warm_up = || async { provider.warm_up().await.expect("it works") };
    let start = |id, updates| provider.start(job(id), Sink::new(id, updates));
    works(&start, warm_up).await;
}

/// Checks a language model that works. `job` makes a job with an id.
pub async fn llm(provider: &dyn Llm, job: impl Fn(JobId) -> LlmJob) {
    let warm_up = || async { provider.warm_up().await.expect("it works") };
    let start = |id, updates| provider.start(job(id), Sink::new(id, updates));
    works(&start, warm_up).await;
}

/// Checks a synthesiser that works. `job` makes a job with an id.
pub async fn tts(provider: &dyn Tts, job: impl Fn(JobId) -> TtsJob) {
    let warm_up = || async { provider.warm_up().await.expect("it works") };
    let start = |id, updates| provider.start(job(id), Sink::new(id, updates));
    works(&start, warm_up).await;
}

/// Checks a turn detector that works. `job` makes a job with an id.
pub async fn turn_detector(provider: &dyn TurnDetector, job: impl Fn(JobId) -> TurnJob) {
    let warm_up = || async { provider.warm_up().await.expect("it works") };
    let start = |id, updates| provider.start(job(id), Sink::new(id, updates));
    works(&start, warm_up).await;
}

/// Checks that a job that is bound to fail does so once, and ends. `start` starts it.
pub async fn fails(start: impl Fn(JobId, mpsc::Sender<JobUpdate>) -> JobHandle) {
    let events = run(&start, JobId(1)).await;
    let last = events.last().expect("a job ends with an event");
    let failure = match last {
        JobEvent::Stt(SttEvent::Failed(failure))
        | JobEvent::Llm(LlmEvent::Failed(failure))
        | JobEvent::Tts(TtsEvent::Failed(failure))
        | JobEvent::Turn(TurnEvent::Failed(failure)) => failure,
        other => panic!("a failure was due, not {other:?}"),
    };
    assert!(!failure.detail.is_empty(), "a failure says what went wrong");
    assert!(
        !failure.detail.contains('\n'),
        "a failure fits one line: {failure:?}"
    );
}

/// Checks that a job that would go on for ever stops once its handle is dropped. `start` starts
/// it; `started` waits until it runs.
pub async fn stops<F: Future<Output = ()>>(
    start: impl Fn(JobId, mpsc::Sender<JobUpdate>) -> JobHandle,
    started: impl Fn() -> F,
) {
    let (updates, mut news) = mpsc::channel(1);
    let job = start(JobId(1), updates);
    guarded("the job starts", started()).await;
    drop(job);
    let rest = async { while news.recv().await.is_some() {} };
    guarded("a job stops once its handle is dropped", rest).await;
}

type Start<'a> = dyn Fn(JobId, mpsc::Sender<JobUpdate>) -> JobHandle + 'a;

async fn works<F: Future<Output = ()>>(start: &Start<'_>, warm_up: impl Fn() -> F) {
    // Warming up does no harm: before, between, twice.
    guarded("it warms up", warm_up()).await;
    succeeds(&run(start, JobId(1)).await);
    guarded("it warms up again", warm_up()).await;

    // Jobs do not get in each other's way, and updates carry the right id.
    let runs = (2..10).map(|id| run(start, JobId(id)));
    for events in join_all(runs).await {
        succeeds(&events);
    }

    // A cancelled job stops, whenever that is, and the next is none the worse.
    for kept in 0..3 {
        let (updates, mut news) = mpsc::channel(1);
        let job = start(JobId(20 + kept), updates);
        for _ in 0..kept {
            guarded("an event comes", news.recv()).await;
        }
        drop(job);
        let rest = async { while news.recv().await.is_some() {} };
        guarded("a job stops once its handle is dropped", rest).await;
    }

    // A job to which nobody listens stops by itself.
    let (updates, news) = mpsc::channel(1);
    let alive = updates.downgrade();
    let job = start(JobId(30), updates);
    drop(news);
    let stopped = async {
        while alive.upgrade().is_some() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    guarded("a job stops once nobody listens", stopped).await;
    drop(job);
    succeeds(&run(start, JobId(31)).await);
}

/// Everything a job reports, read slowly from a narrow channel, until it is gone.
async fn run(start: &Start<'_>, id: JobId) -> Vec<JobEvent> {
    let (updates, mut news) = mpsc::channel(1);
    let _job = start(id, updates);
    let mut events = Vec::new();
    while let Some(update) = guarded("an event comes", news.recv()).await {
        assert_eq!(update.id, id, "an update carries its job's id");
        let over = events.last().is_some_and(ends);
        assert!(!over, "nothing comes after the end: {:?}", update.event);
        events.push(update.event);
        tokio::task::yield_now().await;
    }
    assert!(
        events.last().is_some_and(ends),
        "a job ends with an event that says so: {events:?}"
    );
    events
}

fn ends(event: &JobEvent) -> bool {
    match event {
        JobEvent::Stt(_) | JobEvent::Turn(_) => true,
        JobEvent::Llm(event) => !matches!(
            event,
            LlmEvent::Delta { .. } | LlmEvent::Expects { .. } | LlmEvent::Uninterruptible
        ),
        JobEvent::Tts(event) => !matches!(event, TtsEvent::Audio { .. }),
    }
}

fn succeeds(events: &[JobEvent]) {
    let mut rates = Vec::new();
    for event in events {
        match event {
            JobEvent::Stt(SttEvent::Failed(failure))
            | JobEvent::Llm(LlmEvent::Failed(failure))
            | JobEvent::Tts(TtsEvent::Failed(failure))
            | JobEvent::Turn(TurnEvent::Failed(failure)) => {
                panic!("no failure was due: {failure:?}")
            }
            JobEvent::Turn(TurnEvent::Complete { probability }) => {
                assert!((0.0..=1.0).contains(probability), "{probability}");
            }
            JobEvent::Llm(LlmEvent::Delta { text }) => {
                assert!(!text.is_empty(), "a delta has text");
            }
            JobEvent::Tts(TtsEvent::Audio { samples, rate }) => {
                assert!(!samples.is_empty(), "audio has samples");
                rates.push(*rate);
            }
            _ => {}
        }
    }
    rates.dedup();
    assert!(
        rates.len() <= 1,
        "the rate is constant within a job: {rates:?}"
    );
}

async fn guarded<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(NEVER, work).await;
    done.unwrap_or_else(|_| panic!("never happened: {what}"))
}
