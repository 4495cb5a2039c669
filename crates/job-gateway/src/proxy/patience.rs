//! The time that a server has for the head of its response, and a client for its upload.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use tokio::time::{Instant, sleep_until};
use tower::BoxError;

use super::respond::Failure;
use crate::upstream::{self, Error};

/// The limits of a request without a job, until the head of its response.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    /// The time for which a client may send nothing of its upload.
    pub(super) upload: Duration,
    /// The time of the server since it has taken the latest piece of the upload.
    pub(super) response: Duration,
}

/// The side that is waited for, and the begin of the wait.
#[derive(Clone, Copy)]
struct Wait {
    since: Instant,
    for_client: bool,
}

/// A record of the progress of an upload.
#[derive(Clone)]
pub(super) struct Watch(Arc<Mutex<Wait>>);

impl Watch {
    /// Returns a body whose progress is watched.
    pub(super) fn over(body: upstream::Body) -> (Self, Upload) {
        let watch = Self(Arc::new(Mutex::new(Wait {
            since: Instant::now(),
            for_client: false,
        })));
        let upload = Upload {
            body,
            watch: watch.clone(),
        };
        (watch, upload)
    }

    fn wait(&self) -> Wait {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, for_client: bool) {
        let mut wait = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if for_client && wait.for_client {
            return;
        }
        *wait = Wait {
            since: Instant::now(),
            for_client,
        };
    }

    /// Resolves once the client or the server has taken too long.
    pub(super) async fn exceeded(&self, limits: Limits) -> Failure {
        loop {
            let wait = self.wait();
            let limit = match wait.for_client {
                true => limits.upload,
                false => limits.response,
            };
            let due = wait.since + limit;
            if due <= Instant::now() {
                return match wait.for_client {
                    true => Failure::Upload,
                    false => Failure::Upstream(Error::timeout(limit)),
                };
            }
            // The other limit may be shorter, and its wait may begin at any time.
            let shortest = limits.upload.min(limits.response);
            sleep_until(due.min(Instant::now() + shortest)).await;
        }
    }
}

/// A body that notes its progress.
pub(super) struct Upload {
    body: upstream::Body,
    watch: Watch,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        self.watch.begin(polled.is_pending());
        Poll::Ready(ready!(polled))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
    use tokio::sync::mpsc;

    use super::*;
    use crate::upstream::Kind;

    const LIMITS: Limits = Limits {
        upload: Duration::from_secs(30),
        response: Duration::from_secs(60),
    };

    fn upload() -> (mpsc::Sender<Bytes>, Watch, Upload) {
        let (sender, receiver) = mpsc::channel(1);
        let pieces = futures_util::stream::unfold(receiver, |mut receiver| async {
            let piece = receiver.recv().await?;
            Some((Ok::<_, Infallible>(Frame::data(piece)), receiver))
        });
        let body = StreamBody::new(pieces).map_err(Into::into);
        let (watch, upload) = Watch::over(UnsyncBoxBody::new(body));
        (sender, watch, upload)
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_stalls_is_not_the_servers_fault() {
        let (_sender, watch, upload) = upload();
        let _reading = tokio::spawn(upload.collect());
        tokio::task::yield_now().await;
        let begun = Instant::now();
        assert!(matches!(watch.exceeded(LIMITS).await, Failure::Upload));
        assert_eq!(begun.elapsed().as_secs(), 30);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_has_its_time_after_the_upload() {
        let (sender, watch, upload) = upload();
        let begun = Instant::now();
        tokio::spawn(async move {
            for _ in 0..10 {
                tokio::time::sleep(Duration::from_secs(20)).await;
                sender.send(Bytes::from("piece")).await.unwrap();
            }
        });
        let _reading = tokio::spawn(upload.collect());
        let failure = watch.exceeded(LIMITS).await;
        assert!(matches!(failure, Failure::Upstream(error) if error.kind() == Kind::Timeout));
        assert_eq!(begun.elapsed().as_secs(), 10 * 20 + 60);
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_stops_reading_has_its_time() {
        let (sender, watch, mut upload) = upload();
        sender.send(Bytes::from("piece")).await.unwrap();
        upload.frame().await.unwrap().unwrap();
        let begun = Instant::now();
        let failure = watch.exceeded(LIMITS).await;
        assert!(matches!(failure, Failure::Upstream(_)));
        assert_eq!(begun.elapsed().as_secs(), 60);
    }
}
