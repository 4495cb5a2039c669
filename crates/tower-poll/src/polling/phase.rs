//! The state of one call that polls.

use std::{mem::MaybeUninit, pin::Pin, time::Duration};

use http::{HeaderMap, Request, response::Parts};
use http_body::Body;
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep};
use tower::{Service, util::Oneshot};
use tracing::{Span, field::Empty};

use crate::{
    client::Client, config::Refreshing, error::Error, pending_job::PendingJob,
    policy::poll_policy::PollPolicy, redact::Redacted, session::Session,
};

/// The longest time for the body of an answer that is an error.
pub(super) const ERROR_TIME: Duration = Duration::from_secs(10);

/// The time that the body of a pending answer may take, even if the next poll
/// is due earlier. Without it, every short delay would cost a connection.
pub(super) const DRAIN_TIME: Duration = Duration::from_millis(100);

pin_project! {
    pub(crate) struct Polling<S, B, R, P>
    where
        S: Service<Request<B>>,
    {
        pub(super) service: S,
        pub(super) session: Session<P>,
        // `None` if no subscriber is interested: an idle span still costs.
        pub(super) span: Option<Span>,
        // Every pending answer is given to the caller.
        pub(super) stepwise: bool,
        // The only timer of the call: made at the first wait, and reset for
        // all later ones.
        #[pin]
        pub(super) timer: Option<Sleep>,
        #[pin]
        pub(super) phase: Phase<S, B, R>,
    }
}

pin_project! {
    #[project = PhaseProj]
    pub(super) enum Phase<S, B, R>
    where
        S: Service<Request<B>>,
    {
        // The pending answer's body is read until the next poll is due.
        Waiting {
            #[pin]
            body: Option<R>,
            left: usize,
            // The part of it that has been read, until observers are
            // notified; `None` if there are none.
            text: Option<Vec<u8>>,
            // `None`: due at once.
            due: Option<Instant>,
            answered: Instant,
        },
        Asking {
            #[pin]
            future: Oneshot<S, Request<B>>,
        },
        // The meaning of the answer depends on its body.
        Reading {
            parts: Option<Box<Parts>>,
            #[pin]
            body: R,
            text: Vec<u8>,
            left: usize,
            answered: Instant,
        },
        // The call ends in an error once the body of the answer is read.
        Failing {
            #[pin]
            body: R,
            text: Vec<u8>,
            left: usize,
            // The time at which the rest of the body is given up.
            end: Instant,
            error: Option<Error>,
        },
        // New credentials are on the way.
        Refreshing {
            future: Refreshing,
            headers: HeaderMap,
        },
        // The job is being cancelled.
        Cancelling {
            #[pin]
            future: Oneshot<S, Request<B>>,
            // The time at which its answer is given up.
            end: Instant,
        },
    }
}

pub(crate) type BoxPolling<S, B, R, P> = Pin<Box<Polling<S, B, R, P>>>;

impl<S: Client<B, R>, B: Default, R: Body, P: PollPolicy> Polling<S, B, R, P> {
    /// Starts to poll. The answer to the submission, which came at `answered`,
    /// has to be [taken in](Self::start) next.
    // Inlined by force and given its box, so that the large session moves once.
    #[inline(always)]
    pub(crate) fn begin(
        place: Box<MaybeUninit<Self>>,
        service: S,
        session: Session<P>,
        answered: Instant,
    ) -> BoxPolling<S, B, R, P> {
        let mut polling = Box::into_pin(Box::write(
            place,
            Self {
                service,
                session,
                span: None,
                stepwise: false,
                timer: None,
                phase: Phase::Waiting {
                    body: None,
                    left: 0,
                    text: None,
                    due: None,
                    answered,
                },
            },
        ));
        let span = tracing::info_span!(
            "http_poll",
            origin = %Redacted(polling.session.origin()),
            polls = Empty,
        );
        *polling.as_mut().project().span = (!span.is_disabled()).then_some(span);
        polling
    }

    /// Makes [`poll_event`](Self::poll_event) give every later pending answer.
    pub(crate) fn step(self: Pin<&mut Self>) {
        *self.project().stepwise = true;
    }

    /// Makes [`poll_event`](Self::poll_event) give the present pending answer.
    pub(crate) fn include_present(self: Pin<&mut Self>) {
        if let PhaseProj::Waiting { text, .. } = self.project().phase.project() {
            text.get_or_insert_default();
        }
    }

    /// Makes the next poll due at once, without an update before it.
    pub(crate) fn hasten(self: Pin<&mut Self>) {
        if let PhaseProj::Waiting {
            mut body,
            text,
            due,
            ..
        } = self.project().phase.project()
        {
            body.set(None);
            *text = None;
            *due = None;
        }
    }

    /// Returns whether the last answer was pending and the next poll is not
    /// sent yet.
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self.phase, Phase::Waiting { .. })
    }

    /// Returns whether the call ends in an error that has been made already.
    pub(super) fn is_failing(&self) -> bool {
        matches!(self.phase, Phase::Failing { .. })
    }

    /// Returns whether the caller wants the pending answer itself.
    pub(super) fn is_not_waited_for(&self) -> bool {
        let caller = self.session.caller.as_ref();
        caller.is_some_and(|caller| caller.does_not_wait)
    }

    /// The present state of the job, if one was accepted.
    pub(crate) fn job(&self) -> Option<PendingJob> {
        self.session.accepted(Instant::now())
    }
}
