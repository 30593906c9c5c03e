//! Who may do what, and what a leg is told.

use std::net::SocketAddr;

use serde_json::json;
use sidetone_core::{handoff::HandoffState, person::Mode};
use tokio_tungstenite::tungstenite::Message;

use crate::{
    browser::{Browser, Socket, join},
    support::exchange,
    tones::{CALLER, OTHER, PERSON},
    world::World,
};

/// Asks for something to be ended; the status of the answer.
async fn delete(addr: SocketAddr, path: &str, token: &str) -> u16 {
    let request = format!(
        "DELETE {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    exchange(addr, &request).await.status
}

#[tokio::test]
async fn a_viewer_may_listen_and_no_more() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/leg");
    let mut socket = Socket::with_token(world.addr, &path, world.viewer.expose()).await;
    socket.say(join("takeover", "opus")).await;
    let refused = socket.told().await;
    assert_eq!(refused["type"], "refused");
    assert!(
        refused["detail"].as_str().unwrap().contains("operator"),
        "{refused}"
    );
    assert_eq!(socket.told().await["type"], "closed");

    let socket = Socket::with_token(world.addr, &path, world.viewer.expose()).await;
    let mut browser = Browser::join(socket, "monitor", "opus", PERSON).await;
    browser.say(json!({"type": "mode", "mode": "barge"})).await;
    assert_eq!(browser.told().await["type"], "refused");
    let people = caller.call.state().borrow().people.clone();
    assert_eq!(people[0].mode, Mode::Monitor);
    browser.ear.hears(CALLER).await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_takeover_is_taken_over_by_a_higher_role_only() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/leg");
    let socket = Socket::with_token(world.addr, &path, world.operator.expose()).await;
    let mut otto = Browser::join(socket, "takeover", "opus", PERSON).await;

    let mut second = Socket::with_token(world.addr, &path, world.operator.expose()).await;
    second.say(join("takeover", "opus")).await;
    let refused = second.told().await;
    assert_eq!(refused["type"], "refused");
    let why = "Otto has taken the call over, and their rank is not lower";
    assert_eq!(refused["detail"], why);

    let socket = Socket::with_token(world.addr, &path, world.admin.expose()).await;
    let ada = Browser::join(socket, "takeover", "opus", OTHER).await;
    assert_eq!(
        otto.told().await,
        json!({"type": "mode", "mode": "monitor"})
    );
    caller.ear.hears(OTHER).await;
    caller.ear.hears_no(PERSON).await;
    otto.say(json!({"type": "mode", "mode": "takeover"})).await;
    let refused = otto.told().await;
    let why = "Ada has taken the call over, and their rank is not lower";
    assert_eq!(refused, json!({"type": "refused", "detail": why}));
    ada.ear.hears(CALLER).await;
    world.server.stop().await;
}

#[tokio::test]
async fn nonsense_is_refused_and_the_leg_goes_on() {
    let world = World::new().await;
    let caller = world.call().await;
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let mut browser = Browser::join(socket, "barge", "opus", PERSON).await;
    for nonsense in ["", "{", "null", r#"{"type":"mode","mode":"shout"}"#] {
        browser.raw(Message::text(nonsense)).await;
        assert_eq!(browser.told().await["type"], "refused", "{nonsense}");
    }
    browser.say(join("barge", "opus")).await;
    assert_eq!(browser.told().await["type"], "refused");
    for noise in [&[][..], &[0xff; 3], &[0; 1_500], &[0x03]] {
        browser.raw(Message::Binary(noise.to_vec().into())).await;
    }
    browser
        .say(json!({"type": "mode", "mode": "takeover"}))
        .await;
    assert_eq!(browser.told().await["mode"], "takeover");
    caller.ear.hears(PERSON).await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_does_not_speak_the_protocol_is_off_the_call_which_goes_on() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/leg");
    for message in [
        Message::Binary(vec![0; 1_920].into()),
        Message::text("hello"),
        Message::text(r#"{"type":"mode","mode":"barge"}"#),
        Message::text(r#"{"type":"join","mode":"barge","audio":"opus","rate":44100}"#),
        Message::text(r#"{"type":"join","mode":"barge","audio":"pcm","rate":4294967295}"#),
        Message::Binary(vec![0; 1 << 20].into()),
    ] {
        let mut socket = Socket::with_token(world.addr, &path, world.operator.expose()).await;
        // The server may have closed the socket before all of it was sent.
        let _ = futures_util::SinkExt::send(&mut socket.0, message).await;
        while socket.told().await != json!(null) {}
    }
    let socket = Socket::with_token(world.addr, &path, world.operator.expose()).await;
    let mut browser = Browser::join(socket, "barge", "pcm", PERSON).await;
    for _ in 0..200 {
        browser
            .raw(Message::text(r#"{"type":"mode","mode":"barge"}"#))
            .await;
    }
    let closed = loop {
        let told = browser.told().await;
        if told["type"] != "mode" {
            break told;
        }
    };
    // What is told last may be lost with what was not read any more.
    assert!(closed["type"] == "closed" || closed.is_null(), "{closed}");
    assert!(!caller.call.state().borrow().ended);
    caller
        .is(|state| state.handoff == HandoffState::Agent)
        .await;
    world.server.stop().await;
}

#[tokio::test]
async fn a_leg_ends_with_the_call() {
    let world = World::new().await;
    let caller = world.call().await;
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let mut browser = Browser::join(socket, "monitor", "pcm", PERSON).await;
    browser.ear.hears(CALLER).await;
    caller.drops_off().await;
    assert_eq!(
        browser.told().await,
        json!({"type": "closed", "detail": "the call is over"})
    );
    world.server.stop().await;
}

#[tokio::test]
async fn who_is_taken_off_the_call_is_told_and_the_agent_has_it_again() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/leg");
    let socket = Socket::with_token(world.addr, &path, world.admin.expose()).await;
    let mut ada = Browser::join(socket, "takeover", "opus", PERSON).await;
    let socket = Socket::with_token(world.addr, &path, world.viewer.expose()).await;
    let vera = Browser::join(socket, "monitor", "pcm", OTHER).await;
    caller.ear.hears(PERSON).await;
    let remove = caller.path("/people/1");
    let (otto, viewer) = (world.operator.expose(), world.viewer.expose());
    assert_eq!(delete(world.addr, &remove, viewer).await, 403);
    assert_eq!(delete(world.addr, &remove, otto).await, 202);
    let detail = "an operator has taken you off the call";
    assert_eq!(
        ada.told().await,
        json!({"type": "closed", "detail": detail})
    );
    caller
        .is(|state| state.handoff == HandoffState::Agent && state.people.len() == 1)
        .await;
    caller.ear.hears_no(PERSON).await;
    vera.ear.hears(CALLER).await;
    assert_eq!(delete(world.addr, &remove, otto).await, 404);
    let noted = world
        .audited(
            &caller.call,
            &["call.takeover", "call.listen", "call.remove"],
        )
        .await;
    assert_eq!(noted[2], json!({"person": 1}));
    world.server.stop().await;
}

#[tokio::test]
async fn a_revoked_token_is_off_the_call() {
    let world = World::new().await;
    let caller = world.call().await;
    let socket =
        Socket::with_token(world.addr, &caller.path("/leg"), world.operator.expose()).await;
    let mut browser = Browser::join(socket, "takeover", "opus", PERSON).await;
    caller.ear.hears(PERSON).await;
    let id = &world.operator.token.id;
    assert!(world.store().revoke_token(id).await.unwrap());
    let closed = browser.told().await;
    assert_eq!(closed["type"], "closed");
    assert!(
        closed["detail"].as_str().unwrap().contains("revoked"),
        "{closed}"
    );
    caller
        .is(|state| state.handoff == HandoffState::Agent)
        .await;
    world.server.stop().await;
}
