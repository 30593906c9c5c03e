//! What Whisper writes when nobody speaks, and how it is told from speech.

/// The share of the no-speech threshold from which a text that is known to be invented is no
/// longer believed.
const INVENTION_SHARE: f32 = 1.0 / 3.0;

/// Below this mean log-probability a text is a guess. The original implementation's
/// `logprob_threshold`.
const GUESS_LOG_PROBABILITY: f32 = -1.0;

/// Speech on a telephone is 20 to 30 dB louder than this, relative to full scale.
const FAINT_DBFS: f32 = -45.0;

/// Nothing intelligible is this quiet: it is less than the smallest steps of μ-law make.
const SILENT_DBFS: f32 = -66.0;

/// What is known about a decoded text besides its words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Evidence {
    /// The model's probability that nobody spoke; `None` where the model cannot tell.
    pub(super) no_speech: Option<f32>,
    /// The mean over the text's tokens.
    pub(super) log_probability: f32,
    /// The level of the audio's loudest part, see [`loudest_dbfs`].
    pub(super) loudest_dbfs: f32,
}

/// The words that were spoken, as far as the evidence goes: tags for noises are taken out, and
/// texts that are not believed become empty.
pub(super) fn believed(text: &str, evidence: Evidence, no_speech_threshold: f32) -> String {
    let words = without_tags(text);
    let no_speech = evidence.no_speech.unwrap_or(0.0);
    let guessed =
        no_speech > no_speech_threshold && evidence.log_probability < GUESS_LOG_PROBABILITY;
    let doubtful =
        no_speech > no_speech_threshold * INVENTION_SHARE || evidence.loudest_dbfs < FAINT_DBFS;
    if guessed || (doubtful && is_invention(&words)) {
        return String::new();
    }
    words
}

/// Whether `text` is believed only where somebody surely spoke.
pub(super) fn may_be_invention(text: &str) -> bool {
    is_invention(&without_tags(text))
}

/// Whether the audio is too quiet to hold anything.
pub(super) fn is_silent(loudest_dbfs: f32) -> bool {
    loudest_dbfs < SILENT_DBFS
}

/// The level of the loudest 100 ms (1600 samples at 16 kHz), in dB relative to full scale: the
/// root mean square about the mean, so that an offset does not count.
pub(super) fn loudest_dbfs(samples: &[f32]) -> f32 {
    let loudest = samples
        .chunks(1_600)
        .map(|part| {
            let len = part.len() as f32;
            let mean = part.iter().sum::<f32>() / len;
            part.iter().map(|s| (s - mean) * (s - mean)).sum::<f32>() / len
        })
        .fold(0.0, f32::max);
    10.0 * loudest.max(1e-12).log10()
}

/// The text without tags; empty if no letter or digit is left.
fn without_tags(text: &str) -> String {
    let kept = Tags::default().taken_out_of(text);
    if !kept.contains(char::is_alphanumeric) {
        return String::new();
    }
    kept.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Takes `[BLANK_AUDIO]`, `(music)`, `*laughs*` and notes out of a text that may come in parts.
#[derive(Debug, Default)]
pub(super) struct Tags {
    closing: Option<char>,
}

impl Tags {
    /// What is left of the next part.
    pub(super) fn taken_out_of(&mut self, text: &str) -> String {
        let mut kept = String::with_capacity(text.len());
        for c in text.chars() {
            match (self.closing, c) {
                (Some(end), c) if c == end => self.closing = None,
                (Some(_), _) | (None, '♪' | '♫' | '♬' | '♩' | char::REPLACEMENT_CHARACTER) =>
                    {}
                (None, '[') => self.closing = Some(']'),
                (None, '(') => self.closing = Some(')'),
                (None, '（') => self.closing = Some('）'),
                (None, '【') => self.closing = Some('】'),
                (None, '*') => self.closing = Some('*'),
                (None, c) => kept.push(c),
            }
        }
        kept
    }
}

/// Whether `text` is one that Whisper is known to make up: it learned from subtitles, where these
/// stand over silence, applause and credits.
fn is_invention(text: &str) -> bool {
    let whole = words(text);
    if CREDITS.iter().any(|credit| whole.contains(credit)) {
        return true;
    }
    let mut sentences = text
        .split(['.', '!', '?', '¡', '¿', '。', '！', '？', '…'])
        .map(words)
        .filter(|sentence| !sentence.is_empty());
    !whole.is_empty() && sentences.all(|sentence| INVENTIONS.contains(&&*sentence))
}

/// In lower case, without punctuation.
fn words(text: &str) -> String {
    text.to_lowercase()
        .split(|c: char| !c.is_alphanumeric() && c != '\'')
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whole sentences, in lower case and without punctuation. Some are also said on the telephone,
/// so they only count against a text that is doubtful anyway.
const INVENTIONS: &[&str] = &[
    // English
    "you",
    "bye",
    "bye bye",
    "oh",
    "so",
    "the end",
    "thank you",
    "thank you very much",
    "thank you so much",
    "thank you for watching",
    "thank you so much for watching",
    "thanks for watching",
    "thanks for listening",
    "thank you for listening",
    "please subscribe",
    "please subscribe to my channel",
    "don't forget to subscribe",
    "like and subscribe",
    "see you next time",
    "see you in the next video",
    "i'll see you in the next video",
    "we'll be right back",
    // Spanish
    "gracias",
    "muchas gracias",
    "gracias por ver",
    "gracias por ver el video",
    "gracias por ver el vídeo",
    "suscríbete",
    "suscríbete al canal",
    "hasta la próxima",
    "nos vemos en el próximo video",
    // Portuguese
    "obrigado",
    "obrigada",
    "muito obrigado",
    "obrigado por assistir",
    "tchau",
    "tchau tchau",
    "inscreva se no canal",
    "até a próxima",
    "e aí",
    // German
    "vielen dank",
    "danke schön",
    "vielen dank fürs zuschauen",
    "vielen dank für die aufmerksamkeit",
    "bis zum nächsten mal",
    "tschüss",
    // French
    "merci",
    "merci beaucoup",
    "merci d'avoir regardé",
    "merci d'avoir regardé cette vidéo",
    "abonnez vous",
    "à bientôt",
    // Italian
    "grazie",
    "grazie a tutti",
    "grazie per aver guardato il video",
    "grazie per la visione",
    // Dutch
    "dank u wel",
    "bedankt voor het kijken",
    "tot de volgende keer",
];

/// Parts of what no caller says: the credits of subtitles.
const CREDITS: &[&str] = &[
    "amara org",
    "subtitles by",
    "subtítulos por",
    "subtítulos realizados por",
    "legendas pela",
    "untertitel im auftrag",
    "untertitelung",
    "sous titrage",
    "sous titres réalisés",
    "sottotitoli e revisione",
    "sottotitoli creati",
    "ondertiteld door",
    "ondertitels ingediend",
];

#[cfg(test)]
mod tests {
    use super::*;

    const SPOKEN: Evidence = Evidence {
        no_speech: Some(0.02),
        log_probability: -0.2,
        loudest_dbfs: -20.0,
    };

    fn heard(text: &str, evidence: Evidence) -> String {
        believed(text, evidence, 0.6)
    }

    #[test]
    fn tags_are_taken_out_whatever_the_evidence() {
        for (text, words) in [
            (" [BLANK_AUDIO]", ""),
            ("(upbeat music)", ""),
            ("♪ ♪", ""),
            ("*coughs* Yes, please.", "Yes, please."),
            (" Hello. [MUSIC PLAYING]  It's me.", "Hello. It's me."),
            ("【音楽】", ""),
            ("...", ""),
            (" - ", ""),
            ("[Mus", ""),
            ("It costs 5 (five) euros.", "It costs 5 euros."),
            ("na\u{FFFD}", "na"),
        ] {
            assert_eq!(heard(text, SPOKEN), words, "{text:?}");
        }
    }

    #[test]
    fn inventions_are_believed_only_from_somebody_who_speaks() {
        let hushed = Evidence {
            loudest_dbfs: -50.0,
            ..SPOKEN
        };
        let perhaps_nobody = Evidence {
            no_speech: Some(0.3),
            ..SPOKEN
        };
        for text in [
            "Thank you.",
            " Thanks for watching!",
            "Thank you. Thank you.",
            "Subtítulos por la comunidad de Amara.org",
            "Untertitelung des ZDF, 2020",
            "¡Gracias!",
            "you",
        ] {
            assert_eq!(heard(text, SPOKEN), text.trim(), "{text:?}");
            assert_eq!(heard(text, hushed), "", "{text:?}");
            assert_eq!(heard(text, perhaps_nobody), "", "{text:?}");
        }
        for text in ["Thank you, I would like a table.", "Are you there?", "Yes."] {
            assert_eq!(heard(text, hushed), text);
            assert_eq!(heard(text, perhaps_nobody), text);
        }
    }

    #[test]
    fn a_guess_over_silence_is_dropped_and_a_sure_text_is_not() {
        let guess = Evidence {
            no_speech: Some(0.9),
            log_probability: -1.4,
            ..SPOKEN
        };
        assert_eq!(heard("A table for two.", guess), "");
        let sure = Evidence {
            log_probability: -0.3,
            ..guess
        };
        assert_eq!(heard("A table for two.", sure), "A table for two.");
        let cannot_tell = Evidence {
            no_speech: None,
            ..guess
        };
        assert_eq!(heard("A table for two.", cannot_tell), "A table for two.");
    }

    #[test]
    fn the_level_is_that_of_the_loudest_part() {
        let tone =
            |amplitude: f32, len: usize| (0..len).map(move |i| amplitude * (i as f32 * 0.4).sin());
        let full: Vec<f32> = tone(1.0, 1_600).collect();
        assert!((loudest_dbfs(&full) - -3.0).abs() < 0.1);
        let mut mostly_quiet: Vec<f32> = tone(0.001, 16_000).collect();
        mostly_quiet.extend(tone(0.1, 1_600));
        assert!((loudest_dbfs(&mostly_quiet) - -23.0).abs() < 0.2);
        // An offset of the line is no sound.
        assert!(is_silent(loudest_dbfs(&[0.3; 4_000])));
        assert!(is_silent(loudest_dbfs(&[])));
        assert!(!is_silent(loudest_dbfs(&full)));
    }
}
