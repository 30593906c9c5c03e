//! Where a request comes from.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use axum::{extract::ConnectInfo, http::request::Parts};

/// What a proxy adds the address of its client to.
const FORWARDED_FOR: &str = "x-forwarded-for";

/// The address of who sent a request. Behind a proxy it is the last one in `X-Forwarded-For`, which
/// the proxy itself has added; those before it may be anybody's invention.
///
/// Unspecified where the server that the router runs in does not tell: then all share one.
pub(crate) fn client_address(parts: &Parts, behind_proxy: bool) -> IpAddr {
    if behind_proxy {
        let forwarded = parts.headers.get_all(FORWARDED_FOR).into_iter().next_back();
        let last = forwarded
            .and_then(|value| value.to_str().ok()?.rsplit(',').next())
            .and_then(|address| address.trim().parse().ok());
        if let Some(address) = last {
            return address;
        }
    }
    parts
        .extensions
        .get::<ConnectInfo<SocketAddr>>()
        .map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |ConnectInfo(address)| {
            address.ip()
        })
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn request(forwarded: &[&str]) -> Parts {
        let mut request = Request::builder();
        for value in forwarded {
            request = request.header(FORWARDED_FOR, *value);
        }
        let mut request = request.body(()).unwrap();
        let peer = SocketAddr::from(([192, 0, 2, 1], 4_000));
        request.extensions_mut().insert(ConnectInfo(peer));
        request.into_parts().0
    }

    #[test]
    fn without_a_proxy_the_peer_counts_whatever_it_says() {
        let address = client_address(&request(&["198.51.100.7"]), false);
        assert_eq!(address, IpAddr::from([192, 0, 2, 1]));
    }

    #[test]
    fn behind_a_proxy_what_it_added_counts() {
        for (forwarded, address) in [
            (&["198.51.100.7"][..], "198.51.100.7"),
            (&["10.0.0.1, 198.51.100.7"], "198.51.100.7"),
            (&["10.0.0.1", "2001:db8::1"], "2001:db8::1"),
            (&["garbage"], "192.0.2.1"),
            (&[], "192.0.2.1"),
        ] {
            let expected: IpAddr = address.parse().unwrap();
            assert_eq!(client_address(&request(forwarded), true), expected);
        }
        let unknown = Request::new(()).into_parts().0;
        assert!(client_address(&unknown, false).is_unspecified());
    }
}
