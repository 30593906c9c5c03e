//! Acting in a live call.

use reqwest::Method;
use serde_json::json;

use crate::world::{Answer, World};

#[tokio::test]
async fn the_agent_says_what_it_is_told_and_hangs_up_after_a_farewell() {
    let world = World::new().await;
    let caller = world.call().await;
    let said = world
        .post(
            &caller.path("/say"),
            &world.operator,
            json!({"text": "Your table is booked."}),
        )
        .await;
    assert_eq!(said.status, 202, "{said:?}");
    let path = caller.path("/transcript");
    while world.get(&path, &world.viewer).await.body["lines"] == json!([]) {
        tokio::task::yield_now().await;
    }
    let bye = world
        .post(
            &caller.path("/hangup"),
            &world.operator,
            json!({"farewell": "Goodbye!"}),
        )
        .await;
    assert_eq!(bye.status, 202, "{bye:?}");
    let id = caller.hung_up_on().await;
    let transcript = loop {
        let transcript = world.get(&path, &world.viewer).await;
        if transcript.body["complete"] == true {
            break transcript.body;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(transcript["call_id"], id);
    let text: Vec<_> = transcript["lines"]
        .as_array()
        .unwrap()
        .iter()
        .map(|line| format!("{}: {}", line["speaker"], line["text"]))
        .collect();
    let text = text.join("\n");
    assert!(text.contains("Your table is booked."), "{text}");
    assert!(text.contains("Goodbye!"), "{text}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn bodies_that_make_no_sense_are_refused_with_the_field() {
    let world = World::new().await;
    let caller = world.call().await;
    let long = "x".repeat(2_001);
    for (path, body, field) in [
        ("/say", json!({}), "text"),
        ("/say", json!({"text": ""}), "text"),
        ("/say", json!({"text": 5}), "text"),
        ("/say", json!({"text": long}), "text"),
        ("/say", json!({"text": "a", "loud": true}), "loud"),
        ("/whisper", json!({"text": " "}), "text"),
        ("/dtmf", json!({"digits": "12x"}), "digits"),
        ("/dtmf", json!({"digits": "1".repeat(65)}), "digits"),
        ("/hangup", json!({"farewell": ""}), "farewell"),
        ("/takeover", json!({"person": -1}), "person"),
    ] {
        let answer = world
            .post(&caller.path(path), &world.operator, body.clone())
            .await;
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "bad-request"),
            "{path} {body}"
        );
        assert_eq!(answer.body["errors"][0]["field"], field, "{path} {body}");
    }
    let send = async |body: String, media_type: &str| {
        let request = world.request(Method::POST, &caller.path("/say"), &world.operator);
        let request = request.header("content-type", media_type).body(body);
        Answer::of(request.send().await.unwrap()).await
    };
    let answer = send("{\"text\": \"a\"".into(), "application/json").await;
    assert_eq!((answer.status, answer.problem()), (400, "bad-request"));
    let answer = send("text=a".into(), "application/x-www-form-urlencoded").await;
    assert_eq!((answer.status, answer.problem()), (415, "media-type"));
    let long = format!("{{\"text\": \"{}\"}}", "x".repeat(70_000));
    let answer = send(long, "application/json; charset=utf-8").await;
    assert_eq!((answer.status, answer.problem()), (413, "too-large"));
    // The call goes on.
    assert_eq!(
        world.get(&caller.path(""), &world.viewer).await.body["state"],
        "live"
    );
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn only_who_is_on_the_call_takes_it_over_or_is_taken_off_it() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/takeover");
    let nobody = world
        .post(&path, &world.operator, json!({"person": 7}))
        .await;
    assert_eq!((nobody.status, nobody.problem()), (404, "not-found"));
    for (person, token, expected) in [
        ("7", &world.operator, (404, "not-found")),
        ("-1", &world.operator, (404, "not-found")),
        ("Ann", &world.operator, (404, "not-found")),
        ("7", &world.viewer, (403, "forbidden")),
    ] {
        let nobody = world
            .delete(&caller.path(&format!("/people/{person}")), token)
            .await;
        assert_eq!((nobody.status, nobody.problem()), expected, "{person}");
    }
    let nowhere = "/api/calls/call-0123456789ab/people/1";
    let nobody = world.delete(nowhere, &world.operator).await;
    assert_eq!((nobody.status, nobody.problem()), (404, "unknown-call"));
    let path = caller.path("/people/1");
    caller.hang_up().await;
    // What happened is written down a moment after the engine lets go of the call.
    let over = loop {
        let over = world.delete(&path, &world.operator).await;
        if over.status != 404 {
            break over;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!((over.status, over.problem()), (409, "call-ended"));
    world.server.shutdown().await;
}
