//! What people on a call notice: `cargo bench -p sidetone-bench --bench people`.
//!
//! A server in a process of its own, over real sockets and at real pace, with phones that have Twilio's
//! buffer and with browser legs that speak their protocol. Each party has a tone of its own, which is found
//! at the others' ears to about half a millisecond. Services answer at once. Figures are printed beside
//! their budgets; none is asserted.

mod cost;
mod delay;
mod ear;
mod figures;
mod fill;
mod keeping;
mod leg;
mod phone;
mod reaction;
mod reading;
mod server;
mod services;

use std::io;

use clap::Parser;
use sidetone_bench::load::machine::{Machine, check_open_files};

use crate::figures::{Table, print};

/// Measures what people on a call notice.
#[derive(Parser)]
#[command(name = "people")]
struct Args {
    /// What to measure. Default: all.
    cases: Vec<Case>,
    /// What cargo adds.
    #[arg(long, hide = true)]
    bench: bool,
    /// Be the server, whose agent's sentences are so long, in ms.
    #[arg(long, hide = true)]
    serve: Option<u32>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Case {
    /// From a button to what the caller hears.
    Reaction,
    /// From one mouth to the other's ear.
    Delay,
    /// From an event to who reads along.
    Reading,
    /// Processor time.
    Cost,
    /// The store.
    Store,
}

#[tokio::main]
async fn main() -> io::Result<()> {
    let args = Args::parse();
    // Twice is once: whoever was first has installed the same one.
    let _ = rustls::crypto::ring::default_provider().install_default();
    if let Some(sentence_ms) = args.serve {
        return server::be(sentence_ms).await;
    }
    // The readers of event streams are most of it.
    check_open_files(300)?;
    print(&Machine::this().to_string());
    let wants = |case| args.cases.is_empty() || args.cases.contains(&case);
    if wants(Case::Reaction) {
        let table = Table::begin("reaction, at the caller's ear:");
        reaction::measure(&table).await?;
    }
    if wants(Case::Delay) {
        let table = Table::begin("delay while a call is taken over, 20 ms of packet included:");
        delay::measure(&table).await?;
    }
    if wants(Case::Reading) {
        let table = Table::begin("from an event in the engine to a reader of server-sent events:");
        reading::measure(&table).await?;
    }
    if wants(Case::Cost) {
        cost::measure().await?;
    }
    if wants(Case::Store) {
        keeping::measure().await?;
    }
    Ok(())
}
