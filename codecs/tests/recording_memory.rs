//! Memory does not depend on a recording's length, nor on what a file says of its length.
#![cfg(feature = "recordings")]
#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

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

/// A page of Ogg with one packet, of which each part but the last has 255 bytes.
fn page(flags: u8, number: u32, packet: &[u8]) -> Vec<u8> {
    let mut parts = vec![255; packet.len() / 255];
    parts.push((packet.len() % 255) as u8);
    let mut page = b"OggS\0".to_vec();
    page.push(flags);
    page.extend([0; 8]);
    page.extend(7_u32.to_le_bytes());
    page.extend(number.to_le_bytes());
    page.extend([0; 4]);
    page.push(u8::try_from(parts.len()).unwrap());
    page.extend(parts);
    page.extend(packet);
    let mut sum = 0_u32;
    for byte in &page {
        sum ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            sum = sum << 1 ^ if sum >> 31 == 1 { 0x04C1_1DB7 } else { 0 };
        }
    }
    page[22..26].copy_from_slice(&sum.to_le_bytes());
    page
}

/// Bits, the lowest of a byte first.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    len: usize,
}

impl BitWriter {
    fn put(&mut self, value: u64, count: usize) {
        for n in 0..count {
            if self.len.is_multiple_of(8) {
                self.bytes.push(0);
            }
            *self.bytes.last_mut().unwrap() |= ((value >> n & 1) as u8) << (self.len % 8);
            self.len += 1;
        }
    }
}

/// An Ogg Vorbis file whose header has `count` codebooks of 2^`len` entries, each a codeword of so many
/// bits for a vector of 16 numbers.
fn vorbis(count: u64, len: u64) -> Vec<u8> {
    let mut setup = BitWriter {
        bytes: b"\x05vorbis".to_vec(),
        len: 7 * 8,
    };
    setup.put(count - 1, 8);
    for _ in 0..count {
        setup.put(0x56_43_42, 24);
        setup.put(16, 16);
        setup.put(1 << len, 24);
        // By their lengths: all of one.
        setup.put(1, 1);
        setup.put(len - 1, 5);
        setup.put(1 << len, len as usize + 1);
        // Vectors of one value or two, of one bit each.
        setup.put(1, 4);
        setup.put(0, 64);
        setup.put(0, 4);
        setup.put(0, 1);
        setup.put(0, if len > 16 { 2 } else { 1 });
    }
    // One each of all the rest.
    setup.put(0, 6);
    setup.put(0, 16);
    setup.put(0, 6);
    setup.put(1, 16);
    setup.put(0, 5 + 2 + 4);
    setup.put(0, 6);
    setup.put(2, 16);
    for bits in [24, 24, 24, 6, 8, 4] {
        setup.put(0, bits);
    }
    setup.put(0, 6);
    setup.put(0, 16);
    setup.put(0, 1 + 1 + 2 + 8 + 8 + 8);
    setup.put(0, 6);
    setup.put(0, 1 + 16 + 16 + 8);
    setup.put(1, 1);
    let mut identification = b"\x01vorbis\0\0\0\0\x01\x80\x3E\0\0".to_vec();
    identification.extend([0; 12]);
    identification.extend([0xB8, 1]);
    let comment = b"\x03vorbis\0\0\0\0\0\0\0\0\x01";
    let mut file = page(2, 0, &identification);
    file.extend(page(0, 1, comment));
    file.extend(page(0, 2, &setup.bytes));
    file.extend(page(4, 3, &[0]));
    file
}

#[test]
fn vorbis_codebooks_are_granted_no_more_memory_than_encoders_ask_for() {
    for (count, len) in [(256, 17), (256, 9), (40, 12)] {
        let file = vorbis(count, len);
        let mut told = String::new();
        let info = allocation_counter::measure(|| {
            let opened = Recording::from_reader(Cursor::new(file), "-");
            told = opened.err().map_or_else(String::new, |e| e.to_string());
        });
        assert!(
            told.contains("its Vorbis codebooks would take"),
            "{count} of {len} bits: {told:?}"
        );
        assert!(
            info.bytes_max < MOST_BYTES,
            "{count} of {len} bits: {}",
            info.bytes_max
        );
    }
    // What is below the bound takes about what was foreseen.
    let file = vorbis(3, 12);
    let info = allocation_counter::measure(|| {
        let opened = Recording::from_reader(Cursor::new(file), "-");
        assert!(opened.is_ok(), "{:?}", opened.err());
    });
    assert!(info.bytes_max < 32 << 20, "{}", info.bytes_max);
}
