//! The HTTP client under everything that talks to a service over the network.

use std::{fmt::Display, net::IpAddr, sync::Once, time::Duration};

use reqwest::{Client, Url, redirect};

/// A pool of connections to `service` at `base_url`: TLS by rustls with the platform's
/// certificates, no redirects, so that a key goes where it was sent and nowhere else, and no proxy
/// to this machine itself. `service` is named in the log where certificates are missing.
///
/// # Errors
///
/// Those of [`reqwest::ClientBuilder::build`].
pub fn client(
    service: impl Display,
    base_url: &Url,
    connect_timeout: Duration,
) -> reqwest::Result<Client> {
    static PROVIDER: Once = Once::new();
    PROVIDER.call_once(|| {
        // Fails only where the program around us has chosen a provider already: just as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
    });
    let builder = || {
        let builder = Client::builder()
            .connect_timeout(connect_timeout)
            .pool_max_idle_per_host(64)
            .tcp_keepalive(Duration::from_secs(30))
            .redirect(redirect::Policy::none());
        // A proxy is for the world outside.
        if is_loopback(base_url) {
            builder.no_proxy()
        } else {
            builder
        }
    };
    // Without TLS, or without a CA store, trust nobody: plain HTTP needs no certificates.
    let trusts_nobody = || builder().tls_certs_only([]).build();
    if base_url.scheme() == "http" {
        return trusts_nobody();
    }
    builder().build().or_else(|error| {
        tracing::warn!(
            %service, %error,
            "no CA certificates: every https connection will fail; install ca-certificates",
        );
        trusts_nobody()
    })
}

/// Whether `url` leads to this machine itself.
#[must_use]
pub fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || address.parse().is_ok_and(|ip: IpAddr| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_known() {
        for (url, yes) in [
            ("http://localhost:1/v1", true),
            ("http://127.0.0.9/", true),
            ("http://[::1]:80/", true),
            ("https://api.openai.com/v1", false),
            ("http://10.0.0.1/", false),
        ] {
            assert_eq!(is_loopback(&Url::parse(url).unwrap()), yes, "{url}");
        }
    }
}
