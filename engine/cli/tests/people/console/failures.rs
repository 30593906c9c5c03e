//! What goes wrong in the middle of a call, and what the page says of it.

use sidetone_core::{event::BackReason, handoff::HandoffState};

use super::page::{
    AGENT, CAROL_HUMS, OTTO_HUMS, Page, STATUS, Seat, at_the_page, taken_over, talkative, world,
    world_with,
};
use crate::world::{CAROL, Caller, DAVE, back, humming};

/// The agent has the call again, and speaks.
async fn is_the_agents(carol: &mut Caller, why: &[BackReason]) {
    let reason = back(carol).await;
    assert!(why.contains(&reason), "{reason:?}");
    carol.ear.hears(AGENT).await;
    carol.ear.hears_no(OTTO_HUMS).await;
    carol.is(|state| state.people.is_empty()).await;
}

#[tokio::test]
async fn a_page_that_is_closed_gives_the_call_back() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    otto.closes().await;
    is_the_agents(&mut carol, &[BackReason::Left]).await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_page_that_crashes_gives_the_call_back() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    otto.crashes().await;
    is_the_agents(&mut carol, &[BackReason::Left]).await;
    otto.closes().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_page_that_sends_no_audio_any_more_loses_the_call_and_says_so() {
    let Some(world) = world_with(talkative(), |config| config.handoff.stall_ms = 10_000).await
    else {
        return;
    };
    let (mut carol, otto) = taken_over(&world).await;
    otto.runs("() => { WebSocket.prototype.send = () => {}; }")
        .await;
    is_the_agents(&mut carol, &[BackReason::Stalled]).await;
    otto.says(STATUS, "no audio came from this browser any more")
        .await;
    otto.can_click("Take over", true).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_microphone_that_is_refused_leaves_the_call_as_it_is() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let deaf = Seat {
        allowed: false,
        ..Seat::humming(OTTO_HUMS)
    };
    let otto = Page::signed_in(&world, &deaf, &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Take over").await;
    otto.sees("The browser does not allow this page to use the microphone")
        .await;
    otto.says(STATUS, "You are not on this call.").await;
    assert_eq!(carol.call.state().borrow().handoff, HandoffState::Agent);
    // To listen takes none.
    otto.clicks("Listen").await;
    otto.hears(AGENT).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn without_a_microphone_one_can_listen() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let none = Seat {
        microphone: serde_json::Value::Null,
        ..Seat::humming(OTTO_HUMS)
    };
    let otto = Page::signed_in(&world, &none, &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Join in").await;
    otto.sees("There is no microphone.").await;
    otto.clicks("Listen").await;
    otto.hears(CAROL_HUMS).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_call_in_the_page() {
    let Some(world) = world().await else { return };
    let (carol, otto) = taken_over(&world).await;
    world.heard(&carol.sid).await;
    otto.sees("The call is over: caller hung up.").await;
    otto.sees("Takeovers").await;
    assert_eq!(otto.count("[data-mode]").await, 0, "nothing is left to do");
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_token_that_is_revoked_ends_the_leg_and_the_session() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    let store = world.server.state().archive().unwrap().store();
    assert!(store.revoke_token(&world.operator.token.id).await.unwrap());
    is_the_agents(&mut carol, &[BackReason::Left]).await;
    otto.sees("The session is over: sign in again").await;
    otto.sees_heading("Sign in").await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_session_that_is_over_ends_the_leg_and_is_signed_in_again() {
    let Some(world) = world().await else { return };
    let (mut carol, otto) = taken_over(&world).await;
    otto.forgets_the_session().await;
    otto.sees("The session is over: sign in again").await;
    is_the_agents(&mut carol, &[BackReason::Left]).await;
    otto.signs_in(world.operator.expose()).await;
    // Where they were.
    otto.says(STATUS, "You are not on this call.").await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_page_that_gets_no_stream_says_why_and_goes_on_once_there_is_room() {
    let Some(world) = world().await else { return };
    let mut streams = Vec::new();
    for _ in 0..128 {
        streams.push(world.watches("/api/events").await);
    }
    let (_carol, otto) = at_the_page(&world).await;
    otto.sees("is not shown as it happens. 128 event streams are open with this token")
        .await;
    drop(streams);
    otto.says(".transcript", "Thank you for calling us today.")
        .await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_server_that_stops_and_comes_back_is_found_again() {
    let Some(world) = world().await else { return };
    let (_, otto) = taken_over(&world).await;
    let live = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    live.sees("1 call").await;
    let world = world
        .restarted(async || {
            live.sees("The server cannot be reached.").await;
            otto.sees("The server cannot be reached.").await;
        })
        .await;
    // The call's end may have come to the page before the server was gone, or not.
    otto.sees("Takeovers").await;
    otto.sees("Otto is speaking in place of the agent.").await;
    live.sees("No calls right now.").await;
    world.call_from(DAVE, humming(CAROL_HUMS)).await;
    live.sees(DAVE).await;
    live.ends_well().await;
    otto.ends_well().await;
    world.server.stop().await;
}
