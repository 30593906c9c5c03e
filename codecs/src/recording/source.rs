//! The bytes of a recording, from a file or a pipe.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    sync::{Arc, Mutex, PoisonError},
};

use symphonia::core::io::MediaSource;

/// Bytes with a look at those to come. A failure of the system ends them, and is kept apart:
/// symphonia could not tell it from the end of the bytes.
pub(super) struct Source {
    /// Looked at, but not read.
    ahead: Vec<u8>,
    /// How much of `ahead` is read.
    used: usize,
    input: Input,
    /// Where the next byte is.
    at: u64,
    /// Whether it may be sought: else it is as a pipe.
    seeks: bool,
    failure: Failure,
}

enum Input {
    File { file: Box<dyn ReadSeek>, len: u64 },
    Pipe(Box<dyn Read + Send + Sync>),
}

/// How much is read at once, at least, where bytes are looked at.
const READ_AHEAD: usize = 32 * 1_024;

trait ReadSeek: Read + Seek + Send + Sync {}

impl<T: Read + Seek + Send + Sync> ReadSeek for T {}

/// What went wrong with reading, for who holds the other end.
#[derive(Clone, Debug, Default)]
pub(super) struct Failure(Arc<Mutex<Option<io::Error>>>);

impl Failure {
    pub(super) fn take(&self) -> Option<io::Error> {
        self.lock().take()
    }

    fn set(&self, error: io::Error) {
        *self.lock() = Some(error);
    }

    fn is_set(&self) -> bool {
        self.lock().is_some()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<io::Error>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Source {
    pub(super) fn from_file(file: File) -> io::Result<Self> {
        let metadata = file.metadata()?;
        if metadata.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        if metadata.is_file() {
            Self::from_seekable(file)
        } else {
            Ok(Self::from_reader(file))
        }
    }

    /// All of `file`, wherever it stands.
    pub(super) fn from_seekable(
        mut file: impl Read + Seek + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let len = file.seek(SeekFrom::End(0))?;
        file.rewind()?;
        Ok(Self::new(Input::File {
            file: Box::new(file),
            len,
        }))
    }

    pub(super) fn from_reader(reader: impl Read + Send + Sync + 'static) -> Self {
        Self::new(Input::Pipe(Box::new(reader)))
    }

    fn new(input: Input) -> Self {
        Self {
            ahead: Vec::new(),
            used: 0,
            input,
            at: 0,
            seeks: false,
            failure: Failure::default(),
        }
    }

    /// How many bytes a file has.
    pub(super) fn len(&self) -> Option<u64> {
        match self.input {
            Input::File { len, .. } => Some(len),
            Input::Pipe(_) => None,
        }
    }

    /// Where the next byte is.
    pub(super) const fn at(&self) -> u64 {
        self.at
    }

    pub(super) fn failure(&self) -> Failure {
        self.failure.clone()
    }

    /// The failure that ended the bytes.
    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.failure.take()
    }

    /// For the next [`take_failure`](Self::take_failure).
    pub(super) fn put_back(&self, failure: io::Error) {
        self.failure.set(failure);
    }

    /// The next bytes, up to `len` of them, which stay to be read.
    pub(super) fn peek(&mut self, len: usize) -> &[u8] {
        if self.ahead.len() - self.used < len {
            self.ahead.drain(..self.used);
            self.used = 0;
            let mut filled = self.ahead.len();
            self.ahead.resize(len + READ_AHEAD, 0);
            while filled < len {
                match self.input.read(&mut self.ahead[filled..], &self.failure) {
                    0 => break,
                    found => filled += found,
                }
            }
            self.ahead.truncate(filled);
        }
        let ahead = &self.ahead[self.used..];
        &ahead[..len.min(ahead.len())]
    }

    /// Puts `bytes` before the next one.
    pub(super) fn prepend(&mut self, bytes: &[u8]) {
        self.ahead.splice(..self.used, bytes.iter().copied());
        self.used = 0;
        self.at = self.at.saturating_sub(bytes.len() as u64);
    }

    /// Reads until `buffer` is full or the bytes end, and says how many came.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut filled = 0;
        while filled < buffer.len() {
            match Read::read(self, &mut buffer[filled..]) {
                Ok(found @ 1..) => filled += found,
                Ok(0) | Err(_) => break,
            }
        }
        filled
    }

    /// Reads exactly as many bytes as `N`.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let mut bytes = [0; N];
        (self.fill(&mut bytes) == N).then_some(bytes)
    }

    /// Leaves out `len` bytes; `false` where there are fewer.
    pub(super) fn skip(&mut self, mut len: u64) -> bool {
        let mut scratch = [0; 4_096];
        while len > 0 {
            let part = len.min(scratch.len() as u64) as usize;
            let found = self.fill(&mut scratch[..part]);
            len -= found as u64;
            if found < part {
                return false;
            }
        }
        true
    }

    /// Lets a file seem longer than it is.
    pub(super) fn pretend_len(&mut self, longer: u64) {
        if let Input::File { len, .. } = &mut self.input {
            *len = longer;
        }
    }

    /// Lets a file be sought from now on.
    pub(super) fn allow_seeking(mut self) -> Self {
        self.seeks = matches!(self.input, Input::File { .. });
        self
    }
}

impl Input {
    /// As [`Read::read`], with nothing where it fails. A signal is no reason to stop.
    fn read(&mut self, buffer: &mut [u8], failure: &Failure) -> usize {
        while !failure.is_set() {
            let result = match self {
                Self::File { file, .. } => file.read(buffer),
                Self::Pipe(pipe) => pipe.read(buffer),
            };
            match result {
                Ok(found) => return found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    failure.set(error);
                    return 0;
                }
            }
        }
        0
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let ahead = &self.ahead[self.used..];
        let found = if ahead.is_empty() {
            self.input.read(buffer, &self.failure)
        } else {
            let found = ahead.len().min(buffer.len());
            buffer[..found].copy_from_slice(&ahead[..found]);
            self.used += found;
            found
        };
        self.at += found as u64;
        Ok(found)
    }
}

impl Seek for Source {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let Input::File { file, len } = &mut self.input else {
            return Err(io::ErrorKind::Unsupported.into());
        };
        let to = match to {
            SeekFrom::Start(to) => Some(to),
            // Not the file's own position, which is ahead by what was looked at.
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => len.checked_add_signed(by),
        };
        self.at = file.seek(SeekFrom::Start(to.ok_or(io::ErrorKind::InvalidInput)?))?;
        self.ahead.clear();
        self.used = 0;
        Ok(self.at)
    }
}

impl MediaSource for Source {
    fn is_seekable(&self) -> bool {
        self.seeks
    }

    fn byte_len(&self) -> Option<u64> {
        self.len().filter(|_| self.seeks)
    }
}
