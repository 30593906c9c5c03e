//! Opening the containers that symphonia takes apart.
//!
//! Each is opened by name rather than by symphonia's probe, and without its tags: those are of no
//! use here, and may announce gigabytes.

use std::{
    io::{self, Seek as _, SeekFrom},
    panic::{AssertUnwindSafe, catch_unwind},
};

use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{AudioCodecId, AudioCodecParameters, well_known as codec},
        },
        errors::Error,
        formats::{FormatReader, Track},
        io::{MediaSource, MediaSourceStream, ReadBytes as _},
    },
    default::formats::{AdtsReader, FlacReader, IsoMp4Reader, MpaReader, OggReader},
};

use super::{
    RecordingError,
    mpeg::{Frames, Losses},
    source::Source,
};

/// How many parts an MP4 has at most before they are no longer looked at.
const MAX_ATOMS: usize = 4_096;
/// The length of FLAC's only block that is needed.
const STREAMINFO: usize = 34;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    Flac,
    Ogg,
    Mp4,
    Mp3,
    /// AAC without a container.
    Adts,
    /// Known, and not read.
    MpegLayer12,
}

impl Container {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Flac => "FLAC",
            Self::Ogg => "Ogg",
            Self::Mp4 => "MP4",
            Self::Mp3 => "MP3",
            Self::Adts => "ADTS",
            Self::MpegLayer12 => "MPEG",
        }
    }

    /// Whether packets' times are their own, so that a jump means that some are missing.
    pub(super) const fn tells_gaps(self) -> bool {
        matches!(self, Self::Flac | Self::Ogg)
    }

    /// Opens it, standing before its first packet. Damage shows in the losses where the container
    /// has frames and nothing else.
    pub(super) fn open(
        self,
        source: Source,
    ) -> Result<(Box<dyn FormatReader>, Losses), RecordingError> {
        let failure = source.failure();
        let from_pipe = source.len().is_none();
        let mut losses = Losses::default();
        let source: Box<dyn MediaSource> = match self {
            Self::Flac => Box::new(without_tags(source).ok_or_else(|| self.cut_short())?),
            // The length is at its end.
            Self::Ogg => Box::new(source.allow_seeking()),
            // The index may be at its end.
            Self::Mp4 => {
                let mut source = source.allow_seeking();
                pretend_whole(&mut source)?;
                Box::new(source)
            }
            // An MP3's length is guessed where it can be sought, and wrong guesses cut it.
            Self::Mp3 | Self::Adts | Self::MpegLayer12 => {
                let frames = Frames::new(source, self);
                losses = frames.losses();
                Box::new(frames)
            }
        };
        contain(|| self.open_stream(MediaSourceStream::new(source, Default::default())))
            .and_then(|result| result.map_err(Trouble::from))
            .map(|reader| (reader, losses))
            .map_err(|trouble| match failure.take() {
                Some(failure) => RecordingError::Io(failure),
                None => self.refused(trouble, from_pipe),
            })
    }

    /// Why it was not opened.
    fn refused(self, trouble: Trouble, from_pipe: bool) -> RecordingError {
        let container = self.name();
        let reason = match trouble {
            Trouble::Other(reason) if reason.contains("missing moov") && from_pipe => {
                return RecordingError::NotStreamable { container };
            }
            Trouble::Other(reason) if !reason.contains("missing moov") => {
                // Without the name of the part of symphonia.
                let reason = reason
                    .split_once(": ")
                    .map_or(&*reason, |(_, reason)| reason);
                reason.to_owned()
            }
            Trouble::Reset => "its streams begin anew at once".to_owned(),
            Trouble::End if self != Self::Mp4 => return self.cut_short(),
            Trouble::End | Trouble::Other(_) => {
                "it has no index, which recorders write last: it was not finished, or is cut off"
                    .to_owned()
            }
        };
        RecordingError::Malformed { container, reason }
    }

    fn open_stream(
        self,
        mut stream: MediaSourceStream<'static>,
    ) -> Result<Box<dyn FormatReader>, Error> {
        let options = Default::default();
        Ok(match self {
            Self::Flac => Box::new(FlacReader::try_new(stream, options)?),
            Self::Ogg => Box::new(OggReader::try_new(stream, options)?),
            Self::Mp4 => {
                // It expects to stand on the name of the first atom, behind its length.
                stream.ignore_bytes(4)?;
                Box::new(IsoMp4Reader::try_new(stream, options)?)
            }
            Self::Mp3 | Self::MpegLayer12 => Box::new(MpaReader::try_new(stream, options)?),
            Self::Adts => Box::new(AdtsReader::try_new(stream, options)?),
        })
    }

    fn cut_short(self) -> RecordingError {
        RecordingError::HeaderCutShort {
            container: self.name(),
        }
    }
}

/// A FLAC with its first block only; `None` where it ends before its audio.
fn without_tags(mut source: Source) -> Option<Source> {
    let _magic: [u8; 4] = source.array()?;
    let mut head = Vec::new();
    loop {
        let [kind, a, b, c]: [u8; 4] = source.array()?;
        let len = u32::from_be_bytes([0, a, b, c]);
        if kind & 0x7F == 0 && len as usize == STREAMINFO && head.is_empty() {
            let info: [u8; STREAMINFO] = source.array()?;
            // The last block, of the first kind.
            head.extend_from_slice(b"fLaC\x80\0\0\x22");
            head.extend_from_slice(&info);
        } else if !source.skip(len.into()) {
            return None;
        }
        if kind & 0x80 != 0 {
            break;
        }
    }
    if head.is_empty() {
        // symphonia says what is missing.
        head.extend_from_slice(b"fLaC\x81\0\0\0");
    }
    source.prepend(&head);
    Some(source)
}

/// Lets an MP4 whose last atom is cut off seem whole: symphonia would leave the atom out, and that
/// is the audio where the index comes first.
fn pretend_whole(source: &mut Source) -> io::Result<()> {
    let Some(len) = source.len() else {
        return Ok(());
    };
    let mut end = 0_u64;
    for _ in 0..MAX_ATOMS {
        source.seek(SeekFrom::Start(end))?;
        let Some([a, b, c, d, _, _, _, _]) = source.array() else {
            break;
        };
        let size = match u32::from_be_bytes([a, b, c, d]) {
            // To the end of the file.
            0 => break,
            // Longer than fits here.
            1 => source.array().map_or(0, u64::from_be_bytes),
            size => size.into(),
        };
        match end.checked_add(size) {
            Some(next) if size >= 8 => end = next,
            _ => break,
        }
        if end > len {
            source.pretend_len(end);
            break;
        }
    }
    source.rewind()
}

/// What symphonia says instead of a result.
#[derive(Debug)]
pub(super) enum Trouble {
    /// The bytes ended.
    End,
    /// A chained stream begins.
    Reset,
    Other(String),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        match error {
            Error::IoError(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => Self::End,
            Error::ResetRequired => Self::Reset,
            Error::DecodeError(reason) | Error::Unsupported(reason) | Error::LimitError(reason) => {
                Self::Other(reason.to_owned())
            }
            error => Self::Other(error.to_string()),
        }
    }
}

/// Runs symphonia: bytes made to break it must not break the program, so a panic becomes trouble
/// like any other. What panicked is not used again.
pub(super) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Trouble::Other("the decoder failed on it".to_owned()))
}

/// The first track with audio, by its parameters.
pub(super) fn audio(
    container: Container,
    reader: &dyn FormatReader,
) -> Result<(&Track, &AudioCodecParameters), RecordingError> {
    let tracks = reader.tracks();
    let audio = tracks.iter().find_map(|track| match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Some((track, parameters)),
        _ => None,
    });
    let container = container.name();
    audio.ok_or_else(|| {
        if tracks.iter().any(|track| track.codec_params.is_none()) {
            let codec = "no codec that is known".to_owned();
            RecordingError::Codec { container, codec }
        } else {
            RecordingError::NoAudio { container }
        }
    })
}

/// A codec in words.
pub(super) fn codec_name(id: AudioCodecId) -> &'static str {
    match id {
        codec::CODEC_ID_AAC => "AAC",
        codec::CODEC_ID_AC3 => "AC-3",
        codec::CODEC_ID_ALAC => "ALAC",
        codec::CODEC_ID_EAC3 => "E-AC-3",
        codec::CODEC_ID_FLAC => "FLAC",
        codec::CODEC_ID_MP1 => "MPEG layer 1",
        codec::CODEC_ID_MP2 => "MPEG layer 2",
        codec::CODEC_ID_MP3 => "MP3",
        codec::CODEC_ID_OPUS => "Opus",
        codec::CODEC_ID_PCM_ALAW => "A-law",
        codec::CODEC_ID_PCM_MULAW => "μ-law",
        codec::CODEC_ID_SPEEX => "Speex",
        codec::CODEC_ID_VORBIS => "Vorbis",
        _ => "a codec of no known name",
    }
}
