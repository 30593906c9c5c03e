//! Webhooks over a restart of the whole server.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering},
};

use axum::{Router, extract::State, http::HeaderMap, http::StatusCode, routing::post};
use serde_json::Value;
use sidetone_server::config::WebhookConfig;
use sidetone_speech::Secret;
use tempfile::TempDir;
use tokio::net::TcpListener;

use crate::world::{World, config, engine};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Somebody who wants to be told.
#[derive(Clone, Default)]
struct Receiver {
    is_up: Arc<AtomicBool>,
    /// The ids of what came while it was down, and the ids, types and calls of what it took.
    refused: Arc<Mutex<Vec<String>>>,
    taken: Arc<Mutex<Vec<(String, String, String)>>>,
}

impl Receiver {
    async fn start(&self) -> String {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let router = Router::new().route("/hook", post(hook));
        let router = router.with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        url
    }
}

async fn hook(State(receiver): State<Receiver>, headers: HeaderMap, body: String) -> StatusCode {
    let id = headers["webhook-id"].to_str().unwrap().to_owned();
    if !receiver.is_up.load(Ordering::SeqCst) {
        receiver.refused.lock().unwrap().push(id);
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    let event: Value = serde_json::from_str(&body).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let taken = (id, text(&event["type"]), text(&event["data"]["call_id"]));
    receiver.taken.lock().unwrap().push(taken);
    StatusCode::NO_CONTENT
}

#[tokio::test]
async fn what_nobody_took_before_a_restart_is_delivered_after_it() {
    let receiver = Receiver::default();
    let url = receiver.start().await;
    let folder = TempDir::new().unwrap();
    let server = async || {
        let other = TempDir::new().unwrap();
        let mut config = config(&folder);
        config.webhooks = vec![WebhookConfig {
            url: url.clone(),
            events: vec!["call.started".into(), "call.ended".into()],
            secret: Some(Secret::new(SECRET)),
        }];
        World::start(other, &config, engine()).await
    };
    let before = server().await;
    let caller = before.call().await;
    let id = caller.hang_up().await;
    while receiver.refused.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    before.server.shutdown().await;
    assert!(receiver.taken.lock().unwrap().is_empty());

    receiver.is_up.store(true, Ordering::SeqCst);
    let after = server().await;
    while receiver.taken.lock().unwrap().len() < 2 {
        tokio::task::yield_now().await;
    }
    after.server.shutdown().await;
    let taken = receiver.taken.lock().unwrap().clone();
    let told: Vec<_> = taken
        .iter()
        .map(|(_, what, call)| (&**what, call))
        .collect();
    assert_eq!(told, [("call.started", &id), ("call.ended", &id)]);
    // Under the name that it had: whoever did take it would know it again.
    assert_eq!(taken[0].0, receiver.refused.lock().unwrap()[0]);
    assert_ne!(taken[0].0, taken[1].0);
}
