//! A server that is killed in the middle of a call: what it had written is there, and the call is lost.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod support;

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use sidetone_server::{
    Server,
    store::{CallFilter, CallState, Store, StoredEvent},
};
use support::{INCOMING, Phone, STREAM, insecure, quiet_engine};

/// Where the child keeps its calls.
const STORE: &str = "SIDETONE_TEST_STORE";
/// How many keys are seen in the store before the server is killed.
const KEYS: usize = 40;

/// Kills the server, however the test ends.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
#[ignore = "is the server that the test below starts and kills"]
async fn server() {
    let Ok(url) = env::var(STORE) else { return };
    let mut config = insecure();
    config.store.url = url;
    let server = Server::start(&config, quiet_engine()).await.unwrap();
    println!("\nlistening {}", server.addr());
    std::future::pending::<()>().await;
}

async fn keys(store: &Store, call: &str) -> Vec<StoredEvent> {
    let events = store.events(call, 0, 10_000).await.unwrap();
    let keys = events
        .into_iter()
        .filter(|event| event.json.contains("\"dtmf\""));
    keys.collect()
}

#[tokio::test]
async fn a_killed_server_loses_the_call_and_nothing_that_was_written() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("calls.db").display());
    let child = Command::new(env::current_exe().unwrap())
        .args(["server", "--exact", "--ignored", "--nocapture"])
        .env(STORE, &url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut child = Killed(child);
    let lines = BufReader::new(child.0.stdout.take().unwrap()).lines();
    let addr = lines
        .map(Result::unwrap)
        .find_map(|line| line.strip_prefix("listening ")?.parse().ok())
        .unwrap();

    let mut phone = Phone::call(addr, None).await;
    let store = Store::open(&url).await.unwrap();
    let (id, seen) = loop {
        phone
            .send(json!({
                "event": "dtmf",
                "streamSid": STREAM,
                "dtmf": {"track": "inbound_track", "digit": "7"},
            }))
            .await;
        let page = store.calls(&CallFilter::default(), None, 10).await.unwrap();
        let Some(call) = page.items.first() else {
            continue;
        };
        assert_eq!(call.state, CallState::Live);
        let seen = keys(&store, call.id.as_str()).await;
        if seen.len() >= KEYS {
            break (call.id.to_string(), seen);
        }
    };
    drop(child);
    store.close().await;

    // The next server finds the call without an owner.
    let mut config = insecure();
    config.store.url = url;
    let server = Server::start(&config, quiet_engine()).await.unwrap();
    let store = server.state().archive().unwrap().store();
    let call = store.call(&id).await.unwrap().unwrap();
    assert_eq!(call.state, CallState::Lost);
    assert_eq!(call.from, INCOMING[2].1);
    assert_eq!(call.to, INCOMING[3].1);
    assert_eq!(call.provider_call_id.as_deref(), Some(INCOMING[0].1));
    let kept = keys(store, &id).await;
    assert!(kept.starts_with(&seen));
    let last = kept.last().unwrap();
    assert!(call.ended_at.unwrap().0 >= call.started_at.0 + i64::try_from(last.at_ms).unwrap());
    server.stop().await;
}
