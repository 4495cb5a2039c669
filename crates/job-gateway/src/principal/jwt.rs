//! Principals from JSON Web Tokens (RFC 7519).

use http::{HeaderMap, header::AUTHORIZATION};
use jsonwebtoken::{Algorithm, DecodingKey, Header, Validation, decode, decode_header};
use serde_json::{Map, Value};

use super::{crypto, keys, qualified::Source, refusal::Refusal};
use crate::config::Jwt;

/// The seconds by which clocks may differ.
const LEEWAY: u64 = 60;

/// Verifies tokens: signature, algorithm, issuer, audience and times are demanded.
pub(crate) struct Verifier {
    keys: Vec<(Option<String>, DecodingKey, Validation)>,
    claim: String,
    source: Source,
}

impl Verifier {
    pub(super) fn new(settings: &Jwt) -> Result<Self, String> {
        crypto::install();
        let algorithms = settings.algorithms.iter().map(|name| {
            let algorithm = name.parse::<Algorithm>();
            algorithm.map_err(|_| format!("there is no algorithm {name}"))
        });
        let algorithms = algorithms.collect::<Result<Vec<_>, _>>()?;
        let keys = keys::read(&settings.keys, &algorithms)?.into_iter();
        let keys = keys.map(|key| {
            let validation = validation(settings, key.algorithms);
            (key.id, key.key, validation)
        });
        Ok(Self {
            keys: keys.collect(),
            claim: settings.claim.clone(),
            source: Source::jwt(&settings.claim, &settings.issuer),
        })
    }

    /// Returns the source of the names in its tokens.
    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// Returns the principal that a request's token names.
    pub(super) fn find(&self, headers: &HeaderMap) -> Result<String, Refusal> {
        let token = bearer(headers)?;
        let header = decode_header(token).map_err(|_| Refusal::Invalid)?;
        // Extensions that must be understood (RFC 7515, section 4.1.11) are not.
        if header.crit.is_some() {
            return Err(Refusal::Invalid);
        }
        let mut keys = self.keys.iter().filter(|(id, ..)| may_be_of(&header, id));
        let claims = keys.find_map(|(_, key, validation)| {
            let token = decode::<Map<String, Value>>(token, key, validation).ok()?;
            Some(token.claims)
        });
        match claims.ok_or(Refusal::Invalid)?.remove(&self.claim) {
            Some(Value::String(principal)) if is_a_name(&principal) => Ok(principal),
            _ => Err(Refusal::Invalid),
        }
    }
}

fn validation(settings: &Jwt, algorithms: Vec<Algorithm>) -> Validation {
    let mut validation = Validation::new(algorithms[0]);
    validation.algorithms = algorithms;
    validation.leeway = LEEWAY;
    validation.validate_nbf = true;
    validation.set_issuer(&[&settings.issuer]);
    validation.set_audience(&[&settings.audience]);
    validation.set_required_spec_claims(&["exp", "iss", "aud"]);
    validation
}

/// Returns whether a token may be signed by this key: a token that names a key is of no other.
fn may_be_of(header: &Header, id: &Option<String>) -> bool {
    match (&header.kid, id) {
        (Some(kid), Some(id)) => kid == id,
        (Some(_), None) | (None, _) => true,
    }
}

/// Returns whether a principal can be sent on in a header.
fn is_a_name(principal: &str) -> bool {
    // Servers strip the blanks around a field.
    !principal.is_empty() && principal.trim() == principal && !principal.contains(char::is_control)
}

/// Returns the token of `Authorization: Bearer …` (RFC 6750, section 2.1).
fn bearer(headers: &HeaderMap) -> Result<&str, Refusal> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(Refusal::Missing);
    };
    let value = value.to_str().map_err(|_| Refusal::Invalid)?;
    match value.split_once(' ') {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => Ok(token.trim()),
        _ => Err(Refusal::Missing),
    }
}

#[cfg(test)]
mod tests {
    use super::is_a_name;

    #[test]
    fn a_name_is_the_same_to_the_server() {
        assert!(is_a_name("ada") && is_a_name("Ada Lovelace"));
        for name in ["", " ", " ada", "ada\u{a0}", "a\nda"] {
            assert!(!is_a_name(name), "{name:?}");
        }
    }
}
