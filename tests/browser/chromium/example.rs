//! The example `browser` as a process, with its jobs in a file, and its page.

use std::{
    env,
    net::SocketAddr,
    path::Path,
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::Child,
    runtime::Runtime,
};

use crate::browser::Browser;

/// The variable that makes this program the example, with its arguments.
const EXAMPLE: &str = "BROWSER_EXAMPLE_ARGUMENTS";

/// Runs the example instead of the tests, if this process was started for that.
pub(crate) fn run_if_asked() {
    if let Ok(arguments) = env::var(EXAMPLE) {
        let arguments = browser_example::Args::parse_from(arguments.split('\n'));
        let runtime = Runtime::new().expect("a runtime");
        let served = runtime.block_on(browser_example::serve(arguments));
        served.expect("the example runs until it is killed");
    }
}

/// The process of the example, which is killed when dropped.
struct Example {
    process: Child,
    address: SocketAddr,
}

impl Example {
    async fn start(store: &Path, listen: &str) -> Result<Self> {
        let store = store.to_str().context("not text")?;
        let mut command = Command::new(env::current_exe()?);
        command
            .env(
                EXAMPLE,
                ["browser", "--store", store, "--listen", listen].join("\n"),
            )
            .stdout(Stdio::piped());
        let mut command = tokio::process::Command::from(command);
        let mut process = command.kill_on_drop(true).spawn()?;
        let output = process.stdout.take().context("piped")?;
        let line = BufReader::new(output).lines().next_line().await?;
        let line = line.context("the example ended")?;
        let address = line.strip_prefix("listening on http://");
        let address = address.with_context(|| line.clone())?.parse()?;
        Ok(Self { process, address })
    }

    fn url(&self) -> String {
        format!("http://{}/", self.address)
    }
}

/// Fills in the form, and sends it.
async fn order(browser: &Browser, chapters: u32) -> Result<()> {
    let field = browser.element("#chapters").await?;
    field.clear().await?;
    field.send_keys(chapters.to_string()).await?;
    browser.element("#submit").await?.click().await?;
    Ok(())
}

/// Returns the place of each part of the page that could move.
async fn places(browser: &Browser) -> Result<serde_json::Value> {
    let parts = "['#state', '#bar', '#message', '#result', 'footer']";
    let top = "document.querySelector(part).getBoundingClientRect().top";
    browser
        .evaluate(&format!("{parts}.map((part) => {top})"))
        .await
}

pub(crate) async fn progress(browser: Browser) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let example = Example::start(&directory.path().join("jobs.db"), "127.0.0.1:0").await?;
    browser.open_page(&example.url()).await?;
    let idle = places(&browser).await?;
    order(&browser, 8).await?;
    browser.until_text_begins("#message", "Chapter ").await?;
    ensure!(browser.text("#state").await? == "Writing");
    let fraction: f64 = browser
        .evaluate("bar.value")
        .await?
        .as_f64()
        .context("none")?;
    ensure!(fraction > 0.0 && fraction < 1.0, "{fraction}");
    ensure!(places(&browser).await? == idle, "the page moves");
    ensure!(browser.attribute("#state", "role").await?.as_deref() == Some("status"));
    browser.until_text("#state", "Done").await?;
    let report = "The whales of the North Atlantic\n\n8 chapters, written in attempt 1.";
    ensure!(browser.text("#result").await? == report);
    ensure!(places(&browser).await? == idle, "the page moves");
    let complaints = browser.complaints().await?;
    ensure!(complaints.is_empty(), "{complaints:?}");

    // A failure is told, and a cancellation.
    browser.element("#fails").await?.click().await?;
    order(&browser, 4).await?;
    browser.until_text("#state", "Failed").await?;
    ensure!(browser.text("#message").await? == "The ink ran out in chapter 2.");
    order(&browser, 600).await?;
    browser.until_text_begins("#message", "Chapter ").await?;
    browser.element("#cancel").await?.click().await?;
    browser.until_text("#state", "Cancelled").await?;
    browser.evaluate("location.reload()").await?;
    browser.until_text("#state", "No report yet").await
}

pub(crate) async fn killed(browser: Browser) -> Result<()> {
    let directory = tempfile::tempdir()?;
    let store = directory.path().join("jobs.db");
    let mut first = Example::start(&store, "127.0.0.1:0").await?;
    browser.open_page(&first.url()).await?;
    order(&browser, 8).await?;
    // The first chapters are within the inline wait, so that this page is not told yet.
    tokio::time::sleep(Duration::from_millis(300)).await;
    browser.evaluate("location.reload()").await?;
    browser.until_text_begins("#message", "Chapter ").await?;
    first.process.kill().await?;
    let _second = Example::start(&store, &first.address.to_string()).await?;
    browser.until_text("#state", "Done").await?;
    ensure!(
        browser
            .text("#result")
            .await?
            .ends_with("written in attempt 2.")
    );
    Ok(())
}
