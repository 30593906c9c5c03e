//! Models by ONNX Runtime: that they say what they say elsewhere, and what happens without them.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

#[path = "support/onnx.rs"]
mod support;

use std::{
    collections::BTreeMap,
    env,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde::Deserialize;
use sidetone_codecs::SampleRate;
use sidetone_core::{
    job::{FailureKind, JobEvent, JobId, TurnEvent, TurnJob},
    vad::Vad as _,
};
use sidetone_models::ModelSource;
use sidetone_speech::{
    JobHandle, Sink, TurnDetector,
    onnx::{self, OnnxError},
    testing::conformance,
    turn_detector::{SmartTurn, SmartTurnConfig},
    vad::{Silero, SileroRate, SileroVad},
};
use tokio::sync::mpsc;

/// What the models say by Python: see `data/onnx-oracle.py`.
#[derive(Deserialize)]
struct Oracle {
    silero_8000: BTreeMap<String, Vec<f32>>,
    silero_16000: BTreeMap<String, Vec<f32>>,
    smart_turn: BTreeMap<String, [f32; 3]>,
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(name)
}

fn oracle() -> Oracle {
    serde_json::from_str(&std::fs::read_to_string(data("onnx-oracle.json")).unwrap()).unwrap()
}

/// A recording at 8 kHz; at 16 kHz every sample comes twice.
fn recording(name: &str, rate: SampleRate) -> Vec<i16> {
    let mut file = hound::WavReader::open(data(name)).unwrap();
    let repeat = rate.hz() as usize / 8_000;
    file.samples()
        .flat_map(|sample| std::iter::repeat_n(sample.unwrap(), repeat))
        .collect()
}

#[test]
fn silero_says_what_it_says_elsewhere() {
    let Some(model) = support::model(support::SILERO) else {
        return;
    };
    let oracle = oracle();
    for (rate, expected) in [
        (SileroRate::Hz8000, oracle.silero_8000),
        (SileroRate::Hz16000, oracle.silero_16000),
    ] {
        let silero = Silero::load(model.clone(), rate).unwrap();
        let mut worst = 0.0_f32;
        for (file, expected) in expected {
            let mut vad = SileroVad::new(silero.clone());
            let audio = recording(&file, vad.rate());
            let frames = audio.chunks_exact(vad.frame_len());
            let heard: Vec<f32> = frames.map(|frame| vad.push(frame)).collect();
            assert_eq!(heard.len(), expected.len(), "{file}");
            for (heard, expected) in heard.iter().zip(&expected) {
                worst = worst.max((heard - expected).abs());
            }
        }
        println!("{rate:?}: at most {worst:e} from the reference");
        assert!(worst < 1e-4, "{rate:?}: {worst} from the reference");
    }
}

#[test]
fn legs_on_all_threads_do_not_disturb_each_other() {
    let Some(model) = support::model(support::SILERO) else {
        return;
    };
    let silero = Silero::load(model, SileroRate::Hz8000).unwrap();
    let expected = &oracle().silero_8000;
    std::thread::scope(|scope| {
        // More than there are sessions.
        for leg in 0..12 {
            let silero = silero.clone();
            scope.spawn(move || {
                let (file, expected) = expected.iter().nth(leg % expected.len()).unwrap();
                let mut vad = SileroVad::new(silero);
                let audio = recording(file, vad.rate());
                for (frame, expected) in audio.chunks_exact(vad.frame_len()).zip(expected) {
                    let heard = vad.push(frame);
                    assert!((heard - expected).abs() < 1e-4, "leg {leg}");
                }
            });
        }
    });
}

/// `None`: nothing to run it with.
fn smart_turn(threads: usize, queue: usize) -> Option<SmartTurn> {
    let model = support::model(support::SMART_TURN)?;
    let mut config = SmartTurnConfig::new(model);
    config.threads = threads;
    config.queue = queue;
    Some(SmartTurn::load(config).unwrap())
}

fn turn(id: JobId, audio: &[i16], rate: SampleRate) -> TurnJob {
    TurnJob {
        id,
        audio: audio.into(),
        rate,
    }
}

async fn judged(detector: &SmartTurn, audio: &[i16], rate: SampleRate) -> f32 {
    let (updates, mut news) = mpsc::channel(1);
    let id = JobId(1);
    let _handle = detector.start(turn(id, audio, rate), Sink::new(id, updates));
    match news.recv().await.unwrap().event {
        JobEvent::Turn(TurnEvent::Complete { probability }) => probability,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn smart_turn_says_what_it_says_elsewhere() {
    let Some(detector) = smart_turn(1, 8) else {
        return;
    };
    let rate = SampleRate::HZ_16000;
    let mut worst = 0.0_f32;
    for (file, expected) in oracle().smart_turn {
        let audio = recording(&file, rate);
        let whole = judged(&detector, &audio, rate).await;
        let cut = judged(&detector, &audio[..audio.len() * 3 / 5], rate).await;
        let long = judged(&detector, &audio.repeat(9), rate).await;
        println!("{file}: {whole} {cut} {long}, expected {expected:?}");
        for (heard, expected) in [whole, cut, long].into_iter().zip(expected) {
            worst = worst.max((heard - expected).abs());
        }
    }
    println!("at most {worst:e} from the reference");
    // The model rounds to 8-bit integers within: a ten-millionth more or less in its input moves
    // its answer by up to 0.05 where it is unsure.
    assert!(worst < 0.1, "{worst} from the reference");
}

#[tokio::test]
async fn smart_turn_hears_a_telephone_and_tells_a_whole_turn_from_a_part() {
    let Some(detector) = smart_turn(1, 8) else {
        return;
    };
    let rate = SampleRate::HZ_8000;
    let audio = recording("person-flite.wav", rate);
    let whole = judged(&detector, &audio, rate).await;
    assert!(whole > 0.5, "{whole}");
    // "I would like to"
    let part = judged(&detector, &audio[..audio.len() / 3], rate).await;
    assert!(part < 0.5, "{part}");
    // What is over 8 s old makes no difference.
    let mut late = vec![9_999; 3 * 8_000];
    late.extend(vec![0; 8 * 8_000 - audio.len()]);
    late.extend(&audio);
    let found = judged(&detector, &late, rate).await;
    assert!((found - whole).abs() < 0.1, "{found} {whole}");
    judged(&detector, &[], rate).await;
}

#[tokio::test]
async fn smart_turn_does_what_every_turn_detector_must() {
    let Some(detector) = smart_turn(2, 64) else {
        return;
    };
    let audio = recording("digits-flite.wav", SampleRate::HZ_8000);
    conformance::turn_detector(&detector, |id| turn(id, &audio, SampleRate::HZ_8000)).await;
    let odd = SampleRate::new(7_919).unwrap();
    let job = |id| turn(id, &audio, odd);
    conformance::fails(|id, updates| detector.start(job(id), Sink::new(id, updates))).await;
}

#[tokio::test]
async fn more_turns_than_can_wait_are_turned_away_at_once() {
    let Some(detector) = smart_turn(1, 1) else {
        return;
    };
    detector.warm_up().await.unwrap();
    let audio: Arc<[i16]> = recording("person-flite.wav", SampleRate::HZ_8000).into();
    let (updates, mut news) = mpsc::channel(64);
    let jobs: Vec<JobHandle> = (0..20)
        .map(|id| {
            let id = JobId(id);
            detector.start(
                turn(id, &audio, SampleRate::HZ_8000),
                Sink::new(id, updates.clone()),
            )
        })
        .collect();
    let (mut judged, mut overloaded) = (0, 0);
    for _ in &jobs {
        match news.recv().await.unwrap().event {
            JobEvent::Turn(TurnEvent::Complete { .. }) => judged += 1,
            JobEvent::Turn(TurnEvent::Failed(failure)) => {
                assert_eq!(failure.kind, FailureKind::Overloaded);
                overloaded += 1;
            }
            other => panic!("{other:?}"),
        }
    }
    assert!(judged >= 1 && overloaded >= 1, "{judged} {overloaded}");
}

#[test]
fn a_file_that_is_not_the_model_is_refused() {
    let (Some(silero), Some(turn)) = (
        support::model(support::SILERO),
        support::model(support::SMART_TURN),
    ) else {
        return;
    };
    let vad = |model| {
        Silero::load(model, SileroRate::Hz8000)
            .unwrap_err()
            .to_string()
    };
    let detector = |model| {
        SmartTurn::load(SmartTurnConfig::new(model))
            .unwrap_err()
            .to_string()
    };
    let error = vad(turn);
    assert!(
        error.contains("is not a Silero VAD") && error.contains("it takes input_features"),
        "{error}"
    );
    let error = detector(silero.clone());
    assert!(
        error.contains("is not a Smart Turn v3") && error.contains("it takes input, state, sr"),
        "{error}"
    );
    let ModelSource::File(path) = silero else {
        panic!("a file")
    };
    let bytes = std::fs::read(path).unwrap();
    for damaged in [&b"not a model"[..], b"", &bytes[..bytes.len() / 2]] {
        let error = vad(ModelSource::Memory(damaged.into()));
        assert!(
            error.starts_with("the model in memory cannot be loaded as an ONNX model:"),
            "{error}"
        );
        assert_eq!(error.lines().count(), 1, "{error}");
    }
    let missing = detector(ModelSource::File("/no/such/model.onnx".into()));
    assert!(missing.contains("/no/such/model.onnx"), "{missing}");
}

/// Opens the runtime in a process of its own, with `ORT_DYLIB_PATH` set to `library`, and returns
/// what comes of it.
fn opened_with(library: &Path) -> String {
    let output = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "in_a_process_of_its_own",
            "--ignored",
            "--nocapture",
        ])
        .env("ORT_DYLIB_PATH", library)
        .env("SIDETONE_MODELS_DIR", "/no/such/folder")
        .output()
        .unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{}: {stdout}", output.status);
    let line = stdout.lines().find_map(|line| line.split_once("opened: "));
    line.unwrap_or_else(|| panic!("{stdout}")).1.to_owned()
}

#[test]
#[ignore = "the other half of the tests that call `opened_with`"]
fn in_a_process_of_its_own() {
    // Twice: a failure leaves everything ready for another try.
    let _ = onnx::open();
    match onnx::open() {
        Ok(()) => println!("opened: fine"),
        Err(error @ (OnnxError::NoRuntime | OnnxError::Runtime { .. })) => {
            println!("opened: {error}");
        }
        Err(other) => panic!("{other:?}"),
    }
}

#[test]
fn a_library_that_is_not_onnx_runtime_is_an_error_of_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    let refused = |problem: &str| {
        let line = opened_with(&path);
        let expected = format!(
            "the ONNX Runtime {} cannot be used: {problem}",
            path.display()
        );
        assert!(line.starts_with(&expected), "{line}");
        assert!(
            line.contains("`sidetone models fetch onnxruntime`"),
            "{line}"
        );
    };
    refused("No such file");
    std::fs::write(&path, "").unwrap();
    refused("the file is cut short");
    std::fs::write(&path, "I am a shared library, believe me. ".repeat(9)).unwrap();
    refused("the system does not load it (");

    std::fs::remove_file(&path).unwrap();
    std::fs::create_dir(&path).unwrap();
    refused("it is not a file");
}

/// Libraries that speak ONNX Runtime's language badly, by the system's C compiler.
#[test]
#[cfg(target_os = "linux")]
fn a_library_of_another_version_is_an_error_of_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("stub.c");
    let path = folder.path().join("libonnxruntime.so");
    let base = |version: &str| {
        format!(
            "static const void *api(unsigned v) {{ return 0; }}\
             static const char *version(void) {{ return \"{version}\"; }}\
             static const struct {{ const void *(*a)(unsigned); const char *(*b)(void); }} base = \
             {{ api, version }};\
             const void *OrtGetApiBase(void) {{ return &base; }}"
        )
    };
    for (code, problem) in [
        ("int unrelated;".to_owned(), "it is not ONNX Runtime"),
        (
            "const void *OrtGetApiBase(void) { return 0; }".to_owned(),
            "it is not ONNX Runtime",
        ),
        (
            base("1.14.1"),
            "it is version 1.14.1, and 1.24 or later is needed",
        ),
        (
            base("nonsense"),
            "it is version nonsense, and 1.24 or later is needed",
        ),
        (base("1.99.0"), "it is not ONNX Runtime"),
    ] {
        std::fs::write(&source, &code).unwrap();
        let mut compiler = Command::new("cc");
        compiler
            .args(["-shared", "-fPIC", "-o"])
            .arg(&path)
            .arg(&source);
        match compiler.status() {
            Ok(status) => assert!(status.success(), "{code}"),
            Err(error) => {
                println!("skipped: no C compiler ({error})");
                return;
            }
        }
        let line = opened_with(&path);
        let expected = format!(
            "the ONNX Runtime {} cannot be used: {problem}",
            path.display()
        );
        assert!(line.starts_with(&expected), "{code}: {line}");
    }
}

/// The runtime that the other tests use, with its end missing, as a fetch that broke off leaves it.
#[test]
fn a_library_cut_short_does_not_end_the_process() {
    let Some(library) = env::var_os("ORT_DYLIB_PATH") else {
        println!("skipped: ORT_DYLIB_PATH names no library to cut");
        return;
    };
    let whole = std::fs::read(library).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    for part in [whole.len() / 2, whole.len() * 9 / 10] {
        std::fs::write(&path, &whole[..part]).unwrap();
        let line = opened_with(&path);
        assert!(
            line.contains("cannot be used: the file is cut short"),
            "{line}"
        );
    }
    std::fs::write(&path, &whole).unwrap();
    assert_eq!(opened_with(&path), "fine");
}
