//! HTTP/1 and 2 with a client, within its limits.

use std::{
    convert::Infallible,
    pin::{Pin, pin},
    time::Duration,
};

use hyper::{
    body::Incoming,
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    activity::{Activity, Answer, Expired},
    listener::Stream,
    stream::{Measured, Place, recognised},
};
use crate::{
    config::Clients,
    gateway::{Connection, Gateway},
};

/// The interval at which a client of HTTP/2 is asked whether it is still there.
const PING: Duration = Duration::from_secs(30);

/// The least room for a request's head and the beginning of its body, in bytes.
const BUFFER: usize = 64 << 10;

/// Serves a connection until it is closed, has expired, or takes no further requests.
pub(super) async fn serve(
    mut stream: Stream,
    connection: Connection,
    place: Place,
    gateway: Gateway,
    clients: &Clients,
    closing: CancellationToken,
) {
    let recognising = tokio::select! {
        first = timeout(clients.header_timeout, recognised(&mut stream)) => first,
        () = closing.cancelled() => return,
    };
    let Ok(Ok((first, is_http2))) = recognising else {
        return;
    };
    let activity = Activity::new();
    let patience = clients.body_timeout;
    let stream = Measured::new(stream, first, activity.clone(), patience, place);
    let io = TokioIo::new(stream);
    let counted = activity.clone();
    let service = service_fn(move |request: http::Request<Incoming>| {
        let (gateway, counted) = (gateway.clone(), counted.request());
        async move {
            let response = gateway.respond(request, connection).await;
            Ok::<_, Infallible>(response.map(|body| Answer::new(body, counted)))
        }
    });
    // Resolves once the connection is to be closed, with the reason if it must be at once.
    let ending = async {
        tokio::select! {
            expired = activity.expired(clients, is_http2) => expired,
            () = closing.cancelled() => Expired::Idle,
        }
    };
    match is_http2 {
        true => {
            let connection = of_http2(clients).serve_connection(io, service);
            until(connection, ending, http2::Connection::graceful_shutdown).await;
        }
        false => {
            let connection = of_http1(clients).serve_connection(io, service);
            let connection = connection.with_upgrades();
            until(
                connection,
                ending,
                http1::UpgradeableConnection::graceful_shutdown,
            )
            .await;
        }
    }
}

/// Serves a connection until it is closed. If it ends as idle, its current requests are finished.
async fn until<C: Future<Output = hyper::Result<()>>>(
    connection: C,
    ending: impl Future<Output = Expired>,
    finish: impl FnOnce(Pin<&mut C>),
) {
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        expired = ending => match expired {
            Expired::Head => return,
            Expired::Idle => {
                finish(connection.as_mut());
                connection.await
            }
        },
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "the connection of a client failed");
    }
}

fn of_http1(clients: &Clients) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The activity of the connection has the time of a head, which begins with its first byte.
        .header_read_timeout(None)
        .max_headers(clients.headers)
        .max_header_size(clients.header_bytes)
        .max_buf_size(clients.header_bytes.max(BUFFER));
    builder
}

fn of_http2(clients: &Clients) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .keep_alive_interval(PING)
        .max_header_list_size(clients.header_bytes.try_into().unwrap_or(u32::MAX));
    builder
}
