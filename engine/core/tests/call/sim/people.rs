//! People on a simulated call.

use sidetone_codecs::{SampleRate, g711::mulaw};
use sidetone_core::{
    person::{Join, Mode, PersonId, PersonInput, PersonOutput},
    time::CallTime,
};

use super::{FRAME_MS, Happening, Run, Simulation, Sound, is_of, is_soft, soft};

/// Somebody who comes on the call.
#[derive(Clone, Debug)]
pub(crate) struct Person {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) rank: u8,
    pub(crate) rate: SampleRate,
    pub(crate) joins_ms: u64,
    /// What they say; times since the call began.
    pub(crate) sounds: Vec<Sound>,
    /// What their leg brings while they say nothing, at each ms.
    pub(crate) background: fn(u64) -> i16,
    /// What they want to do, and when.
    pub(crate) modes: Vec<(u64, Mode)>,
    /// Their leg sends nothing from then on.
    pub(crate) stalls_ms: Option<u64>,
    pub(crate) leaves_ms: Option<u64>,
    /// Each frame is this late at most.
    pub(crate) jitter_ms: u64,
    /// How much faster their clock is than the call's.
    pub(crate) ppm: i64,
    /// Frames that are lost, as from and to, in ms.
    pub(crate) gap_ms: (u64, u64),
}

/// Somebody who comes at `joins_ms` to do `mode`.
pub(crate) fn person(name: &'static str, joins_ms: u64, mode: Mode) -> Person {
    Person {
        name,
        mode,
        rank: 1,
        rate: SampleRate::HZ_8000,
        joins_ms,
        sounds: Vec::new(),
        background: |_| 0,
        modes: Vec::new(),
        stalls_ms: None,
        leaves_ms: None,
        jitter_ms: 0,
        ppm: 0,
        gap_ms: (0, 0),
    }
}

/// The level of the `n`-th sound of the person of this index.
pub(crate) fn level(index: usize, n: usize) -> i16 {
    assert!(index < 4 && n < 8, "few people, few sounds");
    let code = u8::try_from(0x90 + index * 8 + n).expect("few");
    let level = mulaw::decode(code);
    assert!(level > 500);
    level
}

pub(crate) fn id(index: usize) -> PersonId {
    PersonId(u32::try_from(index).expect("few people") + 1)
}

impl Simulation {
    pub(super) fn begin_people(&mut self) {
        let at = CallTime::from_millis;
        for (index, person) in self.world.people.clone().into_iter().enumerate() {
            let id = id(index);
            let join = Join {
                name: person.name.into(),
                mode: person.mode,
                rank: person.rank,
                rate: person.rate,
            };
            self.at(
                at(person.joins_ms),
                Happening::Person(id, PersonInput::Join(join)),
            );
            self.at(at(person.joins_ms), Happening::PersonFrame(index, 0));
            for (at_ms, mode) in person.modes {
                self.at(at(at_ms), Happening::Person(id, PersonInput::Mode(mode)));
            }
            if let Some(at_ms) = person.leaves_ms {
                self.at(at(at_ms), Happening::Person(id, PersonInput::Left));
            }
        }
    }

    /// A person's leg sends its next frame.
    pub(super) fn person_frame(&mut self, now: CallTime, index: usize, n: u64) {
        let person = self.world.people[index].clone();
        let micros = (n + 1) as i64 * 20_000 * 1_000_000 / (1_000_000 + person.ppm);
        let next = CallTime::from_millis(person.joins_ms).as_micros() + micros as u64;
        self.at(
            CallTime::from_micros(next),
            Happening::PersonFrame(index, n + 1),
        );
        let now_ms = now.as_millis();
        let is_over = |at_ms: Option<u64>| at_ms.is_some_and(|at_ms| now_ms >= at_ms);
        let is_lost = (person.gap_ms.0..person.gap_ms.1).contains(&now_ms);
        if is_over(person.stalls_ms) || is_over(person.leaves_ms) || is_lost {
            return;
        }
        let start_ms = person.joins_ms + n * FRAME_MS;
        let per_ms = u64::from(person.rate.hz()) / 1_000;
        let pcm: Vec<i16> = (0..FRAME_MS * per_ms)
            .map(|sample| {
                let at_ms = start_ms + sample / per_ms;
                let sound = person.sounds.iter().position(|sound| {
                    (sound.at_ms..sound.at_ms + sound.duration_ms).contains(&at_ms)
                });
                let of = |n| match is_soft(at_ms) {
                    true => soft(level(index, n)),
                    false => level(index, n),
                };
                sound.map_or_else(|| (person.background)(at_ms), of)
            })
            .collect();
        let late = self.rng.u64(..=person.jitter_ms * 1_000);
        // The network keeps the order.
        let arrives = (now.as_micros() + late).max(self.arrivals[index]);
        self.arrivals[index] = arrives;
        let input = PersonInput::Audio(pcm.into());
        self.at(
            CallTime::from_micros(arrives),
            Happening::Person(id(index), input),
        );
    }

    /// What people say, with the level of each.
    pub(super) fn peoples_sounds(&self) -> impl Iterator<Item = (i16, &Sound)> {
        let people = self.world.people.iter().enumerate();
        people.flat_map(|(index, person)| {
            let sounds = person.sounds.iter().enumerate();
            sounds.map(move |(n, sound)| (level(index, n), sound))
        })
    }
}

impl Run {
    pub(super) fn person(&mut self, now_ms: u64, id: PersonId, output: PersonOutput) {
        match output {
            PersonOutput::Audio { pcm } => {
                self.heard_by.entry(id).or_default().extend(pcm);
            }
            other => self.told.push((now_ms, id, other)),
        }
    }

    /// How long, in ms, the person of this index heard `level`.
    pub(crate) fn heard_level_ms(&self, index: usize, level: i16) -> u64 {
        let heard = self.heard_by.get(&id(index));
        let heard = heard.map_or(&[][..], Vec::as_slice);
        count_ms(heard.iter().copied(), level)
    }

    /// How long, in ms, the caller heard `level`.
    pub(crate) fn caller_heard_level_ms(&self, level: i16) -> u64 {
        count_ms(self.heard.iter().copied(), level)
    }

    /// When the caller first heard `level`, in ms.
    pub(crate) fn caller_heard_level_at(&self, level: i16) -> Option<u64> {
        let first = self.heard.iter().position(|sample| is_of(*sample, level));
        first.map(|first| first as u64 / 8)
    }
}

fn count_ms(samples: impl Iterator<Item = i16>, level: i16) -> u64 {
    samples.filter(|sample| is_of(*sample, level)).count() as u64 / 8
}
