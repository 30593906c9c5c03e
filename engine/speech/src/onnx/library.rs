//! Finds ONNX Runtime's library and opens it.

use std::{
    env::{self, consts},
    panic,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use ort::{
    LoadDynamicError,
    environment::Environment,
    logging::{LogLevel, LoggerFunction},
};

use sidetone_models::ModelError;

use super::{OnnxError, elf, one_line};

/// The environment variable that names the library.
const LIBRARY_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The name of the library among the models.
const FETCHED: &str = "onnxruntime";

/// ONNX Runtime takes one environment in a process; it stays for good.
static ENVIRONMENT: Mutex<Option<Environment>> = Mutex::new(None);

/// The environment of all sessions; the first call opens the library. A failure is not
/// remembered: once the library is there, the next call finds it.
pub(super) fn environment() -> Result<Environment, OnnxError> {
    let mut opened = ENVIRONMENT.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(environment) = &*opened {
        return Ok(environment.clone());
    }
    let file = match named() {
        Some(path) => Some(path),
        None => fetched()?,
    };
    let environment = match file {
        Some(path) => open_file(&path)?,
        None => open_systems()?,
    };
    Ok(opened.insert(environment).clone())
}

/// The library that the operator names.
fn named() -> Option<PathBuf> {
    let path = env::var_os(LIBRARY_VARIABLE)?;
    (!path.is_empty()).then(|| path.into())
}

/// The library among the models, if it was fetched.
fn fetched() -> Result<Option<PathBuf>, OnnxError> {
    match sidetone_models::path_of(FETCHED) {
        Ok(path) => Ok(Some(path)),
        Err(
            ModelError::NotFetched { .. }
            | ModelError::NoBuild { .. }
            | ModelError::NoModelsDir { .. },
        ) => Ok(None),
        Err(unusable) => Err(OnnxError::Models(unusable)),
    }
}

fn open_file(path: &Path) -> Result<Environment, OnnxError> {
    elf::check(path)
        .map_err(|problem| problem.to_string())
        .and_then(|()| open(path).map_err(|error| described(&error)))
        .map_err(|problem| OnnxError::Runtime {
            path: path.to_owned(),
            problem: one_line(&problem),
        })
}

/// The system's own: by the name that its packages install, then by the one that developers have.
fn open_systems() -> Result<Environment, OnnxError> {
    let plain = format!("{}onnxruntime{}", consts::DLL_PREFIX, consts::DLL_SUFFIX);
    for name in [format!("{plain}.1"), plain] {
        let path = PathBuf::from(name);
        match open(&path) {
            // The loader did not find it, or the next one is no worse.
            Err(Unusable::Library(LoadDynamicError::Dlopen { .. })) => {}
            opened => {
                return opened.map_err(|error| OnnxError::Runtime {
                    path,
                    problem: one_line(&described(&error)),
                });
            }
        }
    }
    Err(OnnxError::NoRuntime)
}

/// Why a library is of no use.
enum Unusable {
    Library(LoadDynamicError),
    Environment(ort::Error),
    Panicked,
}

/// `ort` asserts, here and there, that the library is what it says it is.
fn open(path: &Path) -> Result<Environment, Unusable> {
    panic::catch_unwind(|| {
        ort::init_from(path)
            .map_err(Unusable::Library)?
            .with_name("sidetone")
            .with_telemetry(false)
            .with_logger(logger())
            .build()
            .map_err(Unusable::Environment)
    })
    .unwrap_or(Err(Unusable::Panicked))
}

fn described(error: &Unusable) -> String {
    match error {
        Unusable::Library(LoadDynamicError::Dlopen { error, .. }) => {
            format!("the system does not load it ({error})")
        }
        Unusable::Library(
            LoadDynamicError::MissingApi { .. } | LoadDynamicError::InvalidVersionString,
        )
        | Unusable::Panicked => "it is not ONNX Runtime".to_owned(),
        Unusable::Library(LoadDynamicError::BadVersion { version_str, .. }) => {
            format!(
                "it is version {version_str}, and 1.{} or later is needed",
                ort::MINOR_VERSION
            )
        }
        Unusable::Environment(error) => error.to_string(),
    }
}

/// What ONNX Runtime has to say goes where all logs go, from warnings on.
fn logger() -> LoggerFunction {
    Arc::new(|level, _category, _id, _location, message| match level {
        LogLevel::Fatal | LogLevel::Error => tracing::error!(message, "ONNX Runtime"),
        LogLevel::Warning => tracing::warn!(message, "ONNX Runtime"),
        LogLevel::Info | LogLevel::Verbose => {}
    })
}
