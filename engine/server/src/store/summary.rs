//! Figures by the hour.

use std::collections::BTreeMap;

use serde::Serialize;
use sqlx::Row as _;

use super::{Store, StoreError, UnixMs, calls::to_u64};

const HOUR_MS: i64 = 3_600_000;

/// The calls that began within an hour, and the answers that were given in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Hour {
    /// When the hour begins.
    pub from: UnixMs,
    /// Calls that began.
    pub calls: u64,
    /// Those of them that go on.
    pub live: u64,
    /// Those of them that were lost.
    pub lost: u64,
    /// How long those that ended were, together, in ms.
    pub duration_ms: u64,
    /// Caller's turns with words.
    pub turns: u64,
    /// Interruptions of the agent.
    pub interruptions: u64,
    /// Calls that a person took over.
    pub calls_taken_over: u64,
    /// Calls in which the agent was interrupted.
    pub calls_interrupted: u64,
    /// The share of calls that a person took over, 0 to 1.
    pub takeover_rate: f64,
    /// The share of calls in which the agent was interrupted, 0 to 1.
    pub interruption_rate: f64,
    /// Answers that were measured.
    pub answers: u64,
    /// Half of the answers were as quick, in ms from the end of the caller's speech.
    pub p50_ms: Option<u64>,
    /// 95 % of them were.
    pub p95_ms: Option<u64>,
    /// 99 % of them were.
    pub p99_ms: Option<u64>,
}

impl Store {
    /// Figures of the hours (UTC) from the one of `from` until `to`, the oldest first; hours in which
    /// nothing happened are left out.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub async fn summary(&self, from: UnixMs, to: UnixMs) -> Result<Vec<Hour>, StoreError> {
        let from = from.0.div_euclid(HOUR_MS) * HOUR_MS;
        let mut hours: BTreeMap<i64, Hour> = BTreeMap::new();
        let calls = sqlx::query(
            "SELECT started_at / 3600000 AS hour, CAST(COUNT(*) AS BIGINT) AS calls, \
             CAST(SUM(CASE WHEN state = 'live' THEN 1 ELSE 0 END) AS BIGINT) AS live, \
             CAST(SUM(CASE WHEN state = 'lost' THEN 1 ELSE 0 END) AS BIGINT) AS lost, \
             CAST(SUM(COALESCE(duration_ms, 0)) AS BIGINT) AS duration_ms, \
             CAST(SUM(turns) AS BIGINT) AS turns, \
             CAST(SUM(interruptions) AS BIGINT) AS interruptions, \
             CAST(SUM(CASE WHEN takeovers > 0 THEN 1 ELSE 0 END) AS BIGINT) AS taken_over, \
             CAST(SUM(CASE WHEN interruptions > 0 THEN 1 ELSE 0 END) AS BIGINT) AS interrupted \
             FROM calls WHERE started_at >= $1 AND started_at < $2 GROUP BY started_at / 3600000",
        )
        .bind(from)
        .bind(to.0)
        .fetch_all(&self.pool)
        .await?;
        for row in calls {
            let count = |column: &str| row.try_get(column).map(to_u64);
            let calls = count("calls")?;
            let taken_over = count("taken_over")?;
            let interrupted = count("interrupted")?;
            let hour = Hour {
                calls,
                live: count("live")?,
                lost: count("lost")?,
                duration_ms: count("duration_ms")?,
                turns: count("turns")?,
                interruptions: count("interruptions")?,
                calls_taken_over: taken_over,
                calls_interrupted: interrupted,
                takeover_rate: share(taken_over, calls),
                interruption_rate: share(interrupted, calls),
                ..Hour::default()
            };
            hours.insert(row.try_get("hour")?, hour);
        }
        // The answers whose rank is that of a percentile, rounded up.
        let answers = sqlx::query(
            "SELECT hour, total_ms, place, answers FROM ( \
                 SELECT at / 3600000 AS hour, total_ms, \
                 ROW_NUMBER() OVER (PARTITION BY at / 3600000 ORDER BY total_ms) AS place, \
                 COUNT(*) OVER (PARTITION BY at / 3600000) AS answers \
                 FROM answers WHERE at >= $1 AND at < $2) AS ranked \
             WHERE place IN ((answers * 50 + 99) / 100, (answers * 95 + 99) / 100, \
                 (answers * 99 + 99) / 100)",
        )
        .bind(from)
        .bind(to.0)
        .fetch_all(&self.pool)
        .await?;
        for row in answers {
            let (place, answers): (i64, i64) = (row.try_get("place")?, row.try_get("answers")?);
            let ms = Some(to_u64(row.try_get("total_ms")?));
            let hour = hours.entry(row.try_get("hour")?).or_default();
            hour.answers = to_u64(answers);
            let is = |percent: i64| place == (answers * percent + 99) / 100;
            for (percent, figure) in [
                (50, &mut hour.p50_ms),
                (95, &mut hour.p95_ms),
                (99, &mut hour.p99_ms),
            ] {
                if is(percent) {
                    *figure = ms;
                }
            }
        }
        let hours = hours.into_iter().map(|(hour, figures)| Hour {
            from: UnixMs(hour * HOUR_MS),
            ..figures
        });
        Ok(hours.collect())
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls of an hour are few")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}
