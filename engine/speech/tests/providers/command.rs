//! Speech from programs: `sh` stands in for whatever an operator has.

use std::{fs::File, io::Read as _, process, time::Duration};

use sidetone_codecs::SampleRate;
use sidetone_core::job::{FailureKind, JobId};
use sidetone_speech::{
    ProviderError, Sink, Tts as _,
    tts::{AudioFormat, CommandTts, CommandTtsConfig, TextOn},
};
use tokio::sync::mpsc;

use crate::common::{GUARD, saying, short, spoken, tts_job};

/// A program in `sh` that writes raw PCM at 8 kHz.
fn sh(program: &str) -> CommandTtsConfig {
    CommandTtsConfig {
        format: AudioFormat::Pcm(SampleRate::HZ_8000),
        first_byte: GUARD,
        idle: GUARD,
        ..CommandTtsConfig::new(["sh", "-c", program])
    }
}

/// The text of a failure after the program's name.
async fn failure(config: CommandTtsConfig, text: &str) -> (FailureKind, String) {
    let tts = CommandTts::new(config).unwrap();
    let (.., end) = spoken(&tts, saying(JobId(1), text)).await;
    let failure = end.unwrap_err();
    let problem = failure.detail.strip_prefix("tts: sh: ").map(str::to_owned);
    (failure.kind, problem.unwrap_or(failure.detail))
}

fn bytes(samples: &[i16]) -> Vec<u8> {
    samples
        .iter()
        .flat_map(|sample| sample.to_le_bytes())
        .collect()
}

#[tokio::test]
async fn text_comes_on_the_input_as_one_line() {
    let tts = CommandTts::new(sh("cat")).unwrap();
    let (samples, hz, end) = spoken(&tts, saying(JobId(1), "-n a\nb $(c)! ")).await;
    assert_eq!((hz, end), (Some(8_000), Ok(())));
    assert_eq!(bytes(&samples), b"-n a b $(c)!\n\0"[..12].to_vec());
}

#[tokio::test]
async fn text_comes_as_an_argument_through_no_shell() {
    let config = CommandTtsConfig {
        command: ["printf", "%s|%s|%s", "{text}", "{voice}", "{language}"]
            .map(Into::into)
            .into(),
        text_on: TextOn::Argument,
        voice: Some("slt".into()),
        ..sh("")
    };
    let tts = CommandTts::new(config).unwrap();
    let (samples, ..) = spoken(&tts, saying(JobId(1), "$(reboot) `x` '*' {voice}")).await;
    assert_eq!(bytes(&samples), b"$(reboot) `x` '*' {voice}|slt|en");
}

#[tokio::test]
async fn a_program_that_fails_says_why_but_not_what_it_was_to_say() {
    for (program, problem) in [
        (
            "echo 'no such voice' >&2; exit 3",
            "ended with exit status: 3: no such voice",
        ),
        ("cat >&2; exit 1", "ended with exit status: 1"),
        ("kill -9 $$", "ended with signal: 9 (SIGKILL)"),
        ("printf xx; exit 1", "ended with exit status: 1"),
    ] {
        let failed = failure(sh(program), "my secret words").await;
        assert_eq!(
            failed,
            (FailureKind::Unavailable, problem.to_owned()),
            "{program}"
        );
    }
    let failed = failure(sh("echo 'voice data missing' >&2"), "hello").await;
    let problem = "wrote no audio: voice data missing".to_owned();
    assert_eq!(failed, (FailureKind::Malformed, problem));
    let wav = CommandTtsConfig {
        format: AudioFormat::Wav,
        ..sh("echo hello; echo 'usage: …' >&2; exec sleep 1000")
    };
    let (kind, problem) = failure(wav, "hello").await;
    assert_eq!(kind, FailureKind::Malformed);
    assert!(problem.starts_with("wrote no WAV file: "), "{problem}");
}

#[tokio::test]
async fn a_program_that_hangs_is_given_up() {
    let silent = CommandTtsConfig {
        first_byte: short().first_byte,
        ..sh("exec sleep 1000")
    };
    let failed = failure(silent, "hello").await;
    assert_eq!(
        failed,
        (FailureKind::TimedOut, "no audio within 500 ms".into())
    );
    let stalls = CommandTtsConfig {
        idle: short().idle,
        ..sh("printf xx; exec sleep 1000")
    };
    let failed = failure(stalls, "hello").await;
    assert_eq!(
        failed,
        (FailureKind::TimedOut, "it stopped for 500 ms".into())
    );
    let stays = CommandTtsConfig {
        idle: short().idle,
        ..sh("printf xx; exec >&-; exec sleep 1000")
    };
    let failed = failure(stays, "hello").await;
    assert_eq!(
        failed,
        (FailureKind::TimedOut, "it stopped for 500 ms".into())
    );
}

#[tokio::test]
async fn a_program_need_not_read_its_text_and_may_complain_a_lot() {
    let long = "word ".repeat(100_000);
    let noisy = "head -c 300000 /dev/zero | tr '\\0' x >&2; head -c 100000 /dev/zero";
    let tts = CommandTts::new(sh(noisy)).unwrap();
    let (samples, _, end) = spoken(&tts, saying(JobId(1), &long)).await;
    assert_eq!((samples.len(), end), (50_000, Ok(())));
}

#[tokio::test]
async fn only_so_many_run_at_once() {
    let config = CommandTtsConfig {
        max_concurrent: 1,
        first_byte: short().first_byte,
        ..sh("printf xx; exec sleep 1000")
    };
    let tts = CommandTts::new(config).unwrap();
    let (updates, mut news) = mpsc::channel(1);
    let first = tts.start(tts_job(JobId(1)), Sink::new(JobId(1), updates));
    news.recv().await.expect("the first one speaks");
    let (.., end) = spoken(&tts, tts_job(JobId(2))).await;
    let failure = end.unwrap_err();
    assert_eq!(failure.kind, FailureKind::Overloaded);
    assert_eq!(failure.detail, "tts: sh: 1 of it run already");
    // Its turn is free again once the first is cancelled.
    drop(first);
    while news.recv().await.is_some() {}
    let (updates, mut news) = mpsc::channel(1);
    let _third = tts.start(tts_job(JobId(3)), Sink::new(JobId(3), updates));
    news.recv().await.expect("the third one speaks");
}

#[cfg(unix)]
#[tokio::test]
async fn a_cancelled_program_dies_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pipe = folder.path().join("alive");
    assert!(
        process::Command::new("mkfifo")
            .arg(&pipe)
            .status()
            .unwrap()
            .success()
    );
    // Both processes hold the pipe open for as long as they live.
    let program = format!(
        "exec 3>'{}'; sleep 1000 & printf xx; sleep 1000",
        pipe.display()
    );
    let tts = CommandTts::new(sh(&program)).unwrap();
    let (updates, mut news) = mpsc::channel(1);
    let job = tts.start(tts_job(JobId(1)), Sink::new(JobId(1), updates));
    let reader = tokio::task::spawn_blocking(move || {
        let mut rest = Vec::new();
        File::open(pipe)
            .and_then(|mut pipe| pipe.read_to_end(&mut rest))
            .map(drop)
    });
    news.recv().await.expect("it speaks");
    drop(job);
    let ended = tokio::time::timeout(GUARD, reader)
        .await
        .expect("both let go of the pipe");
    ended.unwrap().unwrap();
}

#[tokio::test]
async fn espeak_speaks_in_each_language() {
    let tts = match CommandTts::new(CommandTtsConfig::espeak(None)) {
        Ok(tts) => tts,
        Err(error @ ProviderError::Program { .. }) => {
            // Not installed: then the error says how.
            assert!(
                error.to_string().contains("apt-get install espeak-ng"),
                "{error}"
            );
            return;
        }
        Err(error) => panic!("{error}"),
    };
    tts.warm_up().await.unwrap();
    for (language, text) in [("en", "Hello."), ("es", "¿Qué tal?"), ("pt", "Olá.")] {
        let mut job = saying(JobId(1), text);
        job.language = language.into();
        let (samples, hz, end) = spoken(&tts, job).await;
        assert_eq!((hz, end), (Some(22_050), Ok(())), "{language}");
        let length = Duration::from_secs_f64(samples.len() as f64 / 22_050.0);
        assert!(
            (200..3_000).contains(&length.as_millis()),
            "{language}: {length:?}"
        );
        assert!(
            samples.iter().any(|sample| sample.unsigned_abs() > 2_000),
            "{language}"
        );
    }
    let unknown = CommandTts::new(CommandTtsConfig::espeak(Some("klingon-9".into()))).unwrap();
    let (.., end) = spoken(&unknown, tts_job(JobId(1))).await;
    let failure = end.unwrap_err();
    assert!(failure.detail.contains("voice"), "{failure:?}");
}
