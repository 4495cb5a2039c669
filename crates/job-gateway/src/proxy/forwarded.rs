//! `Forwarded` (RFC 7239) and `X-Forwarded-*`: the client's address, host and scheme.

use std::{borrow::Cow, net::IpAddr};

use http::{HeaderMap, HeaderName, HeaderValue, header::FORWARDED};
use serde::{Deserialize, Serialize};

use crate::{fields::remove_where, text::push_address};

const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The fields that the gateway sets.
pub(super) const NAMES: [HeaderName; 4] = [FORWARDED, FOR, HOST, PROTO];

/// The room for one member of a list, in bytes.
const MEMBER: usize = 64;

/// A client, or a proxy before the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hop<'a> {
    /// `None` for a client of a Unix socket.
    pub(crate) address: Option<IpAddr>,
    pub(crate) host: Option<&'a str>,
    /// It used TLS.
    pub(crate) secure: bool,
    /// The gateway believes what it forwards.
    pub(crate) trusted: bool,
}

/// The fields that a server receives.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Forwarded {
    forwarded: String,
    addresses: Option<String>,
    host: Option<String>,
    proto: Cow<'static, str>,
    /// A trusted hop may have set other fields `X-Forwarded-…`, such as that of the port.
    trusted: bool,
}

impl Forwarded {
    /// Returns the fields of a request: those of a trusted hop with the hop itself, or else the hop
    /// alone.
    pub(crate) fn of(hop: Hop<'_>, headers: &HeaderMap) -> Self {
        let told = |name: &HeaderName| match hop.trusted {
            true => joined(headers, name),
            false => None,
        };
        let (earlier, addresses) = (told(&FORWARDED), told(&FOR));
        let address = hop.address.map(|address| address.to_canonical());
        let earlier = earlier.or_else(|| addresses.as_deref().map(elements));
        let mut forwarded = begun(earlier);
        hop.push_element(&mut forwarded, address);
        let addresses = match address {
            None => addresses,
            Some(address) => {
                let mut addresses = begun(addresses);
                push_address(&mut addresses, address);
                Some(addresses)
            }
        };
        Self {
            forwarded,
            addresses,
            host: told(&HOST).or_else(|| hop.host.map(str::to_owned)),
            proto: told(&PROTO).map_or(Cow::Borrowed(hop.proto()), Cow::Owned),
            trusted: hop.trusted,
        }
    }

    /// Removes all fields of this kind.
    pub(super) fn remove(headers: &mut HeaderMap) {
        remove_where(headers, is_forwarding);
    }

    /// Sets the fields, in place of all that a hop without trust has set.
    pub(super) fn set(self, headers: &mut HeaderMap) {
        match self.trusted {
            true => remove_where(headers, |name| NAMES.contains(name)),
            false => Self::remove(headers),
        }
        let proto = match self.proto {
            Cow::Borrowed(proto) => Some(HeaderValue::from_static(proto)),
            Cow::Owned(proto) => HeaderValue::try_from(proto).ok(),
        };
        let value = |text: Option<String>| HeaderValue::try_from(text?).ok();
        let fields = [
            (FORWARDED, value(Some(self.forwarded))),
            (FOR, value(self.addresses)),
            (HOST, value(self.host)),
            (PROTO, proto),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                headers.insert(name, value);
            }
        }
    }
}

impl Hop<'_> {
    fn proto(&self) -> &'static str {
        if self.secure { "https" } else { "http" }
    }

    fn push_element(&self, list: &mut String, address: Option<IpAddr>) {
        list.push_str("for=");
        push_node(list, address);
        if let Some(host) = self.host {
            list.push_str(";host=");
            push_value(list, host);
        }
        list.push_str(";proto=");
        list.push_str(self.proto());
    }
}

/// Returns whether a field says on whose behalf a request was sent.
fn is_forwarding(name: &HeaderName) -> bool {
    *name == FORWARDED || name.as_str().starts_with("x-forwarded-")
}

/// Returns the values of a field as one list.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let values = headers.get_all(name).iter();
    let values: Vec<_> = values.filter_map(|value| value.to_str().ok()).collect();
    let values = values.join(", ");
    (!values.trim().is_empty()).then_some(values)
}

/// Returns the beginning of a list whose last member follows.
fn begun(earlier: Option<String>) -> String {
    match earlier {
        None => String::with_capacity(MEMBER),
        Some(earlier) => earlier + ", ",
    }
}

/// Returns the elements of `Forwarded` for the addresses in `X-Forwarded-For`.
fn elements(addresses: &str) -> String {
    let addresses = addresses.split(',').map(str::trim);
    let addresses = addresses.filter(|address| !address.is_empty());
    let mut elements = String::new();
    for address in addresses {
        if !elements.is_empty() {
            elements.push_str(", ");
        }
        elements.push_str("for=");
        push_node(&mut elements, address.parse().ok());
    }
    elements
}

/// Appends an address as a node's name (RFC 7239, section 6).
fn push_node(list: &mut String, address: Option<IpAddr>) {
    match address {
        Some(address @ IpAddr::V4(_)) => push_address(list, address),
        Some(address @ IpAddr::V6(_)) => {
            list.push_str("\"[");
            push_address(list, address);
            list.push_str("]\"");
        }
        None => list.push_str("unknown"),
    }
}

/// Appends a value as a token, or else as a quoted string.
fn push_value(list: &mut String, value: &str) {
    let is_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if !value.is_empty() && value.bytes().all(is_token) {
        return list.push_str(value);
    }
    list.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            list.push('\\');
        }
        list.push(character);
    }
    list.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLIENT: Hop<'_> = Hop {
        address: Some(IpAddr::V4(std::net::Ipv4Addr::new(192, 0, 2, 1))),
        host: Some("shop.example:8080"),
        secure: false,
        trusted: false,
    };

    fn sent(hop: Hop<'_>, fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(*name, HeaderValue::from_static(value));
        }
        let forwarded = Forwarded::of(hop, &headers);
        let mut headers = HeaderMap::new();
        forwarded.set(&mut headers);
        headers
    }

    const TOLD: [(&str, &str); 5] = [
        ("forwarded", "for=198.51.100.7;proto=https"),
        ("x-forwarded-for", "198.51.100.7"),
        ("x-forwarded-for", "203.0.113.9"),
        ("x-forwarded-host", "www.example"),
        ("x-forwarded-proto", "https"),
    ];

    #[test]
    fn a_client_is_not_believed() {
        let headers = sent(CLIENT, &TOLD);
        assert_eq!(
            headers["forwarded"],
            "for=192.0.2.1;host=\"shop.example:8080\";proto=http"
        );
        assert_eq!(headers["x-forwarded-for"], "192.0.2.1");
        assert_eq!(headers["x-forwarded-host"], "shop.example:8080");
        assert_eq!(headers["x-forwarded-proto"], "http");
    }

    #[test]
    fn a_trusted_proxy_is_believed_and_named() {
        let proxy = Hop {
            trusted: true,
            ..CLIENT
        };
        let headers = sent(proxy, &TOLD);
        assert_eq!(
            headers["forwarded"],
            "for=198.51.100.7;proto=https, for=192.0.2.1;host=\"shop.example:8080\";proto=http"
        );
        assert_eq!(
            headers["x-forwarded-for"],
            "198.51.100.7, 203.0.113.9, 192.0.2.1"
        );
        assert_eq!(headers["x-forwarded-host"], "www.example");
        assert_eq!(headers["x-forwarded-proto"], "https");
    }

    #[test]
    fn what_a_trusted_proxy_tells_in_one_form_only_is_told_in_both() {
        let proxy = Hop {
            trusted: true,
            host: None,
            ..CLIENT
        };
        let headers = sent(
            proxy,
            &[("x-forwarded-for", "198.51.100.7, 2001:db8::1, x")],
        );
        assert_eq!(
            headers["forwarded"],
            "for=198.51.100.7, for=\"[2001:db8::1]\", for=unknown, for=192.0.2.1;proto=http"
        );
    }

    #[test]
    fn an_address_of_ipv4_within_ipv6_is_one_of_ipv4() {
        let client = Hop {
            address: Some("::ffff:192.0.2.1".parse().unwrap()),
            ..CLIENT
        };
        assert_eq!(sent(client, &[])["x-forwarded-for"], "192.0.2.1");
    }

    #[test]
    fn a_client_of_a_unix_socket_has_no_address() {
        let client = Hop {
            address: None,
            host: Some("a\"b"),
            ..CLIENT
        };
        let headers = sent(client, &[]);
        assert_eq!(
            headers["forwarded"],
            "for=unknown;host=\"a\\\"b\";proto=http"
        );
        assert!(!headers.contains_key("x-forwarded-for"));
    }
}
