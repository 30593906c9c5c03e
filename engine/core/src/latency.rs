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
    /// The caller stopped speaking at `speech_end`; the silence was long enough when that was
    /// `decided`.
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

    /// The caller's turn.
    pub(crate) fn turn(&self) -> TurnId {
        self.turn
    }

    /// The same with what `ahead` knows of the answer, which was made before the turn had ended.
    pub(crate) fn with_answer(self, ahead: Self) -> Self {
        Self {
            turn: self.turn,
            speech_end: self.speech_end,
            decided: self.decided,
            transcript: self.transcript,
            ..ahead
        }
    }

    /// The first audio goes out. A step that was done before the one it follows was over took no
    /// time.
    pub(crate) fn metrics(&self, now: CallTime) -> TurnMetrics {
        let transcript = self.transcript.max(self.decided);
        let first_token = self.first_token.unwrap_or(transcript).max(transcript);
        let first_sentence = self.first_sentence.unwrap_or(first_token).max(first_token);
        let first_byte = self.first_byte.unwrap_or(now).max(first_sentence);
        TurnMetrics {
            turn: self.turn,
            endpointing_ms: ms(self.speech_end, self.decided),
            stt_ms: ms(self.decided, transcript),
            llm_first_token_ms: ms(transcript, first_token),
            llm_first_sentence_ms: ms(first_token, first_sentence),
            tts_first_byte_ms: ms(first_sentence, first_byte),
            total_ms: ms(self.speech_end, now),
        }
    }
}

fn ms(from: CallTime, to: CallTime) -> u64 {
    u64::try_from(to.since(from).as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> CallTime {
        CallTime::from_millis(ms)
    }

    fn parts(metrics: &TurnMetrics) -> [u64; 5] {
        [
            metrics.endpointing_ms,
            metrics.stt_ms,
            metrics.llm_first_token_ms,
            metrics.llm_first_sentence_ms,
            metrics.tts_first_byte_ms,
        ]
    }

    #[test]
    fn one_step_after_the_other() {
        let mut latency = Latency::new(TurnId(1), at(1_000), at(1_300));
        latency.transcript(at(1_400));
        latency.token(at(1_450));
        latency.sentence(at(1_460));
        latency.byte(at(1_500));
        let metrics = latency.metrics(at(1_500));
        assert_eq!(parts(&metrics), [300, 100, 50, 10, 40]);
        assert_eq!(metrics.total_ms, 500);
    }

    #[test]
    fn what_was_done_ahead_took_no_time_of_its_own() {
        let mut ahead = Latency::new(TurnId(1), at(1_150), at(1_150));
        ahead.token(at(1_200));
        ahead.sentence(at(1_250));
        let mut latency = Latency::new(TurnId(2), at(1_000), at(1_300));
        latency.transcript(at(1_180));
        let mut latency = latency.with_answer(ahead);
        latency.byte(at(1_360));
        let metrics = latency.metrics(at(1_360));
        assert_eq!(metrics.turn, TurnId(2));
        assert_eq!(parts(&metrics), [300, 0, 0, 0, 60]);
        assert_eq!(metrics.total_ms, 360);
    }
}
