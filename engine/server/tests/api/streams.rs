//! Event streams: nothing lost, nothing twice, however often somebody reconnects.

use reqwest::{Method, Response};
use serde_json::{Value, json};

use crate::world::{Answer, World};

/// An event of a stream.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Event {
    pub(crate) id: Option<u64>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

/// A client of an event stream.
pub(crate) struct Stream {
    response: Response,
    buffer: String,
}

impl Stream {
    /// Opens a stream; none where there is nothing more.
    pub(crate) async fn open(world: &World, path: &str, last: Option<u64>) -> Option<Self> {
        let mut request = world
            .request(Method::GET, path, &world.viewer)
            .header("accept", "text/event-stream");
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.unwrap();
        if response.status() == 204 {
            return None;
        }
        assert_eq!(response.status(), 200);
        let media_type = response.headers()["content-type"].to_str().unwrap();
        assert!(media_type.starts_with("text/event-stream"), "{media_type}");
        Some(Self {
            response,
            buffer: String::new(),
        })
    }

    /// The next event; none at the end. What has no name is no event.
    pub(crate) async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some((block, rest)) = self.buffer.split_once("\n\n") {
                let event = Self::parse(block);
                self.buffer = rest.to_owned();
                if !event.name.is_empty() {
                    return Some(event);
                }
                continue;
            }
            let chunk = self.response.chunk().await.unwrap()?;
            self.buffer.push_str(std::str::from_utf8(&chunk).unwrap());
        }
    }

    fn parse(block: &str) -> Event {
        let mut event = Event::default();
        for line in block.lines() {
            let Some((field, value)) = line.split_once(':') else {
                continue;
            };
            let value = value.trim_start();
            match field {
                "id" => event.id = Some(value.parse().unwrap()),
                "event" => event.name = value.into(),
                "data" => event.data = serde_json::from_str(value).unwrap(),
                _ => {}
            }
        }
        event
    }

    /// All that is left.
    pub(crate) async fn rest(mut self) -> Vec<Event> {
        let mut events = Vec::new();
        while let Some(event) = self.next().await {
            events.push(event);
        }
        events
    }
}

pub(crate) fn texts(events: &[Event]) -> Vec<&str> {
    let lines = events.iter().filter(|event| event.name == "line");
    lines
        .map(|line| line.data["text"].as_str().unwrap())
        .collect()
}

#[tokio::test]
async fn a_transcript_is_read_as_it_is_said() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/transcript");
    let mut stream = Stream::open(&world, &path, None).await.unwrap();
    let say = json!({"text": "Good morning."});
    world.post(&caller.path("/say"), &world.operator, say).await;
    let line = stream.next().await.unwrap();
    assert_eq!(line.name, "line");
    assert_eq!(line.data["speaker"], "agent");
    assert_eq!(line.data["text"], "Good morning.");
    assert_eq!(line.id, line.data["seq"].as_u64());
    caller.hang_up().await;
    let end = stream.next().await.unwrap();
    assert_eq!(
        (end.name.as_str(), &end.data["reason"]),
        ("end", &json!("caller_hung_up"))
    );
    assert_eq!(stream.next().await, None);
    let nothing_more = Stream::open(&world, &path, end.id).await;
    assert!(nothing_more.is_none());
    world.server.shutdown().await;
}

#[tokio::test]
async fn who_reconnects_in_the_middle_of_a_call_loses_and_repeats_no_line() {
    const LINES: usize = 12;
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/transcript");
    let say = caller.path("/say");

    let speaking = async {
        for n in 0..LINES {
            let body = json!({"text": format!("Line {n}.")});
            let said = world.post(&say, &world.operator, body).await;
            assert_eq!(said.status, 202, "{said:?}");
            // What is waiting to be said when the farewell comes is not said.
            let is_said = |body: &Value| body.to_string().contains(&format!("Line {n}."));
            while !is_said(&world.get(&path, &world.viewer).await.body) {
                tokio::task::yield_now().await;
            }
        }
        world
            .post(
                &caller.path("/hangup"),
                &world.operator,
                json!({"farewell": "Goodbye."}),
            )
            .await;
    };
    // Each connection reads a few events and breaks off: 1, 2, 3 and so on.
    let reading = async {
        let (mut seen, mut last) = (Vec::new(), None);
        for most in 1.. {
            let Some(mut stream) = Stream::open(&world, &path, last).await else {
                return seen;
            };
            for _ in 0..most {
                let Some(event) = stream.next().await else {
                    break;
                };
                if event.id.is_some() {
                    last = event.id;
                }
                seen.push(event);
            }
        }
        unreachable!("a call ends")
    };
    let ((), seen) = tokio::join!(speaking, reading);

    let ids: Vec<_> = seen.iter().filter_map(|event| event.id).collect();
    assert!(ids.is_sorted_by(|a, b| a < b), "{ids:?}");
    let spoken = texts(&seen).join(" ");
    for n in 0..LINES {
        assert_eq!(spoken.matches(&format!("Line {n}.")).count(), 1, "{spoken}");
    }
    assert_eq!(spoken.matches("Goodbye.").count(), 1, "{spoken}");
    assert_eq!(seen.last().unwrap().name, "end");

    // Who comes afterwards reads the same, and so does who asks for JSON.
    let later = Stream::open(&world, &path, None)
        .await
        .unwrap()
        .rest()
        .await;
    assert_eq!(texts(&later), texts(&seen));
    let json = world.get(&path, &world.viewer).await.body;
    let lines = json["lines"].as_array().unwrap().iter();
    let lines: Vec<_> = lines.map(|line| line["text"].as_str().unwrap()).collect();
    assert_eq!(lines, texts(&seen));
    world.server.shutdown().await;
}

#[tokio::test]
async fn the_events_of_a_call_come_in_order_and_once() {
    let world = World::new().await;
    let caller = world.call().await;
    let path = caller.path("/events");
    let stream = Stream::open(&world, &path, None).await.unwrap();
    world
        .post(
            &caller.path("/say"),
            &world.operator,
            json!({"text": "One."}),
        )
        .await;
    world
        .post(
            &caller.path("/hangup"),
            &world.operator,
            json!({"farewell": "Bye."}),
        )
        .await;
    let id = caller.hung_up_on().await;
    let seen = stream.rest().await;
    assert_eq!(seen.first().unwrap().name, "call.started");
    assert_eq!(seen.last().unwrap().name, "call.ended");
    let seqs: Vec<_> = seen
        .iter()
        .map(|event| event.data["seq"].as_u64().unwrap())
        .collect();
    assert!(seqs.is_sorted_by(|a, b| a < b), "{seqs:?}");
    assert!(seen.iter().all(|event| event.data["call_id"] == id));

    world
        .server
        .state()
        .archive()
        .unwrap()
        .writer()
        .flush()
        .await;
    let listed = world.get(&path, &world.viewer).await.body;
    let listed: Vec<_> = listed["events"].as_array().unwrap().iter().collect();
    assert_eq!(
        listed,
        seen.iter().map(|event| &event.data).collect::<Vec<_>>()
    );
    let last = seen.last().unwrap().id;
    assert!(Stream::open(&world, &path, last).await.is_none());
    let half = seqs[seqs.len() / 2];
    let rest = Stream::open(&world, &path, Some(half))
        .await
        .unwrap()
        .rest()
        .await;
    assert_eq!(rest.first().unwrap().id, Some(half + 1));
    world.server.shutdown().await;
}

#[tokio::test]
async fn the_events_of_all_calls_are_taken_up_where_they_were_left() {
    let world = World::new().await;
    let mut stream = Stream::open(&world, "/api/events", None).await.unwrap();
    let first = world.call().await.hang_up().await;
    let mut last = None;
    loop {
        let event = stream.next().await.unwrap();
        assert_eq!(event.data["call_id"], first);
        last = event.id.max(last);
        if event.name == "call.ended" {
            break;
        }
    }
    drop(stream);
    // What happens meanwhile is not lost.
    let second = world.call().await.hang_up().await;
    let mut stream = Stream::open(&world, "/api/events", last).await.unwrap();
    let event = stream.next().await.unwrap();
    assert_eq!(
        (event.name.as_str(), &event.data["call_id"]),
        ("call.started", &json!(second))
    );
    assert!(event.id > last);
    // The end of the server is the end of the stream.
    let (rest, ()) = tokio::join!(stream.rest(), world.server.shutdown());
    assert_eq!(rest.last().unwrap().name, "call.ended");
}

#[tokio::test]
async fn one_token_does_not_hold_all_streams() {
    let world = World::new().await;
    let caller = world.call().await;
    let paths = ["/api/events".to_owned(), caller.path("/transcript")];
    let mut streams = Vec::new();
    for number in 0..128 {
        streams.push(
            Stream::open(&world, &paths[number % 2], None)
                .await
                .unwrap(),
        );
    }
    let ask = async |token| {
        let request = world.request(Method::GET, &paths[1], token);
        let response = request.header("accept", "text/event-stream").send().await;
        response.unwrap()
    };
    let refused = Answer::of(ask(&world.viewer).await).await;
    assert_eq!((refused.status, refused.problem()), (429, "too-fast"));
    assert_eq!(refused.headers["retry-after"], "10");
    let why = refused.body["detail"].as_str().unwrap();
    assert!(why.starts_with("128 event streams are open"), "{why}");
    assert_eq!(ask(&world.operator).await.status(), 200, "others may");
    // What is no stream may be read all the same.
    assert_eq!(world.get(&paths[1], &world.viewer).await.status, 200);
    streams.pop();
    while ask(&world.viewer).await.status() == 429 {
        tokio::task::yield_now().await;
    }
    drop(streams);
    caller.hang_up().await;
    world.server.shutdown().await;
}

#[tokio::test]
async fn a_stream_ends_with_the_server_while_the_call_goes_on() {
    let world = World::new().await;
    let caller = world.call().await;
    let stream = Stream::open(&world, &caller.path("/transcript"), None)
        .await
        .unwrap();
    let (rest, ()) = tokio::join!(stream.rest(), world.server.stop());
    // The call was ended by the end of the server; whether that was told depends on who was first.
    assert!(rest.len() <= 1, "{rest:?}");
}

#[tokio::test]
async fn ids_that_are_none_are_refused() {
    let world = World::new().await;
    let caller = world.call().await;
    for path in [
        caller.path("/transcript"),
        caller.path("/events"),
        "/api/events".into(),
    ] {
        for id in ["x", "-1", ""] {
            let request = world.request(Method::GET, &path, &world.viewer);
            let request = request.header("last-event-id", id);
            let request = request.header("accept", "text/event-stream");
            let response = request.send().await.unwrap();
            assert_eq!(response.status(), 400, "{path} {id:?}");
        }
    }
    caller.hang_up().await;
    world.server.shutdown().await;
}
