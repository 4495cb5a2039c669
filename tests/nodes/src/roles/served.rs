//! A node that does as it is told, by lines on its standard input.

use std::{future::pending, io::stdin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use tokio::{sync::broadcast, time::sleep};
use tower_async_job::{Builder, JobContext, Role, store::Principal};
use tower_async_job_core::JobId;

use crate::{
    child::{Child, say},
    node::{Node, RECOVERY},
    nodes::{Nodes, Settings},
    routes::{attempt, routes, slow},
};

/// The time of a run of a slow node.
pub(crate) const SLOW: Duration = Duration::from_millis(600);

/// The bytes of the result of a node with long ones, which are stored in chunks.
pub(crate) const LONG: usize = 1_000_000;

/// Finds the principal of a request in a header.
pub(crate) fn of_users(layer: Builder) -> Builder {
    layer.principal(|request| {
        let name = request.headers.get("user")?.to_str().ok()?;
        Some(Principal::new(name))
    })
}

/// Limits the queue, for all users and for each.
pub(crate) fn limited(layer: Builder) -> Builder {
    of_users(layer).queue_limit(5, 3)
}

/// A process that serves requests.
pub(crate) struct Served(Child);

impl Served {
    /// Starts it, with words that configure it.
    pub(crate) fn start(data: &impl Nodes, words: &str) -> Self {
        let mut child = Child::start(&format!("serve {words}"), data);
        assert_eq!(child.word().as_deref(), Some("ready"));
        Self(child)
    }

    /// Sends it a request: a method, a path and headers such as `user:a`.
    pub(crate) fn ask(&mut self, request: &str) {
        self.0.send(&format!("ask {request}"));
    }

    /// Tells all its handlers to do something.
    pub(crate) fn tell(&mut self, order: &str) {
        self.0.send(&format!("tell {order}"));
    }

    /// Returns the next word that it says.
    pub(crate) fn word(&mut self) -> String {
        self.0.word().expect("it lives")
    }

    /// Returns the status, the state and the job's URL of an answer to a request.
    pub(crate) fn answer(&mut self) -> [String; 3] {
        let word = self.word();
        let parts: Vec<_> = word.split(' ').map(str::to_owned).collect();
        parts.try_into().expect("an answer")
    }

    /// Kills it, as by `SIGKILL`.
    pub(crate) fn kill(self) {
        self.0.kill();
    }

    /// Submits a request, and returns the job's URL. The request has a key, so that its job is
    /// stored before the handler runs.
    pub(crate) fn submit(&mut self, request: &str) -> String {
        let key = JobId::random().encode();
        self.ask(&format!("{request} idempotency-key:{key}"));
        let [status, _, url] = self.answer();
        assert_eq!(status, "303");
        url
    }
}

/// Serves the requests that it reads, as these words configure it.
pub(crate) async fn serve(data: &impl Nodes, words: &[&str]) {
    let has = |word: &str| words.contains(&word);
    let (orders, _) = broadcast::channel(16);
    let settings = Settings {
        lease: if has("long-lease") {
            RECOVERY
        } else {
            Settings::default().lease
        },
        is_deaf: has("deaf"),
        ..Settings::default()
    };
    let layer = |layer: Builder| match () {
        () if has("limited") => limited(layer).role(Role::Front),
        () if has("front") => layer.role(Role::Front),
        () if has("worker") => layer.role(Role::Worker),
        () => of_users(layer),
    };
    let routes = match () {
        () if has("slow") => slow(SLOW),
        () if has("long-results") => long_results(),
        () => obedient(orders.clone()),
    };
    let node = Arc::new(Node::with(data, routes, layer, settings).await.unwrap());
    let jobs = node.jobs.clone();
    tokio::spawn(async move { jobs.run().await });
    if has("worker") {
        node.work();
    }
    say("ready");
    // Tasks run on another thread.
    for line in stdin().lines() {
        let line = line.unwrap();
        match line
            .split_once(' ')
            .expect("a command and what it is about")
        {
            ("tell", order) => drop(orders.send(order.to_owned())),
            (_, request) => {
                let (node, request) = (node.clone(), parse(request));
                tokio::spawn(async move {
                    let answer = node.send(request).await;
                    let url = answer.header("location").split('?').next().unwrap();
                    let status = answer.status.as_u16();
                    say(format_args!("{status} {} {url}", answer.state()));
                });
            }
        }
    }
}

fn parse(request: &str) -> Request<Body> {
    let mut words = request.split(' ');
    let method = words.next().expect("a method");
    let uri = words.next().expect("a path");
    let request = Request::builder().method(method).uri(uri);
    let request = words.fold(request, |request, header| {
        let (name, value) = header.split_once(':').expect("a header");
        request.header(name, value)
    });
    request.body(Body::empty()).expect("a request")
}

/// Returns routes to handlers that answer once they are told to `end`, and otherwise report what
/// they are told, with a half of their progress. They say when they have reported, and when they are
/// cancelled.
fn obedient(orders: broadcast::Sender<String>) -> Router {
    let orders = Arc::new(orders);
    routes(async move |job: JobContext| {
        let mut orders = orders.subscribe();
        loop {
            let order = tokio::select! {
                order = orders.recv() => order.expect("few orders"),
                () = job.cancelled() => {
                    say("cancelled");
                    pending().await
                }
            };
            if order == "end" {
                return attempt(&job);
            }
            job.progress(0.5);
            job.partial(order);
            say("reported");
        }
    })
}

fn long_results() -> Router {
    routes(async || {
        // A handler that ends before its job is stored is answered inline.
        sleep(Duration::from_millis(100)).await;
        "x".repeat(LONG)
    })
}
