//! WAV (RIFF, and RF64 or BW64 for more than 4 GiB) as recorders write it, read as a stream.
//!
//! Own code, because what recorders of calls leave behind is what libraries refuse: lengths that
//! were never filled in, format chunks of μ-law without their extension, files cut off.

use super::{Blocks, Opened, RecordingError, Shape, pcm, raw::Law, source::Source};
use crate::SampleCount;

pub(super) const NAME: &str = "WAV";
/// Bytes of a block, about.
const BLOCK: usize = 32 * 1_024;
/// Programs that write to a pipe cannot go back to fill in the length and leave one of 2 or 4 GiB.
const UNKNOWN_LENGTH: u32 = 0x7FFF_0000;
/// What `WAVE_FORMAT_EXTENSIBLE` identifies its codecs by, after the first two bytes.
const GUID_TAIL: [u8; 14] = [0, 0, 0, 0, 0x10, 0, 0x80, 0, 0, 0xAA, 0, 0x38, 0x9B, 0x71];
const EXTENSIBLE: u16 = 0xFFFE;
/// Bytes behind the audio that tell whether it goes on.
const WORD: usize = 8;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Samples {
    Integers { bytes: usize },
    Floats { bytes: usize },
    G711(Law),
}

impl Samples {
    const fn bytes(self) -> usize {
        match self {
            Self::Integers { bytes } | Self::Floats { bytes } => bytes,
            Self::G711(_) => 1,
        }
    }

    fn name(self) -> String {
        match self {
            Self::Integers { bytes } => format!("PCM of {} bits", 8 * bytes),
            Self::Floats { bytes } => format!("floats of {} bits", 8 * bytes),
            Self::G711(law) => law.name().to_owned(),
        }
    }

    fn decode_append(self, bytes: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::G711(law) => law.decode_append(bytes, samples),
            // Only this width has no sign.
            Self::Integers { bytes: 1 } => samples.extend(
                bytes
                    .iter()
                    .map(|&byte| ((i32::from(byte) - 128) << 8) as i16),
            ),
            Self::Integers { bytes: 2 } => samples.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&sample| i16::from_le_bytes(sample)),
            ),
            Self::Integers { bytes: 3 } => samples.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&[a, b, c]| pcm::from_i32(i32::from_le_bytes([0, a, b, c]))),
            ),
            Self::Integers { .. } => samples.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&sample| pcm::from_i32(i32::from_le_bytes(sample))),
            ),
            Self::Floats { bytes: 4 } => samples.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&sample| pcm::from_f32(f32::from_le_bytes(sample))),
            ),
            Self::Floats { .. } => samples.extend(
                bytes
                    .as_chunks()
                    .0
                    .iter()
                    .map(|&sample| pcm::from_f64(f64::from_le_bytes(sample))),
            ),
        }
    }
}

struct Format {
    samples: Samples,
    shape: Shape,
}

impl Format {
    /// Bytes of one instant.
    fn instant(&self) -> usize {
        self.samples.bytes() * self.shape.width()
    }
}

struct Wav {
    source: Source,
    format: Format,
    /// Bytes of audio to come; `None` where they go to the end of the file.
    left: Option<u64>,
    /// Bytes behind it that make no whole instant.
    odd: u64,
    announced: Option<SampleCount>,
    done: SampleCount,
    bytes: Vec<u8>,
}

pub(super) fn open(mut source: Source) -> Result<Opened, RecordingError> {
    let header = read_header(&mut source).map_err(|error| match source.take_failure() {
        Some(failure) => RecordingError::Io(failure),
        None => error,
    })?;
    let Header { format, audio_len } = header;
    let instant = format.instant() as u64;
    // Without a length of its own, the audio is what the file has.
    let announced = audio_len
        .or_else(|| source.len().map(|len| len.saturating_sub(source.at())))
        .map(|len| SampleCount(len / instant));
    Ok(Opened {
        format: format!("{NAME}, {}", format.samples.name()),
        shape: format.shape,
        announced,
        blocks: Box::new(Wav {
            left: audio_len.map(|len| len - len % instant),
            odd: audio_len.map_or(0, |len| len % instant),
            announced: announced.filter(|_| audio_len.is_some()),
            source,
            format,
            done: SampleCount::ZERO,
            bytes: Vec::new(),
        }),
    })
}

impl Blocks for Wav {
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        let instant = self.format.instant();
        let wanted = (BLOCK - BLOCK % instant) as u64;
        let wanted = self.left.map_or(wanted, |left| left.min(wanted)) as usize;
        self.bytes.resize(wanted, 0);
        let found = self.source.fill(&mut self.bytes) / instant;
        let whole = &self.bytes[..found * instant];
        self.format.samples.decode_append(whole, samples);
        self.done += SampleCount(found as u64);
        if let Some(left) = &mut self.left {
            *left -= whole.len() as u64;
        }
        if found == 0 {
            self.end()?;
        }
        Ok(found)
    }
}

impl Wav {
    /// Whether all is well where no more audio comes.
    fn end(&mut self) -> Result<(), RecordingError> {
        let rate = self.format.shape.rate;
        let at = self.done.duration(rate);
        if let Some(source) = self.source.take_failure() {
            return Err(RecordingError::Read { at, source });
        }
        let left = self.left;
        match left {
            Some(1..) => Err(RecordingError::CutShort {
                at,
                announced: self.announced.map(|len| len.duration(rate)),
            }),
            Some(0) if self.audio_follows() => Err(RecordingError::Undecodable {
                at,
                reason: "its header ends the audio here, and what follows is no part of a WAV"
                    .to_owned(),
            }),
            _ => Ok(()),
        }
    }
}

impl Wav {
    /// Whether what stands behind the audio of a file looks like more of it: a chunk or a tag has
    /// a name, padding is 0. A pipe is not waited for.
    fn audio_follows(&mut self) -> bool {
        if self.source.len().is_none() || !self.source.skip(self.odd) {
            return false;
        }
        let next = self.source.peek(WORD);
        let is_named = |name: &[u8]| name.iter().all(|byte| matches!(byte, b' '..=b'~'));
        // The byte that makes the length even may be there, or not.
        next.len() == WORD
            && next.iter().any(|&byte| byte != 0)
            && !is_named(&next[..3])
            && !is_named(&next[1..4])
    }
}

struct Header {
    format: Format,
    /// `None` where the writer did not know.
    audio_len: Option<u64>,
}

/// Reads up to the first byte of audio.
fn read_header(source: &mut Source) -> Result<Header, RecordingError> {
    const CUT: RecordingError = RecordingError::HeaderCutShort { container: NAME };
    let [riff, len, _wave]: [[u8; 4]; 3] = source
        .array::<12>()
        .map(|bytes| {
            let (words, _) = bytes.as_chunks();
            [words[0], words[1], words[2]]
        })
        .ok_or(CUT)?;
    let is_long = &riff != b"RIFF";
    let riff_len = u32::from_le_bytes(len);
    let mut format = None;
    let mut long_len = None;
    loop {
        let header: [u8; 8] = source.array().ok_or(CUT)?;
        let (name, len) = header.split_at(4);
        let len = u32::from_le_bytes([len[0], len[1], len[2], len[3]]);
        match name {
            b"data" => {
                let format =
                    format.ok_or_else(|| malformed("its audio comes before its format"))?;
                let unfinished = riff_len == 0 || u64::from(riff_len) + 8 < source.at();
                let audio_len = match len {
                    u32::MAX if is_long => long_len,
                    UNKNOWN_LENGTH.. => None,
                    // A recorder that was stopped before it filled its header in.
                    0 if unfinished => None,
                    len => Some(len.into()),
                };
                return Ok(Header { format, audio_len });
            }
            b"fmt " => {
                let mut fields = [0; 40];
                let found = fields.len().min(len as usize);
                if source.fill(&mut fields[..found]) < found {
                    return Err(CUT);
                }
                format = Some(parse_format(&fields[..found])?);
                skip_rest(source, len, found as u32).ok_or(CUT)?;
            }
            b"ds64" if is_long && len >= 24 => {
                let sizes: [u8; 24] = source.array().ok_or(CUT)?;
                let (sizes, _) = sizes.as_chunks();
                // The file's length, the audio's, and the number of instants.
                long_len = Some(u64::from_le_bytes(sizes[1])).filter(|&len| len != u64::MAX);
                skip_rest(source, len, 24).ok_or(CUT)?;
            }
            _ => skip_rest(source, len, 0).ok_or(CUT)?,
        }
    }
}

/// Leaves out what remains of a chunk, and the byte that makes its length even.
fn skip_rest(source: &mut Source, len: u32, read: u32) -> Option<()> {
    let rest = u64::from(len - read) + u64::from(len % 2);
    source.skip(rest).then_some(())
}

fn parse_format(fields: &[u8]) -> Result<Format, RecordingError> {
    let word = |at: usize| Some(u16::from_le_bytes([*fields.get(at)?, *fields.get(at + 1)?]));
    let (Some(tag), Some(channels), Some(rate_low), Some(rate_high), Some(block), Some(bits)) =
        (word(0), word(2), word(4), word(6), word(12), word(14))
    else {
        return Err(malformed("its format has less than 16 bytes"));
    };
    let tag = match tag {
        EXTENSIBLE => match (word(24), fields.get(26..40)) {
            (Some(tag), Some(tail)) if tail == GUID_TAIL => tag,
            (None, _) | (_, None) => {
                return Err(malformed("its extensible format has less than 40 bytes"));
            }
            _ => return Err(codec("a codec without a number")),
        },
        tag => tag,
    };
    let shape = Shape::new(
        u32::from(rate_low) | u32::from(rate_high) << 16,
        channels.into(),
    )?;
    // 20 bits, say, may come in 3 bytes or in 4: they are the upper ones.
    let least = usize::from(bits).div_ceil(8);
    let given = usize::from(block) / shape.width();
    let exact = usize::from(block) % shape.width() == 0;
    let bytes = if exact && given >= least {
        given
    } else {
        least
    };
    let samples = match (tag, bits, bytes) {
        (1, 1..=32, 1..=4) => Samples::Integers { bytes },
        (1, ..) => return Err(codec(&format!("PCM of {bits} bits"))),
        (3, 32, 4) | (3, 64, 8) => Samples::Floats { bytes },
        (3, ..) => return Err(codec(&format!("floats of {bits} bits"))),
        (6, ..) => Samples::G711(Law::A),
        (7, ..) => Samples::G711(Law::Mu),
        _ => return Err(codec(&codec_name(tag))),
    };
    Ok(Format { samples, shape })
}

fn codec_name(tag: u16) -> String {
    // Microsoft's mmreg.h; RFC 2361.
    let name = match tag {
        0x0002 => "ADPCM (Microsoft)",
        0x0011 => "ADPCM (IMA)",
        0x0022 => "TrueSpeech",
        0x0031 => "GSM 6.10",
        0x0040 | 0x0045 | 0x0064 => "G.726",
        0x0042 => "G.723.1",
        0x0050 => "MPEG layer 1 or 2",
        0x0055 => "MP3",
        0x0065 | 0x028F => "G.722",
        0x0083 => "G.729",
        0x00FF | 0x1600..=0x1602 => "AAC",
        0x0160..=0x0163 => "WMA",
        0x704F => "Opus",
        0xA109 => "Speex",
        0xF1AC => "FLAC",
        _ => return format!("the codec {tag:#06x}"),
    };
    name.to_owned()
}

fn codec(codec: &str) -> RecordingError {
    RecordingError::Codec {
        container: NAME,
        codec: codec.to_owned(),
    }
}

fn malformed(reason: &str) -> RecordingError {
    RecordingError::Malformed {
        container: NAME,
        reason: reason.to_owned(),
    }
}
