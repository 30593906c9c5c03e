//! Why a provider cannot be set up.

use sidetone_core::job::Service;
use thiserror::Error;

/// A provider that cannot be set up as configured. Nothing was connected or started.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// A value that cannot be used.
    #[error("`{service}.{key}`{}: {expected}", shown(.value))]
    Config {
        /// The section of the configuration.
        service: Service,
        /// The key in it.
        key: &'static str,
        /// The value, unless it is secret.
        value: Option<String>,
        /// What is allowed.
        expected: String,
    },
    /// The program to run is not there.
    #[error("`{service}.command`: the program {program:?} {problem}{hint}")]
    Program {
        /// The section of the configuration.
        service: Service,
        /// The program as configured.
        program: String,
        /// What is wrong with it.
        problem: &'static str,
        /// How to get it, where known.
        hint: &'static str,
    },
    /// The HTTP client could not be set up.
    #[error("`{service}`: cannot set up the HTTP client")]
    Client {
        /// The section of the configuration.
        service: Service,
        /// Why.
        #[source]
        source: reqwest::Error,
    },
}

fn shown(value: &Option<String>) -> String {
    value
        .as_ref()
        .map(|value| format!(" = {value:?}"))
        .unwrap_or_default()
}
