//! Where Twilio's REST API is.

use reqwest::Url;
use sidetone_speech::http::is_loopback;

use crate::config::TwilioConfig;

/// The regions that process calls, with the edge that their host names carry.
const REGIONS: [(&str, &str); 3] = [("us1", "ashburn"), ("ie1", "dublin"), ("au1", "sydney")];

/// Why there is no address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BaseUrlError {
    /// `base_url` is not usable.
    BaseUrl,
    /// `region` is not known, and no `edge` is set with it.
    Region,
    /// `edge` is no name.
    Edge,
}

impl BaseUrlError {
    /// The key, and what it must be.
    pub(crate) fn expectation(self) -> (&'static str, &'static str) {
        match self {
            Self::BaseUrl => (
                "twilio.base_url",
                "must be https:// and a host, such as \"https://api.twilio.com\", without a query \
                 and without `twilio.region` or `twilio.edge` beside it (http:// only to this \
                 machine)",
            ),
            Self::Region => (
                "twilio.region",
                "must be \"us1\", \"ie1\" or \"au1\", or a region's name with `twilio.edge` set",
            ),
            Self::Edge => (
                "twilio.edge",
                "must be an edge location's name, such as \"dublin\"",
            ),
        }
    }
}

/// The address that requests start with, without a slash at the end.
///
/// A host name with a region has an edge too: `api.{edge}.{region}.twilio.com`. One with the region
/// alone is not served any more, except for `us1`, which is what no region means. Source: Twilio,
/// "Understanding Edge Locations" and "API domain migration guide".
pub(crate) fn base_url(config: &TwilioConfig) -> Result<Url, BaseUrlError> {
    let TwilioConfig {
        base_url,
        region,
        edge,
        ..
    } = config;
    if !base_url.is_empty() {
        let url = Url::parse(base_url).map_err(|_| BaseUrlError::BaseUrl)?;
        let usable = url.has_host()
            && (url.scheme() == "https" || (url.scheme() == "http" && is_loopback(&url)))
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
            && region.is_empty()
            && edge.is_empty();
        return if usable {
            Ok(url)
        } else {
            Err(BaseUrlError::BaseUrl)
        };
    }
    let known = REGIONS.iter().find(|(name, _)| name == region);
    if !region.is_empty() && !is_label(region)
        || known.is_none() && edge.is_empty() && !region.is_empty()
    {
        return Err(BaseUrlError::Region);
    }
    if !edge.is_empty() && !is_label(edge) {
        return Err(BaseUrlError::Edge);
    }
    let host = match (region.as_str(), edge.as_str()) {
        ("" | "us1", "") => "api.twilio.com".to_owned(),
        (region, "") => {
            let (_, edge) = known.expect("an unknown region has an edge");
            format!("api.{edge}.{region}.twilio.com")
        }
        ("", edge) => format!("api.{edge}.us1.twilio.com"),
        (region, edge) => format!("api.{edge}.{region}.twilio.com"),
    };
    Ok(Url::parse(&format!("https://{host}")).expect("labels make a host"))
}

/// One part of a host name.
fn is_label(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && !text.ends_with('-')
        && text
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(base_url: &str, region: &str, edge: &str) -> Result<String, BaseUrlError> {
        let config = TwilioConfig {
            base_url: base_url.into(),
            region: region.into(),
            edge: edge.into(),
            ..TwilioConfig::default()
        };
        super::base_url(&config).map(|url| url.as_str().trim_end_matches('/').to_owned())
    }

    #[test]
    fn regions_and_edges_make_the_host() {
        for (region, edge, url) in [
            ("", "", "https://api.twilio.com"),
            ("us1", "", "https://api.twilio.com"),
            ("ie1", "", "https://api.dublin.ie1.twilio.com"),
            ("au1", "", "https://api.sydney.au1.twilio.com"),
            ("", "umatilla", "https://api.umatilla.us1.twilio.com"),
            ("us1", "ashburn", "https://api.ashburn.us1.twilio.com"),
            ("au1", "singapore", "https://api.singapore.au1.twilio.com"),
            ("jp1", "tokyo", "https://api.tokyo.jp1.twilio.com"),
        ] {
            assert_eq!(of("", region, edge).as_deref(), Ok(url), "{region} {edge}");
        }
    }

    #[test]
    fn a_region_without_its_edge_and_names_that_are_none_are_refused() {
        assert_eq!(of("", "jp1", ""), Err(BaseUrlError::Region));
        assert_eq!(of("", "IE1", "dublin"), Err(BaseUrlError::Region));
        for edge in ["a.evil.example/", "a.b", "-a", "é", "a b"] {
            assert_eq!(of("", "ie1", edge), Err(BaseUrlError::Edge), "{edge}");
        }
    }

    #[test]
    fn another_address_is_https_or_this_machine() {
        for good in [
            "https://twilio.proxy.example",
            "https://proxy.example/twilio",
            "http://127.0.0.1:8081",
            "http://localhost:1",
        ] {
            assert_eq!(of(good, "", "").as_deref(), Ok(good));
        }
        for bad in [
            "api.twilio.com",
            "http://api.twilio.com",
            "https://user:pw@api.twilio.com",
            "https://api.twilio.com?x=1",
            "https://api.twilio.com#x",
            "ftp://127.0.0.1",
        ] {
            assert_eq!(of(bad, "", ""), Err(BaseUrlError::BaseUrl), "{bad}");
        }
        assert_eq!(
            of("https://a.example", "ie1", ""),
            Err(BaseUrlError::BaseUrl)
        );
    }
}
