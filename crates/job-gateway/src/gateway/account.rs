//! The account of a request: a line of the log, and its metrics.

use std::{
    net::IpAddr,
    sync::{Arc, LazyLock},
};

use http::{Method, Request, StatusCode};
use tokio::time::Instant;

use super::connection::Connection;
use crate::{
    observe::{metrics::Answered, requests::Line},
    proxy::Handle,
};

/// The name of no route.
static NONE: LazyLock<Arc<str>> = LazyLock::new(|| Arc::from("none"));

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
            route: NONE.clone(),
            handle: Handle::default(),
            status: None,
        }
    }

    /// Notes that a request is for a job. Its id is not told, since it is the right to read the job.
    pub(super) fn is_of_job(&mut self, base: &Arc<str>) {
        self.path = [base, "/…"].concat();
        self.route = base.clone();
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
        let duration = self.begun.elapsed();
        let answered = Answered {
            route: &self.route,
            method: &self.method,
            status: self.status,
            seconds: duration.as_secs_f64(),
        };
        answered.count();
        let line = Line {
            method: self.method.as_str(),
            path: &self.path,
            route: &self.route,
            status: self.status.map(|status| status.as_u16()),
            duration,
            handle: self.handle.get().copied(),
            client: self.client,
        };
        line.write();
    }
}
