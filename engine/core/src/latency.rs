//! Where the time between the caller's last word and the agent's first goes.

use crate::{
    event::{TurnId, TurnMetrics},
    time::CallTime,
};

/// The moments of one answer, as they happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Latency {
    turn: TurnId,
    speech_end: CallTime,
    decided: CallTime,
    transcript: CallTime,
    first_token: Option<CallTime>,
    first_sentence: Option<CallTime>,
    first_byte: Option<CallTime>,
}

impl Latency {
    /// The caller stopped speaking at `speech_end`; that the turn was over was `decided` later.
    pub(crate) fn new(turn: TurnId, speech_end: CallTime, decided: CallTime) -> Self {
        Self {
            turn,
            speech_end,
            decided,
            transcript: decided,
            first_token: None,
            first_sentence: None,
            first_byte: None,
        }
    }

    pub(crate) fn transcript(&mut self, now: CallTime) {
        self.transcript = now;
    }

    pub(crate) fn token(&mut self, now: CallTime) {
        self.first_token.get_or_insert(now);
    }

    pub(crate) fn sentence(&mut self, now: CallTime) {
        self.first_sentence.get_or_insert(now);
    }

    pub(crate) fn byte(&mut self, now: CallTime) {
        self.first_byte.get_or_insert(now);
    }

    /// The first audio goes out.
    pub(crate) fn metrics(&self, now: CallTime) -> TurnMetrics {
        let first_token = self.first_token.unwrap_or(self.transcript);
        let first_sentence = self.first_sentence.unwrap_or(first_token);
        let first_byte = self.first_byte.unwrap_or(now);
        TurnMetrics {
            turn: self.turn,
            endpointing_ms: ms(self.speech_end, self.decided),
            stt_ms: ms(self.decided, self.transcript),
            llm_first_token_ms: ms(self.transcript, first_token),
            llm_first_sentence_ms: ms(first_token, first_sentence),
            tts_first_byte_ms: ms(first_sentence, first_byte),
            total_ms: ms(self.speech_end, now),
        }
    }
}

fn ms(from: CallTime, to: CallTime) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}
