//! What was played to the caller, in the caller's line: the agent's own voice, and people's.
//!
//! A speakerphone sends back what it plays: some 40 to 300 ms later, 15 to 40 dB lower, through a
//! room and a codec, and the network adds a delay of its own. The call knows what it played, so it
//! can tell that from a caller who speaks.
//!
//! What the detector takes for speech is compared with what was played in the last second. The
//! delay is looked for once, by cross-correlation, and then kept: it stays the same for a call, or
//! nearly so. At that delay a short filter is fitted, from what was played to what is heard. It
//! explains nearly all of an echo, and next to nothing of a caller, who is louder than the echo.
//! What it explains tells how loud the line's echo can be; later frames that are not louder
//! are echo, too, as the room's last reflections are, which the filter is too short for.
//!
//! Before all that stands what a level can say: no echo is nearly as loud as the voice that it is of, and
//! none is much louder than any that the line was heard to have. So a caller who speaks up is
//! heard at once, also one whose voice is of the agent's synthesiser and would look like its echo.
//!
//! For telephone audio of 8 kHz. While nothing was played, nothing is judged.

use std::{cell::RefCell, sync::Arc};

use rustfft::{Fft, FftPlanner, num_complex::Complex};

/// Delays up to this many samples are found: 1.02 s.
const LONGEST_LAG: usize = 8_192;
/// How much of the line the delay is looked for in: 128 ms.
const SEARCHED: usize = 1_024;
/// The length of a transform, twice as much.
const TRANSFORM: usize = 2 * SEARCHED;
/// How much of the line the filter is fitted to: 64 ms.
const FITTED: usize = 512;
/// The filter's length: 3 ms, and how much of it lies before the delay that was found.
const TAPS: usize = 24;
const TAPS_BEFORE: usize = 6;
/// A frame: 20 ms.
const FRAME: usize = 160;

/// A correlation this many times its root mean square over all delays is an echo's. Other speech
/// comes to 4 to 7.
const PEAK: f32 = 6.0;
/// An echo has at least this share of its energy explained. Other speech: 0.1 to 0.3.
const EXPLAINED: f32 = 0.45;
/// An echo that was found is followed while it is explained this well.
const STILL_EXPLAINED: f32 = 0.4;
/// A frame is no louder than the echo if it is less than this many times as strong.
const LOUDER: f32 = 2.0;
/// A frame that is this many times as strong is not only the echo, once the echo was heard in so
/// many frames.
const MUCH_LOUDER: f32 = 6.0;
const TRUSTED: u32 = 3;
/// The correlation of tones has peaks nearly as high around its highest: none may come to this share
/// of it, from one distance to the other, in samples.
const ALONE: f32 = 0.9;
const NEIGHBOURS: std::ops::RangeInclusive<usize> = 12..=160;
/// No echo has more than this share of the energy of what was played: 7 dB less.
const LOUDEST: f32 = 0.2;
/// An echo may be this many times as strong as the line's loudest was in relation to what was played:
/// rooms and phones give back some sounds better than others.
const STRONGER: f32 = 6.0;
/// What was not this strong tells nothing about its echo: −45 dBFS in a frame.
const TELLING: f32 = FRAME as f32 * 184.0 * 184.0;
/// A line may come to have a louder echo: 2 dB a second.
const GAIN_RISES: f32 = 1.01;
/// An echo of a frame has come by so many frames later.
const LATEST: usize = LONGEST_LAG / FRAME + 2;

/// A frame that is not this many times as strong as the line's noise is nothing but that.
const ABOVE_NOISE: f32 = 4.0;
/// The noise is believed to rise so quickly with each frame: 1 dB a second.
const NOISE_RISES: f32 = 1.005;
/// The energy of a frame of digital silence, as it were.
const QUIETEST: f32 = FRAME as f32 * 4.0;
/// A room adds to what the filter explains.
const ROOM_ADDS: f32 = 1.5;
/// So much of the loudest echo's gain is forgotten with each frame that has one: some 20 s.
const FORGOTTEN: f32 = 0.999;
/// How quickly a room goes silent: to this share of the energy in 20 ms (60 dB in 400 ms).
const ROOM: f32 = 0.5;

/// Compares what the caller's line brings with what was played.
pub(crate) struct Echo {
    near: History,
    far: History,
    /// Samples since the last one that was not silent was played.
    far_silent: usize,
    /// The energy of a frame of the line in which there is only noise.
    noise: f32,
    levels: Levels,
    path: Option<Path>,
}

/// How strong the line and what was played were, frame by frame, and what that says about echoes.
struct Levels {
    near: [f32; LATEST],
    far: [f32; LATEST],
    at: usize,
    /// Of the frame that is not complete.
    samples: usize,
    near_energy: f32,
    far_energy: f32,
    /// No echo of this line has had more than this share of the energy of its source.
    gain: f32,
}

/// The way from the phone's loudspeaker to its microphone.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Path {
    /// In samples.
    lag: usize,
    /// The energy of an echo relative to that of its source, at most.
    gain: f32,
    /// In how many frames it was heard.
    heard: u32,
}

impl Levels {
    fn new() -> Self {
        Self {
            near: [0.0; LATEST],
            far: [0.0; LATEST],
            at: 0,
            samples: 0,
            near_energy: 0.0,
            far_energy: 0.0,
            gain: LOUDEST,
        }
    }

    /// Takes the next audio; whether the line's greatest gain may have changed.
    fn push(&mut self, near: &[i16], far: &[i16]) -> bool {
        self.samples += near.len();
        self.near_energy += energy(near);
        self.far_energy += energy(far);
        if self.samples < FRAME {
            return false;
        }
        // Longer audio counts as one frame of its mean.
        let per_frame = FRAME as f32 / self.samples as f32;
        let source = std::mem::replace(&mut self.far[self.at], self.far_energy * per_frame);
        self.near[self.at] = self.near_energy * per_frame;
        self.at = (self.at + 1) % LATEST;
        (self.samples, self.near_energy, self.far_energy) = (0, 0.0, 0.0);
        self.gain = (self.gain * GAIN_RISES).min(LOUDEST);
        if source >= TELLING {
            let loudest = self.near.iter().copied().fold(QUIETEST, f32::max);
            self.gain = self.gain.min(loudest / source);
        }
        true
    }

    /// No echo of what was played in the last second has more energy in a frame.
    fn loudest_echo(&self) -> f32 {
        let source = self.far.iter().copied().fold(self.far_energy, f32::max);
        source * (self.gain * STRONGER).min(LOUDEST)
    }
}

/// What a short filter makes of what was played.
#[derive(Clone, Copy, Debug, Default)]
struct Fit {
    /// The share of the line's energy that it explains.
    explained: f32,
    /// The energy that it explains, relative to that of what was played.
    gain: f32,
}

impl Echo {
    pub(crate) fn new() -> Self {
        Self {
            near: History::new(SEARCHED + FRAME),
            far: History::new(LONGEST_LAG + SEARCHED + TAPS + FRAME),
            far_silent: usize::MAX,
            noise: f32::MAX,
            levels: Levels::new(),
            path: None,
        }
    }

    /// Takes the next audio of the line, and what was played at the same time.
    pub(crate) fn push(&mut self, near: &[i16], played: &[i16]) {
        self.near.push(near);
        self.far.push(played);
        if self.levels.push(near, played)
            && let Some(path) = self.path
            && path.gain > self.levels.gain * STRONGER
        {
            // There would have been more of it.
            self.path = None;
        }
        let per_frame = FRAME as f32 / near.len().max(1) as f32;
        let energy = (energy(near) * per_frame).max(QUIETEST);
        self.noise = energy.min(self.noise * NOISE_RISES);
        let silent = played.iter().rev().take_while(|s| s.unsigned_abs() < 16);
        let silent = silent.count();
        if silent == played.len() {
            self.far_silent = self.far_silent.saturating_add(silent);
        } else {
            self.far_silent = silent;
        }
    }

    /// Whether the newest audio of the line is nothing but what was played before.
    pub(crate) fn is_heard(&mut self) -> bool {
        if self.far_silent > LONGEST_LAG {
            return false;
        }
        let energy = self.energy();
        if energy > self.levels.loudest_echo() {
            return false;
        }
        if let Some(path) = self.path {
            let expected = path.gain * self.source(path.lag);
            // A detector believes in speech for a while after its end.
            if energy <= (expected * LOUDER).max(self.noise * ABOVE_NOISE) {
                return true;
            }
            if energy <= expected * MUCH_LOUDER || path.heard < TRUSTED {
                let fit = self.fit(path.lag);
                if fit.explained >= STILL_EXPLAINED {
                    self.learn(path.lag, fit);
                    return true;
                }
            }
        }
        let Some(lag) = self.find() else { return false };
        let fit = self.fit(lag);
        let is_echo = fit.explained >= EXPLAINED;
        if is_echo {
            self.learn(lag, fit);
        }
        is_echo
    }

    /// Whether an echo was heard in this call.
    pub(crate) fn is_known(&self) -> bool {
        self.path.is_some()
    }

    /// An echo was heard with this delay.
    fn learn(&mut self, lag: usize, fit: Fit) {
        let gain = fit.gain * ROOM_ADDS;
        match &mut self.path {
            Some(path) if path.lag.abs_diff(lag) <= TAPS => {
                path.gain = gain.max(path.gain * FORGOTTEN);
                path.heard = path.heard.saturating_add(1);
            }
            path => {
                *path = Some(Path {
                    lag,
                    gain,
                    heard: 1,
                });
            }
        }
    }

    /// The energy of the line's newest frame.
    fn energy(&self) -> f32 {
        energy(self.near.newest(FRAME))
    }

    /// The energy of what would be heard in the line's newest frame if the room gave all of it back.
    fn source(&self, lag: usize) -> f32 {
        let mut source: f32 = 0.0;
        let mut room = 1.0;
        for back in 0..8 {
            let end = lag.saturating_sub(TAPS_BEFORE) + back * FRAME;
            if end + FRAME > LONGEST_LAG {
                break;
            }
            source = source.max(energy(self.far.before(end, FRAME)) * room);
            room *= ROOM;
        }
        source
    }

    /// How well a short filter at `lag` explains the line's newest audio.
    fn fit(&self, lag: usize) -> Fit {
        let lag = lag.max(TAPS_BEFORE);
        let mut near = [0.0; FITTED];
        let mut far = [0.0; FITTED + TAPS];
        emphasise(self.near.newest(FITTED + 1), &mut near);
        let newest = lag - TAPS_BEFORE;
        emphasise(self.far.before(newest, FITTED + TAPS + 1), &mut far);
        // far[n + TAPS - k] is what was played k samples before near[n]'s earliest source.
        let mut auto = [0.0; TAPS];
        let mut cross = [0.0; TAPS];
        let recent = &far[TAPS..];
        for k in 0..TAPS {
            let delayed = &far[TAPS - k..TAPS - k + FITTED];
            auto[k] = dot(recent, delayed);
            cross[k] = dot(&near, delayed);
        }
        let whole = dot(&near, &near);
        if whole <= 0.0 || auto[0] <= 0.0 {
            return Fit::default();
        }
        auto[0] *= 1.0005;
        let explained = levinson(&auto, &cross).clamp(0.0, whole);
        Fit {
            explained: explained / whole,
            gain: explained / auto[0],
        }
    }

    /// The delay at which the line is most like what was played, if it is like it at all.
    fn find(&self) -> Option<usize> {
        SEARCH.with_borrow_mut(|search| search.run(&self.near, &self.far))
    }
}

/// The newest samples of a stream.
struct History {
    samples: Vec<i16>,
    kept: usize,
    end: usize,
}

impl History {
    fn new(kept: usize) -> Self {
        Self {
            samples: vec![0; kept + 16 * FRAME],
            kept,
            end: kept,
        }
    }

    fn push(&mut self, mut new: &[i16]) {
        new = &new[new.len().saturating_sub(self.kept)..];
        if self.end + new.len() > self.samples.len() {
            let keep = self.kept.min(self.end);
            self.samples.copy_within(self.end - keep..self.end, 0);
            self.end = keep;
        }
        if self.end + new.len() > self.samples.len() {
            self.samples.resize(self.end + new.len(), 0);
        }
        self.samples[self.end..self.end + new.len()].copy_from_slice(new);
        self.end += new.len();
    }

    fn newest(&self, count: usize) -> &[i16] {
        self.before(0, count)
    }

    /// `count` samples, of which the last is `newer` samples before the newest.
    fn before(&self, newer: usize, count: usize) -> &[i16] {
        &self.samples[self.end - newer - count..self.end - newer]
    }
}

thread_local! {
    /// The working memory of a search, 140 KiB with its tables, which no call needs for long: those on
    /// a thread share it. Nothing of one search is left to the next.
    static SEARCH: RefCell<Search> = RefCell::new(Search::new());
}

/// Looks for the delay.
struct Search {
    fft: Arc<dyn Fft<f32>>,
    inverse: Arc<dyn Fft<f32>>,
    scratch: Vec<Complex<f32>>,
    near: Vec<Complex<f32>>,
    far: Vec<Complex<f32>>,
    correlation: Vec<f32>,
}

impl Search {
    fn new() -> Self {
        let mut planner = FftPlanner::new();
        let fft = planner.plan_fft_forward(TRANSFORM);
        let inverse = planner.plan_fft_inverse(TRANSFORM);
        let scratch = fft.get_inplace_scratch_len();
        let scratch = scratch.max(inverse.get_inplace_scratch_len());
        let zero = Complex::new(0.0, 0.0);
        Self {
            fft,
            inverse,
            scratch: vec![zero; scratch],
            near: vec![zero; TRANSFORM],
            far: vec![zero; TRANSFORM],
            correlation: vec![0.0; LONGEST_LAG],
        }
    }

    fn run(&mut self, near: &History, far: &History) -> Option<usize> {
        let mut emphasised = [0.0; SEARCHED];
        emphasise(near.newest(SEARCHED + 1), &mut emphasised);
        let zero = Complex::new(0.0, 0.0);
        self.near.fill(zero);
        for (bin, sample) in self.near.iter_mut().zip(&emphasised) {
            bin.re = *sample;
        }
        self.fft
            .process_with_scratch(&mut self.near, &mut self.scratch);
        // Weighted by what the line's spectrum lacks: every frequency that an echo has counts.
        let power: f32 = self.near.iter().map(Complex::norm_sqr).sum::<f32>() / TRANSFORM as f32;
        if power <= 0.0 {
            return None;
        }
        for bin in &mut self.near {
            *bin = bin.conj() / (bin.norm_sqr() + 0.03 * power);
        }
        // Two stretches of what was played at a time: one as the real, one as the imaginary part.
        let mut ahead = [0.0; TRANSFORM];
        let mut behind = [0.0; TRANSFORM];
        for pair in 0..LONGEST_LAG / TRANSFORM {
            // Ends that lie so far back; a correlation at 0..SEARCHED from the start of each.
            let newer = pair * TRANSFORM;
            take(far, newer, &mut ahead);
            take(far, newer + SEARCHED, &mut behind);
            for ((bin, ahead), behind) in self.far.iter_mut().zip(&ahead).zip(&behind) {
                *bin = Complex::new(*ahead, *behind);
            }
            self.fft
                .process_with_scratch(&mut self.far, &mut self.scratch);
            for (bin, near) in self.far.iter_mut().zip(&self.near) {
                *bin *= near;
            }
            self.inverse
                .process_with_scratch(&mut self.far, &mut self.scratch);
            // At offset m the line begins m samples after the stretch does.
            for offset in 1..=SEARCHED {
                let lag = newer + SEARCHED - offset;
                self.correlation[lag] = self.far[offset].re;
                self.correlation[lag + SEARCHED] = self.far[offset].im;
            }
        }
        let squares: f32 = self.correlation.iter().map(|c| c * c).sum();
        let usual = (squares / LONGEST_LAG as f32).sqrt();
        let (lag, peak) = self
            .correlation
            .iter()
            .enumerate()
            .max_by(|(_, a), (_, b)| a.abs().total_cmp(&b.abs()))?;
        let neighbours = NEIGHBOURS.flat_map(|d| [lag.checked_sub(d), lag.checked_add(d)]);
        let mut neighbours = neighbours
            .flatten()
            .filter_map(|at| self.correlation.get(at));
        let is_alone = neighbours.all(|c| c.abs() < peak.abs() * ALONE);
        (is_alone && peak.abs() > PEAK * usual).then_some(lag)
    }
}

/// The stretch that ends `newer` samples before the newest.
fn take(far: &History, newer: usize, stretch: &mut [f32; TRANSFORM]) {
    let available = far.kept - newer;
    if available > TRANSFORM {
        emphasise(far.before(newer, TRANSFORM + 1), stretch);
    } else {
        // The oldest stretch begins with less.
        let (missing, rest) = stretch.split_at_mut(TRANSFORM + 1 - available);
        missing.fill(0.0);
        emphasise(far.before(newer, available), rest);
    }
}

/// Lifts the high frequencies, of which speech has little: `to` has one sample less.
fn emphasise(from: &[i16], to: &mut [f32]) {
    for (pair, sample) in from.windows(2).zip(to) {
        *sample = f32::from(pair[1]) - 0.9 * f32::from(pair[0]);
    }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums at a time, which compilers turn into vectors.
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum()
}

fn energy(samples: &[i16]) -> f32 {
    let energy: i64 = samples.iter().map(|sample| i64::from(*sample).pow(2)).sum();
    energy as f32
}

/// Solves the normal equations of the autocorrelation `auto` and the cross-correlation `cross`;
/// the energy that their solution explains.
fn levinson(auto: &[f32; TAPS], cross: &[f32; TAPS]) -> f32 {
    let mut predictor = [0.0; TAPS];
    let mut filter = [0.0; TAPS];
    predictor[0] = 1.0;
    let mut error = auto[0];
    filter[0] = cross[0] / error;
    for order in 1..TAPS {
        let reflected: f32 = (0..order).map(|k| predictor[k] * auto[order - k]).sum();
        let reflection = -reflected / error;
        let previous = predictor;
        for k in 1..=order {
            predictor[k] = previous[k] + reflection * previous[order - k];
        }
        error *= 1.0 - reflection * reflection;
        if error <= auto[0] * 1e-6 {
            break;
        }
        let predicted: f32 = (0..order).map(|k| filter[k] * auto[order - k]).sum();
        let step = (cross[order] - predicted) / error;
        for k in 0..=order {
            filter[k] += step * predictor[order - k];
        }
    }
    filter.iter().zip(cross).map(|(f, c)| f * c).sum()
}

#[cfg(test)]
#[path = "echo_tests.rs"]
mod tests;
