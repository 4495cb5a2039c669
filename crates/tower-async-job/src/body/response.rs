use std::{
    convert::Infallible,
    mem,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{
    body::delivery::Delivery, context::handler::HandlerContext, stream_place::StreamPlace,
};

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
        Inner { #[pin] body: R, context: Option<HandlerContext>, place: Option<StreamPlace> },
        Stored { #[pin] body: StoredBody },
    }
}

impl<R> ResponseBody<R> {
    /// Passes a handler's body on as it is.
    pub fn inner(body: R) -> Self {
        Self {
            kind: Kind::Inner {
                body,
                context: None,
                place: None,
            },
        }
    }

    /// Passes a handler's body on. Until it is dropped, the handler's context is not cancelled, and
    /// an answer that does not end by itself has its place.
    pub(crate) fn of_handler(
        body: R,
        context: Option<HandlerContext>,
        place: Option<StreamPlace>,
    ) -> Self {
        // Most often nothing has kept the context, and nothing is to be told of the end.
        let context = context.filter(|context| context.is_shared());
        Self {
            kind: Kind::Inner {
                body,
                context,
                place,
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
    /// Completed when all has been read.
    delivery: Option<Delivery>,
}

/// The most bytes of one frame. A connection asks for the next frame once the one before is on its
/// way, so all but the end of a large body has been sent when its last frame is asked for.
const FRAME: usize = 64 << 10;

impl StoredBody {
    pub(crate) fn with_trailers(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            data,
            trailers: trailers.map(Box::new),
            delivery: None,
        }
    }

    /// Has a delivery completed when the body has been read to its end.
    #[inline]
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        if self.is_end_stream() {
            // An empty body is read as soon as its head is.
            delivery.complete();
        } else {
            self.delivery = Some(delivery);
        }
    }

    #[inline]
    fn next_frame(&mut self) -> Option<Frame<Bytes>> {
        if self.data.is_empty() {
            return self.trailers.take().map(|map| Frame::trailers(*map));
        }
        let data = if self.data.len() > FRAME {
            self.data.split_to(FRAME)
        } else {
            mem::take(&mut self.data)
        };
        Some(Frame::data(data))
    }
}

impl<T: Into<Bytes>> From<T> for StoredBody {
    fn from(data: T) -> Self {
        Self {
            data: data.into(),
            trailers: None,
            delivery: None,
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
        let frame = self.next_frame();
        if self.is_end_stream()
            && let Some(delivery) = self.delivery.take()
        {
            delivery.complete();
        }
        Poll::Ready(frame.map(Ok))
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
