//! `events.js` of the example, by which `poll.js` listens to live events.

use std::time::Duration;

use anyhow::{Result, ensure};

use crate::{
    browser::Browser,
    poll::{accepting, begin, finish, open, page, progress, show_page},
    site::{Site, Step, serve},
};

const EVENTS: &str = "GET /work/{id}/events";
const POLL: &str = "GET /work/{id}";

/// Checks that a call gets its progress and its end by events, with this number of polls.
async fn listens(browser: &Browser, site: &Site) -> Result<()> {
    begin(browser, "{ listen }").await?;
    site.until_count(EVENTS, 1).await?;
    progress(browser, site).await?;
    // The poll that was due when the stream began may still come.
    tokio::time::sleep(Duration::from_millis(500)).await;
    let polls = site.count(POLL);
    site.step(Step::Progress(0.5, "counting dolphins"));
    browser.until_text("#seen", "counting dolphins").await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    ensure!(site.count(POLL) == polls, "{:?}", site.requests());
    site.step(Step::Finish("All whales"));
    browser.until_text("#seen", "200 All whales").await?;
    ensure!(site.count(POLL) == polls + 1, "{:?}", site.requests());
    ensure!(site.count(EVENTS) == 1, "{:?}", site.requests());
    Ok(())
}

pub(crate) async fn listening(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting().events(true)).await?;
    listens(&browser, &site).await?;
    // On another origin too.
    let site = Site::serve(accepting().events(true)).await?;
    let (address, server) = serve(page(&format!("{}report", site.url()))).await?;
    show_page(&browser, &format!("http://{address}/page")).await?;
    listens(&browser, &site).await?;
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");
    server.abort();
    Ok(())
}

pub(crate) async fn polling_instead(browser: Browser) -> Result<()> {
    // The streams are refused, since no place is free.
    let site = open(&browser, accepting().events(true).hold_limits(0, 0)).await?;
    begin(&browser, "{ listen }").await?;
    site.until_count(EVENTS, 1).await?;
    progress(&browser, &site).await?;
    let polls = site.count(POLL);
    site.until_count(POLL, polls + 2).await?;
    finish(&browser, &site).await?;
    ensure!(site.count(EVENTS) == 1, "{:?}", site.requests());

    // Events are not announced, the page does not ask for them, or they need its credentials.
    let credentials = "{ listen, headers: { Authorization: 'Bearer x', \
        'Content-Type': 'application/x-www-form-urlencoded' } }";
    for (has_events, options) in [(false, "{ listen }"), (true, ""), (true, credentials)] {
        let site = open(&browser, accepting().events(has_events)).await?;
        begin(&browser, options).await?;
        progress(&browser, &site).await?;
        finish(&browser, &site).await?;
        ensure!(site.count(EVENTS) == 0, "{:?}", site.requests());
    }
    Ok(())
}

/// A source of events that the test controls.
const SOURCE: &str = "(window.EventSource = class extends EventTarget {
  constructor() { super(); window.source = this; }
  close() { window.closed_source = true; }
}, 0)";

/// Tells the page of an event of the source, and returns the number of polls half a second later.
async fn polls_after(browser: &Browser, site: &Site, event: &str) -> Result<usize> {
    let dispatch = format!("source.dispatchEvent({event})");
    browser.evaluate(&dispatch).await?;
    tokio::time::sleep(Duration::from_millis(500)).await;
    Ok(site.count(POLL))
}

pub(crate) async fn broken(browser: Browser) -> Result<()> {
    let site = open(&browser, accepting().events(true)).await?;
    browser.evaluate(SOURCE).await?;
    begin(&browser, "{ listen }").await?;
    progress(&browser, &site).await?;
    let polls = polls_after(&browser, &site, "new Event('open')").await?;
    let message = "new MessageEvent('progress', { data: '{\"progress\":{\"message\":\"live\"}}' })";
    ensure!(polls_after(&browser, &site, message).await? == polls);
    browser.until_text("#seen", "live").await?;
    // It polls at once, and again when that is due.
    ensure!(polls_after(&browser, &site, "new Event('error')").await? >= polls + 2);
    ensure!(browser.evaluate("!window.closed_source").await? == true);
    finish(&browser, &site).await?;
    ensure!(browser.evaluate("closed_source").await? == true);
    Ok(())
}
