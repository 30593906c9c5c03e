//! Recordings that are cut off or damaged: what is there is decoded, and the error says where.
#![cfg(feature = "recordings")]

use std::{
    fs,
    io::{self, Cursor, Read},
    time::Duration,
};

use sidetone_codecs::{
    SampleCount,
    recording::{Recording, RecordingError},
};

#[path = "recording_common/mod.rs"]
mod common;

use common::{alike, decode, path};

fn open(bytes: &[u8], name: &str) -> Result<Recording, RecordingError> {
    Recording::from_seekable(Cursor::new(bytes.to_vec()), name)
}

/// Every format whose files tell their length or end, and where its first audio is.
const FILES: [(&str, usize); 11] = [
    ("twilio-dual-channel.wav", 44),
    ("s24.wav", 80),
    ("mulaw.wav", 58),
    ("mono-16000.flac", 8_300),
    ("mono-16000.mp3", 600),
    ("no-xing.mp3", 300),
    ("mono-16000.vorbis.ogg", 3_800),
    ("mono.opus", 900),
    ("stereo.opus", 900),
    ("stereo-44100.m4a", 1_700),
    ("mono-16000.aac", 400),
];

#[test]
fn what_is_cut_off_is_decoded_up_to_there() {
    for (name, first) in FILES {
        let bytes = fs::read(path(name)).unwrap();
        let (whole, _) = decode(open(&bytes, name).unwrap());
        let mut most = 0;
        for end in (1..bytes.len() - 1).step_by(61) {
            let recording = match open(&bytes[..end], name) {
                Ok(recording) => recording,
                Err(error) => {
                    assert!(end < first + bytes.len() / 4, "{name} {end}: {error}");
                    continue;
                }
            };
            let (rate, width) = (recording.rate(), usize::from(recording.channels().get()));
            let (part, result) = decode(recording);
            assert!(whole.starts_with(&part), "{name} {end}");
            assert!(part.len() >= most, "{name} {end}");
            most = part.len();
            match result {
                Err(RecordingError::CutShort { at, .. }) => {
                    let there = SampleCount((part.len() / width) as u64).duration(rate);
                    assert_eq!(at, there, "{name} {end}");
                }
                // Between two frames of a file that tells nothing of its length.
                Ok(()) if ["no-xing.mp3", "mono-16000.aac"].contains(&name) => {}
                other => panic!("{name} {end}: {other:?}"),
            }
        }
        assert!(most > whole.len() / 2, "{name}: {most}");
    }
}

#[test]
fn a_cut_is_said_with_both_lengths() {
    let bytes = fs::read(path("twilio-dual-channel.wav")).unwrap();
    let (_, end) = decode(open(&bytes[..44 + 4 * 1_000], "-").unwrap());
    let said = end.unwrap_err().to_string();
    assert_eq!(
        said,
        "it is cut off at 0:00.125: its header announces 0:00.800"
    );
}

/// How long damage may last.
const DAMAGE: Duration = Duration::from_millis(300);

#[test]
fn what_is_around_damage_is_decoded() {
    for (name, first) in &FILES[3..] {
        let good = fs::read(path(name)).unwrap();
        let (whole, _) = decode(open(&good, name).unwrap());
        for noise in [[0; 20], [0xFF; 20], [0x55; 20]] {
            let mut bytes = good.clone();
            let at = first + (bytes.len() - first) * 2 / 5;
            bytes[at..at + noise.len()].copy_from_slice(&noise);
            let recording = open(&bytes, name).unwrap();
            let (rate, width) = (recording.rate(), usize::from(recording.channels().get()));
            let (samples, result) = decode(recording);
            assert_eq!(samples.len(), whole.len(), "{name}: times stay true");
            let same = samples.iter().zip(&whole).take_while(|(a, b)| a == b);
            let begins = SampleCount((same.count() / width) as u64).duration(rate);
            // Opus and MP3 take a moment to find back.
            let settled = rate.samples_in(begins + DAMAGE).0 as usize * width;
            if settled < whole.len() {
                let alike = alike(&samples[settled..], &whole[settled..]);
                assert!(alike > 0.95, "{name}: {alike} after the damage");
            }
            match result {
                Err(error @ RecordingError::Damaged { at, lost, .. }) => {
                    // A page that an Ogg lacks shows behind the one after it.
                    let late = if name.ends_with(".ogg") || name.ends_with(".opus") {
                        200
                    } else {
                        100
                    };
                    assert!(
                        at <= begins + Duration::from_millis(late),
                        "{name}: {at:?}, {begins:?}"
                    );
                    assert!(at + DAMAGE > begins, "{name}: {at:?}, {begins:?}");
                    assert!(lost > Duration::ZERO && lost <= DAMAGE, "{name}: {lost:?}");
                    assert!(error.to_string().starts_with("it is damaged at 0:00."));
                }
                // Bytes within a frame, and no checksum: it sounds wrong, as it does everywhere.
                Ok(())
                    if name.contains(".mp3") || name.contains(".aac") || name.contains(".m4a") => {}
                other => panic!("{name}: {other:?}"),
            }
        }
    }
}

#[test]
fn damage_is_said_with_its_place_and_length() {
    let mut bytes = fs::read(path("mono-16000.flac")).unwrap();
    bytes[12_000] ^= 1;
    let (_, end) = decode(open(&bytes, "-").unwrap());
    assert_eq!(
        end.unwrap_err().to_string(),
        "it is damaged at 0:00.216: 0.072 s are silence instead; the rest is decoded"
    );
}

#[test]
fn damage_and_a_cut_are_both_said() {
    let mut bytes = fs::read(path("mono-16000.flac")).unwrap();
    bytes[12_000..12_010].fill(0);
    let (_, end) = decode(open(&bytes[..18_000], "-").unwrap());
    let Err(RecordingError::Damaged {
        places: 1,
        source: Some(cut),
        ..
    }) = end
    else {
        panic!("{end:?}");
    };
    assert!(matches!(*cut, RecordingError::CutShort { .. }), "{cut:?}");
}

#[test]
fn an_mp4_that_was_not_finished_has_no_index() {
    let bytes = fs::read(path("mono-16000.m4a")).unwrap();
    let error = open(&bytes[..bytes.len() / 2], "-")
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("it has no index, which recorders write last"),
        "{error}"
    );
}

/// Fails, or is interrupted, after some bytes.
struct Failing {
    bytes: Cursor<Vec<u8>>,
    left: usize,
    kind: io::ErrorKind,
}

impl Read for Failing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            if self.kind == io::ErrorKind::Interrupted {
                self.left = 777;
            }
            return Err(self.kind.into());
        }
        let len = buffer.len().min(self.left);
        let found = self.bytes.read(&mut buffer[..len])?;
        self.left -= found;
        Ok(found)
    }
}

fn failing(name: &str, left: usize, kind: io::ErrorKind) -> Result<Recording, RecordingError> {
    let bytes = Cursor::new(fs::read(path(name)).expect("a fixture"));
    Recording::from_reader(Failing { bytes, left, kind }, name)
}

#[test]
fn a_failure_of_the_system_is_no_damage() {
    for (name, _) in FILES.into_iter().chain([("raw.ulaw", 0)]) {
        let len = fs::read(path(name)).unwrap().len();
        let (whole, _) = decode(Recording::open(&path(name)).unwrap());
        let error = failing(name, 0, io::ErrorKind::TimedOut).unwrap_err();
        assert!(matches!(&error, RecordingError::Io(e) if e.kind() == io::ErrorKind::TimedOut));
        match failing(name, len - 100, io::ErrorKind::TimedOut) {
            // What is looked at before the first block reaches so far.
            Err(RecordingError::Io(error)) => assert_eq!(error.kind(), io::ErrorKind::TimedOut),
            Err(error) => panic!("{name}: {error:?}"),
            Ok(recording) => {
                let (part, end) = decode(recording);
                assert!(whole.starts_with(&part), "{name}");
                let Err(RecordingError::Read { source, .. }) = end else {
                    panic!("{name}: {end:?}");
                };
                assert_eq!(source.kind(), io::ErrorKind::TimedOut);
            }
        }
        let (samples, end) = decode(failing(name, 777, io::ErrorKind::Interrupted).unwrap());
        end.unwrap();
        assert!(samples == whole, "{name}: a signal is no failure");
    }
}
