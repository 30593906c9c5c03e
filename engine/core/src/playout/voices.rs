//! What the caller's leg plays of people's voices.
//!
//! A phone's loudspeaker gives them back as it does the agent's: whoever looks for echo needs to know of
//! both. They are kept only for as long as the line may lag behind what it is compared with.

use std::{collections::VecDeque, time::Duration};

use sidetone_codecs::{SampleCount, SampleRate};

use crate::{bridge::mix, time::CallTime};

/// So much is kept. The line is compared with what was played some 40 ms earlier, and its audio is
/// late by some 150 ms at most.
const KEPT: Duration = Duration::from_millis(500);

/// The newest of what people were heard to say, on the clock of a leg that every message reaches at
/// once.
#[derive(Debug)]
pub(super) struct Voices {
    rate: SampleRate,
    samples: VecDeque<i16>,
    /// When the last of them will have been played.
    end: CallTime,
}

impl Voices {
    pub(super) fn new(rate: SampleRate) -> Self {
        Self {
            rate,
            samples: VecDeque::new(),
            end: CallTime::ZERO,
        }
    }

    /// When the last of what was sent will have been played.
    pub(super) fn end(&self) -> CallTime {
        self.end
    }

    /// `pcm` is played from `from` on, behind what is being played.
    pub(super) fn push(&mut self, from: CallTime, pcm: &[i16]) {
        let kept = self.len(KEPT);
        match self.len(from.since(self.end)) {
            pause if pause < kept => self.samples.extend(std::iter::repeat_n(0, pause)),
            _ => self.samples.clear(),
        }
        self.samples.extend(pcm);
        let old = self.samples.len().saturating_sub(kept);
        self.samples.drain(..old);
        self.end = from + SampleCount::of(pcm).duration(self.rate);
    }

    /// The leg was cleared: what it has not played by `now` it never will.
    pub(super) fn cut(&mut self, now: CallTime) {
        let unheard = self.len(self.end.since(now)).min(self.samples.len());
        self.samples.truncate(self.samples.len() - unheard);
        self.end = self.end.min(now);
    }

    /// Mixes what is played from `from` on into `pcm`.
    pub(super) fn mix_into(&self, from: CallTime, pcm: &mut [i16]) {
        let count = self.samples.len();
        // The first sample of `pcm` is so many before the end, or behind it.
        let before = self.len(self.end.since(from));
        let (skipped, first) = match before.checked_sub(count) {
            Some(missing) => (missing, 0),
            None => (0, count - before),
        };
        let behind = self.len(from.since(self.end));
        if behind > 0 || skipped >= pcm.len() {
            return;
        }
        let voices = self.samples.range(first..);
        for (sample, voice) in pcm[skipped..].iter_mut().zip(voices) {
            *sample = mix(*sample, *voice);
        }
    }

    fn len(&self, duration: Duration) -> usize {
        usize::try_from(self.rate.samples_in(duration).0).unwrap_or(usize::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    /// What is played in the 20 ms from `ms` on, as its first and its last sample.
    fn played(voices: &Voices, ms: u64) -> (i16, i16) {
        let mut pcm = [0; 160];
        voices.mix_into(at(ms), &mut pcm);
        (pcm[0], pcm[159])
    }

    fn voices() -> Voices {
        let mut voices = Voices::new(SampleRate::HZ_8000);
        voices.push(at(100), &[1; 160]);
        voices.push(at(120), &[2; 160]);
        voices.push(at(180), &[3; 160]);
        voices
    }

    #[test]
    fn what_was_sent_is_played_when_it_is_due() {
        let voices = voices();
        for (ms, heard) in [
            (0, (0, 0)),
            (80, (0, 0)),
            (90, (0, 1)),
            (100, (1, 1)),
            (110, (1, 2)),
            (140, (0, 0)),
            (190, (3, 0)),
            (200, (0, 0)),
            (10_000, (0, 0)),
        ] {
            assert_eq!(played(&voices, ms), heard, "{ms}");
        }
        assert_eq!(voices.end(), at(200));
    }

    #[test]
    fn it_is_added_to_what_else_is_played() {
        let mut pcm = [1_000; 160];
        voices().mix_into(at(110), &mut pcm);
        assert_eq!((pcm[0], pcm[159]), (1_001, 1_002));
    }

    #[test]
    fn what_was_cleared_was_not_played() {
        let mut voices = voices();
        voices.cut(at(130));
        assert_eq!(played(&voices, 120), (2, 0));
        assert_eq!(played(&voices, 180), (0, 0));
        voices.cut(at(500));
        assert_eq!(voices.end(), at(130));
    }

    #[test]
    fn a_long_speech_is_not_kept() {
        let mut voices = Voices::new(SampleRate::HZ_8000);
        for n in 0..1_000 {
            voices.push(at(n * 20), &[1; 160]);
        }
        assert_eq!(voices.samples.len(), 4_000);
        voices.push(at(60_000), &[1; 160]);
        assert_eq!(voices.samples.len(), 160, "nobody spoke for long");
    }
}
