use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::streams::StreamPlace;

pin_project! {
    /// The body of a response that has passed [`AsyncJobLayer`]: the handler's own, or one that the
    /// layer wrote (a status document, a problem, a replayed result).
    ///
    /// ```
    /// use http_body::Body;
    /// use http_body_util::Full;
    /// use tower_async_job::ResponseBody;
    ///
    /// let body = ResponseBody::inner(Full::new(bytes::Bytes::from("hello")));
    /// assert_eq!(body.size_hint().exact(), Some(5));
    /// ```
    ///
    /// [`AsyncJobLayer`]: crate::AsyncJobLayer
    #[derive(Debug)]
    #[must_use = "bodies do nothing unless polled"]
    pub struct ResponseBody<R> {
        #[pin]
        kind: Kind<R>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = KindProjection]
    enum Kind<R> {
        Inner { #[pin] body: R, place: Option<StreamPlace> },
        Stored { #[pin] body: StoredBody },
    }
}

impl<R> ResponseBody<R> {
    /// Passes a handler's body on as it is.
    pub fn inner(body: R) -> Self {
        Self {
            kind: Kind::Inner { body, place: None },
        }
    }

    /// Passes on the body of an answer that does not end by itself, with its place.
    pub(crate) fn stream(body: R, place: StreamPlace) -> Self {
        Self {
            kind: Kind::Inner {
                body,
                place: Some(place),
            },
        }
    }
}

impl<R> From<StoredBody> for ResponseBody<R> {
    fn from(body: StoredBody) -> Self {
        Self {
            kind: Kind::Stored { body },
        }
    }
}

impl<R: Body<Data = Bytes>> Body for ResponseBody<R> {
    type Data = Bytes;
    type Error = R::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, R::Error>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body, .. } => body.poll_frame(cx),
            KindProjection::Stored { body } => body
                .poll_frame(cx)
                .map(|frame| frame.map(|frame| frame.map_err(|never| match never {}))),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Inner { body, .. } => body.is_end_stream(),
            Kind::Stored { body } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Inner { body, .. } => body.size_hint(),
            Kind::Stored { body } => body.size_hint(),
        }
    }
}

impl<R: Default> Default for ResponseBody<R> {
    fn default() -> Self {
        Self::inner(R::default())
    }
}

/// A body that the layer has whole in memory, with trailers where the handler sent some.
///
/// ```
/// use http_body::Body;
/// use tower_async_job::StoredBody;
///
/// assert!(StoredBody::default().is_end_stream());
/// assert_eq!(StoredBody::from("hello").size_hint().exact(), Some(5));
/// ```
#[derive(Debug, Default, Clone)]
#[must_use = "bodies do nothing unless polled"]
pub struct StoredBody {
    data: Bytes,
    /// Few have any, and all are moved often.
    trailers: Option<Box<HeaderMap>>,
}

impl StoredBody {
    pub(crate) fn with_trailers(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            data,
            trailers: trailers.map(Box::new),
        }
    }
}

impl<T: Into<Bytes>> From<T> for StoredBody {
    fn from(data: T) -> Self {
        Self {
            data: data.into(),
            trailers: None,
        }
    }
}

impl Body for StoredBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if !self.data.is_empty() {
            let data = std::mem::take(&mut self.data);
            return Poll::Ready(Some(Ok(Frame::data(data))));
        }
        Poll::Ready(self.trailers.take().map(|map| Ok(Frame::trailers(*map))))
    }

    fn is_end_stream(&self) -> bool {
        self.data.is_empty() && self.trailers.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.data.len() as u64;
        if self.trailers.is_none() {
            return SizeHint::with_exact(length);
        }
        // An exact length would make HTTP/1 send Content-Length, which leaves no room for
        // trailers (RFC 9112, section 7.1.2).
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}
