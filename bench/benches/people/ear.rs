//! Who is heard from which moment to which, told by tones: each party has one of its own.

use std::{collections::VecDeque, f64::consts::TAU, time::Duration};

use tokio::{sync::mpsc, time::Instant};

/// Whose tone it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Voice {
    Agent,
    Person,
    Caller,
}

impl Voice {
    pub(crate) const ALL: [Self; 3] = [Self::Agent, Self::Person, Self::Caller];

    /// In Hz: whole periods in a [`WINDOW`], so that none is heard in another's place.
    pub(crate) fn hz(self) -> u32 {
        match self {
            Self::Agent => 400,
            Self::Person => 1_000,
            Self::Caller => 1_600,
        }
    }
}

/// How loud the tones are made.
pub(crate) const AMPLITUDE: f64 = 8_000.0;
/// A tone is looked for in so much audio. It begins, and ends, where half of that is full of it: to about
/// half a millisecond.
const WINDOW: Duration = Duration::from_millis(5);
const BEGINS: f64 = AMPLITUDE * 0.5;
const ENDS: f64 = AMPLITUDE * 0.4;

/// A voice is heard from then on, or not any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Change {
    pub(crate) voice: Voice,
    pub(crate) begins: bool,
    pub(crate) at: Instant,
}

/// Listens.
pub(crate) struct Ear {
    rate: u32,
    position: u64,
    tones: [Tone; 3],
    changes: mpsc::UnboundedSender<Change>,
}

/// One tone in the latest audio: its two parts, sample by sample and in sum.
struct Tone {
    step: f64,
    parts: VecDeque<(f64, f64)>,
    sum: (f64, f64),
    is_heard: bool,
}

impl Ear {
    pub(crate) fn new(rate: u32) -> (Self, mpsc::UnboundedReceiver<Change>) {
        let (changes, heard) = mpsc::unbounded_channel();
        let window = samples(WINDOW, rate);
        let tones = Voice::ALL.map(|voice| Tone {
            step: TAU * f64::from(voice.hz()) / f64::from(rate),
            parts: VecDeque::from(vec![(0.0, 0.0); window]),
            sum: (0.0, 0.0),
            is_heard: false,
        });
        let ear = Self {
            rate,
            position: 0,
            tones,
            changes,
        };
        (ear, heard)
    }

    /// Hears what begins to sound at `from`.
    pub(crate) fn hear(&mut self, from: Instant, pcm: &[i16]) {
        for (n, sample) in pcm.iter().enumerate() {
            let sample = f64::from(*sample);
            for (voice, tone) in Voice::ALL.into_iter().zip(&mut self.tones) {
                let level = tone.push(self.position, sample);
                let is_heard = level > if tone.is_heard { ENDS } else { BEGINS };
                if is_heard == tone.is_heard {
                    continue;
                }
                tone.is_heard = is_heard;
                let after = Duration::from_secs_f64(n as f64 / f64::from(self.rate));
                let change = Change {
                    voice,
                    begins: is_heard,
                    at: from + after - WINDOW / 2,
                };
                // Nobody may want to know any more.
                let _ = self.changes.send(change);
            }
            self.position += 1;
        }
    }
}

impl Tone {
    /// The amplitude of the tone in the latest samples, `sample` among them.
    fn push(&mut self, position: u64, sample: f64) -> f64 {
        let phase = self.step * position as f64;
        let part = (sample * phase.cos(), sample * phase.sin());
        let (old_cos, old_sin) = self.parts.pop_front().unwrap_or_default();
        self.parts.push_back(part);
        self.sum.0 += part.0 - old_cos;
        self.sum.1 += part.1 - old_sin;
        2.0 * self.sum.0.hypot(self.sum.1) / self.parts.len() as f64
    }
}

/// What a mouth says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Says {
    /// Next to nothing: noise at about −60 dBFS.
    Nothing,
    /// A tone without end.
    Tone(Voice),
    /// The tone for 60 ms of each 300, beginning in the middle of a packet.
    Bursts(Voice),
}

/// Speaks, 20 ms at a time.
pub(crate) struct Mouth {
    says: Says,
    rate: u32,
    frame: u64,
    random: fastrand::Rng,
}

impl Mouth {
    const BURST_EVERY: u64 = 15;
    const BURST: u64 = 3;

    pub(crate) fn new(says: Says, rate: u32) -> Self {
        Self {
            says,
            rate,
            frame: 0,
            random: fastrand::Rng::with_seed(6),
        }
    }

    /// The next 20 ms, and how far into it a burst begins.
    pub(crate) fn next(&mut self) -> (Vec<i16>, Option<Duration>) {
        let frame = self.frame;
        self.frame += 1;
        let len = samples(Duration::from_millis(20), self.rate);
        let tone = |voice: Voice, n: usize| {
            let position = frame * len as u64 + n as u64;
            let phase = position as f64 * f64::from(voice.hz()) / f64::from(self.rate) * TAU;
            (phase.sin() * AMPLITUDE) as i16
        };
        match self.says {
            Says::Nothing => ((0..len).map(|_| self.random.i16(-50..=50)).collect(), None),
            Says::Tone(voice) => ((0..len).map(|n| tone(voice, n)).collect(), None),
            Says::Bursts(voice) => {
                let phase = frame % Self::BURST_EVERY;
                let middle = len / 2;
                let is_on = |n: usize| match phase {
                    0 => n >= middle,
                    Self::BURST => n < middle,
                    phase => phase < Self::BURST,
                };
                let pcm = (0..len).map(|n| if is_on(n) { tone(voice, n) } else { 0 });
                let begins = (phase == 0).then(|| Duration::from_millis(10));
                (pcm.collect(), begins)
            }
        }
    }
}

fn samples(duration: Duration, rate: u32) -> usize {
    (duration.as_micros() as usize * rate as usize) / 1_000_000
}
