//! Frame headers of MP3 (ISO/IEC 11172-3 and 13818-3) and of AAC in ADTS (ISO/IEC 13818-7).

use super::container::Container;

/// How many frames in a row make it certain.
const FRAMES: usize = 3;
/// kbit/s of layer 3, by index: MPEG 1, then MPEG 2 and 2.5.
const KBITS: [[u16; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160],
];

/// What frames `start` holds. Bytes before the first are skipped only after a tag: in other data
/// three frames in a row may come by chance.
pub(super) fn find(start: &[u8], tagged: bool) -> Option<Container> {
    let mut at = 0;
    if tagged || start.first() == Some(&0) {
        at = start.iter().position(|&byte| byte != 0)?;
    }
    let last = if tagged { start.len() } else { at + 1 };
    (at..last).find_map(|at| frames(&start[at..]))
}

/// Whether `start` is a row of frames.
fn frames(start: &[u8]) -> Option<Container> {
    let (first, mut at) = header(start)?;
    for _ in 1..FRAMES {
        // Of a short file all is seen.
        let Some(next) = start.get(at..).filter(|next| next.len() >= 7) else {
            break;
        };
        match header(next) {
            Some((container, len)) if container == first => at += len,
            _ => return None,
        }
    }
    Some(first)
}

/// The kind and length of the frame that begins here.
fn header(bytes: &[u8]) -> Option<(Container, usize)> {
    let &[0xFF, second, third, fourth, fifth, sixth, ..] = bytes else {
        return None;
    };
    if second & 0xF6 == 0xF0 {
        let len = usize::from(fourth & 3) << 11 | usize::from(fifth) << 3 | usize::from(sixth) >> 5;
        let rate_is_known = third >> 2 & 0xF < 13;
        return (rate_is_known && len > 7).then_some((Container::Adts, len));
    }
    let version = second >> 3 & 3;
    let (rate_index, bitrate_index) = (third >> 2 & 3, usize::from(third >> 4));
    if second & 0xE0 != 0xE0 || version == 1 || rate_index == 3 || bitrate_index == 15 {
        return None;
    }
    match second >> 1 & 3 {
        1 => layer_3_len(version, rate_index, bitrate_index, third & 2 != 0)
            .map(|len| (Container::Mp3, len)),
        0 => None,
        // Its length does not matter: it is not read.
        _ => Some((Container::MpegLayer12, usize::MAX / 4)),
    }
}

fn layer_3_len(version: u8, rate_index: u8, bitrate_index: usize, padded: bool) -> Option<usize> {
    let is_mpeg_1 = version == 3;
    let rate = [44_100, 48_000, 32_000][usize::from(rate_index)];
    let (rate, factor) = match version {
        3 => (rate, 144),
        2 => (rate / 2, 72),
        _ => (rate / 4, 72),
    };
    let kbits = KBITS[usize::from(!is_mpeg_1)][bitrate_index];
    // "Free format", which nothing writes, leaves the length open.
    (kbits > 0).then(|| factor * 1_000 * usize::from(kbits) / rate + usize::from(padded))
}
