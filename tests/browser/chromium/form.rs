//! A form that is posted to a slow route.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, ensure};
use serde_json::json;
use tower_async_job::{
    AsyncJobLayer, Builder, PendingStatus,
    store::{ClaimQuery, JobQuery, JobStore, Lease, MemoryStore, Release},
};

use crate::{
    browser::Browser,
    site::{Site, Step},
};

const PAGE: &str = "GET /work/{id}";
const STATUS: &str = "GET /work/{id}/status";

/// Posts the form of a site, and waits for the page of the job.
async fn order(browser: &Browser, builder: Builder) -> Result<Site> {
    let site = Site::serve(builder).await?;
    browser.open_page(&site.url()).await?;
    browser.element("input").await?.send_keys("whales").await?;
    browser.element("#order").await?.click().await?;
    browser.until_text("h1", "Working on it").await?;
    Ok(site)
}

/// Checks that the browser shows the response itself, under the job's URL.
async fn shows_the_report(browser: &Browser, heading: &str) -> Result<()> {
    browser.until_text("h1", heading).await?;
    ensure!(browser.text("p").await? == "whales");
    ensure!(browser.title().await? == "Report");
    ensure!(browser.url().await?.contains("/work/"));
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

pub(crate) async fn with_script(browser: Browser) -> Result<()> {
    let site = order(&browser, AsyncJobLayer::builder()).await?;
    let bar = "progress";
    ensure!(browser.attribute(bar, "value").await?.is_none());

    site.step(Step::Progress(0.25, "counting whales"));
    browser.until_text("#message", "counting whales").await?;
    ensure!(browser.attribute(bar, "value").await?.as_deref() == Some("0.25"));
    ensure!(browser.title().await? == "25 % · Working on it");
    site.step(Step::Progress(0.5, "counting dolphins"));
    browser.until_text("#message", "counting dolphins").await?;
    ensure!(browser.text("#remaining").await?.starts_with("about "));

    // Longer than the interval of Refresh, since the script updates the page.
    browser.until_text("#elapsed", "3 s").await?;
    ensure!(site.count(PAGE) == 1, "{:?}", site.requests());
    ensure!(site.count(STATUS) >= 5, "{:?}", site.requests());

    site.step(Step::Finish("All whales"));
    shows_the_report(&browser, "All whales").await?;
    ensure!(site.count(PAGE) == 2, "{:?}", site.requests());
    Ok(())
}

pub(crate) async fn without_script(browser: Browser) -> Result<()> {
    let site = order(&browser, AsyncJobLayer::builder()).await?;
    ensure!(!browser.element("#cancel").await?.is_displayed().await?);
    site.step(Step::Progress(0.75, "counting whales"));
    browser.until_text("#message", "counting whales").await?;
    ensure!(browser.attribute("progress", "value").await?.as_deref() == Some("0.75"));
    site.step(Step::Finish("All whales"));
    shows_the_report(&browser, "All whales").await?;
    ensure!(site.count(PAGE) >= 3, "{:?}", site.requests());
    ensure!(site.count(STATUS) == 0, "{:?}", site.requests());
    Ok(())
}

pub(crate) async fn accepted(browser: Browser) -> Result<()> {
    let builder = AsyncJobLayer::builder().pending_status(PendingStatus::Accepted);
    let site = order(&browser, builder).await?;
    site.step(Step::Finish("All whales"));
    shows_the_report(&browser, "All whales").await
}

pub(crate) async fn cancelled(browser: Browser) -> Result<()> {
    let mut site = order(&browser, AsyncJobLayer::builder()).await?;
    site.step(Step::Progress(0.25, "counting whales"));
    browser.until_text("#message", "counting whales").await?;
    browser.element("#cancel").await?.click().await?;
    browser.until_text("h1", "Cancelled").await?;
    site.until_cancelled().await;
    ensure!(browser.title().await? == "Cancelled");
    ensure!(!browser.element("#cancel").await?.is_displayed().await?);
    ensure!(!browser.element("progress").await?.is_displayed().await?);
    ensure!(browser.text("#message").await?.is_empty());
    ensure!(site.count("DELETE /work/{id}") == 1);

    let polls = site.count(STATUS);
    tokio::time::sleep(Duration::from_millis(600)).await;
    ensure!(site.count(STATUS) == polls, "it goes on polling");
    ensure!(site.count(PAGE) == 1, "{:?}", site.requests());
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    Ok(())
}

/// The job is released and claimed, as if its node had died and another ran it again.
pub(crate) async fn run_again(browser: Browser) -> Result<()> {
    let store = Arc::new(MemoryStore::new());
    let builder = AsyncJobLayer::builder().store(store.clone());
    let site = order(&browser, builder.replay_when(|_| true)).await?;
    site.step(Step::Progress(0.5, "counting whales"));
    browser.until_text("#message", "counting whales").await?;
    ensure!(browser.text("#remaining").await?.starts_with("about "));

    let job = store.list(&JobQuery::default()).await?.jobs.remove(0);
    let lease = Lease::new(job.id, job.epoch);
    store.release(&[lease], Release::default()).await?;
    browser.until_text("h1", "Waiting to start").await?;
    ensure!(browser.text("#remaining").await? == "not known");
    ensure!(browser.attribute("progress", "value").await?.is_none());

    ensure!(store.claim(&ClaimQuery::new(1)).await?.jobs.len() == 1);
    browser.until_text("h1", "Working on it").await?;
    ensure!(browser.text("#remaining").await? == "not known");
    Ok(())
}

/// Text that would end any enclosing element or attribute, and would run a detectable script.
const HOSTILE: &str = "\"'></p></style><script>window.harmed=1</script>\
    <img src=x onerror=\"window.harmed=1\"><a href=\"javascript:window.harmed=1\">{{script}}</a>";

pub(crate) async fn hostile(browser: Browser) -> Result<()> {
    let site = order(&browser, AsyncJobLayer::builder()).await?;
    site.step(Step::Metadata(HOSTILE, json!(HOSTILE)));
    site.step(Step::Progress(0.25, HOSTILE));
    // The script inserts the text, and then the server.
    for _ in 0..2 {
        browser.until_text("#message", HOSTILE).await?;
        ensure!(browser.count("script, style, p, img, a").await? == 5);
        ensure!(browser.evaluate("window.harmed ?? null").await?.is_null());
        let complaints = browser.complaints().await?;
        ensure!(complaints.is_empty(), "{complaints:?}");
        browser.evaluate("location.reload()").await?;
    }
    browser.until_text("#message", HOSTILE).await?;

    // Even as markup, the text would have no effect.
    for attempt in [
        "const script = document.createElement('script'); script.textContent = 'window.harmed=1'; \
         document.body.append(script)",
        "document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.harmed=1\">')",
        "document.body.insertAdjacentHTML('beforeend', '<p style=\"color:red\">')",
        "fetch('http://127.0.0.2:9/').catch(() => {})",
    ] {
        let attempt = format!("(() => {{ {attempt} }})()");
        browser.evaluate(&attempt).await?;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let complaints = browser.complaints().await?.join("\n");
        ensure!(
            complaints.contains("Content Security Policy"),
            "{attempt}: {complaints}"
        );
        ensure!(browser.evaluate("window.harmed ?? null").await?.is_null());
    }
    Ok(())
}

pub(crate) async fn interrupted(browser: Browser) -> Result<()> {
    let site = order(&browser, AsyncJobLayer::builder()).await?;
    site.be_down(true);
    let trouble = "The server cannot be reached. Trying again…";
    browser.until_text("#trouble", trouble).await?;
    site.be_down(false);
    site.step(Step::Progress(0.25, "counting whales"));
    browser.until_text("#message", "counting whales").await?;
    browser.until_text("#trouble", "").await?;
    let _ = browser.complaints().await?;
    site.step(Step::Finish("All whales"));
    shows_the_report(&browser, "All whales").await
}

pub(crate) async fn pictures(browser: Browser) -> Result<()> {
    let site = order(&browser, AsyncJobLayer::builder()).await?;
    browser.picture("page-without-progress").await?;
    site.step(Step::Progress(
        0.4,
        "Counting the whales of the North Atlantic",
    ));
    browser
        .until_text("#message", "Counting the whales of the North Atlantic")
        .await?;
    browser.until_text("#elapsed", "2 s").await?;
    browser.prefer("prefers-color-scheme", "light").await?;
    let light = browser.picture("page-light").await?;
    browser.prefer("prefers-color-scheme", "dark").await?;
    let dark = browser.picture("page-dark").await?;
    ensure!(light != dark);
    ensure!(browser.attribute("html", "lang").await?.as_deref() == Some("en"));
    ensure!(
        browser
            .attribute("progress", "aria-labelledby")
            .await?
            .as_deref()
            == Some("heading")
    );
    Ok(())
}
