//! Models from files at hand, for machines without a network.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{FetchError, archive, part::Part};
use crate::{Archive, Entry, ModelFile, Sha256Digest};

/// Which of the given paths a file of a model is to come from.
#[derive(Debug)]
pub(super) enum Given {
    /// The file itself.
    File(PathBuf),
    /// The archive that it is in.
    Archive(PathBuf),
}

/// Looks among `paths`, files and folders, for `file`, by its name there or its archive's. A single file is
/// taken under any name if `entry` has but one.
pub(super) fn find(
    entry: &Entry,
    file: &ModelFile,
    paths: &[PathBuf],
) -> Result<Given, FetchError> {
    let archive_name = file.url.rsplit('/').next().unwrap_or_default();
    let mut choices = Vec::new();
    for path in paths {
        if path.is_dir() {
            choices.extend([path.join(&file.name), path.join(archive_name)]);
        } else {
            choices.push(path.clone());
        }
    }
    let named = |name: &str| {
        let mut choices = choices.iter();
        choices.find(|path| path.file_name().is_some_and(|n| n == name) && path.is_file())
    };
    if let Some(path) = named(&file.name) {
        return Ok(Given::File(path.clone()));
    }
    if let (Some(_), Some(path)) = (&file.archive, named(archive_name)) {
        return Ok(Given::Archive(path.clone()));
    }
    match (paths, &entry.files[..]) {
        ([path], [_]) if !path.is_dir() => {
            let unreadable = |source| FetchError::Read {
                path: path.clone(),
                source,
            };
            let size_bytes = fs::metadata(path).map_err(unreadable)?.len();
            let archive = file.archive.as_ref();
            if archive.is_some_and(|archive| archive.size_bytes == size_bytes) {
                Ok(Given::Archive(path.clone()))
            } else {
                Ok(Given::File(path.clone()))
            }
        }
        _ => Err(FetchError::NotGiven {
            name: file.name.clone(),
            url: file.url.clone(),
        }),
    }
}

/// Fills `part`, empty at first, from the file at `path`. Blocks.
pub(super) fn copy(path: &Path, file: &ModelFile, part: &mut Part) -> Result<(), FetchError> {
    const PIECE_BYTES: usize = 1 << 18;
    let unreadable = |source| FetchError::Read {
        path: path.to_owned(),
        source,
    };
    check_size(path, file.size_bytes)?;
    let mut given = File::open(path).map_err(unreadable)?.take(file.size_bytes);
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        match given.read(&mut piece).map_err(unreadable)? {
            0 => return Ok(()),
            n => part.append(&piece[..n])?,
        }
    }
}

/// Fills `part`, empty at first, from the archive at `path`. Blocks.
pub(super) fn unpack(
    path: &Path,
    wanted: &Archive,
    file: &ModelFile,
    part: &mut Part,
) -> Result<(), FetchError> {
    let origin = path.display().to_string();
    check_size(path, wanted.size_bytes)?;
    let digest = File::open(path).and_then(Sha256Digest::of_reader);
    let actual = digest.map_err(|source| FetchError::Read {
        path: path.to_owned(),
        source,
    })?;
    if actual != wanted.sha256 {
        return Err(FetchError::WrongDigest {
            origin,
            expected: wanted.sha256,
            actual,
        });
    }
    archive::unpack(path, &origin, &wanted.member, file, part)
}

fn check_size(path: &Path, expected_bytes: u64) -> Result<(), FetchError> {
    let about = fs::metadata(path).map_err(|source| FetchError::Read {
        path: path.to_owned(),
        source,
    })?;
    if about.len() == expected_bytes {
        Ok(())
    } else {
        Err(FetchError::GivenWrongSize {
            path: path.to_owned(),
            expected_bytes,
            actual_bytes: about.len(),
        })
    }
}
