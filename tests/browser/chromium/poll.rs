//! `poll.js` of the example, on a page of the site and on one of another origin.

use std::time::Duration;

use anyhow::{Result, ensure};
use axum::{
    Router,
    http::{StatusCode, header},
    response::{Html, IntoResponse},
    routing::{get, post},
};
use libtest_mimic::{Completion, Failed};
use serde_json::{Value, json};
use tower_async_job::{AsyncJobLayer, Builder, PendingStatus};

use crate::{
    browser::Browser,
    site::{Site, Step, serve},
};

const SCRIPT: &str = include_str!("../../../examples/browser/poll.js");
const EVENTS: &str = include_str!("../../../examples/browser/events.js");
const DECLARATIONS: [&str; 2] = [
    include_str!("../../../examples/browser/poll.d.ts"),
    include_str!("../../../examples/browser/events.d.ts"),
];

/// A page whose functions the tests call. It shows the last progress, then the end of the call.
const PAGE: &str = r#"<!doctype html>
<title>Poll</title>
<link rel="icon" href="data:,">
<p id="seen"></p>
<script type="module">
import * as poll from "./poll.js";
import * as events from "./events.js";
const show = (text) => { document.getElementById("seen").textContent = text; };
const heading = (text) => /<h1>(.*)<\/h1>/.exec(text)?.[1] ?? text;
const options = (more) => {
  window.controller = new AbortController();
  return {
    headers: { "Content-Type": "application/x-www-form-urlencoded" },
    onprogress: ({ progress }) => show(progress?.message ?? "pending"),
    signal: window.controller.signal,
    ...more,
  };
};
const follow = async (call) => {
  if (call === undefined) return show("nothing");
  try {
    const response = await call;
    show(`${response.status} ${heading(await response.text())}`);
  } catch (error) {
    show(`${error.name}: ${error.message}`);
  }
};
window.begin = (more) => {
  show("begun");
  follow(poll.submit(window.route, options({ body: "subject=whales", ...more })));
};
window.again = (more) => {
  show("resumed");
  follow(poll.resume(window.route, options(more)));
};
window.listen = events.listen;
window.exported = [...Object.keys(poll), ...Object.keys(events)].sort();
window.route = "{route}";
show("ready");
</script>
"#;

/// Returns the routes of the page, which calls this URL.
pub(crate) fn page(route: &str) -> Router {
    let page = PAGE.replace("{route}", route);
    let script = |content: &'static str| {
        let answer = ([(header::CONTENT_TYPE, "text/javascript")], content);
        get(move || async move { answer })
    };
    Router::new()
        .route("/page", get(move || async { Html(page) }))
        .route("/poll.js", script(SCRIPT))
        .route("/events.js", script(EVENTS))
}

pub(crate) fn accepting() -> Builder {
    AsyncJobLayer::builder().pending_status(PendingStatus::Accepted)
}

/// Serves the site with the page, and opens the page.
pub(crate) async fn open(browser: &Browser, builder: Builder) -> Result<Site> {
    let site = Site::serve_with(builder, page("/report")).await?;
    show_page(browser, &format!("{}page", site.url())).await?;
    Ok(site)
}

/// Loads the page, or loads it again.
pub(crate) async fn show_page(browser: &Browser, url: &str) -> Result<()> {
    browser.open_page(url).await?;
    browser.until_text("#seen", "ready").await
}

pub(crate) async fn begin(browser: &Browser, options: &str) -> Result<()> {
    browser.evaluate(&format!("begin({options})")).await?;
    Ok(())
}

async fn again(browser: &Browser, options: &str) -> Result<()> {
    browser.evaluate(&format!("again({options})")).await?;
    Ok(())
}

/// Returns the call that is stored for a reload.
async fn stored(browser: &Browser) -> Result<Value> {
    let entry = "JSON.parse(sessionStorage.getItem('poll /report'))";
    browser.evaluate(entry).await
}

pub(crate) async fn progress(browser: &Browser, site: &Site) -> Result<()> {
    site.step(Step::Progress(0.25, "counting whales"));
    browser.until_text("#seen", "counting whales").await
}

pub(crate) async fn finish(browser: &Browser, site: &Site) -> Result<()> {
    site.step(Step::Finish("All whales"));
    browser.until_text("#seen", "200 All whales").await?;
    ensure!(stored(browser).await?.is_null(), "the call is over");
    ensure!(site.runs() == 1, "{} runs", site.runs());
    Ok(())
}

pub(crate) async fn reloaded_before_acceptance(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    site.hold_answers(true);
    begin(&browser, "{ keepBody: true }").await?;
    site.until_count("POST /report", 1).await?;
    let before = stored(&browser).await?;
    ensure!(before["job"].is_null() && before["body"] == "subject=whales");
    show_page(&browser, &format!("{}page", site.url())).await?;
    site.hold_answers(false);
    again(&browser, "").await?;
    progress(&browser, &site).await?;
    let after = stored(&browser).await?;
    ensure!(after["key"] == before["key"] && after["body"].is_null());
    finish(&browser, &site).await?;
    ensure!(site.count("POST /report") == 2, "{:?}", site.requests());
    Ok(())
}

pub(crate) async fn body_kept_by_option_only(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    site.hold_answers(true);
    begin(&browser, "").await?;
    site.until_count("POST /report", 1).await?;
    let everything = browser.evaluate("JSON.stringify(sessionStorage)").await?;
    ensure!(!everything.to_string().contains("whales"), "{everything}");
    show_page(&browser, &format!("{}page", site.url())).await?;
    site.hold_answers(false);
    again(&browser, "").await?;
    let refusal = "Error: the body was not kept for a reload";
    browser.until_text("#seen", refusal).await?;
    // The caller has the body, and continues.
    again(&browser, "{ body: 'subject=whales' }").await?;
    progress(&browser, &site).await?;
    finish(&browser, &site).await
}

pub(crate) async fn reloaded_after_acceptance(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    show_page(&browser, &format!("{}page", site.url())).await?;
    again(&browser, "").await?;
    browser.until_text("#seen", "counting whales").await?;
    finish(&browser, &site).await?;
    ensure!(site.count("POST /report") == 1, "{:?}", site.requests());
    again(&browser, "").await?;
    browser.until_text("#seen", "nothing").await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

pub(crate) async fn cancelled(browser: Browser) -> Result<()> {
    let mut site = open(&browser, accepting()).await?;
    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    browser.evaluate("controller.abort()").await?;
    site.until_cancelled().await;
    let end = "AbortError: signal is aborted without reason";
    browser.until_text("#seen", end).await?;
    ensure!(
        site.count("DELETE /work/{id}") == 1,
        "{:?}",
        site.requests()
    );
    ensure!(stored(&browser).await?.is_null());

    // A job that is accepted later is cancelled too.
    let mut site = open(&browser, accepting()).await?;
    site.hold_answers(true);
    begin(&browser, "").await?;
    site.until_count("POST /report", 1).await?;
    browser.evaluate("controller.abort()").await?;
    site.hold_answers(false);
    site.until_cancelled().await;
    browser.until_text("#seen", end).await
}

pub(crate) async fn elsewhere(browser: Browser) -> Result<()> {
    let site = Site::serve(accepting()).await?;
    let (address, server) = serve(page(&format!("{}report", site.url()))).await?;
    show_page(&browser, &format!("http://{address}/page")).await?;
    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    site.step(Step::Finish("All whales"));
    browser.until_text("#seen", "200 All whales").await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    let mut requests = site.requests();
    requests.dedup();
    let expected = ["OPTIONS /report", "POST /report", "GET /work/{id}"];
    ensure!(
        requests == expected,
        "polls need no preflight: {requests:?}"
    );

    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    browser.evaluate("controller.abort()").await?;
    let end = "AbortError: signal is aborted without reason";
    browser.until_text("#seen", end).await?;
    ensure!(
        site.count("DELETE /work/{id}") == 1,
        "{:?}",
        site.requests()
    );
    server.abort();
    Ok(())
}

pub(crate) async fn duplicated(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    // A tab that a page opens has a copy of its sessionStorage, as a duplicated tab has.
    browser.evaluate("window.open(location.href) && 0").await?;
    browser.switch_to_tab(1).await?;
    browser.until_text("#seen", "ready").await?;
    again(&browser, "").await?;
    browser.until_text("#seen", "counting whales").await?;
    finish(&browser, &site).await?;
    browser.switch_to_tab(0).await?;
    browser.until_text("#seen", "200 All whales").await?;
    ensure!(site.count("POST /report") == 1, "{:?}", site.requests());

    // Calls of the tabs are separate from now on.
    begin(&browser, "").await?;
    progress(&browser, &site).await?;
    browser.switch_to_tab(1).await?;
    ensure!(stored(&browser).await?.is_null());
    again(&browser, "").await?;
    browser.until_text("#seen", "nothing").await?;
    site.step(Step::Finish("All whales"));
    Ok(())
}

/// Fills the sessionStorage except for 1,000 characters.
const FILL: &str = "(() => {
  let filler = '';
  for (let more = 1 << 23; more >= 1; more >>= 1) {
    const longer = filler + 'x'.repeat(more);
    try { sessionStorage.setItem('filler', longer); filler = longer; } catch {}
  }
  sessionStorage.setItem('filler', filler.slice(1000));
})()";

pub(crate) async fn without_room(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    browser.evaluate(FILL).await?;
    let large = "{ keepBody: true, body: 'subject=' + 'whale'.repeat(1000) }";
    begin(&browser, large).await?;
    browser.until_text("#seen", "pending").await?;
    ensure!(stored(&browser).await?["job"].is_string());
    site.step(Step::Finish("All whales"));
    browser.until_text("#seen", "200 All whales").await?;

    let denied = "(Storage.prototype.setItem = () => { throw new Error('denied'); }, 0)";
    browser.evaluate(denied).await?;
    begin(&browser, "{ keepBody: true }").await?;
    site.step(Step::Finish("All dolphins"));
    browser.until_text("#seen", "200 All dolphins").await
}

pub(crate) async fn interrupted(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    site.be_down(true);
    begin(&browser, "").await?;
    site.until_count("POST /report", 2).await?;
    site.be_down(false);
    progress(&browser, &site).await?;
    site.be_down(true);
    let polls = site.count("GET /work/{id}");
    site.until_count("GET /work/{id}", polls + 2).await?;
    site.be_down(false);
    finish(&browser, &site).await?;

    // It gives up at last, but a reload continues.
    let site = open(&browser, accepting()).await?;
    begin(&browser, "{ retries: 1 }").await?;
    progress(&browser, &site).await?;
    site.be_down(true);
    browser.until_text("#seen", "502").await?;
    site.be_down(false);
    show_page(&browser, &format!("{}page", site.url())).await?;
    again(&browser, "").await?;
    browser.until_text("#seen", "counting whales").await?;
    finish(&browser, &site).await
}

pub(crate) async fn redirecting(browser: Browser) -> Result<()> {
    let site = open(&browser, AsyncJobLayer::builder()).await?;
    begin(&browser, "").await?;
    site.until_count("GET /work/{id}", 2).await?;
    finish(&browser, &site).await
}

/// Returns the routes of a server without `Job-Status`, whose job is due in half a minute.
fn another_server() -> Router {
    let fields = [
        (header::LOCATION, "/plain/job"),
        (header::RETRY_AFTER, "30"),
    ];
    let polls = std::sync::atomic::AtomicUsize::new(0);
    let polls = std::sync::Arc::new(polls);
    let poll = move || {
        let poll = polls.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        std::future::ready(match poll {
            0 => (StatusCode::ACCEPTED, [(header::RETRY_AFTER, "30")]).into_response(),
            1 => (
                StatusCode::SERVICE_UNAVAILABLE,
                [(header::RETRY_AFTER, "1")],
            )
                .into_response(),
            _ => "the report".into_response(),
        })
    };
    Router::new()
        .route(
            "/plain",
            post(move || async move { (StatusCode::ACCEPTED, fields) }),
        )
        .route("/plain/job", get(poll))
}

pub(crate) async fn shown_again(browser: Browser) -> Result<()> {
    let site = Site::serve_with(accepting(), page("/plain").merge(another_server())).await?;
    show_page(&browser, &format!("{}page", site.url())).await?;
    begin(&browser, "").await?;
    browser.until_text("#seen", "pending").await?;
    ensure!(site.count("GET /plain/job") == 0);
    let shown = "document.dispatchEvent(new Event('visibilitychange'))";
    for polls in [1, 2] {
        browser.evaluate(shown).await?;
        site.until_count("GET /plain/job", polls).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    browser.until_text("#seen", "200 the report").await?;
    ensure!(site.count("GET /plain/job") == 3);
    Ok(())
}

/// The waits after answers with these fields, whose job ends with the fourth.
const WAITS: &str = r#"(async () => {
  const now = Math.ceil(Date.now() / 1000) * 1000;
  const answers = [{answers}];
  const waits = [];
  const timer = window.setTimeout;
  window.setTimeout = (wake, ms) => { waits.push(Math.round(ms)); timer(wake, 0); };
  Date.now = () => now;
  Math.random = () => 1;
  window.fetch = async () => {
    const [status, fields] = answers.shift() ?? [200, {}];
    return new Response("{}", { status, headers: fields });
  };
  Response.prototype.__defineGetter__("url", () => `${location.origin}/job`);
  begin();
  while (document.getElementById("seen").textContent !== "200 {}") {
    await new Promise((due) => timer(due, 5));
  }
  return waits;
})()"#;

pub(crate) async fn waits(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting()).await?;
    for (answers, expected) in [
        // As the server asks for it, within bounds; milliseconds take precedence.
        (
            "[202, { Location: '/job', 'Retry-After': '3' }], \
             [202, { 'Retry-After': '3', 'retry-after-ms': '250' }], \
             [202, { 'retry-after-ms': '1' }], [202, { 'Retry-After': '1e300' }], \
             [202, { 'Retry-After': new Date(now + 5000).toUTCString() }]",
            json!([3000, 250, 100, 900_000, 5000]),
        ),
        // Later and later, and not at the same time as all others, after failures.
        (
            "[503, {}], [502, {}], [202, { Location: '/job' }], [429, { 'Retry-After': '2' }], [504, {}]",
            json!([1800, 2700, 1000, 2400, 1800]),
        ),
        // Nonsense is no delay.
        (
            "[202, { Location: '/job', 'Retry-After': 'soon' }], [202, { 'Retry-After': '-7' }], \
             [202, { 'retry-after-ms': 'x' }], [202, { 'Retry-After': '0' }]",
            json!([1000, 1000, 1000, 1000]),
        ),
    ] {
        show_page(&browser, &format!("{}page", site.url())).await?;
        let script = WAITS.replace("{answers}", answers);
        let waits = browser.evaluate(&script).await?;
        ensure!(waits == expected, "{answers}: {waits}");
    }
    Ok(())
}

pub(crate) async fn declared(browser: Browser) -> Result<()> {
    let _site = open(&browser, accepting()).await?;
    let exported = browser.evaluate("exported").await?;
    let lines = DECLARATIONS.iter().flat_map(|text| text.lines());
    let functions = lines.filter_map(|line| {
        let (name, _) = line.strip_prefix("export function ")?.split_once('(')?;
        Some(name)
    });
    let mut functions: Vec<_> = functions.collect();
    functions.sort_unstable();
    ensure!(exported == json!(functions), "{exported}");
    Ok(())
}

/// Checks that the module has at most 60 lines of code, none of which is too long to read.
pub(crate) fn small() -> Result<Completion, Failed> {
    let is_code = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//") && !line.starts_with("/**")
    };
    let count = SCRIPT.lines().filter(is_code).count();
    let longest = SCRIPT.lines().map(str::len).max();
    if count > 60 || longest > Some(100) {
        return Err(format!("{count} lines of code, of up to {longest:?} columns").into());
    }
    Ok(Completion::Completed)
}
