//! Jobs, and what comes of them.

use std::{sync::Arc, time::Duration};

use sidetone_codecs::SampleRate;
use sidetone_core::{
    conversation::{Message, Role},
    job::{
        JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, LlmJob, SttEvent, SttJob, SttPurpose,
        TtsEvent, TtsJob, TurnJob,
    },
};
use sidetone_speech::{JobHandle, Llm, Sink, Stt, Timeouts, Tts};
use tokio::sync::mpsc;

/// Long enough for anything on a busy machine: a hang becomes a failure.
pub(crate) const GUARD: Duration = Duration::from_secs(60);

/// Time-outs that pass quickly where a test waits for them, and never before an answer.
pub(crate) fn short() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(30),
        first_byte: Duration::from_millis(500),
        idle: Duration::from_millis(500),
    }
}

/// Time-outs that a test never meets.
pub(crate) fn long() -> Timeouts {
    Timeouts {
        connect: Duration::from_secs(30),
        first_byte: Duration::from_secs(30),
        idle: Duration::from_secs(30),
    }
}

pub(crate) fn stt_job(id: JobId) -> SttJob {
    let audio: Vec<i16> = (0..1_600).map(|n| (n * 7) as i16).collect();
    SttJob {
        id,
        purpose: SttPurpose::Final,
        audio: Arc::from(audio),
        rate: SampleRate::HZ_16000,
        language: Some("en".into()),
    }
}

pub(crate) fn turn_job(id: JobId) -> TurnJob {
    let SttJob { audio, rate, .. } = stt_job(id);
    TurnJob { id, audio, rate }
}

pub(crate) fn llm_job(id: JobId) -> LlmJob {
    asking(id, &["where is my order"])
}

pub(crate) fn asking(id: JobId, caller: &[&str]) -> LlmJob {
    let messages = caller.iter().map(|text| Message {
        role: Role::Caller,
        text: (*text).into(),
    });
    LlmJob {
        id,
        messages: Arc::from_iter(messages),
        language: "en".into(),
        eager: false,
    }
}

pub(crate) fn tts_job(id: JobId) -> TtsJob {
    saying(id, "Your parcel is on its way.")
}

pub(crate) fn saying(id: JobId, text: &str) -> TtsJob {
    TtsJob {
        id,
        text: text.into(),
        language: "en".into(),
        eager: false,
    }
}

/// Everything a job reports until it is over.
pub(crate) async fn events(
    start: impl FnOnce(mpsc::Sender<JobUpdate>) -> JobHandle,
) -> Vec<JobEvent> {
    let (updates, mut news) = mpsc::channel(4);
    let _job = start(updates);
    let all = async {
        let mut events = Vec::new();
        while let Some(update) = news.recv().await {
            events.push(update.event);
        }
        events
    };
    tokio::time::timeout(GUARD, all)
        .await
        .expect("the job ends")
}

pub(crate) async fn heard(stt: &dyn Stt, job: SttJob) -> Result<String, JobFailure> {
    let id = job.id;
    let mut events = events(|updates| stt.start(job, Sink::new(id, updates))).await;
    assert_eq!(events.len(), 1, "{events:?}");
    match events.remove(0) {
        JobEvent::Stt(SttEvent::Transcript(transcript)) => Ok(transcript.text),
        JobEvent::Stt(SttEvent::Failed(failure)) => Err(failure),
        other => panic!("{other:?}"),
    }
}

/// The text, and whether the call is to end, or the failure that cut it.
pub(crate) async fn answered(llm: &dyn Llm, job: LlmJob) -> (String, Result<bool, JobFailure>) {
    let id = job.id;
    let mut text = String::new();
    let mut end = None;
    for event in events(|updates| llm.start(job, Sink::new(id, updates))).await {
        assert!(end.is_none(), "after the end: {event:?}");
        match event {
            JobEvent::Llm(LlmEvent::Delta { text: delta }) => text.push_str(&delta),
            JobEvent::Llm(LlmEvent::Done { hang_up }) => end = Some(Ok(hang_up)),
            JobEvent::Llm(LlmEvent::Failed(failure)) => end = Some(Err(failure)),
            other => panic!("{other:?}"),
        }
    }
    (text, end.expect("an end"))
}

/// The samples with their rate, and the failure that cut them, if any.
pub(crate) async fn spoken(
    tts: &dyn Tts,
    job: TtsJob,
) -> (Vec<i16>, Option<u32>, Result<(), JobFailure>) {
    let id = job.id;
    let (mut all, mut hz, mut end) = (Vec::new(), None, None);
    for event in events(|updates| tts.start(job, Sink::new(id, updates))).await {
        assert!(end.is_none(), "after the end: {event:?}");
        match event {
            JobEvent::Tts(TtsEvent::Audio { samples, rate }) => {
                all.extend(samples);
                hz = Some(rate.hz());
            }
            JobEvent::Tts(TtsEvent::Done) => end = Some(Ok(())),
            JobEvent::Tts(TtsEvent::Failed(failure)) => end = Some(Err(failure)),
            other => panic!("{other:?}"),
        }
    }
    (all, hz, end.expect("an end"))
}
