//! The suite of each trait over every implementation of it.

use crate::common::{GUARD, llm_job, long, short, stt_job, tts_job, turn_job};
use sidetone_core::job::{FailureKind, JobId, JobUpdate};
use sidetone_speech::{
    JobHandle, Llm, Sink, Stt, Tts, TurnDetector,
    llm::{OpenAiLlm, OpenAiLlmConfig, Script, ScriptLlm},
    stt::{OpenAiStt, OpenAiSttConfig},
    testing::{
        FakeLlm, FakeStt, FakeTts, FakeTurnDetector, Misbehaviour, OpenAiStandIn, Route,
        conformance,
    },
    tts::{CommandTts, CommandTtsConfig, OpenAiTts, OpenAiTtsConfig},
};
use tokio::sync::mpsc::Sender;

fn hear(stt: &dyn Stt) -> impl Fn(JobId, Sender<JobUpdate>) -> JobHandle {
    |id, updates| stt.start(stt_job(id), Sink::new(id, updates))
}

fn ask(llm: &dyn Llm) -> impl Fn(JobId, Sender<JobUpdate>) -> JobHandle {
    |id, updates| llm.start(llm_job(id), Sink::new(id, updates))
}

fn speak(tts: &dyn Tts) -> impl Fn(JobId, Sender<JobUpdate>) -> JobHandle {
    |id, updates| tts.start(tts_job(id), Sink::new(id, updates))
}

fn judge(detector: &dyn TurnDetector) -> impl Fn(JobId, Sender<JobUpdate>) -> JobHandle {
    |id, updates| detector.start(turn_job(id), Sink::new(id, updates))
}

#[tokio::test]
async fn fakes() {
    let stt = FakeStt::new().hears("yes");
    conformance::stt(&stt, stt_job).await;
    conformance::fails(hear(&FakeStt::new().fails(FailureKind::TimedOut))).await;
    let stuck = FakeStt::new().hangs();
    let probe = stuck.probe();
    conformance::stops(hear(&stuck), || probe.started(1)).await;

    conformance::llm(&FakeLlm::new(), llm_job).await;
    conformance::fails(ask(&FakeLlm::new().breaks_off("Well,"))).await;
    let stuck = FakeLlm::new().hangs();
    let probe = stuck.probe();
    conformance::stops(ask(&stuck), || probe.started(1)).await;

    conformance::tts(&FakeTts::new(), tts_job).await;
    conformance::fails(speak(&FakeTts::new().fails(FailureKind::Refused))).await;
    let stuck = FakeTts::new().hangs();
    let probe = stuck.probe();
    conformance::stops(speak(&stuck), || probe.started(1)).await;

    let unsure = FakeTurnDetector::new().judges(0.4);
    conformance::turn_detector(&unsure, turn_job).await;
    let failing = FakeTurnDetector::new().fails(FailureKind::Overloaded);
    conformance::fails(judge(&failing)).await;
    let stuck = FakeTurnDetector::new().hangs();
    let probe = stuck.probe();
    conformance::stops(judge(&stuck), || probe.started(1)).await;
}

#[tokio::test]
async fn openai() {
    let service = OpenAiStandIn::start().await;
    service.says("It is on its way.");
    let base_url = service.base_url().to_owned();
    let stt = OpenAiStt::new(OpenAiSttConfig {
        base_url: base_url.clone(),
        timeouts: long(),
        ..OpenAiSttConfig::default()
    });
    let stt = stt.unwrap();
    conformance::stt(&stt, stt_job).await;
    let llm = OpenAiLlm::new(OpenAiLlmConfig {
        base_url: base_url.clone(),
        timeouts: long(),
        ..OpenAiLlmConfig::default()
    });
    let llm = llm.unwrap();
    conformance::llm(&llm, llm_job).await;
    let tts = OpenAiTts::new(OpenAiTtsConfig {
        base_url,
        timeouts: long(),
        ..OpenAiTtsConfig::default()
    });
    let tts = tts.unwrap();
    conformance::tts(&tts, tts_job).await;

    for route in [Route::Transcriptions, Route::Chat, Route::Speech] {
        service.misbehaves(route, Misbehaviour::Status(403));
    }
    conformance::fails(hear(&stt)).await;
    conformance::fails(ask(&llm)).await;
    conformance::fails(speak(&tts)).await;

    for (route, how) in [
        (Route::Transcriptions, Misbehaviour::NoAnswer),
        (Route::Chat, Misbehaviour::Stalls),
        (Route::Speech, Misbehaviour::Stalls),
    ] {
        service.misbehaves(route, how);
    }
    // The service sees that nobody waits any more.
    let requests = service.requests().len();
    let walked_away = service.disconnects();
    conformance::stops(hear(&stt), || service.requested(requests + 1)).await;
    conformance::stops(ask(&llm), || service.requested(requests + 2)).await;
    conformance::stops(speak(&tts), || service.requested(requests + 3)).await;
    let guard = tokio::time::timeout(GUARD, service.disconnected(walked_away + 3));
    guard.await.expect("the connections close");
}

#[tokio::test]
async fn command() {
    // A tenth of a second of silence, at 8 kHz.
    let config = CommandTtsConfig {
        format: sidetone_speech::tts::AudioFormat::Pcm(sidetone_codecs::SampleRate::HZ_8000),
        first_byte: GUARD,
        ..CommandTtsConfig::new(["head", "-c", "1600", "/dev/zero"])
    };
    conformance::tts(&CommandTts::new(config).unwrap(), tts_job).await;

    let config = CommandTtsConfig::new(["false"]);
    conformance::fails(speak(&CommandTts::new(config).unwrap())).await;
    let config = CommandTtsConfig {
        first_byte: short().first_byte,
        ..CommandTtsConfig::new(["sleep", "1000"])
    };
    conformance::fails(speak(&CommandTts::new(config).unwrap())).await;
    let config = CommandTtsConfig {
        first_byte: GUARD,
        ..CommandTtsConfig::new(["sleep", "1000"])
    };
    let started = || std::future::ready(());
    conformance::stops(speak(&CommandTts::new(config).unwrap()), started).await;
}

#[tokio::test]
async fn script() {
    let llm = ScriptLlm::new(Script::embedded());
    conformance::llm(&llm, llm_job).await;
}
