//! A database that is locked, and a disk that is full: calls go on, the operator acts in them and sees why
//! nothing is written, and afterwards nothing is missing and nothing is there twice.

use std::{
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use reqwest::Method;
use serde_json::{Value, json};
use sidetone::Engine;
use sidetone_core::config::CallConfig;
use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts};
use sqlx::{Connection as _, Executor as _, SqliteConnection};
use tempfile::TempDir;
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::{
    streams::{Stream, texts},
    world::{Answer, Caller, World, config},
};

/// Somebody else who writes to the database, and does not come to an end.
struct Lock(SqliteConnection);

impl Lock {
    async fn take(file: &Path) -> Self {
        let url = format!("sqlite:{}", file.display());
        let mut connection = SqliteConnection::connect(&url).await.unwrap();
        connection.execute("BEGIN IMMEDIATE").await.unwrap();
        Self(connection)
    }

    async fn release(mut self) {
        self.0.execute("ROLLBACK").await.unwrap();
        self.0.close().await.unwrap();
    }
}

/// An engine that says what it is told to and asks nobody whether they are there, however long it takes.
fn engine() -> Engine {
    let mut config = CallConfig::default();
    config.idle.prompt_after_ms = 0;
    Engine::builder()
        .stt(Arc::new(FakeStt::new()))
        .llm(Arc::new(FakeLlm::new()))
        .tts(Arc::new(FakeTts::new()))
        .config(config)
        .build()
        .unwrap()
}

async fn world() -> (World, PathBuf) {
    let folder = TempDir::new().unwrap();
    let config = config(&folder);
    let file = folder.path().join("calls.db");
    (World::start(folder, &config, engine()).await, file)
}

async fn say(world: &World, caller: &Caller, text: &str) {
    let body = json!({"text": text});
    let said = world
        .post(&caller.path("/say"), &world.operator, body)
        .await;
    assert_eq!(said.status, 202, "{said:?}");
}

/// The next line that is said in a call.
async fn line(stream: &mut Stream) -> (Option<u64>, String) {
    loop {
        let event = stream.next().await.unwrap();
        if event.name == "line" {
            return (event.id, event.data["text"].as_str().unwrap().to_owned());
        }
    }
}

/// Waits until the server says why nothing is written.
async fn failure(world: &World) -> String {
    loop {
        let summary = world.get("/api/metrics/summary", &world.viewer).await;
        assert_eq!(summary.status, 200, "{summary:?}");
        if let Some(why) = summary.body["now"]["store"]["failure"].as_str() {
            return why.to_owned();
        }
        tokio::task::yield_now().await;
    }
}

/// Waits until everything is written.
async fn written(world: &World) {
    loop {
        let summary = world.get("/api/metrics/summary", &world.viewer).await;
        let store = &summary.body["now"]["store"];
        if store["queued"] == 0 && store["failure"].is_null() {
            assert_eq!(store["missed"], 0);
            return;
        }
        tokio::task::yield_now().await;
    }
}

fn lines(transcript: &Answer) -> Vec<&str> {
    let lines = transcript.body["lines"].as_array().unwrap().iter();
    lines.map(|line| line["text"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_call_goes_on_while_the_database_is_locked_and_no_line_is_lost_or_doubled() {
    let (world, file) = world().await;
    let caller = world.call().await;
    let path = caller.path("/transcript");
    let mut stream = Stream::open(&world, &path, None).await.unwrap();
    say(&world, &caller, "One.").await;
    let (first, one) = line(&mut stream).await;
    assert_eq!(one, "One.");
    written(&world).await;

    let lock = Lock::take(&file).await;
    // Who reads along does so as it is said; who comes or comes back meanwhile gets the same.
    say(&world, &caller, "Two.").await;
    let (second, two) = line(&mut stream).await;
    assert_eq!(two, "Two.");
    assert_eq!(
        failure(&world).await,
        "the database is locked by somebody else (code 5)"
    );
    let mut again = Stream::open(&world, &path, first).await.unwrap();
    assert_eq!(line(&mut again).await, (second, "Two.".into()));
    let mut new = Stream::open(&world, &path, None).await.unwrap();
    assert_eq!(line(&mut new).await, (first, "One.".into()));
    assert_eq!(line(&mut new).await, (second, "Two.".into()));

    // The figures say so to whoever watches the server, too.
    let metrics = world.request(Method::GET, "/metrics", &world.viewer);
    let metrics = metrics.send().await.unwrap().text().await.unwrap();
    assert!(
        metrics.contains("\nsidetone_store_failing 1\n"),
        "{metrics}"
    );

    // A call that begins now is found, listed and acted in like any other.
    let late = world.call().await;
    let found = world.get(&late.path(""), &world.viewer).await;
    assert_eq!((found.status, &found.body["state"]), (200, &json!("live")));
    assert_eq!(found.body["from"], "+14155550123");
    let listed = world.get("/api/calls?state=live", &world.viewer).await;
    let listed: Vec<_> = listed.body["calls"].as_array().unwrap().iter().collect();
    assert_eq!(listed.len(), 2, "{listed:?}");
    let mut late_stream = Stream::open(&world, &late.path("/transcript"), None)
        .await
        .unwrap();
    say(&world, &late, "Hello.").await;
    let (_, hello) = line(&mut late_stream).await;
    assert_eq!(hello, "Hello.");
    let paused = world
        .post(&late.path("/pause-ai"), &world.operator, json!({}))
        .await;
    assert_eq!(paused.status, 202, "{paused:?}");
    let late = late.hang_up().await;
    assert_eq!(late_stream.next().await.unwrap().name, "end");

    let released = OffsetDateTime::now_utc();
    lock.release().await;
    written(&world).await;
    say(&world, &caller, "Three.").await;
    let (third, three) = line(&mut stream).await;
    assert_eq!(three, "Three.");
    assert_eq!(line(&mut again).await, (third, three.clone()));
    assert_eq!(line(&mut new).await, (third, three));
    let id = caller.hang_up().await;

    // Everything is there once, in the order in which it was said.
    for (id, expected) in [(id, &["One.", "Two.", "Three."][..]), (late, &["Hello."])] {
        let path = format!("/api/calls/{id}/transcript");
        let transcript = loop {
            let transcript = world.get(&path, &world.viewer).await;
            if transcript.body["complete"] == true {
                break transcript;
            }
        };
        assert_eq!(lines(&transcript), expected);
        let later = Stream::open(&world, &path, None).await.unwrap();
        assert_eq!(texts(&later.rest().await), expected);
        let view = world.get(&format!("/api/calls/{id}"), &world.viewer).await;
        assert_eq!(view.body["state"], "ended", "{view:?}");
    }
    // Who did what is noted, although it could not be then, and when.
    let audit = loop {
        let audit = world.get("/api/audit", &world.admin).await.body;
        let is = |entry: &&Value, action| entry["action"] == action;
        let entries = audit["entries"].as_array().unwrap();
        let says = entries.iter().filter(|entry| is(entry, "agent.say"));
        if says.count() == 4 {
            break audit;
        }
        tokio::task::yield_now().await;
    };
    let entries = audit["entries"].as_array().unwrap();
    let paused = entries
        .iter()
        .find(|entry| entry["action"] == "agent.pause");
    let paused = paused.unwrap()["at"].as_str().unwrap();
    let paused = OffsetDateTime::parse(paused, &Rfc3339).unwrap();
    assert!(paused <= released, "{paused}, {released}");
    world.server.shutdown().await;
}

#[tokio::test]
async fn whoever_is_signed_in_stays_so_while_the_database_is_locked() {
    let (world, file) = world().await;
    let url = format!("http://{}/api/session", world.addr);
    let body = json!({"token": world.operator});
    let signed_in = world.http.post(&url).json(&body).send().await.unwrap();
    assert_eq!(signed_in.status(), 201);
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    // As long ago as makes each request put the end of the session off, and note the token's use.
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    connection
        .execute("UPDATE sessions SET expires_at = expires_at - 600000")
        .await
        .unwrap();
    connection.close().await.unwrap();

    let lock = Lock::take(&file).await;
    let caller = world.call().await;
    say(&world, &caller, "Hello.").await;
    assert!(failure(&world).await.contains("locked"));
    // More at once than there are connections to the database.
    let asking = (0..40).map(|_| {
        let request = world.http.get(&url).header("cookie", &cookie);
        async move { request.send().await.unwrap().status().as_u16() }
    });
    let answers = futures_util::future::join_all(asking).await;
    assert!(answers.iter().all(|status| *status == 200), "{answers:?}");
    lock.release().await;
    // The session's end is put off once that can be.
    let ends = async || {
        let request = world.http.get(&url).header("cookie", &cookie);
        let body: Value = request.send().await.unwrap().json().await.unwrap();
        body["expires_at"].as_str().unwrap().to_owned()
    };
    let before = ends().await;
    while ends().await == before {
        tokio::task::yield_now().await;
    }
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_session_that_is_not_used_for_long_is_over() {
    let (world, file) = world().await;
    let url = format!("http://{}/api/session", world.addr);
    let body = json!({"token": world.viewer});
    let signed_in = world.http.post(&url).json(&body).send().await.unwrap();
    let cookie = signed_in.headers()["set-cookie"].to_str().unwrap();
    let cookie = cookie.split(';').next().unwrap().to_owned();
    let status = async || {
        let request = world.http.get(&url).header("cookie", &cookie);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status().await, 200);
    // An hour later, without anybody having to wait for it.
    let mut connection = SqliteConnection::connect(&format!("sqlite:{}", file.display()))
        .await
        .unwrap();
    connection
        .execute("UPDATE sessions SET expires_at = expires_at - 3600000")
        .await
        .unwrap();
    connection.close().await.unwrap();
    assert_eq!(status().await, 401);
    world.server.shutdown().await;
}

/// A disk of 4 MiB, where this process may mount one.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Option<Self> {
        let folder = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(folder.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(folder)),
            _ => None,
        }
    }

    /// Leaves no room on it.
    fn fill(&self) -> PathBuf {
        use std::io::Write as _;
        let path = self.0.path().join("filling");
        let mut file = std::fs::File::create(&path).unwrap();
        let bytes = [1_u8; 4_096];
        while file.write_all(&bytes).is_ok() {}
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_call_goes_on_while_the_disk_is_full() {
    let Some(disk) = Disk::mount() else {
        eprintln!("skipped: this process may not mount a small disk");
        return;
    };
    let folder = TempDir::new().unwrap();
    let mut config = config(&folder);
    let file = disk.0.path().join("calls.db");
    config.store.url = format!("sqlite:{}", file.display());
    config.recording.folder = disk.0.path().join("recordings").display().to_string();
    config.recording.enabled = true;
    let world = World::start(folder, &config, engine()).await;
    let caller = world.call().await;
    let mut stream = Stream::open(&world, &caller.path("/transcript"), None)
        .await
        .unwrap();
    say(&world, &caller, "One.").await;
    assert_eq!(line(&mut stream).await.1, "One.");
    written(&world).await;
    // It is written once a second.
    let recorded = async || {
        let request = world.request(Method::GET, &caller.path("/recording"), &world.viewer);
        let response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        response.bytes().await.unwrap()
    };
    while recorded().await.len() <= 44 {
        tokio::task::yield_now().await;
    }

    let filling = disk.fill();
    // Guidance takes room as words do, and nobody has to listen to it.
    let page = json!({"text": "A page of words. ".repeat(100).trim()});
    let mut pages = 0;
    loop {
        let path = caller.path("/whisper");
        let guided = world.post(&path, &world.operator, page.clone()).await;
        assert_eq!(guided.status, 202, "{guided:?}");
        pages += 1;
        let summary = world.get("/api/metrics/summary", &world.viewer).await;
        if !summary.body["now"]["store"]["failure"].is_null() {
            break;
        }
    }
    let why = failure(&world).await;
    assert!(
        why.contains("no room left on its disk") || why.contains("its disk fails"),
        "{why}"
    );
    let view = world.get(&caller.path(""), &world.viewer).await;
    assert_eq!(view.body["state"], "live", "{view:?}");
    // The recording ends where the disk did, and it is said why.
    let recordings = loop {
        let summary = world.get("/api/metrics/summary", &world.viewer).await;
        let recordings = summary.body["now"]["recordings"].clone();
        if recordings["failed"] == 1 {
            break recordings;
        }
        tokio::task::yield_now().await;
    };
    let why = recordings["failure"].as_str().unwrap();
    assert!(why.contains("No space left"), "{why}");

    std::fs::remove_file(filling).unwrap();
    written(&world).await;
    say(&world, &caller, "Two.").await;
    assert_eq!(line(&mut stream).await.1, "Two.");
    let path = caller.path("/transcript");
    let id = caller.hang_up().await;
    let transcript = loop {
        let transcript = world.get(&path, &world.viewer).await;
        if transcript.body["complete"] == true {
            break transcript;
        }
    };
    assert_eq!(lines(&transcript), ["One.", "Two."]);
    let path = format!("/api/calls/{id}/events");
    let mut events = Stream::open(&world, &path, None).await.unwrap();
    let mut kept = 0;
    while let Some(event) = events.next().await {
        if event.name == "agent.guided" {
            assert_eq!(event.data["text"], page["text"]);
            kept += 1;
        }
    }
    assert_eq!(kept, pages, "pages of guidance");
    let view = world.get(&format!("/api/calls/{id}"), &world.viewer).await;
    assert_eq!(view.body["state"], "ended", "{view:?}");
    // What there is of the recording can be heard.
    let path = format!("/api/calls/{id}/recording");
    let recording = world.request(Method::GET, &path, &world.viewer);
    let recording = recording.send().await.unwrap();
    assert_eq!(recording.status(), 200);
    let audio = recording.bytes().await.unwrap();
    assert!(
        audio.starts_with(b"RIFF") && audio.len() > 44,
        "{}",
        audio.len()
    );
    world.server.shutdown().await;
}
