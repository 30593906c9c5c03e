//! From an event in the engine to who reads along.

use std::{io, path::Path, sync::Arc, time::Duration};

use eventsource_stream::Eventsource as _;
use futures_util::StreamExt as _;
use serde_json::Value;
use sidetone_cli::phone::{self, CallIdentity, Entry, Line, Script, Target, When, load_audio};
use tokio::{
    sync::mpsc,
    task::{JoinHandle, JoinSet},
    time::sleep,
};

use crate::{
    figures::{Figures, Table},
    server::{Server, now_us},
};

const CALLS: usize = 4;
const LINES: usize = 8;

/// A line that came to somebody: the call, the event's number, and when.
type Came = (String, u64, u64);

pub(crate) async fn measure(table: &Table) -> io::Result<()> {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures");
    let question = load_audio(&fixtures.join("callers/annie/where-is-my-order.wav"));
    let question = question.map_err(io::Error::other)?;
    let lines = (0..LINES).map(|n| {
        let when = match n {
            0 => When::PauseMs(1_000),
            _ => When::AgentSilenceMs(500),
        };
        Line::new("where is my order", Arc::clone(&question), when)
    });
    let script = Arc::new(Script::new(lines.collect()));
    for readers in [1, 50] {
        let server = Server::start(600).await?;
        let (came, mut arrived) = mpsc::unbounded_channel();
        let (came_of_all, mut arrived_of_all) = mpsc::unbounded_channel();
        let mut reading = Vec::new();
        // In turn by one person and the other.
        let mut tokens = server.tokens.iter().cycle();
        let mut next_token = || tokens.next().expect("there are two");
        for _ in 0..readers {
            let came = came_of_all.clone();
            reading.push(read(&server, next_token(), "/api/events", "", came).await?);
        }
        let mut calls = JoinSet::new();
        for _ in 0..CALLS {
            let identity = CallIdentity::random(None);
            let call_sid = identity.call_sid.clone();
            let target = Target {
                entry: Entry::Webhook(format!("http://{}/twilio/voice", server.addr)),
                connect: Some(server.addr.to_string()),
                auth_token: None,
            };
            let script = Arc::clone(&script);
            calls.spawn(
                async move { phone::call(&target, script, identity, false, |_, _| {}).await },
            );
            let call = server.call_id(&call_sid).await;
            let path = format!("/api/calls/{call}/transcript");
            for _ in 0..readers {
                let came = came.clone();
                reading.push(read(&server, next_token(), &path, &call, came).await?);
            }
        }
        for report in calls.join_all().await {
            report.map_err(io::Error::other)?;
        }
        // What is on its way.
        sleep(Duration::from_secs(1)).await;
        for reading in reading {
            reading.abort();
        }
        for (what, arrived) in [
            ("a line of `GET /api/calls/{id}/transcript`", &mut arrived),
            ("an event of `GET /api/events`", &mut arrived_of_all),
        ] {
            let mut figures = Figures::default();
            while let Ok((call, seq, at_us)) = arrived.try_recv() {
                let happened = server.happened_us(&call, seq);
                // Both are told at the same moment, and not in the same order every time.
                let after = happened.map(|us| Duration::from_micros(at_us.saturating_sub(us)));
                figures.add(after);
            }
            table.row(&format!("{what}, {readers} reading"), &figures, "p99 ≤ 50");
        }
    }
    Ok(())
}

/// Reads a stream of events from now on; `call`: of which call they are, where they do not say.
async fn read(
    server: &Server,
    token: &str,
    path: &str,
    call: &str,
    came: mpsc::UnboundedSender<Came>,
) -> io::Result<JoinHandle<()>> {
    let client = reqwest::Client::new();
    let request = client
        .get(format!("http://{}{path}", server.addr))
        .bearer_auth(token)
        .header("accept", "text/event-stream");
    let answer = request.send().await.map_err(io::Error::other)?;
    let answer = answer.error_for_status().map_err(io::Error::other)?;
    let mut events = answer.bytes_stream().eventsource();
    let call = call.to_owned();
    Ok(tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            let at_us = now_us();
            let Ok(data) = serde_json::from_str::<Value>(&event.data) else {
                continue;
            };
            // Partial transcripts have no number of their own.
            if event.id.is_empty() || event.event == "partial" {
                continue;
            }
            let seq = data["seq"].as_u64().or_else(|| event.id.parse().ok());
            let of = data["call_id"].as_str().unwrap_or(&call).to_owned();
            if let Some(seq) = seq {
                // The bench may be over.
                let _ = came.send((of, seq, at_us));
            }
        }
    }))
}
