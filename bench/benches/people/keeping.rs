//! The store: how much it takes, what calls notice of that, and how soon it finds words.

use std::{io, time::Duration};

use serde_json::Value;
use tokio::time::{Instant, sleep};

use crate::{
    delay::{Bridged, Delays},
    figures::{Figures, Table, print},
    fill::{COMMON, word_of},
    leg::Format,
    server::Server,
};

/// Calls in the store.
const KEPT: u32 = 10_000;
/// Calls that go on meanwhile.
const CALLS: usize = 2;
const QUIET: Duration = Duration::from_secs(10);
const SEARCHES: u32 = 60;

pub(crate) async fn measure() -> io::Result<()> {
    let mut server = Server::start(300).await?;
    let bridged = Bridged::begin(&server, Format::Pcm, CALLS).await;
    sleep(QUIET).await;
    let before = bridged.end().await;
    let bridged = Bridged::begin(&server, Format::Pcm, CALLS).await;
    let filled = server.fill(KEPT).await?;
    let during = bridged.end().await;
    print(&format!(
        "\nstore (SQLite): {} events of {KEPT} calls in {:.1} s: {:.0} a second sustained; {} missed (budget 0), \
         {} attempts failed",
        filled.events,
        filled.seconds,
        filled.events as f64 / filled.seconds,
        filled.missed,
        filled.retries,
    ));
    let table = Table::begin("calls that go on meanwhile, and the words of 10,000 calls:");
    for (when, delays) in [("store idle", before), ("store at its limit", during)] {
        let Delays {
            to_caller,
            to_person,
            underruns,
        } = delays;
        let name = format!("{when}: person's mouth → caller's ear, {underruns} underruns");
        table.row(&name, &to_caller, "p99 ≤ 20 a packet + 60");
        let name = format!("{when}: caller's mouth → person's socket");
        table.row(&name, &to_person, "p99 ≤ 20 a packet + 60");
    }
    let client = reqwest::Client::new();
    for (what, word) in [
        ("a word of one call", None),
        ("a word of every other call", Some(COMMON)),
        ("three letters with which words begin", Some("bac")),
    ] {
        let mut figures = Figures::default();
        for n in 0..SEARCHES {
            let word = word.map_or_else(|| word_of(n * 131 % KEPT), str::to_owned);
            let request = client
                .get(format!("http://{}/api/calls?text={word}", server.addr))
                .bearer_auth(&server.tokens[0]);
            let began = Instant::now();
            let answer = request.send().await.map_err(io::Error::other)?;
            let body = answer.text().await.map_err(io::Error::other)?;
            let took = began.elapsed();
            let found: Value = serde_json::from_str(&body)?;
            let is_found = found["calls"]
                .as_array()
                .is_some_and(|calls| !calls.is_empty());
            figures.add(is_found.then_some(took));
        }
        table.row(
            &format!("`GET /api/calls?text=`: {what}"),
            &figures,
            "p99 ≤ 200",
        );
    }
    Ok(())
}
