//! Authorities of absolute references (RFC 3986, section 3.2).

use std::net::Ipv6Addr;

use super::error::LocationError;

/// Refuses an authority that two readers could take for different hosts: one
/// with a user name or percent-encoding, or without a valid host and port.
pub(super) fn check_authority(authority: &str) -> Result<(), LocationError> {
    if authority.contains('@') {
        return Err(LocationError::UserInfo);
    }
    let (host, port) = if authority.starts_with('[') {
        let end = authority.find(']').ok_or(LocationError::Host)?;
        authority.split_at(end + 1)
    } else {
        authority.split_at(authority.find(':').unwrap_or(authority.len()))
    };
    if !is_host(host) {
        return Err(LocationError::Host);
    }
    if !is_port(port) {
        return Err(LocationError::Syntax);
    }
    Ok(())
}

fn is_host(host: &str) -> bool {
    match host.strip_prefix('[') {
        Some(address) => address
            .strip_suffix(']')
            .is_some_and(|address| address.parse::<Ipv6Addr>().is_ok()),
        None => {
            !host.is_empty()
                && host
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=".contains(&byte))
        }
    }
}

/// Returns whether `text` is empty, or a colon and a port, which may be empty.
fn is_port(text: &str) -> bool {
    match text.strip_prefix(':') {
        Some("") => true,
        Some(port) => port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok(),
        None => text.is_empty(),
    }
}
