//! The call: wires the sub-machines together.

use std::sync::Arc;

use crate::{
    config::CallConfig,
    io::{Input, Output},
    time::CallTime,
    vad::Vad,
};

/// One phone call.
pub struct Call {
    config: Arc<CallConfig>,
    vad: Box<dyn Vad>,
}

impl Call {
    /// A call whose leg has just connected, at [`CallTime::ZERO`]. `config` must have been
    /// [validated](CallConfig::validate).
    #[must_use]
    pub fn new(config: Arc<CallConfig>, vad: Box<dyn Vad>) -> Self {
        Self { config, vad }
    }

    /// Takes one input at `now`, appends everything that follows from it to `out`, and returns
    /// when to call again with [`Input::Deadline`] if nothing else happens before.
    ///
    /// `now` never goes back. After [`Output::HangUp`] inputs are ignored and `None` is returned.
    pub fn step(
        &mut self,
        now: CallTime,
        input: Input<'_>,
        out: &mut Vec<Output>,
    ) -> Option<CallTime> {
        let _ = (&self.config, &self.vad, now, input, out);
        None
    }
}
