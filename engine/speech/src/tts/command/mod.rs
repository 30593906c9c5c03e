//! Any program that writes speech to its standard output, with `espeak-ng` ready-made.

mod argv;
mod process;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures_util::future::BoxFuture;
use sidetone_codecs::SampleRate;
use sidetone_core::job::{FailureKind, JobFailure, JobId, Service, TtsEvent, TtsJob};
use tokio::{
    sync::{Semaphore, mpsc},
    time::{Instant, timeout, timeout_at},
};

use self::{
    argv::Argv,
    process::{Ended, Process},
};
use super::{
    Tts,
    decode::Decoder,
    telling::{Halt, Telling},
};
use crate::{
    error::ProviderError,
    job::{JobHandle, Sink, Stop},
};

/// Which program, and how it is talked to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CommandTtsConfig {
    /// The program and its arguments; no shell is involved. In the arguments, `{text}`,
    /// `{voice}` and `{language}` stand for what is to be said and how.
    pub command: Vec<String>,
    /// How the program gets the text.
    pub text_on: TextOn,
    /// What the program writes.
    pub format: AudioFormat,
    /// What `{voice}` stands for, whatever the language. Default: none.
    pub voice: Option<String>,
    /// What `{voice}` stands for otherwise, by language; a language that is missing here stands
    /// for itself. Default: empty.
    pub voices: BTreeMap<String, String>,
    /// How long the program may take until its first byte, waiting for its turn included.
    /// Default: 4 s.
    pub first_byte: Duration,
    /// How long the program may pause. Default: 4 s.
    pub idle: Duration,
    /// How many of it may run at once, at least 1; the rest wait. Default: 32.
    pub max_concurrent: usize,
}

/// How a program gets its text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOn {
    /// On its standard input, as a line of UTF-8.
    Stdin,
    /// In place of `{text}` in its arguments.
    Argument,
}

/// What a program writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioFormat {
    /// A WAV file with 16-bit mono PCM at any rate.
    Wav,
    /// Little-endian 16-bit mono PCM at this rate.
    Pcm(SampleRate),
}

impl CommandTtsConfig {
    /// A program that takes the text on its standard input and writes a WAV file.
    #[must_use]
    pub fn new(command: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            text_on: TextOn::Stdin,
            format: AudioFormat::Wav,
            voice: None,
            voices: BTreeMap::new(),
            first_byte: Duration::from_secs(4),
            idle: Duration::from_secs(4),
            max_concurrent: 32,
        }
    }

    /// `espeak-ng` with this voice, or with one that suits the language.
    #[must_use]
    pub fn espeak(voice: Option<String>) -> Self {
        let command = [
            "espeak-ng",
            "-v",
            "{voice}",
            "-b",
            "1",
            "--stdin",
            "--stdout",
        ];
        let voices = [("en", "en-us"), ("es", "es-419"), ("pt", "pt-br")];
        Self {
            voice,
            voices: voices
                .map(|(language, voice)| (language.into(), voice.into()))
                .into(),
            ..Self::new(command)
        }
    }
}

/// Speech synthesis by a program, started once for each sentence.
#[derive(Clone, Debug)]
pub struct CommandTts(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    argv: Argv,
    config: CommandTtsConfig,
    turns: Semaphore,
}

impl CommandTts {
    /// Checks the configuration and that the program is there; starts nothing yet.
    ///
    /// # Errors
    ///
    /// [`ProviderError`], which names the key that cannot be used or the missing program and how
    /// to install it.
    pub fn new(config: CommandTtsConfig) -> Result<Self, ProviderError> {
        let argv = Argv::parse(&config.command, config.text_on)?;
        let bad = |key, value: String, expected: &str| ProviderError::Config {
            service: Service::Tts,
            key,
            value: Some(value),
            expected: expected.into(),
        };
        if config.max_concurrent == 0 {
            return Err(bad("max_concurrent", "0".into(), "must be at least 1"));
        }
        for voice in config.voice.iter().chain(config.voices.values()) {
            if voice.is_empty() || voice.starts_with('-') || voice.contains(char::is_control) {
                let expected = "must be the name of a voice, without a leading `-`";
                return Err(bad("voice", voice.clone(), expected));
            }
        }
        let turns = Semaphore::new(config.max_concurrent.min(Semaphore::MAX_PERMITS));
        Ok(Self(Arc::new(Inner {
            argv,
            config,
            turns,
        })))
    }
}

impl Tts for CommandTts {
    fn start(&self, job: TtsJob, sink: Sink<TtsEvent>) -> JobHandle {
        let inner = Arc::clone(&self.0);
        JobHandle::spawn(async move {
            let spoken = inner.speak(&job, &sink).await;
            sink.end(spoken.map(|()| TtsEvent::Done)).await;
        })
    }

    /// Speaks a word to nobody: the program and its data are in memory afterwards.
    fn warm_up(&self) -> BoxFuture<'_, Result<(), JobFailure>> {
        Box::pin(async {
            let (updates, mut heard) = mpsc::channel(1);
            let job = TtsJob {
                id: JobId(0),
                text: "hello".into(),
                language: "en".into(),
                eager: false,
            };
            let speak = async {
                let sink = Sink::new(job.id, updates);
                self.0.speak(&job, &sink).await
            };
            let listen = async { while heard.recv().await.is_some() {} };
            match tokio::join!(speak, listen).0 {
                Err(Stop::Failed(failure)) => Err(failure),
                Ok(()) | Err(Stop::Closed) => Ok(()),
            }
        })
    }
}

impl Inner {
    async fn speak(&self, job: &TtsJob, sink: &Sink<TtsEvent>) -> Result<(), Stop> {
        let deadline = Instant::now() + self.config.first_byte;
        let voice = self.voice_for(&job.language)?;
        let text = one_line(&job.text);
        let turn = timeout_at(deadline, self.turns.acquire()).await;
        let _turn = turn.map_err(|_| {
            let running = self.config.max_concurrent;
            self.failure(
                FailureKind::Overloaded,
                &format!("{running} of it run already"),
            )
        })?;
        let command = self.argv.fill(&text, voice, &job.language);
        let typed = (self.config.text_on == TextOn::Stdin).then(|| format!("{text}\n"));
        let mut process = Process::start(command, typed)
            .map_err(|error| self.failure(FailureKind::Unavailable, &format!("{error}")))?;

        let decoder = match self.config.format {
            AudioFormat::Wav => Decoder::wav(),
            AudioFormat::Pcm(rate) => Decoder::pcm(rate),
        };
        let mut telling = Telling::new(decoder, sink);
        let mut next_byte = deadline;
        loop {
            let read = timeout_at(next_byte, process.read()).await;
            let read = read.map_err(|_| self.late(next_byte == deadline))?;
            let bytes = read.map_err(|error| {
                self.failure(
                    FailureKind::Unavailable,
                    &format!("cannot read from it: {error}"),
                )
            })?;
            if bytes.is_empty() {
                break;
            }
            match telling.push(bytes).await {
                Ok(()) => {}
                Err(Halt::Closed) => return Err(Stop::Closed),
                Err(Halt::Problem(problem)) => {
                    return Err(self.end_badly(process, &problem, job).await);
                }
            }
            next_byte = Instant::now() + self.config.idle;
        }
        let ended = timeout(self.config.idle, process.end()).await;
        let ended = ended.map_err(|_| self.late(false))?;
        if !ended.success {
            return Err(self.complaint(FailureKind::Unavailable, "", &ended, job));
        }
        telling.finish(&job.text).map_err(|problem| {
            let problem = format!("wrote {problem}");
            self.complaint(FailureKind::Malformed, &problem, &ended, job)
        })
    }

    fn voice_for<'a>(&'a self, language: &'a str) -> Result<&'a str, Stop> {
        let is_code = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if language.is_empty() || language.starts_with('-') || !language.chars().all(is_code) {
            return Err(self.failure(FailureKind::Refused, "the job's language is no code"));
        }
        let by_language = || self.config.voices.get(language).map(String::as_str);
        let voice = self.config.voice.as_deref().or_else(by_language);
        Ok(voice.unwrap_or(language))
    }

    /// What it wrote is no audio; perhaps it says why.
    async fn end_badly(&self, mut process: Process, problem: &str, job: &TtsJob) -> Stop {
        process.kill();
        let problem = format!("wrote {problem}");
        match timeout(self.config.idle, process.end()).await {
            Ok(ended) => self.complaint(FailureKind::Malformed, &problem, &ended, job),
            Err(_) => self.failure(FailureKind::Malformed, &problem),
        }
    }

    fn complaint(&self, kind: FailureKind, problem: &str, ended: &Ended, job: &TtsJob) -> Stop {
        let mut parts = Vec::new();
        if !problem.is_empty() {
            parts.push(problem);
        }
        if !ended.success {
            parts.push(&ended.status);
        }
        // A program may complain about its text by repeating it.
        if !ended.complaint.is_empty() && !repeats(&ended.complaint, &job.text) {
            parts.push(&ended.complaint);
        }
        self.failure(kind, &parts.join(": "))
    }

    fn late(&self, first: bool) -> Stop {
        let (what, allowed) = if first {
            ("no audio within", self.config.first_byte)
        } else {
            ("it stopped for", self.config.idle)
        };
        let problem = format!("{what} {} ms", allowed.as_millis());
        self.failure(FailureKind::TimedOut, &problem)
    }

    fn failure(&self, kind: FailureKind, problem: &str) -> Stop {
        let program = self.argv.program();
        Stop::Failed(JobFailure::new(kind, format!("tts: {program}: {problem}")))
    }
}

/// Control characters are nothing to say, and some would end a line or an argument.
fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ").trim().to_owned()
}

/// Whether `line` holds two words of `text` in a row, or its only word.
fn repeats(line: &str, text: &str) -> bool {
    let words = |text: &str| -> Vec<String> {
        let split = text.split(|c: char| !c.is_alphanumeric());
        split
            .filter(|word| !word.is_empty())
            .map(str::to_lowercase)
            .collect()
    };
    let (line, text) = (words(line), words(text));
    let run = text.len().clamp(1, 2);
    text.windows(run)
        .any(|said| line.windows(run).any(|shown| shown == said))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_repeats_the_text_is_known() {
        let text = "Your number is 4 2 7 1.";
        assert!(repeats("cannot say \"YOUR NUMBER\"", text));
        assert!(repeats("bad: Ann", "Ann."));
        assert!(!repeats("voice not found: number", text));
        assert!(!repeats("voice not found", "…"));
    }

    #[test]
    fn bad_settings_are_named() {
        for (config, says) in [
            (
                CommandTtsConfig {
                    max_concurrent: 0,
                    ..CommandTtsConfig::new(["sh"])
                },
                "`tts.max_concurrent` = \"0\": must be at least 1",
            ),
            (
                CommandTtsConfig {
                    voice: Some("--version".into()),
                    ..CommandTtsConfig::new(["sh"])
                },
                "`tts.voice` = \"--version\": must be the name",
            ),
        ] {
            let error = CommandTts::new(config).unwrap_err().to_string();
            assert!(error.starts_with(says), "{error}");
        }
    }

    #[test]
    fn espeak_has_a_voice_for_each_language() {
        let tts = |voice: Option<&str>| {
            let config = CommandTtsConfig::espeak(voice.map(Into::into));
            let argv = Argv::parse(&["sh".to_owned()], TextOn::Stdin).unwrap();
            let turns = Semaphore::new(1);
            Inner {
                argv,
                config,
                turns,
            }
        };
        let auto = tts(None);
        for (language, voice) in [
            ("en", "en-us"),
            ("es", "es-419"),
            ("pt", "pt-br"),
            ("de", "de"),
        ] {
            assert_eq!(auto.voice_for(language).ok(), Some(voice));
        }
        assert_eq!(tts(Some("en-gb")).voice_for("es").ok(), Some("en-gb"));
        assert!(auto.voice_for("-x").is_err());
        assert!(auto.voice_for("e n").is_err());
    }
}
