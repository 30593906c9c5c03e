//! The phone against a small engine of its own kind, over real sockets.

#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sidetone_cli::phone::{
    CallIdentity, CallReport, DialError, Ending, Entry, Line, Script, Target, When, call,
};
use sidetone_server::signature;
use sidetone_speech::Secret;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_tungstenite::{
    accept_hdr_async,
    tungstenite::{
        Message,
        handshake::server::{Request, Response},
    },
};

const TOKEN: &str = "0123456789abcdef";

/// What an engine saw of a call.
#[derive(Default)]
struct Seen {
    handshake_signature: Option<String>,
    messages: Vec<Value>,
}

/// An agent that answers every stretch of sound with half a second of sound, and clears when the
/// caller speaks while it does.
async fn engine(socket: TcpStream, seen: Arc<Mutex<Seen>>, hang_up_after: usize) {
    #[expect(clippy::result_large_err, reason = "the type is tungstenite's")]
    let note_signature = |request: &Request, response: Response| {
        let signature = request.headers().get("x-twilio-signature");
        seen.lock().unwrap().handshake_signature =
            signature.map(|value| value.to_str().unwrap().to_owned());
        Ok(response)
    };
    let mut socket = accept_hdr_async(socket, note_signature).await.unwrap();
    let (mut speaking, mut answers, mut marks) = (false, 0, 0);
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else {
            continue;
        };
        let message: Value = serde_json::from_str(&text).unwrap();
        seen.lock().unwrap().messages.push(message.clone());
        let stream = message["streamSid"].clone();
        match message["event"].as_str().unwrap() {
            // A whole frame of silence in base64, or of sound.
            "media" => {
                let loud = message["media"]["payload"] != json!(silence());
                let ended = speaking && !loud;
                speaking = loud;
                if ended {
                    let media = json!({
                        "event": "media",
                        "streamSid": stream,
                        "media": {"payload": "gAAA".repeat(1_334)},
                    });
                    let mark = json!({
                        "event": "mark",
                        "streamSid": stream,
                        "mark": {"name": answers.to_string()},
                    });
                    for message in [media, mark] {
                        let message = Message::text(message.to_string());
                        socket.send(message).await.unwrap();
                    }
                    answers += 1;
                }
            }
            "mark" => {
                marks += 1;
                if marks == hang_up_after {
                    socket.close(None).await.unwrap();
                }
            }
            _ => {}
        }
    }
}

/// 20 ms of silence as it goes over the wire.
fn silence() -> String {
    // 160 bytes of 0xFF.
    format!("{}/w==", "////".repeat(53))
}

/// Half a second of a square wave.
fn voice() -> Arc<[i16]> {
    (0..4_000)
        .map(|n| if n % 8 < 4 { 4_000 } else { -4_000 })
        .collect()
}

fn script(lines: usize) -> Arc<Script> {
    let when = |n| match n {
        0 => When::PauseMs(100),
        _ => When::AgentSilenceMs(100),
    };
    Arc::new(Script {
        background: sidetone_cli::phone::Background::new(None),
        max_wait: Duration::from_secs(2),
        linger: Duration::from_millis(300),
        ..Script::new(
            (0..lines)
                .map(|n| Line::new(n.to_string(), voice(), when(n)))
                .collect(),
        )
    })
}

async fn dial(target: Target, lines: usize) -> Result<CallReport, DialError> {
    call(
        &target,
        script(lines),
        CallIdentity::random(None),
        true,
        |_, _| {},
    )
    .await
}

fn stream(url: String) -> Target {
    let parameters = BTreeMap::from([("token".to_owned(), "t1".to_owned())]);
    Target {
        entry: Entry::Stream(url, parameters),
        connect: None,
        auth_token: None,
    }
}

/// An engine that takes one call, and where.
async fn start(hang_up_after: usize) -> (String, Arc<Mutex<Seen>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let seen = Arc::<Mutex<Seen>>::default();
    let sees = Arc::clone(&seen);
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        engine(socket, sees, hang_up_after).await;
    });
    (address, seen)
}

#[tokio::test]
async fn a_call_is_held_from_start_to_stop() {
    let (address, seen) = start(usize::MAX).await;
    let report = dial(stream(format!("ws://{address}/media")), 2)
        .await
        .unwrap();

    assert_eq!(report.ending, Some(Ending::Caller));
    assert_eq!(report.turns.len(), 2);
    assert_eq!(report.failures().count(), 0);
    assert_eq!(report.refused_messages, 0);
    let audio = report.audio.as_ref().unwrap();
    assert!(audio.caller.iter().filter(|s| s.abs() > 1_000).count() >= 8_000);

    let seen = seen.lock().unwrap();
    let events: Vec<_> = seen
        .messages
        .iter()
        .map(|message| message["event"].as_str().unwrap())
        .filter(|event| *event != "media")
        .collect();
    assert_eq!(events, ["connected", "start", "mark", "mark", "stop"]);
    assert_eq!(seen.messages[1]["start"]["customParameters"]["token"], "t1");
    for (n, message) in seen.messages[1..].iter().enumerate() {
        assert_eq!(message["sequenceNumber"], (n + 1).to_string());
    }
    assert_eq!(report.messages.len(), seen.messages.len() + 4);
}

#[tokio::test]
async fn the_agent_may_hang_up() {
    let (address, _) = start(1).await;
    let report = dial(stream(format!("ws://{address}/media")), 2)
        .await
        .unwrap();
    assert_eq!(report.ending, Some(Ending::Agent));
    assert_eq!(report.turns.len() + report.unsaid, 2);
}

/// A webhook and a stream behind one port, as a server has them.
async fn start_with_webhook(answer: String) -> (String, Arc<Mutex<Seen>>, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (seen, request) = (
        Arc::<Mutex<Seen>>::default(),
        Arc::<Mutex<String>>::default(),
    );
    let (sees, requested) = (Arc::clone(&seen), Arc::clone(&request));
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let mut read = Vec::new();
        while !read.ends_with(b"2025550199") {
            let mut byte = [0];
            socket.read_exact(&mut byte).await.unwrap();
            read.extend(byte);
        }
        // The number stands in the form twice; the rest of it is of no interest.
        *requested.lock().unwrap() = String::from_utf8(read).unwrap();
        let mut rest = [0; 512];
        let _ = tokio::time::timeout(Duration::from_millis(50), socket.read(&mut rest)).await;
        let length = answer.len();
        let response =
            format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
        socket.write_all(response.as_bytes()).await.unwrap();
        socket.write_all(answer.as_bytes()).await.unwrap();
        drop(socket);
        let (socket, _) = listener.accept().await.unwrap();
        engine(socket, sees, usize::MAX).await;
    });
    (address, seen, request)
}

#[tokio::test]
async fn the_webhook_leads_to_the_stream_and_both_are_signed() {
    let twiml = r#"<Response><Connect><Stream url="wss://voice.example/media">
        <Parameter name="token" value="once"/></Stream></Connect></Response>"#;
    let (address, seen, request) = start_with_webhook(twiml.into()).await;
    let target = Target {
        entry: Entry::Webhook("https://voice.example/twilio/voice".into()),
        // The public address is not reachable from here.
        connect: Some(address),
        auth_token: Some(Secret::new(TOKEN)),
    };
    let report = dial(target, 1).await.unwrap();
    assert_eq!(report.failures().count(), 0);

    let request = request.lock().unwrap();
    assert!(
        request.starts_with("POST /twilio/voice HTTP/1.1\r\n"),
        "{request}"
    );
    let head = request.to_lowercase();
    assert!(head.contains("host: voice.example\r\n"), "{request}");
    assert!(head.contains("x-twilio-signature: "), "{request}");

    let seen = seen.lock().unwrap();
    let signature = seen.handshake_signature.as_ref().unwrap();
    assert!(signature::verify(
        TOKEN,
        "wss://voice.example/media",
        &[],
        signature.as_bytes()
    ));
    assert_eq!(
        seen.messages[1]["start"]["customParameters"]["token"],
        "once"
    );
}

#[tokio::test]
async fn a_busy_line_is_reported_with_its_words() {
    let twiml = "<Response><Say>All lines are busy.</Say><Hangup/></Response>";
    let (address, _, _) = start_with_webhook(twiml.into()).await;
    let target = Target {
        entry: Entry::Webhook(format!("http://{address}/twilio/voice")),
        connect: None,
        auth_token: None,
    };
    let error = dial(target, 1).await.unwrap_err();
    assert!(matches!(error, DialError::Twiml(_)), "{error:?}");
    assert!(error.to_string().contains("All lines are busy."), "{error}");
}

#[tokio::test]
async fn where_nobody_listens_the_address_is_named() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let error = dial(stream(format!("ws://{address}/media")), 1)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), format!("cannot connect to {address}"));
}

#[tokio::test]
async fn a_url_that_is_no_stream_is_refused() {
    for url in ["http://127.0.0.1:1/media", "/media", "ws:"] {
        let error = dial(stream(url.into()), 1).await.unwrap_err();
        assert!(matches!(error, DialError::Url { .. }), "{url}: {error:?}");
    }
}

#[tokio::test]
async fn a_url_that_is_no_webhook_is_refused() {
    for url in [
        "ftp://127.0.0.1:1/voice",
        "127.0.0.1:8080/voice",
        "ws://a/b",
    ] {
        let target = Target {
            entry: Entry::Webhook(url.into()),
            connect: None,
            auth_token: None,
        };
        let error = dial(target, 1).await.unwrap_err();
        assert!(matches!(error, DialError::Url { .. }), "{url}: {error:?}");
    }
}
