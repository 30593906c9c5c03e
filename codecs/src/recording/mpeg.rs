//! Frames of MP3 (ISO/IEC 11172-3 and 13818-3) and of AAC in ADTS (ISO/IEC 13818-7).
//!
//! Both have no container: what is damaged shows only as bytes between frames. They are left out
//! here, and counted, before symphonia sees the rest: it would skip them without a word, or take
//! what looks like a frame for one.

use std::{
    collections::VecDeque,
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use symphonia::core::io::MediaSource;

use super::{container::Container, source::Source};

/// How many frames in a row make it certain.
const FRAMES: usize = 3;
/// Bytes that hold so many of the longest.
pub(super) const WINDOW: usize = 32 * 1_024;
/// Bytes of a header that are looked at.
const HEADER: usize = 7;
/// kbit/s of layer 3, by index: MPEG 1, then MPEG 2 and 2.5.
const KBITS: [[u16; 15]; 2] = [
    [
        0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320,
    ],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// Sample rates of ADTS, by index.
const ADTS_HZ: [u32; 13] = [
    96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000,
    7_350,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Header {
    kind: Kind,
    /// Bytes of the frame.
    len: usize,
    hz: u32,
    channels: usize,
}

/// What all frames of a stream share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    container: Container,
    /// The header's bits for version, rate and channels.
    bits: [u8; 3],
}

/// What frames `start` holds. Bytes before the first are skipped only after a tag: in other data
/// three frames in a row may come by chance.
pub(super) fn find(start: &[u8], tagged: bool) -> Option<Container> {
    let begin = start.iter().position(|&byte| byte != 0)?;
    let end = if tagged { start.len() } else { begin + 1 };
    (begin..end)
        .find_map(|at| row(&start[at..], 1))
        .map(|header| header.kind.container)
}

/// The first frame's header, where a row of at least `least` frames of one kind begins.
fn row(start: &[u8], least: usize) -> Option<Header> {
    let first = header(start)?;
    let mut at = first.len;
    for n in 1..FRAMES {
        // At the end of a file there may be no more to go by.
        let Some(next) = start.get(at..).filter(|next| next.len() >= HEADER) else {
            return (n >= least).then_some(first);
        };
        match header(next) {
            Some(next) if next.kind == first.kind => at += next.len,
            _ => return None,
        }
    }
    Some(first)
}

fn header(bytes: &[u8]) -> Option<Header> {
    let &[0xFF, second, third, fourth, fifth, sixth, _, ..] = bytes else {
        return None;
    };
    if second & 0xF6 == 0xF0 {
        let len = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth) >> 5;
        let hz = *ADTS_HZ.get(usize::from(third >> 2 & 0xF))?;
        let configuration = (third & 1) << 2 | fourth >> 6;
        let bits = [second & 0xF8, third & 0xFD, fourth & 0xC0];
        return (len > HEADER).then_some(Header {
            kind: Kind {
                container: Container::Adts,
                bits,
            },
            len,
            hz,
            channels: if configuration == 7 {
                8
            } else {
                configuration.into()
            },
        });
    }
    let version = second >> 3 & 3;
    let (rate_index, bitrate_index) = (third >> 2 & 3, usize::from(third >> 4));
    if second & 0xE0 != 0xE0 || version == 1 || rate_index == 3 || bitrate_index == 15 {
        return None;
    }
    let is_mpeg_1 = version == 3;
    let hz = [44_100, 48_000, 32_000][usize::from(rate_index)];
    let (hz, factor) = match version {
        3 => (hz, 144),
        2 => (hz / 2, 72),
        _ => (hz / 4, 72),
    };
    let is_mono = fourth >> 6 == 3;
    let (container, len) = match second >> 1 & 3 {
        0 => return None,
        1 => {
            // "Free format", which nothing writes, leaves the length open.
            let bits = 1_000 * u32::from(KBITS[usize::from(!is_mpeg_1)][bitrate_index]);
            let len = factor * bits / hz + u32::from(third >> 1 & 1);
            (Container::Mp3, (bits > 0).then_some(len as usize)?)
        }
        // Its length does not matter: it is not read.
        _ => (Container::MpegLayer12, usize::MAX / 4),
    };
    Some(Header {
        kind: Kind {
            container,
            bits: [second & 0xFE, third & 0x0C, is_mono.into()],
        },
        len,
        hz,
        channels: if is_mono { 1 } else { 2 },
    })
}

/// The whole frames of a stream, and nothing between them.
pub(super) struct Frames {
    source: Source,
    container: Container,
    /// The kind of the frame before.
    kind: Option<Kind>,
    /// Bytes of the frame that is being handed over.
    left: usize,
    /// Frames with audio so far, and their bytes.
    frames: u64,
    bytes: u64,
    losses: Losses,
    ended: bool,
}

/// What was left out between frames.
#[derive(Clone, Default)]
pub(super) struct Losses(Arc<Mutex<Lost>>);

#[derive(Default)]
struct Lost {
    pieces: VecDeque<Loss>,
    cut_short: bool,
    change: Option<(u32, usize)>,
}

/// Bytes that are no frame.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Loss {
    /// How many frames with audio are before them.
    pub(super) after: u64,
    /// How many frames they may have been.
    pub(super) frames: f64,
}

impl Losses {
    /// The next piece that is lost before the frame of this number, counted from 0.
    pub(super) fn before(&self, frame: u64) -> Option<Loss> {
        let mut lost = self.lock();
        let is_before = lost.pieces.front().is_some_and(|loss| loss.after <= frame);
        is_before.then(|| lost.pieces.pop_front()).flatten()
    }

    /// Whether the last frame is incomplete.
    pub(super) fn cut_short(&self) -> bool {
        self.lock().cut_short
    }

    /// The rate and channels of the frames that follow, where the rest is of another kind.
    pub(super) fn change(&self) -> Option<(u32, usize)> {
        self.lock().change
    }

    fn lock(&self) -> MutexGuard<'_, Lost> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Frames {
    pub(super) fn new(source: Source, container: Container) -> Self {
        Self {
            source,
            container,
            kind: None,
            left: 0,
            frames: 0,
            bytes: 0,
            losses: Losses::default(),
            ended: false,
        }
    }

    pub(super) fn losses(&self) -> Losses {
        self.losses.clone()
    }

    /// Finds the next frame, and leaves `left` at 0 where there is none.
    fn advance(&mut self) {
        let mut junk = Junk::default();
        loop {
            let window = self.source.peek(WINDOW);
            if window.is_empty() {
                // Less than a header can only be the beginning of one.
                if junk.bytes > 0 && junk.bytes < HEADER as u64 && !junk.is_padding() {
                    self.losses.lock().cut_short = true;
                    return;
                }
                return self.lose(junk.is_padding(), junk.bytes);
            }
            // Right behind a frame one header is enough, elsewhere it may be chance.
            let next = header(window).filter(|next| Some(next.kind) == self.kind);
            let is_next = junk.bytes == 0 && next.is_some();
            // What is another kind must show it.
            let least = if self.kind.is_none() { 1 } else { FRAMES };
            let frame = match next {
                Some(next) if is_next => Some(next),
                Some(_) => row(window, 1),
                None => row(window, least),
            };
            match frame.filter(|frame| frame.kind.container == self.container) {
                Some(frame) if self.kind.is_some_and(|kind| kind != frame.kind) => {
                    // symphonia's decoders do not change on the way.
                    self.lose(junk.is_tag, junk.bytes);
                    self.losses.lock().change = Some((frame.hz, frame.channels));
                    self.ended = true;
                    return;
                }
                Some(frame) if frame.len <= window.len() => {
                    let has_audio = !is_info(&window[..frame.len]);
                    // Before the first frame there is padding.
                    self.lose(junk.is_tag || self.kind.is_none(), junk.bytes);
                    (self.kind, self.left) = (Some(frame.kind), frame.len);
                    if has_audio {
                        self.frames += 1;
                        self.bytes += frame.len as u64;
                    }
                    return;
                }
                Some(_) if is_next => {
                    self.losses.lock().cut_short = true;
                    self.ended = true;
                    return;
                }
                _ => {
                    let next = window[1..].iter().position(|&byte| byte == 0xFF);
                    let len = next.map_or(window.len(), |next| next + 1);
                    junk.add(&window[..len]);
                    self.source.skip(len as u64);
                }
            }
        }
    }

    /// Notes bytes between frames, unless they are `harmless`.
    fn lose(&self, harmless: bool, bytes: u64) {
        if bytes > 0 && !harmless {
            let mean = self.bytes as f64 / self.frames.max(1) as f64;
            self.losses.lock().pieces.push_back(Loss {
                after: self.frames,
                frames: bytes as f64 / mean.max(1.0),
            });
        }
    }
}

/// Bytes between frames.
#[derive(Default)]
struct Junk {
    bytes: u64,
    is_tag: bool,
    has_data: bool,
}

impl Junk {
    fn add(&mut self, bytes: &[u8]) {
        if self.bytes == 0 {
            self.is_tag = [&b"TAG"[..], b"APETAGEX", b"LYRICSBEGIN", b"ID3", b"3DI"]
                .iter()
                .any(|tag| bytes.starts_with(tag));
        }
        self.has_data |= bytes.iter().any(|&byte| byte != 0);
        self.bytes += bytes.len() as u64;
    }

    /// Whether it is what stands at a good end.
    const fn is_padding(&self) -> bool {
        self.is_tag || !self.has_data
    }
}

/// Whether a frame holds not audio but what an encoder says of it (Xing, VBRI).
fn is_info(frame: &[u8]) -> bool {
    [13, 21, 36]
        .iter()
        .any(|&at| matches!(frame.get(at..at + 4), Some(b"Xing" | b"Info" | b"VBRI")))
}

impl Read for Frames {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 && !self.ended {
            self.advance();
        }
        let len = buffer.len().min(self.left);
        let found = self.source.fill(&mut buffer[..len]);
        self.left -= found;
        Ok(found)
    }
}

impl Seek for Frames {
    fn seek(&mut self, _: SeekFrom) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl MediaSource for Frames {
    fn is_seekable(&self) -> bool {
        false
    }

    fn byte_len(&self) -> Option<u64> {
        None
    }
}
