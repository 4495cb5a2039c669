//! The handler's call as one future that can be moved from the connection to a task.

use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};

use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{Service, util::Oneshot};

use crate::{body::JobBody, capacity::Admission};

/// A call in progress: waits for its place, then for the service to be ready, then for the
/// response.
pub(crate) trait Work: Future + Send {
    /// Whether it still waits for its place.
    fn is_queued(&self) -> bool;
}

pub(crate) type BoxWork<R, E> = Pin<Box<dyn Work<Output = Result<Response<R>, E>>>>;

pin_project! {
    pub(crate) struct Call<S, B>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        admission: Option<Admission>,
        #[pin]
        response: Oneshot<S, Request<JobBody<B>>>,
    }
}

impl<S, B> Call<S, B>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    pub(crate) fn new(
        service: S,
        request: Request<JobBody<B>>,
        admission: Option<Admission>,
    ) -> Self {
        Self {
            admission,
            response: Oneshot::new(service, request),
        }
    }
}

impl<S, B> Future for Call<S, B>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    type Output = Result<S::Response, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        if let Some(admission) = this.admission {
            ready!(admission.poll_run(cx));
        }
        this.response.poll(cx)
    }
}

impl<S, B> Work for Call<S, B>
where
    S: Service<Request<JobBody<B>>> + Send,
    S::Future: Send,
    B: Body + Send,
    B::Data: Send,
    B::Error: Send,
{
    fn is_queued(&self) -> bool {
        self.admission.as_ref().is_some_and(Admission::is_queued)
    }
}
