//! People on the call over networks that jitter and lose, and by clocks that differ.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

use crate::sim::{
    LevelVad, World, inputs,
    people::{level, person},
    says,
};
use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, Outbound},
    io::{Input, Output},
    job::{Job, JobEvent, JobUpdate, SttEvent, Transcript},
    person::{BridgeQuality, Mode, PersonId, PersonInput, PersonOutput},
    sim::PlayoutBuffer,
    time::CallTime,
};

const ANNA: PersonId = PersonId(1);

/// An hour of a call that Anna has taken over; she and the caller never stop talking. Clocks differ
/// from the call's by so many parts in a million.
struct Hour {
    call: Call,
    now: CallTime,
    deadline: Option<CallTime>,
    phone_ppm: i64,
    phone: PlayoutBuffer,
    most_buffered: Duration,
    /// Samples that Anna was sent.
    anna_heard: u64,
    most_at_once: usize,
}

impl Hour {
    fn run(anna_ppm: i64, phone_ppm: i64) -> (Self, Vec<BridgeQuality>) {
        let mut config = CallConfig::default();
        config.barge_in.ignore_echo = false;
        let call = Call::new(Arc::new(config), Box::new(LevelVad))
            .hearing_people(Arc::new(|| Box::new(LevelVad)));
        let mut hour = Self {
            call,
            now: CallTime::ZERO,
            deadline: None,
            phone_ppm,
            phone: PlayoutBuffer::new(SampleRate::HZ_8000),
            most_buffered: Duration::ZERO,
            anna_heard: 0,
            most_at_once: 0,
        };
        hour.step(inputs::start());
        hour.step(inputs::anna_joins(ANNA, Mode::Takeover));
        let at = |n: u64, ppm: i64| {
            let micros = i128::from(n) * 20_000 * 1_000_000 / i128::from(1_000_000 + ppm);
            CallTime::from_micros(u64::try_from(micros).unwrap())
        };
        let (mut callers, mut annas) = (1, 1);
        let end = CallTime::from_millis(3_600_000);
        while hour.now < end {
            let (caller, anna) = (at(callers, phone_ppm), at(annas, anna_ppm));
            let next = caller.min(anna);
            hour.wait(next);
            if next == caller {
                callers += 1;
                hour.step(inputs::media(vec![0x8A; 160]));
            } else {
                annas += 1;
                let input = PersonInput::Audio(vec![3_000; 160].into());
                hour.step(Input::Person { id: ANNA, input });
            }
        }
        let quality = hour.call.bridge_quality();
        let quality = quality.into_iter().map(|(_, quality)| quality).collect();
        (hour, quality)
    }

    /// What the phone's clock shows.
    fn shown(&self) -> CallTime {
        let micros = i128::from(self.now.as_micros());
        let shown = micros + micros * i128::from(self.phone_ppm) / 1_000_000;
        CallTime::from_micros(u64::try_from(shown).unwrap())
    }

    fn wait(&mut self, until: CallTime) {
        while let Some(deadline) = self.deadline.filter(|deadline| *deadline <= until) {
            self.now = deadline;
            self.step(Input::Deadline);
        }
        self.now = until;
    }

    fn step(&mut self, input: Input<'static>) {
        let mut inputs = vec![input];
        // The phone plays.
        let mut marks = Vec::new();
        self.phone
            .advance(self.shown(), &mut Vec::new(), &mut marks);
        inputs.extend(marks.into_iter().map(|(_, name)| {
            let name = name.into();
            inputs::leg(Inbound::Mark { name })
        }));
        while let Some(input) = inputs.pop() {
            let mut out = Vec::new();
            self.deadline = self.call.step(self.now, input, &mut out);
            for output in out {
                match output {
                    Output::Leg(Outbound::Media { payload }) => {
                        let pcm: Vec<i16> =
                            payload.iter().map(|code| mulaw::decode(*code)).collect();
                        self.phone.media(self.shown(), &pcm);
                        self.most_buffered = self.most_buffered.max(self.phone.buffered());
                    }
                    Output::Leg(Outbound::Mark { name }) => self.phone.mark(self.shown(), name),
                    Output::Leg(Outbound::Clear) => self.phone.clear(self.shown()),
                    Output::Start(Job::Stt(job)) => inputs.push(Input::Job(JobUpdate {
                        id: job.id,
                        event: JobEvent::Stt(SttEvent::Transcript(Transcript::default())),
                    })),
                    Output::Start(job) => panic!("the agent rests: {job:?}"),
                    Output::Person {
                        output: PersonOutput::Audio { pcm },
                        ..
                    } => {
                        self.anna_heard += pcm.len() as u64;
                        self.most_at_once = self.most_at_once.max(pcm.len());
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn an_hour_of_clocks_that_differ_adds_up_to_nothing() {
    for (anna_ppm, phone_ppm) in [(200, -200), (-200, 200)] {
        let (hour, quality) = Hour::run(anna_ppm, phone_ppm);
        let why = format!("Anna {anna_ppm} ppm, the phone {phone_ppm} ppm: {quality:?}");
        assert!(
            hour.most_buffered <= Duration::from_millis(120),
            "the phone has {:?} to play; {why}",
            hour.most_buffered
        );
        for leg in &quality {
            assert!(leg.max_delay_us <= 60_000, "{why}");
            // An hour at 200 ppm is 720 ms.
            assert!(leg.concealed_ms <= 1_000, "{why}");
            assert!(leg.cut_ms <= 1_000, "{why}");
        }
        let pauses = hour.phone.pauses().iter().map(|pause| pause.duration());
        let silent: Duration = pauses.sum();
        assert!(silent <= Duration::from_millis(1_500), "{silent:?}; {why}");
        assert_eq!(hour.anna_heard, 179_999 * 160 + 160, "20 ms every 20 ms");
        assert_eq!(hour.most_at_once, 160);
    }
}

#[test]
fn jitter_costs_delay_up_to_the_bound_and_hardly_a_word() {
    for jitter_ms in [0, 20, 40] {
        let mut anna = person("Anna", 500, Mode::Takeover);
        anna.jitter_ms = jitter_ms;
        anna.sounds = vec![says(1_000, 20_000, "a long story")];
        let mut world = World {
            people: vec![anna],
            until_ms: 24_000,
            ..World::with_phrases()
        };
        world.config.endpointing.max_turn_ms = 60_000;
        let run = world.run();
        let quality = run.quality[1].1;
        assert!(
            quality.max_delay_us <= 62_000,
            "{jitter_ms} ms: {quality:?}"
        );
        let heard = run.caller_heard_level_ms(level(0, 0));
        assert!(heard >= 19_400, "{jitter_ms} ms: {heard}, {quality:?}");
        assert!(run.most_buffered_ms <= 40, "{}", run.most_buffered_ms);
        if jitter_ms == 0 {
            assert_eq!(run.longest_silence_ms(1_050, 21_000), 0);
        }
        let said = "Anna, Person: a long story".to_owned();
        assert!(run.lines().contains(&said), "{jitter_ms} ms");
    }
}

#[test]
fn what_is_lost_on_the_way_is_a_short_fade_and_no_more() {
    let mut anna = person("Anna", 500, Mode::Takeover);
    anna.sounds = vec![says(1_000, 4_000, "a story")];
    anna.gap_ms = (2_000, 2_100);
    let run = World {
        people: vec![anna],
        until_ms: 6_000,
        ..World::with_phrases()
    }
    .run();
    let silent = run.longest_silence_ms(1_060, 4_990);
    assert!((60..=110).contains(&silent), "{silent}");
    let quality = run.quality[1].1;
    assert!((80..=120).contains(&quality.concealed_ms), "{quality:?}");
    assert!(quality.max_delay_us <= 30_000, "{quality:?}");
}
