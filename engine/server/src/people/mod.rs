//! People on their way onto a call.

mod join;

pub(crate) use join::{Grant, JoinTokens};
