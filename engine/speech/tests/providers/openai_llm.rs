//! Chat completions over HTTP, well and badly answered.

use sidetone_core::job::{FailureKind, JobEvent, JobId, LlmEvent};
use sidetone_speech::{
    Llm as _, Sink, Timeouts,
    llm::{OpenAiLlm, OpenAiLlmConfig},
    testing::{Misbehaviour, OpenAiStandIn, Route},
};
use tokio::sync::mpsc;

use crate::common::{GUARD, answered, asking, llm_job, long, short};

const ROUTE: Route = Route::Chat;

fn llm(service: &OpenAiStandIn, timeouts: Timeouts) -> OpenAiLlm {
    let config = OpenAiLlmConfig {
        base_url: service.base_url().into(),
        timeouts,
        ..OpenAiLlmConfig::default()
    };
    OpenAiLlm::new(config).unwrap()
}

fn events(body: &str) -> Misbehaviour {
    Misbehaviour::Raw("text/event-stream; charset=utf-8", body.into())
}

#[tokio::test]
async fn an_answer_streams_and_the_connection_is_used_again() {
    let service = OpenAiStandIn::start().await;
    service.says("It is on its way.");
    let llm = llm(&service, long());
    for id in 0..3 {
        let answer = answered(&llm, llm_job(JobId(id))).await;
        assert_eq!(answer, ("It is on its way.".into(), Ok(false)));
    }
    let requests = service.requests();
    let body = &requests[0].body;
    assert_eq!(body["stream"], true);
    assert_eq!(body["model"], "gpt-4o-mini");
    assert_eq!(body["messages"][0]["content"], "where is my order");
    assert_eq!(requests[0].authorization, None);
    assert_eq!(service.disconnects(), 0);
}

#[tokio::test]
async fn the_model_ends_the_call() {
    let service = OpenAiStandIn::start().await;
    service.says_and_hangs_up("Goodbye.");
    let answer = answered(&llm(&service, long()), llm_job(JobId(1))).await;
    assert_eq!(answer, ("Goodbye.".into(), Ok(true)));
}

#[tokio::test]
async fn a_service_that_refuses_tools_is_asked_without_from_then_on() {
    let service = OpenAiStandIn::start().await;
    service.refuses_tools();
    let llm = llm(&service, long());
    for id in 0..2 {
        let answer = answered(&llm, llm_job(JobId(id))).await;
        assert_eq!(answer, ("Okay.".into(), Ok(false)));
    }
    let with_tools: Vec<bool> = service
        .requests()
        .iter()
        .map(|request| request.body.get("tools").is_some())
        .collect();
    assert_eq!(with_tools, [true, false, false]);
}

#[tokio::test]
async fn a_service_may_want_the_newer_limit() {
    let service = OpenAiStandIn::start().await;
    let config = OpenAiLlmConfig {
        base_url: service.base_url().into(),
        max_tokens: Some(50),
        hang_up_tool: false,
        timeouts: long(),
        ..OpenAiLlmConfig::default()
    };
    let llm = OpenAiLlm::new(config).unwrap();
    // The stand-in's refusal repeats the request: here, what services say in their own words.
    service.misbehaves(ROUTE, Misbehaviour::Status(400));
    let caller = ["use max_completion_tokens instead"];
    let answer = answered(&llm, asking(JobId(1), &caller)).await;
    assert_eq!(answer, ("Okay.".into(), Ok(false)));
    assert_eq!(answered(&llm, llm_job(JobId(2))).await.1, Ok(false));
    let limits: Vec<bool> = service
        .requests()
        .iter()
        .map(|request| request.body["max_completion_tokens"] == 50)
        .collect();
    assert_eq!(limits, [false, true, true]);
}

#[tokio::test]
async fn servers_differ() {
    let service = OpenAiStandIn::start().await;
    let llm = llm(&service, long());
    let chunk = |text: &str| format!("{{\"choices\":[{{\"delta\":{{\"content\":\"{text}\"}}}}]}}");
    for (how, text) in [
        // It ignores `stream`.
        (
            Misbehaviour::Raw(
                "application/json",
                br#"{"choices":[{"message":{"content":"Whole."},"finish_reason":"stop"}]}"#.into(),
            ),
            "Whole.",
        ),
        // It neither says that it is done nor ends its last event.
        (
            events(&format!("data: {}\n\ndata:{}", chunk("No "), chunk("end."))),
            "No end.",
        ),
        // It calls the stream something else and ends lines as on Windows.
        (
            Misbehaviour::Raw(
                "text/plain",
                format!(
                    ": hi\r\n\r\ndata: {}\r\n\r\ndata: [DONE]\r\n\r\n",
                    chunk("Fine.")
                )
                .into(),
            ),
            "Fine.",
        ),
    ] {
        service.misbehaves(ROUTE, how.clone());
        let answer = answered(&llm, llm_job(JobId(1))).await;
        assert_eq!(answer, (text.into(), Ok(false)), "{how:?}");
    }
}

#[tokio::test]
async fn a_failure_after_some_words_is_one_and_tries_nothing_again() {
    let service = OpenAiStandIn::start().await;
    service.says("one two three four five six seven eight");
    for (how, kind, problem) in [
        (
            Misbehaviour::Stalls,
            FailureKind::TimedOut,
            "the answer stopped for 500 ms",
        ),
        (
            Misbehaviour::CutsOff,
            FailureKind::Unavailable,
            "the answer broke off: ",
        ),
    ] {
        let before = service.requests().len();
        service.misbehaves(ROUTE, how);
        let (text, end) = answered(&llm(&service, short()), llm_job(JobId(1))).await;
        assert!(text.starts_with("one two"), "{text:?}");
        let failure = end.unwrap_err();
        assert_eq!(failure.kind, kind);
        assert!(failure.detail.contains(problem), "{failure:?}");
        assert_eq!(service.requests().len(), before + 1);
    }
}

#[tokio::test]
async fn a_failure_before_any_word_is_tried_again() {
    let service = OpenAiStandIn::start().await;
    for how in [Misbehaviour::Status(503), Misbehaviour::NoAnswer] {
        service.misbehaves(ROUTE, how.clone());
        let answer = answered(&llm(&service, short()), llm_job(JobId(1))).await;
        assert_eq!(answer, ("Okay.".into(), Ok(false)), "{how:?}");
    }
}

#[tokio::test]
async fn bad_answers_are_told_apart_and_repeat_nothing() {
    let service = OpenAiStandIn::start().await;
    let llm = llm(&service, long());
    let error = r#"data: {"error":{"message":"my order is 4271","code":"overloaded"}}"#;
    let endless = format!("data: {}", "x".repeat(5 << 20));
    for (body, kind, problem) in [
        (
            error,
            FailureKind::Unavailable,
            "reported an error in its answer, code overloaded",
        ),
        (
            "data: {",
            FailureKind::Malformed,
            "an event of the answer is not JSON",
        ),
        (
            "data: \u{0}{}\n\n",
            FailureKind::Malformed,
            "an event of the answer is not JSON",
        ),
        (
            "<html>",
            FailureKind::Malformed,
            "the answer holds no words",
        ),
        ("", FailureKind::Malformed, "the answer holds no words"),
        (
            &endless,
            FailureKind::Malformed,
            "answered more than it can mean",
        ),
    ] {
        service.misbehaves(ROUTE, events(body));
        let (text, end) = answered(&llm, llm_job(JobId(1))).await;
        let failure = end.unwrap_err();
        assert_eq!((text.as_str(), failure.kind), ("", kind), "{failure:?}");
        assert!(failure.detail.ends_with(problem), "{failure:?}");
        assert!(!failure.detail.contains("4271"), "{failure:?}");
    }
    // Not UTF-8.
    let torn = Misbehaviour::Raw("text/event-stream", b"data: \xff\xfe\n\n".into());
    service.misbehaves(ROUTE, torn);
    assert_eq!(
        answered(&llm, llm_job(JobId(1))).await.1.unwrap_err().kind,
        FailureKind::Malformed
    );
    // A refusal repeats the request; the failure does not.
    service.misbehaves(ROUTE, Misbehaviour::Status(403));
    let failure = answered(&llm, llm_job(JobId(1))).await.1.unwrap_err();
    assert!(!failure.detail.contains("order"), "{failure:?}");
}

#[tokio::test]
async fn a_runaway_is_cut_off() {
    let service = OpenAiStandIn::start().await;
    service.says("word ".repeat(10_000));
    let (text, end) = answered(&llm(&service, long()), llm_job(JobId(1))).await;
    assert_eq!((text.len(), end), (8 << 10, Ok(false)));
    let guard = tokio::time::timeout(GUARD, service.disconnected(1));
    guard.await.expect("the connection closes");
}

#[tokio::test]
async fn a_cancelled_answer_closes_its_connection() {
    let service = OpenAiStandIn::start().await;
    service.says("word ".repeat(1_000));
    service.between_words(std::time::Duration::from_millis(5));
    let (updates, mut news) = mpsc::channel(1);
    let id = JobId(1);
    let job = llm(&service, long()).start(llm_job(id), Sink::new(id, updates));
    let first = news.recv().await.expect("a first word").event;
    assert_eq!(
        first,
        JobEvent::Llm(LlmEvent::Delta {
            text: "word ".into()
        })
    );
    assert_eq!(service.disconnects(), 0);
    drop(job);
    let guard = tokio::time::timeout(GUARD, service.disconnected(1));
    guard
        .await
        .expect("the service sees that the caller has interrupted");
}

#[test]
fn bad_settings_are_named() {
    let with = |temperature, max_tokens| {
        let config = OpenAiLlmConfig {
            temperature,
            max_tokens,
            ..OpenAiLlmConfig::default()
        };
        OpenAiLlm::new(config).unwrap_err().to_string()
    };
    assert_eq!(
        with(Some(2.5), None),
        "`llm.temperature` = \"2.5\": must be 0.0 to 2.0"
    );
    assert!(with(Some(f32::NAN), None).contains("must be 0.0 to 2.0"));
    assert_eq!(
        with(None, Some(0)),
        "`llm.max_tokens` = \"0\": must be at least 1"
    );
}
