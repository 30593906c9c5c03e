//! Hearing a call again.

use std::{ops::Range, sync::Arc};

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, HeaderValue, Response, StatusCode, header},
};

use super::{
    Api, calls,
    extract::CallPath,
    problem::{Kind, Problem, ProblemBody},
};
use crate::{audit::Action, auth::principal::Viewer, recording::RecordingError};

/// The recording of a call: stereo, the caller left, everyone else right. Of a call that goes on, what
/// there is so far. Parts can be asked for with `Range`.
///
/// Needs the role `viewer`.
#[utoipa::path(
    get,
    path = "/api/calls/{id}/recording",
    tag = "calls",
    operation_id = "readRecording",
    params(
        ("id" = String, Path, description = "The call's id.", example = "call-0123456789ab"),
        ("Range" = Option<String>, Header, description = "One range of bytes, such as `bytes=0-65535`.", example = "bytes=0-65535"),
    ),
    responses(
        (status = 200, description = "All of it.", content(
            (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/ogg"),
        )),
        (status = 206, description = "The part that was asked for.", content(
            (Vec<u8> = "audio/wav"), (Vec<u8> = "audio/ogg"),
        )),
        (status = 404, description = "There is no such call, or no recording of it.",
            body = ProblemBody, content_type = "application/problem+json"),
        (status = 416, description = "The part lies outside.",
            body = ProblemBody, content_type = "application/problem+json"),
    )
)]
pub(super) async fn read(
    Viewer(who): Viewer,
    State(api): State<Arc<Api>>,
    CallPath(id): CallPath,
    headers: HeaderMap,
) -> Result<Response<Body>, Problem> {
    let call = calls::find(&api, &id).await?;
    let Some(file) = call.recording else {
        return Err(Problem::new(
            Kind::NotFound,
            "The call was not recorded, or its recording is deleted.",
        ));
    };
    let reader = api
        .recordings
        .open(&file)
        .await
        .map_err(|error| unreadable(&error))?;
    api.audit
        .note(&who.token_id, Action::RecordingRead, Some(&id));
    let len = reader.len();
    let range = match headers.get(header::RANGE) {
        Some(range) => asked_for(range, len)?,
        None => None,
    };
    let status = match range {
        Some(_) => StatusCode::PARTIAL_CONTENT,
        None => StatusCode::OK,
    };
    let part = range.clone().unwrap_or(0..len);
    let mut response = Response::builder()
        .status(status)
        .header(header::CONTENT_TYPE, reader.content_type())
        .header(header::ACCEPT_RANGES, "bytes")
        .header(header::CONTENT_LENGTH, part.end - part.start);
    if range.is_some() {
        let place = format!("bytes {}-{}/{len}", part.start, part.end - 1);
        response = response.header(header::CONTENT_RANGE, place);
    }
    let body = Body::from_stream(reader.read(part));
    Ok(response.body(body).expect("these headers are valid"))
}

/// The one range of bytes that a request asks for; none where it asks for something else, which may
/// be passed over (RFC 9110, section 14.2).
fn asked_for(header: &HeaderValue, len: u64) -> Result<Option<Range<u64>>, Problem> {
    let Some((from, to)) = header
        .to_str()
        .ok()
        .and_then(|range| range.strip_prefix("bytes=")?.split_once('-'))
    else {
        return Ok(None);
    };
    let (from, to) = (from.trim(), to.trim());
    let number = |text: &str| text.parse::<u64>().ok().filter(|_| !text.starts_with('+'));
    let range = match (number(from), number(to)) {
        (Some(from), Some(to)) if from <= to => from..to.saturating_add(1).min(len),
        (Some(from), None) if to.is_empty() => from..len,
        // The last so many.
        (None, Some(last)) if from.is_empty() => len.saturating_sub(last)..len,
        _ => return Ok(None),
    };
    if range.is_empty() {
        let place = HeaderValue::try_from(format!("bytes */{len}")).expect("digits are ASCII");
        return Err(
            Problem::new(Kind::Range, format!("The recording has {len} bytes."))
                .header(header::CONTENT_RANGE, place),
        );
    }
    Ok(Some(range))
}

fn unreadable(error: &RecordingError) -> Problem {
    tracing::warn!(%error, "a recording cannot be read");
    let detail = match error {
        RecordingError::NoIdentity => {
            "The recording is encrypted, and this server has no key: set `recording.identity`."
        }
        _ => "The recording cannot be read; the server's log says why.",
    };
    Problem::new(Kind::Unavailable, detail)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(text: &'static str) -> Result<Option<Range<u64>>, Problem> {
        asked_for(&HeaderValue::from_static(text), 1_000)
    }

    #[test]
    fn one_range_of_bytes_is_understood() {
        for (text, expected) in [
            ("bytes=0-0", Some(0..1)),
            ("bytes=10-19", Some(10..20)),
            ("bytes=990-5000", Some(990..1_000)),
            ("bytes=10-", Some(10..1_000)),
            ("bytes=-10", Some(990..1_000)),
            ("bytes=-5000", Some(0..1_000)),
            ("bytes=0-18446744073709551615", Some(0..1_000)),
            // Passed over.
            ("bytes=5-2", None),
            ("bytes=0-1,5-9", None),
            ("bytes=-", None),
            ("bytes=a-b", None),
            ("lines=1-2", None),
        ] {
            assert_eq!(range(text).unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_range_outside_says_how_long_it_is() {
        use axum::response::IntoResponse as _;
        for text in ["bytes=1000-", "bytes=1000-1001", "bytes=-0"] {
            let response = range(text).unwrap_err().into_response();
            assert_eq!(response.status(), 416, "{text}");
            assert_eq!(response.headers()["content-range"], "bytes */1000");
        }
    }
}
