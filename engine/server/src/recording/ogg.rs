//! Ogg Opus (RFC 7845), stereo, a page a second.

use std::io;

use ogg::{PacketWriteEndInfo, PacketWriter};
use sidetone_codecs::{OpusEncoder, OpusError, OpusSettings, SampleRate};

use super::crypt::Sink;

/// Granule positions count samples at this rate, whatever the audio's is.
const CLOCK_HZ: u64 = 48_000;
/// 20 ms at that rate.
const PACKET: u64 = CLOCK_HZ / 50;
/// One page: a second.
const PACKETS_PER_PAGE: u32 = 50;
/// One file holds one stream.
const SERIAL: u32 = 1;
/// For both channels together: speech, transparent for the phone.
const BITRATE_BPS: u32 = 48_000;
const VENDOR: &[u8] = b"sidetone";

pub(super) struct OpusFile {
    pages: PacketWriter<'static, Sink>,
    encoder: OpusEncoder,
    rate: SampleRate,
    /// Samples of both channels that make no frame yet.
    rest: Vec<i16>,
    /// The packet that is written when it is known whether it is the last.
    last: Option<Vec<u8>>,
    /// Packets before it.
    packets: u64,
    /// What was taken in, in instants at the audio's rate.
    instants: u64,
    pre_skip: u64,
}

impl OpusFile {
    pub(super) fn encoder(rate: SampleRate) -> Result<OpusEncoder, OpusError> {
        let settings = OpusSettings {
            bitrate_bps: BITRATE_BPS,
            ..OpusSettings::default()
        };
        OpusEncoder::new_stereo(rate, settings)
    }

    pub(super) fn begin(sink: Sink, encoder: OpusEncoder, rate: SampleRate) -> io::Result<Self> {
        let pre_skip = encoder.delay().0 * CLOCK_HZ / u64::from(rate.hz());
        let mut pages = PacketWriter::new(sink);
        let mut head = b"OpusHead".to_vec();
        // Version, channels.
        head.extend([1, 2]);
        head.extend(u16::try_from(pre_skip).unwrap_or(u16::MAX).to_le_bytes());
        head.extend(rate.hz().to_le_bytes());
        // No gain; two channels in one stream.
        head.extend([0, 0, 0]);
        pages.write_packet(head, SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        let mut tags = b"OpusTags".to_vec();
        tags.extend((VENDOR.len() as u32).to_le_bytes());
        tags.extend(VENDOR);
        tags.extend(0_u32.to_le_bytes());
        pages.write_packet(tags, SERIAL, PacketWriteEndInfo::EndPage, 0)?;
        Ok(Self {
            pages,
            encoder,
            rate,
            rest: Vec::new(),
            last: None,
            packets: 0,
            instants: 0,
            pre_skip,
        })
    }

    /// Appends instants: left and right in turn.
    pub(super) fn append(&mut self, samples: &[i16]) -> io::Result<()> {
        self.instants += samples.len() as u64 / 2;
        self.rest.extend_from_slice(samples);
        let frame = 2 * self.encoder.frame_len();
        let mut rest = std::mem::take(&mut self.rest);
        let whole = rest.len() / frame * frame;
        for frame in rest[..whole].chunks_exact(frame) {
            self.encode(frame)?;
        }
        rest.drain(..whole);
        self.rest = rest;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        // What the encoder holds back comes out with silence behind it.
        let frame = 2 * self.encoder.frame_len();
        let end = self.pre_skip + self.instants * CLOCK_HZ / u64::from(self.rate.hz());
        while self.encoded() < end {
            let mut samples = std::mem::take(&mut self.rest);
            samples.resize(frame, 0);
            self.encode(&samples)?;
        }
        if let Some(packet) = self.last.take() {
            self.pages
                .write_packet(packet, SERIAL, PacketWriteEndInfo::EndStream, end)?;
        }
        self.pages.into_inner().finish()
    }

    fn encode(&mut self, frame: &[i16]) -> io::Result<()> {
        let mut packet = Vec::new();
        self.encoder
            .encode_append(frame, &mut packet)
            .map_err(io::Error::other)?;
        let Some(before) = self.last.replace(packet) else {
            return Ok(());
        };
        self.packets += 1;
        let end = if self.packets.is_multiple_of(u64::from(PACKETS_PER_PAGE)) {
            PacketWriteEndInfo::EndPage
        } else {
            PacketWriteEndInfo::NormalPacket
        };
        let granule = self.packets * PACKET;
        self.pages.write_packet(before, SERIAL, end, granule)
    }

    /// How far the packets reach, at the clock's rate.
    fn encoded(&self) -> u64 {
        (self.packets + u64::from(self.last.is_some())) * PACKET
    }
}
