//! What is no recording, or one out of range: one clear line each.
#![cfg(feature = "recordings")]

use std::io::Cursor;

use sidetone_codecs::{
    SampleCount,
    recording::{Recording, RecordingError},
};

#[path = "recording_common/mod.rs"]
mod common;

use common::{decode, path};

fn open(bytes: impl AsRef<[u8]>) -> Result<Recording, RecordingError> {
    Recording::from_seekable(Cursor::new(bytes.as_ref().to_vec()), "call.wav")
}

fn refused(bytes: impl AsRef<[u8]>) -> String {
    match open(bytes) {
        Ok(recording) => panic!("opened as {}", recording.format()),
        Err(error) => error.to_string(),
    }
}

/// A WAV: the fields of its format chunk, and its audio.
struct Wav {
    tag: u16,
    channels: u16,
    rate_hz: u32,
    bits: u16,
    riff_len: u32,
    data_len: u32,
    extra: Vec<u8>,
    audio: Vec<u8>,
}

impl Wav {
    fn new(channels: u16, rate_hz: u32, samples: &[i16]) -> Self {
        let audio: Vec<_> = samples.iter().flat_map(|s| s.to_le_bytes()).collect();
        Self {
            tag: 1,
            channels,
            rate_hz,
            bits: 16,
            riff_len: 36 + audio.len() as u32,
            data_len: audio.len() as u32,
            extra: Vec::new(),
            audio,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let block = self.channels.wrapping_mul(self.bits / 8);
        let mut bytes = b"RIFF".to_vec();
        bytes.extend(self.riff_len.to_le_bytes());
        bytes.extend(b"WAVEfmt ");
        bytes.extend((16 + self.extra.len() as u32).to_le_bytes());
        bytes.extend(self.tag.to_le_bytes());
        bytes.extend(self.channels.to_le_bytes());
        bytes.extend(self.rate_hz.to_le_bytes());
        bytes.extend(self.rate_hz.wrapping_mul(block.into()).to_le_bytes());
        bytes.extend(block.to_le_bytes());
        bytes.extend(self.bits.to_le_bytes());
        bytes.extend(&self.extra);
        bytes.extend(b"data");
        bytes.extend(self.data_len.to_le_bytes());
        bytes.extend(&self.audio);
        bytes
    }
}

#[test]
fn what_is_no_audio_is_called_by_its_looks() {
    assert_eq!(refused(""), "it is empty: it has no byte");
    for (bytes, looks) in [
        (&b"Hello, this is a transcript.\n"[..], "looks like text."),
        ("Größe: 12 µm — naïve".as_bytes(), "looks like text."),
        (b"<!DOCTYPE html><html>404</html>", "a web page (HTML)"),
        (b"{\"error\": \"no such recording\"}", "JSON text"),
        (b"PK\x03\x04rest", "a ZIP archive"),
        (b"\x1A\x45\xDF\xA3webm", "Matroska or WebM"),
        (b"#!AMR\n", "AMR"),
        (b"\0\0\0\0\0\0\0\0", "nothing but zeros"),
        (b"\x01\x02\x03\xFE\x80garbage", "data of no known kind"),
        (b"RIFF", "a WAV that is cut off"),
        (b"RIFF\x10\0\0\0AVI LIST", "AVI"),
    ] {
        let error = refused(bytes);
        assert!(error.contains(looks), "{error}");
        assert!(
            error.contains("MP3, FLAC, Ogg"),
            "says what is read: {error}"
        );
    }
    let missing = Recording::open(&path("missing.wav")).unwrap_err();
    assert!(matches!(missing, RecordingError::Io(_)), "{missing:?}");
    let folder = Recording::open(&path("")).unwrap_err();
    assert!(matches!(folder, RecordingError::Io(_)), "{folder:?}");
}

#[test]
fn one_sample_is_a_recording() {
    let (samples, end) = decode(open(Wav::new(1, 8_000, &[-5]).bytes()).unwrap());
    assert_eq!(samples, [-5]);
    end.unwrap();
    let (samples, end) = decode(open(Wav::new(1, 8_000, &[]).bytes()).unwrap());
    assert!(samples.is_empty());
    end.unwrap();
}

#[test]
fn rates_and_channels_have_a_range() {
    let samples: Vec<_> = (0..64).collect();
    let recording = open(Wav::new(32, 192_000, &samples).bytes()).unwrap();
    assert_eq!(recording.channels().get(), 32);
    assert_eq!(recording.rate().hz(), 192_000);
    assert_eq!(recording.announced_len(), Some(SampleCount(2)));
    assert_eq!(decode(recording).0, samples);
    assert_eq!(
        open(Wav::new(1, 4_000, &samples).bytes())
            .unwrap()
            .rate()
            .hz(),
        4_000
    );
    for (channels, rate_hz, expected) in [
        (33, 8_000, "it has 33 channels; 1 to 32 are read"),
        (0, 8_000, "it has 0 channels; 1 to 32 are read"),
        (
            1,
            3_999,
            "its sample rate is 3999 Hz; rates from 4000 Hz to 192000 Hz are read",
        ),
        (
            1,
            192_001,
            "its sample rate is 192001 Hz; rates from 4000 Hz to 192000 Hz are read",
        ),
        (
            1,
            0,
            "its sample rate is 0 Hz; rates from 4000 Hz to 192000 Hz are read",
        ),
    ] {
        assert_eq!(
            refused(Wav::new(channels, rate_hz, &samples).bytes()),
            expected
        );
    }
}

#[test]
fn wide_samples_round_saturate_and_are_numbers() {
    let floats = [
        0.0,
        1.0,
        -1.0,
        2.0,
        -2.0,
        f32::NAN,
        f32::INFINITY,
        0.5 / 32_768.0,
        1.49 / 32_768.0,
    ];
    let expected = [0, i16::MAX, i16::MIN, i16::MAX, i16::MIN, 0, i16::MAX, 1, 1];
    let wav = |tag, bits, audio: Vec<u8>| Wav {
        tag,
        bits,
        data_len: audio.len() as u32,
        audio,
        ..Wav::new(1, 8_000, &[])
    };
    let narrow = floats.iter().flat_map(|f| f.to_le_bytes()).collect();
    assert_eq!(
        decode(open(wav(3, 32, narrow).bytes()).unwrap()).0,
        expected
    );
    let wide = floats
        .iter()
        .flat_map(|&f| f64::from(f).to_le_bytes())
        .collect();
    assert_eq!(decode(open(wav(3, 64, wide).bytes()).unwrap()).0, expected);
    let integers = [0_i32, i32::MAX, i32::MIN, 0x7FFF, 0x8000, -0x8000, -0x8001];
    let bytes = integers.iter().flat_map(|i| i.to_le_bytes()).collect();
    let expected = [0, i16::MAX, i16::MIN, 0, 1, 0, -1];
    assert_eq!(decode(open(wav(1, 32, bytes).bytes()).unwrap()).0, expected);
}

#[test]
fn wav_headers_that_recorders_leave_are_read() {
    let samples = [1, -2, 3, -4];
    let wav = || Wav::new(2, 8_000, &samples);
    // Never finished: no length, neither of the file nor of the audio.
    for (riff_len, data_len) in [
        (0, 0),
        (u32::MAX, u32::MAX),
        (0x7FFF_FFFF, 0x7FFF_FFFF),
        (36, 0x7FFF_0000),
        (36 + 8, u32::MAX),
    ] {
        let wav = Wav {
            riff_len,
            data_len,
            ..wav()
        };
        let recording = open(wav.bytes()).unwrap();
        assert_eq!(recording.announced_len(), Some(SampleCount(2)));
        let (found, end) = decode(recording);
        assert_eq!(found, samples, "{riff_len} {data_len}");
        end.unwrap();
    }
    // The file's own length does not matter.
    let (found, end) = decode(
        open(
            Wav {
                riff_len: 5,
                ..wav()
            }
            .bytes(),
        )
        .unwrap(),
    );
    assert_eq!(found, samples);
    end.unwrap();
    // A format with fields of its own, μ-law without any, chunks before and after, an odd one.
    let with_extra = Wav {
        extra: vec![0, 0],
        ..wav()
    };
    assert_eq!(decode(open(with_extra.bytes()).unwrap()).0, samples);
    let mulaw = Wav {
        tag: 7,
        bits: 8,
        ..wav()
    };
    assert_eq!(decode(open(mulaw.bytes()).unwrap()).0.len(), 8);
    let mut odd = wav().bytes();
    odd.splice(12..12, *b"note\x03\0\0\0abc\0");
    odd.extend(b"LIST\x04\0\0\0INFO");
    let (found, end) = decode(open(odd).unwrap());
    assert_eq!(found, samples);
    end.unwrap();
}

#[test]
fn wav_headers_that_make_no_sense_are_refused() {
    let wav = || Wav::new(1, 8_000, &[1, 2, 3]);
    let with = |at: usize, bytes: &[u8]| {
        let mut wav = wav().bytes();
        wav[at..at + bytes.len()].copy_from_slice(bytes);
        refused(wav)
    };
    assert!(with(12, b"junk").contains("its audio comes before its format"));
    assert!(with(36, b"junk").contains("it ends before its audio begins"));
    assert!(with(20, &[0x55, 0]).contains("it holds MP3 in WAV"));
    assert!(with(20, &[0x31, 0]).contains("it holds GSM 6.10 in WAV"));
    assert!(with(20, &[0x77, 0x77]).contains("the codec 0x7777"));
    assert!(with(20, &[0xFE, 0xFF]).contains("less than 40 bytes"));
    assert!(with(34, &[0, 0]).contains("PCM of 0 bits"));
    assert!(with(34, &[64, 0]).contains("PCM of 64 bits"));
    assert!(with(16, &[8, 0, 0, 0]).contains("less than 16 bytes"));
    // Longer than the file.
    assert!(with(16, &[0xFF; 4]).contains("it ends before its audio begins"));
}

#[test]
fn a_wav_that_goes_on_behind_the_length_it_announces_is_damaged() {
    let samples: Vec<i16> = (0..800)
        .map(|n| if n % 2 == 0 { 9_000 } else { -9_000 })
        .collect();
    let mut wav = Wav::new(1, 8_000, &samples);
    wav.data_len = 400;
    let lies = wav.bytes();
    let mut recording = open(&lies).unwrap();
    let mut read = Vec::new();
    let error = loop {
        match recording.read(&mut read) {
            Ok(0) => panic!("it ends without a word"),
            Ok(_) => {}
            Err(error) => break error,
        }
    };
    assert_eq!(read, samples[..200]);
    assert_eq!(error.at(), Some(std::time::Duration::from_millis(25)));
    assert!(
        error.to_string().contains("its header ends the audio here"),
        "{error}"
    );

    // Chunks, tags and padding may follow, also behind half an instant and where nothing makes an
    // odd length even.
    wav.data_len = 1_600;
    for (odd, behind) in [
        (0, &b"LIST\x04\0\0\0INFO"[..]),
        (1, b"\x55\0id3 \x04\0\0\0ID3\x03"),
        (1, b"\x55LIST\x04\0\0\0INFO"),
        (0, b"TAG of another kind"),
        (0, b"ID3\x04\0\0\0\0\0\0"),
        (0, &[0; 600]),
        (0, b"\x90"),
    ] {
        let mut bytes = Wav {
            data_len: 1_600 + odd,
            audio: wav.audio.clone(),
            extra: Vec::new(),
            ..wav
        }
        .bytes();
        bytes.extend_from_slice(behind);
        let mut recording = open(&bytes).unwrap();
        let mut read = Vec::new();
        while recording.read(&mut read).unwrap() > 0 {}
        assert_eq!(read, samples, "{behind:?}");
    }
}

#[test]
fn a_change_on_the_way_is_said() {
    let mono = std::fs::read(path("no-xing.mp3")).unwrap();
    let stereo = std::fs::read(path("stereo-44100.mp3")).unwrap();
    let (alone, _) = decode(open(&mono).unwrap());
    let (samples, end) = decode(open([&mono[..], &stereo].concat()).unwrap());
    assert_eq!(samples.len(), alone.len());
    assert!(samples == alone, "all before it is decoded");
    let error = end.unwrap_err();
    assert!(matches!(error, RecordingError::Changed { .. }), "{error:?}");
    assert_eq!(
        error.to_string(),
        "at 0:00.900 it changes from 16000 Hz mono to 44100 Hz stereo; what comes after is not \
         read: split the file there"
    );

    let mono = std::fs::read(path("mono.opus")).unwrap();
    let stereo = std::fs::read(path("stereo.opus")).unwrap();
    let (samples, end) = decode(open([&mono[..], &stereo].concat()).unwrap());
    assert_eq!(samples.len(), 38_400);
    assert!(
        matches!(end, Err(RecordingError::Changed { .. })),
        "{end:?}"
    );
}

#[test]
fn files_made_one_are_read_to_the_end() {
    let mp3 = std::fs::read(path("mono-16000.mp3")).unwrap();
    let (once, _) = decode(open(&mp3).unwrap());
    let (twice, end) = decode(open([&mp3[..], &mp3].concat()).unwrap());
    end.unwrap();
    assert!(
        twice.len() >= 2 * once.len(),
        "the first header tells of the first only"
    );
}

#[test]
fn speex_is_named() {
    let mut ogg = std::fs::read(path("mono.opus")).unwrap();
    ogg[28..36].copy_from_slice(b"Speex   ");
    assert!(refused(ogg).starts_with("it holds Speex in Ogg, which is not read"));
}

#[test]
fn he_aac_is_named() {
    let mut mp4 = std::fs::read(path("mono-16000.m4a")).unwrap();
    // AAC-LC, 16 kHz, mono: the first five bits are the profile.
    let config = mp4
        .windows(2)
        .position(|bytes| bytes == [0x14, 0x08])
        .unwrap();
    mp4[config] = 5 << 3 | 0b100;
    let error = refused(mp4);
    assert!(
        error.contains("AAC of another profile than LC, such as HE-AAC"),
        "{error}"
    );
}
