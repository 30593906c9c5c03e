//! What the program logs when it is told to log everything.

#![allow(clippy::unwrap_used)]

use std::{
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use sidetone_cli::phone::{CallIdentity, Entry, Line, Script, Target, When, call, load_audio};

/// Ends the server, however the test ends.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn at_trace_the_log_holds_neither_words_nor_voices_nor_tokens() {
    let espeak = Command::new("espeak-ng")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if espeak.is_err() {
        eprintln!("skipped: the agent's voice is espeak-ng, which is not installed");
        return;
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    for (name, _) in std::env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("SIDETONE_") || name.starts_with("TWILIO_") {
            command.env_remove(&*name);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("calls.db").display());
    let server = command
        .arg("serve")
        .env("SIDETONE_STORE__URL", store)
        .env("SIDETONE_LOG", "trace,tungstenite=trace,hyper=trace")
        .env("SIDETONE_SERVER__LISTEN", "127.0.0.1:0")
        .env("SIDETONE_SERVER__INSECURE", "true")
        .env("SIDETONE_AGENT__GREETING", "Tangerine.")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut server = Server(server);
    let mut stderr = BufReader::new(server.0.stderr.take().unwrap());
    let mut log = String::new();
    let addr = loop {
        let mut line = String::new();
        assert_ne!(stderr.read_line(&mut line).unwrap(), 0, "{log}");
        log.push_str(&line);
        if let Some((_, addr)) = line.trim_end().split_once("listening addr=") {
            break addr.to_owned();
        }
    };
    // Read all along: a full pipe would hold up the server.
    let rest = std::thread::spawn(move || {
        let mut rest = Vec::new();
        stderr.read_to_end(&mut rest).map(|_| rest)
    });

    let recording = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/demo/1-where.wav"
    ));
    let audio = load_audio(recording).unwrap();
    let script = Script::new(vec![Line::new(
        "where is my order",
        audio,
        When::AgentSilenceMs(700),
    )]);
    let target = Target {
        entry: Entry::Webhook(format!("http://{addr}/twilio/voice")),
        connect: None,
        auth_token: None,
    };
    let identity = CallIdentity::random(None);
    let report = call(&target, Arc::new(script), identity, true, |_, _| {})
        .await
        .unwrap();
    assert_eq!(report.failures().count(), 0, "{report:?}");
    drop(server);
    log.push_str(&String::from_utf8(rest.join().unwrap().unwrap()).unwrap());

    // The server did log at its finer levels, and did understand.
    for expected in ["call started", "turn answered"] {
        assert!(log.contains(expected), "{expected:?} is not in:\n{log}");
    }
    let start: serde_json::Value = report
        .messages
        .iter()
        .filter_map(|message| serde_json::from_str(&message.text).ok())
        .find(|message: &serde_json::Value| message["event"] == "start")
        .unwrap();
    let token = start["start"]["customParameters"]["token"]
        .as_str()
        .unwrap();
    let log = log.to_lowercase();
    for secret in [
        &token.to_lowercase(),
        "payload",
        "customparameters",
        "tangerine",
        "where is my order",
        "look that up",
    ] {
        assert!(!log.contains(secret), "{secret:?} is in the log");
    }
}
