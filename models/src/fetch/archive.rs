//! Takes one file out of an archive.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use zip::ZipArchive;
use zip::result::ZipError;

use super::{FetchError, part::Part};
use crate::ModelFile;

/// Unpacks the archive at `path`, which came from `origin`, into `part`, empty at first. Nothing but the member
/// `name` is looked at, and no path of the archive becomes one on the disk. Blocks.
pub(super) fn unpack(
    path: &Path,
    origin: &str,
    name: &str,
    file: &ModelFile,
    part: &mut Part,
) -> Result<(), FetchError> {
    const PIECE_BYTES: usize = 1 << 18;
    let failed = |source: ZipError| FetchError::Archive {
        origin: origin.to_owned(),
        member: name.to_owned(),
        source: source.into(),
    };
    let archive = File::open(path).map_err(|source| FetchError::Read {
        path: path.to_owned(),
        source,
    })?;
    let mut archive = ZipArchive::new(archive).map_err(failed)?;
    let mut member = archive.by_name(name).map_err(failed)?;
    let mut piece = vec![0; PIECE_BYTES];
    loop {
        let n = member
            .read(&mut piece)
            .map_err(|source| failed(source.into()))?;
        if n == 0 {
            return Ok(());
        }
        // However much a hostile archive unpacks to, it is not written.
        if part.len() + n as u64 > file.size_bytes {
            part.reset()?;
            return Err(FetchError::TooLong {
                url: format!("{name} of {origin}"),
                expected_bytes: file.size_bytes,
            });
        }
        part.append(&piece[..n])?;
    }
}
