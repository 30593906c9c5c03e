//! A person's leg: what it sends, at the call's rate, and what it hears, at its own.

use std::time::Duration;

use sidetone_codecs::{Resampler, SampleRate};

use super::{TICK, jitter::JitterBuffer, listener::Listener};
use crate::{
    person::{BridgeQuality, Join, Person, PersonId, Refusal},
    time::CallTime,
};

/// The rates that a person's leg may have.
const RATES: std::ops::RangeInclusive<SampleRate> = SampleRate::HZ_8000..=SampleRate::HZ_48000;

/// Somebody on the call, and their audio.
pub(crate) struct Leg {
    pub(crate) person: Person,
    pub(crate) listener: Option<Listener>,
    rate: SampleRate,
    inbound: Resampler,
    resampled: Vec<i16>,
    jitter: JitterBuffer,
    /// What they say in this tick, at the call's rate.
    pub(super) says: Vec<i16>,
    outbound: Resampler,
    /// What they are to hear next, at their own rate.
    hears: Vec<i16>,
    /// When audio came last, or was first waited for.
    latest_audio: CallTime,
}

impl Leg {
    /// A leg beside a caller's of `rate`, of whose samples a tick has `frame`.
    pub(crate) fn new(
        id: PersonId,
        join: Join,
        rate: SampleRate,
        frame: usize,
        now: CallTime,
    ) -> Result<Self, Refusal> {
        let refusal = Refusal::Rate { rate: join.rate };
        if !RATES.contains(&join.rate) || !join.rate.hz().is_multiple_of(50) {
            return Err(refusal);
        }
        let inbound = Resampler::new(join.rate, rate).map_err(|_| refusal)?;
        let outbound = Resampler::new(rate, join.rate).map_err(|_| refusal)?;
        let tick = tick_len(join.rate);
        let mut hears = Vec::with_capacity(tick + outbound.max_output(frame));
        // What the resampler holds back at first is not missing later.
        hears.resize(usize::try_from(outbound.delay().0).unwrap_or(0), 0);
        Ok(Self {
            person: Person {
                id,
                name: join.name,
                mode: join.mode,
                rank: join.rank,
            },
            listener: None,
            rate: join.rate,
            resampled: Vec::with_capacity(inbound.max_output(tick)),
            inbound,
            jitter: JitterBuffer::new(rate, frame),
            says: Vec::with_capacity(frame),
            outbound,
            hears,
            latest_audio: now,
        })
    }

    /// The rate of their audio.
    pub(crate) fn rate(&self) -> SampleRate {
        self.rate
    }

    /// How many of their samples are 20 ms.
    pub(crate) fn tick_len(&self) -> usize {
        tick_len(self.rate)
    }

    /// Takes audio of theirs that has just come; the bridge's next tick is at `next`.
    pub(crate) fn push(&mut self, now: CallTime, next: CallTime, pcm: &[i16]) {
        self.latest_audio = now;
        self.resampled.clear();
        self.inbound.process(pcm, &mut self.resampled);
        self.jitter.push(now, next, &self.resampled);
    }

    /// From now on audio is waited for.
    pub(crate) fn await_audio(&mut self, now: CallTime) {
        self.latest_audio = now;
    }

    /// When they have sent nothing for `patience`.
    pub(crate) fn stalls_at(&self, patience: Duration) -> CallTime {
        self.latest_audio + patience
    }

    /// How their audio fared so far.
    pub(crate) fn quality(&self) -> BridgeQuality {
        self.jitter.quality().told()
    }

    /// They speak, and are heard by the caller.
    pub(crate) fn has_floor(&self) -> bool {
        let speaks = self.listener.as_ref().is_some_and(Listener::is_speaking);
        speaks && self.person.mode.is_heard_by_caller()
    }

    /// The next tick of what they say.
    pub(super) fn pull(&mut self, now: CallTime) {
        self.jitter.pull(now, &mut self.says);
    }

    /// The next tick of what they hear, from the call's rate to theirs.
    pub(super) fn hear(&mut self, pcm: &[i16]) -> Vec<i16> {
        self.outbound.process(pcm, &mut self.hears);
        let len = self.tick_len();
        if let Some(missing @ 1..) = len.checked_sub(self.hears.len()) {
            self.hears.splice(..0, std::iter::repeat_n(0, missing));
        }
        self.hears.drain(..len).collect()
    }
}

fn tick_len(rate: SampleRate) -> usize {
    usize::try_from(rate.samples_in(TICK).0).expect("20 ms of samples")
}
