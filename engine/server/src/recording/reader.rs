//! From a file to whoever listens to it afterwards.

use std::{
    fs::File,
    io::{self, Read as _, Seek as _, SeekFrom},
    ops::Range,
    path::PathBuf,
};

use futures_util::{Stream, stream};

use super::{
    RecordingError,
    crypt::Source,
    recorder::blocking,
    wav::{self, HEADER},
};
use crate::store::{RecordingFile, RecordingFormat};

/// How much is read at once, in bytes.
const PIECE: usize = 64 * 1_024;

/// The recording of a call, to be read in whole or in part, decrypted where it is encrypted. Of a call
/// that goes on it is what there was when it was opened.
pub struct RecordingReader {
    source: Source,
    path: PathBuf,
    format: RecordingFormat,
    len: u64,
    /// A WAV file's header, with the lengths that are true now.
    header: Vec<u8>,
}

/// Part of a recording, to be read piece by piece.
pub type ReadRange = std::pin::Pin<Box<dyn Stream<Item = io::Result<Vec<u8>>> + Send>>;

impl RecordingReader {
    pub(super) async fn open(
        file: RecordingFile,
        identity: Option<PathBuf>,
    ) -> Result<Self, RecordingError> {
        blocking(move || Self::open_blocking(file, identity)).await
    }

    fn open_blocking(
        file: RecordingFile,
        identity: Option<PathBuf>,
    ) -> Result<Self, RecordingError> {
        let RecordingFile {
            path,
            format,
            encrypted,
            ..
        } = file;
        let unreadable = |source| RecordingError::Read {
            path: path.clone(),
            source,
        };
        let open = || {
            let opened = File::open(&path).map_err(unreadable)?;
            if encrypted {
                let identity = identity.as_ref().ok_or(RecordingError::NoIdentity)?;
                Source::decrypt(&path, opened, identity)
            } else {
                Ok(Source::Plain(opened))
            }
        };
        let mut source = open()?;
        let len = match source.len() {
            // Its end is missing, because its writer was killed: it is read through to see how far it
            // goes, and then opened anew, since it is of no use after a failure.
            Err(_) if encrypted => {
                let len = open()?.readable_len();
                source = open()?;
                len
            }
            len => len.map_err(unreadable)?,
        };
        let mut header = Vec::new();
        if format == RecordingFormat::Wav && len >= HEADER as u64 {
            let mut bytes = [0; HEADER];
            let read = source.rewind().and_then(|()| source.read_exact(&mut bytes));
            read.map_err(unreadable)?;
            wav::correct_lengths(&mut bytes, len);
            header = bytes.to_vec();
        }
        Ok(Self {
            source,
            path,
            format,
            len,
            header,
        })
    }

    /// How long it is, in bytes.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.len
    }

    /// Whether there is nothing of it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Its media type.
    #[must_use]
    pub fn content_type(&self) -> &'static str {
        match self.format {
            RecordingFormat::Wav => "audio/wav",
            RecordingFormat::Opus => "audio/ogg; codecs=opus",
        }
    }

    /// Reads the bytes in `range`, as far as there are any.
    #[must_use]
    pub fn read(self, range: Range<u64>) -> ReadRange {
        let end = range.end.min(self.len);
        Box::pin(stream::try_unfold(
            (self, range.start),
            move |(reader, at)| async move {
                if at >= end {
                    return Ok(None);
                }
                let (reader, piece) = blocking(move || {
                    let mut reader = reader;
                    let piece = reader.piece(at, end);
                    (reader, piece)
                })
                .await;
                let piece = piece?;
                let next = at + piece.len() as u64;
                Ok(Some((piece, (reader, next))))
            },
        ))
    }

    /// The next bytes from `at`, at least one.
    fn piece(&mut self, at: u64, end: u64) -> io::Result<Vec<u8>> {
        let len = usize::try_from(end - at).map_or(PIECE, |len| len.min(PIECE));
        let mut piece = vec![0; len];
        self.source.seek(SeekFrom::Start(at))?;
        self.source.read_exact(&mut piece)?;
        if let Ok(at) = usize::try_from(at)
            && at < self.header.len()
        {
            let corrected = &self.header[at..];
            let len = corrected.len().min(piece.len());
            piece[..len].copy_from_slice(&corrected[..len]);
        }
        Ok(piece)
    }
}

impl std::fmt::Debug for RecordingReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RecordingReader")
            .field("path", &self.path)
            .field("len", &self.len)
            .finish_non_exhaustive()
    }
}
