//! Placing calls.

use reqwest::Method;
use serde_json::{Value, json};
use sidetone::Engine;
use tempfile::TempDir;

use crate::{
    stand_in::{Mood, StandIn},
    support::{Phone, post},
    world::{Answer, Caller, World, auth_token, config, engine},
};

/// A server that may place calls, and the Twilio it asks.
pub(crate) async fn world() -> (World, StandIn) {
    world_of(engine()).await
}

/// The same with calls answered by `engine`.
pub(crate) async fn world_of(engine: Engine) -> (World, StandIn) {
    let twilio = StandIn::start().await;
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    config.twilio.base_url = twilio.url();
    config.twilio.request_timeout_ms = 1_000;
    config.twilio.auth_token = auth_token();
    config.server.public_url = crate::support::PUBLIC_URL.into();
    (World::start(folder, &config, engine).await, twilio)
}

fn order() -> Value {
    json!({
        "to": "+12025550143",
        "from": "+12025550199",
        "greeting": "Good morning!",
        "metadata": {"customer": "4711"},
    })
}

async fn place(world: &World, key: Option<&str>, body: &Value) -> Answer {
    let mut request = world.request(Method::POST, "/api/calls", &world.operator);
    if let Some(key) = key {
        request = request.header("idempotency-key", key);
    }
    Answer::of(request.json(body).send().await.unwrap()).await
}

pub(crate) const AUTH: Option<&str> = Some(crate::support::AUTH_TOKEN);

/// What Twilio posts about a call.
fn form<'a>(status: &'a str, who: &'a str) -> [(&'a str, &'a str); 4] {
    [
        ("CallSid", "CA00000000000000000000000000000001"),
        ("AccountSid", crate::world::ACCOUNT),
        ("CallStatus", status),
        ("AnsweredBy", who),
    ]
}

/// The path and query of a URL that Twilio was given.
pub(crate) fn path(url: &str) -> String {
    url.strip_prefix(crate::support::PUBLIC_URL)
        .unwrap()
        .to_owned()
}

#[tokio::test]
async fn a_call_is_placed_answered_and_held_under_one_id() {
    let (world, twilio) = world().await;
    let placed = place(&world, None, &order()).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let id = placed.body["id"].as_str().unwrap();
    assert_eq!(placed.headers["location"], format!("/api/calls/{id}"));
    assert_eq!(placed.body["state"], "dialing");
    assert_eq!(
        placed.body["provider_call_id"],
        "CA00000000000000000000000000000001"
    );
    assert_eq!(twilio.last("To").unwrap(), "+12025550143");
    assert_eq!(twilio.last("MachineDetection"), None);
    let dialing = world.get("/api/calls?state=dialing", &world.viewer).await;
    assert_eq!(dialing.body["calls"][0]["id"], id);
    let early = world
        .post(
            &format!("/api/calls/{id}/say"),
            &world.operator,
            json!({"text": "Hi"}),
        )
        .await;
    assert_eq!((early.status, early.problem()), (409, "conflict"));

    // Somebody answers: Twilio asks what to do, and connects.
    let voice = path(&twilio.last("Url").unwrap());
    let twiml = post(world.addr, &voice, &form("in-progress", "human"), AUTH).await;
    assert_eq!(twiml.status, 200, "{twiml:?}");
    let stream = format!("url=\"wss://voice.example.com/twilio/media/{id}\"");
    assert!(twiml.body.contains(&stream), "{}", twiml.body);
    let media = format!("/twilio/media/{id}");
    let mut phone = Phone::connect_to(world.addr, &media, AUTH).await.unwrap();
    phone.start(Some(twiml.token())).await;
    let caller = Caller::new(phone, id.to_owned());
    let live = loop {
        let live = world.get(&caller.path(""), &world.viewer).await;
        if live.body["state"] == "live" {
            break live;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(live.body["direction"], "outbound");
    assert_eq!(live.body["to"], "+12025550143");
    assert_eq!(live.body["metadata"]["customer"], "4711");
    assert_eq!(live.body["metadata"]["answered_by"], "human");
    loop {
        let transcript = world.get(&caller.path("/transcript"), &world.viewer).await;
        if transcript.body["lines"][0]["text"] == "Good morning!" {
            break;
        }
        tokio::task::yield_now().await;
    }
    // The stream is taken: nobody else gets one.
    let Err(second) = Phone::connect_to(world.addr, &media, AUTH).await else {
        panic!("a second stream");
    };
    assert_eq!(second.status(), 404);
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_call_that_nobody_answers_ends_with_twilios_word() {
    let (world, twilio) = world().await;
    let placed = place(&world, None, &order()).await;
    let call = format!("/api/calls/{}", placed.body["id"].as_str().unwrap());
    let status = path(&twilio.last("StatusCallback").unwrap());
    for (word, state) in [("ringing", "dialing"), ("no-answer", "ended")] {
        let answer = post(world.addr, &status, &form(word, ""), AUTH).await;
        assert_eq!(answer.status, 204);
        let seen = world.get(&call, &world.viewer).await;
        assert_eq!(seen.body["state"], state, "{seen:?}");
    }
    let seen = world.get(&call, &world.viewer).await;
    assert_eq!(seen.body["end_reason"], "no-answer");
    assert_eq!(seen.body["metadata"]["customer"], "4711");
    // Too late.
    let voice = path(&twilio.last("Url").unwrap());
    let twiml = post(world.addr, &voice, &form("in-progress", ""), AUTH).await;
    assert!(twiml.body.contains("<Hangup/>"), "{}", twiml.body);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_machine_is_hung_up_on_where_that_was_ordered() {
    let (world, twilio) = world().await;
    let mut body = order();
    body["machine_detection"] = "hang_up".into();
    let placed = place(&world, None, &body).await;
    assert_eq!(twilio.last("MachineDetection").as_deref(), Some("Enable"));
    let voice = path(&twilio.last("Url").unwrap());
    let twiml = post(
        world.addr,
        &voice,
        &form("in-progress", "machine_start"),
        AUTH,
    )
    .await;
    assert!(twiml.body.contains("<Hangup/>"), "{}", twiml.body);
    let call = format!("/api/calls/{}", placed.body["id"].as_str().unwrap());
    let seen = world.get(&call, &world.viewer).await;
    assert_eq!(seen.body["end_reason"], "machine", "{seen:?}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn asking_again_with_the_same_key_calls_once() {
    let (world, twilio) = world().await;
    let first = place(&world, Some("k1"), &order()).await;
    let again = place(&world, Some("k1"), &order()).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.body["id"], again.body["id"]);
    assert_eq!(twilio.count(), 1);
    let mut other = order();
    other["to"] = "+12025550144".into();
    let reused = place(&world, Some("k1"), &other).await;
    assert_eq!(
        (reused.status, reused.problem()),
        (409, "idempotency-key-reused")
    );
    let third = place(&world, Some("k2"), &other).await;
    assert_ne!(third.body["id"], first.body["id"]);
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_twilio_does_not_do_is_said_with_what_to_do() {
    let (world, twilio) = world().await;
    twilio.be(Mood::Refuses);
    let refused = place(&world, Some("k"), &order()).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (502, "provider-refused")
    );
    let detail = refused.body["detail"].as_str().unwrap();
    assert!(
        detail.contains("21210") && detail.contains("not verified"),
        "{detail}"
    );
    assert!(!detail.contains("2025550199"), "{detail}");
    // Nothing was done: the same key may try again.
    twilio.be(Mood::Places);
    assert_eq!(place(&world, Some("k"), &order()).await.status, 201);

    twilio.be(Mood::Stalls);
    let slow = place(&world, Some("slow"), &order()).await;
    assert_eq!((slow.status, slow.problem()), (504, "provider-timeout"));
    let location = slow.headers["location"].to_str().unwrap();
    let maybe = world.get(location, &world.viewer).await;
    assert_eq!(maybe.body["state"], "dialing", "it may ring: {maybe:?}");
    let count = twilio.count();
    let again = place(&world, Some("slow"), &order()).await;
    assert_eq!(again.status, 504);
    assert_eq!(twilio.count(), count, "it may have happened: not again");
    world.server.shutdown().await;
}

#[tokio::test]
async fn orders_that_make_no_sense_are_not_sent() {
    let (world, twilio) = world().await;
    for (field, value) in [
        ("to", json!("0123")),
        ("to", json!(null)),
        ("from", json!("+0123456789")),
        ("metadata", json!({"": "x"})),
        ("metadata.a", json!({"a": "x".repeat(1_001)})),
        ("machine_detection", json!("maybe")),
        ("greeting", json!("x".repeat(1_001))),
        ("colour", json!("red")),
    ] {
        let mut body = order();
        body[field.split('.').next().unwrap()] = value;
        let answer = place(&world, None, &body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "bad-request"),
            "{field}"
        );
        assert_eq!(answer.body["errors"][0]["field"], field, "{answer:?}");
    }
    assert_eq!(twilio.count(), 0);
    let viewer = world.post("/api/calls", &world.viewer, order()).await;
    assert_eq!(viewer.status, 403);
    world.server.shutdown().await;
}

#[tokio::test]
async fn without_an_account_calls_are_not_placed_and_it_is_said_why() {
    let world = World::new().await;
    let answer = place(&world, None, &order()).await;
    assert_eq!((answer.status, answer.problem()), (503, "unavailable"));
    let detail = answer.body["detail"].as_str().unwrap();
    assert!(detail.contains("twilio.auth_token"), "{detail}");
    world.server.shutdown().await;
}
