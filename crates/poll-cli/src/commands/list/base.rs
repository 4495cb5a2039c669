//! The URL of the list.

use http::Uri;

/// The number of digits of a job's id.
const ID: usize = 32;

/// Returns the URL of the list of which this is the URL, or that of a job in it.
pub(super) fn base_of(url: &Uri) -> Uri {
    let path = url.path().trim_end_matches('/');
    let (parent, last) = path.rsplit_once('/').unwrap_or_default();
    let base = match last {
        "status" | "events" => match parent.rsplit_once('/') {
            Some((base, id)) if is_id(id) => base,
            _ => path,
        },
        last if is_id(last) => parent,
        _ => url.path(),
    };
    let base = if base.is_empty() { "/" } else { base };
    // A path that begins with `//` is not a reference to another host.
    let mut parts = url.clone().into_parts();
    parts.path_and_query = base.parse().ok();
    Uri::from_parts(parts).unwrap_or_else(|_| url.clone())
}

fn is_id(segment: &str) -> bool {
    let is_digit = |digit: u8| matches!(digit, b'0'..=b'9' | b'a'..=b'f');
    segment.len() == ID && segment.bytes().all(is_digit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_jobs_lead_to_the_list() {
        let id = "0123456789abcdef0123456789abcdef";
        for (path, base) in [
            ("/work".to_owned(), "/work"),
            ("/work/".to_owned(), "/work/"),
            ("/work?limit=3".to_owned(), "/work"),
            (format!("/work/{id}"), "/work"),
            (format!("/work/{id}?poll=1&due=3000"), "/work"),
            (format!("/api/work/{id}/status"), "/api/work"),
            (format!("/work/{id}/events"), "/work"),
            (format!("/{id}"), "/"),
            ("/jobs/status".to_owned(), "/jobs/status"),
            (format!("//other.example/{id}"), "//other.example"),
            (String::new(), "/"),
        ] {
            let url = format!("https://example.com{path}").parse().unwrap();
            assert_eq!(
                base_of(&url),
                *format!("https://example.com{base}"),
                "{path}"
            );
        }
    }
}
