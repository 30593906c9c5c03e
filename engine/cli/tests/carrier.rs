//! The carrier on this machine: what calls go through, as Twilio would have them, and a real server
//! behind it.

#![allow(clippy::unwrap_used)]

mod application;

use std::time::Duration;

use application::{ANN, BOB, OURS, World, engine, number, soon};
use sidetone_cli::carrier::{Direction, Incoming, Phone, Status, Step};
use sidetone_server::{
    Config, STATUS_PATH, Server, VOICE_PATH,
    twilio::{
        CallStatus, Callback, DialResult, GatherResult, Instructions, NewCall, Report, StreamEvent,
        TwilioClient,
    },
    twiml::{Conference, Dial, Enqueue, Gather, Number, Say, Twiml},
};

fn said(record: &sidetone_cli::carrier::CallRecord) -> Vec<&str> {
    let steps = record.steps.iter();
    steps
        .filter_map(|step| match step {
            Step::Said(words) => Some(&**words),
            _ => None,
        })
        .collect()
}

fn says(words: &str) -> Twiml {
    Twiml::new().say(&Say::new(words))
}

#[tokio::test]
async fn a_number_answers_or_does_not_and_the_reports_say_so() {
    let world = World::new().await;
    for (n, (phone, status, reported)) in [
        (Phone::busy(), Status::Busy, CallStatus::Busy),
        (
            Phone::never_answers().after(Duration::from_millis(20)),
            Status::NoAnswer,
            CallStatus::NoAnswer,
        ),
        (Phone::fails(), Status::Failed, CallStatus::Failed),
        (
            Phone::answers().after(Duration::from_millis(20)),
            Status::Completed,
            CallStatus::Completed,
        ),
    ]
    .into_iter()
    .enumerate()
    {
        world.carrier.phone(ANN, phone);
        let path = format!("/status/{n}");
        let call = NewCall::new(number(ANN), number(OURS), says("Hello."))
            .status(Callback::new(world.url(&path)).events([]));
        let placed = soon(world.twilio.place_call(&call)).await.unwrap();
        let record = soon(world.carrier.ended(placed.sid.as_str())).await;
        assert_eq!(record.status, status);
        // Without a choice of events only the last is reported.
        let reports = world.reports(&path, 1).await;
        assert!(
            matches!(&*reports, [Report::Call(call)] if call.status == reported),
            "{reports:?}"
        );
    }
    let unknown = world.place("+12025550100", says("Hello.")).await;
    let record = soon(world.carrier.ended(unknown.sid.as_str())).await;
    assert_eq!(record.status, Status::Failed);
}

#[tokio::test]
async fn whoever_calls_gives_up_after_the_time_they_set() {
    let world = World::new().await;
    world
        .carrier
        .phone(ANN, Phone::answers().after(Duration::from_secs(600)));
    let call = NewCall::new(number(ANN), number(OURS), says("Hello.")).ring_seconds(1);
    let placed = soon(world.twilio.place_call(&call)).await.unwrap();
    let record = soon(world.carrier.ended(placed.sid.as_str())).await;
    assert_eq!(record.status, Status::NoAnswer);
}

#[tokio::test]
async fn a_stream_carries_its_parameters_and_what_follows_it_runs_when_the_agent_is_done() {
    let world = World::new().await;
    let twiml = world.streaming().say(&Say::new("Goodbye."));
    let call = world.place(ANN, twiml).await;
    let start = world.message("start").await;
    assert_eq!(start["start"]["callSid"], call.sid.as_str());
    assert_eq!(start["start"]["accountSid"], *world.carrier.account().sid);
    assert_eq!(start["start"]["customParameters"]["token"], "a&b");
    world.close_streams();
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert_eq!(said(&record), ["Goodbye."]);
    assert_eq!(record.streams().count(), 1);
    let events: Vec<_> = world
        .reports("/status", 2)
        .await
        .into_iter()
        .map(|report| match report {
            Report::Stream(stream) => stream.event,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(events, [StreamEvent::Started, StreamEvent::Stopped]);
}

#[tokio::test]
async fn a_person_presses_keys_into_the_stream_and_hangs_up() {
    let world = World::new().await;
    let call = world.live_call().await;
    assert!(world.carrier.press(call.sid.as_str(), '5'));
    let pressed = world.message("dtmf").await;
    assert_eq!(pressed["dtmf"]["digit"], "5");
    assert!(world.carrier.hang_up(call.sid.as_str()));
    world.message("stop").await;
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert_eq!(record.status, Status::Completed);
    assert!(!world.carrier.hang_up(call.sid.as_str()), "it is over");
}

#[tokio::test]
async fn a_stream_that_cannot_be_had_is_reported() {
    let world = World::new().await;
    let nowhere = sidetone_server::twiml::Stream::new(world.url("/none").replacen("http", "ws", 1))
        .status_callback(world.url("/status"));
    let twiml = Twiml::new().connect(&nowhere).say(&Say::new("Sorry."));
    let call = world.place(ANN, twiml).await;
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert_eq!(said(&record), ["Sorry."]);
    let reports = world.reports("/status", 1).await;
    assert!(
        matches!(&*reports, [Report::Stream(stream)] if stream.event == StreamEvent::Failed),
        "{reports:?}"
    );
}

#[tokio::test]
async fn an_application_that_fails_ends_the_call() {
    let world = World::new().await;
    // Nothing is answered there: 204, and no document.
    let call = world
        .place(ANN, Instructions::Url(world.url("/nothing")))
        .await;
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert!(
        matches!(record.steps.last(), Some(Step::ApplicationError(_))),
        "{:?}",
        record.steps
    );
    // And round in circles.
    let url = world.url("/again");
    world.answers("/again", &Twiml::new().redirect(&url));
    let call = world.place(ANN, Instructions::Url(url)).await;
    let record = soon(world.carrier.ended(call.sid.as_str())).await;
    assert!(
        matches!(record.steps.last(), Some(Step::ApplicationError(why)) if why.contains("100")),
        "{:?}",
        record.steps.last()
    );
}

/// A warm transfer of a live call to Bob: he hears a summary and presses a key; then the result is
/// posted to `/dialled`.
async fn transfer(world: &World) -> sidetone_server::twilio::Call {
    let screen = Twiml::new()
        .gather(
            &Gather::one_key(world.url("/accept"))
                .wait_seconds(1)
                .say(Say::new(
                    "A caller asks about an invoice. Press 1 to accept.",
                )),
        )
        .hangup();
    world.answers("/screen", &screen);
    world.answers("/dialled", &world.streaming());
    let call = world.live_call().await;
    let bob = Number::new(number(BOB))
        .screen(world.url("/screen"))
        .status_callback(world.url("/bob"));
    let dial = Dial::number(bob)
        .caller_id(number(OURS))
        .action(world.url("/dialled"));
    let twiml = Twiml::new().dial(&dial);
    soon(world.twilio.redirect_call(&call.sid, &twiml.into()))
        .await
        .unwrap();
    call
}

async fn dial_result(world: &World) -> DialResult {
    DialResult::read(&world.next_posted("/dialled").await).unwrap()
}

#[tokio::test]
async fn a_transfer_is_accepted_by_a_key() {
    let world = World::new().await;
    world.answers("/accept", &Twiml::new());
    world.carrier.phone(BOB, Phone::answers().keys(['1']));
    let call = transfer(&world).await;
    let bob = soon(world.carrier.until(|calls| {
        let bridged = |call: &&sidetone_cli::carrier::CallRecord| {
            call.to == BOB && matches!(call.steps.last(), Some(Step::Bridged))
        };
        calls.iter().find(bridged).cloned()
    }))
    .await;
    assert_eq!(bob.direction, Direction::OutboundDial);
    assert_eq!(bob.parent_sid.as_deref(), Some(call.sid.as_str()));
    assert_eq!(bob.from, OURS);
    assert_eq!(said(&bob).len(), 1, "the summary");
    let key = GatherResult::read(&world.next_posted("/accept").await).unwrap();
    assert_eq!((key.call_sid.as_str(), &*key.digits), (&*bob.sid, "1"));
    let seen = soon(world.twilio.call(&bob.sid.parse().unwrap()))
        .await
        .unwrap();
    assert_eq!(seen.parent_call_sid, Some(call.sid.clone()));

    world.carrier.hang_up(&bob.sid);
    let result = dial_result(&world).await;
    assert!(result.was_connected(), "{result:?}");
    assert_eq!(result.call_status, CallStatus::InProgress);
    assert_eq!(result.dialled_call_sid.unwrap().as_str(), bob.sid);
    // Back to the agent, as the action's document says.
    soon(world.carrier.until_call(call.sid.as_str(), |call| {
        call.streams().count() == 1 && call.is_streaming()
    }))
    .await;
    let statuses: Vec<_> = world
        .reports("/bob", 4)
        .await
        .into_iter()
        .map(|report| match report {
            Report::Call(call) => call.status,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(statuses.last(), Some(&CallStatus::Completed));
}

#[tokio::test]
async fn a_transfer_that_nobody_takes_goes_back_to_the_agent() {
    for (phone, accept, status) in [
        (Phone::busy(), None, CallStatus::Busy),
        (
            Phone::never_answers().after(Duration::from_millis(20)),
            None,
            CallStatus::NoAnswer,
        ),
        // Presses another key, and the answer to it is to hang up.
        (
            Phone::answers().keys(['2']),
            Some(Twiml::new().hangup()),
            CallStatus::Completed,
        ),
        // Presses none.
        (Phone::voicemail(), None, CallStatus::Completed),
    ] {
        let world = World::new().await;
        world.carrier.phone(BOB, phone);
        if let Some(twiml) = accept {
            world.answers("/accept", &twiml);
        }
        let call = transfer(&world).await;
        let result = dial_result(&world).await;
        assert_eq!(result.status, status);
        assert!(!result.was_connected(), "{result:?}");
        soon(world.carrier.until_call(call.sid.as_str(), |call| {
            call.streams().count() == 1 && call.is_streaming()
        }))
        .await;
    }
}

#[tokio::test]
async fn a_caller_who_hangs_up_meanwhile_stops_the_ringing() {
    let world = World::new().await;
    world.carrier.phone(BOB, Phone::never_answers());
    let call = transfer(&world).await;
    let rings = |calls: &[sidetone_cli::carrier::CallRecord]| {
        let mut calls = calls.iter();
        calls
            .find(|call| call.to == BOB && call.status == Status::Ringing)
            .map(|call| call.sid.clone())
    };
    let bob = soon(world.carrier.until(rings)).await;
    world.carrier.hang_up(call.sid.as_str());
    assert_eq!(
        soon(world.carrier.ended(&bob)).await.status,
        Status::Canceled
    );
    soon(world.carrier.ended(call.sid.as_str())).await;
    let result = dial_result(&world).await;
    assert_eq!(result.call_status, CallStatus::Completed);
    assert!(!result.was_connected());
}

#[tokio::test]
async fn a_dialled_call_can_be_taken_back() {
    let world = World::new().await;
    world.carrier.phone(BOB, Phone::answers().keys(['1']));
    world.answers("/accept", &Twiml::new());
    let call = transfer(&world).await;
    soon(world.carrier.until(|calls| {
        let mut calls = calls.iter();
        calls
            .find(|call| matches!(call.steps.last(), Some(Step::Bridged)))
            .map(|_| ())
    }))
    .await;
    soon(
        world
            .twilio
            .redirect_call(&call.sid, &world.streaming().into()),
    )
    .await
    .unwrap();
    let record = soon(world.carrier.until_call(call.sid.as_str(), |call| {
        call.streams().count() == 1 && call.is_streaming()
    }))
    .await;
    assert!(record.steps.iter().any(|step| matches!(
        step,
        Step::DialEnded {
            status: Status::Completed,
            bridged: true
        }
    )));
    assert!(
        world.posted("/dialled").is_empty(),
        "the redirect took its place"
    );
}

#[tokio::test]
async fn conferences_and_queues_hold_a_call_until_it_is_sent_on() {
    let world = World::new().await;
    let call = world.live_call().await;
    let name = call.sid.as_str();
    let conference = Twiml::new().dial(&Dial::conference(Conference::new("room")));
    soon(world.twilio.redirect_call(&call.sid, &conference.into()))
        .await
        .unwrap();
    soon(world.carrier.until_call(
        name,
        |call| matches!(call.steps.last(), Some(Step::Conference(room)) if room == "room"),
    ))
    .await;
    let queue = Twiml::new().enqueue(&Enqueue::new("billing"));
    soon(world.twilio.redirect_call(&call.sid, &queue.into()))
        .await
        .unwrap();
    soon(world.carrier.until_call(
        name,
        |call| matches!(call.steps.last(), Some(Step::Enqueued(queue)) if queue == "billing"),
    ))
    .await;
    soon(world.twilio.end_call(&call.sid)).await.unwrap();
    soon(world.carrier.ended(name)).await;
}

#[tokio::test]
async fn a_key_that_is_pressed_late_still_counts() {
    let world = World::new().await;
    world.answers("/accept", &says("Thank you."));
    let gather = Gather::one_key(world.url("/accept")).wait_seconds(600);
    let call = world.place(ANN, Twiml::new().gather(&gather)).await;
    let name = call.sid.as_str();
    soon(
        world
            .carrier
            .until_call(name, |call| call.status == Status::InProgress),
    )
    .await;
    assert!(world.carrier.press(name, '7'));
    let record = soon(world.carrier.ended(name)).await;
    assert!(
        matches!(&record.steps[0], Step::Gathered(keys) if keys == "7"),
        "{:?}",
        record.steps
    );
    assert_eq!(said(&record), ["Thank you."]);
}

/// The whole way: somebody calls the server's number, the server asks Twilio to send the call
/// elsewhere, and learns from Twilio how it went.
#[tokio::test]
async fn a_real_server_is_called_and_its_call_is_redirected() {
    const PUBLIC: &str = "voice.example.com";
    let world = World::new().await;
    let carrier = &world.carrier;
    let mut config = Config::default();
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config.server.public_url = format!("https://{PUBLIC}");
    config.twilio = carrier.twilio_config();
    let server = Server::start(&config, engine()).await.unwrap();
    carrier.route(PUBLIC, server.addr());
    let mut reports = server.state().twilio_reports();

    let call = carrier.call_in(Incoming {
        from: ANN.to_owned(),
        to: OURS.to_owned(),
        webhook: format!("https://{PUBLIC}{VOICE_PATH}"),
        status_callback: Some(format!("https://{PUBLIC}{STATUS_PATH}")),
    });
    soon(carrier.until_call(&call, |call| call.is_streaming())).await;
    soon(async {
        while server.state().active_calls() == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let twilio = TwilioClient::new(&config.twilio).unwrap();
    let away = says("I am putting you through.").pause(600);
    soon(twilio.redirect_call(&call.parse().unwrap(), &away.into()))
        .await
        .unwrap();
    soon(async {
        while server.state().active_calls() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    soon(twilio.end_call(&call.parse().unwrap())).await.unwrap();
    let record = soon(carrier.ended(&call)).await;
    assert_eq!(said(&record), ["I am putting you through."]);

    let mut events = Vec::new();
    while events.last() != Some(&"completed".to_owned()) {
        let report = soon(reports.recv()).await.unwrap();
        assert_eq!(report.call_sid().as_str(), call);
        events.push(match report {
            Report::Stream(stream) => format!("{:?}", stream.event),
            Report::Call(call) => call.status.to_string(),
            other => panic!("{other:?}"),
        });
    }
    assert_eq!(events, ["Started", "Stopped", "completed"]);
    server.stop().await;
}
