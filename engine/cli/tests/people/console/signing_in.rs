//! Who comes in, and what they may do.

use sidetone_cli::carrier::Phone;
use sidetone_server::store::Role;

use super::page::{OTTO_HUMS, Page, Seat, world};
use crate::world::{CAROL, DAVE};

#[tokio::test]
async fn a_token_signs_in_and_a_wrong_one_is_said_to_be_wrong() {
    let Some(world) = world().await else { return };
    world.call_from(CAROL, Phone::answers()).await;
    world.call_from(DAVE, Phone::answers()).await;
    let page = Page::open(&world, &Seat::humming(OTTO_HUMS)).await;
    page.signs_in("sdt_wrong").await;
    page.sees("This token is not known, or was revoked.").await;
    page.signs_in(world.operator.expose()).await;
    page.sees_heading("Live calls").await;
    page.sees("Otto (operator)").await;
    page.sees("2 calls").await;
    page.sees(CAROL).await;
    page.sees(DAVE).await;
    page.clicks("Sign out").await;
    page.sees_heading("Sign in").await;
    page.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_viewer_listens_and_does_nothing_else() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, Phone::answers()).await;
    let vera = world.token("Vera", Role::Viewer).await;
    let page = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &vera).await;
    page.goes_to(&carol).await;
    let speaking = "[data-mode]:not([data-mode=monitor]), [data-act=hand-back], form, textarea";
    assert_eq!(
        page.count(speaking).await,
        0,
        "nothing to speak or act with"
    );
    assert_eq!(page.count("[data-mode]").await, 1);
    page.clicks("Listen").await;
    page.hears(super::page::AGENT).await;
    page.ends_well().await;
    world.server.stop().await;
}
