//! Who is let onto the socket at all.

use serde_json::{Value, json};

use crate::{
    browser::{Browser, Socket},
    support::exchange,
    tones::{CALLER, PERSON},
    world::World,
};

fn kind(problem: &Value) -> &str {
    let name = problem["type"].as_str().unwrap();
    name.strip_prefix("urn:sidetone:problem:").unwrap()
}

#[tokio::test]
async fn who_may_not_is_told_why_before_the_socket_opens() {
    let world = World::new().await;
    let caller = world.call().await;
    let operator = format!("Bearer {}", world.operator.expose());
    let leg = caller.path("/leg");
    for (path, headers, status, name) in [
        (leg.as_str(), vec![], 401, "unauthorized"),
        (
            leg.as_str(),
            vec![("authorization", "Bearer sdt_wrong")],
            401,
            "unauthorized",
        ),
        (
            leg.as_str(),
            vec![("cookie", "sidetone_session=sds_wrong")],
            401,
            "unauthorized",
        ),
        (
            "/api/calls/call-0123456789ab/leg",
            vec![("authorization", operator.as_str())],
            404,
            "unknown-call",
        ),
        (
            "/api/calls/nonsense/leg",
            vec![("authorization", operator.as_str())],
            404,
            "unknown-call",
        ),
    ] {
        let refused = Socket::open(world.addr, path, &headers)
            .await
            .err()
            .unwrap();
        assert_eq!(
            (refused.status, kind(&refused.problem)),
            (status, name),
            "{path}"
        );
        assert_eq!(refused.problem["instance"], path);
    }
    let request = format!(
        "GET {leg} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: {operator}\r\n\r\n"
    );
    let answer = exchange(world.addr, &request).await;
    assert_eq!(answer.status, 426, "{answer:?}");

    let call = caller.call.clone();
    caller.drops_off().await;
    let path = format!("/api/calls/{}/leg", call.id());
    world
        .server
        .state()
        .archive()
        .unwrap()
        .writer()
        .flush()
        .await;
    let headers = [("authorization", operator.as_str())];
    let refused = Socket::open(world.addr, &path, &headers)
        .await
        .err()
        .unwrap();
    assert_eq!(
        (refused.status, kind(&refused.problem)),
        (409, "call-ended")
    );
    world.server.stop().await;
}

#[tokio::test]
async fn a_session_opens_a_leg_from_a_page_of_this_server_only() {
    let world = World::new().await;
    let caller = world.call().await;
    let body = json!({"token": world.operator.expose()}).to_string();
    let request = format!(
        "POST /api/session HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let answer = exchange(world.addr, &request).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    // The secret's case matters: from the answer as it came.
    let cookie = answer.header("set-cookie").unwrap();
    let cookie = cookie.split(';').next().unwrap();
    let leg = caller.path("/leg");
    for origin in [None, Some("https://evil.example"), Some("null")] {
        let mut headers = vec![("cookie", cookie)];
        headers.extend(origin.map(|origin| ("origin", origin)));
        let refused = Socket::open(world.addr, &leg, &headers)
            .await
            .err()
            .unwrap();
        assert_eq!(
            (refused.status, kind(&refused.problem)),
            (403, "forbidden"),
            "{origin:?}"
        );
    }
    let own = format!("http://{}", world.addr);
    let headers = [("cookie", cookie), ("origin", own.as_str())];
    let socket = Socket::open(world.addr, &leg, &headers).await.unwrap();
    let browser = Browser::join(socket, "monitor", "opus", PERSON).await;
    browser.ear.hears(CALLER).await;
    world.server.stop().await;
}
