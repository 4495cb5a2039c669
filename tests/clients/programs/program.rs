//! The programs and their arguments. No option affects redirects or timeouts, except `curl -L`, without
//! which curl follows no redirects. The other options ignore settings of the machine, suppress output
//! other than the result, and turn error responses into failures.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::http::Method;
use test_services::program;
use tokio::time::timeout;

/// The time limit of a program on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A script for Python's `requests`, which prints the result, or a traceback with an exit code.
const REQUESTS: &str = "\
import requests, sys
response = requests.request(sys.argv[1], sys.argv[2])
response.raise_for_status()
print(response.text, end='')";

/// A script for Python's `urllib`, which sends a POST if there is data.
const URLLIB: &str = "\
import sys
from urllib.request import urlopen
data = b'' if sys.argv[1] == 'POST' else None
print(urlopen(sys.argv[2], data).read().decode(), end='')";

/// A script for Node's `fetch`, which is undici.
const FETCH: &str = "\
const [method, url] = process.argv.slice(-2);
const response = await fetch(url, { method });
if (!response.ok) throw new Error(response.status);
process.stdout.write(await response.text());";

/// A program for Java's `HttpURLConnection`, whose default Accept begins with `text/html`, like that of
/// browsers.
const CALL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/Call.java");

/// A client that follows redirects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Program {
    Curl,
    Requests,
    Urllib,
    Fetch,
    Wget,
    Reqwest,
    Java,
}

impl Program {
    pub(crate) const ALL: [Self; 7] = [
        Self::Curl,
        Self::Requests,
        Self::Urllib,
        Self::Fetch,
        Self::Wget,
        Self::Reqwest,
        Self::Java,
    ];

    /// Returns the name in `docs/clients.md`, and the name of its tests.
    pub(crate) fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Curl => ("`curl -L`", "curl"),
            Self::Requests => ("Python `requests`", "requests"),
            Self::Urllib => ("Python `urllib`", "urllib"),
            Self::Fetch => ("Node `fetch`", "fetch"),
            Self::Wget => ("`wget`", "wget"),
            Self::Reqwest => ("`reqwest`", "reqwest"),
            Self::Java => ("Java `HttpURLConnection`", "java"),
        }
    }

    /// Returns the total number of requests if redirects never end: for redirects to the same URL, and
    /// for redirects to a different URL each time.
    pub(crate) fn requests(self) -> (usize, usize) {
        match self {
            Self::Curl => (51, 51),
            Self::Requests => (31, 31),
            Self::Urllib => (5, 11),
            Self::Fetch | Self::Wget => (21, 21),
            Self::Reqwest => (11, 11),
            Self::Java => (20, 20),
        }
    }

    /// Returns the reason that the program cannot run on this machine, if there is one.
    pub(crate) fn missing(self) -> Option<String> {
        let check = |name: &str, language_check: &[&str], what: &str| {
            if let Err(reason) = program(&[name]) {
                return Some(reason);
            }
            let status = Command::new(name)
                .args(language_check)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .status();
            match status {
                Ok(status) if status.success() => None,
                Ok(_) => Some(format!("{name} has no {what}")),
                Err(error) => Some(format!("{name} cannot be started: {error}")),
            }
        };
        match self {
            Self::Curl => check("curl", &["--version"], "version"),
            Self::Wget => check("wget", &["--version"], "version"),
            Self::Requests => check("python3", &["-c", "import requests"], "requests"),
            Self::Urllib => check("python3", &["-c", "import urllib.request"], "urllib"),
            Self::Fetch => check("node", &["-e", "fetch"], "fetch"),
            Self::Reqwest => None,
            // `java` needs the compiler to run a source file.
            Self::Java => check("javac", &["-version"], "version"),
        }
    }

    /// Runs the program, and returns the body of its final response.
    pub(crate) async fn call(self, method: &Method, url: &str) -> Result<String> {
        let posts = method == Method::POST;
        match self {
            Self::Curl if posts => run("curl", &["-q", "-sSfL", "-d", "", url]).await,
            Self::Curl => run("curl", &["-q", "-sSfL", url]).await,
            Self::Wget if posts => {
                let arguments = ["--no-config", "-nv", "-O", "-", "--post-data=", url];
                run("wget", &arguments).await
            }
            Self::Wget => run("wget", &["--no-config", "-nv", "-O", "-", url]).await,
            Self::Requests => run("python3", &["-c", REQUESTS, method.as_str(), url]).await,
            Self::Urllib => run("python3", &["-c", URLLIB, method.as_str(), url]).await,
            Self::Fetch => {
                let arguments = ["--input-type=module", "-e", FETCH, method.as_str(), url];
                run("node", &arguments).await
            }
            Self::Java => run("java", &[CALL, method.as_str(), url]).await,
            Self::Reqwest => {
                let client = reqwest::Client::builder().no_proxy().build()?;
                let response = client.request(method.clone(), url).send().await?;
                Ok(response.error_for_status()?.text().await?)
            }
        }
    }
}

/// Runs a program, and returns its standard output.
pub(crate) async fn run(name: &str, arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(name)
        .args(arguments)
        // The server is on this machine, so that no proxy is used.
        .env("no_proxy", "*")
        .env("NO_PROXY", "*")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = timeout(PATIENCE, output)
        .await
        .with_context(|| format!("{name} does not end"))??;
    ensure!(
        output.status.success(),
        "{name} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8(output.stdout)?)
}
