//! Whisper with the bundled demo model, and with models that are damaged or of another kind.

#![allow(clippy::unwrap_used, reason = "a failure here is the test's failure")]

mod support;

use std::{fs, path::Path, sync::Arc};

use sidetone_codecs::SampleRate;
use sidetone_core::job::{
    FailureKind, JobEvent, JobId, JobUpdate, SttEvent, SttJob, SttPurpose, Transcript,
};
use sidetone_models::{ModelSource, demo::LANGUAGES};
use sidetone_speech::{
    JobHandle, Sink, Stt,
    stt::whisper::{AudioContext, ModelFileError, Whisper, WhisperConfig, WhisperError},
};
use tokio::sync::mpsc;

const DIGITS: (&str, &str) = ("digits-flite.wav", "seven three five");
const PERSON: (&str, &str) = (
    "person-flite.wav",
    "i would like to speak to a person please",
);
const PERSON_TOO: (&str, &str) = ("person-espeak.wav", PERSON.1);

fn demo() -> WhisperConfig {
    let mut config = WhisperConfig::new(sidetone_models::resolve("demo").unwrap());
    config.threads = 1;
    config.languages = LANGUAGES.map(str::to_owned).to_vec();
    config
}

/// Multilingual, and understands nothing.
fn multilingual() -> WhisperConfig {
    let model = support::random_model(51_865, 64, 1);
    let mut config = WhisperConfig::new(ModelSource::Memory(model.into()));
    config.threads = 1;
    config
}

/// Knows English alone, and understands nothing.
fn english() -> WhisperConfig {
    let model = support::random_model(51_864, 64, 1);
    let mut config = WhisperConfig::new(ModelSource::Memory(model.into()));
    config.threads = 1;
    config
}

/// A recording at 8 kHz.
fn recording(name: &str) -> Vec<i16> {
    read(&format!("tests/data/{name}"))
}

/// A caller of the project's fixtures.
fn caller(file: &str) -> Vec<i16> {
    read(&format!("../../fixtures/callers/{file}.wav"))
}

fn read(path: &str) -> Vec<i16> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    let mut file = hound::WavReader::open(path).unwrap();
    assert_eq!(file.spec().sample_rate, 8_000);
    file.samples().map(Result::unwrap).collect()
}

fn noise(len: usize, amplitude: i16) -> Vec<i16> {
    let mut random = fastrand::Rng::with_seed(11);
    (0..len)
        .map(|_| random.i16(-amplitude..=amplitude))
        .collect()
}

fn job(id: u64, audio: &[i16]) -> SttJob {
    SttJob {
        id: JobId(id),
        purpose: SttPurpose::Final,
        audio: audio.into(),
        rate: SampleRate::HZ_8000,
        language: None,
    }
}

/// A recogniser and everything it reported.
struct Heard {
    whisper: Whisper,
    updates: mpsc::Receiver<JobUpdate>,
    to_updates: mpsc::Sender<JobUpdate>,
}

impl Heard {
    fn by(config: WhisperConfig) -> Self {
        let (to_updates, updates) = mpsc::channel(64);
        Self {
            whisper: Whisper::load(config).unwrap(),
            updates,
            to_updates,
        }
    }

    fn start(&self, job: SttJob) -> JobHandle {
        let sink = Sink::new(job.id, self.to_updates.clone());
        self.whisper.start(job, sink)
    }

    async fn next(&mut self) -> (u64, SttEvent) {
        let update = self.updates.recv().await.unwrap();
        let JobEvent::Stt(event) = update.event else {
            panic!("{update:?}")
        };
        (update.id.0, event)
    }

    async fn event(&mut self, job: SttJob) -> SttEvent {
        let id = job.id.0;
        let _handle = self.start(job);
        let (from, event) = self.next().await;
        assert_eq!(from, id);
        event
    }

    async fn transcript(&mut self, job: SttJob) -> Transcript {
        match self.event(job).await {
            SttEvent::Transcript(transcript) => transcript,
            SttEvent::Failed(failure) => panic!("{failure:?}"),
        }
    }
}

#[tokio::test]
async fn speech_from_the_telephone_is_transcribed() {
    let mut heard = Heard::by(demo());
    for (id, (file, words)) in (1..).zip([DIGITS, PERSON, PERSON_TOO]) {
        let transcript = heard.transcript(job(id, &recording(file))).await;
        assert_eq!(transcript.text, words, "{file}");
        assert_eq!(transcript.language.as_deref(), Some("en"));
    }
}

/// What each caller of the fixtures says: the file, the language and the words.
const CALLERS: &[(&str, &str, &str)] = &[
    ("paul/hello", "en", "hello"),
    ("paul/yes", "en", "yes"),
    ("paul/no", "en", "no"),
    ("paul/four-two-seven-one", "en", "four two seven one"),
    ("annie/where-is-my-order", "en", "where is my order"),
    ("max/hello", "en", "hello"),
    ("miguel/hola", "es", "hola"),
    ("miguel/si", "es", "sí"),
    ("miguel/no", "es", "no"),
    ("miguel/cuatro-dos-siete-uno", "es", "cuatro dos siete uno"),
    ("miguel/necesito-ayuda", "es", "necesito ayuda"),
    ("miguel/donde-esta-mi-pedido", "es", "dónde está mi pedido"),
    ("alicia/hola", "es", "hola"),
    ("alicia/si", "es", "sí"),
    ("alicia/no", "es", "no"),
    ("alicia/cuatro-dos-siete-uno", "es", "cuatro dos siete uno"),
    ("alicia/necesito-ayuda", "es", "necesito ayuda"),
    ("alicia/donde-esta-mi-pedido", "es", "dónde está mi pedido"),
    ("diogo/ola", "pt", "olá"),
    ("diogo/sim", "pt", "sim"),
    ("diogo/nao", "pt", "não"),
    ("diogo/quatro-dois-sete-um", "pt", "quatro dois sete um"),
    ("diogo/preciso-de-ajuda", "pt", "preciso de ajuda"),
    (
        "diogo/onde-esta-o-meu-pedido",
        "pt",
        "onde está o meu pedido",
    ),
    ("andrea/ola", "pt", "olá"),
    ("andrea/sim", "pt", "sim"),
    ("andrea/nao", "pt", "não"),
    ("andrea/quatro-dois-sete-um", "pt", "quatro dois sete um"),
    ("andrea/preciso-de-ajuda", "pt", "preciso de ajuda"),
    (
        "andrea/onde-esta-o-meu-pedido",
        "pt",
        "onde está o meu pedido",
    ),
];

/// As it is said in Portugal, the demo model takes it for the Spanish "hola".
const TOO_ALIKE: &str = "diogo/ola";

#[tokio::test]
async fn callers_are_understood_in_the_language_they_are_expected_to_speak() {
    let mut heard = Heard::by(demo());
    for (id, (file, language, words)) in (1..).zip(CALLERS) {
        let job = SttJob {
            language: Some((*language).to_owned()),
            ..job(id, &caller(file))
        };
        assert_eq!(heard.transcript(job).await.text, *words, "{file}");
    }
}

#[tokio::test]
async fn the_language_of_callers_is_detected_and_understood() {
    let mut heard = Heard::by(demo());
    assert!(heard.whisper.capabilities().detects_language);
    let told_apart = CALLERS.iter().filter(|(file, ..)| *file != TOO_ALIKE);
    for (id, (file, language, words)) in (1..).zip(told_apart) {
        let transcript = heard.transcript(job(id, &caller(file))).await;
        assert_eq!(transcript.language.as_deref(), Some(*language), "{file}");
        assert_eq!(transcript.text, *words, "{file}");
    }
}

#[tokio::test]
async fn every_rate_is_heard() {
    let mut heard = Heard::by(demo());
    for (id, rate) in [(1, SampleRate::HZ_16000), (2, SampleRate::HZ_48000)] {
        let mut audio = Vec::new();
        let mut resampler = sidetone_codecs::Resampler::new(SampleRate::HZ_8000, rate).unwrap();
        resampler.process(&recording(DIGITS.0), &mut audio);
        resampler.finish(&mut audio);
        let job = SttJob {
            rate,
            ..job(id, &audio)
        };
        assert_eq!(heard.transcript(job).await.text, DIGITS.1, "{rate}");
    }
    let odd = SttJob {
        rate: SampleRate::new(7).unwrap(),
        ..job(3, &[1_000; 70])
    };
    let SttEvent::Failed(failure) = heard.event(odd).await else {
        panic!("7 Hz were heard")
    };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(failure.detail.contains("7 Hz"), "{}", failure.detail);
}

#[tokio::test]
async fn a_job_hears_nothing_of_the_one_before() {
    let mut heard = Heard::by(demo());
    for id in 0..3 {
        for (offset, (file, words)) in (1..).zip([PERSON, DIGITS]) {
            let transcript = heard
                .transcript(job(id * 2 + offset, &recording(file)))
                .await;
            assert_eq!(transcript.text, words);
        }
    }
}

#[tokio::test]
async fn workers_answer_side_by_side() {
    let mut config = demo();
    config.threads = 2;
    let mut heard = Heard::by(config);
    let _handles: Vec<_> = (0..6)
        .map(|id| {
            let (file, _) = if id % 2 == 0 { DIGITS } else { PERSON };
            heard.start(job(id, &recording(file)))
        })
        .collect();
    for _ in 0..6 {
        let (id, event) = heard.next().await;
        let SttEvent::Transcript(transcript) = event else {
            panic!("{event:?}")
        };
        let (_, words) = if id % 2 == 0 { DIGITS } else { PERSON };
        assert_eq!(transcript.text, words);
    }
}

#[tokio::test]
async fn silence_and_noise_are_no_words() {
    let mut heard = Heard::by(demo());
    let quiet = [vec![], vec![0; 16_000], vec![900; 16_000], noise(16_000, 8)];
    for (id, audio) in (1..).zip(quiet) {
        let transcript = heard.transcript(job(id, &audio)).await;
        assert_eq!(transcript.text, "", "{id}");
        assert_eq!(transcript.no_speech_probability, Some(1.0));
    }
    for (id, amplitude) in [(10, 100), (11, 300)] {
        let transcript = heard.transcript(job(id, &noise(20_000, amplitude))).await;
        assert_eq!(transcript.text, "", "{amplitude}");
    }
}

#[tokio::test]
async fn a_blink_of_audio_is_enough_to_answer() {
    let mut heard = Heard::by(demo());
    let loud = noise(800, 8_000);
    for (id, len) in (1..).zip([1, 2, 79, 800]) {
        heard.transcript(job(id, &loud[..len])).await;
    }
}

#[tokio::test]
async fn long_audio_is_decoded_in_parts_and_joined() {
    let mut config = demo();
    config.window_ms = 4_000;
    let mut heard = Heard::by(config);
    let mut audio = recording(PERSON.0);
    audio.extend(noise(4_000, 16));
    audio.extend(recording(PERSON_TOO.0));
    let transcript = heard.transcript(job(1, &audio)).await;
    assert_eq!(transcript.text, format!("{} {}", PERSON.1, PERSON_TOO.1));
}

#[tokio::test]
async fn the_whole_encoder_can_be_asked_for() {
    let mut config = multilingual();
    config.audio_context = AudioContext::Full;
    let mut heard = Heard::by(config);
    let transcript = heard.transcript(job(1, &recording(DIGITS.0))).await;
    assert!(transcript.language.is_some());
}

#[tokio::test]
async fn a_cancelled_job_is_silent_and_its_worker_goes_on() {
    let mut heard = Heard::by(demo());
    heard.whisper.warm_up().await.unwrap();
    for id in 0..4 {
        // Ten minutes of it: without the cancellation the next answer would be long in coming.
        let talk = recording(PERSON.0).repeat(250);
        let handle = heard.start(job(id * 2, &talk));
        tokio::task::yield_now().await;
        drop(handle);
        let transcript = heard
            .transcript(job(id * 2 + 1, &recording(DIGITS.0)))
            .await;
        assert_eq!(transcript.text, DIGITS.1);
    }
}

#[tokio::test]
async fn dropping_it_in_the_middle_answers_everybody() {
    let heard = Heard::by(demo());
    let talk: Arc<[i16]> = recording(PERSON.0).repeat(50).into();
    let _handles: Vec<_> = (0..5).map(|id| heard.start(job(id, &talk))).collect();
    let Heard {
        whisper,
        mut updates,
        to_updates,
    } = heard;
    drop((whisper, to_updates));
    let mut failed = 0;
    while let Some(update) = updates.recv().await {
        assert!(
            matches!(
                &update.event,
                JobEvent::Stt(SttEvent::Failed(failure))
                    if failure.kind == FailureKind::Unavailable
            ),
            "{update:?}"
        );
        failed += 1;
    }
    assert_eq!(failed, 5);
}

#[tokio::test]
async fn a_language_is_taken_from_the_job_then_from_the_config_then_detected() {
    let loud = recording(PERSON.0);
    let language = |id, code: Option<&str>| SttJob {
        language: code.map(Into::into),
        ..job(id, &loud)
    };

    let mut heard = Heard::by(multilingual());
    assert!(heard.whisper.capabilities().detects_language);
    assert!(heard.whisper.understands("pt") && !heard.whisper.understands("xx"));
    for (id, code) in [(1, "es"), (2, "pt"), (3, "es")] {
        let transcript = heard.transcript(language(id, Some(code))).await;
        assert_eq!(transcript.language.as_deref(), Some(code));
    }
    let detected = heard.transcript(language(4, None)).await.language.unwrap();
    assert!(heard.whisper.understands(&detected), "{detected}");
    // The same audio after another length: the cut of the last job plays no part.
    heard.transcript(job(5, &loud[..4_000])).await;
    let again = heard.transcript(language(6, None)).await.language.unwrap();
    assert_eq!(again, detected);

    for (id, code) in [(7, "xx"), (8, "English"), (9, "e\0"), (10, "")] {
        let SttEvent::Failed(failure) = heard.event(language(id, Some(code))).await else {
            panic!("{code:?} was understood")
        };
        assert_eq!(failure.kind, FailureKind::Refused);
        assert!(
            failure.detail.contains(&format!("{code:?}")),
            "{}",
            failure.detail
        );
    }

    let mut fixed = multilingual();
    fixed.language = Some("de".into());
    let mut heard = Heard::by(fixed);
    let transcript = heard.transcript(language(1, None)).await;
    assert_eq!(transcript.language.as_deref(), Some("de"));
    let transcript = heard.transcript(language(2, Some("es"))).await;
    assert_eq!(transcript.language.as_deref(), Some("es"));
}

#[tokio::test]
async fn an_english_model_says_that_it_understands_english_only() {
    let mut heard = Heard::by(english());
    assert!(!heard.whisper.capabilities().detects_language);
    assert!(heard.whisper.understands("en") && !heard.whisper.understands("es"));
    let transcript = heard.transcript(job(0, &recording(PERSON.0))).await;
    assert_eq!(transcript.language.as_deref(), Some("en"));
    let spanish = SttJob {
        language: Some("es".into()),
        ..job(1, &recording(PERSON.0))
    };
    let SttEvent::Failed(failure) = heard.event(spanish).await else {
        panic!("Spanish was understood")
    };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.detail.contains("English only"),
        "{}",
        failure.detail
    );

    let mut config = english();
    config.language = Some("es".into());
    let error = Whisper::load(config).unwrap_err();
    assert!(matches!(error, WhisperError::Language { .. }), "{error}");
    assert!(
        error.to_string().contains("stt.language = \"es\""),
        "{error}"
    );
}

#[tokio::test]
async fn only_the_configured_languages_are_detected_and_accepted() {
    let loud = recording(PERSON.0);
    for code in ["de", "pt"] {
        let mut config = multilingual();
        config.languages = vec![code.into()];
        let mut heard = Heard::by(config);
        assert!(!heard.whisper.capabilities().detects_language);
        let transcript = heard.transcript(job(1, &loud)).await;
        assert_eq!(transcript.language.as_deref(), Some(code));
    }

    let mut config = multilingual();
    config.languages = vec!["sw".into(), "de".into()];
    let mut heard = Heard::by(config);
    assert!(heard.whisper.capabilities().detects_language);
    let detected = heard.transcript(job(1, &loud)).await.language.unwrap();
    assert!(["sw", "de"].contains(&&*detected), "{detected}");
    let english = SttJob {
        language: Some("en".into()),
        ..job(2, &loud)
    };
    let SttEvent::Failed(failure) = heard.event(english).await else {
        panic!("English was accepted")
    };
    assert_eq!(failure.kind, FailureKind::Refused);
    assert!(
        failure.detail.ends_with("sw, de only"),
        "{}",
        failure.detail
    );

    for (languages, language, key) in [
        (vec!["en", "xx"], None, "stt.languages = \"xx\""),
        (vec!["en", "es"], Some("pt"), "stt.language = \"pt\""),
    ] {
        let mut config = multilingual();
        config.languages = languages.into_iter().map(str::to_owned).collect();
        config.language = language.map(str::to_owned);
        let error = Whisper::load(config).unwrap_err().to_string();
        assert!(error.starts_with(key), "{error}");
    }
}

#[tokio::test]
async fn a_prompt_is_accepted() {
    let mut config = demo();
    config.prompt = Some("digits".into());
    let mut heard = Heard::by(config);
    heard.transcript(job(1, &recording(DIGITS.0))).await;
}

#[tokio::test]
async fn it_loads_from_a_file_too() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("own model.bin");
    let ModelSource::Memory(bytes) = demo().model else {
        panic!("the demo model is in memory")
    };
    fs::write(&path, bytes).unwrap();
    let mut config = demo();
    config.model = ModelSource::File(path);
    let mut heard = Heard::by(config);
    let transcript = heard.transcript(job(1, &recording(DIGITS.0))).await;
    assert_eq!(transcript.text, DIGITS.1);
}

fn load(model: ModelSource) -> WhisperError {
    Whisper::load(WhisperConfig::new(model)).unwrap_err()
}

fn load_bytes(bytes: &[u8]) -> ModelFileError {
    match load(ModelSource::Memory(bytes.into())) {
        WhisperError::Model { source, .. } => source,
        other => panic!("{other}"),
    }
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    for path in [dir.path().join("ggml-none.bin"), dir.path().to_owned()] {
        let error = load(ModelSource::File(path.clone()));
        assert!(matches!(error, WhisperError::Unreadable { .. }), "{error}");
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
}

#[test]
fn another_kind_of_file_is_no_model() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("ggml-fake.bin");
    fs::write(&path, b"<!DOCTYPE html><p>Not found").unwrap();
    let error = load(ModelSource::File(path));
    assert!(error.to_string().contains("ggml-fake.bin"), "{error}");
    let WhisperError::Model { source, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(source, ModelFileError::NotGgml { .. }), "{source}");
    assert!(matches!(
        load_bytes(b"GGUF\x03\0\0\0"),
        ModelFileError::NotGgml { .. }
    ));
    assert!(matches!(load_bytes(b""), ModelFileError::CutShort { .. }));
}

#[test]
fn a_model_cut_short_anywhere_is_refused() {
    let ModelSource::Memory(whole) = demo().model else {
        panic!("the demo model is in memory")
    };
    let parts = [
        2, 4, 20, 48, 52, 60, 1_000, 64_380, 64_390, 100_000, 400_000, 1_000_000,
    ];
    let from_the_end = [whole.len() / 2, whole.len() - 1];
    for len in parts.into_iter().chain(from_the_end) {
        let error = load_bytes(&whole[..len]);
        assert!(
            matches!(
                error,
                ModelFileError::CutShort { .. } | ModelFileError::Weights { .. }
            ),
            "{len}: {error}"
        );
    }
    let mut longer = whole.to_vec();
    longer.extend([1, 2, 3]);
    assert!(matches!(
        load_bytes(&longer),
        ModelFileError::CutShort { .. }
    ));
}

#[test]
fn no_number_in_a_header_can_end_the_process() {
    let whole = support::random_model(51_865, 64, 1);
    // The hyper-parameters, the filters' two and the vocabulary's size and first length, then the
    // first weight's dimensions, name, type and sides.
    let filters_end = 4 + 13 * 4 + 80 * 201 * 4;
    let vocabulary_end = filters_end + 4 + 4 + 2;
    let fields = (1..=13)
        .map(|n| n * 4)
        .chain([filters_end, filters_end + 4])
        .chain((0..5).map(|n| vocabulary_end + n * 4));
    for at in fields {
        for value in [
            i32::MIN,
            -1,
            0,
            3,
            63,
            65,
            1_000,
            51_864,
            100_000,
            1 << 30,
            i32::MAX,
        ] {
            let mut damaged = whole.clone();
            damaged[at..at + 4].copy_from_slice(&value.to_le_bytes());
            if damaged == whole {
                continue;
            }
            let mut config = WhisperConfig::new(ModelSource::Memory(damaged.into()));
            config.threads = 1;
            if let Ok(whisper) = Whisper::load(config) {
                // Harmless: as many heads of another width, or a vocabulary whose words differ.
                assert!([16, 32].contains(&at) || at >= filters_end, "{at}: {value}");
                let runtime = tokio::runtime::Runtime::new().unwrap();
                runtime.block_on(whisper.warm_up()).unwrap();
            }
        }
    }
}

#[test]
fn weights_that_do_not_fit_the_header_are_refused() {
    let whole = support::random_model(51_865, 64, 1);
    let position = whole
        .windows(16)
        .position(|name| name == b"decoder.ln.weigh")
        .unwrap();
    let mut renamed = whole.clone();
    renamed[position] = b'D';
    let error = load(ModelSource::Memory(renamed.into()));
    assert!(matches!(error, WhisperError::Load { .. }), "{error}");

    let headless = &whole[..4 + 13 * 4 + 80 * 201 * 4 + 4 + 4 + 2];
    let error = load_bytes(headless);
    assert!(
        matches!(
            error,
            ModelFileError::Weights {
                found: 0,
                expected: 50
            }
        ),
        "{error}"
    );
}
