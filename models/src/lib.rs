//! Where models come from: the [manifest](Manifest) of models that can be fetched, the resolver that
//! turns a name from the configuration into something to load, and the bundled demo model. With the feature
//! `fetch`, also what fetches them.
//!
//! ```
//! // The bundled model needs no file and no network.
//! let source = sidetone_models::resolve("demo")?;
//! assert!(matches!(source, sidetone_models::ModelSource::Memory(_)));
//! # Ok::<(), sidetone_models::ModelError>(())
//! ```

mod digest;
mod error;
mod inventory;
mod languages;
mod manifest;
mod resolve;

pub mod demo;
#[cfg(feature = "fetch")]
pub mod fetch;

pub use digest::{ParseDigestError, Sha256Digest};
pub use error::ModelError;
pub use inventory::{Presence, presence_in, remove_in};
pub use languages::Languages;
pub use manifest::{Archive, Entry, Manifest, ManifestError, ModelFile, ModelKind, PLATFORM};
pub use resolve::{
    MODELS_DIR_VAR, ModelSource, entry, models_dir, path_of, path_of_in, resolve, resolve_in,
    resolve_kind, resolve_kind_in, verify, verify_in,
};
