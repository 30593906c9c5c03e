//! Raw G.711: 8 kHz, one channel, a byte a sample.

use super::{Blocks, Opened, RecordingError, Shape, source::Source};
use crate::{SampleCount, SampleRate, g711};

/// Bytes of a block: a second.
const BLOCK: usize = 8_000;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Law {
    Mu,
    A,
}

impl Law {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Mu => "μ-law",
            Self::A => "A-law",
        }
    }

    pub(super) fn decode_append(self, codes: &[u8], samples: &mut Vec<i16>) {
        match self {
            Self::Mu => g711::mulaw::decode_append(codes, samples),
            Self::A => g711::alaw::decode_append(codes, samples),
        }
    }
}

struct Raw {
    source: Source,
    law: Law,
    bytes: Vec<u8>,
    done: SampleCount,
}

pub(super) fn open(source: Source, law: Law) -> Opened {
    Opened {
        format: format!("raw, {}", law.name()),
        shape: Shape::TELEPHONE,
        announced: source.len().map(SampleCount),
        blocks: Box::new(Raw {
            source,
            law,
            bytes: Vec::new(),
            done: SampleCount::ZERO,
        }),
    }
}

impl Blocks for Raw {
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        self.bytes.resize(BLOCK, 0);
        let found = self.source.fill(&mut self.bytes);
        self.law.decode_append(&self.bytes[..found], samples);
        self.done += SampleCount(found as u64);
        match self.source.take_failure() {
            // Once what came before is handed over.
            Some(failure) if found > 0 => self.source.put_back(failure),
            Some(source) => {
                return Err(RecordingError::Read {
                    at: self.done.duration(SampleRate::HZ_8000),
                    source,
                });
            }
            None => {}
        }
        Ok(found)
    }
}
