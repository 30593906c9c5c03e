//! Fetching from servers that cut connections, lie about lengths and send wrong bytes.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use sidetone_models::fetch::{
    FetchError, FetchEvent, FetchOptions, Fetcher, Interruption, Patience,
};
use sidetone_models::{
    Entry, Languages, ModelFile, ModelKind, Presence, Sha256Digest, presence_in, verify_in,
};
use tempfile::TempDir;

use crate::server::{Reply, Request, Server, Then, status, whole, whole_or_rest};

/// Large enough that it comes in several pieces.
static CONTENT: &[u8] = &{
    let mut content = [0; 300_000];
    let mut n = 0;
    while n < content.len() {
        content[n] = (n % 251) as u8;
        n += 1;
    }
    content
};

fn entry_of(url: &str, content: &[u8]) -> Entry {
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
struct Bench {
    dir: TempDir,
    events: Vec<String>,
}

impl Bench {
    fn new() -> Self {
        Self {
            dir: tempfile::tempdir().unwrap(),
            events: Vec::new(),
        }
    }

    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn options(&self) -> FetchOptions {
        FetchOptions {
            patience: Patience {
                pause: Duration::ZERO,
                ..Patience::default()
            },
            ..FetchOptions::new(self.path().to_owned())
        }
    }

    async fn fetch(&mut self, entry: &Entry) -> Result<(), FetchError> {
        let options = self.options();
        self.fetch_with(options, entry).await
    }

    async fn fetch_with(&mut self, options: FetchOptions, entry: &Entry) -> Result<(), FetchError> {
        let events = &mut self.events;
        let fetcher = Fetcher::new(options).unwrap();
        fetcher
            .fetch(entry, &mut |event| events.push(told(&event)))
            .await
    }

    /// What lies in the directory, without the locks.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> = entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| !name.starts_with('.'))
            .collect();
        names.sort();
        names
    }

    fn write(&self, name: &str, content: &[u8]) {
        fs::write(self.path().join(name), content).unwrap();
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path().join(name)).unwrap()
    }

    fn assert_installed(&self) {
        assert_eq!(self.files(), ["model.onnx"]);
        assert!(self.read("model.onnx") == CONTENT);
    }

    fn has_event(&self, text: &str) -> bool {
        self.events.iter().any(|event| event == text)
    }
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

#[tokio::test]
async fn a_file_arrives_whole() {
    let server = Server::of(CONTENT).await;
    let mut bench = Bench::new();
    let entry = entry_of(&server.url, CONTENT);
    bench.fetch(&entry).await.unwrap();
    bench.assert_installed();
    verify_in(bench.path(), &entry).unwrap();
    assert_eq!(presence_in(bench.path(), &entry), Presence::Here);
    assert_eq!(server.requests()[0].path, "/releases/model.onnx");
    assert!(bench.has_event("started at 0") && bench.has_event("received 300000"));
    assert!(bench.has_event("installed"));
}

#[tokio::test]
async fn what_is_here_is_not_fetched_again() {
    let server = Server::of(CONTENT).await;
    let mut bench = Bench::new();
    bench.write("model.onnx", CONTENT);
    let entry = entry_of(&server.url, CONTENT);
    bench.fetch(&entry).await.unwrap();
    assert_eq!(bench.events, ["already here"]);
    let all = fs::read_dir(bench.path()).unwrap();
    assert_eq!(all.count(), 1, "not even a lock: it may not be writable");
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_damaged_file_is_fetched_anew() {
    let server = Server::of(CONTENT).await;
    let entry = entry_of(&server.url, CONTENT);
    let mut flipped = CONTENT.to_vec();
    flipped[150_000] ^= 1;
    for damaged in [&flipped[..], &CONTENT[..1000], b""] {
        let mut bench = Bench::new();
        bench.write("model.onnx", damaged);
        verify_in(bench.path(), &entry).unwrap_err();
        bench.fetch(&entry).await.unwrap();
        bench.assert_installed();
    }
}

#[tokio::test]
async fn a_cut_connection_is_taken_up_where_it_broke() {
    let server = Server::start(|n, request| {
        let reply = whole_or_rest(CONTENT, request);
        if n < 3 {
            reply.cut_after(70_000)
        } else {
            reply
        }
    })
    .await;
    let mut bench = Bench::new();
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    assert_eq!(
        server.ranges(),
        [None, Some(70_000), Some(140_000), Some(210_000)]
    );
    let if_range = |n: usize| server.requests()[n].if_range.clone();
    assert_eq!(if_range(0), None);
    assert_eq!(if_range(1).unwrap(), "\"v1\"");
}

#[tokio::test]
async fn cuts_that_bring_something_are_never_too_many() {
    let server =
        Server::start(|_, request| whole_or_rest(CONTENT, request).cut_after(10_000)).await;
    let mut bench = Bench::new();
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    assert_eq!(server.requests().len(), 30);
}

#[tokio::test]
async fn what_an_earlier_fetch_left_is_taken_up() {
    let server = Server::of(CONTENT).await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..123_456]);
    let entry = entry_of(&server.url, CONTENT);
    let bytes = 123_456;
    assert_eq!(
        presence_in(bench.path(), &entry),
        Presence::Partial { bytes }
    );
    bench.fetch(&entry).await.unwrap();
    bench.assert_installed();
    assert_eq!(server.ranges(), [Some(123_456)]);
    assert_eq!(bench.events[0], "started at 123456");
}

#[tokio::test]
async fn a_whole_part_needs_no_request() {
    let server = Server::of(CONTENT).await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", CONTENT);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_part_is_thrown_away_and_the_fetch_begins_anew() {
    let server = Server::of(CONTENT).await;
    let longer = [CONTENT, b"more"].concat();
    for wrong in [&[7; 123_456][..], &[7; 300_000], &longer] {
        let mut bench = Bench::new();
        bench.write("model.onnx.part", wrong);
        bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
        bench.assert_installed();
        assert_eq!(bench.has_event("discarded"), wrong.len() <= CONTENT.len());
        assert_eq!(server.ranges().last(), Some(&None));
    }
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_read_from_the_beginning() {
    let server = Server::start(|_, _| whole(CONTENT)).await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..123_456]);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    assert_eq!(server.ranges(), [Some(123_456)]);
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_and_always_cuts_is_given_up() {
    let server = Server::start(|_, _| whole(CONTENT).cut_after(100_000)).await;
    let mut bench = Bench::new();
    let error = bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    let FetchError::GaveUp { attempts, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(attempts, Patience::default().attempts);
    assert_eq!(bench.files(), ["model.onnx.part"], "kept for the next time");
    assert!(bench.read("model.onnx.part") == CONTENT[..100_000]);
}

#[tokio::test]
async fn another_part_than_asked_for_is_not_taken_for_the_rest() {
    // Content-Range from the beginning, whatever was asked.
    let server = Server::start(|_, request| match request.from {
        Some(_) => whole_or_rest(
            CONTENT,
            &Request {
                from: Some(0),
                ..request.clone()
            },
        ),
        None => whole(CONTENT),
    })
    .await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..1000]);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    assert_eq!(server.ranges(), [Some(1000), None]);

    // No Content-Range at all.
    let server = Server::start(|_, request| {
        let mut reply = whole_or_rest(CONTENT, request);
        reply.head.retain(|line| !line.starts_with("Content-Range"));
        reply
    })
    .await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..1000]);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
}

#[tokio::test]
async fn a_refused_range_is_asked_for_as_a_whole() {
    let server = Server::start(|_, request| match request.from {
        Some(_) => status("416 Range Not Satisfiable"),
        None => whole(CONTENT),
    })
    .await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..1000]);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
}

#[tokio::test]
async fn a_length_that_is_not_the_manifests_is_refused_before_a_byte_is_kept() {
    for stated in [CONTENT.len() - 1, CONTENT.len() + 1, 12, 1 << 40] {
        let server = Server::start(move |_, request| {
            let mut reply = whole_or_rest(CONTENT, request);
            for line in &mut reply.head {
                if line.starts_with("Content-Length") {
                    *line = format!("Content-Length: {stated}");
                }
                if let Some((range, _)) = line.clone().rsplit_once('/') {
                    *line = format!("{range}/{stated}");
                }
            }
            reply
        })
        .await;
        let mut bench = Bench::new();
        let entry = entry_of(&server.url, CONTENT);
        let error = bench.fetch(&entry).await.unwrap_err();
        assert!(
            matches!(error, FetchError::WrongSize { actual_bytes, .. } if actual_bytes == stated as u64),
            "{error}"
        );
        assert!(bench.files().is_empty());
        assert_eq!(server.requests().len(), 1, "not a fault that passes");

        // The same for the rest of a file.
        bench.write("model.onnx.part", &CONTENT[..1000]);
        let error = bench.fetch(&entry).await.unwrap_err();
        assert!(matches!(error, FetchError::WrongSize { .. }), "{error}");
        assert_eq!(bench.files(), ["model.onnx.part"]);
    }
}

/// No Content-Length: the end of the connection is the end of the body.
fn unmeasured(body: &[u8]) -> Reply {
    Reply {
        head: vec!["200 OK".to_owned()],
        body: body.to_vec(),
        then: Then::Close,
    }
}

#[tokio::test]
async fn a_length_that_is_not_stated_is_checked_all_the_same() {
    let server = Server::start(|_, _| unmeasured(CONTENT)).await;
    let mut bench = Bench::new();
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();

    let server = Server::start(|_, _| unmeasured(&CONTENT[..5000])).await;
    let mut bench = Bench::new();
    let error = bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::GaveUp {
                source: Interruption::Short {
                    received_bytes: 5000,
                    ..
                },
                ..
            }
        ),
        "{error:?}"
    );
}

#[tokio::test]
async fn an_endless_body_is_cut_off_and_thrown_away() {
    let server = Server::start(|_, _| unmeasured(CONTENT).then(Then::Repeat)).await;
    let mut bench = Bench::new();
    let error = bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::TooLong { .. }), "{error}");
    assert!(bench.files().is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away() {
    static WRONG: &[u8] = &[7; 300_000];
    let server = Server::of(WRONG).await;
    let mut bench = Bench::new();
    let error = bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, FetchError::WrongDigest { .. }), "{text}");
    assert!(text.contains("/releases/model.onnx") && text.contains("SHA-256"));
    assert!(bench.files().is_empty());

    // What was right before stays.
    bench.write("model.onnx", &CONTENT[..10]);
    bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    assert_eq!(bench.files(), ["model.onnx"]);
}

#[tokio::test]
async fn a_refusal_is_final_and_a_trouble_passes() {
    for refusal in ["404 Not Found", "403 Forbidden", "304 Not Modified"] {
        let server = Server::start(move |_, _| status(refusal)).await;
        let mut bench = Bench::new();
        let error = bench
            .fetch(&entry_of(&server.url, CONTENT))
            .await
            .unwrap_err();
        assert!(
            error
                .to_string()
                .ends_with(&format!("/releases/model.onnx answered {refusal}")),
            "{error}"
        );
        assert_eq!(server.requests().len(), 1);
        assert!(bench.files().is_empty());
    }
    for trouble in [
        "500 Internal Server Error",
        "503 Service Unavailable",
        "429 Too Many Requests",
    ] {
        let server = Server::start(move |n, request| match n {
            0 | 1 => status(trouble),
            _ => whole_or_rest(CONTENT, request),
        })
        .await;
        let mut bench = Bench::new();
        bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
        bench.assert_installed();
        assert!(bench.has_event(&format!("interrupted: the server answered {trouble}")));
    }
    let server = Server::start(|_, _| status("502 Bad Gateway")).await;
    let mut bench = Bench::new();
    let error = bench
        .fetch(&entry_of(&server.url, CONTENT))
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { .. }), "{error}");
}

#[tokio::test]
async fn redirects_are_followed_with_the_range() {
    let server = Server::start(|_, request| {
        if request.path == "/releases/model.onnx" {
            let mut reply = status("302 Found");
            reply.head.push("Location: /storage/abc".to_owned());
            reply
        } else {
            whole_or_rest(CONTENT, request)
        }
    })
    .await;
    let mut bench = Bench::new();
    bench.write("model.onnx.part", &CONTENT[..1000]);
    bench.fetch(&entry_of(&server.url, CONTENT)).await.unwrap();
    bench.assert_installed();
    let last = server.requests().pop().unwrap();
    assert_eq!(
        (last.path.as_str(), last.from),
        ("/storage/abc", Some(1000))
    );

    let server = Server::start(|_, request| {
        let mut reply = status("302 Found");
        reply.head.push(format!("Location: {}", request.path));
        reply
    })
    .await;
    let error = bench
        .fetch(&entry_of(&server.url, &CONTENT[1..]))
        .await
        .unwrap_err();
    assert!(matches!(error, FetchError::GaveUp { .. }), "{error}");
}

#[tokio::test]
async fn a_silent_server_is_left_and_asked_again() {
    let server = Server::start(|n, request| {
        let reply = whole_or_rest(CONTENT, request);
        match n {
            0 => reply.cut_after(50_000).then(Then::Stall),
            _ => reply,
        }
    })
    .await;
    let mut bench = Bench::new();
    let mut options = bench.options();
    options.patience.silence = Duration::from_millis(300);
    bench
        .fetch_with(options, &entry_of(&server.url, CONTENT))
        .await
        .unwrap();
    bench.assert_installed();
    assert_eq!(server.ranges()[..2], [None, Some(50_000)]);
}

#[tokio::test]
async fn no_server_at_all_is_given_up() {
    let closed = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        format!("http://{}", listener.local_addr().unwrap())
    };
    let mut bench = Bench::new();
    let error = bench.fetch(&entry_of(&closed, CONTENT)).await.unwrap_err();
    assert!(
        matches!(
            error,
            FetchError::GaveUp {
                source: Interruption::Connection(_),
                ..
            }
        ),
        "{error}"
    );
    assert!(bench.files().is_empty());
}

#[tokio::test]
async fn two_that_fetch_the_same_take_turns() {
    let server = Server::of(CONTENT).await;
    let bench = Bench::new();
    let entry = entry_of(&server.url, CONTENT);
    let fetcher = Fetcher::new(bench.options()).unwrap();
    let (installed, here) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let fetch = async || {
        let count = |event: FetchEvent<'_>| {
            match event {
                FetchEvent::Installed { .. } => installed.fetch_add(1, Ordering::Relaxed),
                FetchEvent::AlreadyHere { .. } => here.fetch_add(1, Ordering::Relaxed),
                _ => 0,
            };
        };
        fetcher.fetch(&entry, &mut { count }).await.unwrap();
    };
    tokio::join!(fetch(), fetch(), fetch());
    bench.assert_installed();
    assert_eq!(server.requests().len(), 1);
    assert_eq!(installed.into_inner(), 1);
    assert_eq!(here.into_inner(), 2);
}

#[tokio::test]
async fn a_fetch_that_was_called_off_is_taken_up() {
    let server = Server::start(|n, request| {
        let reply = whole_or_rest(CONTENT, request);
        match n {
            0 => reply.cut_after(50_000).then(Then::Stall),
            _ => reply,
        }
    })
    .await;
    let mut bench = Bench::new();
    let entry = entry_of(&server.url, CONTENT);
    {
        let fetcher = Fetcher::new(bench.options()).unwrap();
        let (there, mut enough) = tokio::sync::mpsc::unbounded_channel();
        let mut on_event = |event: FetchEvent<'_>| {
            if let FetchEvent::Received {
                done_bytes: 50_000, ..
            } = event
            {
                there.send(()).unwrap();
            }
        };
        tokio::select! {
            result = fetcher.fetch(&entry, &mut on_event) => panic!("{result:?}"),
            _ = enough.recv() => {}
        }
    }
    bench.fetch(&entry).await.unwrap();
    bench.assert_installed();
    assert_eq!(server.ranges(), [None, Some(50_000)]);
}

#[tokio::test]
async fn a_mirror_has_the_files_by_their_names() {
    let server = Server::of(CONTENT).await;
    let mirror = server.url.replace("http://", "http://user:secret@") + "/models/";
    let mut bench = Bench::new();
    let options = FetchOptions {
        mirror: Some(mirror),
        ..bench.options()
    };
    assert!(!format!("{options:?}").contains("secret"));
    let entry = entry_of("https://publisher.invalid", CONTENT);
    bench.fetch_with(options.clone(), &entry).await.unwrap();
    bench.assert_installed();
    let request = &server.requests()[0];
    assert_eq!(request.path, "/models/model.onnx");
    assert!(
        request
            .authorization
            .as_ref()
            .unwrap()
            .starts_with("Basic ")
    );

    let entry = entry_of("https://publisher.invalid", &CONTENT[1..]);
    let error = bench.fetch_with(options, &entry).await.unwrap_err();
    assert!(matches!(error, FetchError::WrongSize { .. }), "{error}");
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_mirror_that_is_no_http_address_is_refused() {
    for mirror in [
        "models.example.com",
        "ftp://u:secret@host/",
        "http://",
        "/srv",
    ] {
        let options = FetchOptions {
            mirror: Some(mirror.to_owned()),
            ..FetchOptions::new(PathBuf::from("/nowhere"))
        };
        let error = Fetcher::new(options).unwrap_err();
        assert!(matches!(error, FetchError::Mirror { .. }), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
}

#[tokio::test]
async fn a_directory_that_cannot_be_written_is_named() {
    let server = Server::of(CONTENT).await;
    let mut bench = Bench::new();
    bench.write("file", b"not a folder");
    let mut options = bench.options();
    options.dir = bench.path().join("file").join("models");
    let entry = entry_of(&server.url, CONTENT);
    let error = bench.fetch_with(options, &entry).await.unwrap_err();
    assert!(
        error.to_string().starts_with("cannot write ") && error.to_string().contains("models"),
        "{error}"
    );
    // A folder where the file should be.
    fs::create_dir(bench.path().join("model.onnx")).unwrap();
    let error = bench.fetch(&entry).await.unwrap_err();
    assert!(matches!(error, FetchError::Write { .. }), "{error}");
    assert!(server.requests().len() <= 1);
}
