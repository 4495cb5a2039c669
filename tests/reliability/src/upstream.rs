//! The server behind gateways, a process of its own: it tells the harness of each request before it
//! answers, over a pipe that outlives it.

use std::{net::SocketAddr, time::Duration};

use axum::{
    Router,
    body::Body,
    extract::Request,
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use clap::Args;
use http::{
    HeaderMap, StatusCode,
    header::{AsHeaderName, CONTENT_TYPE},
};
use http_polling::IDEMPOTENCY_KEY;
use tokio::{net::TcpListener, time::sleep};

use crate::{
    calls::{NONCE, NUMBER, Task, Work},
    program::sender,
    server::{end_with_input, in_parts, nonce, say},
};

/// The bytes of a request that are read.
const LONGEST: usize = 4 << 20;

/// Runs the server behind gateways. It ends when its standard input does.
#[derive(Args, Debug)]
pub(crate) struct Upstream {
    #[arg(long)]
    listen: SocketAddr,
}

/// Serves until the process is killed, or standard input ends.
pub(crate) async fn run(options: Upstream) -> anyhow::Result<()> {
    end_with_input(|_| ());
    let listener = TcpListener::bind(options.listen).await?;
    say(format_args!("listening {}", listener.local_addr()?));
    Ok(axum::serve(listener, Router::new().fallback(answer)).await?)
}

/// Takes the time that the request asks for, and answers with the nonce of the run.
async fn answer(request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, LONGEST).await else {
        return StatusCode::BAD_REQUEST.into_response();
    };
    let headers = &head.headers;
    let (number, nonce) = (field(headers, NUMBER), nonce());
    let gateway = sender(field(headers, "job-progress-url")).unwrap_or(u32::MAX);
    let attempt = field(headers, "job-attempt");
    let handle = field(headers, "job-handle");
    let key = field(headers, IDEMPOTENCY_KEY);
    say(format_args!(
        "run {number} {attempt} {nonce} {handle} {gateway} {key}"
    ));
    let is_report = head.uri.path() == Work::Report.path();
    let task = match serde_json::from_slice::<Task>(&body) {
        Ok(task) => task,
        Err(_) if is_report => Task::default(),
        Err(_) => return StatusCode::BAD_REQUEST.into_response(),
    };
    sleep(Duration::from_millis(task.millis)).await;
    let whole = Bytes::from(nonce.repeat(task.size / 16));
    let body = match head.uri.path() {
        _ if is_report => Body::from("{}"),
        path if path == Work::Large.path() => in_parts(whole),
        _ => Body::from(whole),
    };
    say(format_args!("returned {number} {gateway}"));
    let headers = [(NONCE, nonce), (CONTENT_TYPE, "text/plain".to_owned())];
    (headers, body).into_response()
}

/// Returns a field of a request, or a text that the harness takes for none.
fn field(headers: &HeaderMap, name: impl AsHeaderName) -> &str {
    let value = headers.get(name).and_then(|value| value.to_str().ok());
    value.unwrap_or("-")
}
