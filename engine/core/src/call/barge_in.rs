//! Both at once: the caller makes a sound while the agent speaks.

use std::time::Duration;

use super::{Call, Delivery, Phase, Reply, ahead::Words};
use crate::{
    backchannel::Backchannels,
    config::CallConfig,
    echo_text,
    event::{CallEvent, RejectReason, TurnId},
    interruption::{Overlap, Sound, can_be_answered},
    io::Output,
    ledger::join,
    line::Line,
    reply::Stopped,
};

impl Call {
    /// The caller takes the floor with `turn`, by `sound`: what the agent says stops, in this very
    /// step.
    pub(super) fn yield_floor(
        &mut self,
        turn: TurnId,
        since_onset: Duration,
        sound: Sound,
        out: &mut Vec<Output>,
    ) {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if now < talk.tones_end {
            return;
        }
        let Some(reply) = &mut talk.reply else {
            if talk.playout.has_sent() || talk.playout.has_queued() {
                talk.playout.clear(now, out);
            }
            return;
        };
        if reply.is_farewell() || !reply.lets_speak {
            return;
        }
        if talk.playout.has_sent() {
            let words_sent = talk.playout.has_sent_words();
            if words_sent && !reply.interruptible && !reply.is_held() {
                return;
            }
            let stop = talk.playout.stop(now, out);
            join(&mut reply.heard, &stop.heard);
            if words_sent {
                if reply.is_spoken() && stop.rest.is_empty() {
                    // The last word was out: the caller answers, and interrupts nothing.
                    talk.playout.clear(now, out);
                    return self.finish(out);
                }
                reply.stopped = Some(Stopped {
                    can_be_answered: can_be_answered(&reply.heard, &stop, reply.is_spoken()),
                    saying: format!("{} {}", reply.heard, stop.rest),
                });
                self.counters.interruptions += 1;
                out.push(Output::Event(CallEvent::AgentInterrupted {
                    turn: reply.turn,
                    heard: reply.heard.clone(),
                    onset_to_clear_ms: u64::try_from(since_onset.as_millis()).unwrap_or(u64::MAX),
                }));
            }
        }
        // What is prepared and was not sent yet waits for what the caller says.
        reply.hold(sound);
        if let Delivery::Interrupted(_) = reply.delivery
            && let Some(stopped) = reply.stopped.clone()
        {
            talk.overlaps.push(Overlap {
                turn,
                agent: reply.turn,
                onset: now.saturating_sub(since_onset),
                stopped,
                was_short: false,
            });
        }
    }

    /// The agent goes on if the sound that stopped it is over and was too short for words, or known
    /// to hold none; `ended` says which turn has just ended. Words that are still on their way
    /// may stop the agent again.
    pub(super) fn pass_over_sound(&mut self, ended: Option<TurnId>, out: &mut Vec<Output>) {
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        let Some(reply) = &mut talk.reply else { return };
        let Delivery::Interrupted(sound) = reply.delivery else {
            return;
        };
        let config = &self.config.barge_in;
        let Some(turn) = ended.or_else(|| talk.turn.current()) else {
            return;
        };
        let is_over = ended.is_some() || sound.is_over(config);
        if !is_over || talk.keypad.is_pressing() {
            return;
        }
        if talk.transcripts.knows(turn) {
            // Its words decide, in this step.
            return;
        }
        let earlier_were_short = {
            let mut earlier = talk.transcripts.turns().filter(|earlier| *earlier != turn);
            earlier.all(|earlier| talk.overlaps.was_short(earlier))
        };
        if !earlier_were_short {
            return;
        }
        // The words may be known before the turn has ended.
        if let (Words::Heard { text, .. }, Some(overlap)) =
            (&talk.ahead.words, talk.overlaps.of(turn))
        {
            if reason_to_reject(&self.config, overlap, text, talk.line.as_ref()).is_none() {
                return;
            }
        } else if sound.is_short(config) && talk.overlaps.went_on(turn) {
            let agent = reply.turn;
            reply.release();
            self.reject(agent, RejectReason::Short, out);
        } else {
            return;
        }
        let Phase::Talking(talk) = &mut self.phase else {
            return;
        };
        if ended.is_none()
            && let Some(ended) = talk.turn.end()
        {
            self.turn_ended(ended, out);
        }
    }

    /// The words of `turn` are known. Whether they are for the agent: those over what the agent
    /// says may be none. Those that are stop it, if it went on without waiting for them.
    pub(super) fn are_for_the_agent(
        &mut self,
        turn: TurnId,
        text: &str,
        out: &mut Vec<Output>,
    ) -> bool {
        let now = self.now;
        let Phase::Talking(talk) = &mut self.phase else {
            return false;
        };
        let Some(overlap) = talk.overlaps.take(turn) else {
            return !text.is_empty();
        };
        if let Some(reason) = reason_to_reject(&self.config, &overlap, text, talk.line.as_ref()) {
            if !overlap.was_short {
                self.reject(overlap.agent, reason, out);
            }
            return false;
        }
        if overlap.was_short {
            let since_onset = now.since(overlap.onset);
            self.yield_floor(turn, since_onset, Sound::of_words(), out);
        }
        true
    }

    /// What stopped the agent was none.
    fn reject(&mut self, agent: TurnId, reason: RejectReason, out: &mut Vec<Output>) {
        self.counters.rejected_interruptions += 1;
        let turn = agent;
        out.push(Output::Event(CallEvent::BargeInRejected { turn, reason }));
    }

    /// What is said to the agent waits until it has finished something that may not be
    /// interrupted.
    pub(super) fn hears_the_agent_out(&self) -> bool {
        match &self.phase {
            Phase::Talking(talk) => talk.reply.as_ref().is_some_and(Reply::is_uninterruptible),
            _ => false,
        }
    }
}

/// Why words over the agent are none for the agent.
fn reason_to_reject(
    config: &CallConfig,
    overlap: &Overlap,
    text: &str,
    line: Option<&Line>,
) -> Option<RejectReason> {
    let barge_in = &config.barge_in;
    let words = text.split_whitespace().count();
    if words < barge_in.min_words.try_into().unwrap_or(usize::MAX) {
        return Some(RejectReason::NoWords);
    }
    let language = (!config.agent.detect_language).then_some(config.agent.language.as_str());
    let is_backchannel = || Backchannels::new(language, &barge_in.backchannels).are_all_of(text);
    if barge_in.ignore_backchannels && !overlap.stopped.can_be_answered && is_backchannel() {
        return Some(RejectReason::Backchannel);
    }
    let line_has_echo = line.is_some_and(Line::has_echo);
    if barge_in.ignore_echo && echo_text::is_of(text, &overlap.stopped.saying, line_has_echo) {
        return Some(RejectReason::Echo);
    }
    None
}
