use std::{
    future::poll_fn,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tower::BoxError;
use tower_async_job_core::{JobHandle, JobStore, ResultRef, StoreError};

use crate::{
    body::{
        chunks::Chunks,
        delivery::Delivery,
        error::BodyError,
        live::{Live, Source},
    },
    context::handler::HandlerContext,
    stream_place::StreamPlace,
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
    /// let body = ResponseBody::new(Full::new(bytes::Bytes::from("hello")));
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
    pub fn new(body: R) -> Self {
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

impl<R> Body for ResponseBody<R>
where
    R: Body<Data = Bytes>,
    R::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.project().kind.project() {
            KindProjection::Inner { body, .. } => body
                .poll_frame(cx)
                .map_err(|error| BodyError::Inner(error.into())),
            KindProjection::Stored { body } => body.poll_frame(cx).map_err(BodyError::Store),
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
        Self::new(R::default())
    }
}

/// A body of the layer, or of a stored result, with trailers if the handler sent some.
///
/// A body fails only if a result that is stored in [chunks](crate::store::StoreProperties::chunk)
/// cannot be read. A clone of the body of a job's [events](crate::Builder::events) is empty, since
/// only one place is taken for them.
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
    data: Data,
    /// Boxed, since few have any and all are moved often.
    trailers: Option<Box<HeaderMap>>,
    /// Completed when all is read, or broken off.
    delivery: Option<Delivery>,
}

#[derive(Debug, Clone)]
enum Data {
    Whole(Bytes),
    InParts(Box<Parts>),
}

/// The sources of a body that is not in memory.
#[derive(Debug)]
enum Parts {
    Chunks(Chunks),
    Live(Live),
}

/// The maximum bytes of a frame. A connection requests a frame once it has sent the previous one,
/// so only the end of a large body is unsent when its last frame is requested.
const FRAME: usize = 64 << 10;

impl StoredBody {
    /// Returns the body of a result that is read from its store in chunks.
    pub(crate) fn in_chunks(
        store: Arc<dyn JobStore>,
        result: ResultRef,
        handle: JobHandle,
    ) -> Self {
        Self::in_parts(Parts::Chunks(Chunks::new(store, result, handle)))
    }

    /// Returns a body of unknown length that is made while it is sent, with its first part.
    pub(crate) fn live(first: Bytes, source: Box<dyn Source>) -> Self {
        Self::in_parts(Parts::Live(Live::new(first, source)))
    }

    fn in_parts(parts: Parts) -> Self {
        Self {
            data: Data::InParts(Box::new(parts)),
            trailers: None,
            delivery: None,
        }
    }

    pub(crate) fn with_trailers(mut self, trailers: Option<HeaderMap>) -> Self {
        self.trailers = trailers.map(Box::new);
        self
    }

    /// Keeps only the bytes from one position to another, both of which it has.
    pub(crate) fn keep(&mut self, first: u64, last: u64) {
        match &mut self.data {
            // Bytes in memory have positions of this size.
            Data::Whole(data) => *data = data.slice(first as usize..=last as usize),
            Data::InParts(parts) => parts.keep(first, last),
        }
    }

    /// Returns whether its first part has to be [read](Self::open).
    #[inline]
    pub(crate) fn is_closed(&self) -> bool {
        matches!(&self.data, Data::InParts(parts) if matches!(**parts, Parts::Chunks(_)))
    }

    /// Reads the first part of a body in chunks, so that one that cannot be read is known before its
    /// head is sent.
    pub(crate) async fn open(&mut self) -> Result<(), StoreError> {
        match &mut self.data {
            Data::InParts(parts) if matches!(**parts, Parts::Chunks(_)) => {
                poll_fn(|cx| parts.poll(cx).map_ok(drop)).await
            }
            _ => Ok(()),
        }
    }

    /// Sets the delivery that is completed when the body has been read to its end.
    #[inline]
    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        if self.is_end_stream() {
            // An empty body is read with its head.
            delivery.complete();
        } else {
            self.delivery = Some(delivery.of(self.len().unwrap_or(0)));
        }
    }

    /// Returns the length of the rest; `None` while the body is live.
    #[inline]
    fn len(&self) -> Option<u64> {
        match &self.data {
            Data::Whole(data) => Some(data.len() as u64),
            Data::InParts(parts) => parts.len(),
        }
    }

    #[inline]
    fn poll_next(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, StoreError>> {
        let data = match &mut self.data {
            Data::Whole(data) => data,
            Data::InParts(parts) => ready!(parts.poll(cx))?,
        };
        Poll::Ready(Ok(if data.is_empty() {
            self.trailers.take().map(|map| Frame::trailers(*map))
        } else if data.len() > FRAME {
            Some(Frame::data(data.split_to(FRAME)))
        } else {
            Some(Frame::data(mem::take(data)))
        }))
    }
}

impl Parts {
    fn keep(&mut self, first: u64, last: u64) {
        if let Self::Chunks(chunks) = self {
            chunks.keep(first, last);
        }
    }

    /// Returns the length of the rest, if it is known.
    fn len(&self) -> Option<u64> {
        match self {
            Self::Chunks(chunks) => Some(chunks.len()),
            Self::Live(live) => live.is_over().then_some(0),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<&mut Bytes, StoreError>> {
        match self {
            Self::Chunks(chunks) => chunks.poll(cx),
            Self::Live(live) => live.poll(cx).map(Ok),
        }
    }
}

impl Clone for Parts {
    fn clone(&self) -> Self {
        match self {
            Self::Chunks(chunks) => Self::Chunks(chunks.clone()),
            Self::Live(_) => Self::Live(Live::default()),
        }
    }
}

impl<T: Into<Bytes>> From<T> for StoredBody {
    fn from(data: T) -> Self {
        Self {
            data: Data::Whole(data.into()),
            trailers: None,
            delivery: None,
        }
    }
}

impl Drop for StoredBody {
    #[inline]
    fn drop(&mut self) {
        if let Some(delivery) = self.delivery.take() {
            delivery.break_off(self.len().unwrap_or(0));
        }
    }
}

impl Default for Data {
    fn default() -> Self {
        Self::Whole(Bytes::new())
    }
}

impl Body for StoredBody {
    type Data = Bytes;
    type Error = StoreError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, StoreError>>> {
        let frame = ready!(self.poll_next(cx));
        if frame.is_err() {
            // It ends here and is not delivered.
            *self = Self::default();
        } else if self.is_end_stream()
            && let Some(delivery) = self.delivery.take()
        {
            delivery.complete();
        }
        Poll::Ready(frame.transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.trailers.is_none() && self.len() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        let Some(length) = self.len() else {
            return SizeHint::new();
        };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_make_no_other_body_larger() {
        assert_eq!(size_of::<Data>(), size_of::<Bytes>());
    }
}
