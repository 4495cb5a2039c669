//! The cookies of one call (RFC 6265).

use std::{
    net::Ipv4Addr,
    str,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use cookie::Cookie;
use http::{HeaderMap, HeaderValue, Uri, header::SET_COOKIE};
use http_polling::is_same_host;

/// The most cookies that one call remembers.
const MAX_COOKIES: usize = 32;

/// The most bytes of names, values and paths that one call remembers.
const MAX_BYTES: usize = 16 * 1024;

/// The cookies of one call and one origin. Emptied when the call moves to
/// another.
#[derive(Debug, Default)]
pub(crate) struct Jar {
    cookies: Vec<Stored>,
    bytes: usize,
}

#[derive(Debug)]
struct Stored {
    name: String,
    /// `None` for a removed cookie, which still hides one of the same name
    /// that the caller sent with the submission.
    value: Option<String>,
    path: String,
    secure: bool,
    expires: Option<SystemTime>,
}

impl Jar {
    pub(crate) fn clear(&mut self) {
        self.cookies.clear();
        self.bytes = 0;
    }

    /// Stores the cookies in the answer to a request for `uri`, except
    /// unreadable ones, those for another host, and those over the limits.
    pub(crate) fn store(&mut self, headers: &HeaderMap, uri: &Uri, now: SystemTime) {
        for value in headers.get_all(SET_COOKIE) {
            if let Ok(text) = str::from_utf8(value.as_bytes())
                && let Ok(cookie) = Cookie::parse(text)
                && cookie
                    .domain()
                    .is_none_or(|domain| is_domain_of(domain, uri))
            {
                self.put(Stored::new(&cookie, uri, now));
            }
        }
    }

    fn put(&mut self, cookie: Stored) {
        if let Some(at) = self
            .cookies
            .iter()
            .position(|old| old.is_replaced_by(&cookie))
        {
            self.bytes -= self.cookies.swap_remove(at).size();
        }
        let bytes = self.bytes + cookie.size();
        if self.cookies.len() < MAX_COOKIES && bytes <= MAX_BYTES {
            self.bytes = bytes;
            self.cookies.push(cookie);
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.cookies.is_empty()
    }

    /// Returns the `Cookie` value of a poll to `uri`: the submission's `own`
    /// cookies that have not been set again, then those of this jar. Empty if
    /// no cookie is left to be sent.
    pub(crate) fn header<'a>(
        &self,
        own: impl Iterator<Item = &'a [u8]>,
        uri: &Uri,
        now: SystemTime,
    ) -> HeaderValue {
        let mut line = Vec::new();
        let mut push = |pair: &[&[u8]]| {
            if !line.is_empty() {
                line.extend_from_slice(b"; ");
            }
            pair.iter().for_each(|part| line.extend_from_slice(part));
        };
        for pair in own.flat_map(|value| value.split(|byte| *byte == b';')) {
            let pair = pair.trim_ascii();
            if !pair.is_empty() && !self.cookies.iter().any(|cookie| cookie.is_named_by(pair)) {
                push(&[pair]);
            }
        }
        for cookie in self.cookies.iter().filter(|cookie| cookie.fits(uri, now)) {
            if let Some(value) = &cookie.value {
                push(&[cookie.name.as_bytes(), b"=", value.as_bytes()]);
            }
        }
        // Every part was a part of a header value, so that the whole is valid.
        let mut value = HeaderValue::from_maybe_shared(Bytes::from(line))
            .unwrap_or_else(|_| HeaderValue::from_static(""));
        value.set_sensitive(true);
        value
    }
}

impl Stored {
    fn new(cookie: &Cookie<'_>, uri: &Uri, now: SystemTime) -> Self {
        // Max-Age takes precedence over Expires (RFC 6265, section 5.3, step
        // 3).
        let expires = match cookie.max_age() {
            Some(age) => now.checked_add(Duration::try_from(age).unwrap_or_default()),
            None => cookie.expires_datetime().map(|at| {
                let seconds = u64::try_from(at.unix_timestamp()).unwrap_or_default();
                SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
            }),
        };
        let is_gone = expires.is_some_and(|at| at <= now);
        Self {
            name: cookie.name().to_owned(),
            value: (!is_gone).then(|| cookie.value().to_owned()),
            path: match cookie.path() {
                Some(path) if path.starts_with('/') => path.to_owned(),
                _ => default_path(uri.path()).to_owned(),
            },
            secure: cookie.secure().unwrap_or(false),
            expires,
        }
    }

    fn size(&self) -> usize {
        self.name.len() + self.path.len() + self.value.as_ref().map_or(0, String::len)
    }

    fn is_replaced_by(&self, newer: &Self) -> bool {
        self.name == newer.name && self.path == newer.path
    }

    fn is_named_by(&self, pair: &[u8]) -> bool {
        pair.split(|byte| *byte == b'=').next() == Some(self.name.as_bytes())
    }

    fn fits(&self, uri: &Uri, now: SystemTime) -> bool {
        // A path-only URI goes to the origin of the cookie.
        let is_https = |scheme: &str| scheme.eq_ignore_ascii_case("https");
        let is_secure = uri.scheme_str().is_none_or(is_https);
        self.expires.is_none_or(|at| now < at)
            && (is_secure || !self.secure)
            && is_path_match(uri.path(), &self.path)
    }
}

/// Returns whether `domain` is the host of `uri`, or a parent of a host that
/// is no address (RFC 6265, section 5.1.3). An empty one is ignored (section
/// 5.2.3). In all cases the cookie goes back to this very origin only.
fn is_domain_of(domain: &str, uri: &Uri) -> bool {
    let Some(host) = uri.host() else {
        return true;
    };
    let is_above = || {
        let above = host.len().checked_sub(domain.len());
        above
            .and_then(|above| host.split_at_checked(above))
            .is_some_and(|(sub, end)| sub.ends_with('.') && is_same_host(end, domain))
    };
    domain.is_empty()
        || is_same_host(domain, host)
        || (host.parse::<Ipv4Addr>().is_err() && is_above())
}

/// RFC 6265, section 5.1.4.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// RFC 6265, section 5.1.4.
fn is_path_match(path: &str, cookie_path: &str) -> bool {
    path.strip_prefix(cookie_path)
        .is_some_and(|rest| rest.is_empty() || cookie_path.ends_with('/') || rest.starts_with('/'))
}

#[cfg(test)]
mod tests;
