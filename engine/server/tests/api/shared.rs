//! Two servers with one database: SQLite on one machine, or PostgreSQL where `SIDETONE_TEST_POSTGRES_URL` says.

use serde_json::json;
use sqlx::{Connection as _, Executor as _, PgConnection};
use tempfile::TempDir;

use crate::{
    streams::Stream,
    world::{World, config, engine},
};

const POSTGRES: &str = "SIDETONE_TEST_POSTGRES_URL";

async fn server(url: &str) -> World {
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    config.store.url = url.into();
    World::start(folder, &config, engine()).await
}

#[tokio::test]
async fn two_servers_share_a_file() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("shared.db");
    sharing(&format!("sqlite:{}", file.display())).await;
}

#[tokio::test]
async fn two_servers_share_postgres() {
    let Some(server) = std::env::var(POSTGRES).ok().filter(|url| !url.is_empty()) else {
        eprintln!("skipped: {POSTGRES} does not say where a PostgreSQL server is");
        return;
    };
    let name = format!("sidetone_shared_{}", std::process::id());
    let mut connection = PgConnection::connect(&server).await.unwrap();
    let create = format!("CREATE DATABASE {name}");
    let create = connection.execute(sqlx::AssertSqlSafe(create));
    create.await.unwrap();
    let (address, _) = server.rsplit_once('/').unwrap();
    sharing(&format!("{address}/{name}")).await;
    let drop = format!("DROP DATABASE {name} WITH (FORCE)");
    let drop = connection.execute(sqlx::AssertSqlSafe(drop));
    drop.await.unwrap();
}

async fn sharing(url: &str) {
    let (one, two) = (server(url).await, server(url).await);
    let mut events = Stream::open(&two, "/api/events", None).await.unwrap();
    let caller = one.call().await;
    let say = json!({"text": "Hello."});
    one.post(&caller.path("/say"), &one.operator, say.clone())
        .await;

    // The other server sees the call, with a token of either, and what happens in it, in order and once.
    let seen = loop {
        let seen = two.get(&caller.path(""), &one.viewer).await;
        if seen.status != 404 {
            break seen;
        }
        // It is on its way to the store.
        tokio::task::yield_now().await;
    };
    assert_eq!(
        (seen.status, &seen.body["state"]),
        (200, &json!("live")),
        "{seen:?}"
    );
    assert!(seen.body["live"].is_null(), "it is not here");
    let mut last = 0;
    loop {
        let event = events.next().await.unwrap();
        assert!(event.id.unwrap() > last);
        last = event.id.unwrap();
        assert_eq!(event.data["call_id"], caller.id);
        if event.name == "agent.finished" {
            break;
        }
    }
    let transcript = two.get(&caller.path("/transcript"), &two.viewer).await;
    assert_eq!(transcript.body["lines"][0]["text"], "Hello.");

    // It cannot act in it, and says where that can be done.
    let said = two.post(&caller.path("/say"), &two.operator, say).await;
    assert_eq!((said.status, said.problem()), (409, "conflict"));
    let detail = said.body["detail"].as_str().unwrap();
    assert!(detail.contains("another server"), "{detail}");
    let deleted = two.delete(&caller.path(""), &two.admin).await;
    assert_eq!((deleted.status, deleted.problem()), (409, "conflict"));

    // A third that starts leaves it alone; one that is gone leaves it to the others.
    let three = server(url).await;
    let seen = three.get(&caller.path(""), &three.viewer).await;
    assert_eq!(seen.body["state"], "live");
    three.server.shutdown().await;
    let path = caller.path("");
    caller.hang_up().await;
    loop {
        let seen = two.get(&path, &two.viewer).await;
        if seen.body["state"] == "ended" {
            break;
        }
        tokio::task::yield_now().await;
    }
    one.server.shutdown().await;
    let deleted = two.delete(&path, &two.admin).await;
    assert_eq!(deleted.status, 204, "{deleted:?}");
    two.server.shutdown().await;
}
