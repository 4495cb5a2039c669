//! The kinds of calls, each with the answers that it must have.

use anyhow::{Context, bail, ensure};
use http::StatusCode;

use crate::client::{Answer, Client};

/// The size of the largest bodies in bytes.
const LARGEST: usize = 4 << 20;

/// A kind of call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Inline,
    Job,
    HeldPolls,
    Cancelled,
    Keyed,
    Upload,
    Download,
    /// The client disconnects within a head.
    LeavesInHead,
    /// … within an upload.
    LeavesInUpload,
    /// … before the answer.
    LeavesBeforeAnswer,
    /// … within the answer.
    LeavesInAnswer,
    Malformed,
}

/// Further jobs and inline calls, which are the most frequent.
const KINDS: [Kind; 15] = [
    Kind::Inline,
    Kind::Inline,
    Kind::Job,
    Kind::Job,
    Kind::Job,
    Kind::HeldPolls,
    Kind::Cancelled,
    Kind::Keyed,
    Kind::Upload,
    Kind::Download,
    Kind::LeavesInHead,
    Kind::LeavesInUpload,
    Kind::LeavesBeforeAnswer,
    Kind::LeavesInAnswer,
    Kind::Malformed,
];

/// Requests that are refused, by a status or by the end of the connection.
const MALFORMED: [&str; 9] = [
    "GET /text/x HTTP/1.1\r\n\r\n",
    "GET /text/x HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
    "GET /a/../b HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
    "GET /text/x HTTP/1.1\r\nhost: a\r\nname\x01: x\r\n\r\n",
    "POST /text/x HTTP/1.1\r\nhost: a\r\ncontent-length: 1x\r\n\r\n",
    "POST /text/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n",
    "POST /text/x HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\nz\r\n",
    "CONNECT a:443 HTTP/1.1\r\nhost: a\r\n\r\n",
    "\x16\x03\x01\x02",
];

impl Kind {
    pub(crate) fn any() -> Self {
        KINDS[fastrand::usize(..KINDS.len())]
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Job => "jobs",
            Self::HeldPolls => "jobs with held polls",
            Self::Cancelled => "cancelled jobs",
            Self::Keyed => "jobs submitted twice with a key",
            Self::Upload => "large uploads",
            Self::Download => "large answers",
            Self::LeavesInHead => "disconnects within a head",
            Self::LeavesInUpload => "disconnects within an upload",
            Self::LeavesBeforeAnswer => "disconnects before the answer",
            Self::LeavesInAnswer => "disconnects within an answer",
            Self::Malformed => "malformed requests",
        }
    }
}

/// Makes a call.
///
/// # Errors
///
/// Fails if it has another answer than it must, or none in time.
pub(crate) async fn call(kind: Kind, client: &Client) -> anyhow::Result<()> {
    let text = format!("{:032x}", fastrand::u128(..));
    let slow = format!("POST /text/{text}?{}", fastrand::u64(110..400));
    match kind {
        Kind::Inline => {
            let answer = client.send(&format!("GET /text/{text}"), &[], "").await?;
            is_text(&whole(client, answer).await?, &text)
        }
        Kind::Job => job(client, &slow, &[], &text).await,
        Kind::HeldPolls => job(client, &slow, &[("prefer", "wait=5")], &text).await,
        Kind::Keyed => {
            let key = format!("\"{text}\"");
            let fields = [("idempotency-key", &*key), ("prefer", "respond-async")];
            let (first, second) = tokio::join!(
                client.send(&slow, &fields, "x"),
                client.send(&slow, &fields, "x")
            );
            let (first, second) = (location(&first?)?, location(&second?)?);
            let same = |location: &str| location.split('?').next().map(str::to_owned);
            ensure!(same(&first) == same(&second), "two jobs: {first}, {second}");
            result(client, first, &[], &text).await
        }
        Kind::Cancelled => cancelled(client, &text).await,
        Kind::Upload => {
            let size = fastrand::usize(..LARGEST);
            let answer = client.send("POST /length/", &[], vec![b'x'; size]).await?;
            let answer = whole(client, answer).await?;
            is_text(&answer, &size.to_string())
        }
        Kind::Download => {
            let size = fastrand::usize(..LARGEST);
            let answer = client.send(&format!("GET /bytes/{size}"), &[], "").await?;
            let answer = whole(client, answer).await?;
            ensure!(
                answer.body.len() == size,
                "{} bytes of {size}",
                answer.body.len()
            );
            Ok(())
        }
        Kind::LeavesInHead => leaves(client, "GET /text/x HTTP/1.1\r\nhost: a\r\nacc", 0).await,
        Kind::LeavesInUpload => {
            let head = "POST /text/x HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nxxx";
            leaves(client, head, 0).await
        }
        Kind::LeavesBeforeAnswer => {
            let head = format!("GET /text/{text}?90 HTTP/1.1\r\nhost: a\r\n\r\n");
            leaves(client, &head, 0).await
        }
        Kind::LeavesInAnswer => {
            let head = "GET /bytes/3000000 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n";
            leaves(client, head, 10_000).await
        }
        Kind::Malformed => malformed(client).await,
    }
}

/// Submits work, and reads its result.
async fn job(
    client: &Client,
    request: &str,
    polls: &[(&str, &str)],
    text: &str,
) -> anyhow::Result<()> {
    let accepted = client
        .send(request, &[("prefer", "respond-async")], "x")
        .await?;
    result(client, location(&accepted)?, polls, text).await
}

async fn result(
    client: &Client,
    location: String,
    polls: &[(&str, &str)],
    text: &str,
) -> anyhow::Result<()> {
    let answer = end(client, location, polls).await?;
    is_text(&answer, text)
}

/// Returns an answer, or that of its job: on a busy machine, requests that are quick become jobs too.
async fn whole(client: &Client, answer: Answer) -> anyhow::Result<Answer> {
    match answer.status {
        StatusCode::SEE_OTHER => end(client, location(&answer)?, &[]).await,
        _ => Ok(answer),
    }
}

/// Polls a job until it has ended. A poll before its time is held.
async fn end(
    client: &Client,
    mut location: String,
    fields: &[(&str, &str)],
) -> anyhow::Result<Answer> {
    for _ in 0..100 {
        let answer = client.send(&format!("GET {location}"), fields, "").await?;
        if answer.status != StatusCode::SEE_OTHER {
            return Ok(answer);
        }
        location = self::location(&answer)?;
    }
    bail!("a job does not end: {location}")
}

async fn cancelled(client: &Client, text: &str) -> anyhow::Result<()> {
    let slow = format!("POST /text/{text}?5000");
    let accepted = client
        .send(&slow, &[("prefer", "respond-async")], "")
        .await?;
    let location = location(&accepted)?;
    let cancelled = client.send(&format!("DELETE {location}"), &[], "").await?;
    ensure!(cancelled.status == StatusCode::ACCEPTED, "{cancelled:?}");
    let answer = end(client, location, &[]).await?;
    ensure!(answer.status.is_client_error(), "cancelled, but {answer:?}");
    Ok(())
}

/// Sends a part of a request, reads a part of its answer, and disconnects.
async fn leaves(client: &Client, bytes: &str, at_most: u64) -> anyhow::Result<()> {
    client.send_bytes(bytes.as_bytes(), at_most).await?;
    Ok(())
}

async fn malformed(client: &Client) -> anyhow::Result<()> {
    let bytes = MALFORMED[fastrand::usize(..MALFORMED.len())];
    // The head of an answer, if there is one.
    let answer = client.send_bytes(bytes.as_bytes(), 12).await?;
    let is_refused = answer.is_empty() || matches!(answer.get(9), Some(b'4' | b'5'));
    let told = String::from_utf8_lossy(&answer);
    ensure!(is_refused, "{bytes:?} is answered with {told:?}");
    Ok(())
}

fn location(answer: &Answer) -> anyhow::Result<String> {
    ensure!(answer.status == StatusCode::SEE_OTHER, "no job: {answer:?}");
    let location = answer.headers.get("location").context("no Location")?;
    Ok(location.to_str()?.to_owned())
}

fn is_text(answer: &Answer, text: &str) -> anyhow::Result<()> {
    ensure!(answer.status == StatusCode::OK, "{answer:?}");
    ensure!(answer.body == text, "{:?} is not {text}", answer.body);
    Ok(())
}
