//! The body of an answer, which is given up if its client takes nothing of it for too long.
//!
//! Over HTTP/2, a client can keep a connection alive that takes nothing of an answer, whose place at the
//! server would not become free. The body is not asked for more then, so the connection looks after it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;

use super::activity::{Activity, Request, Unread};

/// The bytes per second that a client must read at least, on average.
const RATE: u64 = 512;

/// The bytes that are handed over at once: those that a client must take to be seen reading.
const PIECE: usize = 16 << 10;

/// The body of an answer, whose end is that of its request.
pub(super) struct Answer<B>(Arc<Slot<B>>);

struct Slot<B>(Mutex<Option<Sending<B>>>);

/// An answer that is being sent.
struct Sending<B> {
    body: B,
    _request: Request,
    /// The rest of a frame of which a piece was handed over.
    rest: Bytes,
    /// The begin of the time that the client takes, and the bytes that it takes; `None` while it waits
    /// for more.
    taking: Option<(Instant, usize)>,
    /// The time that the client took for the bytes before.
    took: Duration,
    bytes: u64,
}

impl<B> Sending<B> {
    fn is_unread(&self, now: Instant, patience: Duration) -> bool {
        self.taking.is_some_and(|(since, _)| {
            let taking = now.saturating_duration_since(since);
            let earned = Duration::from_secs(self.bytes / RATE);
            taking >= patience || self.took + taking >= patience + earned
        })
    }

    /// Notes that the client has taken what was handed over.
    fn note_taken(&mut self) {
        if let Some((since, bytes)) = self.taking.take() {
            self.took += since.elapsed();
            self.bytes += bytes as u64;
        }
    }
}

impl<B: Body<Data = Bytes> + Unpin> Sending<B> {
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)) {
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => self.rest = data,
                    Err(frame) => return Poll::Ready(Some(Ok(frame))),
                },
                end => return Poll::Ready(end),
            }
        }
        let piece = self.rest.split_to(self.rest.len().min(PIECE));
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }
}

impl<B: Send + 'static> Answer<B> {
    /// Begins an answer, whose connection gives it up if it is not read.
    pub(super) fn new(body: B, request: Request, activity: &Activity) -> Self {
        let slot = Arc::new(Slot(Mutex::new(Some(Sending {
            body,
            _request: request,
            rest: Bytes::new(),
            taking: Some((Instant::now(), 0)),
            took: Duration::ZERO,
            bytes: 0,
        }))));
        let answer: Weak<Slot<B>> = Arc::downgrade(&slot);
        activity.answers(answer);
        Self(slot)
    }
}

impl<B> Slot<B> {
    fn lock(&self) -> MutexGuard<'_, Option<Sending<B>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B: Send> Unread for Slot<B> {
    fn give_up(&self, now: Instant, patience: Duration) {
        let mut slot = self.lock();
        let unread = slot.take_if(|sending| sending.is_unread(now, patience));
        drop(slot);
        drop(unread);
    }
}

impl<B> Body for Answer<B>
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Unpin,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let mut slot = self.0.lock();
        let Some(sending) = &mut *slot else {
            return Poll::Ready(Some(Err(NotRead.into())));
        };
        sending.note_taken();
        let frame = ready!(sending.poll_piece(cx));
        let data = frame.as_ref().and_then(|it| it.as_ref().ok()?.data_ref());
        sending.taking = Some((Instant::now(), data.map_or(0, Bytes::len)));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        let slot = self.0.lock();
        slot.as_ref()
            .is_some_and(|it| it.rest.is_empty() && it.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let slot = self.0.lock();
        match slot.as_ref() {
            Some(sending) if sending.rest.is_empty() => sending.body.size_hint(),
            _ => SizeHint::default(),
        }
    }
}

/// The end of an answer of which the client has taken nothing for too long.
#[derive(Debug)]
struct NotRead;

impl fmt::Display for NotRead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the client has read nothing of the answer for too long")
    }
}

impl std::error::Error for NotRead {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
    use tokio::time::sleep;

    use super::*;
    use crate::config::Clients;

    const SECOND: Duration = Duration::from_secs(1);

    /// Returns an answer that has a piece each 50 s, with its connection.
    fn slow() -> (Answer<UnsyncBoxBody<Bytes, Infallible>>, Activity) {
        let pieces = stream::unfold((), |()| async {
            sleep(50 * SECOND).await;
            Some((Ok(Frame::data(Bytes::from("piece"))), ()))
        });
        let activity = Activity::new();
        let body = UnsyncBoxBody::new(StreamBody::new(pieces));
        let answer = Answer::new(body, activity.request(), &activity);
        let watched = activity.clone();
        tokio::spawn(async move { watched.expired(&Clients::default(), true).await });
        (answer, activity)
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_read_is_given_up() {
        let (mut answer, activity) = slow();
        answer.frame().await.unwrap().unwrap();
        assert_eq!(activity.requests(), 1);
        sleep(29 * SECOND).await;
        assert_eq!(activity.requests(), 1);
        sleep(12 * SECOND).await;
        assert_eq!(activity.requests(), 0);
        assert!(answer.frame().await.unwrap().unwrap_err().is::<NotRead>());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_read_in_drops_is_given_up() {
        let frames = stream::repeat_with(|| Ok(Frame::data(Bytes::from("piece"))));
        let body = UnsyncBoxBody::<_, Infallible>::new(StreamBody::new(frames));
        let activity = Activity::new();
        let mut answer = Answer::new(body, activity.request(), &activity);
        let watched = activity.clone();
        tokio::spawn(async move { watched.expired(&Clients::default(), true).await });
        let begun = Instant::now();
        while let Ok(frame) = answer.frame().await.unwrap() {
            assert!(frame.is_data());
            sleep(3 * SECOND).await;
        }
        assert!(begun.elapsed() <= 45 * SECOND, "{:?}", begun.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_frame_is_read_slowly_to_its_end() {
        let activity = Activity::new();
        let body = http_body_util::Full::new(Bytes::from(vec![0; 1 << 20]));
        let mut answer = Answer::new(body, activity.request(), &activity);
        assert_eq!(answer.size_hint().exact(), Some(1 << 20));
        let watched = activity.clone();
        tokio::spawn(async move { watched.expired(&Clients::default(), true).await });
        let mut bytes = 0;
        while let Some(frame) = answer.frame().await {
            bytes += frame.unwrap().into_data().unwrap().len();
            sleep(20 * SECOND).await;
        }
        assert_eq!(bytes, 1 << 20);
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_waits_for_its_server_is_not_given_up() {
        let (mut answer, activity) = slow();
        for _ in 0..10 {
            sleep(2 * SECOND).await;
            answer.frame().await.unwrap().unwrap();
        }
        assert_eq!(activity.requests(), 1);
        drop(answer);
        assert_eq!(activity.requests(), 0);
    }
}
