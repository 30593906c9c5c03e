//! A call under any sequence of operations, and what must hold whatever happens.
//!
//! The operations are read from bytes, so that the same driver serves property tests and the
//! fuzzer.

#[path = "call_operations/invariants.rs"]
mod invariants;
#[path = "call_operations/waits.rs"]
mod waits;

use std::{borrow::Cow, collections::BTreeMap, sync::Arc, time::Duration};

use invariants::{Invariants, SOFTER, code_of, level_of, rate_of};
use sidetone_codecs::{SampleCount, SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::{CallConfig, Phrase, TurnModel},
    dialect::{DialectError, Inbound, LegFormat, LegMessage, Media, Start, Track},
    event::{CallEvent, EndReason, TurnId},
    handoff::Floor,
    io::{Command, Input, Output},
    job::{
        FailureKind, Job, JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, SttEvent, Transcript,
        TtsEvent, TurnEvent,
    },
    person::{Join, Mode, PersonId, PersonInput},
    time::CallTime,
    vad::Vad,
};

/// μ-law codes of the caller's audio.
const LOUD: u8 = 0x8A;
const SOFT: u8 = 0xCA;
const SILENT: u8 = 0xFF;
const FAREWELL: &str = "We are closed.";
const NOTICE: &str = "A word from the management, if I may.";
/// A notice waits no longer for others to finish than a turn may last.
const LONGEST_TURN: Duration = Duration::from_secs(30);
/// A level that no voice has; see [`code_of`].
const PHRASE_LEVEL: i16 = -900;

/// Speech where the audio is loud.
struct LoudVad;

/// What speech sounds like in its `frame`: it is never of one level for long.
fn speech(frame: usize) -> u8 {
    if frame % 6 < 4 { LOUD } else { SOFT }
}

impl Vad for LoudVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }
    fn frame_len(&self) -> usize {
        128
    }
    fn push(&mut self, frame: &[i16]) -> f32 {
        f32::from(u8::from(frame[0].unsigned_abs() > 500))
    }
    fn reset(&mut self) {}
}

/// Runs a call under the operations that `bytes` spell, checking after each.
///
/// # Panics
///
/// If an invariant does not hold.
pub(crate) fn run(bytes: &[u8]) {
    let mut driver = Driver::new(bytes.first().copied().unwrap_or_default());
    let mut bytes = bytes.iter().copied().skip(1);
    while let Some(code) = bytes.next() {
        driver.operation(code, bytes.next().unwrap_or_default());
    }
    driver.finish();
}

struct Driver {
    call: Call,
    now: CallTime,
    deadline: Option<CallTime>,
    sequence: u64,
    returnable: Vec<String>,
    farewell_was_ordered: bool,
    /// Since when a notice may wait.
    notice: Option<CallTime>,
    /// The newest leg of a person.
    latest_person: u32,
    seen: Invariants,
}

impl Driver {
    fn new(setting: u8) -> Self {
        let mut config = CallConfig::default();
        if setting & 1 != 0 {
            config.agent.greeting = "Good morning. How may I help you today, dear caller?".into();
        }
        if setting & 2 != 0 {
            let phrase = |text: &str| Phrase {
                text: text.into(),
                audio: vec![PHRASE_LEVEL; 4_000].into(),
            };
            config.phrases.hold = phrase("One moment.");
            config.phrases.back = phrase("Here again.");
            config.phrases.apology = phrase("Sorry, what was that?");
            config.phrases.farewell = phrase(FAREWELL);
        }
        config.partials.interval_ms = if setting & 4 != 0 { 400 } else { 0 };
        config.playout.lead_ms = if setting & 8 != 0 { 200 } else { 2_000 };
        config.eager.enabled = setting & 16 == 0;
        if setting & 32 != 0 {
            config.endpointing.model = TurnModel::SmartTurn;
        }
        config.endpointing.text = setting & 64 == 0;
        // All sounds here are constant levels, each of which is an echo of any other.
        config.barge_in.ignore_echo = false;
        config.validate().expect("every setting is valid");
        let lead = Duration::from_millis(config.playout.lead_ms.into());
        let call = Call::new(Arc::new(config), Box::new(LoudVad))
            .hearing_people(Arc::new(|| Box::new(LoudVad)));
        Self {
            deadline: call.next_wake().map(|(at, _)| at),
            call,
            now: CallTime::ZERO,
            sequence: 0,
            returnable: Vec::new(),
            farewell_was_ordered: false,
            notice: None,
            latest_person: 0,
            seen: Invariants::new(lead, setting & 2 != 0),
        }
    }

    fn operation(&mut self, code: u8, value: u8) {
        let stream = (value & 0x80 == 0).then_some("MZ1".into());
        match code % 16 {
            0 => self.leg(
                stream,
                Inbound::Start(Start {
                    stream_id: "MZ1".into(),
                    call_id: None,
                    account_id: None,
                    parameters: BTreeMap::new(),
                    format: LegFormat::MULAW_8000,
                }),
            ),
            1..=4 => {
                // Up to 640 ms of speech or silence, in frames of 20 ms.
                for frame in 0..value % 33 {
                    let level = match code.is_multiple_of(2) {
                        true => SILENT,
                        false => speech(frame.into()),
                    };
                    self.frame(vec![level; 160]);
                }
            }
            5 => self.wait(Duration::from_millis(u64::from(value) * 40)),
            6 => {
                if let Some(name) = self.returnable.get(usize::from(value)).cloned() {
                    self.leg(None, Inbound::Mark { name: name.into() });
                } else {
                    self.leg(
                        None,
                        Inbound::Mark {
                            name: format!("st-{value}-1").into(),
                        },
                    );
                }
            }
            7 => {
                // All marks so far come back, in order.
                for name in std::mem::take(&mut self.returnable) {
                    self.leg(None, Inbound::Mark { name: name.into() });
                }
            }
            8 => self.leg(
                stream,
                Inbound::Dtmf {
                    digit: char::from(b'0' + value % 10),
                },
            ),
            9 if value < 16 => self.step(Input::LegMalformed(DialectError::Base64)),
            9 => self.people(value),
            10 => self.command(match value % 3 {
                0 => Command::Say {
                    text: NOTICE.into(),
                    interruptible: value & 4 == 0,
                },
                1 if value > 200 => Command::HangUp {
                    farewell: Some("So long.".into()),
                },
                _ => Command::Say {
                    text: String::new(),
                    interruptible: true,
                },
            }),
            11 if value == 0 => self.leg(None, Inbound::Stop),
            11 if value == 1 => self.step(Input::LegClosed),
            11 if value == 2 => self.step(Input::End(EndReason::LegStalled)),
            11 if value < 10 => {
                // Several turns in one message.
                let frames = (0..15).map(|frame| vec![speech(frame); 160]);
                let turn = [frames.collect::<Vec<_>>().concat(), vec![SILENT; 2_800]].concat();
                self.frame(turn.repeat(usize::from(value) - 2));
            }
            _ => self.news(code, value),
        }
    }

    /// Somebody does something on the call, or about it.
    fn people(&mut self, value: u8) {
        let mode = match value & 3 {
            0 => Mode::Monitor,
            1 => Mode::Whisper,
            2 => Mode::Barge,
            _ => Mode::Takeover,
        };
        // One of the newest legs.
        let id = PersonId(self.latest_person.saturating_sub(u32::from(value >> 2 & 3)));
        match value >> 4 {
            1 | 2 => {
                self.latest_person += 1;
                let id = PersonId(self.latest_person);
                let join = Join {
                    name: "Anna".into(),
                    mode,
                    rank: value >> 2 & 3,
                    rate: rate_of(id),
                };
                self.person(id, PersonInput::Join(join));
            }
            3 | 4 => self.person(id, PersonInput::Mode(mode)),
            5 if value & 1 == 0 => self.person(id, PersonInput::Left),
            5 => self.command(Command::RemovePerson { person: id }),
            6..=8 => self.persons_audio(id, value),
            9 => self.command(Command::PauseAgent),
            10 => self.command(Command::ResumeAgent),
            11 => self.command(Command::RequestHandoff { say: None }),
            12 if value & 1 == 0 => self.command(Command::HandoffRinging),
            12 => self.command(Command::HandoffFailed {
                say: (value & 2 == 0).then(|| "They are busy.".into()),
            }),
            13 => self.command(Command::HandBack {
                person: (value & 1 == 0).then_some(id),
            }),
            14 if value & 1 == 0 => self.command(Command::Record { on: value & 2 == 0 }),
            14 => self.command(Command::SendDigits {
                digits: "12w#".into(),
            }),
            _ => self.command(Command::Guide {
                from: "Anna".into(),
                text: "Be kind.".into(),
            }),
        }
    }

    /// A person speaks for 180 ms, or says nothing; their audio comes as it should, or all at once, or in
    /// crumbs.
    fn persons_audio(&mut self, id: PersonId, value: u8) {
        let frame = usize::try_from(rate_of(id).hz()).expect("it is small") / 50;
        for n in 0..9 {
            let level = match (value & 1, n % 6 < 4) {
                (0, _) => 0,
                (_, true) => level_of(id),
                (_, false) => level_of(id) / SOFTER,
            };
            let pcm = vec![level; frame];
            if value & 2 == 0 || n == 8 {
                self.wait(Duration::from_millis(if value & 2 == 0 { 20 } else { 180 }));
            }
            match value >> 4 {
                8 => {
                    for crumb in pcm.chunks(frame / 3 + 1) {
                        self.person(id, PersonInput::Audio(crumb.to_vec().into()));
                        self.person(id, PersonInput::Audio(Vec::new().into()));
                    }
                }
                _ => self.person(id, PersonInput::Audio(pcm.into())),
            }
        }
    }

    fn person(&mut self, id: PersonId, input: PersonInput<'static>) {
        self.step(Input::Person { id, input });
    }

    /// News of a job: of the latest mostly, of any other, or of none that exists.
    fn news(&mut self, code: u8, value: u8) {
        let back = usize::from(value & 0x03);
        let Some((id, job)) = self.seen.jobs.iter().rev().nth(back) else {
            return;
        };
        let id = if value == 255 { JobId(9_999) } else { *id };
        let failure = JobFailure::new(FailureKind::Unavailable, "fuzzed");
        let event = match (job, code % 4) {
            (Job::Stt(_), 0) => JobEvent::Stt(SttEvent::Failed(failure)),
            (Job::Stt(_), 1) => transcript(""),
            // It breaks off, or is whole.
            (Job::Stt(_), _) if value & 4 != 0 => transcript(&format!("word{} and", id.0)),
            (Job::Stt(_), _) => transcript(&format!("some word{}", id.0)),
            (Job::Llm(_), 0) => JobEvent::Llm(LlmEvent::Failed(failure)),
            (Job::Llm(_), 1) => JobEvent::Llm(LlmEvent::Done {
                hang_up: value > 220,
            }),
            (Job::Llm(_), _) => JobEvent::Llm(LlmEvent::Delta {
                text: "Well, this is what I think. And ".repeat(usize::from(value >> 2) + 1),
            }),
            (Job::Tts(_), 0) => JobEvent::Tts(TtsEvent::Failed(failure)),
            (Job::Tts(_), 1) => JobEvent::Tts(TtsEvent::Done),
            (Job::Tts(_), _) if value & 4 != 0 => JobEvent::Tts(TtsEvent::Audio {
                samples: vec![PHRASE_LEVEL; usize::from(value) * 100],
                rate: SampleRate::HZ_24000,
            }),
            (Job::Tts(_), _) => voice(id, usize::from(value) * 100),
            (Job::Turn(_), 0) => JobEvent::Turn(TurnEvent::Failed(failure)),
            (Job::Turn(_), _) => JobEvent::Turn(TurnEvent::Complete {
                probability: f32::from(value) / 255.0,
            }),
        };
        self.tell(id, event);
    }

    fn tell(&mut self, id: JobId, event: JobEvent) {
        let is_over = self.seen.over.contains(&id) || !self.seen.jobs.contains_key(&id);
        if let JobEvent::Stt(_)
        | JobEvent::Turn(_)
        | JobEvent::Llm(LlmEvent::Done { .. } | LlmEvent::Failed(_))
        | JobEvent::Tts(TtsEvent::Done | TtsEvent::Failed(_)) = event
        {
            self.seen.over.insert(id);
        }
        let count = self.count_outputs(Input::Job(JobUpdate { id, event }));
        assert!(count == 0 || !is_over, "a job that is over changes nothing");
    }

    fn command(&mut self, command: Command) {
        let is_farewell = matches!(command, Command::HangUp { .. });
        self.farewell_was_ordered |= is_farewell;
        if let Command::Say {
            interruptible: false,
            ..
        } = command
        {
            self.notice.get_or_insert(self.now);
        }
        self.step(Input::Command(command));
    }

    fn frame(&mut self, payload: Vec<u8>) {
        let samples = SampleCount(payload.len() as u64);
        self.wait(samples.duration(SampleRate::HZ_8000));
        self.leg(
            Some("MZ1".into()),
            Inbound::Media(Media {
                track: Track::Inbound,
                chunk: None,
                timestamp_ms: None,
                payload: payload.into(),
            }),
        );
    }

    fn leg(&mut self, stream_id: Option<Cow<'static, str>>, body: Inbound<'static>) {
        self.sequence += 1;
        let sequence = Some(self.sequence);
        self.step(Input::Leg(LegMessage {
            stream_id,
            sequence,
            body,
        }));
    }

    /// Time passes; deadlines are kept.
    fn wait(&mut self, duration: Duration) {
        let until = self.now + duration;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.step(Input::Deadline);
        }
        self.now = until;
    }

    fn step(&mut self, input: Input<'static>) {
        self.count_outputs(input);
    }

    fn count_outputs(&mut self, input: Input<'static>) -> usize {
        let mut out = Vec::new();
        let was_ended = self.seen.ended;
        self.deadline = self.call.step(self.now, input, &mut out);
        let count = out.len();
        assert!(!was_ended || count == 0, "nothing follows the end");
        let begun: Vec<TurnId> = out.iter().filter_map(begins).collect();
        self.returnable.extend(self.seen.step(self.now, out));
        let floor = self.call.state().floor;
        for turn in begun {
            let is_free = matches!(floor, Floor::Agent { .. } | Floor::Nobody);
            // A farewell that was ordered is said whoever speaks.
            let is_due = self.farewell_was_ordered
                || self.seen.says(turn, NOTICE)
                    && self
                        .notice
                        .is_some_and(|at| self.now.since(at) >= LONGEST_TURN);
            assert!(is_free || is_due, "the agent begins while {floor:?}");
        }
        let wake = self.call.next_wake();
        match self.deadline {
            None => assert!(self.seen.ended, "a running call has a deadline"),
            Some(deadline) => assert!(deadline > self.now, "a deadline moves on: {wake:?}"),
        }
        count
    }

    /// Whatever happened before, who speaks now is answered, if the services work.
    fn speak_and_be_answered(&mut self) {
        if !self.seen.stream_started {
            return;
        }
        self.command(Command::HandBack { person: None });
        self.command(Command::ResumeAgent);
        // The last of what is done by that is heard out.
        for _ in 0..200 {
            self.serve();
            self.frame(vec![SILENT; 160]);
        }
        for frame in 0..30 {
            self.frame(vec![speech(frame); 160]);
        }
        let sent = self.seen.media_sent;
        for _ in 0..400 {
            self.serve();
            self.frame(vec![SILENT; 160]);
        }
        let answered = self.seen.media_sent > sent && !self.farewell_was_ordered;
        assert!(answered || self.seen.ended, "an answer, or the farewell");
    }

    /// Every service answers what it was asked.
    fn serve(&mut self) {
        let jobs = self.seen.jobs.iter();
        let open = jobs.filter(|(id, _)| !self.seen.over.contains(id));
        let open: Vec<Job> = open.map(|(_, job)| job.clone()).collect();
        for job in open {
            let id = job.id();
            match job {
                Job::Stt(_) => self.tell(id, transcript(&format!("some word{}", id.0))),
                Job::Llm(_) => {
                    let text = "Yes, of course.".into();
                    self.tell(id, JobEvent::Llm(LlmEvent::Delta { text }));
                    if !self.seen.over.contains(&id) {
                        let hang_up = false;
                        self.tell(id, JobEvent::Llm(LlmEvent::Done { hang_up }));
                    }
                }
                Job::Turn(_) => {
                    self.tell(id, JobEvent::Turn(TurnEvent::Complete { probability: 1.0 }));
                }
                Job::Tts(_) => {
                    self.tell(id, voice(id, 4_000));
                    if !self.seen.over.contains(&id) {
                        self.tell(id, JobEvent::Tts(TtsEvent::Done));
                    }
                }
            }
        }
    }

    /// Left alone, every call ends: the leg is silent.
    fn finish(mut self) {
        self.speak_and_be_answered();
        self.wait(Duration::from_secs(600));
        assert!(self.seen.ended, "a call nobody takes care of ends");
        self.seen.check_conversation(self.call.conversation());
    }
}

/// The turn of the agent that begins to be heard, or goes on after an interruption.
fn begins(output: &Output) -> Option<TurnId> {
    match output {
        Output::Event(CallEvent::AgentSpeaking { turn } | CallEvent::AgentResumed { turn }) => {
            Some(*turn)
        }
        _ => None,
    }
}

fn transcript(text: &str) -> JobEvent {
    JobEvent::Stt(SttEvent::Transcript(Transcript {
        text: text.into(),
        ..Default::default()
    }))
}

/// So many samples of the voice that says `job`.
fn voice(job: JobId, samples: usize) -> JobEvent {
    JobEvent::Tts(TtsEvent::Audio {
        samples: vec![mulaw::decode(code_of(job)); samples],
        rate: SampleRate::HZ_8000,
    })
}
