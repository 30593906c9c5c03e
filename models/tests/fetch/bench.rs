//! One file to fetch, a directory to fetch it into, and what happened.

use std::{fs, path::Path, time::Duration};

use sidetone_models::fetch::{FetchError, FetchEvent, FetchOptions, Fetcher, Patience};
use sidetone_models::{Entry, Languages, ModelFile, ModelKind, Sha256Digest};
use tempfile::TempDir;

use crate::server::Server;

/// Large enough that it comes in several pieces.
pub(crate) static CONTENT: &[u8] = &{
    let mut content = [0; 300_000];
    let mut n = 0;
    while n < content.len() {
        content[n] = (n % 251) as u8;
        n += 1;
    }
    content
};

pub(crate) fn entry_of(url: &str, content: &[u8]) -> Entry {
    Entry {
        name: "test-model".to_owned(),
        kind: ModelKind::Vad,
        platform: None,
        licence: "MIT".to_owned(),
        languages: Languages::Any,
        files: vec![ModelFile {
            name: "model.onnx".to_owned(),
            url: format!("{url}/releases/model.onnx"),
            size_bytes: content.len() as u64,
            sha256: Sha256Digest::of(content),
            archive: None,
        }],
    }
}

/// A models directory of the test's own, and what happened in it.
pub(crate) struct Bench {
    dir: TempDir,
    pub(crate) events: Vec<String>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            events: Vec::new(),
        }
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(crate) fn options(&self) -> FetchOptions {
        FetchOptions {
            patience: Patience {
                pause: Duration::ZERO,
                ..Patience::default()
            },
            ..FetchOptions::new(self.path().to_owned())
        }
    }

    pub(crate) async fn fetch(&mut self, entry: &Entry) -> Result<(), FetchError> {
        let options = self.options();
        self.fetch_with(options, entry).await
    }

    /// Fetches what `server` has.
    pub(crate) async fn fetch_from(&mut self, server: &Server) -> Result<(), FetchError> {
        self.fetch(&entry_of(&server.url, CONTENT)).await
    }

    pub(crate) async fn fetch_with(
        &mut self,
        options: FetchOptions,
        entry: &Entry,
    ) -> Result<(), FetchError> {
        let events = &mut self.events;
        let fetcher = Fetcher::new(options).unwrap();
        fetcher
            .fetch(entry, &mut |event| events.push(told(&event)))
            .await
    }

    pub(crate) fn files(&self) -> Vec<String> {
        files(self.path())
    }

    pub(crate) fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).unwrap();
    }

    pub(crate) fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    pub(crate) fn assert_installed(&self) {
        assert_eq!(self.files(), ["model.onnx"]);
        assert!(self.read("model.onnx") == CONTENT);
    }

    pub(crate) fn has_event(&self, text: &str) -> bool {
        self.events.iter().any(|event| event == text)
    }
}

/// What lies in the directory, without the locks.
pub(crate) fn files(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.filter(|name| !name.starts_with('.')).collect();
    names.sort();
    names
}

fn told(event: &FetchEvent<'_>) -> String {
    match event {
        FetchEvent::Waiting { .. } => "waiting".to_owned(),
        FetchEvent::AlreadyHere { .. } => "already here".to_owned(),
        FetchEvent::Started { there_bytes, .. } => format!("started at {there_bytes}"),
        FetchEvent::Received { done_bytes, .. } => format!("received {done_bytes}"),
        FetchEvent::Interrupted { why, .. } => format!("interrupted: {why}"),
        FetchEvent::Discarded { .. } => "discarded".to_owned(),
        FetchEvent::Installed { .. } => "installed".to_owned(),
        other => panic!("{other:?}"),
    }
}
