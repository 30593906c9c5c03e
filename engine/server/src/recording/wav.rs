//! WAV of 16-bit stereo PCM that grows, and is a whole file after each piece.

use std::io::{self, Seek as _, SeekFrom, Write as _};

use sidetone_codecs::SampleRate;

use super::crypt::Sink;

/// The header's length, in bytes.
pub(super) const HEADER: usize = 44;
/// Bytes of one instant.
const INSTANT: u64 = 4;
/// Readers take this length for: to the end of the file.
const UNKNOWN: u32 = u32::MAX;
/// The longest audio that the header can tell of, in bytes.
const MAX_AUDIO: u64 = (u32::MAX as u64 - HEADER as u64) / INSTANT * INSTANT;

pub(super) struct WavFile {
    sink: Sink,
    rate: SampleRate,
    /// Bytes of audio.
    audio: u64,
    bytes: Vec<u8>,
}

impl WavFile {
    pub(super) fn begin(mut sink: Sink, rate: SampleRate) -> io::Result<Self> {
        let len = match sink {
            Sink::Plain(_) => 0,
            // Nothing can be filled in later.
            Sink::Encrypted(_) => UNKNOWN,
        };
        sink.write_all(&header(rate, len))?;
        Ok(Self {
            sink,
            rate,
            audio: 0,
            bytes: Vec::new(),
        })
    }

    /// Appends instants: left and right in turn.
    pub(super) fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        self.bytes.clear();
        let bytes = samples.iter().flat_map(|sample| sample.to_le_bytes());
        self.bytes.extend(bytes);
        let audio = self.audio + self.bytes.len() as u64;
        if audio > MAX_AUDIO {
            return Err(io::Error::other("a WAV file ends at 4 GiB"));
        }
        self.sink.write_all(&self.bytes)?;
        self.audio = audio;
        if let Sink::Plain(file) = &mut self.sink {
            file.rewind()?;
            file.write_all(&header(self.rate, audio_len(audio)))?;
            file.seek(SeekFrom::End(0))?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> io::Result<()> {
        self.sink.finish()
    }
}

/// Corrects the lengths in the first [`HEADER`] bytes of a file that is `len` bytes long.
pub(super) fn correct_lengths(header: &mut [u8; HEADER], len: u64) {
    let audio = audio_len(len.saturating_sub(HEADER as u64) / INSTANT * INSTANT);
    header[4..8].copy_from_slice(&audio.saturating_add(36).to_le_bytes());
    header[40..44].copy_from_slice(&audio.to_le_bytes());
}

fn audio_len(bytes: u64) -> u32 {
    u32::try_from(bytes).unwrap_or(UNKNOWN)
}

fn header(rate: SampleRate, audio: u32) -> [u8; HEADER] {
    let mut header = [0; HEADER];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        header[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(b"RIFF");
    put(&audio.saturating_add(36).to_le_bytes());
    put(b"WAVEfmt ");
    put(&16_u32.to_le_bytes());
    // PCM, two channels.
    put(&1_u16.to_le_bytes());
    put(&2_u16.to_le_bytes());
    put(&rate.hz().to_le_bytes());
    put(&(rate.hz() * 4).to_le_bytes());
    put(&4_u16.to_le_bytes());
    put(&16_u16.to_le_bytes());
    put(b"data");
    put(&audio.to_le_bytes());
    header
}
