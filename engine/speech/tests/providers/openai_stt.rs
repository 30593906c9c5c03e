//! Recognition over HTTP, well and badly answered. What all three share over HTTP is tested here.

use std::io::Cursor;

use serde_json::json;
use sidetone_core::job::{FailureKind, JobFailure, JobId};
use sidetone_speech::{
    Stt as _, Timeouts,
    stt::{OpenAiStt, OpenAiSttConfig},
    testing::{Misbehaviour, OpenAiStandIn, Route},
};
use tokio::net::TcpListener;

use crate::common::{heard, long, short, stt_job};

const KEY: &str = "sk-very-secret";
const ROUTE: Route = Route::Transcriptions;

fn stt(service: &OpenAiStandIn, timeouts: Timeouts) -> OpenAiStt {
    at(service.base_url(), timeouts)
}

fn at(base_url: &str, timeouts: Timeouts) -> OpenAiStt {
    let config = OpenAiSttConfig {
        base_url: base_url.into(),
        api_key: Some(KEY.into()),
        prompt: Some("Sidetone".into()),
        timeouts,
        ..OpenAiSttConfig::default()
    };
    assert!(!format!("{config:?}").contains(KEY));
    OpenAiStt::new(config).unwrap()
}

async fn failure(service: &OpenAiStandIn, how: &[Misbehaviour], timeouts: Timeouts) -> JobFailure {
    for how in how {
        service.misbehaves(ROUTE, how.clone());
    }
    let failure = heard(&stt(service, timeouts), stt_job(JobId(1)))
        .await
        .unwrap_err();
    assert!(
        !failure.detail.contains(KEY) && !failure.detail.contains("Sidetone"),
        "{failure:?}"
    );
    let host = service.base_url().trim_start_matches("http://");
    let begins = format!("stt: POST {host}/audio/transcriptions: ");
    let problem = failure
        .detail
        .strip_prefix(&begins)
        .unwrap_or_else(|| panic!("{failure:?}"));
    JobFailure::new(failure.kind, problem)
}

#[tokio::test]
async fn it_sends_a_wav_file_and_its_settings() {
    let service = OpenAiStandIn::start().await;
    service.requires_key(KEY);
    service.hears(" Where is my order? ");
    let text = heard(&stt(&service, long()), stt_job(JobId(1))).await;
    assert_eq!(text.as_deref(), Ok("Where is my order?"));

    let [request] = &service.requests()[..] else {
        panic!("one request was due");
    };
    let settings = json!({
        "model": "whisper-1",
        "language": "en",
        "prompt": "Sidetone",
        "response_format": "json",
        "temperature": "0",
    });
    assert_eq!(request.body, settings);
    let audio = sidetone_codecs::wav::read(Cursor::new(&request.file)).unwrap();
    let job = stt_job(JobId(1));
    assert_eq!(
        (audio.rate, audio.into_mono()),
        (job.rate, job.audio.to_vec())
    );
}

#[tokio::test]
async fn a_warm_connection_is_used_again() {
    let service = OpenAiStandIn::start().await;
    let stt = stt(&service, long());
    stt.warm_up().await.unwrap();
    for id in 0..3 {
        heard(&stt, stt_job(JobId(id))).await.unwrap();
    }
    let requests = service.requests();
    assert_eq!(requests[0].route, Route::Models);
    let peers: Vec<_> = requests.iter().map(|request| request.peer).collect();
    assert_eq!(peers, [peers[0]; 4]);
}

#[tokio::test]
async fn any_answer_is_warm_and_none_is_not() {
    let service = OpenAiStandIn::start().await;
    service.requires_key("another");
    assert_eq!(stt(&service, long()).warm_up().await, Ok(()));
    let service = OpenAiStandIn::start().await;
    service.misbehaves(Route::Models, Misbehaviour::NoAnswer);
    let failure = stt(&service, short()).warm_up().await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::TimedOut);
    assert!(failure.detail.contains("GET 127.0.0.1:"), "{failure:?}");
}

#[tokio::test]
async fn one_failure_is_tried_again_and_two_are_not() {
    let service = OpenAiStandIn::start().await;
    service.hears("yes");
    let passing = [
        Misbehaviour::Status(500),
        Misbehaviour::Status(429),
        Misbehaviour::RetryAfter(0),
        Misbehaviour::NoAnswer,
        Misbehaviour::CutsOff,
        Misbehaviour::Stalls,
    ];
    for how in passing.clone() {
        service.misbehaves(ROUTE, how.clone());
        let text = heard(&stt(&service, short()), stt_job(JobId(1))).await;
        assert_eq!(text.as_deref(), Ok("yes"), "{how:?}");
    }
    let before = service.requests().len();
    for (how, kind, problem) in [
        (
            Misbehaviour::Status(500),
            FailureKind::Unavailable,
            "answered 500 Internal Server Error, type stand_in, code told_to",
        ),
        (
            Misbehaviour::RetryAfter(1),
            FailureKind::Overloaded,
            "answered 429 Too Many Requests, type stand_in, code told_to",
        ),
        (
            Misbehaviour::NoAnswer,
            FailureKind::TimedOut,
            "no answer within 500 ms",
        ),
        (
            Misbehaviour::Stalls,
            FailureKind::TimedOut,
            "the answer stopped for 500 ms",
        ),
    ] {
        let failure = failure(&service, &[how.clone(), how], short()).await;
        assert_eq!((failure.kind, failure.detail.as_str()), (kind, problem));
    }
    assert_eq!(service.requests().len(), before + 8);
    let cut = [Misbehaviour::CutsOff, Misbehaviour::CutsOff];
    let failure = failure(&service, &cut, short()).await;
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(
        failure.detail.starts_with("the answer broke off: "),
        "{failure:?}"
    );
}

#[tokio::test]
async fn what_is_hopeless_is_not_tried_again() {
    let service = OpenAiStandIn::start().await;
    service.requires_key("another");
    let failed = failure(&service, &[], long()).await;
    let problem = "answered 401 Unauthorized, type stand_in, code invalid_api_key";
    assert_eq!(failed, JobFailure::new(FailureKind::Refused, problem));

    let service = OpenAiStandIn::start().await;
    let failed = failure(&service, &[Misbehaviour::RetryAfter(30)], long()).await;
    assert_eq!(failed.kind, FailureKind::Overloaded);
    for (body, media_type) in [("<html>", "text/html"), ("{\"txt\":1}", "application/json")] {
        let garbage = Misbehaviour::Raw(media_type, body.into());
        let failed = failure(&service, &[garbage], long()).await;
        let problem = "the answer is not JSON with a `text`";
        assert_eq!(failed, JobFailure::new(FailureKind::Malformed, problem));
    }
    let endless = Misbehaviour::Raw("application/json", vec![b' '; 3 << 20]);
    let failed = failure(&service, &[endless], long()).await;
    assert_eq!(failed.kind, FailureKind::Malformed);
    assert_eq!(service.requests().len(), 4);
}

#[tokio::test]
async fn nobody_there() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0")
        .await
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let stt = at(&format!("http://127.0.0.1:{port}/v1"), long());
    let failure = heard(&stt, stt_job(JobId(1))).await.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unavailable);
    assert!(failure.detail.contains("refused"), "{failure:?}");
}

#[test]
fn an_https_client_starts_anywhere() {
    // With a CA store or without one.
    OpenAiStt::new(OpenAiSttConfig::default()).unwrap();
}
