//! Loudness, speech in recordings, and the sound of a quiet room.

use std::{ops::Range, sync::Arc};

use sidetone_codecs::SampleRate;

/// The rate of everything the phone says and hears.
pub const RATE: SampleRate = SampleRate::HZ_8000;

/// Samples in one media message of the caller: 20 ms.
pub const FRAME_LEN: usize = 160;

/// Loudness is judged over this many samples: 5 ms.
const WINDOW_LEN: usize = 40;

/// A window at or above this level, as a root mean square, is somebody's voice: −42 dBFS.
const VOICE_RMS: f64 = 260.0;

/// A voice that has been below the level for this many windows has stopped: 200 ms.
const HANGOVER_WINDOWS: u64 = 40;

/// The span of `audio` that holds speech: from the first loud sample to the last, to 5 ms. The
/// whole of it if nothing in it is loud.
#[must_use]
pub fn speech_span(audio: &[i16]) -> Range<usize> {
    let loud = |window: &[i16]| is_voice(window);
    let first = audio.chunks(WINDOW_LEN).position(loud);
    let last = audio.chunks(WINDOW_LEN).rposition(loud);
    match (first, last) {
        (Some(first), Some(last)) => first * WINDOW_LEN..((last + 1) * WINDOW_LEN).min(audio.len()),
        _ => 0..audio.len(),
    }
}

fn is_voice(window: &[i16]) -> bool {
    let energy: f64 = window.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    energy >= VOICE_RMS * VOICE_RMS * window.len() as f64
}

/// Tells when a voice begins and when it stops, in samples since the first sample pushed.
#[derive(Clone, Debug, Default)]
pub struct VoiceMeter {
    /// Samples of the window that is being filled.
    window: Vec<i16>,
    /// Windows judged so far.
    windows: u64,
    /// While a voice is heard: the window after its last loud one.
    voice_until: Option<u64>,
}

/// A change that a [`VoiceMeter`] noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoiceChange {
    /// A voice began with this sample.
    Began(u64),
    /// The voice stopped before this sample.
    Stopped(u64),
}

impl VoiceMeter {
    /// Takes the next samples and reports each change, in order.
    pub fn push(&mut self, samples: &[i16], mut report: impl FnMut(VoiceChange)) {
        for &sample in samples {
            self.window.push(sample);
            if self.window.len() == WINDOW_LEN {
                if let Some(change) = self.judge() {
                    report(change);
                }
                self.window.clear();
            }
        }
    }

    /// The voice was cut off: the silence that follows is no pause in it.
    pub fn cut(&mut self) -> Option<VoiceChange> {
        // What was heard of the window being filled is no new beginning.
        self.window.fill(0);
        let until = self.voice_until.take()?;
        Some(VoiceChange::Stopped(until * WINDOW_LEN as u64))
    }

    /// Somebody is speaking.
    #[must_use]
    pub fn hears_voice(&self) -> bool {
        self.voice_until.is_some()
    }

    fn judge(&mut self) -> Option<VoiceChange> {
        let start = self.windows;
        self.windows += 1;
        if is_voice(&self.window) {
            let began = self.voice_until.replace(self.windows).is_none();
            return began.then_some(VoiceChange::Began(start * WINDOW_LEN as u64));
        }
        let until = self.voice_until?;
        if self.windows - until < HANGOVER_WINDOWS {
            return None;
        }
        self.voice_until = None;
        Some(VoiceChange::Stopped(until * WINDOW_LEN as u64))
    }
}

/// What a microphone picks up while nobody speaks: the same soft noise in every run.
#[derive(Clone, Debug)]
pub struct Background {
    noise: Arc<[i16]>,
}

impl Background {
    /// Noise of this loudness in dB relative to full scale, or silence.
    #[must_use]
    pub fn new(dbfs: Option<f32>) -> Self {
        /// About four seconds; a prime, so that no frame starts where another did for long.
        const NOISE_LEN: usize = 32_749;
        let Some(dbfs) = dbfs else {
            return Self {
                noise: Arc::from([0]),
            };
        };
        // Three uniform variables added up have a deviation of half their range.
        let deviation = 10f32.powf(dbfs / 20.0) * 32_768.0;
        let mut random = fastrand::Rng::with_seed(8_000);
        let noise = (0..NOISE_LEN)
            .map(|_| {
                let sum: f32 = (0..3).map(|_| random.f32() * 2.0 - 1.0).sum();
                (sum * deviation) as i16
            })
            .collect();
        Self { noise }
    }

    /// The sample at `position`, in samples since the call began.
    #[must_use]
    pub fn sample(&self, position: u64) -> i16 {
        let len = self.noise.len() as u64;
        self.noise[(position % len) as usize]
    }
}

impl Default for Background {
    /// A quiet room: −60 dBFS.
    fn default() -> Self {
        Self::new(Some(-60.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(len: usize) -> Vec<i16> {
        (0..len)
            .map(|n| if n % 8 < 4 { 4_000 } else { -4_000 })
            .collect()
    }

    fn changes(meter: &mut VoiceMeter, samples: &[i16]) -> Vec<VoiceChange> {
        let mut changes = Vec::new();
        meter.push(samples, |change| changes.push(change));
        changes
    }

    #[test]
    fn speech_is_found_within_silence() {
        let audio = [vec![0; 400], tone(800), vec![0; 333]].concat();
        assert_eq!(speech_span(&audio), 400..1_200);
    }

    #[test]
    fn a_recording_without_speech_counts_whole() {
        assert_eq!(speech_span(&[0; 100]), 0..100);
        assert_eq!(speech_span(&[]), 0..0);
    }

    #[test]
    fn a_short_pause_does_not_end_a_voice_and_a_long_one_does() {
        let mut meter = VoiceMeter::default();
        assert_eq!(
            changes(&mut meter, &[vec![0; 80], tone(400)].concat()),
            [VoiceChange::Began(80)]
        );
        assert_eq!(changes(&mut meter, &[0; 1_200]), []);
        assert_eq!(changes(&mut meter, &tone(400)), []);
        assert_eq!(
            changes(&mut meter, &[0; 1_600]),
            [VoiceChange::Stopped(2_080)]
        );
        assert!(!meter.hears_voice());
    }

    #[test]
    fn chunk_size_does_not_matter() {
        let audio = [vec![0; 123], tone(777), vec![0; 3_000], tone(50)].concat();
        let whole = changes(&mut VoiceMeter::default(), &audio);
        let mut meter = VoiceMeter::default();
        let pieces: Vec<_> = audio
            .chunks(7)
            .flat_map(|piece| changes(&mut meter, piece))
            .collect();
        assert_eq!(whole, pieces);
        assert_eq!(whole.len(), 3);
    }

    #[test]
    fn a_cut_voice_stops_at_once() {
        let mut meter = VoiceMeter::default();
        changes(&mut meter, &tone(439));
        assert_eq!(meter.cut(), Some(VoiceChange::Stopped(400)));
        assert_eq!(meter.cut(), None);
        assert_eq!(changes(&mut meter, &[0; 400]), []);
    }

    #[test]
    fn the_room_is_as_loud_as_asked() {
        let room = Background::new(Some(-50.0));
        let energy: f64 = (0..32_000).map(|n| f64::from(room.sample(n)).powi(2)).sum();
        let dbfs = 10.0 * (energy / 32_000.0 / 32_768f64.powi(2)).log10();
        assert!((dbfs + 50.0).abs() < 0.5, "{dbfs}");
        assert_eq!(Background::new(None).sample(77), 0);
    }
}
