//! A server that is killed in the middle of a call: what it had written is there, and the call is lost.

#![allow(
    clippy::unwrap_used,
    reason = "a failure in a helper is the test's failure"
)]

mod support;

use std::{
    env,
    fs::OpenOptions,
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, Command, Stdio},
};

use serde_json::json;
use sidetone_server::{
    Server,
    store::{CallFilter, CallState, Store, StoredEvent},
};
use support::{INCOMING, Phone, STREAM, insecure, quiet_engine};

/// Where the child keeps its calls, and their audio.
const STORE: &str = "SIDETONE_TEST_STORE";
const RECORDINGS: &str = "SIDETONE_TEST_RECORDINGS";
/// The length of a WAV file's header, and where in it the length of the audio is.
const HEADER: usize = 44;
const LENGTH: std::ops::Range<usize> = 40..44;
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
    config.recording.enabled = true;
    config.recording.folder = env::var(RECORDINGS).unwrap();
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
        .env(RECORDINGS, folder.path())
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
    let (id, seen, recording) = loop {
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
        // A second of audio is there, too.
        let recording = call.recording.as_ref().map(|file| file.path.clone());
        let audio = recording.and_then(|path| Some((path.metadata().ok()?.len(), path)));
        match audio {
            Some((len, path)) if seen.len() >= KEYS && len > HEADER as u64 => {
                break (call.id.to_string(), seen, path);
            }
            _ => {}
        }
    };
    drop(child);
    store.close().await;
    // It was killed after it had written a piece, and before it said so in the file's header.
    let mut file = OpenOptions::new().append(true).open(&recording).unwrap();
    file.write_all(&[0; 400]).unwrap();

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
    // The recording is a whole file, as long as it was when the server was killed.
    let audio = std::fs::read(&recording).unwrap();
    let kept = call.recording.unwrap();
    assert_eq!((kept.path, kept.bytes), (recording, audio.len() as u64));
    let told = u32::from_le_bytes(audio[LENGTH].try_into().unwrap());
    assert_eq!(told as usize, audio.len() - HEADER);
    let kept = keys(store, &id).await;
    assert!(kept.starts_with(&seen));
    let last = kept.last().unwrap();
    assert!(call.ended_at.unwrap().0 >= call.started_at.0 + i64::try_from(last.at_ms).unwrap());
    server.stop().await;
}
