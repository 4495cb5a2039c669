//! Answers to browsers: a page while the job is pending, and in no other case.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::support::{
    self, Answer, Body, SECOND, ask, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, path_of, post, request, send, slow, wrap,
};
use http::{Request, StatusCode};
use http_polling::{Exchange, Reading};
use tower_async_job::{AsyncJobLayer, Builder, Estimator, JobContext, ObservedJob, PendingStatus};

/// The Accept of a browser's navigation.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

/// The Vary of pending answers to polls.
const VARY: &str = "accept, prefer, sec-fetch-dest, sec-fetch-mode, upgrade-insecure-requests";

/// Adds the headers of a browser that follows a link or posts a form.
fn from_browser(request: Request<Body>) -> Request<Body> {
    let request = support::with(request, "accept", BROWSER);
    support::with(request, "sec-fetch-mode", "navigate")
}

/// Returns the layer and Location of a job that runs for ten seconds.
async fn running(builder: Builder) -> (AsyncJobLayer, String) {
    let layer = eager(builder);
    let handler = handler(|request| async move {
        let job = JobContext::of(&request);
        job.progress(0.25);
        job.message("<b>bold</b>");
        tokio::time::sleep(10 * SECOND).await;
        http::Response::new(Body::from("the answer"))
    });
    let accepted = send(&wrap(&layer, handler), from_browser(post("/"))).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    assert_eq!(accepted.header("content-type"), "application/json");
    assert_eq!(accepted.header("content-location"), "");
    tokio::time::sleep(2 * SECOND).await;
    let location = accepted.location().to_owned();
    (layer, location)
}

fn is_page(answer: &Answer) -> bool {
    answer.header("content-type") == "text/html; charset=utf-8"
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_a_page_that_refreshes_itself() {
    let builder =
        AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| Duration::from_millis(2_300));
    let (layer, location) = running(builder).await;

    let page = ask(&layer, from_browser(get(&location))).await.pending();

    assert_eq!(page.status, StatusCode::OK);
    assert!(is_page(&page));
    assert_eq!(page.header("refresh"), "3");
    assert_eq!(page.header("retry-after"), "3");
    assert_eq!(page.header("retry-after-ms"), "2300");
    assert_eq!(page.header("cache-control"), "no-store");
    assert_eq!(page.header("vary"), VARY);
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
    let policy = page.header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
    assert!(!policy.contains("unsafe"));
    let html = std::str::from_utf8(&page.body).expect("text");
    assert!(html.contains("&lt;b&gt;bold&lt;/b&gt;"));
    assert!(html.contains(">2 s<") && html.contains(">about 6 s<"));
}

#[tokio::test(start_paused = true)]
async fn a_browser_gets_the_answer_itself_once_it_is_there() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    tokio::time::sleep(10 * SECOND).await;
    let answer = ask(&layer, from_browser(get(&location))).await;
    assert_eq!(answer.header("job-status"), "done");
    assert_eq!(answer.header("refresh"), "");
    assert_eq!(answer.header("content-security-policy"), "");
    assert_eq!(answer.body, "the answer");
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_never_held() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    let start = tokio::time::Instant::now();
    for poll in ["?poll=1&due=60000", "?poll=7&due=60000"] {
        let url = format!("{}{poll}", path_of(&location));
        assert!(is_page(&ask(&layer, from_browser(get(&url))).await));
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn a_browser_is_redirected_where_others_get_202() {
    let builder = || AsyncJobLayer::builder().pending_status(PendingStatus::Accepted);
    let (layer, location) = running(builder()).await;
    assert!(is_page(&ask(&layer, from_browser(get(&location))).await));
    let other = ask(&layer, get(&location)).await.pending();
    assert_eq!(other.status, StatusCode::ACCEPTED);

    let service = wrap(&eager(builder()), slow(SECOND, "the answer"));
    let other = support::with(get("/"), "accept", "*/*");
    let other = send(&service, other).await.pending();
    assert_eq!(other.status, StatusCode::ACCEPTED);
    assert_eq!(other.header("vary"), VARY);
}

#[tokio::test(start_paused = true)]
async fn others_get_no_page() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    for accept in ["*/*", "application/json", "application/json, text/html"] {
        let url = path_of(&location);
        let answer = ask(&layer, support::with(get(url), "accept", accept)).await;
        let answer = answer.pending();
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{accept}");
        assert_eq!(answer.json()["progress"]["fraction"], 0.25, "{accept}");
    }
}

/// The Accept of programs other than browsers.
const PROGRAMS: [&str; 4] = [
    // Java's HttpURLConnection up to 18, which is not a valid list of media ranges.
    "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2",
    // Java's HttpURLConnection since then.
    "text/html, image/gif, image/jpeg, */*; q=0.2",
    // Scrapy.
    BROWSER,
    // A script that requests its report as HTML.
    "text/html",
];

#[tokio::test(start_paused = true)]
async fn s76_program_that_accepts_html_is_held_and_gets_the_answer() {
    for accept in PROGRAMS {
        let service = wrap(
            &eager(AsyncJobLayer::builder()),
            slow(60 * SECOND, "the answer"),
        );
        let with_accept = |request| support::with(request, "accept", accept);
        let mut answer = send(&service, with_accept(post("/"))).await;
        let mut redirects = 0;
        while answer.header("job-status") == "running" {
            assert_eq!(answer.status, StatusCode::SEE_OTHER, "{accept}");
            redirects += 1;
            answer = send(&service, with_accept(get(answer.location()))).await;
        }
        assert_eq!(answer.body, "the answer", "{accept}");
        assert!(redirects < 5, "{redirects} with {accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn s76_program_that_accepts_html_gets_202_where_others_do() {
    let layer = eager(AsyncJobLayer::builder().pending_status(PendingStatus::Accepted));
    let service = wrap(&layer, slow(60 * SECOND, "the answer"));
    for accept in PROGRAMS {
        let accepted = send(&service, support::with(post("/"), "accept", accept)).await;
        assert_eq!(accepted.status, StatusCode::ACCEPTED, "{accept}");
        let poll = support::with(get(accepted.location()), "accept", accept);
        let pending = send(&service, poll).await.pending();
        assert_eq!(pending.status, StatusCode::ACCEPTED, "{accept}");
    }
}

#[tokio::test(start_paused = true)]
async fn s76_script_of_a_page_that_accepts_html_gets_the_pending_answer() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    let fetched = support::with(get(path_of(&location)), "accept", BROWSER);
    let fetched = support::with(fetched, "sec-fetch-mode", "cors");
    let fetched = support::with(fetched, "upgrade-insecure-requests", "1");
    let answer = ask(&layer, fetched).await.pending();
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
}

#[tokio::test(start_paused = true)]
async fn browser_without_tls_gets_the_page_by_upgrade_insecure_requests() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    let navigation = support::with(get(&location), "accept", BROWSER);
    let navigation = support::with(navigation, "upgrade-insecure-requests", "1");
    assert!(is_page(&ask(&layer, navigation).await.pending()));
}

#[tokio::test(start_paused = true)]
async fn the_page_can_be_turned_off() {
    let builder = || AsyncJobLayer::builder().page(false);
    let (layer, location) = running(builder()).await;
    let url = path_of(&location);
    let answer = ask(&layer, from_browser(get(url))).await.pending();
    assert_eq!(answer.status, StatusCode::SEE_OTHER);
    assert_eq!(answer.header("vary"), "prefer");
    assert_eq!(answer.header("refresh"), "");

    let layer = eager(builder().pending_status(PendingStatus::Accepted));
    let service = wrap(&layer, slow(SECOND, "the answer"));
    let accepted = send(&service, from_browser(post("/"))).await;
    assert_eq!(accepted.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn head_of_the_page_has_its_headers() {
    let (layer, location) = running(AsyncJobLayer::builder()).await;
    let page = ask(&layer, from_browser(get(&location))).await;
    let head = from_browser(request(http::Method::HEAD, &location));
    let head = ask(&layer, head).await.pending();
    assert!(is_page(&head) && head.body.is_empty());
    assert_eq!(head.header("content-length"), page.body.len().to_string());
    assert_eq!(head.header("refresh"), page.header("refresh"));
}

#[tokio::test(start_paused = true)]
async fn the_page_is_a_pending_answer_to_polling_clients() {
    for status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let builder = AsyncJobLayer::builder().pending_status(status);
        let (layer, location) = running(builder).await;
        let page = ask(&layer, from_browser(get(&location))).await;
        let uri = location.parse().expect("a URI");
        let exchange = Exchange::new(&http::Method::GET, &uri).polling(true);
        let reading = exchange.read(page.status, &page.headers, SystemTime::UNIX_EPOCH);
        let Ok(Reading::Pending(pending)) = reading else {
            panic!("{reading:?}");
        };
        assert_eq!(pending.uri.path(), path_of(&location));
        assert!(pending.retry_after.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn s17_a_browser_comes_again_when_the_store_was_out_of_reach() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let (layer, location) = running(AsyncJobLayer::builder().store(store.clone())).await;
    store.plan(Op::Read, Fault::Unavailable, 2);
    let answer = ask(&layer, from_browser(get(&location))).await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.header("refresh"), answer.header("retry-after"));
    assert_eq!(answer.header("refresh"), "5");
    let other = ask(&layer, get(&location)).await;
    assert_eq!(other.header("refresh"), "");
}

#[tokio::test(start_paused = true)]
async fn the_status_of_a_pending_job_says_when_to_ask_again() {
    let builder =
        AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| Duration::from_millis(2_300));
    let (layer, location) = running(builder).await;
    let url = format!("{}/status", path_of(&location));
    let status = ask(&layer, get(&url)).await.pending();
    assert_eq!(status.json()["retry_after_ms"], 2_300);
    assert_eq!(status.header("retry-after-ms"), "2300");
    assert_eq!(status.header("retry-after"), "3");

    tokio::time::sleep(10 * SECOND).await;
    let status = ask(&layer, get(&url)).await;
    assert_eq!(status.header("job-status"), "done");
    assert_eq!(status.json().get("retry_after_ms"), None);
    assert_eq!(status.header("retry-after"), "");
}

#[tokio::test(start_paused = true)]
async fn without_progress_the_page_tells_what_others_like_it_took() {
    struct Experienced;

    impl Estimator for Experienced {
        fn retry_after(&self, _: &ObservedJob<'_>) -> Duration {
            SECOND
        }

        fn remaining(&self, pending: &ObservedJob<'_>) -> Option<Duration> {
            (90 * SECOND).checked_sub(pending.running_for?)
        }
    }

    let layer = eager(AsyncJobLayer::builder().estimator(Experienced));
    let service = wrap(&layer, slow(300 * SECOND, "the answer"));
    let location = send(&service, post("/")).await.location().to_owned();
    for (wait, told) in [
        (0, "about 1 min 30 s"),
        (80, "about 10 s"),
        (40, "not known"),
    ] {
        tokio::time::sleep(wait * SECOND).await;
        let page = ask(&layer, from_browser(get(&location))).await;
        let html = std::str::from_utf8(&page.body).expect("text");
        assert!(html.contains(&format!(">{told}<")), "{told}: {html}");
    }
}
