//! Calls are given away, and come back where nobody takes them.

use serde_json::{Value, json};
use sidetone_cli::carrier::{CallRecord, Fault, Phone, Status, Step};
use sidetone_core::event::{BackReason, CallEvent};

use crate::world::{ANN, Caller, SUMMARY, World, back, is_summing_up, said, soon};

fn conference_of(record: &CallRecord) -> Option<String> {
    record.steps.iter().find_map(|step| match step {
        Step::Conference(name) => Some(name.clone()),
        _ => None,
    })
}

async fn transfer(world: &World, caller: &Caller, body: Value) {
    let answer = world.post(&caller.path("/transfer"), body).await;
    assert_eq!(answer.status, 202, "{answer:?}");
}

#[tokio::test]
async fn a_call_goes_to_somebody_who_takes_it() {
    let world = World::new().await;
    let caller = world.call().await;
    world.carrier.phone(ANN, Phone::answers());
    transfer(&world, &caller, json!({"to": {"number": ANN}})).await;
    soon(caller.call.ended()).await;
    let second = world.call_to(ANN).await.sid;
    let is_bridged = |call: &CallRecord| call.steps.iter().any(|s| matches!(s, Step::Bridged));
    soon(world.carrier.until_call(&second, is_bridged)).await;
    assert!(world.carrier.hang_up(&second));
    let record = soon(world.carrier.ended(&caller.sid)).await;
    assert_eq!(record.status, Status::Completed);
    assert_eq!(record.streams().count(), 1, "it is not the agent's again");
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_that_nobody_takes_comes_back_to_the_agent_which_says_so() {
    let world = World::new().await;
    let caller = world.call().await;
    let first = caller.call.id().to_string();
    let mut events = world.engine.events();
    world.carrier.phone(ANN, Phone::busy());
    transfer(
        &world,
        &caller,
        json!({"to": {"number": ANN}, "mode": "cold"}),
    )
    .await;
    let (id, heard) = soon(async {
        loop {
            let record = events.recv().await.unwrap().unwrap();
            if let CallEvent::AgentFinished { heard, .. } = &record.event {
                break (record.call_id.to_string(), heard.clone());
            }
        }
    })
    .await;
    assert_ne!(id, first);
    assert!(heard.contains("nobody can take your call"), "{heard}");
    let view = world.get(&format!("/api/calls/{id}")).await;
    assert_eq!(view.body["state"], "live", "{view:?}");
    assert_eq!(view.body["metadata"]["continues"], first);
    assert_eq!(view.body["metadata"]["transfer"], "busy");
    assert_eq!(view.body["provider_call_id"], caller.sid);
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_goes_to_a_conference_or_a_queue() {
    let world = World::new().await;
    for to in ["conference", "queue"] {
        let caller = world.call().await;
        transfer(&world, &caller, json!({"to": {to: "support 1"}})).await;
        soon(caller.call.ended()).await;
        let is_there = |call: &CallRecord| {
            call.steps.iter().any(|step| match step {
                Step::Conference(name) => to == "conference" && name == "support 1",
                Step::Enqueued(name) => to == "queue" && name == "support 1",
                _ => false,
            })
        };
        soon(world.carrier.until_call(&caller.sid, is_there)).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn who_accepts_a_call_by_a_key_meets_the_caller() {
    let world = World::new().await;
    let caller = world.call().await;
    world.carrier.phone(ANN, Phone::answers().keys(['1']));
    let body = json!({"to": {"number": ANN}, "mode": "warm", "summary": "A refund & more"});
    transfer(&world, &caller, body).await;
    let is_there = |call: &CallRecord| conference_of(call).is_some();
    let second = world.call_to(ANN).await.sid;
    let second = soon(world.carrier.until_call(&second, is_there)).await;
    assert!(
        said(&second).contains("A refund & more"),
        "{:?}",
        second.steps
    );
    assert!(said(&second).contains("Press 1"), "{:?}", second.steps);
    let first = soon(world.carrier.until_call(&caller.sid, is_there)).await;
    assert_eq!(conference_of(&first), conference_of(&second));
    soon(caller.call.ended()).await;
    world.server.stop().await;
}

#[tokio::test]
async fn without_a_summary_the_language_model_sums_the_call_up() {
    let world = World::new().await;
    let caller = world.call().await;
    world
        .agent_says(&caller, "Your refund is on its way.")
        .await;
    world.carrier.phone(ANN, Phone::answers().keys(['1']));
    let body = json!({"to": {"number": ANN}, "mode": "warm"});
    transfer(&world, &caller, body).await;
    soon(caller.call.ended()).await;
    let second = world.call_to(ANN).await;
    let expected = format!("There is a call for you. {SUMMARY} Press 1 to take the call.");
    assert_eq!(said(&second), expected);
    let asked = world.llm.jobs();
    let asked = asked.iter().find(|job| is_summing_up(job)).unwrap();
    assert!(
        asked.messages[1]
            .text
            .contains("Your refund is on its way.")
    );
    world.server.stop().await;
}

#[tokio::test]
async fn a_machine_is_not_told_what_a_call_is_about() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world.carrier.phone(ANN, Phone::voicemail());
    let body = json!({"to": {"number": ANN}, "mode": "warm", "machine_detection": "hang_up"});
    transfer(&world, &caller, body).await;
    assert_eq!(back(&mut caller).await, BackReason::Failed);
    assert_eq!(world.phone_is(&caller, "failed").await["why"], "machine");
    let second = world.call_to(ANN).await.sid;
    assert_eq!(said(&soon(world.carrier.ended(&second)).await), "");
    world.server.stop().await;
}

#[tokio::test]
async fn who_does_not_accept_a_call_leaves_it_with_the_agent() {
    let world = World::new().await;
    for (phone, why) in [
        (Phone::answers().keys(['2']), "hung-up"),
        (Phone::busy(), "busy"),
    ] {
        let mut caller = world.call().await;
        world.carrier.phone(ANN, phone);
        transfer(
            &world,
            &caller,
            json!({"to": {"number": ANN}, "mode": "warm"}),
        )
        .await;
        assert_eq!(back(&mut caller).await, BackReason::Failed);
        assert_eq!(world.phone_is(&caller, "failed").await["why"], why);
        assert!(!caller.call.state().borrow().ended);
        world.heard(&caller.sid).await;
    }
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_that_cannot_be_put_through_stays_with_the_agent() {
    let world = World::new().await;
    let mut caller = world.call().await;
    world.carrier.phone(ANN, Phone::answers());
    transfer(
        &world,
        &caller,
        json!({"to": {"number": ANN}, "mode": "warm"}),
    )
    .await;
    let second = world.call_to(ANN).await.sid;
    let asked = |call: &CallRecord| call.status == Status::InProgress;
    soon(world.carrier.until_call(&second, asked)).await;
    world.carrier.fault(Fault::Refuses { status: 503 }, 1);
    soon(async {
        while !world.carrier.press(&second, '1') {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(back(&mut caller).await, BackReason::Failed);
    soon(world.carrier.ended(&second)).await;
    assert!(!caller.call.state().borrow().ended);
    world.server.stop().await;
}

#[tokio::test]
async fn twilio_down_leaves_a_call_where_it_is() {
    let world = World::new().await;
    let caller = world.call().await;
    world.carrier.fault(Fault::Refuses { status: 500 }, 1);
    let path = caller.path("/transfer");
    let answer = world.post(&path, json!({"to": {"queue": "support"}})).await;
    assert_eq!(answer.status, 502, "{answer:?}");
    assert!(!caller.call.state().borrow().ended);
    let answer = world.post(&path, json!({"to": {}})).await;
    assert_eq!(answer.status, 400, "{answer:?}");
    world.server.stop().await;
}
