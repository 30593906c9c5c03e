//! What connects a call with somebody: `<Connect><Stream>` and `<Dial>`.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    super::{
        document::{Dial, Target},
        exchange::{Command, Instructions},
        record::{Direction, Status, Step},
        reports::{Reports, about, field},
        wire::Wire,
    },
    Dialled, Flow, Leg,
};
use crate::phone::{
    CallIdentity, Ending, Entry, Handset, Stream, StreamMessage, Target as StreamTarget, Watched,
    hold,
};

impl Leg {
    /// Both ends of a `<Dial>` are connected. Returns what this one is told to do instead, if it
    /// is.
    pub(super) async fn talk(&mut self) -> Option<Instructions> {
        match self.wait(self.phone.talks_for).await {
            Flow::Go(instructions) => Some(instructions),
            Flow::Next | Flow::End => None,
        }
    }

    pub(super) async fn stream(&mut self, stream: Stream, status_callback: Option<String>) -> Flow {
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
        let mut handset = Handset::new(script, identity.clone(), self.phone.keep_audio);
        if let Some(listener) = &self.phone.listener {
            handset.let_listen(listener.clone());
        }
        let mut wire = Wire::new(handset, &mut self.commands, began);
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

    pub(super) async fn dial(&mut self, dial: Dial) -> Flow {
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
}
