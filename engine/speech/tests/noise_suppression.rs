//! What a noise suppressor must do, alone and in a call.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

use std::{collections::BTreeMap, path::Path, sync::Arc};

use sidetone_codecs::{Resampler, SampleRate, g711::mulaw};
use sidetone_core::{
    call::Call,
    config::CallConfig,
    dialect::{Inbound, LegFormat, LegMessage, Media, Start, Track},
    io::Input,
    suppression::NoiseSuppressor,
    time::CallTime,
};
use sidetone_speech::{
    noise_suppression::{NoiseSuppression, Rnnoise},
    vad::EarshotVad,
};

const RATE: SampleRate = SampleRate::HZ_48000;
const SPEECH: [&str; 2] = ["person-espeak.wav", "person-flite.wav"];

/// A telephone's recording, at the suppressor's rate.
fn speech(name: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name);
    let mut file = hound::WavReader::open(path).unwrap();
    let narrow: Vec<i16> = file.samples().map(Result::unwrap).collect();
    let mut resampler = Resampler::new(SampleRate::HZ_8000, RATE).unwrap();
    let mut wide = Vec::new();
    resampler.process(&narrow, &mut wide);
    resampler.finish(&mut wide);
    wide
}

/// White noise as a telephone carries it, evenly spread up to `peak`, at the suppressor's rate.
fn hiss(peak: i16, ms: usize) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(9);
    let narrow: Vec<i16> = (0..ms * 8).map(|_| random.i16(-peak..=peak)).collect();
    let mut resampler = Resampler::new(SampleRate::HZ_8000, RATE).unwrap();
    let mut wide = Vec::new();
    resampler.process(&narrow, &mut wide);
    resampler.finish(&mut wide);
    wide
}

fn through(suppressor: &mut dyn NoiseSuppressor, audio: &[i16]) -> Vec<i16> {
    let mut audio = audio.to_vec();
    for frame in audio.chunks_exact_mut(suppressor.frame_len()) {
        suppressor.suppress(frame);
    }
    audio
}

fn level_db(audio: &[i16]) -> f64 {
    let energy: f64 = audio.iter().map(|s| f64::from(*s).powi(2)).sum();
    10.0 * (energy / audio.len() as f64).max(1e-3).log10()
}

#[test]
fn silence_stays_silence_at_once_and_after_anything() {
    let silence = vec![0; RATE.hz() as usize];
    let mut suppressor = Rnnoise::new();
    assert!(through(&mut suppressor, &silence).iter().all(|s| *s == 0));
    for sound in [
        speech(SPEECH[0]),
        hiss(8_000, 500),
        vec![i16::MAX; 9_600],
        vec![20; 9_600],
    ] {
        through(&mut suppressor, &sound);
        let after = through(&mut suppressor, &silence);
        let heard = after.iter().rposition(|sample| *sample != 0).unwrap_or(0);
        assert!(heard < 4_800, "for {heard} samples");
    }
}

#[test]
fn it_goes_on_after_silence_as_if_there_had_been_as_much_of_it_as_there_was() {
    // The frames that are not computed change nothing that can be heard.
    let speech = speech(SPEECH[0]);
    let after = |silent_ms: usize| {
        let mut suppressor = Rnnoise::new();
        through(&mut suppressor, &speech);
        through(&mut suppressor, &vec![0; silent_ms * 48]);
        through(&mut suppressor, &speech)
    };
    let (short, long) = (after(90), after(5_000));
    let difference: Vec<i16> = short
        .iter()
        .zip(&long)
        .map(|(a, b)| a.saturating_sub(*b))
        .collect();
    assert!(level_db(&difference) < level_db(&short) - 40.0);
}

#[test]
fn noise_becomes_less_and_speech_stays() {
    let noise = hiss(1_500, 4_000);
    let quieter = through(&mut Rnnoise::new(), &noise);
    let half = noise.len() / 2;
    let by = level_db(&noise[half..]) - level_db(&quieter[half..]);
    assert!(by > 12.0, "{by} dB less noise");
    for file in SPEECH {
        let speech = speech(file);
        let out = through(&mut Rnnoise::new(), &speech);
        let by = level_db(&speech) - level_db(&out);
        assert!(by < 3.0, "{file}: {by} dB less speech");
    }
}

#[test]
fn what_comes_out_is_a_frame_late() {
    let mut suppressor = Rnnoise::new();
    let speech = speech(SPEECH[0]);
    let out = through(&mut suppressor, &speech);
    let alike = |delay: usize| -> f64 {
        let pairs = speech.iter().zip(&out[delay..]);
        pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
    };
    let best = (0..1_500).max_by(|a, b| alike(*a).total_cmp(&alike(*b)));
    let told = usize::try_from(suppressor.delay().0).unwrap();
    // Its high-pass filter turns low voices by a fraction of a millisecond.
    assert!(best.unwrap().abs_diff(told) <= 24, "{best:?}, not {told}");
}

#[test]
fn nothing_that_a_line_brings_is_too_much_for_it() {
    let mut random = fastrand::Rng::with_seed(1);
    let mut audio: Vec<i16> = (0..48_000).map(|_| random.i16(..)).collect();
    audio.extend([i16::MIN; 9_600]);
    audio.extend((0..9_600).map(|n| if n % 2 == 0 { i16::MIN } else { i16::MAX }));
    audio.extend((0..9_600).map(|n| if n % 480 == 0 { i16::MAX } else { 0 }));
    audio.extend(speech(SPEECH[1]));
    let out = through(&mut Rnnoise::new(), &audio);
    let end = &out[out.len() - 48_000..];
    assert!(level_db(end) > 40.0, "it still passes speech on");
}

#[test]
fn legs_share_nothing() {
    let make = NoiseSuppression::Rnnoise.maker().unwrap();
    let speech = speech(SPEECH[0]);
    let alone = through(&mut *make(), &speech);
    let mut other = make();
    through(&mut *other, &hiss(8_000, 1_000));
    assert_eq!(through(&mut *make(), &speech), alone);
    assert!(NoiseSuppression::Off.maker().is_none());
}

#[test]
fn a_leg_may_move_between_threads() {
    let speech = speech(SPEECH[0]);
    let (before, after) = speech.split_at(speech.len() / 2 / 480 * 480);
    let mut suppressor = Rnnoise::new();
    let mut moved = through(&mut suppressor, before);
    let tail = std::thread::spawn({
        let after = after.to_vec();
        move || through(&mut suppressor, &after)
    });
    moved.extend(tail.join().unwrap());
    assert_eq!(moved, through(&mut Rnnoise::new(), &speech));
}

#[test]
fn a_frame_of_a_call_allocates_nothing_once_its_thread_is_warm() {
    let mut narrow = Vec::new();
    for code in 0..8_000_u32 {
        let loud = code % 1_200 < 700;
        let wave = (f64::from(code) * 0.2).sin() * f64::from(code % 80) * 100.0;
        narrow.push(if loud { wave as i16 } else { 0 });
    }
    let payloads: Vec<Vec<u8>> = narrow
        .chunks_exact(160)
        .map(|pcm| pcm.iter().map(|s| mulaw::encode(*s)).collect())
        .collect();
    let mut config = CallConfig::default();
    config.idle.prompt_after_ms = 0;
    // What a turn needs is allocated when it begins and ends.
    config.vad.speech_threshold = 1.0;
    let mut call = Call::new(Arc::new(config), Box::new(EarshotVad::new()))
        .suppressing_noise(Box::new(Rnnoise::new()));
    let mut out = Vec::with_capacity(64);
    let leg = |body| {
        Input::Leg(LegMessage {
            stream_id: None,
            sequence: None,
            body,
        })
    };
    let start = Inbound::Start(Start {
        stream_id: "MZ1".into(),
        call_id: None,
        account_id: None,
        parameters: BTreeMap::new(),
        format: LegFormat::MULAW_8000,
    });
    call.step(CallTime::ZERO, leg(start), &mut out);
    let mut feed = |n: usize| {
        out.clear();
        let media = Media {
            track: Track::Inbound,
            chunk: None,
            timestamp_ms: None,
            payload: (&payloads[n % payloads.len()][..]).into(),
        };
        let now = CallTime::from_millis(20 * (n as u64 + 1));
        call.step(now, leg(Inbound::Media(media)), &mut out);
    };
    (0..50).for_each(&mut feed);
    let counted = allocation_counter::measure(|| (50..500).for_each(&mut feed));
    assert_eq!(counted.count_total, 0);
}

#[test]
#[should_panic(expected = "samples in a frame")]
fn a_frame_of_another_length_is_refused() {
    Rnnoise::new().suppress(&mut [0; 160]);
}
