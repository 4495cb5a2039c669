//! The bounds of wrapped services and of bodies, in one word each.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower::{BoxError, Service};

use crate::body::JobBody;

/// The body of a request.
pub(crate) trait RequestBody: Body<Data: Send, Error: Send> + Send + 'static {}

impl<B> RequestBody for B where B: Body<Data: Send, Error: Send> + Send + 'static {}

/// The body of a handler's response.
pub(crate) trait HandlerBody:
    Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static
{
}

impl<R> HandlerBody for R where R: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static {}

/// A service that calls the handler.
pub(crate) trait HandlerService<B: Body, R>:
    Service<
        Request<JobBody<B>>,
        Response = Response<R>,
        Error: Into<BoxError> + Send + 'static,
        Future: Send,
    > + Send
    + 'static
{
}

impl<S, B: Body, R> HandlerService<B, R> for S where
    S: Service<
            Request<JobBody<B>>,
            Response = Response<R>,
            Error: Into<BoxError> + Send + 'static,
            Future: Send,
        > + Send
        + 'static
{
}
