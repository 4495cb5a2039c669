//! A call to a host.

use std::{
    convert::Infallible,
    future::pending,
    io,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, Response,
    header::{CONNECTION, CONTENT_TYPE, HOST, USER_AGENT},
};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use tower_async_job::Notification;

use super::{connect::Connector, receiver::Receiver};

/// The greatest size of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;

/// The part of an answer's body that is read.
const ANSWER_BYTES: usize = 4 * 1024;

/// The body of a call, as Standard Webhooks names its members.
#[derive(Serialize)]
struct Message<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: String,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Data<'a> {
    url: &'a str,
    state: &'a str,
    status: Option<u16>,
}

/// Posts a notification on a connection of its own, and returns the answer's head. Its body is read in
/// part, and dropped.
///
/// # Errors
///
/// Fails without an answer.
pub(super) async fn post(
    connector: &Connector,
    receiver: &Receiver<'_>,
    notification: &Notification,
) -> io::Result<Response<()>> {
    let request = request(receiver, notification)?;
    let stream = connector
        .connect(&receiver.host.name, receiver.port)
        .await?;
    let handshake = http1::Builder::new()
        .max_header_size(HEAD_BYTES)
        .handshake::<_, Full<Bytes>>(TokioIo::new(stream));
    let (mut sender, connection) = handshake.await.map_err(io::Error::other)?;
    let exchange = async {
        let response = sender.send_request(request).await;
        let (head, body) = response.map_err(io::Error::other)?.into_parts();
        read(body).await;
        Ok(Response::from_parts(head, ()))
    };
    // Its end is that of the exchange, which may still have an answer to read.
    let driving = async {
        let _ = connection.await;
        pending::<Infallible>().await
    };
    // The connection is dropped with this future, so it serves no other request.
    tokio::select! {
        biased;
        answer = exchange => answer,
        never = driving => match never {},
    }
}

fn request(
    receiver: &Receiver<'_>,
    notification: &Notification,
) -> io::Result<Request<Full<Bytes>>> {
    let id = format!("job_{}", notification.handle);
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now: Duration| now.as_secs());
    let body = Message {
        kind: "job.done",
        timestamp: humantime::format_rfc3339_millis(notification.ended).to_string(),
        data: Data {
            url: &notification.url,
            state: notification.state.as_str(),
            status: notification.status.map(|status| status.as_u16()),
        },
    };
    let body = Bytes::from(serde_json::to_vec(&body)?);
    let signature = receiver.host.keys.sign(&id, now, &body);
    let agent = concat!("job-gateway/", env!("CARGO_PKG_VERSION"));
    // Written with the slash that it may lack.
    Request::post(receiver.target.to_string())
        .header(HOST, receiver.authority())
        .header(USER_AGENT, agent)
        .header(CONTENT_TYPE, HeaderValue::from_static("application/json"))
        .header(CONNECTION, HeaderValue::from_static("close"))
        .header("webhook-id", id)
        .header("webhook-timestamp", now)
        .header("webhook-signature", signature)
        .body(Full::new(body))
        .map_err(io::Error::other)
}

/// Reads the beginning of a body, so that a usual receiver is not cut off.
async fn read(mut body: Incoming) {
    let mut left = ANSWER_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let length = frame.data_ref().map_or(0, Bytes::len);
        if length >= left {
            return;
        }
        left -= length;
    }
}
