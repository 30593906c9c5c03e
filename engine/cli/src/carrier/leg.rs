//! One call, from the first ring to the last word.

use std::{collections::VecDeque, future::Future, pin::Pin, sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, sleep_until},
};

use super::{
    document::{Dial, Document, Gather, Target, Verb},
    exchange::{Command, Exchange, Instructions, Opened},
    phone::{Answerer, Phone, Pickup},
    record::{CallRecord, Direction, Status, Step},
    reports::{Reports, about, field, recorded as recorded_form},
    wire::Wire,
};
use crate::phone::{
    CallIdentity, Ending, Entry, Stream, StreamMessage, Target as StreamTarget, Watched, hold,
};

/// A call that asks for more documents than this goes round in circles.
const MAX_DOCUMENTS: usize = 100;

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

    async fn follow(&mut self, instructions: Instructions) -> Followed {
        match self.fetch(instructions).await {
            Ok(document) => self.follow_document(document).await,
            Err(problem) => self.give_up(problem),
        }
    }

    async fn follow_document(&mut self, mut document: Document) -> Followed {
        for _ in 0..MAX_DOCUMENTS {
            let instructions = match self.play(document).await {
                Flow::Next => return Followed::ToTheEnd,
                Flow::End => return Followed::HungUp,
                Flow::Go(instructions) => instructions,
            };
            document = match self.fetch(instructions).await {
                Ok(document) => document,
                Err(problem) => return self.give_up(problem),
            };
        }
        self.give_up(format!("more than {MAX_DOCUMENTS} documents"))
    }

    async fn fetch(&mut self, instructions: Instructions) -> Result<Document, String> {
        let text = match instructions {
            Instructions::Twiml(text) => text,
            Instructions::Url(url) => {
                let form = about(&self.exchange.account.sid, &self.look());
                self.ask(&url, &form).await?
            }
        };
        Document::read(&text).map_err(|error| error.to_string())
    }

    /// Posts a form and takes the answer for a document.
    async fn ask(&mut self, url: &str, form: &[(String, String)]) -> Result<String, String> {
        let url = match (&self.base, reqwest::Url::parse(url)) {
            (_, Ok(_)) => url.to_owned(),
            (Some(base), Err(_)) => base
                .join(url)
                .map_err(|error| format!("{url}: {error}"))?
                .into(),
            (None, Err(error)) => return Err(format!("{url}: {error}")),
        };
        self.base = reqwest::Url::parse(&url).ok();
        self.step(Step::Asked { url: url.clone() });
        let answer = self
            .exchange
            .post(&url, form)
            .await
            .map_err(|error| crate::in_full(&error))?;
        if (200..300).contains(&answer.status) {
            Ok(answer.body)
        } else {
            Err(format!("{url} answered {}", answer.status))
        }
    }

    fn give_up(&mut self, problem: String) -> Followed {
        self.step(Step::ApplicationError(problem));
        Followed::HungUp
    }

    async fn play(&mut self, document: Document) -> Flow {
        for verb in document.verbs {
            let flow = match self.verb(verb).await {
                Flow::Next => self.interruption(),
                flow => flow,
            };
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
        Flow::Next
    }

    /// What the call was told meanwhile.
    fn interruption(&mut self) -> Flow {
        while let Ok(command) = self.commands.try_recv() {
            match self.obey(command) {
                Flow::Next => {}
                flow => return flow,
            }
        }
        Flow::Next
    }

    fn obey(&mut self, command: Command) -> Flow {
        match command {
            Command::Redirect(instructions) => {
                self.step(Step::Redirected);
                Flow::Go(instructions)
            }
            Command::Complete | Command::HangUp => Flow::End,
            Command::Press(_) => Flow::Next,
        }
    }

    async fn verb(&mut self, verb: Verb) -> Flow {
        match verb {
            // Spoken in no time.
            Verb::Say(text) => self.step(Step::Said(text)),
            Verb::Play(what) => self.step(Step::Played(what)),
            Verb::Pause(time) => return self.wait(Some(time)).await,
            Verb::Stream {
                stream,
                status_callback,
            } => return self.stream(stream, status_callback).await,
            Verb::Dial(dial) => return self.dial(dial).await,
            Verb::Enqueue(name) => {
                self.step(Step::Enqueued(name));
                return self.wait(None).await;
            }
            Verb::Gather(gather) => return self.gather(gather).await,
            Verb::Redirect(url) => return Flow::Go(Instructions::Url(url)),
            Verb::Hangup => return Flow::End,
            Verb::Other(name) => self.step(Step::PassedOver(name)),
        }
        Flow::Next
    }

    /// Until the time is over, if it ever is, or the call is told something else.
    async fn wait(&mut self, time: Option<Duration>) -> Flow {
        let until = time.map(|time| Instant::now() + time);
        loop {
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            let command = tokio::select! {
                () = over => return Flow::Next,
                command = self.commands.recv() => command,
            };
            let flow = command.map_or(Flow::End, |command| self.obey(command));
            if !matches!(flow, Flow::Next) {
                return flow;
            }
        }
    }

    /// Both ends of a `<Dial>` are connected. Returns what this one is told to do instead, if it
    /// is.
    async fn talk(&mut self) -> Option<Instructions> {
        match self.wait(self.phone.talks_for).await {
            Flow::Go(instructions) => Some(instructions),
            Flow::Next | Flow::End => None,
        }
    }

    async fn stream(&mut self, stream: Stream, status_callback: Option<String>) -> Flow {
        let script = self.phone.script_of(self.streams);
        self.streams += 1;
        let identity = CallIdentity {
            call_sid: self.sid.clone(),
            ..CallIdentity::random(Some(&self.exchange.account.sid))
        };
        let account = &self.exchange.account;
        let target = StreamTarget {
            connect: self.exchange.address_of(&stream.url),
            auth_token: Some(account.auth_token.clone()),
            entry: Entry::Stream(stream.url.clone(), stream.parameters.clone()),
        };
        let mut form = vec![
            field("AccountSid", &account.sid),
            field("CallSid", &self.sid),
            field("StreamSid", &identity.stream_sid),
            field("StreamName", &identity.stream_sid),
        ];
        let report = |reports: &Reports, mut form: Vec<_>, event: &str| {
            if let Some(url) = &status_callback {
                form.push(field("StreamEvent", event));
                reports.post(url.clone(), form);
            }
        };
        let (began, has_begun) = oneshot::channel();
        let mut wire = Wire::new(
            script,
            identity.clone(),
            self.phone.keep_audio,
            &mut self.commands,
            began,
        );
        let keep = self.phone.keep_audio;
        let mut messages = Vec::new();
        let (exchange, sid, reports) = (&self.exchange, &self.sid, &self.reports);
        let held = async {
            let held = hold(&target, &identity, &mut wire, |at, watched| {
                if let (true, Watched::Message(from, text)) = (keep, watched) {
                    let text = text.to_owned();
                    messages.push(StreamMessage { at, from, text });
                }
            })
            .await;
            wire.over();
            held
        };
        let note_beginning = async {
            if has_begun.await.is_ok() {
                exchange.update(sid, |call| {
                    call.steps.push(Step::Streaming {
                        url: stream.url,
                        parameters: stream.parameters,
                    });
                });
                report(reports, form.clone(), "stream-started");
            }
        };
        let (held, ()) = tokio::join!(held, note_beginning);
        let (at, ending) = match held {
            Ok(held) => held,
            Err(error) => {
                let problem = crate::in_full(&error);
                form.push(field("StreamError", "31920"));
                report(&self.reports, form, "stream-error");
                self.step(Step::StreamFailed { problem });
                return Flow::Next;
            }
        };
        let (mut measured, told) = wire.end(at, ending);
        measured.messages = messages;
        self.step(Step::StreamEnded {
            report: Arc::new(measured),
        });
        if ending == Ending::Lost {
            form.push(field("StreamError", "31921"));
            report(&self.reports, form, "stream-error");
        } else {
            report(&self.reports, form, "stream-stopped");
        }
        match (told, ending) {
            (Some(command), _) => self.obey(command),
            (None, Ending::Caller) => Flow::End,
            (None, Ending::Agent | Ending::Lost) => Flow::Next,
        }
    }

    async fn gather(&mut self, gather: Gather) -> Flow {
        for prompt in gather.prompts {
            self.step(Step::Said(prompt));
        }
        let mut digits = String::new();
        while digits.len() < gather.digits {
            if let Some(key) = self.keys.pop_front() {
                digits.push(key);
                continue;
            }
            let command = tokio::select! {
                () = sleep(gather.wait) => break,
                command = self.commands.recv() => command,
            };
            match command {
                Some(Command::Press(key)) => digits.push(key),
                Some(command) => return self.obey(command),
                None => return Flow::End,
            }
        }
        self.step(Step::Gathered(digits.clone()));
        if digits.is_empty() {
            return Flow::Next;
        }
        let Some(action) = gather.action else {
            return Flow::Next;
        };
        let mut form = about(&self.exchange.account.sid, &self.look());
        form.push(field("Digits", &digits));
        self.go_on_with(&action, &form).await
    }

    async fn dial(&mut self, dial: Dial) -> Flow {
        let (number, screen_url, status) = match dial.target {
            Target::Conference(name) => {
                self.step(Step::Conference(name));
                return self.wait(None).await;
            }
            Target::Number {
                number,
                screen_url,
                status_callback,
                events,
            } => (number, screen_url, status_callback.map(|url| (url, events))),
        };
        let from = dial.caller_id.unwrap_or_else(|| self.look().from);
        let parent = Some(self.sid.clone());
        let opened =
            self.exchange
                .open(Direction::OutboundDial, &from, &number, parent, Vec::new());
        let child = opened.sid.clone();
        self.step(Step::Dialled {
            number: number.clone(),
            sid: child.clone(),
        });
        let phone = self.exchange.phone(&number);
        let (sender, mut dialled) = oneshot::channel();
        let leg = Leg::new(&self.exchange, opened, phone, status);
        tokio::spawn(leg.be_dialled(dial.ring, screen_url, sender));

        let mut flow = Flow::Next;
        let result = loop {
            tokio::select! {
                result = &mut dialled => break result,
                command = self.commands.recv(), if matches!(flow, Flow::Next) => {
                    flow = command.map_or(Flow::End, |command| self.obey(command));
                    if !matches!(flow, Flow::Next) {
                        self.exchange.command(&child, Command::Complete);
                    }
                }
            }
        };
        let result = result.unwrap_or(Dialled {
            status: Status::Failed,
            bridged: false,
            duration_s: 0,
        });
        self.step(Step::DialEnded {
            status: result.status,
            bridged: result.bridged,
        });
        let Some(action) = dial.action else {
            return flow;
        };
        if matches!(flow, Flow::Go(_)) {
            // Whoever redirects a call has taken the action's place.
            return flow;
        }
        let mut call = self.look();
        if matches!(flow, Flow::End) {
            call.status = Status::Completed;
        }
        let mut form = about(&self.exchange.account.sid, &call);
        form.push(field("DialCallStatus", result.status.as_str()));
        form.push(field("DialCallSid", &child));
        form.push(field(
            "DialBridged",
            if result.bridged { "true" } else { "false" },
        ));
        if result.bridged {
            form.push(field("DialCallDuration", &result.duration_s.to_string()));
        }
        match flow {
            Flow::Next => self.go_on_with(&action, &form).await,
            flow => {
                // The caller is gone: the answer is for nobody.
                self.reports.post(action, form);
                flow
            }
        }
    }

    /// Posts the result of a verb, and goes on with the document that answers it.
    async fn go_on_with(&mut self, action: &str, form: &[(String, String)]) -> Flow {
        match self.ask(action, form).await {
            Ok(text) => Flow::Go(Instructions::Twiml(text)),
            Err(problem) => {
                self.step(Step::ApplicationError(problem));
                Flow::End
            }
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
