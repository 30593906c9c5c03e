//! Finding, looking at and deleting calls.

use reqwest::Method;
use serde_json::json;
use sidetone::CallId;

use crate::world::World;

#[tokio::test]
async fn a_live_call_is_listed_looked_at_and_ended() {
    let world = World::new().await;
    let caller = world.call().await;
    let live = loop {
        let live = world.get("/api/calls?state=live", &world.viewer).await;
        if live.body["calls"].as_array().unwrap().len() == 1 {
            break live;
        }
        tokio::task::yield_now().await;
    };
    let call = &live.body["calls"][0];
    assert_eq!(call["id"], caller.id);
    assert_eq!(call["from"], "+14155550123");
    assert_eq!(call["to"], "+14155550199");
    assert_eq!(call["direction"], "inbound");
    assert_eq!(call["live"]["started"], true);
    assert_eq!(call["live"]["handoff"]["state"], "agent");
    assert_eq!(call["live"]["people"], json!([]));

    let one = world.get(&caller.path(""), &world.viewer).await;
    assert_eq!((one.status, &one.body["state"]), (200, &json!("live")));
    let begun = one.body["started_at"].as_str().unwrap();
    assert!(begun.ends_with('Z'), "{begun}");

    let refused = world.delete(&caller.path(""), &world.admin).await;
    assert_eq!((refused.status, refused.problem()), (409, "conflict"));
    let path = caller.path("");
    let id = caller.hang_up().await;
    let ended = loop {
        let ended = world.get(&path, &world.viewer).await;
        if ended.body["state"] == "ended" {
            break ended;
        }
        tokio::task::yield_now().await;
    };
    assert_eq!(ended.body["end_reason"], "caller_hung_up");
    assert!(ended.body["live"].is_null());
    let say = world
        .post(
            &format!("{path}/say"),
            &world.operator,
            json!({"text": "Hi"}),
        )
        .await;
    assert_eq!((say.status, say.problem()), (409, "call-ended"));

    assert_eq!(world.delete(&path, &world.admin).await.status, 204);
    let gone = world.get(&path, &world.viewer).await;
    assert_eq!((gone.status, gone.problem()), (404, "unknown-call"));
    assert_eq!(gone.body["instance"], format!("/api/calls/{id}"));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_list_is_filtered_and_paged() {
    let world = World::new().await;
    for _ in 0..3 {
        world.call().await.hang_up().await;
    }
    world
        .server
        .state()
        .archive()
        .unwrap()
        .writer()
        .flush()
        .await;
    let mut seen = Vec::new();
    let mut path = "/api/calls?limit=2&state=ended&number=%2B14155550123".to_owned();
    loop {
        let page = world.get(&path, &world.viewer).await;
        assert_eq!(page.status, 200, "{page:?}");
        let calls = page.body["calls"].as_array().unwrap();
        seen.extend(
            calls
                .iter()
                .map(|call| call["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page.body["next"].as_str() else {
            break;
        };
        path = format!("/api/calls?limit=2&state=ended&number=%2B14155550123&cursor={next}");
    }
    assert_eq!(seen.len(), 3);
    seen.sort_unstable();
    seen.dedup();
    assert_eq!(seen.len(), 3, "no call is on two pages");

    for nobody in [
        "/api/calls?state=live",
        "/api/calls?state=dialing",
        "/api/calls?number=%2B1",
        "/api/calls?until=2020-01-01T00:00:00Z",
        "/api/calls?text=cauliflower",
    ] {
        let page = world.get(nobody, &world.viewer).await;
        assert_eq!(page.body["calls"], json!([]), "{nobody}");
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn what_makes_no_sense_is_named() {
    let world = World::new().await;
    for (path, field) in [
        ("/api/calls?state=on", "state"),
        ("/api/calls?limit=0", "limit"),
        ("/api/calls?since=yesterday", "since"),
        ("/api/calls?cursor=x", "cursor"),
        ("/api/calls?colour=red", "colour"),
        ("/api/audit?before=0", "before"),
        ("/api/metrics/summary?since=2020-01-01T00:00:00Z", "since"),
    ] {
        let answer = world.get(path, &world.admin).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (400, "bad-request"),
            "{path}"
        );
        assert_eq!(answer.body["errors"][0]["field"], field, "{path}");
    }
    for path in [
        "/api/calls/x",
        "/api/calls/..%2F..%2Fetc",
        "/api/calls/call-0123456789ab",
    ] {
        let answer = world.get(path, &world.viewer).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (404, "unknown-call"),
            "{path}"
        );
    }
    let answer = world.get("/api/nothing", &world.viewer).await;
    assert_eq!((answer.status, answer.problem()), (404, "no-route"));
    let answer = world.delete("/api/calls", &world.viewer).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (405, "method-not-allowed")
    );
    world.server.shutdown().await;
}

#[tokio::test]
async fn whatever_is_searched_for_is_words_and_no_query() {
    let world = World::new().await;
    for text in [
        "\"",
        "'",
        "*",
        "refund*",
        "^refund",
        "a AND",
        "NOT b",
        "OR OR OR",
        "NEAR(a b)",
        "text:refund",
        "{a b}: c",
        "-refund",
        "a + b",
        "(((",
        "'); DROP TABLE calls; --",
        "%_\\",
        "$1",
        "\u{1F600}\u{301}\u{FFFD}",
    ] {
        let query: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
        for field in ["text", "number"] {
            let path = format!("/api/calls?{field}={query}");
            let answer = world.get(&path, &world.viewer).await;
            assert_eq!(answer.status, 200, "{field}, {text}: {answer:?}");
        }
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn figures_count_calls_and_say_how_the_store_fares() {
    let world = World::new().await;
    world.call().await.hang_up().await;
    world
        .server
        .state()
        .archive()
        .unwrap()
        .writer()
        .flush()
        .await;
    let caller = world.call().await;
    world
        .server
        .state()
        .archive()
        .unwrap()
        .writer()
        .flush()
        .await;
    let summary = world.get("/api/metrics/summary", &world.viewer).await;
    assert_eq!(summary.status, 200, "{summary:?}");
    assert_eq!(summary.body["total"]["calls"], 2);
    assert_eq!(summary.body["total"]["live"], 1);
    assert_eq!(summary.body["now"]["live_calls"], 1);
    let none = world.get(&caller.path("/recording"), &world.viewer).await;
    assert_eq!((none.status, none.problem()), (404, "not-found"));
    assert_eq!(summary.body["now"]["store"]["failure"], json!(null));
    let hours = summary.body["hours"].as_array().unwrap();
    assert!((1..=2).contains(&hours.len()), "{hours:?}");
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_recording_is_heard_in_whole_and_in_part() {
    let world = World::with(|config| config.recording.enabled = true).await;
    let caller = world.call().await;
    let path = caller.path("/recording");
    let engine = world.server.state().engine();
    let call = engine.call(&CallId::from(caller.id.as_str())).unwrap();
    let mut state = call.state();
    state.wait_for(|state| state.recording).await.unwrap();
    let mut tap = call.record().await.unwrap();
    call.say("You are being recorded.").await.unwrap();
    while tap
        .recv()
        .await
        .unwrap()
        .others
        .iter()
        .all(|sample| *sample == 0)
    {}
    for _ in 0..25 {
        tap.recv().await.unwrap();
    }
    let call = caller.path("");
    caller.hang_up().await;
    // How long it is is noted once it is complete.
    while world.get(&call, &world.viewer).await.body["recording"]["bytes"].as_u64() < Some(45) {
        tokio::task::yield_now().await;
    }

    let request = world.request(Method::GET, &path, &world.viewer);
    let whole = request.send().await.unwrap();
    assert_eq!(whole.status(), 200);
    assert_eq!(whole.headers()["content-type"], "audio/wav");
    let whole = whole.bytes().await.unwrap();
    let (header, samples) = whole.split_at(44);
    assert_eq!(&header[..4], b"RIFF");
    // 20 ms of both sides, 24 times: the last of the 25 may have gone to the other tap alone.
    assert!(samples.len() >= 24 * 640, "{}", samples.len());
    assert_eq!(samples.len() % 640, 0);
    let others = samples.chunks_exact(4).map(|both| [both[2], both[3]]);
    assert!(
        others.clone().any(|sample| sample != [0, 0]),
        "the agent speaks"
    );
    for (range, status, part) in [
        ("bytes=0-3", 206, &b"RIFF"[..]),
        ("bytes=-2", 206, &whole[whole.len() - 2..]),
        ("bytes=99999999-", 416, b""),
        ("lines=1-2", 200, &whole),
    ] {
        let request = world.request(Method::GET, &path, &world.viewer);
        let answer = request.header("range", range).send().await.unwrap();
        assert_eq!(answer.status(), status, "{range}");
        if status == 416 {
            let expected = format!("bytes */{}", whole.len());
            assert_eq!(answer.headers()["content-range"], expected.as_str());
        } else {
            assert_eq!(answer.bytes().await.unwrap(), part, "{range}");
        }
    }
    world.server.shutdown().await;
}
