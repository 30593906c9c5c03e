//! Calls: listed, searched, deleted, summed up.

use serde_json::{Map, Value, json};
use sidetone_core::event::{CallEvent, TurnId, TurnMetrics};
use sqlx::Row as _;

use super::{Base, on_both};
use crate::store::{
    AuditFilter, CallFilter, CallState, Cursor, Direction, ExpectedCall, Latency, NewDelivery,
    RecordingFile, RecordingFormat, Speaker, Store, StoreError, UnixMs,
    writer::tests::{Pen, ended, heard, said, started},
};

on_both! {
    what_is_known_of_a_call_is_kept,
    pages_stay_where_they_are,
    every_filter_narrows,
    words_are_found_whatever_their_case_and_accents,
    what_was_said_is_read_line_by_line,
    what_was_taken_back_was_not_said,
    events_are_read_in_order,
    writing_twice_changes_nothing,
    all_of_a_call_is_deleted,
    figures_are_by_the_hour,
}

fn answered(turn: u32, total_ms: u64) -> CallEvent {
    CallEvent::TurnMetrics(TurnMetrics {
        turn: TurnId(turn),
        total_ms,
        ..TurnMetrics::default()
    })
}

fn interrupted(turn: u32, heard: &str) -> CallEvent {
    CallEvent::AgentInterrupted {
        turn: TurnId(turn),
        heard: heard.into(),
        onset_to_clear_ms: 100,
    }
}

/// Sets when a call began.
async fn began(store: &Store, id: &str, at: i64) {
    sqlx::query("UPDATE calls SET started_at = $2 WHERE id = $1")
        .bind(id)
        .bind(at)
        .execute(&store.pool)
        .await
        .unwrap();
}

async fn ids(store: &Store, filter: CallFilter) -> Vec<String> {
    let page = store.calls(&filter, None, 100).await.unwrap();
    page.items.iter().map(|call| call.id.to_string()).collect()
}

/// Calls that each say something, begun one second after the other.
async fn calls(store: &Store, words: &[(&str, &str)]) {
    let pen = Pen::new(store).await;
    for (id, words) in words {
        pen.event(id, 1, 0, started(id));
        pen.event(id, 2, 500, heard(1, words));
        pen.event(id, 3, 900, ended());
    }
    pen.flush().await;
    for (at, (id, _)) in (0..).zip(words) {
        began(store, id, 1_000 * at).await;
    }
    pen.end().await;
}

async fn what_is_known_of_a_call_is_kept(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    let mut metadata = Map::new();
    metadata.insert("order".into(), json!(17));
    pen.writer.expect_call(ExpectedCall {
        provider_call_id: "CA1".into(),
        direction: Direction::Outbound,
        from: "+14155550199".into(),
        to: "+14155550123".into(),
        metadata: metadata.clone(),
    });
    // The webhook of the same call knows of no metadata.
    pen.writer.expect_call(ExpectedCall {
        provider_call_id: "CA1".into(),
        direction: Direction::Outbound,
        from: "+14155550199".into(),
        to: "+14155550123".into(),
        metadata: Map::new(),
    });
    let before = UnixMs::now();
    pen.event("call-1", 1, 0, started("CA1"));
    pen.event("call-1", 2, 700, heard(1, "Where is my order?"));
    pen.event("call-1", 3, 1_200, answered(1, 420));
    pen.event("call-1", 4, 2_500, interrupted(2, "It is on"));
    pen.event("call-1", 5, 3_000, heard(3, "Thanks."));
    pen.event("call-1", 6, 3_100, answered(3, 200));
    pen.flush().await;

    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!(call.state, CallState::Live);
    assert_eq!(call.direction, Direction::Outbound);
    assert_eq!((&*call.from, &*call.to), ("+14155550199", "+14155550123"));
    assert_eq!(call.provider_call_id.as_deref(), Some("CA1"));
    assert_eq!(call.metadata, metadata);
    assert!(before <= call.started_at && call.started_at <= UnixMs::now());
    assert_eq!((call.ended_at, call.duration_ms), (None, None));
    assert_eq!((call.turns, call.interruptions), (2, 1));
    assert_eq!(
        call.latency,
        Latency {
            answers: 2,
            p50_ms: Some(200),
            p95_ms: Some(420),
            max_ms: Some(420)
        }
    );

    pen.event("call-1", 7, 4_000, ended());
    pen.flush().await;
    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!(call.state, CallState::Ended);
    assert_eq!(call.duration_ms, Some(4_000));
    assert_eq!(call.ended_at, Some(UnixMs(call.started_at.0 + 4_000)));
    assert_eq!(call.end_reason.as_deref(), Some("caller_hung_up"));
    assert_eq!(call.metadata, metadata);
    assert!(store.call("call-2").await.unwrap().is_none());
    assert!(store.call("call\0").await.unwrap().is_none());
    pen.end().await;
}

async fn pages_stay_where_they_are(base: &Base) {
    let store = base.open().await;
    let names: Vec<_> = (0..7).map(|n| format!("call-{n}")).collect();
    let all: Vec<_> = names.iter().map(|id| (&**id, "hello")).collect();
    calls(&store, &all).await;
    // Two that began at once.
    began(&store, "call-4", 5_000).await;

    let filter = CallFilter::default();
    let first = store.calls(&filter, None, 2).await.unwrap();
    let on = |page: &crate::store::Page<crate::store::CallRecord>| {
        page.items
            .iter()
            .map(|call| call.id.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(on(&first), ["call-6", "call-5"]);
    let cursor: Cursor = first.next.unwrap().to_string().parse().unwrap();
    let second = store.calls(&filter, Some(&cursor), 2).await.unwrap();
    assert_eq!(on(&second), ["call-4", "call-3"]);

    // Neither what comes nor what goes moves the next page.
    calls(&store, &[("call-new", "hi")]).await;
    began(&store, "call-new", 9_000).await;
    assert!(store.delete_call("call-3", "t1").await.unwrap());
    let third = store.calls(&filter, second.next.as_ref(), 3).await.unwrap();
    assert_eq!(on(&third), ["call-2", "call-1", "call-0"]);
    assert_eq!(third.next, None);
    for text in ["", "x", "MTIz", "%%%"] {
        assert!(text.parse::<Cursor>().is_err(), "{text}");
    }
}

async fn every_filter_narrows(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    for (id, from) in [
        ("call-a", "+1001"),
        ("call-b", "+1002"),
        ("call-c", "+1001"),
    ] {
        pen.writer.expect_call(ExpectedCall {
            provider_call_id: id.into(),
            from: from.into(),
            to: "+1999".into(),
            ..ExpectedCall::default()
        });
        pen.event(id, 1, 0, started(id));
    }
    pen.event("call-c", 2, 10, ended());
    pen.flush().await;
    for (id, at) in [("call-a", 1_000), ("call-b", 2_000), ("call-c", 3_000)] {
        began(&store, id, at).await;
    }
    let any = CallFilter::default;
    let state = Some(CallState::Live);
    assert_eq!(
        ids(&store, CallFilter { state, ..any() }).await,
        ["call-b", "call-a"]
    );
    let number = Some("+1001".into());
    let of_number = CallFilter { number, ..any() };
    assert_eq!(ids(&store, of_number.clone()).await, ["call-c", "call-a"]);
    let state = Some(CallState::Ended);
    assert_eq!(
        ids(&store, CallFilter { state, ..of_number }).await,
        ["call-c"]
    );
    let number = Some("+1999".into());
    assert_eq!(ids(&store, CallFilter { number, ..any() }).await.len(), 3);
    let number = Some("' OR 1=1 --\0".into());
    assert_eq!(ids(&store, CallFilter { number, ..any() }).await.len(), 0);
    let (from_time, to_time) = (Some(UnixMs(2_000)), Some(UnixMs(3_000)));
    let between = CallFilter {
        from_time,
        to_time,
        ..any()
    };
    assert_eq!(ids(&store, between).await, ["call-b"]);
    pen.end().await;
}

async fn words_are_found_whatever_their_case_and_accents(base: &Base) {
    let store = base.open().await;
    let words = [
        ("call-a", "Un café, por favor. My number is 12-34."),
        ("call-b", "I don't want COFFEE!"),
        ("call-c", "NUL\0 \"quotes' & | ! :* signs"),
    ];
    calls(&store, &words).await;
    for (text, found) in [
        ("CAFE", vec!["call-a"]),
        ("café favor", vec!["call-a"]),
        ("favor café", vec!["call-a"]),
        ("café coffee", vec![]),
        ("coff", vec!["call-b"]),
        ("offee", vec![]),
        ("Don’t", vec!["call-b"]),
        ("12", vec!["call-a"]),
        ("quotes' & | ! :* \\ \" -", vec!["call-c"]),
        ("AND", vec![]),
        ("", vec!["call-c", "call-b", "call-a"]),
    ] {
        let filter = CallFilter {
            text: Some(text.into()),
            ..CallFilter::default()
        };
        assert_eq!(ids(&store, filter).await, found, "{text}");
    }
}

async fn what_was_said_is_read_line_by_line(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.event("call-1", 2, 900, said(1, "Hello."));
    pen.event("call-1", 3, 1_900, heard(2, "Hi there"));
    pen.event("call-1", 4, 2_000, heard(3, " "));
    pen.event("call-1", 5, 2_900, interrupted(4, "How can"));
    pen.event("call-1", 6, 3_000, said(5, ""));
    pen.flush().await;
    let lines = store.transcript("call-1", 0).await.unwrap();
    let told: Vec<_> = lines
        .iter()
        .map(|line| (line.seq, line.at_ms, line.turn, line.speaker, &*line.text))
        .collect();
    assert_eq!(
        told,
        [
            (2, 900, 1, Speaker::Agent, "Hello."),
            (3, 1_900, 2, Speaker::Caller, "Hi there"),
            (5, 2_900, 4, Speaker::Agent, "How can"),
        ]
    );
    let rest = store.transcript("call-1", 3).await.unwrap();
    assert_eq!(rest, lines[2..]);
    let json = serde_json::to_value(&rest).unwrap();
    assert_eq!(
        json,
        json!([{"seq": 5, "at_ms": 2900, "turn": 4, "speaker": "agent", "name": null, "text": "How can"}])
    );
    pen.end().await;
}

async fn what_was_taken_back_was_not_said(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.event("call-1", 2, 900, said(1, "Welcome."));
    pen.event("call-1", 3, 1_000, interrupted(2, "Pineapple"));
    pen.event(
        "call-1",
        4,
        1_100,
        CallEvent::AgentRetracted { turn: TurnId(2) },
    );
    pen.flush().await;
    let lines = store.transcript("call-1", 0).await.unwrap();
    assert_eq!(lines.len(), 1);
    let text = Some("pineapple".into());
    let filter = CallFilter {
        text,
        ..CallFilter::default()
    };
    assert!(ids(&store, filter).await.is_empty());
    pen.end().await;
}

async fn events_are_read_in_order(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    for seq in 1..=300 {
        for call in ["call-a", "call-b"] {
            pen.event(call, seq, seq * 20, CallEvent::Dtmf { digit: '1' });
        }
    }
    pen.flush().await;
    let some = store.events("call-b", 10, 5).await.unwrap();
    assert!(some.iter().map(|event| event.seq).eq(11..=15));
    let event: Value = serde_json::from_str(&some[0].json).unwrap();
    assert_eq!(
        event,
        json!({"call_id": "call-b", "at_ms": 220, "seq": 11, "event": "dtmf", "digit": "1"})
    );
    let (mut after, mut read) = (0, Vec::new());
    loop {
        let events = store.events_of_all(after, 64).await.unwrap();
        let Some(last) = events.last() else { break };
        assert!(events.is_sorted_by(|a, b| a.id < b.id));
        after = last.id;
        read.extend(events.into_iter().map(|event| (event.call_id, event.seq)));
    }
    assert_eq!(read.len(), 600);
    assert_eq!(after, store.last_event_id().await.unwrap());
    read.sort();
    read.dedup();
    assert_eq!(read.len(), 600);
    pen.end().await;
}

async fn writing_twice_changes_nothing(base: &Base) {
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    for _ in 0..2 {
        pen.event("call-1", 1, 0, started("CA1"));
        pen.event("call-1", 2, 500, heard(1, "once"));
        pen.event("call-1", 3, 600, answered(1, 300));
        pen.flush().await;
    }
    assert_eq!(store.events("call-1", 0, 100).await.unwrap().len(), 3);
    assert_eq!(store.transcript("call-1", 0).await.unwrap().len(), 1);
    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!(call.latency.answers, 1);
    pen.end().await;
}

async fn all_of_a_call_is_deleted(base: &Base) {
    let store = base.open().await;
    let recording = base.folder.path().join("call-1.wav");
    std::fs::write(&recording, b"RIFF").unwrap();
    let pen = Pen::new(&store).await;
    pen.event("call-1", 1, 0, started("CA1"));
    pen.event("call-1", 2, 500, heard(1, "Rumpelstiltskin"));
    pen.event("call-1", 3, 600, answered(1, 300));
    pen.flush().await;
    assert!(matches!(
        store.delete_call("call-1", "t1").await,
        Err(StoreError::Live)
    ));
    pen.event("call-1", 4, 700, ended());
    pen.event("call-2", 1, 0, started("CA2"));
    pen.event("call-2", 2, 0, heard(1, "Rumpelstiltskin too"));
    pen.event("call-2", 3, 0, ended());
    pen.flush().await;
    let file = RecordingFile {
        path: recording.clone(),
        format: RecordingFormat::Wav,
        encrypted: false,
        bytes: 4,
    };
    assert!(store.set_recording("call-1", &file).await.unwrap());
    let call = store.call("call-1").await.unwrap().unwrap();
    assert_eq!(call.recording.as_ref(), Some(&file));
    assert!(!serde_json::to_string(&call).unwrap().contains("call-1.wav"));
    let delivery = |call: &str| NewDelivery {
        url: "https://example.com".into(),
        call_id: Some(call.into()),
        event: "{}".into(),
    };
    let deliveries = [delivery("call-1"), delivery("call-2")];
    store.add_deliveries(&deliveries).await.unwrap();

    assert!(store.delete_call("call-1", "t1").await.unwrap());
    assert!(!store.delete_call("call-1", "t1").await.unwrap());
    assert!(!recording.exists());
    for table in ["calls", "events", "answers", "transcript", "deliveries"] {
        let column = if table == "calls" { "id" } else { "call_id" };
        let sql = format!("SELECT COUNT(*) FROM {table} WHERE {column} = 'call-1'");
        let row = sqlx::query(sqlx::AssertSqlSafe(sql))
            .fetch_one(&store.pool)
            .await
            .unwrap();
        assert_eq!(row.get::<i64, _>(0), 0, "{table}");
    }
    let filter = CallFilter {
        text: Some("rumpelstiltskin".into()),
        ..CallFilter::default()
    };
    assert_eq!(ids(&store, filter).await, ["call-2"]);
    // Who deleted it is known, and nothing else.
    let audit = store.audit_log(&AuditFilter::default(), 10).await.unwrap();
    assert_eq!(audit.len(), 1);
    assert_eq!((&*audit[0].who, &*audit[0].action), ("t1", "call.delete"));
    assert_eq!(audit[0].call_id.as_deref(), Some("call-1"));
    assert!(!store.set_recording("call-1", &file).await.unwrap());

    if !base.is_postgres() {
        assert!(store.delete_call("call-2", "t1").await.unwrap());
        for file in std::fs::read_dir(base.folder.path()).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            let bytes = bytes.to_ascii_lowercase();
            let word = b"rumpelstiltskin";
            assert!(!bytes.windows(word.len()).any(|window| window == word));
        }
    }
    pen.end().await;
}

async fn figures_are_by_the_hour(base: &Base) {
    const HOUR: i64 = 3_600_000;
    let store = base.open().await;
    let pen = Pen::new(&store).await;
    for id in ["call-1", "call-2", "call-3"] {
        pen.event(id, 1, 0, started(id));
    }
    for ms in 1..=200_u64 {
        pen.event("call-1", 1 + ms, ms, answered(1, ms));
    }
    pen.event("call-1", 300, 1_000, interrupted(2, "well"));
    pen.event("call-1", 301, 60_000, ended());
    pen.event("call-2", 2, 20_000, heard(1, "hi"));
    pen.event("call-2", 3, 30_000, ended());
    pen.end().await;
    for (id, at) in [
        ("call-1", HOUR + 1),
        ("call-2", 2 * HOUR - 1),
        ("call-3", 5 * HOUR),
    ] {
        began(&store, id, at).await;
    }
    sqlx::query("UPDATE answers SET at = 3600000 + seq")
        .execute(&store.pool)
        .await
        .unwrap();

    let hours = store
        .summary(UnixMs(HOUR + 500), UnixMs(9 * HOUR))
        .await
        .unwrap();
    assert_eq!(hours.len(), 2);
    let first = &hours[0];
    assert_eq!((first.from, first.calls, first.live), (UnixMs(HOUR), 2, 0));
    assert_eq!((first.duration_ms, first.turns), (90_000, 1));
    assert_eq!((first.interruptions, first.calls_interrupted), (1, 1));
    assert!((first.interruption_rate - 0.5).abs() < 1e-9);
    assert!(first.takeover_rate.abs() < 1e-9);
    assert_eq!(first.answers, 200);
    assert_eq!(
        (first.p50_ms, first.p95_ms, first.p99_ms),
        (Some(100), Some(190), Some(198))
    );
    let second = &hours[1];
    assert_eq!(
        (second.from, second.calls, second.live),
        (UnixMs(5 * HOUR), 1, 1)
    );
    assert_eq!((second.answers, second.p50_ms), (0, None));
    assert_eq!(
        store.summary(UnixMs(9 * HOUR), UnixMs(0)).await.unwrap(),
        []
    );
}
