//! People on their way onto a call, and on it.

mod audio;
mod backlog;
pub(crate) mod browser;
pub(crate) mod guest;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod offer;
pub(crate) mod phone;
pub(crate) mod summary;
pub(crate) mod transfer;
mod wire;
mod words;
