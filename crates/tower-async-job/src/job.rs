//! The task of a job.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::Body;
use tower::BoxError;

use crate::run::Run;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Written by hand, since an `async fn` would hold room for all its stages for as long as the job
/// runs. What comes before and behind the run is boxed, and there only for as long as it takes.
pub(crate) enum Job<R, E> {
    /// `None` comes of it if the call ended another way than as a job.
    Accepting(BoxFuture<Option<Run<R, E>>>),
    Running(Run<R, E>),
    Finishing(BoxFuture<()>),
    Over,
}

impl<R, E> Future for Job<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            *this = match this {
                Self::Accepting(acceptance) => match ready!(acceptance.as_mut().poll(cx)) {
                    Some(run) => Self::Running(run),
                    None => Self::Over,
                },
                Self::Running(run) => {
                    let end = ready!(run.poll(cx));
                    let Self::Running(run) = mem::replace(this, Self::Over) else {
                        return Poll::Ready(());
                    };
                    Self::Finishing(Box::pin(run.complete(end)))
                }
                Self::Finishing(completion) => {
                    ready!(completion.as_mut().poll(cx));
                    Self::Over
                }
                Self::Over => return Poll::Ready(()),
            }
        }
    }
}
