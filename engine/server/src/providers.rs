//! tmp
use crate::config::Config;
use sidetone::Engine;
/// tmp
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// tmp
    #[error("tmp")]
    Tmp,
}
pub(crate) async fn engine(_config: &Config) -> Result<Engine, ProviderError> {
    Err(ProviderError::Tmp)
}
