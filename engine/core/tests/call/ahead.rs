//! What is done ahead in a pause of the caller: used if the turn has ended, and otherwise as if it
//! had never been.

use crate::sim::{self, Behaviour, Run, World, always, by_hand::ByHand, says};
use sidetone_core::{
    dialect::Outbound,
    event::{CallEvent, EndReason},
    io::{Command, Output},
    job::{Job, JobId},
};

/// Services that take their time, which an utterance of 800 ms is given to.
fn slow(words: &'static str) -> World {
    World {
        sounds: vec![says(1_000, 800, words)],
        stt: always(Behaviour::After(50)),
        llm: always(Behaviour::After(60)),
        tts: always(Behaviour::After(30)),
        ..World::default()
    }
}

/// The caller goes on after a pause in which everything was prepared.
fn goes_on(pause_ms: u64) -> World {
    let mut world = slow("my order is late");
    world
        .sounds
        .push(says(1_800 + pause_ms, 800, "and it is broken"));
    world
}

fn started(run: &Run) -> Vec<&Job> {
    let outputs = run.log.iter().flat_map(|(_, _, outputs)| outputs);
    outputs
        .filter_map(|output| match output {
            Output::Start(job) => Some(job),
            _ => None,
        })
        .collect()
}

fn first_audio_ms(run: &Run) -> u64 {
    let media = |(_, message): &&(u64, Outbound)| matches!(message, Outbound::Media { .. });
    run.sent.iter().find(media).expect("the agent spoke").0
}

#[test]
fn what_was_prepared_is_heard_when_the_turn_has_ended() {
    let run = slow("where is my order").run();
    let response = run.audible()[0].0 - 1_800;
    assert!((300..=350).contains(&response), "{response} ms");
    assert_eq!(started(&run).len(), 3, "nothing was asked for twice");
    assert_eq!(run.eager.len(), 3);
    assert_eq!(run.cancelled, []);
    let metrics = run.metrics()[0];
    let parts = metrics.endpointing_ms
        + metrics.stt_ms
        + metrics.llm_first_token_ms
        + metrics.llm_first_sentence_ms
        + metrics.tts_first_byte_ms;
    assert_eq!(parts, metrics.total_ms, "{metrics:?}");
    assert!((300..=340).contains(&metrics.endpointing_ms), "{metrics:?}");
}

#[test]
fn services_slower_than_the_silence_count_with_what_is_left_of_them() {
    let mut world = slow("where is my order");
    world.llm = always(Behaviour::After(400));
    let run = world.run();
    // 150 of silence, then 50, 400 and 30 ms, rounded to frames.
    let response = run.audible()[0].0 - 1_800;
    assert!((630..=680).contains(&response), "{response} ms");
    let metrics = run.metrics()[0];
    assert!(
        (280..=330).contains(&metrics.llm_first_token_ms),
        "{metrics:?}"
    );
    assert_eq!(metrics.stt_ms, 0, "{metrics:?}");
}

#[test]
fn if_the_caller_goes_on_nothing_of_it_was_ever_there() {
    for pause_ms in (160..=250).step_by(10) {
        let run = goes_on(pause_ms).run();
        assert_eq!(
            run.lines(),
            [
                "Caller: my order is late and it is broken",
                "Agent: All right."
            ],
            "{pause_ms} ms"
        );
        assert!(first_audio_ms(&run) >= 2_600 + pause_ms, "{pause_ms} ms");
        assert_eq!(run.clears(), [0; 0]);
        assert_eq!(run.interruptions(), []);
        assert_eq!(run.transcripts().len(), 1);
        let sentences =
            run.all(|event| matches!(event, CallEvent::AgentSentence { .. }).then_some(()));
        assert_eq!(sentences.len(), 1, "only what is said is told");
    }
}

#[test]
fn turns_are_numbered_without_gaps() {
    let run = goes_on(250).run();
    let turns = run.all(|event| match event {
        CallEvent::TurnStarted { turn } | CallEvent::AgentSpeaking { turn } => Some(turn.0),
        _ => None,
    });
    let turns: Vec<u32> = turns.into_iter().map(|(_, turn)| turn).collect();
    assert_eq!(turns, [1, 2]);
}

#[test]
fn what_is_not_needed_is_cancelled_once() {
    let mut world = goes_on(250);
    world.llm = always(Behaviour::After(2_000));
    world.until_ms = 10_000;
    let run = world.run();
    let llms: Vec<JobId> = run.llm_jobs.iter().map(|(_, job)| job.id).collect();
    assert_eq!(llms.len(), 2);
    assert_eq!(run.cancelled, llms[..1]);
}

#[test]
fn a_hang_up_that_was_decided_ahead_does_nothing_until_the_turn_has_ended() {
    let mut world = goes_on(240);
    world.stt = always(Behaviour::After(0));
    world.llm = always(Behaviour::After(0));
    world.answer = Box::new(|messages| {
        let ends = messages.last().unwrap().text.ends_with("late");
        (if ends { "" } else { "I see." }.into(), ends)
    });
    let run = world.run();
    assert_eq!(run.ended, None);
    assert_eq!(run.finished().len(), 1);

    let mut world = slow("goodbye");
    world.answer = Box::new(|_| (String::new(), true));
    let (at_ms, reason) = world.run().ended.expect("the turn has ended");
    assert_eq!(reason, EndReason::AgentHungUp);
    assert!(at_ms >= 2_100, "{at_ms}");
}

#[test]
fn nothing_is_answered_ahead_that_breaks_off() {
    let mut world = slow("I would like");
    world.sounds.push(says(2_800, 800, "a table for two"));
    let run = world.run();
    assert_eq!(run.llm_jobs.len(), 1);
    assert_eq!(run.tts_jobs.len(), 1);
}

#[test]
fn only_the_first_sentence_is_spoken_ahead() {
    let mut world = slow("tell me");
    world.answer = Box::new(|_| ("First this. Then that. And the end.".into(), false));
    world.stt = always(Behaviour::After(0));
    world.llm = always(Behaviour::After(0));
    let run = world.run();
    let eager: Vec<&str> = run
        .tts_jobs
        .iter()
        .filter(|(_, job)| job.eager)
        .map(|(_, job)| job.text.as_str())
        .collect();
    assert_eq!(eager, ["First this."]);
    assert_eq!(run.finished()[0].1, "First this. Then that. And the end.");
    assert_eq!(run.underruns, 0);
}

#[test]
fn services_that_fail_ahead_are_asked_again_and_nobody_hears_of_it() {
    for service in 0..3 {
        let mut world = World::with_phrases();
        world.sounds = vec![says(1_000, 800, "where is my order")];
        let fails_once: sim::Schedule = Box::new(|n| match n {
            0 => Behaviour::FailsAfter(20),
            _ => Behaviour::After(0),
        });
        match service {
            0 => world.stt = fails_once,
            1 => world.llm = fails_once,
            _ => world.tts = fails_once,
        }
        let run = world.run();
        assert_eq!(run.errors(), 0);
        assert_eq!(
            run.lines(),
            ["Caller: where is my order", "Agent: All right."]
        );
    }
}

#[test]
fn under_load_the_call_goes_on_without_eager_work() {
    let mut world = slow("where is my order");
    world.refuses_eager = true;
    let run = world.run();
    let response = run.audible()[0].0 - 1_800;
    assert!((440..=490).contains(&response), "{response} ms");
    assert_eq!(run.errors(), 0);
    assert_eq!(run.eager.len(), 1, "refused once, it asks for no more");
}

#[test]
fn eager_work_can_be_off() {
    let mut world = slow("where is my order");
    world.config.eager.enabled = false;
    let run = world.run();
    assert_eq!(run.eager, []);
    let response = run.audible()[0].0 - 1_800;
    assert!((440..=490).contains(&response), "{response} ms");
}

#[test]
fn the_program_may_end_the_call_in_the_middle_of_it() {
    for at_ms in (1_900..2_200).step_by(20) {
        let mut world = slow("where is my order");
        world.commands = vec![(
            at_ms,
            Command::HangUp {
                farewell: Some("So long.".into()),
            },
        )];
        let run = world.run();
        assert_eq!(run.ended.expect("ends").1, EndReason::Commanded);
        assert_eq!(run.lines().last().unwrap(), "Agent: So long.", "{at_ms}");
        assert_eq!(run.audible().len(), 1);
    }
}

#[test]
fn keys_pressed_in_the_pause_take_the_place_of_what_was_prepared() {
    let mut world = slow("my number is");
    world.sounds = vec![says(1_000, 800, "where is my order")];
    world.keys = vec![(2_050, '4'), (2_060, '#')];
    let run = world.run();
    let lines = run.lines();
    assert!(
        lines[0].contains('4') && lines[0].contains("where is my order"),
        "{lines:?}"
    );
    assert_eq!(lines.len(), 2, "{lines:?}");
}

#[test]
fn a_result_that_comes_after_it_was_dropped_changes_nothing() {
    let mut call = ByHand::started(sidetone_core::config::CallConfig::default());
    call.sound(500);
    call.silence(200);
    call.transcript("where is my order");
    let (llm, stt) = (call.llm(), call.stt());
    call.sound(500);
    let before = call.outputs.len();
    call.news(
        llm,
        sidetone_core::job::LlmEvent::Delta {
            text: "Never asked for. ".into(),
        },
    );
    call.news(llm, sidetone_core::job::LlmEvent::Done { hang_up: true });
    call.news(
        stt,
        sidetone_core::job::SttEvent::Transcript(Default::default()),
    );
    assert_eq!(call.outputs.len(), before);
    assert_eq!(call.lines(), [""; 0]);
}
