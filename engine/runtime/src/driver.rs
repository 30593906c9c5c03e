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
    io::{Command, Input, Output},
    job::JobUpdate,
    time::CallTime,
};
use tokio::{
    sync::mpsc,
    time::{Instant, Sleep, sleep_until},
};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use crate::{
    events::Reporter,
    handle::Authorize,
    jobs::Jobs,
    leg::Leg,
    transport::{TransportError, WireMessage},
};

/// Everything one call runs on. Its task owns all of it; nothing here is shared or locked.
pub(crate) struct Driver {
    call: Call,
    dialect: Box<dyn Dialect>,
    authorize: Option<Authorize>,
    leg: Leg,
    jobs: Jobs,
    commands: mpsc::Receiver<Command>,
    /// The engine hangs up all calls; `None` once it has.
    shutdown: Option<Pin<Box<WaitForCancellationFutureOwned>>>,
    reporter: Reporter,
    began: Instant,
    /// When the call wants to be woken; first at once, to learn what it waits for.
    deadline: Option<CallTime>,
    timer: Pin<Box<Sleep>>,
    /// Who is asked first for the next wake-up; the leg and the jobs take turns.
    leg_first: bool,
    outputs: Vec<Output>,
}

/// Why the call is stepped.
enum Wake {
    Leg(Option<Result<WireMessage, TransportError>>),
    Job(JobUpdate),
    Command(Command),
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
    pub(crate) commands: mpsc::Receiver<Command>,
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
            commands: parts.commands,
            shutdown: Some(Box::pin(parts.shutdown.cancelled_owned())),
            reporter: parts.reporter,
            began,
            deadline: Some(CallTime::ZERO),
            timer: Box::pin(sleep_until(began)),
            leg_first: false,
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
        drop(self.commands);
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
            return Poll::Ready(Wake::Command(Command::HangUp { farewell: None }));
        }
        if let Poll::Ready(Some(command)) = self.commands.poll_recv(cx) {
            return Poll::Ready(Wake::Command(command));
        }
        self.leg_first = !self.leg_first;
        for leg in [self.leg_first, !self.leg_first] {
            let wake = if leg {
                self.leg.poll_recv(cx).map(Wake::Leg)
            } else {
                self.jobs.poll_next(cx).map(Wake::Job)
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
            Wake::Command(command) => Input::Command(command),
            Wake::Deadline => Input::Deadline,
            Wake::Stalled => Input::End(EndReason::LegStalled),
        };
        self.deadline = self.call.step(now, input, &mut self.outputs);
        let mut ended = false;
        for output in self.outputs.drain(..) {
            match output {
                Output::Leg(message) => self.leg.push(&mut *self.dialect, &message),
                Output::Start(job) => self.jobs.start(job),
                Output::Cancel(id) => self.jobs.cancel(id),
                Output::Event(event) => self.reporter.report(now, event),
                Output::HangUp(_) => ended = true,
                // An output that this driver does not know cannot be done.
                _ => {}
            }
        }
        ended
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
