//! The clients: `PollLayer` over a transport that reaches any process that answers.

use std::{
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    header::LOCATION,
    uri::{Authority, Scheme},
};
use http_body_util::{BodyExt, Full};
use http_polling::JobState;
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::time::{sleep, timeout};
use tower::{BoxError, Layer, Service, ServiceExt, retry::RetryLayer};
use tower_poll::{PollLayer, Resubmit};

use crate::{
    calls::{Call, NONCE, NUMBER},
    fleet::Fleet,
    history::{Answer, Event},
};

/// The time that an exchange may take. A process may be stopped in it.
const EXCHANGE: Duration = Duration::from_secs(5);

/// The time that a call may take.
const CALL: Duration = Duration::from_secs(90);

/// The transport: sends each request to one of the processes, and notes the answer.
#[derive(Clone)]
struct Transport {
    fleet: Arc<Fleet>,
    client: Client<HttpConnector, Full<Bytes>>,
    call: Call,
    /// The only process that requests are sent to.
    to: Option<SocketAddr>,
}

impl Service<Request<Full<Bytes>>> for Transport {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<Full<Bytes>>) -> Self::Future {
        let transport = self.clone();
        Box::pin(async move {
            let any = || fastrand::choice(transport.fleet.addresses());
            let address = transport.to.or_else(any);
            let address = address.ok_or("no process listens")?;
            let mut parts = request.uri().clone().into_parts();
            parts.scheme = Some(Scheme::HTTP);
            parts.authority = Some(Authority::try_from(address.to_string())?);
            *request.uri_mut() = Uri::from_parts(parts)?;
            let is_poll = request.method() == Method::GET;
            let is_cancel = request.method() == Method::DELETE;
            let path = request.uri().path().to_owned();
            let asked = transport.fleet.history.now();
            let whole = async {
                let (head, body) = transport.client.request(request).await?.into_parts();
                let body = body.collect().await?.to_bytes();
                Ok::<_, BoxError>(Response::from_parts(head, Full::new(body)))
            };
            let response = timeout(EXCHANGE, whole).await??;
            match is_cancel {
                true => transport.fleet.history.push(Event::CancelAnswered {
                    number: transport.call.number,
                    status: response.status().as_u16(),
                }),
                false => transport.note(asked, is_poll, &path, &response),
            }
            Ok(response)
        })
    }
}

impl Transport {
    fn note(&self, asked: Duration, is_poll: bool, path: &str, response: &Response<Full<Bytes>>) {
        let headers = response.headers();
        let state = JobState::from_headers(headers);
        let job = match is_poll {
            true => job_of(path),
            false => location(response),
        };
        let applied = headers.get_all("preference-applied").iter();
        let has_callback = applied
            .filter_map(|value| value.to_str().ok())
            .any(|value| value.contains("callback"));
        let nonce = headers.get(NONCE).and_then(|value| value.to_str().ok());
        let body = response.body().clone();
        let is_whole = nonce.is_none_or(|nonce| {
            let body = futures_util::FutureExt::now_or_never(body.collect());
            let body = body.expect("it is there").expect("no error").to_bytes();
            self.call.is_whole(nonce, &body)
        });
        self.fleet.history.push(Event::Answered(Answer {
            number: self.call.number,
            asked,
            is_poll,
            status: response.status().as_u16(),
            job,
            state,
            nonce: nonce.map(str::to_owned),
            has_callback,
            is_whole,
        }));
    }
}

/// Returns the id of the job that an answer announces.
fn location(response: &Response<Full<Bytes>>) -> Option<String> {
    let location = response.headers().get(LOCATION)?;
    job_of(location.to_str().ok()?)
}

/// Returns the id in the path of a job.
fn job_of(path: &str) -> Option<String> {
    let id = path.strip_prefix("/work/")?;
    Some(id.split('?').next()?.to_owned())
}

/// The clients of a round.
#[derive(Clone)]
pub(crate) struct Clients {
    fleet: Arc<Fleet>,
    client: Client<HttpConnector, Full<Bytes>>,
    seed: u64,
}

impl Clients {
    pub(crate) fn new(fleet: &Arc<Fleet>, seed: u64) -> Self {
        Self {
            fleet: fleet.clone(),
            client: Client::builder(TokioExecutor::new()).build_http(),
            seed,
        }
    }

    fn transport(&self, call: Call) -> Transport {
        Transport {
            fleet: self.fleet.clone(),
            client: self.client.clone(),
            call,
            to: None,
        }
    }

    /// Makes a call, and waits for its end: the answer, or an error of a call without a key.
    pub(crate) async fn call(&self, call: Call) {
        let until = Instant::now() + CALL;
        let transport = self.transport(call);
        let layer = PollLayer::new().keep_header(NUMBER);
        match call.is_keyed {
            true => {
                let resubmit = RetryLayer::new(Resubmit::new().max_delay(Duration::from_secs(1)));
                let service = layer.layer(resubmit.layer(transport));
                while !self.finished(&service, call, until).await && Instant::now() < until {
                    sleep(Duration::from_millis(200)).await;
                }
            }
            false => {
                self.finished(&layer.layer(transport), call, until).await;
            }
        }
        let number = call.number;
        self.fleet.history.push(Event::Settled { number });
    }

    /// Makes a call without `PollLayer`, as a program that follows its job's URL does. It is not
    /// repeated, and may be cancelled on the way.
    pub(crate) async fn plain(&self, call: Call, is_cancelled: bool) {
        let until = Instant::now() + CALL;
        let response = self.transport(call).oneshot(call.request(self.seed)).await;
        let location = response.as_ref().ok().and_then(location);
        if let Some(job) = &location
            && is_cancelled
        {
            sleep(Duration::from_millis(fastrand::u64(0..=call.task.millis))).await;
            self.cancel(call, job).await;
        }
        while let Some(job) = &location
            && Instant::now() < until
        {
            let state = self.look_at(call, job, None, "wait=4").await;
            if state.is_some_and(|(_, state)| state.is_some_and(JobState::is_final)) {
                break;
            }
            sleep(Duration::from_millis(100)).await;
        }
        let number = call.number;
        self.fleet.history.push(Event::Settled { number });
    }

    /// Submits a request and polls until the call ends. Returns false if it must be repeated.
    async fn finished<S>(
        &self,
        service: &tower_poll::PollService<S>,
        call: Call,
        until: Instant,
    ) -> bool
    where
        S: Service<Request<Full<Bytes>>, Response = Response<Full<Bytes>>> + Clone,
        S::Error: Into<BoxError>,
    {
        let request = call.request(self.seed);
        let mut headers = HeaderMap::new();
        headers.insert(NUMBER, call.number.into());
        let mut result = service.clone().oneshot(request).await;
        loop {
            let error = match result {
                Ok(response) => return !is_refusal(&response),
                Err(error) => error,
            };
            if error.job_state().is_some() || Instant::now() > until {
                return true;
            }
            let Some(job) = error.pending_job() else {
                return false;
            };
            sleep(Duration::from_millis(100)).await;
            result = match service.resume(job, &headers) {
                Ok(job) => job.wait().await,
                Err(error) => Err(error),
            };
        }
    }

    /// Cancels a job at any process. It is tried once, since a second DELETE may remove the job.
    async fn cancel(&self, call: Call, job: &str) {
        let number = call.number;
        self.fleet.history.push(Event::CancelAsked { number });
        let request = Request::delete(format!("http://cluster/work/{job}"))
            .header(NUMBER, number)
            .body(Full::default())
            .expect("a valid request");
        // An error: its outcome is unknown.
        let _ = self.transport(call).oneshot(request).await;
    }

    /// Submits a request to a process, and returns the id of its job.
    pub(crate) async fn submit(&self, call: Call, to: SocketAddr) -> Option<String> {
        let mut transport = self.transport(call);
        transport.to = Some(to);
        let response = transport.oneshot(call.request(self.seed)).await.ok()?;
        location(&response)
    }

    /// Polls a job once, without `PollLayer`, at a process or at any. Returns the status and its
    /// state.
    pub(crate) async fn look_at(
        &self,
        call: Call,
        job: &str,
        to: Option<SocketAddr>,
        prefer: &'static str,
    ) -> Option<(StatusCode, Option<JobState>)> {
        let mut transport = self.transport(call);
        transport.to = to;
        let request = Request::get(format!("http://cluster/work/{job}"))
            .header(NUMBER, call.number)
            .header("prefer", prefer)
            .body(Full::default())
            .expect("a valid request");
        let response = transport.oneshot(request).await.ok()?;
        let state = JobState::from_headers(response.headers());
        Some((response.status(), state))
    }

    /// Polls a job once at any process. Returns its state.
    pub(crate) async fn look(&self, call: Call, job: &str) -> Option<JobState> {
        self.look_at(call, job, None, "wait=0").await?.1
    }

    /// Submits a request to a process, and polls its job at another one, which holds the poll until
    /// the job has ended.
    pub(crate) async fn held(&self, call: Call, is_notified: bool) {
        let mut addresses = self.fleet.addresses();
        fastrand::shuffle(&mut addresses);
        let [first, .., last] = addresses[..] else {
            return;
        };
        let Some(job) = self.submit(call, first).await else {
            return;
        };
        let answer = self.look_at(call, &job, Some(last), "wait=4").await;
        if answer == Some((StatusCode::OK, Some(JobState::Done))) {
            let number = call.number;
            self.fleet.history.push(Event::Woken {
                number,
                is_notified,
            });
        }
    }
}

/// Returns whether the node has not taken the request on.
fn is_refusal(response: &Response<Full<Bytes>>) -> bool {
    let is_refused = matches!(
        response.status(),
        StatusCode::SERVICE_UNAVAILABLE | StatusCode::INSUFFICIENT_STORAGE
    );
    is_refused && JobState::from_headers(response.headers()).is_none()
}
