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
    /// The body of a response of [`AsyncJobLayer`]: the handler's own, or one of the layer (a
    /// status document, a problem, a replayed result).
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
    /// Wraps a handler's body.
    pub fn inner(body: R) -> Self {
        Self {
            kind: Kind::Inner {
                body,
                context: None,
                place: None,
            },
        }
    }

    /// Wraps a handler's body. Dropping it cancels the handler's context, and releases the place of
    /// an open-ended stream.
    pub(crate) fn of_handler(
        body: R,
        context: Option<HandlerContext>,
        place: Option<StreamPlace>,
    ) -> Self {
        // Usually no clone of the context exists that could observe the end.
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

/// A body held in memory, with trailers if the handler sent some.
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
    /// Boxed, since few have any and all are moved often.
    trailers: Option<Box<HeaderMap>>,
    /// Completed when all is read.
    delivery: Option<Delivery>,
}

/// The maximum bytes of a frame. A connection requests a frame once it has sent the previous one,
/// so only the end of a large body is unsent when its last frame is requested.
const FRAME: usize = 64 << 10;

impl StoredBody {
    pub(crate) fn with_trailers(data: Bytes, trailers: Option<HeaderMap>) -> Self {
        Self {
            data,
            trailers: trailers.map(Box::new),
            delivery: None,
        }
    }

    /// Sets the delivery that is completed when the body has been read to its end.
    #[inline]
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        if self.is_end_stream() {
            // An empty body is read with its head.
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
        // With an exact length, HTTP/1 would send Content-Length, which excludes trailers (RFC
        // 9112, section 7.1.2).
        let mut hint = SizeHint::new();
        hint.set_lower(length);
        hint
    }
}
