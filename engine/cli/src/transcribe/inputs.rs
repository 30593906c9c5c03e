//! From what is named on the command line to recordings.

use std::{
    collections::HashSet,
    ffi::OsStr,
    fs, io,
    path::{Path, PathBuf},
};

use glob::MatchOptions;
use thiserror::Error;
use walkdir::WalkDir;

/// The extensions of recordings; other files in folders are passed over.
const EXTENSIONS: [&str; 17] = [
    "wav", "wave", "mp3", "flac", "ogg", "oga", "opus", "m4a", "m4b", "mp4", "m4v", "aac", "ulaw",
    "ul", "mulaw", "alaw", "al",
];

/// A recording to transcribe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Standard input.
    Stdin,
    /// A file.
    File {
        path: PathBuf,
        /// Its place below the folder that was named, or its name.
        relative: PathBuf,
    },
}

impl Input {
    /// How it is called.
    pub(super) fn name(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("-"),
            Self::File { path, .. } => path,
        }
    }

    /// The place of its transcript below the output folder, with the recording's extension.
    pub(super) fn relative(&self) -> &Path {
        match self {
            Self::Stdin => Path::new("stdin"),
            Self::File { relative, .. } => relative,
        }
    }
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Inputs {
    /// In the order named, folders in the order of their names, each once.
    pub(super) recordings: Vec<Input>,
    /// What was named and is not there.
    pub(super) problems: Vec<InputError>,
    /// Files in folders that are no recordings.
    pub(super) others: usize,
    seen: HashSet<PathBuf>,
}

/// Why something that was named gives no recording.
#[derive(Debug, Error)]
pub(super) enum InputError {
    #[error("{}: there is no such file or folder", .0.display())]
    Missing(PathBuf),
    #[error("{0}: no file matches this pattern")]
    NoMatch(String),
    #[error("{pattern}: this pattern is wrong at character {at}: {reason}")]
    Pattern {
        pattern: String,
        at: usize,
        reason: &'static str,
    },
    #[error("{}: there is no recording in this folder{}", folder.display(), passed_over(*others))]
    NoRecording { folder: PathBuf, others: usize },
    #[error("{}: cannot be read", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

fn passed_over(others: usize) -> String {
    match others {
        0 => String::new(),
        1 => ", but 1 other file".to_owned(),
        others => format!(", but {others} other files"),
    }
}

/// Finds every recording that is meant. `flat`: not in folders within folders.
pub(super) fn find(named: &[PathBuf], flat: bool) -> Inputs {
    let mut inputs = Inputs::default();
    for path in named {
        if path.as_os_str() == "-" {
            if !inputs.recordings.contains(&Input::Stdin) {
                inputs.recordings.push(Input::Stdin);
            }
            continue;
        }
        match fs::metadata(path) {
            Ok(about) => inputs.add(path, about.is_dir(), flat),
            Err(error) if error.kind() == io::ErrorKind::NotFound => match path.to_str() {
                Some(pattern) if pattern.contains(['*', '?', '[']) => {
                    inputs.add_matches(pattern, flat);
                }
                _ => inputs.problems.push(InputError::Missing(path.clone())),
            },
            Err(source) => inputs.unreadable(path, source),
        }
    }
    inputs
}

impl Inputs {
    fn add(&mut self, path: &Path, is_folder: bool, flat: bool) {
        if is_folder {
            self.add_folder(path, flat);
        } else {
            let relative = path.file_name().unwrap_or(path.as_os_str());
            self.add_file(path, Path::new(relative));
        }
    }

    fn add_file(&mut self, path: &Path, relative: &Path) {
        // What cannot be resolved is told when it is opened.
        let same = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if self.seen.insert(same) {
            self.recordings.push(Input::File {
                path: path.to_owned(),
                relative: relative.to_owned(),
            });
        }
    }

    /// As the shell would have, had the pattern not been quoted.
    fn add_matches(&mut self, pattern: &str, flat: bool) {
        let options = MatchOptions {
            require_literal_leading_dot: true,
            require_literal_separator: true,
            ..MatchOptions::default()
        };
        let paths = match glob::glob_with(pattern, options) {
            Ok(paths) => paths,
            Err(error) => {
                return self.problems.push(InputError::Pattern {
                    pattern: pattern.to_owned(),
                    at: error.pos + 1,
                    reason: error.msg,
                });
            }
        };
        let mut any = false;
        for path in paths {
            any = true;
            match path {
                Ok(path) => self.add(&path, path.is_dir(), flat),
                Err(error) => {
                    let path = error.path().to_owned();
                    self.unreadable(&path, error.into());
                }
            }
        }
        if !any {
            self.problems.push(InputError::NoMatch(pattern.to_owned()));
        }
    }

    fn add_folder(&mut self, folder: &Path, flat: bool) {
        let (mut found, mut others, problems) = (0, 0, self.problems.len());
        let walk = WalkDir::new(folder)
            .follow_links(true)
            .sort_by_file_name()
            .max_depth(if flat { 1 } else { usize::MAX });
        let visible = |entry: &walkdir::DirEntry| {
            entry.depth() == 0 || !entry.file_name().as_encoded_bytes().starts_with(b".")
        };
        for entry in walk.into_iter().filter_entry(visible) {
            match entry {
                Ok(entry) if entry.file_type().is_dir() => {}
                // A pipe or a socket may have nobody at its other end.
                Ok(entry) if entry.file_type().is_file() && is_recording(entry.path()) => {
                    found += 1;
                    let relative = entry.path().strip_prefix(folder);
                    self.add_file(entry.path(), relative.unwrap_or(entry.path()));
                }
                Ok(_) => others += 1,
                // A link to a folder that this one lies in: its recordings are found without it.
                Err(error) if error.loop_ancestor().is_some() => {}
                Err(error) => {
                    let path = error.path().unwrap_or(folder).to_owned();
                    let source = error.into_io_error();
                    self.unreadable(&path, source.unwrap_or(io::ErrorKind::Other.into()));
                }
            }
        }
        self.others += others;
        if found == 0 && self.problems.len() == problems {
            self.problems.push(InputError::NoRecording {
                folder: folder.to_owned(),
                others,
            });
        }
    }

    fn unreadable(&mut self, path: &Path, source: io::Error) {
        let path = path.to_owned();
        self.problems.push(InputError::Unreadable { path, source });
    }
}

fn is_recording(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| {
        let mut known = EXTENSIONS.iter();
        known.any(|known| known.eq_ignore_ascii_case(extension))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder with these files in it.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        dir
    }

    /// Finds below `dir`, and names what was found as it lies there.
    fn found(dir: &Path, named: &[&str], flat: bool) -> (Vec<String>, Inputs) {
        let named: Vec<PathBuf> = named.iter().map(|name| dir.join(name)).collect();
        let inputs = find(&named, flat);
        let names = inputs.recordings.iter().map(|input| {
            let name = input.name();
            let name = name.strip_prefix(dir).unwrap_or(name);
            format!("{} > {}", name.display(), input.relative().display())
        });
        (names.collect(), inputs)
    }

    #[test]
    fn folders_are_searched_in_order_and_other_files_counted() {
        let dir = folder(&[
            "b.wav",
            "a.MP3",
            "sub/c.opus",
            "notes.txt",
            ".hidden.wav",
            ".git/x.wav",
        ]);
        let (names, inputs) = found(dir.path(), &["."], false);
        assert_eq!(
            names,
            ["a.MP3 > a.MP3", "b.wav > b.wav", "sub/c.opus > sub/c.opus"]
        );
        assert_eq!((inputs.others, inputs.problems.len()), (1, 0));
        let (names, _) = found(dir.path(), &["."], true);
        assert_eq!(names, ["a.MP3 > a.MP3", "b.wav > b.wav"]);
    }

    #[test]
    fn a_recording_named_twice_is_one() {
        let dir = folder(&["x/a.wav", "x/b.wav"]);
        let named = ["x/b.wav", "x", "x/../x/a.wav", "x/*.wav"];
        let (names, _) = found(dir.path(), &named, false);
        assert_eq!(names, ["x/b.wav > b.wav", "x/a.wav > a.wav"]);
        let twice = find(&["-".into(), "-".into()], false);
        assert_eq!(twice.recordings, [Input::Stdin]);
    }

    #[test]
    fn patterns_match_as_in_a_shell() {
        let dir = folder(&[
            "a1.wav",
            "a2.wav",
            "b.wav",
            "sub/a3.wav",
            ".a4.wav",
            "[x].wav",
            "a.txt",
        ]);
        let (names, _) = found(dir.path(), &["a?.wav"], false);
        assert_eq!(names, ["a1.wav > a1.wav", "a2.wav > a2.wav"]);
        let (names, _) = found(dir.path(), &["**/a*.wav"], false);
        assert_eq!(names.len(), 3);
        // What is named is tried, whatever its name.
        let (names, _) = found(dir.path(), &["*.txt", "[x].wav"], false);
        assert_eq!(names, ["a.txt > a.txt", "[x].wav > [x].wav"]);
    }

    #[test]
    fn what_gives_nothing_is_told_and_the_rest_goes_on() {
        let dir = folder(&["a.wav", "only/notes.txt", "none/x"]);
        fs::remove_file(dir.path().join("none/x")).unwrap();
        let named = ["gone.wav", "*.flac", "only", "none", "***", "a.wav"];
        let (names, inputs) = found(dir.path(), &named, false);
        assert_eq!(names, ["a.wav > a.wav"]);
        let prefix = format!("{}/", dir.path().display());
        let told: Vec<String> = inputs
            .problems
            .iter()
            .map(|problem| problem.to_string().replace(&prefix, ""))
            .collect();
        assert_eq!(
            told[..4],
            [
                "gone.wav: there is no such file or folder",
                "*.flac: no file matches this pattern",
                "only: there is no recording in this folder, but 1 other file",
                "none: there is no recording in this folder",
            ]
        );
        assert!(
            told[4].starts_with("***: this pattern is wrong at character "),
            "{}",
            told[4]
        );
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_passed_over_in_folders() {
        let dir = folder(&["a.wav"]);
        let socket = dir.path().join("socket.wav");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        std::os::unix::fs::symlink(&socket, dir.path().join("link.wav")).unwrap();
        let (names, inputs) = found(dir.path(), &["."], false);
        assert_eq!(names, ["a.wav > a.wav"]);
        assert_eq!((inputs.others, inputs.problems.len()), (2, 0));
    }

    #[cfg(unix)]
    #[test]
    fn links_that_run_in_circles_end() {
        let dir = folder(&["sub/a.wav"]);
        std::os::unix::fs::symlink(dir.path(), dir.path().join("sub/up")).unwrap();
        let (names, inputs) = found(dir.path(), &["."], false);
        assert_eq!(names, ["sub/a.wav > sub/a.wav"]);
        assert!(inputs.problems.is_empty());
    }
}
