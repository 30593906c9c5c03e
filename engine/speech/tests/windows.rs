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
    // The demo model was taught single utterances: after a short word its alignment is not to be relied
    // on, so the first line is a long one.
    let mut decoder = model().decoder(5).unwrap();
    for said in [
        &[WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE][..],
        &[FOUR_TWO_SEVEN_ONE, YES],
        &[FOUR_TWO_SEVEN_ONE, FOUR_TWO_SEVEN_ONE],
        &[WHERE_IS_MY_ORDER, FOUR_TWO_SEVEN_ONE, YES],
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
fn what_is_doubtful_is_decoded_again_as_often_as_wanted() {
    // It understands nothing, and is unsure of all.
    let random = support::random_model(51_865, 64, 1);
    let random = ModelSource::Memory(random.into());
    let model = WhisperModel::load(&random, &[], 30_000, 8).unwrap();
    let (samples, pieces) = packed(&[HELLO]);
    let [once, thrice, again] = [0, 2, 2].map(|retries| {
        let mut decoder = model.decoder(retries).unwrap();
        decode(&mut decoder, &samples, &pieces)
    });
    assert_eq!((once.encodes, thrice.encodes), (1, 3));
    // Chance plays its part the same way each time.
    assert_eq!(thrice, again);
}

#[test]
fn a_decode_that_is_stopped_or_refused_leaves_the_decoder_whole() {
    let mut decoder = model().decoder(5).unwrap();
    let (samples, pieces) = packed(&[HELLO]);
    let stopped = decoder.decode(&samples, &pieces, &task(), &|| true);
    assert_eq!(stopped, Err(WindowError::Stopped));
    let mut unknown = task();
    unknown.language = "xx".into();
    let refused = decoder.decode(&samples, &pieces, &unknown, &|| false);
    assert!(matches!(refused, Err(WindowError::Refused(reason)) if reason.contains("\"xx\"")));
    assert_eq!(texts(&decode(&mut decoder, &samples, &pieces)), ["hello"]);
}
