//! Signatures by Standard Webhooks, version 1.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::HeaderValue;
use ring::hmac;

/// The keys that sign for a host: one, or two while they are rotated.
pub(super) struct Keys(Vec<hmac::Key>);

impl Keys {
    /// Reads secrets, whose form the settings have checked.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = &'a str>) -> Self {
        let keys = secrets.filter_map(|text| {
            let text = text.strip_prefix("whsec_").unwrap_or(text);
            let key = BASE64_STANDARD.decode(text).ok()?;
            Some(hmac::Key::new(hmac::HMAC_SHA256, &key))
        });
        Self(keys.collect())
    }

    /// Returns the value of `webhook-signature`: one signature for each key.
    pub(super) fn sign(&self, id: &str, timestamp: u64, body: &[u8]) -> HeaderValue {
        let signatures = self.0.iter().map(|key| {
            let mut context = hmac::Context::with_key(key);
            context.update(format!("{id}.{timestamp}.").as_bytes());
            context.update(body);
            format!("v1,{}", BASE64_STANDARD.encode(context.sign()))
        });
        let value = signatures.collect::<Vec<_>>().join(" ");
        HeaderValue::try_from(value).expect("Base64 is visible ASCII")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the reference libraries.
    const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    const SIGNED: &str = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";

    fn sign(secrets: &[&str]) -> HeaderValue {
        let body = br#"{"test": 2432232314}"#;
        Keys::new(secrets.iter().copied()).sign("msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, body)
    }

    #[test]
    fn signature_is_that_of_the_reference() {
        assert_eq!(sign(&[SECRET]), SIGNED);
        assert_eq!(sign(&[SECRET.trim_start_matches("whsec_")]), SIGNED);
    }

    #[test]
    fn two_keys_sign_both() {
        let other = "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let both = sign(&[other, SECRET]);
        let both = both.to_str().unwrap();
        let (first, second) = both.split_once(' ').unwrap();
        assert_eq!(second, SIGNED);
        assert_eq!(first, sign(&[other]));
    }
}
