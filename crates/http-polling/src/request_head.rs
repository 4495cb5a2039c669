//! The part of a request that predicates see.

use http::{Extensions, HeaderMap, Method, Request, Uri};

use crate::content_type::is_grpc;

/// A borrowed request without its body.
///
/// It is the argument of predicates, such as the one that selects the requests
/// to defer.
///
/// ```
/// use http::{Method, Request};
/// use http_polling::RequestHead;
///
/// fn is_report(request: RequestHead<'_>) -> bool {
///     *request.method == Method::POST && request.uri.path().starts_with("/report")
/// }
///
/// let request = Request::post("/report/7").body("year=2031").unwrap();
/// assert!(is_report(RequestHead::of(&request)));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct RequestHead<'a> {
    /// The request's method.
    pub method: &'a Method,
    /// The request's target.
    pub uri: &'a Uri,
    /// The request's header fields.
    pub headers: &'a HeaderMap,
    /// The extensions that other layers attached to the request.
    pub extensions: &'a Extensions,
}

impl<'a> RequestHead<'a> {
    /// Borrows the head of `request`.
    ///
    /// ```
    /// use http::Request;
    /// use http_polling::RequestHead;
    ///
    /// let request = Request::new(());
    /// assert_eq!(RequestHead::of(&request).uri, "/");
    /// ```
    #[must_use]
    pub fn of<B>(request: &'a Request<B>) -> Self {
        Self {
            method: request.method(),
            uri: request.uri(),
            headers: request.headers(),
            extensions: request.extensions(),
        }
    }

    /// Returns whether the request is a gRPC call, as defined by [`is_grpc`].
    #[must_use]
    pub fn is_grpc(&self) -> bool {
        is_grpc(self.headers)
    }
}
