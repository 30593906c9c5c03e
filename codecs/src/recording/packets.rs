//! Packets of a container as samples.

use std::time::Duration;

use symphonia::{
    core::{
        audio::{Channels, GenericAudioBufferRef},
        codecs::audio::{AudioDecoder, AudioDecoderOptions, well_known::CODEC_ID_OPUS},
        formats::FormatReader,
        packet::Packet,
        units::{TimeBase, Timestamp},
    },
    default::get_codecs,
};

use super::{
    Blocks, Opened, RecordingError, Shape,
    container::{Container, Trouble, audio, codec_name, contain},
    opus::{self, OpusTrack},
    pcm,
    source::{Failure, Source},
};
use crate::SampleCount;

/// So many packets in a row that cannot be had end the recording.
const MAX_TROUBLE: u32 = 64;
/// So many packets in a row of another shape are a change, fewer are damage.
const MAX_STRANGE: u32 = 8;
/// Longer gaps between packets are taken for nonsense, and not filled with silence.
const MAX_GAP: Duration = Duration::from_secs(60);
/// All gaps together are filled so far.
const MAX_SILENCE: Duration = Duration::from_secs(3_600);
/// Shorter gaps are rounding.
const MIN_GAP: Duration = Duration::from_millis(5);

struct Packets {
    reader: Box<dyn FormatReader>,
    failure: Failure,
    container: Container,
    track: u32,
    time_base: Option<TimeBase>,
    decoder: Decoder,
    shape: Shape,
    /// Instants that the container promises, where it can be believed.
    promised: Option<u64>,
    /// Instants handed over.
    done: u64,
    /// Instants of silence to hand over.
    silence: u64,
    /// Samples to hand over after that.
    ready: Vec<i16>,
    /// When the next packet should begin.
    expected: Option<Timestamp>,
    /// Packets in a row that could not be had.
    trouble: u32,
    /// Packets in a row of another shape.
    strange: u32,
    /// How long those are, in the track's time.
    strange_ticks: u64,
    damage: Damage,
    scratch: Scratch,
}

/// Reused between packets.
#[derive(Default)]
struct Scratch {
    integers: Vec<i32>,
    floats: Vec<f32>,
}

#[derive(Default)]
struct Damage {
    first: Option<Duration>,
    places: u64,
    /// Instants.
    lost: u64,
    /// Where the last one ended.
    end: u64,
}

enum Decoder {
    Symphonia(Box<dyn AudioDecoder>),
    Opus(OpusTrack),
}

/// What one packet gave.
enum Decoded {
    /// Samples of this shape, now in the buffer.
    Samples { hz: u32, channels: usize },
    Nothing,
    Broken,
    /// The decoder itself is.
    Failed(Trouble),
}

pub(super) fn open(source: Source, container: Container) -> Result<Opened, RecordingError> {
    let failure = source.failure();
    let reader = container.open(source)?;
    let (track, parameters) = audio(reader.tracks()).ok_or_else(|| no_audio(container))?;
    let codec = codec_name(parameters.codec);
    let format = match container {
        Container::Ogg | Container::Mp4 => format!("{}, {codec}", container.name()),
        Container::Adts => codec.to_owned(),
        _ => container.name().to_owned(),
    };
    let (track, time_base, frames) = (track.id, track.time_base, track.num_frames);
    let (decoder, shape) = Decoder::new(container, &*reader)?;
    let mut packets = Packets {
        reader,
        failure,
        container,
        track,
        time_base,
        decoder,
        shape: shape.unwrap_or(Shape::TELEPHONE),
        promised: frames.filter(|_| container != Container::Ogg),
        done: 0,
        silence: 0,
        ready: Vec::new(),
        expected: None,
        trouble: 0,
        strange: 0,
        strange_ticks: 0,
        damage: Damage::default(),
        scratch: Scratch::default(),
    };
    packets.find_shape(shape)?;
    Ok(Opened {
        format,
        shape: packets.shape,
        announced: frames.map(SampleCount),
        blocks: Box::new(packets),
    })
}

fn no_audio(container: Container) -> RecordingError {
    RecordingError::NoAudio {
        container: container.name(),
    }
}

/// What comes next of a track.
enum Next {
    Packet(Packet),
    /// Another stream of the same file follows.
    NewStream,
    End(Option<Trouble>),
}

impl Packets {
    /// Decodes up to the first sample: only that tells the shape for certain. A header may leave
    /// it open, or say what the decoder does not do.
    fn find_shape(&mut self, announced: Option<Shape>) -> Result<(), RecordingError> {
        for _ in 0..MAX_TROUBLE {
            let Next::Packet(packet) = self.next() else {
                break;
            };
            match self.decode(&packet) {
                Decoded::Samples { hz, channels } => {
                    self.shape = Shape::new(hz, channels)?;
                    self.expect(&packet);
                    return Ok(());
                }
                Decoded::Nothing => {}
                Decoded::Broken => self.lose_packet(&packet),
                Decoded::Failed(_) => break,
            }
            self.expect(&packet);
        }
        match (self.failure.take(), announced) {
            (Some(failure), _) => Err(RecordingError::Io(failure)),
            // What is wrong comes with the first read.
            (None, Some(_)) => Ok(()),
            (None, None) => Err(RecordingError::HeaderCutShort {
                container: self.container.name(),
            }),
        }
    }

    fn next(&mut self) -> Next {
        loop {
            let trouble = match contain(|| self.reader.next_packet()) {
                Ok(Ok(Some(packet))) if packet.track_id == self.track => {
                    self.trouble = 0;
                    return Next::Packet(packet);
                }
                Ok(Ok(Some(_))) => continue,
                Ok(Ok(None)) => return Next::End(None),
                Ok(Err(error)) => Trouble::from(error),
                Err(panicked) => return Next::End(Some(panicked)),
            };
            self.trouble += 1;
            match trouble {
                Trouble::Reset => return Next::NewStream,
                Trouble::Other(_) if self.trouble < MAX_TROUBLE => self.lose(0),
                trouble => return Next::End(Some(trouble)),
            }
        }
    }

    /// Makes up for what is missing before `packet`.
    fn bridge(&mut self, packet: &Packet) {
        let Some(expected) = self.expected.filter(|_| self.container.tells_gaps()) else {
            return;
        };
        let Ok(gap) = u64::try_from(packet.pts.get().saturating_sub(expected.get())) else {
            return;
        };
        let gap = self.instants(gap);
        if gap > self.count(MIN_GAP) {
            let fits = gap <= self.count(MAX_GAP);
            self.lose(if fits { gap } else { 0 });
        }
    }

    fn expect(&mut self, packet: &Packet) {
        self.expected = packet.pts.checked_add(packet.block_dur());
    }

    /// Notes that `packet` cannot be decoded.
    fn lose_packet(&mut self, packet: &Packet) {
        let instants = self.instants(packet.dur.get());
        let instants = match &mut self.decoder {
            Decoder::Opus(track) => track.skip_lost(instants),
            Decoder::Symphonia(_) => instants,
        };
        self.lose(instants.min(self.count(MAX_GAP)));
    }

    /// Notes that so many instants are missing here, and lets silence follow in their place.
    fn lose(&mut self, instants: u64) {
        let here = self.done + self.silence;
        if self.damage.places == 0 || self.damage.end != here {
            self.damage.places += 1;
        }
        self.damage
            .first
            .get_or_insert_with(|| SampleCount(here).duration(self.shape.rate));
        let room = self.count(MAX_SILENCE).saturating_sub(self.damage.lost);
        let instants = instants.min(room);
        self.damage.lost += instants;
        self.damage.end = here + instants;
        self.silence += instants;
    }

    /// Ticks of the track as instants.
    fn instants(&self, ticks: u64) -> u64 {
        let Some(base) = self.time_base else {
            return ticks;
        };
        let hz = u128::from(self.shape.rate.hz());
        let instants = u128::from(ticks) * u128::from(base.numer.get()) * hz
            / u128::from(base.denom.get());
        u64::try_from(instants).unwrap_or(u64::MAX)
    }

    fn count(&self, duration: Duration) -> u64 {
        self.shape.rate.samples_in(duration).0
    }

    fn at(&self) -> Duration {
        SampleCount(self.done).duration(self.shape.rate)
    }

    fn decode(&mut self, packet: &Packet) -> Decoded {
        self.decoder
            .decode(packet, &mut self.scratch, &mut self.ready)
    }

    /// Packets of another shape were damage, when others follow.
    fn settle_strange(&mut self) {
        if self.strange > 0 {
            let instants = self.instants(self.strange_ticks).min(self.count(MAX_GAP));
            (self.strange, self.strange_ticks) = (0, 0);
            self.lose(instants);
        }
    }

    /// Goes on with the next stream of a chain.
    fn start_stream(&mut self) -> Result<(), RecordingError> {
        let (track, _) = audio(self.reader.tracks()).ok_or_else(|| no_audio(self.container))?;
        (self.track, self.time_base) = (track.id, track.time_base);
        self.expected = None;
        let (decoder, shape) = Decoder::new(self.container, &*self.reader)?;
        self.decoder = decoder;
        match shape {
            Some(shape) if shape != self.shape => Err(self.changed(shape)),
            _ => Ok(()),
        }
    }

    fn changed(&self, to: Shape) -> RecordingError {
        RecordingError::Changed {
            at: self.at(),
            from: self.shape.to_string(),
            to: to.to_string(),
        }
    }

    /// What to say at the end.
    fn finish(&mut self, trouble: Option<Trouble>) -> Result<usize, RecordingError> {
        self.settle_strange();
        let rate = self.shape.rate;
        let at = self.at();
        let announced = self.promised.map(|len| SampleCount(len).duration(rate));
        // An encoder's own delay is not always taken off the same.
        let tolerance = match self.container {
            Container::Flac => 0,
            _ => self.count(Duration::from_millis(100)),
        };
        let is_short = self
            .promised
            .is_some_and(|promised| self.done + tolerance < promised);
        let end = match (self.failure.take(), trouble) {
            (Some(source), _) => Some(RecordingError::Read { at, source }),
            (None, Some(Trouble::Other(reason))) => Some(RecordingError::Undecodable { at, reason }),
            (None, Some(Trouble::End | Trouble::Reset)) => {
                Some(RecordingError::CutShort { at, announced })
            }
            (None, None) if is_short => Some(RecordingError::CutShort { at, announced }),
            (None, None) => None,
        };
        self.conclude(end)
    }

    /// The end, and the damage before it.
    fn conclude(&self, end: Option<RecordingError>) -> Result<usize, RecordingError> {
        match (self.damage.first, end) {
            (Some(at), end) => Err(RecordingError::Damaged {
                at,
                places: self.damage.places,
                lost: SampleCount(self.damage.lost).duration(self.shape.rate),
                source: end.map(Box::new),
            }),
            (None, Some(end)) => Err(end),
            (None, None) => Ok(0),
        }
    }
}

impl Blocks for Packets {
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        loop {
            if self.silence > 0 {
                let instants = self.silence.min(self.shape.rate.hz().into());
                self.silence -= instants;
                self.done += instants;
                let added = instants as usize * self.shape.width();
                samples.resize(samples.len() + added, 0);
                return Ok(instants as usize);
            }
            if !self.ready.is_empty() {
                let instants = self.ready.len() / self.shape.width();
                self.done += instants as u64;
                samples.append(&mut self.ready);
                return Ok(instants);
            }
            let packet = match self.next() {
                Next::Packet(packet) => packet,
                Next::End(trouble) => return self.finish(trouble),
                Next::NewStream => match self.start_stream() {
                    Ok(()) => continue,
                    Err(end) => return self.conclude(Some(end)),
                },
            };
            self.bridge(&packet);
            match self.decode(&packet) {
                Decoded::Samples { hz, channels } if !self.shape.is(hz, channels) => {
                    self.ready.clear();
                    self.strange += 1;
                    self.strange_ticks += packet.dur.get();
                    if self.strange == MAX_STRANGE {
                        let end = match Shape::new(hz, channels) {
                            Ok(shape) => self.changed(shape),
                            Err(error) => error,
                        };
                        return self.conclude(Some(end));
                    }
                }
                Decoded::Samples { .. } => self.settle_strange(),
                Decoded::Nothing => {}
                Decoded::Broken => self.lose_packet(&packet),
                Decoded::Failed(trouble) => return self.finish(Some(trouble)),
            }
            self.expect(&packet);
        }
    }
}

impl Decoder {
    /// For the audio of `reader`, with the shape that its container announces.
    fn new(
        container: Container,
        reader: &dyn FormatReader,
    ) -> Result<(Self, Option<Shape>), RecordingError> {
        let (_, parameters) = audio(reader.tracks()).ok_or_else(|| no_audio(container))?;
        if parameters.codec == CODEC_ID_OPUS {
            let head = parameters.extra_data.as_deref().unwrap_or_default();
            let track = OpusTrack::new(container, head)?;
            let shape = Shape::new(opus::RATE.hz(), track.channels())?;
            return Ok((Self::Opus(track), Some(shape)));
        }
        let channels = parameters.channels.as_ref().map(Channels::count);
        let shape = parameters
            .sample_rate
            .zip(channels)
            .and_then(|(hz, channels)| Shape::new(hz, channels).ok());
        let codec = codec_name(parameters.codec);
        let options = AudioDecoderOptions::default();
        let decoder = contain(|| get_codecs().make_audio_decoder(parameters, &options))
            .and_then(|result| result.map_err(Trouble::from))
            .map_err(|trouble| RecordingError::Codec {
                container: container.name(),
                codec: match trouble {
                    Trouble::Other(reason) if get_codecs().get_audio_decoder(parameters.codec).is_some() => {
                        format!("{codec} of a kind that is not decoded ({reason})")
                    }
                    _ => codec.to_owned(),
                },
            })?;
        Ok((Self::Symphonia(decoder), shape))
    }

    /// Appends a packet's samples to `samples`.
    fn decode(
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
