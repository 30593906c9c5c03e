//! Fetching models: from servers that cut connections, lie about lengths and send wrong bytes, out of archives, and from
//! files at hand.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod archive;
mod bench;
mod http;
mod lies;
mod resuming;
mod server;
