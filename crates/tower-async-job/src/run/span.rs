//! The span of a job's run, and the links between submission, run and polls.

use std::{
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tower::BoxError;
use tracing::{Level, Span};

use crate::{
    bounds::HandlerBody,
    run::{
        attempt::Run,
        task::{Job, Step},
    },
};

/// A job in its span: that of the submission until it is accepted, then a child span of its own.
pub(crate) struct Traced<R, E> {
    job: Job<R, E>,
    span: Span,
    /// It has been accepted.
    runs: bool,
    /// The span is that of the run. The layer must not record in the submission's.
    own: bool,
}

impl<R, E> Traced<R, E> {
    pub(crate) fn new(job: Job<R, E>) -> Self {
        let mut traced = Self {
            job,
            span: Span::current(),
            runs: false,
            own: false,
        };
        traced.begin_run();
        traced
    }

    /// Creates the span of the run as soon as there is a run, so that the first poll finds it.
    fn begin_run(&mut self) {
        if let Job::Running(run) = &self.job
            && !mem::replace(&mut self.runs, true)
            && let Some(span) = span_of(run, &self.span)
        {
            self.span = span;
            self.own = true;
        }
    }
}

/// Returns whether a subscriber observes the spans of jobs. Otherwise the task saves their memory.
pub(crate) fn is_wanted() -> bool {
    !Span::current().is_disabled() || tracing::span_enabled!(Level::INFO)
}

/// Returns the span of a run, unless it is filtered out.
fn span_of<R, E>(run: &Run<R, E>, submission: &Span) -> Option<Span> {
    let id = run.registration().lease().id;
    let span = tracing::info_span!(
        parent: submission,
        "job",
        handle = %run.registration().handle(),
        route = run.route(),
        attempt = run.attempt(),
        state = tracing::field::Empty,
    );
    if span.is_disabled() {
        return None;
    }
    span.follows_from(submission);
    run.registration().node().links.insert(id, &span);
    Some(span)
}

impl<R, E> Future for Traced<R, E>
where
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        loop {
            this.begin_run();
            let step = this.span.in_scope(|| this.job.advance(cx));
            if let Step::Over(state) = ready!(step) {
                if let Some(state) = state
                    && this.own
                {
                    this.span.record("state", state);
                }
                return Poll::Ready(());
            }
        }
    }
}

impl<R, E> Drop for Traced<R, E> {
    fn drop(&mut self) {
        let Self { job, span, .. } = self;
        span.in_scope(|| *job = Job::Over);
    }
}
