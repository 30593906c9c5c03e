//! Checks a ggml file before whisper.cpp sees it: whisper.cpp trusts every number in it, and a
//! wrong one ends the process.
//!
//! The format is that of whisper.cpp 1.8's `whisper_model_load`: a magic number, eleven
//! hyper-parameters, the mel filters, the vocabulary, then the weights until the end of the file;
//! all numbers are 32 bits, little-endian.

use std::{
    collections::HashSet,
    io::{self, Read, Seek, SeekFrom},
};

use super::error::ModelFileError;

const MAGIC: [u8; 4] = *b"lmgg";

/// `WHISPER_N_FFT / 2 + 1`: what the spectrogram code reads of each filter.
const FFT_BINS: i32 = 201;

/// The longest token of Whisper's vocabularies has 128 bytes.
const MAX_TOKEN_LEN: i32 = 1_024;

/// Names look like `decoder.blocks.31.cross_attn_ln.weight`.
const MAX_NAME_LEN: i32 = 128;

/// Quantised models carry the version of the quantisation in thousands.
const QUANTISATION_VERSION_FACTOR: i32 = 1_000;

/// A size no weight of Whisper comes near.
const MAX_ELEMENTS: i64 = 1 << 30;

/// Walks through the whole of `file` and says what is wrong with it, or the model's shape. The weights
/// themselves are skipped, not read: any value of theirs is harmless.
pub(super) fn check(file: &mut (impl Read + Seek)) -> Result<Header, ModelFileError> {
    let len = file.seek(SeekFrom::End(0)).map_err(ModelFileError::Io)?;
    file.rewind().map_err(ModelFileError::Io)?;
    let mut reader = Reader { file, at: 0, len };

    let found = reader.bytes("the magic number")?;
    if found != MAGIC {
        return Err(ModelFileError::NotGgml { found });
    }
    let header = Header::read(&mut reader)?;
    reader.number(
        "mel filters",
        header.n_mels..=header.n_mels,
        "as in the header",
    )?;
    reader.number("the filters' length", FFT_BINS..=FFT_BINS, "201")?;
    let filters = i64::from(header.n_mels) * i64::from(FFT_BINS) * 4;
    reader.skip(filters, "the mel filters")?;

    let words = reader.number(
        "vocabulary",
        1..=header.n_vocab,
        "1 to the header's n_vocab",
    )?;
    for _ in 0..words {
        let len = reader.number("a token's length", 0..=MAX_TOKEN_LEN, "0 to 1024")?;
        reader.skip(len.into(), "the vocabulary")?;
    }
    check_weights(&mut reader, &header)?;
    Ok(header)
}

/// The model's shape.
pub(super) struct Header {
    pub(super) n_vocab: i32,
    pub(super) n_audio_ctx: i32,
    /// Of the encoder and of the decoder.
    pub(super) n_state: i32,
    n_audio_layer: i32,
    n_text_ctx: i32,
    pub(super) n_text_head: i32,
    pub(super) n_text_layer: i32,
    n_mels: i32,
}

impl Header {
    fn read(reader: &mut Reader<'_, impl Read + Seek>) -> Result<Self, ModelFileError> {
        // Below 51864 the special tokens lie outside the vocabulary; above 51866 there are more
        // language tokens than whisper.cpp knows languages.
        let n_vocab = reader.number("n_vocab", 51_864..=51_866, "51864, 51865 or 51866")?;
        let n_audio_ctx = reader.number("n_audio_ctx", 64..=1_500, "64 to 1500")?;
        let state = reader.number("n_audio_state", 32..=4_096, "32 to 4096")?;
        let head = reader.number("n_audio_head", 1..=state, "1 to n_audio_state")?;
        divides(head, state, "n_audio_head", "a divisor of n_audio_state")?;
        let n_audio_layer = reader.number("n_audio_layer", 1..=64, "1 to 64")?;
        let n_text_ctx = reader.number("n_text_ctx", 32..=4_096, "32 to 4096")?;
        reader.number("n_text_state", state..=state, "equal to n_audio_state")?;
        let head = reader.number("n_text_head", 1..=state, "1 to n_text_state")?;
        divides(head, state, "n_text_head", "a divisor of n_text_state")?;
        let n_text_layer = reader.number("n_text_layer", 1..=64, "1 to 64")?;
        let n_mels = reader.number("n_mels", 80..=128, "80 to 128")?;
        let ftype = reader.number("ftype", 0..=i32::MAX, "a ggml file type")?;
        let ftype = ftype % QUANTISATION_VERSION_FACTOR;
        let Some(format) = Format::of_file_type(ftype) else {
            return Err(ModelFileError::Damaged {
                field: "ftype",
                value: ftype.into(),
                expected: "a ggml file type that Whisper models come in",
            });
        };
        // ggml packs each row of a weight in whole blocks.
        divides(
            format.block_len,
            state,
            "n_audio_state",
            "a multiple of the quantisation's block length",
        )?;
        Ok(Self {
            n_vocab,
            n_audio_ctx,
            n_state: state,
            n_audio_layer,
            n_text_ctx,
            n_text_head: head,
            n_text_layer,
            n_mels,
        })
    }

    /// Seven weights before the encoder's layers of fifteen, four before the decoder's of
    /// twenty-four.
    fn weights(&self) -> usize {
        let layers = 15 * self.n_audio_layer + 24 * self.n_text_layer;
        11 + usize::try_from(layers).unwrap_or_default()
    }

    /// How many numbers all weights hold together: what whisper.cpp makes room for, before it
    /// looks at any weight.
    fn elements(&self) -> i64 {
        let [
            vocab,
            audio_ctx,
            d,
            audio_layers,
            text_ctx,
            text_layers,
            mels,
        ] = [
            self.n_vocab,
            self.n_audio_ctx,
            self.n_state,
            self.n_audio_layer,
            self.n_text_ctx,
            self.n_text_layer,
            self.n_mels,
        ]
        .map(i64::from);
        let norm = 2 * d;
        let attention = 4 * d * d + 3 * d;
        let mlp = 8 * d * d + 5 * d;
        let convolutions = 3 * mels * d + d + 3 * d * d + d;
        let encoder = audio_ctx * d + convolutions + norm;
        let decoder = text_ctx * d + vocab * d + norm;
        encoder
            + decoder
            + audio_layers * (2 * norm + attention + mlp)
            + text_layers * (3 * norm + 2 * attention + mlp)
    }
}

fn check_weights(
    reader: &mut Reader<'_, impl Read + Seek>,
    header: &Header,
) -> Result<(), ModelFileError> {
    const PART: &str = "the weights";
    let mut names = HashSet::new();
    let (mut found, mut total) = (0, 0);
    while reader.at < reader.len {
        let dimensions = reader.number("a weight's dimensions", 1..=3, "1 to 3")?;
        let name_len = reader.number("a weight's name length", 1..=MAX_NAME_LEN, "1 to 128")?;
        let kind = reader.number("a weight's type", 0..=i32::MAX, "a ggml type")?;
        let Some(format) = Format::of_tensor_type(kind) else {
            return Err(ModelFileError::Damaged {
                field: "a weight's type",
                value: kind.into(),
                expected: "a ggml type that Whisper models use",
            });
        };
        let mut elements: i64 = 1;
        for _ in 0..dimensions {
            let side = reader.number("a weight's side", 1..=i32::MAX, "above 0")?;
            elements = elements.saturating_mul(side.into());
        }
        if elements > MAX_ELEMENTS || elements % i64::from(format.block_len) != 0 {
            return Err(ModelFileError::Damaged {
                field: "a weight's size",
                value: elements,
                expected: "at most 2^30, in whole blocks of its type",
            });
        }
        let mut name = vec![0; usize::try_from(name_len).unwrap_or_default()];
        reader.fill(&mut name, PART)?;
        let blocks = elements / i64::from(format.block_len);
        reader.skip(blocks * i64::from(format.block_bytes), PART)?;
        found += 1;
        total += elements;
        names.insert(name);
    }
    let expected = header.weights();
    if found == expected && total != header.elements() {
        return Err(ModelFileError::Damaged {
            field: "the weights' size together",
            value: total,
            expected: "what the header's sizes make",
        });
    }
    if found == expected && names.len() == expected {
        Ok(())
    } else {
        Err(ModelFileError::Weights {
            found: names.len().min(found),
            expected,
        })
    }
}

/// How ggml stores numbers: so many in so many bytes.
#[derive(Clone, Copy)]
struct Format {
    block_len: i32,
    block_bytes: i32,
}

impl Format {
    const fn new(block_len: i32, block_bytes: i32) -> Self {
        Self {
            block_len,
            block_bytes,
        }
    }

    /// `ggml_type`, as far as Whisper models use it.
    fn of_tensor_type(kind: i32) -> Option<Self> {
        Some(match kind {
            0 => Self::new(1, 4),      // F32
            1 | 30 => Self::new(1, 2), // F16, BF16
            2 => Self::new(32, 18),    // Q4_0
            3 => Self::new(32, 20),    // Q4_1
            6 => Self::new(32, 22),    // Q5_0
            7 => Self::new(32, 24),    // Q5_1
            8 => Self::new(32, 34),    // Q8_0
            10 => Self::new(256, 84),  // Q2_K
            11 => Self::new(256, 110), // Q3_K
            12 => Self::new(256, 144), // Q4_K
            13 => Self::new(256, 176), // Q5_K
            14 => Self::new(256, 210), // Q6_K
            _ => return None,
        })
    }

    /// `ggml_ftype`: the type of the large weights.
    fn of_file_type(ftype: i32) -> Option<Self> {
        Self::of_tensor_type(match ftype {
            0..=3 => ftype,
            7 => 8,           // Q8_0
            8 => 6,           // Q5_0
            9 => 7,           // Q5_1
            10..=14 => ftype, // Q2_K to Q6_K
            24 => 30,         // BF16
            _ => return None,
        })
    }
}

fn divides(
    divisor: i32,
    value: i32,
    field: &'static str,
    expected: &'static str,
) -> Result<(), ModelFileError> {
    if value % divisor == 0 {
        return Ok(());
    }
    Err(ModelFileError::Damaged {
        field,
        value: value.into(),
        expected,
    })
}

struct Reader<'a, F> {
    file: &'a mut F,
    at: u64,
    len: u64,
}

impl<F: Read + Seek> Reader<'_, F> {
    fn fill(&mut self, bytes: &mut [u8], part: &'static str) -> Result<(), ModelFileError> {
        self.file.read_exact(bytes).map_err(|error| {
            if error.kind() == io::ErrorKind::UnexpectedEof {
                ModelFileError::CutShort { part }
            } else {
                ModelFileError::Io(error)
            }
        })?;
        self.at += bytes.len() as u64;
        Ok(())
    }

    fn bytes(&mut self, part: &'static str) -> Result<[u8; 4], ModelFileError> {
        let mut bytes = [0; 4];
        self.fill(&mut bytes, part)?;
        Ok(bytes)
    }

    fn number(
        &mut self,
        field: &'static str,
        range: std::ops::RangeInclusive<i32>,
        expected: &'static str,
    ) -> Result<i32, ModelFileError> {
        let value = i32::from_le_bytes(self.bytes(field)?);
        if range.contains(&value) {
            return Ok(value);
        }
        Err(ModelFileError::Damaged {
            field,
            value: value.into(),
            expected,
        })
    }

    fn skip(&mut self, bytes: i64, part: &'static str) -> Result<(), ModelFileError> {
        let count = u64::try_from(bytes).unwrap_or_default();
        if self.len - self.at < count {
            return Err(ModelFileError::CutShort { part });
        }
        self.file.seek_relative(bytes).map_err(ModelFileError::Io)?;
        self.at += count;
        Ok(())
    }
}
