//! Where models come from: the [manifest](Manifest) of models that can be fetched, the resolver that
//! turns a name from the configuration into something to load, and the bundled demo model.
//!
//! ```
//! // The bundled model needs no file and no network.
//! let source = sidetone_models::resolve("demo")?;
//! assert!(matches!(source, sidetone_models::ModelSource::Memory(_)));
//! # Ok::<(), sidetone_models::ModelError>(())
//! ```

mod digest;
mod error;
mod manifest;
mod resolve;

pub mod demo;

pub use digest::{ParseDigestError, Sha256Digest};
pub use error::ModelError;
pub use manifest::{Entry, Languages, Manifest, ManifestError, ModelKind};
pub use resolve::{MODELS_DIR_VAR, ModelSource, models_dir, resolve, resolve_in, verify};
