//! Windows of recordings with the bundled demo model: several pieces in one, doubtful ones, ends.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod support;

use std::path::Path;

use sidetone_codecs::{Resampler, SampleRate};
use sidetone_models::ModelSource;
use sidetone_speech::stt::whisper::batch::{
    DecodedPiece, DecodedWindow, Piece, WhisperModel, WindowDecoder, WindowError, WindowTask,
};

/// A caller's line, and what it says.
type Line = (&'static str, &'static str);

const HELLO: Line = ("hello.wav", "hello");
const YES: Line = ("yes.wav", "yes");
const WHERE_IS_MY_ORDER: Line = ("where-is-my-order.wav", "where is my order");
const FOUR_TWO_SEVEN_ONE: Line = ("four-two-seven-one.wav", "four two seven one");

/// The silence between packed pieces, 100 ms.
const GAP: usize = 1_600;

/// Long windows, as of a model that was trained on them.
fn model() -> WhisperModel {
    let demo = sidetone_models::resolve("demo").unwrap();
    WhisperModel::load(&demo, &[], 30_000, 8).unwrap()
}

fn task() -> WindowTask {
    WindowTask {
        language: "en".into(),
        translate: false,
        prompt: [].into(),
    }
}

/// A line's audio at 16 kHz.
fn line(name: &str) -> Vec<f32> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fixtures/callers/paul")
        .join(name);
    let mut file = hound::WavReader::open(path).unwrap();
    let from = SampleRate::new(file.spec().sample_rate).unwrap();
    let samples: Vec<i16> = file.samples().map(Result::unwrap).collect();
    let mut resampled = Vec::new();
    let mut resampler = Resampler::new(from, SampleRate::HZ_16000).unwrap();
    resampler.process(&samples, &mut resampled);
    resampler.finish(&mut resampled);
    let scaled = resampled
        .into_iter()
        .map(|sample| f32::from(sample) / 32_768.0);
    scaled.collect()
}

/// The lines side by side, as they are packed.
fn packed(lines: &[Line]) -> (Vec<f32>, Vec<Piece>) {
    let (mut samples, mut pieces) = (Vec::new(), Vec::new());
    for (name, _) in lines {
        if !samples.is_empty() {
            samples.resize(samples.len() + GAP, 0.0);
        }
        let start = samples.len();
        samples.extend(line(name));
        pieces.push(Piece {
            audio: start..samples.len(),
            speech: start..samples.len(),
        });
    }
    (samples, pieces)
}

fn texts(decoded: &DecodedWindow) -> Vec<String> {
    let text = |piece: &DecodedPiece| {
        let words = piece.words.iter().map(|word| word.text.trim());
        words.collect::<Vec<_>>().join(" ")
    };
    decoded.pieces.iter().map(text).collect()
}

fn decode(decoder: &mut WindowDecoder, samples: &[f32], pieces: &[Piece]) -> DecodedWindow {
    decoder.decode(samples, pieces, &task(), &|| false).unwrap()
}

#[test]
fn each_word_goes_to_the_piece_in_which_it_was_spoken() {
    // Of lines that the demo model, which was taught single utterances, aligns well enough.
    let mut decoder = model().decoder(5, 1).unwrap();
    for said in [
        &[HELLO, FOUR_TWO_SEVEN_ONE][..],
        &[YES, FOUR_TWO_SEVEN_ONE],
        &[WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE],
        &[FOUR_TWO_SEVEN_ONE, YES],
        &[FOUR_TWO_SEVEN_ONE, FOUR_TWO_SEVEN_ONE],
        &[WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE, YES],
        &[HELLO, WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE],
        &[FOUR_TWO_SEVEN_ONE, WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE],
    ] {
        let (samples, pieces) = packed(said);
        let decoded = decode(&mut decoder, &samples, &pieces);
        let expected: Vec<_> = said.iter().map(|(_, text)| *text).collect();
        assert_eq!(texts(&decoded), expected);
        assert_eq!(decoded.encodes, 1, "{expected:?}: one window, one run");
        for (piece, heard) in pieces.iter().zip(&decoded.pieces) {
            assert!(heard.words.is_sorted_by_key(|word| word.at.start));
            for word in &heard.words {
                let (at, within) = (&word.at, &piece.speech);
                assert!(within.start <= at.start && at.end <= within.end, "{word:?}");
                assert!(at.start < at.end, "{word:?}");
            }
        }
    }
}

#[test]
fn a_piece_that_the_model_passed_over_is_decoded_by_itself() {
    // It has one word for all that it hears at once.
    let mut decoder = talker(1).decoder(5, 1).unwrap();
    let pieces = [0..64_000, 64_000..128_000].map(|at| Piece {
        audio: at.clone(),
        speech: at,
    });
    let decoded = decode(&mut decoder, &hum(8, &[]), &pieces);
    assert_eq!(decoded.encodes, 2);
    assert_eq!(texts(&decoded), ["w0", "w0"]);
    for (piece, heard) in pieces.iter().zip(&decoded.pieces) {
        let (at, within) = (&heard.words[0].at, &piece.speech);
        assert!(within.start <= at.start && at.end <= within.end, "{at:?}");
    }
}

#[test]
fn what_is_doubtful_is_decoded_again_as_often_as_wanted() {
    // It understands nothing, and is unsure of all.
    let random = support::random_model(51_865, 64, 1);
    let random = ModelSource::Memory(random.into());
    let model = WhisperModel::load(&random, &[], 30_000, 8).unwrap();
    let (samples, pieces) = packed(&[HELLO]);
    let [once, thrice, again] = [0, 2, 2].map(|retries| {
        let mut decoder = model.decoder(retries, 1).unwrap();
        decode(&mut decoder, &samples, &pieces)
    });
    assert_eq!((once.encodes, thrice.encodes), (1, 3));
    // Chance plays its part the same way each time.
    assert_eq!(thrice, again);
}

/// A hum of so many seconds, silent for 300 ms at each of `pauses`.
fn hum(seconds: usize, pauses: &[usize]) -> Vec<f32> {
    let hum = (0..seconds * 16_000).map(|n| {
        let paused = pauses
            .iter()
            .any(|at| (at * 16_000..at * 16_000 + 4_800).contains(&n));
        if paused {
            0.0
        } else {
            (n as f32 * 0.1).sin() * 0.3
        }
    });
    hum.collect()
}

/// A model that says so many words to everything.
fn talker(words: usize) -> WhisperModel {
    let words: Vec<String> = (0..words).map(|n| format!(" w{n}")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let talker = ModelSource::Memory(support::talker(&words).into());
    WhisperModel::load(&talker, &[], 30_000, 8).unwrap()
}

#[test]
fn a_window_with_more_words_than_whisper_writes_at_once_is_halved() {
    let mut decoder = talker(300).decoder(5, 1).unwrap();
    let samples = hum(16, &[]);
    let pieces: Vec<Piece> = (0..4)
        .map(|n| Piece {
            audio: n * 64_000..(n + 1) * 64_000,
            speech: n * 64_000..(n + 1) * 64_000,
        })
        .collect();
    let decoded = decode(&mut decoder, &samples, &pieces);
    // The window, its halves, and theirs: a piece each.
    assert_eq!(decoded.encodes, 7);
    for (piece, heard) in pieces.iter().zip(&decoded.pieces) {
        // As many as are written for 4 s, with the one at which it stops.
        assert_eq!(heard.words.len(), 105);
        assert_eq!(heard.words[0].text, " w0");
        let speech = &piece.speech;
        assert!(
            heard
                .words
                .iter()
                .all(|w| speech.start <= w.at.start && w.at.end <= speech.end)
        );
    }
    // With room for all there is nothing to halve.
    let decoded = decode(&mut talker(90).decoder(5, 1).unwrap(), &samples, &pieces);
    let words: usize = decoded.pieces.iter().map(|piece| piece.words.len()).sum();
    assert_eq!(words % 90, 0);
}

#[test]
fn a_single_piece_is_halved_in_its_pause() {
    let mut decoder = talker(300).decoder(5, 1).unwrap();
    let samples = hum(10, &[5]);
    let piece = Piece {
        audio: 0..samples.len(),
        speech: 0..samples.len(),
    };
    let decoded = decode(&mut decoder, &samples, &[piece]);
    assert_eq!(decoded.encodes, 3);
    let words = &decoded.pieces[0].words;
    let second = words.iter().rposition(|word| word.text == " w0").unwrap();
    assert!(second > 0);
    let pause = 5 * 16_000..5 * 16_000 + 4_800;
    assert!(words[..second].iter().all(|word| word.at.end <= pause.end));
    assert!(
        words[second..]
            .iter()
            .all(|word| word.at.start >= pause.start)
    );
    assert!(words.is_sorted_by_key(|word| word.at.start));
}

#[test]
fn a_translation_has_the_words_of_english() {
    let tokens: Vec<String> = (0..5).map(|n| format!("w{n}")).collect();
    let tokens: Vec<&str> = tokens.iter().map(String::as_str).collect();
    let model = ModelSource::Memory(support::talker(&tokens).into());
    let model = WhisperModel::load(&model, &[], 30_000, 8).unwrap();
    let mut decoder = model.decoder(0, 1).unwrap();
    let samples = hum(3, &[]);
    let piece = Piece {
        audio: 0..samples.len(),
        speech: 0..samples.len(),
    };
    let mut texts = |translate| -> Vec<String> {
        let task = WindowTask {
            language: "ja".into(),
            translate,
            prompt: [].into(),
        };
        let decoded = decoder.decode(&samples, std::slice::from_ref(&piece), &task, &|| false);
        let words = decoded.unwrap().pieces.remove(0).words;
        words.into_iter().map(|word| word.text).collect()
    };
    // Japanese writes no spaces, so each token is a word; English would have written them.
    assert_eq!(texts(false), tokens);
    assert_eq!(texts(true), ["w0w1w2w3w4"]);
}

#[test]
fn a_decode_that_is_stopped_or_refused_leaves_the_decoder_whole() {
    let mut decoder = model().decoder(5, 1).unwrap();
    let (samples, pieces) = packed(&[HELLO]);
    let stopped = decoder.decode(&samples, &pieces, &task(), &|| true);
    assert_eq!(stopped, Err(WindowError::Stopped));
    let mut unknown = task();
    unknown.language = "xx".into();
    let refused = decoder.decode(&samples, &pieces, &unknown, &|| false);
    assert!(matches!(refused, Err(WindowError::Refused(reason)) if reason.contains("\"xx\"")));
    assert_eq!(texts(&decode(&mut decoder, &samples, &pieces)), ["hello"]);
}
