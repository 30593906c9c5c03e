//! The agent's audio as the leg will get it, and how much of it was sent.
//!
//! Positions are samples since the epoch began. Samples are kept for a while after they were sent:
//! an interruption may turn out to be none, and then they are sent again.

use std::{collections::VecDeque, time::Duration};

use sidetone_codecs::{SampleRate, g711};

use crate::dialect::{Encoding, LegFormat};

/// Playout goes on where it is most quiet, so near the beginning of a word.
const SNAP: Duration = Duration::from_millis(80);
const SNAP_STEP: Duration = Duration::from_millis(10);

/// Audio in the leg's format: what was not sent yet, and in front of it what was but may not have
/// been heard. Both of G.711's laws have one byte a sample.
#[derive(Debug)]
pub(super) struct Queue {
    format: LegFormat,
    codes: VecDeque<u8>,
    /// The position of the first sample that is kept.
    kept_from: u64,
    sent: u64,
    /// Filler that was interjected reaches this far: it is sent though the rest is held.
    filler_end: u64,
    encoded: Vec<u8>,
}

impl Queue {
    pub(super) fn new(format: LegFormat) -> Self {
        Self {
            format,
            codes: VecDeque::new(),
            kept_from: 0,
            sent: 0,
            filler_end: 0,
            encoded: Vec::new(),
        }
    }

    /// The rate its samples have.
    pub(super) fn rate(&self) -> SampleRate {
        self.format.rate
    }

    /// The position of the first sample that is still there.
    pub(super) fn kept_from(&self) -> u64 {
        self.kept_from
    }

    /// The position up to which samples were sent.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// The position behind the last sample.
    pub(super) fn end(&self) -> u64 {
        self.kept_from + self.codes.len() as u64
    }

    /// How many samples wait to be sent.
    pub(super) fn unsent(&self) -> usize {
        self.codes.len() - self.sent_len()
    }

    /// How many samples may be sent, if all but filler is `held`.
    pub(super) fn sendable(&self, held: bool) -> usize {
        if held {
            usize::try_from(self.filler_end.saturating_sub(self.sent)).expect("a phrase")
        } else {
            self.unsent()
        }
    }

    /// Appends samples of the leg's rate.
    pub(super) fn push(&mut self, pcm: &[i16]) {
        self.encode(pcm);
        self.codes.extend(&self.encoded);
    }

    /// Puts filler of the leg's rate in front of everything that was not sent.
    pub(super) fn interject(&mut self, pcm: &[i16]) {
        self.encode(pcm);
        let behind = self.codes.split_off(self.sent_len());
        self.codes.extend(&self.encoded);
        self.codes.extend(behind);
        self.filler_end = self.filler_end.max(self.sent) + pcm.len() as u64;
    }

    /// The next `len` samples, at most those that wait: they are sent now.
    pub(super) fn send(&mut self, len: usize) -> Vec<u8> {
        let start = self.sent_len();
        self.sent += len as u64;
        self.codes.range(start..start + len).copied().collect()
    }

    /// What was sent from `position` on is to be sent again.
    pub(super) fn unsend(&mut self, position: u64) {
        self.sent = self.sent.min(position.max(self.kept_from));
    }

    /// Audio of the leg's rate in its format.
    pub(super) fn encoded(&mut self, pcm: &[i16]) -> Vec<u8> {
        self.encode(pcm);
        self.encoded.clone()
    }

    /// Takes the next `len` samples, at most those that wait, as sent, and appends them to `pcm`.
    pub(super) fn take(&mut self, len: usize, pcm: &mut Vec<i16>) {
        let start = self.sent_len();
        self.sent += len as u64;
        let codes = self.codes.range(start..start + len);
        pcm.extend(codes.map(|code| self.decode(*code)));
    }

    /// Lets go of the samples in front of `position`.
    pub(super) fn forget_before(&mut self, position: u64) {
        if let Ok(len @ 1..) = usize::try_from(position.saturating_sub(self.kept_from)) {
            self.codes.drain(..len);
            self.kept_from = position;
        }
    }

    /// What is kept from `position` on is position 0 of the next epoch, and nothing of it was sent.
    pub(super) fn rewind(&mut self, position: u64) {
        self.forget_before(position);
        (self.kept_from, self.sent, self.filler_end) = (0, 0, 0);
    }

    /// Nothing is queued in the next epoch.
    pub(super) fn clear(&mut self) {
        self.codes.clear();
        self.rewind(0);
    }

    /// The sample at `position`, if it is still there.
    pub(super) fn sample(&self, position: u64) -> Option<i16> {
        let index = usize::try_from(position.checked_sub(self.kept_from)?).ok()?;
        self.codes.get(index).map(|code| self.decode(*code))
    }

    /// Where it is most quiet around `position`, not after `last`.
    pub(super) fn quietest_near(&self, position: u64, last: u64) -> u64 {
        let len = |duration| self.format.rate.samples_in(duration).0;
        let (snap, step) = (len(SNAP), len(SNAP_STEP));
        let first = position.saturating_sub(snap).max(self.kept_from);
        let last = (position + snap)
            .min(last)
            .min(self.end().saturating_sub(step));
        let loudness = |from: &u64| {
            let start = usize::try_from(from - self.kept_from).expect("it is in the queue");
            let end = start + usize::try_from(step).expect("10 ms");
            let samples = self.codes.range(start..end).map(|code| self.decode(*code));
            samples.map(|sample| i64::from(sample).pow(2)).sum::<i64>()
        };
        let steps = usize::try_from(step.max(1)).expect("10 ms");
        let places = (first..=last).step_by(steps);
        places.min_by_key(loudness).unwrap_or(position)
    }

    /// How many of the samples that are kept were sent.
    fn sent_len(&self) -> usize {
        usize::try_from(self.sent - self.kept_from).expect("they fit the memory")
    }

    fn encode(&mut self, pcm: &[i16]) {
        self.encoded.clear();
        match self.format.encoding {
            Encoding::Mulaw => g711::mulaw::encode_append(pcm, &mut self.encoded),
            Encoding::Alaw => g711::alaw::encode_append(pcm, &mut self.encoded),
        }
    }

    fn decode(&self, code: u8) -> i16 {
        match self.format.encoding {
            Encoding::Mulaw => g711::mulaw::decode(code),
            Encoding::Alaw => g711::alaw::decode(code),
        }
    }
}
