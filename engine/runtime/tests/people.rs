//! People on a call, through the embedding API.

// A helper's failure is the test's.
#![allow(clippy::unwrap_used)]

mod common;

use std::time::Duration;

use common::{FRAME, Phone, builder, greeting};
use futures_util::FutureExt as _;
use sidetone::{
    AcceptOptions, CallHandle, CallOver, Engine, PersonError, PersonLeg,
    core::{
        config::CallConfig,
        event::{BackReason, CallEvent},
        handoff::{Floor, HandoffState},
        person::{Join, LeaveReason, Mode, PersonOutput, Refusal},
    },
    speech::testing::{FakeLlm, FakeStt, FakeTts},
};
use sidetone_codecs::SampleRate;

const SECOND: Duration = Duration::from_secs(1);

fn engine(config: CallConfig) -> Engine {
    builder(FakeStt::new(), FakeLlm::new(), FakeTts::new())
        .config(config)
        .build()
        .unwrap()
}

fn join(mode: Mode, rank: u8) -> Join {
    Join {
        name: "Anna".into(),
        mode,
        rank,
        rate: SampleRate::HZ_16000,
    }
}

/// A call that has started.
async fn call(config: CallConfig) -> (Engine, Phone, CallHandle) {
    let engine = engine(config);
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(FRAME).await;
    (engine, phone, handle)
}

/// The person speaks for `length`; what they were told meanwhile.
async fn speak(phone: &mut Phone, leg: &mut PersonLeg, length: Duration) -> Vec<PersonOutput> {
    let mut told = Vec::new();
    for _ in 0..length.as_millis() / FRAME.as_millis() {
        assert!(leg.send_audio(&[8_000; 320]), "the call takes it");
        phone.listen(FRAME).await;
        told.extend(received(leg));
    }
    told
}

/// What has come so far.
fn received(leg: &mut PersonLeg) -> Vec<PersonOutput> {
    let mut told = Vec::new();
    while let Some(Some(output)) = leg.recv().now_or_never() {
        told.push(output);
    }
    told
}

#[tokio::test(start_paused = true)]
async fn a_person_takes_over_speaks_and_hears() {
    let (_engine, mut phone, handle) = call(greeting("A long greeting, to be cut.")).await;
    let mut leg = handle.join(join(Mode::Takeover, 1)).await.unwrap();
    let state = handle.state();
    let before = phone.audio();
    let told = speak(&mut phone, &mut leg, SECOND).await;
    let joined = PersonOutput::Joined {
        mode: Mode::Takeover,
    };
    assert_eq!(told[0], joined);
    let audio = |output: &&PersonOutput| match output {
        PersonOutput::Audio { pcm } => pcm.len() == 320,
        _ => false,
    };
    assert!(told.iter().filter(audio).count() >= 48);
    let heard = phone.audio() - before;
    assert!(heard >= SECOND - 3 * FRAME, "{heard:?}");
    let seen = state.borrow().clone();
    assert_eq!(
        seen.handoff,
        HandoffState::Bridged {
            by: leg.id(),
            mode: Mode::Takeover
        }
    );
    assert!(seen.started);
    assert_eq!(seen.people[0].name, "Anna");
    assert_eq!(leg.missed(), 0);
}

#[tokio::test(start_paused = true)]
async fn dropping_a_leg_gives_the_call_back() {
    let (_engine, mut phone, handle) = call(greeting("")).await;
    let mut events = handle.events();
    let leg = handle.join(join(Mode::Takeover, 1)).await.unwrap();
    phone.listen(SECOND).await;
    let (sender, receiver) = leg.split();
    drop(sender);
    phone.listen(FRAME).await;
    drop(receiver);
    let mut back = None;
    while let Some(Some(Ok(record))) = events.recv().now_or_never() {
        if let CallEvent::Handoff { back: why, .. } = &record.event {
            back = *why;
        }
    }
    assert_eq!(back, Some(BackReason::Left));
    assert_eq!(handle.state().borrow().people, []);
}

#[tokio::test(start_paused = true)]
async fn who_is_taken_off_the_call_is_told() {
    let (_engine, mut phone, handle) = call(greeting("")).await;
    let mut anna = handle.join(join(Mode::Takeover, 2)).await.unwrap();
    let bea = handle.join(join(Mode::Monitor, 1)).await.unwrap();
    handle.remove_person(anna.id()).await.unwrap();
    phone.listen(FRAME).await;
    let reason = LeaveReason::Removed;
    assert_eq!(
        received(&mut anna).last(),
        Some(&PersonOutput::Closed { reason })
    );
    assert!(!anna.send_audio(&[0; 320]));
    let state = handle.state().borrow().clone();
    assert_eq!(state.handoff, HandoffState::Agent);
    let people: Vec<_> = state.people.iter().map(|person| person.id).collect();
    assert_eq!(people, [bea.id()], "the others stay");
    // Nobody is there any more to be taken off.
    handle.remove_person(anna.id()).await.unwrap();
    phone.listen(FRAME).await;
    assert!(!handle.state().borrow().ended);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_listen_any_more_is_off_the_call_without_a_word() {
    let (_engine, mut phone, handle) = call(greeting("")).await;
    let leg = handle.join(join(Mode::Monitor, 1)).await.unwrap();
    phone.listen(FRAME).await;
    assert_eq!(handle.state().borrow().people.len(), 1);
    // Who only listens never sends anything.
    let (sender, receiver) = leg.split();
    drop(receiver);
    phone.listen(3 * FRAME).await;
    assert_eq!(handle.state().borrow().people, []);
    assert!(sender.is_closed());
}

#[tokio::test(start_paused = true)]
async fn the_floor_is_nobodys_once_a_person_has_finished() {
    // The words do not come, or long after the person has finished.
    let engine = builder(FakeStt::new().hangs(), FakeLlm::new(), FakeTts::new())
        .config(greeting(""))
        .build()
        .unwrap();
    let (mut phone, handle) = Phone::call(&engine).await;
    phone.listen(FRAME).await;
    let mut leg = handle.join(join(Mode::Takeover, 1)).await.unwrap();
    speak(&mut phone, &mut leg, SECOND).await;
    let id = leg.id();
    assert_eq!(handle.state().borrow().floor, Floor::Person { id });
    for _ in 0..50 {
        leg.send_audio(&[0; 320]);
        phone.listen(FRAME).await;
    }
    assert_eq!(handle.state().borrow().floor, Floor::Nobody);
}

#[tokio::test(start_paused = true)]
async fn what_waits_to_be_said_is_counted_at_once() {
    let (_engine, mut phone, handle) = call(greeting("")).await;
    let _leg = handle.join(join(Mode::Takeover, 1)).await.unwrap();
    for waiting in 1..=2 {
        handle.say("It is on its way.").await.unwrap();
        phone.listen(FRAME).await;
        assert_eq!(handle.state().borrow().unsaid, waiting);
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_keeps_its_id_whoever_else_claims_it() {
    let (engine, mut phone, handle) = call(greeting("")).await;
    let options = AcceptOptions::new().call_id(handle.id().clone());
    let (second, twin) = Phone::dial_with(&engine, 64, options);
    drop(second);
    twin.ended().await;
    phone.listen(FRAME).await;
    let found = engine.call(handle.id()).unwrap();
    found.pause_agent().await.unwrap();
    phone.listen(FRAME).await;
    assert!(handle.state().borrow().paused);
}

#[tokio::test(start_paused = true)]
async fn who_may_not_is_told_why() {
    let mut config = greeting("");
    config.handoff.max_people = 2;
    let engine = engine(config);
    let (mut phone, handle) = Phone::dial(&engine, 64);
    let early = handle.join(join(Mode::Monitor, 1)).await;
    assert_eq!(
        early.unwrap_err(),
        PersonError::Refused(Refusal::NotStarted)
    );
    phone.start().await;
    phone.listen(FRAME).await;

    let mut first = handle.join(join(Mode::Takeover, 1)).await.unwrap();
    let second = handle.join(join(Mode::Monitor, 1)).await.unwrap();
    let by = first.id();
    let taken = PersonError::Refused(Refusal::TakenOver { by });
    assert_eq!(second.set_mode(Mode::Takeover).await, Err(taken));
    assert_eq!(second.set_mode(Mode::Barge).await, Ok(()));
    let third = handle.join(join(Mode::Monitor, 9)).await.unwrap_err();
    assert_eq!(third, PersonError::Refused(Refusal::TooMany { max: 2 }));
    second.leave();
    phone.listen(FRAME).await;
    let third = handle.join(join(Mode::Takeover, 9)).await.unwrap();
    let mode = Mode::Monitor;
    assert!(received(&mut first).contains(&PersonOutput::Mode { mode }));

    phone.stop().await;
    handle.ended().await;
    let told = received(&mut first);
    let Some(PersonOutput::Closed { reason }) = told.last() else {
        panic!("{told:?}");
    };
    assert!(matches!(reason, LeaveReason::CallEnded { .. }));
    assert_eq!(first.recv().await, None);
    assert!(!first.send_audio(&[0; 320]));
    let over = PersonError::Over(CallOver);
    assert_eq!(third.set_mode(Mode::Monitor).await, Err(over));
    let late = handle.join(join(Mode::Monitor, 1)).await;
    assert_eq!(late.unwrap_err(), over);
}

#[tokio::test(start_paused = true)]
async fn a_call_waits_for_nobody() {
    let (_engine, mut phone, handle) = call(greeting("")).await;
    let mut leg = handle.join(join(Mode::Monitor, 1)).await.unwrap();
    // The call's task does not run meanwhile.
    let taken = (0..100).filter(|_| leg.send_audio(&[0; 320])).count();
    assert!((10..100).contains(&taken), "{taken}");
    assert_eq!(leg.dropped(), 100 - taken as u64);
    // Nobody receives for 5 s; a change of mode is told all the same.
    phone.listen(5 * SECOND).await;
    leg.set_mode(Mode::Whisper).await.unwrap();
    assert!(leg.missed() > 150, "{}", leg.missed());
    let told = received(&mut leg);
    let mode = Mode::Whisper;
    assert_eq!(told.last(), Some(&PersonOutput::Mode { mode }));
}

#[tokio::test(start_paused = true)]
async fn calls_are_found_by_their_id_while_they_go_on() {
    let (engine, mut phone, handle) = call(greeting("")).await;
    let found = engine.call(handle.id()).unwrap();
    found.pause_agent().await.unwrap();
    phone.listen(FRAME).await;
    assert!(handle.state().borrow().paused);
    assert_eq!(engine.calls().len(), 1);
    phone.stop().await;
    drop(phone);
    handle.ended().await;
    assert!(engine.call(handle.id()).is_none());
    assert_eq!(engine.calls().len(), 0);
    assert_eq!(handle.resume_agent().await, Err(CallOver));
}

#[tokio::test(start_paused = true)]
async fn a_tap_hears_both_sides_until_it_is_dropped() {
    let (_engine, mut phone, handle) = call(greeting("Hello, how may I help you?")).await;
    let mut tap = handle.record().await.unwrap();
    phone.listen(SECOND).await;
    phone.speak(SECOND / 2).await;
    let (mut frames, mut agent, mut caller) = (0, 0, 0);
    while let Some(Some(audio)) = tap.recv().now_or_never() {
        assert_eq!((audio.caller.len(), audio.others.len()), (160, 160));
        frames += 1;
        caller += usize::from(audio.caller.iter().any(|s| s.unsigned_abs() > 1_000));
        agent += usize::from(audio.others.iter().any(|s| s.unsigned_abs() > 100));
    }
    assert!((74..=76).contains(&frames), "{frames}");
    assert!(agent > 20 && caller > 20, "{agent} {caller}");
    assert_eq!(tap.missed(), 0);
    assert!(handle.state().borrow().recording);
    drop(tap);
    phone.listen(5 * FRAME).await;
    assert!(!handle.state().borrow().recording);
}
