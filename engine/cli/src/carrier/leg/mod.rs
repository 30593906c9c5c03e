//! One call, from the first ring to the last word.

mod connect;
mod follow;

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::sleep,
};

use super::{
    exchange::{Command, Exchange, Instructions, Opened},
    phone::{Answerer, Phone, Pickup},
    record::{CallRecord, Status, Step},
    reports::{Reports, field, recorded as recorded_form},
};

/// One call.
pub(super) struct Leg {
    exchange: Arc<Exchange>,
    sid: String,
    commands: mpsc::UnboundedReceiver<Command>,
    phone: Phone,
    reports: Reports,
    /// Keys that are still to be pressed at a `<Gather>`.
    keys: VecDeque<char>,
    /// How many media streams it had.
    streams: usize,
    /// Where the document came from that is followed now.
    base: Option<reqwest::Url>,
}

/// How a call that was placed is to be answered and watched.
#[derive(Clone, Debug)]
pub(super) struct Placing {
    pub(super) ring: Duration,
    pub(super) detection: Option<Detection>,
    pub(super) send_digits: Option<String>,
}

/// Machine detection.
#[derive(Clone, Debug)]
pub(super) struct Detection {
    pub(super) until_message_end: bool,
    /// The URL for the verdict, where the call does not wait for it.
    pub(super) callback: Option<String>,
}

/// What comes after a verb.
enum Flow {
    Next,
    Go(Instructions),
    /// The call is over.
    End,
}

/// How the instructions of a call came to their end.
#[derive(PartialEq, Eq)]
enum Followed {
    /// The last verb is done.
    ToTheEnd,
    /// Somebody hung up, or the document did.
    HungUp,
}

/// How a dialled call went.
struct Dialled {
    status: Status,
    bridged: bool,
    duration_s: u64,
}

impl Leg {
    pub(super) fn new(
        exchange: &Arc<Exchange>,
        opened: Opened,
        phone: Phone,
        status: Option<(String, Vec<String>)>,
    ) -> Self {
        let Opened { sid, commands } = opened;
        Self {
            exchange: Arc::clone(exchange),
            reports: Reports::new(Arc::clone(exchange), sid.clone(), status),
            sid,
            commands,
            keys: phone.keys.iter().copied().collect(),
            phone,
            streams: 0,
            base: None,
        }
    }

    /// A call that somebody makes to the account's number: the webhook at `url` says what to do.
    pub(super) async fn come_in(mut self, url: String) {
        self.set(Status::Ringing);
        // The webhook is asked while it rings; the first verb that needs it answers.
        let document = self.fetch(Instructions::Url(url)).await;
        self.answer();
        match document {
            Ok(document) => self.follow_document(document).await,
            Err(problem) => self.give_up(problem),
        };
        self.end(Status::Completed);
    }

    /// A call that was placed over the REST API.
    pub(super) async fn go_out(mut self, instructions: Instructions, placing: Placing) {
        if !self.ring(placing.ring).await {
            return;
        }
        let verdict = placing
            .detection
            .as_ref()
            .map(|detection| self.verdict(detection));
        match (&placing.detection, verdict) {
            (
                Some(Detection {
                    callback: Some(url),
                    ..
                }),
                Some(verdict),
            ) => {
                self.answer();
                let mut form = vec![
                    field("AccountSid", &self.exchange.account.sid),
                    field("CallSid", &self.sid),
                    field("AnsweredBy", verdict),
                    field("MachineDetectionDuration", "2000"),
                ];
                form.sort();
                self.reports.post(url.clone(), form);
            }
            (_, verdict) => {
                self.record(|call| call.answered_by = verdict);
                self.answer();
            }
        }
        if let Some(digits) = placing.send_digits {
            self.step(Step::Played(digits));
        }
        self.follow(instructions).await;
        self.end(Status::Completed);
    }

    /// A call that a `<Dial>` makes. `dialled` is told how it went.
    fn be_dialled(
        mut self,
        ring: Duration,
        screen_url: Option<String>,
        dialled: oneshot::Sender<Dialled>,
    ) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            let mut result = Dialled {
                status: Status::Completed,
                bridged: false,
                duration_s: 0,
            };
            let mut onward = None;
            if self.ring(ring).await {
                self.answer();
                let screened = match screen_url {
                    Some(url) => self.follow(Instructions::Url(url)).await,
                    None => Followed::ToTheEnd,
                };
                if screened == Followed::ToTheEnd {
                    result.bridged = true;
                    self.step(Step::Bridged);
                    onward = self.talk().await;
                }
                if onward.is_none() {
                    self.end(Status::Completed);
                }
            }
            let call = self.look();
            if call.status.is_over() {
                result.status = call.status;
            }
            result.duration_s = call.duration_s().unwrap_or_default();
            // Nobody waits for it where the caller hung up.
            let _ = dialled.send(result);
            if let Some(instructions) = onward {
                self.follow(instructions).await;
                self.end(Status::Completed);
            }
        })
    }

    /// Rings; says whether somebody answered. If not, the call is over.
    async fn ring(&mut self, patience: Duration) -> bool {
        self.set(Status::Initiated);
        self.progress("initiated");
        self.set(Status::Ringing);
        self.progress("ringing");
        let ringing = self.phone.after.min(patience);
        let outcome = tokio::select! {
            () = sleep(ringing) => match self.phone.pickup {
                _ if self.phone.after > patience => Status::NoAnswer,
                Pickup::Answers => return true,
                Pickup::Busy => Status::Busy,
                Pickup::Never => Status::NoAnswer,
                Pickup::Fails => Status::Failed,
            },
            ended = self.ended_from_outside() => ended,
        };
        self.end(outcome);
        false
    }

    /// How the call ends while it rings: a request cancels it, or a person declines it.
    async fn ended_from_outside(&mut self) -> Status {
        loop {
            match self.commands.recv().await {
                Some(Command::Complete) | None => return Status::Canceled,
                Some(Command::HangUp) => return Status::Busy,
                Some(Command::Press(_) | Command::Redirect(_)) => {}
            }
        }
    }

    fn verdict(&self, detection: &Detection) -> &'static str {
        match (self.phone.answered_by, detection.until_message_end) {
            (Answerer::Human, _) => "human",
            (Answerer::Machine, false) => "machine_start",
            (Answerer::Machine, true) => "machine_end_beep",
        }
    }

    fn answer(&mut self) {
        self.record(|call| {
            call.status = Status::InProgress;
            call.answered = Some(std::time::SystemTime::now());
        });
        self.progress("answered");
    }

    fn end(&mut self, status: Status) {
        let recorded = self.record(|call| {
            call.status = status;
            call.ended = Some(std::time::SystemTime::now());
            let running = call
                .recordings
                .iter_mut()
                .filter(|recording| !recording.stopped);
            running
                .map(|recording| {
                    recording.stopped = true;
                    recording.clone()
                })
                .collect::<Vec<_>>()
        });
        self.commands.close();
        for recording in recorded {
            if let Some(url) = &recording.callback {
                let form = recorded_form(&self.exchange.account.sid, &self.sid, &recording);
                self.reports.post(url.clone(), form);
            }
        }
        self.progress("completed");
    }

    fn set(&self, status: Status) {
        self.record(|call| call.status = status);
    }

    fn step(&self, step: Step) {
        self.record(|call| call.steps.push(step));
    }

    fn progress(&mut self, event: &str) {
        let call = self.look();
        self.reports
            .progress(event, &self.exchange.account.sid, &call);
    }

    fn record<T>(&self, change: impl FnOnce(&mut CallRecord) -> T) -> T {
        self.exchange.update(&self.sid, change)
    }

    fn look(&self) -> CallRecord {
        self.exchange
            .call(&self.sid)
            .expect("calls are never struck off")
    }
}
