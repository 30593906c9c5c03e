//! A call under any sequence of operations, and what must hold whatever happens.
//!
//! The operations are read from bytes, so that the same driver serves property tests and the
//! fuzzer.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use sidetone_codecs::SampleRate;
use sidetone_core::{
    call::Call,
    config::{CallConfig, Phrase},
    dialect::{DialectError, Inbound, LegFormat, LegMessage, Media, Outbound, Start, Track},
    event::{CallEvent, EndReason},
    io::{Command, Input, Output},
    job::{
        FailureKind, Job, JobEvent, JobFailure, JobId, JobUpdate, LlmEvent, SttEvent, Transcript,
        TtsEvent,
    },
    time::CallTime,
    vad::Vad,
};

/// Speech where the audio is loud.
struct LoudVad;

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
    started: BTreeMap<JobId, Job>,
    cancelled: BTreeSet<JobId>,
    marks: BTreeSet<String>,
    returnable: Vec<String>,
    stream_started: bool,
    ended: bool,
}

impl Driver {
    fn new(setting: u8) -> Self {
        let mut config = CallConfig::default();
        if setting & 1 != 0 {
            config.agent.greeting = "Good morning. How may I help you today, dear caller?".into();
        }
        if setting & 2 != 0 {
            let phrase = Phrase {
                text: "Sorry.".into(),
                audio: vec![900; 4_000].into(),
            };
            config.phrases.hold = phrase.clone();
            config.phrases.apology = phrase.clone();
            config.phrases.farewell = phrase;
        }
        config.partials.interval_ms = if setting & 4 != 0 { 400 } else { 0 };
        config.playout.lead_ms = if setting & 8 != 0 { 200 } else { 2_000 };
        config.validate().expect("every setting is valid");
        let call = Call::new(Arc::new(config), Box::new(LoudVad));
        Self {
            deadline: call.next_wake().map(|(at, _)| at),
            call,
            now: CallTime::ZERO,
            sequence: 0,
            started: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            marks: BTreeSet::new(),
            returnable: Vec::new(),
            stream_started: false,
            ended: false,
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
                let payload = if code.is_multiple_of(2) { 0xFF } else { 0x8A };
                for _ in 0..value % 33 {
                    self.wait(Duration::from_millis(20));
                    self.leg(
                        Some("MZ1".into()),
                        Inbound::Media(Media {
                            track: Track::Inbound,
                            chunk: None,
                            timestamp_ms: None,
                            payload: vec![payload; 160].into(),
                        }),
                    );
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
            9 => self.step(Input::LegMalformed(DialectError::Base64)),
            10 => self.step(Input::Command(match value % 3 {
                0 => Command::Say {
                    text: "A word from the management, if I may.".into(),
                },
                1 if value > 200 => Command::HangUp {
                    farewell: Some("So long.".into()),
                },
                _ => Command::Say {
                    text: String::new(),
                },
            })),
            11 if value == 0 => self.leg(None, Inbound::Stop),
            11 if value == 1 => self.step(Input::LegClosed),
            11 if value == 2 => self.step(Input::End(EndReason::LegStalled)),
            _ => self.news(code, value),
        }
    }

    /// News of a job: of the latest mostly, of any other, or of none that exists.
    fn news(&mut self, code: u8, value: u8) {
        let back = usize::from(value & 0x03);
        let Some((id, job)) = self.started.iter().rev().nth(back) else {
            return;
        };
        let id = if value == 255 { JobId(9_999) } else { *id };
        let failure = JobFailure::new(FailureKind::Unavailable, "fuzzed");
        let event = match (job, code % 4) {
            (Job::Stt(_), 0) => JobEvent::Stt(SttEvent::Failed(failure)),
            (Job::Stt(_), n) => {
                let text = if n == 1 {
                    String::new()
                } else {
                    "some words".into()
                };
                JobEvent::Stt(SttEvent::Transcript(Transcript {
                    text,
                    ..Default::default()
                }))
            }
            (Job::Llm(_), 0) => JobEvent::Llm(LlmEvent::Failed(failure)),
            (Job::Llm(_), 1) => JobEvent::Llm(LlmEvent::Done {
                hang_up: value > 220,
            }),
            (Job::Llm(_), _) => JobEvent::Llm(LlmEvent::Delta {
                text: "Well, this is what I think. And ".repeat(usize::from(value >> 2) + 1),
            }),
            (Job::Tts(_), 0) => JobEvent::Tts(TtsEvent::Failed(failure)),
            (Job::Tts(_), 1) => JobEvent::Tts(TtsEvent::Done),
            (Job::Tts(_), _) => JobEvent::Tts(TtsEvent::Audio {
                samples: vec![1_000; usize::from(value) * 100],
                rate: if value & 4 == 0 {
                    SampleRate::HZ_8000
                } else {
                    SampleRate::HZ_24000
                },
            }),
        };
        self.step(Input::Job(JobUpdate { id, event }));
    }

    fn leg(&mut self, stream_id: Option<std::borrow::Cow<'static, str>>, body: Inbound<'static>) {
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
            assert!(
                self.deadline.is_none_or(|next| next > deadline),
                "a deadline moves on: {:?}",
                self.call.next_wake()
            );
        }
        self.now = until;
    }

    fn step(&mut self, input: Input<'static>) {
        let mut out = Vec::new();
        self.deadline = self.call.step(self.now, input, &mut out);
        assert!(!self.ended || out.is_empty(), "nothing follows the end");
        assert_eq!(self.ended, self.ended && self.deadline.is_none());
        let count = out.len();
        for (n, output) in out.into_iter().enumerate() {
            assert!(!self.ended, "the hang-up is the last output");
            match output {
                Output::Leg(message) => self.sent(message),
                Output::Start(job) => {
                    let id = job.id();
                    if let Job::Tts(job) = &job {
                        assert!(!job.text.trim().is_empty(), "the voice is given words");
                    }
                    assert!(
                        self.started.insert(id, job).is_none(),
                        "ids are not used twice"
                    );
                }
                Output::Cancel(id) => {
                    assert!(
                        self.started.contains_key(&id),
                        "only what runs is cancelled"
                    );
                    assert!(self.cancelled.insert(id), "and only once");
                }
                Output::Event(CallEvent::CallEnded { .. }) => {
                    assert_eq!(n, count - 2, "the last event, right before the hang-up");
                }
                Output::Event(CallEvent::CallStarted { .. }) => self.stream_started = true,
                Output::Event(_) => {}
                Output::HangUp(_) => self.ended = true,
                other => panic!("unknown output {other:?}"),
            }
        }
        if !self.ended {
            assert!(self.deadline.is_some(), "a running call has a deadline");
        }
    }

    fn sent(&mut self, message: Outbound) {
        assert!(
            self.stream_started,
            "nothing is sent before the stream started"
        );
        match message {
            Outbound::Media { payload } => {
                assert!(
                    (1..=1_600).contains(&payload.len()),
                    "{} bytes",
                    payload.len()
                );
            }
            Outbound::Mark { name } => {
                assert!(self.marks.insert(name.clone()), "mark names are unique");
                self.returnable.push(name);
            }
            Outbound::Clear => {}
            other => panic!("unknown message {other:?}"),
        }
    }

    /// Left alone, every call ends: the leg is silent.
    fn finish(mut self) {
        self.wait(Duration::from_secs(600));
        assert!(self.ended, "a call nobody takes care of ends");
    }
}
