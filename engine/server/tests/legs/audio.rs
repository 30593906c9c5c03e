//! Who hears whom.

use serde_json::json;
use sidetone_core::{event::CallEvent, handoff::HandoffState, person::Mode};

use crate::{
    browser::{Browser, Socket},
    tones::{CALLER, OTHER, PERSON, SILENT},
    world::World,
};

async fn takes_over_and_hands_back(audio: &str) {
    let world = World::new().await;
    let caller = world.call().await;
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let mut browser = Browser::join(socket, "takeover", audio, PERSON).await;
    caller.ear.hears(PERSON).await;
    browser.ear.hears(CALLER).await;
    assert!(
        browser.ear.level(PERSON).unwrap() < SILENT,
        "never themselves"
    );
    let state = caller.call.state().borrow().clone();
    assert!(
        matches!(
            state.handoff,
            HandoffState::Bridged {
                mode: Mode::Takeover,
                ..
            }
        ),
        "{state:?}"
    );
    assert_eq!(state.people[0].name, "Otto", "called as the token is");

    browser
        .say(json!({"type": "mode", "mode": "monitor"}))
        .await;
    assert_eq!(
        browser.told().await,
        json!({"type": "mode", "mode": "monitor"})
    );
    caller
        .is(|state| state.handoff == HandoffState::Agent)
        .await;
    browser.ear.hears(CALLER).await;

    browser.say(json!({"type": "leave"})).await;
    let closed = browser.told().await;
    assert_eq!(closed["type"], "closed");
    caller.is(|state| state.people.is_empty()).await;
    let details = world
        .audited(&caller.call, &["call.takeover", "call.listen"])
        .await;
    assert_eq!(
        details[0],
        json!({"person": 1, "mode": "takeover", "how": "joined"})
    );
    assert_eq!(
        details[1],
        json!({"person": 1, "mode": "monitor", "how": "changed"})
    );
    world.server.stop().await;
}

#[tokio::test]
async fn a_person_takes_over_in_opus_and_hands_back() {
    takes_over_and_hands_back("opus").await;
}

#[tokio::test]
async fn a_person_takes_over_in_pcm_and_hands_back() {
    takes_over_and_hands_back("pcm").await;
}

#[tokio::test]
async fn two_people_and_the_caller_hear_each_other() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/leg");
    let socket = Socket::with_token(world.addr, &path, world.operator.expose()).await;
    let otto = Browser::join(socket, "barge", "opus", PERSON).await;
    let socket = Socket::with_token(world.addr, &path, world.admin.expose()).await;
    let ada = Browser::join(socket, "barge", "pcm", OTHER).await;
    caller.ear.hears(PERSON).await;
    caller.ear.hears(OTHER).await;
    otto.ear.hears(CALLER).await;
    otto.ear.hears(OTHER).await;
    ada.ear.hears(CALLER).await;
    ada.ear.hears(PERSON).await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_listens_is_not_heard() {
    let world = World::new().await;
    let caller = world.call().await;
    let socket = Socket::with_token(world.addr, &caller.path("/leg"), world.viewer.expose()).await;
    let browser = Browser::join(socket, "monitor", "opus", PERSON).await;
    browser.ear.hears(CALLER).await;
    // Somebody else whom the caller hears, so that there is something to hear.
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let _other = Browser::join(socket, "barge", "pcm", OTHER).await;
    caller.ear.hears(OTHER).await;
    assert!(caller.ear.level(PERSON).unwrap() < SILENT);
    browser.ear.hears(OTHER).await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_browser_that_vanishes_gives_the_call_back() {
    let world = World::new().await;
    let caller = world.call().await;
    let mut events = caller.call.events();
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let browser = Browser::join(socket, "takeover", "opus", PERSON).await;
    caller.ear.hears(PERSON).await;
    browser.vanishes();
    let back = crate::world::event(&mut events, |event| match event {
        CallEvent::Handoff {
            state: HandoffState::Agent,
            back,
        } => Some(*back),
        _ => None,
    })
    .await;
    assert!(back.is_some());
    caller.is(|state| state.people.is_empty()).await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_browser_of_which_nothing_comes_is_taken_off_the_call() {
    let world = World::new().await;
    let caller = world.call().await;
    let mut socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    socket.say(crate::browser::join("monitor", "pcm")).await;
    caller.is(|state| state.people.len() == 1).await;
    // The socket stands, but nobody reads it, so nothing answers either.
    caller.is(|state| state.people.is_empty()).await;
    drop(socket);
    world.server.stop().await;
}
