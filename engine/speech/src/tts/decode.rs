//! Audio that arrives in pieces, torn anywhere: raw PCM and WAV.

use sidetone_codecs::SampleRate;

/// Chunks before the audio of a WAV file are short; more than this is none.
const MAX_HEADER: usize = 64 << 10;
/// A data chunk this long was not counted: the program wrote to a pipe and cannot say.
const UNCOUNTED: u32 = 0x7fff_0000;

/// Turns bytes into samples as they come.
#[derive(Debug)]
pub(super) enum Decoder {
    /// Little-endian 16-bit mono.
    Pcm(Pcm),
    /// The beginning of a WAV file, up to its audio.
    WavHeader(Vec<u8>),
    /// The audio of a WAV file, so many bytes of it to come.
    WavAudio(Pcm, u64),
    /// Not enough bytes yet to tell WAV from PCM at this rate.
    Unknown(Vec<u8>, SampleRate),
}

#[derive(Debug)]
pub(super) struct Pcm {
    rate: SampleRate,
    /// The first half of a torn sample.
    half: Option<u8>,
}

impl Decoder {
    /// Raw PCM.
    pub(super) fn pcm(rate: SampleRate) -> Self {
        Self::Pcm(Pcm { rate, half: None })
    }

    /// A WAV file.
    pub(super) fn wav() -> Self {
        Self::WavHeader(Vec::new())
    }

    /// A WAV file if it begins like one, otherwise raw PCM.
    pub(super) fn wav_or_pcm(rate: SampleRate) -> Self {
        Self::Unknown(Vec::new(), rate)
    }

    /// The samples that `bytes` complete, and their rate, once there are any.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<Option<(Vec<i16>, SampleRate)>, String> {
        match self {
            Self::Unknown(held, rate) => {
                held.extend_from_slice(bytes);
                if held.len() < 4 {
                    return Ok(None);
                }
                let (held, rate) = (std::mem::take(held), *rate);
                for (magic, name) in [("ID3", "MP3"), ("OggS", "Ogg"), ("fLaC", "FLAC")] {
                    if held.starts_with(magic.as_bytes()) {
                        return Err(format!("{name} instead of raw PCM"));
                    }
                }
                *self = if held.starts_with(b"RIFF") {
                    Self::wav()
                } else {
                    Self::pcm(rate)
                };
                self.push(&held)
            }
            Self::Pcm(pcm) => Ok(pcm.push(bytes)),
            Self::WavHeader(head) => {
                head.extend_from_slice(bytes);
                let Some(header) = parse_header(head)? else {
                    return Ok(None);
                };
                let audio = head.split_off(header.length);
                let (rate, half) = (header.rate, None);
                *self = Self::WavAudio(Pcm { rate, half }, header.audio);
                self.push(&audio)
            }
            Self::WavAudio(pcm, left) => {
                // What follows the audio is about the file, not part of it.
                let now = usize::try_from(*left)
                    .unwrap_or(usize::MAX)
                    .min(bytes.len());
                *left -= now as u64;
                Ok(pcm.push(&bytes[..now]))
            }
        }
    }

    /// Checks that the bytes may end here.
    pub(super) fn finish(&self) -> Result<(), &'static str> {
        match self {
            Self::WavHeader(_) => Err("the audio ended within its WAV header"),
            Self::Unknown(..) | Self::Pcm(_) | Self::WavAudio(..) => Ok(()),
        }
    }
}

impl Pcm {
    fn push(&mut self, bytes: &[u8]) -> Option<(Vec<i16>, SampleRate)> {
        let mut samples = Vec::with_capacity(bytes.len() / 2 + 1);
        let mut rest = bytes;
        if let (Some(low), [high, tail @ ..]) = (self.half, bytes) {
            samples.push(i16::from_le_bytes([low, *high]));
            self.half = None;
            rest = tail;
        }
        let (pairs, odd) = rest.as_chunks();
        samples.extend(pairs.iter().map(|&pair| i16::from_le_bytes(pair)));
        if let [half] = odd {
            self.half = Some(*half);
        }
        (!samples.is_empty()).then_some((samples, self.rate))
    }
}

struct Header {
    /// Bytes before the audio.
    length: usize,
    /// Bytes of audio.
    audio: u64,
    rate: SampleRate,
}

/// The header at the start of `bytes`; `None`: more bytes are needed.
fn parse_header(bytes: &[u8]) -> Result<Option<Header>, String> {
    let magic = |at: usize, word: &[u8]| {
        let found = bytes.get(at..bytes.len().min(at + 4)).unwrap_or_default();
        word.starts_with(found)
    };
    if !magic(0, b"RIFF") || !magic(8, b"WAVE") {
        return Err("no WAV file: it does not begin with RIFF and WAVE".into());
    }
    let mut at = 12;
    let mut rate = None;
    loop {
        let Some(chunk) = bytes.get(at..at + 8) else {
            return more_of(bytes);
        };
        let (name, length) = chunk.split_at(4);
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]);
        at += 8;
        match name {
            b"fmt " => {
                let Some(format) = bytes.get(at..at + 16) else {
                    return more_of(bytes);
                };
                rate = Some(parse_format(format)?);
            }
            b"data" => {
                let rate = rate.ok_or("its audio comes before its format")?;
                let counted = 0 < length && length < UNCOUNTED;
                let audio = if counted { u64::from(length) } else { u64::MAX };
                let length = at;
                return Ok(Some(Header {
                    length,
                    audio,
                    rate,
                }));
            }
            _ => {}
        }
        // Chunks are padded to an even length.
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        at = at.saturating_add(length).saturating_add(length % 2);
        if at > MAX_HEADER {
            return Err("its WAV header does not end".into());
        }
    }
}

fn more_of(bytes: &[u8]) -> Result<Option<Header>, String> {
    if bytes.len() > MAX_HEADER {
        return Err("its WAV header does not end".into());
    }
    Ok(None)
}

fn parse_format(format: &[u8]) -> Result<SampleRate, String> {
    let word = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    let (tag, channels, bits) = (word(0), word(2), word(14));
    let hz = u32::from_le_bytes([format[4], format[5], format[6], format[7]]);
    // 1: PCM; 0xfffe: the extensible form, of which only PCM has 16 bits in use.
    if !matches!(tag, 1 | 0xfffe) || channels != 1 || bits != 16 {
        return Err(format!(
            "WAV of format {tag} with {channels} channels of {bits} bits; \
             PCM (1) with 1 channel of 16 bits is needed"
        ));
    }
    SampleRate::new(hz)
        .filter(|_| (4_000..=192_000).contains(&hz))
        .ok_or_else(|| format!("WAV at {hz} Hz; 4000 to 192000 Hz is needed"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wav(data_length: u32, audio: &[u8]) -> Vec<u8> {
        let mut file =
            b"RIFF\xff\xff\xff\xffWAVELIST\x03\0\0\0abc\0fmt \x10\0\0\0\x01\0\x01\0".to_vec();
        file.extend(22_050u32.to_le_bytes());
        file.extend(44_100u32.to_le_bytes());
        file.extend([2, 0, 16, 0]);
        file.extend(b"data");
        file.extend(data_length.to_le_bytes());
        file.extend(audio);
        file
    }

    fn decoded(decoder: &mut Decoder, pieces: &[&[u8]]) -> Result<(Vec<i16>, Option<u32>), String> {
        let (mut all, mut hz) = (Vec::new(), None);
        for piece in pieces {
            if let Some((samples, rate)) = decoder.push(piece)? {
                all.extend(samples);
                hz = Some(rate.hz());
            }
        }
        Ok((all, hz))
    }

    #[test]
    fn a_length_nobody_counted_means_to_the_end() {
        for length in [0, 0x7fff_f000, u32::MAX] {
            let file = wav(length, &[1, 0, 2, 0, 3]);
            let heard = decoded(&mut Decoder::wav(), &[&file]);
            assert_eq!(heard, Ok((vec![1, 2], Some(22_050))), "{length:#x}");
        }
    }

    #[test]
    fn what_follows_the_audio_is_not_heard() {
        let file = wav(4, b"\x01\0\x02\0LIST\x04\0\0\0abcd");
        assert_eq!(decoded(&mut Decoder::wav(), &[&file]).unwrap().0, [1, 2]);
    }

    #[test]
    fn what_is_not_supported_is_named() {
        let mut stereo = wav(4, &[0; 4]);
        stereo[34] = 2;
        let problem = decoded(&mut Decoder::wav(), &[&stereo]).unwrap_err();
        assert_eq!(
            problem,
            "WAV of format 1 with 2 channels of 16 bits; PCM (1) with 1 channel of 16 bits is needed"
        );
        assert!(
            decoded(&mut Decoder::wav(), &[b"espeak: no"])
                .unwrap_err()
                .contains("no WAV file")
        );
        let endless = [b"RIFF____WAVEjunk\0\0\x10\0".as_slice(), &[0; 99]].concat();
        assert!(
            decoded(&mut Decoder::wav(), &[&endless])
                .unwrap_err()
                .contains("does not end")
        );
        let mut short = Decoder::wav();
        assert_eq!(decoded(&mut short, &[b"RIFF"]).unwrap(), (vec![], None));
        assert!(short.finish().is_err());
    }

    #[test]
    fn a_service_may_send_wav_where_pcm_was_asked_for_but_not_mp3() {
        let rate = SampleRate::HZ_24000;
        let file = wav(0, &[1, 0]);
        let heard = decoded(&mut Decoder::wav_or_pcm(rate), &[&file[..3], &file[3..]]);
        assert_eq!(heard, Ok((vec![1], Some(22_050))));
        let heard = decoded(&mut Decoder::wav_or_pcm(rate), &[&[1], &[0, 2, 0]]);
        assert_eq!(heard, Ok((vec![1, 2], Some(24_000))));
        assert!(decoded(&mut Decoder::wav_or_pcm(rate), &[b"ID3\x04"]).is_err());
    }

    proptest! {
        #[test]
        fn tearing_changes_nothing(audio in proptest::collection::vec(any::<u8>(), 0..64), cuts in proptest::collection::vec(0usize..130, 0..8)) {
            let file = wav(0x7fff_f000, &audio);
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(file.len())).collect();
            cuts.extend([0, file.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &file[pair[0]..pair[1]]).collect();
            let torn = decoded(&mut Decoder::wav(), &pieces).unwrap();
            prop_assert_eq!(torn, decoded(&mut Decoder::wav(), &[&file]).unwrap());
        }

        #[test]
        fn hostile_bytes_never_panic(
            start in prop_oneof![Just(vec![]), Just(b"RIFF....WAVE".to_vec()), Just(wav(7, &[]))],
            pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..6),
        ) {
            for mut decoder in [Decoder::wav(), Decoder::wav_or_pcm(SampleRate::HZ_24000)] {
                let mut all = vec![start.as_slice()];
                all.extend(pieces.iter().map(Vec::as_slice));
                let _ = decoded(&mut decoder, &all);
                let _ = decoder.finish();
            }
        }
    }
}
