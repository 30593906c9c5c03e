//! Fetching from servers that answer, refuse, redirect or do not exist, and from mirrors.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use sidetone_models::fetch::{FetchError, FetchEvent, FetchOptions, Fetcher, Interruption};
use sidetone_models::{Presence, presence_in, verify_in};

use crate::bench::{Bench, CONTENT, entry_of};
use crate::server::{Server, status, whole_or_rest};

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
async fn a_refusal_is_final_and_a_trouble_passes() {
    for refusal in ["404 Not Found", "403 Forbidden", "304 Not Modified"] {
        let server = Server::start(move |_, _| status(refusal)).await;
        let mut bench = Bench::new();
        let error = bench.fetch_from(&server).await.unwrap_err();
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
        bench.fetch_from(&server).await.unwrap();
        bench.assert_installed();
        assert!(bench.has_event(&format!("interrupted: the server answered {trouble}")));
    }
    let server = Server::start(|_, _| status("502 Bad Gateway")).await;
    let mut bench = Bench::new();
    let error = bench.fetch_from(&server).await.unwrap_err();
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
    bench.fetch_from(&server).await.unwrap();
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
