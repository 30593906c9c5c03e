//! The seeds of the fuzz targets, replayed: what a fuzzer once found stays found.

use std::{fs, path::Path};

#[path = "../fuzz/harness/dialect_twilio.rs"]
mod dialect_twilio;

#[path = "../fuzz/harness/call_operations.rs"]
mod call_operations;

#[allow(
    clippy::print_stdout,
    reason = "shown with a failure: which seed it was"
)]
fn replay(target: &str, run: fn(&[u8])) {
    let seeds = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/seeds")
        .join(target);
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
fn dialect_twilio() {
    replay("dialect_twilio", dialect_twilio::run);
}

#[test]
fn call_operations() {
    replay("call_operations", call_operations::run);
}
