//! What may happen to a call, in any order.

#![no_main]

#[path = "../harness/call_operations.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|operations: &[u8]| harness::run(operations));
