//! A load balancer in the client's process.

use std::{
    fmt,
    net::SocketAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{
    Request, Uri,
    uri::{Authority, Scheme},
};
use http_body_util::Full;
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::TokioExecutor,
};
use tower::Service;

/// A client of HTTP, which knows nothing of jobs.
type HttpClient = Client<HttpConnector, Full<Bytes>>;

/// An answer of it.
type HttpResponse = <HttpClient as Service<Request<Full<Bytes>>>>::Response;

/// A transport that sends each request to the next front in turn, whatever job it is about, and to
/// another one if that refuses the connection. Nothing else is repeated.
#[derive(Clone, Debug)]
pub struct Balancer {
    client: HttpClient,
    fronts: Arc<[Front]>,
    next: Arc<AtomicUsize>,
    broken: Arc<AtomicUsize>,
}

#[derive(Debug)]
struct Front {
    authority: Authority,
    answers: AtomicUsize,
}

/// The requests of a [`Balancer`].
#[derive(Debug)]
pub struct Tally {
    /// The number of answers of each front.
    pub answers: Vec<usize>,
    /// The number of requests whose connection broke before the answer.
    pub broken: usize,
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers: Vec<_> = self.answers.iter().map(usize::to_string).collect();
        let (answers, broken) = (answers.join(" + "), self.broken);
        write!(f, "answers of the fronts: {answers}, broken: {broken}")
    }
}

impl Balancer {
    /// Creates a transport to these addresses, which begins with one of them.
    pub fn new(addresses: impl IntoIterator<Item = SocketAddr>, first: usize) -> Self {
        let front = |address: SocketAddr| Front {
            authority: address.to_string().parse().expect("an authority"),
            answers: AtomicUsize::new(0),
        };
        Self {
            client: Client::builder(TokioExecutor::new()).build_http(),
            fronts: addresses.into_iter().map(front).collect(),
            next: Arc::new(AtomicUsize::new(first)),
            broken: Arc::default(),
        }
    }

    /// Returns the requests until now.
    pub fn tally(&self) -> Tally {
        let answers = self.fronts.iter();
        Tally {
            answers: answers
                .map(|front| front.answers.load(Ordering::Relaxed))
                .collect(),
            broken: self.broken.load(Ordering::Relaxed),
        }
    }

    async fn send(self, request: Request<Full<Bytes>>) -> Result<HttpResponse, Error> {
        let mut attempts = 0;
        loop {
            attempts += 1;
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            let front = &self.fronts[turn % self.fronts.len()];
            let mut request = request.clone();
            *request.uri_mut() = at(request.uri(), &front.authority);
            match self.client.request(request).await {
                Err(error) if error.is_connect() && attempts < self.fronts.len() => {}
                Err(error) => {
                    self.broken.fetch_add(1, Ordering::Relaxed);
                    return Err(error);
                }
                Ok(response) => {
                    front.answers.fetch_add(1, Ordering::Relaxed);
                    return Ok(response);
                }
            }
        }
    }
}

impl Service<Request<Full<Bytes>>> for Balancer {
    type Response = HttpResponse;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Full<Bytes>>) -> Self::Future {
        Box::pin(self.clone().send(request))
    }
}

/// Returns the address of the same resource at another host.
fn at(uri: &Uri, authority: &Authority) -> Uri {
    let mut parts = uri.clone().into_parts();
    parts.scheme = Some(Scheme::HTTP);
    parts.authority = Some(authority.clone());
    Uri::from_parts(parts).expect("all parts are there")
}
