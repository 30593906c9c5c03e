//! What every voice activity detector must do.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "support/onnx.rs"]
mod support;

use std::path::Path;

use sidetone_codecs::SampleRate;
use sidetone_core::vad::Vad;
use sidetone_speech::{
    onnx::OnnxError,
    vad::{
        Aggressiveness, EarshotVad, Silero, SileroRate, SileroVad, VadError, VadProvider, WebrtcVad,
    },
};

/// Every detector in every setting; Silero where it can be had.
fn detectors() -> Vec<(&'static str, Box<dyn Vad>)> {
    let mut detectors: Vec<(&'static str, Box<dyn Vad>)> = vec![
        ("earshot", Box::new(EarshotVad::new())),
        (
            "webrtc 0",
            Box::new(WebrtcVad::new(Aggressiveness::Quality)),
        ),
        (
            "webrtc 1",
            Box::new(WebrtcVad::new(Aggressiveness::LowBitrate)),
        ),
        (
            "webrtc 2",
            Box::new(WebrtcVad::new(Aggressiveness::Aggressive)),
        ),
        (
            "webrtc 3",
            Box::new(WebrtcVad::new(Aggressiveness::VeryAggressive)),
        ),
    ];
    if let Some(model) = support::model(support::SILERO) {
        for (name, rate) in [
            ("silero 8 kHz", SileroRate::Hz8000),
            ("silero 16 kHz", SileroRate::Hz16000),
        ] {
            let silero = Silero::load(model.clone(), rate).unwrap();
            detectors.push((name, Box::new(SileroVad::new(silero))));
        }
    }
    detectors
}

const SPEECH: [&str; 2] = ["person-espeak.wav", "person-flite.wav"];

/// A recording at 8 kHz, brought to the detector's rate.
fn speech(name: &str, rate: SampleRate) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let mut file = hound::WavReader::open(path).unwrap();
    assert_eq!(file.spec().sample_rate, 8_000);
    let narrow: Vec<i16> = file.samples().map(Result::unwrap).collect();
    match rate {
        SampleRate::HZ_8000 => narrow,
        SampleRate::HZ_16000 => narrow
            .windows(2)
            .flat_map(|pair| [pair[0], i16::midpoint(pair[0], pair[1])])
            .collect(),
        other => panic!("no detector listens at {other}"),
    }
}

fn probabilities(vad: &mut dyn Vad, audio: &[i16]) -> Vec<f32> {
    audio
        .chunks_exact(vad.frame_len())
        .map(|frame| vad.push(frame))
        .collect()
}

/// A line's idle noise, two least significant bits of it.
fn quiet_line(rate: SampleRate) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(7);
    (0..rate.hz() * 2).map(|_| random.i16(-2..=2)).collect()
}

#[test]
fn frames_last_10_to_32_ms() {
    for (name, vad) in detectors() {
        let frame_us = vad.frame_len() * 1_000_000 / vad.rate().hz() as usize;
        assert!(
            (10_000..=32_000).contains(&frame_us),
            "{name}: {frame_us} µs"
        );
    }
}

#[test]
fn probabilities_stay_between_zero_and_one() {
    let mut random = fastrand::Rng::with_seed(1);
    for (name, mut vad) in detectors() {
        let mut audio: Vec<i16> = (0..vad.rate().hz()).map(|_| random.i16(..)).collect();
        audio.extend([i16::MIN; 4_000]);
        audio.extend((0..4_000).map(|i| if i % 2 == 0 { i16::MIN } else { i16::MAX }));
        audio.extend([0; 4_000]);
        for p in probabilities(&mut *vad, &audio) {
            assert!((0.0..=1.0).contains(&p), "{name}: {p}");
        }
    }
}

#[test]
fn silence_is_not_speech_once_warm() {
    for (name, mut vad) in detectors() {
        let digital = vec![0; vad.rate().hz() as usize * 2];
        for audio in [digital, quiet_line(vad.rate())] {
            let heard = probabilities(&mut *vad, &audio);
            for p in &heard[heard.len() / 4..] {
                assert!(*p < 0.3, "{name}: {p}");
            }
        }
    }
}

#[test]
fn speech_is_speech_and_its_end_is_silence() {
    for file in SPEECH {
        for (name, mut vad) in detectors() {
            let audio = speech(file, vad.rate());
            let heard = probabilities(&mut *vad, &audio);
            let share = heard.iter().filter(|p| **p >= 0.5).count() * 100 / heard.len();
            assert!(share > 60, "{name} on {file}: {share} % speech");

            let silence = quiet_line(vad.rate());
            let after = probabilities(&mut *vad, &silence);
            let frames_300_ms = vad.rate().hz() as usize * 3 / 10 / vad.frame_len();
            for p in &after[frames_300_ms..] {
                assert!(*p < 0.3, "{name} after {file}: {p}");
            }
        }
    }
}

#[test]
fn after_a_reset_it_answers_like_a_fresh_one() {
    for ((name, mut used), (_, mut fresh)) in detectors().into_iter().zip(detectors()) {
        let first = speech(SPEECH[0], used.rate());
        let second = speech(SPEECH[1], used.rate());
        probabilities(&mut *used, &first);
        used.reset();
        let again = probabilities(&mut *used, &second);
        assert_eq!(again, probabilities(&mut *fresh, &second), "{name}");
    }
}

#[test]
fn a_frame_allocates_nothing() {
    for (name, mut vad) in detectors() {
        let audio = speech(SPEECH[0], vad.rate());
        let frame_len = vad.frame_len();
        let counted = allocation_counter::measure(|| {
            for frame in audio.chunks_exact(frame_len) {
                vad.push(frame);
            }
            vad.reset();
        });
        assert_eq!(counted.count_total, 0, "{name}");
    }
}

#[test]
fn a_leg_may_move_between_threads() {
    for (name, mut vad) in detectors() {
        let audio = speech(SPEECH[0], vad.rate());
        let (before, after) = audio.split_at(audio.len() / 2 / vad.frame_len() * vad.frame_len());
        let mut moved = probabilities(&mut *vad, before);
        let tail = std::thread::scope(|scope| {
            let mut vad = vad;
            scope
                .spawn(move || probabilities(&mut *vad, after))
                .join()
                .unwrap()
        });
        moved.extend(tail);
        let (_, mut stayed) = detectors().into_iter().find(|(n, _)| *n == name).unwrap();
        assert_eq!(moved, probabilities(&mut *stayed, &audio), "{name}");
    }
}

#[test]
#[should_panic(expected = "samples in a frame")]
fn earshot_refuses_a_frame_of_another_length() {
    EarshotVad::new().push(&[0; 160]);
}

#[test]
#[should_panic(expected = "samples in a frame")]
fn webrtc_refuses_a_frame_of_another_length() {
    WebrtcVad::default().push(&[0; 160]);
}

#[test]
fn once_warm_earshot_is_deaf_to_noise_and_to_a_test_tone() {
    let mut random = fastrand::Rng::with_seed(3);
    let noise: Vec<i16> = (0..32_000).map(|_| random.i16(-1_000..=1_000)).collect();
    let tone: Vec<i16> = (0..32_000)
        .map(|i| (f64::from(i) * std::f64::consts::TAU / 16.0).sin() * 8_000.0)
        .map(|sample| sample as i16)
        .collect();
    for (name, audio) in [("noise", noise), ("1 kHz", tone)] {
        let heard = probabilities(&mut EarshotVad::new(), &audio);
        let heard = &heard[heard.len() / 4..];
        let speech = heard.iter().filter(|p| **p >= 0.5).count();
        assert!(
            speech * 20 < heard.len(),
            "{name}: {speech} of {}",
            heard.len()
        );
    }
}

#[test]
fn every_provider_builds_a_working_detector() {
    for provider in VadProvider::ALL {
        let make = match provider.load() {
            Ok(make) => make,
            Err(VadError::Onnx(missing @ (OnnxError::NoRuntime | OnnxError::NoModel { .. }))) => {
                println!("skipped {provider}: {missing}");
                continue;
            }
            Err(other) => panic!("{provider}: {other:?}"),
        };
        let mut vad = make();
        let audio = speech(SPEECH[0], vad.rate());
        let heard = probabilities(&mut *vad, &audio);
        assert!(heard.iter().any(|p| *p >= 0.5), "{provider}");
    }
}
