//! Tokens that are signed here, and keys as a provider of identities publishes them.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use http::{HeaderMap, header::AUTHORIZATION};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384,
        RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
        RsaPublicKeyComponents,
    },
};
use serde_json::{Value, json};

use super::{Authority, Refusal};
use crate::config::{Jwt, PrincipalSource};

const ALL: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256",
    "HS384", "HS512",
];
const SECRET: [u8; 64] = [7; 64];

fn encoded(bytes: impl AsRef<[u8]>) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// The private keys, one of each kind.
struct Keys {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    p384: EcdsaKeyPair,
    ed25519: Ed25519KeyPair,
}

impl Keys {
    fn new() -> Self {
        let random = SystemRandom::new();
        let ecdsa = |algorithm: &'static EcdsaSigningAlgorithm| {
            let key = EcdsaKeyPair::generate_pkcs8(algorithm, &random).unwrap();
            EcdsaKeyPair::from_pkcs8(algorithm, key.as_ref(), &random).unwrap()
        };
        let ed25519 = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
        Self {
            rsa: RsaKeyPair::from_pkcs8(include_bytes!("../../tests/principal/rsa.der")).unwrap(),
            p256: ecdsa(&ECDSA_P256_SHA256_FIXED_SIGNING),
            p384: ecdsa(&ECDSA_P384_SHA384_FIXED_SIGNING),
            ed25519: Ed25519KeyPair::from_pkcs8(ed25519.as_ref()).unwrap(),
        }
    }

    fn rsa_components(&self) -> RsaPublicKeyComponents<Vec<u8>> {
        self.rsa.public().into()
    }

    fn public(&self) -> Vec<Value> {
        let rsa = self.rsa_components();
        let (n, e) = (encoded(rsa.n), encoded(rsa.e));
        let ecdsa = |key: &EcdsaKeyPair, curve: &str| {
            let point = &key.public_key().as_ref()[1..];
            let (x, y) = point.split_at(point.len() / 2);
            json!({"kty": "EC", "kid": curve, "crv": curve, "x": encoded(x), "y": encoded(y)})
        };
        vec![
            json!({"kty": "RSA", "kid": "rsa", "n": n, "e": e, "use": "sig"}),
            ecdsa(&self.p256, "P-256"),
            ecdsa(&self.p384, "P-384"),
            json!({"kty": "OKP", "kid": "ed", "crv": "Ed25519", "x": encoded(self.ed25519.public_key())}),
            json!({"kty": "oct", "kid": "shared", "k": encoded(SECRET)}),
        ]
    }

    fn signature(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        let rsa = |padding: &'static dyn RsaEncoding| {
            let mut signature = vec![0; self.rsa.public().modulus_len()];
            let signed = self.rsa.sign(padding, &random, message, &mut signature);
            signed.unwrap();
            signature
        };
        let shared = |algorithm| {
            let key = hmac::Key::new(algorithm, &SECRET);
            hmac::sign(&key, message).as_ref().to_vec()
        };
        match algorithm {
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            "ES256" => self.p256.sign(&random, message).unwrap().as_ref().to_vec(),
            "ES384" => self.p384.sign(&random, message).unwrap().as_ref().to_vec(),
            "EdDSA" => self.ed25519.sign(message).as_ref().to_vec(),
            "HS256" => shared(hmac::HMAC_SHA256),
            "HS384" => shared(hmac::HMAC_SHA384),
            "HS512" => shared(hmac::HMAC_SHA512),
            _ => Vec::new(),
        }
    }

    fn token(&self, header: &Value, claims: &Value) -> String {
        let message = format!(
            "{}.{}",
            encoded(header.to_string()),
            encoded(claims.to_string())
        );
        let algorithm = header["alg"].as_str().unwrap();
        let signature = self.signature(algorithm, message.as_bytes());
        format!("{message}.{}", encoded(signature))
    }
}

fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap().as_secs()
}

fn claims() -> Value {
    json!({"sub": "ada", "iss": "https://id.example", "aud": "reports", "exp": now() + 300})
}

fn settings(keys: PathBuf, algorithms: &[&str]) -> Jwt {
    Jwt {
        keys,
        issuer: "https://id.example".to_owned(),
        audience: "reports".to_owned(),
        algorithms: algorithms.iter().map(|&name| name.to_owned()).collect(),
        claim: "sub".to_owned(),
    }
}

fn authority(keys: &[Value], algorithms: &[&str]) -> Result<Authority, String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, json!({"keys": keys}).to_string()).unwrap();
    let settings = settings(file.path().to_owned(), algorithms);
    Authority::new(&PrincipalSource::Jwt(Arc::new(settings)))
}

fn asked(authority: &Authority, authorization: &[String]) -> Result<Option<String>, Refusal> {
    let mut headers = HeaderMap::new();
    for value in authorization {
        let value = value.parse().unwrap();
        headers.append(AUTHORIZATION, value);
    }
    authority.find(&mut headers, false)
}

fn with_token(authority: &Authority, token: &str) -> Result<Option<String>, Refusal> {
    asked(authority, &[format!("Bearer {token}")])
}

#[test]
fn tokens_of_each_algorithm_are_verified() {
    let keys = Keys::new();
    let all = authority(&keys.public(), &ALL).unwrap();
    for algorithm in ALL {
        let token = keys.token(&json!({"alg": algorithm}), &claims());
        assert_eq!(
            with_token(&all, &token),
            Ok(Some("ada".to_owned())),
            "{algorithm}"
        );

        let mut pieces = token.split('.');
        let (header, signature) = (pieces.next().unwrap(), pieces.nth(1).unwrap());
        let mut other = claims();
        other["sub"] = "eve".into();
        let forged = format!("{header}.{}.{signature}", encoded(other.to_string()));
        assert_eq!(
            with_token(&all, &forged),
            Err(Refusal::Invalid),
            "{algorithm}"
        );
    }
}

/// The example of RFC 7515, appendix A.2.
#[test]
fn the_example_of_the_standard_is_verified() {
    use jsonwebtoken::{Algorithm, DecodingKey, crypto::verify};

    super::crypto::install();
    let key = DecodingKey::from_rsa_components(
        "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4Q\
         lL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYU\
         sLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmou\
         dF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ",
        "AQAB",
    )
    .unwrap();
    let message = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFt\
                   cGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
    let signature = "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8\
                     W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkS\
                     jtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnv\
                     Wh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
    assert!(verify(signature, message.as_bytes(), &key, Algorithm::RS256).unwrap());
    assert!(!verify(signature, message.as_bytes(), &key, Algorithm::RS384).unwrap());
}

#[test]
fn each_claim_is_demanded() {
    let keys = Keys::new();
    let authority = authority(&keys.public(), &["ES256"]).unwrap();
    let changed = |name: &str, value: Value| {
        let mut claims = claims();
        claims[name] = value;
        with_token(&authority, &keys.token(&json!({"alg": "ES256"}), &claims))
    };
    let ada = Ok(Some("ada".to_owned()));
    assert_eq!(changed("other", json!(1)), ada);
    assert_eq!(changed("aud", json!(["mail", "reports"])), ada);
    assert_eq!(changed("nbf", json!(now())), ada);
    // Clocks may differ by a minute.
    assert_eq!(changed("exp", json!(now() - 30)), ada);
    for (name, value) in [
        ("exp", Value::Null),
        ("exp", json!(now() - 90)),
        ("exp", json!("tomorrow")),
        ("nbf", json!(now() + 90)),
        ("iss", Value::Null),
        ("iss", json!("https://id.example/")),
        ("aud", Value::Null),
        ("aud", json!("mail")),
        ("aud", json!([])),
        ("sub", Value::Null),
        ("sub", json!("")),
        ("sub", json!(7)),
        ("sub", json!("ada\r\njob-handle: 1")),
    ] {
        let text = format!("{name} = {value}");
        assert_eq!(changed(name, value), Err(Refusal::Invalid), "{text}");
    }
}

#[test]
fn the_header_of_a_token_chooses_among_what_is_accepted() {
    let keys = Keys::new();
    let authority = authority(&keys.public(), &["ES256", "RS256"]).unwrap();
    let found = |header: Value| with_token(&authority, &keys.token(&header, &claims()));
    let ada = Ok(Some("ada".to_owned()));
    assert_eq!(found(json!({"alg": "ES256", "kid": "P-256"})), ada);
    assert_eq!(
        found(json!({"alg": "RS256", "kid": "rsa", "typ": "JWT"})),
        ada
    );
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "ES384"}),
        json!({"alg": "HS256"}),
        json!({"alg": "EdDSA", "kid": "ed"}),
        json!({"alg": "ES256", "kid": "rsa"}),
        json!({"alg": "ES256", "kid": "unknown"}),
        json!({"alg": "ES256", "crit": ["b64"], "b64": false}),
    ] {
        assert_eq!(found(header.clone()), Err(Refusal::Invalid), "{header}");
    }
}

/// A public key is no secret: a token that was signed with it as one is forged.
#[test]
fn a_public_key_is_not_used_as_a_secret() {
    let keys = Keys::new();
    let authority = authority(&keys.public()[..1], &["RS256", "HS256"]).unwrap();
    let message = format!(
        "{}.{}",
        encoded(r#"{"alg":"HS256"}"#),
        encoded(claims().to_string())
    );
    let key = hmac::Key::new(hmac::HMAC_SHA256, &keys.rsa_components().n);
    let forged = format!(
        "{message}.{}",
        encoded(hmac::sign(&key, message.as_bytes()))
    );
    assert_eq!(with_token(&authority, &forged), Err(Refusal::Invalid));
}

#[test]
fn a_request_has_one_bearer_token() {
    let keys = Keys::new();
    let authority = authority(&keys.public(), &["ES256"]).unwrap();
    let token = keys.token(&json!({"alg": "ES256"}), &claims());
    let found = |values: &[&str]| {
        let values: Vec<_> = values
            .iter()
            .map(|value| value.replace("TOKEN", &token))
            .collect();
        asked(&authority, &values)
    };
    assert_eq!(found(&["bearer TOKEN"]), Ok(Some("ada".to_owned())));
    assert_eq!(found(&[]), Err(Refusal::Missing));
    assert_eq!(found(&["Basic YTpi"]), Err(Refusal::Missing));
    assert_eq!(
        found(&["Bearer TOKEN", "Bearer TOKEN"]),
        Err(Refusal::Missing)
    );
    for invalid in [
        "Bearer ",
        "Bearer a.b",
        "Bearer a.b.c",
        "Bearer TOKEN.x",
        "Bearer .....",
    ] {
        assert_eq!(found(&[invalid]), Err(Refusal::Invalid), "{invalid}");
    }
}

#[test]
fn keys_that_cannot_verify_are_ignored_and_none_is_an_error() {
    let keys = Keys::new();
    let mut set = vec![
        json!({"kty": "EC", "crv": "secp256k1", "x": "AA", "y": "AA"}),
        json!({"kty": "new", "alg": "new"}),
        json!(7),
    ];
    let error = |set: &[Value], algorithms: &[&str]| match authority(set, algorithms) {
        Ok(_) => panic!("there is a key"),
        Err(error) => error.split_once(' ').unwrap().1.to_owned(),
    };
    let none = "has no key of the accepted algorithms";
    assert_eq!(error(&set, &ALL), none);
    let mut encrypting = keys.public().remove(0);
    encrypting["use"] = "enc".into();
    assert_eq!(error(&[encrypting], &ALL), none);
    let short = json!({"kty": "oct", "k": encoded([7; 16])});
    assert_eq!(error(&[short], &ALL), none);
    assert_eq!(error(&keys.public()[..1], &["ES256"]), none);
    assert_eq!(error(&keys.public()[1..2], &["ES384", "EdDSA"]), none);
    assert_eq!(error(&vec![json!({}); 101], &ALL), "has more than 100 keys");

    set.extend(keys.public());
    assert!(authority(&set, &["ES256"]).is_ok());
}

#[test]
fn a_file_that_is_no_set_of_keys_is_an_error() {
    let absent = settings("/absent/keys.json".into(), &["ES256"]);
    let error = |settings: Jwt| {
        let authority = Authority::new(&PrincipalSource::Jwt(Arc::new(settings)));
        authority.err().unwrap()
    };
    assert!(error(absent).starts_with("cannot read /absent/keys.json: No such file"));
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/config"));
    let no_json = error(settings(folder.join("key.pem"), &["ES256"]));
    assert!(
        no_json.contains("key.pem is no JWK Set, as it is no JSON"),
        "{no_json}"
    );
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(&file, "{}").unwrap();
    let no_array = error(settings(file.path().to_owned(), &["ES256"]));
    assert!(
        no_array.ends_with("is no JWK Set, as it has no array `keys`"),
        "{no_array}"
    );
}
