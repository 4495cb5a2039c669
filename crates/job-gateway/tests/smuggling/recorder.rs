//! Servers that record each whole request.

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, Mutex},
};

use http::{Request, Response};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde::Deserialize;
use test_services::{Missing, WebServer};

use crate::support::{Upstream, full};

/// A request, as a server has understood it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) method: String,
    pub(crate) target: String,
    /// The length of its body.
    pub(crate) body: usize,
    pub(crate) fields: BTreeMap<String, Vec<String>>,
}

impl Seen {
    /// Returns whether a request is one of the vector with this path.
    pub(crate) fn is_of(&self, path: &str) -> bool {
        self.target.contains(path) || self.field("x-vector").as_deref() == Some(path)
    }

    /// Returns the values of a field as one list.
    pub(crate) fn field(&self, name: &str) -> Option<String> {
        Some(self.fields.get(name)?.join(", "))
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.method, self.target, self.body)
    }
}

/// A server that records requests.
pub(crate) enum Recorder {
    Program(&'static str, WebServer),
    Hyper(Upstream, Arc<Mutex<Vec<Seen>>>),
}

impl Recorder {
    /// Starts gunicorn.
    pub(crate) fn gunicorn() -> Result<Self, Missing> {
        let server = WebServer::gunicorn(include_str!("record.py"))?;
        Ok(Self::Program("gunicorn", server))
    }

    /// Starts Node.
    pub(crate) fn node() -> Result<Self, Missing> {
        let server = WebServer::node(include_str!("record.mjs"))?;
        Ok(Self::Program("Node", server))
    }

    /// Starts hyper.
    pub(crate) async fn hyper() -> Self {
        let seen = Arc::<Mutex<Vec<Seen>>>::default();
        let noted = seen.clone();
        let upstream = Upstream::of_requests(move |request| {
            let noted = noted.clone();
            async move {
                if let Some(request) = read(request).await {
                    noted.lock().unwrap().push(request);
                }
                Response::new(full("ok"))
            }
        });
        Self::Hyper(upstream.await, seen)
    }

    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Program(name, _) => name,
            Self::Hyper(..) => "hyper",
        }
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Program(_, server) => server.url(),
            Self::Hyper(server, _) => server.url(),
        }
    }

    /// Returns the requests so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        match self {
            Self::Program(_, server) => {
                let log = server.log();
                let seen = log.lines().filter_map(|line| line.strip_prefix("seen "));
                seen.map(|line| serde_json::from_str(line).expect(line))
                    .collect()
            }
            Self::Hyper(_, seen) => seen.lock().unwrap().clone(),
        }
    }
}

/// Reads a request to its end, if it has one.
async fn read(request: Request<Incoming>) -> Option<Seen> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.ok()?.to_bytes();
    let mut fields = BTreeMap::<String, Vec<String>>::new();
    for (name, value) in &head.headers {
        let value = value.as_bytes().iter().map(|byte| char::from(*byte));
        let values = fields.entry(name.to_string()).or_default();
        values.push(value.collect());
    }
    Some(Seen {
        method: head.method.to_string(),
        target: head.uri.to_string(),
        body: body.len(),
        fields,
    })
}
