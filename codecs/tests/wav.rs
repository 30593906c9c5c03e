//! WAV files of every kind that is read, files as written, and bytes that are no file.

use std::{error::Error as _, fs, num::NonZeroU16};

use proptest::prelude::*;
use sidetone_codecs::{
    SampleRate,
    wav::{self, Audio, WavError},
};

const PCM: u16 = 1;
const FLOAT: u16 = 3;
const MULAW: u16 = 7;
const EXTENSIBLE: u16 = 0xFFFE;

/// A file with the plain 16-byte format chunk.
fn file(tag: u16, channels: u16, rate: u32, bits: u16, data: &[u8]) -> Vec<u8> {
    let mut format = format_chunk(tag, channels, rate, bits.div_ceil(8), bits);
    format.extend(audio_chunk(data.len() as u32, data));
    riff(&format)
}

fn format_chunk(tag: u16, channels: u16, rate: u32, bytes: u16, bits: u16) -> Vec<u8> {
    let align = channels * bytes;
    let mut chunk = b"fmt \x10\0\0\0".to_vec();
    chunk.extend(tag.to_le_bytes());
    chunk.extend(channels.to_le_bytes());
    chunk.extend(rate.to_le_bytes());
    chunk.extend((rate * u32::from(align)).to_le_bytes());
    chunk.extend(align.to_le_bytes());
    chunk.extend(bits.to_le_bytes());
    chunk
}

fn audio_chunk(announced: u32, data: &[u8]) -> Vec<u8> {
    [b"data", &announced.to_le_bytes()[..], data].concat()
}

fn riff(chunks: &[u8]) -> Vec<u8> {
    let len = 4 + chunks.len() as u32;
    [b"RIFF", &len.to_le_bytes()[..], b"WAVE", chunks].concat()
}

fn samples(bytes: &[u8]) -> Vec<i16> {
    wav::read(bytes).expect("a file that is read").samples
}

fn error(bytes: &[u8]) -> WavError {
    wav::read(bytes).expect_err("not a file that is read")
}

fn audio(channels: u16, samples: &[i16]) -> Audio {
    Audio {
        rate: SampleRate::HZ_8000,
        channels: NonZeroU16::new(channels).expect("channels"),
        samples: samples.to_vec(),
    }
}

#[test]
fn every_width_becomes_16_bits() {
    let eight = file(PCM, 1, 8_000, 8, &[0, 64, 128, 192, 255]);
    assert_eq!(samples(&eight), [-32_768, -16_384, 0, 16_384, 32_512]);

    let sixteen: Vec<u8> = [i16::MIN, -1, 0, 1, i16::MAX]
        .map(i16::to_le_bytes)
        .concat();
    assert_eq!(
        samples(&file(PCM, 1, 8_000, 16, &sixteen)),
        [i16::MIN, -1, 0, 1, i16::MAX]
    );

    // The nearest, halves up, saturating.
    let wide = [
        i32::MIN,
        -0x0001_8001,
        -0x0001_8000,
        0x0000_7FFF,
        0x0000_8000,
        i32::MAX,
    ];
    let rounded = [i16::MIN, -2, -1, 0, 1, i16::MAX];
    let bytes: Vec<u8> = wide.map(i32::to_le_bytes).concat();
    assert_eq!(samples(&file(PCM, 1, 8_000, 32, &bytes)), rounded);
    let wide = [-0x80_0000, -0x0181, -0x0180, 0x7F, 0x80, 0x7F_FFFF];
    let bytes: Vec<u8> = wide
        .iter()
        .flat_map(|x: &i32| x.to_le_bytes()[..3].to_vec())
        .collect();
    assert_eq!(samples(&file(PCM, 1, 8_000, 24, &bytes)), rounded);

    let floats = [-1.5, -1.0, -0.5, 0.0, 0.5, 1.0, f32::INFINITY, f32::NAN];
    let bytes: Vec<u8> = floats.map(f32::to_le_bytes).concat();
    assert_eq!(
        samples(&file(FLOAT, 1, 8_000, 32, &bytes)),
        [
            i16::MIN,
            i16::MIN,
            -16_384,
            0,
            16_384,
            i16::MAX,
            i16::MAX,
            0
        ]
    );
}

#[test]
fn rate_channels_and_other_chunks_are_understood() {
    let mut chunks = b"LIST\x06\0\0\0abcdef".to_vec();
    chunks.extend(format_chunk(PCM, 2, 22_050, 2, 16));
    chunks.extend(audio_chunk(8, &[1, 0, 2, 0, 3, 0, 4, 0]));
    chunks.extend(b"LIST\x02\0\0\0zz");
    let audio = wav::read(&riff(&chunks)[..]).unwrap();
    assert_eq!(
        (audio.rate, audio.channels.get()),
        (SampleRate::HZ_22050, 2)
    );
    assert_eq!(
        (audio.samples.as_slice(), audio.len().0),
        (&[1, 2, 3, 4][..], 2)
    );
}

#[test]
fn a_file_from_a_pipe_has_no_length_and_is_read_to_its_end() {
    // espeak-ng and SoX; ffmpeg and streaming speech services.
    for announced in [0x7FFF_F000, u32::MAX] {
        for channels in [1, 2] {
            let mut chunks = format_chunk(PCM, channels, 22_050, 2, 16);
            chunks.extend(audio_chunk(announced, &[1, 0, 2, 0, 3, 0, 4, 0, 5]));
            assert_eq!(
                samples(&riff(&chunks)),
                [1, 2, 3, 4],
                "half a sample is dropped"
            );
        }
    }
}

#[test]
fn mono_is_the_rounded_mean() {
    assert_eq!(audio(1, &[1, 2, 3]).into_mono(), [1, 2, 3]);
    assert_eq!(audio(2, &[1, 2, -1, -2, -3, 3]).into_mono(), [2, -1, 0]);
    assert_eq!(
        audio(2, &[i16::MIN, i16::MIN, i16::MAX, i16::MAX]).into_mono(),
        [i16::MIN, i16::MAX]
    );
    assert_eq!(audio(3, &[1, 1, 2]).into_mono(), [1]);
    assert!(audio(2, &[]).into_mono().is_empty());
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("call.wav");
    let left: Vec<i16> = (-500..500).map(|n| n * 65).collect();

    wav::write_mono(&path, SampleRate::HZ_8000, &left).unwrap();
    assert_eq!(wav::read_file(&path).unwrap(), audio(1, &left));
    assert_eq!(
        wav::mono_bytes(SampleRate::HZ_8000, &left).unwrap(),
        fs::read(&path).unwrap()
    );

    wav::write_stereo(&path, SampleRate::HZ_8000, &left, &[7, 8]).unwrap();
    let both = wav::read_file(&path).unwrap();
    assert_eq!((both.channels.get(), both.len().0), (2, 1_000));
    assert_eq!(both.samples[..6], [left[0], 7, left[1], 8, left[2], 0]);
    wav::write_stereo(&path, SampleRate::HZ_8000, &[], &[9]).unwrap();
    assert_eq!(wav::read_file(&path).unwrap(), audio(2, &[0, 9]));

    wav::write_mono(&path, SampleRate::HZ_8000, &[]).unwrap();
    assert!(wav::read_file(&path).unwrap().is_empty());
}

#[test]
fn an_error_names_the_file_and_what_is_wrong_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("caller.wav");
    let message = |error: WavError| format!("{error}: {}", error.source().expect("a reason"));

    let missing = message(wav::read_file(&path).unwrap_err());
    assert!(
        missing.contains("caller.wav") && missing.contains("No such file"),
        "{missing}"
    );
    fs::write(&path, b"ID3 not a wav file").unwrap();
    let foreign = message(wav::read_file(&path).unwrap_err());
    assert!(
        foreign.contains("caller.wav: it is not a valid WAV file: no RIFF"),
        "{foreign}"
    );
    let nowhere = folder.path().join("none/caller.wav");
    let unwritten = message(wav::write_mono(nowhere, SampleRate::HZ_8000, &[]).unwrap_err());
    assert!(
        unwritten.contains("caller.wav: No such file"),
        "{unwritten}"
    );
}

#[test]
fn what_is_not_read_says_why() {
    assert!(matches!(error(b""), WavError::HeaderCutShort));
    assert!(matches!(
        error(&file(PCM, 1, 8_000, 16, &[0; 4])[..30]),
        WavError::HeaderCutShort
    ));
    let cut = file(PCM, 1, 8_000, 16, &[0; 100]);
    let found = error(&cut[..cut.len() - 10]).to_string();
    assert_eq!(
        found,
        "it is cut off: its header announces 100 bytes of audio, 90 are there"
    );

    let mulaw = error(&file(MULAW, 1, 8_000, 8, &[0xFF; 160])).to_string();
    assert!(
        mulaw.contains("μ-law") && mulaw.contains("sox in.wav"),
        "{mulaw}"
    );
    assert!(matches!(
        error(&file(PCM, 1, 0, 16, &[0; 4])),
        WavError::Malformed(_)
    ));
    assert!(matches!(
        error(&file(PCM, 0, 8_000, 16, &[0; 4])),
        WavError::Malformed(_)
    ));
    assert!(matches!(
        error(&file(PCM, 2, 8_000, 16, &[0; 6])),
        WavError::Malformed(_)
    ));
    assert!(matches!(
        error(&file(FLOAT, 1, 8_000, 64, &[0; 8])),
        WavError::Malformed(_)
    ));

    // 20 bits in 3 bytes, which only the extensible format can say.
    let mut chunks = format_chunk(EXTENSIBLE, 1, 8_000, 3, 24);
    chunks[4] = 40;
    chunks.extend([22, 0, 20, 0, 0, 0, 0, 0]);
    chunks.extend(b"\x01\0\0\0\0\0\x10\0\x80\0\0\xAA\0\x38\x9B\x71");
    chunks.extend(audio_chunk(3, &[0; 3]));
    let width = error(&riff(&chunks));
    assert!(
        matches!(
            width,
            WavError::SampleWidth {
                kind: "integer",
                bits: 20
            }
        ),
        "{width:?}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = wav::read(&bytes[..]);
        let _ = wav::read(&riff(&bytes)[..]);
    }

    #[test]
    fn a_damaged_file_is_read_or_refused(
        tag in prop::sample::select(&[PCM, FLOAT, EXTENSIBLE][..]),
        channels in 1_u16..5,
        bits in prop::sample::select(&[8_u16, 16, 24, 32][..]),
        data in prop::collection::vec(any::<u8>(), 0..100),
        damage in prop::collection::vec((0_usize..60, any::<u8>()), 0..6),
        cut in 0_usize..160,
    ) {
        let mut bytes = file(tag, channels, 8_000, bits, &data);
        for (at, value) in damage {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        bytes.truncate(cut.max(20));
        if let Ok(audio) = wav::read(&bytes[..]) {
            prop_assert_eq!(audio.samples.len() % usize::from(audio.channels.get()), 0);
            prop_assert!(audio.samples.len() <= bytes.len());
        }
    }

    #[test]
    fn audio_survives_the_way_there_and_back(samples in prop::collection::vec(any::<i16>(), 0..500)) {
        let bytes = wav::mono_bytes(SampleRate::HZ_8000, &samples).unwrap();
        prop_assert_eq!(wav::read(&bytes[..]).unwrap(), audio(1, &samples));
    }
}
