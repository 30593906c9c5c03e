//! Where each transcript goes.

use std::{
    collections::{HashMap, HashSet},
    ffi::OsString,
    fs,
    path::{Component, Path, PathBuf},
};

use sidetone::offline::Format;
use thiserror::Error;

use super::{files::PARTIAL, inputs::Input};

/// Where the transcripts of a run go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Standard output.
    Stdout,
    /// One file.
    File(PathBuf),
    /// A folder.
    Folder(PathBuf),
}

/// Why the transcripts cannot go where they should.
#[derive(Debug, Error, PartialEq, Eq)]
pub(super) enum PlaceError {
    #[error(
        "--output takes one recording in one format, and there are {recordings} in {formats}: \
         --output-dir writes a file for each"
    )]
    Several { recordings: usize, formats: usize },
    #[error("several formats need files: --output-dir DIR writes one for each")]
    FormatsOnStdout,
    #[error(
        "{format} of several recordings needs files: --output-dir DIR writes one for each \
         (txt and ndjson can go to standard output)"
    )]
    FilesOnStdout { format: Format },
    #[error("{}: the transcript would replace the recording", .0.display())]
    OverRecording(PathBuf),
}

impl Place {
    pub(super) fn of(
        output: Option<&Path>,
        folder: Option<&Path>,
        recordings: &[Input],
        formats: &[Format],
    ) -> Result<Self, PlaceError> {
        let place = match (output, folder) {
            (_, Some(folder)) => Self::Folder(folder.to_owned()),
            (Some(file), None) if file.as_os_str() != "-" => Self::File(file.to_owned()),
            _ => Self::Stdout,
        };
        match (&place, recordings, formats) {
            (Self::Folder(_), ..) | (_, [] | [_], [_]) => {}
            (Self::File(_), ..) => {
                return Err(PlaceError::Several {
                    recordings: recordings.len(),
                    formats: formats.len(),
                });
            }
            (_, _, [Format::Txt | Format::Ndjson]) => {}
            (_, _, [format]) => return Err(PlaceError::FilesOnStdout { format: *format }),
            _ => return Err(PlaceError::FormatsOnStdout),
        }
        let same: HashSet<PathBuf> = recordings
            .iter()
            .filter_map(|input| fs::canonicalize(input.name()).ok())
            .collect();
        let over = |file: &PathBuf| fs::canonicalize(file).is_ok_and(|file| same.contains(&file));
        let mut files = place.files(recordings, formats).into_iter().flatten();
        match files.find(over) {
            Some(file) => Err(PlaceError::OverRecording(file)),
            None => Ok(place),
        }
    }

    /// The files of each recording, one for each format; none on standard output.
    pub(super) fn files(&self, recordings: &[Input], formats: &[Format]) -> Vec<Vec<PathBuf>> {
        match self {
            Self::Stdout => vec![Vec::new(); recordings.len()],
            Self::File(file) => vec![vec![file.clone()]; recordings.len()],
            Self::Folder(folder) => stems(recordings)
                .iter()
                .map(|stem| {
                    let extensions = formats.iter().map(|format| format.extension());
                    extensions
                        .map(|extension| folder.join(with(stem, extension)))
                        .collect()
                })
                .collect(),
        }
    }
}

/// A name for each recording's transcripts, without extension: that of the recording, or where several share it
/// all of the path that was named. None ends as what is not complete does.
fn stems(recordings: &[Input]) -> Vec<PathBuf> {
    let mut stems: Vec<PathBuf> = recordings
        .iter()
        .map(|input| match input.relative().with_extension("") {
            stem if stem.extension().is_some_and(|end| end == PARTIAL) => input.relative().into(),
            stem => stem,
        })
        .collect();
    let full = |input: &Input| -> PathBuf {
        let parts = input.name().components();
        parts
            .filter(|part| matches!(part, Component::Normal(_)))
            .collect()
    };
    for rename in [|input: &Input| input.relative().to_owned(), full] {
        let shared = count(&stems);
        for (stem, input) in stems.iter_mut().zip(recordings) {
            if shared[&folded(stem)] > 1 {
                *stem = rename(input);
            }
        }
    }
    // "../a/x.wav" and "a/x.wav".
    let mut taken = HashSet::new();
    for stem in &mut stems {
        let plain = stem.clone();
        let mut times = 1;
        while !taken.insert(folded(stem)) {
            times += 1;
            *stem = with(&plain, &times.to_string());
        }
    }
    stems
}

fn count(stems: &[PathBuf]) -> HashMap<String, usize> {
    let mut count = HashMap::new();
    for stem in stems {
        *count.entry(folded(stem)).or_insert(0) += 1;
    }
    count
}

/// Names that are one to some file systems.
fn folded(stem: &Path) -> String {
    stem.to_string_lossy().to_lowercase()
}

/// `stem.extension`, whatever dots are in the stem.
fn with(stem: &Path, extension: &str) -> PathBuf {
    let mut name = OsString::from(stem);
    name.push(".");
    name.push(extension);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, relative: &str) -> Input {
        Input::File {
            path: path.into(),
            relative: relative.into(),
        }
    }

    fn names(recordings: &[Input]) -> Vec<String> {
        let stems = stems(recordings);
        stems
            .iter()
            .map(|stem| stem.display().to_string())
            .collect()
    }

    #[test]
    fn a_transcript_is_called_as_its_recording() {
        let recordings = [
            file("calls/a.wav", "a.wav"),
            file("calls/sub/b.v2.mp3", "sub/b.v2.mp3"),
            Input::Stdin,
        ];
        assert_eq!(names(&recordings), ["a", "sub/b.v2", "stdin"]);
        let place = Place::Folder("out".into());
        let files = place.files(&recordings[1..2], &[Format::Txt, Format::Json]);
        assert_eq!(
            files,
            [["out/sub/b.v2.txt", "out/sub/b.v2.json"].map(PathBuf::from)]
        );
    }

    #[test]
    fn no_two_transcripts_share_a_name() {
        let recordings = [
            file("a.wav", "a.wav"),
            file("A.mp3", "A.mp3"),
            file("x/b.wav", "b.wav"),
            file("y/b.wav", "b.wav"),
            file("../x/c.wav", "c.wav"),
            file("x/c.wav", "c.wav"),
            file("x/c.wav.2.wav", "c.wav.2.wav"),
            file("d.wav", "d.wav"),
            file("d.partial.wav", "d.partial.wav"),
        ];
        assert_eq!(
            names(&recordings),
            [
                "a.wav",
                "A.mp3",
                "x/b.wav",
                "y/b.wav",
                "x/c.wav",
                "x/c.wav.2",
                "c.wav.2",
                "d",
                "d.partial.wav"
            ]
        );
    }

    #[test]
    fn standard_output_takes_what_can_be_told_apart() {
        let (one, two) = (vec![file("a", "a")], vec![file("a", "a"), file("b", "b")]);
        let stdout = |recordings, formats| Place::of(None, None, recordings, formats);
        assert_eq!(stdout(&one, &[Format::Srt]), Ok(Place::Stdout));
        assert_eq!(stdout(&two, &[Format::Txt]), Ok(Place::Stdout));
        assert_eq!(stdout(&two, &[Format::Ndjson]), Ok(Place::Stdout));
        assert!(stdout(&two, &[Format::Srt]).is_err());
        assert!(stdout(&one, &[Format::Srt, Format::Txt]).is_err());
        let to = |output: &str| Place::of(Some(Path::new(output)), None, &two, &[Format::Txt]);
        assert_eq!(to("-"), Ok(Place::Stdout));
        assert_eq!(
            to("b.txt"),
            Err(PlaceError::Several {
                recordings: 2,
                formats: 1
            })
        );
    }

    #[test]
    fn a_recording_is_not_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.wav");
        fs::write(&path, "").unwrap();
        let recordings = [file(path.to_str().unwrap(), "a.wav")];
        let same = dir.path().join(".").join("a.wav");
        assert_eq!(
            Place::of(Some(&same), None, &recordings, &[Format::Txt]),
            Err(PlaceError::OverRecording(same))
        );
        // What a file holds does not depend on its name.
        let path = dir.path().join("a.txt");
        fs::write(&path, "").unwrap();
        let recordings = [file(path.to_str().unwrap(), "a.txt")];
        let folder = |formats: &[Format]| Place::of(None, Some(dir.path()), &recordings, formats);
        assert!(folder(&[Format::Csv]).is_ok());
        assert_eq!(
            folder(&[Format::Csv, Format::Txt]),
            Err(PlaceError::OverRecording(path))
        );
    }
}
