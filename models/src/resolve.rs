//! From a name in the configuration to a model that can be loaded.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy as _;

use crate::{Entry, Manifest, ModelError, Sha256Digest, demo};

/// The environment variable that names the models directory.
pub const MODELS_DIR_VAR: &str = "SIDETONE_MODELS_DIR";

/// Where a model's bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModelSource {
    /// In a file, to be read or mapped by the loader.
    File(PathBuf),
    /// In memory, the whole file's content.
    Memory(Arc<[u8]>),
}

/// Finds the model that `name` means:
///
/// 1. `demo` is the [bundled model](demo);
/// 2. a name of the [manifest](Manifest::embedded) is looked for in [`models_dir`];
/// 3. anything else is a path to a model file of your own, taken as it is. (A file that is called
///    like a model of the manifest is reached by a path: `./tiny.en`.)
///
/// The file's size is checked here, its digest is not: [`verify`] does that, at a cost.
///
/// # Errors
///
/// [`ModelError::NotFetched`] says which file was looked for and which command fetches it,
/// [`ModelError::Unknown`] which names there are, [`ModelError::NoSuchFile`] that a path
/// leads nowhere; [`ModelError::WrongSize`] when the file was cut short, [`ModelError::NotAFile`], [`ModelError::Io`], and [`ModelError::NoModelsDir`] when the
/// models directory is wanted and nothing names it.
pub fn resolve(name: &str) -> Result<ModelSource, ModelError> {
    resolve_with(models_dir, name)
}

/// [`resolve`] with the models directory given instead of taken from the environment.
///
/// # Errors
///
/// Those of [`resolve`], but never [`ModelError::NoModelsDir`].
pub fn resolve_in(dir: &Path, name: &str) -> Result<ModelSource, ModelError> {
    resolve_with(|| Ok(dir.to_owned()), name)
}

/// The directory that fetched models lie in: the environment's `SIDETONE_MODELS_DIR`, else
/// `sidetone/models` in the platform's data directory (`~/.local/share` on Linux,
/// `~/Library/Application Support` on macOS, `%APPDATA%` on Windows). It need not exist.
///
/// # Errors
///
/// [`ModelError::NoModelsDir`] when the variable is not set and there is no home directory.
pub fn models_dir() -> Result<PathBuf, ModelError> {
    models_dir_from(env::var_os(MODELS_DIR_VAR))
}

/// Checks that the file at `path` is the model `entry`, to the last bit. Reads all of it.
///
/// # Errors
///
/// [`ModelError::WrongSize`], [`ModelError::WrongDigest`], [`ModelError::NotAFile`] or
/// [`ModelError::Io`].
pub fn verify(path: &Path, entry: &Entry) -> Result<(), ModelError> {
    check_size(path, entry)?;
    let unreadable = |source| ModelError::Io {
        path: path.to_owned(),
        source,
    };
    let actual =
        Sha256Digest::of_reader(File::open(path).map_err(unreadable)?).map_err(unreadable)?;
    if actual == entry.sha256 {
        Ok(())
    } else {
        Err(ModelError::WrongDigest {
            path: path.to_owned(),
            expected: entry.sha256,
            actual,
        })
    }
}

fn models_dir_from(variable: Option<OsString>) -> Result<PathBuf, ModelError> {
    match variable {
        Some(dir) if !dir.is_empty() => Ok(dir.into()),
        _ => {
            let platform = etcetera::base_strategy::choose_native_strategy()
                .map_err(|source| ModelError::NoModelsDir { source })?;
            Ok(platform.data_dir().join("sidetone").join("models"))
        }
    }
}

fn resolve_with(
    dir: impl FnOnce() -> Result<PathBuf, ModelError>,
    name: &str,
) -> Result<ModelSource, ModelError> {
    if name == demo::NAME {
        return demo::load().map(ModelSource::Memory);
    }
    if let Some(entry) = Manifest::embedded().get(name) {
        let path = dir()?.join(&entry.file);
        return match check_size(&path, entry) {
            Ok(()) => Ok(ModelSource::File(path)),
            Err(ModelError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                Err(ModelError::NotFetched {
                    name: entry.name.clone(),
                    fetch_command: fetch_command(&path, entry),
                    path,
                })
            }
            Err(other) => Err(other),
        };
    }
    let path = PathBuf::from(name);
    match file_size(&path) {
        Ok(_) => Ok(ModelSource::File(path)),
        Err(ModelError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            // No name has a folder before it.
            if path.components().nth(1).is_some() {
                return Err(ModelError::NoSuchFile { path });
            }
            Err(ModelError::Unknown {
                name: name.to_owned(),
                known: known_names(name),
            })
        }
        Err(other) => Err(other),
    }
}

/// The size of the file in bytes; an error if it is not a file.
fn file_size(path: &Path) -> Result<u64, ModelError> {
    let about = fs::metadata(path).map_err(|source| ModelError::Io {
        path: path.to_owned(),
        source,
    })?;
    if about.is_file() {
        Ok(about.len())
    } else {
        Err(ModelError::NotAFile {
            path: path.to_owned(),
        })
    }
}

fn check_size(path: &Path, entry: &Entry) -> Result<(), ModelError> {
    let actual_bytes = file_size(path)?;
    if actual_bytes == entry.size_bytes {
        Ok(())
    } else {
        Err(ModelError::WrongSize {
            path: path.to_owned(),
            expected_bytes: entry.size_bytes,
            actual_bytes,
            fetch_command: fetch_command(path, entry),
        })
    }
}

/// `--fail`, or an error page would be saved as if it were the model.
fn fetch_command(path: &Path, entry: &Entry) -> String {
    // Single quotes keep all but themselves from the shell.
    let quoted = path.display().to_string().replace('\'', r"'\''");
    format!(
        "curl --fail --location --create-dirs --output '{quoted}' '{}'",
        entry.url
    )
}

/// Every name, the most similar to `name` first.
fn known_names(name: &str) -> Vec<String> {
    let entries = Manifest::embedded()
        .entries()
        .iter()
        .map(|entry| entry.name.clone());
    let mut names: Vec<String> = entries.chain([demo::NAME.to_owned()]).collect();
    names.sort_by(|a, b| strsim::jaro_winkler(name, b).total_cmp(&strsim::jaro_winkler(name, a)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str) -> &'static Entry {
        Manifest::embedded().get(name).unwrap()
    }

    /// A file of the right size that takes no room on the disk.
    fn sparse(path: &Path, size_bytes: u64) {
        File::create(path).unwrap().set_len(size_bytes).unwrap();
    }

    #[test]
    fn demo_is_bundled() {
        let dir = tempfile::tempdir().unwrap();
        let ModelSource::Memory(bytes) = resolve_in(dir.path(), "demo").unwrap() else {
            panic!("not in memory")
        };
        assert_eq!(bytes.len(), demo::SIZE_BYTES);
    }

    #[test]
    fn a_fetched_model_is_found_by_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ggml-tiny.en-q5_1.bin");
        sparse(&path, entry("tiny.en-q5_1").size_bytes);
        assert_eq!(
            resolve_in(dir.path(), "tiny.en-q5_1").unwrap(),
            ModelSource::File(path)
        );
    }

    #[test]
    fn a_missing_model_names_the_file_and_the_command_that_fetches_it() {
        let dir = tempfile::tempdir().unwrap();
        let wanted = dir.path().join("caller's models").join("ggml-base.en.bin");
        let error = resolve_in(wanted.parent().unwrap(), "base.en").unwrap_err();
        let text = error.to_string();
        let ModelError::NotFetched {
            name,
            path,
            fetch_command,
        } = error
        else {
            panic!("{text}")
        };
        assert_eq!((name.as_str(), &path), ("base.en", &wanted));
        assert!(text.contains(&wanted.display().to_string()) && text.contains(&fetch_command));
        assert!(
            fetch_command.starts_with("curl ") && fetch_command.contains(&entry("base.en").url)
        );
        assert!(
            fetch_command.contains(r"caller'\''s models"),
            "{fetch_command}"
        );
    }

    #[test]
    fn a_model_cut_short_is_not_handed_to_the_loader() {
        let dir = tempfile::tempdir().unwrap();
        sparse(&dir.path().join("ggml-tiny.bin"), 1000);
        let error = resolve_in(dir.path(), "tiny").unwrap_err();
        assert!(
            matches!(
                error,
                ModelError::WrongSize {
                    actual_bytes: 1000,
                    ..
                }
            ),
            "{error}"
        );
        assert!(error.to_string().contains("curl "), "{error}");
    }

    #[test]
    fn a_path_is_taken_as_it_is() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("my own.bin");
        fs::write(&path, b"weights").unwrap();
        let found = resolve_in(Path::new("/nowhere"), path.to_str().unwrap()).unwrap();
        assert_eq!(found, ModelSource::File(path));
    }

    #[test]
    fn a_path_that_leads_nowhere_is_not_taken_for_a_name() {
        for path in ["./base.bin", "models/base.en", "/nowhere/base.en"] {
            let error = resolve_in(Path::new("/nowhere"), path).unwrap_err();
            assert_eq!(error.to_string(), format!("there is no file {path}"));
        }
    }

    #[test]
    fn a_directory_is_not_a_model() {
        let dir = tempfile::tempdir().unwrap();
        let error = resolve_in(dir.path(), dir.path().to_str().unwrap()).unwrap_err();
        assert!(matches!(error, ModelError::NotAFile { .. }), "{error}");
        fs::create_dir(dir.path().join("ggml-tiny.bin")).unwrap();
        let error = resolve_in(dir.path(), "tiny").unwrap_err();
        assert!(matches!(error, ModelError::NotAFile { .. }), "{error}");
    }

    #[test]
    fn an_unknown_name_lists_the_nearest_first() {
        let dir = tempfile::tempdir().unwrap();
        let nearest = |name: &str| match resolve_in(dir.path(), name).unwrap_err() {
            ModelError::Unknown { known, .. } => {
                assert_eq!(known.len(), Manifest::embedded().entries().len() + 1);
                known[0].clone()
            }
            other => panic!("{other}"),
        };
        assert_eq!(nearest("bse.en"), "base.en");
        assert_eq!(nearest("large-v3-trubo"), "large-v3-turbo");
        assert_eq!(nearest("Demo"), "demo");
        // No name at all, and names that no file can have, are unknown or refused, never a panic.
        for name in ["", "../../etc", "a\0b", &"x".repeat(100_000)] {
            resolve_in(dir.path(), name).unwrap_err();
        }
    }

    #[test]
    fn verify_tells_right_content_from_wrong() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ggml-abc.bin");
        let mut entry = entry("tiny").clone();
        (entry.size_bytes, entry.sha256) = (3, Sha256Digest::of(b"abc"));

        let error = verify(&path, &entry).unwrap_err();
        assert!(matches!(error, ModelError::Io { .. }), "{error}");
        fs::write(&path, b"abc").unwrap();
        verify(&path, &entry).unwrap();
        fs::write(&path, b"abd").unwrap();
        let error = verify(&path, &entry).unwrap_err();
        assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
        fs::write(&path, b"abcd").unwrap();
        let error = verify(&path, &entry).unwrap_err();
        assert!(
            matches!(
                error,
                ModelError::WrongSize {
                    expected_bytes: 3,
                    ..
                }
            ),
            "{error}"
        );
    }

    #[test]
    fn the_environment_names_the_models_directory() {
        assert_eq!(
            models_dir_from(Some("/srv/models".into())).unwrap(),
            Path::new("/srv/models")
        );
        for unset in [None, Some(OsString::new())] {
            assert!(models_dir_from(unset).unwrap().ends_with("sidetone/models"));
        }
    }
}
