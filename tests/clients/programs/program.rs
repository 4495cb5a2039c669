//! The programs, and how they are called. Nothing is set that bears on redirects or time, but for
//! `curl -L`, which is what has curl follow redirects at all. The other options leave out settings
//! of this machine, what is not the result, and results that are errors.

use std::{
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result, ensure};
use axum::http::Method;
use test_services::program;
use tokio::time::timeout;

/// How long a program may take on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Python's `requests`: the result to standard output, or a traceback and an exit code.
const REQUESTS: &str = "\
import requests, sys
response = requests.request(sys.argv[1], sys.argv[2])
response.raise_for_status()
print(response.text, end='')";

/// Python's own client. It posts what has data.
const URLLIB: &str = "\
import sys
from urllib.request import urlopen
data = b'' if sys.argv[1] == 'POST' else None
print(urlopen(sys.argv[2], data).read().decode(), end='')";

/// Node's `fetch`, which is undici.
const FETCH: &str = "\
const [method, url] = process.argv.slice(-2);
const response = await fetch(url, { method });
if (!response.ok) throw new Error(response.status);
process.stdout.write(await response.text());";

/// Java's own client, whose default Accept begins with `text/html`, as that of a browser does.
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

    /// As it stands in `docs/clients.md`, and as a word.
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

    /// How many requests it makes in all when it is redirected without end: to the same URL, and
    /// to another one each time.
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

    /// Why it cannot be run here, if it cannot.
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
            // The compiler is what `java` runs a source file by.
            Self::Java => check("javac", &["-version"], "version"),
        }
    }

    /// The body of the response that it ends with.
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

/// What a program writes to its standard output.
pub(crate) async fn run(name: &str, arguments: &[&str]) -> Result<String> {
    let output = tokio::process::Command::new(name)
        .args(arguments)
        // The server is on this machine, whatever is said of others.
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
