//! The body of an answer, which is given up if its client takes nothing of it for too long.
//!
//! Over HTTP/2, a client can keep a connection alive that takes nothing of an answer, whose place at the
//! server would not become free. The body is not asked for more then, so the connection looks after it.

use std::{
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll},
};

use http_body::{Body, Frame, SizeHint};
use tokio::time::Instant;
use tower::BoxError;

use super::activity::{Activity, Request};

/// An answer that may not be read.
pub(super) trait Unread: Send + Sync {
    /// Drops the answer if the client has taken nothing of it since then.
    fn give_up(&self, since: Instant);
}

/// The body of an answer, whose end is that of its request.
pub(super) struct Answer<B>(Arc<Slot<B>>);

struct Slot<B>(Mutex<Option<Sending<B>>>);

/// An answer that is being sent.
struct Sending<B> {
    body: B,
    _request: Request,
    /// The time since which the client takes nothing; `None` while it waits for more.
    since: Option<Instant>,
}

impl<B: Send + 'static> Answer<B> {
    /// Begins an answer, whose connection gives it up if it is not read.
    pub(super) fn new(body: B, request: Request, activity: &Activity) -> Self {
        let slot = Arc::new(Slot(Mutex::new(Some(Sending {
            body,
            _request: request,
            since: Some(Instant::now()),
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
    fn give_up(&self, since: Instant) {
        let mut slot = self.lock();
        let is_unread = |sending: &mut Sending<B>| sending.since.is_some_and(|it| it <= since);
        let unread = slot.take_if(is_unread);
        drop(slot);
        drop(unread);
    }
}

impl<B> Body for Answer<B>
where
    B: Body<Error: Into<BoxError>> + Unpin,
{
    type Data = B::Data;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, BoxError>>> {
        let mut slot = self.0.lock();
        let Some(sending) = &mut *slot else {
            return Poll::Ready(Some(Err(NotRead.into())));
        };
        let polled = Pin::new(&mut sending.body).poll_frame(cx);
        sending.since = polled.is_ready().then(Instant::now);
        polled.map_err(Into::into)
    }

    fn is_end_stream(&self) -> bool {
        let slot = self.0.lock();
        slot.as_ref().is_some_and(|it| it.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        let slot = self.0.lock();
        let hint = slot.as_ref().map(|it| it.body.size_hint());
        hint.unwrap_or_default()
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
    use std::{convert::Infallible, time::Duration};

    use bytes::Bytes;
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
    async fn an_answer_that_waits_for_its_server_is_not_given_up() {
        let (mut answer, activity) = slow();
        for _ in 0..10 {
            sleep(20 * SECOND).await;
            answer.frame().await.unwrap().unwrap();
        }
        assert_eq!(activity.requests(), 1);
        drop(answer);
        assert_eq!(activity.requests(), 0);
    }
}
