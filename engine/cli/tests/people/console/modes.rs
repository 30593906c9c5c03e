//! Listening, coaching and joining in from a page.

use std::sync::Arc;

use serde_json::json;
use sidetone_cli::{
    carrier::Phone,
    phone::{Line, Script, When, load_audio},
};
use sidetone_core::{conversation::Role as Speaker, job::LlmJob};
use sidetone_server::store::Role;
use sidetone_speech::testing::{FakeLlm, FakeStt, Probe};

use super::page::{ADA_HUMS, AGENT, CAROL_HUMS, OTTO_HUMS, Page, STATUS, Seat, world, world_with};
use crate::{
    tones::SILENT,
    world::{CAROL, Services, World, humming, hums, loudest, soon},
};

/// A recording of somebody who speaks.
const SPEECH: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../fixtures/demo/1-where.wav"
);
const GUIDANCE: &str = "offer them a refund";

#[tokio::test]
async fn who_listens_hears_both_sides_and_is_not_heard() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let otto = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Listen").await;
    otto.says(STATUS, "You are listening.").await;
    otto.hears(CAROL_HUMS).await;
    otto.hears(AGENT).await;
    // Who would be heard by now if anybody here were.
    let ada = world.token("Ada", Role::Operator).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &ada).await;
    ada.goes_to(&carol).await;
    ada.clicks("Join in").await;
    carol.ear.hears(ADA_HUMS).await;
    otto.hears(ADA_HUMS).await;
    let heard = world.heard(&carol.sid).await;
    assert!(loudest(&heard, ADA_HUMS) > SILENT);
    assert!(loudest(&heard, OTTO_HUMS) < SILENT, "Otto is not heard");
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn two_people_and_the_caller_hear_each_other_and_nobody_themselves() {
    let Some(world) = world().await else { return };
    let carol = world.call_from(CAROL, humming(CAROL_HUMS)).await;
    let otto = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Join in").await;
    otto.says(STATUS, "You are in the call.").await;
    let ada = world.token("Ada", Role::Operator).await;
    let ada = Page::signed_in(&world, &Seat::humming(ADA_HUMS), &ada).await;
    ada.goes_to(&carol).await;
    ada.clicks("Join in").await;
    carol.ear.hears(OTTO_HUMS).await;
    carol.ear.hears(ADA_HUMS).await;
    otto.hears(CAROL_HUMS).await;
    otto.hears(ADA_HUMS).await;
    ada.hears(CAROL_HUMS).await;
    ada.hears(OTTO_HUMS).await;
    assert!(otto.is_deaf_to(OTTO_HUMS).await);
    assert!(ada.is_deaf_to(ADA_HUMS).await);
    otto.clicks("Mute").await;
    otto.says(STATUS, "You are in the call, muted.").await;
    ada.hears_no(OTTO_HUMS).await;
    carol.ear.hears_no(OTTO_HUMS).await;
    otto.ends_well().await;
    ada.ends_well().await;
    world.server.stop().await;
}

/// A caller who asks again and again, and the jobs that this makes for the language model.
async fn asking() -> Option<(World, Probe<LlmJob>)> {
    let llm = FakeLlm::new();
    let jobs = llm.probe();
    let services = Services {
        stt: FakeStt::new().hears(GUIDANCE),
        llm,
        ..Services::default()
    };
    let world = world_with(services, |config| config.agent.greeting.clear()).await?;
    Some((world, jobs))
}

fn phone_that_asks() -> Phone {
    let audio = load_audio(SPEECH.as_ref()).unwrap();
    let line = |_| {
        Line::new(
            "where is my order",
            Arc::clone(&audio),
            When::PauseMs(2_500),
        )
    };
    let script = Script {
        lines: (0..20).map(line).collect(),
        ..Script::clone(&hums(CAROL_HUMS))
    };
    Phone::answers().script(Arc::new(script)).keep_audio()
}

/// Waits until the language model is told the guidance.
async fn is_guided(jobs: &Probe<LlmJob>) {
    soon(async {
        for count in 1.. {
            jobs.started(count).await;
            let guides = |job: &LlmJob| {
                let mut messages = job.messages.iter();
                messages.any(|message| {
                    message.role == Speaker::Guidance && message.text.contains(GUIDANCE)
                })
            };
            if jobs.jobs().iter().any(guides) {
                return;
            }
        }
    })
    .await;
}

#[tokio::test]
async fn who_types_guidance_is_understood_by_the_agent_alone() {
    let Some((world, jobs)) = asking().await else {
        return;
    };
    let carol = world.call_from(CAROL, phone_that_asks()).await;
    let otto = Page::signed_in(&world, &Seat::humming(OTTO_HUMS), &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Guide the agent").await;
    assert_eq!(otto.focused().await, "Words", "nothing is no guidance");
    otto.fills("Words", GUIDANCE).await;
    otto.clicks("Guide the agent").await;
    otto.sees(&format!("Guidance from Otto: {GUIDANCE}")).await;
    is_guided(&jobs).await;
    otto.ends_well().await;
    world.server.stop().await;
}

#[tokio::test]
async fn who_coaches_by_voice_is_understood_by_the_agent_alone() {
    let Some((world, jobs)) = asking().await else {
        return;
    };
    let carol = world.call_from(CAROL, phone_that_asks()).await;
    let seat = Seat {
        microphone: json!({"hz": OTTO_HUMS, "said": SPEECH}),
        ..Seat::humming(OTTO_HUMS)
    };
    let otto = Page::signed_in(&world, &seat, &world.operator).await;
    otto.goes_to(&carol).await;
    otto.clicks("Coach").await;
    otto.says(STATUS, "You are coaching.").await;
    otto.sees(&format!("Guidance from Otto: {GUIDANCE}")).await;
    is_guided(&jobs).await;
    let heard = world.heard(&carol.sid).await;
    assert!(
        loudest(&heard, OTTO_HUMS) < SILENT,
        "the caller hears nothing"
    );
    otto.ends_well().await;
    world.server.stop().await;
}
