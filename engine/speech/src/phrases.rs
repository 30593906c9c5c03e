//! What is said when speech synthesis cannot be relied on, with the audio in the program.

use std::sync::{Arc, LazyLock};

use sidetone_codecs::g711::mulaw;
use sidetone_core::config::{Phrase, Phrases};

/// The phrases in `language`, an ISO 639-1 code: English, Spanish (`es`) and Portuguese (`pt`),
/// and English for every other. Decoded once, then shared.
#[must_use]
pub fn phrases(language: &str) -> Phrases {
    static ENGLISH: LazyLock<Phrases> = LazyLock::new(|| Phrases {
        hold: decode(
            "One moment, please.",
            include_bytes!("../assets/phrases/en/hold.ulaw"),
        ),
        back: decode(
            "I'm with you again. One moment, please.",
            include_bytes!("../assets/phrases/en/back.ulaw"),
        ),
        apology: decode(
            "I'm sorry, something went wrong. Could you say that again?",
            include_bytes!("../assets/phrases/en/apology.ulaw"),
        ),
        farewell: decode(
            "I'm sorry, we are having technical difficulties. Please call again later. Goodbye.",
            include_bytes!("../assets/phrases/en/farewell.ulaw"),
        ),
    });
    static SPANISH: LazyLock<Phrases> = LazyLock::new(|| Phrases {
        hold: decode(
            "Un momento, por favor.",
            include_bytes!("../assets/phrases/es/hold.ulaw"),
        ),
        back: decode(
            "Estoy de nuevo con usted. Un momento, por favor.",
            include_bytes!("../assets/phrases/es/back.ulaw"),
        ),
        apology: decode(
            "Lo siento, algo salió mal. ¿Puede repetirlo?",
            include_bytes!("../assets/phrases/es/apology.ulaw"),
        ),
        farewell: decode(
            "Lo siento, tenemos problemas técnicos. Por favor, llame más tarde. Adiós.",
            include_bytes!("../assets/phrases/es/farewell.ulaw"),
        ),
    });
    static PORTUGUESE: LazyLock<Phrases> = LazyLock::new(|| Phrases {
        hold: decode(
            "Um momento, por favor.",
            include_bytes!("../assets/phrases/pt/hold.ulaw"),
        ),
        back: decode(
            "Estou de volta. Um momento, por favor.",
            include_bytes!("../assets/phrases/pt/back.ulaw"),
        ),
        apology: decode(
            "Desculpe, algo deu errado. Pode repetir?",
            include_bytes!("../assets/phrases/pt/apology.ulaw"),
        ),
        farewell: decode(
            "Desculpe, estamos com problemas técnicos. Por favor, ligue mais tarde. Até logo.",
            include_bytes!("../assets/phrases/pt/farewell.ulaw"),
        ),
    });
    let phrases = match language {
        "es" => &SPANISH,
        "pt" => &PORTUGUESE,
        _ => &ENGLISH,
    };
    LazyLock::force(phrases).clone()
}

fn decode(text: &str, codes: &[u8]) -> Phrase {
    let mut samples = Vec::with_capacity(codes.len());
    mulaw::decode_append(codes, &mut samples);
    Phrase {
        text: text.to_owned(),
        audio: Arc::from(samples),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_phrase_is_audible_and_as_long_as_its_text() {
        for language in ["en", "es", "pt"] {
            let Phrases {
                hold,
                back,
                apology,
                farewell,
            } = phrases(language);
            for phrase in [hold, back, apology, farewell] {
                let seconds = phrase.audio.len() as f64 / 8_000.0;
                let pace = phrase.text.chars().count() as f64 / seconds;
                assert!(
                    (8.0..22.0).contains(&pace),
                    "{}: {pace} characters a second",
                    phrase.text
                );
                let square = |sample: &i16| f64::from(*sample).powi(2);
                let power: f64 = phrase.audio.iter().map(square).sum();
                let level = (power / phrase.audio.len() as f64).sqrt() / 32_768.0;
                assert!(
                    (0.05..0.2).contains(&level),
                    "{}: level {level}",
                    phrase.text
                );
            }
        }
    }

    #[test]
    fn other_languages_hear_english() {
        assert_eq!(phrases("de"), phrases("en"));
        assert_ne!(phrases("es"), phrases("en"));
        assert!(Arc::ptr_eq(
            &phrases("en").hold.audio,
            &phrases("en").hold.audio
        ));
    }
}
