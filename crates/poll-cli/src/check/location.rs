//! The URLs of jobs.

use http::Uri;
use http_polling::same_origin;

/// A host that no server has. Names below `.invalid` are never resolved (RFC 6761).
pub(super) const OTHER_HOST: &str = "other-host.invalid";

/// The URLs of a job that was accepted.
#[derive(Clone, Debug)]
pub(super) struct JobUrls {
    /// The URL in `Location`.
    pub(super) location: Uri,
    /// The same without the hints in its query.
    pub(super) bare: Uri,
}

impl JobUrls {
    pub(super) fn new(location: Uri) -> Self {
        let bare = without_hints(&location).unwrap_or_else(|| location.clone());
        Self { location, bare }
    }

    /// Returns whether `Location` has hints.
    pub(super) fn has_hints(&self) -> bool {
        self.location != self.bare
    }

    /// Returns the URL of the status document.
    pub(super) fn status(&self) -> Uri {
        below(&self.bare)
    }

    /// Returns the URL of the job with another id, which `change` makes from this one's.
    pub(super) fn with_id(&self, change: impl FnOnce(&str) -> String) -> Option<Uri> {
        let path = self.bare.path();
        let (folder, id) = path.rsplit_once('/')?;
        if id.is_empty() {
            return None;
        }
        replaced(
            &self.bare,
            &format!("{folder}/{}", change(id)),
            self.bare.query(),
        )
    }
}

/// Returns the id in the URL of a job: the last segment of its path.
pub(super) fn id(url: &Uri) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

/// Returns whether `url` may be that of the resource at `target`, or of one that contains it.
pub(super) fn contains(url: &Uri, target: &Uri) -> bool {
    let rest = target.path().strip_prefix(url.path().trim_end_matches('/'));
    same_origin(url, target) && rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Returns the URL of the status document of the job at `url`.
pub(super) fn below(url: &Uri) -> Uri {
    let path = format!("{}/status", url.path().trim_end_matches('/'));
    replaced(url, &path, url.query()).unwrap_or_else(|| url.clone())
}

/// Returns the value of a pair in the query of a URL.
pub(super) fn hint<'a>(url: &'a Uri, name: &str) -> Option<&'a str> {
    let pairs = url.query().unwrap_or_default().split('&');
    let mut values = pairs.filter_map(|pair| pair.split_once('='));
    values.find_map(|(key, value)| (key == name).then_some(value))
}

fn without_hints(url: &Uri) -> Option<Uri> {
    for name in ["poll", "due"] {
        hint(url, name)?.parse::<u64>().ok()?;
    }
    let is_hint = |pair: &&str| pair.starts_with("poll=") || pair.starts_with("due=");
    let pairs = url.query()?.split('&').filter(|pair| !is_hint(pair));
    let query = pairs.collect::<Vec<_>>().join("&");
    replaced(
        url,
        url.path(),
        Some(&*query).filter(|query| !query.is_empty()),
    )
}

fn replaced(url: &Uri, path: &str, query: Option<&str>) -> Option<Uri> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    let mut parts = url.clone().into_parts();
    parts.path_and_query = Some(target.parse().ok()?);
    Uri::from_parts(parts).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(url: &'static str) -> String {
        JobUrls::new(Uri::from_static(url)).bare.to_string()
    }

    #[test]
    fn only_hints_are_removed() {
        assert_eq!(bare("http://a/w/1?poll=1&due=20"), "http://a/w/1");
        assert_eq!(bare("http://a/w?poll=1&id=7&due=2"), "http://a/w?id=7");
        assert_eq!(bare("http://a/w?due=2"), "http://a/w?due=2");
        assert_eq!(bare("http://a/w"), "http://a/w");
        let id = "http://a/w?poll=0a9d&due=20";
        assert_eq!(bare(id), id);
    }

    #[test]
    fn status_and_other_ids_keep_the_rest_of_the_url() {
        let job = JobUrls::new(Uri::from_static("http://a:8/w/ab?poll=1&due=2&k=v"));
        assert_eq!(job.status().to_string(), "http://a:8/w/ab/status?k=v");
        let other = job.with_id(str::to_uppercase).map(|url| url.to_string());
        assert_eq!(other.as_deref(), Some("http://a:8/w/AB?k=v"));
        let folder = JobUrls::new(Uri::from_static("http://a/w/"));
        assert!(folder.with_id(str::to_uppercase).is_none());
        assert_eq!(id(&job.bare), "ab");
        assert_eq!(hint(&job.location, "due"), Some("2"));
    }
}
