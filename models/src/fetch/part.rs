//! A file that grows beside its place until it is whole.

use std::fs::{self, File};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::FetchError;
use crate::Sha256Digest;
use crate::digest::RunningDigest;
use crate::inventory::FileLock;

/// What is there of a file, with its digest. Dropped when unfinished it stays for the next time,
/// unless it is empty.
#[derive(Debug)]
pub(super) struct Part {
    path: PathBuf,
    file: File,
    len: u64,
    digest: RunningDigest,
    /// Held by whoever writes: a write that outlives the fetch still has it.
    _lock: Arc<FileLock>,
}

impl Part {
    /// Opens the part at `path` and reads what is there; more than `size_bytes` cannot be right, and is
    /// thrown away. Blocks.
    pub(super) fn open(
        path: PathBuf,
        size_bytes: u64,
        lock: Arc<FileLock>,
    ) -> Result<Self, FetchError> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| FetchError::Write {
                path: path.clone(),
                source,
            })?;
        let mut part = Self {
            path,
            file,
            len: 0,
            digest: RunningDigest::default(),
            _lock: lock,
        };
        let there = part.file.metadata().map_or(u64::MAX, |about| about.len());
        if there > size_bytes {
            part.reset()?;
        } else {
            let read = part.digest.read(&part.file);
            part.len = read.map_err(|source| FetchError::Read {
                path: part.path.clone(),
                source,
            })?;
        }
        Ok(part)
    }

    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn digest(&self) -> Sha256Digest {
        self.digest.so_far()
    }

    /// Blocks.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), FetchError> {
        // What a full disk took of a write that failed is beyond `len`: it must not stay.
        if let Err(source) = self.file.write_all(bytes) {
            let _ = self.file.set_len(self.len);
            return Err(self.unwritable(source));
        }
        self.len += bytes.len() as u64;
        self.digest.update(bytes);
        Ok(())
    }

    /// Throws away what is there. Blocks.
    pub(super) fn reset(&mut self) -> Result<(), FetchError> {
        let cleared = self.file.set_len(0);
        cleared
            .and_then(|()| self.file.seek(SeekFrom::Start(0)))
            .map_err(|source| self.unwritable(source))?;
        self.len = 0;
        self.digest = RunningDigest::default();
        Ok(())
    }

    /// Puts the whole file in its place, over what may be there. Blocks until it is on the disk.
    pub(super) fn install(self, place: &Path) -> Result<(), FetchError> {
        self.file
            .sync_all()
            .and_then(|()| fs::rename(&self.path, place))
            .map_err(|source| FetchError::Write {
                path: place.to_owned(),
                source,
            })
    }

    /// Removes it: it has served. Blocks.
    pub(super) fn remove(mut self) -> Result<(), FetchError> {
        // Empty, it goes when dropped.
        self.reset()
    }

    fn unwritable(&self, source: std::io::Error) -> FetchError {
        FetchError::Write {
            path: self.path.clone(),
            source,
        }
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        if self.len == 0 {
            // An empty file left behind is untidy, no more.
            let _ = fs::remove_file(&self.path);
        }
    }
}
