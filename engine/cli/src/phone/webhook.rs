//! Posts a form to a server as Twilio does.

use reqwest::header::{CONTENT_TYPE, HOST};
use sidetone_server::signature::{SIGNATURE_HEADER, sign};
use sidetone_speech::Secret;

use super::dial::{DialError, parse, unusable};

/// How to post.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Webhook<'a> {
    pub(crate) client: &'a reqwest::Client,
    /// What to sign with.
    pub(crate) auth_token: Option<&'a Secret>,
    /// `host:port` to connect to, without TLS, in place of where the URL points.
    pub(crate) connect: Option<&'a str>,
}

/// What a server answered.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
}

impl Webhook<'_> {
    /// Posts `form` to `url`, signed.
    ///
    /// # Errors
    ///
    /// The URL is of no webhook, or there is no answer.
    pub(crate) async fn post(
        &self,
        url: &str,
        form: &[(String, String)],
    ) -> Result<Answer, DialError> {
        let failed = |source| DialError::Webhook {
            url: url.to_owned(),
            source,
        };
        let uri = parse(url)?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) {
            return Err(unusable(
                url,
                "a webhook's URL begins with https:// or http://",
            ));
        }
        let (address, host) = match self.connect {
            None => (url.to_owned(), None),
            Some(connect) => {
                let path = uri.path_and_query().map_or("/", |path| path.as_str());
                let host = uri.authority().map(|host| host.as_str().to_owned());
                (format!("http://{connect}{path}"), host)
            }
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let mut request = self.client.post(address).body(body).header(
            CONTENT_TYPE,
            "application/x-www-form-urlencoded; charset=UTF-8",
        );
        if let Some(host) = host {
            request = request.header(HOST, host);
        }
        if let Some(token) = self.auth_token {
            request = request.header(SIGNATURE_HEADER, sign(token.expose(), url, form));
        }
        let response = request.send().await.map_err(failed)?;
        Ok(Answer {
            status: response.status().as_u16(),
            body: response.text().await.map_err(failed)?,
        })
    }
}
