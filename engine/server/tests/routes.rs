//! What comes in by HTTP: who is let in, who is not, and what is counted.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod support;

use sidetone::EventStream;
use sidetone_core::event::{CallEvent, Counters, EndReason};
use sidetone_server::{
    RunningServer, Server,
    twilio::{CallStatus, Report},
};
use support::{
    AUTH_TOKEN, INCOMING, PUBLIC_URL, Phone, STREAM, get, insecure, post, secure, start,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

async fn ended(events: &mut EventStream) -> (EndReason, Counters) {
    while let Some(record) = events.recv().await {
        if let CallEvent::CallEnded { reason, counters } = &record.unwrap().event {
            return (*reason, counters.clone());
        }
    }
    panic!("no call ended");
}

/// Waits until the metrics hold `line`.
async fn metrics_with(server: &RunningServer, line: &str) -> String {
    loop {
        let text = server.state().metrics();
        if text.lines().any(|l| l == line) {
            return text;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_signed_webhook_is_connected_to_the_public_address() {
    let server = start(&secure()).await;
    let answer = post(server.addr(), "/twilio/voice", &INCOMING, Some(AUTH_TOKEN)).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: text/xml"),
        "{}",
        answer.head
    );
    let token = answer.token();
    assert_eq!(token.len(), 32);
    assert!(
        answer.body.contains(
            "<Connect><Stream url=\"wss://voice.example.com/twilio/media\" \
             statusCallback=\"https://voice.example.com/twilio/status\">"
        ),
        "{}",
        answer.body
    );
    let again = post(server.addr(), "/twilio/voice", &INCOMING, Some(AUTH_TOKEN)).await;
    assert_ne!(token, again.token());
    server.stop().await;
}

#[tokio::test]
async fn a_webhook_that_twilio_did_not_sign_is_forbidden() {
    let server = start(&secure()).await;
    for path in ["/twilio/voice", "/twilio/status"] {
        for auth_token in [None, Some("another token")] {
            let answer = post(server.addr(), path, &INCOMING, auth_token).await;
            assert_eq!(answer.status, 403, "{answer:?}");
            assert!(!answer.body.contains("Stream"), "{answer:?}");
        }
    }
    metrics_with(&server, "sidetone_refused_total{why=\"signature\"} 4").await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_query_is_part_of_what_is_signed() {
    let server = start(&secure()).await;
    let path = "/twilio/voice?line=2";
    let answer = post(server.addr(), path, &INCOMING, Some(AUTH_TOKEN)).await;
    assert_eq!(answer.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_socket_that_twilio_did_not_sign_is_forbidden() {
    let server = start(&secure()).await;
    for auth_token in [None, Some("another token")] {
        let Err(answer) = Phone::connect(server.addr(), auth_token).await else {
            panic!("the socket opened");
        };
        assert_eq!(answer.status(), 403);
    }
    server.shutdown().await;
}

#[tokio::test]
async fn a_stream_needs_the_webhooks_token_and_only_once() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&secure(), engine).await.unwrap();
    let webhook = post(server.addr(), "/twilio/voice", &INCOMING, Some(AUTH_TOKEN)).await;

    let mut phone = Phone::connect(server.addr(), Some(AUTH_TOKEN))
        .await
        .unwrap();
    phone.start(Some(webhook.token())).await;
    phone.hang_up().await;
    assert_eq!(ended(&mut events).await.0, EndReason::CallerHungUp);
    phone.closed().await;

    for replayed in [Some(webhook.token()), Some("x"), None] {
        let mut phone = Phone::connect(server.addr(), Some(AUTH_TOKEN))
            .await
            .unwrap();
        phone.start(replayed).await;
        assert_eq!(
            ended(&mut events).await.0,
            EndReason::Refused,
            "{replayed:?}"
        );
        phone.closed().await;
    }
    let text = metrics_with(&server, "sidetone_calls_total{reason=\"refused\"} 3").await;
    assert!(
        text.contains("sidetone_refused_total{why=\"token\"} 3"),
        "{text}"
    );
    server.shutdown().await;
}

#[tokio::test]
async fn a_stream_of_a_foreign_account_is_refused() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let mut config = secure();
    config.twilio.account_sid = "AC99999999999999999999999999999999".into();
    let server = Server::start(&config, engine).await.unwrap();
    Phone::call(server.addr(), Some(AUTH_TOKEN))
        .await
        .closed()
        .await;
    assert_eq!(ended(&mut events).await.0, EndReason::Refused);
    server.stop().await;
}

#[tokio::test]
async fn without_an_auth_token_anybody_may_call_but_not_with_a_used_token() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&insecure(), engine).await.unwrap();
    let webhook = post(server.addr(), "/twilio/voice", &INCOMING, None).await;
    let stream = format!("url=\"ws://{}/twilio/media\"", server.addr());
    assert!(webhook.body.contains(&stream), "{}", webhook.body);
    for (token, reason) in [
        (None, EndReason::CallerHungUp),
        (Some(webhook.token()), EndReason::CallerHungUp),
        (Some(webhook.token()), EndReason::Refused),
    ] {
        let mut phone = Phone::connect(server.addr(), None).await.unwrap();
        phone.start(token).await;
        phone.hang_up().await;
        assert_eq!(ended(&mut events).await.0, reason, "{token:?}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn beyond_max_calls_the_caller_is_told_and_the_socket_refused() {
    let mut config = secure();
    config.server.max_calls = 1;
    config.agent.language = "es".into();
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&config, engine).await.unwrap();
    let mut phone = Phone::call(server.addr(), Some(AUTH_TOKEN)).await;

    let answer = post(server.addr(), "/twilio/voice", &INCOMING, Some(AUTH_TOKEN)).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.body.contains("<Say language=\"es-MX\">"),
        "{}",
        answer.body
    );
    assert!(answer.body.contains("<Hangup/>"), "{}", answer.body);
    let Err(refused) = Phone::connect(server.addr(), Some(AUTH_TOKEN)).await else {
        panic!("a second call");
    };
    assert_eq!(refused.status(), 503);
    assert_eq!(refused.headers()["retry-after"], "10");
    metrics_with(&server, "sidetone_refused_total{why=\"busy\"} 2").await;

    phone.hang_up().await;
    ended(&mut events).await;
    phone.closed().await;
    while server.state().active_calls() > 0 {
        tokio::task::yield_now().await;
    }
    let mut phone = Phone::call(server.addr(), Some(AUTH_TOKEN)).await;
    phone.hang_up().await;
    server.shutdown().await;
}

#[tokio::test]
async fn readiness_follows_the_servers_life() {
    let server = start(&secure()).await;
    assert_eq!(get(server.addr(), "/healthz").await.status, 200);
    while get(server.addr(), "/healthz?ready").await.status != 200 {
        tokio::task::yield_now().await;
    }
    // A call that goes on keeps the draining server alive.
    let mut phone = Phone::call(server.addr(), Some(AUTH_TOKEN)).await;
    metrics_with(&server, "sidetone_calls_active 1").await;
    server.drain();
    while server.state().is_ready() {
        tokio::task::yield_now().await;
    }
    assert_eq!(get(server.addr(), "/healthz").await.status, 200);
    let readiness = get(server.addr(), "/healthz?ready").await;
    assert_eq!(
        (readiness.status, readiness.body.as_str()),
        (503, "not ready\n")
    );
    let busy = post(server.addr(), "/twilio/voice", &INCOMING, Some(AUTH_TOKEN)).await;
    assert!(
        busy.body.contains("<Say language=\"en-US\">"),
        "{}",
        busy.body
    );
    let Err(refused) = Phone::connect(server.addr(), Some(AUTH_TOKEN)).await else {
        panic!("a new call while draining");
    };
    assert_eq!(refused.status(), 503);
    metrics_with(&server, "sidetone_refused_total{why=\"draining\"} 2").await;

    phone.hang_up().await;
    let addr = server.addr();
    server.shutdown().await;
    assert!(
        TcpStream::connect(addr).await.is_err(),
        "nobody listens any more"
    );
}

#[tokio::test]
async fn calls_that_outlast_the_drain_are_hung_up() {
    let mut config = insecure();
    config.server.drain_seconds = 0;
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&config, engine).await.unwrap();
    let phone = Phone::call(server.addr(), None).await;
    metrics_with(&server, "sidetone_calls_active 1").await;
    let (_, ()) = tokio::join!(server.shutdown(), phone.closed());
    assert_eq!(ended(&mut events).await.0, EndReason::Commanded);
}

#[tokio::test]
async fn ending_at_once_does_not_wait_for_calls() {
    let mut config = insecure();
    config.server.drain_seconds = 3_600;
    let server = start(&config).await;
    let phone = Phone::call(server.addr(), None).await;
    metrics_with(&server, "sidetone_calls_active 1").await;
    server.drain();
    tokio::join!(server.stop(), phone.closed());
}

#[tokio::test]
async fn garbage_is_counted_and_the_call_goes_on() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&insecure(), engine).await.unwrap();
    let mut phone = Phone::call(server.addr(), None).await;
    phone.text("garbage").await;
    phone.text("[]").await;
    phone.text(r#"{"event":"media","streamSid":"MZ00000000000000000000000000000001","media":{"payload":"!"}}"#).await;
    phone.message(Message::binary(vec![0xff; 160])).await;
    phone.message(Message::Ping(vec![1].into())).await;
    phone.text(r#"{"event":"hologram"}"#).await;
    phone.media("//////8=").await;
    phone.hang_up().await;
    let (reason, counters) = ended(&mut events).await;
    assert_eq!(reason, EndReason::CallerHungUp);
    assert_eq!(counters.frames_in, 1, "{counters:?}");
    metrics_with(&server, "sidetone_leg_faults_total{fault=\"malformed\"} 4").await;
    metrics_with(&server, "sidetone_leg_faults_total{fault=\"unknown\"} 1").await;
    server.shutdown().await;
}

#[tokio::test]
async fn a_message_of_a_megabyte_ends_the_call() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&insecure(), engine).await.unwrap();
    let mut phone = Phone::call(server.addr(), None).await;
    let payload = "/".repeat(1 << 20);
    let message =
        format!(r#"{{"event":"media","streamSid":"{STREAM}","media":{{"payload":"{payload}"}}}}"#);
    phone.text(&message).await;
    assert_eq!(ended(&mut events).await.0, EndReason::LegAbusive);
    server.shutdown().await;
}

#[tokio::test]
async fn a_socket_that_breaks_ends_its_call() {
    let engine = support::quiet_engine();
    let mut events = engine.events();
    let server = Server::start(&insecure(), engine).await.unwrap();
    let phone = Phone::call(server.addr(), None).await;
    drop(phone);
    assert_eq!(ended(&mut events).await.0, EndReason::LegLost);
    server.shutdown().await;
}

#[tokio::test]
async fn status_reports_are_counted_by_known_names() {
    let server = start(&secure()).await;
    for form in [
        [("StreamEvent", "stream-error"), ("StreamError", "31921")],
        [("CallStatus", "completed"), ("CallDuration", "7")],
        [("CallStatus", "+14155550123"), ("x", "y")],
        [("AnsweredBy", "human"), ("MachineDetectionDuration", "900")],
    ] {
        let form = [form[0], form[1], INCOMING[0]];
        let answer = post(server.addr(), "/twilio/status", &form, Some(AUTH_TOKEN)).await;
        assert_eq!(answer.status, 204);
    }
    let nonsense = [("CallStatus", "ringing"), ("CallSid", "+14155550123")];
    let answer = post(server.addr(), "/twilio/status", &nonsense, Some(AUTH_TOKEN)).await;
    assert_eq!(answer.status, 204);
    for (status, count) in [("stream-error", 1), ("completed", 1), ("other", 2)] {
        let line = format!("sidetone_twilio_status_total{{status=\"{status}\"}} {count}");
        let text = metrics_with(&server, &line).await;
        assert!(!text.contains("4155550123"), "{text}");
    }
    server.shutdown().await;
}

#[tokio::test]
async fn whoever_listens_is_told_what_twilio_reports_and_no_stranger() {
    let server = start(&secure()).await;
    let mut reports = server.state().twilio_reports();
    let strangers = [("CallStatus", "completed"), INCOMING[0]];
    let answer = post(server.addr(), "/twilio/status", &strangers, Some("guess")).await;
    assert_eq!(answer.status, 403);
    let twilios = [("CallStatus", "ringing"), INCOMING[0]];
    let answer = post(server.addr(), "/twilio/status", &twilios, Some(AUTH_TOKEN)).await;
    assert_eq!(answer.status, 204);
    let Ok(Report::Call(call)) = reports.try_recv() else {
        panic!("a report on the call");
    };
    assert_eq!(call.status, CallStatus::Ringing);
    assert_eq!(call.call_sid.as_str(), INCOMING[0].1);
    assert!(reports.try_recv().is_err(), "the stranger was heard");
    server.shutdown().await;
}

#[tokio::test]
async fn requests_that_make_no_sense_are_answered() {
    let server = start(&insecure()).await;
    let addr = server.addr();
    assert_eq!(get(addr, "/").await.status, 404);
    assert_eq!(get(addr, "/twilio/voice").await.status, 405);
    assert_eq!(get(addr, "/twilio/media").await.status, 400, "no WebSocket");
    let long = "x".repeat(65 * 1024);
    let answer = post(addr, "/twilio/voice", &[("a", &long)], None).await;
    assert_eq!(answer.status, 413);
    server.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_dawdles_is_dropped() {
    let server = start(&insecure()).await;
    for (request, answer) in [
        ("", ""),
        ("GET /healthz HTTP/1.1\r\nHost: a\r\n", ""),
        (
            "POST /twilio/voice HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nFrom=",
            "HTTP/1.1 408",
        ),
    ] {
        let mut stream = TcpStream::connect(server.addr()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answered = Vec::new();
        // A connection that is closed with something unread may be reset.
        let _ = stream.read_to_end(&mut answered).await;
        let answered = String::from_utf8(answered).unwrap();
        assert!(answered.starts_with(answer), "{request:?}: {answered:?}");
        assert!(
            !answered.starts_with("HTTP/1.1 200"),
            "{request:?}: {answered:?}"
        );
    }
    server.shutdown().await;
}

#[tokio::test]
async fn the_public_address_may_have_a_path() {
    let mut config = secure();
    config.server.public_url = format!("{PUBLIC_URL}/phone/");
    config.twilio.auth_token = None;
    config.server.insecure = true;
    let server = start(&config).await;
    let answer = post(server.addr(), "/twilio/voice", &INCOMING, None).await;
    let stream = "url=\"wss://voice.example.com/phone/twilio/media\"";
    assert!(answer.body.contains(stream), "{}", answer.body);
    server.stop().await;
}
