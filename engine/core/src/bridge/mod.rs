//! Where the audio of a call with people on it meets.
//!
//! Every 20 ms of the call's clock the bridge takes that much of each party: of the caller and of
//! each person through a [jitter buffer](jitter), of the agent what the caller hears of it just then.
//! Everyone gets the sum of the others. A wake-up that comes late makes up for what it missed, up to a
//! bound, and then goes on from where it is.
//!
//! There is a bridge only while somebody is on the call, or it is recorded.

mod jitter;
mod leg;
mod listener;
mod mixer;
mod quality;

use std::time::Duration;

use sidetone_codecs::SampleRate;

use self::{jitter::JitterBuffer, mixer::Mix};
use crate::{
    io::Output,
    person::{BridgeQuality, PersonId, PersonOutput},
    playout::Playout,
    time::CallTime,
    transcripts::Transcripts,
};

pub(crate) use self::{
    leg::Leg,
    listener::{Heard, Listener, Probed, Utterance},
    mixer::{mix, mix_two},
};

/// The bridge's clock.
pub(crate) const TICK: Duration = Duration::from_millis(20);
/// How many ticks a late wake-up makes up for.
const MOST_LATE: u32 = 5;
/// The longest gap that is filled in a recording.
const LONGEST_GAP: Duration = Duration::from_secs(60);

/// Joins the audio of everyone on a call.
pub(crate) struct Bridge {
    rate: SampleRate,
    /// A tick's samples at that rate.
    frame: usize,
    next: CallTime,
    caller: JitterBuffer,
    caller_says: Vec<i16>,
    agent_says: Vec<i16>,
    /// In the order they came.
    pub(crate) legs: Vec<Leg>,
    /// What whisperers said and is not known in words yet.
    pub(crate) guidance: Transcripts,
    pub(crate) recording: bool,
    /// What the caller is to hear of people.
    voices: Vec<i16>,
    mix: Mix,
    mixed: Vec<i16>,
}

impl Bridge {
    /// A bridge for a caller's leg of `rate`.
    pub(crate) fn new(rate: SampleRate, now: CallTime) -> Self {
        let frame = usize::try_from(rate.samples_in(TICK).0).expect("20 ms of samples");
        Self {
            rate,
            frame,
            next: now + TICK,
            caller: JitterBuffer::new(rate, frame),
            caller_says: Vec::with_capacity(frame),
            agent_says: Vec::with_capacity(frame),
            legs: Vec::new(),
            guidance: Transcripts::default(),
            recording: false,
            voices: Vec::with_capacity(frame),
            mix: Mix::default(),
            mixed: Vec::with_capacity(frame),
        }
    }

    /// The rate of the caller's leg.
    pub(crate) fn rate(&self) -> SampleRate {
        self.rate
    }

    /// A tick's samples at that rate.
    pub(crate) fn frame(&self) -> usize {
        self.frame
    }

    /// Nobody needs it any more.
    pub(crate) fn is_idle(&self) -> bool {
        self.legs.is_empty() && !self.recording && self.guidance.is_empty()
    }

    /// The leg of `id`.
    pub(crate) fn leg(&mut self, id: PersonId) -> Option<&mut Leg> {
        self.legs.iter_mut().find(|leg| leg.person.id == id)
    }

    /// Whoever the caller hears, in the order they came.
    pub(crate) fn speakers(&self) -> impl Iterator<Item = &Leg> {
        let legs = self.legs.iter();
        legs.filter(|leg| leg.person.mode.is_heard_by_caller())
    }

    /// Takes audio of the caller that has just come.
    pub(crate) fn caller(&mut self, now: CallTime, pcm: &[i16]) {
        self.caller.push(now, self.next, pcm);
    }

    /// How the caller's audio fared so far.
    pub(crate) fn caller_quality(&self) -> BridgeQuality {
        self.caller.quality().told()
    }

    /// When the next tick is due.
    pub(crate) fn next(&self) -> CallTime {
        self.next
    }

    /// Does the ticks that are due at `now`: everyone gets what they hear. `held`: the agent may not
    /// speak.
    pub(crate) fn tick(
        &mut self,
        now: CallTime,
        playout: &mut Playout,
        held: bool,
        out: &mut Vec<Output>,
    ) {
        self.skip(now, playout, out);
        while self.next <= now {
            self.tick_once(now, playout, held, out);
            self.next = self.next + TICK;
        }
    }

    /// Leaves out the ticks that it is too late for. A recording stays as long as the call: it has what the
    /// leg played meanwhile of what had been sent ahead, and nothing of the caller.
    fn skip(&mut self, now: CallTime, playout: &Playout, out: &mut Vec<Output>) {
        if now.since(self.next) > LONGEST_GAP {
            self.next = now.saturating_sub(LONGEST_GAP);
        }
        while now.since(self.next) > TICK * MOST_LATE {
            if self.recording {
                let mut others = Vec::with_capacity(self.frame);
                let from = self.next.saturating_sub(TICK);
                playout.played(from, self.frame, &mut others);
                out.push(Output::Recorded {
                    rate: self.rate,
                    caller: vec![0; self.frame],
                    others,
                });
            }
            self.next = self.next + TICK;
        }
    }

    fn tick_once(
        &mut self,
        now: CallTime,
        playout: &mut Playout,
        held: bool,
        out: &mut Vec<Output>,
    ) {
        self.caller.pull(now, &mut self.caller_says);
        self.agent_says.clear();
        let from = self.next.saturating_sub(TICK);
        playout.played(from, self.frame, &mut self.agent_says);
        for leg in &mut self.legs {
            leg.pull(now);
        }
        for listens in 0..self.legs.len() {
            self.mix.begin(self.frame);
            self.mix.add(&self.caller_says);
            self.mix.add(&self.agent_says);
            for (speaks, leg) in self.legs.iter().enumerate() {
                if speaks != listens && leg.person.mode.is_heard_by_caller() {
                    self.mix.add(&leg.says);
                }
            }
            self.mix.write(&mut self.mixed);
            let leg = &mut self.legs[listens];
            out.push(Output::Person {
                id: leg.person.id,
                output: PersonOutput::Audio {
                    pcm: leg.hear(&self.mixed),
                },
            });
        }
        self.mix.begin(self.frame);
        for leg in &self.legs {
            if leg.person.mode.is_heard_by_caller() {
                self.mix.add(&leg.says);
            }
        }
        self.mix.write(&mut self.voices);
        playout.send_live(now, held, &self.voices, out);
        if self.recording {
            mix_two(&self.agent_says, &self.voices, &mut self.mixed);
            out.push(Output::Recorded {
                rate: self.rate,
                caller: self.caller_says.clone(),
                others: self.mixed.clone(),
            });
        }
    }
}
