//! What a call tells the application: status callbacks, one after the other.

use std::{sync::Arc, time::SystemTime};

use tokio::sync::mpsc;

use super::{
    exchange::Exchange,
    record::{CallRecord, CallbackRecord, RecordingRecord},
};

/// Posts a call's callbacks in order, beside the call: an application that is slow to take them
/// holds nothing up.
#[derive(Debug)]
pub(super) struct Reports {
    queue: mpsc::UnboundedSender<Posted>,
    /// Where and when to report how the call fares.
    status: Option<(String, Vec<String>)>,
    sequence: u32,
}

type Posted = (String, Vec<(String, String)>);

impl Reports {
    /// For call `sid`; `status` is the URL for its progress, and the events that it wants to know
    /// of: none are the last one.
    pub(super) fn new(
        exchange: Arc<Exchange>,
        sid: String,
        status: Option<(String, Vec<String>)>,
    ) -> Self {
        let (queue, mut posted) = mpsc::unbounded_channel::<Posted>();
        tokio::spawn(async move {
            while let Some((url, form)) = posted.recv().await {
                let answer = exchange.post(&url, &form).await;
                exchange.update(&sid, |call| {
                    call.callbacks.push(CallbackRecord {
                        url,
                        form,
                        answer: answer.ok().map(|answer| answer.status),
                    });
                });
            }
        });
        Self {
            queue,
            status: status.map(|(url, mut events)| {
                if events.is_empty() {
                    events.push("completed".to_owned());
                }
                (url, events)
            }),
            sequence: 0,
        }
    }

    /// Reports how the call fares, if `event` is to be reported.
    pub(super) fn progress(&mut self, event: &str, account_sid: &str, call: &CallRecord) {
        let Some((url, events)) = &self.status else {
            return;
        };
        if !events.iter().any(|wanted| wanted == event) {
            return;
        }
        let mut form = about(account_sid, call);
        form.push(field("Timestamp", &date(SystemTime::now())));
        form.push(field("CallbackSource", "call-progress-events"));
        form.push(field("SequenceNumber", &self.sequence.to_string()));
        if let Some(seconds) = call.duration_s() {
            form.push(field("CallDuration", &seconds.to_string()));
            form.push(field("Duration", &seconds.div_ceil(60).to_string()));
        }
        self.sequence += 1;
        self.post(url.clone(), form);
    }

    /// Posts a form when those before it are through.
    pub(super) fn post(&self, url: String, form: Vec<(String, String)>) {
        // The other end lives as long as this one.
        let _ = self.queue.send((url, form));
    }
}

/// What every form about a call begins with.
pub(super) fn about(account_sid: &str, call: &CallRecord) -> Vec<(String, String)> {
    let mut form = vec![
        field("AccountSid", account_sid),
        field("ApiVersion", "2010-04-01"),
        field("CallSid", &call.sid),
        field("CallStatus", call.status.as_str()),
        field("Direction", call.direction.as_str()),
        field("From", &call.from),
        field("Caller", &call.from),
        field("To", &call.to),
        field("Called", &call.to),
    ];
    if let Some(parent) = &call.parent_sid {
        form.push(field("ParentCallSid", parent));
    }
    if let Some(answered_by) = call.answered_by {
        form.push(field("AnsweredBy", answered_by));
    }
    form
}

/// What a finished recording is reported with.
pub(super) fn recorded(
    account_sid: &str,
    call_sid: &str,
    recording: &RecordingRecord,
) -> Vec<(String, String)> {
    vec![
        field("AccountSid", account_sid),
        field("CallSid", call_sid),
        field("RecordingSid", &recording.sid),
        field("RecordingStatus", "completed"),
        field("RecordingChannels", &recording.channels.to_string()),
        field("RecordingDuration", "1"),
    ]
}

pub(super) fn field(name: &str, value: &str) -> (String, String) {
    (name.to_owned(), value.to_owned())
}

/// A date as mail has it, which the REST API uses: RFC 2822, in universal time.
pub(super) fn date(time: SystemTime) -> String {
    httpdate::fmt_http_date(time).replace("GMT", "+0000")
}
