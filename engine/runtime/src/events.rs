//! What happens in calls, for the program around the engine.

use std::{fmt, sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use sidetone_core::{
    event::{CallError, CallEvent, Counters, EndReason},
    time::CallTime,
};
use thiserror::Error;
use tokio::sync::{broadcast, watch};
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::{debug, error, info, warn};

use crate::{engine::Registration, event_log::EventLog};

/// Identifies a call within this engine and, being random, among all others.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallId(Arc<str>);

impl From<&str> for CallId {
    fn from(text: &str) -> Self {
        Self(text.into())
    }
}

impl CallId {
    /// A new id: `call-` and 12 hexadecimal digits.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 6];
        getrandom::fill(&mut bytes).expect("the operating system has random bytes");
        let mut number = [0; 8];
        number[2..].copy_from_slice(&bytes);
        Self(format!("call-{:012x}", u64::from_be_bytes(number)).into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// An id that was written down.
impl From<String> for CallId {
    fn from(id: String) -> Self {
        Self(id.into())
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One event of one call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// The call it happened in.
    pub call_id: CallId,
    /// When, in ms since the call's socket was accepted.
    pub at_ms: u64,
    /// Its place among the call's events, counted from 1 without gaps.
    pub seq: u64,
    /// What happened.
    #[serde(flatten)]
    pub event: CallEvent,
}

/// How a call went.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallSummary {
    /// The call.
    pub call_id: CallId,
    /// Why it ended.
    pub reason: EndReason,
    /// What was counted on the way.
    pub counters: Counters,
    /// From the acceptance of the socket to the end of the conversation.
    pub duration: Duration,
}

/// A subscription to events. One that is not read in time misses the oldest events, never holds
/// up a call, and is told how many it missed.
#[derive(Debug)]
pub struct EventStream {
    records: broadcast::Receiver<Arc<EventRecord>>,
}

/// A subscription was not read in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{missed} events were missed because the subscription was not read in time")]
pub struct EventsMissed {
    /// How many events are lost to this subscription.
    pub missed: u64,
}

/// Events from elsewhere than an engine, for what takes an engine's: calls that are imported into a store,
/// say.
impl From<broadcast::Receiver<Arc<EventRecord>>> for EventStream {
    fn from(records: broadcast::Receiver<Arc<EventRecord>>) -> Self {
        Self { records }
    }
}

impl EventStream {
    /// The next event; `None` when no more will come. May be dropped and called again without
    /// losing an event.
    ///
    /// # Errors
    ///
    /// [`EventsMissed`] where events are missing; the next call goes on after the gap.
    pub async fn recv(&mut self) -> Option<Result<Arc<EventRecord>, EventsMissed>> {
        match self.records.recv().await {
            Ok(record) => Some(Ok(record)),
            Err(broadcast::error::RecvError::Lagged(missed)) => Some(Err(EventsMissed { missed })),
            Err(broadcast::error::RecvError::Closed) => None,
        }
    }
}

/// Where the events of one call go.
///
/// Dropping it ends the call for everybody who watches, however its task ends: at the end of the
/// conversation, by a panic in a part plugged into it, or with the runtime it ran on.
pub(crate) struct Reporter {
    call_id: CallId,
    outlets: Outlets,
    seq: u64,
    last: CallTime,
    ended: Option<(EndReason, Counters)>,
}

/// Where events and the end of a call are made known.
pub(crate) struct Outlets {
    pub(crate) to_call: broadcast::Sender<Arc<EventRecord>>,
    pub(crate) to_engine: broadcast::Sender<Arc<EventRecord>>,
    pub(crate) log: Option<EventLog>,
    pub(crate) summary: watch::Sender<Option<CallSummary>>,
    /// Counts the call as active, and has it found by its id, while it is held.
    pub(crate) active: Option<(Option<Registration>, TaskTrackerToken)>,
}

impl Reporter {
    pub(crate) fn new(call_id: CallId, outlets: Outlets) -> Self {
        Self {
            call_id,
            outlets,
            seq: 0,
            last: CallTime::ZERO,
            ended: None,
        }
    }

    pub(crate) fn report(&mut self, now: CallTime, event: CallEvent) {
        self.seq += 1;
        self.last = now;
        if let CallEvent::CallEnded { reason, counters } = &event {
            self.ended = Some((*reason, counters.clone()));
        }
        log_event(&event);
        let record = Arc::new(EventRecord {
            call_id: self.call_id.clone(),
            at_ms: now.as_millis(),
            seq: self.seq,
            event,
        });
        if let Some(log) = &self.outlets.log {
            log.append(Arc::clone(&record));
        }
        // Without a subscriber there is nobody to tell.
        let _ = self.outlets.to_call.send(Arc::clone(&record));
        let _ = self.outlets.to_engine.send(record);
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        let (reason, counters) = self.ended.take().unwrap_or_else(|| {
            let reason = EndReason::InternalError;
            let counters = Counters::default();
            let event = CallEvent::CallEnded {
                reason,
                counters: counters.clone(),
            };
            self.report(self.last, event);
            (reason, counters)
        });
        // Whoever waits for the summary finds the call no longer counted.
        self.outlets.active = None;
        self.outlets.summary.send_replace(Some(CallSummary {
            call_id: self.call_id.clone(),
            reason,
            counters,
            duration: self.last.since(CallTime::ZERO),
        }));
    }
}

/// Writes what operators need to the log, within the call's span: reasons, numbers and the
/// provider's id of the call, never words, keys, names or parameters.
fn log_event(event: &CallEvent) {
    match event {
        CallEvent::CallStarted {
            provider_call_id, ..
        } => info!(
            provider_call_id = provider_call_id.as_deref().filter(|id| is_id(id)),
            "call started"
        ),
        CallEvent::CallEnded {
            reason: reason @ EndReason::InternalError,
            ..
        } => error!(%reason, "call ended"),
        CallEvent::CallEnded { reason, counters } => info!(
            %reason,
            turns = counters.turns,
            interruptions = counters.interruptions,
            frames_in = counters.frames_in,
            media_out = counters.media_out,
            service_failures = counters.service_failures,
            leg_faults = ?counters.leg_faults,
            "call ended"
        ),
        CallEvent::Error {
            error:
                CallError::Service {
                    service,
                    failure,
                    detail,
                },
        } => warn!(%service, ?failure, detail, "service failed"),
        CallEvent::Error {
            error: CallError::Leg { fault, .. },
        } => warn!(?fault, "leg sent something unusable"),
        CallEvent::Error {
            error: CallError::SayRefused { waiting, .. },
        } => warn!(
            waiting,
            "too much waits to be said: the agent will not say it"
        ),
        CallEvent::PersonJoined {
            person, mode, rank, ..
        } => info!(%person, %mode, rank, "person joined"),
        CallEvent::PersonMode { person, mode } => info!(%person, %mode, "person changed over"),
        CallEvent::PersonRefused { person, refusal } => warn!(%person, %refusal, "person refused"),
        CallEvent::PersonLeft {
            person,
            reason,
            quality,
        } => info!(%person, ?reason, ?quality, "person left"),
        CallEvent::Handoff { state, back } => info!(?state, ?back, "handoff"),
        CallEvent::AgentPaused => info!("agent paused"),
        CallEvent::AgentUnpaused { reason } => info!(?reason, "agent takes part again"),
        CallEvent::TurnMetrics(metrics) => debug!(?metrics, "turn answered"),
        _ => {}
    }
}

/// Looks like Twilio's ids: two letters, then letters and digits. What a leg says of itself may be
/// anything, a telephone number among it.
fn is_id(text: &str) -> bool {
    let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
    letters >= 2 && text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ids_of_the_provider_are_logged() {
        assert!(is_id("CA0123456789abcdef0123456789abcdef"));
        let long = "CA".repeat(33);
        for other in [
            "",
            "12025550143",
            "+12025550143",
            "CA0 hello",
            "CA\n",
            &long,
        ] {
            assert!(!is_id(other), "{other:?}");
        }
    }
}
