//! Recordings transcribed with the bundled demo model.

#![cfg(feature = "offline")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{
    io::{Cursor, Read},
    path::{Path, PathBuf},
    sync::OnceLock,
};

use futures_util::StreamExt;
use sidetone::offline::{
    Channels, LanguageChoice, Segment, TranscribeError, TranscribeOptions, Transcriber,
    TranscriberConfig, Transcript,
};
use sidetone_codecs::{SampleRate, recording::Recording, wav};

/// Between lines, 0.8 s.
const PAUSE: usize = 6_400;

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
    bytes.extend(b"RIFF");
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

const CALLERS: [&str; 3] = ["paul", "annie", "max"];
const LINES: [(&str, &str); 5] = [
    ("four-two-seven-one", "four two seven one"),
    ("hello", "hello"),
    ("no", "no"),
    ("where-is-my-order", "where is my order"),
    ("yes", "yes"),
];

/// Every line of every caller, a pause between them, on a track each where `channels` is 2.
fn conversation(channels: usize) -> (Vec<Track>, Vec<(usize, &'static str)>) {
    let mut tracks: Vec<Track> = (0..channels).map(|_| Track::default()).collect();
    let mut said = Vec::new();
    let mut at = PAUSE;
    for (n, caller) in CALLERS.iter().enumerate() {
        for (m, (file, text)) in LINES.iter().enumerate() {
            let channel = (n + m) % channels;
            let line = fixture(&format!("callers/{caller}/{file}.wav"));
            tracks[channel].say(Some(at), &line);
            said.push((channel, *text));
            at += line.len() + PAUSE;
        }
    }
    (tracks, said)
}

fn interleaved(tracks: &[Track]) -> Vec<i16> {
    let len = tracks
        .iter()
        .map(|track| track.samples.len())
        .max()
        .unwrap();
    let at = |track: &Track, n| track.samples.get(n).copied().unwrap_or(0);
    (0..len)
        .flat_map(|n| tracks.iter().map(move |track| at(track, n)))
        .collect()
}

/// Where the sound of a line begins and ends: the recordings have silence around it.
fn sound(track: &Track, (start, end): (usize, usize)) -> (u64, u64) {
    let loud = |n: &usize| track.samples[*n].unsigned_abs() > 600;
    let first = (start..end).find(loud).unwrap();
    let last = (start..end).rfind(loud).unwrap();
    (first as u64 / 8, last as u64 / 8)
}

fn near(a: u64, b: u64) -> bool {
    a.abs_diff(b) <= 150
}

#[tokio::test]
async fn every_word_is_found_at_its_time() {
    let (tracks, said) = conversation(1);
    let options = TranscribeOptions {
        words: true,
        ..TranscribeOptions::default()
    };
    let transcript = transcribed(shared(), recording(8_000, 1, &tracks[0].samples), options).await;
    let expected: Vec<_> = said.iter().map(|(_, text)| *text).collect();
    assert_eq!(texts(&transcript), expected);
    for (segment, line) in transcript.segments.iter().zip(&tracks[0].lines) {
        let (start, end) = sound(&tracks[0], *line);
        assert!(near(segment.start_ms, start), "{segment:?}: {start}");
        assert!(near(segment.end_ms, end), "{segment:?}: {end}");
        assert_eq!(segment.speaker, None);
        assert!(segment.probability > 0.5 && segment.probability <= 1.0);
        let words: Vec<_> = segment.words.iter().map(|word| &*word.text).collect();
        assert_eq!(words.join(" "), segment.text);
        assert_eq!(segment.words.first().unwrap().start_ms, segment.start_ms);
        assert_eq!(segment.words.last().unwrap().end_ms, segment.end_ms);
        assert!(segment.words.is_sorted_by_key(|word| word.start_ms));
    }
    assert_eq!(transcript.language.as_deref(), Some("en"));
    assert_eq!(transcript.model, "demo");
    assert!(transcript.speakers.is_empty());
    assert_eq!((transcript.damage, transcript.stopped), (None, false));
    // One tells the language.
    assert_eq!(
        transcript.timings.windows as usize,
        1 + LINES.len() * CALLERS.len()
    );
}

#[tokio::test]
async fn the_sides_of_a_call_are_told_apart_whatever_the_threads() {
    let (tracks, said) = conversation(2);
    let samples = interleaved(&tracks);
    let mut before: Option<Vec<Segment>> = None;
    for threads in [1, 4] {
        let transcriber = demo(threads);
        let mut transcription = transcriber
            .start(
                recording(8_000, 2, &samples),
                "call.wav".into(),
                TranscribeOptions::default(),
            )
            .unwrap();
        let mut streamed = Vec::new();
        while let Some(segment) = transcription.next().await {
            streamed.push(segment);
        }
        let transcript = transcription.finish().await.unwrap();
        assert_eq!(transcript.segments, streamed);
        let heard: Vec<_> = streamed
            .iter()
            .map(|segment| (usize::from(segment.channel), &*segment.text))
            .collect();
        assert_eq!(heard, said);
        assert_eq!(transcript.speakers, ["caller", "agent"]);
        for segment in &streamed {
            let speaker = &transcript.speakers[usize::from(segment.channel)];
            assert_eq!(segment.speaker.as_ref(), Some(speaker));
            assert!(segment.words.is_empty());
        }
        if let Some(before) = &before {
            assert_eq!(*before, streamed);
        }
        before = Some(streamed);
    }
}

#[tokio::test]
async fn the_same_on_both_channels_is_one_mix_unless_wanted_otherwise() {
    let line = fixture("callers/paul/where-is-my-order.wav");
    let twice: Vec<i16> = line.iter().flat_map(|sample| [*sample; 2]).collect();
    for (channels, segments) in [
        (Channels::Auto, 1),
        (Channels::Mix, 1),
        (Channels::Split, 2),
    ] {
        let options = TranscribeOptions {
            channels,
            ..TranscribeOptions::default()
        };
        let transcript = transcribed(shared(), recording(8_000, 2, &twice), options).await;
        assert_eq!(texts(&transcript), vec!["where is my order"; segments]);
        assert_eq!(transcript.speakers.is_empty(), segments == 1);
    }
}

#[tokio::test]
async fn odd_shapes_are_no_trouble() {
    let quiet = transcribed(
        shared(),
        recording(8_000, 1, &[100]),
        TranscribeOptions::default(),
    );
    let quiet = quiet.await;
    assert_eq!((quiet.segments.len(), quiet.language), (0, None));

    let line = fixture("callers/paul/yes.wav");
    let mut many = vec![0; line.len() * 32];
    for (n, sample) in line.iter().enumerate() {
        many[n * 32 + 17] = *sample;
    }
    let transcript = transcribed(
        shared(),
        recording(8_000, 32, &many),
        TranscribeOptions::default(),
    )
    .await;
    assert_eq!(texts(&transcript), ["yes"]);
    assert_eq!(
        transcript.segments[0].speaker.as_deref(),
        Some("speaker 18")
    );

    let mut high = Vec::new();
    let to = SampleRate::new(192_000).unwrap();
    let mut resampler = sidetone_codecs::Resampler::new(SampleRate::HZ_8000, to).unwrap();
    resampler.process(&line, &mut high);
    resampler.finish(&mut high);
    let transcript = transcribed(
        shared(),
        recording(192_000, 1, &high),
        TranscribeOptions::default(),
    )
    .await;
    assert_eq!(texts(&transcript), ["yes"]);
}

/// A WAV header that announces ten hours of nothing, and the nothing.
fn ten_hours() -> Recording {
    let len = 36_000_u32 * 8_000 * 2;
    let mut header = Vec::new();
    header.extend(b"RIFF");
    header.extend((36 + len).to_le_bytes());
    header.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0");
    header.extend(8_000_u32.to_le_bytes());
    header.extend(16_000_u32.to_le_bytes());
    header.extend(b"\x02\0\x10\0data");
    header.extend(len.to_le_bytes());
    let silence = std::io::repeat(0).take(len.into());
    Recording::from_reader(Cursor::new(header).chain(silence), "silence.wav").unwrap()
}

#[tokio::test]
async fn ten_hours_of_silence_are_read_to_the_end() {
    let transcript = transcribed(shared(), ten_hours(), TranscribeOptions::default()).await;
    assert_eq!(transcript.source.duration_ms, 36_000_000);
    assert_eq!(transcript.segments.len(), 0);
    assert_eq!(transcript.timings.windows, 0);
}

#[tokio::test]
async fn a_recording_that_breaks_off_gives_what_came_before() {
    let (tracks, said) = conversation(1);
    let whole = wav::mono_bytes(SampleRate::HZ_8000, &tracks[0].samples).unwrap();
    // In the pause before the ninth line.
    let at = 44 + 2 * (tracks[0].lines[8].0 - PAUSE / 4);
    let cut = Recording::from_reader(Cursor::new(whole[..at].to_vec()), "call.wav").unwrap();
    let transcript = transcribed(shared(), cut, TranscribeOptions::default()).await;
    let expected: Vec<_> = said[..8].iter().map(|(_, text)| *text).collect();
    assert_eq!(texts(&transcript), expected);
    let damage = transcript.damage.unwrap();
    assert_eq!(damage.at_ms, ((at - 44) / 16) as u64);
    assert!(!damage.message.is_empty());
}

#[test]
fn what_the_model_cannot_do_is_refused_before_the_start() {
    let options = TranscribeOptions::default;
    let wrong: [(&str, TranscribeOptions); 7] = [
        (
            "translate = true: the demo model",
            TranscribeOptions {
                translate: true,
                ..options()
            },
        ),
        (
            "language = \"de\": demo understands en, es, pt only",
            TranscribeOptions {
                language: LanguageChoice::Is("de".into()),
                ..options()
            },
        ),
        (
            "language = \"xx\"",
            TranscribeOptions {
                language: LanguageChoice::Is("xx".into()),
                ..options()
            },
        ),
        (
            "language = \"English\"",
            TranscribeOptions {
                language: LanguageChoice::Is("English".into()),
                ..options()
            },
        ),
        (
            "speakers = 2 names",
            TranscribeOptions {
                speakers: vec!["a".into(), "b".into()],
                ..options()
            },
        ),
        (
            "prompt = ",
            TranscribeOptions {
                prompt: Some("a\0b".into()),
                ..options()
            },
        ),
        (
            "vocabulary = ",
            TranscribeOptions {
                vocabulary: vec!["Llanfairpwllgwyngyll".into(); 100],
                ..options()
            },
        ),
    ];
    for (told, options) in wrong {
        let recording = recording(8_000, 1, &[0; 800]);
        let error = shared()
            .start(recording, "call.wav".into(), options)
            .unwrap_err();
        assert!(matches!(error, TranscribeError::Option { .. }));
        assert!(error.to_string().starts_with(told), "{error}");
    }
}

#[test]
fn what_is_out_of_range_is_named() {
    type Change = fn(&mut TranscriberConfig);
    let wrong: [(&str, Change); 5] = [
        ("threads", |c| c.threads = 0),
        ("threads", |c| c.threads = 65),
        ("window_ms", |c| c.window_ms = 1_999),
        ("window_ms", |c| c.window_ms = 30_001),
        ("retries", |c| c.retries = 6),
    ];
    for (key, change) in wrong {
        let mut config = TranscriberConfig::named("demo").unwrap();
        change(&mut config);
        let error = Transcriber::load(config).unwrap_err().to_string();
        assert!(error.starts_with(&format!("{key} = ")), "{error}");
    }
}
