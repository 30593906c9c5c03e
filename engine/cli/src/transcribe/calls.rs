//! Recordings of the engine's own calls: whose voices they are, by the engine's events.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::BufReader,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use serde::Deserialize;
use sidetone::offline::{RecordedCall, RecordedCallError, RecordedCalls};

/// The events beside a recording.
const EVENTS: &str = "events.ndjson";
/// What the simulated phone leaves beside a recording.
const REPORT: &str = "report.json";

/// Finds the calls of recordings.
#[derive(Debug)]
pub(super) struct Calls {
    /// The events that were named.
    named: Option<(PathBuf, RecordedCalls)>,
    /// Events that lie beside recordings, each read once; none where the file tells of no call.
    beside: Mutex<HashMap<PathBuf, Option<Arc<RecordedCalls>>>>,
}

impl Calls {
    /// Reads the events that were named.
    pub(super) fn read(named: Option<&Path>) -> Result<Self, String> {
        let named = match named {
            Some(path) => {
                let calls = read(path).map_err(|error| told(path, &error))?;
                Some((path.to_owned(), calls))
            }
            None => None,
        };
        Ok(Self {
            named,
            beside: Mutex::default(),
        })
    }

    /// The call of a recording. An error only where the events were named; those beside it count for two
    /// channels, as the engine's recordings have.
    pub(super) fn of(
        &self,
        recording: &Path,
        channels: u16,
    ) -> Result<Option<RecordedCall>, String> {
        let names = names(recording);
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if let Some((path, calls)) = &self.named {
            let call = calls.find(&names).map_err(|error| told(path, &error))?;
            return Ok(Some(call.clone()));
        }
        if channels != 2 {
            return Ok(None);
        }
        let beside = self.beside(&recording.with_file_name(EVENTS));
        Ok(beside.and_then(|calls| calls.find(&names).ok().cloned()))
    }

    fn beside(&self, path: &Path) -> Option<Arc<RecordedCalls>> {
        let mut beside = self.beside.lock().expect("nobody panics while reading");
        let read = || read(path).ok().map(Arc::new);
        beside.entry(path.to_owned()).or_insert_with(read).clone()
    }
}

fn read(path: &Path) -> Result<RecordedCalls, RecordedCallError> {
    RecordedCalls::read(BufReader::new(File::open(path)?))
}

fn told(path: &Path, error: &RecordedCallError) -> String {
    let error = crate::in_full(error);
    format!("the events in {}: {error}", path.display())
}

/// What a recording's call may be known by: its name, and the id that the simulated phone gave it.
fn names(recording: &Path) -> Vec<String> {
    #[derive(Deserialize)]
    struct Report {
        call_sid: String,
    }

    let name = recording.file_stem().unwrap_or_default();
    let mut names = vec![name.to_string_lossy().into_owned()];
    let report = fs::read(recording.with_file_name(REPORT)).ok();
    if let Some(report) = report.and_then(|json| serde_json::from_slice::<Report>(&json).ok()) {
        names.push(report.call_sid);
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENTS_OF_TWO: &str = r#"{"call_id":"call-000000000001","at_ms":0,"seq":1,"event":"call.started","stream_id":"MZ1","provider_call_id":"CA11"}
{"call_id":"call-000000000002","at_ms":0,"seq":1,"event":"call.started","stream_id":"MZ2","provider_call_id":"CA22"}
"#;

    #[test]
    fn events_beside_a_recording_tell_its_call() {
        let dir = tempfile::tempdir().unwrap();
        let recording = dir.path().join("call.wav");
        let call = || Calls::read(None).unwrap().of(&recording, 2).unwrap();
        assert_eq!(call(), None);
        fs::write(dir.path().join(EVENTS), EVENTS_OF_TWO).unwrap();
        assert_eq!(call(), None);
        // The phone knows which call it was.
        fs::write(dir.path().join(REPORT), r#"{"call_sid":"CA22","turns":[]}"#).unwrap();
        assert_eq!(call().unwrap().call_id.as_str(), "call-000000000002");
        fs::write(dir.path().join(EVENTS), "no events\n").unwrap();
        assert_eq!(call(), None);
    }

    #[test]
    fn events_that_were_named_must_tell_it() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log.ndjson");
        let error = Calls::read(Some(&log)).unwrap_err();
        assert!(
            error.contains("log.ndjson: cannot read it: No such file"),
            "{error}"
        );
        fs::write(&log, EVENTS_OF_TWO).unwrap();
        let calls = Calls::read(Some(&log)).unwrap();
        let call = calls.of(Path::new("x/CA11-left.wav"), 1).unwrap().unwrap();
        assert_eq!(call.call_id.as_str(), "call-000000000001");
        let error = calls.of(Path::new("x/other.wav"), 2).unwrap_err();
        assert!(error.contains("tells of 2 calls"), "{error}");
    }
}
