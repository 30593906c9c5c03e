//! Recordings of every format, made by sox and ffmpeg (`fixtures/recordings.sh`), against the audio
//! that they were made of.
#![cfg(feature = "recordings")]

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
};

use sidetone_codecs::{
    Resampler, SampleRate, g711,
    recording::{Recording, RecordingError},
    wav,
};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures")
}

fn path(name: &str) -> PathBuf {
    fixtures().join("recordings").join(name)
}

/// All samples, and what was said at the end.
fn decode(mut recording: Recording) -> (Vec<i16>, Result<(), RecordingError>) {
    let mut samples = Vec::new();
    let width = usize::from(recording.channels().get());
    loop {
        let start = samples.len();
        match recording.read(&mut samples) {
            Ok(0) => return (samples, Ok(())),
            Ok(instants) => assert_eq!(samples.len() - start, instants * width),
            Err(error) => {
                assert_eq!(samples.len(), start, "an error brings no samples");
                assert!(matches!(recording.read(&mut samples), Ok(0)), "then it is over");
                return (samples, Err(error));
            }
        }
    }
}

fn channel(samples: &[i16], channels: usize, n: usize) -> Vec<i16> {
    samples.iter().skip(n).step_by(channels).copied().collect()
}

/// The caller's first 0.8 s at another rate.
fn speech(who: &str, rate: u32) -> Vec<i16> {
    let file = fixtures().join(format!("callers/{who}/where-is-my-order.wav"));
    let audio = wav::read_file(file).unwrap();
    let rate = SampleRate::new(rate).unwrap();
    let mut samples = Vec::new();
    let mut resampler = Resampler::new(audio.rate, rate).unwrap();
    resampler.process(&audio.samples, &mut samples);
    samples.truncate(rate.hz() as usize * 4 / 5);
    samples
}

/// The lag of `decoded` behind `reference` where they are most alike, and how alike (1: the same).
fn align(reference: &[i16], decoded: &[i16]) -> (isize, f64) {
    let longest = 3_000.min(reference.len() as isize / 4);
    let alike = |lag: isize| {
        let (skip_reference, skip_decoded) = ((-lag).max(0) as usize, lag.max(0) as usize);
        let pairs = || {
            let reference = reference.iter().skip(skip_reference);
            let decoded = decoded.iter().skip(skip_decoded);
            reference
                .zip(decoded)
                .map(|(&a, &b)| (f64::from(a), f64::from(b)))
        };
        let (mut dot, mut left, mut right) = (0.0, 0.0, 0.0);
        for (a, b) in pairs() {
            dot += a * b;
            left += a * a;
            right += b * b;
        }
        dot / (left * right).sqrt()
    };
    let lags = -longest..=longest;
    let best = lags.max_by(|&a, &b| alike(a).total_cmp(&alike(b))).unwrap();
    (best, alike(best))
}

#[test]
fn probe() {
    let mut names: Vec<_> = fs::read_dir(fixtures().join("recordings"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    names.sort();
    for file in names {
        for piped in [false, true] {
            let name = file.file_name().unwrap().to_str().unwrap();
            let opened = if piped {
                Recording::from_reader(File::open(&file).unwrap(), name)
            } else {
                Recording::open(&file)
            };
            match opened {
                Err(error) => println!("{name} {piped}: ERR {error}"),
                Ok(recording) => {
                    let (rate, channels) = (recording.rate().hz(), recording.channels().get());
                    let (format, announced) =
                        (recording.format().to_owned(), recording.announced_len());
                    let (samples, end) = decode(recording);
                    let reference = speech("annie", rate);
                    let first = channel(&samples, channels.into(), 0);
                    let (lag, alike) = align(&reference, &first);
                    println!(
                        "{name} {piped}: {format} {rate} {channels} announced {announced:?} \
                         got {} lag {lag} alike {alike:.4} {}",
                        first.len(),
                        end.map_or_else(|e| e.to_string(), |()| "ok".into())
                    );
                }
            }
        }
    }
    let _ = g711::mulaw::decode(0);
}
