//! What a Twilio leg may send, byte by byte.

#![no_main]

#[path = "../harness/dialect_twilio.rs"]
mod harness;

libfuzzer_sys::fuzz_target!(|session: &[u8]| harness::run(session));
