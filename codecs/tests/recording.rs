//! Recordings of every format, made by sox and ffmpeg (`fixtures/recordings.sh`), against the audio
//! that they were made of.
#![cfg(feature = "recordings")]

use std::fs::File;

use sidetone_codecs::{
    Resampler, SampleCount, SampleRate, g711,
    recording::{Recording, RecordingError},
    wav,
};

#[path = "recording_common/mod.rs"]
mod common;

use common::{alike, decode, fixtures, path};

/// Rate, channels, instants, and the length that the file announces.
struct Expected {
    format: &'static str,
    rate_hz: u32,
    channels: u16,
    len: usize,
    announced: Option<u64>,
}

fn channel(samples: &[i16], channels: usize, n: usize) -> Vec<i16> {
    samples.iter().skip(n).step_by(channels).copied().collect()
}

/// The same from the file and, where that works, from a pipe.
fn open_both(name: &str) -> Vec<Recording> {
    let mut opened = vec![Recording::open(&path(name)).expect(name)];
    let file = File::open(path(name)).expect(name);
    match Recording::from_reader(file, name) {
        Ok(recording) => opened.push(recording),
        Err(RecordingError::NotStreamable { container: "MP4" }) => {}
        Err(error) => panic!("{name}: {error}"),
    }
    opened
}

fn samples_of(name: &str, expected: &Expected) -> Vec<i16> {
    let mut all = Vec::new();
    for (n, recording) in open_both(name).into_iter().enumerate() {
        assert_eq!(recording.format(), expected.format, "{name}");
        assert_eq!(recording.rate().hz(), expected.rate_hz, "{name}");
        assert_eq!(recording.channels().get(), expected.channels, "{name}");
        if n == 0 {
            let announced = expected.announced.map(SampleCount);
            assert_eq!(recording.announced_len(), announced, "{name}");
        }
        let (samples, end) = decode(recording);
        end.unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            samples.len(),
            expected.len * usize::from(expected.channels),
            "{name}"
        );
        if n > 0 {
            assert!(samples == all, "{name}: another from a pipe");
        }
        all = samples;
    }
    all
}

/// What the files were made of: 16-bit PCM at 8 kHz, 0.8 s.
fn speech(who: &str) -> Vec<i16> {
    let file = fixtures().join(format!("callers/{who}/where-is-my-order.wav"));
    let mut samples = wav::read_file(file).expect("a fixture").samples;
    samples.truncate(6_400);
    samples
}

fn speech_at(who: &str, rate_hz: u32) -> Vec<i16> {
    let file = fixtures().join(format!("callers/{who}/where-is-my-order.wav"));
    let audio = wav::read_file(file).expect("a fixture");
    let rate = SampleRate::new(rate_hz).expect("not zero");
    let mut samples = Vec::new();
    let mut resampler = Resampler::new(audio.rate, rate).expect("common rates");
    resampler.process(&audio.samples, &mut samples);
    samples.truncate(rate_hz as usize * 4 / 5);
    samples
}

/// What the short ones were made of: 0.25 s from 0.2 s on.
fn short_speech() -> Vec<i16> {
    speech("annie")[1_600..3_600].to_vec()
}

fn interleave(left: &[i16], right: &[i16]) -> Vec<i16> {
    left.iter().zip(right).flat_map(|(&l, &r)| [l, r]).collect()
}

fn pcm(format: &'static str, channels: u16, len: usize) -> Expected {
    Expected {
        format,
        rate_hz: 8_000,
        channels,
        len,
        announced: Some(len as u64),
    }
}

#[test]
fn twilio_dual_channel_recordings_are_exact() {
    let samples = samples_of(
        "twilio-dual-channel.wav",
        &pcm("WAV, PCM of 16 bits", 2, 6_400),
    );
    assert_eq!(channel(&samples, 2, 0), speech("annie"));
    assert_eq!(channel(&samples, 2, 1), speech("paul"));
}

#[test]
fn wav_of_every_width_is_exact() {
    for (name, format) in [
        ("s24.wav", "WAV, PCM of 24 bits"),
        ("s32.wav", "WAV, PCM of 32 bits"),
        ("f32.wav", "WAV, floats of 32 bits"),
        ("f64.wav", "WAV, floats of 64 bits"),
        ("rf64.wav", "WAV, PCM of 16 bits"),
        ("sox-pipe.wav", "WAV, PCM of 16 bits"),
        ("ffmpeg-pipe.wav", "WAV, PCM of 16 bits"),
    ] {
        let samples = samples_of(name, &pcm(format, 1, 2_000));
        assert!(samples == short_speech(), "{name}");
    }
    let coarse = samples_of("u8.wav", &pcm("WAV, PCM of 8 bits", 1, 2_000));
    for (coarse, fine) in coarse.into_iter().zip(short_speech()) {
        assert_eq!(coarse % 256, 0);
        assert!((i32::from(coarse) - i32::from(fine)).abs() <= 256);
    }
}

#[test]
fn wav_of_many_channels_is_exact() {
    let samples = samples_of(
        "extensible-8-channels.wav",
        &pcm("WAV, PCM of 16 bits", 8, 2_000),
    );
    for n in 0..8 {
        let who = ["annie", "paul"][n % 2];
        assert_eq!(
            channel(&samples, 8, n),
            speech(who)[1_600..3_600],
            "channel {n}"
        );
    }
}

#[test]
fn g711_is_exact() {
    let (left, right) = (speech("annie"), speech("paul"));
    // What sox makes of each law, and this crate of what sox made.
    let mulaw = |samples: &[i16]| -> Vec<i16> {
        let code = |&sample: &i16| g711::mulaw::decode(g711::mulaw::encode(sample));
        samples.iter().map(code).collect()
    };
    let alaw = |samples: &[i16]| -> Vec<i16> {
        let code = |&sample: &i16| g711::alaw::decode(g711::alaw::encode(sample));
        samples.iter().map(code).collect()
    };
    let samples = samples_of("mulaw.wav", &pcm("WAV, μ-law", 2, 6_400));
    assert!(samples == interleave(&mulaw(&left), &mulaw(&right)));
    let samples = samples_of("alaw.wav", &pcm("WAV, A-law", 2, 6_400));
    assert!(samples == interleave(&alaw(&left), &alaw(&right)));
    let samples = samples_of("raw.ulaw", &pcm("raw, μ-law", 1, 6_400));
    assert!(samples == mulaw(&left));
    let samples = samples_of("raw.alaw", &pcm("raw, A-law", 1, 6_400));
    assert!(samples == alaw(&left));
}

#[test]
fn flac_is_exact() {
    let samples = samples_of("stereo-8000.flac", &pcm("FLAC", 2, 6_400));
    assert!(samples == interleave(&speech("annie"), &speech("paul")));
    let expected = Expected {
        rate_hz: 16_000,
        ..pcm("FLAC", 1, 12_800)
    };
    let reference = Expected {
        format: "WAV, PCM of 16 bits",
        ..expected
    };
    assert!(
        samples_of("mono-16000.flac", &expected) == samples_of("s16-16000.wav", &reference),
        "both were made of the same"
    );
}

/// Each channel must be the speech it was made of, `delay` instants late, and as loud.
fn assert_lossy(name: &str, delay: isize, expected: &Expected) {
    let samples = samples_of(name, expected);
    let width = usize::from(expected.channels);
    for (n, who) in ["annie", "paul"].into_iter().enumerate().take(width) {
        let reference = speech_at(who, expected.rate_hz);
        let decoded = channel(&samples, width, n);
        let alike_at = |delay: isize| {
            let (ahead, behind) = ((-delay).max(0) as usize, delay.max(0) as usize);
            alike(&reference[ahead..], &decoded[behind..])
        };
        // Resamplers and codecs may differ by less than a sample of 16 kHz.
        let near = expected.rate_hz as isize / 16_000;
        let found = (delay - near..=delay + near).map(alike_at);
        let found = found.max_by(f64::total_cmp).expect("at least one");
        assert!(found > 0.96, "{name} {n}: {found}");
        let far = expected.rate_hz as isize / 4_000;
        assert!(found > alike_at(delay + far), "{name} {n}: late");
        assert!(found > alike_at(delay - far), "{name} {n}: early");
        let energy =
            |samples: &[i16]| -> f64 { samples.iter().map(|&s| f64::from(s).powi(2)).sum() };
        let louder = energy(&decoded) / energy(&reference);
        assert!((0.8..1.2).contains(&louder), "{name} {n}: {louder} as loud");
    }
}

fn lossy(format: &'static str, rate_hz: u32, channels: u16, len: usize) -> Expected {
    Expected {
        format,
        rate_hz,
        channels,
        len,
        announced: Some(len as u64),
    }
}

#[test]
fn mp3() {
    assert_lossy("mono-8000.mp3", 0, &lossy("MP3", 8_000, 1, 6_400));
    assert_lossy("mono-16000.mp3", 0, &lossy("MP3", 16_000, 1, 12_800));
    assert_lossy("stereo-44100.mp3", 0, &lossy("MP3", 44_100, 2, 35_280));
    // Nothing in it says what the encoder added.
    let expected = Expected {
        announced: None,
        ..lossy("MP3", 16_000, 1, 14_400)
    };
    assert_lossy("no-xing.mp3", 1_105, &expected);
}

#[test]
fn ogg_vorbis() {
    let expected = lossy("Ogg, Vorbis", 16_000, 1, 12_800);
    assert_lossy("mono-16000.vorbis.ogg", 0, &expected);
    let expected = lossy("Ogg, Vorbis", 44_100, 2, 35_280);
    assert_lossy("stereo-44100.vorbis.ogg", 0, &expected);
}

#[test]
fn opus() {
    assert_lossy("mono.opus", 0, &lossy("Ogg, Opus", 48_000, 1, 38_400));
    assert_lossy("stereo.opus", 0, &lossy("Ogg, Opus", 48_000, 2, 38_400));
    assert_lossy("opus.mp4", 0, &lossy("MP4, Opus", 48_000, 1, 38_400));
}

#[test]
fn aac_keeps_the_encoders_delay_of_a_frame() {
    assert_lossy(
        "mono-16000.m4a",
        1_024,
        &lossy("MP4, AAC", 16_000, 1, 13_824),
    );
    assert_lossy(
        "stereo-44100.m4a",
        1_024,
        &lossy("MP4, AAC", 44_100, 2, 36_304),
    );
    assert_lossy("video.mp4", 1_024, &lossy("MP4, AAC", 16_000, 1, 13_824));
    let expected = Expected {
        announced: None,
        ..lossy("AAC", 16_000, 1, 14_336)
    };
    assert_lossy("mono-16000.aac", 1_024, &expected);
}

#[test]
fn streams_in_a_chain_follow_one_another() {
    let once = samples_of("mono.opus", &lossy("Ogg, Opus", 48_000, 1, 38_400));
    let twice = Expected {
        // Of the first: the others are not looked for.
        announced: Some(38_400),
        ..lossy("Ogg, Opus", 48_000, 1, 76_800)
    };
    let twice = samples_of("chained.opus", &twice);
    assert!(twice == [&once[..], &once[..]].concat());
}

#[test]
fn what_is_not_decoded_is_named() {
    for (name, expected) in [
        ("adpcm.wav", "ADPCM (Microsoft) in WAV"),
        ("alac.m4a", "ALAC in MP4"),
        (
            "six-channels.opus",
            "Opus of 6 channels in several streams in Ogg",
        ),
        ("no-audio.mp4", "this MP4 file has no audio track"),
    ] {
        let unread = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/unread");
        let file = std::path::Path::new(unread).join(name);
        let error = Recording::open(&file).unwrap_err().to_string();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn a_name_is_a_hint_for_raw_audio_only() {
    let renamed = |name: &str, to: &str| {
        let file = File::open(path(name)).unwrap();
        Recording::from_reader(file, to)
            .unwrap()
            .format()
            .to_owned()
    };
    assert_eq!(renamed("mono-16000.mp3", "call.wav"), "MP3");
    assert_eq!(
        renamed("mulaw.wav", "call.ulaw"),
        "WAV, μ-law",
        "a header is no noise"
    );
    assert_eq!(renamed("raw.ulaw", "stdin.UL"), "raw, μ-law");
    assert_eq!(renamed("raw.alaw", "stdin.al"), "raw, A-law");
}

#[test]
fn a_recording_can_go_to_another_thread() {
    fn can_go<T: Send>(_: &T) {}
    can_go(&Recording::open(&path("mono.opus")).unwrap());
}
