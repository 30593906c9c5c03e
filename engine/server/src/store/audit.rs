//! Who listened, spoke, took over, read or deleted what.

use serde::Serialize;
use serde_json::{Map, Value};
use sqlx::{AnyConnection, Row as _, any::AnyRow};

use super::{Store, StoreError, UnixMs, calls::storable};

/// The most entries that are read at once.
const MAX_ENTRIES: u32 = 1_000;

/// Something that somebody did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEntry {
    /// Its place in the log.
    pub id: i64,
    /// When.
    pub at: UnixMs,
    /// Who: the id of a token, or `system`.
    pub who: String,
    /// What, such as `call.delete`.
    pub action: String,
    /// The call it was done to.
    pub call_id: Option<String>,
    /// What else there is to say. Nothing of what was said in the call.
    pub detail: Map<String, Value>,
}

/// Something that somebody does now.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewAuditEntry {
    /// See [`AuditEntry::who`].
    pub who: String,
    /// See [`AuditEntry::action`].
    pub action: String,
    /// See [`AuditEntry::call_id`].
    pub call_id: Option<String>,
    /// See [`AuditEntry::detail`].
    pub detail: Map<String, Value>,
}

/// Which entries are read: those to which everything applies that is set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AuditFilter {
    /// Of this call.
    pub call_id: Option<String>,
    /// Older than the entry with this id.
    pub before: Option<i64>,
}

impl Store {
    /// Adds an entry to the log.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn audit(&self, at: UnixMs, entry: &NewAuditEntry) -> Result<(), StoreError> {
        let mut write = self.write().await?;
        insert(&mut write, at, entry).await?;
        write.commit().await?;
        Ok(())
    }

    /// The newest entries first, at most `limit` (1 to 1000) of them.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn audit_log(
        &self,
        filter: &AuditFilter,
        limit: u32,
    ) -> Result<Vec<AuditEntry>, StoreError> {
        let (sql, call_id) = match &filter.call_id {
            Some(call_id) => (
                "SELECT * FROM audit WHERE id < $1 AND call_id = $3 ORDER BY id DESC LIMIT $2",
                Some(storable(call_id)),
            ),
            None => (
                "SELECT * FROM audit WHERE id < $1 ORDER BY id DESC LIMIT $2",
                None,
            ),
        };
        let mut select = sqlx::query(sql)
            .bind(filter.before.unwrap_or(i64::MAX))
            .bind(i64::from(limit.clamp(1, MAX_ENTRIES)));
        if let Some(call_id) = call_id {
            select = select.bind(call_id);
        }
        let rows = select.fetch_all(&self.pool).await?;
        rows.iter().map(entry_from).collect()
    }
}

pub(super) async fn insert(
    connection: &mut AnyConnection,
    at: UnixMs,
    entry: &NewAuditEntry,
) -> Result<(), StoreError> {
    let detail = Value::Object(entry.detail.clone()).to_string();
    sqlx::query("INSERT INTO audit (at, who, action, call_id, detail) VALUES ($1, $2, $3, $4, $5)")
        .bind(at.0)
        .bind(storable(&entry.who))
        .bind(storable(&entry.action))
        .bind(entry.call_id.as_deref().map(storable))
        .bind(detail)
        .execute(connection)
        .await?;
    Ok(())
}

fn entry_from(row: &AnyRow) -> Result<AuditEntry, StoreError> {
    let detail: String = row.try_get("detail")?;
    Ok(AuditEntry {
        id: row.try_get("id")?,
        at: UnixMs(row.try_get("at")?),
        who: row.try_get("who")?,
        action: row.try_get("action")?,
        call_id: row.try_get("call_id")?,
        detail: serde_json::from_str(&detail).map_err(|_| StoreError::Unknown {
            what: "the detail of an audit entry",
            found: detail,
        })?,
    })
}
