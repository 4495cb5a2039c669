//! Jobs that are run again, or elsewhere than they were accepted.

#[path = "../support/mod.rs"]
mod support;

mod checkpoints;
mod fronts;
mod kills;
mod notifying;
mod places;
mod queues;
mod replaying;
mod restoring;
mod routes;
mod silent;

use std::{
    convert::Infallible,
    fmt::Debug,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::support::{Body, SECOND, faulty::FaultyStore, path_of, post, send};
use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::BodyExt;
use http_polling::JobState;
use tower::{Layer, Service};
use tower_async_job::{
    AsyncJob, AsyncJobLayer, Builder, JobBody, JobContext,
    store::{
        Call, Detail, Interpose, Interposed, JobId, JobRecord, JobStore, StoreError, StoreFuture,
        Subscription,
    },
};

const LEASE: Duration = Duration::from_secs(30);

/// The time within which a job is claimed after the crash of its node, with the pause before its
/// second attempt.
const RECOVERY: Duration = Duration::from_secs(30 + 10 + 3);

type Answering = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A handler for requests with any body, which it receives whole, with trailers as an extension.
#[derive(Clone)]
struct App(Arc<dyn Fn(Request<Bytes>) -> Answering + Send + Sync>);

impl App {
    fn new<Fut>(handle: impl Fn(Request<Bytes>) -> Fut + Send + Sync + 'static) -> Self
    where
        Fut: Future<Output = Response<Body>> + Send + 'static,
    {
        Self(Arc::new(move |request| Box::pin(handle(request))))
    }

    /// Creates a handler that answers its attempt after a time.
    fn slow(time: Duration) -> Self {
        Self::new(move |request| async move {
            tokio::time::sleep(time).await;
            attempted(&request)
        })
    }
}

/// Returns an answer with the attempt of a request.
fn attempted(request: &Request<Bytes>) -> Response<Body> {
    let attempt = JobContext::of(request).attempt();
    Response::new(Body::from(format!("attempt {attempt}")))
}

impl<B> Service<Request<JobBody<B>>> for App
where
    B: http_body::Body<Data = Bytes> + Send + 'static,
    B::Error: Debug + Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<JobBody<B>>) -> Self::Future {
        let handle = self.0.clone();
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let body = body.collect().await.expect("the body is whole");
            if let Some(trailers) = body.trailers() {
                parts.extensions.insert::<HeaderMap>(trailers.clone());
            }
            Ok(handle(Request::from_parts(parts, body.to_bytes())).await)
        })
    }
}

/// The connection of a node to the store, until the node is killed.
#[derive(Debug)]
struct Connection {
    store: Arc<FaultyStore>,
    killed: AtomicBool,
    /// Wake-ups are lost.
    deaf: AtomicBool,
}

impl Interpose for Connection {
    fn inner(&self) -> &dyn JobStore {
        &self.store
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        _: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        Box::pin(async move {
            if self.killed.load(Ordering::SeqCst) {
                return Err(StoreError::unavailable("the node is killed"));
            }
            answer.await
        })
    }

    fn subscribe(&self, id: &JobId) -> Subscription {
        match self.deaf.load(Ordering::SeqCst) {
            true => Subscription::from_future(std::future::pending()),
            false => self.store.subscribe(id),
        }
    }
}

/// A node. Killed, it changes nothing in the store any more.
struct Node {
    layer: AsyncJobLayer,
    connection: Arc<Interposed<Connection>>,
}

impl Node {
    /// Creates a node all of whose requests can be replayed.
    fn new(store: &Arc<FaultyStore>, configure: impl FnOnce(Builder) -> Builder) -> Self {
        Self::configured(store, |builder| configure(builder.replay_when(|_| true)))
    }

    fn configured(store: &Arc<FaultyStore>, configure: impl FnOnce(Builder) -> Builder) -> Self {
        let connection = Arc::new(Interposed::new(Connection {
            store: store.clone(),
            killed: AtomicBool::new(false),
            deaf: AtomicBool::new(false),
        }));
        let builder = AsyncJobLayer::builder()
            .store(connection.clone())
            .inline_wait(Duration::ZERO)
            .cancellation_grace(SECOND);
        Self {
            layer: configure(builder).build().expect("valid configuration"),
            connection,
        }
    }

    fn service(&self, app: &App) -> AsyncJob<App> {
        self.layer.layer(app.clone())
    }

    /// Runs a worker.
    fn work(&self, app: &App) {
        tokio::spawn(self.layer.worker(app.clone()).run());
    }

    /// Submits a request, and returns the job's URL.
    async fn submit(&self, app: &App) -> String {
        let accepted = send(&self.service(app), post("/report")).await.pending();
        path_of(accepted.location()).to_owned()
    }

    fn kill(&self) {
        self.connection
            .get_ref()
            .killed
            .store(true, Ordering::SeqCst);
    }

    /// Returns what kills the node.
    fn killer(&self) -> impl Fn() + Send + Sync + Clone + 'static {
        let connection = self.connection.clone();
        move || connection.get_ref().killed.store(true, Ordering::SeqCst)
    }
}

fn shared() -> Arc<FaultyStore> {
    Arc::new(FaultyStore::shared(LEASE))
}

async fn record(store: &FaultyStore, url: &str) -> JobRecord {
    let id = support::id_of(url);
    let read = store.now().read(&id, Detail::Status).await;
    read.expect("memory").expect("there")
}

async fn state(store: &FaultyStore, url: &str) -> JobState {
    record(store, url).await.state
}
