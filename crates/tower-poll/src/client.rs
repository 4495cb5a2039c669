//! The bounds of the services that the layer calls.

use http::{Request, Response};
use tower::{BoxError, Service};

/// A cloneable service from requests with body `B` to responses with body
/// `R`, with any error that converts to a [`BoxError`]. Every such service is
/// one.
pub trait Client<B, R>:
    Service<Request<B>, Response = Response<R>, Error: Into<BoxError>> + Clone
{
}

impl<S, B, R> Client<B, R> for S
where
    S: Service<Request<B>, Response = Response<R>> + Clone,
    S::Error: Into<BoxError>,
{
}
