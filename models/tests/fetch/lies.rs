//! Servers that lie about lengths and send wrong bytes.

use sidetone_models::fetch::{FetchError, Interruption};

use crate::bench::{Bench, CONTENT, entry_of};
use crate::server::{Reply, Server, Then, whole_or_rest};

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
    bench.fetch_from(&server).await.unwrap();
    bench.assert_installed();

    let server = Server::start(|_, _| unmeasured(&CONTENT[..5000])).await;
    let mut bench = Bench::new();
    let error = bench.fetch_from(&server).await.unwrap_err();
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
    let error = bench.fetch_from(&server).await.unwrap_err();
    assert!(matches!(error, FetchError::TooLong { .. }), "{error}");
    assert!(bench.files().is_empty());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
async fn wrong_bytes_are_thrown_away() {
    static WRONG: &[u8] = &[7; 300_000];
    let server = Server::of(WRONG).await;
    let mut bench = Bench::new();
    let error = bench.fetch_from(&server).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, FetchError::WrongDigest { .. }), "{text}");
    assert!(text.contains("/releases/model.onnx") && text.contains("SHA-256"));
    assert!(bench.files().is_empty());

    // What was right before stays.
    bench.write("model.onnx", &CONTENT[..10]);
    bench.fetch_from(&server).await.unwrap_err();
    assert_eq!(bench.files(), ["model.onnx"]);
}
