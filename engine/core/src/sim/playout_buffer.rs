//! The provider's buffer between the engine and the caller's ear.

use std::{collections::VecDeque, time::Duration};

use sidetone_codecs::{SampleCount, SampleRate};

use crate::time::CallTime;

/// A pause of this length or longer is not an underrun.
pub const LONGEST_UNDERRUN: Duration = Duration::from_millis(500);

/// Twilio's outbound buffer, to the sample.
///
/// Audio is played in order and in real time; where there is none, the caller hears silence. A
/// mark comes back when everything sent before it was played: at once, if nothing is left to play.
/// [`clear`](Self::clear) forgets what was not yet played, and all marks come back at once.
///
/// Time is an argument of every call and only moves forward; an earlier one counts as the latest
/// seen. Samples lie on a grid that begins at [`CallTime::ZERO`]: audio that comes into an empty
/// buffer begins at the next sample of the grid.
///
/// # Underruns
///
/// The buffer *ran dry* when its last sample was played. If more audio comes and no `clear` lies
/// between, the caller heard a [`Pause`]. A pause shorter than [`LONGEST_UNDERRUN`] is an
/// **underrun**: the sender had more to say and was late. A sender that wants to be silent for
/// less than that sends silence. Longer pauses are only listed: whether the agent waited for
/// its turn or stalled, only someone who knows the conversation can tell. Marks have no part in
/// this, since a sender sets them in the middle of speech too.
#[derive(Clone, Debug)]
pub struct PlayoutBuffer {
    rate: SampleRate,
    /// The latest time seen.
    now: CallTime,
    /// Samples that the caller has heard, silence included.
    clock: u64,
    /// Not yet played.
    queue: VecDeque<i16>,
    /// On the caller's clock: when the queue began, or will begin, to play.
    begins: u64,
    /// Samples of the sender's that were ever queued, and those of them played or forgotten.
    queued: u64,
    played: u64,
    /// Not yet reached, by the samples queued before them.
    marks: VecDeque<(u64, String)>,
    /// On the caller's clock, unless cleared since.
    ran_dry: Option<u64>,
    pauses: Vec<Pause>,
    /// Since the last `advance`.
    heard: Vec<i16>,
    reached: Vec<(CallTime, String)>,
}

/// A time without audio between two pieces of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pause {
    /// When the buffer ran dry.
    pub began: CallTime,
    /// When audio was heard again.
    pub ended: CallTime,
}

impl Pause {
    /// How long the caller heard nothing.
    #[must_use]
    pub fn duration(&self) -> Duration {
        self.ended.since(self.began)
    }

    /// Whether the sender was late, rather than silent; see [`PlayoutBuffer`].
    #[must_use]
    pub fn is_underrun(&self) -> bool {
        self.duration() < LONGEST_UNDERRUN
    }
}

impl PlayoutBuffer {
    /// An empty buffer at the beginning of a call whose leg has this rate.
    #[must_use]
    pub fn new(rate: SampleRate) -> Self {
        Self {
            rate,
            now: CallTime::ZERO,
            clock: 0,
            queue: VecDeque::new(),
            begins: 0,
            queued: 0,
            played: 0,
            marks: VecDeque::new(),
            ran_dry: None,
            pauses: Vec::new(),
            heard: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// Audio arrives: it is played after what is buffered, from `now` on if nothing is.
    pub fn media(&mut self, now: CallTime, audio: &[i16]) {
        self.play_until(now);
        if audio.is_empty() {
            return;
        }
        if self.queue.is_empty() {
            self.begins = self.next_sample();
            if let Some(ran_dry) = self.ran_dry.take()
                && ran_dry < self.begins
            {
                self.pauses.push(Pause {
                    began: self.time_of(ran_dry),
                    ended: self.time_of(self.begins),
                });
            }
        }
        self.queue.extend(audio);
        self.queued += SampleCount::of(audio).0;
    }

    /// A mark arrives: it comes back when everything before it was played.
    pub fn mark(&mut self, now: CallTime, name: String) {
        self.play_until(now);
        if self.queue.is_empty() {
            self.reached.push((self.now, name));
        } else {
            self.marks.push_back((self.queued, name));
        }
    }

    /// A clear arrives: what was not yet played is forgotten, and all marks come back now.
    pub fn clear(&mut self, now: CallTime) {
        self.play_until(now);
        self.queue.clear();
        self.played = self.queued;
        self.ran_dry = None;
        let now = self.now;
        self.reached
            .extend(self.marks.drain(..).map(|(_, name)| (now, name)));
    }

    /// Plays until `now`. Appends to `heard` what the caller heard since the last advance,
    /// silence included, so that over the call sample *n* of it was heard at *n* / rate; and to
    /// `marks` those that came back, in order, with the time of each.
    pub fn advance(
        &mut self,
        now: CallTime,
        heard: &mut Vec<i16>,
        marks: &mut Vec<(CallTime, String)>,
    ) {
        self.play_until(now);
        heard.append(&mut self.heard);
        marks.append(&mut self.reached);
    }

    /// When the next mark comes back if nothing else arrives. Advance to that time to get it.
    #[must_use]
    pub fn next_mark_at(&self) -> Option<CallTime> {
        match (self.reached.first(), self.marks.front()) {
            (Some(&(at, _)), _) => Some(at),
            (None, Some(&(queued, _))) => {
                let first = self.clock.max(self.begins);
                Some(self.time_of(first + (queued - self.played)))
            }
            (None, None) => None,
        }
    }

    /// How much audio is left to play, as of the latest time seen.
    #[must_use]
    pub fn buffered(&self) -> Duration {
        SampleCount(self.queue.len() as u64).duration(self.rate)
    }

    /// How often the sender was late; see [`PlayoutBuffer`].
    #[must_use]
    pub fn underruns(&self) -> u64 {
        self.pauses.iter().filter(|p| p.is_underrun()).count() as u64
    }

    /// How long the sender was late, all underruns together.
    #[must_use]
    pub fn underrun_duration(&self) -> Duration {
        let underruns = self.pauses.iter().filter(|p| p.is_underrun());
        underruns.map(Pause::duration).sum()
    }

    /// All pauses so far, underruns and longer ones.
    #[must_use]
    pub fn pauses(&self) -> &[Pause] {
        &self.pauses
    }

    fn play_until(&mut self, now: CallTime) {
        self.now = self.now.max(now);
        let until = self.samples_at(self.now, u128::div_euclid);
        if !self.queue.is_empty() {
            self.be_silent_until(self.begins.min(until));
            let due = usize::try_from(until - self.clock).unwrap_or(usize::MAX);
            let due = due.min(self.queue.len());
            self.heard.extend(self.queue.drain(..due));
            self.clock += due as u64;
            self.played += due as u64;
            while let Some((queued, name)) = self.marks.pop_front_if(|(at, _)| *at <= self.played) {
                let at = self.time_of(self.clock - (self.played - queued));
                self.reached.push((at, name));
            }
            if self.queue.is_empty() {
                self.ran_dry = Some(self.clock);
            }
        }
        self.be_silent_until(until);
    }

    fn be_silent_until(&mut self, until: u64) {
        if let Some(silent) = until.checked_sub(self.clock) {
            self.heard.extend((0..silent).map(|_| 0));
            self.clock = until;
        }
    }

    /// The first sample of the grid that is not before now.
    fn next_sample(&self) -> u64 {
        self.samples_at(self.now, u128::div_ceil)
    }

    fn samples_at(&self, time: CallTime, divide: fn(u128, u128) -> u128) -> u64 {
        let samples = divide(
            u128::from(time.as_micros()) * u128::from(self.rate.hz()),
            1_000_000,
        );
        u64::try_from(samples).unwrap_or(u64::MAX)
    }

    /// The first microsecond at which this many samples were heard.
    fn time_of(&self, clock: u64) -> CallTime {
        let micros = (u128::from(clock) * 1_000_000).div_ceil(u128::from(self.rate.hz()));
        CallTime::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }
}
