//! The model server, and calls against it.

use std::{
    collections::VecDeque,
    future::{Future, pending},
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderValue, Method, Request, Response, Uri,
    header::{COOKIE, SET_COOKIE},
};
use http_body::{Body, Frame, SizeHint};
use tokio::{
    runtime::Builder,
    time::{Instant, Sleep, sleep, timeout},
};
use tokio_util::sync::CancellationToken;
use tower::{BoxError, Layer, Service, ServiceExt, retry::RetryLayer, util::BoxCloneService};
use tower_poll::{Error, Resubmit, StopSignal};

use crate::{
    answers::{Answer, Piece},
    case::{BODY, Case},
};

/// The time of an answer to a submission that would never come: a call's
/// deadline is for its polls.
const LAST_SUBMISSION: Duration = Duration::from_secs(5);

/// The time at which a call without an effective deadline is given up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(100 * 24 * 60 * 60);

/// Far more requests than any case allows.
const MAX_REQUESTS: usize = 1_000;

/// A request, and the times at which it came and was answered, from the
/// start of the call.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) body: &'static str,
    pub(crate) at: Duration,
    pub(crate) answered: Option<Duration>,
}

impl Seen {
    /// Nothing but the submission has its body.
    pub(crate) fn is_submission(&self) -> bool {
        self.body == BODY
    }

    /// Returns whether this request gives the job up.
    pub(crate) fn is_cancellation(&self) -> bool {
        self.method == Method::DELETE && !self.is_submission()
    }

    pub(crate) fn cookies(&self) -> String {
        let values = self.headers.get_all(COOKIE).iter();
        values
            .map(|value| String::from_utf8_lossy(value.as_bytes()))
            .collect()
    }
}

/// The requests after the submission and its repetitions.
pub(crate) fn polls(seen: &[Seen]) -> &[Seen] {
    let submissions = seen.iter().take_while(|seen| seen.is_submission());
    &seen[submissions.count()..]
}

/// The course of a call.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) seen: Vec<Seen>,
    pub(crate) took: Duration,
    /// `None` where it was given up.
    pub(crate) outcome: Option<Result<Response<ModelBody>, Error>>,
}

/// The service beneath the layer.
pub(crate) type Stack = BoxCloneService<Request<&'static str>, Response<ModelBody>, BoxError>;

/// Runs `play` in no time, with what is beneath the layer and with the
/// requests that come there.
pub(crate) fn play<F: Future>(
    case: &Case,
    play: impl FnOnce(Stack, Arc<Mutex<Vec<Seen>>>) -> F,
) -> F::Output {
    fastrand::seed(case.seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let server = Server::new(case);
        let seen = Arc::clone(&server.seen);
        let stack = match case.settings.resubmits {
            None => BoxCloneService::new(server),
            Some(times) => {
                let policy = Resubmit::new().retries(times);
                BoxCloneService::new(RetryLayer::new(policy).layer(server))
            }
        };
        play(stack, seen).await
    })
}

/// Makes the call of `case`.
pub(crate) fn run(case: &Case) -> Run {
    play(case, |stack, seen| async move {
        let start = Instant::now();
        let mut request = case.request();
        if let Some(stop) = case.stop {
            let token = CancellationToken::new();
            request.extensions_mut().insert(match stop.remotely {
                true => StopSignal::cancel_remotely(token.clone().cancelled_owned()),
                false => StopSignal::stop_waiting(token.clone().cancelled_owned()),
            });
            tokio::spawn(async move {
                sleep(stop.after).await;
                token.cancel();
            });
        }
        let call = case.layer().layer(stack).oneshot(request);
        let outcome = timeout(PATIENCE, call).await.ok();
        let seen = seen.lock().expect("not poisoned").clone();
        Run {
            seen,
            took: start.elapsed(),
            outcome,
        }
    })
}

/// Makes the call of `case` and drops it after this time. Gives the requests.
pub(crate) fn run_dropped(case: &Case, after: Duration) -> Vec<Seen> {
    play(case, |stack, seen| async move {
        let service = case.layer().cancel_on_drop().layer(stack);
        let _ = timeout(after, service.oneshot(case.request())).await;
        sleep(Duration::from_secs(60)).await;
        seen.lock().expect("not poisoned").clone()
    })
}

#[derive(Debug)]
struct Server {
    answers: Arc<Case>,
    seen: Arc<Mutex<Vec<Seen>>>,
    start: Instant,
    is_ready: bool,
}

impl Server {
    fn new(case: &Case) -> Self {
        Self {
            answers: Arc::new(case.clone()),
            seen: Arc::default(),
            start: Instant::now(),
            is_ready: false,
        }
    }
}

impl Clone for Server {
    fn clone(&self) -> Self {
        Self {
            answers: Arc::clone(&self.answers),
            seen: Arc::clone(&self.seen),
            start: self.start,
            is_ready: false,
        }
    }
}

impl Service<Request<&'static str>> for Server {
    type Response = Response<ModelBody>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        self.is_ready = true;
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<&'static str>) -> Self::Future {
        assert!(self.is_ready, "called without having been polled ready");
        self.is_ready = false;
        let (parts, body) = request.into_parts();
        let (number, is_submission) = {
            let mut seen = self.seen.lock().expect("not poisoned");
            seen.push(Seen {
                method: parts.method,
                uri: parts.uri,
                headers: parts.headers,
                body,
                at: self.start.elapsed(),
                answered: None,
            });
            (seen.len() - 1, body == BODY)
        };
        assert!(number < MAX_REQUESTS, "polls without end");
        let server = self.clone();
        Box::pin(async move {
            let answer = server.answers.answer(number);
            match answer.after {
                Some(Duration::ZERO) => {}
                Some(delay) => sleep(delay).await,
                None if is_submission => sleep(LAST_SUBMISSION).await,
                None => pending().await,
            }
            let answered = server.start.elapsed();
            server.seen.lock().expect("not poisoned")[number].answered = Some(answered);
            respond(answer, number)
        })
    }
}

/// The response that `answer` makes as that to request `number`.
pub(crate) fn respond(answer: &Answer, number: usize) -> Result<Response<ModelBody>, BoxError> {
    let head = answer.head.as_ref().ok_or("the connection dropped")?;
    let mut response = Response::new(ModelBody::new(&answer.body));
    *response.status_mut() = head.status;
    for (name, value) in &head.headers {
        let value = match value.to_str() {
            Ok(text) if name == SET_COOKIE => {
                HeaderValue::try_from(text.replace('#', &cookie_value(number)))?
            }
            _ => value.clone(),
        };
        response.headers_mut().append(name, value);
    }
    Ok(response)
}

/// The value of the cookies that the answer to request `number` sets.
pub(crate) fn cookie_value(number: usize) -> String {
    format!("from-{number}-")
}

/// Scheme, host and port.
pub(crate) type Origin = (String, String, u16);

/// As these tests compute it. `None` for a path alone.
pub(crate) fn origin(uri: &Uri) -> Option<Origin> {
    let scheme = uri.scheme_str()?.to_ascii_lowercase();
    let host = uri.host()?.to_ascii_lowercase();
    let port = uri
        .port_u16()
        .unwrap_or(if scheme == "https" { 443 } else { 80 });
    Some((scheme, host, port))
}

/// A body that goes piece by piece.
#[derive(Debug)]
pub(crate) struct ModelBody {
    pub(crate) pieces: VecDeque<Piece>,
    sleep: Option<Pin<Box<Sleep>>>,
}

impl ModelBody {
    fn new(pieces: &[Piece]) -> Self {
        Self {
            pieces: pieces.iter().cloned().collect(),
            sleep: None,
        }
    }

    fn poll_wait(&mut self, delay: Duration, cx: &mut Context<'_>) -> Poll<()> {
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep(delay)));
        ready!(sleep.as_mut().poll(cx));
        self.sleep = None;
        Poll::Ready(())
    }
}

impl Body for ModelBody {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            let Some(piece) = self.pieces.front().cloned() else {
                return Poll::Ready(None);
            };
            let frame = match piece {
                Piece::Data(data) => Ok(Frame::data(data)),
                Piece::Trailers => Ok(Frame::trailers(HeaderMap::new())),
                Piece::Broken => Err("the body broke off".into()),
                Piece::Never => return Poll::Pending,
                Piece::Wait(delay) => {
                    ready!(self.poll_wait(delay, cx));
                    self.pieces.pop_front();
                    continue;
                }
                Piece::Endless(size) => {
                    let data = Bytes::from(vec![b'x'; size]);
                    return Poll::Ready(Some(Ok(Frame::data(data))));
                }
                Piece::Drip(delay) => {
                    ready!(self.poll_wait(delay, cx));
                    return Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b".")))));
                }
            };
            self.pieces.pop_front();
            return Poll::Ready(Some(frame));
        }
    }

    fn is_end_stream(&self) -> bool {
        self.pieces.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let known = self.pieces.iter().map(|piece| match piece {
            Piece::Data(data) => data.len() as u64,
            Piece::Endless(size) => *size as u64,
            _ => 0,
        });
        let mut hint = SizeHint::new();
        hint.set_lower(known.sum());
        hint
    }
}
