//! What several tests need.

/// A Whisper model of `state` dimensions and one layer on each side, in ggml's format, with
/// random weights: it understands nothing, but everything around it works as with a real one.
/// 51865 makes it multilingual, 51864 English-only.
pub(crate) fn random_model(n_vocab: i32, state: i32, layers: i32) -> Vec<u8> {
    build(n_vocab, state, layers, &[" a"], false)
}

/// A multilingual model of that kind that hears `words` in whatever it is given, a token each, and is
/// sure of it: the decoder's positions call for them, one after the other.
#[allow(dead_code, reason = "not every test needs it")]
pub(crate) fn talker(words: &[&str]) -> Vec<u8> {
    build(51_865, 64, 1, words, true)
}

fn build(n_vocab: i32, state: i32, layers: i32, words: &[&str], says_them: bool) -> Vec<u8> {
    const AUDIO_CTX: i32 = 1_500;
    const TEXT_CTX: i32 = 448;
    const MELS: i32 = 80;
    /// The multilingual vocabulary's.
    const END_OF_TEXT: usize = 50_257;
    /// Before the text: start, language, task, no timestamps.
    const BEFORE: usize = 3;
    let mut model = Model {
        bytes: b"lmgg".to_vec(),
        random: fastrand::Rng::with_seed(5),
    };
    let heads = (state / 64).max(1);
    let header = [
        n_vocab, AUDIO_CTX, state, heads, layers, TEXT_CTX, state, heads, layers, MELS, 1,
    ];
    model.numbers(&header);
    model.numbers(&[MELS, 201]);
    model.values(MELS * 201, 4);
    // whisper.cpp names the other tokens itself.
    model.numbers(&[words.len() as i32]);
    for word in words {
        model.numbers(&[word.len() as i32]);
        model.bytes.extend(word.bytes());
    }

    let d = state;
    model.f32("encoder.positional_embedding", &[d, AUDIO_CTX]);
    model.f16("encoder.conv1.weight", &[3, MELS, d]);
    model.f32("encoder.conv1.bias", &[1, d]);
    model.f16("encoder.conv2.weight", &[3, d, d]);
    model.f32("encoder.conv2.bias", &[1, d]);
    model.norm("encoder.ln_post", d);
    if says_them {
        let side = d as usize;
        let tokens: Vec<f32> = (0..n_vocab * d).map(|_| model.random.f32() - 0.5).collect();
        let positions = (0..TEXT_CTX as usize).flat_map(|position| {
            let n = position.saturating_sub(BEFORE);
            let token = if n < words.len() { n } else { END_OF_TEXT };
            tokens[token * side..][..side]
                .iter()
                .map(|value| value * 40.0)
        });
        model.head("decoder.positional_embedding", &[d, TEXT_CTX], 0);
        positions.for_each(|value| model.value(value, 4));
        model.head("decoder.token_embedding.weight", &[d, n_vocab], 1);
        tokens.iter().for_each(|value| model.value(*value, 2));
        // So loud that there is no doubt.
        model.head("decoder.ln.weight", &[d], 0);
        (0..d).for_each(|_| model.value(5.0, 4));
        model.f32("decoder.ln.bias", &[d]);
    } else {
        model.f32("decoder.positional_embedding", &[d, TEXT_CTX]);
        model.f16("decoder.token_embedding.weight", &[d, n_vocab]);
        model.norm("decoder.ln", d);
    }
    for layer in 0..layers {
        for (side, attentions) in [
            ("encoder", &["attn"][..]),
            ("decoder", &["attn", "cross_attn"]),
        ] {
            let block = format!("{side}.blocks.{layer}");
            model.norm(&format!("{block}.mlp_ln"), d);
            model.f16(&format!("{block}.mlp.0.weight"), &[d, 4 * d]);
            model.f32(&format!("{block}.mlp.0.bias"), &[4 * d]);
            model.f16(&format!("{block}.mlp.2.weight"), &[4 * d, d]);
            model.f32(&format!("{block}.mlp.2.bias"), &[d]);
            for attention in attentions {
                model.norm(&format!("{block}.{attention}_ln"), d);
                for part in ["query", "key", "value", "out"] {
                    model.f16(&format!("{block}.{attention}.{part}.weight"), &[d, d]);
                    if part != "key" {
                        model.f32(&format!("{block}.{attention}.{part}.bias"), &[d]);
                    }
                }
            }
        }
    }
    model.bytes
}

struct Model {
    bytes: Vec<u8>,
    random: fastrand::Rng,
}

impl Model {
    fn numbers(&mut self, numbers: &[i32]) {
        for number in numbers {
            self.bytes.extend(number.to_le_bytes());
        }
    }

    /// Small random numbers in 2 or 4 bytes each.
    fn values(&mut self, count: i32, width: usize) {
        for _ in 0..count {
            let value = self.random.f32() * 0.1 - 0.05;
            self.value(value, width);
        }
    }

    fn value(&mut self, value: f32, width: usize) {
        let bits = value.to_bits();
        if width == 4 {
            self.bytes.extend(bits.to_le_bytes());
        } else {
            // To half precision: sign, exponent with another offset, ten bits of mantissa.
            let exponent = (bits >> 23 & 0xff).saturating_sub(112).min(30);
            let half = bits >> 16 & 0x8000 | exponent << 10 | bits >> 13 & 0x3ff;
            self.bytes.extend((half as u16).to_le_bytes());
        }
    }

    /// What stands before a tensor's values.
    fn head(&mut self, name: &str, sides: &[i32], kind: i32) {
        self.numbers(&[sides.len() as i32, name.len() as i32, kind]);
        self.numbers(sides);
        self.bytes.extend(name.bytes());
    }

    fn tensor(&mut self, name: &str, sides: &[i32], kind: i32, width: usize) {
        self.head(name, sides, kind);
        self.values(sides.iter().product(), width);
    }

    fn f32(&mut self, name: &str, sides: &[i32]) {
        self.tensor(name, sides, 0, 4);
    }

    fn f16(&mut self, name: &str, sides: &[i32]) {
        self.tensor(name, sides, 1, 2);
    }

    fn norm(&mut self, name: &str, d: i32) {
        self.f32(&format!("{name}.weight"), &[d]);
        self.f32(&format!("{name}.bias"), &[d]);
    }
}
