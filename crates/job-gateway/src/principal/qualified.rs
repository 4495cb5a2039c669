//! The principals of jobs: names, each with its source before it. A name of one source is thus no
//! principal of another, though the URLs of jobs tell nothing of their routes.

use tower_async_job::store::Principal;

/// The kinds of sources.
const HEADER: &str = "header:";
const JWT: &str = "jwt:";

/// A source of names: one word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Source(String);

impl Source {
    /// Returns the source of the names in a field.
    pub(super) fn header(name: &http::HeaderName) -> Self {
        Self(format!("{HEADER}{name}"))
    }

    /// Returns the source of the names in a claim of an issuer's tokens.
    #[cfg(feature = "jwt")]
    pub(super) fn jwt(claim: &str, issuer: &str) -> Self {
        let (claim, issuer) = (escaped(claim).replace(':', "%3A"), escaped(issuer));
        Self(format!("{JWT}{claim}:{issuer}"))
    }

    /// Returns the principal that the source calls so.
    pub(super) fn principal(&self, name: &str) -> Principal {
        Principal::new(format!("{} {name}", self.0))
    }
}

/// Returns the name of a principal, without its source.
pub(crate) fn name_of(principal: &Principal) -> &str {
    let text = principal.as_str();
    match text.split_once(' ') {
        Some((source, name)) if source.starts_with(HEADER) || source.starts_with(JWT) => name,
        // Of a job that an earlier version has stored.
        _ => text,
    }
}

#[cfg(feature = "jwt")]
fn escaped(text: &str) -> String {
    let mut escaped = String::new();
    for char in text.chars() {
        match char {
            '%' => escaped += "%25",
            char if char.is_whitespace() => {
                escaped.extend(char.to_string().bytes().map(|byte| format!("%{byte:02X}")));
            }
            char => escaped.push(char),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(name: &'static str) -> Source {
        Source::header(&http::HeaderName::from_static(name))
    }

    #[test]
    fn a_principal_has_the_name_that_its_source_gives() {
        for name in ["ada", "Ada Lovelace", "header:x-user ada"] {
            assert_eq!(name_of(&header("x-user").principal(name)), name);
        }
        let earlier = Principal::new("Ada Lovelace");
        assert_eq!(name_of(&earlier), "Ada Lovelace");
    }

    #[test]
    fn a_name_of_one_header_is_another_principal_in_another() {
        let user = header("x-user").principal("ada");
        assert_ne!(header("x-name").principal("ada"), user);
        assert_eq!(header("x-user").principal("ada"), user);
    }

    #[cfg(feature = "jwt")]
    #[test]
    fn no_issuer_or_claim_is_taken_for_another() {
        let sources = [
            ("sub", "https://id.example"),
            ("sub", "https://id.example/"),
            ("email", "https://id.example"),
            ("sub:https", "//id.example"),
            ("sub", "https://id.example a"),
            ("sub", "https://id.example%20a"),
            ("sub", "https://id.example\u{a0}a"),
        ];
        let sources = sources.map(|(claim, issuer)| Source::jwt(claim, issuer));
        for (number, source) in sources.iter().enumerate() {
            assert_eq!(name_of(&source.principal("a b")), "a b");
            for other in &sources[..number] {
                assert_ne!(source.principal("b"), other.principal("b"));
                assert_ne!(source.principal("b"), other.principal("a b"));
            }
        }
    }
}
