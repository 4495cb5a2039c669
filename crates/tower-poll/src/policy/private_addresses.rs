//! Hosts of private networks (server-side request forgery).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http_polling::same_origin;

use super::{hop::Hop, refusal::Refusal};

/// Refuses hops to another origin whose host is internal.
pub(super) fn stay_public(hop: &Hop<'_>) -> Result<(), Refusal> {
    match !same_origin(hop.from(), hop.to()) && hop.to().host().is_some_and(is_internal) {
        true => Err(Refusal::new("the next poll would go to a private address")),
        false => Ok(()),
    }
}

fn is_internal(host: &str) -> bool {
    let host = host.trim_end_matches('.');
    if let Some(literal) = host.strip_prefix('[') {
        // A zone names a local interface, and other bracketed forms are no
        // addresses.
        let address = literal.strip_suffix(']').and_then(|text| text.parse().ok());
        return address.is_none_or(is_internal_v6);
    }
    match host.parse::<IpAddr>() {
        Ok(IpAddr::V4(address)) => is_internal_v4(address),
        Ok(IpAddr::V6(address)) => is_internal_v6(address),
        Err(_) => is_internal_name(host),
    }
}

fn is_internal_name(host: &str) -> bool {
    let last = host.rsplit('.').next().unwrap_or(host);
    // `127.1`, `0x7f.1` and `2130706433` are addresses to many resolvers.
    let is_number = last.bytes().all(|byte| byte.is_ascii_digit())
        || last
            .get(..2)
            .is_some_and(|start| start.eq_ignore_ascii_case("0x"));
    is_number
        || ["localhost", "local", "internal"]
            .iter()
            .any(|name| last.eq_ignore_ascii_case(name))
}

/// The blocks that are not globally reachable (IANA special-purpose address
/// registry).
fn is_internal_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || a == 0
        || a >= 224
        || (a == 100 && (64..128).contains(&b))
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && (18..20).contains(&b))
}

fn is_internal_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    // The IPv4 address within: mapped, compatible, NAT64, 6to4.
    let low = || {
        let [.., a, b] = segments;
        Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))
    };
    match segments {
        [0, 0, 0, 0, 0, 0 | 0xffff, _, _] | [0x64, 0xff9b, 0, 0, 0, 0, _, _] => {
            is_internal_v4(low())
        }
        [0x2002, a, b, ..] => is_internal_v4(Ipv4Addr::from((u32::from(a) << 16) | u32::from(b))),
        // Only 2000::/3 is globally reachable, and of it not the block for
        // documentation nor the one for protocols, which holds Teredo.
        [0x2001, 0x0db8 | 0..0x200, ..] => true,
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn internal_hosts_are_told() {
        for host in "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 \
            100.64.0.1 0.0.0.0 255.255.255.255 224.0.0.1 127.1 2130706433 \
            0x7f000001 0x7f.1 0177.0.0.1 [::1] [::] [::ffff:10.0.0.1] \
            [::127.0.0.1] [64:ff9b::169.254.169.254] [2002:7f00:1::] \
            [2001:db8::1] [2001:0:1::1] [fe80::1] [fe80::1%25eth0] \
            [fc00::1] [fd00:ec2::254] [ff02::1] [v1.x] localhost \
            LOCALHOST. api.localhost metadata.google.internal \
            printer.local"
            .split(' ')
        {
            assert!(is_internal(host), "{host}");
        }
    }

    #[test]
    fn public_hosts_are_not() {
        for host in "example.com 1.1.1.1 172.32.0.1 100.128.0.1 [2606:4700::1111] \
            [2001:4860:4860::8888] [::ffff:1.1.1.1] local.example.com \
            x0x1.com 4chan.org"
            .split(' ')
        {
            assert!(!is_internal(host), "{host}");
        }
    }
}
