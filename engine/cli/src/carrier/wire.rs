//! A telephone on a media stream that can be called away.

use std::collections::BTreeMap;

use sidetone_core::time::CallTime;
use tokio::sync::{mpsc, oneshot};

use super::exchange::Command;
use crate::phone::{Actions, CallReport, Ending, Handset, Telephone};

/// A [`Handset`] that looks at each frame whether its call is told something else.
pub(super) struct Wire<'a> {
    handset: Handset,
    commands: &'a mut mpsc::UnboundedReceiver<Command>,
    began: Option<oneshot::Sender<()>>,
    told: Option<Command>,
}

impl<'a> Wire<'a> {
    pub(super) fn new(
        handset: Handset,
        commands: &'a mut mpsc::UnboundedReceiver<Command>,
        began: oneshot::Sender<()>,
    ) -> Self {
        Self {
            handset,
            commands,
            began: Some(began),
            told: None,
        }
    }

    /// The stream is over: if it has not begun, it never will.
    pub(super) fn over(&mut self) {
        self.began = None;
    }

    /// What was measured, and what the call was told, if that ended the stream.
    pub(super) fn end(self, now: CallTime, ending: Ending) -> (CallReport, Option<Command>) {
        (self.handset.end(now, ending), self.told)
    }
}

impl Telephone for Wire<'_> {
    fn start(&mut self, parameters: &BTreeMap<String, String>, actions: &mut Actions) {
        if let Some(began) = self.began.take() {
            // Whoever waits for it waits as long as this lives.
            let _ = began.send(());
        }
        self.handset.start(parameters, actions);
    }

    fn receive(&mut self, now: CallTime, text: &str, actions: &mut Actions) {
        self.handset.receive(now, text, actions);
    }

    fn receive_binary(&mut self, now: CallTime, actions: &mut Actions) {
        self.handset.receive_binary(now, actions);
    }

    fn advance(&mut self, now: CallTime, actions: &mut Actions) {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Press(digit) => self.handset.press(digit, actions),
                command => {
                    self.told = Some(command);
                    self.handset.hang_up(actions);
                    return;
                }
            }
        }
        self.handset.advance(now, actions);
    }

    fn deadline(&self) -> CallTime {
        self.handset.deadline()
    }
}
