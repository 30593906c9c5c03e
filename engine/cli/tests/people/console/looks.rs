//! Whether the pages can be used by everybody: without a mouse, on a telephone's screen, with a screen reader, in
//! the dark. Pictures of them all are left in `target/console/pages`.

use serde_json::json;
use sidetone_core::handoff::HandoffState;
use sidetone_server::store::Role;

use super::page::{AGENT, CAROL_HUMS, OTTO_HUMS, Page, STATUS, Seat, talkative, world_with};
use crate::world::{ANN, CAROL, Caller, DAVE, World, humming, soon};

/// Goes to every page of the console, on a call and off it, and looks at each.
async fn tours(scheme: &'static str, width: u32) {
    let kept = |config: &mut sidetone_server::Config| config.recording.enabled = true;
    let Some(world) = world_with(talkative(), kept).await else {
        return;
    };
    let seat = Seat {
        width,
        scheme,
        ..Seat::humming(OTTO_HUMS)
    };
    let tour = Tour {
        page: Page::open(&world, &seat).await,
        name: format!("{width}-{scheme}"),
    };
    tour.page.sees_heading("Sign in").await;
    tour.looks_at("sign-in").await;
    let ada = world.token("Ada", Role::Admin).await;
    tour.page.signs_in(ada.expose()).await;
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let _dave = world.call_from(DAVE, humming(CAROL_HUMS)).await;
    tour.page.sees("2 calls").await;
    tour.looks_at("live").await;
    tour.of_a_call(&world, &carol).await;
    tour.page.goes_to_page("history").await;
    tour.page.sees_heading("History").await;
    tour.page.sees("2 calls").await;
    tour.looks_at("history").await;
    tour.page.goes_to_page("figures").await;
    tour.page.sees("Live now").await;
    tour.looks_at("figures").await;
    tour.page.ends_well().await;
    world.server.stop().await;
}

struct Tour {
    page: Page,
    name: String,
}

impl Tour {
    async fn of_a_call(&self, world: &World, carol: &Caller) {
        let page = &self.page;
        page.goes_to(carol).await;
        // All that may be there is to be seen.
        world.carrier.phone(ANN, humming(CAROL_HUMS));
        let ann = json!({"phone": ANN, "name": "Ann", "mode": "monitor"});
        let answer = world.post(&carol.path("/takeover"), ann).await;
        assert_eq!(answer.status, 202, "{answer:?}");
        page.sees("Ann: listening").await;
        page.chooses("How", "warm").await;
        page.clicks("Take over").await;
        carol.ear.hears(OTTO_HUMS).await;
        page.says(".transcript", "speaking in place of the agent")
            .await;
        self.looks_at("call").await;
        page.clicks("Hand back").await;
        carol.ear.hears(AGENT).await;
        world.heard(&carol.sid).await;
        page.sees("Takeovers").await;
        page.says(".transcript", "it was handed back").await;
        self.plays_all_of(world, carol).await;
        self.looks_at("past-call").await;
    }

    /// The recording is as long in the page as it is in the end.
    async fn plays_all_of(&self, world: &World, carol: &Caller) {
        let recorded = soon(async {
            loop {
                let call = world.get(&carol.path("")).await.body;
                match call["recording"]["bytes"].as_f64() {
                    // Stereo, 16 bits, at the phone's rate.
                    Some(bytes) if bytes > 0.0 => break bytes / (4.0 * 8_000.0),
                    _ => tokio::task::yield_now().await,
                }
            }
        });
        let recorded = recorded.await;
        let played = self
            .page
            .runs(
                "() => new Promise((known) => {
                    const audio = document.querySelector('audio');
                    if (audio.readyState > 0) known(audio.duration);
                    else audio.addEventListener('loadedmetadata', () => known(audio.duration));
                })",
            )
            .await;
        let played = played.as_f64().unwrap();
        assert!(
            (played - recorded).abs() < 0.1,
            "{played} s of {recorded} s"
        );
    }

    async fn looks_at(&self, what: &str) {
        let name = format!("{what}-{}", self.name);
        self.page.picture(&name).await;
        self.page.fits(&name).await;
        let found = self.page.axe_finds().await;
        assert!(found.is_empty(), "{name}: {found:#?}");
    }
}

#[tokio::test]
async fn every_page_is_usable_by_everybody() {
    tours("light", 1_280).await;
}

#[tokio::test]
async fn every_page_is_usable_by_everybody_in_the_dark() {
    tours("dark", 1_280).await;
}

#[tokio::test]
async fn every_page_is_usable_by_everybody_on_a_narrow_screen() {
    tours("light", 380).await;
}

#[tokio::test]
async fn every_page_is_usable_by_everybody_on_a_narrow_screen_in_the_dark() {
    tours("dark", 380).await;
}

#[tokio::test]
async fn a_call_is_taken_over_and_handed_back_by_keys_alone() {
    let Some(world) = world_with(talkative(), |_| {}).await else {
        return;
    };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let page = Page::open(&world, &Seat::humming(OTTO_HUMS)).await;
    page.sees_heading("Sign in").await;
    assert_eq!(page.focused().await, "Token");
    page.types(world.operator.expose()).await;
    page.presses(&["Enter"]).await;
    page.sees("1 call").await;
    page.tabs_to(CAROL).await;
    page.presses(&["Enter"]).await;
    page.says(STATUS, "You are not on this call.").await;
    page.tabs_to("Take over").await;
    page.presses(&["Space"]).await;
    carol.ear.hears(OTTO_HUMS).await;
    page.says(STATUS, "You are speaking in place of the agent.")
        .await;
    page.tabs_to("Hand back").await;
    page.presses(&["Enter"]).await;
    carol.is(|state| state.handoff == HandoffState::Agent).await;
    carol.ear.hears(AGENT).await;
    page.ends_well().await;
    world.server.stop().await;
}
