//! The principal of a request: the one who asks, as a token or a trusted proxy says.

#[cfg(feature = "jwt")]
mod crypto;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "jwt")]
mod keys;
mod qualified;
mod refusal;

#[cfg(all(test, feature = "jwt"))]
mod tests;

use http::{HeaderMap, HeaderName};
use tower_async_job::store::Principal;

use self::qualified::Source;
pub(crate) use self::{qualified::name_of, refusal::Refusal};
use crate::config::PrincipalSource;

/// The source of principals of a route.
pub(crate) enum Authority {
    /// A field that trusted proxies set, and remove from their clients' requests.
    Header(HeaderName),
    #[cfg(feature = "jwt")]
    Jwt(jwt::Verifier),
}

impl Authority {
    /// Reads the keys of a source.
    ///
    /// # Errors
    ///
    /// Fails if there is no key, or if this build has no such source.
    pub(crate) fn new(source: &PrincipalSource) -> Result<Self, String> {
        match source {
            PrincipalSource::Header(name) => Ok(Self::Header(name.clone())),
            #[cfg(feature = "jwt")]
            PrincipalSource::Jwt(settings) => jwt::Verifier::new(settings).map(Self::Jwt),
            #[cfg(not(feature = "jwt"))]
            PrincipalSource::Jwt(_) => Err(
                "this build of job-gateway verifies no tokens: build it with `--features jwt`"
                    .to_owned(),
            ),
        }
    }

    /// Removes the field that only a trusted proxy may set.
    #[cfg_attr(
        not(feature = "jwt"),
        expect(irrefutable_let_patterns, reason = "there is no other source")
    )]
    pub(crate) fn forget(&self, headers: &mut HeaderMap) {
        if let Self::Header(name) = self {
            headers.remove(name);
        }
    }

    /// Returns the principal of a request, whose name is one of this source alone. A header is believed
    /// only from a trusted peer, and removed from the request of another; without it the request has no
    /// principal.
    ///
    /// # Errors
    ///
    /// Fails if a token is missing or not valid.
    pub(crate) fn principal(
        &self,
        headers: &mut HeaderMap,
        peer_trusted: bool,
    ) -> Result<Option<Principal>, Refusal> {
        let name = self.find(headers, peer_trusted)?;
        Ok(name.map(|name| self.source().principal(&name)))
    }

    /// Returns the field that names the principal, if servers know it by one.
    pub(crate) fn field(&self) -> Option<&HeaderName> {
        match self {
            Self::Header(name) => Some(name),
            #[cfg(feature = "jwt")]
            Self::Jwt(_) => None,
        }
    }

    fn source(&self) -> Source {
        match self {
            Self::Header(name) => Source::header(name),
            #[cfg(feature = "jwt")]
            Self::Jwt(verifier) => verifier.source().clone(),
        }
    }

    /// Returns the name of a request's principal.
    fn find(&self, headers: &mut HeaderMap, peer_trusted: bool) -> Result<Option<String>, Refusal> {
        match self {
            Self::Header(_) if !peer_trusted => {
                self.forget(headers);
                Ok(None)
            }
            Self::Header(name) => from_header(headers, name),
            #[cfg(feature = "jwt")]
            Self::Jwt(verifier) => verifier.find(headers).map(Some),
        }
    }
}

fn from_header(headers: &HeaderMap, name: &HeaderName) -> Result<Option<String>, Refusal> {
    let mut values = headers.get_all(name).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let text = std::str::from_utf8(value.as_bytes());
    match (text, values.next()) {
        (Ok(text), None) if !text.trim().is_empty() => Ok(Some(text.trim().to_owned())),
        _ => Err(Refusal::Unclear),
    }
}

#[cfg(test)]
mod header_tests {
    use super::*;

    fn found(values: &[&[u8]], peer_trusted: bool) -> Result<Option<String>, Refusal> {
        let name = HeaderName::from_static("x-user");
        let mut headers = HeaderMap::new();
        for value in values {
            let value = http::HeaderValue::from_bytes(value).unwrap();
            headers.append(&name, value);
        }
        let source = PrincipalSource::Header(name.clone());
        let authority = Authority::new(&source).unwrap();
        let found = authority.find(&mut headers, peer_trusted);
        assert!(peer_trusted || !headers.contains_key(name));
        found
    }

    #[test]
    fn a_header_is_believed_from_trusted_peers_alone() {
        assert_eq!(found(&[b"ada"], true), Ok(Some("ada".to_owned())));
        assert_eq!(found(&[b"ada"], false), Ok(None));
        assert_eq!(found(&[], true), Ok(None));
    }

    #[test]
    fn a_header_names_one_principal() {
        assert_eq!(found(&[b"ada", b"bob"], true), Err(Refusal::Unclear));
        assert_eq!(found(&[b""], true), Err(Refusal::Unclear));
        assert_eq!(found(&[b"\xff"], true), Err(Refusal::Unclear));
    }

    #[cfg(not(feature = "jwt"))]
    #[test]
    fn a_build_without_tokens_says_so() {
        let settings = crate::config::Jwt {
            keys: "keys.json".into(),
            issuer: "https://id.example".to_owned(),
            audience: "reports".to_owned(),
            algorithms: Vec::new(),
            claim: "sub".to_owned(),
        };
        let source = PrincipalSource::Jwt(std::sync::Arc::new(settings));
        let error = Authority::new(&source).err().unwrap();
        assert!(error.ends_with("build it with `--features jwt`"), "{error}");
    }
}
