//! Servers that break one rule each: exactly its line fails.

mod acceptance;
mod documents;
mod job;
mod results;

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use tower_async_job::PendingStatus::{Accepted, SeeOther};

use crate::{
    outcome::check,
    server::{Fault, Seen, builder, start},
};

/// The number of servers that are checked at the same time.
const AT_ONCE: usize = 16;

/// A server that breaks one rule.
struct Mutant {
    name: &'static str,
    /// The requirement that it breaks.
    fails: &'static str,
    /// The requirement is a recommendation.
    warns: bool,
    with_202: bool,
    fault: Fault,
}

/// Returns a mutant that breaks a requirement, and accepts with 303.
const fn mutant(fails: &'static str, name: &'static str, fault: Fault) -> Mutant {
    Mutant {
        name,
        fails,
        warns: false,
        with_202: false,
        fault,
    }
}

/// Returns a mutant whose responses are altered.
const fn after(
    fails: &'static str,
    name: &'static str,
    after: fn(&Seen, &mut Response<Bytes>),
) -> Mutant {
    let fault = Fault {
        after,
        ..Fault::NONE
    };
    mutant(fails, name, fault)
}

/// Returns a mutant whose requests are altered before the server gets them.
const fn before(
    fails: &'static str,
    name: &'static str,
    before: fn(&Seen, &mut Request<Body>),
) -> Mutant {
    let fault = Fault {
        before,
        ..Fault::NONE
    };
    mutant(fails, name, fault)
}

/// Returns a mutant that delays some of its answers.
const fn slow(fails: &'static str, name: &'static str, delay: fn(&Seen) -> Duration) -> Mutant {
    let fault = Fault {
        delay,
        ..Fault::NONE
    };
    mutant(fails, name, fault)
}

/// Marks the requirement as a recommendation.
const fn warned(mut mutant: Mutant) -> Mutant {
    mutant.warns = true;
    mutant
}

/// Lets the mutant accept with 202.
const fn with_202(mut mutant: Mutant) -> Mutant {
    mutant.with_202 = true;
    mutant
}

fn set<T>(response: &mut Response<T>, name: &'static str, value: &str) {
    let value = HeaderValue::try_from(value).unwrap();
    response
        .headers_mut()
        .insert(HeaderName::from_static(name), value);
}

fn set_in(request: &mut Request<Body>, name: &'static str, value: &'static str) {
    let name = HeaderName::from_static(name);
    request
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

fn remove<T>(response: &mut Response<T>, name: &str) {
    response.headers_mut().remove(name);
}

fn text(response: &Response<Bytes>, name: &str) -> String {
    let value = response.headers().get(name);
    value.map_or(String::new(), |value| value.to_str().unwrap().to_owned())
}

fn is_pending(response: &Response<Bytes>) -> bool {
    ["queued", "running"].contains(&&*text(response, "job-status"))
}

/// Returns whether this is the pending answer to a submission.
fn accepts(seen: &Seen, response: &Response<Bytes>) -> bool {
    !seen.is_of_a_job() && is_pending(response)
}

/// Returns whether this is the pending answer to a poll of a program.
fn keeps_waiting(seen: &Seen, response: &Response<Bytes>) -> bool {
    let is_poll = seen.is_of_a_job() && seen.method == Method::GET && !seen.is_status();
    is_poll && !seen.is_navigation() && is_pending(response)
}

/// Returns whether this is the result of a job, in answer to a plain GET.
fn delivers(seen: &Seen, response: &Response<Bytes>) -> bool {
    seen.plain > 0 && text(response, "job-status") == "done"
}

/// Rewrites the path and query of a request.
fn rewrite(request: &mut Request<Body>, target: &str) {
    *request.uri_mut() = target.parse().unwrap();
}

/// Changes a JSON document.
fn edit(response: &mut Response<Bytes>, change: impl FnOnce(&mut serde_json::Value)) {
    if let Ok(mut document) = serde_json::from_slice(response.body()) {
        change(&mut document);
        *response.body_mut() = document.to_string().into();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_broken_rule_fails_its_line_alone() {
    let mutants = [
        acceptance::MUTANTS,
        job::MUTANTS,
        results::MUTANTS,
        documents::MUTANTS,
    ];
    let mutants: Vec<&Mutant> = mutants.into_iter().flatten().collect();
    assert!(mutants.len() >= 30);
    let wrong: Vec<String> = stream::iter(mutants)
        .map(wrong)
        .buffer_unordered(AT_ONCE)
        .filter_map(async |wrong| wrong)
        .collect()
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Checks a mutant, and describes what is wrong with the outcome.
async fn wrong(mutant: &Mutant) -> Option<String> {
    let pending = if mutant.with_202 { Accepted } else { SeeOther };
    let url = start(builder(pending), mutant.fault).await;
    let outcome = check(&url).await;
    let (told, other, code) = match mutant.warns {
        true => ("warn", "fail", 0),
        false => ("fail", "warn", 1),
    };
    let others = [outcome.with(other), outcome.with("timeout")].concat();
    let is_told = outcome.with(told) == [mutant.fails];
    let is_right = is_told && others.is_empty() && outcome.ran.code == code;
    (!is_right).then(|| {
        let details: serde_json::Value = serde_json::from_str(&outcome.ran.stdout).unwrap();
        let all = details["checks"].as_array().unwrap().iter();
        let fails: Vec<_> = all
            .filter(|check| !["pass", "n/a"].contains(&check["verdict"].as_str().unwrap()))
            .collect();
        format!(
            "{}: {} instead of {}: {fails:?}",
            mutant.name,
            fails.len(),
            mutant.fails
        )
    })
}
