//! What is in the models directory, and taking it out again.

use std::fs::{self, File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use crate::{Entry, ModelError, ModelFile};

/// How much of a model is in the models directory, by the sizes of its files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Presence {
    /// Nothing.
    Absent,
    /// Some: a fetch that was cut short, which the next one takes up again.
    Partial {
        /// What is there, in bytes; for a model in an archive, of the archive.
        bytes: u64,
    },
    /// Every file, in its size.
    Here,
    /// A file that is longer or shorter than the manifest states.
    Damaged,
}

/// How much of `entry` is in `dir`. Reads no file; [`verify_in`](crate::verify_in) does.
#[must_use]
pub fn presence_in(dir: &Path, entry: &Entry) -> Presence {
    let size = |path: &Path| fs::metadata(path).ok().map(|about| about.len());
    let (mut partial, mut complete) = (0, true);
    for file in &entry.files {
        match size(&dir.join(&file.name)) {
            Some(bytes) if bytes == file.size_bytes => partial += bytes,
            Some(_) => return Presence::Damaged,
            None => {
                complete = false;
                let parts = [file.part_in(dir), file.archive_part_in(dir)];
                partial += parts.iter().filter_map(|part| size(part)).sum::<u64>();
            }
        }
    }
    match (complete, partial) {
        (true, _) => Presence::Here,
        (false, 0) => Presence::Absent,
        (false, bytes) => Presence::Partial { bytes },
    }
}

/// Removes the files of `entry` from `dir`, and what an unfinished fetch of it has left there. Returns
/// how many bytes that were; 0 when nothing was there.
///
/// # Errors
///
/// [`ModelError::Busy`] while one of them is being fetched, [`ModelError::Remove`].
pub fn remove_in(dir: &Path, entry: &Entry) -> Result<u64, ModelError> {
    let mut freed_bytes = 0;
    for file in &entry.files {
        if !dir.is_dir() {
            break;
        }
        let Some(_lock) = FileLock::try_on(dir, file)
            .map_err(|(path, source)| ModelError::Remove { path, source })?
        else {
            return Err(ModelError::Busy {
                path: dir.join(&file.name),
            });
        };
        let paths = [
            dir.join(&file.name),
            file.part_in(dir),
            file.archive_part_in(dir),
        ];
        for path in paths {
            let bytes = fs::metadata(&path).map_or(0, |about| about.len());
            match fs::remove_file(&path) {
                Ok(()) => freed_bytes += bytes,
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(source) => return Err(ModelError::Remove { path, source }),
            }
        }
    }
    Ok(freed_bytes)
}

impl ModelFile {
    /// Where the file grows while it is fetched.
    pub(crate) fn part_in(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.part", self.name))
    }

    /// Where the archive grows that holds the file.
    pub(crate) fn archive_part_in(&self, dir: &Path) -> PathBuf {
        dir.join(format!("{}.archive.part", self.name))
    }
}

/// While it lives, nobody else fetches or removes the file. The lock is on an empty file of its own,
/// which stays: one that is removed could be locked by two.
#[derive(Debug)]
pub(crate) struct FileLock {
    _file: File,
}

impl FileLock {
    /// The lock, unless another has it.
    pub(crate) fn try_on(
        dir: &Path,
        file: &ModelFile,
    ) -> Result<Option<Self>, (PathBuf, io::Error)> {
        let path = dir.join(format!(".{}.lock", file.name));
        let open = File::options()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = match open {
            Ok(file) => file,
            Err(source) => return Err((path, source)),
        };
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err((path, source)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::entry;

    fn write(path: PathBuf, size_bytes: u64) {
        File::create(path).unwrap().set_len(size_bytes).unwrap();
    }

    #[test]
    fn presence_goes_by_the_sizes() {
        let dir = tempfile::tempdir().unwrap();
        let entry = entry("piper-es_ES-davefx-medium").unwrap();
        let [voice, description] = &entry.files[..] else {
            panic!()
        };
        let presence = || presence_in(dir.path(), entry);
        assert_eq!(presence(), Presence::Absent);
        write(voice.part_in(dir.path()), 1000);
        assert_eq!(presence(), Presence::Partial { bytes: 1000 });
        write(dir.path().join(&description.name), description.size_bytes);
        let bytes = 1000 + description.size_bytes;
        assert_eq!(presence(), Presence::Partial { bytes });
        write(dir.path().join(&voice.name), voice.size_bytes);
        assert_eq!(presence(), Presence::Here);
        write(dir.path().join(&voice.name), voice.size_bytes - 1);
        assert_eq!(presence(), Presence::Damaged);
    }

    #[test]
    fn remove_takes_what_is_the_models_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for (name, size_bytes) in [
            ("ggml-tiny.bin", 10),
            ("ggml-tiny.bin.part", 5),
            ("ggml-tiny.bin.archive.part", 2),
            ("ggml-tiny.en.bin", 7),
        ] {
            write(at(name), size_bytes);
        }
        let tiny = entry("tiny").unwrap();
        assert_eq!(remove_in(dir.path(), tiny).unwrap(), 17);
        assert_eq!(remove_in(dir.path(), tiny).unwrap(), 0);
        assert_eq!(presence_in(dir.path(), tiny), Presence::Absent);
        assert!(at("ggml-tiny.en.bin").exists());
        assert_eq!(remove_in(&at("nowhere"), tiny).unwrap(), 0);
        assert!(!at("nowhere").exists());
    }

    #[test]
    fn what_is_being_fetched_is_not_removed() {
        let dir = tempfile::tempdir().unwrap();
        let tiny = entry("tiny").unwrap();
        write(dir.path().join("ggml-tiny.bin.part"), 5);
        let lock = FileLock::try_on(dir.path(), tiny.main_file()).unwrap();
        assert!(lock.is_some());
        let error = remove_in(dir.path(), tiny).unwrap_err();
        assert!(matches!(error, ModelError::Busy { .. }), "{error}");
        drop(lock);
        assert_eq!(remove_in(dir.path(), tiny).unwrap(), 5);
    }
}
