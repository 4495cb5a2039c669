//! The handler's call as a future that can move from the connection to a task.

use std::{
    marker::PhantomData,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::Service;
use tower_async_job_core::{Principal, Release};

use crate::{
    body::{JobBody, Spool, SpoolRoom},
    bounds::RequestBody,
    node::capacity::Admission,
    panics::{self, Payload, drop_quietly},
};

/// A call in progress: it waits for its place, then for the service to be ready, then for the
/// response.
pub(crate) trait Work: Future + Send {
    /// Returns whether it still waits for its place.
    fn is_queued(&self) -> bool;

    /// Returns its place, if requests are limited.
    fn admission(self: Pin<&mut Self>) -> Option<&mut Admission>;
    /// Takes its place without releasing it.
    fn take_place(self: Pin<&mut Self>) -> Option<Box<Admission>>;
}

/// A call's work, which can move between tasks. Its destructor may panic without harm, even during
/// unwinding.
pub(crate) struct BoxWork<R, E>(Option<Pin<Box<DynWork<R, E>>>>);

type DynWork<R, E> = dyn Work<Output = Result<Response<R>, E>>;

impl<R, E> BoxWork<R, E> {
    fn new(work: impl Work<Output = Result<Response<R>, E>> + 'static) -> Self {
        Self(Some(Box::pin(work)))
    }

    /// Returns the work of a call that is answered already.
    pub(crate) fn answered(response: Response<R>) -> Self
    where
        R: Send + 'static,
        E: 'static,
    {
        Self::new(Ended {
            admission: None,
            response: Some(Box::new(response)),
            error: PhantomData::<fn() -> E>,
        })
    }

    pub(crate) fn is_queued(&self) -> bool {
        self.0.as_ref().is_some_and(|work| work.is_queued())
    }

    /// Returns its place, if requests are limited.
    pub(crate) fn admission(&mut self) -> Option<&mut Admission> {
        self.0.as_mut()?.as_mut().admission()
    }

    /// Drives the work, and drops it at its end. Its panics propagate.
    #[inline(always)]
    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<R>, E>> {
        let work = self.0.as_mut().expect("polled after completion");
        let result = work.as_mut().poll(cx);
        if result.is_ready() {
            self.0 = None;
        }
        result
    }

    /// Drives the work; `Err` is the payload of its panic.
    pub(crate) fn poll_catching(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Result<Response<R>, E>, Payload>> {
        let work = self.0.as_mut().expect("polled after completion");
        panics::poll_catching(work, cx)
    }

    /// Replaces work that has ended by its response, to be had once more.
    pub(crate) fn end_with(&mut self, response: Response<R>)
    where
        R: Send + 'static,
        E: 'static,
    {
        let admission = self.take_place();
        *self = Self::new(Ended {
            admission,
            response: Some(Box::new(response)),
            error: PhantomData::<fn() -> E>,
        });
    }

    /// Takes its place without releasing it, for the work after the response.
    pub(crate) fn take_place(&mut self) -> Option<Box<Admission>> {
        self.0.as_mut()?.as_mut().take_place()
    }
}

impl<R, E> Drop for BoxWork<R, E> {
    fn drop(&mut self) {
        if let Some(work) = self.0.take() {
            drop_quietly(work);
        }
    }
}

/// Work that has ended already.
struct Ended<R, E> {
    admission: Option<Box<Admission>>,
    response: Option<Box<Response<R>>>,
    error: PhantomData<fn() -> E>,
}

impl<R, E> Future for Ended<R, E> {
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        let response = self.response.take().expect("polled after completion");
        Poll::Ready(Ok(*response))
    }
}

impl<R: Send, E> Work for Ended<R, E> {
    fn is_queued(&self) -> bool {
        false
    }

    fn admission(self: Pin<&mut Self>) -> Option<&mut Admission> {
        self.get_mut().admission.as_deref_mut()
    }

    fn take_place(self: Pin<&mut Self>) -> Option<Box<Admission>> {
        self.get_mut().admission.take()
    }
}

pub(crate) struct NewCall<S, B> {
    pub(crate) service: S,
    pub(crate) request: Request<B>,
    pub(crate) admission: Option<Box<Admission>>,
}

impl<S, B, R> NewCall<S, B>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: RequestBody,
{
    /// Begins the call. If the service is ready, this takes one allocation, for the service's
    /// future. Without room, its body is neither spooled nor watched.
    #[inline]
    pub(crate) fn begin(
        self,
        cx: &mut Context<'_>,
        room: Option<&Arc<SpoolRoom>>,
        principal: Option<&Principal>,
    ) -> (BoxWork<R, S::Error>, Option<Spool<B>>) {
        let mut spool = None;
        let request = self.request.map(|body| {
            let Some(room) = room else {
                return JobBody::new(body);
            };
            let (body, rest) = JobBody::spooling(body, room, principal);
            spool = rest;
            body
        });
        let (service, admission) = (self.service, self.admission);
        let call = match &admission {
            Some(admission) if admission.is_queued() => Call::Waiting { service, request },
            _ => Call::new(service, request, cx),
        };
        let work = match call {
            Call::Called { response } => BoxWork::new(Admitted {
                admission,
                call: response,
            }),
            call => BoxWork::new(Admitted { admission, call }),
        };
        (work, spool)
    }

    /// Returns the call as work that begins when first polled.
    pub(crate) fn put_off(self) -> BoxWork<R, S::Error> {
        put_off(self.service, self.request.map(JobBody::new), self.admission)
    }
}

/// Returns a call as work that begins when first polled.
pub(crate) fn put_off<S, B, R>(
    service: S,
    request: Request<JobBody<B>>,
    admission: Option<Box<Admission>>,
) -> BoxWork<R, S::Error>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: RequestBody,
{
    BoxWork::new(Admitted {
        admission,
        call: Call::Waiting { service, request },
    })
}

pin_project! {
    /// A call of a service once it is ready. Unlike tower's `Oneshot`, it minimises moves of the
    /// request, which is large.
    #[project = CallProjection]
    #[project_replace = CallReplaced]
    pub(crate) enum Call<S, B>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        Waiting { service: S, request: Request<JobBody<B>> },
        Called { #[pin] response: S::Future },
        Ended { error: Option<S::Error> },
    }
}

impl<S, B> Call<S, B>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    /// Calls the service immediately if it is ready; otherwise polls its readiness later.
    #[inline]
    pub(crate) fn new(mut service: S, request: Request<JobBody<B>>, cx: &mut Context<'_>) -> Self {
        match service.poll_ready(cx) {
            Poll::Ready(Ok(())) => Self::Called {
                response: service.call(request),
            },
            Poll::Ready(Err(error)) => Self::Ended { error: Some(error) },
            Poll::Pending => Self::Waiting { service, request },
        }
    }
}

impl<S, B> Future for Call<S, B>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    type Output = Result<S::Response, S::Error>;

    #[inline(always)]
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        loop {
            match self.as_mut().project() {
                CallProjection::Called { response } => return response.poll(cx),
                CallProjection::Waiting { service, .. } => ready!(service.poll_ready(cx))?,
                CallProjection::Ended { error } => {
                    return Poll::Ready(Err(error.take().expect("polled after completion")));
                }
            }
            let ended = Self::Ended { error: None };
            if let CallReplaced::Waiting {
                mut service,
                request,
            } = self.as_mut().project_replace(ended)
            {
                let response = service.call(request);
                self.set(Self::Called { response });
            }
        }
    }
}

pin_project! {
    /// A call that has its place, or waits for it.
    struct Admitted<F> {
        admission: Option<Box<Admission>>,
        #[pin]
        call: F,
    }
}

impl<F: Future> Future for Admitted<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(admission) = this.admission {
            ready!(admission.poll_run(cx));
        }
        this.call.poll(cx)
    }
}

impl<F: Future + Send> Work for Admitted<F> {
    fn is_queued(&self) -> bool {
        self.admission.as_deref().is_some_and(Admission::is_queued)
    }

    fn admission(self: Pin<&mut Self>) -> Option<&mut Admission> {
        self.project().admission.as_deref_mut()
    }

    fn take_place(self: Pin<&mut Self>) -> Option<Box<Admission>> {
        self.project().admission.take()
    }
}

/// Returns whether a response releases its job: to the workers, if its request is kept, or to an outside
/// party.
pub(crate) fn is_release<R>(response: &Response<R>, is_kept: bool) -> bool {
    let release = response.extensions().get::<Release>();
    release.is_some_and(|release| is_kept || release.outside.is_some())
}
