//! A person on the call speaks, and the caller's speakerphone gives their voice back.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use crate::sim::inputs;
use fastrand::Rng;
use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::Outbound,
    event::CallEvent,
    io::{Input, Output},
    person::{Mode, PersonId, PersonInput},
    sim::PlayoutBuffer,
    time::CallTime,
    vad::Vad,
};

const ANNA: PersonId = PersonId(1);
const FRAME: usize = 160;
/// From the loudspeaker to the engine: the room, the phone and the network.
const DELAY: usize = 120 * 8;

/// Speech where there is any sound, an echo's too.
struct KeenVad;

impl Vad for KeenVad {
    fn rate(&self) -> SampleRate {
        SampleRate::HZ_8000
    }
    fn frame_len(&self) -> usize {
        128
    }
    fn push(&mut self, frame: &[i16]) -> f32 {
        let energy: i64 = frame.iter().map(|sample| i64::from(*sample).pow(2)).sum();
        f32::from(u8::from(energy > 128 * 60 * 60))
    }
    fn reset(&mut self) {}
}

/// Something like speech: noise through two slowly moving resonances, in syllables.
fn babble(seed: u64, ms: usize, level: f32) -> Vec<i16> {
    let mut random = Rng::with_seed(seed);
    let mut memory = [[0.0_f32; 2]; 2];
    let mut hz = [500.0, 1_500.0];
    let raw: Vec<f32> = (0..ms * 8)
        .map(|n| {
            if n % 800 == 0 {
                hz = [250.0 + random.f32() * 600.0, 900.0 + random.f32() * 1_600.0];
            }
            let excitation = random.f32() * 2.0 - 1.0;
            let syllable = (n as f32 / 8_000.0 * 4.0 * std::f32::consts::PI)
                .sin()
                .abs();
            let voices = memory.iter_mut().zip(hz).map(|(memory, hz)| {
                let turn = 2.0 * 0.97 * (std::f32::consts::TAU * hz / 8_000.0).cos();
                let sample = excitation + turn * memory[0] - 0.94 * memory[1];
                *memory = [sample, memory[0]];
                sample
            });
            voices.sum::<f32>() * syllable
        })
        .collect();
    let power = raw.iter().map(|sample| sample * sample).sum::<f32>() / raw.len() as f32;
    let scale = level / power.sqrt();
    raw.iter().map(|sample| (sample * scale) as i16).collect()
}

/// A call that Anna speaks on, and a phone that gives back what it plays.
struct Room {
    call: Call,
    now: CallTime,
    deadline: Option<CallTime>,
    phone: PlayoutBuffer,
    /// What the phone has played.
    played: Vec<i16>,
    /// When turns of the caller began, in ms.
    turns: Vec<u64>,
}

impl Room {
    fn new(ignore_echo: bool, mode: Mode) -> Self {
        let mut config = CallConfig::default();
        config.barge_in.ignore_echo = ignore_echo;
        let call = Call::new(Arc::new(config), Box::new(KeenVad))
            .hearing_people(Arc::new(|| Box::new(KeenVad)));
        let mut room = Self {
            call,
            now: CallTime::ZERO,
            deadline: None,
            phone: PlayoutBuffer::new(SampleRate::HZ_8000),
            played: Vec::new(),
            turns: Vec::new(),
        };
        room.step(inputs::start());
        room.step(inputs::anna_joins(ANNA, mode));
        room
    }

    /// Anna says `anna`, and the caller `caller`, louder than the echo in `gain` of what they hear.
    fn hold(&mut self, anna: &[i16], caller: &[i16], gain: f32) {
        for n in 0..anna.len() / FRAME {
            self.pass(Duration::from_millis(13));
            let pcm = anna[n * FRAME..][..FRAME].to_vec();
            let input = PersonInput::Audio(pcm.into());
            self.step(Input::Person { id: ANNA, input });
            self.pass(Duration::from_millis(7));
            let end = usize::try_from(self.now.as_micros()).unwrap() / 125;
            let payload = (end - FRAME..end).enumerate().map(|(at, sample)| {
                let echo = sample.checked_sub(DELAY).and_then(|at| self.played.get(at));
                let echo = f32::from(*echo.unwrap_or(&0)) * gain;
                let said = caller.get(n * FRAME + at).copied().unwrap_or(0);
                mulaw::encode(said.saturating_add(echo as i16))
            });
            self.step(inputs::media(payload.collect()));
        }
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.step(Input::Deadline);
        }
        self.now = until;
        self.phone
            .advance(self.now, &mut self.played, &mut Vec::new());
    }

    fn step(&mut self, input: Input<'static>) {
        self.phone
            .advance(self.now, &mut self.played, &mut Vec::new());
        let mut out = Vec::new();
        self.deadline = self.call.step(self.now, input, &mut out);
        for output in out {
            match output {
                Output::Leg(Outbound::Media { payload }) => {
                    let pcm: Vec<i16> = payload.iter().map(|code| mulaw::decode(*code)).collect();
                    self.phone.media(self.now, &pcm);
                }
                Output::Leg(Outbound::Clear) => self.phone.clear(self.now),
                Output::Event(CallEvent::TurnStarted { .. }) => {
                    self.turns.push(self.now.as_millis());
                }
                _ => {}
            }
        }
    }
}

const LONG_MS: usize = 8_000;

#[test]
fn a_persons_voice_that_comes_back_is_not_the_caller() {
    for mode in [Mode::Takeover, Mode::Barge] {
        for seed in 1..5 {
            let anna = babble(seed, LONG_MS, 3_000.0);
            let mut room = Room::new(true, mode);
            room.hold(&anna, &[], 0.1);
            assert!(room.turns.is_empty(), "{mode} {seed}: {:?}", room.turns);
            let echo_frames = room.call.counters().echo_frames;
            assert!(echo_frames > 100, "{mode} {seed}: {echo_frames}");
        }
    }
}

#[test]
fn without_the_guard_it_is_taken_for_the_caller() {
    let mut room = Room::new(false, Mode::Takeover);
    room.hold(&babble(1, LONG_MS, 3_000.0), &[], 0.1);
    assert!(!room.turns.is_empty());
}

#[test]
fn a_caller_who_speaks_into_a_persons_words_is_heard() {
    for seed in 1..5 {
        let anna = babble(seed, LONG_MS, 3_000.0);
        let mut caller = vec![0; 4_000 * 8];
        caller.extend(babble(seed + 100, 1_500, 3_000.0));
        let mut room = Room::new(true, Mode::Takeover);
        room.hold(&anna, &caller, 0.1);
        let [began] = room.turns[..] else {
            panic!("{seed}: {:?}", room.turns);
        };
        assert!((4_000..=4_400).contains(&began), "{seed}: {began}");
    }
}
