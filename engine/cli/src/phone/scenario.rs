//! Scripts from files: recordings, and scenarios in TOML.

use std::{path::Path, sync::Arc, time::Duration};

use serde::Deserialize;
use sidetone_codecs::{ResampleError, Resampler, wav};
use thiserror::Error;

use super::{
    audio::{Background, RATE},
    scenario_file::{ScenarioFileError, read_scenario, scenario_from_toml},
    script::{Expect, Line, Script, When},
};

/// Why a scenario or a recording cannot be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ScenarioError {
    /// The scenario cannot be read, or is not TOML of the right shape.
    #[error(transparent)]
    File(#[from] ScenarioFileError),
    /// A value that cannot be used.
    #[error("{name}: `{key}` must be {expected}")]
    Value {
        /// The file, or a name for it.
        name: String,
        /// The key.
        key: &'static str,
        /// What is allowed.
        expected: &'static str,
    },
    /// A recording cannot be read.
    #[error(transparent)]
    Audio(#[from] wav::WavError),
    /// A recording has a rate that cannot be converted.
    #[error("cannot use the recording {file}")]
    Rate {
        /// The file.
        file: String,
        /// Why.
        source: ResampleError,
    },
    /// A recording that is not among those given.
    #[error("there is no recording {0}")]
    NoRecording(String),
    /// A recording without a sample.
    #[error("the recording {0} is empty")]
    Empty(String),
}

/// A scenario as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Scenario {
    /// How loud the room is, in dB relative to full scale.
    #[serde(default = "quiet_room")]
    background_dbfs: f32,
    #[serde(default = "ten_seconds")]
    max_wait_ms: u64,
    #[serde(default = "three_seconds")]
    linger_ms: u64,
    #[serde(default = "three_minutes")]
    max_call_ms: u64,
    line: Vec<ScenarioLine>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioLine {
    /// A WAV file; relative to the scenario.
    audio: String,
    /// The words; the file's name if missing.
    text: Option<String>,
    when: When,
    #[serde(default)]
    expect: Expect,
    within_ms: Option<u64>,
}

fn quiet_room() -> f32 {
    -60.0
}

fn ten_seconds() -> u64 {
    10_000
}

fn three_seconds() -> u64 {
    3_000
}

fn three_minutes() -> u64 {
    180_000
}

/// Reads a scenario; its recordings lie relative to it.
///
/// # Errors
///
/// The scenario or one of its recordings cannot be read or used.
pub fn load_scenario(path: &Path) -> Result<Script, ScenarioError> {
    let text = read_scenario(path)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    parse_scenario(&path.display().to_string(), &text, |file| {
        load_audio(&folder.join(file))
    })
}

/// Reads a scenario that is called `name` in errors; `audio` supplies its recordings by name.
///
/// # Errors
///
/// The scenario or one of its recordings cannot be used.
pub fn parse_scenario(
    name: &str,
    text: &str,
    mut audio: impl FnMut(&str) -> Result<Arc<[i16]>, ScenarioError>,
) -> Result<Script, ScenarioError> {
    let scenario: Scenario = scenario_from_toml(name, text)?;
    let value = |ok: bool, key, expected| {
        ok.then_some(()).ok_or_else(|| ScenarioError::Value {
            name: name.to_owned(),
            key,
            expected,
        })
    };
    value(!scenario.line.is_empty(), "line", "given at least once")?;
    value(
        (-96.0..=-45.0).contains(&scenario.background_dbfs),
        "background_dbfs",
        "-96 to -45: louder would count as speech",
    )?;
    value(
        scenario.max_call_ms <= 3_600_000,
        "max_call_ms",
        "at most 3600000",
    )?;
    let lines = scenario
        .line
        .into_iter()
        .map(|line| {
            let samples = audio(&line.audio)?;
            let text = line.text.unwrap_or(line.audio);
            Ok(Line {
                expect: line.expect,
                within: line.within_ms.map(Duration::from_millis),
                ..Line::new(text, samples, line.when)
            })
        })
        .collect::<Result<_, ScenarioError>>()?;
    Ok(Script {
        background: Background::new(Some(scenario.background_dbfs)),
        max_wait: Duration::from_millis(scenario.max_wait_ms),
        linger: Duration::from_millis(scenario.linger_ms),
        max_call: Duration::from_millis(scenario.max_call_ms),
        ..Script::new(lines)
    })
}

/// Reads a WAV file of any rate and number of channels as what a telephone sends.
///
/// # Errors
///
/// It cannot be read, is not WAV, or has a rate that cannot be converted.
pub fn load_audio(path: &Path) -> Result<Arc<[i16]>, ScenarioError> {
    audio_from_wav(&path.display().to_string(), wav::read_file(path)?)
}

/// `audio`, called `file` in errors, as mono at the telephone's rate.
///
/// # Errors
///
/// Its rate cannot be converted, or it is empty.
pub fn audio_from_wav(file: &str, audio: wav::Audio) -> Result<Arc<[i16]>, ScenarioError> {
    let mut resampler = Resampler::new(audio.rate, RATE).map_err(|source| ScenarioError::Rate {
        file: file.to_owned(),
        source,
    })?;
    let mono = audio.into_mono();
    let mut samples = Vec::new();
    resampler.process(&mono, &mut samples);
    resampler.finish(&mut samples);
    if samples.is_empty() {
        return Err(ScenarioError::Empty(file.to_owned()));
    }
    Ok(samples.into())
}

#[cfg(test)]
mod tests {
    use std::num::NonZero;

    use sidetone_codecs::SampleRate;

    use super::*;

    fn parse(text: &str) -> Result<Script, ScenarioError> {
        parse_scenario("test", text, |_| Ok(Arc::from([1_000; 160])))
    }

    #[test]
    fn every_key_is_read() {
        let script = parse(
            "background_dbfs = -50\nmax_wait_ms = 1000\nlinger_ms = 2000\nmax_call_ms = 3000\n\
             [[line]]\naudio = 'a.wav'\nwhen = { pause_ms = 1 }\n\
             [[line]]\naudio = 'b.wav'\ntext = 'mm-hm'\nwhen = { interrupt_after_ms = 2 }\n\
             expect = 'ignore'\nwithin_ms = 700\n\
             [[line]]\naudio = 'c.wav'\nwhen = { agent_silence_ms = 3 }\n",
        )
        .unwrap();
        assert_eq!(script.max_wait, Duration::from_secs(1));
        assert_eq!(script.linger, Duration::from_secs(2));
        assert_eq!(script.max_call, Duration::from_secs(3));
        let lines: Vec<_> = script
            .lines
            .iter()
            .map(|l| (l.text.as_str(), l.when, l.expect, l.within))
            .collect();
        assert_eq!(
            lines,
            [
                ("a.wav", When::PauseMs(1), Expect::Answer, None),
                (
                    "mm-hm",
                    When::InterruptAfterMs(2),
                    Expect::Ignore,
                    Some(Duration::from_millis(700))
                ),
                ("c.wav", When::AgentSilenceMs(3), Expect::Answer, None),
            ]
        );
    }

    #[test]
    fn what_cannot_be_meant_is_an_error_that_says_where() {
        let line = "[[line]]\naudio = 'a.wav'\nwhen = { pause_ms = 1 }\n";
        for (text, reason) in [
            ("line = []".to_owned(), "`line` must be given"),
            (String::new(), "missing field `line`"),
            (format!("backgroud_dbfs = -50\n{line}"), "backgroud_dbfs"),
            (format!("background_dbfs = -20\n{line}"), "-96 to -45"),
            (format!("max_call_ms = 9999999\n{line}"), "at most 3600000"),
            (
                "[[line]]\naudio = 'a.wav'\nwhen = { after_ms = 1 }".to_owned(),
                "agent_silence_ms",
            ),
        ] {
            let error = parse(&text).unwrap_err();
            let mut whole = error.to_string();
            if let Some(source) = std::error::Error::source(&error) {
                whole = format!("{whole}: {source}");
            }
            assert!(whole.contains(reason), "{text}: {whole}");
        }
    }

    #[test]
    fn a_recording_of_another_rate_becomes_a_telephones() {
        let audio = wav::Audio {
            rate: SampleRate::HZ_48000,
            channels: NonZero::new(2).unwrap(),
            samples: vec![500; 2 * 48_000],
        };
        let samples = audio_from_wav("test", audio).unwrap();
        assert_eq!(samples.len(), 8_000);
        assert!((450..=550).contains(&samples[4_000]));
    }

    #[test]
    fn the_demos_scenario_is_one() {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/demo/scenario.toml");
        let script = load_scenario(&path).unwrap();
        assert_eq!(script.lines.len(), 5);
        for line in &script.lines {
            // 100 ms of room on either side, and soft first and last sounds.
            assert!((600..2_000).contains(&line.speech.start), "{}", line.text);
            let after = line.audio.len() - line.speech.end;
            assert!((600..2_000).contains(&after), "{}: {after}", line.text);
        }
    }

    #[test]
    fn what_is_no_scenario_is_named_with_its_line() {
        let text = "[[line]]\naudio = 'a.wav'\nwhen = { agent_silence = 3 }\n";
        assert_eq!(
            parse(text).unwrap_err().to_string(),
            "test:3: not a scenario: unknown variant `agent_silence`, expected one of \
             `pause_ms`, `agent_silence_ms`, `interrupt_after_ms`"
        );
        let error = parse("").unwrap_err().to_string();
        assert!(error.starts_with("test:1: not a scenario: "), "{error}");
    }

    #[test]
    fn a_missing_recording_is_named() {
        let error = load_audio(Path::new("no/such.wav")).unwrap_err();
        assert_eq!(error.to_string(), "cannot use the audio file no/such.wav");
    }
}
