//! Encryption at rest, in the age format: <https://age-encryption.org/v1>.

use std::{
    fs::File,
    io::{self, BufReader, Read, Seek, Write},
    path::Path,
    str::FromStr as _,
};

use age::{Decryptor, Encryptor, IdentityFile, stream::StreamReader, stream::StreamWriter, x25519};

use super::RecordingError;

/// Who can read recordings; nobody: they are not encrypted.
pub(super) struct Recipients(Vec<x25519::Recipient>);

impl Recipients {
    pub(super) fn parse(texts: &[String]) -> Result<Self, RecordingError> {
        let recipients = texts.iter().map(|text| {
            x25519::Recipient::from_str(text).map_err(|_| RecordingError::Recipient {
                given: text.clone(),
            })
        });
        recipients.collect::<Result<_, _>>().map(Self)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A file that is encrypted as it is written.
    pub(super) fn encrypt(&self, file: File) -> io::Result<StreamWriter<File>> {
        let recipients = self.0.iter().map(|recipient| recipient as _);
        Encryptor::with_recipients(recipients)
            .map_err(io::Error::other)?
            .wrap_output(file)
    }
}

impl std::fmt::Debug for Recipients {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list()
            .entries(self.0.iter().map(ToString::to_string))
            .finish()
    }
}

/// What a recording is written to.
pub(super) enum Sink {
    Plain(File),
    Encrypted(StreamWriter<File>),
}

impl Sink {
    /// Writes what is still held back.
    pub(super) fn finish(self) -> io::Result<()> {
        let file = match self {
            Self::Plain(file) => file,
            Self::Encrypted(writer) => writer.finish()?,
        };
        file.sync_all()
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.write(bytes),
            Self::Encrypted(writer) => writer.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(file) => file.flush(),
            Self::Encrypted(writer) => writer.flush(),
        }
    }
}

/// What a recording is read from.
pub(super) enum Source {
    Plain(File),
    Encrypted(Box<StreamReader<BufReader<File>>>),
}

impl Source {
    /// Opens an encrypted file with the keys in the file `identity`.
    pub(super) fn decrypt(
        path: &Path,
        file: File,
        identity: &Path,
    ) -> Result<Self, RecordingError> {
        let unreadable = |source| RecordingError::Identity {
            path: identity.to_owned(),
            source,
        };
        let undecipherable = |source| RecordingError::Decrypt {
            path: path.to_owned(),
            source,
        };
        let keys = IdentityFile::from_file(identity.to_string_lossy().into_owned());
        let keys = keys.map_err(unreadable)?;
        let keys = keys.into_identities().map_err(undecipherable)?;
        let decryptor = Decryptor::new_buffered(BufReader::new(file)).map_err(undecipherable)?;
        let reader = decryptor
            .decrypt(keys.iter().map(|key| &**key as _))
            .map_err(undecipherable)?;
        Ok(Self::Encrypted(Box::new(reader)))
    }

    /// How much there is to read.
    pub(super) fn len(&mut self) -> io::Result<u64> {
        match self {
            Self::Plain(file) => Ok(file.metadata()?.len()),
            Self::Encrypted(reader) => reader.seek(io::SeekFrom::End(0)),
        }
    }

    /// How much can be read before the first failure.
    pub(super) fn readable_len(&mut self) -> u64 {
        let mut buffer = vec![0; 64 * 1_024];
        let mut len = 0;
        while let Ok(read @ 1..) = self.read(&mut buffer) {
            len += read as u64;
        }
        len
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(file) => file.read(buffer),
            Self::Encrypted(reader) => reader.read(buffer),
        }
    }
}

impl Seek for Source {
    fn seek(&mut self, to: io::SeekFrom) -> io::Result<u64> {
        match self {
            Self::Plain(file) => file.seek(to),
            Self::Encrypted(reader) => reader.seek(to),
        }
    }
}
