//! The list of what was finished, by which a later run passes it over.

use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, File},
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::UNIX_EPOCH,
};

use serde::{Deserialize, Serialize};
use sidetone::offline::Damage;

use super::files::WriteError;

const NAME: &str = ".sidetone-transcribe.ndjson";

/// The list in an output folder: a line of JSON for each recording that was finished. The last that
/// names a file counts for it.
#[derive(Debug)]
pub(super) struct FinishedList {
    path: PathBuf,
    folder: PathBuf,
    file: File,
    /// By each of the files written.
    before: HashMap<PathBuf, Arc<Finished>>,
}

/// A recording that was transcribed to its end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Finished {
    /// Its place below the folder that was named.
    recording: PathBuf,
    /// Its length.
    bytes: u64,
    /// When it was last changed, in ms since 1970.
    modified_ms: u64,
    /// A digest of model and options.
    settings: String,
    /// The files written, by their place below the output folder, with their lengths in bytes.
    outputs: BTreeMap<PathBuf, u64>,
    /// Its end was not reached because it is damaged.
    pub(super) damage: Option<Damage>,
}

impl FinishedList {
    /// Opens the list of `folder`, which is made if it is not there. Lines that are no entries are passed over.
    pub(super) fn open(folder: &Path) -> Result<Self, WriteError> {
        fs::create_dir_all(folder).map_err(|source| WriteError::new(folder, source))?;
        let path = folder.join(NAME);
        let failed = |source| WriteError::new(&path, source);
        let before = read(&path).map_err(failed)?;
        let mut file = File::options()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(failed)?;
        if file.metadata().map_err(failed)?.len() > 0 {
            // Whatever was cut short there ends here.
            file.write_all(b"\n").map_err(failed)?;
        }
        Ok(Self {
            folder: folder.to_owned(),
            path,
            file,
            before,
        })
    }

    /// What was noted about `recording`, if it is as it was then, was transcribed with the same settings, and
    /// each of `outputs` is still as it was written.
    pub(super) fn find(
        &self,
        recording: &Path,
        source: &Path,
        settings: &str,
        outputs: &[PathBuf],
    ) -> Option<&Finished> {
        let (bytes, modified_ms) = state_of(source).ok()?;
        let noted = |output: &PathBuf| {
            let below = self.below(output);
            let noted = self.before.get(below)?;
            let same = noted.recording == recording
                && noted.bytes == bytes
                && noted.modified_ms == modified_ms
                && noted.settings == settings;
            let len = fs::metadata(output).ok()?.len();
            (same && noted.outputs.get(below) == Some(&len)).then_some(&**noted)
        };
        let noted: Option<Vec<&Finished>> = outputs.iter().map(noted).collect();
        noted?.first().copied()
    }

    /// Notes a recording as finished.
    pub(super) fn add(
        &mut self,
        recording: &Path,
        source: &Path,
        settings: &str,
        outputs: &[(PathBuf, u64)],
        damage: Option<&Damage>,
    ) -> Result<(), WriteError> {
        // A recording that is gone by now cannot be met again.
        let Ok((bytes, modified_ms)) = state_of(source) else {
            return Ok(());
        };
        let finished = Finished {
            recording: recording.to_owned(),
            bytes,
            modified_ms,
            settings: settings.to_owned(),
            outputs: outputs
                .iter()
                .map(|(path, bytes)| (self.below(path).to_owned(), *bytes))
                .collect(),
            damage: damage.cloned(),
        };
        // A name that is no Unicode cannot be noted: it will be transcribed again.
        let Ok(mut line) = serde_json::to_vec(&finished) else {
            return Ok(());
        };
        line.push(b'\n');
        let written = self.file.write_all(&line);
        written.map_err(|source| WriteError::new(&self.path, source))
    }

    fn below<'a>(&self, output: &'a Path) -> &'a Path {
        output.strip_prefix(&self.folder).unwrap_or(output)
    }
}

fn read(path: &Path) -> io::Result<HashMap<PathBuf, Arc<Finished>>> {
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(HashMap::new()),
        opened => opened?,
    };
    let mut before = HashMap::new();
    for line in BufReader::new(file).split(b'\n') {
        // A line that a crash cut short is as if it were not there.
        if let Ok(finished) = serde_json::from_slice::<Finished>(&line?) {
            let finished = Arc::new(finished);
            for output in finished.outputs.keys() {
                before.insert(output.clone(), Arc::clone(&finished));
            }
        }
    }
    Ok(before)
}

/// Length and time of a file.
fn state_of(path: &Path) -> io::Result<(u64, u64)> {
    let about = fs::metadata(path)?;
    if !about.is_file() {
        return Err(io::ErrorKind::Unsupported.into());
    }
    let modified = about.modified()?.duration_since(UNIX_EPOCH);
    let modified_ms = modified.map_or(0, |since| since.as_millis() as u64);
    Ok((about.len(), modified_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place {
        dir: tempfile::TempDir,
    }

    impl Place {
        /// A recording that is finished, with its transcript.
        fn new() -> Self {
            let place = Self {
                dir: tempfile::tempdir().unwrap(),
            };
            fs::write(place.recording(), "sound").unwrap();
            let mut list = FinishedList::open(&place.out()).unwrap();
            fs::write(place.output(), "words").unwrap();
            let outputs = [(place.output(), 5)];
            list.add(Path::new("a.wav"), &place.recording(), "x", &outputs, None)
                .unwrap();
            place
        }

        fn recording(&self) -> PathBuf {
            self.dir.path().join("a.wav")
        }

        fn out(&self) -> PathBuf {
            self.dir.path().join("out")
        }

        fn output(&self) -> PathBuf {
            self.out().join("a.txt")
        }

        fn is_finished(&self, settings: &str, more: Option<PathBuf>) -> bool {
            let list = FinishedList::open(&self.out()).unwrap();
            let outputs: Vec<PathBuf> = [self.output()].into_iter().chain(more).collect();
            let found = list.find(Path::new("a.wav"), &self.recording(), settings, &outputs);
            found.is_some()
        }
    }

    #[test]
    fn what_is_as_it_was_is_finished() {
        let place = Place::new();
        assert!(place.is_finished("x", None));
        assert!(!place.is_finished("other options", None));
        assert!(!place.is_finished("x", Some(place.out().join("a.srt"))));
    }

    #[test]
    fn a_transcript_that_is_gone_or_cut_is_made_again() {
        let place = Place::new();
        fs::write(place.output(), "wor").unwrap();
        assert!(!place.is_finished("x", None));
        fs::remove_file(place.output()).unwrap();
        assert!(!place.is_finished("x", None));
    }

    #[test]
    fn a_recording_that_changed_is_transcribed_again() {
        let place = Place::new();
        fs::write(place.recording(), "other sound").unwrap();
        assert!(!place.is_finished("x", None));
        let place = Place::new();
        let file = File::options().write(true).open(place.recording()).unwrap();
        file.set_modified(UNIX_EPOCH).unwrap();
        assert!(!place.is_finished("x", None));
    }

    #[test]
    fn recordings_of_the_same_name_are_told_apart_by_their_transcripts() {
        let place = Place::new();
        let other = place.dir.path().join("other.wav");
        fs::write(&other, "other sound").unwrap();
        let output = place.out().join("other.txt");
        fs::write(&output, "other words").unwrap();
        let mut list = FinishedList::open(&place.out()).unwrap();
        let outputs = [(output, 11)];
        list.add(Path::new("a.wav"), &other, "x", &outputs, None)
            .unwrap();
        assert!(place.is_finished("x", None));
    }

    #[test]
    fn a_list_cut_short_is_read_as_far_as_it_goes() {
        let place = Place::new();
        let mut file = File::options()
            .append(true)
            .open(place.out().join(NAME))
            .unwrap();
        file.write_all(b"\xff\n{\"recording\":\"a.w").unwrap();
        assert!(place.is_finished("x", None));
    }
}
