//! A small server around the layer, whose requests and responses can be altered.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::State,
    middleware::{Next, from_fn_with_state},
    response::Response,
    routing::post,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Uri, header::ACCEPT};
use tokio::{net::TcpListener, sync::Notify, time::sleep};
use tower_async_job::{AsyncJobLayer, Builder, PendingStatus, store::Principal};

/// The delay that pending answers tell.
const DELAY: Duration = Duration::from_millis(700);

/// The time in which a job ends after the first poll that asks to be held.
const TO_THE_END: Duration = Duration::from_millis(100);

/// The number of the plain GETs before one that is held, which is none of theirs after it.
const BEFORE_THE_END: usize = 1000;

/// The longest time that a job takes.
const LONGEST: Duration = Duration::from_secs(20);

/// A request, as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    /// Which submission with an idempotency key it is, from 1; 0 for other requests.
    pub(crate) keyed: usize,
    /// Which plain GET of a job it is since one that was held, from 1; 0 for other requests.
    pub(crate) plain: usize,
}

impl Seen {
    pub(crate) fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.and_then(|value| value.to_str().ok()).unwrap_or("")
    }

    /// Returns whether the request is for the job resource.
    pub(crate) fn is_of_a_job(&self) -> bool {
        self.uri.path().starts_with("/work/")
    }

    pub(crate) fn is_status(&self) -> bool {
        self.uri.path().ends_with("/status")
    }

    pub(crate) fn is_navigation(&self) -> bool {
        self.header("sec-fetch-mode") == "navigate"
    }
}

/// A fault of a server: changes of requests and responses.
#[derive(Clone, Copy)]
pub(crate) struct Fault {
    pub(crate) before: fn(&Seen, &mut Request<Body>),
    pub(crate) after: fn(&Seen, &mut Response<Bytes>),
    pub(crate) delay: fn(&Seen) -> Duration,
}

impl Fault {
    pub(crate) const NONE: Self = Self {
        before: |_, _| {},
        after: |_, _| {},
        delay: |_| Duration::ZERO,
    };
}

struct Shared {
    fault: Fault,
    end: Notify,
    keyed: AtomicUsize,
    plain: AtomicUsize,
}

/// Returns a builder of layers for short tests. Jobs belong to the principal in `x-user`.
pub(crate) fn builder(pending: PendingStatus) -> Builder {
    AsyncJobLayer::builder()
        .inline_wait(Duration::ZERO)
        .max_inline_wait(Duration::from_millis(100))
        .pending_status(pending)
        .estimator(|_: &tower_async_job::ObservedJob<'_>| DELAY)
        .principal(|request| {
            let user = request.headers.get("x-user")?;
            Some(Principal::new(user.to_str().ok()?))
        })
}

/// Starts a server, and returns the URL of its slow request.
pub(crate) async fn start(builder: Builder, fault: Fault) -> String {
    format!("http://{}/report", serve(builder, fault).await)
}

pub(crate) async fn serve(builder: Builder, fault: Fault) -> SocketAddr {
    let shared = Arc::new(Shared {
        fault,
        end: Notify::new(),
        keyed: AtomicUsize::new(0),
        plain: AtomicUsize::new(BEFORE_THE_END),
    });
    let app = Router::new()
        .route("/report", post(report).get(report))
        .with_state(Arc::clone(&shared))
        .layer(builder.build().unwrap())
        .layer(from_fn_with_state(shared, alter));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

/// The slow handler, which ends once its job is polled with a wish to be held.
async fn report(State(shared): State<Arc<Shared>>, request: Request<Body>) -> Response {
    let is_stream = request.headers().get(ACCEPT) == Some(&"text/event-stream".parse().unwrap());
    let is_quick = request.method() == Method::HEAD || request.headers().contains_key("x-quick");
    if !is_stream && !is_quick {
        let is_endless = request.headers().contains_key("x-endless");
        tokio::select! {
            () = shared.end.notified(), if !is_endless => sleep(TO_THE_END).await,
            () = sleep(LONGEST) => {}
        }
    }
    let mut response = Response::new("the report of the year".into());
    if is_stream {
        let stream = HeaderValue::from_static("text/event-stream");
        response.headers_mut().insert("content-type", stream);
    }
    response
}

async fn alter(State(shared): State<Arc<Shared>>, request: Request<Body>, next: Next) -> Response {
    let seen = shared.see(&request);
    if seen.method == Method::GET && seen.is_of_a_job() && seen.header("prefer").contains("wait") {
        shared.plain.store(0, Ordering::SeqCst);
        shared.end.notify_waiters();
    }
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    let mut request = Request::from_parts(parts, Body::from(body));
    (shared.fault.before)(&seen, &mut request);
    sleep((shared.fault.delay)(&seen)).await;
    let response = next.run(request).await;
    let (parts, body) = response.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut response = Response::from_parts(parts, body);
    let length = response.body().len();
    (shared.fault.after)(&seen, &mut response);
    if response.body().len() != length {
        response.headers_mut().remove("content-length");
    }
    response.map(Body::from)
}

impl Shared {
    fn see(&self, request: &Request<Body>) -> Seen {
        let headers = request.headers();
        let count = |is: bool, counter: &AtomicUsize| match is {
            true => counter.fetch_add(1, Ordering::SeqCst) + 1,
            false => 0,
        };
        let path = request.uri().path();
        let is_special = [
            "prefer",
            "range",
            "if-none-match",
            "if-match",
            "origin",
            "forwarded",
        ]
        .iter()
        .any(|name| headers.contains_key(*name));
        let is_plain = request.method() == Method::GET
            && path.starts_with("/work/")
            && !path.ends_with("/status")
            && headers.get("x-user") == Some(&HeaderValue::from_static("alice"))
            && headers.get(ACCEPT) == Some(&HeaderValue::from_static("*/*"))
            && headers["host"] != "other-host.invalid"
            && !is_special;
        Seen {
            method: request.method().clone(),
            uri: request.uri().clone(),
            headers: headers.clone(),
            keyed: count(headers.contains_key("idempotency-key"), &self.keyed),
            plain: count(is_plain, &self.plain),
        }
    }
}
