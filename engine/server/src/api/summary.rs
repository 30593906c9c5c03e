//! Figures of the calls.

use std::{sync::Arc, time::Duration};

use axum::{Json, extract::State};
use serde::Serialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    Api,
    extract::{Fields, FromQuery, Query},
    problem::Problem,
    timestamp::Timestamp,
};
use crate::{
    auth::principal::Viewer,
    recording::RecordingStatus,
    store::{Hour, UnixMs, WriterStatus},
};

/// What is summed up unless the request says otherwise.
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// What is summed up at most.
const LONGEST_DAYS: i64 = 92;

/// Of when.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct SummaryQuery {
    /// From the hour of this time on; a day before `until` unless it is set.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<Timestamp>,
    /// Until this time; now unless it is set. At most 92 days after `since`.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<Timestamp>,
}

impl FromQuery for SummaryQuery {
    fn read(fields: &mut Fields) -> Self {
        Self {
            since: fields.time("since"),
            until: fields.time("until"),
        }
    }
}

/// Figures of the calls.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Summary {
    /// From when.
    since: Timestamp,
    /// Until when.
    until: Timestamp,
    /// How it is right now.
    now: Now,
    /// All hours together.
    total: Figures,
    /// By hours (UTC), the oldest first; hours in which nothing happened are left out.
    hours: Vec<HourView>,
}

/// How the server is right now.
#[derive(Debug, Serialize, ToSchema)]
struct Now {
    /// Calls that go on in this server.
    live_calls: u64,
    /// People on them.
    people: u64,
    /// How what happens is written down.
    store: StoreView,
    /// How recordings fare.
    recordings: RecordingsView,
}

/// How recordings fare.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = RecordingsStatus)]
struct RecordingsView {
    /// Recordings that could not be begun, or not be written to their end, since the server started.
    failed: u64,
    /// Why the last one could not; none where it could.
    failure: Option<String>,
}

/// How what happens is written down.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = StoreStatus)]
struct StoreView {
    /// Events that wait to be written.
    queued: u64,
    /// Events that were written.
    written: u64,
    /// Events that are missing from the store, for lack of room in the queue.
    missed: u64,
    /// Attempts to write that failed.
    retries: u64,
    /// Why the last attempt failed; none where it did not.
    failure: Option<String>,
}

/// Figures of calls that began within a time.
#[derive(Debug, Default, Serialize, ToSchema)]
struct Figures {
    /// Calls that began.
    calls: u64,
    /// Those of them that go on.
    live: u64,
    /// Those of them that were lost.
    lost: u64,
    /// How long those that ended were, together, in ms.
    duration_ms: u64,
    /// Caller's turns with words.
    turns: u64,
    /// Interruptions of the agent.
    interruptions: u64,
    /// Calls that a person took over.
    calls_taken_over: u64,
    /// Calls in which the agent was interrupted.
    calls_interrupted: u64,
    /// The share of calls that a person took over, 0 to 1.
    takeover_rate: f64,
    /// The share of calls in which the agent was interrupted, 0 to 1.
    interruption_rate: f64,
    /// Answers that were measured.
    answers: u64,
}

/// Figures of an hour.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Hour)]
struct HourView {
    /// When the hour begins.
    from: Timestamp,
    #[serde(flatten)]
    figures: Figures,
    /// Half of the answers were as quick, in ms from the end of the caller's speech.
    p50_ms: Option<u64>,
    /// 95 % of them were.
    p95_ms: Option<u64>,
    /// 99 % of them were.
    p99_ms: Option<u64>,
}

impl Figures {
    fn of(hour: &Hour) -> Self {
        Self {
            calls: hour.calls,
            live: hour.live,
            lost: hour.lost,
            duration_ms: hour.duration_ms,
            turns: hour.turns,
            interruptions: hour.interruptions,
            calls_taken_over: hour.calls_taken_over,
            calls_interrupted: hour.calls_interrupted,
            takeover_rate: hour.takeover_rate,
            interruption_rate: hour.interruption_rate,
            answers: hour.answers,
        }
    }

    fn total(hours: &[Hour]) -> Self {
        let mut total = hours.iter().fold(Self::default(), |mut total, hour| {
            total.calls += hour.calls;
            total.live += hour.live;
            total.lost += hour.lost;
            total.duration_ms += hour.duration_ms;
            total.turns += hour.turns;
            total.interruptions += hour.interruptions;
            total.calls_taken_over += hour.calls_taken_over;
            total.calls_interrupted += hour.calls_interrupted;
            total.answers += hour.answers;
            total
        });
        total.takeover_rate = share(total.calls_taken_over, total.calls);
        total.interruption_rate = share(total.calls_interrupted, total.calls);
        total
    }
}

#[expect(clippy::cast_precision_loss, reason = "calls are few")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

impl From<WriterStatus> for StoreView {
    fn from(status: WriterStatus) -> Self {
        Self {
            queued: status.queued,
            written: status.written,
            missed: status.missed,
            retries: status.retries,
            failure: status.failure,
        }
    }
}

impl From<RecordingStatus> for RecordingsView {
    fn from(status: RecordingStatus) -> Self {
        Self {
            failed: status.failed,
            failure: status.failure,
        }
    }
}

/// Counts, durations, latency percentiles, takeover and interruption rates, by hour.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/metrics/summary",
    tag = "calls",
    operation_id = "readSummary",
    params(SummaryQuery),
    responses((status = 200, description = "The figures.", body = Summary))
)]
pub(super) async fn read(
    Viewer(_): Viewer,
    State(api): State<Arc<Api>>,
    Query(query): Query<SummaryQuery>,
) -> Result<Json<Summary>, Problem> {
    let until = query.until.map_or_else(UnixMs::now, |time| time.0);
    let since = query.since.map_or_else(|| until.before(DAY), |time| time.0);
    if since > until {
        return Err(Problem::field("since", "must not be after `until`"));
    }
    if until.0.saturating_sub(since.0) > LONGEST_DAYS * 24 * 3_600_000 {
        let detail = format!("must be at most {LONGEST_DAYS} days before `until`");
        return Err(Problem::field("since", detail));
    }
    let hours = api.store.summary(since, until).await?;
    let calls = api.engine.calls();
    let people = calls.iter().map(|call| call.state().borrow().people.len());
    Ok(Json(Summary {
        since: since.into(),
        until: until.into(),
        now: Now {
            live_calls: calls.len() as u64,
            people: people.sum::<usize>() as u64,
            store: api.writer.status().into(),
            recordings: api.recordings.status().into(),
        },
        total: Figures::total(&hours),
        hours: hours
            .into_iter()
            .map(|hour| HourView {
                from: hour.from.into(),
                figures: Figures::of(&hour),
                p50_ms: hour.p50_ms,
                p95_ms: hour.p95_ms,
                p99_ms: hour.p99_ms,
            })
            .collect(),
    }))
}
