//! Somebody is called to the phone from a page, and calls are given away.

use std::time::Duration;

use sidetone_cli::carrier::{CallRecord, Fault, Phone, Step};
use sidetone_core::{event::BackReason, handoff::HandoffState};

use super::page::{AGENT, Page, at_the_page, talkative, world, world_with};
use crate::{
    tones::PERSON,
    world::{ANN, back, humming, said, soon},
};

/// What the page says of whoever is called, and of a transfer.
const PHONE: &str = ".phone-progress";
const TRANSFER: &str = ".transfer-progress";
/// What was refused, where it was asked for.
const PHONE_REFUSED: &str = "form:has(.phone-progress) [role=alert]";
const TRANSFER_REFUSED: &str = "form:has(.transfer-progress) [role=alert]";

impl Page {
    async fn calls(&self, number: &str) {
        self.fills("Phone number", number).await;
        self.fills("Their name", "Ann").await;
        self.clicks("Call the phone").await;
    }

    async fn transfers(&self, how: &str) {
        self.fills("Number", ANN).await;
        self.chooses("How", how).await;
        self.clicks("Transfer").await;
    }
}

fn is_in_conference(call: &CallRecord) -> bool {
    let mut steps = call.steps.iter();
    steps.any(|step| matches!(step, Step::Conference(_)))
}

#[tokio::test]
async fn somebody_is_called_to_the_phone_and_handed_back_from_the_page() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = at_the_page(&world).await;
    world.carrier.phone(ANN, humming(PERSON));
    otto.calls(ANN).await;
    otto.says(PHONE, "Ann is on the call.").await;
    carol.ear.hears(PERSON).await;
    carol.ear.hears_no(AGENT).await;
    otto.sees("Ann: speaking in place of the agent").await;
    otto.clicks("Hand back").await;
    assert_eq!(back(&mut carol).await, BackReason::HandedBack);
    carol.ear.hears(AGENT).await;
    carol.ear.hears_no(PERSON).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn somebody_on_the_phone_is_taken_off_the_call_from_the_page() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = at_the_page(&world).await;
    world.carrier.phone(ANN, humming(PERSON));
    otto.calls(ANN).await;
    carol.ear.hears(PERSON).await;
    otto.clicks("Remove Ann from the call").await;
    assert_eq!(back(&mut carol).await, BackReason::Left);
    carol.ear.hears(AGENT).await;
    carol.ear.hears_no(PERSON).await;
    otto.says(".transcript", "Ann was taken off the call.")
        .await;
    otto.says(PHONE, "Ann was on the call and has left.").await;
    let second = world.call_to(ANN).await.sid;
    soon(world.carrier.ended(&second)).await;
    // They can be called again.
    otto.clicks("Call the phone").await;
    carol.ear.hears(PERSON).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn why_somebody_does_not_come_is_said_in_the_page() {
    let Some(world) = world().await else { return };
    let (carol, otto) = at_the_page(&world).await;
    for (phone, why) in [
        (Phone::busy(), "Ann does not come: the line is busy."),
        (Phone::fails(), "the number cannot be reached"),
    ] {
        world.carrier.phone(ANN, phone);
        otto.calls(ANN).await;
        otto.says(PHONE, why).await;
    }
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    otto.calls(ANN).await;
    otto.says(PHONE, "Ann’s phone rings.").await;
    otto.clicks("Stop calling").await;
    otto.says(PHONE, "Ann does not come: it was called off.")
        .await;
    carol.is(|state| state.handoff == HandoffState::Agent).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_machine_gets_nothing_and_a_person_is_told_what_it_is_about() {
    let Some(world) = world().await else { return };
    let (carol, otto) = at_the_page(&world).await;
    let of_transfer = "form:has(.transfer-progress) [name=machine_detection]";
    otto.sees_no(of_transfer).await;
    otto.ticks("form:has(.phone-progress) [name=machine_detection]")
        .await;
    world.carrier.phone(ANN, Phone::voicemail());
    otto.calls(ANN).await;
    otto.says(PHONE, "Ann does not come: a machine answered.")
        .await;
    otto.chooses("How", "warm").await;
    otto.ticks(of_transfer).await;
    otto.transfers("warm").await;
    otto.says(TRANSFER, "a machine answered").await;
    assert_eq!(said(&world.call_to(ANN).await), "");
    world.carrier.phone(ANN, humming(PERSON));
    otto.ticks("[name=brief]").await;
    otto.clicks("Call the phone").await;
    carol.ear.hears(PERSON).await;
    let record = world.call_to(ANN).await;
    assert_eq!(record.answered_by, Some("human"));
    let heard = said(&record);
    assert!(heard.starts_with("There is a call for you."), "{heard}");
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn twilio_down_or_slow_is_said_in_the_page_and_the_agent_has_the_call() {
    let Some(world) = world_with(talkative(), |config| {
        config.twilio.request_timeout_ms = 1_000;
    })
    .await
    else {
        return;
    };
    let (carol, otto) = at_the_page(&world).await;
    otto.calls("not a number").await;
    otto.says(PHONE_REFUSED, "“Phone number”").await;
    for (fault, why) in [
        (Fault::Refuses { status: 503 }, "Twilio"),
        (Fault::Late(Duration::from_secs(30)), "Twilio"),
    ] {
        world.carrier.fault(fault, 1);
        otto.calls(ANN).await;
        otto.says(PHONE_REFUSED, why).await;
        otto.says(PHONE, "Ann does not come").await;
        otto.can_click("Call the phone", true).await;
    }
    world.carrier.fault(Fault::Refuses { status: 503 }, 1);
    otto.transfers("cold").await;
    otto.says(TRANSFER_REFUSED, "Twilio").await;
    carol.is(|state| state.handoff == HandoffState::Agent).await;
    carol.ear.hears(AGENT).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_is_given_away_at_once() {
    let Some(world) = world().await else { return };
    let (carol, otto) = at_the_page(&world).await;
    world.carrier.phone(ANN, Phone::answers());
    otto.transfers("cold").await;
    let second = world.call_to(ANN).await.sid;
    let is_bridged = |call: &CallRecord| call.steps.iter().any(|s| matches!(s, Step::Bridged));
    soon(world.carrier.until_call(&second, is_bridged)).await;
    soon(carol.call.ended()).await;
    otto.sees("Takeovers").await;
    assert_eq!(otto.count("[data-mode]").await, 0, "nothing is left to do");
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_that_nobody_takes_is_found_again_from_its_page() {
    let Some(world) = world().await else { return };
    let (_, otto) = at_the_page(&world).await;
    world.carrier.phone(ANN, Phone::busy());
    otto.transfers("cold").await;
    otto.clicks_link("Go to the call").await;
    otto.can_click("Take over", true).await;
    otto.clicks("Listen").await;
    otto.hears(AGENT).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_call_is_given_to_somebody_who_has_heard_what_it_is_about() {
    let Some(world) = world().await else { return };
    let (carol, otto) = at_the_page(&world).await;
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_millis(100)));
    otto.chooses("How", "warm").await;
    otto.fills("What they are told", "A refund & more").await;
    otto.transfers("warm").await;
    let second = world.call_to(ANN).await.sid;
    let is_told = |call: &CallRecord| {
        let mut steps = call.steps.iter();
        steps.any(|step| matches!(step, Step::Said(words) if words.contains("A refund & more")))
    };
    soon(world.carrier.until_call(&second, is_told)).await;
    // Until they accept, the agent keeps the caller company.
    assert!(!carol.call.state().borrow().ended);
    soon(async {
        while !world.carrier.press(&second, '1') {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(world.carrier.until_call(&second, is_in_conference)).await;
    soon(world.carrier.until_call(&carol.sid, is_in_conference)).await;
    otto.sees("Takeovers").await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_does_not_accept_a_call_leaves_it_with_the_agent() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = at_the_page(&world).await;
    world.carrier.phone(ANN, Phone::answers().keys(['2']));
    otto.transfers("warm").await;
    otto.says(TRANSFER, "they answered, and did not take the call")
        .await;
    assert_eq!(back(&mut carol).await, BackReason::Failed);
    carol.ear.hears(AGENT).await;
    otto.can_click("Transfer", true).await;
    otto.ends_well().await;
    world.server.stop().await;
}
