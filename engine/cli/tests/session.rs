//! Replays the recorded session's inbound side through the core, with the real voice activity
//! detector and with services that answer as the demo's did. Simulated time: it takes no time.

#![allow(clippy::unwrap_used)]

use std::{collections::VecDeque, sync::Arc};

use serde::Deserialize;
use serde_json::Value;
use sidetone_codecs::SampleRate;
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Dialect as _, Inbound, LegMessage, Outbound, twilio::Twilio},
    event::{CallEvent, EndReason},
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, LlmEvent, SttEvent, Transcript, TtsEvent},
    sim::PlayoutBuffer,
    time::CallTime,
};
use sidetone_speech::vad::VadProvider;

const SESSION: &str = include_str!("../../../fixtures/sessions/order.ndjson");

/// What the caller says and what the agent answers.
const CONVERSATION: [(&str, &str); 5] = [
    (
        "where is my order",
        "I can look that up. What is your order number?",
    ),
    (
        "my order number is four two seven one",
        "Thank you. I found order four two seven one. It left our warehouse on Tuesday evening, \
         and it is now with the carrier. There are two items in the parcel, a keyboard and a \
         charger, and both are on their way to you.",
    ),
    (
        "hold on a second",
        "Of course. Take your time. I can go on whenever you like.",
    ),
    ("when will it arrive", "It arrives on Friday, before noon."),
    ("thank you goodbye", "Thank you for calling. Goodbye."),
];

#[derive(Deserialize)]
struct Recorded {
    at_ms: f64,
    from: String,
    message: Value,
}

/// The messages of Twilio's side with their times, without the marks: they answer another run's.
fn inbound() -> Vec<(CallTime, String)> {
    SESSION
        .lines()
        .map(|line| serde_json::from_str::<Recorded>(line).unwrap())
        .filter(|recorded| recorded.from == "twilio" && recorded.message["event"] != "mark")
        .map(|recorded| {
            let at = CallTime::from_micros((recorded.at_ms * 1e3) as u64);
            (at, recorded.message.to_string())
        })
        .collect()
}

/// Everything around the call that is not the recorded caller.
struct Rest {
    far_end: PlayoutBuffer,
    answers: VecDeque<(&'static str, &'static str)>,
    current: Option<(&'static str, &'static str)>,
    /// What the latest transcript was made from, in seconds.
    latest: f64,
    /// The same of each that became a turn.
    utterances: Vec<f64>,
    updates: VecDeque<JobUpdate>,
    events: Vec<CallEvent>,
    hung_up: Option<EndReason>,
}

impl Rest {
    fn take(&mut self, now: CallTime, output: Output) {
        match output {
            Output::Leg(Outbound::Media { payload }) => {
                let mut samples = Vec::new();
                sidetone_codecs::g711::mulaw::decode_append(&payload, &mut samples);
                self.far_end.media(now, &samples);
            }
            Output::Leg(Outbound::Mark { name }) => self.far_end.mark(now, name),
            Output::Leg(Outbound::Clear) => self.far_end.clear(now),
            Output::Start(job) => self.serve(&job),
            Output::Event(event) => {
                if matches!(event, CallEvent::TranscriptFinal { .. }) {
                    // What was transcribed ahead of its turn's end may come to nothing.
                    self.answers.pop_front();
                    self.utterances.push(self.latest);
                }
                self.events.push(event);
            }
            Output::HangUp(reason) => self.hung_up = Some(reason),
            _ => {}
        }
    }

    fn serve(&mut self, job: &Job) {
        let id = job.id();
        let mut report = |event: JobEvent| self.updates.push_back(JobUpdate { id, event });
        match job {
            Job::Stt(stt) => {
                let seconds = stt.audio.len() as f64 / f64::from(stt.rate.hz());
                self.latest = seconds;
                self.current = self.answers.front().copied();
                let text = self.current.map_or("", |(said, _)| said).to_owned();
                let transcript = Transcript {
                    text,
                    ..Transcript::default()
                };
                report(SttEvent::Transcript(transcript).into());
            }
            Job::Llm(_) => {
                let (_, answer) = self.current.unwrap();
                let text = answer.to_owned();
                report(LlmEvent::Delta { text }.into());
                let hang_up = self.current == CONVERSATION.last().copied();
                report(LlmEvent::Done { hang_up }.into());
            }
            Job::Tts(tts) => {
                // As long as a voice would take, 65 ms a character.
                let samples = vec![3_000; tts.text.len() * 65 * 8];
                let rate = SampleRate::HZ_8000;
                report(TtsEvent::Audio { samples, rate }.into());
                report(TtsEvent::Done.into());
            }
            Job::Turn(_) => unreachable!("no turn detector is set"),
        }
    }
}

#[test]
fn the_recorded_caller_is_understood_interrupts_and_says_goodbye() {
    let mut config = CallConfig::default();
    // The agent's voice is a constant level here, of which nothing can be an echo.
    config.barge_in.ignore_echo = false;
    config.validate().unwrap();
    let mut call = Call::new(Arc::new(config), VadProvider::default().load().unwrap()());
    let mut dialect = Twilio::new();
    let mut rest = Rest {
        far_end: PlayoutBuffer::new(SampleRate::HZ_8000),
        answers: CONVERSATION.into(),
        current: None,
        latest: 0.0,
        utterances: Vec::new(),
        updates: VecDeque::new(),
        events: Vec::new(),
        hung_up: None,
    };
    let mut inbound = inbound().into_iter().peekable();
    let mut deadline = None;
    let mut out = Vec::new();
    let (mut heard, mut marks) = (Vec::new(), Vec::new());

    while rest.hung_up.is_none() {
        let recorded = inbound.peek().map(|(at, _)| *at);
        let mark = rest.far_end.next_mark_at();
        let soonest = [recorded, mark, deadline].into_iter().flatten().min();
        let now = soonest.expect("the call ends before there is nothing left to happen");
        if mark == Some(now) {
            rest.far_end.advance(now, &mut heard, &mut marks);
            for (_, name) in marks.drain(..) {
                let returned = LegMessage {
                    stream_id: None,
                    sequence: None,
                    body: Inbound::Mark { name: name.into() },
                };
                deadline = call.step(now, Input::Leg(returned), &mut out);
            }
        } else if recorded == Some(now) {
            let (_, text) = inbound.next().unwrap();
            let message = dialect.parse(text.as_bytes()).unwrap();
            deadline = call.step(now, Input::Leg(message), &mut out);
        } else {
            deadline = call.step(now, Input::Deadline, &mut out);
        }
        for output in out.drain(..) {
            rest.take(now, output);
        }
        while let Some(update) = rest.updates.pop_front() {
            deadline = call.step(now, Input::Job(update), &mut out);
            for output in out.drain(..) {
                rest.take(now, output);
            }
        }
    }

    assert_eq!(rest.hung_up, Some(EndReason::AgentHungUp));
    let understood: Vec<_> = rest
        .events
        .iter()
        .filter_map(|event| match event {
            CallEvent::TranscriptFinal { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(understood, CONVERSATION.map(|(said, _)| said));

    // Each recording whole, with its pre-roll and the silence that ended it, and no other sound.
    let recordings = [1.14, 2.41, 1.30, 1.21, 1.29];
    for (utterance, recording) in rest.utterances.iter().zip(recordings) {
        assert!(
            (recording - 0.2..recording + 1.2).contains(utterance),
            "{:?}",
            rest.utterances
        );
    }

    let interrupted: Vec<_> = rest
        .events
        .iter()
        .filter_map(|event| match event {
            CallEvent::AgentInterrupted {
                heard,
                onset_to_clear_ms,
                ..
            } => Some((heard.as_str(), *onset_to_clear_ms)),
            _ => None,
        })
        .collect();
    let [(heard, onset_to_clear_ms)] = interrupted[..] else {
        panic!("one interruption, not {interrupted:?}");
    };
    assert!(heard.starts_with("Thank you. I found order"), "{heard}");
    assert!(heard.len() < CONVERSATION[1].1.len(), "{heard}");
    assert!(onset_to_clear_ms <= 250, "{onset_to_clear_ms}");
}
