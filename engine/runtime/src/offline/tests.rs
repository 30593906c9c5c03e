//! The pipeline with a recogniser that only looks at the clock: scheduling, order, ends.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use futures_util::StreamExt;
use sidetone_codecs::{SampleRate, recording::RecordingError};
use sidetone_speech::stt::whisper::batch::{
    DecodedPiece, DecodedWindow, DecodedWord, Piece, WindowError, WindowTask,
};

use super::{
    channels::Decision,
    options::{Channels, LanguageChoice},
    pool::{Build, Pool, Recogniser},
    reading::Plan,
    source::Source,
    transcription::{About, Transcription},
    *,
};

/// What the fake recognisers share.
#[derive(Default)]
struct World {
    decoded: AtomicUsize,
    detected: AtomicUsize,
    built: AtomicUsize,
    /// Windows wait for it while it is set.
    closed: AtomicBool,
    /// What the windows of these numbers do instead, in the order in which they are begun.
    faults: Mutex<Vec<(usize, Fault)>>,
}

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    Panics,
    Breaks,
}

/// Hears a word in each piece: its length in tenths of a second.
struct Fake {
    world: Arc<World>,
}

impl Recogniser for Fake {
    fn detect(&mut self, _samples: &[f32]) -> Result<String, WindowError> {
        self.world.detected.fetch_add(1, Ordering::SeqCst);
        Ok("pt".into())
    }

    fn decode(
        &mut self,
        _samples: &[f32],
        pieces: &[Piece],
        _task: &WindowTask,
        stop: &(dyn Fn() -> bool + Sync),
    ) -> Result<DecodedWindow, WindowError> {
        let number = self.world.decoded.fetch_add(1, Ordering::SeqCst);
        while self.world.closed.load(Ordering::SeqCst) {
            if stop() {
                return Err(WindowError::Stopped);
            }
            thread::yield_now();
        }
        let faults = self.world.faults.lock().unwrap().clone();
        match faults.iter().find(|(n, _)| *n == number) {
            Some((_, Fault::Panics)) => panic!("out of tune"),
            Some((_, Fault::Breaks)) => return Err(WindowError::Broken("cracked".into())),
            None => {}
        }
        let heard = pieces.iter().map(|piece| DecodedPiece {
            words: vec![DecodedWord {
                text: format!(" {}", piece.speech.len() / 1_600),
                at: piece.speech.clone(),
                probability: 0.5,
            }],
        });
        Ok(DecodedWindow {
            pieces: heard.collect(),
            encodes: 1,
        })
    }
}

fn pool(threads: usize, world: &Arc<World>) -> Arc<Pool> {
    let world = world.clone();
    let build: Arc<Build> = Arc::new(move || {
        world.built.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(Fake {
            world: world.clone(),
        }))
    });
    Arc::new(Pool::start(threads, build).unwrap())
}

/// Gives blocks that are made as they are asked for.
struct Blocks<F> {
    next: F,
    given: Arc<AtomicUsize>,
}

impl<F> Source for Blocks<F>
where
    F: FnMut(usize) -> Option<Result<Vec<i16>, RecordingError>> + Send,
{
    fn read(&mut self, samples: &mut Vec<i16>) -> Result<usize, RecordingError> {
        let n = self.given.fetch_add(1, Ordering::SeqCst);
        match (self.next)(n) {
            None => Ok(0),
            Some(Ok(block)) => {
                samples.extend_from_slice(&block);
                Ok(block.len())
            }
            Some(Err(error)) => Err(error),
        }
    }
}

fn plan(channels: usize, language: LanguageChoice) -> Plan {
    Plan {
        rate: SampleRate::HZ_8000,
        channels,
        decision: Decision::new(Channels::Split, channels, 8_000),
        speakers: (0..channels).map(|n| format!("s{n}")).collect(),
        language,
        translate: false,
        prompt: [].into(),
        words: false,
        longest: 30 * 16_000,
        several: false,
        pause_ms: 500,
    }
}

fn about() -> About {
    About {
        name: "call.wav".into(),
        format: "blocks".into(),
        rate_hz: 8_000,
        channels: 1,
        model: "fake".into(),
    }
}

fn english() -> LanguageChoice {
    LanguageChoice::Is("en".into())
}

/// A second of speech-like sound, or silence, at 8 kHz: what the VAD takes for a voice is a
/// recording of one.
fn voice() -> Vec<i16> {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../fixtures/callers/paul/where-is-my-order.wav"
    );
    let mut samples = sidetone_codecs::wav::read_file(path).unwrap().samples;
    samples.resize(16_000, 0);
    samples
}

/// `lines` of two seconds with 2 s between them on `channels` channels in turn, in blocks of 4 s.
fn conversation(
    lines: usize,
    channels: usize,
) -> impl FnMut(usize) -> Option<Result<Vec<i16>, RecordingError>> {
    let voice = voice();
    move |n| {
        (n < lines).then(|| {
            let mut block = vec![0; 32_000 * channels];
            for (instant, sample) in voice.iter().enumerate() {
                block[instant * channels + n % channels] = *sample;
            }
            Ok(block)
        })
    }
}

fn start(
    pool: &Arc<Pool>,
    plan: Plan,
    next: impl FnMut(usize) -> Option<Result<Vec<i16>, RecordingError>> + Send + 'static,
) -> (Transcription, Arc<AtomicUsize>) {
    let given = Arc::new(AtomicUsize::new(0));
    let source = Blocks {
        next,
        given: given.clone(),
    };
    let transcription = Transcription::start(pool, source, plan, about(), None).unwrap();
    (transcription, given)
}

fn until(condition: impl Fn() -> bool) {
    while !condition() {
        thread::yield_now();
    }
}

#[tokio::test]
async fn segments_come_by_their_time_whatever_the_threads() {
    let mut all = Vec::new();
    for threads in [1, 4] {
        let pool = pool(threads, &Arc::default());
        let (mut transcription, _) = start(&pool, plan(3, english()), conversation(60, 3));
        let mut streamed = Vec::new();
        while let Some(segment) = transcription.next().await {
            streamed.push(segment);
        }
        let transcript = transcription.finish().await.unwrap();
        assert_eq!(transcript.segments, streamed);
        assert!(streamed.is_sorted_by_key(|segment| segment.start_ms));
        assert_eq!(streamed.len(), 60);
        for (n, segment) in streamed.iter().enumerate() {
            assert_eq!(usize::from(segment.channel), n % 3);
            assert_eq!(segment.speaker, Some(format!("s{}", n % 3)));
            assert!(segment.start_ms.abs_diff(n as u64 * 4_000) < 400);
        }
        assert!(!transcript.stopped);
        assert_eq!(transcript.timings.windows, 60);
        assert_eq!(transcript.source.duration_ms, 240_000);
        all.push(streamed);
    }
    assert_eq!(all[0], all[1]);
}

#[tokio::test]
async fn reading_waits_for_decoding() {
    let world = Arc::<World>::default();
    world.closed.store(true, Ordering::SeqCst);
    let pool = pool(2, &world);
    let (transcription, given) = start(&pool, plan(1, english()), conversation(20, 1));
    // Four windows are taken; with the fifth block a fifth is ready, and waits.
    until(|| given.load(Ordering::SeqCst) == 5);
    assert!(transcription.progress().done < Duration::from_secs(1));
    assert_eq!(given.load(Ordering::SeqCst), 5);
    world.closed.store(false, Ordering::SeqCst);
    assert_eq!(transcription.finish().await.unwrap().segments.len(), 20);
}

#[tokio::test]
async fn recordings_share_the_threads() {
    let world = Arc::default();
    let pool = pool(2, &world);
    let several: Vec<_> = (1..=5)
        .map(|n| start(&pool, plan(1, english()), conversation(n * 10, 1)).0)
        .collect();
    for (n, transcription) in (1..).zip(several) {
        assert_eq!(transcription.finish().await.unwrap().segments.len(), n * 10);
    }
    assert!(world.built.load(Ordering::SeqCst) <= 2);
}

#[tokio::test]
async fn stopping_keeps_what_is_under_way() {
    let world = Arc::<World>::default();
    world.closed.store(true, Ordering::SeqCst);
    let pool = pool(2, &world);
    let (transcription, _) = start(&pool, plan(1, english()), conversation(1_000, 1));
    until(|| world.decoded.load(Ordering::SeqCst) == 2);
    transcription.stop();
    world.closed.store(false, Ordering::SeqCst);
    let transcript = transcription.finish().await.unwrap();
    assert!(transcript.stopped);
    assert_eq!(transcript.segments.len(), 2);
    assert_eq!(world.decoded.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn stopping_after_the_end_changes_nothing() {
    let pool = pool(2, &Arc::default());
    let (mut transcription, _) = start(&pool, plan(1, english()), conversation(2, 1));
    while transcription.next().await.is_some() {}
    transcription.stop();
    assert!(!transcription.finish().await.unwrap().stopped);
}

#[test]
fn dropping_it_frees_the_threads() {
    let world = Arc::<World>::default();
    world.closed.store(true, Ordering::SeqCst);
    let pool = pool(1, &world);
    let (transcription, given) = start(&pool, plan(1, english()), conversation(1_000, 1));
    until(|| world.decoded.load(Ordering::SeqCst) == 1);
    drop(transcription);
    // The reader is gone when its source is.
    until(|| Arc::strong_count(&given) == 1);
    drop(pool);
    assert_eq!(world.decoded.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_failure_ends_it_with_an_error_and_spares_the_others() {
    for fault in [Fault::Panics, Fault::Breaks] {
        let world = Arc::<World>::default();
        world.faults.lock().unwrap().push((3, fault));
        let pool = pool(1, &world);
        let (mut transcription, _) = start(&pool, plan(1, english()), conversation(100, 1));
        let mut yielded = 0;
        while transcription.next().await.is_some() {
            yielded += 1;
        }
        assert!(yielded <= 3, "{yielded}");
        let error = transcription.finish().await.unwrap_err();
        assert!(matches!(error, TranscribeError::Recognition(_)), "{error}");
        let (next, _) = start(&pool, plan(1, english()), conversation(5, 1));
        assert_eq!(next.finish().await.unwrap().segments.len(), 5);
        assert_eq!(world.built.load(Ordering::SeqCst), 2);
    }
}

#[tokio::test]
async fn damage_ends_it_with_what_came_before() {
    for panics in [false, true] {
        let pool = pool(2, &Arc::default());
        let mut good = conversation(5, 1);
        let (transcription, _) = start(&pool, plan(1, english()), move |n| {
            good(n).or_else(|| {
                assert!(!panics, "a decoder lost its way");
                Some(Err(std::io::Error::other("torn").into()))
            })
        });
        let transcript = transcription.finish().await.unwrap();
        assert_eq!(transcript.segments.len(), 5);
        let damage = transcript.damage.unwrap();
        assert_eq!(damage.at_ms, 20_000);
        let reason = if panics { "lost its way" } else { "torn" };
        assert!(damage.message.contains(reason), "{}", damage.message);
        assert!(!transcript.stopped);
    }
}

#[tokio::test]
async fn damage_in_the_middle_is_where_it_is_and_not_at_the_end() {
    let pool = pool(2, &Arc::default());
    let mut good = conversation(5, 1);
    let (transcription, _) = start(&pool, plan(1, english()), move |n| {
        good(n).or_else(|| {
            Some(Err(RecordingError::Damaged {
                at: Duration::from_millis(3_250),
                places: 1,
                lost: Duration::from_millis(40),
                source: None,
            }))
        })
    });
    let transcript = transcription.finish().await.unwrap();
    assert_eq!(transcript.segments.len(), 5);
    assert_eq!(transcript.damage.unwrap().at_ms, 3_250);
    assert_eq!(transcript.source.duration_ms, 20_000);
}

#[tokio::test]
async fn the_language_is_found_out_once_or_for_each_segment() {
    for (choice, times) in [
        (LanguageChoice::DetectOnce, 1),
        (LanguageChoice::DetectEach, 20),
    ] {
        let world = Arc::default();
        let pool = pool(3, &world);
        let (transcription, _) = start(&pool, plan(1, choice), conversation(20, 1));
        let transcript = transcription.finish().await.unwrap();
        assert_eq!(transcript.language.as_deref(), Some("pt"));
        assert!(
            transcript
                .segments
                .iter()
                .all(|segment| segment.language == "pt")
        );
        assert_eq!(world.detected.load(Ordering::SeqCst), times);
        assert_eq!(transcript.timings.windows as usize, 20 + times);
    }
}

#[tokio::test]
async fn a_recording_without_speech_has_no_language() {
    let world = Arc::default();
    let pool = pool(1, &world);
    for len in [0, 1, 8_000] {
        let mut once = Some(Ok(vec![0; len]));
        let next = move |_| once.take().filter(|_| len > 0);
        let (transcription, _) = start(&pool, plan(1, LanguageChoice::DetectOnce), next);
        let transcript = transcription.finish().await.unwrap();
        assert_eq!((transcript.language, transcript.segments.len()), (None, 0));
    }
    assert_eq!(world.detected.load(Ordering::SeqCst), 0);
}
