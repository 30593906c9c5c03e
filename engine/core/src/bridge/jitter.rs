//! Audio of one leg between its arrival, which jitters, and the bridge's clock, which does not.
//!
//! The buffer holds no more than it needs. Audio that comes too late for its tick is bridged and
//! then heard late: that alone makes the buffer as deep as the jitter asks for. Where nothing
//! came near running dry for a while, what is too much is cut out, a few ms at a time with a
//! cross-fade; so is what a clock that runs faster than the bridge's adds up to. A burst after a stall
//! is cut down at once: old audio is worth less than a low delay.

use std::{collections::VecDeque, time::Duration};

use sidetone_codecs::{SampleCount, SampleRate};

use super::quality::Quality;
use crate::time::CallTime;

/// Audio that would have to wait for this long is too late: for the next tick, and behind other audio. The
/// resamplers add less than 4 ms.
const MAX_WAIT: Duration = Duration::from_millis(56);
/// How long it waits when audio in front of it was cut out for that.
const KEPT_WAIT: Duration = Duration::from_millis(50);
/// Cuts, and returns of audio after a gap, are faded over this length.
const FADE: Duration = Duration::from_millis(5);
/// So much audio was too much at every tick of a window: it is cut out, in pieces.
const EXCESS: Duration = Duration::from_millis(4);
const CUT: Duration = Duration::from_millis(10);
/// How many ticks are looked at for that, and how many after a gap.
const WINDOW: u32 = 150;
const WINDOW_AFTER_GAP: u32 = 500;
/// A gap that lasts longer is no gap: the leg sends nothing.
const LONGEST_GAP: Duration = Duration::from_secs(1);

/// Takes a leg's audio as it comes and gives it out a tick at a time.
#[derive(Debug)]
pub(crate) struct JitterBuffer {
    /// A tick's samples.
    frame: usize,
    max_wait: usize,
    kept_wait: usize,
    fade: usize,
    excess: usize,
    cut: usize,
    longest_gap: usize,
    samples: VecDeque<i16>,
    arrivals: VecDeque<Arrival>,
    /// The last real samples that were given out, a tick's worth.
    history: Vec<i16>,
    flow: Flow,
    /// The least that was left after a tick of this window, and the window's ticks still to come.
    least_left: usize,
    window: u32,
    quality: Quality,
    rate: SampleRate,
}

/// A stretch of samples that came together.
#[derive(Clone, Copy, Debug)]
struct Arrival {
    at: CallTime,
    left: usize,
    /// None of them was given out.
    is_whole: bool,
}

/// Whether audio is there when it is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It never was, or not for long.
    Idle,
    Flowing,
    /// So many samples were missing.
    Gap(usize),
}

impl JitterBuffer {
    /// An empty buffer for audio of `rate`, given out `frame` samples at a time.
    pub(crate) fn new(rate: SampleRate, frame: usize) -> Self {
        let len = |duration| {
            usize::try_from(rate.samples_in(duration).0).expect("less than a second of samples")
        };
        Self {
            frame,
            max_wait: len(MAX_WAIT),
            kept_wait: len(KEPT_WAIT),
            fade: len(FADE),
            excess: len(EXCESS),
            cut: len(CUT),
            longest_gap: len(LONGEST_GAP),
            samples: VecDeque::with_capacity(len(MAX_WAIT) * 2),
            arrivals: VecDeque::with_capacity(8),
            history: vec![0; frame],
            flow: Flow::Idle,
            least_left: usize::MAX,
            window: WINDOW,
            quality: Quality::default(),
            rate,
        }
    }

    /// Takes audio that has just come; the next tick is at `next`.
    pub(crate) fn push(&mut self, now: CallTime, next: CallTime, pcm: &[i16]) {
        if pcm.is_empty() {
            return;
        }
        // Of a message longer than any packet, only the end is not too old.
        let skipped = pcm.len().saturating_sub(self.longest_gap);
        self.quality.cut(self.duration(skipped));
        let pcm = &pcm[skipped..];
        // What came together is played together: only what is in front of it makes it wait.
        let ahead = self.samples.len();
        self.samples.extend(pcm);
        self.arrivals.push_back(Arrival {
            at: now,
            left: pcm.len(),
            is_whole: true,
        });
        let tick = usize::try_from(self.rate.samples_in(next.since(now)).0).unwrap_or(self.frame);
        let wait = ahead + tick.min(self.frame);
        if wait > self.max_wait {
            self.cut_out((wait - self.kept_wait).min(ahead));
        }
        if self.arrivals.len() > 64 {
            // Crumbs of a few samples each: what is not told apart waits as long as the oldest.
            let newest = self.arrivals.pop_back().expect("there are many");
            let last = self.arrivals.back_mut().expect("there are many");
            last.left += newest.left;
        }
    }

    /// Gives out the next tick's samples.
    pub(crate) fn pull(&mut self, now: CallTime, out: &mut Vec<i16>) {
        out.clear();
        let there = self.samples.len().min(self.frame);
        out.extend(self.samples.drain(..there));
        self.take_arrivals(there, Some(now));
        if there > 0 {
            if let Flow::Gap(_) | Flow::Idle = self.flow {
                let fade = self.fade.min(there);
                for (n, sample) in out[..fade].iter_mut().enumerate() {
                    *sample = scale(*sample, n, fade);
                }
            }
            self.flow = Flow::Flowing;
            self.history.drain(..there);
            self.history.extend_from_slice(out);
        }
        self.bridge(out);
        self.weigh();
    }

    /// The leg's audio so far.
    pub(crate) fn quality(&self) -> &Quality {
        &self.quality
    }

    /// Fills the tick up with what came last, backwards, fading to silence.
    fn bridge(&mut self, out: &mut Vec<i16>) {
        let missing = self.frame - out.len();
        if missing == 0 {
            return;
        }
        let begun = match self.flow {
            Flow::Idle => {
                out.resize(self.frame, 0);
                return;
            }
            Flow::Flowing => 0,
            Flow::Gap(begun) => begun,
        };
        for n in begun..begun + missing {
            let left = self.frame.saturating_sub(n);
            let sample = match left {
                0 => 0,
                left => scale(self.history[left - 1], left, self.frame),
            };
            out.push(sample);
        }
        let gap = begun + missing;
        self.quality.conceal(self.duration(missing));
        self.window = WINDOW_AFTER_GAP;
        self.least_left = usize::MAX;
        self.flow = if gap < self.longest_gap {
            Flow::Gap(gap)
        } else {
            Flow::Idle
        };
    }

    /// Cuts out what was too much at every tick for a while.
    fn weigh(&mut self) {
        self.least_left = self.least_left.min(self.samples.len());
        self.window -= 1;
        if self.window > 0 {
            return;
        }
        if self.least_left >= self.excess {
            self.cut_out((self.least_left - self.excess / 2).min(self.cut));
        }
        self.window = WINDOW;
        self.least_left = usize::MAX;
    }

    /// Takes the next `len` samples out, as far as they are followed by enough to fade into.
    fn cut_out(&mut self, len: usize) {
        let fade = self.fade.min(self.samples.len().saturating_sub(len));
        if fade == 0 || len == 0 {
            return;
        }
        for n in 0..fade {
            let (old, new) = (self.samples[n], self.samples[len + n]);
            self.samples[len + n] = scale(new, n, fade) + scale(old, fade - n, fade);
        }
        self.samples.drain(..len);
        self.take_arrivals(len, None);
        self.quality.cut(self.duration(len));
    }

    /// So many samples are gone; `heard`: when they were given out.
    fn take_arrivals(&mut self, mut samples: usize, heard: Option<CallTime>) {
        while samples > 0
            && let Some(oldest) = self.arrivals.front_mut()
        {
            if std::mem::take(&mut oldest.is_whole)
                && let Some(heard) = heard
            {
                self.quality.waited(heard.since(oldest.at));
            }
            let taken = oldest.left.min(samples);
            oldest.left -= taken;
            samples -= taken;
            if oldest.left == 0 {
                self.arrivals.pop_front();
            }
        }
    }

    fn duration(&self, samples: usize) -> Duration {
        SampleCount(samples as u64).duration(self.rate)
    }
}

/// `sample` times `part / whole`.
fn scale(sample: i16, part: usize, whole: usize) -> i16 {
    let scaled = i64::from(sample) * part as i64 / whole.max(1) as i64;
    i16::try_from(scaled).unwrap_or(sample)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::person::BridgeQuality;

    const RATE: SampleRate = SampleRate::HZ_8000;
    const FRAME: usize = 160;

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    fn buffer() -> JitterBuffer {
        JitterBuffer::new(RATE, FRAME)
    }

    fn pull(buffer: &mut JitterBuffer, ms: u64) -> Vec<i16> {
        let mut out = Vec::new();
        buffer.pull(at(ms), &mut out);
        assert_eq!(out.len(), FRAME);
        out
    }

    #[test]
    fn audio_on_time_passes_unchanged() {
        let mut buffer = buffer();
        let packet = |n: u64| vec![n as i16 * 10; FRAME];
        for n in 1..500 {
            buffer.push(at(n * 20), at(n * 20 + 7), &packet(n));
            let out = pull(&mut buffer, n * 20 + 7);
            let begun = if n == 1 { 40 } else { 0 };
            assert_eq!(out[begun..], packet(n)[begun..], "packet {n}");
        }
        let told = buffer.quality().told();
        assert_eq!((told.concealed_ms, told.cut_ms), (0, 0));
        assert_eq!((told.mean_delay_us, told.max_delay_us), (7_000, 7_000));
    }

    #[test]
    fn a_gap_fades_to_silence_and_what_follows_fades_in() {
        let mut buffer = buffer();
        buffer.push(at(0), at(5), &[8_000; FRAME]);
        pull(&mut buffer, 5);
        let gap = pull(&mut buffer, 25);
        assert_eq!(gap[0], 8_000);
        assert!(gap.windows(2).all(|pair| pair[0] >= pair[1]), "it fades");
        assert!(gap[FRAME - 1] < 100);
        assert_eq!(pull(&mut buffer, 45), [0; FRAME]);
        buffer.push(at(50), at(65), &[8_000; FRAME]);
        let back = pull(&mut buffer, 65);
        assert_eq!((back[0], back[40], back[159]), (0, 8_000, 8_000));
        assert_eq!(buffer.quality().told().concealed_ms, 40);
    }

    /// A minute of packets that come up to `jitter_us` late; ticks are `phase_us` after they were sent.
    fn jittery(jitter_us: u64, phase_us: u64) -> BridgeQuality {
        let mut buffer = buffer();
        let mut random = fastrand::Rng::with_seed(7);
        let mut arrivals: Vec<u64> = (1..3_000)
            .map(|n| n * 20_000 + random.u64(..jitter_us))
            .collect();
        // The network keeps the order.
        for n in 1..arrivals.len() {
            arrivals[n] = arrivals[n].max(arrivals[n - 1]);
        }
        let mut arrivals = arrivals.into_iter().peekable();
        for tick in 1..3_000 {
            let now = CallTime::from_micros(tick * 20_000 + phase_us);
            while let Some(at) = arrivals.next_if(|at| *at <= now.as_micros()) {
                buffer.push(CallTime::from_micros(at), now, &[1_000; FRAME]);
            }
            buffer.pull(now, &mut Vec::new());
        }
        buffer.quality().told()
    }

    #[test]
    fn it_becomes_as_deep_as_the_jitter_and_no_deeper() {
        let told = jittery(30_000, 3_000);
        assert!(told.max_delay_us <= 60_000, "{told:?}");
        assert!(told.mean_delay_us <= 40_000, "{told:?}");
        assert!(told.concealed_ms <= 400, "{told:?}");
    }

    #[test]
    fn a_burst_after_a_stall_is_cut_down_at_once() {
        let mut buffer = buffer();
        for n in 0..20 {
            buffer.push(at(400), at(405), &[n * 100; FRAME]);
        }
        assert!(buffer.samples.len() <= buffer.max_wait + FRAME);
        for n in 0..3 {
            pull(&mut buffer, 405 + n * 20);
        }
        let latest = pull(&mut buffer, 465);
        assert_eq!(latest[0], 1_900, "the newest is heard");
        assert!(buffer.quality().told().cut_ms >= 300);
    }

    #[test]
    fn one_long_message_is_played_from_where_it_is_not_too_old() {
        let mut buffer = buffer();
        buffer.push(at(0), at(10), &vec![1; 8_000 * 20]);
        assert_eq!(buffer.samples.len(), 8_000);
        buffer.push(at(20), at(30), &[2; FRAME]);
        assert!(buffer.samples.len() <= buffer.max_wait + FRAME);
    }

    #[test]
    fn nothing_waits_longer_than_it_may() {
        // As much jitter as is borne, and ticks as late after packets as can be.
        let told = jittery(40_000, 19_000);
        assert!(told.max_delay_us <= 56_000, "{told:?}");
        assert!(told.concealed_ms <= 600, "of 60 s: {told:?}");
    }

    #[test]
    fn clocks_that_differ_cost_neither_delay_nor_gaps() {
        for ppm in [-200_i64, 200] {
            let mut buffer = buffer();
            let interval = (20_000_000 + ppm * 20) as u64;
            let (mut next, mut packet) = (0_u64, 0_u64);
            for tick in 0..180_000_u64 {
                let now = tick * 20_000 + 3_000;
                while next <= now {
                    buffer.push(
                        CallTime::from_micros(next),
                        CallTime::from_micros(now),
                        &[1_000; FRAME],
                    );
                    packet += 1;
                    next = packet * interval / 1_000;
                }
                buffer.pull(CallTime::from_micros(now), &mut Vec::new());
            }
            let told = buffer.quality().told();
            assert!(told.max_delay_us <= 45_000, "{ppm} ppm: {told:?}");
            // An hour at 200 ppm is 720 ms.
            assert!(told.concealed_ms <= 800, "{ppm} ppm: {told:?}");
            assert!(told.cut_ms <= 800, "{ppm} ppm: {told:?}");
        }
    }
}
