//! Recordings that are cut off or damaged: what is there is decoded, and the error says where.
#![cfg(feature = "recordings")]

use std::{
    fs,
    io::{self, Cursor, Read},
    time::Duration,
};

use sidetone_codecs::recording::{Recording, RecordingError};

#[path = "recording_common/mod.rs"]
mod common;

use common::{decode, path};

/// Every format, by a file that tells its length or its end.
const FILES: [&str; 12] = [
    "twilio-dual-channel.wav",
    "s24.wav",
    "mulaw.wav",
    "mono-16000.flac",
    "mono-16000.mp3",
    "no-xing.mp3",
    "mono-16000.vorbis.ogg",
    "mono.opus",
    "stereo-44100.m4a",
    "opus.mp4",
    "mono-16000.aac",
    "raw.ulaw",
];

fn open(bytes: &[u8], name: &str) -> Result<Recording, RecordingError> {
    Recording::from_seekable(Cursor::new(bytes.to_vec()), name)
}

#[test]
fn explore() {
    for name in FILES {
        let bytes = fs::read(path(name)).unwrap();
        let (whole, end) = decode(open(&bytes, name).unwrap());
        end.unwrap();
        for share in [1, 5, 9] {
            let cut = &bytes[..bytes.len() * share / 10];
            match open(cut, name) {
                Err(error) => println!("{name} cut {share}: {error}"),
                Ok(recording) => {
                    let rate = recording.rate();
                    let (part, end) = decode(recording);
                    let same = part.iter().zip(&whole).take_while(|(a, b)| a == b).count();
                    println!(
                        "{name} {rate} cut {share}: {} of {}, same {same}, {:?}",
                        part.len(),
                        whole.len(),
                        end.map_err(|e| e.to_string())
                    );
                }
            }
        }
        for noise in [&[0_u8; 200][..], &[0xFF; 200], b"a"] {
            let mut bytes = bytes.clone();
            let at = bytes.len() * 6 / 10;
            bytes[at..at + noise.len()].copy_from_slice(noise);
            match open(&bytes, name) {
                Err(error) => println!("{name} damaged: {error}"),
                Ok(recording) => {
                    let (part, end) = decode(recording);
                    let same = part.iter().zip(&whole).take_while(|(a, b)| a == b).count();
                    let tail = part
                        .iter()
                        .rev()
                        .zip(whole.iter().rev())
                        .take_while(|(a, b)| a == b)
                        .count();
                    println!(
                        "{name} damaged {}x{}: {} of {}, same {same} then {tail}, {:?}",
                        noise.len(),
                        noise[0],
                        part.len(),
                        whole.len(),
                        end.map_err(|e| e.to_string())
                    );
                }
            }
        }
    }
}
