//! Models out of archives, and from files at hand.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use sidetone_models::fetch::{FetchError, FetchEvent, FetchOptions, Fetcher, install_from};
use sidetone_models::{Archive, Entry, Languages, ModelFile, ModelKind, Sha256Digest, verify_in};
use zip::write::SimpleFileOptions;

use crate::bench::files;
use crate::server::{Server, whole_or_rest};

const LIBRARY: &[u8] = &[42; 50_000];
const MEMBER: &str = "engine/lib/libengine.so.1";

/// A ZIP archive of these members.
fn zip(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in members {
        writer
            .start_file(*name, SimpleFileOptions::default())
            .unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn entry_of(url: &str, archive: &[u8]) -> Entry {
    Entry {
        name: "engine".to_owned(),
        kind: ModelKind::Runtime,
        platform: None,
        licence: "MIT".to_owned(),
        languages: Languages::Any,
        files: vec![ModelFile {
            name: "engine-1.so".to_owned(),
            url: format!("{url}/engine-1.whl"),
            size_bytes: LIBRARY.len() as u64,
            sha256: Sha256Digest::of(LIBRARY),
            archive: Some(Archive {
                member: MEMBER.to_owned(),
                size_bytes: archive.len() as u64,
                sha256: Sha256Digest::of(archive),
            }),
        }],
    }
}

async fn fetch(dir: &Path, entry: &Entry, mirror: Option<String>) -> Result<(), FetchError> {
    let options = FetchOptions {
        mirror,
        ..FetchOptions::new(dir.to_owned())
    };
    Fetcher::new(options)
        .unwrap()
        .fetch(entry, &mut |_| ())
        .await
}

async fn from(dir: &Path, entry: &Entry, paths: &[PathBuf]) -> Result<(), FetchError> {
    install_from(dir, entry, paths, &mut |_| ()).await
}

#[tokio::test]
async fn the_wanted_file_is_taken_out_of_its_archive_and_nothing_else() {
    let archive = zip(&[
        ("engine/LICENSE", b"MIT"),
        ("../../outside", b"hostile"),
        ("/absolute", b"hostile"),
        (MEMBER, LIBRARY),
        ("engine/lib/other.so", &[0; 1000]),
    ]);
    let served = archive.clone();
    let server = Server::start(move |n, request| {
        let reply = whole_or_rest(&served, request);
        if n == 0 { reply.cut_after(40) } else { reply }
    })
    .await;
    let outer = tempfile::tempdir().unwrap();
    let dir = outer.path().join("a").join("models");
    let entry = entry_of(&server.url, &archive);
    fetch(&dir, &entry, None).await.unwrap();
    verify_in(&dir, &entry).unwrap();
    assert_eq!(files(&dir), ["engine-1.so"]);
    assert_eq!(files(outer.path()), ["a"]);
    assert_eq!(files(&outer.path().join("a")), ["models"]);
    assert_eq!(server.ranges(), [None, Some(40)]);
}

#[tokio::test]
async fn an_archive_that_holds_no_such_file_is_refused() {
    let refused = async |archive: Vec<u8>| {
        let served = archive.clone();
        let server = Server::start(move |_, request| whole_or_rest(&served, request)).await;
        let dir = tempfile::tempdir().unwrap();
        let error = fetch(dir.path(), &entry_of(&server.url, &archive), None)
            .await
            .unwrap_err();
        assert!(
            !dir.path().join("engine-1.so").exists()
                && !dir.path().join("engine-1.so.part").exists()
        );
        error
    };
    let is_archive = |error: &FetchError| matches!(error, FetchError::Archive { .. });
    let missing = refused(zip(&[("engine/lib/libengine.so.2", LIBRARY)])).await;
    assert!(
        is_archive(&missing) && missing.to_string().contains(MEMBER),
        "{missing}"
    );
    // By its very name, not by one that leads there.
    let hostile = refused(zip(&[("../engine/lib/libengine.so.1", LIBRARY)])).await;
    assert!(is_archive(&hostile), "{hostile}");
    let no_archive = refused(b"this is not a ZIP archive".to_vec()).await;
    assert!(is_archive(&no_archive), "{no_archive}");
    let whole = zip(&[(MEMBER, LIBRARY)]);
    let cut = refused(whole[..whole.len() - 30].to_vec()).await;
    assert!(is_archive(&cut), "{cut}");
    let mut damaged = whole;
    damaged[60] ^= 0x55;
    let damaged = refused(damaged).await;
    assert!(is_archive(&damaged), "{damaged}");

    let larger = refused(zip(&[(MEMBER, &[42; 5_000_000])])).await;
    assert!(matches!(larger, FetchError::TooLong { .. }), "{larger}");
    let other = refused(zip(&[(MEMBER, &[43; 50_000])])).await;
    assert!(matches!(other, FetchError::WrongDigest { .. }), "{other}");
    let shorter = refused(zip(&[(MEMBER, &[42; 49_999])])).await;
    assert!(
        matches!(shorter, FetchError::WrongDigest { .. }),
        "{shorter}"
    );
}

#[tokio::test]
async fn a_mirror_has_the_file_without_its_archive() {
    let server = Server::of(LIBRARY).await;
    let dir = tempfile::tempdir().unwrap();
    let entry = entry_of("https://publisher.invalid", b"archive");
    fetch(dir.path(), &entry, Some(server.url.clone()))
        .await
        .unwrap();
    verify_in(dir.path(), &entry).unwrap();
    assert_eq!(server.requests()[0].path, "/engine-1.so");
}

#[tokio::test]
async fn files_at_hand_do_as_well() {
    let archive = zip(&[(MEMBER, LIBRARY)]);
    let entry = entry_of("https://publisher.invalid", &archive);
    let at_hand = tempfile::tempdir().unwrap();
    let at = |name: &str| at_hand.path().join(name);
    fs::write(at("any name"), LIBRARY).unwrap();
    fs::write(at("any other name"), &archive).unwrap();
    fs::create_dir(at("of archives")).unwrap();
    fs::write(at("of archives").join("engine-1.whl"), &archive).unwrap();
    fs::create_dir(at("of models")).unwrap();
    fs::write(at("of models").join("engine-1.so"), LIBRARY).unwrap();
    for name in ["any name", "any other name", "of archives", "of models"] {
        let dir = tempfile::tempdir().unwrap();
        // What an interrupted fetch has left is in nobody's way.
        fs::write(dir.path().join("engine-1.so.part"), b"something").unwrap();
        from(dir.path(), &entry, &[at(name)]).await.unwrap();
        verify_in(dir.path(), &entry).unwrap();
        assert_eq!(files(dir.path()), ["engine-1.so"]);
        assert!(at(name).exists(), "copied, not moved");
    }
}

#[tokio::test]
async fn wrong_files_at_hand_are_refused() {
    let archive = zip(&[(MEMBER, LIBRARY)]);
    let entry = entry_of("https://publisher.invalid", &archive);
    let at_hand = tempfile::tempdir().unwrap();
    let refused = async |content: &[u8]| {
        let path = at_hand.path().join("given");
        fs::write(&path, content).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let error = from(dir.path(), &entry, &[path]).await.unwrap_err();
        assert!(files(dir.path()).is_empty());
        assert!(error.to_string().contains("given"), "{error}");
        error
    };
    for size in [0, 3, LIBRARY.len() - 1, LIBRARY.len() + 1] {
        let error = refused(&vec![42; size]).await;
        assert!(
            matches!(error, FetchError::GivenWrongSize { .. }),
            "{error}"
        );
    }
    let error = refused(&vec![41; LIBRARY.len()]).await;
    assert!(matches!(error, FetchError::WrongDigest { .. }), "{error}");
    let mut flipped = archive.clone();
    flipped[60] ^= 1;
    let error = refused(&flipped).await;
    assert!(matches!(error, FetchError::WrongDigest { .. }), "{error}");

    let dir = tempfile::tempdir().unwrap();
    let nowhere = at_hand.path().join("nowhere");
    let error = from(dir.path(), &entry, &[nowhere]).await.unwrap_err();
    assert!(matches!(error, FetchError::Read { .. }), "{error}");
    let empty = tempfile::tempdir().unwrap();
    let error = from(dir.path(), &entry, &[empty.path().to_owned()])
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "engine-1.so is wanted and not given: it is https://publisher.invalid/engine-1.whl"
    );
}

#[tokio::test]
async fn a_model_of_two_files_is_taken_from_both() {
    let mut entry = entry_of("https://publisher.invalid", b"");
    let file = |name: &str, content: &[u8]| ModelFile {
        name: name.to_owned(),
        url: format!("https://publisher.invalid/{name}"),
        size_bytes: content.len() as u64,
        sha256: Sha256Digest::of(content),
        archive: None,
    };
    entry.files = vec![
        file("voice.onnx", b"weights"),
        file("voice.onnx.json", b"{}"),
    ];
    let at_hand = tempfile::tempdir().unwrap();
    let voice = at_hand.path().join("voice.onnx");
    let description = at_hand.path().join("voice.onnx.json");
    fs::write(&voice, b"weights").unwrap();
    fs::write(&description, b"{}").unwrap();

    let dir = tempfile::tempdir().unwrap();
    let error = from(dir.path(), &entry, std::slice::from_ref(&voice))
        .await
        .unwrap_err();
    assert!(
        matches!(&error, FetchError::NotGiven { name, .. } if name == "voice.onnx.json"),
        "{error}"
    );
    from(dir.path(), &entry, &[description, voice])
        .await
        .unwrap();
    verify_in(dir.path(), &entry).unwrap();

    let dir = tempfile::tempdir().unwrap();
    from(dir.path(), &entry, &[at_hand.path().to_owned()])
        .await
        .unwrap();
    verify_in(dir.path(), &entry).unwrap();

    // Nothing is asked for that is there already.
    let mut here = 0;
    install_from(dir.path(), &entry, &[], &mut |event| {
        here += usize::from(matches!(event, FetchEvent::AlreadyHere { .. }));
    })
    .await
    .unwrap();
    assert_eq!(here, 2);
}
