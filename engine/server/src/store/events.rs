//! What happened in calls, event by event.

use serde::Serialize;
use sidetone::CallId;
use sqlx::{Row as _, any::AnyRow};

use super::{
    Store, StoreError,
    calls::{storable, to_i64, to_u64},
};

/// The most events that are read at once.
const MAX_EVENTS: u32 = 10_000;

/// An event, as it is kept. Partial transcripts are not: their turn's final one is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StoredEvent {
    /// Its place among all calls' events: higher than of every event that was kept before.
    pub id: i64,
    /// The call it happened in.
    pub call_id: CallId,
    /// Its place among the call's events, from 1. There are gaps: not every event is kept.
    pub seq: u64,
    /// When, in ms since the call's socket was accepted.
    pub at_ms: u64,
    /// The whole event as JSON: a [`sidetone::EventRecord`].
    pub json: String,
}

impl Store {
    /// The events of a call after number `after_seq` (0: from the first), in order, at most `limit`
    /// (1 to 10000) of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn events(
        &self,
        call_id: &str,
        after_seq: u64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query(
            "SELECT * FROM events WHERE call_id = $1 AND seq > $2 ORDER BY seq LIMIT $3",
        )
        .bind(storable(call_id))
        .bind(to_i64(after_seq))
        .bind(i64::from(limit.clamp(1, MAX_EVENTS)))
        .fetch_all(&self.pool)
        .await?;
        rows.iter().map(event_from).collect()
    }

    /// The events of all calls after the one with the id `after` (0: from the first kept), in the order
    /// in which they were written down, at most `limit` (1 to 10000) of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn events_of_all(
        &self,
        after: i64,
        limit: u32,
    ) -> Result<Vec<StoredEvent>, StoreError> {
        let rows = sqlx::query("SELECT * FROM events WHERE id > $1 ORDER BY id LIMIT $2")
            .bind(after)
            .bind(i64::from(limit.clamp(1, MAX_EVENTS)))
            .fetch_all(&self.pool)
            .await?;
        rows.iter().map(event_from).collect()
    }

    /// The id of the last event of all calls; 0 where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn last_event_id(&self) -> Result<i64, StoreError> {
        let row = sqlx::query("SELECT COALESCE(MAX(id), 0) FROM events")
            .fetch_one(&self.pool)
            .await?;
        Ok(row.try_get(0)?)
    }
}

fn event_from(row: &AnyRow) -> Result<StoredEvent, StoreError> {
    Ok(StoredEvent {
        id: row.try_get("id")?,
        call_id: CallId::from(row.try_get::<String, _>("call_id")?),
        seq: to_u64(row.try_get("seq")?),
        at_ms: to_u64(row.try_get("at_ms")?),
        json: row.try_get("json")?,
    })
}
