//! The URL, the headers and the body of the request.

mod body;
mod form;
mod header;
mod origin;
mod query;
mod target;

pub(crate) use self::{
    body::{Part, Streamed, Whole, streamed, whole},
    form::{Field, form, repeatable_form},
    header::{HeaderLine, is_credential},
    origin::Origin,
    query::{Parameter, with_query},
    target::Target,
};

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, USER_AGENT},
};

use self::header::{basic, goes_everywhere};

/// Returns the headers of a submission, or of a resumed job's polls: curl's
/// default headers, which `lines` replace or remove.
///
/// Values that only the submission's origin may receive are marked as
/// sensitive. tower-poll does not send these to other origins.
pub(crate) fn headers(
    lines: &[HeaderLine],
    keep_header: &[HeaderName],
    user: Option<&str>,
    content_type: Option<&str>,
) -> HeaderMap {
    let mut headers = HeaderMap::new();
    let is_json = content_type == Some("application/json");
    let accept = if is_json { "application/json" } else { "*/*" };
    headers.insert(ACCEPT, HeaderValue::from_static(accept));
    let agent = concat!("poll/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    if let Some(content_type) = content_type.and_then(|text| text.parse().ok()) {
        headers.insert(CONTENT_TYPE, content_type);
    }
    if let Some(user) = user {
        headers.insert(AUTHORIZATION, basic(user));
    }
    for line in lines {
        headers.remove(line.name());
    }
    for line in lines {
        if let HeaderLine::Set(name, value) = line {
            let mut value = value.clone();
            let may_leave = goes_everywhere(name) || keep_header.contains(name);
            value.set_sensitive(is_credential(name) || !may_leave);
            headers.append(name, value);
        }
    }
    headers
}

#[cfg(test)]
mod tests;
