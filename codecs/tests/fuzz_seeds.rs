//! The seeds of the fuzz targets, replayed: what a fuzzer once found stays found.
#![cfg(feature = "recordings")]

use std::{fs, path::Path};

#[path = "../fuzz/harness/recording.rs"]
mod recording;

#[allow(
    clippy::print_stdout,
    reason = "shown with a failure: which seed it was"
)]
fn replay(folder: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut files: Vec<_> = fs::read_dir(&seeds)
        .and_then(Iterator::collect::<Result<_, _>>)
        .unwrap_or_else(|error| panic!("{}: {error}", seeds.display()));
    files.sort_by_key(fs::DirEntry::path);
    assert!(!files.is_empty(), "no seeds in {}", seeds.display());
    for file in files {
        println!("{}", file.path().display());
        let input = fs::read(file.path()).expect("a seed can be read");
        run(&input);
    }
}

#[test]
fn recording() {
    replay("fuzz/seeds/recording", recording::run);
}

#[test]
fn recording_from_real_files() {
    replay("../fixtures/recordings", recording::run);
}
