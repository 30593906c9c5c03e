//! A whole call without sockets, tasks or a clock: the simulated phone of `sidetone call` on one
//! side, the engine's dialect and core on the other, and services that answer at once. Only what
//! the engine does is measured; the phone is not.

use std::{
    collections::{BTreeMap, VecDeque},
    mem,
    ops::AddAssign,
    sync::Arc,
    time::{Duration, Instant},
};

use sidetone_bench::load::services::{ANSWER, HEARD, InstantTts};
use sidetone_cli::phone::{Actions, CallIdentity, Ending, Handset, Script, Telephone as _};
use sidetone_core::{
    call::Call,
    dialect::{Dialect, Outbound, twilio::Twilio},
    event::CallEvent,
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, LlmEvent, SttEvent, Transcript, TtsEvent},
    time::CallTime,
};

use crate::audio::FRAME;

/// What the engine spent.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    /// In the core, the detector and the codecs.
    pub(crate) steps: Duration,
    /// In the dialect.
    pub(crate) dialect: Duration,
    /// How often it allocated, in both.
    pub(crate) allocations: u64,
}

impl Cost {
    pub(crate) fn time(&self) -> Duration {
        self.steps + self.dialect
    }
}

impl AddAssign for Cost {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.dialect += other.dialect;
        self.allocations += other.allocations;
    }
}

/// Runs `run`; says how long it took and how often it allocated.
fn measure<R>(run: impl FnOnce() -> R) -> (R, Duration, u64) {
    let mut measured = None;
    let counted = allocation_counter::measure(|| {
        let began = Instant::now();
        let result = run();
        measured = Some((result, began.elapsed()));
    });
    let (result, time) = measured.expect("it ran");
    (result, time, counted.count_total)
}

/// Calls with the same script, one after the other.
pub(crate) struct Conversation {
    script: Arc<Script>,
    make: fn() -> Call,
    tts: InstantTts,
    phone: Handset,
    actions: Actions,
    twilio: Twilio,
    call: Call,
    wake: Option<CallTime>,
    frames: u32,
    out: Vec<Output>,
    text: Vec<u8>,
    updates: VecDeque<JobUpdate>,
    /// Since the frame began.
    cost: Cost,
    /// What was spent since a turn ended whose answer is not heard yet.
    answering: Option<Cost>,
    answered: Option<Duration>,
}

impl Conversation {
    /// A call of those that `make` makes, which has just started.
    pub(crate) fn new(script: Arc<Script>, make: fn() -> Call) -> Self {
        let mut conversation = Self {
            phone: Handset::new(Arc::clone(&script), CallIdentity::random(None), false),
            script,
            make,
            tts: InstantTts::new(),
            actions: Actions::default(),
            twilio: Twilio::new(),
            call: make(),
            wake: None,
            frames: 0,
            out: Vec::with_capacity(64),
            text: Vec::with_capacity(4_096),
            updates: VecDeque::new(),
            cost: Cost::default(),
            answering: None,
            answered: None,
        };
        conversation
            .phone
            .start(&BTreeMap::new(), &mut conversation.actions);
        conversation.deliver(CallTime::ZERO);
        conversation
    }

    /// The next 20 ms of the call, with everything the engine does in them; says what it spent.
    /// When the caller has hung up, the next call begins.
    pub(crate) fn frame(&mut self) -> Cost {
        self.frames += 1;
        self.cost = Cost::default();
        let end = CallTime::ZERO + FRAME * self.frames;
        loop {
            let phone = self.phone.deadline();
            match self.wake.filter(|&wake| wake < phone) {
                Some(wake) if wake <= end => self.step(wake, Input::Deadline),
                None if phone <= end => {
                    self.phone.advance(phone, &mut self.actions);
                    self.deliver(phone);
                }
                _ => break,
            }
        }
        let cost = self.cost;
        if self.actions.hang_up {
            let next = Self::new(Arc::clone(&self.script), self.make);
            mem::replace(self, next).check(end);
        }
        cost
    }

    /// Frame by frame until a turn of the caller is answered; says what the engine spent from the
    /// step that decided that the turn had ended until the first audio was written.
    pub(crate) fn answer(&mut self) -> Duration {
        loop {
            self.frame();
            if let Some(time) = self.answered.take() {
                return time;
            }
        }
    }

    /// A figure of a conversation that went wrong is none.
    fn check(self, now: CallTime) {
        let report = self.phone.end(now, Ending::Caller);
        for turn in &report.turns {
            let failure = turn.failure();
            assert!(failure.is_none(), "{}: {failure:?}", turn.text);
        }
        assert_eq!(report.unsaid, 0, "the caller said everything");
        assert_eq!(report.underruns, 0, "the caller's ear never ran dry");
        assert_eq!(report.refused_messages, 0, "{:?}", report.first_refusal);
    }

    /// What the phone has sent, to the engine.
    fn deliver(&mut self, now: CallTime) {
        while !self.actions.send.is_empty() {
            for text in mem::take(&mut self.actions.send) {
                let (message, dialect, allocations) =
                    measure(|| self.twilio.parse(text.as_bytes()));
                let message = message.expect("the phone speaks Twilio's language");
                let (wake, steps, more) =
                    measure(|| self.call.step(now, Input::Leg(message), &mut self.out));
                self.wake = wake;
                self.spend(Cost {
                    steps,
                    dialect,
                    allocations: allocations + more,
                });
                self.settle(now);
            }
        }
    }

    fn step(&mut self, now: CallTime, input: Input<'_>) {
        let (wake, steps, allocations) = measure(|| self.call.step(now, input, &mut self.out));
        self.wake = wake;
        self.spend(Cost {
            steps,
            allocations,
            ..Cost::default()
        });
        self.settle(now);
    }

    fn spend(&mut self, cost: Cost) {
        self.cost += cost;
        let turn_ended = self
            .out
            .iter()
            .any(|output| matches!(output, Output::Event(CallEvent::TurnEnded { .. })));
        match &mut self.answering {
            Some(answering) => *answering += cost,
            None if turn_ended => self.answering = Some(cost),
            None => {}
        }
    }

    /// Does what the call wants done.
    fn settle(&mut self, now: CallTime) {
        for output in mem::take(&mut self.out) {
            match output {
                Output::Leg(message) => self.write(now, &message),
                Output::Start(job) => self.serve(&job),
                // The services have answered already; nobody watches; the phone hangs up itself.
                Output::Cancel(_) | Output::Event(_) | Output::HangUp(_) => {}
                other => unreachable!("a call wants only what is known here: {other:?}"),
            }
        }
        if let Some(update) = self.updates.pop_front() {
            self.step(now, Input::Job(update));
        }
    }

    fn write(&mut self, now: CallTime, message: &Outbound) {
        self.text.clear();
        let (_, dialect, allocations) = measure(|| self.twilio.write(message, &mut self.text));
        self.spend(Cost {
            dialect,
            allocations,
            ..Cost::default()
        });
        if matches!(message, Outbound::Media { .. }) {
            self.answered = self
                .answering
                .take()
                .map(|cost| cost.time())
                .or(self.answered);
        }
        let text = std::str::from_utf8(&self.text).expect("JSON is UTF-8");
        self.phone.receive(now, text, &mut self.actions);
    }

    /// Answers a job at once.
    fn serve(&mut self, job: &Job) {
        let events = match job {
            Job::Stt(_) => vec![JobEvent::Stt(SttEvent::Transcript(Transcript {
                text: HEARD.to_owned(),
                ..Transcript::default()
            }))],
            Job::Llm(_) => vec![
                JobEvent::Llm(LlmEvent::Delta {
                    text: ANSWER.to_owned(),
                }),
                JobEvent::Llm(LlmEvent::Done { hang_up: false }),
            ],
            Job::Tts(job) => {
                let audio = self.tts.speak(&job.text).map(JobEvent::Tts);
                audio.chain([JobEvent::Tts(TtsEvent::Done)]).collect()
            }
            Job::Turn(_) => unreachable!("no turn detector is set"),
        };
        let id = job.id();
        let updates = events.into_iter().map(|event| JobUpdate { id, event });
        self.updates.extend(updates);
    }
}
