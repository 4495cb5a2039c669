//! The digest that distinguishes a repeat of a submission from another submission with the same
//! key.
//!
//! It covers method, host, target, Content-Type and body. The port of the host does not count, since
//! nodes of one server may have several. Clients that rebuild a form for each attempt
//! choose a new boundary (RFC 2046, section 5.1.1), which is ignored; so is `charset=utf-8` of
//! JSON, which has no other (RFC 8259, section 8.1).

use std::borrow::Cow;

use http::{
    HeaderValue, Request,
    header::{CONTENT_TYPE, HOST},
    uri::Authority,
};
use mediatype::{MediaType, ReadParams, names};
use memchr::memmem::Finder;
use sha2::{Digest, Sha256};

pub(crate) struct Fingerprint {
    whole: Sha256,
    /// Of a multipart body.
    parts: Option<Parts>,
}

/// A body divided by delimiters, which are left out of the digest.
struct Parts {
    delimiter: Finder<'static>,
    part: Sha256,
    /// The last bytes, which may begin a delimiter.
    rest: Vec<u8>,
}

impl Fingerprint {
    /// Begins the fingerprint with a request's head.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        let mut fingerprint = Self {
            whole: Sha256::new(),
            parts: None,
        };
        let target = request.uri().path_and_query();
        fingerprint.field(request.method().as_str().as_bytes());
        fingerprint.field(&host(request).to_ascii_lowercase());
        fingerprint.field(target.map_or("", |target| target.as_str()).as_bytes());
        let value = request.headers().get(CONTENT_TYPE);
        let value = value.map_or(&b""[..], HeaderValue::as_bytes);
        match str::from_utf8(value)
            .ok()
            .and_then(|it| MediaType::parse(it).ok())
        {
            Some(content_type) => fingerprint.content_type(&content_type),
            None => fingerprint.field(value),
        }
        fingerprint
    }

    fn content_type(&mut self, content_type: &MediaType<'_>) {
        let is_multipart = content_type.ty == names::MULTIPART;
        let is_json = content_type.subty == names::JSON || content_type.suffix == Some(names::JSON);
        self.field(
            content_type
                .essence()
                .to_string()
                .to_ascii_lowercase()
                .as_bytes(),
        );
        for (name, value) in content_type.params() {
            let value = value.unquoted_str();
            if is_multipart && name == names::BOUNDARY {
                self.parts = Some(Parts {
                    delimiter: Finder::new(format!("--{value}").as_bytes()).into_owned(),
                    part: Sha256::new(),
                    rest: Vec::new(),
                });
            } else if !(is_json && name == names::CHARSET && value.eq_ignore_ascii_case("utf-8")) {
                self.field(name.as_str().to_ascii_lowercase().as_bytes());
                self.field(value.as_bytes());
            }
        }
    }

    fn field(&mut self, text: &[u8]) {
        self.whole.update((text.len() as u64).to_le_bytes());
        self.whole.update(text);
    }

    /// Adds the next bytes of the body.
    pub(crate) fn update(&mut self, chunk: &[u8]) {
        let Some(Parts {
            delimiter,
            part,
            rest,
        }) = &mut self.parts
        else {
            return self.whole.update(chunk);
        };
        rest.extend_from_slice(chunk);
        let length = delimiter.needle().len();
        let mut done = 0;
        for at in delimiter.find_iter(rest) {
            part.update(&rest[done..at]);
            self.whole.update(part.finalize_reset());
            done = at + length;
        }
        let kept = done.max(rest.len().saturating_sub(length - 1));
        part.update(&rest[done..kept]);
        rest.drain(..kept);
    }

    pub(crate) fn finish(mut self) -> [u8; 32] {
        if let Some(Parts { mut part, rest, .. }) = self.parts {
            part.update(&rest);
            self.whole.update(part.finalize());
        }
        self.whole.finalize().into()
    }
}

/// Returns the host that a request names: that of its target, if that has one (RFC 9112, section
/// 3.2.2).
fn host<B>(request: &Request<B>) -> Cow<'_, [u8]> {
    if let Some(host) = request.uri().host() {
        return host.as_bytes().into();
    }
    let value = request.headers().get(HOST);
    let value = value.map_or(&b""[..], HeaderValue::as_bytes);
    match Authority::try_from(value) {
        Ok(authority) => authority.host().as_bytes().to_vec().into(),
        Err(_) => value.into(),
    }
}

#[cfg(test)]
mod tests {

    use super::*;

    fn of(content_type: &str, body: &str, chunk: usize) -> [u8; 32] {
        let request = Request::post("/forms").header(CONTENT_TYPE, content_type);
        let mut fingerprint = Fingerprint::of(&request.body(()).expect("valid request"));
        for chunk in body.as_bytes().chunks(chunk) {
            fingerprint.update(chunk);
        }
        fingerprint.finish()
    }

    fn form(boundary: &str, content: &str) -> (String, String) {
        let content_type = format!("multipart/form-data; boundary={boundary}");
        let boundary = boundary.trim_matches('"');
        let disposition = "Content-Disposition: form-data; name=\"f\"";
        let body = format!("--{boundary}\r\n{disposition}\r\n\r\n{content}\r\n--{boundary}--\r\n");
        (content_type, body)
    }

    #[test]
    fn boundary_of_a_form_does_not_count() {
        let (content_type, body) = form("aaaa1", "the same");
        let first = of(&content_type, &body, body.len());
        for boundary in ["bbbb2", "\"---- 17\"", "a"] {
            let (content_type, body) = form(boundary, "the same");
            for chunk in [1, 7, body.len()] {
                assert_eq!(
                    of(&content_type, &body, chunk),
                    first,
                    "{boundary} by {chunk}"
                );
            }
        }
        let (content_type, body) = form("bbbb2", "another");
        assert_ne!(of(&content_type, &body, body.len()), first);
        // A delimiter differs from the same text within a part.
        let (content_type, body) = form("bbbb2", "the same\r\n--aaaa1\r\n");
        assert_ne!(of(&content_type, &body, body.len()), first);
    }

    #[test]
    fn host_counts_by_its_name() {
        let of = |uri: &str, host: Option<&str>| {
            let mut request = Request::post(uri);
            if let Some(host) = host {
                request = request.header(HOST, host);
            }
            Fingerprint::of(&request.body(()).expect("valid request")).finish()
        };
        let shop = of("/", Some("shop.example"));
        for same in [
            of("/", Some("Shop.Example:8080")),
            of("http://shop.example/", None),
            of("https://shop.example:8443/", Some("blog.example")),
        ] {
            assert_eq!(same, shop);
        }
        let others = [None, Some("blog.example"), Some("shop.example."), Some("")];
        for other in others {
            assert_ne!(of("/", other), shop, "{other:?}");
        }
        assert_ne!(of("/", Some("[::1]:80")), of("/", Some("[::2]:80")));
    }

    #[test]
    fn charset_of_json_does_not_count() {
        let plain = of("application/json", "{}", 2);
        assert_eq!(of("Application/JSON; charset=\"UTF-8\"", "{}", 2), plain);
        for other in [
            "application/json; charset=utf-16",
            "application/json; version=1",
            "text/json",
            "",
        ] {
            assert_ne!(of(other, "{}", 2), plain, "{other}");
        }
        assert_ne!(
            of("text/plain; charset=utf-8", "a", 1),
            of("text/plain", "a", 1)
        );
    }
}
