//! A call is taken over in a page, and handed back.

use sidetone_core::handoff::HandoffState;

use super::page::{AGENT, CAROL_HUMS, DAVE_HUMS, OTTO_HUMS, Page, STATUS, Seat, world};
use crate::world::{CAROL, DAVE, humming};

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
    otto.is_done().await;
    world.server.stop().await;
}
