//! The caller's line beside what was played into it, the agent's voice and people's, on one clock.

use std::time::Duration;

use sidetone_codecs::{SampleCount, SampleRate};

use crate::{echo::Echo, playout::Playout, time::CallTime};

/// What is played is looked at so much later: audio that arrives early may be ahead of what was
/// sent. No echo is as quick.
const LATER: Duration = Duration::from_millis(40);
/// Audio that arrives this much earlier or later than it should moves the clock.
const OUT_OF_STEP: Duration = Duration::from_millis(150);

/// Follows what the line brings and what was played, sample by sample.
pub(crate) struct Line {
    rate: SampleRate,
    echo: Echo,
    /// When the next sample was made, by the line's own count: arrival jitters.
    clock: Option<CallTime>,
    played: Vec<i16>,
    /// Of the newest audio, once it was asked for.
    is_echo: Option<bool>,
}

impl Line {
    /// `None` at other rates than the telephone's.
    pub(crate) fn new(rate: SampleRate) -> Option<Self> {
        (rate == SampleRate::HZ_8000).then(|| Self {
            rate,
            echo: Echo::new(),
            clock: None,
            played: Vec::with_capacity(rate.hz() as usize / 50),
            is_echo: None,
        })
    }

    /// So many samples have just arrived.
    pub(crate) fn arrives(&mut self, now: CallTime, samples: usize) {
        let began = now.saturating_sub(self.duration(samples));
        let clock = self.clock.get_or_insert(began);
        if clock.since(began).max(began.since(*clock)) > OUT_OF_STEP {
            *clock = began;
        }
    }

    /// The next of them.
    pub(crate) fn push(&mut self, pcm: &[i16], playout: &Playout) {
        let Some(clock) = self.clock else { return };
        self.played.clear();
        playout.played_by_all(clock.saturating_sub(LATER), pcm.len(), &mut self.played);
        self.echo.push(pcm, &self.played);
        self.clock = Some(clock + self.duration(pcm.len()));
        self.is_echo = None;
    }

    /// Whether the newest audio is nothing but an echo of what was played.
    pub(crate) fn is_echo(&mut self) -> bool {
        *self.is_echo.get_or_insert_with(|| self.echo.is_heard())
    }

    /// Whether the line was ever heard to have one.
    pub(crate) fn has_echo(&self) -> bool {
        self.echo.is_known()
    }

    fn duration(&self, samples: usize) -> Duration {
        SampleCount(samples as u64).duration(self.rate)
    }
}
