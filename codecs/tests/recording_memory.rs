//! Memory does not depend on a recording's length, nor on what a file says of its length.
#![cfg(feature = "recordings")]

use std::{
    fs,
    io::{self, Cursor, Read},
};

use sidetone_codecs::recording::Recording;

#[path = "recording_common/mod.rs"]
mod common;

use common::path;

/// Symphonia's buffers, a window of frames and a block of samples; far less than any recording.
const MOST_BYTES: u64 = 1_000_000;

/// `head`, then `rounds` times `round`.
struct Repeated {
    now: Cursor<Vec<u8>>,
    round: Vec<u8>,
    rounds: usize,
}

impl Repeated {
    fn new(head: &[u8], round: &[u8], rounds: usize) -> Self {
        Self {
            now: Cursor::new(head.to_vec()),
            round: round.to_vec(),
            rounds,
        }
    }
}

impl Read for Repeated {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let found = self.now.read(buffer)?;
        if found > 0 || self.rounds == 0 {
            return Ok(found);
        }
        self.rounds -= 1;
        self.now.get_mut().clone_from(&self.round);
        self.now.set_position(0);
        self.now.read(buffer)
    }
}

/// The most bytes that were allocated at once, and how many instants there were.
fn measure(reader: impl Read + Send + Sync + 'static, name: &str) -> (u64, usize) {
    let mut instants = 0;
    let info = allocation_counter::measure(|| {
        let Ok(mut recording) = Recording::from_reader(reader, name) else {
            return;
        };
        let mut samples = Vec::new();
        while let Ok(found @ 1..) = recording.read(&mut samples) {
            instants += found;
            samples.clear();
        }
    });
    (info.bytes_max, instants)
}

#[test]
fn an_endless_recording_takes_as_much_memory_as_a_short_one() {
    let mp3 = fs::read(path("no-xing.mp3")).unwrap();
    let aac = fs::read(path("mono-16000.aac")).unwrap();
    let wav = fs::read(path("sox-pipe.wav")).unwrap();
    let stereo = fs::read(path("twilio-dual-channel.wav")).unwrap();
    // Its header announces all that its field can hold.
    let mut announced = stereo[..44].to_vec();
    announced[40..44].copy_from_slice(&0x7FFE_FFFC_u32.to_le_bytes());
    for (name, head, round, rounds) in [
        ("-.mp3", &[][..], &mp3[..], 200),
        ("-.aac", &[], &aac, 200),
        ("-.ulaw", &[], &stereo[44..], 1_000),
        ("-.wav", &wav[..44], &wav[44..], 2_000),
        ("-.wav", &announced, &stereo[44..], 1_000),
    ] {
        let (short, few) = measure(Repeated::new(head, round, rounds / 10), name);
        let (long, many) = measure(Repeated::new(head, round, rounds), name);
        assert!(many > 9 * few && few > 0, "{name}: {few}, {many}");
        assert!(long <= short + 1_000, "{name}: {short}, then {long} bytes");
        assert!(long < MOST_BYTES, "{name}: {long} bytes");
    }
}

#[test]
fn an_announced_length_allocates_nothing() {
    let mut id3 = b"ID3\x04\0\0\x7F\x7F\x7F\x7F".to_vec();
    id3.extend([0; 100]);
    let flac = fs::read(path("mono-16000.flac")).unwrap();
    let mut picture = flac[..42].to_vec();
    picture[4] &= 0x7F;
    picture.extend(b"\x06\xFF\xFF\xFF\0\0\0\x03\xFF\xFF\xFF\xFF");
    let mut mp4 = fs::read(path("stereo-44100.m4a")).unwrap();
    let table = mp4.windows(4).position(|name| name == b"stsz").unwrap();
    mp4[table + 12..table + 16].fill(0xFF);
    let mut format = b"RIFF\xFF\xFF\xFF\xFFWAVEfmt \xF0\xFF\xFF\xFF".to_vec();
    format.extend([1; 100]);
    let mut list = b"RIFF\xFF\xFF\xFF\xFFWAVELIST\xF0\xFF\xFF\xFFINFO".to_vec();
    list.extend([1; 100]);
    for (name, bytes) in [
        ("ID3", id3),
        ("a FLAC's picture", picture),
        ("an MP4's table", mp4),
        ("a WAV's format", format),
        ("a WAV's list", list),
    ] {
        let (most, _) = measure(Cursor::new(bytes), "-");
        assert!(most < MOST_BYTES, "{name}: {most} bytes");
    }
}
