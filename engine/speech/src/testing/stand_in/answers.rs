//! What the server answers.

use std::{io, net::SocketAddr, sync::Arc, task::Poll, time::Duration};

use axum::{
    Json,
    body::{Body, Bytes},
    extract::{ConnectInfo, Multipart, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::{StreamExt as _, stream};
use serde_json::{Map, Value, json};

use super::{Misbehaviour, OpenAiStandIn, Route, Seen, next};

type Shared = State<Arc<super::State>>;
type Peer = ConnectInfo<SocketAddr>;
type Pieces = Vec<Bytes>;

/// Prime, so that samples are torn between pieces.
const SPEECH_PIECE: usize = 4_801;

pub(super) async fn models(state: Shared, peer: Peer, headers: HeaderMap) -> Response {
    let (json, file) = (Value::Null, Vec::new());
    let plan = begin(&state, Route::Models, peer, &headers, json, file);
    plan.carry_out("application/json", || {
        vec![Bytes::from_static(br#"{"object":"list","data":[]}"#)]
    })
    .await
}

pub(super) async fn transcription(
    state: Shared,
    peer: Peer,
    headers: HeaderMap,
    mut form: Multipart,
) -> Response {
    let mut fields = Map::new();
    let mut file = Vec::new();
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => return error.into_response(),
        };
        let name = field.name().unwrap_or_default().to_owned();
        match field.bytes().await {
            Ok(bytes) if name == "file" => file = bytes.to_vec(),
            Ok(bytes) => {
                fields.insert(name, String::from_utf8_lossy(&bytes).into());
            }
            Err(error) => return error.into_response(),
        }
    }
    let plan = begin(
        &state,
        Route::Transcriptions,
        peer,
        &headers,
        fields.into(),
        file,
    );
    plan.carry_out("application/json", || {
        let text = next(&mut state.told().transcripts).unwrap_or_default();
        let body = json!({ "text": text }).to_string();
        let (head, tail) = body.split_at(body.len() / 2);
        [head, tail]
            .map(|part| Bytes::from(part.to_owned()))
            .to_vec()
    })
    .await
}

pub(super) async fn chat(
    state: Shared,
    peer: Peer,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let tools = body.get("tools").is_some();
    let streams = body["stream"] == true;
    let plan = begin(&state, Route::Chat, peer, &headers, body, Vec::new());
    if tools && state.told().refuses_tools {
        return refusal(
            StatusCode::BAD_REQUEST,
            "tools are not supported",
            "unsupported",
        );
    }
    let answer = || {
        let answer = next(&mut state.told().answers);
        answer.unwrap_or_else(|| ("Okay.".into(), false))
    };
    if !streams {
        let whole = || {
            let body = json!({ "choices": [{ "message": { "content": answer().0 } }] });
            vec![Bytes::from(body.to_string())]
        };
        return plan.carry_out("application/json", whole).await;
    }
    let events = || {
        let (text, hang_up) = answer();
        events(&text, hang_up && tools)
    };
    plan.carry_out("text/event-stream", events).await
}

pub(super) async fn speech(
    state: Shared,
    peer: Peer,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let text = body["input"].as_str().unwrap_or_default().to_owned();
    let plan = begin(&state, Route::Speech, peer, &headers, body, Vec::new());
    plan.carry_out("audio/pcm", || {
        let samples = OpenAiStandIn::sound_of(&text);
        let bytes: Vec<u8> = samples
            .iter()
            .flat_map(|sample| sample.to_le_bytes())
            .collect();
        bytes
            .chunks(SPEECH_PIECE)
            .map(|piece| Bytes::from(piece.to_vec()))
            .collect()
    })
    .await
}

/// The events of a streamed answer, one a piece, with a comment such as proxies send.
fn events(text: &str, hang_up: bool) -> Pieces {
    let chunk = |delta: Value, finish_reason: Option<&str>| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish_reason });
        Bytes::from(format!("data: {}\n\n", json!({ "choices": [choice] })))
    };
    let mut pieces = vec![
        Bytes::from_static(b": processing\n\n"),
        chunk(json!({ "role": "assistant", "content": null }), None),
    ];
    for word in text.split_inclusive(' ') {
        pieces.push(chunk(json!({ "content": word }), None));
    }
    if hang_up {
        let function = json!({ "name": "end_call", "arguments": "{}" });
        let call = json!({ "index": 0, "type": "function", "function": function });
        pieces.push(chunk(json!({ "tool_calls": [call] }), None));
    }
    let reason = if hang_up { "tool_calls" } else { "stop" };
    pieces.push(chunk(json!({}), Some(reason)));
    pieces.push(Bytes::from_static(
        b"data: {\"choices\":[],\"usage\":{\"total_tokens\":9}}\n\n",
    ));
    pieces.push(Bytes::from_static(b"data: [DONE]\n\n"));
    pieces
}

/// Notes the request and decides what happens to it.
fn begin(
    state: &Arc<super::State>,
    route: Route,
    ConnectInfo(peer): Peer,
    headers: &HeaderMap,
    body: Value,
    file: Vec<u8>,
) -> Plan {
    let authorization = headers.get(header::AUTHORIZATION);
    let authorization = authorization
        .and_then(|value| value.to_str().ok())
        .map(str::to_owned);
    let mut told = state.told();
    let plan = Plan {
        state: Arc::clone(state),
        misbehaviour: told.misbehaviour(route),
        locked_out: told
            .requires_key
            .as_ref()
            .is_some_and(|key| authorization != Some(format!("Bearer {key}"))),
        echo: body.to_string(),
        latency: told.latency,
        between_pieces: match route {
            Route::Chat => told.between_words,
            _ => Duration::ZERO,
        },
    };
    told.seen.push(Seen {
        route,
        peer,
        authorization,
        body,
        file,
    });
    drop(told);
    state
        .progress
        .send_modify(|progress| progress.requests += 1);
    plan
}

/// What happens to one request.
struct Plan {
    state: Arc<super::State>,
    misbehaviour: Option<Misbehaviour>,
    locked_out: bool,
    echo: String,
    latency: Duration,
    between_pieces: Duration,
}

impl Plan {
    async fn carry_out(
        self,
        media_type: &'static str,
        answer: impl FnOnce() -> Pieces,
    ) -> Response {
        let mut waiting = Waiting {
            state: self.state,
            over: false,
        };
        tokio::time::sleep(self.latency).await;
        if self.locked_out {
            waiting.is_over();
            return refusal(StatusCode::UNAUTHORIZED, &self.echo, "invalid_api_key");
        }
        match self.misbehaviour {
            None => stream_out(media_type, answer(), None, self.between_pieces, waiting),
            Some(Misbehaviour::Status(status)) => {
                waiting.is_over();
                let status = StatusCode::from_u16(status).expect("a status has three digits");
                refusal(status, &self.echo, "told_to")
            }
            Some(Misbehaviour::RetryAfter(seconds)) => {
                waiting.is_over();
                let refusal = refusal(StatusCode::TOO_MANY_REQUESTS, &self.echo, "told_to");
                ([(header::RETRY_AFTER, seconds.to_string())], refusal).into_response()
            }
            Some(Misbehaviour::NoAnswer) => std::future::pending().await,
            Some(Misbehaviour::Stalls) => {
                let first = first_part(answer());
                let end = stream::pending().boxed();
                stream_out(media_type, first, Some(end), self.between_pieces, waiting)
            }
            Some(Misbehaviour::CutsOff) => {
                waiting.is_over();
                let first = first_part(answer());
                let end = async {
                    // What was answered so far is on its way before the connection breaks.
                    tokio::task::yield_now().await;
                    Err(io::Error::other("told to"))
                };
                let end = stream::once(end).boxed();
                stream_out(media_type, first, Some(end), self.between_pieces, waiting)
            }
            Some(Misbehaviour::Raw(media_type, body)) => {
                let body = vec![Bytes::from(body)];
                stream_out(media_type, body, None, self.between_pieces, waiting)
            }
        }
    }
}

/// About half of the pieces.
fn first_part(mut pieces: Pieces) -> Pieces {
    pieces.truncate(pieces.len().div_ceil(2));
    pieces
}

type End = stream::BoxStream<'static, io::Result<Bytes>>;

fn stream_out(
    media_type: &'static str,
    pieces: Pieces,
    end: Option<End>,
    between: Duration,
    mut waiting: Waiting,
) -> Response {
    let pieces = stream::iter(pieces)
        .enumerate()
        .then(move |(index, piece)| async move {
            if index > 0 {
                tokio::time::sleep(between).await;
            }
            Ok(piece)
        });
    // Polled only once everything before it was sent; dropped with the connection otherwise.
    let sent = stream::poll_fn(move |_| {
        waiting.is_over();
        Poll::Ready(None)
    });
    let end = end.unwrap_or_else(|| stream::empty().boxed());
    let body = Body::from_stream(pieces.chain(end).chain(sent));
    ([(header::CONTENT_TYPE, media_type)], body).into_response()
}

/// A client that waits for an answer; dropped before it is over, the client went away.
struct Waiting {
    state: Arc<super::State>,
    over: bool,
}

impl Waiting {
    fn is_over(&mut self) {
        self.over = true;
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.over {
            self.state
                .progress
                .send_modify(|progress| progress.disconnects += 1);
        }
    }
}

fn refusal(status: StatusCode, message: &str, code: &str) -> Response {
    let error = json!({ "message": message, "type": "stand_in", "code": code });
    (status, Json(json!({ "error": error }))).into_response()
}
