//! Fetches that are interrupted, and go on where they were.

use std::time::Duration;

use sidetone_models::fetch::{FetchError, FetchEvent, Fetcher, Patience};
use sidetone_models::{Presence, presence_in};

use crate::bench::{Bench, CONTENT, entry_of};
use crate::server::{Request, Server, status, whole, whole_or_rest};

/// The fetch from `server` succeeds where an earlier one has left `part`.
async fn installs_from_part(server: &Server, part: &[u8]) {
    let mut bench = Bench::new();
    bench.write("model.onnx.part", part);
    bench.fetch_from(server).await.unwrap();
    bench.assert_installed();
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
    bench.fetch_from(&server).await.unwrap();
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
    bench.fetch_from(&server).await.unwrap();
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
    installs_from_part(&server, CONTENT).await;
    assert!(server.requests().is_empty());
}

#[tokio::test]
async fn a_wrong_part_is_thrown_away_and_the_fetch_begins_anew() {
    let server = Server::of(CONTENT).await;
    let longer = [CONTENT, b"more"].concat();
    for wrong in [&[7; 123_456][..], &[7; 300_000], &longer] {
        let mut bench = Bench::new();
        bench.write("model.onnx.part", wrong);
        bench.fetch_from(&server).await.unwrap();
        bench.assert_installed();
        assert_eq!(bench.has_event("discarded"), wrong.len() <= CONTENT.len());
        assert_eq!(server.ranges().last(), Some(&None));
    }
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_is_read_from_the_beginning() {
    let server = Server::start(|_, _| whole(CONTENT)).await;
    installs_from_part(&server, &CONTENT[..123_456]).await;
    assert_eq!(server.ranges(), [Some(123_456)]);
}

#[tokio::test]
async fn a_server_that_knows_no_ranges_and_always_cuts_is_given_up() {
    let server = Server::start(|_, _| whole(CONTENT).cut_after(100_000)).await;
    let mut bench = Bench::new();
    let error = bench.fetch_from(&server).await.unwrap_err();
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
    installs_from_part(&server, &CONTENT[..1000]).await;
    assert_eq!(server.ranges(), [Some(1000), None]);

    // No Content-Range at all.
    let server = Server::start(|_, request| {
        let mut reply = whole_or_rest(CONTENT, request);
        reply.head.retain(|line| !line.starts_with("Content-Range"));
        reply
    })
    .await;
    installs_from_part(&server, &CONTENT[..1000]).await;
}

#[tokio::test]
async fn a_refused_range_is_asked_for_as_a_whole() {
    let server = Server::start(|_, request| match request.from {
        Some(_) => status("416 Range Not Satisfiable"),
        None => whole(CONTENT),
    })
    .await;
    installs_from_part(&server, &CONTENT[..1000]).await;
}

#[tokio::test]
async fn a_silent_server_is_left_and_asked_again() {
    let server = Server::that_stalls_once(CONTENT, 50_000).await;
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
async fn a_fetch_that_was_called_off_is_taken_up() {
    let server = Server::that_stalls_once(CONTENT, 50_000).await;
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
