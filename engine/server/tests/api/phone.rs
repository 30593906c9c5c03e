//! The stream of somebody who was called to the phone: who may open one, and what becomes of one that
//! brings nothing.

use std::time::Duration;

use serde_json::{Value, json};
use sidetone::CallId;
use sidetone_core::{
    conversation::Role,
    event::{BackReason, CallEvent},
    handoff::HandoffState,
};
use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts};

use crate::{
    place::{AUTH, path, world, world_of},
    stand_in::StandIn,
    support::{Phone, engine, post},
    world::{ACCOUNT, Caller, World},
};

const ANN: &str = "+12025550143";

/// Calls somebody to the phone, who answers: their token.
async fn answered(world: &World, twilio: &StandIn, caller: &Caller) -> String {
    let body = json!({"phone": ANN, "name": "Ann"});
    let called = world
        .post(&caller.path("/takeover"), &world.operator, body)
        .await;
    assert_eq!(called.status, 202, "{called:?}");
    pick_up(world, twilio).await
}

/// Who is called answers: the token in what Twilio is told then.
async fn pick_up(world: &World, twilio: &StandIn) -> String {
    let url = path(&twilio.last("Url").unwrap());
    let form = [
        ("CallSid", "CA00000000000000000000000000000001"),
        ("AccountSid", ACCOUNT),
        ("CallStatus", "in-progress"),
    ];
    let twiml = post(world.addr, &url, &form, AUTH).await;
    assert_eq!(twiml.status, 200, "{twiml:?}");
    let leg = "url=\"wss://voice.example.com/twilio/leg\"";
    assert!(twiml.body.contains(leg), "{}", twiml.body);
    twiml.token().to_owned()
}

/// A stream that shows a token.
async fn stream(world: &World, token: Option<&str>) -> Phone {
    let mut phone = Phone::connect_to(world.addr, "/twilio/leg", AUTH)
        .await
        .unwrap();
    phone.start(token).await;
    phone
}

async fn live(world: &World, caller: &Caller) -> Value {
    let view = world.get(&caller.path(""), &world.viewer).await;
    assert_eq!(view.status, 200, "{view:?}");
    view.body["live"].clone()
}

/// Waits until who was called is so far.
async fn is(world: &World, caller: &Caller, state: &str) {
    while live(world, caller).await["phone"]["state"] != state {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_join_token_is_good_once_and_no_other_is() {
    let (world, twilio) = world().await;
    let caller = world.call().await;
    let token = answered(&world, &twilio, &caller).await;
    // None, one that was never given out, and one that is for a call's own stream.
    for stale in [None, Some("sdj_made-up"), Some("")] {
        stream(&world, stale).await.closed().await;
    }
    let on_the_call = stream(&world, Some(&token)).await;
    is(&world, &caller, "joined").await;
    stream(&world, Some(&token)).await.closed().await;
    let live = live(&world, &caller).await;
    assert_eq!(live["people"].as_array().unwrap().len(), 1, "{live}");
    assert_eq!(live["people"][0]["name"], "Ann");
    // A stream that nobody signed is not even opened.
    let Err(unsigned) = Phone::connect_to(world.addr, "/twilio/leg", None).await else {
        panic!("a stream that nobody signed");
    };
    assert_eq!(unsigned.status(), 403);
    drop(on_the_call);
    is(&world, &caller, "left").await;
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_join_token_is_good_for_nothing_once_it_is_called_off() {
    let (world, twilio) = world().await;
    let caller = world.call().await;
    let token = answered(&world, &twilio, &caller).await;
    let off = world
        .delete(&caller.path("/takeover"), &world.operator)
        .await;
    assert_eq!(off.status, 202, "{off:?}");
    is(&world, &caller, "failed").await;
    stream(&world, Some(&token)).await.closed().await;
    assert_eq!(live(&world, &caller).await["people"], json!([]));
    // Who answers now is told to hang up.
    let url = path(&twilio.last("Url").unwrap());
    let form = [("CallSid", "CA00000000000000000000000000000001")];
    let twiml = post(world.addr, &url, &form, AUTH).await;
    assert!(twiml.body.contains("<Hangup/>"), "{}", twiml.body);
    assert!(!twiml.body.contains("sdj_"), "{}", twiml.body);
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_phone_of_which_no_audio_comes_gives_the_call_back() {
    let (world, twilio) = world().await;
    let caller = world.call().await;
    let call = world
        .server
        .state()
        .engine()
        .call(&CallId::from(caller.id.as_str()))
        .unwrap();
    let mut events = call.events();
    let token = answered(&world, &twilio, &caller).await;
    // It starts, and nothing more comes; the socket stands.
    let stalled = stream(&world, Some(&token)).await;
    let back = tokio::time::timeout(Duration::from_secs(60), async {
        loop {
            let record = events.recv().await.unwrap().unwrap();
            if let CallEvent::Handoff {
                state: HandoffState::Agent,
                back: Some(back),
            } = &record.event
            {
                return *back;
            }
        }
    });
    assert_eq!(back.await.unwrap(), BackReason::Stalled);
    is(&world, &caller, "left").await;
    stalled.closed().await;
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_is_whispered_by_phone_or_in_writing_is_for_the_agent_alone() {
    let stt = FakeStt::new()
        .hears("Offer ten percent.")
        .hears("May I have a discount?");
    let llm = FakeLlm::new().says("Ten percent, for you.");
    let asked = llm.probe();
    let (world, twilio) = world_of(engine(stt, llm, FakeTts::new())).await;
    let mut events = world.server.state().engine().events();
    let mut phone = Phone::call(world.addr, AUTH).await;
    let id = loop {
        let record = events.recv().await.unwrap().unwrap();
        if record.seq == 1 {
            break record.call_id.to_string();
        }
    };
    let path = |rest: &str| format!("/api/calls/{id}{rest}");

    let body = json!({"phone": ANN, "name": "Ann", "mode": "whisper"});
    let called = world.post(&path("/takeover"), &world.operator, body).await;
    assert_eq!(called.status, 202, "{called:?}");
    let mut ann = stream(&world, Some(&pick_up(&world, &twilio).await)).await;
    let mut until = async |what: &str| loop {
        let record = events.recv().await.unwrap().unwrap();
        let event = serde_json::to_value(&record.event).unwrap();
        if event["event"] == what {
            return;
        }
    };
    until("person.joined").await;
    ann.speak(600).await;
    ann.pause(1_000).await;
    until("agent.guided").await;
    let body = json!({"text": "Be kind."});
    let whispered = world.post(&path("/whisper"), &world.operator, body).await;
    assert_eq!(whispered.status, 202, "{whispered:?}");
    until("agent.guided").await;

    phone.speak(600).await;
    phone.pause(1_000).await;
    until("agent.sentence").await;
    let job = asked.jobs().pop().unwrap();
    let guidance: Vec<_> = job
        .messages
        .iter()
        .filter(|message| message.role == Role::Guidance)
        .map(|message| (message.name.as_deref().unwrap(), &*message.text))
        .collect();
    assert_eq!(
        guidance,
        [("Ann", "Offer ten percent."), ("operator", "Be kind.")]
    );
    // Nobody reads it as something that was said in the call.
    let transcript = world.get(&path("/transcript"), &world.viewer).await;
    let transcript = transcript.body.to_string();
    assert!(transcript.contains("discount"), "{transcript}");
    assert!(!transcript.contains("Offer ten percent"), "{transcript}");
    drop(ann);
    phone.hang_up().await;
    phone.closed().await;
    world.server.shutdown().await;
}
