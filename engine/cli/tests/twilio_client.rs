//! The client of Twilio's REST API against the carrier on this machine: every request, and every
//! way in which one can go wrong.

#![allow(clippy::unwrap_used)]

mod application;

use std::{net::TcpListener, time::Duration};

use application::{ANN, BOB, OURS, World, number, sid, soon};
use sidetone_cli::carrier::{Fault, Phone, Status, Step};
use sidetone_server::{
    config::TwilioConfig,
    twilio::{
        AnsweredBy, CallStatus, Callback, Instructions, MachineDetection, NewCall, ProgressEvent,
        RecordingChannels, Report, TwilioClient, TwilioError,
    },
    twiml::{Say, Twiml},
};
use sidetone_speech::Secret;

const NOBODY: &str = "CA0123456789abcdef0123456789abcdef";

fn hello() -> Twiml {
    Twiml::new().say(&Say::new("Hello."))
}

fn new_call() -> NewCall {
    NewCall::new(number(ANN), number(OURS), hello())
}

/// A client with little patience.
fn impatient(config: TwilioConfig) -> TwilioClient {
    let config = TwilioConfig {
        request_timeout_ms: 1_000,
        ..config
    };
    TwilioClient::new(&config).unwrap()
}

#[tokio::test]
async fn a_placed_call_carries_what_was_asked_for() {
    let world = World::new().await;
    let call = new_call()
        .ring_seconds(25)
        .longest_seconds(600)
        .status(Callback::new(world.url("/status")).events([ProgressEvent::Completed]))
        .machine_detection(
            MachineDetection::meanwhile(world.url("/machine"))
                .until_message_can_be_left()
                .longest_seconds(20),
        );
    let placed = soon(world.twilio.place_call(&call)).await.unwrap();
    assert_eq!(placed.status, CallStatus::Queued);
    let record = soon(world.carrier.ended(placed.sid.as_str())).await;
    for (field, value) in [
        ("To", ANN),
        ("From", OURS),
        ("Twiml", &*hello().to_string()),
        ("Timeout", "25"),
        ("TimeLimit", "600"),
        ("StatusCallback", &*world.url("/status")),
        ("StatusCallbackEvent", "completed"),
        ("MachineDetection", "DetectMessageEnd"),
        ("MachineDetectionTimeout", "20"),
        ("AsyncAmd", "true"),
        ("AsyncAmdStatusCallback", &*world.url("/machine")),
    ] {
        assert_eq!(record.field(field), Some(value), "{field}");
    }
    assert!(matches!(&*record.steps, [Step::Said(words)] if words == "Hello."));
}

#[tokio::test]
async fn a_call_may_get_its_instructions_from_a_url_and_press_keys_first() {
    let world = World::new().await;
    world.answers("/voice", &hello());
    let instructions = Instructions::Url(world.url("/voice"));
    let call =
        NewCall::new(number(ANN), number(OURS), instructions).send_digits("1w2#".parse().unwrap());
    let placed = soon(world.twilio.place_call(&call)).await.unwrap();
    let record = soon(world.carrier.ended(placed.sid.as_str())).await;
    assert!(
        matches!(&*record.steps, [Step::Played(keys), Step::Asked { .. }, Step::Said(_)] if keys == "1w2#"),
        "{:?}",
        record.steps
    );
    let asked = world.next_posted("/voice").await;
    assert_eq!(asked.get("CallSid"), Some(placed.sid.as_str()));
    assert_eq!(asked.get("Direction"), Some("outbound-api"));
    assert_eq!(asked.get("To"), Some(ANN));
}

#[tokio::test]
async fn status_reports_come_in_order_and_are_read() {
    let world = World::new().await;
    let call = new_call().status(Callback::new(world.url("/status")));
    let placed = soon(world.twilio.place_call(&call)).await.unwrap();
    let reports = world.reports("/status", 4).await;
    let progress: Vec<_> = reports
        .into_iter()
        .map(|report| match report {
            Report::Call(call) => call,
            other => panic!("{other:?}"),
        })
        .collect();
    let statuses: Vec<_> = progress.iter().map(|call| call.status).collect();
    assert_eq!(
        statuses,
        [
            CallStatus::Initiated,
            CallStatus::Ringing,
            CallStatus::InProgress,
            CallStatus::Completed
        ]
    );
    for (n, call) in progress.iter().enumerate() {
        assert_eq!(call.call_sid, placed.sid);
        assert_eq!(call.sequence, Some(u32::try_from(n).unwrap()));
    }
    assert_eq!(progress[3].duration_s, Some(0));
}

#[tokio::test]
async fn a_live_call_is_looked_at_redirected_and_ended() {
    let world = World::new().await;
    let call = world.live_call().await;
    let seen = soon(world.twilio.call(&call.sid)).await.unwrap();
    assert_eq!(seen.status, CallStatus::InProgress);
    assert_eq!((seen.duration_s, seen.parent_call_sid), (None, None));

    let elsewhere = Twiml::new().say(&Say::new("One moment.")).pause(600);
    soon(world.twilio.redirect_call(&call.sid, &elsewhere.into()))
        .await
        .unwrap();
    // The stream is told that it is over before it is closed.
    world.message("stop").await;
    world.no_stream().await;
    let name = call.sid.as_str();
    soon(world.carrier.until_call(
        name,
        |call| matches!(call.steps.last(), Some(Step::Said(words)) if words == "One moment."),
    ))
    .await;

    soon(world.twilio.end_call(&call.sid)).await.unwrap();
    soon(world.carrier.ended(name)).await;
    let seen = soon(world.twilio.call(&call.sid)).await.unwrap();
    assert_eq!(seen.status, CallStatus::Completed);
    assert!(seen.duration_s.is_some());
    // It is over, and that is what was wanted.
    soon(world.twilio.end_call(&call.sid)).await.unwrap();
}

#[tokio::test]
async fn a_call_that_still_rings_can_be_ended_and_not_redirected() {
    let world = World::new().await;
    world.carrier.phone(ANN, Phone::never_answers());
    let call = world.place(ANN, hello()).await;
    let error = soon(world.twilio.redirect_call(&call.sid, &hello().into()))
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(400), Some(21220)));
    soon(world.twilio.end_call(&call.sid)).await.unwrap();
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert_eq!(record.status, Status::Canceled);
}

#[tokio::test]
async fn a_call_that_is_over_or_unknown_is_told() {
    let world = World::new().await;
    let call = world.place(ANN, hello()).await;
    soon(world.carrier.ended(call.sid.as_str())).await;
    let over = soon(world.twilio.redirect_call(&call.sid, &hello().into()))
        .await
        .unwrap_err();
    assert!(over.is_call_over(), "{over}");
    assert!(!over.may_have_happened());

    let nobody = sid(NOBODY);
    for error in [
        soon(world.twilio.call(&nobody)).await.unwrap_err(),
        soon(world.twilio.end_call(&nobody)).await.unwrap_err(),
        soon(world.twilio.redirect_call(&nobody, &hello().into()))
            .await
            .unwrap_err(),
    ] {
        assert_eq!((error.status(), error.code()), (Some(404), Some(20404)));
        assert!(error.is_call_over());
        // Twilio repeats the path, with the account and the call in it.
        let text = error.to_string();
        assert!(text.contains("was not found"), "{text}");
        assert!(
            !text.contains("CA0123") && !text.contains("Accounts"),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_live_call_is_recorded_until_it_is_stopped_or_over() {
    let world = World::new().await;
    let call = world.live_call().await;
    let callback = world.url("/recorded");
    let first = soon(world.twilio.start_recording(
        &call.sid,
        RecordingChannels::Dual,
        Some(&callback),
    ))
    .await
    .unwrap();
    assert_eq!(first.call_sid, call.sid);
    assert_eq!((&*first.status, first.channels), ("in-progress", Some(2)));
    let stopped = soon(world.twilio.stop_recording(&call.sid, None))
        .await
        .unwrap();
    assert_eq!((&stopped.sid, &*stopped.status), (&first.sid, "stopped"));
    let reports = world.reports("/recorded", 1).await;
    assert!(
        matches!(&reports[0], Report::Recording(r) if r.recording_sid == first.sid && r.status == "completed"),
        "{reports:?}"
    );
    let none_runs = soon(world.twilio.stop_recording(&call.sid, None)).await;
    assert_eq!(none_runs.unwrap_err().status(), Some(404));

    let second = soon(
        world
            .twilio
            .start_recording(&call.sid, RecordingChannels::Mono, None),
    )
    .await
    .unwrap();
    assert_eq!(second.channels, Some(1));
    soon(world.twilio.stop_recording(&call.sid, Some(&second.sid)))
        .await
        .unwrap();
    soon(
        world
            .twilio
            .start_recording(&call.sid, RecordingChannels::Dual, Some(&callback)),
    )
    .await
    .unwrap();
    soon(world.twilio.end_call(&call.sid)).await.unwrap();
    world.reports("/recorded", 2).await;
    let over = soon(
        world
            .twilio
            .start_recording(&call.sid, RecordingChannels::Dual, None),
    )
    .await
    .unwrap_err();
    assert!(over.is_call_over(), "{over}");
}

#[tokio::test]
async fn a_machine_is_told_before_the_instructions_or_beside_them() {
    let world = World::new().await;
    world.carrier.phone(BOB, Phone::voicemail());
    let call =
        |detection| NewCall::new(number(BOB), number(OURS), hello()).machine_detection(detection);
    let waited = call(MachineDetection::first());
    let placed = soon(world.twilio.place_call(&waited)).await.unwrap();
    soon(world.carrier.ended(placed.sid.as_str())).await;
    let seen = soon(world.twilio.call(&placed.sid)).await.unwrap();
    assert_eq!(seen.answered_by, Some(AnsweredBy::MachineStart));

    let url = world.url("/machine");
    let beside = call(MachineDetection::meanwhile(url).until_message_can_be_left());
    let placed = soon(world.twilio.place_call(&beside)).await.unwrap();
    let reports = world.reports("/machine", 1).await;
    let [Report::Machine(machine)] = &*reports else {
        panic!("{reports:?}");
    };
    assert_eq!(machine.call_sid, placed.sid);
    assert_eq!(machine.answered_by, AnsweredBy::MachineEndBeep);
}

#[tokio::test]
async fn the_key_must_be_right_and_an_api_key_will_do() {
    let world = World::new().await;
    let mut config = world.carrier.twilio_config();
    config.auth_token = Some(Secret::new("guess"));
    let error = soon(TwilioClient::new(&config).unwrap().place_call(&new_call()))
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(401), Some(20003)));
    assert!(world.carrier.calls().is_empty());

    let key = ("SK00000000000000000000000000000001", "key-secret");
    let account = sidetone_cli::carrier::Account {
        api_key: Some((key.0.to_owned(), Secret::new(key.1))),
        ..sidetone_cli::carrier::Account::random()
    };
    let carrier = sidetone_cli::carrier::Carrier::start(account)
        .await
        .unwrap();
    carrier.phone(ANN, Phone::answers());
    let config = TwilioConfig {
        auth_token: Some(Secret::new("not asked for")),
        api_key_sid: key.0.to_owned(),
        api_key_secret: Some(Secret::new(key.1)),
        ..carrier.twilio_config()
    };
    soon(TwilioClient::new(&config).unwrap().place_call(&new_call()))
        .await
        .unwrap();
}

#[tokio::test]
async fn a_call_is_never_placed_twice() {
    let world = World::new().await;
    for (fault, placed) in [
        (Fault::Refuses { status: 500 }, 0),
        (Fault::Refuses { status: 503 }, 0),
        (Fault::Breaks, 1),
        (Fault::Malformed, 1),
        (Fault::Endless, 1),
    ] {
        let before = world.carrier.calls().len();
        world.carrier.fault(fault.clone(), 1);
        let error = soon(world.twilio.place_call(&new_call()))
            .await
            .unwrap_err();
        assert!(error.may_have_happened(), "{fault:?}: {error}");
        let now = world.carrier.calls().len();
        assert_eq!(now - before, placed, "{fault:?}: {error}");
        // The fault was used up by the one request that was made.
        soon(world.twilio.place_call(&new_call())).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_that_twilio_did_not_look_at_is_placed_again() {
    let world = World::new().await;
    let fault = Fault::TooManyRequests {
        retry_after_s: Some(0),
    };
    world.carrier.fault(fault.clone(), 2);
    soon(world.twilio.place_call(&new_call())).await.unwrap();
    assert_eq!(world.carrier.calls().len(), 1);

    world.carrier.fault(fault, 3);
    let error = soon(world.twilio.place_call(&new_call()))
        .await
        .unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(429), Some(20429)));
    assert!(!error.may_have_happened());
    assert_eq!(world.carrier.calls().len(), 1);
}

#[tokio::test]
async fn patience_ends_before_a_wait_that_is_too_long() {
    let world = World::new().await;
    // A minute, and more than any clock can count.
    for seconds in [60, u64::MAX] {
        let later = Fault::TooManyRequests {
            retry_after_s: Some(seconds),
        };
        world.carrier.fault(later, 1);
        let error = soon(world.twilio.place_call(&new_call()))
            .await
            .unwrap_err();
        assert_eq!(error.retry_after(), Some(Duration::from_secs(seconds)));
        // Not waited for: the next one goes through.
        soon(world.twilio.place_call(&new_call())).await.unwrap();
    }
}

#[tokio::test]
async fn what_only_looks_or_ends_is_tried_again() {
    let world = World::new().await;
    let call = world.live_call().await;
    for fault in [
        Fault::Refuses { status: 503 },
        Fault::Breaks,
        Fault::TooManyRequests {
            retry_after_s: None,
        },
    ] {
        world.carrier.fault(fault.clone(), 1);
        soon(world.twilio.call(&call.sid))
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
    }
    world
        .carrier
        .fault_until_mended(Fault::Refuses { status: 500 });
    let error = soon(world.twilio.call(&call.sid)).await.unwrap_err();
    assert_eq!(error.status(), Some(500));
    world.carrier.mend();
    // The first try ends the call and its answer is lost; the second finds it over.
    world.carrier.fault(Fault::Breaks, 1);
    soon(world.twilio.end_call(&call.sid)).await.unwrap();
    soon(world.carrier.ended(call.sid.as_str())).await;
}

#[tokio::test]
async fn an_answer_that_does_not_come_is_given_up() {
    let world = World::new().await;
    let twilio = impatient(world.carrier.twilio_config());
    let late = Fault::Late(Duration::from_secs(30));
    world.carrier.fault(late.clone(), 1);
    let error = soon(twilio.place_call(&new_call())).await.unwrap_err();
    assert!(matches!(error, TwilioError::TimedOut { .. }), "{error}");
    assert!(error.may_have_happened());
    // And it did, once.
    soon(
        world
            .carrier
            .until(|calls| (!calls.is_empty()).then_some(())),
    )
    .await;
    assert_eq!(world.carrier.calls().len(), 1);

    let call = world.live_call().await;
    world.carrier.fault(late, 1);
    let error = soon(twilio.redirect_call(&call.sid, &hello().into()))
        .await
        .unwrap_err();
    assert!(matches!(error, TwilioError::TimedOut { .. }), "{error}");
}

#[tokio::test]
async fn a_carrier_that_cannot_be_reached_is_told_from_one_that_may_have_acted() {
    // A port that nobody listens on any more.
    let closed = TcpListener::bind(("127.0.0.1", 0))
        .unwrap()
        .local_addr()
        .unwrap();
    let config = TwilioConfig {
        account_sid: "AC00000000000000000000000000000001".into(),
        auth_token: Some(Secret::new("hush")),
        base_url: format!("http://{closed}"),
        ..TwilioConfig::default()
    };
    let twilio = TwilioClient::new(&config).unwrap();
    let error = soon(twilio.place_call(&new_call())).await.unwrap_err();
    assert!(matches!(error, TwilioError::Unreachable { .. }), "{error}");
    assert!(!error.may_have_happened());
    let text = sidetone_cli::in_full(&error);
    for private in ["hush", "AC0000", "2025550"] {
        assert!(!text.contains(private), "{text}");
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_not_sent() {
    let world = World::new().await;
    let long = Twiml::new().say(&Say::new("x".repeat(4_000)));
    let call = NewCall::new(number(ANN), number(OURS), long.clone());
    let error = soon(world.twilio.place_call(&call)).await.unwrap_err();
    assert!(
        error.to_string().starts_with("twiml: must be at most 4000"),
        "{error}"
    );
    let live = world.live_call().await;
    let error = soon(world.twilio.redirect_call(&live.sid, &long.into()))
        .await
        .unwrap_err();
    assert!(matches!(error, TwilioError::Invalid { field: "twiml", .. }));
    let error = soon(world.twilio.start_recording(
        &live.sid,
        RecordingChannels::Dual,
        Some("recorded"),
    ))
    .await
    .unwrap_err();
    assert!(matches!(error, TwilioError::Invalid { .. }), "{error}");
    assert_eq!(world.carrier.calls().len(), 1);
    assert!(
        world
            .carrier
            .call(live.sid.as_str())
            .unwrap()
            .is_streaming()
    );
}
