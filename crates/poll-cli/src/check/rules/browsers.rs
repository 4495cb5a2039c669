//! Pages for browsers, and scripts of other origins.

use http::{
    StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS,
        CONTENT_LOCATION, CONTENT_SECURITY_POLICY, REFERRER_POLICY, REFRESH, VARY,
    },
};
use http_polling::JobState;

use crate::check::{
    evidence::Evidence,
    record::{Answer, Exchange},
    step::Step,
    verdict::{Judged, Verdict, not_applicable},
};

/// The fields on which pending answers to GET depend.
const VARIES: [&str; 5] = [
    "accept",
    "prefer",
    "sec-fetch-dest",
    "sec-fetch-mode",
    "upgrade-insecure-requests",
];

fn is_html(answer: &Answer) -> bool {
    answer.media_type() == "text/html"
}

/// Returns the page, if the server offers one.
fn page(evidence: &Evidence) -> Result<&Exchange, Verdict> {
    let page = evidence.look(Step::Page)?;
    let is_page = is_html(&page.answer)
        && page.answer.status == StatusCode::OK
        && page.answer.state() != Some(JobState::Done);
    match is_page {
        true => Ok(page),
        false => Err(not_applicable("the server shows no page to browsers")),
    }
}

/// 6.1
pub(in crate::check) fn navigation(evidence: &Evidence) -> Judged {
    page(evidence)?;
    for step in [Step::Script, Step::Program] {
        let exchange = evidence.look(step)?;
        let is_done = exchange.answer.state() == Some(JobState::Done);
        exchange.must(
            is_done || !is_html(&exchange.answer),
            "no page for a client that does not navigate",
            exchange.answer.media_type(),
        )?;
    }
    Ok(())
}

/// 6.2
pub(in crate::check) fn submission(evidence: &Evidence) -> Judged {
    page(evidence)?;
    let submitted = evidence.look(Step::BrowserSubmitted)?;
    match submitted.answer.is_pending() {
        true => submitted.must_be(303),
        false => Err(not_applicable(
            "the submission of a browser was not deferred",
        )),
    }
}

/// 6.3
pub(in crate::check) fn head_of_the_page(evidence: &Evidence) -> Judged {
    let page = page(evidence)?;
    let refresh = page.answer.field(REFRESH).unwrap_or("none");
    let seconds = refresh.split(';').next().unwrap_or_default().trim();
    page.must(
        Some(seconds) == page.answer.field("retry-after"),
        "Refresh with the value of Retry-After",
        format!("Refresh: {refresh}"),
    )?;
    page.must(
        !page.answer.has(CONTENT_LOCATION),
        "a page without Content-Location",
        "Content-Location",
    )?;
    for exchange in [page, evidence.look(Step::Pending)?] {
        for name in VARIES {
            let varies = exchange.answer.lists(VARY, name) || exchange.answer.lists(VARY, "*");
            exchange.must(
                varies || !exchange.answer.is_pending(),
                format!("Vary with {name}"),
                exchange.answer.field(VARY).unwrap_or("none"),
            )?;
        }
    }
    Ok(())
}

/// 6.4
pub(in crate::check) fn safety_of_the_page(evidence: &Evidence) -> Judged {
    let page = page(evidence)?;
    let policy = page.answer.has(CONTENT_SECURITY_POLICY);
    page.must(policy, "Content-Security-Policy", "none")?;
    page.must(
        page.answer.lists(REFERRER_POLICY, "no-referrer"),
        "Referrer-Policy: no-referrer",
        page.answer.field(REFERRER_POLICY).unwrap_or("none"),
    )?;
    let text = String::from_utf8_lossy(&page.answer.body).to_ascii_lowercase();
    for loading in ["<link", "<img", "<iframe", " src="] {
        let expected = "a page that loads no resources";
        page.must(!text.contains(loading), expected, loading)?;
    }
    Ok(())
}

/// 6.5
pub(in crate::check) fn end_for_browsers(evidence: &Evidence) -> Judged {
    page(evidence)?;
    let (done, shown) = (evidence.look(Step::Done)?, evidence.look(Step::DonePage)?);
    if done.answer.state() != Some(JobState::Done) || !done.answer.whole {
        return Err(not_applicable("the result cannot be compared"));
    }
    shown.must(
        shown.answer.status == done.answer.status && shown.answer.body == done.answer.body,
        "the answer of other clients, once the job has ended",
        shown.answer.summary(),
    )
}

/// 6.6
pub(in crate::check) fn other_origins(evidence: &Evidence) -> Judged {
    let exchange = evidence.look(Step::CrossOrigin)?;
    let answer = &exchange.answer;
    if !answer.has(ACCESS_CONTROL_ALLOW_ORIGIN) {
        return Err(not_applicable("the server allows no other origins"));
    }
    if answer.status != StatusCode::ACCEPTED {
        return Err(not_applicable("the pending status is not 202"));
    }
    for name in [
        "location",
        "content-location",
        "retry-after",
        "retry-after-ms",
        "job-status",
        "preference-applied",
    ] {
        let exposed = ACCESS_CONTROL_EXPOSE_HEADERS;
        exchange.must(
            answer.lists(&exposed, name) || answer.lists(&exposed, "*"),
            format!("Access-Control-Expose-Headers with {name}"),
            answer.field(exposed).unwrap_or("none"),
        )?;
    }
    let preflight = evidence.look(Step::Preflight)?;
    let allowed = ACCESS_CONTROL_ALLOW_METHODS;
    preflight.should(
        preflight.answer.lists(&allowed, "DELETE") || preflight.answer.lists(&allowed, "*"),
        "DELETE allowed for pages of other origins that cancel jobs",
        preflight.answer.field(allowed).unwrap_or("none"),
    )
}
