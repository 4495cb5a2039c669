//! Chromium, which chromedriver starts and ends.

use std::{
    env, fmt,
    io::{BufRead, BufReader, Write},
    net::{Ipv4Addr, TcpStream},
    panic::resume_unwind,
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::Mutex,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::{
    By, ChromiumLikeCapabilities, DesiredCapabilities, LoggingPrefsLogLevel, WebDriver, WebElement,
};

/// The time limit of a condition on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running chromedriver.
pub(crate) struct Driver {
    process: Mutex<Child>,
    port: u16,
    chromium: PathBuf,
}

impl Driver {
    /// Starts chromedriver on a free port, or returns the reason that this is not possible.
    pub(crate) fn start() -> Result<Self, String> {
        let chromium = program(
            "CHROMIUM",
            &["chromium", "chromium-browser", "google-chrome"],
        )?;
        let chromedriver = program("CHROMEDRIVER", &["chromedriver"])?;
        let mut process = Command::new(&chromedriver)
            .arg("--port=0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", chromedriver.display()))?;
        let output = process.stdout.take().expect("piped");
        let port = BufReader::new(output)
            .lines()
            .map_while(Result::ok)
            .find_map(|line| {
                let (_, port) = line.split_once("started successfully on port ")?;
                port.trim_end_matches('.').parse().ok()
            });
        let Some(port) = port else {
            let _ = process.kill();
            let _ = process.wait();
            return Err("chromedriver did not say on which port it listens".to_owned());
        };
        Ok(Self {
            process: Mutex::new(process),
            port,
            chromium,
        })
    }

    /// Ends chromedriver, and every browser that it started.
    pub(crate) fn shut_down(&self) {
        let mut process = self.process.lock().expect("unpoisoned");
        if let Ok(mut connection) = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)) {
            let request = "GET /shutdown HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";
            let _ = connection.write_all(request.as_bytes());
            let start = Instant::now();
            while start.elapsed() < Duration::from_secs(5) {
                if let Ok(Some(_)) = process.try_wait() {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = process.kill();
        let _ = process.wait();
    }
}

/// Finds the program that the variable names, or the first of the names that is on the path.
fn program(variable: &str, names: &[&str]) -> Result<PathBuf, String> {
    if let Some(path) = env::var_os(variable) {
        return Ok(path.into());
    }
    test_services::program(names)
}

/// The permission of pages to run scripts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Script {
    On,
    Off,
}

/// A window of Chromium with a separate profile.
#[derive(Clone)]
pub(crate) struct Browser {
    driver: WebDriver,
}

impl Browser {
    /// Runs a test in a browser, and ends the browser even if the test fails.
    pub(crate) async fn run<F>(driver: &Driver, script: Script, test: fn(Self) -> F) -> Result<()>
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let profile = tempfile::tempdir()?;
        let browser = Self::open(driver, script, &profile).await?;
        let outcome = tokio::spawn(test(browser.clone())).await;
        let outcome = match outcome {
            Ok(Err(error)) => Err(anyhow!("{error:#}\n{}", browser.state().await)),
            Ok(Ok(())) => Ok(()),
            Err(panic) => {
                let state = browser.state().await;
                let _ = browser.driver.quit().await;
                eprintln!("{state}");
                resume_unwind(panic.into_panic());
            }
        };
        browser.driver.quit().await?;
        outcome
    }

    async fn open(driver: &Driver, script: Script, profile: &TempDir) -> Result<Self> {
        let mut capabilities = DesiredCapabilities::chrome();
        capabilities.set_binary(&driver.chromium.to_string_lossy())?;
        capabilities.add_arg(&format!("--user-data-dir={}", profile.path().display()))?;
        for argument in [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-dev-shm-usage",
            "--disable-sync",
            "--no-proxy-server",
            "--window-size=900,700",
        ] {
            capabilities.add_arg(argument)?;
        }
        if script == Script::Off {
            let off = json!({ "profile.managed_default_content_settings.javascript": 2 });
            capabilities.add_experimental_option("prefs", off)?;
        }
        capabilities.set_browser_log_level(LoggingPrefsLogLevel::All)?;
        let url = format!("http://127.0.0.1:{}", driver.port);
        let driver = WebDriver::new(url, capabilities)
            .await
            .context("chromium could not be started")?;
        Ok(Self { driver })
    }

    pub(crate) async fn open_page(&self, url: &str) -> Result<()> {
        self.driver.goto(url).await.context("no such page")
    }

    pub(crate) async fn url(&self) -> Result<String> {
        Ok(self.driver.current_url().await?.to_string())
    }

    pub(crate) async fn title(&self) -> Result<String> {
        Ok(self.driver.title().await?)
    }

    pub(crate) async fn element(&self, selector: &str) -> Result<WebElement> {
        Ok(self.driver.find(By::Css(selector)).await?)
    }

    pub(crate) async fn count(&self, selector: &str) -> Result<usize> {
        Ok(self.driver.find_all(By::Css(selector)).await?.len())
    }

    pub(crate) async fn text(&self, selector: &str) -> Result<String> {
        Ok(self.element(selector).await?.text().await?)
    }

    pub(crate) async fn attribute(&self, selector: &str, name: &str) -> Result<Option<String>> {
        Ok(self.element(selector).await?.attr(name).await?)
    }

    pub(crate) async fn evaluate(&self, script: &str) -> Result<Value> {
        Ok(self
            .driver
            .execute(format!("return {script}"), Vec::new())
            .await?
            .json()
            .clone())
    }

    /// Continues in the tab that was opened at this place, from 0.
    pub(crate) async fn switch_to_tab(&self, place: usize) -> Result<()> {
        let start = Instant::now();
        loop {
            let tabs = self.driver.windows().await?;
            if let Some(tab) = tabs.get(place) {
                return Ok(self.driver.switch_to_window(tab.clone()).await?);
            }
            ensure!(start.elapsed() < PATIENCE, "there is no tab {place}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Waits until the element has this text, even across page loads.
    pub(crate) async fn until_text(&self, selector: &str, text: &str) -> Result<()> {
        self.until(selector, text, |found| found == text).await
    }

    /// Waits until the text of the element begins like this, even across page loads.
    pub(crate) async fn until_text_begins(&self, selector: &str, begin: &str) -> Result<()> {
        let begins = |found: &str| found.starts_with(begin);
        self.until(selector, begin, begins).await
    }

    async fn until(
        &self,
        selector: &str,
        expected: &str,
        is_met: impl Fn(&str) -> bool,
    ) -> Result<()> {
        let start = Instant::now();
        loop {
            let found = self.text(selector).await;
            match found {
                Ok(found) if is_met(&found) => return Ok(()),
                found if start.elapsed() > PATIENCE => {
                    bail!("{selector} should have become {expected:?}, and is {found:?}")
                }
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// Returns the browser's errors since the last call, except for missing icons.
    pub(crate) async fn complaints(&self) -> Result<Vec<String>> {
        let log = self.driver.browser_log().await?;
        let complaints = log
            .into_iter()
            .filter(|entry| !entry.message.contains("/favicon.ico"))
            .map(|entry| format!("{}: {}", entry.level, entry.message));
        Ok(complaints.collect())
    }

    /// Emulates a media setting of the user.
    pub(crate) async fn prefer(&self, feature: &str, value: &str) -> Result<()> {
        let features = json!({ "features": [{ "name": feature, "value": value }] });
        let devtools = self.driver.cdp();
        devtools
            .send_raw("Emulation.setEmulatedMedia", features)
            .await?;
        Ok(())
    }

    /// Saves a screenshot for human review.
    pub(crate) async fn picture(&self, name: &str) -> Result<Vec<u8>> {
        let picture = self.driver.screenshot_as_png().await?;
        let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.png"));
        std::fs::write(path, &picture)?;
        Ok(picture)
    }

    /// Describes the page for the log of a failed test.
    async fn state(&self) -> String {
        let url = self.url().await.unwrap_or_default();
        let source = self.driver.source().await.unwrap_or_default();
        let complaints = self.complaints().await.unwrap_or_default();
        format!("at {url}\n{source}\n{complaints:#?}")
    }
}

impl fmt::Debug for Browser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Browser").finish_non_exhaustive()
    }
}
