//! Callers and agents of an order line, with known words: the same in every run.

use std::{
    f32::consts::FRAC_1_SQRT_2,
    fs, io,
    path::Path,
    process::{Command, Stdio},
};

use fastrand::Rng;
use sidetone_cli::phone::{audio_from_wav, load_audio};
use sidetone_codecs::{SampleRate, wav};

/// What the demo model was taught to understand.
const TEMPLATES: &str = include_str!("../../../models/training/templates/order_line.txt");

/// How many different utterances there are; longer recordings repeat them.
const UTTERANCES: usize = 150;

/// Those of the fixtures.
const VOICES: [&str; 3] = ["en-us+paul", "en-gb-scotland+Annie", "en-gb-x-rp+max"];

/// Samples below this are no speech, -54 dB.
const QUIET: u16 = 65;

/// What is said at once.
#[derive(Clone)]
pub(crate) struct Utterance {
    /// In lower case and without punctuation.
    pub(crate) text: String,
    /// At 8 kHz, without silence around it, its peak at -3 dB.
    pub(crate) samples: Vec<i16>,
}

/// Where utterances are from.
pub(crate) struct Speech {
    pub(crate) utterances: Vec<Utterance>,
    /// For the report.
    pub(crate) origin: String,
}

impl Speech {
    /// By espeak-ng, or where it is not installed from the fixtures.
    pub(crate) fn new() -> io::Result<Self> {
        match Command::new("espeak-ng").arg("--version").output() {
            Ok(told) if told.status.success() => Self::synthesised(),
            _ => Self::recorded(),
        }
    }

    fn synthesised() -> io::Result<Self> {
        let mut rng = Rng::with_seed(1);
        let mut utterances = Vec::with_capacity(UTTERANCES);
        while utterances.len() < UTTERANCES {
            let mut text = sentence(&mut rng);
            // Some say more at once.
            while text.split(' ').count() < 4 || rng.u8(..) < 80 {
                text = format!("{text} {}", sentence(&mut rng));
            }
            let voice = VOICES[utterances.len() % VOICES.len()];
            let samples = say(&text, voice, rng.u32(140..180))?;
            utterances.push(Utterance { text, samples });
        }
        Ok(Self {
            utterances,
            origin: format!("{UTTERANCES} utterances by espeak-ng"),
        })
    }

    fn recorded() -> io::Result<Self> {
        let callers = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/callers");
        let mut files = Vec::new();
        for caller in ["annie", "max", "paul"] {
            for entry in fs::read_dir(callers.join(caller))? {
                files.push(entry?.path());
            }
        }
        files.sort();
        let utterances = files.iter().map(|file| {
            let stem = file.file_stem().unwrap_or_default().to_string_lossy();
            let samples = load_audio(file).map_err(io::Error::other)?;
            Ok(Utterance {
                text: stem.replace('-', " "),
                samples: trimmed(&samples),
            })
        });
        let utterances = utterances.collect::<io::Result<Vec<_>>>()?;
        Ok(Self {
            origin: format!(
                "{} recordings of the fixtures (with espeak-ng installed: {UTTERANCES})",
                utterances.len()
            ),
            utterances,
        })
    }

    /// One of them.
    pub(crate) fn any(&self, rng: &mut Rng) -> &Utterance {
        &self.utterances[rng.usize(..self.utterances.len())]
    }
}

fn say(text: &str, voice: &str, words_per_minute: u32) -> io::Result<Vec<i16>> {
    let speed = words_per_minute.to_string();
    let said = Command::new("espeak-ng")
        .args(["-v", voice, "-s", &speed, "--stdout", text])
        .stderr(Stdio::inherit())
        .output()?;
    let audio = wav::read(&said.stdout[..]).map_err(io::Error::other)?;
    let samples = audio_from_wav("espeak-ng's answer", audio).map_err(io::Error::other)?;
    Ok(trimmed(&samples))
}

/// Without silence around it, its peak at -3 dB.
fn trimmed(samples: &[i16]) -> Vec<i16> {
    let loud = |sample: &i16| sample.unsigned_abs() > QUIET;
    let start = samples.iter().position(loud).unwrap_or(0);
    let end = samples.iter().rposition(loud).map_or(0, |last| last + 1);
    let samples = &samples[start.min(end)..end];
    let peak = samples.iter().map(|s| s.unsigned_abs()).max().unwrap_or(1);
    let gain = FRAC_1_SQRT_2 * 32_767.0 / f32::from(peak.max(1));
    let louder = samples.iter().map(|s| (f32::from(*s) * gain) as i16);
    louder.collect()
}

/// A template with its slots filled.
fn sentence(rng: &mut Rng) -> String {
    let templates: Vec<&str> = TEMPLATES.lines().filter(|line| !line.is_empty()).collect();
    let template = pick(rng, &templates);
    let mut words = Vec::new();
    for word in template.split(' ') {
        match word {
            "{digits}" | "{d4}" => words.push(digits(rng)),
            "{greet}" => words.push(pick(rng, &["hello", "hi", "good morning"]).into()),
            "{can}" => words.push(pick(rng, &["can you", "could you please"]).into()),
            "{want}" => words.push(pick(rng, &["i want to", "i would like to"]).into()),
            "{agent}" => words.push(pick(rng, &["a person", "an agent", "someone"]).into()),
            "{day}" => words.push(pick(rng, &["monday", "tuesday", "friday"]).into()),
            "{when}" => words.push(pick(rng, &["today", "tomorrow", "next week"]).into()),
            "{first}" => words.push(pick(rng, &["john", "mary", "daniel"]).into()),
            word => words.push(word.to_owned()),
        }
    }
    words.join(" ")
}

fn digits(rng: &mut Rng) -> String {
    const DIGITS: [&str; 10] = [
        "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine",
    ];
    let digits: Vec<_> = (0..4).map(|_| pick(rng, &DIGITS)).collect();
    digits.join(" ")
}

fn pick<'a>(rng: &mut Rng, from: &[&'a str]) -> &'a str {
    from[rng.usize(..from.len())]
}

/// The telephone's rate.
pub(crate) const LINE: SampleRate = SampleRate::HZ_8000;
