//! The value of `-x`.

use std::str::FromStr;

use http::Uri;

/// A value of `-x`: the URL of a proxy, or the empty text for no proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Proxy(pub(crate) String);

impl FromStr for Proxy {
    type Err = String;

    /// Parses the URL of a proxy. The default scheme is http and the default
    /// port 1080, as for curl.
    fn from_str(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Ok(Self(String::new()));
        }
        let (scheme, rest) = text.split_once("://").unwrap_or(("http", text));
        let port = match scheme {
            "http" | "socks4" | "socks4a" | "socks5" | "socks5h" => 1080,
            "https" => 443,
            _ => return Err(format!("`{scheme}` is no kind of proxy that is supported")),
        };
        let authority = rest.split('/').next().unwrap_or_default();
        // Of several `@`, the last one ends the user.
        let authority = match authority.rsplit_once('@') {
            Some((user, host)) => &format!("{}@{host}", user.replace('@', "%40")),
            None => authority,
        };
        let url: Uri = format!("{scheme}://{authority}/")
            .parse()
            .ok()
            .filter(|url: &Uri| url.port_u16().is_some() == has_port(authority))
            .ok_or("must be [SCHEME://][USER:PASSWORD@]HOST[:PORT]")?;
        Ok(Self(match url.port() {
            Some(_) => format!("{scheme}://{authority}"),
            None => format!("{scheme}://{authority}:{port}"),
        }))
    }
}

/// Returns whether a port follows the host.
fn has_port(authority: &str) -> bool {
    let host = authority.rsplit(['@', ']']).next();
    host.is_some_and(|host| host.contains(':'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proxies_are_those_of_curl() {
        for (text, expected) in [
            ("", ""),
            ("a.example", "http://a.example:1080"),
            ("a.example:3128/", "http://a.example:3128"),
            (
                "http://me:secret@a.example:80",
                "http://me:secret@a.example:80",
            ),
            (
                "http://me@b.example:secret@a.example:80",
                "http://me%40b.example:secret@a.example:80",
            ),
            ("https://a.example", "https://a.example:443"),
            ("socks5h://[::1]", "socks5h://[::1]:1080"),
        ] {
            assert_eq!(text.parse(), Ok(Proxy(expected.to_owned())), "{text}");
        }
        for text in ["ftp://a.example", "http://", "a b", "http://a.example:x"] {
            assert!(text.parse::<Proxy>().is_err(), "{text}");
        }
    }
}
