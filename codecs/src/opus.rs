//! Opus (RFC 6716), mono and stereo, in frames of 20 ms.
//!
//! Two small types over `audiopus`; nothing of it shows outside this file but the source of an
//! error, so that another binding to libopus is a change to this file alone.

use std::fmt;

use audiopus::{
    Application, Bitrate, Channels, MutSignals,
    coder::{Decoder, Encoder, GenericCtl as _},
    packet::Packet,
};

use crate::{SampleCount, SampleRate};

/// The longest packet that an encoder makes here: one frame and its first byte.
const MAX_PACKET: usize = 1_276;
const FRAMES_PER_SECOND: u32 = 50;
const BITRATES_BPS: std::ops::RangeInclusive<u32> = 6_000..=510_000;
const COMPLEXITIES: std::ops::RangeInclusive<u8> = 0..=10;

/// What an Opus coder refuses, and why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpusError {
    /// Not a rate of Opus.
    #[error("Opus runs at 8000, 12000, 16000, 24000 or 48000 Hz, not at {0}")]
    Rate(SampleRate),
    /// The bit rate is out of range.
    #[error("an Opus bit rate is from 6000 to 510000 bit/s, not {0}")]
    Bitrate(u32),
    /// The complexity is out of range.
    #[error("an Opus complexity is from 0 to 10, not {0}")]
    Complexity(u8),
    /// The samples to encode are not one frame.
    #[error("an Opus frame of 20 ms has {expected} samples here, not {given}")]
    FrameLength {
        /// 20 ms at the encoder's rate.
        expected: usize,
        /// What came.
        given: usize,
    },
    /// A packet of no bytes. A lost packet is `None`.
    #[error("an Opus packet has at least one byte")]
    EmptyPacket,
    /// The bytes are not an Opus packet.
    #[error("not a valid Opus packet ({len} bytes)")]
    InvalidPacket {
        /// How long the packet is.
        len: usize,
        /// What libopus says.
        source: audiopus::Error,
    },
    /// libopus failed in another way, such as for lack of memory.
    #[error("libopus failed")]
    Codec(#[source] audiopus::Error),
}

/// How an [`OpusEncoder`] trades bits and work for quality.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpusSettings {
    /// Target in bits per second, 6,000 to 510,000. Default 24,000: wideband speech, transparent
    /// for the phone.
    pub bitrate_bps: u32,
    /// 0 (least work) to 10 (best). Default 5: beyond it speech gains little.
    pub complexity: u8,
}

impl Default for OpusSettings {
    fn default() -> Self {
        Self {
            bitrate_bps: 24_000,
            complexity: 5,
        }
    }
}

/// Encodes one stream of speech, 20 ms a packet.
pub struct OpusEncoder {
    encoder: Encoder,
    rate: SampleRate,
    channels: usize,
    lookahead: SampleCount,
}

impl OpusEncoder {
    /// An encoder of mono for 8, 12, 16, 24 or 48 kHz.
    ///
    /// # Errors
    ///
    /// [`OpusError`] naming the value that is out of range.
    pub fn new(rate: SampleRate, settings: OpusSettings) -> Result<Self, OpusError> {
        Self::with_channels(rate, settings, 1)
    }

    /// As [`new`](Self::new), of two channels, interleaved.
    ///
    /// # Errors
    ///
    /// [`OpusError`] naming the value that is out of range.
    pub fn new_stereo(rate: SampleRate, settings: OpusSettings) -> Result<Self, OpusError> {
        Self::with_channels(rate, settings, 2)
    }

    fn with_channels(
        rate: SampleRate,
        settings: OpusSettings,
        channels: usize,
    ) -> Result<Self, OpusError> {
        let OpusSettings {
            bitrate_bps,
            complexity,
        } = settings;
        if !BITRATES_BPS.contains(&bitrate_bps) {
            return Err(OpusError::Bitrate(bitrate_bps));
        }
        if !COMPLEXITIES.contains(&complexity) {
            return Err(OpusError::Complexity(complexity));
        }
        let layout = if channels == 1 {
            Channels::Mono
        } else {
            Channels::Stereo
        };
        let mut encoder =
            Encoder::new(opus_rate(rate)?, layout, Application::Voip).map_err(OpusError::Codec)?;
        encoder
            .set_bitrate(Bitrate::BitsPerSecond(bitrate_bps as i32))
            .and_then(|()| encoder.set_complexity(complexity))
            .map_err(OpusError::Codec)?;
        let lookahead = encoder.lookahead().map_err(OpusError::Codec)?;
        Ok(Self {
            encoder,
            rate,
            channels,
            lookahead: SampleCount(lookahead.into()),
        })
    }

    /// The samples of one frame and channel: 20 ms.
    #[must_use]
    pub const fn frame_len(&self) -> usize {
        frame_len(self.rate)
    }

    /// How many samples late the decoded stream is.
    #[must_use]
    pub const fn delay(&self) -> SampleCount {
        self.lookahead
    }

    /// Encodes one frame, appends the packet to `packet` and returns its length in bytes.
    ///
    /// Allocates only where `packet` lacks room for 1,276 bytes.
    ///
    /// # Errors
    ///
    /// [`OpusError::FrameLength`] unless there are exactly [`frame_len`](Self::frame_len) samples of each
    /// channel.
    pub fn encode_append(
        &mut self,
        samples: &[i16],
        packet: &mut Vec<u8>,
    ) -> Result<usize, OpusError> {
        let expected = self.frame_len() * self.channels;
        if samples.len() != expected {
            return Err(OpusError::FrameLength {
                expected,
                given: samples.len(),
            });
        }
        let start = packet.len();
        packet.resize(start + MAX_PACKET, 0);
        let result = self.encoder.encode(samples, &mut packet[start..]);
        packet.truncate(start + result.as_ref().map_or(0, |&len| len));
        result.map_err(OpusError::Codec)
    }

    /// Starts a new stream.
    ///
    /// # Errors
    ///
    /// [`OpusError::Codec`] if libopus refuses, which it has no documented reason to.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.encoder.reset_state().map_err(OpusError::Codec)
    }
}

/// Decodes one stream to mono or stereo, and conceals the packets that got lost.
pub struct OpusDecoder {
    decoder: Decoder,
    rate: SampleRate,
    channels: usize,
}

impl OpusDecoder {
    /// A decoder to 8, 12, 16, 24 or 48 kHz, whatever rate the stream was made at.
    ///
    /// # Errors
    ///
    /// [`OpusError::Rate`] for any other rate.
    pub fn new(rate: SampleRate) -> Result<Self, OpusError> {
        let decoder = Decoder::new(opus_rate(rate)?, Channels::Mono).map_err(OpusError::Codec)?;
        Ok(Self {
            decoder,
            rate,
            channels: 1,
        })
    }

    /// As [`new`](Self::new), to two channels, interleaved; a mono stream is in both.
    ///
    /// # Errors
    ///
    /// [`OpusError::Rate`] for any other rate.
    pub fn new_stereo(rate: SampleRate) -> Result<Self, OpusError> {
        let decoder = Decoder::new(opus_rate(rate)?, Channels::Stereo).map_err(OpusError::Codec)?;
        Ok(Self {
            decoder,
            rate,
            channels: 2,
        })
    }

    /// Decodes one packet of any valid length (2.5 to 120 ms; stereo is mixed down where the decoder
    /// is mono), appends its samples to `samples` and returns how many of one channel. `None` is a lost packet: 20 ms are made up from
    /// what came before, fading out over repeated losses.
    ///
    /// Allocates only where `samples` lacks capacity.
    ///
    /// # Errors
    ///
    /// [`OpusError::EmptyPacket`] and [`OpusError::InvalidPacket`], with `samples` as it was. The
    /// stream can go on after them.
    pub fn decode_append(
        &mut self,
        packet: Option<&[u8]>,
        samples: &mut Vec<i16>,
    ) -> Result<SampleCount, OpusError> {
        let invalid = |source| OpusError::InvalidPacket {
            len: packet.map_or(0, <[u8]>::len),
            source,
        };
        let len = match packet {
            None => frame_len(self.rate),
            Some([]) => return Err(OpusError::EmptyPacket),
            Some(bytes) => Packet::try_from(bytes)
                .and_then(|packet| self.decoder.nb_samples(packet))
                .map_err(invalid)?,
        };
        let start = samples.len();
        samples.resize(start + len * self.channels, 0);
        let result = packet.map(Packet::try_from).transpose().and_then(|packet| {
            let room = MutSignals::try_from(&mut samples[start..])?;
            self.decoder.decode(packet, room, false)
        });
        samples.truncate(start + result.as_ref().map_or(0, |&len| len) * self.channels);
        result.map(|len| SampleCount(len as u64)).map_err(invalid)
    }

    /// Starts a new stream.
    ///
    /// # Errors
    ///
    /// [`OpusError::Codec`] if libopus refuses, which it has no documented reason to.
    pub fn reset(&mut self) -> Result<(), OpusError> {
        self.decoder.reset_state().map_err(OpusError::Codec)
    }
}

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusEncoder")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpusDecoder")
            .field("rate", &self.rate)
            .finish_non_exhaustive()
    }
}

const fn frame_len(rate: SampleRate) -> usize {
    (rate.hz() / FRAMES_PER_SECOND) as usize
}

fn opus_rate(rate: SampleRate) -> Result<audiopus::SampleRate, OpusError> {
    match rate.hz() {
        8_000 => Ok(audiopus::SampleRate::Hz8000),
        12_000 => Ok(audiopus::SampleRate::Hz12000),
        16_000 => Ok(audiopus::SampleRate::Hz16000),
        24_000 => Ok(audiopus::SampleRate::Hz24000),
        48_000 => Ok(audiopus::SampleRate::Hz48000),
        _ => Err(OpusError::Rate(rate)),
    }
}
