//! Tokens, and the keys that verify them.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::hmac;
use serde_json::json;

/// The settings of the tokens' source, whose keys are in a file.
pub(crate) fn jwt(keys: &std::path::Path) -> String {
    format!(
        "principal.jwt = {{ keys = \"{}\", issuer = \"https://id.example\", audience = \"reports\", \
         algorithms = [\"HS256\"] }}",
        keys.display()
    )
}

/// Returns the field with a token for a principal, which expires in `left` seconds.
pub(crate) fn token(principal: &str, left: i64) -> String {
    token_of(7, principal, left)
}

/// Returns the field with a token that is signed by a key of such bytes.
pub(crate) fn token_of(key: u8, principal: &str, left: i64) -> String {
    issued("https://id.example", key, principal, left)
}

/// Returns the field with such a token of an issuer.
pub(crate) fn issued(issuer: &str, key: u8, principal: &str, left: i64) -> String {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    let claims = json!({
        "sub": principal,
        "iss": issuer,
        "aud": "reports",
        "exp": i64::try_from(now).unwrap() + left,
    });
    let message = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256"}"#),
        encoded(claims.to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &[key; 32]);
    let signature = hmac::sign(&key, message.as_bytes());
    format!("Bearer {message}.{}", encoded(signature))
}

/// Returns the set of the key of such bytes.
pub(crate) fn keys(key: u8) -> String {
    json!({"keys": [{"kty": "oct", "k": encoded([key; 32])}]}).to_string()
}

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}
