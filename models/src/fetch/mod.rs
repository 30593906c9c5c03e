//! Fetches models into the models directory.
//!
//! A file grows as `<file>.part` and gets its name when it is whole and its digest is right: whatever has
//! a model's name is that model. What an interrupted fetch has left is taken up by the next one. Processes
//! that fetch the same file take turns, and the second finds it there.
//!
//! ```no_run
//! # async fn example() -> Result<(), sidetone_models::fetch::FetchError> {
//! use sidetone_models::fetch::{FetchOptions, Fetcher};
//!
//! let fetcher = Fetcher::new(FetchOptions::from_env()?)?;
//! let entry = sidetone_models::entry("base.en-q5_1")?;
//! fetcher.fetch(entry, &mut |event| println!("{event:?}")).await?;
//! # Ok(())
//! # }
//! ```

mod archive;
mod download;
mod error;
mod local;
mod part;

use std::env;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Once};
use std::time::Duration;

use reqwest::{Client, Url};

use self::download::Remote;
use self::local::Given;
use self::part::Part;
use crate::inventory::FileLock;
use crate::{Entry, ModelFile, Sha256Digest, models_dir};

pub use self::error::{FetchError, Interruption};

/// The environment variable that names a mirror.
pub const MIRROR_VAR: &str = "SIDETONE_MODELS_URL";

/// Where to fetch from and to, and how patiently.
#[derive(Clone, PartialEq, Eq)]
pub struct FetchOptions {
    /// The models directory. Made if it is not there.
    pub dir: PathBuf,
    /// An `http:` or `https:` address under which the manifest's files lie by their names, such as a models
    /// directory that a web server serves; it is asked instead of the publishers. It may hold a name and a
    /// password (`https://name:password@host/`). What comes from there is checked just the same.
    pub mirror: Option<String>,
    /// How patiently.
    pub patience: Patience,
}

/// How long to wait for a network, and how often to try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long making a connection may take. Default: 15 s.
    pub connect: Duration,
    /// How long a connection may bring nothing. Default: 30 s.
    pub silence: Duration,
    /// After how many attempts in a row that brought nothing new to give up, at least 1. Default: 6.
    pub attempts: u32,
    /// The pause before the second attempt; it doubles with each, up to 30 s. Default: 1 s.
    pub pause: Duration,
}

/// What happens during a fetch.
#[derive(Debug)]
#[non_exhaustive]
pub enum FetchEvent<'a> {
    /// Another process fetches this file: waiting for it to finish.
    Waiting {
        /// The file's name in the models directory.
        name: &'a str,
    },
    /// The file was there, and is what the manifest states.
    AlreadyHere {
        /// The file's name in the models directory.
        name: &'a str,
    },
    /// The transfer begins, or begins anew.
    Started {
        /// The file's name in the models directory.
        name: &'a str,
        /// Where it, or the archive that holds it, comes from.
        url: &'a str,
        /// How many bytes to transfer.
        total_bytes: u64,
        /// How many of them an earlier fetch has left here.
        there_bytes: u64,
    },
    /// More is here. It can be less than before, where a server cannot send the rest alone.
    Received {
        /// The file's name in the models directory.
        name: &'a str,
        /// How many bytes of the total are here.
        done_bytes: u64,
    },
    /// The connection broke; another attempt comes after a pause.
    Interrupted {
        /// The file's name in the models directory.
        name: &'a str,
        /// Why.
        why: &'a Interruption,
        /// How long the pause is.
        pause: Duration,
    },
    /// What an earlier fetch had left was wrong: thrown away, and the transfer begins anew.
    Discarded {
        /// The file's name in the models directory.
        name: &'a str,
    },
    /// The file has its place.
    Installed {
        /// The file's name in the models directory.
        name: &'a str,
    },
}

/// Hears what happens during a fetch. Called often; must not block.
pub type OnEvent<'a> = dyn FnMut(FetchEvent<'_>) + Send + 'a;

/// Fetches models. Cheap to clone; dropping a fetch under way stops it, and the next one takes it up.
#[derive(Debug, Clone)]
pub struct Fetcher {
    client: Client,
    options: FetchOptions,
}

/// How often to look whether another process has finished.
const LOCK_POLL: Duration = Duration::from_millis(100);

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            attempts: 6,
            pause: Duration::from_secs(1),
        }
    }
}

impl fmt::Debug for FetchOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchOptions")
            .field("dir", &self.dir)
            .field("mirror", &self.mirror.as_deref().map(without_password))
            .field("patience", &self.patience)
            .finish()
    }
}

impl FetchOptions {
    /// From the publishers into `dir`.
    #[must_use]
    pub fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            mirror: None,
            patience: Patience::default(),
        }
    }

    /// As the environment says: into [`models_dir`], from the mirror in `SIDETONE_MODELS_URL` if it is set.
    ///
    /// # Errors
    ///
    /// [`FetchError::Model`] where there is no models directory.
    pub fn from_env() -> Result<Self, FetchError> {
        let mirror = env::var(MIRROR_VAR).ok().filter(|url| !url.is_empty());
        Ok(Self {
            mirror,
            ..Self::new(models_dir()?)
        })
    }
}

impl Fetcher {
    /// A fetcher with its connections. The proxies of the environment (`HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY`, but
    /// for `NO_PROXY`) are honoured, and a mirror on this machine is asked directly.
    ///
    /// # Errors
    ///
    /// [`FetchError::Mirror`] and [`FetchError::Client`].
    pub fn new(options: FetchOptions) -> Result<Self, FetchError> {
        static PROVIDER: Once = Once::new();
        PROVIDER.call_once(|| {
            // Fails only where the program around us has chosen a provider already: just as good.
            let _ = rustls::crypto::ring::default_provider().install_default();
        });
        let mut builder = Client::builder()
            .user_agent(concat!("sidetone/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(options.patience.connect)
            .read_timeout(options.patience.silence);
        if let Some(mirror) = &options.mirror {
            let url = parse_mirror(mirror)?;
            if is_loopback(&url) {
                builder = builder.no_proxy();
            }
            // Plain HTTP works on a machine without certificates, too.
            if url.scheme() == "http" && Client::builder().build().is_err() {
                builder = builder.tls_certs_only([]);
            }
        }
        let client = builder.build().map_err(FetchError::Client)?;
        Ok(Self { client, options })
    }

    /// Puts the files of `entry` into the models directory, those that are not there or not as they should be.
    /// Call it from within a tokio runtime.
    ///
    /// # Errors
    ///
    /// [`FetchError`] says what went wrong and with which address or file. Nothing wrong is ever left under a
    /// model's name.
    pub async fn fetch(&self, entry: &Entry, on_event: &mut OnEvent<'_>) -> Result<(), FetchError> {
        for file in &entry.files {
            let Some(lock) = turn(&self.options.dir, file, on_event).await? else {
                continue;
            };
            self.fetch_file(file, lock, on_event).await?;
            on_event(FetchEvent::Installed { name: &file.name });
        }
        Ok(())
    }

    async fn fetch_file(
        &self,
        file: &ModelFile,
        lock: Arc<FileLock>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<(), FetchError> {
        let dir = &self.options.dir;
        let place = dir.join(&file.name);
        let part_path = file.part_in(dir);
        let archive = match (&self.options.mirror, &file.archive) {
            // A mirror has the file itself.
            (None, Some(archive)) => archive,
            (mirror, _) => {
                let mirrored = mirror
                    .as_ref()
                    .map(|mirror| format!("{}/{}", mirror.trim_end_matches('/'), file.name));
                let address = mirrored.as_deref().unwrap_or(&file.url);
                let remote = Remote {
                    name: &file.name,
                    url: &without_password(address),
                    address,
                    size_bytes: file.size_bytes,
                };
                let part = self
                    .download(&remote, file.sha256, part_path, lock, on_event)
                    .await?;
                return blocking(move || part.install(&place)).await;
            }
        };
        let remote = Remote {
            name: &file.name,
            url: &file.url,
            address: &file.url,
            size_bytes: archive.size_bytes,
        };
        let archive_path = file.archive_part_in(dir);
        let packed = self
            .download(
                &remote,
                archive.sha256,
                archive_path.clone(),
                lock.clone(),
                on_event,
            )
            .await?;
        let (file, member) = (file.clone(), archive.member.clone());
        blocking(move || {
            let mut part = empty_part(part_path, &file, lock)?;
            archive::unpack(&archive_path, &file.url, &member, &file, &mut part)?;
            let origin = format!("{member} of {}", file.url);
            install(part, &file, origin, &place)?;
            packed.remove()
        })
        .await
    }

    /// The whole file of that digest, as a part.
    async fn download(
        &self,
        remote: &Remote<'_>,
        expected: Sha256Digest,
        path: PathBuf,
        lock: Arc<FileLock>,
        on_event: &mut OnEvent<'_>,
    ) -> Result<Part, FetchError> {
        let size_bytes = remote.size_bytes;
        let mut part = blocking(move || Part::open(path, size_bytes, lock)).await?;
        let mut from_earlier = part.len() > 0;
        loop {
            let patience = &self.options.patience;
            part = download::download(&self.client, patience, remote, part, on_event).await?;
            let actual = part.digest();
            if actual == expected {
                return Ok(part);
            }
            part = blocking(move || part.reset().map(|()| part)).await?;
            if !from_earlier {
                return Err(FetchError::WrongDigest {
                    origin: remote.url.to_owned(),
                    expected,
                    actual,
                });
            }
            // The fault may be in what was here: one fetch from the beginning tells.
            from_earlier = false;
            on_event(FetchEvent::Discarded { name: remote.name });
        }
    }
}

/// Puts the files of `entry` into the models directory `dir` from `paths`, files or folders at hand, those that are not
/// there or not as they should be. For a file that is published in an archive, either will do. Call it from within a
/// tokio runtime; it needs no network.
///
/// # Errors
///
/// [`FetchError`]; nothing wrong is ever left under a model's name.
pub async fn install_from(
    dir: &Path,
    entry: &Entry,
    paths: &[PathBuf],
    on_event: &mut OnEvent<'_>,
) -> Result<(), FetchError> {
    for file in &entry.files {
        let Some(lock) = turn(dir, file, on_event).await? else {
            continue;
        };
        let given = local::find(entry, file, paths)?;
        let part_path = file.part_in(dir);
        let place = dir.join(&file.name);
        let owned = file.clone();
        blocking(move || {
            let mut part = empty_part(part_path, &owned, lock)?;
            let path = match (&given, &owned.archive) {
                (Given::Archive(path), Some(archive)) => {
                    local::unpack(path, archive, &owned, &mut part)?;
                    path
                }
                (Given::File(path) | Given::Archive(path), _) => {
                    local::copy(path, &owned, &mut part)?;
                    path
                }
            };
            install(part, &owned, path.display().to_string(), &place)
        })
        .await?;
        on_event(FetchEvent::Installed { name: &file.name });
    }
    Ok(())
}

/// Waits until nobody else works on `file`. None if it is there, as it should be.
async fn turn(
    dir: &Path,
    file: &ModelFile,
    on_event: &mut OnEvent<'_>,
) -> Result<Option<Arc<FileLock>>, FetchError> {
    // Before anything is written: the directory may be one that can only be read.
    if is_here(dir, file).await? {
        on_event(FetchEvent::AlreadyHere { name: &file.name });
        return Ok(None);
    }
    let unwritable = |(path, source)| FetchError::Write { path, source };
    fs::create_dir_all(dir).map_err(|source| unwritable((dir.to_owned(), source)))?;
    let mut waiting = false;
    let lock = loop {
        match FileLock::try_on(dir, file).map_err(unwritable)? {
            Some(lock) => break Arc::new(lock),
            None if waiting => {}
            None => {
                waiting = true;
                on_event(FetchEvent::Waiting { name: &file.name });
            }
        }
        // Polled, for a blocked thread could not be called off.
        tokio::time::sleep(LOCK_POLL).await;
    };
    // Another may have brought it meanwhile.
    if is_here(dir, file).await? {
        on_event(FetchEvent::AlreadyHere { name: &file.name });
        return Ok(None);
    }
    Ok(Some(lock))
}

/// Whether `file` is there as the manifest states. What cannot be read is not.
async fn is_here(dir: &Path, file: &ModelFile) -> Result<bool, FetchError> {
    let (path, size_bytes, sha256) = (dir.join(&file.name), file.size_bytes, file.sha256);
    blocking(move || {
        let right_size = fs::metadata(&path).is_ok_and(|about| about.len() == size_bytes);
        let digest = || fs::File::open(&path).and_then(Sha256Digest::of_reader);
        Ok(right_size && digest().is_ok_and(|actual| actual == sha256))
    })
    .await
}

/// Blocks.
fn empty_part(path: PathBuf, file: &ModelFile, lock: Arc<FileLock>) -> Result<Part, FetchError> {
    let mut part = Part::open(path, file.size_bytes, lock)?;
    part.reset()?;
    Ok(part)
}

/// Puts `part` in its place if it is what it should be. Blocks.
fn install(
    mut part: Part,
    file: &ModelFile,
    origin: String,
    place: &Path,
) -> Result<(), FetchError> {
    let actual = part.digest();
    if actual == file.sha256 {
        return part.install(place);
    }
    part.reset()?;
    Err(FetchError::WrongDigest {
        origin,
        expected: file.sha256,
        actual,
    })
}

fn parse_mirror(mirror: &str) -> Result<Url, FetchError> {
    Url::parse(mirror)
        .ok()
        .filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
        .ok_or_else(|| FetchError::Mirror {
            url: without_password(mirror),
        })
}

/// The address as it may be shown: without the name and password before the host.
fn without_password(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let end = rest.find('/').unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://{}", &rest[at + 1..]),
        None => url.to_owned(),
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<std::net::IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Runs what reads, writes or digests on a thread where it may block. It runs to its end even if the
/// result is no longer wanted.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FetchError> + Send + 'static,
) -> Result<T, FetchError> {
    tokio::task::spawn_blocking(work)
        .await
        .expect("the work does not panic and is not aborted")
}
