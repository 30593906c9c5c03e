//! A scenario in simulated time: nothing waits, and every run is the same.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use sidetone_codecs::g711::mulaw;
use sidetone_core::{
    call::Call,
    dialect::{Inbound, LegFormat, LegMessage, Media, Outbound, Start, Track},
    io::{Input, Output},
    job::{Job, JobUpdate, TurnEvent, TurnJob},
    suppression::NoiseSuppressor,
    time::CallTime,
    vad::Vad,
};
use sidetone_speech::vad::EarshotVad;

use super::{
    clips::Clips,
    file::{Scenario, ScenarioError},
    phone::{FromPhone, Phone},
    played::Played,
    services::{Services, agent_phrases},
    voice::AgentVoice,
};

/// Something that happens at its time.
enum Happening {
    ToEngine(LegMessage<'static>),
    ToPhone(Outbound),
    Job(JobUpdate),
}

/// Judges whether the caller has finished: so many ms after it was asked, with what result.
pub type JudgesTurn<'a> = Box<dyn FnMut(&TurnJob) -> (u64, TurnEvent) + 'a>;

/// Who listens to the caller.
pub struct Ears<'a> {
    /// Voice activity detection. Default: earshot, as in the engine.
    pub vad: Box<dyn Vad>,
    /// What takes the noise out before. Default: nothing.
    pub suppressor: Option<Box<dyn NoiseSuppressor>>,
    /// The turn model, for calls whose settings name one. Default: none; asked, it fails.
    pub turn_model: Option<JudgesTurn<'a>>,
}

impl Default for Ears<'_> {
    fn default() -> Self {
        Self {
            vad: Box::new(EarshotVad::new()),
            suppressor: None,
            turn_model: None,
        }
    }
}

struct Simulation<'a> {
    scenario: &'a Scenario,
    call: Call,
    turn_model: Option<JudgesTurn<'a>>,
    phone: Phone,
    services: Services,
    voice: AgentVoice,
    now: CallTime,
    deadline: Option<CallTime>,
    agenda: BinaryHeap<Reverse<(CallTime, usize)>>,
    happenings: Vec<Option<Happening>>,
    random: Rng,
    /// The network keeps the order of messages.
    up_free: CallTime,
    down_free: CallTime,
    sequence: u64,
    chunk: u64,
    played: Played,
}

impl Scenario {
    /// Holds the conversation in simulated time, with the default voice activity detector.
    ///
    /// # Errors
    ///
    /// One of the caller's sounds does not exist.
    pub fn play(&self, clips: &mut Clips) -> Result<Played, ScenarioError> {
        self.play_with(clips, Ears::default())
    }

    /// As [`play`](Self::play), with other ears.
    ///
    /// # Errors
    ///
    /// One of the caller's sounds does not exist.
    pub fn play_with(&self, clips: &mut Clips, ears: Ears<'_>) -> Result<Played, ScenarioError> {
        let mut config = self.config.clone();
        config.phrases = agent_phrases(clips)?;
        let mut call = Call::new(Arc::new(config), ears.vad);
        if let Some(suppressor) = ears.suppressor {
            call = call.suppressing_noise(suppressor);
        }
        let simulation = Simulation {
            scenario: self,
            call,
            turn_model: ears.turn_model,
            phone: Phone::new(self, clips)?,
            services: Services::new(self.services.clone(), self.answers.clone()),
            voice: AgentVoice::new(clips)?,
            now: CallTime::ZERO,
            deadline: None,
            agenda: BinaryHeap::new(),
            happenings: Vec::new(),
            random: Rng::with_seed(self.line.seed),
            up_free: CallTime::ZERO,
            down_free: CallTime::ZERO,
            sequence: 0,
            chunk: 0,
            played: Played::default(),
        };
        Ok(simulation.run())
    }
}

impl Simulation<'_> {
    fn run(mut self) -> Played {
        self.tell_engine(Inbound::Start(Start {
            stream_id: "MZ1".into(),
            call_id: Some("CA1".into()),
            account_id: None,
            parameters: BTreeMap::new(),
            format: LegFormat::MULAW_8000,
        }));
        let linger = Duration::from_millis(self.scenario.linger_ms);
        let end = CallTime::from_millis(self.scenario.max_ms);
        while self.played.ended.is_none() && self.now < end && !self.phone.is_over(linger) {
            let phone = self.phone.deadline();
            let happening = self.agenda.peek().map(|Reverse((at, _))| *at);
            let wanted = [Some(phone), happening, self.deadline];
            let next = wanted.into_iter().flatten().min().unwrap_or(phone);
            self.now = self.now.max(next);
            if happening == Some(next) {
                self.happen();
            } else if self.deadline == Some(next) {
                self.step(Input::Deadline);
            } else {
                let mut out = Vec::new();
                self.phone.advance(self.now, &mut self.voice, &mut out);
                self.deliver(out);
            }
        }
        self.played.conversation = self.call.conversation().to_vec();
        self.played.shown = self.services.shown().to_vec();
        self.played
            .finish(self.scenario, &self.phone, &self.voice, self.now);
        self.played
    }

    fn at(&mut self, time: CallTime, happening: Happening) {
        self.agenda.push(Reverse((time, self.happenings.len())));
        self.happenings.push(Some(happening));
    }

    fn happen(&mut self) {
        let Some(Reverse((_, index))) = self.agenda.pop() else {
            return;
        };
        match self.happenings[index].take().expect("it happens once") {
            Happening::ToEngine(message) => self.step(Input::Leg(message)),
            Happening::Job(update) => self.step(Input::Job(update)),
            Happening::ToPhone(message) => {
                let mut out = Vec::new();
                self.phone
                    .receive(self.now, message, &mut self.voice, &mut out);
                self.deliver(out);
            }
        }
    }

    fn deliver(&mut self, messages: Vec<FromPhone>) {
        for message in messages {
            match message {
                FromPhone::Audio(timestamp_ms, samples) => {
                    self.chunk += 1;
                    let mut payload = Vec::with_capacity(samples.len());
                    mulaw::encode_append(&samples, &mut payload);
                    self.tell_engine(Inbound::Media(Media {
                        track: Track::Inbound,
                        chunk: Some(self.chunk),
                        timestamp_ms: Some(timestamp_ms),
                        payload: payload.into(),
                    }));
                }
                FromPhone::Key(digit) => self.tell_engine(Inbound::Dtmf { digit }),
                FromPhone::Mark(name) => self.tell_engine(Inbound::Mark { name: name.into() }),
                FromPhone::HangUp => self.tell_engine(Inbound::Stop),
                FromPhone::Program(command) => self.step(Input::Command(command)),
            }
        }
    }

    fn tell_engine(&mut self, body: Inbound<'static>) {
        self.sequence += 1;
        let message = LegMessage {
            stream_id: Some("MZ1".into()),
            sequence: Some(self.sequence),
            body,
        };
        self.up_free = self.up_free.max(self.now + self.travel());
        self.at(self.up_free, Happening::ToEngine(message));
    }

    fn travel(&mut self) -> Duration {
        let line = &self.scenario.line;
        let jitter = self.random.u64(..=line.jitter_ms * 1_000);
        Duration::from_micros(line.delay_ms * 1_000 + jitter)
    }

    fn step(&mut self, input: Input<'static>) {
        let mut out = Vec::new();
        self.deadline = self.call.step(self.now, input, &mut out);
        let now = self.now;
        for output in out {
            match output {
                Output::Leg(message) => {
                    self.down_free = self.down_free.max(now + self.travel());
                    self.at(self.down_free, Happening::ToPhone(message));
                }
                Output::Start(job) => {
                    let id = job.id();
                    self.played.job(now, &job);
                    let events = match (&job, &mut self.turn_model) {
                        (Job::Turn(job), Some(judge)) => {
                            let (after_ms, event) = judge(job);
                            vec![(after_ms, event.into())]
                        }
                        _ => self.services.start(&job, &self.phone, &mut self.voice),
                    };
                    for (after_ms, event) in events {
                        let at = now + Duration::from_millis(after_ms);
                        self.at(at, Happening::Job(JobUpdate { id, event }));
                    }
                }
                // Too late to stop it: its result comes and must be dropped.
                Output::Cancel(_) => {}
                Output::Event(event) => self.played.event(now, event),
                Output::HangUp(reason) => self.played.ended = Some((now.as_millis(), reason)),
                other => unreachable!("a call does not ask for {other:?}"),
            }
        }
    }
}
