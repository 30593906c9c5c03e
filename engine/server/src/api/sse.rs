//! Server-sent events, and who may go on receiving them.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures_util::stream;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::{Api, problem::Problem, streams::Place};
use crate::{
    auth::principal::Principal,
    feed::CallEvents,
    store::{CallRecord, CallState},
};

/// The media type of an event stream.
pub(super) const MEDIA_TYPE: &str = "text/event-stream";

/// Where whoever comes back says what came last.
pub(super) const LAST_EVENT_ID: &str = "last-event-id";

/// Proxies take a connection for dead on which nothing comes.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How often it is looked whether a token is still good.
const RECHECK: Duration = Duration::from_secs(30);

/// When to come back after the stream broke off.
const RECONNECT: Duration = Duration::from_secs(1);

/// What a stream is made of.
pub(super) trait Source: Send + 'static {
    /// The next event; `None` at the end. May be dropped and called again without losing any.
    fn next(&mut self) -> impl Future<Output = Option<Event>> + Send;
}

/// Whether a request asks for an event stream.
pub(super) fn is_wanted(headers: &HeaderMap) -> bool {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|accept| accept.to_str().ok())
        .flat_map(|accept| accept.split(','))
        .any(|accept| {
            let essence = accept.split(';').next().unwrap_or_default();
            essence.trim().eq_ignore_ascii_case(MEDIA_TYPE)
        })
}

/// What a request says came last.
///
/// # Errors
///
/// 400 where that is no number of an event: those have 63 bits.
pub(super) fn last_event_id<T: TryFrom<i64>>(headers: &HeaderMap) -> Result<Option<T>, Problem> {
    let Some(id) = headers.get(LAST_EVENT_ID) else {
        return Ok(None);
    };
    let text = id.to_str().unwrap_or_default().trim();
    let is_number = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    let id = text.parse::<i64>().ok().filter(|_| is_number);
    match id.and_then(|id| T::try_from(id).ok()) {
        Some(id) => Ok(Some(id)),
        None => Err(Problem::field(
            "Last-Event-ID",
            "must be the id of an event of this stream",
        )),
    }
}

/// Streams what happened in a call after the event of number `after`, and what happens, as `source`
/// tells it; 204 where the call is over and nothing came after that.
///
/// # Errors
///
/// Those of the store, and those of [`respond`].
pub(super) async fn follow<S: Source>(
    api: &Arc<Api>,
    who: Principal,
    call: &CallRecord,
    after: u64,
    source: impl FnOnce(CallEvents) -> S,
) -> Result<Response, Problem> {
    let is_over = call.state != CallState::Live;
    let mut events = api.feed.call(call.id.clone(), after, is_over);
    events.begin().await?;
    if events.is_over() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    respond(api, who, source(events))
}

/// Streams what `source` has, until it ends, the token is good no more, or the client goes.
///
/// # Errors
///
/// 429 where too many streams are open with the token, 503 where too many are open on the server.
pub(super) fn respond(
    api: &Arc<Api>,
    who: Principal,
    source: impl Source,
) -> Result<Response, Problem> {
    let place = api.streams.place(&who.token_id)?;
    let mut recheck = interval(RECHECK);
    recheck.set_missed_tick_behavior(MissedTickBehavior::Delay);
    recheck.reset();
    let streaming = Streaming {
        api: Arc::clone(api),
        who,
        source,
        recheck,
        begun: false,
        _place: place,
    };
    let events = stream::unfold(streaming, |mut streaming| async move {
        let event = streaming.next().await?;
        Some((Ok::<_, Infallible>(event), streaming))
    });
    let mut response = Sse::new(events)
        .keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
        .into_response();
    // nginx would keep events until it has a buffer full.
    response.headers_mut().insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    Ok(response)
}

struct Streaming<S> {
    api: Arc<Api>,
    who: Principal,
    source: S,
    recheck: Interval,
    begun: bool,
    _place: Place,
}

impl<S: Source> Streaming<S> {
    async fn next(&mut self) -> Option<Event> {
        if !self.begun {
            self.begun = true;
            return Some(Event::default().retry(RECONNECT).comment("open"));
        }
        loop {
            tokio::select! {
                event = self.source.next() => return event,
                _ = self.recheck.tick() => {
                    if !self.api.auth.is_still_good(&self.who).await {
                        return None;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::problem::Kind;

    fn headers(name: &'static str, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )])
    }

    #[test]
    fn a_stream_is_asked_for_by_its_media_type() {
        for (accept, wanted) in [
            ("text/event-stream", true),
            ("application/json;q=0.5, Text/Event-Stream;q=1", true),
            ("application/json", false),
            ("*/*", false),
        ] {
            assert_eq!(is_wanted(&headers("accept", accept)), wanted, "{accept}");
        }
        assert!(!is_wanted(&HeaderMap::new()));
    }

    #[test]
    fn the_last_id_is_a_number() {
        let id = |text| last_event_id::<u64>(&headers(LAST_EVENT_ID, text));
        assert_eq!(id("42").unwrap(), Some(42));
        assert_eq!(last_event_id::<u64>(&HeaderMap::new()).unwrap(), None);
        for wrong in ["", "x", "-1", "+1", "9223372036854775808"] {
            assert_eq!(id(wrong).unwrap_err().kind(), Kind::BadRequest, "{wrong}");
        }
    }
}
