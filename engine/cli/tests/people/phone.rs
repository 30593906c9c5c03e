//! Somebody is called to the phone, and comes on the call or does not.

use std::time::Duration;

use serde_json::json;
use sidetone_cli::carrier::{Fault, Phone, Status};
use sidetone_codecs::SampleRate;
use sidetone_core::{
    event::BackReason,
    handoff::HandoffState,
    person::{Join, Mode},
};

use crate::{
    tones::{CALLER, HEARD, PERSON, SILENT},
    world::{ANN, OURS, SUMMARY, World, back, humming, loudest, overheard, said, soon},
};

#[tokio::test]
async fn somebody_takes_the_call_over_by_phone_and_hangs_up() {
    let world = World::new().await;
    let mut caller = world.call().await;
    let (phone, ann) = overheard(humming(PERSON).after(Duration::from_millis(100)));
    world.carrier.phone(ANN, phone);
    let answer = world
        .post(
            &caller.path("/takeover"),
            json!({"phone": ANN, "name": "Ann"}),
        )
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(answer.body["mode"], "takeover");
    let second = answer.body["provider_call_id"].as_str().unwrap().to_owned();

    assert_eq!(caller.handoff().await.0, HandoffState::Requested);
    assert_eq!(caller.handoff().await.0, HandoffState::Ringing);
    let (bridged, _) = caller.handoff().await;
    assert!(
        matches!(
            bridged,
            HandoffState::Bridged {
                mode: Mode::Takeover,
                ..
            }
        ),
        "{bridged:?}"
    );
    caller
        .is(|state| state.people.iter().any(|person| person.name == "Ann"))
        .await;
    let phone = world.phone_is(&caller, "joined").await;
    assert_eq!(phone["person"], 1);
    caller.ear.hears(PERSON).await;
    ann.hears(CALLER).await;

    let record = world.carrier.call(&second).unwrap();
    assert_eq!((record.to.as_str(), record.from.as_str()), (ANN, OURS));
    let heard = world.heard(&second).await;
    assert!(
        loudest(&heard, PERSON) < SILENT,
        "Ann does not hear herself"
    );
    assert_eq!(back(&mut caller).await, BackReason::Left);
    world.phone_is(&caller, "left").await;
    let heard = world.heard(&caller.sid).await;
    assert!(loudest(&heard, PERSON) > HEARD, "the caller hears Ann");
    world.server.stop().await;
}

#[tokio::test]
async fn who_was_called_hands_back_and_listens_on() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world.carrier.phone(ANN, humming(PERSON));
    let answer = world
        .post(
            &caller.path("/takeover"),
            json!({"phone": ANN, "mode": "barge"}),
        )
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    caller.ear.hears(PERSON).await;
    let answer = world.delete(&caller.path("/takeover")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(back(&mut caller).await, BackReason::HandedBack);
    caller
        .is(|state| state.people[0].mode == Mode::Monitor)
        .await;
    // The call is over: so is the phone's.
    let second = world.call_to(ANN).await.sid;
    world.heard(&caller.sid).await;
    let record = soon(world.carrier.ended(&second)).await;
    assert_eq!(record.status, Status::Completed);
    world.server.stop().await;
}

#[tokio::test]
async fn who_is_taken_off_the_call_is_hung_up_on_and_the_agent_goes_on() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world.carrier.phone(ANN, humming(PERSON));
    let answer = world
        .post(&caller.path("/takeover"), json!({"phone": ANN}))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    caller.ear.hears(PERSON).await;
    let person = world.phone_is(&caller, "joined").await["person"].clone();
    let path = caller.path(&format!("/people/{person}"));
    let answer = world.delete(&path).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(back(&mut caller).await, BackReason::Left);
    world.phone_is(&caller, "left").await;
    let second = world.call_to(ANN).await.sid;
    let record = soon(world.carrier.ended(&second)).await;
    assert_eq!(record.status, Status::Completed);
    caller.ear.hears_no(PERSON).await;
    let again = world.delete(&path).await;
    assert_eq!(again.status, 404, "{again:?}");
    // The phone can be called again.
    let answer = world
        .post(&caller.path("/takeover"), json!({"phone": ANN}))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    caller.ear.hears(PERSON).await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_does_not_come_leaves_the_call_with_the_agent_which_says_so() {
    let world = World::new().await;
    for (phone, why) in [
        (Phone::busy(), "busy"),
        (
            Phone::never_answers().after(Duration::from_millis(50)),
            "no-answer",
        ),
        (Phone::fails(), "failed"),
    ] {
        let mut caller = world.call().await;
        world.carrier.phone(ANN, phone);
        let answer = world
            .post(&caller.path("/takeover"), json!({"phone": ANN}))
            .await;
        assert_eq!(answer.status, 202, "{answer:?}");
        assert_eq!(back(&mut caller).await, BackReason::Failed);
        let phone = world.phone_is(&caller, "failed").await;
        assert_eq!(phone["why"], why);
        world.heard(&caller.sid).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn a_phone_that_rings_too_long_is_not_waited_for() {
    let world = World::with(|config| config.handoff.ring_timeout_ms = 5_000).await;
    let mut caller = world.call().await;
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    let answer = world
        .post(&caller.path("/takeover"), json!({"phone": ANN}))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let back = back(&mut caller).await;
    assert!(
        matches!(back, BackReason::NoAnswer | BackReason::Failed),
        "{back:?}"
    );
    let second = world.call_to(ANN).await.sid;
    let record = soon(world.carrier.ended(&second)).await;
    assert!(
        matches!(record.status, Status::NoAnswer | Status::Canceled),
        "{:?}",
        record.status
    );
    world.phone_is(&caller, "failed").await;
    world.server.stop().await;
}

#[tokio::test]
async fn one_is_called_at_a_time_and_the_operator_can_think_better_of_it() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    let path = caller.path("/takeover");
    assert_eq!(world.post(&path, json!({"phone": ANN})).await.status, 202);
    let again = world.post(&path, json!({"phone": ANN})).await;
    assert_eq!(again.status, 409, "{again:?}");
    world.phone_is(&caller, "ringing").await;
    assert_eq!(world.delete(&path).await.status, 202);
    assert_eq!(back(&mut caller).await, BackReason::Failed);
    let second = world.call_to(ANN).await.sid;
    assert_eq!(
        soon(world.carrier.ended(&second)).await.status,
        Status::Canceled
    );
    let phone = world.phone_is(&caller, "failed").await;
    assert!(
        phone["why"].as_str().unwrap().contains("given back"),
        "{phone}"
    );
    world.server.stop().await;
}

#[tokio::test]
async fn who_has_the_call_keeps_it_when_a_colleague_is_not_waited_for() {
    let world = World::new().await;
    let mut caller = world.call().await;
    let bea = Join {
        name: "Bea".to_owned(),
        mode: Mode::Takeover,
        rank: 1,
        rate: SampleRate::HZ_8000,
    };
    let (mut speaks, _listens) = caller.call.join(bea).await.unwrap().split();
    let bea = speaks.id();
    tokio::spawn(async move {
        let mut every = tokio::time::interval(Duration::from_millis(20));
        loop {
            every.tick().await;
            speaks.send_audio(&[0; 160]);
        }
    });
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    let path = caller.path("/takeover");
    let body = json!({"phone": ANN, "mode": "monitor", "name": "Ann"});
    assert_eq!(world.post(&path, body).await.status, 202);
    let phone = world.phone_is(&caller, "ringing").await;
    assert_eq!(
        (&phone["number"], &phone["name"], &phone["transfer"]),
        (&json!(ANN), &json!("Ann"), &json!(false))
    );
    let answer = world.delete(&format!("{path}?phone=maybe")).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    let answer = world.delete(&format!("{path}?phone=true")).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(world.phone_is(&caller, "failed").await["why"], "canceled");
    let second = world.call_to(ANN).await.sid;
    assert_eq!(
        soon(world.carrier.ended(&second)).await.status,
        Status::Canceled
    );
    let by_bea = HandoffState::Bridged {
        by: bea,
        mode: Mode::Takeover,
    };
    assert_eq!(caller.call.state().borrow().handoff, by_bea);
    assert_eq!(world.delete(&path).await.status, 202);
    assert_eq!(back(&mut caller).await, BackReason::HandedBack);
    world.server.stop().await;
}

#[tokio::test]
async fn a_phone_that_still_rings_when_the_caller_hangs_up_stops() {
    let world = World::new().await;
    let caller = world.call().await;
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    let answer = world
        .post(&caller.path("/takeover"), json!({"phone": ANN}))
        .await;
    assert_eq!(answer.status, 202, "{answer:?}");
    let second = world.call_to(ANN).await.sid;
    world.heard(&caller.sid).await;
    assert_eq!(
        soon(world.carrier.ended(&second)).await.status,
        Status::Canceled
    );
    world.server.stop().await;
}

#[tokio::test]
async fn twilio_down_or_slow_leaves_the_call_with_the_agent() {
    let world = World::with(|config| config.twilio.request_timeout_ms = 1_000).await;
    for (fault, status) in [
        (Fault::Refuses { status: 503 }, 502),
        (Fault::Late(Duration::from_secs(30)), 504),
        (Fault::Malformed, 502),
    ] {
        let mut caller = world.call().await;
        world
            .carrier
            .phone(ANN, humming(PERSON).after(Duration::from_secs(3)));
        world.carrier.fault(fault.clone(), 1);
        let answer = world
            .post(&caller.path("/takeover"), json!({"phone": ANN}))
            .await;
        assert_eq!(answer.status, status, "{fault:?}: {answer:?}");
        assert_eq!(back(&mut caller).await, BackReason::Failed, "{fault:?}");
        let phone = world.phone_is(&caller, "failed").await;
        assert!(!phone["why"].as_str().unwrap().is_empty());
        if fault != (Fault::Refuses { status: 503 }) {
            // The order was carried out all the same: who answers has no token that is good.
            let second = world.call_to(ANN).await.sid;
            soon(world.carrier.ended(&second)).await;
        }
        assert!(caller.call.state().borrow().people.is_empty());
        world.heard(&caller.sid).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn a_machine_does_not_get_the_call_where_that_was_asked_for() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world.carrier.phone(ANN, Phone::voicemail());
    let body = json!({"phone": ANN, "machine_detection": "hang_up", "brief": true});
    let answer = world.post(&caller.path("/takeover"), body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    assert_eq!(back(&mut caller).await, BackReason::Failed);
    assert_eq!(world.phone_is(&caller, "failed").await["why"], "machine");
    let second = world.call_to(ANN).await.sid;
    let record = soon(world.carrier.ended(&second)).await;
    assert_eq!(record.answered_by, Some("machine_start"));
    assert_eq!(record.streams().count(), 0);
    assert_eq!(said(&record), "", "it learns nothing of the call");
    assert!(caller.call.state().borrow().people.is_empty());

    // A person is found to be one, and comes.
    world.carrier.phone(ANN, humming(PERSON));
    let body = json!({"phone": ANN, "machine_detection": "hang_up"});
    let answer = world.post(&caller.path("/takeover"), body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    caller.ear.hears(PERSON).await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_is_called_hears_first_what_the_call_is_about() {
    let world = World::new().await;
    let caller = world.call().await;
    world
        .agent_says(&caller, "Your refund is on its way.")
        .await;
    world.carrier.phone(ANN, humming(PERSON));
    let body = json!({"phone": ANN, "brief": true});
    let answer = world.post(&caller.path("/takeover"), body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
    caller.ear.hears(PERSON).await;
    let record = world.call_to(ANN).await;
    assert_eq!(said(&record), format!("There is a call for you. {SUMMARY}"));
    world.server.stop().await;
}
