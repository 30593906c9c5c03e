//! Deliveries to a receiver that fails, stalls and comes back. Time is what the test says it is.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, StatusCode},
    response::{IntoResponse, Response},
    routing::post,
};
use serde_json::{Value, json};
use sidetone_speech::Secret;
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::sync::CancellationToken;

use super::{Counted, Endpoint, deliver::Deliverer, signature::SigningKey};
use crate::{
    config::WebhookConfig,
    store::{NewDelivery, Store, UnixMs},
};

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

/// Somebody who is told.
#[derive(Clone)]
struct Receiver {
    url: String,
    heard: Arc<Mutex<Vec<Heard>>>,
    /// What to answer to an event, by the event; 200 unless it is there.
    answers: Arc<Mutex<HashMap<String, u16>>>,
    /// Answers wait for these.
    places: Arc<Semaphore>,
}

#[derive(Clone, Debug)]
struct Heard {
    event: String,
    id: String,
    headers: HeaderMap,
}

impl Receiver {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let receiver = Self {
            url: format!("http://{}/hook", listener.local_addr().unwrap()),
            heard: Arc::default(),
            answers: Arc::default(),
            places: Arc::new(Semaphore::new(Semaphore::MAX_PERMITS)),
        };
        let router = Router::new()
            .route("/hook", post(hook))
            .with_state(receiver.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        receiver
    }

    fn answer(&self, event: &str, status: u16) {
        self.answers.lock().unwrap().insert(event.into(), status);
    }

    fn heard(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap();
        heard.iter().map(|heard| heard.event.clone()).collect()
    }
}

async fn hook(State(receiver): State<Receiver>, headers: HeaderMap, body: Bytes) -> Response {
    let event = String::from_utf8(body.to_vec()).unwrap();
    let text = |name: &str| headers[name].to_str().unwrap().to_owned();
    let key: SigningKey = SECRET.parse().unwrap();
    let (id, timestamp) = (text("webhook-id"), text("webhook-timestamp"));
    assert!(key.verify(
        &id,
        timestamp.parse().unwrap(),
        &event,
        &text("webhook-signature")
    ));
    let answer = receiver.answers.lock().unwrap().get(&event).copied();
    receiver
        .heard
        .lock()
        .unwrap()
        .push(Heard { event, id, headers });
    let _place = receiver.places.acquire().await.unwrap();
    let status = StatusCode::from_u16(answer.unwrap_or(200)).unwrap();
    match status.as_u16() {
        307 => (status, [("location", "http://127.0.0.1:9/")]).into_response(),
        429 => (status, [("retry-after", "100")]).into_response(),
        _ => status.into_response(),
    }
}

fn endpoint(url: &str, events: &[&str]) -> Arc<Endpoint> {
    let config = WebhookConfig {
        url: url.into(),
        events: events.iter().map(ToString::to_string).collect(),
        secret: Some(Secret::new(SECRET)),
    };
    Arc::new(Endpoint::new(&config).unwrap())
}

struct World {
    store: Store,
    counted: Arc<Counted>,
    now: UnixMs,
}

impl World {
    async fn new() -> Self {
        Self {
            store: Store::in_memory().await.unwrap(),
            counted: Arc::default(),
            now: UnixMs::now(),
        }
    }

    async fn add(&mut self, url: &str, events: &[(&str, &str)]) {
        let deliveries: Vec<_> = events
            .iter()
            .map(|(call, event)| NewDelivery {
                url: url.into(),
                call_id: Some((*call).into()),
                event: (*event).into(),
            })
            .collect();
        self.store.add_deliveries(&deliveries).await.unwrap();
        // They are due from the moment in which they were kept.
        self.now = self.now.max(UnixMs::now());
    }

    fn deliverer(&self, url: &str) -> Deliverer {
        let endpoint = endpoint(url, &[]);
        Deliverer::new(self.store.clone(), endpoint, &self.counted).unwrap()
    }

    /// Delivers what is due now; says in how many ms the next is.
    async fn work_off(&self, url: &str) -> Option<i64> {
        let stop = CancellationToken::new();
        let now = self.now;
        let next = self.deliverer(url).work_off(|| now, &stop).await.unwrap();
        next.map(|next| next.0 - now.0)
    }
}

#[tokio::test]
async fn what_is_due_is_delivered_signed_and_forgotten() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world
        .add(&receiver.url, &[("a", "1"), ("a", "2"), ("a", "3")])
        .await;
    assert_eq!(world.work_off(&receiver.url).await, None);
    assert_eq!(receiver.heard(), ["1", "2", "3"]);
    let heard = receiver.heard.lock().unwrap().clone();
    let headers = &heard[0].headers;
    assert_eq!(headers["content-type"], "application/json");
    assert!(
        headers["user-agent"]
            .to_str()
            .unwrap()
            .starts_with("sidetone/")
    );
    assert_ne!(heard[0].id, heard[1].id);
}

#[tokio::test]
async fn what_fails_is_tried_again_later_and_later_and_holds_up_its_call_alone() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world
        .add(
            &receiver.url,
            &[("a", "1"), ("a", "2"), ("b", "3"), ("b", "4")],
        )
        .await;
    receiver.answer("1", 500);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let wait = world.work_off(&receiver.url).await.unwrap();
        waits.push(wait);
        world.now = world
            .now
            .after(Duration::from_millis(wait.try_into().unwrap()));
    }
    let heard = receiver.heard();
    assert_eq!(heard.iter().filter(|event| *event == "1").count(), 4);
    assert!(
        !heard.contains(&"2".into()),
        "order within a call: {heard:?}"
    );
    let b: Vec<_> = heard.iter().filter(|event| "34".contains(*event)).collect();
    assert_eq!(b, ["3", "4"], "the other call goes on");
    for (wait, longest) in waits.iter().zip([2_000, 4_000, 8_000, 16_000]) {
        assert!((longest * 4 / 5..=longest).contains(wait), "{waits:?}");
    }
    // The receiver is back.
    receiver.answer("1", 204);
    assert_eq!(world.work_off(&receiver.url).await, None);
    assert_eq!(receiver.heard()[heard.len()..], ["1", "2"]);
    let all = receiver.heard.lock().unwrap();
    let mut ids: Vec<_> = all
        .iter()
        .filter(|h| h.event == "1")
        .map(|h| &h.id)
        .collect();
    ids.dedup();
    assert_eq!(ids.len(), 1, "the id stays the same");
}

#[tokio::test]
async fn a_receiver_says_when_to_come_back_and_that_it_wants_no_more() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world.add(&receiver.url, &[("a", "1"), ("b", "2")]).await;
    receiver.answer("1", 429);
    receiver.answer("2", 410);
    assert_eq!(world.work_off(&receiver.url).await, Some(100_000));
    world.now = world.now.after(Duration::from_secs(100));
    receiver.answer("1", 200);
    assert_eq!(world.work_off(&receiver.url).await, None);
    let mut heard = receiver.heard();
    heard.sort_unstable();
    assert_eq!(heard, ["1", "1", "2"]);
}

#[tokio::test]
async fn redirects_are_not_followed_and_a_delivery_is_given_up_in_the_end() {
    let (mut world, receiver) = (World::new().await, Receiver::start().await);
    world.add(&receiver.url, &[("a", "1"), ("a", "2")]).await;
    receiver.answer("1", 307);
    let mut attempts = 1;
    while let Some(wait) = world.work_off(&receiver.url).await {
        attempts += 1;
        world.now = world
            .now
            .after(Duration::from_millis(wait.try_into().unwrap()));
    }
    assert_eq!(attempts, 16);
    let heard = receiver.heard();
    assert_eq!(heard.len(), 17);
    assert_eq!(heard.last().unwrap(), "2", "those that follow come then");
}

#[tokio::test]
async fn who_stalls_holds_nobody_else_up() {
    let mut world = World::new().await;
    let (slow, quick) = (Receiver::start().await, Receiver::start().await);
    slow.places.forget_permits(Semaphore::MAX_PERMITS);
    world.add(&slow.url, &[("a", "1")]).await;
    world.add(&quick.url, &[("a", "1"), ("a", "2")]).await;
    let stop = CancellationToken::new();
    let (now, stalled) = (world.now, world.deliverer(&slow.url));
    let stalled = tokio::spawn(async move { stalled.work_off(|| now, &stop).await.unwrap() });
    assert_eq!(world.work_off(&quick.url).await, None);
    assert_eq!(quick.heard(), ["1", "2"]);
    while slow.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    assert!(!stalled.is_finished());
    slow.places.add_permits(1);
    assert_eq!(stalled.await.unwrap(), None);
}

#[tokio::test]
async fn nobody_there_is_a_failure_like_others() {
    let mut world = World::new().await;
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    drop(listener);
    world.add(&url, &[("a", "1")]).await;
    assert!(world.work_off(&url).await.is_some());
    let due = world.now.after(Duration::from_secs(60));
    let waiting = world
        .store
        .take_deliveries(&url, due, Duration::ZERO, 1)
        .await;
    assert_eq!(
        waiting.unwrap()[0].last_error.as_deref(),
        Some("no connection")
    );
}

#[test]
fn everything_is_wanted_but_partial_transcripts_unless_named() {
    let all = endpoint("http://localhost/", &[]);
    assert!(all.wants("call.ended"));
    assert!(!all.wants("transcript.partial"));
    let some = endpoint("http://localhost/", &["transcript.partial"]);
    assert!(some.wants("transcript.partial"));
    assert!(!some.wants("call.ended"));
}

/// From a call to whoever wants to be told, and over a restart.
#[tokio::test]
async fn events_of_a_call_reach_the_url_in_order_also_after_a_restart() {
    use sidetone::{Engine, transport};
    use sidetone_core::dialect::twilio::Twilio;
    use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts};

    let engine = Engine::builder()
        .stt(Arc::new(FakeStt::new()))
        .llm(Arc::new(FakeLlm::new()))
        .tts(Arc::new(FakeTts::new()))
        .build()
        .unwrap();
    let (store, receiver) = (Store::in_memory().await.unwrap(), Receiver::start().await);
    let config = [WebhookConfig {
        url: receiver.url.clone(),
        events: Vec::new(),
        secret: Some(Secret::new(SECRET)),
    }];
    let webhooks = super::Webhooks::start(&config, &store, engine.events()).unwrap();
    // A call whose leg is lost at once has one event: its end.
    let call = async || {
        let (leg, peer) = transport::memory(4);
        let call = engine.accept(leg, Twilio::new());
        drop(peer);
        call.ended().await;
        call.id().to_string()
    };
    let first = call().await;
    while receiver.heard().is_empty() {
        tokio::task::yield_now().await;
    }
    let told: Value = serde_json::from_str(&receiver.heard()[0]).unwrap();
    assert_eq!(told["type"], "call.ended");
    assert_eq!(told["data"]["call_id"], json!(first));
    assert!(told["timestamp"].is_string());

    // The receiver is away, and the server goes down.
    receiver.places.forget_permits(Semaphore::MAX_PERMITS);
    let second = call().await;
    while receiver.heard().len() < 2 {
        tokio::task::yield_now().await;
    }
    drop(webhooks);
    let url = receiver.url.clone();
    // What was on its way is due again when its lease is over.
    let due = UnixMs::now().after(Duration::from_secs(61));
    let left = store
        .take_deliveries(&url, due, Duration::ZERO, 9)
        .await
        .unwrap();
    assert_eq!(left.len(), 1);
    assert!(left[0].event.contains(&second));
}
