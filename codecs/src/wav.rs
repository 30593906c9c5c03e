//! WAV files of PCM: whole ones in, whole ones out.
//!
//! For fixtures, prompts and what a call leaves behind, which are short and in order. Recordings
//! from elsewhere, of any format and length, are for the module `recording` (feature `recordings`).

use std::{
    fs::File,
    io::{BufWriter, Cursor, ErrorKind, Read, Seek, Write},
    num::NonZeroU16,
    path::{Path, PathBuf},
};

use hound::{SampleFormat, WavReader, WavSpec, WavWriter};

use crate::{SampleCount, SampleRate};

/// Programs that write to a pipe cannot go back to fill in the length and leave one of 2 or 4 GiB.
const UNKNOWN_LENGTH: u32 = 0x7FFF_0000;
/// What a header and a full 32-bit length leave for samples.
const MAX_DATA_BYTES: usize = u32::MAX as usize - 1_024;

/// Why a WAV file was not read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WavError {
    /// Which file it was; what was wrong is the source.
    #[error("cannot use the audio file {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        source: Box<WavError>,
    },
    /// Reading or writing failed.
    #[error(transparent)]
    Io(std::io::Error),
    /// The bytes end within the header.
    #[error("it ends before its audio begins: it is empty, cut off, or not a WAV file")]
    HeaderCutShort,
    /// The bytes end within the audio.
    #[error("it is cut off: its header announces {announced} bytes of audio, {found} are there")]
    AudioCutShort {
        /// What the header says.
        announced: u32,
        /// What there was.
        found: usize,
    },
    /// Not a WAV file, or a broken one.
    #[error("it is not a valid WAV file: {0}")]
    Malformed(&'static str),
    /// Compressed audio.
    #[error(
        "it holds neither integer nor float PCM (μ-law, A-law and ADPCM in WAV are not read here); \
         convert it with `sox in.wav -e signed-integer -b 16 out.wav`"
    )]
    Encoding,
    /// PCM of an unusual width.
    #[error(
        "its samples are {kind}s of {bits} bits; read are integers of 8, 16, 24 and 32 bits and \
         floats of 32 bits"
    )]
    SampleWidth {
        /// `integer` or `float`.
        kind: &'static str,
        /// The bits of one sample.
        bits: u16,
    },
    /// More audio than the format can hold.
    #[error("a WAV file of 16-bit audio ends at 4 GiB and cannot hold {0} samples")]
    TooLong(usize),
}

/// A recording in memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audio {
    /// Samples per second and channel.
    pub rate: SampleRate,
    /// How many channels are interleaved.
    pub channels: NonZeroU16,
    /// Interleaved: all channels of the first instant, then all of the second. A whole number of
    /// instants.
    pub samples: Vec<i16>,
}

impl Audio {
    /// The length of one channel.
    #[must_use]
    pub fn len(&self) -> SampleCount {
        SampleCount((self.samples.len() / usize::from(self.channels.get())) as u64)
    }

    /// Whether there is no sample.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// The mean of all channels, rounded to the nearest.
    #[must_use]
    pub fn into_mono(self) -> Vec<i16> {
        let channels = i64::from(self.channels.get());
        if channels == 1 {
            return self.samples;
        }
        let mean = |instant: &[i16]| {
            let sum: i64 = instant.iter().copied().map(i64::from).sum();
            // Halves go up; a mean of 16-bit values is one.
            (2 * sum + channels).div_euclid(2 * channels) as i16
        };
        self.samples
            .chunks_exact(usize::from(self.channels.get()))
            .map(mean)
            .collect()
    }
}

/// Reads a WAV file of 8, 16, 24 or 32-bit integers or 32-bit floats as 16-bit PCM, rounded to the
/// nearest; floats beyond ±1 saturate.
///
/// # Errors
///
/// [`WavError::File`] with the path and what was wrong.
pub fn read_file(path: impl AsRef<Path>) -> Result<Audio, WavError> {
    let path = path.as_ref();
    File::open(path)
        .map_err(WavError::Io)
        .and_then(read)
        .map_err(in_file(path))
}

/// Reads a WAV file's bytes, as [`read_file`] does.
///
/// A header that was written to a pipe, without knowing the length, is understood: the audio then
/// goes to the end of the bytes.
///
/// # Errors
///
/// [`WavError`], except its variant `File`.
pub fn read(mut reader: impl Read) -> Result<Audio, WavError> {
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).map_err(WavError::Io)?;
    settle_length(&mut bytes)?;
    let reader = WavReader::new(&bytes[..]).map_err(from_hound)?;
    let WavSpec {
        channels,
        sample_rate,
        bits_per_sample: bits,
        sample_format,
    } = reader.spec();
    let rate = SampleRate::new(sample_rate).ok_or(WavError::Malformed("its rate is zero"))?;
    let channels = NonZeroU16::new(channels).ok_or(WavError::Malformed("it has no channel"))?;
    let (kind, samples): (_, Result<_, _>) = match sample_format {
        SampleFormat::Int => {
            let samples = reader.into_samples::<i32>();
            (
                "integer",
                samples.map(|s| Ok(to_16_bits(s?, bits))).collect(),
            )
        }
        SampleFormat::Float => {
            let samples = reader.into_samples::<f32>();
            // The cast saturates, and makes 0 of what is not a number.
            (
                "float",
                samples
                    .map(|s| Ok((s? * 32_768.0).round() as i16))
                    .collect(),
            )
        }
    };
    let samples = samples.map_err(|error| match error {
        hound::Error::Unsupported | hound::Error::TooWide => WavError::SampleWidth { kind, bits },
        error => from_hound(error),
    })?;
    Ok(Audio {
        rate,
        channels,
        samples,
    })
}

/// Writes one channel of 16-bit PCM.
///
/// # Errors
///
/// [`WavError::File`] with the path and what went wrong.
pub fn write_mono(
    path: impl AsRef<Path>,
    rate: SampleRate,
    samples: &[i16],
) -> Result<(), WavError> {
    let path = path.as_ref();
    create(path)
        .and_then(|file| write_samples(file, rate, 1, samples.iter().copied()))
        .map_err(in_file(path))
}

/// Writes two channels of 16-bit PCM; the shorter one ends in silence.
///
/// # Errors
///
/// [`WavError::File`] with the path and what went wrong.
pub fn write_stereo(
    path: impl AsRef<Path>,
    rate: SampleRate,
    left: &[i16],
    right: &[i16],
) -> Result<(), WavError> {
    let path = path.as_ref();
    let at = |channel: &[i16], n| channel.get(n).copied().unwrap_or(0);
    let samples = (0..left.len().max(right.len())).flat_map(|n| [at(left, n), at(right, n)]);
    create(path)
        .and_then(|file| write_samples(file, rate, 2, samples))
        .map_err(in_file(path))
}

/// The bytes of a WAV file with one channel of 16-bit PCM, such as to upload it.
///
/// # Errors
///
/// [`WavError::TooLong`].
pub fn mono_bytes(rate: SampleRate, samples: &[i16]) -> Result<Vec<u8>, WavError> {
    let mut bytes = Vec::with_capacity(44 + 2 * samples.len());
    write_samples(Cursor::new(&mut bytes), rate, 1, samples.iter().copied())?;
    Ok(bytes)
}

fn create(path: &Path) -> Result<BufWriter<File>, WavError> {
    File::create(path).map(BufWriter::new).map_err(WavError::Io)
}

fn write_samples(
    writer: impl Write + Seek,
    rate: SampleRate,
    channels: u16,
    samples: impl Iterator<Item = i16> + Clone,
) -> Result<(), WavError> {
    let len = samples.clone().count();
    if len > MAX_DATA_BYTES / 2 {
        return Err(WavError::TooLong(len));
    }
    let spec = WavSpec {
        channels,
        sample_rate: rate.hz(),
        bits_per_sample: 16,
        sample_format: SampleFormat::Int,
    };
    let mut writer = WavWriter::new(writer, spec).map_err(from_hound)?;
    for sample in samples {
        writer.write_sample(sample).map_err(from_hound)?;
    }
    writer.finalize().map_err(from_hound)
}

/// Checks the length that the header gives for the audio, and puts the true one where a program
/// that wrote to a pipe left none. Leaves it to hound to say what is wrong with other headers.
fn settle_length(bytes: &mut [u8]) -> Result<(), WavError> {
    let Some(AudioChunk {
        at,
        announced,
        block_align,
    }) = find_audio(bytes)
    else {
        return Ok(());
    };
    let found = bytes.len() - at;
    if announced >= UNKNOWN_LENGTH {
        let whole = u32::try_from(found - found % block_align.max(1))
            .map_err(|_| WavError::Malformed("it is longer than 4 GiB"))?;
        bytes[at - 4..at].copy_from_slice(&whole.to_le_bytes());
    } else if found < announced as usize {
        return Err(WavError::AudioCutShort { announced, found });
    }
    Ok(())
}

struct AudioChunk {
    /// Where its first byte is.
    at: usize,
    announced: u32,
    /// Bytes of one sample of all channels.
    block_align: usize,
}

/// Walks the chunks up to the audio; `None` where they make no sense.
fn find_audio(bytes: &[u8]) -> Option<AudioChunk> {
    // After "RIFF", the file's length and "WAVE".
    let mut at = 12_usize;
    let mut block_align = None;
    loop {
        let header = bytes.get(at..at.checked_add(8)?)?;
        let len = u32::from_le_bytes([header[4], header[5], header[6], header[7]]);
        at += 8;
        match &header[..4] {
            b"data" => {
                return Some(AudioChunk {
                    at,
                    announced: len,
                    block_align: block_align?,
                });
            }
            b"fmt " => {
                let field = bytes.get(at + 12..at + 14)?;
                block_align = Some(u16::from_le_bytes([field[0], field[1]]).into());
            }
            _ => {}
        }
        at = at.checked_add(len as usize)?;
    }
}

/// A sample of `bits`, at most 32, in 16: rounded to the nearest where there were more.
fn to_16_bits(sample: i32, bits: u16) -> i16 {
    let full_scale = sample << 32_u16.saturating_sub(bits);
    (full_scale.saturating_add(1 << 15) >> 16) as i16
}

fn in_file(path: &Path) -> impl FnOnce(WavError) -> WavError {
    |error| WavError::File {
        path: path.to_owned(),
        source: Box::new(error),
    }
}

fn from_hound(error: hound::Error) -> WavError {
    match error {
        // hound has no kind of its own for "no more bytes"; the system's errors have other kinds.
        hound::Error::IoError(error) if error.kind() == ErrorKind::Other => {
            WavError::HeaderCutShort
        }
        hound::Error::IoError(error) => WavError::Io(error),
        hound::Error::FormatError(reason) => WavError::Malformed(reason),
        hound::Error::Unsupported => WavError::Encoding,
        hound::Error::TooWide
        | hound::Error::UnfinishedSample
        | hound::Error::InvalidSampleFormat => {
            WavError::Malformed("its samples are not what its header says")
        }
    }
}
