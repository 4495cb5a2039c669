//! The requests that are sent on to a server, in first runs and in later ones alike.

mod cookies;
mod detached;
mod early;
mod facts;
mod follow;
mod forwarded;
mod headers;
mod identity;
mod later;
mod occupied;
mod patience;
mod queue;
mod respond;
mod target;
mod tunnel;
mod upgrade;

use std::{
    convert::Infallible,
    future::pending,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Extensions, Request, Response, StatusCode, Version};
use http_body::Frame;
use http_body_util::{BodyExt, Either, combinators::UnsyncBoxBody};
use tokio::time::timeout;
use tower::{BoxError, Service};
use tower_async_job::{JobContext, Release, store::Principal};

pub(crate) use self::{
    cookies::join_cookies,
    facts::Facts,
    forwarded::{Forwarded, Hop},
    headers::{has_known_coding, is_loop, lasting, tokens},
    identity::set_name,
    later::later,
    queue::Queue,
    respond::{Body, Failure, set_broken},
    target::{Handle, Target},
    upgrade::decline_others,
};
use self::{
    detached::detach,
    follow::Follower,
    headers::Urls,
    later::Later,
    occupied::Occupied,
    patience::{Limits, Watch},
    queue::{Full, Place},
    respond::passed,
};
use crate::{
    fields::remove_beginning,
    progress::{Party, Reach, Run, Runs},
    upstream,
};

/// A service that sends requests on to the server of their [`Target`].
#[derive(Clone)]
pub(crate) struct Proxy {
    runs: Runs,
}

impl Proxy {
    /// Creates a proxy whose servers may report the progress of these runs.
    pub(crate) fn new(runs: Runs) -> Self {
        Self { runs }
    }
}

impl<B> Service<Request<B>> for Proxy
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let target = request.extensions().get::<Target>();
        let principals = target.map(|target| target.principals.clone());
        let principals = principals.unwrap_or_default();
        let request = request.map(|body| {
            let body = body.map_frame(move |frame| match frame.into_trailers() {
                Ok(trailers) => Frame::trailers(headers::without_own(trailers, &principals)),
                Err(frame) => frame,
            });
            UnsyncBoxBody::new(body.map_err(Into::into))
        });
        let runs = self.runs.clone();
        let target = request.extensions().get::<Target>();
        let queue = target.and_then(|target| target.queue.clone());
        // The job of an earlier run is at the server already.
        match queue.filter(|_| JobContext::of(&request).checkpoint().is_none()) {
            None => Box::pin(answer(request, Ok(None), runs)),
            Some(queue) => Box::pin(queued(request, queue, runs)),
        }
    }
}

/// Waits for a place at the server, which the request has until its response ends, and answers it. The
/// memory for that is taken with the place, so that many can wait.
async fn queued(
    mut request: Request<upstream::Body>,
    queue: Queue,
    runs: Runs,
) -> Result<Response<Body>, Infallible> {
    let place = match queue.enter_now() {
        Some(place) => Ok(place),
        None => {
            detach(&mut request);
            let extensions = request.extensions();
            place(&queue, extensions.get(), extensions.get()).await
        }
    };
    Box::pin(answer(request, place.map(Some), runs)).await
}

/// Answers a request that has its place at the server, if these are limited.
async fn answer(
    request: Request<upstream::Body>,
    place: Result<Option<Place>, Failure>,
    runs: Runs,
) -> Result<Response<Body>, Infallible> {
    let later = Later::of(&request);
    let sent = match place {
        Ok(place) => send(request, place, &runs).await,
        Err(failure) => Err(failure),
    };
    Ok(match (sent, later) {
        (Ok(response), _) => response,
        (Err(failure), Some(later)) => later.response(&failure).await,
        (Err(failure), None) => failure.response(),
    })
}

/// Sends a request on. Fails with a response of the gateway's own.
async fn send(
    mut request: Request<upstream::Body>,
    place: Option<Place>,
    runs: &Runs,
) -> Result<Response<Body>, Failure> {
    let extensions = request.extensions_mut();
    let target = extensions.remove::<Target>().ok_or(Failure::NoRoute)?;
    let context = JobContext::from_extensions(extensions);
    let handle = follow::handle_of(&context, &target)?;
    let principal = extensions.get::<Principal>();
    let place = match (&target.queue, &handle) {
        // Its handle cannot be read.
        (Some(queue), None) if place.is_none() => {
            Some(self::place(queue, Some(&target), principal).await?)
        }
        _ => place,
    };
    let resumed = handle.map(|handle| (handle, principal.cloned()));
    let upgrade = upgrade::Requested::take(&mut request);
    let (run, urls) = run(&target, request.extensions(), runs).unzip();
    let request = headers::rewrite(request, &target, upgrade.is_some(), urls);
    let (request, mut answered) = early::watch(request);
    let mut response = match resumed {
        Some((handle, principal)) => {
            let follower = Follower::new(&target, context, &request);
            let waiting = async {
                let queue = target.queue.as_ref()?;
                let place = self::place(queue, Some(&target), principal.as_ref());
                place.await.ok()
            };
            Box::pin(beside(waiting, follower.resume(handle))).await?
        }
        None if target.follows => {
            let is_left = run.as_ref().is_some_and(|run| run.party.is_some());
            let follower = Follower::new(&target, context, &request).leaving(is_left);
            Box::pin(follower.send(request, &mut answered)).await?
        }
        None => exchange(&target, request).await?.map(Either::Left),
    };
    // The gateway speaks its own version to the client.
    *response.version_mut() = Version::HTTP_11;
    if !has_known_coding(response.headers()) {
        return Err(Failure::ServerCoding);
    }
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let upgrade = upgrade.ok_or(Failure::Unasked)?;
        let longest_silence = target.route.upstream.tunnel_timeout;
        return upgrade.accept(response, place, longest_silence);
    }
    let is_later = headers::rewrite_response(&mut response);
    if is_later && let Some(party) = run.as_ref().and_then(|run| run.party.as_ref()) {
        let release = Release::default().with_outside(party.outside());
        response.extensions_mut().insert(release);
    }
    if !target.route.cors_origins.is_empty() {
        remove_beginning(response.headers_mut(), "access-control-allow-");
    }
    let occupied = Occupied::new(place, run.map(|run| run.run), answered);
    Ok(response.map(|body| match body {
        Either::Left(body) => passed(body, occupied),
        Either::Right(body) => Either::Right(body),
    }))
}

/// Sends a request whose server answers itself.
async fn exchange(
    target: &Target,
    request: Request<upstream::Body>,
) -> Result<Response<upstream::Incoming>, Failure> {
    if target.deferrable {
        // The layer ends it at its deadline.
        return Ok(target.client.send(request).await?);
    }
    let limits = Limits {
        upload: target.upload_timeout,
        response: target.route.upstream.response_timeout,
    };
    Box::pin(send_within(target, request, limits)).await
}

/// Waits for a result, and meanwhile for the place of its job, which is at the server already.
async fn beside<P, T>(place: impl Future<Output = P>, result: impl Future<Output = T>) -> T {
    let holding = async {
        let _place = place.await;
        pending::<Infallible>().await
    };
    tokio::select! {
        biased;
        result = result => result,
        never = holding => match never {},
    }
}

/// A run whose progress the server may report.
struct Reported {
    run: Run,
    /// The server may deliver the result later.
    party: Option<Party>,
}

/// Begins a run whose progress the server may report, if the request can become a job. Returns it with
/// its URLs.
fn run(target: &Target, extensions: &Extensions, runs: &Runs) -> Option<(Reported, Urls)> {
    let reach = target.progress.as_ref().filter(|_| target.deferrable)?;
    let job = extensions.get::<JobContext>()?;
    let deadline = extensions.get::<Facts>().and_then(|facts| facts.deadline);
    let run = runs.begin(job.clone(), deadline);
    let (party, urls) = match reach {
        Reach::Url(base) if target.route.result_later => {
            let party = run.party(target.route.result_timeout);
            let (progress, result) = party.urls(base);
            let result = Some(result);
            (Some(party), Urls { progress, result })
        }
        reach => {
            let (progress, result) = (run.url(reach), None);
            (None, Urls { progress, result })
        }
    };
    Some((Reported { run, party }, urls))
}

/// Waits for a place in the queue of a server.
async fn place(
    queue: &Queue,
    target: Option<&Target>,
    principal: Option<&Principal>,
) -> Result<Place, Failure> {
    let entering = queue.enter(principal.map(Principal::as_str));
    let limit = target.filter(|target| !target.deferrable);
    let entered = match limit.map(|target| target.route.upstream.response_timeout) {
        // The layer ends it at its deadline.
        None => entering.await,
        Some(limit) => timeout(limit, entering).await.unwrap_or(Err(Full)),
    };
    Ok(entered?)
}

/// Sends a request whose head of a response has limits.
async fn send_within(
    target: &Target,
    request: Request<upstream::Body>,
    limits: Limits,
) -> Result<Response<upstream::Incoming>, Failure> {
    let (head, body) = request.into_parts();
    let (watch, upload) = Watch::over(body);
    let request = Request::from_parts(head, UnsyncBoxBody::new(upload));
    tokio::select! {
        biased;
        response = target.client.send(request) => Ok(response?),
        failure = watch.exceeded(limits) => Err(failure),
    }
}
