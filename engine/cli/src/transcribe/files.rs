//! Files that are there whole or not at all.

use std::{
    ffi::OsString,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// What stands before the extension of a file that is not complete.
pub(super) const PARTIAL: &str = "partial";

/// A file could not be written.
#[derive(Debug, Error)]
#[error("cannot write {}", path.display())]
pub(super) struct WriteError {
    path: PathBuf,
    source: io::Error,
}

impl WriteError {
    pub(super) fn new(path: &Path, source: io::Error) -> Self {
        Self {
            path: path.to_owned(),
            source,
        }
    }

    /// What follows would not fit either.
    pub(super) fn is_full(&self) -> bool {
        matches!(
            self.source.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
        )
    }
}

/// A file being written: under a name of its own until it is complete. Dropped before, it is removed.
#[derive(Debug)]
pub(super) struct Draft {
    path: PathBuf,
    /// Where it is written; the path itself where that is a device or a pipe.
    partial: PathBuf,
    /// None once it has been completed or left.
    out: Option<BufWriter<File>>,
}

impl Draft {
    /// Begins `path`. Folders on the way are made.
    pub(super) fn begin(path: &Path) -> Result<Self, WriteError> {
        let failed = |source| WriteError::new(path, source);
        let special = fs::metadata(path).is_ok_and(|about| !about.is_file() && !about.is_dir());
        let partial = if special {
            path.to_owned()
        } else {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder).map_err(failed)?;
            }
            partial(path)
        };
        let file = File::options()
            .write(true)
            .create(!special)
            .truncate(!special)
            .open(&partial)
            .map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            partial,
            out: Some(BufWriter::new(file)),
        })
    }

    /// Completes files that belong together, and returns their paths and their lengths in bytes. None appears before
    /// all are on the disk: where one does not fit, there is none.
    pub(super) fn complete_all(mut drafts: Vec<Self>) -> Result<Vec<(PathBuf, u64)>, WriteError> {
        let mut lengths = Vec::with_capacity(drafts.len());
        for draft in &mut drafts {
            let synced = draft.sync();
            lengths.push(synced.map_err(|source| WriteError::new(&draft.path, source))?);
        }
        let together = drafts.into_iter().zip(lengths);
        let appear = |(draft, bytes): (Self, u64)| Ok((draft.appear()?, bytes));
        together.map(appear).collect()
    }

    /// Brings all of it to the disk. Its length in bytes; 0 for a device.
    fn sync(&mut self) -> io::Result<u64> {
        self.out().flush()?;
        if self.is_special() {
            return Ok(0);
        }
        let file = self.out().get_ref();
        file.sync_all()?;
        Ok(file.metadata()?.len())
    }

    fn appear(mut self) -> Result<PathBuf, WriteError> {
        if !self.is_special() {
            let renamed = fs::rename(&self.partial, &self.path);
            renamed.map_err(|source| WriteError::new(&self.path, source))?;
        }
        self.out = None;
        Ok(self.path.clone())
    }

    /// Leaves what there is under its partial name, and returns that.
    pub(super) fn leave(mut self) -> Result<PathBuf, WriteError> {
        let flushed = self.out().flush();
        flushed.map_err(|source| WriteError::new(&self.partial, source))?;
        self.out = None;
        Ok(self.partial.clone())
    }

    fn is_special(&self) -> bool {
        self.partial == self.path
    }

    fn out(&mut self) -> &mut BufWriter<File> {
        let out = self.out.as_mut();
        out.expect("completing and leaving take the draft away")
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            // Nothing of it is wanted, so nothing is lost by not flushing it.
            let _ = out.into_parts();
            if !self.is_special() {
                let _ = fs::remove_file(&self.partial);
            }
        }
    }
}

impl Write for Draft {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.out().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out().flush()
    }
}

/// `call.json` as `call.partial.json`.
pub(super) fn partial(path: &Path) -> PathBuf {
    let mut name = OsString::from(path.file_stem().unwrap_or_default());
    name.push(".");
    name.push(PARTIAL);
    if let Some(extension) = path.extension() {
        name.push(".");
        name.push(extension);
    }
    path.with_file_name(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_complete() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("sub/call.v2.json");
        let mut draft = Draft::begin(&path).unwrap();
        draft.write_all(b"{}").unwrap();
        draft.flush().unwrap();
        assert!(!path.exists());
        assert_eq!(
            fs::read(dir.path().join("sub/call.v2.partial.json")).unwrap(),
            b"{}"
        );
        assert_eq!(
            Draft::complete_all(vec![draft]).unwrap(),
            [(path.clone(), 2)]
        );
        assert_eq!(fs::read(&path).unwrap(), b"{}");
        assert_eq!(fs::read_dir(path.parent().unwrap()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_dropped_leaves_the_older_file_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a.txt");
        fs::write(&path, "old").unwrap();
        let mut draft = Draft::begin(&path).unwrap();
        draft.write_all(b"new").unwrap();
        drop(draft);
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_is_left_is_under_its_partial_name() {
        let dir = tempfile::tempdir().unwrap();
        let mut draft = Draft::begin(&dir.path().join("a")).unwrap();
        draft.write_all(b"so far").unwrap();
        let left = draft.leave().unwrap();
        assert_eq!(left, dir.path().join("a.partial"));
        assert_eq!(fs::read_to_string(left).unwrap(), "so far");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_told() {
        let mut draft = Draft::begin(Path::new("/dev/full")).unwrap();
        draft.write_all(b"words").unwrap();
        let error = Draft::complete_all(vec![draft]).unwrap_err();
        assert!(error.is_full());
        let text = crate::in_full(&error);
        assert!(
            text.starts_with("cannot write /dev/full: No space left"),
            "{text}"
        );
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn where_one_file_does_not_fit_none_appears() {
        let dir = tempfile::tempdir().unwrap();
        let fits = Draft::begin(&dir.path().join("a.txt")).unwrap();
        let mut full = Draft::begin(Path::new("/dev/full")).unwrap();
        full.write_all(b"words").unwrap();
        let error = Draft::complete_all(vec![fits, full]).unwrap_err();
        assert!(error.to_string().contains("/dev/full"), "{error}");
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_impossible_place_is_named() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let error = Draft::begin(&dir.path().join("file/a.txt")).unwrap_err();
        assert!(error.to_string().contains("file/a.txt"), "{error}");
    }
}
