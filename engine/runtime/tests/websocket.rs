//! The same calls over real sockets: axum and tokio-tungstenite.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use axum::{Router, extract::ws::WebSocketUpgrade, routing::get};
use common::{builder, greeting};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use sidetone::{
    CallHandle, Engine,
    core::{dialect::twilio::Twilio, event::EndReason},
    speech::testing::{FakeLlm, FakeStt, FakeTts},
    transport,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, accept_async_with_config, connect_async,
    tungstenite::{Message, protocol::WebSocketConfig},
};

const MAX_MESSAGE: usize = 64 * 1024;

type Client = WebSocketStream<MaybeTlsStream<TcpStream>>;

fn engine() -> Engine {
    builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(greeting("Hi."))
        .build()
        .unwrap()
}

/// A server on axum; its calls come out of the receiver.
async fn axum_server() -> (String, mpsc::Receiver<CallHandle>) {
    let (calls, accepted) = mpsc::channel(8);
    let engine = engine();
    let media = async move |upgrade: WebSocketUpgrade| {
        upgrade
            .max_message_size(MAX_MESSAGE)
            .on_upgrade(async move |socket| {
                let call = engine.accept(transport::axum(socket), Twilio::default());
                calls.send(call).await.unwrap();
            })
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/media", listener.local_addr().unwrap());
    let app = Router::new().route("/media", get(media));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, accepted)
}

/// A server on tokio-tungstenite.
async fn tungstenite_server() -> (String, mpsc::Receiver<CallHandle>) {
    let (calls, accepted) = mpsc::channel(8);
    let engine = engine();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("ws://{}/", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE));
            let socket = accept_async_with_config(stream, Some(config))
                .await
                .unwrap();
            let call = engine.accept(transport::tungstenite(socket), Twilio::default());
            calls.send(call).await.unwrap();
        }
    });
    (url, accepted)
}

async fn dial(url: &str) -> Client {
    let (mut client, _) = connect_async(url).await.unwrap();
    let start = json!({"event": "start", "sequenceNumber": "1", "streamSid": "MZ1", "start": {
        "streamSid": "MZ1", "callSid": "CA1", "accountSid": "AC1", "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
    }});
    client.send(Message::text(start.to_string())).await.unwrap();
    client
}

async fn receive(client: &mut Client) -> Option<Value> {
    loop {
        match client.next().await? {
            Ok(Message::Text(text)) => return Some(serde_json::from_str(&text).unwrap()),
            Ok(Message::Close(_)) | Err(_) => return None,
            Ok(_) => {}
        }
    }
}

/// Hears the greeting up to its first mark.
async fn hear_greeting(client: &mut Client) {
    let first = receive(client).await.unwrap();
    assert_eq!(first["event"], "media");
    assert_eq!(first["streamSid"], "MZ1");
    while receive(client).await.unwrap()["event"] != "mark" {}
}

async fn each_end_can_end_the_call(url: &str, mut calls: mpsc::Receiver<CallHandle>) {
    let mut client = dial(url).await;
    hear_greeting(&mut client).await;
    client.send(Message::Ping(vec![1].into())).await.unwrap();
    while !client.next().await.unwrap().unwrap().is_pong() {}
    let stop = json!({"event": "stop", "sequenceNumber": "2", "streamSid": "MZ1", "stop": {}});
    client.send(Message::text(stop.to_string())).await.unwrap();
    while receive(&mut client).await.is_some() {}
    let summary = calls.recv().await.unwrap().ended().await;
    assert_eq!(summary.reason, EndReason::CallerHungUp);
    assert_eq!(summary.counters.leg_faults.len(), 0, "{summary:?}");

    let mut client = dial(url).await;
    hear_greeting(&mut client).await;
    client.close(None).await.unwrap();
    let summary = calls.recv().await.unwrap().ended().await;
    assert_eq!(summary.reason, EndReason::LegLost);

    let mut client = dial(url).await;
    hear_greeting(&mut client).await;
    let call = calls.recv().await.unwrap();
    call.hang_up(None).await.unwrap();
    while receive(&mut client).await.is_some() {}
    assert_eq!(call.ended().await.reason, EndReason::Commanded);

    let mut client = dial(url).await;
    hear_greeting(&mut client).await;
    let long = "x".repeat(MAX_MESSAGE + 1);
    client.send(Message::text(long)).await.unwrap();
    let summary = calls.recv().await.unwrap().ended().await;
    assert_eq!(summary.reason, EndReason::LegAbusive);

    let mut client = dial(url).await;
    hear_greeting(&mut client).await;
    client.send(Message::binary(vec![0, 1, 2])).await.unwrap();
    let call = calls.recv().await.unwrap();
    let mut events = call.events();
    let said = loop {
        let record = events.recv().await.unwrap().unwrap();
        let record = serde_json::to_value(&*record).unwrap();
        if record["event"] == "error" {
            break record;
        }
    };
    assert_eq!(said["fault"], "malformed", "{said}");
    drop(client);
    assert_eq!(call.ended().await.reason, EndReason::LegLost);
}

#[tokio::test]
async fn over_axum() {
    let (url, calls) = axum_server().await;
    let test = each_end_can_end_the_call(&url, calls);
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .unwrap();
}

#[tokio::test]
async fn over_tungstenite() {
    let (url, calls) = tungstenite_server().await;
    let test = each_end_can_end_the_call(&url, calls);
    tokio::time::timeout(Duration::from_secs(60), test)
        .await
        .unwrap();
}
