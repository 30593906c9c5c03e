//! The sockets that legs come in on.
//!
//! A [`Transport`] carries whole messages in both directions. The engine drives it from the
//! call's own task: it receives while it sends, so a leg that does not read never keeps its call
//! from hearing it, and what still waits in the engine when a `clear` is due never reaches the
//! socket.

mod memory;
#[cfg(any(feature = "axum", feature = "tungstenite"))]
mod websocket;

use std::error::Error as StdError;

use bytes::Bytes;
use futures_util::{Sink, Stream};
use thiserror::Error;

pub use memory::{MemoryPeer, MemoryTransport, memory};
pub use sidetone_core::dialect::FrameKind;
#[cfg(feature = "axum")]
pub use websocket::axum;
#[cfg(feature = "tungstenite")]
pub use websocket::tungstenite;

/// One message on a leg's socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireMessage {
    /// How it is framed.
    pub kind: FrameKind,
    /// What it holds; UTF-8 if it is framed as text.
    pub payload: Bytes,
}

impl WireMessage {
    /// A text message.
    pub fn text(text: impl Into<String>) -> Self {
        Self {
            kind: FrameKind::Text,
            payload: Bytes::from(text.into()),
        }
    }

    /// A binary message.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self {
            kind: FrameKind::Binary,
            payload: bytes.into(),
        }
    }
}

/// Carries messages to and from one leg: anything that is both a [`Stream`] and a [`Sink`] of
/// [`WireMessage`]s.
///
/// The stream ends, or yields one last error, when the leg is gone. The sink reports that it is
/// ready only while it has little unsent, and flushing it hands everything to the operating
/// system; closing it says goodbye to the leg.
pub trait Transport:
    Stream<Item = Result<WireMessage, TransportError>>
    + Sink<WireMessage, Error = TransportError>
    + Send
    + 'static
{
}

impl<T> Transport for T where
    T: Stream<Item = Result<WireMessage, TransportError>>
        + Sink<WireMessage, Error = TransportError>
        + Send
        + 'static
{
}

/// Why a leg's socket can no longer be used.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TransportError {
    /// It closed without a goodbye, or broke.
    #[error("the leg's socket broke")]
    Broken(#[source] Box<dyn StdError + Send + Sync>),
    /// The leg sent a longer message than the socket takes.
    #[error("the leg sent a message of {size} bytes; at most {max} are taken")]
    TooLong {
        /// How long the message is, in bytes.
        size: usize,
        /// How long it may be, in bytes.
        max: usize,
    },
}

impl TransportError {
    /// A socket that broke for this reason.
    pub fn broken(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self::Broken(source.into())
    }
}
