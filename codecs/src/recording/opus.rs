//! Opus in a container (RFC 7845): its header, and packets as samples.

use super::{RecordingError, container::Container};
use crate::{OpusDecoder, OpusError, SampleRate};

/// All that is decoded runs at this rate.
pub(super) const RATE: SampleRate = SampleRate::HZ_48000;

pub(super) struct OpusTrack {
    decoder: OpusDecoder,
    channels: usize,
    /// Instants at the beginning that are the codec's own.
    pre_skip: usize,
    gain: Option<f32>,
}

impl OpusTrack {
    /// From the identification header.
    pub(super) fn new(container: Container, head: &[u8]) -> Result<Self, RecordingError> {
        let (Some(b"OpusHead"), Some(fields)) = (head.get(..8), head.get(8..19)) else {
            return Err(RecordingError::Malformed {
                container: container.name(),
                reason: "its Opus header is incomplete".to_owned(),
            });
        };
        let (channels, family) = (fields[1], fields[10]);
        let decoder = match (family, channels) {
            (0, 1) => OpusDecoder::new(RATE),
            (0, 2) => OpusDecoder::new_stereo(RATE),
            _ => {
                return Err(RecordingError::Codec {
                    container: container.name(),
                    codec: format!("Opus of {channels} channels in several streams"),
                });
            }
        };
        let decoder = decoder.map_err(|error| RecordingError::Malformed {
            container: container.name(),
            reason: error.to_string(),
        })?;
        // Bytes of an MP4 are in the other order, which symphonia leaves.
        let word = |at: usize| match container {
            Container::Mp4 => [fields[at + 1], fields[at]],
            _ => [fields[at], fields[at + 1]],
        };
        let gain = i16::from_le_bytes(word(8));
        Ok(Self {
            decoder,
            channels: channels.into(),
            pre_skip: u16::from_le_bytes(word(2)).into(),
            gain: (gain != 0).then(|| 10_f32.powf(f32::from(gain) / (20.0 * 256.0))),
        })
    }

    pub(super) const fn channels(&self) -> usize {
        self.channels
    }

    /// What is left of the instants at the beginning that are the codec's own.
    pub(super) const fn pre_skip(&self) -> u64 {
        self.pre_skip as u64
    }

    /// Appends a packet's samples but for the last `trim_end` instants.
    pub(super) fn decode_append(
        &mut self,
        packet: &[u8],
        trim_end: usize,
        samples: &mut Vec<i16>,
    ) -> Result<(), OpusError> {
        let start = samples.len();
        self.decoder.decode_append(Some(packet), samples)?;
        let instants = (samples.len() - start) / self.channels;
        samples.truncate(start + instants.saturating_sub(trim_end) * self.channels);
        let instants = (samples.len() - start) / self.channels;
        let skip = self.pre_skip.min(instants);
        self.pre_skip -= skip;
        samples.drain(start..start + skip * self.channels);
        if let Some(gain) = self.gain {
            for sample in &mut samples[start..] {
                *sample = (f32::from(*sample) * gain).round() as i16;
            }
        }
        Ok(())
    }

    /// What a lost packet of so many instants leaves, once the codec's own are taken off.
    pub(super) fn skip_lost(&mut self, instants: u64) -> u64 {
        let skip = instants.min(self.pre_skip as u64);
        self.pre_skip -= skip as usize;
        instants - skip
    }
}
