//! `Location` and `Content-Location`: URI references (RFC 9110, section
//! 10.2.2), which are resolved against the request's URI (RFC 3986, section 5).

mod authority;
mod error;
mod reference;

use http::{
    Uri,
    uri::{Parts, PathAndQuery},
};
use iri_string::types::{UriAbsoluteStr, UriReferenceStr};

pub use self::error::LocationError;
use self::{
    authority::check_authority,
    reference::{Scan, escaped, escaped_path, text},
};
use crate::origin::has_scheme;

/// The maximum length of a reference that [`resolve`] accepts, in bytes: 8 KiB.
pub const MAX_LOCATION: usize = 8 * 1024;

/// A placeholder for the base's authority while paths are merged.
///
/// Only the path and the query of the merged URI are used.
const PLACEHOLDER: &str = "http://base.invalid";

/// Resolves the value of `Location` or `Content-Location` against `base`, the
/// URI of the request.
///
/// The base may be path-only, as the request URIs of gRPC clients are. In that
/// case a relative reference gives a path-only URI, and an absolute reference
/// gives an absolute URI. The caller decides whether to follow it.
///
/// The resulting URI has the scheme http or https, or is path-only. Fragments
/// are dropped. Characters that a URI may not contain (spaces, quotes,
/// non-ASCII text) and bytes that are not UTF-8 are percent-encoded in the path
/// and the query, as browsers do. A relative reference keeps the base's
/// authority unchanged.
///
/// # Errors
///
/// Fails with a [`LocationError`] if the reference is malformed, or if two
/// readers could understand it differently. Fails too if the base has no path,
/// or has another scheme than http and https.
///
/// ```
/// use http::Uri;
/// use http_polling::{LocationError, resolve};
///
/// let base = Uri::from_static("https://example.com/report?year=2031");
/// let job = resolve(&base, "/work/8f14?poll=1").unwrap();
/// assert_eq!(job, "https://example.com/work/8f14?poll=1");
///
/// let base = Uri::from_static("/package.Service/Method");
/// assert_eq!(resolve(&base, "../work/8f14").unwrap(), "/work/8f14");
///
/// assert_eq!(resolve(&base, "file:///etc/passwd"), Err(LocationError::Scheme));
/// ```
pub fn resolve(base: &Uri, reference: impl AsRef<[u8]>) -> Result<Uri, LocationError> {
    resolve_bytes(base, reference.as_ref())
}

fn resolve_bytes(base: &Uri, reference: &[u8]) -> Result<Uri, LocationError> {
    if reference.len() > MAX_LOCATION {
        return Err(LocationError::TooLong);
    }
    let reference = trim(reference);
    if reference.is_empty() {
        return Err(LocationError::Missing);
    }
    let scan = Scan::of(reference)?;
    // Nearly every Location needs neither merging nor escaping, and is parsed
    // in place.
    let is_path = reference.starts_with(b"/") && !reference.starts_with(b"//");
    if is_path && scan.is_literal && scan.end == reference.len() {
        return with_path(base, reference);
    }
    let reference = text(&reference[..scan.end]);
    let reference = &*reference;
    if scan.is_literal {
        if is_path {
            return with_path(base, reference.as_bytes());
        }
        if reference.contains("://") && has_web_scheme(reference) {
            return absolute(reference);
        }
    }
    merge(base, &escaped(reference))
}

/// Resolves a reference that needs merging or escaping.
fn merge(base: &Uri, reference: &str) -> Result<Uri, LocationError> {
    let parsed = UriReferenceStr::new(reference).map_err(|_| LocationError::Syntax)?;
    match (parsed.scheme_str(), parsed.authority_str()) {
        (Some(_), _) if !has_web_scheme(reference) => Err(LocationError::Scheme),
        (Some(_), None) => Err(LocationError::Host),
        (Some(_), Some(_)) => absolute(&without_dot_segments(parsed, PLACEHOLDER)?),
        (None, Some(_)) => {
            let scheme = base.scheme_str().ok_or(LocationError::NoBase)?;
            // The reference now has a scheme, so that the recursion ends.
            merge(base, &format!("{scheme}:{reference}"))
        }
        (None, None) => {
            let merged = without_dot_segments(parsed, &placeholder(base)?)?;
            let path = merged
                .strip_prefix(PLACEHOLDER)
                .ok_or(LocationError::Syntax)?;
            with_path(base, path.as_bytes())
        }
    }
}

/// Appends the base's path and query to [`PLACEHOLDER`].
fn placeholder(base: &Uri) -> Result<String, LocationError> {
    // A request without a resource has the path "*" or an empty one.
    if !base.path().starts_with('/') {
        return Err(LocationError::NoBase);
    }
    let mut text = format!("{PLACEHOLDER}{}", escaped_path(base.path()));
    if let Some(query) = base.query() {
        text.push('?');
        text.push_str(&escaped_path(query));
    }
    Ok(text)
}

/// Merges paths and removes dot segments (RFC 3986, section 5.2).
fn without_dot_segments(reference: &UriReferenceStr, base: &str) -> Result<String, LocationError> {
    let base = UriAbsoluteStr::new(base).map_err(|_| LocationError::NoBase)?;
    Ok(reference.resolve_against(base).to_string())
}

/// Parses an absolute http or https URI, and checks its authority.
fn absolute(text: &str) -> Result<Uri, LocationError> {
    let (_, rest) = text.split_once("://").ok_or(LocationError::Host)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    check_authority(&rest[..end])?;
    if rest[end..].starts_with('?') {
        // An empty path is sent as "/" (RFC 9110, section 4.2.3).
        let (head, query) = text.split_at(text.len() - rest.len() + end);
        return parse(&format!("{head}/{query}"));
    }
    parse(text)
}

fn parse(text: &str) -> Result<Uri, LocationError> {
    Uri::try_from(text).map_err(|_| LocationError::Syntax)
}

/// Combines `path` with the base's scheme and authority, if the base has them.
fn with_path(base: &Uri, path: &[u8]) -> Result<Uri, LocationError> {
    let mut parts = Parts::default();
    match (base.scheme(), base.authority()) {
        (Some(scheme), Some(authority)) => {
            if !has_scheme(base, "https") && !has_scheme(base, "http") {
                return Err(LocationError::Scheme);
            }
            parts.scheme = Some(scheme.clone());
            parts.authority = Some(authority.clone());
        }
        // Without an authority, such a path would be read as a host and a path.
        (None, None) if path.starts_with(b"//") => return Err(LocationError::NoBase),
        (None, None) => {}
        _ => return Err(LocationError::NoBase),
    }
    parts.path_and_query = Some(PathAndQuery::try_from(path).map_err(|_| LocationError::Syntax)?);
    Uri::from_parts(parts).map_err(|_| LocationError::Syntax)
}

fn has_web_scheme(reference: &str) -> bool {
    reference.split_once(':').is_some_and(|(scheme, _)| {
        ["https", "http"]
            .iter()
            .any(|web| scheme.eq_ignore_ascii_case(web))
    })
}

fn trim(mut text: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] | [rest @ .., b' ' | b'\t'] = text {
        text = rest;
    }
    text
}

#[cfg(test)]
mod tests;
