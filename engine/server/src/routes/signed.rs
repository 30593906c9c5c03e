//! The forms that Twilio posts, taken only where Twilio signed them.

use std::time::Duration;

use axum::{
    body::{Body, to_bytes},
    extract::{FromRequest, Request},
    http::request::Parts,
};
use tokio::time::timeout;

use super::{
    origin::{Scheme, check_signature},
    rejection::Rejection,
};
use crate::{state::ServerState, twilio::Form};

/// A webhook's form is shorter than this, in bytes; Twilio's have about 1 KiB.
const MAX_FORM: usize = 64 * 1024;

/// A webhook's form arrives within this time.
const FORM_TIMEOUT: Duration = Duration::from_secs(10);

/// A form that Twilio signed for this server, and the head of its request.
#[derive(Debug)]
pub(super) struct SignedForm {
    pub(super) parts: Parts,
    pub(super) form: Form,
}

impl FromRequest<ServerState> for SignedForm {
    type Rejection = Rejection;

    async fn from_request(request: Request, state: &ServerState) -> Result<Self, Rejection> {
        let (parts, body) = request.into_parts();
        let form = read_form(body).await?;
        check_signature(
            &state.0,
            &parts.headers,
            Scheme::Http,
            &parts.uri,
            form.fields(),
        )?;
        Ok(Self { parts, form })
    }
}

async fn read_form(body: Body) -> Result<Form, Rejection> {
    let bytes = timeout(FORM_TIMEOUT, to_bytes(body, MAX_FORM))
        .await
        .map_err(|_| Rejection::Slow)?
        .map_err(|_| Rejection::Form)?;
    Ok(Form::read(&bytes))
}
