//! The scenario suite: conversations as data, in simulated time and, some of them, at real pace.
//!
//! `SCENARIO=name cargo test -p sidetone-bench --test scenarios -- --nocapture` plays those whose
//! name begins so, and prints what happened.

#![allow(
    clippy::unwrap_used,
    reason = "outside of test functions, too: these are tests"
)]

use std::{fmt::Write as _, path::Path, sync::Arc, time::Duration};

use sidetone_bench::scenario::{Action, Clips, Ears, Played, Scenario, When};
use sidetone_core::vad::Vad;
use sidetone_models::ModelSource;
use sidetone_speech::{
    onnx::{self, OnnxError},
    vad::{Silero, SileroRate, SileroVad, WebrtcVad},
};
use tokio::{task::JoinSet, time::timeout};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fixtures");

fn clips() -> Clips {
    Clips::new(FIXTURES).unwrap()
}

fn scenarios() -> Vec<Scenario> {
    let wanted = std::env::var("SCENARIO").unwrap_or_default();
    let mut scenarios = Scenario::load_all(&Path::new(FIXTURES).join("scenarios")).unwrap();
    scenarios.retain(|scenario| scenario.name.starts_with(&wanted));
    scenarios
}

/// Adds to the report what went wrong, and what happened.
#[expect(clippy::print_stdout, reason = "it was asked for")]
fn report(scenario: &Scenario, played: &Played, wrong: &[String], report: &mut String) {
    let mut text = format!("\n{}: {}\n", scenario.name, scenario.about);
    for line in wrong {
        let _ = writeln!(text, "  WRONG: {line}");
    }
    let _ = writeln!(text, "{}", played.timeline());
    if !wrong.is_empty() {
        report.push_str(&text);
    } else if std::env::var_os("SCENARIO").is_some() {
        println!("{text}");
    }
}

#[test]
fn every_scenario_ends_as_expected() {
    let mut clips = clips();
    let mut failed = String::new();
    for scenario in scenarios() {
        let played = scenario.play(&mut clips).unwrap();
        report(&scenario, &played, &scenario.judge(&played), &mut failed);
    }
    assert!(failed.is_empty(), "{failed}");
}

/// Nothing is judged by its time but with much patience: the machine may be busy.
#[tokio::test(flavor = "multi_thread")]
async fn some_scenarios_end_as_expected_at_real_pace_through_a_socket() {
    const PATIENCE_MS: u64 = 3_000;
    let mut clips = clips();
    let mut running = JoinSet::new();
    for scenario in scenarios().into_iter().filter(|s| s.real_time) {
        // Each plays its own; what was read is shared.
        let mut clips = clips.clone();
        running.spawn(async move {
            let limit = Duration::from_millis(scenario.max_ms + 30_000);
            let played = timeout(limit, scenario.play_live(&mut clips)).await;
            (scenario, played.expect("a call ends").unwrap())
        });
    }
    clips.get("agent/speech").unwrap();
    let mut failed = String::new();
    for (scenario, played) in running.join_all().await {
        let wrong = scenario.judge_live(&played, PATIENCE_MS);
        report(&scenario, &played, &wrong, &mut failed);
    }
    assert!(failed.is_empty(), "{failed}");
}

/// The scenarios with noise in the room.
fn noisy() -> Vec<Scenario> {
    let mut scenarios = scenarios();
    scenarios.retain(|scenario| scenario.line.noise.is_some());
    scenarios
}

/// All scenarios with noise but those in `failing` go as expected with `detector`.
fn noise_is_no_speech(failing: &[&str], detector: impl Fn() -> Box<dyn Vad>) {
    let mut clips = clips();
    let mut failed = String::new();
    for scenario in noisy() {
        let ears = Ears {
            vad: detector(),
            ..Ears::default()
        };
        let played = scenario.play_with(&mut clips, ears).unwrap();
        let wrong = scenario.judge(&played);
        if !failing.contains(&scenario.name.as_str()) {
            report(&scenario, &played, &wrong, &mut failed);
        } else if wrong.is_empty() {
            let _ = writeln!(failed, "{} goes as expected now", scenario.name);
        }
    }
    assert!(failed.is_empty(), "{failed}");
}

#[test]
fn noise_is_no_speech_to_webrtc() {
    // Traffic keeps it longer: 1060 ms to the answer.
    noise_is_no_speech(&["street-10"], || Box::new(WebrtcVad::default()));
}

#[test]
fn noise_is_no_speech_to_silero() {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared/models");
    let folder = std::env::var("SIDETONE_TEST_MODELS").unwrap_or_else(|_| beside.into());
    let path = Path::new(&folder).join("silero_vad.onnx");
    if !path.is_file() {
        println!(
            "skipped: no {} (SIDETONE_TEST_MODELS names the folder)",
            path.display()
        );
        return;
    }
    if let Err(OnnxError::NoRuntime) = onnx::open() {
        println!("skipped: {}", OnnxError::NoRuntime);
        return;
    }
    let silero = Silero::load(ModelSource::File(path), SileroRate::default()).unwrap();
    noise_is_no_speech(&[], || Box::new(SileroVad::new(Arc::clone(&silero))));
}

/// A cough, a door or an "mm-hm" at any time of the agent's answer: it always goes on.
#[test]
fn no_cough_door_or_backchannel_silences_the_agent_for_good() {
    let path = Path::new(FIXTURES).join("scenarios/cough-over-the-agent.toml");
    let scenario = Scenario::load(&path).unwrap();
    let backchannels = ["mm-hm", "yeah", "okay", "right"];
    let mut clips = clips();
    let mut failed = String::new();
    let mut stopped = 0;
    for seed in 0..100 {
        let mut scenario = scenario.clone();
        let sound = &mut scenario.acts[1];
        let Action::Plays { clip, gain_db, .. } = &mut sound.action else {
            panic!("the second act is a sound");
        };
        *clip = match seed % 5 {
            0 | 1 => format!("cough-{}", 1_000 + seed),
            2 | 3 => format!("door-slam-{}", 1_000 + seed),
            _ => format!("callers/paul/{}", backchannels[seed / 5 % 4]),
        };
        *gain_db = -(seed as f32 % 7.0);
        // Not in the last words: there, a "yes" is an answer.
        let after_ms = 300 + 45 * seed as u64;
        sound.when = When::InterruptAfterMs(after_ms);
        scenario.line.seed = seed as u64;
        scenario.name = format!("variant {seed} of {}", scenario.name);
        let played = scenario.play(&mut clips).unwrap();
        stopped += usize::from(!played.clears.is_empty());
        report(&scenario, &played, &scenario.judge(&played), &mut failed);
    }
    assert!(failed.is_empty(), "{failed}");
    assert!(
        stopped >= 30,
        "only {stopped} sounds stopped the agent at all"
    );
}

#[test]
fn a_file_that_is_no_scenario_is_named_with_its_key() {
    let act = "[[act]]\nplays = 'callers/paul/yes'\nwhen = { at_ms = 0 }\n";
    for (text, problem) in [
        (
            format!("abuot = 'x'\n{act}"),
            "a.toml:1: not a scenario: unknown field `abuot`",
        ),
        (
            format!("about = 'x'\n{act}expect = {{ cleared = 1 }}\n"),
            "a.toml:5: not a scenario: unknown field `cleared`",
        ),
        ("about = 'x'\n".into(), "missing field `act`"),
        (
            format!("about = 'x'\n[config.vad]\nspeech_treshold = 1\n{act}"),
            "unknown field `speech_treshold`",
        ),
        (
            format!("about = 'x'\n[config.vad]\nspeech_threshold = 2.0\n{act}"),
            "a.toml: `vad.speech_threshold` = 2: must be",
        ),
        (
            "about = 'x'\n[[act]]\nwhen = { at_ms = 0 }\n".into(),
            "a.toml: act 1: needs one of `plays`",
        ),
        (
            "about = 'x'\n[[act]]\nhangs_up = true\nwords = 'x'\nwhen = { at_ms = 0 }\n".into(),
            "act 1: `words` goes with `plays`",
        ),
        (
            "about = 'x'\n[[act]]\nhangs_up = true\nwhen = { agent_ends_in_ms = 2000 }\n".into(),
            "`agent_ends_in_ms` must be 0 to 1000",
        ),
        (
            format!("about = 'x'\n{act}[expect]\nconversation = ['bob: hi']\n"),
            "must begin with `caller: ` or `agent: `",
        ),
        (
            format!("about = 'x'\n[line]\necho = {{ loss_db = -3.0, delay_ms = 1 }}\n{act}"),
            "`line.echo`: loss_db must be 0 to 60",
        ),
    ] {
        let error = Scenario::parse("a", "a.toml", &text)
            .unwrap_err()
            .to_string();
        assert!(error.contains(problem), "{text}\n{error}");
    }
}

#[test]
fn a_sound_that_is_not_there_is_named() {
    let text = "about = 'x'\n[[act]]\nplays = 'callers/paul/maybe'\nwhen = { at_ms = 0 }\n";
    let scenario = Scenario::parse("a", "a.toml", text).unwrap();
    let error = scenario.play(&mut clips()).unwrap_err().to_string();
    assert!(
        error.starts_with("there is no sound \"callers/paul/maybe\": "),
        "{error}"
    );
}

/// The judge itself: what did not happen is missed.
#[test]
fn a_scenario_can_fail() {
    let text = "about = 'x'\nmax_ms = 5000\n[[act]]\nplays = 'callers/paul/where-is-my-order'\nwhen = { at_ms = 500 }\n\
        expect = { answered_within_ms = 10, cleared_within_ms = 100 }\n\
        [[act]]\nhangs_up = true\nwhen = { interrupt_after_ms = 60000 }\n\
        [expect]\nended = 'caller_hung_up'\nclears = 1\nfailures = 1\nconversation = ['caller: Who?']\n";
    let scenario = Scenario::parse("a", "a.toml", text).unwrap();
    let wrong = scenario
        .judge(&scenario.play(&mut clips()).unwrap())
        .join("\n");
    for expected in [
        "act 1 (callers/paul/where-is-my-order): answered after ",
        "act 1 (callers/paul/where-is-my-order): never cleared, expected within 100 ms",
        "act 2: there was no occasion for it",
        "ended: None, expected Some(\"caller_hung_up\")",
        "0 clears, expected 1",
        "0 failures of services, expected 1",
        "\"caller: Where is my order?\"",
    ] {
        assert!(
            wrong.contains(expected),
            "{expected:?} is missing in\n{wrong}"
        );
    }
}
