//! Uploads whose servers answer before they have ended.
//!
//! A server may answer as soon as it knows its answer, such as a refusal, and client and server may go on
//! for as long as the response does, as in a conversation. Once the response has ended, no more than the
//! end of an upload is of use: the rest is given up, which closes the connection of HTTP/1 (RFC 9112,
//! section 9.3) or resets the stream of HTTP/2.

use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http::Request;
use http_body::{Body, Frame, SizeHint};
use http_body_util::combinators::UnsyncBoxBody;
use tokio::time::{Sleep, sleep};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};
use tower::BoxError;

use crate::upstream;

/// The time and the bytes that are left to an upload once its response has ended.
const TIME: Duration = Duration::from_secs(1);
const BYTES: usize = 64 << 10;

/// Dropped once the response has ended.
pub(super) struct Answered {
    _guard: DropGuard,
}

/// Watches the upload of a request, unless it has ended.
pub(super) fn watch(
    request: Request<upstream::Body>,
) -> (Request<upstream::Body>, Option<Answered>) {
    if request.body().is_end_stream() {
        return (request, None);
    }
    let ended = CancellationToken::new();
    let request = request.map(|body| {
        UnsyncBoxBody::new(Upload {
            body,
            stage: Stage::Open(Box::pin(ended.clone().cancelled_owned())),
        })
    });
    let answered = Answered {
        _guard: ended.drop_guard(),
    };
    (request, Some(answered))
}

struct Upload {
    body: upstream::Body,
    stage: Stage,
}

enum Stage {
    /// The response may go on.
    Open(Pin<Box<WaitForCancellationFutureOwned>>),
    /// The response has ended.
    Ending { time: Pin<Box<Sleep>>, bytes: usize },
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        if let Stage::Open(ended) = &mut self.stage
            && ended.as_mut().poll(cx).is_ready()
        {
            self.stage = Stage::Ending {
                time: Box::pin(sleep(TIME)),
                bytes: BYTES,
            };
        }
        if let Stage::Ending { time, .. } = &mut self.stage
            && time.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Some(Err(GivenUp.into())));
        }
        let frame = ready!(Pin::new(&mut self.body).poll_frame(cx));
        if let Stage::Ending { bytes, .. } = &mut self.stage
            && let Some(Ok(frame)) = &frame
        {
            let length = frame.data_ref().map_or(0, Bytes::len);
            match bytes.checked_sub(length) {
                Some(left) => *bytes = left,
                None => return Poll::Ready(Some(Err(GivenUp.into()))),
            }
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The end of an upload that is of no use.
#[derive(Debug)]
struct GivenUp;

impl fmt::Display for GivenUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the upload is given up, since its response has ended")
    }
}

impl std::error::Error for GivenUp {}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures_util::stream;
    use http_body_util::{BodyExt, StreamBody};
    use tokio::time::Instant;

    use super::*;

    /// Returns an upload that never ends, with pieces of this size.
    fn endless(piece: usize, pause: Duration) -> (upstream::Body, Option<Answered>) {
        let pieces = stream::unfold((), move |()| async move {
            sleep(pause).await;
            let piece = Frame::data(Bytes::from(vec![0; piece]));
            Some((Ok::<_, Infallible>(piece), ()))
        });
        let body = StreamBody::new(pieces).map_err(Into::into);
        let (request, answered) = watch(Request::new(UnsyncBoxBody::new(body)));
        (request.into_body(), answered)
    }

    /// Reads an upload to its failure, and returns the bytes.
    async fn until_failure(mut body: upstream::Body) -> usize {
        let mut read = 0;
        loop {
            match body.frame().await.unwrap() {
                Ok(frame) => read += frame.into_data().unwrap().len(),
                Err(error) => {
                    assert!(error.is::<GivenUp>(), "{error}");
                    return read;
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_goes_on_for_as_long_as_its_response() {
        let (mut body, answered) = endless(1 << 20, Duration::from_secs(10));
        for _ in 0..100 {
            body.frame().await.unwrap().unwrap();
        }
        drop(answered);
        let begun = Instant::now();
        assert_eq!(until_failure(body).await, 0);
        assert_eq!(begun.elapsed(), TIME);
    }

    #[tokio::test(start_paused = true)]
    async fn a_fast_upload_is_given_up_after_its_response_too() {
        let (body, answered) = endless(1000, Duration::ZERO);
        drop(answered);
        assert_eq!(until_failure(body).await, BYTES / 1000 * 1000);
    }

    #[tokio::test]
    async fn a_request_without_a_body_is_not_watched() {
        let body = http_body_util::Empty::new().map_err(Into::into);
        let (_, answered) = watch(Request::new(UnsyncBoxBody::new(body)));
        assert!(answered.is_none());
    }
}
