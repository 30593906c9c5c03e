//! What is recorded is what is read back.

use std::{io::Cursor, path::Path};

use age::secrecy::ExposeSecret as _;
use futures_util::TryStreamExt as _;
use sidetone::{CallId, TappedAudio};
use sidetone_codecs::{SampleRate, recording::Recording};

use super::*;
use crate::store::{
    CallState,
    writer::tests::{Pen, ended, started},
};

const RATE: SampleRate = SampleRate::HZ_8000;
const FRAME: usize = 160;

fn config(folder: &Path, format: RecordingFormat) -> RecordingConfig {
    RecordingConfig {
        enabled: true,
        format,
        folder: folder.join("recordings").display().to_string(),
        ..RecordingConfig::default()
    }
}

/// The same, encrypted to a key of its own.
fn encrypted(folder: &Path, format: RecordingFormat) -> RecordingConfig {
    let key = age::x25519::Identity::generate();
    let identity = folder.join("key.txt");
    std::fs::write(&identity, key.to_string().expose_secret()).unwrap();
    RecordingConfig {
        recipients: vec![key.to_public().to_string()],
        identity: identity.display().to_string(),
        ..config(folder, format)
    }
}

fn call(id: &str) -> CallId {
    CallId::from(id.to_owned())
}

/// A tone of the caller, and silence or another tone of the rest.
fn frame(n: usize, others_hz: f64) -> TappedAudio {
    let tone = |hz: f64| {
        let sample = move |at: usize| {
            let t = (n * FRAME + at) as f64 / f64::from(RATE.hz());
            #[expect(clippy::cast_possible_truncation, reason = "within 16 bits")]
            {
                ((t * hz * std::f64::consts::TAU).sin() * 9_000.0) as i16
            }
        };
        (0..FRAME).map(sample).collect::<Vec<_>>()
    };
    TappedAudio {
        caller: tone(440.0),
        others: if others_hz > 0.0 {
            tone(others_hz)
        } else {
            vec![0; FRAME]
        },
        rate: RATE,
    }
}

async fn recorded(recordings: &Recordings, id: &str, frames: usize) -> RecordingFile {
    let mut recorder = recordings.record(&call(id), None).unwrap();
    for n in 0..frames {
        push(&mut recorder, frame(n, 0.0)).await;
    }
    recorder.finish().await.unwrap()
}

/// Pushes a frame when there is room for it.
async fn push(recorder: &mut Recorder, frame: TappedAudio) {
    while recorder.frames.capacity() == 0 {
        tokio::task::yield_now().await;
    }
    recorder.push(frame);
}

async fn read(
    recordings: &Recordings,
    file: &RecordingFile,
    range: std::ops::Range<u64>,
) -> Vec<u8> {
    let reader = recordings.open(file).await.unwrap();
    let pieces: Vec<Vec<u8>> = reader.read(range).try_collect().await.unwrap();
    pieces.concat()
}

/// Left and right of what bytes hold.
fn decode(bytes: Vec<u8>) -> (SampleRate, Vec<i16>, Vec<i16>) {
    let mut recording = Recording::from_seekable(Cursor::new(bytes), "-").unwrap();
    assert_eq!(recording.channels().get(), 2);
    let mut samples = Vec::new();
    while recording.read(&mut samples).unwrap() > 0 {}
    let side = |n: usize| samples.iter().copied().skip(n).step_by(2).collect();
    (recording.rate(), side(0), side(1))
}

fn energy(samples: &[i16]) -> f64 {
    let sum: f64 = samples.iter().map(|&s| f64::from(s) * f64::from(s)).sum();
    sum / samples.len() as f64
}

fn all_caller(frames: usize) -> Vec<i16> {
    (0..frames).flat_map(|n| frame(n, 0.0).caller).collect()
}

#[tokio::test]
async fn wav_is_exact_caller_left_everyone_else_right() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let mut recorder = recordings.record(&call("call-1"), None).unwrap();
    for n in 0..120 {
        push(&mut recorder, frame(n, 700.0)).await;
    }
    let file = recorder.finish().await.unwrap();
    assert_eq!(file.path.file_name().unwrap(), "call-1.wav");
    assert!(!file.encrypted);
    assert_eq!(file.bytes, 44 + 120 * 160 * 4);
    let bytes = std::fs::read(&file.path).unwrap();
    let (rate, left, right) = decode(bytes.clone());
    assert_eq!(rate, RATE);
    assert_eq!(left, all_caller(120));
    assert_eq!(
        right,
        (0..120)
            .flat_map(|n| frame(n, 700.0).others)
            .collect::<Vec<_>>()
    );
    assert_eq!(read(&recordings, &file, 0..u64::MAX).await, bytes);
    assert_eq!(read(&recordings, &file, 10..50).await, bytes[10..50]);
    assert_eq!(
        read(&recordings, &file, 70_000..70_001).await,
        bytes[70_000..70_001]
    );
    assert!(read(&recordings, &file, 90_000..95_000).await.is_empty());
}

#[tokio::test]
async fn a_wav_that_still_grows_is_a_whole_file() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let mut recorder = recordings.record(&call("call-1"), None).unwrap();
    for n in 0..130 {
        push(&mut recorder, frame(n, 0.0)).await;
    }
    let path = folder.path().join("recordings/call-1.wav");
    // Two seconds are written, the rest waits for the third.
    while path.metadata().unwrap().len() < 44 + 100 * 160 * 4 {
        tokio::task::yield_now().await;
    }
    let file = RecordingFile {
        path,
        format: RecordingFormat::Wav,
        encrypted: false,
        bytes: 0,
    };
    let (_, left, _) = decode(read(&recordings, &file, 0..u64::MAX).await);
    assert_eq!(left, all_caller(100));
    // So it is for whoever opens the file.
    let (_, left, _) = decode(std::fs::read(&file.path).unwrap());
    assert_eq!(left, all_caller(100));
    drop(recorder);
}

#[tokio::test]
async fn opus_keeps_time_and_sides() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Opus)).unwrap();
    let file = recorded(&recordings, "call-1", 333).await;
    assert_eq!(file.path.file_name().unwrap(), "call-1.opus");
    let reader = recordings.open(&file).await.unwrap();
    assert_eq!(reader.content_type(), "audio/ogg; codecs=opus");
    let (rate, left, right) = decode(std::fs::read(&file.path).unwrap());
    assert_eq!(rate, SampleRate::HZ_48000);
    assert_eq!(left.len(), 333 * 960);
    assert!(energy(&left) > 1e7, "{}", energy(&left));
    let leak = energy(&right) / energy(&left);
    assert!(leak < 1e-3, "the caller leaks to the right: {leak}");
    // The tone begins where it began: its first 10 ms are not silent.
    assert!(energy(&left[480..960]) > 1e6);
    // Cut off in the middle, it is still a file.
    let bytes = std::fs::read(&file.path).unwrap();
    assert!(bytes.len() < 60_000, "{}", bytes.len());
    let mut cut =
        Recording::from_seekable(Cursor::new(bytes[..bytes.len() / 2].to_vec()), "-").unwrap();
    let mut samples = Vec::new();
    while cut.read(&mut samples).is_ok_and(|read| read > 0) {}
    assert!(samples.len() > 2 * 48_000);
}

#[tokio::test]
async fn what_is_encrypted_is_read_in_clear_with_the_key_only() {
    let folder = tempfile::tempdir().unwrap();
    let settings = encrypted(folder.path(), RecordingFormat::Wav);
    let recordings = Recordings::new(&settings).unwrap();
    let file = recorded(&recordings, "call-1", 500).await;
    assert_eq!(file.path.file_name().unwrap(), "call-1.wav.age");
    assert!(file.encrypted);
    let stored = std::fs::read(&file.path).unwrap();
    assert!(stored.starts_with(b"age-encryption.org/v1\n"));
    let piece = &frame(0, 0.0).caller[1].to_le_bytes();
    assert_eq!(piece.len(), 2);

    let bytes = read(&recordings, &file, 0..u64::MAX).await;
    assert_eq!(
        recordings.open(&file).await.unwrap().len(),
        bytes.len() as u64
    );
    let (_, left, _) = decode(bytes.clone());
    assert_eq!(left, all_caller(500));
    // Across the border of two chunks, and at the end.
    for range in [0..1, 40..48, 65_530..65_545, 319_000..400_000] {
        let part = read(&recordings, &file, range.clone()).await;
        let end = usize::try_from(range.end).unwrap().min(bytes.len());
        assert_eq!(part, bytes[usize::try_from(range.start).unwrap()..end]);
    }

    let keyless = RecordingConfig {
        identity: String::new(),
        ..settings.clone()
    };
    let error = Recordings::new(&keyless)
        .unwrap()
        .open(&file)
        .await
        .unwrap_err();
    assert!(matches!(error, RecordingError::NoIdentity), "{error:?}");
    let other = tempfile::tempdir().unwrap();
    let stranger = encrypted(other.path(), RecordingFormat::Wav);
    let error = Recordings::new(&stranger)
        .unwrap()
        .open(&file)
        .await
        .unwrap_err();
    assert!(matches!(error, RecordingError::Decrypt { .. }), "{error:?}");
}

#[tokio::test]
async fn an_encrypted_recording_without_its_end_is_read_as_far_as_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let settings = encrypted(folder.path(), RecordingFormat::Wav);
    let recordings = Recordings::new(&settings).unwrap();
    let file = recorded(&recordings, "call-1", 500).await;
    let stored = std::fs::read(&file.path).unwrap();
    // The process was killed within the third chunk.
    std::fs::write(&file.path, &stored[..180_000]).unwrap();
    let bytes = read(&recordings, &file, 0..u64::MAX).await;
    assert_eq!(bytes.len(), 2 * 65_536);
    let (_, left, _) = decode(bytes);
    assert_eq!(left, all_caller(500)[..(2 * 65_536 - 44) / 4]);
}

#[tokio::test]
async fn what_finds_no_room_is_silent_and_the_rest_stays_in_time() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let mut recorder = recordings.record(&call("call-1"), None).unwrap();
    // Nothing is written meanwhile: this task does not wait.
    for n in 0..250 {
        recorder.push(frame(n, 0.0));
    }
    let missed = recorder.status().missed;
    assert_eq!(missed, 50);
    push(&mut recorder, frame(250, 0.0)).await;
    let file = recorder.finish().await.unwrap();
    let (_, left, _) = decode(std::fs::read(&file.path).unwrap());
    let expected = all_caller(251);
    assert_eq!(left.len(), expected.len());
    assert_eq!(left[..200 * FRAME], expected[..200 * FRAME]);
    assert!(
        left[200 * FRAME..250 * FRAME]
            .iter()
            .all(|&sample| sample == 0)
    );
    assert_eq!(left[250 * FRAME..], expected[250 * FRAME..]);
}

#[tokio::test]
async fn frames_of_another_rate_are_refused_and_uneven_sides_filled() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let mut recorder = recordings.record(&call("call-1"), None).unwrap();
    let mut short = frame(0, 700.0);
    short.others.truncate(60);
    push(&mut recorder, short.clone()).await;
    let other = TappedAudio {
        rate: SampleRate::HZ_16000,
        ..frame(1, 0.0)
    };
    push(&mut recorder, other).await;
    let counted = std::sync::Arc::clone(&recorder.counted);
    let file = recorder.finish().await.unwrap();
    assert_eq!(
        counted.refused.load(std::sync::atomic::Ordering::Relaxed),
        1
    );
    let (_, left, right) = decode(std::fs::read(&file.path).unwrap());
    assert_eq!(left, short.caller);
    assert_eq!(right[..60], short.others);
    assert!(right[60..].iter().all(|&sample| sample == 0));
}

#[tokio::test]
async fn a_call_without_a_frame_leaves_an_empty_recording() {
    let folder = tempfile::tempdir().unwrap();
    for settings in [
        config(folder.path(), RecordingFormat::Wav),
        config(folder.path(), RecordingFormat::Opus),
    ] {
        let recordings = Recordings::new(&settings).unwrap();
        let file = recorded(&recordings, "call-1", 0).await;
        let (_, left, _) = decode(read(&recordings, &file, 0..u64::MAX).await);
        assert!(left.is_empty());
    }
}

#[tokio::test]
async fn names_hold_nothing_but_the_id_and_files_are_for_their_owner() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let file = recorded(&recordings, "../call 1", 1).await;
    let parent = folder.path().canonicalize().unwrap().join("recordings");
    assert_eq!(file.path, parent.join("---call-1.wav"));
    // Nothing is written over.
    let again = recordings.record(&call("../call 1"), None);
    assert!(matches!(again, Err(RecordingError::Create { .. })));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file.path), mode(&parent)), (0o600, 0o700));
    }
}

#[tokio::test]
async fn the_store_knows_the_recording_from_its_beginning() {
    let folder = tempfile::tempdir().unwrap();
    let recordings = Recordings::new(&config(folder.path(), RecordingFormat::Wav)).unwrap();
    let store = Store::in_memory().await.unwrap();
    let pen = Pen::new(&store).await;
    let register = || {
        Some(Register {
            store: store.clone(),
            writer: pen.writer.clone(),
        })
    };
    // Known before the call has told anything, and while it goes on.
    let mut recorder = recordings.record(&call("call-1"), register()).unwrap();
    pen.event("call-1", 1, 0, started("CA1"));
    pen.flush().await;
    let noted = store
        .call("call-1")
        .await
        .unwrap()
        .unwrap()
        .recording
        .unwrap();
    assert_eq!(
        noted.path,
        folder
            .path()
            .canonicalize()
            .unwrap()
            .join("recordings/call-1.wav")
    );
    for n in 0..10 {
        push(&mut recorder, frame(n, 0.0)).await;
    }
    let file = recorder.finish().await.unwrap();
    assert_eq!(file.bytes, 44 + 10 * 160 * 4);
    pen.event("call-1", 2, 200, ended());
    pen.flush().await;
    let call_1 = store.call("call-1").await.unwrap().unwrap();
    assert_eq!(
        (call_1.state, call_1.recording),
        (CallState::Ended, Some(file.clone()))
    );
    assert!(store.delete_call("call-1", "t1").await.unwrap());
    assert!(!file.path.exists());

    // Deleted while the last of it is being written.
    let recorder = recordings.record(&call("call-2"), register()).unwrap();
    pen.event("call-2", 1, 0, started("CA2"));
    pen.event("call-2", 2, 200, ended());
    pen.flush().await;
    assert!(store.delete_call("call-2", "t1").await.unwrap());
    let file = recorder.finish().await.unwrap();
    assert!(!file.path.exists());
    pen.end().await;
}

#[test]
fn a_recipient_that_is_none_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let wrong = RecordingConfig {
        recipients: vec!["age1nobody".into()],
        ..config(folder.path(), RecordingFormat::Wav)
    };
    let error = Recordings::new(&wrong).unwrap_err();
    assert!(error.to_string().contains("\"age1nobody\""), "{error}");
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let wrong = RecordingConfig {
        folder: file.join("below").display().to_string(),
        ..config(folder.path(), RecordingFormat::Wav)
    };
    let error = Recordings::new(&wrong).unwrap_err();
    assert!(
        matches!(error, RecordingError::Folder { path, .. } if path.as_os_str() == &*wrong.folder)
    );
}
