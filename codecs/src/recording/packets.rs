//! The packets of a container, one after the other, and what is missing between them.

use std::time::Duration;

use symphonia::core::{
    formats::FormatReader,
    packet::Packet,
    units::{TimeBase, Timestamp},
};

use super::{
    Blocks, Opened, RecordingError, Shape,
    container::{Container, Trouble, audio, codec_name, contain},
    decoder::{Decoded, Decoder, Scratch},
    mpeg::Losses,
    source::{Failure, Source},
};
use crate::SampleCount;

/// So many packets in a row that cannot be had end the recording.
const MAX_TROUBLE: u32 = 64;
/// Longer gaps between packets are taken for nonsense, and not filled with silence.
const MAX_GAP: Duration = Duration::from_secs(60);
/// All gaps together are filled so far.
const MAX_SILENCE: Duration = Duration::from_secs(3_600);
/// Shorter gaps are rounding.
const MIN_GAP: Duration = Duration::from_millis(5);

struct Packets {
    reader: Box<dyn FormatReader>,
    losses: Losses,
    failure: Failure,
    container: Container,
    track: u32,
    time_base: Option<TimeBase>,
    decoder: Decoder,
    shape: Shape,
    /// Instants that the container promises, where it can be believed.
    promised: Option<u64>,
    /// Packets so far.
    count: u64,
    /// Instants handed over.
    done: u64,
    /// An encoder's own instants at the beginning, to leave out.
    skip: u64,
    /// How many of them there may be after `promised`: an MP3's, which are known to be that only
    /// when nothing follows them.
    padding: u64,
    /// Instants of silence to hand over.
    silence: u64,
    /// Samples to hand over after that.
    ready: Vec<i16>,
    /// When the next packet should begin.
    expected: Option<Timestamp>,
    /// Packets in a row that could not be had.
    trouble: u32,
    /// What ended it already while it was opened.
    end: Option<Trouble>,
    damage: Damage,
    scratch: Scratch,
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

pub(super) fn open(source: Source, container: Container) -> Result<Opened, RecordingError> {
    let failure = source.failure();
    let (reader, losses) = container.open(source)?;
    let (track, parameters) = audio(container, &*reader)?;
    let codec = codec_name(parameters.codec);
    let format = match container {
        Container::Ogg | Container::Mp4 => format!("{}, {codec}", container.name()),
        Container::Adts => codec.to_owned(),
        _ => container.name().to_owned(),
    };
    let (skip, padding) = match container {
        Container::Mp3 => (track.delay.unwrap_or(0), track.padding.unwrap_or(0)),
        _ => (0, 0),
    };
    let (id, time_base, frames) = (track.id, track.time_base, track.num_frames);
    let duration = track.duration.map(|duration| duration.get());
    let (decoder, shape) = Decoder::new(container, &*reader)?;
    let mut packets = Packets {
        reader,
        losses,
        count: 0,
        failure,
        container,
        track: id,
        time_base,
        decoder,
        shape: shape.unwrap_or(Shape::TELEPHONE),
        promised: None,
        done: 0,
        skip: skip.into(),
        padding: padding.into(),
        silence: 0,
        ready: Vec::new(),
        // Others may begin at any time.
        expected: (container == Container::Flac).then_some(Timestamp::ZERO),
        trouble: 0,
        end: None,
        damage: Damage::default(),
        scratch: Scratch::default(),
    };
    let pre_skip = packets.decoder.pre_skip();
    packets.find_shape(shape)?;
    let announced = frames
        .or_else(|| duration.map(|ticks| packets.instants(ticks)))
        .map(|len| len.saturating_sub(pre_skip))
        // An MP4 in fragments may announce nothing, which is no promise.
        .filter(|&len| len > 0);
    packets.promised = announced;
    Ok(Opened {
        format,
        shape: packets.shape,
        announced: announced.map(SampleCount),
        blocks: Box::new(packets),
    })
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
            let packet = match self.next() {
                Next::Packet(packet) => packet,
                Next::NewStream => {
                    self.start_stream()?;
                    continue;
                }
                Next::End(trouble) => {
                    self.end = trouble;
                    break;
                }
            };
            self.bridge(&packet);
            match self.decode(&packet) {
                Decoded::Samples { hz, channels } => {
                    self.shape = Shape::new(hz, channels)?;
                    self.trim_first();
                    self.expect(&packet);
                    return Ok(());
                }
                Decoded::Nothing => {}
                Decoded::Broken => self.lose_packet(&packet),
                Decoded::Failed(trouble) => {
                    self.end = Some(trouble);
                    break;
                }
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
        if let Some(trouble) = self.end.take() {
            return Next::End(Some(trouble));
        }
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

    /// Makes up for what is missing before `packet`. Pages that an Ogg lacks show only behind the page
    /// after them: symphonia counts that one's packets from the page before.
    fn bridge(&mut self, packet: &Packet) {
        while let Some(loss) = self.losses.before(self.count) {
            // All packets are of the same length where losses are known.
            let instants = loss.frames * self.instants(packet.block_dur().get()) as f64;
            self.lose((instants.round() as u64).min(self.count_of(MAX_GAP)));
        }
        self.count += 1;
        let Some(expected) = self.expected.filter(|_| self.container.tells_gaps()) else {
            return;
        };
        let Ok(gap) = u64::try_from(packet.pts.get().saturating_sub(expected.get())) else {
            return;
        };
        let gap = self.instants(gap);
        if gap > self.count_of(MIN_GAP) {
            let fits = gap <= self.count_of(MAX_GAP);
            self.lose(if fits { gap } else { 0 });
        }
    }

    fn expect(&mut self, packet: &Packet) {
        self.expected = packet.pts.checked_add(packet.block_dur());
    }

    /// Notes that `packet` cannot be decoded.
    fn lose_packet(&mut self, packet: &Packet) {
        let instants = self.instants(packet.block_dur().get());
        let instants = self.decoder.skip_lost(instants);
        let skip = self.skip.min(instants);
        self.skip -= skip;
        let instants = instants - skip;
        self.lose(instants.min(self.count_of(MAX_GAP)));
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
        let room = self.count_of(MAX_SILENCE).saturating_sub(self.damage.lost);
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
        let instants =
            u128::from(ticks) * u128::from(base.numer.get()) * hz / u128::from(base.denom.get());
        u64::try_from(instants).unwrap_or(u64::MAX)
    }

    fn count_of(&self, duration: Duration) -> u64 {
        self.shape.rate.samples_in(duration).0
    }

    fn at(&self) -> Duration {
        SampleCount(self.done).duration(self.shape.rate)
    }

    fn decode(&mut self, packet: &Packet) -> Decoded {
        self.decoder
            .decode(packet, &mut self.scratch, &mut self.ready)
    }

    /// How many of the decoded instants can be handed over: what may be padding waits for more.
    fn due(&mut self) -> usize {
        let instants = self.ready.len() / self.shape.width();
        let beyond = match self.promised {
            Some(promised) if self.padding > 0 => {
                (self.done + instants as u64).saturating_sub(promised)
            }
            _ => 0,
        };
        if beyond > self.padding {
            // The promise was wrong, such as of two files made one: no end can be told.
            self.padding = 0;
            return instants;
        }
        instants.saturating_sub(beyond as usize)
    }

    /// Leaves out an encoder's own beginning.
    fn trim_first(&mut self) {
        let width = self.shape.width();
        let skip = self.skip.min((self.ready.len() / width) as u64);
        self.ready.drain(..skip as usize * width);
        self.skip -= skip;
    }

    /// Cuts what an MP4's last packet has too much: its duration says so.
    fn trim_last(&mut self, packet: &Packet) {
        let len = self.instants(packet.dur.get());
        if self.container == Container::Mp4 && self.promised == self.done.checked_add(len) {
            self.ready.truncate(len as usize * self.shape.width());
        }
    }

    /// Goes on with the next stream of a chain.
    fn start_stream(&mut self) -> Result<(), RecordingError> {
        let (track, _) = audio(self.container, &*self.reader)?;
        (self.track, self.time_base) = (track.id, track.time_base);
        // That was of one stream.
        self.promised = None;
        self.expected = None;
        let (decoder, shape) = Decoder::new(self.container, &*self.reader)?;
        self.decoder = decoder;
        match shape {
            Some(shape) if shape != self.shape => Err(self.changed(Ok(shape))),
            _ => Ok(()),
        }
    }

    /// That what comes next has another shape, or one that is not read at all.
    fn changed(&self, to: Result<Shape, RecordingError>) -> RecordingError {
        match to {
            Ok(to) => RecordingError::Changed {
                at: self.at(),
                from: self.shape.to_string(),
                to: to.to_string(),
            },
            Err(error) => error,
        }
    }

    /// Instants that were promised and did not come.
    fn missing(&self) -> u64 {
        // An encoder's own delay is not always taken off the same.
        let tolerance = match self.container {
            Container::Flac => 0,
            _ => self.count_of(Duration::from_millis(100)),
        };
        let missing = self.promised.unwrap_or(0).saturating_sub(self.done);
        if missing > tolerance { missing } else { 0 }
    }

    /// Makes up for the pages that an Ogg lacks before its last one, and says whether there are any.
    fn bridge_end(&mut self) -> bool {
        let missing = self.missing();
        let is_bridged = self.container == Container::Ogg && missing > 0;
        if is_bridged {
            self.lose(missing.min(self.count_of(MAX_GAP)));
            self.promised = None;
        }
        is_bridged
    }

    /// What to say at the end.
    fn finish(&mut self, trouble: Option<Trouble>) -> Result<usize, RecordingError> {
        if self.losses.before(u64::MAX).is_some() {
            self.lose(0);
        }
        let trouble = trouble.or_else(|| self.losses.cut_short().then_some(Trouble::End));
        let rate = self.shape.rate;
        let at = self.at();
        let announced = self.promised.map(|len| SampleCount(len).duration(rate));
        let is_short = self.missing() > 0;
        let end = match (self.failure.take(), trouble) {
            (Some(source), _) => Some(RecordingError::Read { at, source }),
            (None, None) if self.losses.change().is_some() => {
                let to = self.losses.change();
                to.map(|(hz, channels)| self.changed(Shape::new(hz, channels)))
            }
            (None, Some(Trouble::Other(reason))) => {
                Some(RecordingError::Undecodable { at, reason })
            }
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
            let instants = self.due();
            if instants > 0 {
                self.done += instants as u64;
                samples.extend(self.ready.drain(..instants * self.shape.width()));
                return Ok(instants);
            }
            let packet = match self.next() {
                Next::Packet(packet) => packet,
                Next::End(None) if self.bridge_end() => continue,
                Next::End(trouble) => return self.finish(trouble),
                Next::NewStream => match self.start_stream() {
                    Ok(()) => continue,
                    Err(end) => return self.conclude(Some(end)),
                },
            };
            self.bridge(&packet);
            let waiting = self.ready.len();
            match self.decode(&packet) {
                Decoded::Samples { hz, channels } if !self.shape.is(hz, channels) => {
                    self.ready.truncate(waiting);
                    let end = self.changed(Shape::new(hz, channels));
                    return self.conclude(Some(end));
                }
                Decoded::Samples { .. } => {
                    self.trim_first();
                    self.trim_last(&packet);
                }
                Decoded::Nothing => {}
                Decoded::Broken => self.lose_packet(&packet),
                Decoded::Failed(trouble) => return self.finish(Some(trouble)),
            }
            self.expect(&packet);
        }
    }
}
