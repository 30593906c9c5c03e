//! What is written at once.

use std::fmt::Write as _;

use sidetone::CallId;
use sidetone_core::event::EndReason;
use sqlx::{AnyConnection, AssertSqlSafe};

use super::ExpectedCall;
use crate::store::{
    CallState, Direction, RecordingFile, Speaker, Store, StoreError, UnansweredCall, UnixMs,
    calls::{insert_unanswered, storable, to_i64},
    database::AnyQuery,
};

/// How many rows one statement inserts.
const ROWS: usize = 64;

/// Writers of several servers wait for each other here, so that whoever reads on after the highest id
/// that it has seen misses none with a lower one.
const ORDER: &str = "SELECT pg_advisory_xact_lock(5911348)";

/// Rows to be written in one transaction. Writing them again changes nothing.
#[derive(Debug, Default)]
pub(super) struct Batch {
    pub(super) calls: Vec<CallRow>,
    pub(super) events: Vec<Event>,
    pub(super) answers: Vec<Answer>,
    pub(super) lines: Vec<NewLine>,
    pub(super) retractions: Vec<Retraction>,
    pub(super) unanswered: Vec<UnansweredCall>,
}

/// A row of `calls`.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct CallRow {
    pub(super) id: CallId,
    pub(super) server: String,
    pub(super) direction: Direction,
    pub(super) state: CallState,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) provider_call_id: Option<String>,
    pub(super) started_at: UnixMs,
    pub(super) ended_at: Option<i64>,
    pub(super) end_reason: Option<String>,
    pub(super) duration_ms: Option<i64>,
    pub(super) turns: i64,
    pub(super) interruptions: i64,
    pub(super) takeovers: i64,
    pub(super) metadata: String,
    pub(super) recording: Option<RecordingFile>,
}

#[derive(Debug)]
pub(super) struct Event {
    pub(super) call_id: CallId,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) json: String,
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) call_id: CallId,
    pub(super) seq: i64,
    pub(super) at: i64,
    pub(super) total_ms: i64,
}

#[derive(Debug)]
pub(super) struct NewLine {
    pub(super) call_id: CallId,
    pub(super) seq: i64,
    pub(super) at_ms: i64,
    pub(super) turn: i64,
    pub(super) speaker: Speaker,
    pub(super) name: Option<String>,
    pub(super) text: String,
    pub(super) words: String,
}

#[derive(Debug)]
pub(super) struct Retraction {
    pub(super) call_id: CallId,
    pub(super) seq: i64,
    pub(super) turn: i64,
}

impl CallRow {
    pub(super) fn new(id: CallId, server: String, started_at: UnixMs) -> Self {
        Self {
            id,
            server,
            direction: Direction::Inbound,
            state: CallState::Live,
            from: String::new(),
            to: String::new(),
            provider_call_id: None,
            started_at,
            ended_at: None,
            end_reason: None,
            duration_ms: None,
            turns: 0,
            interruptions: 0,
            takeovers: 0,
            metadata: "{}".into(),
            recording: None,
        }
    }

    /// Notes what was known of the call.
    pub(super) fn describe(&mut self, call: ExpectedCall) {
        self.direction = call.direction;
        self.from = storable(&call.from);
        self.to = storable(&call.to);
        // The provider knows of no notes: it does not delete those of whoever placed the call.
        if !call.metadata.is_empty() {
            self.metadata = serde_json::Value::Object(call.metadata).to_string();
        }
    }

    /// Notes that the call is over, `at_ms` after it began.
    pub(super) fn end(&mut self, at_ms: i64, reason: &EndReason) {
        self.state = CallState::Ended;
        self.ended_at = Some(self.started_at.0.saturating_add(at_ms));
        self.end_reason = Some(reason.to_string());
        self.duration_ms = Some(at_ms);
    }
}

impl Batch {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.events.is_empty() && self.unanswered.is_empty()
    }

    /// How many events are in it.
    pub(super) fn events(&self) -> u64 {
        self.events.len() as u64
    }

    pub(super) async fn write(&self, store: &Store) -> Result<(), StoreError> {
        let mut write = store.write().await?;
        if store.is_postgres() {
            sqlx::query(ORDER).execute(&mut *write).await?;
        }
        // The rest refers to them.
        self.write_calls(&mut write).await?;
        self.write_events(&mut write).await?;
        self.write_answers(&mut write).await?;
        self.write_lines(&mut write).await?;
        for Retraction { call_id, seq, turn } in &self.retractions {
            sqlx::query(
                "DELETE FROM transcript \
                 WHERE call_id = $1 AND seq < $2 AND turn = $3 AND speaker = 'agent'",
            )
            .bind(call_id.as_str())
            .bind(*seq)
            .bind(*turn)
            .execute(&mut *write)
            .await?;
        }
        for call in &self.unanswered {
            insert_unanswered(&mut write, call).await?;
        }
        write.commit().await?;
        Ok(())
    }

    async fn write_calls(&self, write: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let into = "INSERT INTO calls (id, server, direction, state, from_number, to_number, \
             provider_call_id, started_at, ended_at, end_reason, duration_ms, turns, \
             interruptions, takeovers, metadata, recording_path, recording_format, \
             recording_encrypted, recording_bytes)";
        let conflict = "ON CONFLICT (id) DO UPDATE SET state = excluded.state, \
             direction = excluded.direction, from_number = excluded.from_number, \
             to_number = excluded.to_number, provider_call_id = excluded.provider_call_id, \
             ended_at = excluded.ended_at, end_reason = excluded.end_reason, \
             duration_ms = excluded.duration_ms, turns = excluded.turns, \
             interruptions = excluded.interruptions, takeovers = excluded.takeovers, \
             metadata = excluded.metadata, \
             recording_path = COALESCE(calls.recording_path, excluded.recording_path), \
             recording_format = COALESCE(calls.recording_format, excluded.recording_format), \
             recording_encrypted = \
                 COALESCE(calls.recording_encrypted, excluded.recording_encrypted), \
             recording_bytes = COALESCE(calls.recording_bytes, excluded.recording_bytes)";
        insert(write, into, 19, conflict, &self.calls, |query, row| {
            let recording = row.recording.as_ref();
            query
                .bind(row.id.to_string())
                .bind(row.server.clone())
                .bind(row.direction.as_str())
                .bind(row.state.as_str())
                .bind(row.from.clone())
                .bind(row.to.clone())
                .bind(row.provider_call_id.clone())
                .bind(row.started_at.0)
                .bind(row.ended_at)
                .bind(row.end_reason.clone())
                .bind(row.duration_ms)
                .bind(row.turns)
                .bind(row.interruptions)
                .bind(row.takeovers)
                .bind(row.metadata.clone())
                .bind(recording.map(|file| file.path.to_string_lossy().into_owned()))
                .bind(recording.map(|file| file.format.as_str()))
                .bind(recording.map(|file| i64::from(file.encrypted)))
                .bind(recording.map(|file| to_i64(file.bytes)))
        })
        .await
    }

    async fn write_events(&self, write: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let into = "INSERT INTO events (call_id, seq, at_ms, json)";
        insert(write, into, 4, ONCE, &self.events, |query, row| {
            query
                .bind(row.call_id.to_string())
                .bind(row.seq)
                .bind(row.at_ms)
                .bind(row.json.clone())
        })
        .await
    }

    async fn write_answers(&self, write: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let into = "INSERT INTO answers (call_id, seq, at, total_ms)";
        insert(write, into, 4, ONCE, &self.answers, |query, row| {
            query
                .bind(row.call_id.to_string())
                .bind(row.seq)
                .bind(row.at)
                .bind(row.total_ms)
        })
        .await
    }

    async fn write_lines(&self, write: &mut AnyConnection) -> Result<(), sqlx::Error> {
        let into = "INSERT INTO transcript (call_id, seq, at_ms, turn, speaker, name, text, words)";
        insert(write, into, 8, ONCE, &self.lines, |query, row| {
            query
                .bind(row.call_id.to_string())
                .bind(row.seq)
                .bind(row.at_ms)
                .bind(row.turn)
                .bind(row.speaker.as_str())
                .bind(row.name.clone())
                .bind(row.text.clone())
                .bind(row.words.clone())
        })
        .await
    }
}

/// For rows that never change.
const ONCE: &str = "ON CONFLICT (call_id, seq) DO NOTHING";

/// Inserts rows, many with one statement.
async fn insert<T>(
    write: &mut AnyConnection,
    into: &str,
    columns: usize,
    conflict: &str,
    rows: &[T],
    bind: impl for<'q> Fn(AnyQuery<'q>, &T) -> AnyQuery<'q>,
) -> Result<(), sqlx::Error> {
    for rows in rows.chunks(ROWS) {
        let mut sql = format!("{into} VALUES ");
        for row in 0..rows.len() {
            let places = (1..=columns).map(|column| format!("${}", row * columns + column));
            let places = places.collect::<Vec<_>>().join(", ");
            let comma = if row == 0 { "" } else { ", " };
            write!(sql, "{comma}({places})").expect("writing to a text does not fail");
        }
        sql.push(' ');
        sql += conflict;
        // Made of the texts above; the values are bound.
        let query = sqlx::query(AssertSqlSafe(sql)).persistent(rows.len() == ROWS);
        let query = rows.iter().fold(query, &bind);
        query.execute(&mut *write).await?;
    }
    Ok(())
}

/// Whether the database will not take a batch however often it is tried: what is in it does not fit the
/// tables.
pub(super) fn is_hopeless(error: &StoreError) -> bool {
    let StoreError::Query(sqlx::Error::Database(error)) = error else {
        return false;
    };
    let code = error.code().unwrap_or_default();
    match code.parse::<u32>() {
        // SQLite's primary result codes: too big, a constraint, a mismatch of types, out of range.
        Ok(code) if code < 10_000 && code.to_string().len() < 5 => {
            matches!(code & 0xff, 18 | 19 | 20 | 25)
        }
        // PostgreSQL's classes: data exceptions, integrity constraints.
        _ => code.starts_with("22") || code.starts_with("23"),
    }
}

/// Why the database failed, for an operator: what it says itself may quote what was to be written.
pub(super) fn reason(error: &StoreError) -> String {
    match error {
        StoreError::Query(sqlx::Error::Database(error)) => {
            let code = error.code().unwrap_or_default();
            let sqlite = code.len() < 5;
            let primary = code.parse::<u32>().unwrap_or(0) & 0xff;
            let meaning = match (sqlite, primary) {
                (true, 5 | 6) => "is locked by somebody else",
                (true, 8) => "cannot be written to: it is read-only",
                (true, 10) => "cannot be read or written: its disk fails",
                (true, 11 | 26) => "is damaged",
                (true, 13) => "is full: there is no room left on its disk",
                (true, 14) => "cannot be opened",
                (false, _) if code.starts_with("53") => "has no room or connections left",
                (false, _) if code.starts_with("57") => "is shutting down, or gave the query up",
                (false, _) if code.starts_with("55") => "is locked by somebody else",
                (false, _) if code.starts_with("25") => "cannot be written to: it is read-only",
                _ => "refuses what is to be written",
            };
            format!("the database {meaning} (code {code})")
        }
        StoreError::Query(sqlx::Error::PoolTimedOut) => {
            "the database does not answer in time".into()
        }
        StoreError::Query(sqlx::Error::Io(error)) => {
            format!("the database cannot be reached: {}", error.kind())
        }
        StoreError::Query(sqlx::Error::PoolClosed) => "the store is closed".into(),
        _ => "the database fails".into(),
    }
}
