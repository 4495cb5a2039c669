//! The way from a server to the listener.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use http::Uri;

use crate::config::{Progress, Upstream};

/// The way from a server to the listener.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// The server is on this machine.
    Local,
    /// The beginning of all URLs.
    Url(Arc<str>),
}

impl Reach {
    /// Returns the way from a server. One on another machine has none, unless the settings name it.
    pub(crate) fn of(upstream: &Upstream, settings: &Progress) -> Option<Self> {
        match &settings.url {
            Some(url) => Some(Self::Url(url.to_string().trim_end_matches('/').into())),
            None => is_local(&upstream.url).then_some(Self::Local),
        }
    }
}

fn is_local(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    match address.parse::<IpAddr>() {
        Ok(address) => address.to_canonical().is_loopback(),
        Err(_) => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Returns the URL by which this machine reaches a listener.
pub(super) fn local(listener: SocketAddr) -> String {
    let address = match listener.ip() {
        IpAddr::V4(address) if address.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(address) if address.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    format!("http://{}", SocketAddr::new(address, listener.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reach(upstream: &str, url: Option<&str>) -> Option<Reach> {
        let settings = Progress {
            url: url.map(|url| url.parse().unwrap()),
            ..Progress::default()
        };
        Reach::of(&Upstream::new("app", upstream.parse().unwrap()), &settings)
    }

    #[test]
    fn a_server_on_this_machine_needs_no_setting() {
        for upstream in [
            "http://127.0.0.1:3000",
            "http://127.3.2.1",
            "http://localhost:3000",
            "https://LOCALHOST",
            "http://[::1]:3000",
            "h2c://[::ffff:127.0.0.1]:3000",
        ] {
            assert_eq!(reach(upstream, None), Some(Reach::Local), "{upstream}");
        }
    }

    #[test]
    fn a_server_elsewhere_needs_a_url() {
        for upstream in [
            "http://app:3000",
            "http://10.0.0.2",
            "http://[fd00::2]:3000",
            "http://localhost.example",
            "http://0.0.0.0:3000",
        ] {
            assert_eq!(reach(upstream, None), None, "{upstream}");
            let named = reach(upstream, Some("https://node-1:8081/"));
            assert_eq!(named, Some(Reach::Url("https://node-1:8081".into())));
        }
    }

    #[test]
    fn a_listener_on_all_addresses_is_reached_by_loopback() {
        let local = |address: &str| local(address.parse().unwrap());
        assert_eq!(local("127.0.0.1:81"), "http://127.0.0.1:81");
        assert_eq!(local("0.0.0.0:81"), "http://127.0.0.1:81");
        assert_eq!(local("[::]:81"), "http://[::1]:81");
    }
}
