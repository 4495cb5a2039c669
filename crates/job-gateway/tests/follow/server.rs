//! A server whose work has jobs of its own.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use http::{HeaderMap, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use tokio::time::sleep;

use crate::support::{Body, Upstream, full, soon};

/// The jobs of a server, and the requests that it has received. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Server(Arc<State>);

#[derive(Default)]
struct State {
    received: Mutex<Vec<(String, HeaderMap)>>,
    /// The work is done.
    is_done: AtomicBool,
    /// The jobs are forgotten.
    is_forgetful: AtomicBool,
}

impl Server {
    pub(crate) async fn start(&self) -> Upstream {
        let server = self.clone();
        Upstream::of_requests(move |request| server.clone().answer(request)).await
    }

    /// Ends all work.
    pub(crate) fn finish(&self) {
        self.0.is_done.store(true, Ordering::SeqCst);
    }

    /// Begins new work.
    pub(crate) fn resume(&self) {
        self.0.is_done.store(false, Ordering::SeqCst);
    }

    /// Forgets all jobs.
    pub(crate) fn forget(&self) {
        self.0.is_forgetful.store(true, Ordering::SeqCst);
    }

    /// Knows its jobs again.
    pub(crate) fn remember(&self) {
        self.0.is_forgetful.store(false, Ordering::SeqCst);
    }

    /// Returns the number of requests so far, by method and path.
    pub(crate) fn count(&self, line: &str) -> usize {
        let received = self.0.received.lock().unwrap();
        received.iter().filter(|(seen, _)| seen == line).count()
    }

    /// Returns the fields of the latest request.
    pub(crate) fn fields(&self, line: &str) -> HeaderMap {
        let received = self.0.received.lock().unwrap();
        let latest = received.iter().rfind(|(seen, _)| seen == line);
        latest.unwrap().1.clone()
    }

    /// Waits until there were as many requests.
    pub(crate) async fn receives(&self, line: &str, count: usize) {
        soon(async {
            while self.count(line) < count {
                sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }

    pub(crate) async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let path = request.uri().path().to_owned();
        let line = format!("{} {path}", request.method());
        let fields = request.headers().clone();
        let host = fields["host"].to_str().unwrap().to_owned();
        self.0.received.lock().unwrap().push((line, fields));
        let is_done = self.0.is_done.load(Ordering::SeqCst);
        let is_forgetful = self.0.is_forgetful.load(Ordering::SeqCst);
        let response = || Response::builder().header("retry-after", "0");
        let accepted = response().status(StatusCode::ACCEPTED);
        let json = |text: &str| full(text.to_owned());
        let answer = match (request.method(), &*path) {
            (&Method::DELETE, _) => Response::builder().status(204).body(full("")),
            (&Method::POST, "/hang") => std::future::pending().await,
            (&Method::POST, "/elsewhere") => accepted
                .header("location", "http://169.254.169.254/latest")
                .body(full("")),
            (&Method::POST, "/absolute") => accepted
                .header("location", format!("https://{host}/jobs/7"))
                .body(full("")),
            (&Method::POST, "/fhir") => {
                let status = format!("http://{host}/jobs/7");
                accepted.header("content-location", status).body(full(""))
            }
            (&Method::POST, "/azure") => {
                let monitor = format!("http://{host}/operations/7");
                let accepted = accepted.header("azure-asyncoperation", monitor);
                accepted.header("location", "/results/7").body(full(""))
            }
            (&Method::POST, "/ogc/execution") => Response::builder()
                .status(StatusCode::CREATED)
                .header("location", "/ogc/jobs/7")
                .body(json(
                    r#"{"jobID":"7","type":"process","status":"accepted"}"#,
                )),
            (&Method::POST, "/now") => Response::builder().body(full("at once")),
            (&Method::POST, _) => accepted
                .header("location", "/jobs/7")
                .header("set-cookie", "node=a; Path=/")
                .body(full("")),
            (&Method::GET, "/operations/7") => response().body(json(match is_done {
                true => r#"{"status":"Succeeded"}"#,
                false => r#"{"status":"Running"}"#,
            })),
            (&Method::GET, "/ogc/jobs/7") => response().body(json(match is_done {
                true => r#"{"jobID":"7","type":"process","status":"successful"}"#,
                false => r#"{"jobID":"7","type":"process","status":"running","progress":40}"#,
            })),
            (&Method::GET, "/jobs/7") if is_forgetful => {
                Response::builder().status(404).body(full(""))
            }
            (&Method::GET, "/jobs/7") if !is_done => accepted
                .header("location", "/jobs/7")
                .header("x-progress", "page 3 of 9")
                .body(json(
                    r#"{"id":"7","state":"running","progress":{"done":3,"total":9}}"#,
                )),
            _ => Response::builder()
                .header("job-status", "done")
                .body(full("the result")),
        };
        answer.unwrap()
    }
}
