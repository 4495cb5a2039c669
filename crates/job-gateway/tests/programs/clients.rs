//! Clients that follow redirects, and know nothing of jobs.

use std::{process::Command, time::Duration};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tempfile::NamedTempFile;
use test_services::{Missing, available, python};
use tokio::time::sleep;

use crate::{
    process::{installed, run},
    support::{Body, Gateway, Upstream, full},
};

const URLLIB: &str = "\
import sys
from urllib.request import Request, urlopen
request = Request(sys.argv[1], open(sys.argv[2], 'rb').read(), {'Content-Type': 'text/csv'})
print(urlopen(request).read().decode(), end='')";

/// Python's `requests` sends a generator in chunks.
const REQUESTS: &str = "\
import requests, sys
file = open(sys.argv[2], 'rb')
pieces = iter(lambda: file.read(65536), b'')
response = requests.post(sys.argv[1], pieces, headers={'Content-Type': 'text/csv'})
response.raise_for_status()
print(response.text, end='')";

/// A body of `fetch` that can be read once only cannot be sent again, which 303 does not ask for.
const FETCH: &str = "\
import { readFileSync } from 'node:fs';
const [url, file] = process.argv.slice(-2);
const headers = { 'content-type': 'text/csv' };
const response = await fetch(url, { method: 'POST', headers, body: readFileSync(file) });
if (!response.ok) throw new Error(response.status);
process.stdout.write(await response.text());";

const LENGTH: usize = 1 << 20;

/// Reports on an upload, slowly.
async fn report(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    sleep(Duration::from_millis(800)).await;
    let kind = head.headers["content-type"].to_str().unwrap();
    let report = format!("{} {} {kind} {}", head.method, head.uri, body.len());
    Response::new(full(report))
}

/// Uploads a file by a command whose last arguments are the URL and the file, and gets the result.
async fn upload(command: Result<Command, Missing>) {
    let Some(command) = available(command) else {
        return;
    };
    let upstream = Upstream::of_requests(report).await;
    let gateway = Gateway::before(&upstream.url(), &["--inline-wait", "100ms"]).await;
    let file = NamedTempFile::new().unwrap();
    std::fs::write(&file, vec![b'a'; LENGTH]).unwrap();
    let path = file.path().to_str().unwrap();
    let result = run(command, &[&gateway.url("/reports/7?a=%20b"), path]).await;
    assert_eq!(result, format!("POST /reports/7?a=%20b text/csv {LENGTH}"));
}

#[tokio::test]
async fn curl_uploads_and_gets_the_result() {
    // The name of the file is an argument of its own in a shell only.
    let script = "curl -q -sSfL -H 'Content-Type: text/csv' --data-binary \"@$2\" \"$1\"";
    let shell = installed("curl", &[]).and_then(|_| installed("sh", &["-c", script, "sh"]));
    upload(shell).await;
}

#[tokio::test]
async fn wget_uploads_and_gets_the_result() {
    let script =
        "wget --no-config -nv -O - --header='Content-Type: text/csv' --post-file=\"$2\" \"$1\"";
    let shell = installed("wget", &[]).and_then(|_| installed("sh", &["-c", script, "sh"]));
    upload(shell).await;
}

/// Returns a command of Python that runs a script with further arguments.
fn script(modules: &str, script: &str) -> Result<Command, Missing> {
    let mut command = python(modules)?;
    command.args(["-c", script]);
    Ok(command)
}

#[tokio::test]
async fn urllib_uploads_and_gets_the_result() {
    upload(script("urllib.request", URLLIB)).await;
}

#[tokio::test]
async fn requests_uploads_chunks_and_gets_the_result() {
    upload(script("requests", REQUESTS)).await;
}

#[tokio::test]
async fn fetch_uploads_and_gets_the_result() {
    upload(installed("node", &["--input-type=module", "-e", FETCH])).await;
}

/// Prints the answer to an upload that is refused.
const REFUSED: &str = "\
import sys
from urllib.error import HTTPError
from urllib.request import Request, urlopen
try:
    urlopen(Request(sys.argv[1], b'a' * (16 << 20)))
except HTTPError as refused:
    print(refused.code, refused.read().decode(), end='')";

#[tokio::test]
async fn urllib_receives_an_answer_before_the_end_of_its_upload() {
    let Some(command) = available(script("urllib.request", REFUSED)) else {
        return;
    };
    let refuse = b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 8\r\n\r\ntoo long";
    let (upstream, _) = Upstream::of_bytes(refuse).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let answer = run(command, &[&gateway.url("/upload")]).await;
    assert_eq!(answer, "413 too long");
}

#[tokio::test]
async fn curl_speaks_http_2_to_the_gateway() {
    let quietly = ["-q", "-sSf", "--http2-prior-knowledge"];
    let Some(command) = available(installed("curl", &quietly)) else {
        return;
    };
    let upstream = Upstream::of_requests(|request| async move {
        Response::new(full(format!("{:?} {}", request.version(), request.uri())))
    });
    let upstream = upstream.await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let written = ["-w", " HTTP/%{http_version}", &gateway.url("/a?b")];
    let result = run(command, &written).await;
    assert_eq!(result, "HTTP/1.1 /a?b HTTP/2");
}
