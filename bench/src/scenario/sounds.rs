//! Sounds that are computed: coughs, doors, and the noise of a room. Every one follows from its
//! seed, and no two seeds sound alike.

use std::f32::consts::TAU;

use fastrand::Rng;
use sidetone_cli::phone::RATE;

use super::file::NoiseKind;

/// As loud as a caller's speech is recorded: a root mean square of about −18 dB.
const LOUD: f32 = 4_000.0;

/// A cough: one to three bursts of breath through a throat, 250 to 700 ms together.
pub(super) fn cough(seed: u64) -> Vec<i16> {
    let mut random = Rng::with_seed(seed);
    let bursts = random.usize(1..=3);
    let mut sound = Vec::new();
    for burst in 0..bursts {
        let len = samples(random.u64(120..=220));
        let mut throat = [
            Resonance::new(450.0 + 250.0 * random.f32(), 180.0),
            Resonance::new(1_300.0 + 500.0 * random.f32(), 300.0),
            Resonance::new(2_500.0 + 500.0 * random.f32(), 500.0),
        ];
        let decay = 0.035 + 0.03 * random.f32();
        let softer = 1.0 - 0.25 * burst as f32;
        sound.extend((0..len).map(|n| {
            let time = n as f32 / RATE.hz() as f32;
            let attack = (time / 0.008).min(1.0);
            let envelope = attack * (-time / decay).exp() * softer;
            let breath = noise(&mut random);
            throat.iter_mut().map(|r| r.pass(breath)).sum::<f32>() * envelope
        }));
        sound.extend((0..samples(random.u64(20..=60))).map(|_| 0.0));
    }
    normal(&sound, LOUD * 4.0)
}

/// A door that slams: a crack, and a room that booms.
pub(super) fn door_slam(seed: u64) -> Vec<i16> {
    let mut random = Rng::with_seed(seed);
    let mut wood = [
        Resonance::new(90.0 + 50.0 * random.f32(), 25.0),
        Resonance::new(210.0 + 90.0 * random.f32(), 50.0),
        Resonance::new(600.0 + 400.0 * random.f32(), 350.0),
    ];
    let decay = 0.05 + 0.05 * random.f32();
    let sound: Vec<f32> = (0..samples(random.u64(250..=450)))
        .map(|n| {
            let time = n as f32 / RATE.hz() as f32;
            let crack = if time < 0.012 { 1.0 } else { 0.12 };
            let blow = noise(&mut random) * crack * (-time / decay).exp();
            wood.iter_mut().map(|r| r.pass(blow)).sum::<f32>()
        })
        .collect();
    normal(&sound, LOUD * 5.0)
}

/// A machine that runs for so many samples: a hair dryer, 10 dB softer than a caller's speech.
pub(super) fn machine(len: usize) -> Vec<i16> {
    let sound = room_noise(NoiseKind::White, 1, &[], len);
    sound.iter().map(|s| (s * LOUD * 0.3) as i16).collect()
}

/// A noise without end, at a root mean square of 1; the length is in samples.
pub(super) fn room_noise(kind: NoiseKind, seed: u64, talkers: &[&[i16]], len: usize) -> Vec<f32> {
    let mut random = Rng::with_seed(seed);
    let mut sound = match kind {
        NoiseKind::White => (0..len).map(|_| noise(&mut random)).collect(),
        NoiseKind::Street => street(&mut random, len),
        NoiseKind::Babble => babble(&mut random, talkers, 8, len),
        NoiseKind::Talk => babble(&mut random, talkers, 2, len),
    };
    let energy: f32 = sound.iter().map(|s| s * s).sum();
    let rms = (energy / sound.len().max(1) as f32).sqrt();
    for sample in &mut sound {
        *sample /= rms.max(f32::MIN_POSITIVE);
    }
    sound
}

/// Traffic: noise that loses 6 dB an octave above 200 Hz, louder and softer as cars pass.
fn street(random: &mut Rng, len: usize) -> Vec<f32> {
    let keep = (-TAU * 200.0 / RATE.hz() as f32).exp();
    let mut low = 0.0;
    let (period, phase) = (3.0 + 2.0 * random.f32(), TAU * random.f32());
    (0..len)
        .map(|n| {
            low = keep * low + (1.0 - keep) * noise(random);
            let time = n as f32 / RATE.hz() as f32;
            low * (1.0 + 0.5 * (TAU * time / period + phase).sin())
        })
        .collect()
}

/// So many people who speak without listening to each other, at different distances.
fn babble(random: &mut Rng, talkers: &[&[i16]], people: usize, len: usize) -> Vec<f32> {
    let mut sound = vec![0.0; len];
    for _ in 0..people {
        let distance = 0.5 + random.f32();
        let mut at = 0;
        let mut skip = random.usize(..samples(1_000));
        while at < len && !talkers.is_empty() {
            let speech = talkers[random.usize(..talkers.len())];
            for &sample in speech.iter().skip(skip).take(len - at) {
                sound[at] += f32::from(sample) * distance;
                at += 1;
            }
            skip = 0;
            at += random.usize(..samples(250));
        }
    }
    sound
}

/// Evenly spread from −1 to 1.
fn noise(random: &mut Rng) -> f32 {
    random.f32() * 2.0 - 1.0
}

fn samples(ms: u64) -> usize {
    (ms * u64::from(RATE.hz()) / 1_000) as usize
}

/// As loud as `peak` at its loudest.
fn normal(sound: &[f32], peak: f32) -> Vec<i16> {
    let loudest = sound
        .iter()
        .fold(f32::MIN_POSITIVE, |max, s| max.max(s.abs()));
    let scale = peak.min(30_000.0) / loudest;
    sound.iter().map(|s| (s * scale) as i16).collect()
}

/// A second-order resonance.
struct Resonance {
    feedback: [f32; 2],
    gain: f32,
    past: [f32; 2],
}

impl Resonance {
    fn new(hz: f32, width_hz: f32) -> Self {
        let rate = RATE.hz() as f32;
        let radius = (-std::f32::consts::PI * width_hz / rate).exp();
        Self {
            feedback: [2.0 * radius * (TAU * hz / rate).cos(), -radius * radius],
            gain: 1.0 - radius,
            past: [0.0; 2],
        }
    }

    fn pass(&mut self, input: f32) -> f32 {
        let [newer, older] = self.past;
        let output = self.gain * input + self.feedback[0] * newer + self.feedback[1] * older;
        self.past = [output, newer];
        output
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_makes_one_sound() {
        assert_eq!(cough(3), cough(3));
        assert_ne!(cough(3), cough(4));
        assert_ne!(door_slam(3), door_slam(4));
        for seed in 0..50 {
            let loudest = |sound: Vec<i16>| sound.iter().map(|s| s.unsigned_abs()).max();
            assert!(loudest(cough(seed)) >= Some(15_000));
            assert!(loudest(door_slam(seed)) >= Some(15_000));
        }
    }

    #[test]
    fn noise_is_of_one_loudness() {
        let speech: Vec<i16> = (0..4_000)
            .map(|n| if n % 20 < 10 { 900 } else { -900 })
            .collect();
        for kind in [
            NoiseKind::White,
            NoiseKind::Street,
            NoiseKind::Babble,
            NoiseKind::Talk,
        ] {
            let sound = room_noise(kind, 1, &[&speech], 40_000);
            let rms = (sound.iter().map(|s| s * s).sum::<f32>() / 40_000.0).sqrt();
            assert!((rms - 1.0).abs() < 0.01, "{kind:?}: {rms}");
        }
    }
}
