//! How much memory a Vorbis header asks for, told before symphonia grants it.
//!
//! A codebook of some 20 bytes can call for 16 MiB of vectors and for 100 MiB of decoding tables,
//! and a header has room for 256 of them.

/// What begins the header that has the codebooks.
const SETUP: &[u8] = b"\x05vorbis";

/// What begins a codebook.
const SYNC: u32 = 0x56_43_42;

/// The most entries that symphonia takes in a codebook, and the most dimensions.
const ENTRIES: u32 = 128 * 1024;
const DIMENSIONS: u32 = 32;

/// The longest codeword.
const LONGEST: usize = 32;

/// Bytes of one slot in a decoding table, of an entry's length, codeword and value, and of a
/// vector's number.
const SLOT: u64 = 12;
const ENTRY: u64 = 9;
const NUMBER: u64 = 4;

/// How many bytes symphonia would take for the codebooks in a track's `headers`: those up to the
/// first that is broken, where it stops.
pub(super) fn codebook_bytes(headers: &[u8]) -> u64 {
    let starts = headers.windows(SETUP.len()).enumerate();
    let setups = starts.filter(|(_, bytes)| *bytes == SETUP);
    let needed = setups.map(|(at, _)| {
        let mut bits = Bits::new(&headers[at + SETUP.len()..]);
        let mut sum = 0;
        let count = bits.read(8).map_or(0, |count| count + 1);
        for _ in 0..count {
            match codebook(&mut bits) {
                Some(bytes) => sum += bytes,
                None => break,
            }
        }
        sum
    });
    // The name of the header may stand within another.
    needed.max().unwrap_or(0)
}

/// Walks through a codebook (Vorbis I, 3.2.1); `None` where it is broken.
fn codebook(bits: &mut Bits<'_>) -> Option<u64> {
    let sync = bits.read(24)?;
    let (dimensions, entries) = (bits.read(16)?, bits.read(24)?);
    if sync != SYNC || !(1..=DIMENSIONS).contains(&dimensions) || entries > ENTRIES {
        return None;
    }
    // How many codewords there are of each length.
    let mut lengths = [0_u64; LONGEST + 1];
    let ordered = bits.read(1)? == 1;
    if ordered {
        let mut len = bits.read(5)? as usize + 1;
        let mut left = entries;
        loop {
            let count = bits.read(u32::BITS - left.leading_zeros())?;
            *lengths.get_mut(len)? += u64::from(count);
            left = left.checked_sub(count)?;
            len += 1;
            if left == 0 {
                break;
            }
        }
    } else {
        let sparse = bits.read(1)? == 1;
        for _ in 0..entries {
            if !sparse || bits.read(1)? == 1 {
                lengths[bits.read(5)? as usize + 1] += 1;
            }
        }
    }
    let numbers = u64::from(entries) * u64::from(dimensions);
    let vectors = match bits.read(4)? {
        0 => 0,
        kind @ (1 | 2) => {
            bits.skip(64)?;
            let width = u64::from(bits.read(4)? + 1);
            bits.skip(1)?;
            let values = match kind {
                // Rounded as symphonia does, so that both go on at the same bit.
                1 => (entries as f32).powf(1.0 / dimensions as f32).floor() as u64,
                _ => numbers,
            };
            bits.skip(values * width)?;
            numbers
        }
        _ => return None,
    };
    Some(slots(&lengths) * SLOT + u64::from(entries) * ENTRY + vectors * NUMBER)
}

/// How many slots the decoding tables have: codewords are looked up 4 to 8 bits at a time, so there
/// is a table for each node of the tree at such a depth that is no codeword.
fn slots(lengths: &[u64; LONGEST + 1]) -> u64 {
    let longest = lengths.iter().rposition(|count| *count > 0).unwrap_or(0);
    let step = longest.clamp(4, 8);
    let mut slots = 0_u64;
    // Of a tree that is not complete, which symphonia refuses before it builds any table, they may
    // be too many: as many as 2^24.
    for depth in (0..longest.max(1)).step_by(step) {
        let leaves: u64 = (1..=depth).map(|len| lengths[len] << (depth - len)).sum();
        slots += (1_u64 << depth).saturating_sub(leaves) << step;
    }
    slots
}

/// Bits, the lowest of a byte first.
struct Bits<'a> {
    bytes: &'a [u8],
    at: u64,
}

impl<'a> Bits<'a> {
    fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next `count`, at most 32.
    fn read(&mut self, count: u32) -> Option<u32> {
        let mut value = 0;
        for n in 0..count {
            let byte = *self.bytes.get((self.at / 8) as usize)?;
            value |= u32::from(byte >> (self.at % 8) & 1) << n;
            self.at += 1;
        }
        Some(value)
    }

    fn skip(&mut self, count: u64) -> Option<()> {
        self.at = self.at.checked_add(count)?;
        (self.at <= self.bytes.len() as u64 * 8).then_some(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn what_encoders_ask_for_is_far_below_the_bound() {
        let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fixtures/recordings");
        for name in ["mono-16000.vorbis.ogg", "stereo-44100.vorbis.ogg"] {
            // The headers are in the file as they are.
            let bytes = codebook_bytes(&fs::read(fixtures.join(name)).unwrap());
            assert!((100_000..3_000_000).contains(&bytes), "{name}: {bytes}");
        }
    }

    #[test]
    fn a_complete_tree_has_a_table_for_each_inner_node() {
        let mut lengths = [0; LONGEST + 1];
        assert_eq!(slots(&lengths), 16);
        // All of 17 bits: the root, 256 tables, and 65536 of a bit.
        lengths[17] = 1 << 17;
        assert_eq!(slots(&lengths), (1 + 256 + 65_536) * 256);
        // One of each length: a table every 8 bits.
        lengths = [1; LONGEST + 1];
        (lengths[0], lengths[LONGEST]) = (0, 2);
        assert_eq!(slots(&lengths), 4 * 256);
    }

    #[test]
    fn what_is_cut_off_or_broken_counts_up_to_there() {
        assert_eq!(codebook_bytes(b""), 0);
        assert_eq!(codebook_bytes(SETUP), 0);
        let mut header = SETUP.to_vec();
        header.extend([0xFF; 4_000]);
        assert_eq!(codebook_bytes(&header), 0);
    }
}
