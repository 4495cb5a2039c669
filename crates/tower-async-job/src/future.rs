use std::{
    fmt,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use pin_project_lite::pin_project;
use tower::{BoxError, Service};

use crate::{
    answer::Answer,
    body::{JobBody, ResponseBody, StoredBody},
    call::inline::Inline,
    node::front::Front,
    resource::{request::ResourceRequest, service},
    run::work::Call,
};

pin_project! {
    /// The response future of [`AsyncJob`](crate::AsyncJob).
    ///
    /// Dropping it before it is ready drops the handler's future too, or detaches it if
    /// [`OnDisconnect::Detach`](crate::OnDisconnect) is set. An accepted job no longer depends on
    /// it.
    ///
    /// ```
    /// use http_body_util::Empty;
    /// use tower::{Layer, Service};
    /// use tower_async_job::{AsyncJobLayer, JobBody, ResponseFuture};
    ///
    /// # type Body = Empty<bytes::Bytes>;
    /// # async fn handle(_: http::Request<JobBody<Body>>)
    /// # -> Result<http::Response<Body>, std::convert::Infallible> { unimplemented!() }
    /// # fn call(request: http::Request<Body>) {
    /// let mut service = AsyncJobLayer::new().layer(tower::service_fn(handle));
    /// let response: ResponseFuture<_, _, Body> = service.call(request);
    /// # drop(response);
    /// # }
    /// ```
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        #[pin]
        state: State<S, B, R>,
    }
}

pin_project! {
    #[project = StateProjection]
    enum State<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        Bypass { #[pin] response: Call<S, B> },
        Inline { #[pin] response: Inline<S, B, R> },
        Resource { asked: Option<(Arc<Front>, ResourceRequest)> },
        Answer { answer: Answer },
        Refused { response: Option<Response<StoredBody>> },
    }
}

impl<S, B, R> ResponseFuture<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    pub(crate) fn bypass(response: Call<S, B>) -> Self {
        Self {
            state: State::Bypass { response },
        }
    }

    pub(crate) fn inline(response: Inline<S, B, R>) -> Self {
        Self {
            state: State::Inline { response },
        }
    }

    pub(crate) fn resource(front: Arc<Front>, request: ResourceRequest) -> Self {
        Self {
            state: State::Resource {
                asked: Some((front, request)),
            },
        }
    }

    pub(crate) fn answer(answer: Answer) -> Self {
        Self {
            state: State::Answer { answer },
        }
    }

    pub(crate) fn refused(response: Response<StoredBody>) -> Self {
        Self {
            state: State::Refused {
                response: Some(response),
            },
        }
    }
}

impl<S, B, R> Future for ResponseFuture<S, B, R>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    #[inline]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.project().state;
        loop {
            let response = match state.as_mut().project() {
                StateProjection::Bypass { response } => {
                    let response = ready!(response.poll(cx))?;
                    return Poll::Ready(Ok(response.map(ResponseBody::new)));
                }
                StateProjection::Inline { response } => return response.poll(cx),
                StateProjection::Resource { asked } => {
                    let (front, request) = asked.take().expect("polled after completion");
                    match service::respond(&front, request) {
                        Ok(response) => response,
                        Err(answer) => {
                            state.set(State::Answer { answer });
                            continue;
                        }
                    }
                }
                StateProjection::Answer { answer } => ready!(service::poll_answer(answer, cx)),
                StateProjection::Refused { response } => {
                    response.take().expect("polled after completion")
                }
            };
            return Poll::Ready(Ok(response.map(ResponseBody::from)));
        }
    }
}

impl<S, B, R> fmt::Debug for ResponseFuture<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
