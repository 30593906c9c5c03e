//! From a name in the configuration to a model that can be loaded.

use std::env;
use std::ffi::OsString;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use etcetera::BaseStrategy as _;

use crate::{Entry, Manifest, ModelError, ModelFile, ModelKind, Sha256Digest, demo};

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

/// Finds the Whisper model that `name` means:
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
/// Those of [`resolve_kind`], and [`ModelError::DamagedBundle`].
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

/// The file of the model that `name` means, for a setting that takes a name or a path:
///
/// 1. a name of the [manifest](Manifest::embedded), of that `kind`, is looked for in [`models_dir`];
/// 2. anything else is a path to a file of your own, taken as it is.
///
/// # Errors
///
/// Those of [`path_of`]; [`ModelError::WrongKind`] for another kind of model, [`ModelError::Unknown`]
/// says which names there are, [`ModelError::NoSuchFile`] that a path leads nowhere.
pub fn resolve_kind(name: &str, kind: ModelKind) -> Result<PathBuf, ModelError> {
    resolve_kind_with(models_dir, name, kind)
}

/// [`resolve_kind`] with the models directory given instead of taken from the environment.
///
/// # Errors
///
/// Those of [`resolve_kind`], but never [`ModelError::NoModelsDir`].
pub fn resolve_kind_in(dir: &Path, name: &str, kind: ModelKind) -> Result<PathBuf, ModelError> {
    resolve_kind_with(|| Ok(dir.to_owned()), name, kind)
}

/// The file of the model of the manifest that is called `name`, such as `silero-vad` or `onnxruntime`,
/// in [`models_dir`]. Of a model of several files it is the one to load; all of them are there.
///
/// The files' sizes are checked here, their digests are not: [`verify`] does that, at a cost.
///
/// # Errors
///
/// [`ModelError::NotFetched`] says which file was looked for and which command fetches it;
/// [`ModelError::Unknown`], [`ModelError::NoBuild`]; [`ModelError::WrongSize`] when the file was cut
/// short, [`ModelError::NotAFile`], [`ModelError::Io`], and [`ModelError::NoModelsDir`] when nothing
/// names the models directory.
pub fn path_of(name: &str) -> Result<PathBuf, ModelError> {
    entry(name).and_then(|entry| path_of_entry(&models_dir()?, entry))
}

/// [`path_of`] with the models directory given instead of taken from the environment.
///
/// # Errors
///
/// Those of [`path_of`], but never [`ModelError::NoModelsDir`].
pub fn path_of_in(dir: &Path, name: &str) -> Result<PathBuf, ModelError> {
    entry(name).and_then(|entry| path_of_entry(dir, entry))
}

/// The entry of the [embedded manifest](Manifest::embedded) that `name` means.
///
/// # Errors
///
/// [`ModelError::Unknown`] and [`ModelError::NoBuild`].
pub fn entry(name: &str) -> Result<&'static Entry, ModelError> {
    find(name)?.ok_or_else(|| unknown(name))
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

/// Checks that the files of `entry` in [`models_dir`] are what the manifest states, to the last bit.
/// Reads all of them.
///
/// # Errors
///
/// Those of [`path_of`], and [`ModelError::WrongDigest`].
pub fn verify(entry: &Entry) -> Result<(), ModelError> {
    verify_in(&models_dir()?, entry)
}

/// [`verify`] with the models directory given instead of taken from the environment.
///
/// # Errors
///
/// Those of [`verify`], but never [`ModelError::NoModelsDir`].
pub fn verify_in(dir: &Path, entry: &Entry) -> Result<(), ModelError> {
    path_of_entry(dir, entry)?;
    for file in &entry.files {
        let path = dir.join(&file.name);
        let digest = File::open(&path).and_then(Sha256Digest::of_reader);
        let actual = digest.map_err(|source| ModelError::Io {
            path: path.clone(),
            source,
        })?;
        if actual != file.sha256 {
            return Err(ModelError::WrongDigest {
                path,
                expected: file.sha256,
                actual,
                fetch_command: fetch_command(entry),
            });
        }
    }
    Ok(())
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
    resolve_kind_with(dir, name, ModelKind::Whisper).map(ModelSource::File)
}

fn resolve_kind_with(
    dir: impl FnOnce() -> Result<PathBuf, ModelError>,
    name: &str,
    kind: ModelKind,
) -> Result<PathBuf, ModelError> {
    if let Some(entry) = find(name)? {
        if entry.kind != kind {
            return Err(ModelError::WrongKind {
                name: entry.name.clone(),
                actual: entry.kind,
                wanted: kind,
            });
        }
        return path_of_entry(&dir()?, entry);
    }
    let path = PathBuf::from(name);
    match file_size(&path) {
        Ok(_) => Ok(path),
        Err(ModelError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            // No name has a folder before it.
            if path.components().nth(1).is_some() {
                return Err(ModelError::NoSuchFile { path });
            }
            Err(unknown(name))
        }
        Err(other) => Err(other),
    }
}

/// The entry of that name, if it is one.
fn find(name: &str) -> Result<Option<&'static Entry>, ModelError> {
    let manifest = Manifest::embedded();
    if let Some(entry) = manifest.get(name) {
        return Ok(Some(entry));
    }
    let builds: Vec<_> = manifest.builds(name).map(|e| e.name.clone()).collect();
    if builds.is_empty() {
        Ok(None)
    } else {
        Err(ModelError::NoBuild {
            name: name.to_owned(),
            builds,
        })
    }
}

fn unknown(name: &str) -> ModelError {
    ModelError::Unknown {
        name: name.to_owned(),
        known: known_names(name),
    }
}

/// The file to load, all of the entry's being there in their size.
fn path_of_entry(dir: &Path, entry: &Entry) -> Result<PathBuf, ModelError> {
    for file in &entry.files {
        check_size(&dir.join(&file.name), entry, file)?;
    }
    Ok(dir.join(&entry.main_file().name))
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

fn check_size(path: &Path, entry: &Entry, file: &ModelFile) -> Result<(), ModelError> {
    let actual_bytes = match file_size(path) {
        Err(ModelError::Io { path, source }) if source.kind() == io::ErrorKind::NotFound => {
            return Err(ModelError::NotFetched {
                name: entry.name_here().to_owned(),
                fetch_command: fetch_command(entry),
                path,
            });
        }
        size => size?,
    };
    if actual_bytes == file.size_bytes {
        Ok(())
    } else {
        Err(ModelError::WrongSize {
            path: path.to_owned(),
            expected_bytes: file.size_bytes,
            actual_bytes,
            fetch_command: fetch_command(entry),
        })
    }
}

/// A manifest's name needs no quotes.
fn fetch_command(entry: &Entry) -> String {
    format!("sidetone models fetch {}", entry.name_here())
}

/// Every name, the most similar to `name` first.
fn known_names(name: &str) -> Vec<String> {
    let entries = Manifest::embedded().entries().iter();
    let here = entries.filter(|entry| entry.is_for_here());
    let mut names: Vec<String> = here
        .map(Entry::name_here)
        .chain([demo::NAME])
        .map(str::to_owned)
        .collect();
    names.sort_by(|a, b| strsim::jaro_winkler(name, b).total_cmp(&strsim::jaro_winkler(name, a)));
    names
}

#[cfg(test)]
mod tests {
    use super::*;

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
        sparse(&path, entry("tiny.en-q5_1").unwrap().size_bytes());
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
        assert_eq!(fetch_command, "sidetone models fetch base.en");
    }

    #[test]
    fn a_model_of_two_files_wants_both() {
        let dir = tempfile::tempdir().unwrap();
        let name = "piper-pt_BR-faber-medium";
        let entry = entry(name).unwrap();
        let missing = |file: &str| {
            let error = path_of_in(dir.path(), name).unwrap_err();
            let text = error.to_string();
            assert!(
                matches!(error, ModelError::NotFetched { path, .. } if path.ends_with(file)),
                "{text}"
            );
        };
        missing("pt_BR-faber-medium.onnx");
        let path = dir.path().join(&entry.files[0].name);
        sparse(&path, entry.files[0].size_bytes);
        missing("pt_BR-faber-medium.onnx.json");
        sparse(
            &dir.path().join(&entry.files[1].name),
            entry.files[1].size_bytes,
        );
        assert_eq!(path_of_in(dir.path(), name).unwrap(), path);
        assert_eq!(
            resolve_kind_in(dir.path(), name, ModelKind::PiperVoice).unwrap(),
            path
        );
    }

    #[test]
    fn a_model_of_another_kind_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for error in [
            resolve_in(dir.path(), "silero-vad").unwrap_err(),
            resolve_kind_in(dir.path(), "tiny", ModelKind::Vad).unwrap_err(),
        ] {
            assert!(matches!(error, ModelError::WrongKind { .. }), "{error}");
        }
        let error = resolve_kind_in(dir.path(), "tiny", ModelKind::Vad).unwrap_err();
        assert_eq!(
            error.to_string(),
            "`tiny` is a Whisper model, not a voice activity detector"
        );
    }

    #[test]
    fn the_runtime_is_found_by_its_short_name_or_said_to_be_missing_for_this_platform() {
        let dir = tempfile::tempdir().unwrap();
        let error = path_of_in(dir.path(), "onnxruntime").unwrap_err();
        match &error {
            ModelError::NotFetched { fetch_command, .. } => {
                assert_eq!(fetch_command, "sidetone models fetch onnxruntime");
            }
            ModelError::NoBuild { builds, .. } => assert_eq!(builds.len(), 5),
            other => panic!("{other}"),
        }
        let elsewhere = ["onnxruntime-macos-aarch64", "onnxruntime-linux-x64"];
        for name in elsewhere {
            let entry = entry(name).unwrap();
            sparse(
                &dir.path().join(&entry.main_file().name),
                entry.size_bytes(),
            );
            path_of_in(dir.path(), name).unwrap();
        }
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
        assert!(
            error.to_string().ends_with("sidetone models fetch tiny"),
            "{error}"
        );
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
                assert!(known.iter().any(|name| name == "silero-vad"));
                assert!(known.iter().all(|name| !name.starts_with("onnxruntime-")));
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
        let path = dir.path().join("ggml-tiny.bin");
        let mut entry = entry("tiny").unwrap().clone();
        entry.files[0].size_bytes = 3;
        entry.files[0].sha256 = Sha256Digest::of(b"abc");

        let error = verify_in(dir.path(), &entry).unwrap_err();
        assert!(matches!(error, ModelError::NotFetched { .. }), "{error}");
        fs::write(&path, b"abc").unwrap();
        verify_in(dir.path(), &entry).unwrap();
        fs::write(&path, b"abd").unwrap();
        let error = verify_in(dir.path(), &entry).unwrap_err();
        assert!(matches!(error, ModelError::WrongDigest { .. }), "{error}");
        fs::write(&path, b"abcd").unwrap();
        let error = verify_in(dir.path(), &entry).unwrap_err();
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
