//! One file over HTTP: as many attempts as it takes, each from where the last one ended.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{
    ACCEPT_ENCODING, CONTENT_RANGE, ETAG, HeaderMap, HeaderValue, IF_RANGE, RANGE, RETRY_AFTER,
};
use reqwest::{Client, Response, StatusCode};
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;

use super::{FetchError, FetchEvent, Interruption, OnEvent, Patience, blocking, part::Part};

/// What to fetch.
pub(super) struct Remote<'a> {
    pub(super) name: &'a str,
    /// As it may be shown.
    pub(super) url: &'a str,
    /// As it is asked for, with the name and password of a mirror.
    pub(super) address: &'a str,
    pub(super) size_bytes: u64,
}

/// How an attempt ended that leaves something to do.
struct Interrupted {
    why: Interruption,
    /// How long the server wants us to wait.
    wait: Option<Duration>,
}

/// How many pieces from the network, of some 400 KiB at most, wait for the disk.
const PIECES_WAITING: usize = 16;

/// The longest pause between attempts.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Fetches what is missing of `part`.
pub(super) async fn download(
    client: &Client,
    patience: &Patience,
    remote: &Remote<'_>,
    mut part: Part,
    on_event: &mut OnEvent<'_>,
) -> Result<Part, FetchError> {
    on_event(FetchEvent::Started {
        name: remote.name,
        url: remote.url,
        total_bytes: remote.size_bytes,
        there_bytes: part.len(),
    });
    // What the server calls this version of the file.
    let mut version = None;
    let (mut most, mut failures) = (part.len(), 0);
    while part.len() < remote.size_bytes {
        let (so_far, interrupted) = attempt(client, remote, part, &mut version, on_event).await?;
        part = so_far;
        let Some(Interrupted { why, wait }) = interrupted else {
            continue;
        };
        if part.len() > most {
            (most, failures) = (part.len(), 0);
        }
        failures += 1;
        if failures >= patience.attempts {
            return Err(FetchError::GaveUp {
                url: remote.url.to_owned(),
                attempts: failures,
                source: why,
            });
        }
        let doubled = patience.pause * 2_u32.saturating_pow(failures - 1);
        let pause = wait.unwrap_or(doubled).min(LONGEST_PAUSE);
        on_event(FetchEvent::Interrupted {
            name: remote.name,
            why: &why,
            pause,
        });
        tokio::time::sleep(pause).await;
    }
    Ok(part)
}

/// One request. Returns what is there after it, and why that is not all.
async fn attempt(
    client: &Client,
    remote: &Remote<'_>,
    mut part: Part,
    version: &mut Option<HeaderValue>,
    on_event: &mut OnEvent<'_>,
) -> Result<(Part, Option<Interrupted>), FetchError> {
    let again = |why| Some(Interrupted { why, wait: None });
    // The digest is that of the bytes as they are: no proxy shall pack them.
    let mut request = client
        .get(remote.address)
        .header(ACCEPT_ENCODING, "identity");
    if part.len() > 0 {
        request = request.header(RANGE, format!("bytes={}-", part.len()));
        if let Some(version) = version.as_ref() {
            request = request.header(IF_RANGE, version);
        }
    }
    let response = match request.send().await {
        Ok(response) => response,
        Err(e) => return Ok((part, again(Interruption::Connection(e.without_url())))),
    };
    match response.status() {
        StatusCode::OK => {
            check_size(remote, response.content_length())?;
            if part.len() > 0 {
                part = reset(part).await?;
            }
        }
        StatusCode::PARTIAL_CONTENT => {
            let range = content_range(response.headers());
            if let Some((_, Some(total))) = range {
                check_size(remote, Some(total))?;
            }
            if range.is_none_or(|(from, _)| from != part.len()) {
                return Ok((reset(part).await?, again(Interruption::WrongPart)));
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE if part.len() > 0 => {
            return Ok((reset(part).await?, again(Interruption::WrongPart)));
        }
        status if may_pass(status) => {
            let wait = retry_after(response.headers());
            let why = Interruption::Status(status);
            return Ok((part, Some(Interrupted { why, wait })));
        }
        status => {
            return Err(FetchError::Status {
                url: remote.url.to_owned(),
                status,
            });
        }
    }
    *version = strong_version(response.headers());
    receive(remote, response, part, on_event).await
}

/// Takes in the body: the network here, digest and disk on a thread of their own.
async fn receive(
    remote: &Remote<'_>,
    mut response: Response,
    mut part: Part,
    on_event: &mut OnEvent<'_>,
) -> Result<(Part, Option<Interrupted>), FetchError> {
    let mut done_bytes = part.len();
    let (pieces, mut incoming) = mpsc::channel::<Bytes>(PIECES_WAITING);
    // Started at once, beside the network, unlike other work that blocks.
    let writer = spawn_blocking(move || {
        while let Some(piece) = incoming.blocking_recv() {
            part.append(&piece)?;
        }
        Ok::<_, FetchError>(part)
    });
    let mut too_long = false;
    let broke = loop {
        match response.chunk().await {
            Ok(Some(piece)) => {
                done_bytes += piece.len() as u64;
                too_long = done_bytes > remote.size_bytes;
                // A closed channel: the writer has failed, and says why below.
                if too_long || pieces.send(piece).await.is_err() {
                    break None;
                }
                on_event(FetchEvent::Received {
                    name: remote.name,
                    done_bytes,
                });
            }
            Ok(None) => break None,
            Err(e) => break Some(Interruption::Connection(e.without_url())),
        }
    };
    drop(pieces);
    let part = writer
        .await
        .expect("the work does not panic and is not aborted")?;
    if too_long {
        reset(part).await?;
        return Err(FetchError::TooLong {
            url: remote.url.to_owned(),
            expected_bytes: remote.size_bytes,
        });
    }
    let missing = part.len() < remote.size_bytes;
    let why = missing.then(|| {
        broke.unwrap_or(Interruption::Short {
            received_bytes: part.len(),
            expected_bytes: remote.size_bytes,
        })
    });
    Ok((part, why.map(|why| Interrupted { why, wait: None })))
}

async fn reset(mut part: Part) -> Result<Part, FetchError> {
    blocking(move || {
        part.reset()?;
        Ok(part)
    })
    .await
}

fn check_size(remote: &Remote<'_>, stated: Option<u64>) -> Result<(), FetchError> {
    match stated {
        Some(actual_bytes) if actual_bytes != remote.size_bytes => Err(FetchError::WrongSize {
            url: remote.url.to_owned(),
            expected_bytes: remote.size_bytes,
            actual_bytes,
        }),
        _ => Ok(()),
    }
}

/// Statuses after which the same request may succeed.
fn may_pass(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(
            status,
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS
        )
}

/// The first byte's position and the whole file's size, of `bytes 10-99/100` (RFC 9110, 14.4).
fn content_range(headers: &HeaderMap) -> Option<(u64, Option<u64>)> {
    let text = headers.get(CONTENT_RANGE)?.to_str().ok()?;
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (from, _) = range.split_once('-')?;
    Some((from.trim().parse().ok()?, total.trim().parse().ok()))
}

/// The entity tag, if it is one that `If-Range` may use (RFC 9110, 13.1.5).
fn strong_version(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG)?;
    tag.as_bytes().starts_with(b"\"").then(|| tag.clone())
}

fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(RETRY_AFTER)?.to_str().ok()?.parse().ok()?;
    Some(Duration::from_secs(seconds))
}
