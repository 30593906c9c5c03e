//! A writer without an engine, and how it fares with a database that does not do as it should.

use std::time::Duration;

use sidetone::{CallId, EventRecord};
use sidetone_core::event::{CallEvent, Counters, EndReason, TurnId};
use sqlx::Executor as _;

use super::*;
use crate::store::CallState;

/// A writer that is given its events by hand.
pub(crate) struct Pen {
    pub(crate) writer: StoreWriter,
}

impl Pen {
    pub(crate) async fn new(store: &Store) -> Self {
        Self::with_queue(store, QUEUE).await
    }

    pub(crate) async fn with_queue(store: &Store, capacity: usize) -> Self {
        let writer = StoreWriter::without_events(store.clone(), capacity).await;
        let writer = writer.unwrap();
        writer.0.tasks.close();
        Self { writer }
    }

    /// Writes one event, sooner or later.
    pub(crate) fn event(&self, call: &str, seq: u64, at_ms: u64, event: CallEvent) {
        self.writer
            .0
            .shared
            .push(Entry::Record(Arc::new(EventRecord {
                call_id: CallId::from(call.to_owned()),
                at_ms,
                seq,
                event,
            })));
    }

    pub(crate) async fn flush(&self) {
        self.writer.flush().await;
    }

    /// Writes everything and ends.
    pub(crate) async fn end(self) {
        self.writer.0.shared.queue.close();
        self.writer.shutdown(Duration::from_secs(60)).await;
    }
}

pub(crate) fn started(provider_call_id: &str) -> CallEvent {
    CallEvent::CallStarted {
        stream_id: "MZ1".into(),
        provider_call_id: Some(provider_call_id.into()),
    }
}

pub(crate) fn heard(turn: u32, text: &str) -> CallEvent {
    CallEvent::TranscriptFinal {
        turn: TurnId(turn),
        text: text.into(),
    }
}

pub(crate) fn said(turn: u32, text: &str) -> CallEvent {
    CallEvent::AgentFinished {
        turn: TurnId(turn),
        heard: text.into(),
    }
}

pub(crate) fn ended() -> CallEvent {
    CallEvent::CallEnded {
        reason: EndReason::CallerHungUp,
        counters: Counters::default(),
    }
}

/// Waits until the writer's status is as it should be.
async fn until(writer: &StoreWriter, what: impl Fn(&WriterStatus) -> bool) -> WriterStatus {
    loop {
        let status = writer.status();
        if what(&status) {
            return status;
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_locked_database_is_waited_for_and_caught_up_with() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("calls.db").display());
    let store = Store::open(&url).await.unwrap();
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.flush().await;

    let foreign = Store::open(&url).await.unwrap();
    let lock = foreign.write().await.unwrap();
    for seq in 2..=600 {
        pen.event("call-1", seq, 20 * seq, CallEvent::Dtmf { digit: '5' });
    }
    let status = until(&pen.writer, |status| status.failure.is_some()).await;
    assert_eq!(
        status.failure.as_deref(),
        Some("the database is locked by somebody else (code 5)")
    );
    assert_eq!((status.written, status.missed), (1, 0));
    // Who only reads is not held up.
    assert_eq!(store.events("call-1", 0, 10).await.unwrap().len(), 1);

    drop(lock);
    pen.flush().await;
    let status = pen.writer.status();
    assert_eq!((status.written, status.missed, status.queued), (600, 0, 0));
    assert!(status.failure.is_none() && status.retries > 0, "{status:?}");
    let seqs = store.events("call-1", 0, 10_000).await.unwrap();
    assert!(seqs.iter().map(|event| event.seq).eq(1..=600));
    pen.end().await;
}

#[tokio::test]
async fn what_the_queue_cannot_hold_is_counted_but_not_what_matters() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("calls.db").display());
    let store = Store::open(&url).await.unwrap();
    let pen = Pen::with_queue(&store, 50).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.flush().await;
    let foreign = Store::open(&url).await.unwrap();
    let lock = foreign.write().await.unwrap();
    pen.event("call-1", 2, 100, heard(1, "hello"));
    // It waits for the lock, and what comes now waits for it.
    until(&pen.writer, |status| status.queued == 0).await;
    for seq in 3..=200 {
        pen.event("call-1", seq, 100 * seq, CallEvent::Dtmf { digit: '5' });
    }
    pen.event("call-1", 201, 20_100, ended());
    let status = pen.writer.status();
    assert_eq!((status.missed, status.queued), (148, 51));
    drop(lock);
    pen.flush().await;
    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!((call.state, call.turns), (CallState::Ended, 1));
    assert_eq!(store.events("call-1", 0, 1_000).await.unwrap().len(), 53);
    pen.end().await;
}

/// Limits how far all connections let the database grow; they are free when what it returns is dropped.
async fn limit_pages(store: &Store, pages: u32) -> Vec<sqlx::pool::PoolConnection<sqlx::Any>> {
    let mut connections = Vec::new();
    for _ in 0..store.pool.options().get_max_connections() {
        let mut connection = store.pool.acquire().await.unwrap();
        let limit = format!("PRAGMA max_page_count = {pages}");
        connection
            .execute(sqlx::AssertSqlSafe(limit))
            .await
            .unwrap();
        connections.push(connection);
    }
    connections
}

#[tokio::test]
async fn a_full_disk_is_got_over() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("sqlite:{}", folder.path().join("calls.db").display());
    let store = Store::open(&url).await.unwrap();
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.flush().await;
    // Each connection has a limit of its own.
    drop(limit_pages(&store, 1).await);
    let words = "every page of it ".repeat(20_000);
    pen.event("call-1", 2, 100, heard(1, &words));
    pen.event("call-1", 3, 200, ended());
    let status = until(&pen.writer, |status| status.retries > 0).await;
    assert_eq!((status.written, status.missed), (1, 0));
    drop(limit_pages(&store, 1_000_000).await);
    pen.flush().await;
    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!((call.state, call.turns), (CallState::Ended, 1));
    let status = pen.writer.status();
    assert_eq!((status.missed, status.failure), (0, None));
    pen.end().await;
}

#[tokio::test]
async fn what_the_database_will_never_take_does_not_hold_up_the_rest() {
    let store = Store::in_memory().await.unwrap();
    let pen = Pen::new(&store).await;
    let strict = "CREATE TRIGGER strict BEFORE INSERT ON events WHEN new.call_id = 'call-bad' \
                  BEGIN SELECT RAISE(ABORT, 'never'); END";
    store.pool.execute(strict).await.unwrap();
    pen.event("call-bad", 1, 0, started("CA1"));
    pen.flush().await;
    pen.event("call-good", 1, 0, started("CA2"));
    pen.flush().await;
    assert!(store.call("call-bad").await.unwrap().is_none());
    assert!(store.call("call-good").await.unwrap().is_some());
    let status = pen.writer.status();
    assert_eq!((status.missed, status.written, status.retries), (1, 1, 3));
    assert_eq!(status.failure, None);
    pen.end().await;
}

#[tokio::test]
async fn a_writer_that_cannot_write_ends_all_the_same() {
    let store = Store::in_memory().await.unwrap();
    let pen = Pen::new(&store).await;
    store.close().await;
    pen.event("call-1", 1, 0, started("CA1"));
    let status = until(&pen.writer, |status| status.failure.is_some()).await;
    assert_eq!(status.failure.as_deref(), Some("the store is closed"));
    pen.writer.0.shared.queue.close();
    pen.writer.shutdown(Duration::ZERO).await;
    pen.writer.flush().await;
}

#[tokio::test]
async fn what_the_engine_tells_is_taken_in_until_the_last_event() {
    use sidetone_speech::testing::{FakeLlm, FakeStt, FakeTts};
    let engine = sidetone::Engine::builder()
        .stt(Arc::new(FakeStt::new()))
        .llm(Arc::new(FakeLlm::new()))
        .tts(Arc::new(FakeTts::new()))
        .build()
        .unwrap();
    let store = Store::in_memory().await.unwrap();
    let writer = StoreWriter::start(store.clone(), engine.events())
        .await
        .unwrap();
    let (transport, peer) = sidetone::transport::memory(8);
    let call = engine.accept(transport, sidetone_core::dialect::twilio::Twilio::new());
    drop(peer);
    let summary = call.ended().await;
    writer.shutdown(Duration::from_secs(60)).await;
    let kept = store.call(call.id().as_str()).await.unwrap().unwrap();
    assert_eq!(kept.state, CallState::Ended);
    assert_eq!(kept.end_reason, Some(summary.reason.to_string()));
    assert!(kept.duration_ms.is_some());
}
