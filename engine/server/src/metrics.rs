//! What is counted, for Prometheus.
//!
//! Each server counts for itself: nothing is registered with the process. No label carries what a
//! caller said, a number, or a token.

use std::fmt;

use metrics::{counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use serde::Serialize;
use sidetone_core::event::{CallError, CallEvent, TurnMetrics};

use crate::{recording::RecordingStatus, store::WriterStatus, webhooks::WebhookStatus};

const CALLS_ACTIVE: &str = "sidetone_calls_active";
const CALLS: &str = "sidetone_calls_total";
const TURN: &str = "sidetone_turn_latency_seconds";
const BARGE_IN: &str = "sidetone_barge_in_seconds";
const INTERRUPTIONS: &str = "sidetone_interruptions_total";
const SERVICE_FAILURES: &str = "sidetone_service_failures_total";
const LEG_FAULTS: &str = "sidetone_leg_faults_total";
const REFUSED: &str = "sidetone_refused_total";
const STATUS: &str = "sidetone_twilio_status_total";
const STORE_QUEUE: &str = "sidetone_store_queue";
const STORE_FAILING: &str = "sidetone_store_failing";
const STORE_WRITTEN: &str = "sidetone_store_events_written_total";
const STORE_MISSED: &str = "sidetone_store_events_missed_total";
const STORE_RETRIES: &str = "sidetone_store_retries_total";
const RECORDINGS_FAILED: &str = "sidetone_recordings_failed_total";
const WEBHOOKS: &str = "sidetone_webhooks_total";
const EVENTS_MISSED: &str = "sidetone_metrics_events_missed_total";

/// Upper bounds of the histograms, in seconds: close together where a conversation feels it.
const BUCKETS: [f64; 18] = [
    0.01, 0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0, 8.0,
];

/// Why somebody was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Refusal {
    /// The request was not signed by Twilio.
    Signature,
    /// The stream's token was missing, used, too old or never handed out, or the stream belongs
    /// to a foreign account.
    Token,
    /// All places are taken.
    Busy,
    /// The server is going down.
    Draining,
}

/// The metrics of one server.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(crate) fn new() -> Self {
        let builder = PrometheusBuilder::new();
        let recorder = [TURN, BARGE_IN]
            .into_iter()
            .fold(builder, |builder, name| {
                builder
                    .set_buckets_for_metric(Matcher::Full(name.to_owned()), &BUCKETS)
                    .expect("there are buckets")
            })
            .build_recorder();
        let metrics = Self {
            handle: recorder.handle(),
            recorder,
        };
        metrics.record(describe);
        metrics
    }

    /// Counts what an event of a call tells.
    pub(crate) fn observe(&self, event: &CallEvent) {
        self.record(|| match event {
            CallEvent::TurnMetrics(turn) => record_turn(turn),
            CallEvent::AgentInterrupted {
                onset_to_clear_ms, ..
            } => {
                counter!(INTERRUPTIONS).increment(1);
                histogram!(BARGE_IN).record(seconds(*onset_to_clear_ms));
            }
            CallEvent::Error {
                error:
                    CallError::Service {
                        service, failure, ..
                    },
            } => counter!(
                SERVICE_FAILURES, "service" => label(service), "kind" => label(failure)
            )
            .increment(1),
            CallEvent::CallEnded { reason, counters } => {
                counter!(CALLS, "reason" => label(reason)).increment(1);
                // The events tell the first fault of each kind; the counters tell all.
                for (fault, count) in &counters.leg_faults {
                    counter!(LEG_FAULTS, "fault" => label(fault)).increment(*count);
                }
            }
            _ => {}
        });
    }

    /// Counts somebody who was not let in.
    pub(crate) fn refused(&self, why: Refusal) {
        self.record(|| counter!(REFUSED, "why" => label(&why)).increment(1));
    }

    /// Counts a status report of Twilio.
    pub(crate) fn status(&self, status: &'static str) {
        self.record(|| counter!(STATUS, "status" => status).increment(1));
    }

    /// Counts events that came too fast to be counted.
    pub(crate) fn events_missed(&self, missed: u64) {
        self.record(|| counter!(EVENTS_MISSED).increment(missed));
    }

    /// Takes over what the store's writer has counted.
    pub(crate) fn store(&self, status: &WriterStatus) {
        self.record(|| {
            #[expect(clippy::cast_precision_loss, reason = "what waits is little")]
            gauge!(STORE_QUEUE).set(status.queued as f64);
            gauge!(STORE_FAILING).set(if status.failure.is_some() { 1.0 } else { 0.0 });
            counter!(STORE_WRITTEN).absolute(status.written);
            counter!(STORE_MISSED).absolute(status.missed);
            counter!(STORE_RETRIES).absolute(status.retries);
        });
    }

    /// Takes over how recordings fare.
    pub(crate) fn recordings(&self, status: &RecordingStatus) {
        self.record(|| counter!(RECORDINGS_FAILED).absolute(status.failed));
    }

    /// Takes over what webhooks have counted.
    pub(crate) fn webhooks(&self, status: &WebhookStatus) {
        self.record(|| {
            for (outcome, count) in [
                ("delivered", status.delivered),
                ("failed", status.failed),
                ("given_up", status.given_up),
                ("missed", status.missed),
            ] {
                counter!(WEBHOOKS, "outcome" => outcome).absolute(count);
            }
        });
    }

    /// Everything in Prometheus' text format.
    pub(crate) fn render(&self, calls_active: usize) -> String {
        #[expect(clippy::cast_precision_loss, reason = "calls are few")]
        self.record(|| gauge!(CALLS_ACTIVE).set(calls_active as f64));
        self.handle.render()
    }

    /// Folds what was measured into the histograms. Must be called now and then: until then every
    /// single measurement is kept.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    fn record(&self, record: impl FnOnce()) {
        metrics::with_local_recorder(&self.recorder, record);
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

fn describe() {
    describe_gauge!(
        CALLS_ACTIVE,
        "Calls whose stream has started and not ended."
    );
    describe_counter!(CALLS, "Calls that ended, by reason.");
    describe_histogram!(
        TURN,
        "From the end of the caller's speech to the agent's first audio, by part."
    );
    describe_histogram!(
        BARGE_IN,
        "From the first sound of an interruption to the decision to stop."
    );
    describe_counter!(INTERRUPTIONS, "Interruptions of the agent.");
    describe_counter!(SERVICE_FAILURES, "Failed jobs, by service and kind.");
    describe_counter!(
        LEG_FAULTS,
        "What legs did wrong, by kind; gaps count frames."
    );
    describe_counter!(REFUSED, "Requests and streams that were not let in.");
    describe_counter!(STATUS, "Status reports of Twilio.");
    describe_counter!(
        RECORDINGS_FAILED,
        "Recordings that could not be begun, or not be written to their end."
    );
    describe_gauge!(STORE_QUEUE, "Events that wait to be written to the store.");
    describe_gauge!(
        STORE_FAILING,
        "Whether the store refuses what is to be written now."
    );
    describe_counter!(STORE_WRITTEN, "Events written to the store.");
    describe_counter!(STORE_MISSED, "Events missing from the store.");
    describe_counter!(STORE_RETRIES, "Attempts to write to the store that failed.");
    describe_counter!(
        WEBHOOKS,
        "Webhooks: events taken, attempts that failed, events given up, events never kept."
    );
    describe_counter!(EVENTS_MISSED, "Events missing from these metrics.");
    // Present from the start, so that the first increment is seen as one.
    counter!(INTERRUPTIONS).absolute(0);
    for why in [
        Refusal::Signature,
        Refusal::Token,
        Refusal::Busy,
        Refusal::Draining,
    ] {
        counter!(REFUSED, "why" => label(&why)).absolute(0);
    }
}

fn record_turn(turn: &TurnMetrics) {
    let parts = [
        ("total", turn.total_ms),
        ("endpointing", turn.endpointing_ms),
        ("stt", turn.stt_ms),
        ("llm_first_token", turn.llm_first_token_ms),
        ("llm_first_sentence", turn.llm_first_sentence_ms),
        ("tts_first_byte", turn.tts_first_byte_ms),
    ];
    for (part, ms) in parts {
        histogram!(TURN, "part" => part).record(seconds(ms));
    }
}

fn seconds(ms: u64) -> f64 {
    std::time::Duration::from_millis(ms).as_secs_f64()
}

/// A variant's name as it is written in events.
fn label<T: Serialize>(variant: &T) -> String {
    match serde_json::to_value(variant) {
        Ok(serde_json::Value::String(name)) => name,
        _ => "other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use sidetone_core::{
        event::{Counters, EndReason, LegFault, TurnId},
        job::{FailureKind, Service},
    };

    use super::*;

    #[test]
    fn what_happens_in_calls_is_counted() {
        let metrics = Metrics::new();
        metrics.observe(&CallEvent::TurnMetrics(TurnMetrics {
            endpointing_ms: 300,
            stt_ms: 40,
            total_ms: 420,
            ..TurnMetrics::default()
        }));
        metrics.observe(&CallEvent::AgentInterrupted {
            turn: TurnId(2),
            heard: "my number is".into(),
            onset_to_clear_ms: 120,
        });
        metrics.observe(&CallEvent::Error {
            error: CallError::Service {
                service: Service::Llm,
                failure: FailureKind::TimedOut,
                detail: "POST …: no answer".into(),
            },
        });
        metrics.observe(&CallEvent::CallEnded {
            reason: EndReason::CallerHungUp,
            counters: Counters {
                leg_faults: [(LegFault::Gap, 3)].into(),
                ..Counters::default()
            },
        });
        metrics.refused(Refusal::Busy);
        metrics.status("stream-error");

        let text = metrics.render(5);
        for line in [
            "sidetone_calls_active 5",
            "sidetone_calls_total{reason=\"caller_hung_up\"} 1",
            "sidetone_turn_latency_seconds_bucket{part=\"total\",le=\"0.4\"} 0",
            "sidetone_turn_latency_seconds_bucket{part=\"total\",le=\"0.5\"} 1",
            "sidetone_turn_latency_seconds_sum{part=\"endpointing\"} 0.3",
            "sidetone_turn_latency_seconds_count{part=\"stt\"} 1",
            "sidetone_barge_in_seconds_bucket{le=\"0.15\"} 1",
            "sidetone_interruptions_total 1",
            "sidetone_leg_faults_total{fault=\"gap\"} 3",
            "sidetone_refused_total{why=\"busy\"} 1",
            "sidetone_refused_total{why=\"token\"} 0",
            "sidetone_twilio_status_total{status=\"stream-error\"} 1",
        ] {
            assert!(
                text.lines().any(|l| l == line),
                "{line} is missing in\n{text}"
            );
        }
        let failure = text
            .lines()
            .find(|line| line.starts_with("sidetone_service_failures_total{"))
            .unwrap();
        assert!(failure.contains("service=\"llm\""), "{failure}");
        assert!(failure.contains("kind=\"timed_out\""), "{failure}");
        assert!(!text.contains("my number"), "{text}");
    }

    #[test]
    fn two_servers_in_one_process_count_apart() {
        let (one, two) = (Metrics::new(), Metrics::new());
        one.refused(Refusal::Token);
        assert!(one.render(0).contains("{why=\"token\"} 1"));
        assert!(two.render(0).contains("{why=\"token\"} 0"));
    }
}
