//! A call is taken over in a page, and handed back.

use sidetone_core::{event::BackReason, handoff::HandoffState};
use sidetone_server::store::Role;

use super::page::{
    ADA_HUMS, AGENT, CAROL_HUMS, DAVE_HUMS, OTTO_HUMS, Page, REFUSED, STATUS, Seat, taken_over,
    world,
};
use crate::{
    tones::SILENT,
    world::{CAROL, DAVE, OURS, back, humming, loudest},
};

#[tokio::test]
async fn a_person_takes_a_call_over_speaks_and_hands_it_back() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let dave = world.call_from(DAVE, humming(DAVE_HUMS)).await;
    carol.ear.hears(AGENT).await;
    let otto = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Take over").await;
    otto.says(STATUS, "You are speaking in place of the agent.")
        .await;
    otto.is_pressed("Take over", true).await;
    carol.ear.hears(OTTO_HUMS).await;
    carol.ear.hears_no(AGENT).await;
    otto.hears(CAROL_HUMS).await;
    let cancels = otto.runs("() => asked.audio.echoCancellation").await;
    assert_eq!(cancels, true, "the loudspeaker is not heard");
    otto.moves("Your level").await;
    otto.moves("The call's level").await;
    assert!(
        otto.is_deaf_to(OTTO_HUMS).await,
        "Otto does not hear himself"
    );
    assert!(otto.is_deaf_to(DAVE_HUMS).await);

    otto.clicks("Hand back").await;
    otto.is_pressed("Take over", false).await;
    carol.is(|state| state.handoff == HandoffState::Agent).await;
    carol.ear.hears(AGENT).await;
    carol.ear.hears_no(OTTO_HUMS).await;
    otto.says(STATUS, "You are listening.").await;
    otto.hears(AGENT).await;

    otto.clicks("Leave").await;
    otto.says(STATUS, "You are off the call").await;
    carol.is(|state| state.people.is_empty()).await;
    // The other call never knew of it.
    dave.ear.hears(AGENT).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn two_people_speak_in_two_calls_and_neither_hears_of_the_other() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let dave = world.call_from(DAVE, humming(DAVE_HUMS)).await;
    let otto = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    let token = world.token("Ada", Role::Operator).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &token).await;
    otto.goes_to(&carol).await;
    ada.goes_to(&dave).await;
    otto.clicks("Take over").await;
    ada.clicks("Take over").await;
    carol.ear.hears(OTTO_HUMS).await;
    dave.ear.hears(ADA_HUMS).await;
    otto.hears(CAROL_HUMS).await;
    ada.hears(DAVE_HUMS).await;
    otto.clicks("Hand back").await;
    carol.ear.hears(AGENT).await;
    // The other call goes on as it was.
    dave.ear.hears(ADA_HUMS).await;
    ada.says(STATUS, "You are speaking in place of the agent.")
        .await;
    let heard = world.heard(&carol.sid).await;
    assert!(loudest(&heard, ADA_HUMS) < SILENT);
    let heard = world.heard(&dave.sid).await;
    assert!(loudest(&heard, OTTO_HUMS) < SILENT);
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_second_takeover_is_refused_with_a_reason() {
    let Some(world) = world().await else { return };
    let (carol, otto) = taken_over(&world).await;
    let token = world.token("Ada", Role::Operator).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &token).await;
    ada.goes_to(&carol).await;
    let why = "Otto has taken the call over, and their rank is not lower";
    ada.clicks("Take over").await;
    ada.says(REFUSED, why).await;
    ada.says(STATUS, "You are not on this call.").await;
    // From within the call it is no different.
    ada.clicks("Listen").await;
    ada.hears(OTTO_HUMS).await;
    ada.clicks("Take over").await;
    ada.says(REFUSED, why).await;
    ada.says(STATUS, "You are listening.").await;
    ada.is_pressed("Take over", false).await;
    carol.ear.hears(OTTO_HUMS).await;
    let heard = world.heard(&carol.sid).await;
    assert!(loudest(&heard, ADA_HUMS) < SILENT);
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn an_admin_takes_a_call_over_from_an_operator_who_is_told() {
    let Some(world) = world().await else { return };
    let (carol, otto) = taken_over(&world).await;
    let token = world.token("Ada", Role::Admin).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &token).await;
    ada.goes_to(&carol).await;
    ada.clicks("Take over").await;
    carol.ear.hears(ADA_HUMS).await;
    carol.ear.hears_no(OTTO_HUMS).await;
    otto.says(STATUS, "You are listening.").await;
    otto.is_pressed("Take over", false).await;
    otto.hears(ADA_HUMS).await;
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_is_taken_off_the_call_from_another_page_is_told_and_can_come_back() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    let token = world.token("Ada", Role::Operator).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &token).await;
    ada.goes_to(&carol).await;
    ada.clicks("Remove Otto from the call").await;
    assert_eq!(back(&mut carol).await, BackReason::Left);
    otto.says(STATUS, "an operator has taken you off the call")
        .await;
    carol.ear.hears(AGENT).await;
    carol.ear.hears_no(OTTO_HUMS).await;
    otto.clicks("Take over").await;
    carol.ear.hears(OTTO_HUMS).await;
    // Who is at this page leaves by themselves.
    otto.sees("Otto (you): speaking in place of the agent")
        .await;
    otto.sees_no("[aria-label='Remove Otto from the call']:not([hidden])")
        .await;
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_looks_at_another_page_stays_on_the_call_until_signing_out() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    otto.goes_to_page("history").await;
    otto.sees_heading("History").await;
    carol.ear.hears(OTTO_HUMS).await;
    otto.hears(CAROL_HUMS).await;
    otto.clicks_link("Live").await;
    otto.clicks_link(&format!("{CAROL} → {OURS}")).await;
    otto.says(STATUS, "You are speaking in place of the agent.")
        .await;
    otto.clicks("Sign out").await;
    assert_eq!(back(&mut carol).await, BackReason::Left);
    carol.ear.hears(AGENT).await;
    carol.is(|state| state.people.is_empty()).await;
    otto.ends_well().await;
    world.server.stop().await;
}
