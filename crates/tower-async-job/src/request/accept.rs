//! The media types that a client accepts: a person with a browser gets pages.

use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{ACCEPT, UPGRADE_INSECURE_REQUESTS},
};
use mediatype::{MediaType, MediaTypeList, Name, ReadParams, names};

/// Fetch metadata (W3C, Fetch Metadata Request Headers, section 2).
const SEC_FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The fields that the choice of an answer to a poll depends on (RFC 9110, section 12.5.5).
pub(crate) const VARY: &str =
    "accept, prefer, sec-fetch-dest, sec-fetch-mode, upgrade-insecure-requests";

/// Returns whether a person reads the answer: a browser navigates, and prefers HTML to JSON.
pub(crate) fn wants_page(headers: &HeaderMap) -> bool {
    prefers_html(headers) && navigates(headers)
}

/// Returns whether a browser navigates: by its Fetch metadata, which browsers send to trustworthy
/// origins, or else by Upgrade-Insecure-Requests, which they send with navigations only (W3C,
/// Upgrade Insecure Requests, section 3.2.1).
fn navigates(headers: &HeaderMap) -> bool {
    let is = |name: HeaderName, value| headers.get(name).is_some_and(|found| found == value);
    if headers.keys().any(is_fetch_metadata) {
        is(SEC_FETCH_MODE, "navigate") || is(SEC_FETCH_DEST, "document")
    } else {
        is(UPGRADE_INSECURE_REQUESTS, "1")
    }
}

fn is_fetch_metadata(name: &HeaderName) -> bool {
    name.as_str().starts_with("sec-fetch-")
}

/// Returns whether the client prefers HTML to JSON (RFC 9110, section 12.5.1). If both have the
/// same weight, HTML must be named and JSON must not.
fn prefers_html(headers: &HeaderMap) -> bool {
    // Few clients except browsers name a kind of text, and parsing the ranges takes time.
    let names_text = |value: &HeaderValue| {
        let mut words = value.as_bytes().windows(names::TEXT.as_str().len());
        words.any(|word| word.eq_ignore_ascii_case(names::TEXT.as_str().as_bytes()))
    };
    // One pass over the headers is cheaper than a lookup.
    if !headers
        .iter()
        .any(|(name, value)| *name == ACCEPT && names_text(value))
    {
        return false;
    }
    let mut html = Preference::default();
    let mut json = Preference::default();
    let ranges = headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(MediaTypeList::new)
        .flatten();
    for range in ranges {
        html.take(&range, names::TEXT, names::HTML);
        json.take(&range, names::APPLICATION, names::JSON);
    }
    html.quality > 0 && (html.quality, html.precision) > (json.quality, json.precision)
}

/// The quality of a media type by the most precise range that includes it, which is the greatest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Preference {
    /// 1 for `*/*`, 2 for `type/*`, 3 for the type itself; 0 for none of them.
    precision: u8,
    /// In thousandths.
    quality: u16,
}

impl Preference {
    fn take(&mut self, range: &MediaType<'_>, ty: Name<'_>, subty: Name<'_>) {
        let precision = if range.ty == ty && range.subty == subty && range.suffix.is_none() {
            3
        } else if range.ty == ty && range.subty == names::_STAR {
            2
        } else if range.ty == names::_STAR && range.subty == names::_STAR {
            1
        } else {
            return;
        };
        let quality = match range.get_param(names::Q) {
            None => Some(1000),
            Some(quality) => thousandths(quality.as_str()),
        };
        if let Some(quality) = quality {
            *self = (*self).max(Self { precision, quality });
        }
    }
}

/// Parses a weight of RFC 9110, section 12.4.2, into thousandths.
fn thousandths(weight: &str) -> Option<u16> {
    let weight: f32 = weight.parse().ok()?;
    (0.0..=1.0)
        .contains(&weight)
        .then_some((weight * 1000.0).round() as u16)
}

#[cfg(test)]
mod tests;
