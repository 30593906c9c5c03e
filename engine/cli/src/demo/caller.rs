//! The demo's caller, inside the program so that the demo runs from anywhere.

use sidetone_codecs::wav;

use crate::phone::{ScenarioError, Script, audio_from_wav, parse_scenario};

macro_rules! fixture {
    ($file:literal) => {
        include_bytes!(concat!("../../../../fixtures/demo/", $file)).as_slice()
    };
}

const SCENARIO: &str = include_str!("../../../../fixtures/demo/scenario.toml");

/// The recordings of the scenario, by their names in it.
const RECORDINGS: [(&str, &[u8]); 5] = [
    ("1-where.wav", fixture!("1-where.wav")),
    ("2-number.wav", fixture!("2-number.wav")),
    ("3-hold-on.wav", fixture!("3-hold-on.wav")),
    ("4-when.wav", fixture!("4-when.wav")),
    ("5-goodbye.wav", fixture!("5-goodbye.wav")),
];

/// What the caller says, and when.
pub(super) fn script() -> Result<Script, ScenarioError> {
    parse_scenario("fixtures/demo/scenario.toml", SCENARIO, |name| {
        let recording = RECORDINGS.iter().find(|(file, _)| *file == name);
        let (_, bytes) = recording.ok_or_else(|| ScenarioError::NoRecording(name.to_owned()))?;
        audio_from_wav(name, wav::read(*bytes)?)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::phone::When;

    #[test]
    fn the_caller_says_five_things_and_interrupts_once() {
        let script = script().unwrap();
        let interruptions = script
            .lines
            .iter()
            .filter(|line| matches!(line.when, When::InterruptAfterMs(_)));
        assert_eq!(script.lines.len(), 5);
        assert_eq!(interruptions.count(), 1);
    }
}
