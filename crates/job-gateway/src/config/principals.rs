//! The places of principals.

use std::sync::Arc;

use http::HeaderName;
use toml::de::DeValue;

use super::{
    Jwt, PrincipalSource,
    error::Problem,
    read::{Fault, choice, parsed_by, text},
    section::Section,
};

const FORM: &str = "write { header = \"NAME\" }, { jwt = { … } } or \"none\"";

/// The algorithms that a file may name, and their defaults: those with public keys that are usual.
pub(super) const ALGORITHMS: [&str; 12] = [
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA", "HS256",
    "HS384", "HS512",
];
const DEFAULT_ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

/// Reads `principal`. `Some(None)` is that of a route without one.
///
/// A header needs trusted proxies: without any, each client could name itself.
pub(super) fn read(section: &Section<'_>, trusts_proxies: bool) -> Option<Option<PrincipalSource>> {
    let value = section.value("principal")?;
    if let DeValue::String(word) = value.get_ref() {
        let fault = Fault::new("expected a table or \"none\"").help(FORM);
        let none = (word == "none").then_some(None).ok_or(fault);
        return section.check("principal", value.span(), none);
    }
    let inner = section.section("principal", FORM);
    let header = inner.get("header", parsed_by(header));
    let jwt = inner.section(
        "jwt",
        "write { keys = \"FILE\", issuer = \"…\", audience = \"…\" }",
    );
    let is_jwt = jwt.is_present();
    let jwt = is_jwt.then(|| read_jwt(jwt));
    if inner.is_present() && (inner.span_of("header").is_some() == is_jwt) {
        let problem = Problem::new("invalid `principal`");
        let problem = problem.at(Some(value.span()), "a principal has one source");
        section.reading.report(problem.help(FORM.to_owned()));
    }
    if let (Some(_), None, false) = (&header, &jwt, trusts_proxies) {
        let label = "any client could send it";
        let problem = Problem::new("a principal from a header needs `trusted_proxies`");
        let help = "name the networks of the proxies that set the header, such as \
                    `trusted_proxies = [\"10.0.0.0/8\"]`";
        let problem = problem.at(inner.span_of("header"), label);
        section.reading.report(problem.help(help.to_owned()));
    }
    inner.finish();
    match (header, jwt) {
        (Some(name), None) => Some(Some(PrincipalSource::Header(name))),
        (None, Some(Some(jwt))) => Some(Some(PrincipalSource::Jwt(Arc::new(jwt)))),
        _ => None,
    }
}

fn header(text: &str) -> Result<HeaderName, String> {
    if text.contains('_') {
        return Err("names with _ are removed, as WSGI reads them as -".to_owned());
    }
    text.parse()
        .map_err(|_| "this is no name of a header".to_owned())
}

fn read_jwt(section: Section<'_>) -> Option<Jwt> {
    section.require("keys");
    let keys = section.file("keys");
    let issuer = section.demand("issuer", text);
    let audience = section.demand("audience", text);
    let words = ALGORITHMS.map(|name| (name, name));
    let algorithms = section.list("algorithms", choice(&words));
    let algorithms = algorithms.unwrap_or_else(|| DEFAULT_ALGORITHMS.to_vec());
    if section.elements("algorithms").is_some_and(<[_]>::is_empty) {
        let span = section.span_of("algorithms");
        let problem = Problem::new("invalid `algorithms`").at(span, "expected at least one");
        section.reading.report(problem);
    }
    let claim = section.get("claim", text);
    section.finish();
    Some(Jwt {
        keys: keys?,
        issuer: issuer?,
        audience: audience?,
        algorithms: algorithms.into_iter().map(str::to_owned).collect(),
        claim: claim.unwrap_or_else(|| "sub".to_owned()),
    })
}
