//! Who is let in.

use reqwest::Method;
use serde_json::json;

use crate::{
    document::operations,
    support::get,
    world::{Answer, World},
};

#[tokio::test]
async fn nothing_but_health_answers_without_a_token() {
    let world = World::new().await;
    assert_eq!(get(world.addr, "/healthz").await.status, 200);
    for path in [
        "/readyz",
        "/metrics",
        "/api",
        "/api/calls",
        "/api/calls/call-0123456789ab",
        "/api/calls/call-0123456789ab/transcript",
        "/api/events",
        "/api/audit",
        "/api/session",
        "/api/openapi.json",
        "/api/nothing",
    ] {
        let answer = get(world.addr, path).await;
        assert_eq!(answer.status, 401, "{path}");
        assert!(
            answer.head.contains("www-authenticate: bearer realm="),
            "{path}: {}",
            answer.head
        );
    }
    let wrong = world.get("/api/calls", "sdt_wrong").await;
    assert_eq!((wrong.status, wrong.problem()), (401, "unauthorized"));
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_viewers_token_opens_what_watches_the_server() {
    let world = World::new().await;
    while get(world.addr, "/healthz?ready").await.status != 200 {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.get("/readyz", &world.viewer).await.status, 200);
    let metrics = world.request(Method::GET, "/metrics", &world.viewer);
    let text = metrics.send().await.unwrap().text().await.unwrap();
    assert!(
        text.contains("sidetone_store_events_written_total"),
        "{text}"
    );
    world.server.state().drain();
    assert_eq!(get(world.addr, "/healthz").await.status, 200);
    assert_eq!(get(world.addr, "/healthz?ready").await.status, 503);
    assert_eq!(world.get("/readyz", &world.viewer).await.status, 503);
    world.server.shutdown().await;
}

#[tokio::test]
async fn each_role_may_do_its_own() {
    let world = World::new().await;
    let call = "/api/calls/call-0123456789ab";
    for (token, may_act, may_delete) in [
        (&world.viewer, false, false),
        (&world.operator, true, false),
        (&world.admin, true, true),
    ] {
        assert_eq!(world.get("/api/calls", token).await.status, 200);
        let say = world
            .post(&format!("{call}/say"), token, json!({"text": "Hi"}))
            .await;
        let expected = if may_act {
            (404, "unknown-call")
        } else {
            (403, "forbidden")
        };
        assert_eq!((say.status, say.problem()), expected);
        let delete = world.delete(call, token).await;
        let expected = if may_delete {
            (404, "unknown-call")
        } else {
            (403, "forbidden")
        };
        assert_eq!((delete.status, delete.problem()), expected);
        let audit = world.get("/api/audit", token).await;
        assert_eq!(audit.status, if may_delete { 200 } else { 403 });
    }
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_revoked_token_is_good_for_nothing_at_once() {
    let world = World::new().await;
    let who = world.get("/api/session", &world.viewer).await;
    assert_eq!(who.body["role"], "viewer");
    assert!(who.body["csrf_token"].is_null());
    let id = who.body["token_id"].as_str().unwrap();
    assert!(world.store().revoke_token(id).await.unwrap());
    assert_eq!(world.get("/api/session", &world.viewer).await.status, 401);
    world.server.shutdown().await;
}

/// What a browser keeps of a session.
struct Browser {
    cookie: String,
    csrf: String,
}

impl Browser {
    async fn log_in(world: &World, token: &str) -> Self {
        let answer = world
            .post("/api/session", "", json!({"token": token}))
            .await;
        assert_eq!(answer.status, 201, "{answer:?}");
        let cookie = answer.headers["set-cookie"].to_str().unwrap();
        assert!(cookie.contains("HttpOnly"), "{cookie}");
        assert!(cookie.contains("SameSite=Strict"), "{cookie}");
        Self {
            cookie: cookie.split(';').next().unwrap().to_owned(),
            csrf: answer.body["csrf_token"].as_str().unwrap().to_owned(),
        }
    }

    async fn send(&self, world: &World, method: Method, path: &str, csrf: Option<&str>) -> Answer {
        let url = format!("http://{}{path}", world.addr);
        let mut request = world
            .http
            .request(method, url)
            .header("cookie", &self.cookie);
        if let Some(csrf) = csrf {
            request = request.header("x-csrf-token", csrf);
        }
        Answer::of(request.send().await.unwrap()).await
    }
}

#[tokio::test]
async fn a_session_stands_for_its_token_until_it_is_ended() {
    let world = World::new().await;
    let browser = Browser::log_in(&world, &world.operator).await;
    let who = browser
        .send(&world, Method::GET, "/api/session", None)
        .await;
    assert_eq!((who.status, &who.body["role"]), (200, &json!("operator")));
    assert_eq!(
        who.body["csrf_token"], browser.csrf,
        "for a page that was reloaded"
    );

    let end = browser
        .send(&world, Method::DELETE, "/api/session", Some(&browser.csrf))
        .await;
    assert_eq!(end.status, 204);
    assert!(
        end.headers["set-cookie"]
            .to_str()
            .unwrap()
            .contains("Max-Age=0")
    );
    let after = browser
        .send(&world, Method::GET, "/api/session", None)
        .await;
    assert_eq!(after.status, 401);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_sessions_request_that_changes_something_needs_its_csrf_token() {
    let world = World::new().await;
    let browser = Browser::log_in(&world, &world.operator).await;
    let other = Browser::log_in(&world, &world.operator).await;
    let path = "/api/calls/call-0123456789ab/hangup";
    for csrf in [None, Some(""), Some(other.csrf.as_str())] {
        let answer = browser.send(&world, Method::POST, path, csrf).await;
        assert_eq!((answer.status, answer.problem()), (403, "csrf"), "{csrf:?}");
    }
    let answer = browser
        .send(&world, Method::POST, path, Some(&browser.csrf))
        .await;
    assert_eq!(answer.problem(), "unknown-call");
    world.server.shutdown().await;
}

/// Not one of the routes is forgotten: the document has them all.
#[tokio::test]
async fn no_route_changes_anything_for_a_stranger_a_viewer_or_another_site() {
    let world = World::new().await;
    let caller = world.call().await;
    let document = world.get("/api/openapi.json", &world.viewer).await.body;
    let browser = Browser::log_in(&world, &world.admin).await;
    let mut changing = 0;
    for (path, method, operation) in operations(&document) {
        let what = format!("{method} {path}");
        let method: Method = method.to_uppercase().parse().unwrap();
        let is_open = operation["security"] == json!([{}]);
        let path = path.replace("{id}", &caller.id);
        let stranger = world.request(method.clone(), &path, "sdt_stranger");
        let status = stranger.send().await.unwrap().status().as_u16();
        // Whoever has no token is slowed down at some point.
        assert!(is_open || matches!(status, 401 | 429), "{what}: {status}");
        if method == Method::GET || is_open {
            continue;
        }
        changing += 1;
        let foreign = browser.send(&world, method.clone(), &path, None).await;
        assert_eq!((foreign.status, foreign.problem()), (403, "csrf"), "{what}");
        if path != "/api/session" {
            let viewer = world.request(method, &path, &world.viewer).json(&json!({}));
            let viewer = Answer::of(viewer.send().await.unwrap()).await;
            assert_eq!(
                (viewer.status, viewer.problem()),
                (403, "forbidden"),
                "{what}"
            );
        }
    }
    assert!(changing >= 11, "{changing}");
    let live = world.get(&caller.path(""), &world.viewer).await;
    assert_eq!(live.body["state"], "live");
    assert_eq!(live.body["live"]["paused"], false);
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_wrong_token_opens_no_session_and_guessing_is_slowed() {
    let world = World::new().await;
    let mut last = None;
    for _ in 0..40 {
        let answer = world
            .post("/api/session", "", json!({"token": "sdt_guess"}))
            .await;
        if answer.status == 429 {
            last = Some(answer);
            break;
        }
        assert_eq!(answer.status, 401);
    }
    let limited = last.expect("guessing is slowed");
    assert_eq!(limited.problem(), "too-fast");
    let wait: u64 = limited.headers["retry-after"]
        .to_str()
        .unwrap()
        .parse()
        .unwrap();
    assert!((1..=3).contains(&wait), "{wait}");
    // Who has a token is not held up by who guesses from the same address.
    assert_eq!(world.get("/api/session", &world.viewer).await.status, 200);
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_token_has_a_rate() {
    let world = World::with(|config| config.api.requests_per_second = 1).await;
    let mut limited = None;
    for _ in 0..40 {
        let answer = world.get("/api/session", &world.viewer).await;
        if answer.status == 429 {
            limited = Some(answer);
            break;
        }
        assert_eq!(answer.status, 200);
    }
    let limited = limited.expect("a token has a rate");
    assert_eq!(limited.problem(), "too-fast");
    assert_eq!(limited.headers["retry-after"], "1");
    assert_eq!(world.get("/api/session", &world.operator).await.status, 200);
    world.server.shutdown().await;
}

#[tokio::test]
async fn the_audit_log_says_who_did_what() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/transcript");
    for _ in 0..3 {
        assert_eq!(world.get(&path, &world.viewer).await.status, 200);
    }
    let body = json!({"text": "My secret words"});
    assert_eq!(
        world
            .post(&caller.path("/say"), &world.operator, body)
            .await
            .status,
        202
    );
    let id = caller.hang_up().await;
    let deleted = world
        .delete(&format!("/api/calls/{id}"), &world.admin)
        .await;
    assert_eq!(deleted.status, 204, "{deleted:?}");

    let page = loop {
        let page = world
            .get(&format!("/api/audit?call_id={id}"), &world.admin)
            .await;
        if page.body["entries"].as_array().unwrap().len() == 3 {
            break page;
        }
        tokio::task::yield_now().await;
    };
    let mut seen: Vec<_> = page.body["entries"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            (
                entry["name"].as_str().unwrap(),
                entry["action"].as_str().unwrap(),
            )
        })
        .collect();
    seen.sort_unstable();
    assert_eq!(
        seen,
        [
            ("admin", "call.delete"),
            ("operator", "agent.say"),
            ("viewer", "transcript.read"),
        ],
        "reading again is no news"
    );
    assert!(!page.body.to_string().contains("secret"));
    world.server.shutdown().await;
}
