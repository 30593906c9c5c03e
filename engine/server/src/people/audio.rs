//! A browser's audio, in messages: Opus packets or PCM.

use sidetone_codecs::{OpusDecoder, OpusEncoder, OpusError, OpusSettings, SampleRate};
use thiserror::Error;

use super::wire::AudioFormat;

/// A message of PCM holds no more than an Opus packet can: 120 ms.
const LONGEST_MS: u32 = 120;

/// What a person's ear deserves over a browser's connection: the caller's 8 kHz take less.
const SETTINGS: OpusSettings = OpusSettings {
    bitrate_bps: 24_000,
    complexity: 3,
};

/// Audio that cannot be used.
#[derive(Debug, Error)]
pub(crate) enum AudioError {
    /// No rate for this format.
    #[error(
        "`rate` must be 8000, 12000, 16000, 24000 or 48000 with Opus, and 8000 to 48000 with PCM"
    )]
    Rate,
    /// The coder refuses.
    #[error(transparent)]
    Opus(#[from] OpusError),
    /// PCM of half a sample, none, or too much at once.
    #[error("a message of PCM holds 1 sample to {LONGEST_MS} ms of 16 bits each, not {len} bytes")]
    Pcm {
        /// How long it is.
        len: usize,
    },
}

/// What comes from a browser, as samples.
#[derive(Debug)]
pub(crate) enum Decoder {
    Opus(Box<OpusDecoder>),
    Pcm { longest: usize },
}

/// What goes to a browser, as messages.
#[derive(Debug)]
pub(crate) enum Encoder {
    Opus(Box<OpusEncoder>),
    Pcm,
}

/// Both directions of a leg in `format` at `rate_hz`.
///
/// # Errors
///
/// [`AudioError::Rate`].
pub(crate) fn coders(
    format: AudioFormat,
    rate_hz: u32,
) -> Result<(SampleRate, Decoder, Encoder), AudioError> {
    let rate = SampleRate::new(rate_hz).ok_or(AudioError::Rate)?;
    if !(8_000..=48_000).contains(&rate_hz) {
        return Err(AudioError::Rate);
    }
    Ok(match format {
        AudioFormat::Opus => {
            let decoder = OpusDecoder::new(rate).map_err(|_| AudioError::Rate)?;
            let encoder = OpusEncoder::new(rate, SETTINGS)?;
            (
                rate,
                Decoder::Opus(Box::new(decoder)),
                Encoder::Opus(Box::new(encoder)),
            )
        }
        AudioFormat::Pcm => {
            let longest = (rate_hz * LONGEST_MS / 1_000) as usize;
            (rate, Decoder::Pcm { longest }, Encoder::Pcm)
        }
    })
}

impl Decoder {
    /// Appends the samples of a message to `pcm`. In place of an Opus packet that is none, 20 ms are
    /// made up from what came before, as if it had been lost.
    ///
    /// # Errors
    ///
    /// [`AudioError::Opus`] and [`AudioError::Pcm`]. The next message may be good.
    pub(crate) fn decode(&mut self, message: &[u8], pcm: &mut Vec<i16>) -> Result<(), AudioError> {
        match self {
            Self::Opus(decoder) => match decoder.decode_append(Some(message), pcm) {
                Ok(_) => Ok(()),
                Err(error) => {
                    decoder.decode_append(None, pcm)?;
                    Err(error.into())
                }
            },
            Self::Pcm { longest } => {
                let (samples, rest) = message.as_chunks::<2>();
                if samples.is_empty() || !rest.is_empty() || samples.len() > *longest {
                    return Err(AudioError::Pcm { len: message.len() });
                }
                pcm.extend(samples.iter().map(|sample| i16::from_le_bytes(*sample)));
                Ok(())
            }
        }
    }
}

impl Encoder {
    /// The message of 20 ms.
    ///
    /// # Errors
    ///
    /// [`AudioError::Opus`] where it is not 20 ms.
    pub(crate) fn encode(&mut self, pcm: &[i16]) -> Result<Vec<u8>, AudioError> {
        let mut message = Vec::new();
        match self {
            Self::Opus(encoder) => {
                encoder.encode_append(pcm, &mut message)?;
            }
            Self::Pcm => message.extend(pcm.iter().flat_map(|sample| sample.to_le_bytes())),
        }
        Ok(message)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pcm_comes_back_as_it_went() {
        let (rate, mut decoder, mut encoder) = coders(AudioFormat::Pcm, 44_100).unwrap();
        assert_eq!(rate, SampleRate::HZ_44100);
        let sent = [0, 1, -1, i16::MAX, i16::MIN];
        let message = encoder.encode(&sent).unwrap();
        let mut heard = Vec::new();
        decoder.decode(&message, &mut heard).unwrap();
        assert_eq!(heard, sent);
    }

    #[test]
    fn pcm_has_whole_samples_and_not_too_many() {
        let (_, mut decoder, _) = coders(AudioFormat::Pcm, 8_000).unwrap();
        let mut pcm = Vec::new();
        for len in [0, 1, 321, 2 * 960 + 2] {
            decoder.decode(&vec![0; len], &mut pcm).unwrap_err();
        }
        assert!(pcm.is_empty());
        decoder.decode(&vec![0; 2 * 960], &mut pcm).unwrap();
        assert_eq!(pcm.len(), 960);
    }

    #[test]
    fn a_rate_must_be_one_of_the_formats() {
        for (format, rate) in [
            (AudioFormat::Opus, 44_100),
            (AudioFormat::Opus, 0),
            (AudioFormat::Pcm, 0),
            (AudioFormat::Pcm, 7_999),
            (AudioFormat::Pcm, 96_000),
            (AudioFormat::Pcm, u32::MAX),
        ] {
            coders(format, rate).unwrap_err();
        }
    }

    #[test]
    fn a_packet_that_is_none_is_as_good_as_lost() {
        let (_, mut decoder, mut encoder) = coders(AudioFormat::Opus, 48_000).unwrap();
        let mut pcm = Vec::new();
        for message in [&[][..], &[0xff; 3], &[0x03]] {
            pcm.clear();
            decoder.decode(message, &mut pcm).unwrap_err();
            assert_eq!(pcm.len(), 960, "20 ms in place of {message:?}");
        }
        pcm.clear();
        let message = encoder.encode(&[1_000; 960]).unwrap();
        decoder.decode(&message, &mut pcm).unwrap();
        assert_eq!(pcm.len(), 960);
    }

    proptest! {
        #[test]
        fn hostile_audio_never_panics_and_stays_short(
            opus: bool,
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..1_500), 1..8),
        ) {
            let format = if opus { AudioFormat::Opus } else { AudioFormat::Pcm };
            let (_, mut decoder, _) = coders(format, 48_000).unwrap();
            for message in messages {
                let mut pcm = Vec::new();
                let _ = decoder.decode(&message, &mut pcm);
                prop_assert!(pcm.len() <= 5_760, "{} samples", pcm.len());
            }
        }
    }
}
