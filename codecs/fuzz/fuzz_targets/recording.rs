//! What may be given as a recording, byte by byte.

#![no_main]

use std::sync::Once;

#[path = "../harness/recording.rs"]
mod harness;

static QUIET: Once = Once::new();

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    // libFuzzer's own hook ends the program at panics that are contained.
    QUIET.call_once(|| {
        std::panic::set_hook(Box::new(|panic| {
            let stack = std::backtrace::Backtrace::force_capture();
            eprintln!("contained or not: {panic}\n{stack}");
        }));
    });
    harness::run(bytes);
});
