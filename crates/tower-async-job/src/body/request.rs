use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use super::queue::{Queue, SpoolRoom};

pin_project! {
    /// The request body that a handler beneath [`AsyncJobLayer`] reads.
    ///
    /// It yields the frames of the client's body `B` as they arrive, with the same data, trailers
    /// and errors. If the request becomes a job while the upload is still under way, the rest of
    /// the upload is spooled in memory and read from there; the handler cannot tell.
    ///
    /// Axum's routes and tonic's services take any body, so they need no conversion. Elsewhere the
    /// type is named once, in the handler's signature:
    ///
    /// ```
    /// use http::{Request, Response};
    /// use http_body_util::{BodyExt, Full};
    /// use tower_async_job::JobBody;
    ///
    /// async fn echo<B>(request: Request<JobBody<B>>) -> Result<Response<Full<bytes::Bytes>>, B::Error>
    /// where
    ///     B: http_body::Body<Data = bytes::Bytes>,
    /// {
    ///     let body = request.into_body().collect().await?.to_bytes();
    ///     Ok(Response::new(Full::new(body)))
    /// }
    /// ```
    ///
    /// [`AsyncJobLayer`]: crate::AsyncJobLayer
    #[must_use = "bodies do nothing unless polled"]
    pub struct JobBody<B>
    where
        B: Body,
    {
        #[pin]
        kind: Kind<B>,
    }
}

pin_project! {
    #[project = KindProjection]
    enum Kind<B>
    where
        B: Body,
    {
        Direct { #[pin] body: B },
        Shared { reader: Reader<B> },
    }
}

impl<B: Body> JobBody<B> {
    /// Wraps a body that never needs spooling: the request cannot become a job, or has ended.
    ///
    /// ```
    /// use http_body_util::Empty;
    /// use tower_async_job::JobBody;
    ///
    /// let body = JobBody::new(Empty::<bytes::Bytes>::new());
    /// assert!(http_body::Body::is_end_stream(&body));
    /// ```
    pub fn new(body: B) -> Self {
        Self {
            kind: Kind::Direct { body },
        }
    }

    /// Splits a body into what the handler reads and what the layer spools it with.
    pub(crate) fn spooling(body: B, room: &Arc<SpoolRoom>) -> (Self, Option<Spool<B>>) {
        if body.is_end_stream() {
            return (Self::new(body), None);
        }
        let source = Arc::new(Mutex::new(Source {
            body: Box::pin(body),
            queue: Queue::new(room.clone()),
            end: None,
            spooling: false,
            abandoned: false,
            reader: None,
        }));
        let reader = Reader {
            source: source.clone(),
        };
        let body = Self {
            kind: Kind::Shared { reader },
        };
        (body, Some(Spool { source }))
    }
}

impl<B: Body> Body for JobBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().kind.project() {
            KindProjection::Direct { body } => body.poll_frame(cx),
            KindProjection::Shared { reader } => lock(&reader.source).poll_read(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.kind {
            Kind::Direct { body } => body.is_end_stream(),
            Kind::Shared { reader } => lock(&reader.source).is_drained(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Direct { body } => body.size_hint(),
            Kind::Shared { reader } => lock(&reader.source).size_hint(),
        }
    }
}

impl<B: Body + Default> Default for JobBody<B> {
    fn default() -> Self {
        Self::new(B::default())
    }
}

impl<B: Body> fmt::Debug for JobBody<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobBody").finish_non_exhaustive()
    }
}

/// The handler's end of a shared body.
struct Reader<B: Body> {
    source: Arc<Mutex<Source<B>>>,
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut source = lock(&self.source);
        source.abandoned = true;
        source.queue.clear();
    }
}

/// The layer's end of a shared body: reads the upload to its end once the handler is deferred.
pub(crate) struct Spool<B: Body> {
    source: Arc<Mutex<Source<B>>>,
}

/// How spooling ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spooled {
    /// The whole upload has been read.
    Complete,
    /// More than the limit is unread; the handler reads the live body again.
    TooLarge,
    /// The uploads of all requests together take all room; the handler reads the live body again.
    NoRoom,
    /// The upload broke; the handler sees the error.
    Failed,
}

/// Where spooling ends early, because the handler has answered or the client has gone, the handler
/// reads the live body again.
impl<B: Body> Drop for Spool<B> {
    fn drop(&mut self) {
        lock(&self.source).stop_spooling();
    }
}

impl<B: Body> Spool<B> {
    /// Shows what has been spooled and not been read yet, and says whether all of it.
    pub(crate) fn each_chunk(&self, see: impl FnMut(&[u8])) -> bool {
        lock(&self.source).queue.each_chunk(see)
    }

    /// Reads on until the end of the upload, keeping at most `limit` bytes for the handler.
    ///
    /// `advanced` is set when a frame has come.
    pub(crate) fn poll(
        &self,
        cx: &mut Context<'_>,
        limit: usize,
        advanced: &mut bool,
    ) -> Poll<Spooled> {
        let mut source = lock(&self.source);
        source.spooling = true;
        let spooled = loop {
            match &source.end {
                Some(End::Complete) => break Spooled::Complete,
                Some(End::Failed(_)) => break Spooled::Failed,
                None if source.queue.is_over(limit) => {
                    source.stop_spooling();
                    break Spooled::TooLarge;
                }
                None if source.queue.is_without_room() => {
                    source.stop_spooling();
                    break Spooled::NoRoom;
                }
                None => {}
            }
            match source.poll_body(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => {
                    *advanced = true;
                    if let Some(frame) = frame
                        && !source.abandoned
                    {
                        source.queue.push(frame);
                    }
                    source.wake_reader();
                }
            }
        };
        source.wake_reader();
        Poll::Ready(spooled)
    }
}

struct Source<B: Body> {
    body: Pin<Box<B>>,
    queue: Queue<B::Data>,
    end: Option<End<B::Error>>,
    /// Only the spool polls the body while this is set; the reader waits for the queue.
    spooling: bool,
    /// The handler has dropped its end: nothing needs to be kept.
    abandoned: bool,
    reader: Option<Waker>,
}

enum End<E> {
    Complete,
    /// The error until the reader has taken it.
    Failed(Option<E>),
}

type PollFrame<B> = Poll<Option<Result<Frame<<B as Body>::Data>, <B as Body>::Error>>>;

impl<B: Body> Source<B> {
    fn poll_read(&mut self, cx: &mut Context<'_>) -> PollFrame<B> {
        loop {
            if let Some(frame) = self.queue.pop() {
                return Poll::Ready(Some(Ok(frame)));
            }
            match &mut self.end {
                Some(End::Complete) => return Poll::Ready(None),
                Some(End::Failed(error)) => return Poll::Ready(error.take().map(Err)),
                None if self.spooling => {
                    self.reader = Some(cx.waker().clone());
                    return Poll::Pending;
                }
                None => match self.poll_body(cx) {
                    Poll::Pending => {
                        self.reader = Some(cx.waker().clone());
                        return Poll::Pending;
                    }
                    Poll::Ready(Some(frame)) => return Poll::Ready(Some(Ok(frame))),
                    Poll::Ready(None) => {}
                },
            }
        }
    }

    /// The next frame of the live body; `None` when it has ended, `self.end` then says how.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<B::Data>>> {
        match self.body.as_mut().poll_frame(cx) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(frame))) => Poll::Ready(Some(frame)),
            Poll::Ready(Some(Err(error))) => {
                self.end = Some(End::Failed(Some(error)));
                Poll::Ready(None)
            }
            Poll::Ready(None) => {
                self.end = Some(End::Complete);
                Poll::Ready(None)
            }
        }
    }

    fn is_drained(&self) -> bool {
        self.queue.is_empty()
            && match &self.end {
                Some(End::Complete) => true,
                Some(End::Failed(_)) => false,
                None => self.body.is_end_stream(),
            }
    }

    fn size_hint(&self) -> SizeHint {
        let rest = match self.end {
            None => self.body.size_hint(),
            Some(_) => SizeHint::with_exact(0),
        };
        let queued = self.queue.bytes() as u64;
        let mut hint = SizeHint::new();
        hint.set_lower(rest.lower().saturating_add(queued));
        if let Some(upper) = rest.upper() {
            hint.set_upper(upper.saturating_add(queued));
        }
        hint
    }

    fn stop_spooling(&mut self) {
        self.spooling = false;
        self.wake_reader();
    }

    fn wake_reader(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.wake();
        }
    }
}

// A panicking body leaves the source whole: every field is written in one step.
fn lock<B: Body>(source: &Mutex<Source<B>>) -> MutexGuard<'_, Source<B>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
