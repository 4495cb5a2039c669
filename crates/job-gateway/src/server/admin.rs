//! The address of operators: probes, metrics, and the list of jobs. It performs no authentication.

use std::{convert::Infallible, net::IpAddr, sync::Arc, time::Duration};

use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::{sync::Semaphore, time::sleep};
use tower::ServiceExt;
use tower_async_job::StoredBody;

use super::listener::{Listener, Stream};
use crate::{gateway::Gateway, observe::metrics::note_tasks};

/// The number of connections at once. Probes and scrapes are few.
const CONNECTIONS: usize = 100;

/// The interval at which the recorder tidies what it has collected.
const UPKEEP: Duration = Duration::from_secs(5);

/// The path of the list of jobs.
const JOBS: &str = "/jobs";

/// The answers to operators.
#[derive(Clone)]
pub(crate) struct Admin {
    pub(super) gateway: Gateway,
    pub(super) metrics: PrometheusHandle,
}

impl Admin {
    /// Serves operators for ever.
    pub(super) async fn serve(self, listener: Listener) {
        tokio::join!(self.accept(listener), async {
            loop {
                sleep(UPKEEP).await;
                self.metrics.run_upkeep();
            }
        });
    }

    async fn accept(&self, listener: Listener) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        while let Ok(place) = places.clone().acquire_owned().await {
            let Ok((stream, address)) = listener.accept().await else {
                sleep(Duration::from_millis(100)).await;
                continue;
            };
            let admin = self.clone();
            tokio::spawn(async move {
                admin.talk(stream, address).await;
                drop(place);
            });
        }
    }

    async fn talk(self, stream: Stream, address: Option<IpAddr>) {
        let service = service_fn(move |request| {
            let admin = self.clone();
            async move { Ok::<_, Infallible>(admin.answer(request, address).await) }
        });
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new());
        // An operator who disconnects is no failure.
        let _ = builder
            .serve_connection(TokioIo::new(stream), service)
            .await;
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        address: Option<IpAddr>,
    ) -> Response<StoredBody> {
        // A page of a browser reaches this machine by a name that resolves to it, but names itself.
        if address.is_some() && !is_for_this_machine(&request) {
            let told = "this is the address of operators, which has no other name than localhost\n";
            return text(StatusCode::MISDIRECTED_REQUEST, told);
        }
        let path = request.uri().path();
        if path
            .strip_prefix(JOBS)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        {
            let Ok(response) = self.gateway.operators(JOBS).oneshot(request).await;
            return response;
        }
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        match path {
            "/livez" | "/readyz" | "/metrics" if !is_read => {
                let mut refused = text(StatusCode::METHOD_NOT_ALLOWED, "this is only read\n");
                let allowed = HeaderValue::from_static("GET, HEAD");
                refused.headers_mut().insert(ALLOW, allowed);
                refused
            }
            "/livez" => text(StatusCode::OK, "alive\n"),
            "/readyz" => self.gateway.ready(request).await,
            "/metrics" => {
                note_tasks();
                text(StatusCode::OK, self.metrics.render())
            }
            _ => text(
                StatusCode::NOT_FOUND,
                "there are /livez, /readyz, /metrics and /jobs\n",
            ),
        }
    }
}

/// Returns whether a request names this machine as its server.
fn is_for_this_machine<B>(request: &Request<B>) -> bool {
    let mut hosts = request.headers().get_all(HOST).iter();
    let (Some(host), None) = (hosts.next(), hosts.next()) else {
        return false;
    };
    let Ok(authority) = http::uri::Authority::try_from(host.as_bytes()) else {
        return false;
    };
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let is_loopback = |address: IpAddr| address.to_canonical().is_loopback();
    host.eq_ignore_ascii_case("localhost") || address.parse().is_ok_and(is_loopback)
}

fn text(status: StatusCode, text: impl Into<bytes::Bytes>) -> Response<StoredBody> {
    let mut response = Response::new(StoredBody::from(text));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_for_this_machine(host: &str) -> bool {
        let request = Request::get("/").header(HOST, host).body(()).unwrap();
        super::is_for_this_machine(&request)
    }

    #[test]
    fn a_name_that_resolves_to_this_machine_is_none_of_its_own() {
        for host in [
            "localhost:9090",
            "LOCALHOST",
            "127.0.0.1:9090",
            "127.8.8.8",
            "[::1]:9090",
        ] {
            assert!(is_for_this_machine(host), "{host}");
        }
        for host in [
            "evil.example:9090",
            "localhost.evil.example",
            "192.0.2.1",
            "",
            "a b",
        ] {
            assert!(!is_for_this_machine(host), "{host}");
        }
        assert!(!super::is_for_this_machine(&Request::new(())));
    }
}
