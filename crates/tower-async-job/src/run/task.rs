//! The task of a job.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tower::BoxError;

use crate::{
    bounds::HandlerBody,
    panics::{self, Panicked, drop_quietly},
    run::attempt::Run,
};

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The stage of a job. Written by hand, since an `async fn` would hold memory for all stages during
/// the run. The stages before and after the run are boxed while they last.
#[allow(
    clippy::large_enum_variant,
    reason = "a job is accepted soon, and runs for long"
)]
pub(crate) enum Job<R, E> {
    /// Returns `None` if the call ended without a job.
    Accepting(BoxFuture<Option<Run<R, E>>>),
    Running(Run<R, E>),
    /// Returns the state of the job, as far as this process knows it.
    Finishing(BoxFuture<Option<&'static str>>),
    Over,
}

pub(crate) enum Step {
    On,
    Over(Option<&'static str>),
}

impl<R, E> Job<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    /// Drives the job to the end of its stage. A panic, such as one of the store, ends the task.
    #[inline]
    pub(crate) fn advance(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        panics::catching("the task of a job", || self.advance_or_panic(cx)).unwrap_or_else(
            |Panicked| {
                drop_quietly(mem::replace(self, Self::Over));
                Poll::Ready(Step::Over(None))
            },
        )
    }

    fn advance_or_panic(&mut self, cx: &mut Context<'_>) -> Poll<Step> {
        *self = match self {
            Self::Accepting(acceptance) => match ready!(acceptance.as_mut().poll(cx)) {
                Some(run) => Self::Running(run),
                None => Self::Over,
            },
            Self::Running(run) => {
                let end = ready!(run.poll(cx));
                let Self::Running(run) = mem::replace(self, Self::Over) else {
                    return Poll::Ready(Step::Over(None));
                };
                Self::Finishing(Box::pin(run.complete(end)))
            }
            Self::Finishing(completion) => {
                let state = ready!(completion.as_mut().poll(cx));
                *self = Self::Over;
                return Poll::Ready(Step::Over(state));
            }
            Self::Over => return Poll::Ready(Step::Over(None)),
        };
        Poll::Ready(Step::On)
    }
}

impl<R, E> Future for Job<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            if let Step::Over(_) = ready!(self.advance(cx)) {
                return Poll::Ready(());
            }
        }
    }
}
