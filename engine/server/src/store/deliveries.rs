//! What webhooks are still to be told: it outlives the server, and is tried until it was taken.

use std::{fmt, time::Duration};

use sqlx::{AssertSqlSafe, Row as _, any::AnyRow};

use super::{
    Store, StoreError, UnixMs,
    calls::{storable, to_u64},
};

/// That no earlier event of the same call is on its way to the same URL.
const IS_NEXT: &str = "NOT EXISTS (SELECT 1 FROM deliveries AS earlier \
     WHERE earlier.call_id = due.call_id AND earlier.url = due.url AND earlier.id < due.id)";

/// An event for a URL, to be kept until it was delivered.
#[derive(Clone, PartialEq, Eq)]
pub struct NewDelivery {
    /// Where to.
    pub url: String,
    /// The call that it tells of: when that is deleted, so is this.
    pub call_id: Option<String>,
    /// What is sent, as JSON.
    pub event: String,
}

/// An event on its way to a URL.
#[derive(Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Names it, also to the receiver: it stays the same when it is tried again.
    pub id: i64,
    /// Where to.
    pub url: String,
    /// The call that it tells of.
    pub call_id: Option<String>,
    /// What is sent, as JSON.
    pub event: String,
    /// When it was kept.
    pub created_at: UnixMs,
    /// How often it was tried.
    pub attempts: u64,
    /// When it will be tried again.
    pub next_try_at: UnixMs,
    /// Why the last time was in vain.
    pub last_error: Option<String>,
}

/// Without the address, which may hold a secret, and what is sent.
impl fmt::Debug for NewDelivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewDelivery")
            .field("call_id", &self.call_id)
            .finish_non_exhaustive()
    }
}

/// Without the address, which may hold a secret, and what is sent.
impl fmt::Debug for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Delivery")
            .field("id", &self.id)
            .field("call_id", &self.call_id)
            .field("attempts", &self.attempts)
            .field("next_try_at", &self.next_try_at)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Keeps events for delivery, all or none of them; they are due at once.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn add_deliveries(&self, deliveries: &[NewDelivery]) -> Result<(), StoreError> {
        let now = UnixMs::now();
        let mut write = self.write().await?;
        for delivery in deliveries {
            sqlx::query(
                "INSERT INTO deliveries (url, call_id, event, created_at, attempts, next_try_at) \
                 VALUES ($1, $2, $3, $4, 0, $4)",
            )
            .bind(storable(&delivery.url))
            .bind(delivery.call_id.as_deref().map(storable))
            .bind(storable(&delivery.event))
            .bind(now.0)
            .execute(&mut *write)
            .await?;
        }
        write.commit().await?;
        Ok(())
    }

    /// Takes deliveries to `url` that are due at `now`, in order, at most `limit` (1 to 1000) of them, and
    /// of each call only the one that is next. Nobody else gets them for the time of `lease`; who dies
    /// meanwhile leaves them to whoever asks after that.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn take_deliveries(
        &self,
        url: &str,
        now: UnixMs,
        lease: Duration,
        limit: u32,
    ) -> Result<Vec<Delivery>, StoreError> {
        let skip = self.either("", " FOR UPDATE SKIP LOCKED");
        let sql = format!(
            "UPDATE deliveries SET next_try_at = $2 WHERE id IN (SELECT id FROM deliveries AS due \
             WHERE url = $4 AND next_try_at <= $1 AND {IS_NEXT} ORDER BY id LIMIT $3{skip}) RETURNING *"
        );
        let mut write = self.write().await?;
        let rows = sqlx::query(AssertSqlSafe(sql))
            .bind(now.0)
            .bind(now.after(lease).0)
            .bind(i64::from(limit.clamp(1, 1_000)))
            .bind(storable(url))
            .fetch_all(&mut *write)
            .await?;
        write.commit().await?;
        let deliveries: Result<Vec<_>, _> = rows.iter().map(delivery_from).collect();
        let mut deliveries = deliveries?;
        deliveries.sort_by_key(|delivery| delivery.id);
        Ok(deliveries)
    }

    /// Forgets a delivery: it was taken, or is given up.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn delivered(&self, id: i64) -> Result<(), StoreError> {
        let delete = sqlx::query("DELETE FROM deliveries WHERE id = $1").bind(id);
        self.change(delete).await.map(drop)
    }

    /// Notes that a delivery was tried in vain, why, and when to try again.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn delivery_failed(
        &self,
        id: i64,
        error: &str,
        next_try_at: UnixMs,
    ) -> Result<(), StoreError> {
        let update = sqlx::query(
            "UPDATE deliveries SET attempts = attempts + 1, last_error = $2, next_try_at = $3 \
             WHERE id = $1",
        )
        .bind(id)
        .bind(storable(error))
        .bind(next_try_at.0);
        self.change(update).await.map(drop)
    }

    /// When the next delivery to `url` is due; none where there is none.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn next_delivery(&self, url: &str) -> Result<Option<UnixMs>, StoreError> {
        let sql = format!(
            "SELECT next_try_at FROM deliveries AS due WHERE url = $1 AND {IS_NEXT} \
             ORDER BY next_try_at LIMIT 1"
        );
        let row = sqlx::query(AssertSqlSafe(sql))
            .bind(storable(url))
            .fetch_optional(&self.pool)
            .await?;
        row.map(|row| Ok(UnixMs(row.try_get(0)?))).transpose()
    }

    /// Forgets deliveries that have been kept since before `time`: nobody tries them any more. Says how
    /// many there were.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn forget_deliveries(&self, time: UnixMs) -> Result<u64, StoreError> {
        let delete = sqlx::query("DELETE FROM deliveries WHERE created_at < $1").bind(time.0);
        self.change(delete).await
    }
}

fn delivery_from(row: &AnyRow) -> Result<Delivery, StoreError> {
    Ok(Delivery {
        id: row.try_get("id")?,
        url: row.try_get("url")?,
        call_id: row.try_get("call_id")?,
        event: row.try_get("event")?,
        created_at: UnixMs(row.try_get("created_at")?),
        attempts: to_u64(row.try_get("attempts")?),
        next_try_at: UnixMs(row.try_get("next_try_at")?),
        last_error: row.try_get("last_error")?,
    })
}
