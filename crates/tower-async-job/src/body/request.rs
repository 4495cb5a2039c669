use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_async_job_core::Principal;

use super::{
    pace::Came,
    queue::{NoRoom, Queue, RoomOfCopy, SpoolRoom, length},
};
use crate::{config::limits::Pace, time::later};

pin_project! {
    /// The request body that a handler beneath [`AsyncJobLayer`] reads.
    ///
    /// It yields the frames of the client's body `B` as they arrive, with the same data, trailers
    /// and errors. If the request becomes a job during the upload, the rest is spooled in memory
    /// and read from there, transparently to the handler.
    ///
    /// Axum's routes and tonic's services accept any body, so they need no conversion. Otherwise
    /// the handler's signature names the type:
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
    /// Wraps a body that needs no spooling: the request cannot become a job, or has ended.
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

    /// Splits a body into the handler's part and the part with which the layer spools it.
    pub(crate) fn spooling(
        body: B,
        room: &Arc<SpoolRoom>,
        principal: Option<&Principal>,
    ) -> (Self, Option<Spool<B>>) {
        if body.is_end_stream() {
            return (Self::new(body), None);
        }
        let source = Arc::new(Mutex::new(Source {
            body: Box::pin(body),
            queue: Queue::new(room.clone(), principal.cloned()),
            came: Came::default(),
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

/// The shortest interval between checks of an upload without a waiting reader.
const LOOK: Duration = Duration::from_secs(1);

/// The handler's part of a shared body.
struct Reader<B: Body> {
    source: Arc<Mutex<Source<B>>>,
}

impl<B: Body> Drop for Reader<B> {
    fn drop(&mut self) {
        let mut source = lock(&self.source);
        source.abandoned = true;
        source.queue.clear();
        if !source.spooling {
            source.came.turned_away();
        }
    }
}

/// The layer's part of a shared body, which reads the upload to its end once the handler is
/// deferred.
pub(crate) struct Spool<B: Body> {
    source: Arc<Mutex<Source<B>>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spooled {
    /// The whole upload is read.
    Complete,
    /// More than the limit is unread; the handler continues with the live body.
    TooLarge,
    /// The uploads of all requests exceed the room; the handler continues with the live body.
    NoRoom,
    /// The principal's uploads exceed its room; the handler continues with the live body.
    OverQuota,
    /// The upload failed; the handler receives the error.
    Failed,
}

impl From<NoRoom> for Spooled {
    fn from(no_room: NoRoom) -> Self {
        match no_room {
            NoRoom::Overall => Self::NoRoom,
            NoRoom::Principal => Self::OverQuota,
        }
    }
}

/// If spooling ends early, because the handler has answered or the client has disconnected, the
/// handler continues with the live body.
impl<B: Body> Drop for Spool<B> {
    fn drop(&mut self) {
        lock(&self.source).stop_spooling();
    }
}

impl<B: Body> Spool<B> {
    /// Passes the spooled and unread data to `see`, and returns whether that was all.
    pub(crate) fn each_chunk(&self, see: impl FnMut(&[u8])) -> bool {
        lock(&self.source).queue.each_chunk(see)
    }

    /// Takes room for a copy of the spooled and unread data.
    pub(crate) fn take_for_copy(&self) -> Result<RoomOfCopy, Spooled> {
        let room = lock(&self.source).queue.take_for_copy();
        room.map_err(Spooled::from)
    }

    /// Returns the spooled and unread trailers.
    pub(crate) fn trailers(&self) -> Option<HeaderMap> {
        lock(&self.source).queue.trailers().cloned()
    }

    /// Returns the time at which to check whether the upload is late, which it is by then if
    /// nothing arrives while its reader waits. `None` if the rest is not read.
    pub(crate) fn look_at(&self, pace: &Pace) -> Option<Instant> {
        let source = lock(&self.source);
        let is_read = source.spooling || !source.abandoned;
        (source.end.is_none() && is_read).then(|| {
            let due = source.came.due(pace);
            // A reader elsewhere may start to wait meanwhile.
            due.unwrap_or_else(|| later(pace.still.max(LOOK)))
        })
    }

    /// Returns whether the upload has kept its reader waiting too long.
    pub(crate) fn is_late(&self, cx: &mut Context<'_>, pace: &Pace) -> bool {
        let mut source = lock(&self.source);
        let is_due = |due| due <= Instant::now();
        if source.end.is_some() || !source.came.due(pace).is_some_and(is_due) {
            return false;
        }
        // The reader may be busy and not have seen new data.
        let Poll::Ready(frame) = source.poll_body(cx) else {
            return true;
        };
        source.keep(frame);
        source.wake_reader();
        false
    }

    /// Reads to the end of the upload, and keeps at most `limit` bytes for the handler.
    pub(crate) fn poll(&self, cx: &mut Context<'_>, limit: usize) -> Poll<Spooled> {
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
                None => {}
            }
            if let Some(no_room) = source.queue.no_room() {
                source.stop_spooling();
                break no_room.into();
            }
            match source.poll_body(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(frame) => {
                    source.keep(frame);
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
    came: Came,
    end: Option<End<B::Error>>,
    /// Only the spool polls the body while this is set; the reader waits for the queue.
    spooling: bool,
    /// The handler has dropped its part, so nothing needs to be kept.
    abandoned: bool,
    reader: Option<Waker>,
}

enum End<E> {
    Complete,
    /// The error, until the reader has taken it.
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

    /// Returns the next frame of the live body; `None` at its end, which `self.end` describes.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<B::Data>>> {
        let frame = match self.body.as_mut().poll_frame(cx) {
            Poll::Pending => {
                self.came.nothing();
                return Poll::Pending;
            }
            Poll::Ready(Some(Ok(frame))) => Some(frame),
            Poll::Ready(Some(Err(error))) => {
                self.end = Some(End::Failed(Some(error)));
                None
            }
            Poll::Ready(None) => {
                self.end = Some(End::Complete);
                None
            }
        };
        self.came.something(frame.as_ref().map_or(0, length));
        Poll::Ready(frame)
    }

    /// Keeps a frame for the reader, if there is still one.
    fn keep(&mut self, frame: Option<Frame<B::Data>>) {
        if let Some(frame) = frame
            && !self.abandoned
        {
            self.queue.push(frame);
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

// A panic of the body leaves the source consistent: every field is written in one step.
fn lock<B: Body>(source: &Mutex<Source<B>>) -> MutexGuard<'_, Source<B>> {
    source.lock().unwrap_or_else(PoisonError::into_inner)
}
