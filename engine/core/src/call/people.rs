//! People on the call.

use super::Call;
use crate::{
    handoff::CallState,
    io::{Command, Output},
    person::{PersonId, PersonInput},
};

impl Call {
    /// The call at a glance.
    #[must_use]
    pub fn state(&self) -> CallState {
        CallState::default()
    }

    pub(super) fn handoff_command(&mut self, _: Command, _: &mut Vec<Output>) {}

    pub(super) fn person(&mut self, _: PersonId, _: PersonInput<'_>, _: &mut Vec<Output>) {}
}
