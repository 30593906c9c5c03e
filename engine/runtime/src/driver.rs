//! Drives one call: its socket, its jobs, its timer and its commands go in, and what the call
//! wants done is done.

use std::{
    future::{Future as _, poll_fn},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use sidetone_core::{
    call::Call,
    dialect::{Dialect, DialectError, Inbound},
    event::EndReason,
    handoff::CallState,
    io::{Command, Input, Output},
    job::JobUpdate,
    person::{PersonId, PersonInput},
    time::CallTime,
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    events::Reporter,
    handle::Authorize,
    jobs::Jobs,
    leg::Leg,
    people::{Control, People},
    tap::TappedAudio,
    transport::{TransportError, WireMessage},
};

/// Everything one call runs on. Its task owns all of it; nothing here is shared or locked.
pub(crate) struct Driver {
    call: Call,
    dialect: Box<dyn Dialect>,
    authorize: Option<Authorize>,
    leg: Leg,
    jobs: Jobs,
    controls: mpsc::Receiver<Control>,
    people: People,
    state: watch::Sender<CallState>,
    /// The engine hangs up all calls; `None` once it has.
    shutdown: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    reporter: Reporter,
    began: Instant,
    /// When the call wants to be woken; first at once, to learn what it waits for.
    deadline: Option<CallTime>,
    timer: Pin<Box<Sleep>>,
    /// Who is asked first for the next wake-up; the leg, the jobs and the people take turns.
    first: usize,
    /// Nobody wants the call's audio any more.
    untapped: bool,
    outputs: Vec<Output>,
}

/// Why the call is stepped.
enum Wake {
    Leg(Option<Result<WireMessage, TransportError>>),
    Job(JobUpdate),
    Person(PersonId, PersonInput<'static>),
    Control(Control),
    Deadline,
    Stalled,
}

/// What a driver is made of.
pub(crate) struct Parts {
    pub(crate) call: Call,
    pub(crate) dialect: Box<dyn Dialect>,
    pub(crate) authorize: Option<Authorize>,
    pub(crate) leg: Leg,
    pub(crate) jobs: Jobs,
    pub(crate) controls: mpsc::Receiver<Control>,
    pub(crate) people: People,
    pub(crate) state: watch::Sender<CallState>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) reporter: Reporter,
}

impl Driver {
    /// A driver whose call begins now.
    pub(crate) fn new(parts: Parts) -> Self {
        let began = Instant::now();
        Self {
            call: parts.call,
            dialect: parts.dialect,
            authorize: parts.authorize,
            leg: parts.leg,
            jobs: parts.jobs,
            controls: parts.controls,
            people: parts.people,
            state: parts.state,
            shutdown: Some(Box::pin(parts.shutdown.cancelled_owned())),
            reporter: parts.reporter,
            began,
            deadline: Some(CallTime::ZERO),
            timer: Box::pin(sleep_until(began)),
            first: 0,
            untapped: false,
            outputs: Vec::new(),
        }
    }

    /// Runs the call to its end.
    pub(crate) async fn run(mut self) {
        loop {
            let wake = poll_fn(|cx| self.poll_wake(cx)).await;
            if self.step(wake) {
                break;
            }
        }
        // Nothing goes on, and no command is taken, while the socket closes.
        drop(self.jobs);
        drop(self.controls);
        drop(self.people);
        self.leg.close().await;
    }

    /// Sends what the last step said, then waits for a reason to take the next.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let _ = self.leg.poll_send(cx);
        // The timer goes before everything that can come in floods.
        if let Some(wake) = self.poll_timer(cx) {
            return Poll::Ready(wake);
        }
        if let Some(shutdown) = &mut self.shutdown
            && shutdown.as_mut().poll(cx).is_ready()
        {
            self.shutdown = None;
            let hang_up = Command::HangUp { farewell: None };
            return Poll::Ready(Wake::Control(Control::Command(hang_up)));
        }
        if std::mem::take(&mut self.untapped) {
            let record = Command::Record { on: false };
            return Poll::Ready(Wake::Control(Control::Command(record)));
        }
        if let Poll::Ready(Some(control)) = self.controls.poll_recv(cx) {
            return Poll::Ready(Wake::Control(control));
        }
        self.first += 1;
        for n in 0..3 {
            let wake = match (self.first + n) % 3 {
                0 => self.leg.poll_recv(cx).map(Wake::Leg),
                1 => self.jobs.poll_next(cx).map(Wake::Job),
                _ => self
                    .people
                    .poll_next(cx)
                    .map(|(id, input)| Wake::Person(id, input)),
            };
            if wake.is_ready() {
                return wake;
            }
        }
        Poll::Pending
    }

    /// The earlier of the call's deadline and the leg's.
    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Option<Wake> {
        let call = self.deadline.and_then(|deadline| {
            let at = Duration::from_micros(deadline.as_micros());
            self.began.checked_add(at)
        });
        let (at, wake) = match (call, self.leg.stall_deadline()) {
            (None, None) => return None,
            (Some(call), None) => (call, Wake::Deadline),
            (Some(call), Some(stall)) if call <= stall => (call, Wake::Deadline),
            (_, Some(stall)) => (stall, Wake::Stalled),
        };
        if self.timer.deadline() != at {
            self.timer.as_mut().reset(at);
        }
        self.timer.as_mut().poll(cx).is_ready().then_some(wake)
    }

    /// Steps the call and does what it wants done; true if that was its end.
    fn step(&mut self, wake: Wake) -> bool {
        let now = self.now();
        let message;
        let input = match wake {
            Wake::Leg(Some(Ok(received))) => {
                message = received;
                hear(&mut *self.dialect, &mut self.authorize, &message)
            }
            Wake::Leg(Some(Err(TransportError::TooLong { .. }))) => {
                Input::End(EndReason::LegAbusive)
            }
            Wake::Leg(Some(Err(_)) | None) => Input::LegClosed,
            Wake::Job(update) => Input::Job(update),
            Wake::Person(id, input) => Input::Person { id, input },
            Wake::Control(control) => match self.control(control) {
                Some(input) => input,
                None => return false,
            },
            Wake::Deadline => Input::Deadline,
            Wake::Stalled => Input::End(EndReason::LegStalled),
        };
        // What is to be said waits, and no event tells.
        let is_command = matches!(input, Input::Command(_));
        self.deadline = self.call.step(now, input, &mut self.outputs);
        // That a person has finished speaking is told by no event either.
        let tells = |output: &Output| matches!(output, Output::Event(_) | Output::Start(_));
        if is_command || self.outputs.iter().any(tells) {
            // Before anybody hears of it: who looks then finds it so.
            let state = self.call.state();
            self.state.send_if_modified(|known| {
                let changed = *known != state;
                *known = state;
                changed
            });
        }
        let mut ended = false;
        for output in self.outputs.drain(..) {
            match output {
                Output::Leg(message) => self.leg.push(&mut *self.dialect, &message),
                Output::Start(job) => self.jobs.start(job),
                Output::Cancel(id) => self.jobs.cancel(id),
                Output::Event(event) => self.reporter.report(now, event),
                Output::Person { id, output } => self.people.tell(id, output),
                Output::Recorded {
                    rate,
                    caller,
                    others,
                } => {
                    let audio = TappedAudio {
                        rate,
                        caller,
                        others,
                    };
                    self.untapped |= self.people.tap(&audio);
                }
                Output::HangUp(_) => ended = true,
                // An output that this driver does not know cannot be done.
                _ => {}
            }
        }
        ended
    }

    /// What the call is told of `control`, if anything.
    fn control(&mut self, control: Control) -> Option<Input<'static>> {
        match control {
            Control::Command(command) => Some(Input::Command(command)),
            Control::Join { join, answer } => {
                let id = self.people.joins(answer)?;
                let input = PersonInput::Join(join);
                Some(Input::Person { id, input })
            }
            Control::Mode { id, mode, answer } => {
                let input = PersonInput::Mode(mode);
                let is_here = self.people.changes(id, answer);
                is_here.then_some(Input::Person { id, input })
            }
            Control::Tap { frames, missed } => {
                let is_first = self.people.taps(frames, missed);
                is_first.then_some(Input::Command(Command::Record { on: true }))
            }
        }
    }

    fn now(&self) -> CallTime {
        let elapsed = self.began.elapsed().as_micros();
        CallTime::from_micros(u64::try_from(elapsed).unwrap_or(u64::MAX))
    }
}

/// What a message of the leg says; a stream that may not start ends the call.
fn hear<'a>(
    dialect: &'a mut dyn Dialect,
    authorize: &mut Option<Authorize>,
    message: &'a WireMessage,
) -> Input<'a> {
    if !dialect.takes(message.kind) {
        return Input::LegMalformed(DialectError::Frame { got: message.kind });
    }
    let message = match dialect.parse(&message.payload) {
        Ok(message) => message,
        Err(error) => return Input::LegMalformed(error),
    };
    if let Inbound::Start(start) = &message.body
        && let Some(authorize) = authorize.take()
        && !authorize(start)
    {
        return Input::End(EndReason::Refused);
    }
    Input::Leg(message)
}
