//! The field `Referer` of requests. From a page at the URL of a job, it would tell servers and their logs
//! this URL, which is the right to read the job.

use http::{HeaderMap, HeaderValue, Uri, header::REFERER};

/// The paths below which jobs are: as the gateway has it, and as clients see it.
pub(super) struct Bases(Vec<String>);

impl Bases {
    pub(super) fn new(base: &str, public: Option<&str>) -> Self {
        let path = |url: &str| url.parse::<Uri>().map(|url| url.path().to_owned());
        let public = public.and_then(|url| path(url).ok());
        let bases = [Some(base.to_owned()), public].into_iter().flatten();
        Self(bases.map(|base| base + "/").collect())
    }

    /// Shortens a `Referer` that may be the URL of a job to its origin, by which servers check where
    /// requests come from.
    pub(super) fn shorten_referer(&self, headers: &mut HeaderMap) {
        let values = headers.get_all(REFERER).iter();
        let urls = values.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let urls: Vec<_> = urls.filter(|url| self.is_of_job(url)).collect();
        let Some(url) = urls.first() else { return };
        match origin(url) {
            Some(origin) => drop(headers.insert(REFERER, origin)),
            None => drop(headers.remove(REFERER)),
        }
    }

    /// Returns whether a path is one of a job for a server that decodes it first, removes parameters of
    /// segments, or resolves dots. Neither servers nor the log are to learn it.
    pub(super) fn is_misspelt(&self, path: &str) -> bool {
        let mut pairs = path.as_bytes().windows(2);
        let may_differ =
            path.contains(['%', '\\', ';']) || pairs.any(|pair| matches!(pair, b"//" | b"/."));
        may_differ && {
            let path = decoded(path).replace('\\', "/");
            let mut plain = Vec::new();
            for segment in path.split('/') {
                match segment.split(';').next().unwrap_or_default() {
                    "" | "." => {}
                    ".." => drop(plain.pop()),
                    name => plain.push(name),
                }
            }
            format!("/{}", plain.join("/")).starts_with(&self.0[0])
        }
    }

    /// Returns whether a URL may be one of a job. A proxy may have stripped a part of its path, and
    /// decoded it.
    fn is_of_job(&self, url: &str) -> bool {
        let path = url.split(['?', '#']).next().unwrap_or_default();
        let path = decoded(path);
        self.0.iter().any(|base| path.contains(base))
    }
}

fn origin(url: &str) -> Option<HeaderValue> {
    let (scheme, rest) = url.split_once("://")?;
    let authority = rest.split(['/', '?', '#']).next()?;
    let authority = authority.rsplit('@').next()?;
    HeaderValue::from_str(&format!("{scheme}://{authority}/")).ok()
}

/// Returns a path whose characters of ASCII are written plainly.
fn decoded(path: &str) -> String {
    let mut pieces = path.split('%');
    let mut decoded = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let digits = piece.get(..2);
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(byte) if byte.is_ascii() => {
                decoded.push(byte.into());
                decoded += &piece[2..];
            }
            _ => {
                decoded.push('%');
                decoded += piece;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(referers: &[&str]) -> Vec<String> {
        let bases = Bases::new("/work", Some("https://shop.example/app/jobs"));
        let mut headers = HeaderMap::new();
        for referer in referers {
            headers.append(REFERER, HeaderValue::from_str(referer).unwrap());
        }
        bases.shorten_referer(&mut headers);
        let values = headers.get_all(REFERER).iter();
        values.map(|it| it.to_str().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_url_of_a_job_is_shortened_to_its_origin() {
        for url in [
            "https://shop.example/work/3k?poll=1",
            "https://shop.example/work/3k/status",
            "https://me:secret@shop.example/work/3k",
            "https://shop.example/prefix/work/3k",
            "https://shop.example/app/jobs/3k",
            "https://shop.example//work/3k",
            "https://shop.example/%77ork%2F3k",
        ] {
            assert_eq!(sent(&[url]), ["https://shop.example/"], "{url}");
            assert_eq!(
                sent(&["https://a.example/", url]),
                ["https://shop.example/"]
            );
        }
        assert_eq!(sent(&["/work/3k"]), [""; 0]);
    }

    #[test]
    fn a_path_of_a_job_is_known_in_each_spelling() {
        let bases = Bases::new("/work", None);
        for path in [
            "//work/3k",
            "/work%2f3k",
            "/%77ork/3k",
            "/work\\3k",
            "//work//3k",
            "/work;x=1/3k",
            "/work%3bx=1/3k",
            "/;/work/3k",
            "/a/../work/3k",
            "/a/%2e%2e/./work/3k",
        ] {
            assert!(bases.is_misspelt(path), "{path}");
        }
        for path in [
            "/work/3k",
            "/works//3k",
            "/a//work/3k",
            "/%77",
            "//",
            "/workers%2f3k",
            "/workers;x=1/3k",
            "/a;x=1/work/3k",
            "/work/../a/3k",
            "/.well-known/work/3k",
        ] {
            assert!(!bases.is_misspelt(path), "{path}");
        }
    }

    #[test]
    fn another_url_is_sent_unchanged() {
        for url in [
            "https://shop.example/",
            "https://shop.example/work",
            "https://shop.example/homework/3k",
            "https://shop.example/search?next=/work/",
            "https://shop.example/%zz%",
            "about:blank",
            "",
        ] {
            assert_eq!(sent(&[url]), [url]);
        }
        let both = ["https://a.example/", "https://b.example/"];
        assert_eq!(sent(&both), both);
    }
}
