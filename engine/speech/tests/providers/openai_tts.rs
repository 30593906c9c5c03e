//! Speech over HTTP, well and badly answered.

use sidetone_core::job::{FailureKind, JobId};
use sidetone_speech::{
    Timeouts,
    testing::{Misbehaviour, OpenAiStandIn, Route},
    tts::{OpenAiTts, OpenAiTtsConfig},
};

use crate::common::{long, saying, short, spoken, tts_job};

const ROUTE: Route = Route::Speech;

fn tts(service: &OpenAiStandIn, timeouts: Timeouts) -> OpenAiTts {
    let config = OpenAiTtsConfig {
        base_url: service.base_url().into(),
        timeouts,
        ..OpenAiTtsConfig::default()
    };
    OpenAiTts::new(config).unwrap()
}

#[tokio::test]
async fn every_sample_arrives_although_they_come_torn() {
    let service = OpenAiStandIn::start().await;
    let job = tts_job(JobId(1));
    let (samples, hz, end) = spoken(&tts(&service, long()), job.clone()).await;
    assert_eq!((hz, end), (Some(24_000), Ok(())));
    assert!(samples == OpenAiStandIn::sound_of(&job.text));
    let body = &service.requests()[0].body;
    let asked = ["model", "voice", "input", "response_format"].map(|key| body[key].as_str());
    let expected = ["gpt-4o-mini-tts", "alloy", &job.text, "pcm"].map(Some);
    assert_eq!(asked, expected);
}

#[tokio::test]
async fn a_failure_before_any_sound_is_tried_again_and_after_some_is_not() {
    let service = OpenAiStandIn::start().await;
    for how in [Misbehaviour::Status(502), Misbehaviour::NoAnswer] {
        service.misbehaves(ROUTE, how.clone());
        let (.., end) = spoken(&tts(&service, short()), tts_job(JobId(1))).await;
        assert_eq!(end, Ok(()), "{how:?}");
    }
    for (how, kind) in [
        (Misbehaviour::Stalls, FailureKind::TimedOut),
        (Misbehaviour::CutsOff, FailureKind::Unavailable),
    ] {
        let before = service.requests().len();
        service.misbehaves(ROUTE, how);
        let (samples, _, end) = spoken(&tts(&service, short()), tts_job(JobId(1))).await;
        assert!(!samples.is_empty());
        assert_eq!(end.unwrap_err().kind, kind);
        assert_eq!(service.requests().len(), before + 1);
    }
}

#[tokio::test]
async fn what_would_be_noise_is_not_played() {
    let service = OpenAiStandIn::start().await;
    for (media_type, body, problem) in [
        (
            "audio/mpeg",
            &b"\xff\xfb\x90"[..],
            "answered audio/mpeg instead of raw PCM",
        ),
        (
            "application/json",
            b"{}",
            "answered application/json instead of raw PCM",
        ),
        (
            "text/html",
            b"<html>",
            "answered text/html instead of raw PCM",
        ),
        (
            "audio/pcm",
            b"ID3\x04\0\0",
            "answered MP3 instead of raw PCM",
        ),
        ("audio/pcm", b"", "answered no audio"),
    ] {
        service.misbehaves(ROUTE, Misbehaviour::Raw(media_type, body.into()));
        let (samples, _, end) = spoken(&tts(&service, long()), tts_job(JobId(1))).await;
        let failure = end.unwrap_err();
        assert_eq!((samples.len(), failure.kind), (0, FailureKind::Malformed));
        assert!(failure.detail.ends_with(problem), "{failure:?}");
        assert!(!failure.detail.contains("parcel"), "{failure:?}");
    }
}

#[tokio::test]
async fn a_service_may_answer_wav() {
    let service = OpenAiStandIn::start().await;
    let rate = sidetone_codecs::SampleRate::HZ_16000;
    let file = sidetone_codecs::wav::mono_bytes(rate, &[1, 2, 3]).unwrap();
    service.misbehaves(ROUTE, Misbehaviour::Raw("audio/wav", file));
    let heard = spoken(&tts(&service, long()), tts_job(JobId(1))).await;
    assert_eq!(heard, (vec![1, 2, 3], Some(16_000), Ok(())));
}

#[tokio::test]
async fn a_service_that_does_not_stop_is_stopped() {
    let service = OpenAiStandIn::start().await;
    let three_minutes = vec![0; 3 * 60 * 24_000 * 2];
    service.misbehaves(ROUTE, Misbehaviour::Raw("audio/pcm", three_minutes));
    let (samples, _, end) = spoken(&tts(&service, long()), tts_job(JobId(1))).await;
    assert!(samples.len() <= 120 * 24_000);
    let failure = end.unwrap_err();
    assert!(
        failure.detail.ends_with("more than 120 s for one sentence"),
        "{failure:?}"
    );
}

#[tokio::test]
async fn nothing_to_say_is_no_failure() {
    let service = OpenAiStandIn::start().await;
    service.misbehaves(ROUTE, Misbehaviour::Raw("audio/pcm", Vec::new()));
    let heard = spoken(&tts(&service, long()), saying(JobId(1), "…")).await;
    assert_eq!(heard, (Vec::new(), None, Ok(())));
}
