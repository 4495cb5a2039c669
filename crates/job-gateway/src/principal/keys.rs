//! The keys of tokens, from a JWK Set (RFC 7517).

use std::{fs, path::Path};

use jsonwebtoken::{
    Algorithm, AlgorithmFamily, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, PublicKeyUse},
};
use serde_json::Value;

/// The number of keys that are tried in turn for a token that names none.
const LIMIT: usize = 100;

/// A key, and the algorithms that it may verify.
pub(super) struct Key {
    pub(super) id: Option<String>,
    pub(super) key: DecodingKey,
    pub(super) algorithms: Vec<Algorithm>,
}

/// Reads the keys that verify tokens of these algorithms. Others, such as those that encrypt, are
/// ignored (section 5).
pub(super) fn read(path: &Path, algorithms: &[Algorithm]) -> Result<Vec<Key>, String> {
    let file = path.display();
    let text = fs::read(path).map_err(|error| format!("cannot read {file}: {error}"))?;
    let set: Value = serde_json::from_slice(&text)
        .map_err(|error| format!("{file} is no JWK Set, as it is no JSON: {error}"))?;
    let keys = set["keys"]
        .as_array()
        .ok_or_else(|| format!("{file} is no JWK Set, as it has no array `keys`"))?;
    if keys.len() > LIMIT {
        return Err(format!("{file} has more than {LIMIT} keys"));
    }
    let keys: Vec<_> = keys
        .iter()
        .filter_map(|key| read_key(key, algorithms))
        .collect();
    if keys.is_empty() {
        return Err(format!("{file} has no key of the accepted algorithms"));
    }
    Ok(keys)
}

fn read_key(value: &Value, algorithms: &[Algorithm]) -> Option<Key> {
    let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
    let is_for_signatures = match &jwk.common.public_key_use {
        None | Some(PublicKeyUse::Signature) => true,
        Some(_) => false,
    };
    let key = DecodingKey::from_jwk(&jwk).ok()?;
    // Shorter secrets can be guessed (RFC 7518, section 3.2).
    let is_weak = key.family() == AlgorithmFamily::Hmac
        && key.try_get_as_bytes().is_ok_and(|secret| secret.len() < 32);
    let only: Option<KeyAlgorithm> = jwk.common.key_algorithm;
    let algorithms = algorithms.iter().copied().filter(|algorithm| {
        let is_named = only.is_none_or(|only| only == KeyAlgorithm::from(*algorithm));
        is_named && algorithm.family() == key.family() && curve(*algorithm) == curve_of(&jwk)
    });
    let algorithms: Vec<_> = algorithms.collect();
    let is_usable = is_for_signatures && !is_weak && !algorithms.is_empty();
    is_usable.then_some(Key {
        id: jwk.common.key_id,
        key,
        algorithms,
    })
}

/// Returns the curve of an algorithm that has one.
fn curve(algorithm: Algorithm) -> Option<EllipticCurve> {
    match algorithm {
        Algorithm::ES256 => Some(EllipticCurve::P256),
        Algorithm::ES384 => Some(EllipticCurve::P384),
        Algorithm::EdDSA => Some(EllipticCurve::Ed25519),
        _ => None,
    }
}

fn curve_of(jwk: &Jwk) -> Option<EllipticCurve> {
    match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(key) => Some(key.curve.clone()),
        AlgorithmParameters::OctetKeyPair(key) => Some(key.curve.clone()),
        _ => None,
    }
}
