use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http::{HeaderMap, HeaderName, HeaderValue, header::ACCEPT};
use http_polling::{JobState, Progress};
use sha2::{Digest, Sha256};
use tower_async_job_core::{JobHandle, JobId, JobRecord};

use super::{
    POLICY, SCRIPT, STYLE, TEMPLATE, View, is_wanted, left, navigates, prefers_html, spoken,
};

const SECOND: Duration = Duration::from_secs(1);

fn preferred(accept: &str) -> bool {
    let mut headers = HeaderMap::new();
    headers.insert(ACCEPT, HeaderValue::from_str(accept).expect("valid header"));
    prefers_html(&headers)
}

fn running(progress: Option<Progress>) -> JobRecord {
    let mut record = JobRecord::new(JobId::random(), JobHandle::random(), JobState::Running);
    record.age = 90 * SECOND;
    record.running_for = Some(60 * SECOND);
    record.progress = progress;
    record
}

fn page(record: &JobRecord) -> String {
    View::new(record, left(record), SECOND).fill()
}

#[test]
fn browsers_get_the_page() {
    for accept in [
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,\
         image/apng,*/*;q=0.8,application/signed-exchange;v=b3;q=0.7",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "text/html, application/xhtml+xml, */*",
        "text/html",
        "text/*",
        "TEXT/HTML ; charset=\"utf-8\" ; Q=0.4, application/json;q=0.3",
        "text/html;q=0.2, */*;q=0.1",
        "application/*;q=0.5, text/html;q=0.6",
        "not a media type, text/html",
    ] {
        assert!(preferred(accept), "{accept}");
    }
}

#[test]
fn others_do_not() {
    for accept in [
        "",
        "*/*",
        "application/json",
        "application/json, text/plain, */*",
        "application/json, text/html",
        "application/json;q=0.9, text/html;q=0.8",
        "text/html;q=0, */*",
        "text/html;q=0",
        "text/*, text/html;q=0.1, application/json;q=0.5",
        "text/html;q=2",
        "text/html;q=NaN",
        "application/xhtml+xml",
        "image/*,*/*;q=0.5",
        "x/\"text/html",
    ] {
        assert!(!preferred(accept), "{accept}");
    }
    assert!(!prefers_html(&HeaderMap::new()));
}

#[test]
fn several_accept_headers_are_one_list() {
    let mut headers = HeaderMap::new();
    headers.append(ACCEPT, HeaderValue::from_static("application/json;q=0.5"));
    headers.append(ACCEPT, HeaderValue::from_static("text/html"));
    assert!(prefers_html(&headers));
    headers.append(ACCEPT, HeaderValue::from_static("application/json"));
    assert!(!prefers_html(&headers));
}

fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    let field = |(name, value): &(&'static str, &'static str)| {
        let name = HeaderName::from_static(name);
        (name, HeaderValue::from_static(value))
    };
    fields.iter().map(field).collect()
}

const SECURE: (&str, &str) = ("upgrade-insecure-requests", "1");

#[test]
fn s76_browsers_navigate() {
    for fields in [
        &[
            ("sec-fetch-dest", "document"),
            ("sec-fetch-mode", "navigate"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-user", "?1"),
            SECURE,
        ][..],
        &[("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
        &[("sec-fetch-mode", "navigate")],
        &[("sec-fetch-dest", "document")],
        // Without TLS there is no more than this.
        &[SECURE],
    ] {
        assert!(navigates(&headers(fields)), "{fields:?}");
    }
}

#[test]
fn s76_programs_and_scripts_do_not_navigate() {
    for fields in [
        &[][..],
        &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
        &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
        &[("sec-fetch-mode", "cors"), SECURE],
        &[("sec-fetch-site", "same-origin"), SECURE],
        &[("sec-fetch-mode", "navigated")],
        &[("sec-fetch-dest", "\"document\"")],
        &[("upgrade-insecure-requests", "0")],
        &[("upgrade-insecure-requests", "")],
    ] {
        assert!(!navigates(&headers(fields)), "{fields:?}");
    }
}

#[test]
fn s76_page_is_for_navigations_that_would_rather_have_html() {
    let html = ("accept", "text/html");
    assert!(is_wanted(&headers(&[html, SECURE])));
    assert!(!is_wanted(&headers(&[html])));
    assert!(!is_wanted(&headers(&[SECURE])));
    assert!(!is_wanted(&headers(&[("accept", "*/*"), SECURE])));
}

#[test]
fn the_policy_has_the_hashes_of_the_style_and_the_script() {
    for asset in [STYLE, SCRIPT] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(asset));
        assert!(
            POLICY.contains(&format!("'sha256-{hash}'")),
            "the policy lacks {hash}, of {asset}"
        );
        assert!(!asset.contains('\r'), "browsers hash other line ends");
    }
}

#[test]
fn every_value_is_escaped() {
    let hostile = "</p><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;{{script}}";
    let record = running(Some(Progress::fraction(0.5).with_message(hostile)));
    let page = page(&record);
    assert!(page.contains(
        "dir=\"auto\">&lt;/p&gt;&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;\
         &lt;img src=x onerror=&quot;alert(2)&quot;&gt;&amp;amp;{{script}}</p>"
    ));
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<img").count(), 0);
}

#[test]
fn metadata_and_partial_results_are_not_shown() {
    let mut record = running(None);
    record.partial = Some(serde_json::Value::from("the-partial-result").into());
    record.metadata = Some(serde_json::json!({ "the-key": "the-value" }).into());
    let page = page(&record);
    for secret in ["the-partial-result", "the-key", "the-value"] {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[test]
fn progress_is_told_with_the_time_that_is_left() {
    let page = page(&running(Some(Progress::of(3, 4))));
    assert!(page.contains("<title>75 % · Working on it</title>"));
    assert!(page.contains("<progress id=\"bar\" aria-labelledby=\"heading\" value=\"0.75\">"));
    assert!(page.contains(">1 min 30 s<"));
    assert!(page.contains(">about 20 s<"));
    assert!(page.contains("data-age=\"90000\" data-left=\"20000\" data-delay=\"1000\""));
}

#[test]
fn a_bar_without_known_progress_has_no_value() {
    for state in [JobState::Running, JobState::Queued] {
        let mut record = running(None);
        record.state = state;
        let page = page(&record);
        assert!(page.contains("<progress id=\"bar\" aria-labelledby=\"heading\" data-value=\"\">"));
        assert!(page.contains("data-left=\"\""));
        assert!(page.contains("not known"));
        let heading = match state {
            JobState::Queued => "<title>Waiting to start</title>",
            _ => "<title>Working on it</title>",
        };
        assert!(page.contains(heading));
    }
}

#[test]
fn the_page_is_small_and_in_itself() {
    let page = page(&running(Some(Progress::fraction(0.123_456_789_012))));
    assert!(page.len() < 6 << 10, "{} bytes", page.len());
    for foreign in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(!TEMPLATE.contains(" style=") && !TEMPLATE.contains(" on"));
}

#[test]
fn times_are_told_as_people_do() {
    for (seconds, told) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ] {
        assert_eq!(spoken(Duration::from_secs(seconds)), told);
    }
}
