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
    activity::{Activity, Expired},
    answer::Answer,
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

/// The number of fields that hyper accepts unless it is set.
const HEADERS: usize = 100;

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
        let (gateway, counted) = (gateway.clone(), counted.clone());
        let counting = counted.request();
        async move {
            let response = gateway.respond(request, connection).await;
            let answer = |body| Answer::new(body, counting, &counted);
            Ok::<_, Infallible>(response.map(answer))
        }
    });
    let watch = Watch {
        activity,
        clients,
        is_http2,
        closing,
    };
    match is_http2 {
        true => {
            let connection = of_http2(clients).serve_connection(io, service);
            watch
                .until(connection, http2::Connection::graceful_shutdown)
                .await;
        }
        false => {
            let connection = of_http1(clients).serve_connection(io, service);
            let connection = connection.with_upgrades();
            let finish = http1::UpgradeableConnection::graceful_shutdown;
            watch.until(connection, finish).await;
        }
    }
}

/// The watch over a connection.
struct Watch<'a> {
    activity: Activity,
    clients: &'a Clients,
    is_http2: bool,
    closing: CancellationToken,
}

impl Watch<'_> {
    /// Serves a connection until it is closed. If it is to end, its current requests are finished.
    async fn until<C: Future<Output = hyper::Result<()>>>(
        self,
        connection: C,
        finish: impl FnOnce(Pin<&mut C>),
    ) {
        let mut connection = pin!(connection);
        let expired = self.activity.expired(self.clients, self.is_http2);
        let ended = tokio::select! {
            ended = connection.as_mut() => Some(ended),
            expired = expired => match expired {
                Expired::Head => return,
                Expired::Idle => None,
            },
            () = self.closing.cancelled() => None,
        };
        let ended = match ended {
            Some(ended) => ended,
            None => {
                finish(connection.as_mut());
                // A client that takes nothing of what is left would keep it open.
                let patience = self.clients.body_timeout;
                tokio::select! {
                    ended = connection => ended,
                    () = self.activity.idle(self.clients, patience) => return,
                }
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "the connection of a client failed");
        }
    }
}

fn of_http1(clients: &Clients) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        // The activity of the connection has the time of a head, which begins with its first byte.
        .header_read_timeout(None)
        .max_header_size(clients.header_bytes)
        .max_buf_size(clients.header_bytes.max(BUFFER));
    // The usual number is not set, since hyper has room for it without an allocation.
    if clients.headers != HEADERS {
        builder.max_headers(clients.headers);
    }
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
