//! What is sent: the URL, the headers and the body, as the command line names
//! them.

mod body;
mod header;
mod target;

pub(crate) use self::{
    body::{Part, Streamed, Whole, streamed, whole},
    header::{HeaderLine, is_credential},
    target::Target,
};

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};

use self::header::basic;

/// The headers of a submission, or of the polls of a resumed job: those that
/// curl would send by itself, replaced or removed by the `lines` of `-H`.
pub(crate) fn headers(lines: &[HeaderLine], user: Option<&str>, has_body: bool) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let agent = concat!("poll/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if has_body {
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        headers.insert(CONTENT_TYPE, form);
    }
    if let Some(user) = user {
        headers.insert(AUTHORIZATION, basic(user));
    }
    for line in lines {
        headers.remove(line.name());
    }
    for line in lines {
        if let HeaderLine::Set(name, value) = line {
            headers.append(name, value.clone());
        }
    }
    headers
}

#[cfg(test)]
mod tests;
