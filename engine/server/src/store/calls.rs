//! Calls.

use std::{collections::HashMap, fmt, path::PathBuf, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sidetone::CallId;
use sqlx::{AnyConnection, AssertSqlSafe, Row as _, any::AnyRow};
use thiserror::Error;

use super::{NewAuditEntry, Store, StoreError, UnixMs, search};

/// The most calls on one page.
const MAX_PAGE: u32 = 500;

/// A call, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct CallRecord {
    /// The call.
    pub id: CallId,
    /// Who called whom.
    pub direction: Direction,
    /// Whether it goes on.
    pub state: CallState,
    /// The number of who called; empty where it is not known.
    pub from: String,
    /// The number that was called; empty where it is not known.
    pub to: String,
    /// The provider's id of the call.
    pub provider_call_id: Option<String>,
    /// When its socket was accepted.
    pub started_at: UnixMs,
    /// When it ended, or was found to be lost.
    pub ended_at: Option<UnixMs>,
    /// Why it ended, as the event `call.ended` says.
    pub end_reason: Option<String>,
    /// How long it was, in ms; none while it is live, or when it was lost.
    pub duration_ms: Option<u64>,
    /// Caller's turns with words.
    pub turns: u64,
    /// How often the caller interrupted the agent.
    pub interruptions: u64,
    /// How often a person took the call over.
    pub takeovers: u64,
    /// How quickly the agent answered.
    pub latency: Latency,
    /// What the program that placed or took the call noted about it.
    pub metadata: Map<String, Value>,
    /// Its audio, where it was recorded.
    pub recording: Option<RecordingFile>,
}

/// A call that was placed and never answered.
#[derive(Clone, PartialEq)]
pub struct UnansweredCall {
    /// The call.
    pub id: CallId,
    /// The number that was shown.
    pub from: String,
    /// The number that was called.
    pub to: String,
    /// The provider's id of the call, where it got one.
    pub provider_call_id: Option<String>,
    /// When it was placed.
    pub placed_at: UnixMs,
    /// Why nobody answered, in the provider's word.
    pub end_reason: String,
    /// What was to be noted about it.
    pub metadata: Map<String, Value>,
}

/// Without numbers and notes.
impl fmt::Debug for UnansweredCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnansweredCall")
            .field("id", &self.id)
            .field("end_reason", &self.end_reason)
            .finish_non_exhaustive()
    }
}

/// Who called whom.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Somebody called the agent.
    #[default]
    Inbound,
    /// The agent called somebody.
    Outbound,
}

/// Whether a call goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallState {
    /// It goes on.
    Live,
    /// It ended.
    Ended,
    /// The server that held it is gone, and how it ended is not known.
    Lost,
}

/// How quickly the agent answered in a call: from the end of the caller's speech to the first audio.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latency {
    /// How many answers were measured.
    pub answers: u64,
    /// Half of them were as quick, in ms.
    pub p50_ms: Option<u64>,
    /// 95 % of them were as quick, in ms.
    pub p95_ms: Option<u64>,
    /// The slowest, in ms.
    pub max_ms: Option<u64>,
}

/// The audio of a call on disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RecordingFile {
    /// Where it is.
    #[serde(skip)]
    pub path: PathBuf,
    /// What it is.
    pub format: RecordingFormat,
    /// Whether it is encrypted.
    pub encrypted: bool,
    /// How long the file is.
    pub bytes: u64,
}

/// The formats of recordings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum RecordingFormat {
    /// 16-bit PCM: exact, 115 MB an hour at 8 kHz.
    #[default]
    Wav,
    /// Ogg Opus: a fifth of it.
    Opus,
}

/// Which calls are listed: those to which everything applies that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CallFilter {
    /// In this state.
    pub state: Option<CallState>,
    /// Begun at this time or later.
    pub from_time: Option<UnixMs>,
    /// Begun before this time.
    pub to_time: Option<UnixMs>,
    /// From or to this number.
    pub number: Option<String>,
    /// In which every one of these words was said, or a longer one that begins with it; case and
    /// accents do not matter.
    pub text: Option<String>,
}

/// A part of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Where the next one begins; none on the last.
    pub next: Option<Cursor>,
}

/// A place in the list of calls. It stays the same place whatever is added or deleted. To whoever holds
/// it, it is a text without a meaning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    started_at: i64,
    id: String,
}

/// Not a cursor that a list handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("is not a cursor of this list: take the one that came with the page before")]
pub struct InvalidCursor;

impl Store {
    /// The calls that `filter` lets through, the newest first, `limit` (1 to 500) of them, from
    /// `after` on.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn calls(
        &self,
        filter: &CallFilter,
        after: Option<&Cursor>,
        limit: u32,
    ) -> Result<Page<CallRecord>, StoreError> {
        let limit = limit.clamp(1, MAX_PAGE) as usize;
        let mut query = Conditions::default();
        if let Some(state) = filter.state {
            query.and("state = ?", [Bind::Text(state.as_str().into())]);
        }
        if let Some(from) = filter.from_time {
            query.and("started_at >= ?", [Bind::Number(from.0)]);
        }
        if let Some(to) = filter.to_time {
            query.and("started_at < ?", [Bind::Number(to.0)]);
        }
        if let Some(number) = &filter.number {
            query.and(
                "(from_number = ? OR to_number = ?)",
                [Bind::Text(storable(number)), Bind::Text(storable(number))],
            );
        }
        for word in filter.text.iter().flat_map(|text| search::words(text)) {
            let (condition, word) = search::condition(self.is_postgres(), &word);
            query.and(condition, [Bind::Text(word)]);
        }
        if let Some(Cursor { started_at, id }) = after {
            query.and(
                "(started_at < ? OR (started_at = ? AND id < ?))",
                [
                    Bind::Number(*started_at),
                    Bind::Number(*started_at),
                    Bind::Text(id.clone()),
                ],
            );
        }
        let sql = format!(
            "SELECT * FROM calls{} ORDER BY started_at DESC, id DESC LIMIT {}",
            query.sql,
            limit + 1
        );
        // Made of the texts above; what was asked for is bound.
        let mut select = sqlx::query(AssertSqlSafe(sql));
        for bind in query.binds {
            select = match bind {
                Bind::Text(text) => select.bind(text),
                Bind::Number(number) => select.bind(number),
            };
        }
        let rows = select.fetch_all(&self.pool).await?;
        let more = rows.len() > limit;
        let items: Result<Vec<_>, _> = rows.iter().take(limit).map(call_from).collect();
        let mut items = items?;
        self.add_latencies(&mut items).await?;
        let next = items.last().filter(|_| more).map(|last| Cursor {
            started_at: last.started_at.0,
            id: last.id.to_string(),
        });
        Ok(Page { items, next })
    }

    /// One call; none where there is no such call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn call(&self, id: &str) -> Result<Option<CallRecord>, StoreError> {
        let row = sqlx::query("SELECT * FROM calls WHERE id = $1")
            .bind(storable(id))
            .fetch_optional(&self.pool)
            .await?;
        let mut call = row.as_ref().map(call_from).transpose()?;
        self.add_latencies(call.as_mut_slice()).await?;
        Ok(call)
    }

    /// Deletes all of a call: its events, its words, its recording, what is still to be delivered of
    /// it. The audit log keeps that `who` deleted it. False where there is no such call.
    ///
    /// # Errors
    ///
    /// [`StoreError::Live`] while the call goes on. Where the recording cannot be deleted, everything
    /// else stays too, so that it can be tried again.
    pub async fn delete_call(&self, id: &str, who: &str) -> Result<bool, StoreError> {
        let Some(call) = self.call(id).await? else {
            return Ok(false);
        };
        if call.state == CallState::Live {
            return Err(StoreError::Live);
        }
        if let Some(recording) = call.recording {
            remove_recording(recording.path).await?;
        }
        let mut write = self.write().await?;
        for delete in [
            "DELETE FROM deliveries WHERE call_id = $1",
            "DELETE FROM calls WHERE id = $1",
        ] {
            sqlx::query(delete).bind(id).execute(&mut *write).await?;
        }
        let entry = NewAuditEntry {
            who: who.into(),
            action: "call.delete".into(),
            call_id: Some(id.into()),
            detail: Map::new(),
        };
        super::audit::insert(&mut write, UnixMs::now(), &entry).await?;
        write.commit().await?;
        self.forget_log().await?;
        Ok(true)
    }

    /// Notes where the recording of a call is. False where there is no such call any more: then the
    /// file must go too.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn set_recording(
        &self,
        id: &str,
        recording: &RecordingFile,
    ) -> Result<bool, StoreError> {
        let update = sqlx::query(
            "UPDATE calls SET recording_path = $2, recording_format = $3, \
             recording_encrypted = $4, recording_bytes = $5 WHERE id = $1",
        )
        .bind(id)
        .bind(recording.path.to_string_lossy().into_owned())
        .bind(recording.format.as_str())
        .bind(i64::from(recording.encrypted))
        .bind(i64::try_from(recording.bytes).unwrap_or(i64::MAX));
        Ok(self.change(update).await? > 0)
    }

    /// The calls that ended before `time`, at most `limit` of them, those with a recording only if
    /// `recorded`.
    pub(crate) async fn ended_before(
        &self,
        time: UnixMs,
        recorded: bool,
        limit: u32,
    ) -> Result<Vec<CallRecord>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM calls WHERE state <> 'live' AND ended_at < $1 \
             AND ($2 = 0 OR recording_path IS NOT NULL) ORDER BY started_at LIMIT $3",
        )
        .bind(time.0)
        .bind(i64::from(recorded))
        .bind(i64::from(limit))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(call_from).collect()
    }

    /// The calls that were lost with their recording unfinished.
    pub(crate) async fn unfinished_recordings(&self) -> Result<Vec<CallRecord>, StoreError> {
        let rows = sqlx::query("SELECT * FROM calls WHERE state = 'lost' AND recording_bytes = 0")
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(call_from).collect()
    }

    /// Deletes the recording of a call and nothing else.
    pub(crate) async fn delete_recording(&self, call: &CallRecord) -> Result<(), StoreError> {
        if let Some(recording) = &call.recording {
            remove_recording(recording.path.clone()).await?;
        }
        let update = sqlx::query(
            "UPDATE calls SET recording_path = NULL, recording_format = NULL, \
             recording_encrypted = NULL, recording_bytes = NULL WHERE id = $1",
        )
        .bind(call.id.as_str());
        self.change(update).await.map(drop)
    }

    async fn add_latencies(&self, calls: &mut [CallRecord]) -> Result<(), StoreError> {
        if calls.is_empty() {
            return Ok(());
        }
        let places: Vec<_> = (1..=calls.len()).map(|n| format!("${n}")).collect();
        let sql = format!(
            "SELECT call_id, total_ms FROM answers WHERE call_id IN ({}) ORDER BY total_ms",
            places.join(", ")
        );
        let mut select = sqlx::query(AssertSqlSafe(sql));
        for call in &*calls {
            select = select.bind(call.id.to_string());
        }
        let mut sorted: HashMap<String, Vec<i64>> = HashMap::new();
        for row in select.fetch_all(&self.pool).await? {
            let of_call = sorted.entry(row.try_get("call_id")?).or_default();
            of_call.push(row.try_get("total_ms")?);
        }
        for call in calls {
            let sorted = sorted.get(call.id.as_str());
            call.latency = sorted.map_or_else(Latency::default, |sorted| Latency::of(sorted));
        }
        Ok(())
    }

    /// Empties SQLite's write-ahead log, in which what was deleted can still be read.
    async fn forget_log(&self) -> Result<(), StoreError> {
        if !self.is_postgres() {
            // Somebody who reads meanwhile holds it up; the next one empties it.
            sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)")
                .fetch_all(&self.pool)
                .await?;
        }
        Ok(())
    }
}

/// Keeps a call that was placed and never answered, unless it is there.
pub(super) async fn insert_unanswered(
    write: &mut AnyConnection,
    call: &UnansweredCall,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO calls (id, server, direction, state, from_number, to_number, \
             provider_call_id, started_at, ended_at, end_reason, duration_ms, turns, \
             interruptions, takeovers, metadata) \
             VALUES ($1, '', 'outbound', 'ended', $2, $3, $4, $5, $6, $7, 0, 0, 0, 0, $8) \
             ON CONFLICT (id) DO NOTHING",
    )
    .bind(call.id.to_string())
    .bind(storable(&call.from))
    .bind(storable(&call.to))
    .bind(call.provider_call_id.as_deref().map(storable))
    .bind(call.placed_at.0)
    .bind(UnixMs::now().0)
    .bind(storable(&call.end_reason))
    .bind(Value::Object(call.metadata.clone()).to_string())
    .execute(write)
    .await?;
    Ok(())
}

/// Removes a file, unless somebody has.
async fn remove_recording(path: PathBuf) -> Result<(), StoreError> {
    let file = path.clone();
    let removed = tokio::task::spawn_blocking(move || std::fs::remove_file(file)).await;
    match removed.expect("removing a file does not panic") {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(StoreError::Recording { path, source })
        }
        _ => Ok(()),
    }
}

impl Latency {
    /// Of latencies in ascending order.
    fn of(sorted: &[i64]) -> Self {
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100);
            sorted.get(rank.checked_sub(1)?).map(|&ms| to_u64(ms))
        };
        Self {
            answers: sorted.len() as u64,
            p50_ms: at(50),
            p95_ms: at(95),
            max_ms: at(100),
        }
    }
}

/// Never negative: these columns count.
pub(super) fn to_u64(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// As the columns take it.
pub(super) fn to_i64(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A text as both databases take it: PostgreSQL knows no NUL.
pub(super) fn storable(text: &str) -> String {
    text.replace('\0', "")
}

/// The conditions of a query, which is made of them at run time.
#[derive(Default)]
struct Conditions {
    sql: String,
    binds: Vec<Bind>,
}

enum Bind {
    Text(String),
    Number(i64),
}

impl Conditions {
    /// Adds a condition; each `?` of it is one of `binds`.
    fn and(&mut self, condition: &str, binds: impl IntoIterator<Item = Bind>) {
        self.sql += if self.sql.is_empty() {
            " WHERE "
        } else {
            " AND "
        };
        let mut binds = binds.into_iter();
        for char in condition.chars() {
            if char == '?' {
                self.binds.extend(binds.next());
                self.sql += &format!("${}", self.binds.len());
            } else {
                self.sql.push(char);
            }
        }
    }
}

fn call_from(row: &AnyRow) -> Result<CallRecord, StoreError> {
    let text = |column: &str| row.try_get::<String, _>(column);
    let number = |column: &str| row.try_get::<i64, _>(column);
    let some_text = |column: &str| row.try_get::<Option<String>, _>(column);
    let some_number = |column: &str| row.try_get::<Option<i64>, _>(column);
    let metadata = text("metadata")?;
    let recording = match (some_text("recording_path")?, some_text("recording_format")?) {
        (Some(path), Some(format)) => Some(RecordingFile {
            path: path.into(),
            format: parse("the format of a recording", &format)?,
            encrypted: some_number("recording_encrypted")? == Some(1),
            bytes: to_u64(some_number("recording_bytes")?.unwrap_or(0)),
        }),
        _ => None,
    };
    Ok(CallRecord {
        id: CallId::from(text("id")?),
        direction: parse("the direction of a call", &text("direction")?)?,
        state: parse("the state of a call", &text("state")?)?,
        from: text("from_number")?,
        to: text("to_number")?,
        provider_call_id: some_text("provider_call_id")?,
        started_at: UnixMs(number("started_at")?),
        ended_at: some_number("ended_at")?.map(UnixMs),
        end_reason: some_text("end_reason")?,
        duration_ms: some_number("duration_ms")?.map(to_u64),
        turns: to_u64(number("turns")?),
        interruptions: to_u64(number("interruptions")?),
        takeovers: to_u64(number("takeovers")?),
        latency: Latency::default(),
        metadata: serde_json::from_str(&metadata).map_err(|_| StoreError::Unknown {
            what: "the metadata of a call",
            // Not shown: it may be about somebody.
            found: "no JSON object".into(),
        })?,
        recording,
    })
}

/// Reads the name of a variant.
pub(super) fn parse<T: for<'de> Deserialize<'de>>(
    what: &'static str,
    found: &str,
) -> Result<T, StoreError> {
    serde_json::from_value(Value::from(found)).map_err(|_| StoreError::Unknown {
        what,
        found: found.into(),
    })
}

impl Direction {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
        }
    }
}

impl CallState {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Ended => "ended",
            Self::Lost => "lost",
        }
    }
}

impl RecordingFormat {
    /// Its name, as it is configured.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wav => "wav",
            Self::Opus => "opus",
        }
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{} {}", self.started_at, self.id);
        f.write_str(&URL_SAFE_NO_PAD.encode(text))
    }
}

impl FromStr for Cursor {
    type Err = InvalidCursor;

    fn from_str(text: &str) -> Result<Self, InvalidCursor> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| InvalidCursor)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidCursor)?;
        let (started_at, id) = text.split_once(' ').ok_or(InvalidCursor)?;
        if storable(id) != id {
            return Err(InvalidCursor);
        }
        Ok(Self {
            started_at: started_at.parse().map_err(|_| InvalidCursor)?,
            id: id.into(),
        })
    }
}

impl Serialize for Cursor {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}
