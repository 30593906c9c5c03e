//! Recordings transcribed with the bundled demo model.

#![cfg(feature = "offline")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{
    io::{Cursor, Write},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use futures_util::StreamExt;
use sidetone::offline::{
    Channels, LanguageChoice, Segment, TranscribeError, TranscribeOptions, Transcriber,
    TranscriberConfig, Transcript,
};
use sidetone_codecs::{SampleRate, recording::Recording, wav};

/// Half a second.
const PAUSE: usize = 4_000;

fn demo(threads: usize) -> Transcriber {
    let mut config = TranscriberConfig::named("demo").unwrap();
    config.threads = threads;
    Transcriber::load(config).unwrap()
}

/// Two threads for all tests.
fn shared() -> &'static Transcriber {
    static SHARED: OnceLock<Transcriber> = OnceLock::new();
    SHARED.get_or_init(|| demo(2))
}

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures")
}

/// A recording of a caller at 8 kHz.
fn fixture(name: &str) -> Vec<i16> {
    let audio = wav::read_file(fixtures().join(name)).unwrap();
    assert_eq!((audio.rate, audio.channels.get()), (SampleRate::HZ_8000, 1));
    audio.samples
}

/// A WAV file of interleaved samples.
fn recording(rate: u32, channels: u16, samples: &[i16]) -> Recording {
    let mut bytes = Vec::new();
    let len = u32::try_from(samples.len() * 2).unwrap();
    let align = channels * 2;
    bytes.write_all(b"RIFF").unwrap();
    bytes.extend((36 + len).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0");
    bytes.extend(channels.to_le_bytes());
    bytes.extend(rate.to_le_bytes());
    bytes.extend((rate * u32::from(align)).to_le_bytes());
    bytes.extend(align.to_le_bytes());
    bytes.extend(b"\x10\0data");
    bytes.extend(len.to_le_bytes());
    bytes.extend(samples.iter().flat_map(|sample| sample.to_le_bytes()));
    Recording::from_reader(Cursor::new(bytes), "call.wav").unwrap()
}

/// Lines of speech at their places in one channel.
#[derive(Default)]
struct Track {
    samples: Vec<i16>,
    lines: Vec<(usize, usize)>,
}

impl Track {
    /// Adds a line where `at` says, in samples, or at the end.
    fn say(&mut self, at: Option<usize>, line: &[i16]) {
        let at = at.unwrap_or(self.samples.len()).max(self.samples.len());
        self.samples.resize(at, 0);
        self.samples.extend_from_slice(line);
        self.lines.push((at, self.samples.len()));
    }
}

async fn transcribed(
    transcriber: &Transcriber,
    recording: Recording,
    options: TranscribeOptions,
) -> Transcript {
    let transcription = transcriber
        .start(recording, "call.wav".into(), options)
        .unwrap();
    transcription.finish().await.unwrap()
}

fn texts(transcript: &Transcript) -> Vec<&str> {
    transcript
        .segments
        .iter()
        .map(|segment| &*segment.text)
        .collect()
}

#[tokio::test]
async fn dump() {
    let mut track = Track::default();
    let mut names = Vec::new();
    for dir in ["paul", "annie", "max"] {
        let mut files: Vec<_> = std::fs::read_dir(fixtures().join("callers").join(dir))
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        for f in files {
            let at = track.samples.len() + 12_000;
            track.say(Some(at), &fixture(&format!("callers/{dir}/{f}")));
            names.push(f);
        }
    }
    let t = transcribed(
        &shared(),
        recording(8_000, 1, &track.samples),
        TranscribeOptions {
            words: true,
            ..Default::default()
        },
    )
    .await;
    for ((at, end), name) in track.lines.iter().zip(&names) {
        println!("{:>7} {:>7} {name}", at / 8, end / 8);
        for s in t
            .segments
            .iter()
            .filter(|s| s.start_ms as usize >= at / 8 - 400 && (s.start_ms as usize) < end / 8)
        {
            println!(
                "   {:>7} {:>7} {} {:.2}  {:?}",
                s.start_ms as i64 - (at / 8) as i64,
                s.end_ms as i64 - (end / 8) as i64,
                s.text,
                s.probability,
                s.words
                    .iter()
                    .map(|w| (
                        w.text.as_str(),
                        w.start_ms - s.start_ms,
                        w.end_ms - s.start_ms
                    ))
                    .collect::<Vec<_>>()
            );
        }
    }
    println!("{:?} {:?} {:?}", t.timings, t.source, t.damage);
}
