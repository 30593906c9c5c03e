//! Opening the containers that symphonia takes apart.
//!
//! Each is opened by name rather than by symphonia's probe, and without its tags: those are of no
//! use here, and may announce gigabytes.

use std::panic::{AssertUnwindSafe, catch_unwind};

use symphonia::{
    core::{
        codecs::{
            CodecParameters,
            audio::{AudioCodecId, AudioCodecParameters, well_known as codec},
        },
        errors::Error,
        formats::{FormatReader, Track},
        io::{MediaSourceStream, ReadBytes as _},
    },
    default::formats::{AdtsReader, FlacReader, IsoMp4Reader, MpaReader, OggReader},
};

use super::{RecordingError, source::Source};

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

    /// Opens it, standing before its first packet.
    pub(super) fn open(self, source: Source) -> Result<Box<dyn FormatReader>, RecordingError> {
        let failure = source.failure();
        let from_pipe = source.len().is_none();
        let source = match self {
            Self::Flac => without_tags(source).ok_or_else(|| self.cut_short())?,
            // An MP4's index may be at its end, and an Ogg's length is.
            Self::Mp4 | Self::Ogg => source.allow_seeking(),
            // An MP3's length is guessed where it can be sought, and wrong guesses cut it.
            Self::Mp3 | Self::Adts | Self::MpegLayer12 => source,
        };
        contain(|| self.open_stream(MediaSourceStream::new(Box::new(source), Default::default())))
            .and_then(|result| result.map_err(Trouble::from))
            .map_err(|trouble| match (failure.take(), trouble) {
                (Some(failure), _) => RecordingError::Io(failure),
                (None, Trouble::End) => self.cut_short(),
                (None, Trouble::Other(reason)) if reason.contains("missing moov") && from_pipe => {
                    RecordingError::NotStreamable {
                        container: self.name(),
                    }
                }
                (None, Trouble::Other(reason)) if reason.contains("missing moov") => {
                    RecordingError::Malformed {
                        container: self.name(),
                        reason: "it has no index, which recorders write last: it was not finished, \
                                 or is cut off"
                            .to_owned(),
                    }
                }
                (None, Trouble::Other(reason)) => RecordingError::Malformed {
                    container: self.name(),
                    reason,
                },
                (None, Trouble::Reset) => RecordingError::Malformed {
                    container: self.name(),
                    reason: "its streams begin anew at once".to_owned(),
                },
            })
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
/// like any other. Whoever gets it drops what panicked, unseen.
pub(super) fn contain<T>(run: impl FnOnce() -> T) -> Result<T, Trouble> {
    catch_unwind(AssertUnwindSafe(run))
        .map_err(|_| Trouble::Other("the decoder failed on it".to_owned()))
}

/// The first track with audio, by its parameters.
pub(super) fn audio(tracks: &[Track]) -> Option<(&Track, &AudioCodecParameters)> {
    tracks.iter().find_map(|track| match &track.codec_params {
        Some(CodecParameters::Audio(parameters)) => Some((track, parameters)),
        _ => None,
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
