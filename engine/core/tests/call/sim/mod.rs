//! Two parties in simulated time: a scripted caller on a phone with Twilio's playout buffer, the
//! call, services that answer late or not at all, and a network that jitters.
//!
//! Each sound the caller makes has its own level. The recogniser finds the levels in the audio it
//! is given and answers with the words of those sounds, so a test sees whether the call handed
//! over all of the speech and nothing else.

pub(crate) mod by_hand;
pub(crate) mod inputs;
pub(crate) mod people;
mod run;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap, HashMap},
    sync::Arc,
};

use fastrand::Rng;
use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::{CallConfig, Phrase, Phrases},
    conversation::Message,
    dialect::{Inbound, LegFormat, LegMessage, Media, Outbound, Start, Track},
    io::{Command, Input, Output},
    job::{
        Expect, FailureKind, Job, JobEvent, JobFailure, JobUpdate, LlmEvent, SttEvent, SttJob,
        SttPurpose, Transcript, TtsEvent, TurnEvent,
    },
    person::{PersonId, PersonInput},
    sim::PlayoutBuffer,
    suppression::NoiseSuppressor,
    time::CallTime,
    vad::Vad,
};

pub(crate) use run::Run;

pub(crate) const FRAME_MS: u64 = 20;
pub(crate) const SAMPLES_PER_MS: u64 = 8;

/// A sound the caller makes.
#[derive(Clone, Debug)]
pub(crate) struct Sound {
    pub(crate) at_ms: u64,
    pub(crate) duration_ms: u64,
    /// `None`: a cough, a door, a horn.
    pub(crate) words: Option<&'static str>,
}

pub(crate) fn says(at_ms: u64, duration_ms: u64, words: &'static str) -> Sound {
    Sound {
        at_ms,
        duration_ms,
        words: Some(words),
    }
}

pub(crate) fn coughs(at_ms: u64, duration_ms: u64) -> Sound {
    Sound {
        at_ms,
        duration_ms,
        words: None,
    }
}

/// How a service behaves on its `n`-th job, counted from 0.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Behaviour {
    /// Answers after this many ms.
    After(u64),
    /// Fails after this many ms.
    FailsAfter(u64),
    /// Never answers.
    Silent,
    /// Answers half, then nothing more.
    Stalls(u64),
    /// Answers piece by piece, this many ms apart.
    Trickles(u64),
}

pub(crate) type Schedule = Box<dyn Fn(usize) -> Behaviour>;

/// What the language model says to a conversation, and whether it wants to hang up.
pub(crate) type Answer = Box<dyn Fn(&[Message]) -> (String, bool)>;

pub(crate) fn always(behaviour: Behaviour) -> Schedule {
    Box::new(move |_| behaviour)
}

/// The network between the phone and the engine.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Network {
    pub(crate) delay_ms: u64,
    pub(crate) jitter_ms: u64,
    pub(crate) seed: u64,
    /// No mark ever comes back.
    pub(crate) loses_marks: bool,
    /// Frames that the phone never sends, as one in this many; 0: none.
    pub(crate) drops_one_in: u64,
}

pub(crate) struct World {
    pub(crate) config: CallConfig,
    pub(crate) sounds: Vec<Sound>,
    /// What the line brings while the caller makes no sound, at each ms.
    pub(crate) background: fn(u64) -> i16,
    /// What takes the noise out of the caller's audio.
    pub(crate) suppressor: Option<fn() -> Box<dyn NoiseSuppressor>>,
    pub(crate) keys: Vec<(u64, char)>,
    pub(crate) commands: Vec<(u64, Command)>,
    /// Who comes on the call.
    pub(crate) people: Vec<people::Person>,
    /// Every input and output is kept.
    pub(crate) keeps_log: bool,
    /// How much faster the phone's clock is than the call's.
    pub(crate) phone_ppm: i64,
    /// The caller hangs up at this time.
    pub(crate) hangs_up_ms: Option<u64>,
    /// How much audio the phone sends in one message.
    pub(crate) frame_ms: u64,
    /// The phone stops sending audio at this time, the socket stays open.
    pub(crate) falls_silent_ms: Option<u64>,
    pub(crate) network: Network,
    /// The engine does nothing from one time to another, as on a machine with too much to do.
    pub(crate) stalls_ms: Option<(u64, u64)>,
    pub(crate) stt: Schedule,
    pub(crate) llm: Schedule,
    pub(crate) tts: Schedule,
    /// The turn detector, where the configuration has one.
    pub(crate) detector: Schedule,
    /// Whether the caller's sounds up to the `n`-th, as far as the detector hears them, are a
    /// whole turn.
    pub(crate) completes: Box<dyn Fn(usize) -> f32>,
    pub(crate) answer: Answer,
    /// What the language model says it expects, where it does.
    pub(crate) expects: Option<Expect>,
    /// From which of its words on an answer is not to be interrupted, counted from 0.
    pub(crate) insists_from: Option<usize>,
    /// Eager jobs are refused, as under load.
    pub(crate) refuses_eager: bool,
    pub(crate) tts_rate: SampleRate,
    /// How long a voice takes for a character.
    pub(crate) ms_per_char: u64,
    pub(crate) until_ms: u64,
}

impl Default for World {
    fn default() -> Self {
        let mut config = CallConfig::default();
        // Most worlds are looked at for longer than their caller speaks.
        config.idle.prompt_after_ms = 0;
        // All sounds here are constant levels, each of which is an echo of any other.
        config.barge_in.ignore_echo = false;
        Self {
            config,
            sounds: Vec::new(),
            background: |_| 0,
            suppressor: None,
            keys: Vec::new(),
            commands: Vec::new(),
            people: Vec::new(),
            keeps_log: true,
            phone_ppm: 0,
            hangs_up_ms: None,
            frame_ms: FRAME_MS,
            falls_silent_ms: None,
            network: Network::default(),
            stalls_ms: None,
            stt: always(Behaviour::After(0)),
            llm: always(Behaviour::After(0)),
            tts: always(Behaviour::After(0)),
            detector: always(Behaviour::After(0)),
            completes: Box::new(|_| 1.0),
            answer: Box::new(|_| ("All right.".into(), false)),
            expects: None,
            insists_from: None,
            refuses_eager: false,
            tts_rate: SampleRate::HZ_8000,
            ms_per_char: 60,
            until_ms: 20_000,
        }
    }
}

#[derive(Debug)]
enum Happening {
    Frame(u64),
    Key(char),
    HangUp,
    ToEngine(LegMessage<'static>),
    ToPhone(Outbound),
    MarkPlayed,
    Job(JobUpdate),
    Command(Command),
    Person(PersonId, PersonInput<'static>),
    PersonFrame(usize, u64),
    Deadline(CallTime),
}

/// Speech where the level is high; the frames are those of earshot, in time.
pub(crate) struct LevelVad;

impl Vad for LevelVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }
    fn frame_len(&self) -> usize {
        128
    }
    fn push(&mut self, frame: &[i16]) -> f32 {
        let loud = frame.iter().filter(|s| s.unsigned_abs() > 500).count();
        if loud * 2 > frame.len() { 0.95 } else { 0.02 }
    }
    fn reset(&mut self) {}
}

/// The level of the caller's `n`-th sound: one that μ-law keeps exactly.
fn level(n: usize) -> i16 {
    let level = mulaw::decode(0x80 + u8::try_from(n).expect("few sounds"));
    assert!(level > 500, "too many sounds");
    level
}

/// The same sound where it is softer: no speech is of one level for long.
pub(crate) fn soft(level: i16) -> i16 {
    mulaw::decode(mulaw::encode(level) + 0x40)
}

/// Whether a sample is one of the sound of this level.
pub(crate) fn is_of(sample: i16, level: i16) -> bool {
    // The agent's voice is of one level.
    let varies = mulaw::encode(level) < 0xB0;
    sample == level || varies && sample == soft(level)
}

/// Sounds are softer for a third of the time.
pub(crate) fn is_soft(at_ms: u64) -> bool {
    at_ms % 120 >= 80
}

/// What the agent's voice sounds like in the caller's ear.
pub(crate) const VOICE_LEVEL: i16 = 2_000;

/// Words whose audio is there.
pub(crate) fn phrase(text: &str, duration_ms: usize) -> Phrase {
    Phrase {
        text: text.into(),
        audio: vec![1_500; duration_ms * 8].into(),
    }
}

impl World {
    /// One in which the call has phrases to fall back on.
    pub(crate) fn with_phrases() -> Self {
        let mut world = Self::default();
        world.config.phrases = Phrases {
            hold: phrase("One moment.", 800),
            back: phrase("Here again.", 900),
            apology: phrase("Sorry.", 600),
            farewell: phrase("We are closed.", 900),
        };
        world
    }

    pub(crate) fn run(self) -> Run {
        Simulation::new(self).run()
    }
}

struct Simulation {
    world: World,
    call: Call,
    agenda: BinaryHeap<Reverse<(CallTime, u64, usize)>>,
    happenings: Vec<Option<Happening>>,
    order: u64,
    rng: Rng,
    buffer: PlayoutBuffer,
    /// The network keeps the order of messages.
    up_free: CallTime,
    down_free: CallTime,
    sequence: u64,
    chunk: u64,
    counts: HashMap<&'static str, usize>,
    marks: Vec<(CallTime, String)>,
    /// When the latest frame of each person came.
    arrivals: Vec<u64>,
    run: Run,
}

impl Simulation {
    fn new(world: World) -> Self {
        world
            .config
            .validate()
            .expect("the test's configuration is valid");
        let mut call = Call::new(Arc::new(world.config.clone()), Box::new(LevelVad))
            .hearing_people(Arc::new(|| Box::new(LevelVad)));
        if let Some(make) = world.suppressor {
            call = call.suppressing_noise(make());
        }
        let run = Run {
            events: Vec::new(),
            sent: Vec::new(),
            heard: Vec::new(),
            conversation: Vec::new(),
            llm_jobs: Vec::new(),
            stt_jobs: Vec::new(),
            tts_jobs: Vec::new(),
            cancelled: Vec::new(),
            eager: Vec::new(),
            ended: None,
            underruns: 0,
            most_buffered_ms: 0,
            heard_by: BTreeMap::new(),
            told: Vec::new(),
            recorded: Vec::new(),
            quality: Vec::new(),
            log: Vec::new(),
        };
        Self {
            rng: Rng::with_seed(world.network.seed),
            world,
            call,
            agenda: BinaryHeap::new(),
            happenings: Vec::new(),
            order: 0,
            buffer: PlayoutBuffer::new(SampleRate::HZ_8000),
            up_free: CallTime::ZERO,
            down_free: CallTime::ZERO,
            sequence: 0,
            chunk: 0,
            counts: HashMap::new(),
            marks: Vec::new(),
            arrivals: vec![0; 8],
            run,
        }
    }

    fn at(&mut self, time: CallTime, happening: Happening) {
        self.order += 1;
        self.agenda
            .push(Reverse((time, self.order, self.happenings.len())));
        self.happenings.push(Some(happening));
    }

    fn run(mut self) -> Run {
        let start = Inbound::Start(Start {
            stream_id: "MZ1".into(),
            call_id: Some("CA1".into()),
            account_id: None,
            parameters: BTreeMap::new(),
            format: LegFormat::MULAW_8000,
        });
        self.say_to_engine(CallTime::ZERO, start);
        let first = CallTime::from_millis(self.world.frame_ms);
        self.at(first, Happening::Frame(0));
        for (at_ms, key) in self.world.keys.clone() {
            self.at(CallTime::from_millis(at_ms), Happening::Key(key));
        }
        for (at_ms, command) in self.world.commands.clone() {
            self.at(CallTime::from_millis(at_ms), Happening::Command(command));
        }
        self.begin_people();
        if let Some(at_ms) = self.world.hangs_up_ms {
            self.at(CallTime::from_millis(at_ms), Happening::HangUp);
        }
        while let Some(Reverse((now, _, index))) = self.agenda.pop() {
            if now.as_millis() > self.world.until_ms || self.run.ended.is_some() {
                break;
            }
            let happening = self.happenings[index].take().expect("it happens once");
            self.happen(now, happening);
        }
        self.run.conversation = self.call.conversation().to_vec();
        self.run.quality = self.call.bridge_quality();
        let end = self
            .run
            .ended
            .map_or(self.world.until_ms, |(at_ms, _)| at_ms);
        self.play(CallTime::from_millis(end));
        self.run.underruns = self.buffer.underruns();
        self.run
    }

    fn happen(&mut self, now: CallTime, happening: Happening) {
        let is_engines = matches!(
            happening,
            Happening::ToEngine(_)
                | Happening::Job(_)
                | Happening::Command(_)
                | Happening::Person(..)
                | Happening::Deadline(_)
        );
        if let Some((from, until)) = self.world.stalls_ms
            && is_engines
            && (from..until).contains(&now.as_millis())
        {
            return self.at(CallTime::from_millis(until), happening);
        }
        match happening {
            Happening::Frame(n) => self.frame(now, n),
            Happening::Key(digit) => self.say_to_engine(now, Inbound::Dtmf { digit }),
            Happening::HangUp => self.say_to_engine(now, Inbound::Stop),
            Happening::ToEngine(message) => self.step(now, Input::Leg(message)),
            Happening::Job(update) => self.step(now, Input::Job(update)),
            Happening::Command(command) => self.step(now, Input::Command(command)),
            Happening::Person(id, input) => self.step(now, Input::Person { id, input }),
            Happening::PersonFrame(index, n) => self.person_frame(now, index, n),
            Happening::Deadline(at) => {
                if self
                    .call
                    .next_wake()
                    .is_some_and(|(wanted, _)| wanted == at)
                {
                    self.step(now, Input::Deadline);
                }
            }
            Happening::ToPhone(message) => self.phone(now, message),
            Happening::MarkPlayed => self.play(now),
        }
    }

    /// The phone sends the caller's next frame.
    fn frame(&mut self, now: CallTime, n: u64) {
        let frame_ms = self.world.frame_ms;
        let next = self.call_time(CallTime::from_millis((n + 2) * frame_ms));
        self.at(next.max(now), Happening::Frame(n + 1));
        if self
            .world
            .falls_silent_ms
            .is_some_and(|at_ms| now.as_millis() >= at_ms)
        {
            return;
        }
        let start_ms = n * frame_ms;
        let payload: Vec<u8> = (0..frame_ms * SAMPLES_PER_MS)
            .map(|sample| {
                let at_ms = start_ms + sample / SAMPLES_PER_MS;
                let sound = self.world.sounds.iter().position(|sound| {
                    (sound.at_ms..sound.at_ms + sound.duration_ms).contains(&at_ms)
                });
                let sample = |n| {
                    if is_soft(at_ms) {
                        soft(level(n))
                    } else {
                        level(n)
                    }
                };
                let silence = (self.world.background)(at_ms);
                mulaw::encode(sound.map_or(silence, sample))
            })
            .collect();
        self.chunk += 1;
        let dropped = self.world.network.drops_one_in;
        let media = Inbound::Media(Media {
            track: Track::Inbound,
            chunk: Some(self.chunk),
            timestamp_ms: Some(start_ms),
            payload: payload.into(),
        });
        if dropped > 0 && self.rng.u64(..dropped) == 0 {
            self.sequence += 1;
            return;
        }
        self.say_to_engine(now, media);
    }

    fn say_to_engine(&mut self, now: CallTime, body: Inbound<'static>) {
        self.sequence += 1;
        let message = LegMessage {
            stream_id: Some("MZ1".into()),
            sequence: Some(self.sequence),
            body,
        };
        self.up_free = self.up_free.max(now + self.travel());
        self.at(self.up_free, Happening::ToEngine(message));
    }

    fn travel(&mut self) -> std::time::Duration {
        let jitter = self.rng.u64(..=self.world.network.jitter_ms * 1_000);
        std::time::Duration::from_micros(self.world.network.delay_ms * 1_000 + jitter)
    }

    /// What the phone's clock shows.
    fn phone_time(&self, now: CallTime) -> CallTime {
        let micros = i128::from(now.as_micros());
        let shown = micros + micros * i128::from(self.world.phone_ppm) / 1_000_000;
        CallTime::from_micros(u64::try_from(shown).expect("time is positive"))
    }

    /// When the phone's clock shows `shown`.
    fn call_time(&self, shown: CallTime) -> CallTime {
        let micros = i128::from(shown.as_micros());
        let now = micros * 1_000_000 / (1_000_000 + i128::from(self.world.phone_ppm));
        let round_up = i128::from(self.world.phone_ppm != 0);
        CallTime::from_micros(u64::try_from(now + round_up).expect("time is positive"))
    }

    fn phone(&mut self, now: CallTime, message: Outbound) {
        self.play(now);
        let shown = self.phone_time(now);
        match message {
            Outbound::Media { payload } => {
                let pcm: Vec<i16> = payload.iter().map(|code| mulaw::decode(*code)).collect();
                self.buffer.media(shown, &pcm);
                let buffered = self.buffer.buffered().as_millis();
                let buffered = u64::try_from(buffered).expect("the buffer is bounded");
                self.run.most_buffered_ms = self.run.most_buffered_ms.max(buffered);
            }
            Outbound::Mark { name } => self.buffer.mark(shown, name),
            Outbound::Clear => self.buffer.clear(shown),
            other => panic!("a phone cannot do {other:?}"),
        }
        self.play(now);
    }

    fn play(&mut self, now: CallTime) {
        let mut marks = std::mem::take(&mut self.marks);
        let shown = self.phone_time(now);
        self.buffer.advance(shown, &mut self.run.heard, &mut marks);
        for (_, name) in marks.drain(..) {
            if !self.world.network.loses_marks {
                self.say_to_engine(now, Inbound::Mark { name: name.into() });
            }
        }
        self.marks = marks;
        if let Some(at) = self.buffer.next_mark_at() {
            let at = self.call_time(at).max(now);
            if at > now {
                self.at(at, Happening::MarkPlayed);
            }
        }
    }

    fn step(&mut self, now: CallTime, input: Input<'static>) {
        let mut out = Vec::new();
        let deadline = self.call.step(now, input.clone(), &mut out);
        if self.world.keeps_log {
            self.run.log.push((now, input, out.clone()));
        }
        let now_ms = now.as_millis();
        for output in out {
            match output {
                Output::Leg(message) => {
                    self.run.sent.push((now_ms, message.clone()));
                    self.down_free = self.down_free.max(now + self.travel());
                    self.at(self.down_free, Happening::ToPhone(message));
                }
                Output::Start(job) => self.start(now, job),
                Output::Cancel(id) => self.run.cancelled.push(id),
                Output::Event(event) => self.run.events.push((now_ms, event)),
                Output::HangUp(reason) => self.run.ended = Some((now_ms, reason)),
                Output::Person { id, output } => self.run.person(now_ms, id, output),
                Output::Recorded { caller, others, .. } => {
                    self.run.recorded.extend(caller.into_iter().zip(others));
                }
                other => panic!("unknown output {other:?}"),
            }
        }
        if let Some(deadline) = deadline {
            assert!(
                deadline > now,
                "the call wants to be woken in the past: {deadline}"
            );
            self.at(deadline, Happening::Deadline(deadline));
        } else {
            assert!(self.run.ended.is_some(), "a running call has a deadline");
        }
    }

    fn start(&mut self, now: CallTime, job: Job) {
        let (service, schedule) = match &job {
            Job::Stt(_) => ("stt", &self.world.stt),
            Job::Llm(_) => ("llm", &self.world.llm),
            Job::Tts(_) => ("tts", &self.world.tts),
            Job::Turn(_) => ("turn", &self.world.detector),
        };
        let count = self.counts.entry(service).or_default();
        let behaviour = schedule(*count);
        *count += 1;
        let id = job.id();
        if job.is_eager() {
            self.run.eager.push(id);
        }
        let refused = job.is_eager() && self.world.refuses_eager;
        let behaviour = if refused {
            Behaviour::FailsAfter(0)
        } else {
            behaviour
        };
        let answer = match job {
            Job::Stt(job) => {
                let answer = self.recognise(&job);
                self.run.stt_jobs.push((now.as_millis(), job));
                vec![answer]
            }
            Job::Llm(job) => {
                let (text, hang_up) = (self.world.answer)(&job.messages);
                self.run.llm_jobs.push((now.as_millis(), job));
                let words = text.split_inclusive(' ').map(|word| {
                    JobEvent::Llm(LlmEvent::Delta {
                        text: word.to_owned(),
                    })
                });
                let expects = self
                    .world
                    .expects
                    .map(|expect| LlmEvent::Expects { expect });
                let mut events: Vec<JobEvent> = words.collect();
                if let Some(from) = self.world.insists_from {
                    events.insert(from.min(events.len()), LlmEvent::Uninterruptible.into());
                }
                events.extend(expects.map(JobEvent::Llm));
                events.push(LlmEvent::Done { hang_up }.into());
                events
            }
            Job::Tts(job) => {
                let rate = self.world.tts_rate;
                let audio_ms = job.text.chars().count() as u64 * self.world.ms_per_char;
                let samples = usize::try_from(audio_ms * u64::from(rate.hz()) / 1_000)
                    .expect("a sentence fits the memory");
                self.run.tts_jobs.push((now.as_millis(), job));
                let samples = vec![VOICE_LEVEL; samples];
                let pieces = samples.chunks(2_400).map(|piece| {
                    JobEvent::Tts(TtsEvent::Audio {
                        samples: piece.to_vec(),
                        rate,
                    })
                });
                pieces.chain([JobEvent::Tts(TtsEvent::Done)]).collect()
            }
            Job::Turn(job) => {
                let latest = self.sounds_in(&job.audio).last();
                let probability = latest.map_or(0.0, |n| (self.world.completes)(n));
                vec![JobEvent::Turn(TurnEvent::Complete { probability })]
            }
        };
        let failure = || JobFailure::new(FailureKind::Unavailable, "simulated");
        let mut apart_ms = 0;
        let (after_ms, events) = match behaviour {
            Behaviour::Silent => return,
            Behaviour::After(ms) => (ms, answer),
            Behaviour::Trickles(ms) => {
                apart_ms = ms;
                (ms, answer)
            }
            Behaviour::Stalls(ms) => {
                let half = answer.len() / 2;
                (ms, answer.into_iter().take(half).collect())
            }
            Behaviour::FailsAfter(ms) => (
                ms,
                vec![match service {
                    "stt" => JobEvent::Stt(SttEvent::Failed(failure())),
                    "llm" => JobEvent::Llm(LlmEvent::Failed(failure())),
                    "turn" => JobEvent::Turn(TurnEvent::Failed(failure())),
                    _ => JobEvent::Tts(TtsEvent::Failed(failure())),
                }],
            ),
        };
        let mut at_ms = after_ms;
        for event in events {
            let at = now + std::time::Duration::from_millis(at_ms);
            self.at(at, Happening::Job(JobUpdate { id, event }));
            at_ms += apart_ms;
        }
    }

    /// The sounds of which 100 ms are in the audio.
    fn sounds_in(&self, audio: &[i16]) -> impl Iterator<Item = usize> {
        let heard = |n: usize| {
            audio
                .iter()
                .filter(|sample| is_of(**sample, level(n)))
                .count() as u64
        };
        (0..self.world.sounds.len()).filter(move |n| heard(*n) >= SAMPLES_PER_MS * 100)
    }

    /// The words of the sounds whose level is in the audio for most of their duration.
    fn recognise(&self, job: &SttJob) -> JobEvent {
        let callers = self.world.sounds.iter().enumerate();
        let callers = callers.map(|(n, sound)| (level(n), sound));
        let heard = callers
            .chain(self.peoples_sounds())
            .filter_map(|(level, sound)| {
                let samples = job
                    .audio
                    .iter()
                    .filter(|sample| is_of(**sample, level))
                    .count() as u64;
                let most = match job.purpose {
                    SttPurpose::Final | SttPurpose::Eager => {
                        sound.duration_ms * SAMPLES_PER_MS * 9 / 10
                    }
                    SttPurpose::Partial => SAMPLES_PER_MS * 100,
                };
                if samples >= most { sound.words } else { None }
            });
        let text = heard.collect::<Vec<_>>().join(" ");
        JobEvent::Stt(SttEvent::Transcript(Transcript {
            text,
            ..Transcript::default()
        }))
    }
}
