//! One packet as samples, by symphonia or by libopus.

use symphonia::{
    core::{
        audio::{Channels, GenericAudioBufferRef},
        codecs::audio::{
            AudioDecoder, AudioDecoderOptions,
            well_known::{CODEC_ID_AAC, CODEC_ID_OPUS, CODEC_ID_VORBIS},
        },
        formats::FormatReader,
        packet::Packet,
    },
    default::get_codecs,
};

use super::{
    RecordingError, Shape,
    container::{Container, Trouble, audio, codec_name, contain},
    opus::{self, OpusTrack},
    pcm, vorbis,
};

/// The most that a Vorbis header's codebooks may take: those of encoders take 2 MiB.
const MAX_CODEBOOK_BYTES: u64 = 32 << 20;

pub(super) enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(OpusTrack),
}

/// What one packet gave.
pub(super) enum Decoded {
    /// Samples of this shape, now in the buffer.
    Samples {
        hz: u32,
        channels: usize,
    },
    Nothing,
    Broken,
    /// The decoder itself is.
    Failed(Trouble),
}

/// Reused between packets.
#[derive(Default)]
pub(super) struct Scratch {
    integers: Vec<i32>,
    floats: Vec<f32>,
}

impl Decoder {
    /// For the audio of `reader`, with the shape that its container announces.
    pub(super) fn new(
        container: Container,
        reader: &dyn FormatReader,
    ) -> Result<(Self, Option<Shape>), RecordingError> {
        let (_, parameters) = audio(container, reader)?;
        if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            let track = OpusTrack::new(container, head)?;
            let shape = Shape::new(opus::RATE.hz(), track.channels())?;
            return Ok((Self::Opus(track), Some(shape)));
        }
        if parameters.codec == CODEC_ID_VORBIS {
            let headers = parameters.extra_data.as_deref().unwrap_or_default();
            let bytes = vorbis::codebook_bytes(headers);
            if bytes > MAX_CODEBOOK_BYTES {
                return Err(RecordingError::Malformed {
                    container: container.name(),
                    reason: format!(
                        "its Vorbis codebooks would take {} MiB of memory, and {} are the most that is \
                         granted: no encoder makes such",
                        bytes >> 20,
                        MAX_CODEBOOK_BYTES >> 20
                    ),
                });
            }
        }
        let channels = parameters.channels.as_ref().map(Channels::count);
        let shape = parameters
            .sample_rate
            .zip(channels)
            .and_then(|(hz, channels)| Shape::new(hz, channels).ok());
        let codec = codec_name(parameters.codec);
        // An MP3's beginning and end are trimmed here: symphonia would cut all that comes after the
        // length that the header gives.
        let options = AudioDecoderOptions::default().gapless(container != Container::Mp3);
        let decoder = contain(|| get_codecs().make_audio_decoder(parameters, &options))
            .and_then(|result| result.map_err(Trouble::from))
            .map_err(|trouble| RecordingError::Codec {
                container: container.name(),
                codec: match trouble {
                    // The only profile that symphonia decodes.
                    _ if parameters.codec == CODEC_ID_AAC => {
                        "AAC of another profile than LC, such as HE-AAC,".to_owned()
                    }
                    Trouble::Other(reason)
                        if get_codecs().get_audio_decoder(parameters.codec).is_some() =>
                    {
                        format!("{codec} of a kind that is not decoded ({reason})")
                    }
                    _ => codec.to_owned(),
                },
            })?;
        Ok((Self::Symphonia(decoder), shape))
    }

    /// Leaves out what a lost packet of so many instants has of the codec's own, and returns the rest.
    pub(super) fn skip_lost(&mut self, instants: u64) -> u64 {
        match self {
            Self::Opus(track) => track.skip_lost(instants),
            Self::Symphonia(_) => instants,
        }
    }

    /// Instants that the container counts and the decoder leaves out.
    pub(super) fn pre_skip(&self) -> u64 {
        match self {
            Self::Opus(track) => track.pre_skip(),
            Self::Symphonia(_) => 0,
        }
    }

    /// Appends a packet's samples to `samples`.
    pub(super) fn decode(
        &mut self,
        packet: &Packet,
        scratch: &mut Scratch,
        samples: &mut Vec<i16>,
    ) -> Decoded {
        match self {
            Self::Opus(track) => {
                let trim_end = usize::try_from(packet.trim_end.get()).unwrap_or(usize::MAX);
                match track.decode_append(&packet.data, trim_end, samples) {
                    Err(_) => Decoded::Broken,
                    Ok(()) if samples.is_empty() => Decoded::Nothing,
                    Ok(()) => Decoded::Samples {
                        hz: opus::RATE.hz(),
                        channels: track.channels(),
                    },
                }
            }
            Self::Symphonia(decoder) => {
                let decoded = contain(|| match decoder.decode(packet) {
                    Ok(buffer) if buffer.is_empty() => Decoded::Nothing,
                    Ok(buffer) => {
                        scratch.convert(&buffer, samples);
                        Decoded::Samples {
                            hz: buffer.spec().rate(),
                            channels: buffer.spec().channels().count(),
                        }
                    }
                    Err(_) => Decoded::Broken,
                });
                decoded.unwrap_or_else(Decoded::Failed)
            }
        }
    }
}

impl Scratch {
    fn convert(&mut self, buffer: &GenericAudioBufferRef<'_>, samples: &mut Vec<i16>) {
        match buffer {
            GenericAudioBufferRef::F32(_) | GenericAudioBufferRef::F64(_) => {
                buffer.copy_to_vec_interleaved(&mut self.floats);
                samples.extend(self.floats.iter().copied().map(pcm::from_f32));
            }
            _ => {
                buffer.copy_to_vec_interleaved(&mut self.integers);
                samples.extend(self.integers.iter().copied().map(pcm::from_i32));
            }
        }
    }
}
