//! Calls that were never held, written down as if they had been: for the store alone.

use std::{io, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sidetone::{CallId, EventRecord, EventStream};
use sidetone_core::event::{CallEvent, Counters, EndReason, TurnId, TurnMetrics};
use sidetone_server::store::{Store, StoreWriter};
use tokio::{
    sync::broadcast,
    time::{Instant, sleep},
};

/// Caller's and agent's turns of a call.
const TURNS: u32 = 6;
/// Words of a turn.
const WORDS: usize = 12;
/// How many events may wait: well below what the writer holds.
const MOST_QUEUED: u64 = 20_000;
/// Words that are said in every other call, roughly.
pub(crate) const COMMON: &str = "delivery";

/// How that went.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Filled {
    pub(crate) events: u64,
    pub(crate) seconds: f64,
    pub(crate) missed: u64,
    pub(crate) retries: u64,
}

/// The word that is said in call number `n` alone.
pub(crate) fn word_of(n: u32) -> String {
    format!("order{n}")
}

/// Writes `calls` calls as quickly as the store takes them.
pub(crate) async fn fill(store: &Store, calls: u32) -> io::Result<Filled> {
    let (happens, events) = broadcast::channel(1 << 16);
    let writer = StoreWriter::start(store.clone(), EventStream::from(events))
        .await
        .map_err(io::Error::other)?;
    let mut random = fastrand::Rng::with_seed(10);
    let began = Instant::now();
    let mut sent = 0;
    for n in 0..calls {
        for record in call(n, &mut random) {
            sent += 1;
            happens
                .send(Arc::new(record))
                .map_err(|_| io::Error::other("the writer has ended"))?;
        }
        // What is on its way to the queue counts too.
        while sent - writer.status().written > MOST_QUEUED {
            sleep(Duration::from_millis(2)).await;
        }
        tokio::task::yield_now().await;
    }
    while writer.status().written + writer.status().missed < sent {
        sleep(Duration::from_millis(2)).await;
    }
    let seconds = began.elapsed().as_secs_f64();
    let status = writer.status();
    writer.shutdown(Duration::from_secs(10)).await;
    Ok(Filled {
        events: status.written,
        seconds,
        missed: status.missed,
        retries: status.retries,
    })
}

/// The events of a call, as a conversation of [`TURNS`] turns has them.
fn call(n: u32, random: &mut fastrand::Rng) -> Vec<EventRecord> {
    let mut events = vec![CallEvent::CallStarted {
        stream_id: format!("MZ{n:032x}"),
        provider_call_id: Some(format!("CA{n:032x}")),
    }];
    for turn in (1..=TURNS * 2).step_by(2) {
        let mut said = sentence(random);
        if turn == 1 {
            said.push(' ');
            said.push_str(&word_of(n));
        } else if turn == 3 && random.bool() {
            said.push(' ');
            said.push_str(COMMON);
        }
        let (turn, answer) = (TurnId(turn), TurnId(turn + 1));
        let heard = sentence(random);
        events.extend([
            CallEvent::TurnStarted { turn },
            CallEvent::TurnEnded {
                turn,
                speech_ms: 1_800,
            },
            CallEvent::TranscriptFinal { turn, text: said },
            CallEvent::AgentSentence {
                turn: answer,
                text: heard.clone(),
            },
            CallEvent::AgentSpeaking { turn: answer },
            CallEvent::TurnMetrics(TurnMetrics {
                turn,
                endpointing_ms: 300,
                total_ms: 340,
                ..TurnMetrics::default()
            }),
            CallEvent::AgentFinished {
                turn: answer,
                heard,
            },
        ]);
    }
    events.push(CallEvent::CallEnded {
        reason: EndReason::CallerHungUp,
        counters: Counters::default(),
    });
    let id = CallId::random();
    let records = events.into_iter().zip(1..).map(|(event, seq)| EventRecord {
        call_id: id.clone(),
        at_ms: seq * 700,
        seq,
        event,
    });
    records.collect()
}

/// Words of three syllables each, some of them said far more often than others.
fn sentence(random: &mut fastrand::Rng) -> String {
    const SYLLABLES: [&str; 16] = [
        "ba", "co", "di", "fu", "ge", "ha", "jo", "ki", "lu", "me", "na", "po", "ri", "su", "te",
        "vo",
    ];
    let word = |random: &mut fastrand::Rng| {
        // Small numbers are likelier.
        let most = random.usize(1..=4_096);
        let mut number = random.usize(..most);
        let mut word = String::new();
        for _ in 0..3 {
            word.push_str(SYLLABLES[number % 16]);
            number /= 16;
        }
        word
    };
    let words: Vec<String> = (0..WORDS).map(|_| word(random)).collect();
    words.join(" ")
}
