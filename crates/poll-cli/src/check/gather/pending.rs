//! Polls of a pending job, and other requests to its URL.

use http::{
    HeaderName, HeaderValue, Method,
    header::{
        ACCEPT, ACCESS_CONTROL_REQUEST_METHOD, FORWARDED, HOST, IF_NONE_MATCH, ORIGIN, RANGE,
    },
};

use super::client::Client;
use crate::check::{
    location::{JobUrls, OTHER_HOST},
    record::Exchange,
    step::Step,
};

const X_FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(super) const SEC_FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");

/// The `Accept` of a browser.
pub(super) const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The forwarding fields of a client that names another host.
pub(super) const FORWARDED_HOST: [(HeaderName, &str); 2] = [
    (X_FORWARDED_HOST, OTHER_HOST),
    (FORWARDED, "host=other-host.invalid"),
];

/// The fields of a browser that navigates.
pub(super) const NAVIGATION: [(HeaderName, &str); 2] =
    [(ACCEPT, BROWSER), (SEC_FETCH_MODE, "navigate")];

/// Looks at a pending job. If the job is found only with the hints of its URL, that is used from
/// then on.
pub(super) async fn look(client: &Client, job: &mut JobUrls) {
    client.get(Step::PendingStatus, &job.status()).await;
    let pending = client.get(Step::Pending, &job.bare).await;
    let is_found = |exchange: &Exchange| exchange.answer.state().is_some_and(is_known);
    if job.has_hints() && !pending.as_ref().is_some_and(is_found) {
        let hinted = client.get(Step::PendingByLocation, &job.location).await;
        if hinted.as_ref().is_some_and(is_found) {
            job.bare = job.location.clone();
        }
    }
    let url = &job.bare;
    client.ask(Step::PendingHead, Method::HEAD, url, &[]).await;
    let any = [(IF_NONE_MATCH, "*")];
    client
        .ask(Step::PendingConditional, Method::GET, url, &any)
        .await;
    let first = [(RANGE, "bytes=0-0")];
    client
        .ask(Step::PendingRange, Method::GET, url, &first)
        .await;
    client
        .ask(Step::OtherHost, Method::GET, url, &[(HOST, OTHER_HOST)])
        .await;
    client
        .ask(Step::ForwardedHost, Method::GET, url, &FORWARDED_HOST)
        .await;
    client.ask(Step::Options, Method::OPTIONS, url, &[]).await;
    client.ask(Step::OtherMethod, Method::PATCH, url, &[]).await;
    client.ask(Step::Page, Method::GET, url, &NAVIGATION).await;
    let script = [(ACCEPT, BROWSER), (SEC_FETCH_MODE, "cors")];
    client.ask(Step::Script, Method::GET, url, &script).await;
    let program = [(ACCEPT, "text/html, */*;q=0.5")];
    client.ask(Step::Program, Method::GET, url, &program).await;
    let origin = (ORIGIN, "https://other-host.invalid");
    client
        .ask(
            Step::CrossOrigin,
            Method::GET,
            url,
            std::slice::from_ref(&origin),
        )
        .await;
    let preflight = [origin, (ACCESS_CONTROL_REQUEST_METHOD, "DELETE")];
    client
        .ask(Step::Preflight, Method::OPTIONS, url, &preflight)
        .await;
}

fn is_known(state: http_polling::JobState) -> bool {
    state != http_polling::JobState::Unknown
}

/// Returns the preference for an answer that is held.
pub(super) fn wait(seconds: u64) -> (HeaderName, HeaderValue) {
    let value = HeaderValue::try_from(format!("wait={seconds}"));
    (http_polling::PREFER, value.expect("digits are a value"))
}
