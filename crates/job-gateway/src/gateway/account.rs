//! The account of a request: a line of the log, and its metrics.

use std::{net::IpAddr, sync::Arc};

use http::{Method, Request, StatusCode};
use tokio::time::Instant;
use tower_async_job::store::JobHandle;

use super::connection::Connection;
use crate::{observe::metrics::Answered, proxy::Handle};

/// The account of a request, which ends with the head of its answer, or when its client leaves before.
pub(super) struct Account {
    begun: Instant,
    method: Method,
    /// Without the query, which may have secrets.
    path: String,
    client: Option<IpAddr>,
    route: Arc<str>,
    handle: Handle,
    /// The status of the answer; `None` if the client has left before it.
    status: Option<StatusCode>,
}

impl Account {
    pub(super) fn new<B>(request: &Request<B>, connection: Connection) -> Self {
        Self {
            begun: Instant::now(),
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            client: connection.address,
            route: "none".into(),
            handle: Handle::default(),
            status: None,
        }
    }

    /// Notes that a request is for a job. Its id is not told, since it is the right to read the job.
    pub(super) fn is_of_job(&mut self, base: &str) {
        self.path = format!("{base}/…");
        self.route = base.into();
    }

    /// Notes the route of a request. Returns the place where its proxy tells the handle of its job.
    pub(super) fn is_of_route(&mut self, route: &Arc<str>) -> Handle {
        self.route = route.clone();
        self.handle.clone()
    }

    pub(super) fn end(mut self, status: StatusCode) {
        self.status = Some(status);
    }
}

impl Drop for Account {
    fn drop(&mut self) {
        let seconds = self.begun.elapsed().as_secs_f64();
        let answered = Answered {
            route: &self.route,
            method: &self.method,
            status: self.status,
            seconds,
        };
        answered.count();
        tracing::info!(
            method = %self.method,
            path = self.path,
            route = &*self.route,
            status = self.status.map(|status| status.as_u16()),
            seconds,
            handle = self.handle.get().map(JobHandle::to_string),
            client = self.client.map(|address| address.to_string()),
            "request"
        );
    }
}
