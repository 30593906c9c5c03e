//! Models of random weights that have the true sizes of Whisper's, for speed where no real one is
//! at hand.
//!
//! The encoder costs what a real one costs whatever its weights are. The decoder's cost is that of the
//! tokens it writes, and on random weights it would write one and the same until it runs out of room, doubted
//! and tried again. So a few of the weights are not random, and the model behaves as one that hears
//! words:
//!
//! - The decoder's positions call for a text word by word: a fixed number of distinct words, each almost certain, then
//!   the end. Whatever is heard, each window costs the same number of tokens in any program.
//! - The last 64 dimensions of both sides hold a code of the time, and all cross-attention looks
//!   for the place where its word would be spoken: a program that aligns words with the audio finds them spread
//!   evenly over the window.
//!
//! Written as whisper.cpp's ggml file of 16-bit floats. The mel filters and the words are those of the
//! bundled demo model: OpenAI's. They understand English only, as OpenAI's models of those names do.

use std::{
    fs::File,
    io::{self, BufWriter, Write},
    path::Path,
};

use fastrand::Rng;
use half::f16;

/// A Whisper's shape.
#[derive(Clone, Copy)]
pub(crate) struct Size {
    pub(crate) name: &'static str,
    width: usize,
    /// Of the encoder and of the decoder.
    layers: usize,
}

/// OpenAI's `tiny.en` and `base.en`.
pub(crate) const SIZES: [Size; 2] = [
    Size {
        name: "tiny.en",
        width: 384,
        layers: 4,
    },
    Size {
        name: "base.en",
        width: 512,
        layers: 6,
    },
];

/// The smallest there is: it tells what a program asks of a model, and at little cost.
pub(crate) const PROBE: Size = Size {
    name: "probe",
    width: 128,
    layers: 1,
};

/// What a model writes in each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// Of a token each.
    pub(crate) words: usize,
    /// The positions of the encoder, 20 ms each, over which they are spread.
    pub(crate) positions: usize,
}

const MELS: usize = 80;
const AUDIO_POSITIONS: usize = 1_500;
const TEXT_POSITIONS: usize = 448;
/// Of the models that understand English only.
const VOCABULARY: usize = 51_864;
const END_OF_TEXT: usize = 50_256;

/// Each head of Whisper's has so many dimensions, and so has the code of the time.
const HEAD: usize = 64;

/// How loudly the decoder's position calls for its word; all else together has some 1.
const CALL: f32 = 40.0;

/// How far the code of the time stands out.
const CODE: f32 = 2.0;

/// ggml's types, and its name for a file that is mostly 16-bit floats.
const F32: i32 = 0;
const F16: i32 = 1;

/// Writes a model of `size` that writes at this pace.
pub(crate) fn write(path: &Path, size: Size, pace: Pace) -> io::Result<()> {
    let demo = sidetone_models::demo::load().map_err(io::Error::other)?;
    let lexicon = Lexicon::of(&demo);
    let mut file = Weights {
        file: BufWriter::new(File::create(path)?),
        size,
        rng: Rng::with_seed(11),
    };
    file.header(&demo[48..lexicon.end])?;
    let text = lexicon.text(pace.words);
    file.encoder(pace.positions as f32 / pace.words as f32)?;
    file.decoder(&text)?;
    file.file.flush()
}

/// What the demo model's file says before its weights.
struct Lexicon {
    /// Words in lower case with a space before them.
    words: Vec<usize>,
    /// Where the weights begin.
    end: usize,
}

impl Lexicon {
    fn of(model: &[u8]) -> Self {
        let number = |at: usize| {
            let bytes = model[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(bytes) as usize
        };
        let mut at = 48;
        at += 8 + 4 * number(at) * number(at + 4);
        let tokens = number(at);
        at += 4;
        let mut words = Vec::new();
        for token in 0..tokens {
            let len = number(at);
            let bytes = &model[at + 4..at + 4 + len];
            at += 4 + len;
            if let [b' ', word @ ..] = bytes
                && token < END_OF_TEXT
                && (3..=7).contains(&word.len())
                && word.iter().all(u8::is_ascii_lowercase)
            {
                words.push(token);
            }
        }
        Self { words, end: at }
    }

    /// So many different words and the end.
    fn text(&self, words: usize) -> Vec<usize> {
        let mut text = Rng::with_seed(12).choose_multiple(self.words.iter().copied(), words);
        text.push(END_OF_TEXT);
        text
    }
}

struct Weights {
    file: BufWriter<File>,
    size: Size,
    rng: Rng,
}

impl Weights {
    /// The header of `size` and what follows it: filters and vocabulary.
    fn header(&mut self, rest: &[u8]) -> io::Result<()> {
        let Size { width, layers, .. } = self.size;
        self.file.write_all(b"lmgg")?;
        let heads = width / HEAD;
        for number in [
            VOCABULARY,
            AUDIO_POSITIONS,
            width,
            heads,
            layers,
            TEXT_POSITIONS,
            width,
            heads,
            layers,
            MELS,
            F16 as usize,
        ] {
            self.number(number)?;
        }
        self.file.write_all(rest)
    }

    /// `spacing`: how many positions there are for a word.
    fn encoder(&mut self, spacing: f32) -> io::Result<()> {
        let d = self.size.width;
        let mut positions = self.noise(AUDIO_POSITIONS * d, 0.1);
        for (position, row) in positions.chunks_exact_mut(d).enumerate() {
            code(position as f32 / spacing, &mut row[d - HEAD..]);
        }
        self.put(
            "encoder.positional_embedding",
            &[AUDIO_POSITIONS, d],
            F32,
            &positions,
        )?;
        for (name, inputs) in [("encoder.conv1", MELS), ("encoder.conv2", d)] {
            let weights = self.noise(d * inputs * 3, 0.02);
            self.put(&format!("{name}.weight"), &[d, inputs, 3], F16, &weights)?;
            let bias = self.noise(d, 0.02);
            self.put(&format!("{name}.bias"), &[d, 1], F32, &bias)?;
        }
        self.norm("encoder.ln_post")?;
        for layer in 0..self.size.layers {
            let block = format!("encoder.blocks.{layer}");
            self.attention(&format!("{block}.attn"), false)?;
            self.mlp(&block)?;
        }
        Ok(())
    }

    fn decoder(&mut self, text: &[usize]) -> io::Result<()> {
        let d = self.size.width;
        // Of length 1 and nothing in the code's dimensions.
        let mut tokens = self.noise(VOCABULARY * d, 1.0 / ((d - HEAD) as f32).sqrt());
        for row in tokens.chunks_exact_mut(d) {
            row[d - HEAD..].fill(0.0);
        }
        let mut positions = vec![0.0; TEXT_POSITIONS * d];
        for (position, row) in positions.chunks_exact_mut(d).enumerate() {
            // At position 0 stands the token that starts, at 1 the one that refuses timestamps.
            let word = position.saturating_sub(1);
            let token = text[word.min(text.len() - 1)];
            for (out, value) in row.iter_mut().zip(&tokens[token * d..][..d]) {
                *out = CALL * value;
            }
            code(word as f32, &mut row[d - HEAD..]);
        }
        self.put(
            "decoder.positional_embedding",
            &[TEXT_POSITIONS, d],
            F32,
            &positions,
        )?;
        self.put(
            "decoder.token_embedding.weight",
            &[VOCABULARY, d],
            F16,
            &tokens,
        )?;
        self.norm("decoder.ln")?;
        for layer in 0..self.size.layers {
            let block = format!("decoder.blocks.{layer}");
            self.attention(&format!("{block}.attn"), false)?;
            self.attention(&format!("{block}.cross_attn"), true)?;
            self.mlp(&block)?;
        }
        Ok(())
    }

    /// An attention and the norm before it; `timed`: it compares the codes of the time.
    fn attention(&mut self, name: &str, timed: bool) -> io::Result<()> {
        let d = self.size.width;
        self.norm(&format!("{name}_ln"))?;
        for part in ["query", "key", "value", "out"] {
            let mut weights = self.noise(d * d, 0.01);
            if timed && matches!(part, "query" | "key") {
                for (n, row) in weights.chunks_exact_mut(d).enumerate() {
                    row[d - HEAD + n % HEAD] += CODE;
                }
            }
            self.put(&format!("{name}.{part}.weight"), &[d, d], F16, &weights)?;
            if part != "key" {
                let bias = self.noise(d, 0.01);
                self.put(&format!("{name}.{part}.bias"), &[d], F32, &bias)?;
            }
        }
        Ok(())
    }

    fn mlp(&mut self, block: &str) -> io::Result<()> {
        let d = self.size.width;
        self.norm(&format!("{block}.mlp_ln"))?;
        for (part, rows, columns) in [("mlp.0", 4 * d, d), ("mlp.2", d, 4 * d)] {
            let weights = self.noise(rows * columns, 0.01);
            self.put(
                &format!("{block}.{part}.weight"),
                &[rows, columns],
                F16,
                &weights,
            )?;
            let bias = self.noise(rows, 0.01);
            self.put(&format!("{block}.{part}.bias"), &[rows], F32, &bias)?;
        }
        Ok(())
    }

    fn norm(&mut self, name: &str) -> io::Result<()> {
        let d = self.size.width;
        self.put(&format!("{name}.weight"), &[d], F32, &vec![1.0; d])?;
        self.put(&format!("{name}.bias"), &[d], F32, &vec![0.0; d])
    }

    /// Evenly distributed, with this deviation.
    fn noise(&mut self, len: usize, deviation: f32) -> Vec<f32> {
        let scale = deviation * 12_f32.sqrt();
        (0..len).map(|_| (self.rng.f32() - 0.5) * scale).collect()
    }

    /// `shape` as whisper's own code names it; the file has it the other way round.
    fn put(&mut self, name: &str, shape: &[usize], kind: i32, values: &[f32]) -> io::Result<()> {
        debug_assert_eq!(shape.iter().product::<usize>(), values.len(), "{name}");
        self.number(shape.len())?;
        self.number(name.len())?;
        self.number(kind as usize)?;
        for side in shape.iter().rev() {
            self.number(*side)?;
        }
        self.file.write_all(name.as_bytes())?;
        for value in values {
            if kind == F16 {
                self.file.write_all(&f16::from_f32(*value).to_le_bytes())?;
            } else {
                self.file.write_all(&value.to_le_bytes())?;
            }
        }
        Ok(())
    }

    fn number(&mut self, number: usize) -> io::Result<()> {
        let number = i32::try_from(number).map_err(io::Error::other)?;
        self.file.write_all(&number.to_le_bytes())
    }
}

/// The code of the time at which a word of this number is spoken, or between words: waves from a word's length to more
/// than all that are said in a window. So neighbours can be told apart, and a word lasts until the next.
fn code(word: f32, out: &mut [f32]) {
    let waves = out.len() / 2;
    for (n, wave) in out.chunks_exact_mut(2).enumerate() {
        let step = 1.2 * (0.007_f32).powf(n as f32 / (waves - 1) as f32);
        wave[0] = CODE * (step * word).sin();
        wave[1] = CODE * (step * word).cos();
    }
}
