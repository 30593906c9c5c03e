//! `sidetone models`, as a person or a script runs it. No network.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{
    fs::{self, File},
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
    sync::{Arc, Mutex},
    thread,
};

use serde_json::Value;
use sidetone_models::Manifest;

fn models(dir: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sidetone"));
    command
        .arg("models")
        .args(args)
        .env("SIDETONE_MODELS_DIR", dir);
    for proxy in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(proxy).env_remove(proxy.to_lowercase());
    }
    command.env_remove("SIDETONE_MODELS_URL");
    command
}

fn run(dir: &Path, args: &[&str]) -> Output {
    models(dir, args).output().unwrap()
}

/// What it printed, having succeeded.
fn printed(dir: &Path, args: &[&str]) -> String {
    let output = run(dir, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What it said, having failed.
fn refused(dir: &Path, args: &[&str]) -> String {
    said(&run(dir, args))
}

fn said(output: &Output) -> String {
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A file of the model's size that holds nothing but zeros and takes no room.
fn place(dir: &Path, name: &str) -> String {
    let file = &Manifest::embedded().get(name).unwrap().files[0];
    let path = dir.join(&file.name);
    File::create(&path)
        .unwrap()
        .set_len(file.size_bytes)
        .unwrap();
    path.display().to_string()
}

#[test]
fn the_list_shows_what_there_is_and_what_is_here() {
    let dir = tempfile::tempdir().unwrap();
    place(dir.path(), "tiny.en");
    let table = printed(dir.path(), &["list"]);
    let line = |name: &str| {
        let start = format!("{name} ");
        table.lines().find(|line| line.starts_with(&start)).unwrap()
    };
    assert!(line("tiny.en").ends_with("yes") && line("tiny.en").contains("77.70 MB"));
    assert!(line("base").ends_with("no") && line("base").contains("MIT"));
    assert!(line("demo").ends_with("bundled") && line("demo").contains("en, es, pt"));
    assert!(line("piper-pt_BR-faber-medium").contains("pt-BR"));
    assert!(!table.contains("onnxruntime-windows") || cfg!(windows));

    let lines = |args: &[&str]| printed(dir.path(), args).lines().count();
    // Head, line, empty line, folder.
    assert_eq!(lines(&["list", "SILERO"]), 4);
    assert_eq!(lines(&["list", "--here"]), 5, "demo and tiny.en");
    assert_eq!(lines(&["list", "--kind", "turn"]), 4);
    assert_eq!(lines(&["list", "demo", "--language", "pt"]), 4);
    assert!(printed(dir.path(), &["list", "demo", "--language", "fr"]).starts_with("no such"));
    assert!(printed(dir.path(), &["list", "parrot"]).starts_with("no such models"));
    let spanish = printed(
        dir.path(),
        &["list", "--language", "es", "--kind", "piper-voice"],
    );
    assert!(spanish.contains("piper-es_MX") && !spanish.contains("piper-en_US"));
}

#[test]
fn the_list_is_there_for_programs_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = place(dir.path(), "silero-vad");
    let list =
        |args: &[&str]| -> Vec<Value> { serde_json::from_str(&printed(dir.path(), args)).unwrap() };
    let all = list(&["list", "--json", "--all-platforms"]);
    assert_eq!(all.len(), Manifest::embedded().entries().len());
    let [silero] = &list(&["list", "silero", "--json"])[..] else {
        panic!()
    };
    assert_eq!(silero["presence"], "here");
    assert_eq!(silero["files"][0]["path"], path);
    assert_eq!(silero["files"][0]["sha256"].as_str().unwrap().len(), 64);
    assert_eq!(list(&["list", "parrot", "--json"]), [] as [Value; 0]);
}

#[test]
fn path_is_for_scripts() {
    let dir = tempfile::tempdir().unwrap();
    let path = place(dir.path(), "silero-vad");
    assert_eq!(printed(dir.path(), &["path", "silero-vad"]), path + "\n");
    let error = refused(dir.path(), &["path", "base.en"]);
    assert!(error.contains("sidetone models fetch base.en"), "{error}");
    let error = refused(dir.path(), &["path", "bas.en"]);
    assert!(error.contains("base.en") && error.len() < 300, "{error}");
    refused(dir.path(), &["path", "demo"]);
}

#[test]
fn verify_finds_what_is_wrong_and_says_so_by_its_exit_code() {
    let dir = tempfile::tempdir().unwrap();
    assert!(printed(dir.path(), &["verify"]).starts_with("no models"));
    assert!(printed(dir.path(), &["verify", "demo"]).starts_with("demo: as published"));
    place(dir.path(), "silero-vad");
    let error = refused(dir.path(), &["verify"]);
    assert!(
        error.contains("silero_vad.onnx has the SHA-256")
            && error.contains("sidetone models fetch silero-vad"),
        "{error}"
    );
    let error = refused(dir.path(), &["verify", "demo", "silero-vad", "tiny"]);
    assert!(error.ends_with("error: 2 of 3 failed\n"), "{error}");
    // Cut short, it is here and wrong.
    fs::write(dir.path().join("silero_vad.onnx"), b"short").unwrap();
    let error = refused(dir.path(), &["verify"]);
    assert!(error.contains("has 5 bytes"), "{error}");
}

#[test]
fn remove_removes() {
    let dir = tempfile::tempdir().unwrap();
    place(dir.path(), "silero-vad");
    fs::write(dir.path().join("ggml-tiny.bin.part"), b"part").unwrap();
    let said = printed(dir.path(), &["remove", "silero-vad", "tiny", "base"]);
    assert!(
        said.contains("silero-vad: removed, 2.33 MB") && said.contains("base: was not here"),
        "{said}"
    );
    let left = fs::read_dir(dir.path()).unwrap();
    let names = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(names.into_iter().all(|name| name.ends_with(".lock")));
    refused(dir.path(), &["remove", "demo"]);
}

#[test]
fn wrong_files_at_hand_are_not_installed() {
    let dir = tempfile::tempdir().unwrap();
    let at_hand = tempfile::tempdir().unwrap();
    let zeros = place(at_hand.path(), "silero-vad");
    let error = refused(dir.path(), &["fetch", "silero-vad", "--from", &zeros]);
    assert!(error.contains("has the SHA-256"), "{error}");
    let error = refused(dir.path(), &["fetch", "tiny", "--from", &zeros]);
    assert!(error.contains("expected 77691713"), "{error}");
    let folder = at_hand.path().to_str().unwrap();
    let error = refused(dir.path(), &["fetch", "tiny", "base", "--from", folder]);
    assert!(
        error.contains("ggml-tiny.bin is wanted") && error.ends_with("2 of 2 failed\n"),
        "{error}"
    );
    assert!(!dir.path().join("silero_vad.onnx").exists());
}

/// Says 404 to everything, and keeps what it was asked.
fn proxy() -> (String, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&asked);
    thread::spawn(move || {
        for socket in listener.incoming() {
            let mut socket = BufReader::new(socket.unwrap());
            let mut first = String::new();
            socket.read_line(&mut first).unwrap();
            let mut line = String::new();
            while socket.read_line(&mut line).unwrap() > 2 {
                line.clear();
            }
            log.lock().unwrap().push(first.trim_end().to_owned());
            let answer =
                b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
            socket.get_mut().write_all(answer).unwrap();
        }
    });
    (address, asked)
}

#[test]
fn a_mirror_and_a_proxy_are_taken_from_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let (address, asked) = proxy();
    let fetch = |variables: &[(&str, &str)]| {
        let mut command = models(dir.path(), &["fetch", "silero-vad"]);
        said(&command.envs(variables.iter().copied()).output().unwrap())
    };
    let last = || asked.lock().unwrap().pop();

    let mirror = format!("http://{address}/models");
    let error = fetch(&[("SIDETONE_MODELS_URL", &mirror)]);
    assert!(
        error.contains("/models/silero_vad.onnx answered 404"),
        "{error}"
    );
    assert_eq!(last().unwrap(), "GET /models/silero_vad.onnx HTTP/1.1");

    let proxy = format!("http://{address}");
    let elsewhere = ("SIDETONE_MODELS_URL", "http://models.invalid");
    fetch(&[elsewhere, ("HTTP_PROXY", &proxy)]);
    let asked_for = "GET http://models.invalid/silero_vad.onnx HTTP/1.1";
    assert_eq!(last().unwrap(), asked_for);

    let nowhere = ("SIDETONE_MODELS_URL", "models.invalid");
    assert!(fetch(&[nowhere]).contains("not an http or https address"));
    assert_eq!(last(), None);
}

/// Runs it until its first attempt has failed: more would come after pauses.
fn first_attempt(command: &mut Command) {
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().contains("trying again")));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn the_publishers_are_reached_through_the_https_proxy() {
    let dir = tempfile::tempdir().unwrap();
    let (address, asked) = proxy();
    let mut command = models(dir.path(), &["fetch", "silero-vad"]);
    first_attempt(command.env("HTTPS_PROXY", format!("http://{address}")));
    assert_eq!(
        asked.lock().unwrap()[0],
        "CONNECT raw.githubusercontent.com:443 HTTP/1.1"
    );
}

#[test]
fn what_no_proxy_names_is_reached_without_one() {
    let dir = tempfile::tempdir().unwrap();
    let (address, asked) = proxy();
    let mut command = models(dir.path(), &["fetch", "silero-vad"]);
    command
        .env("HTTP_PROXY", format!("http://{address}"))
        .env("NO_PROXY", "models.invalid")
        .env("SIDETONE_MODELS_URL", "http://models.invalid");
    first_attempt(&mut command);
    assert!(asked.lock().unwrap().is_empty());
}
