//! The stages of a call that is answered inline.

use std::{
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use http::{Request, Response};
use http_body::Body;
use tokio::sync::oneshot;
use tower::{BoxError, Service};
use tower_async_job_core::Principal;

use crate::{
    answer,
    body::{JobBody, ResponseBody, Spool, Spooled},
    bounds::{HandlerBody, HandlerService, RequestBody},
    call::{
        deferral::{Deferral, Early, HandedOver},
        timer::{Over, Timer},
    },
    config::{Config, policy::Policy},
    context::handler::HandlerContext,
    node::{capacity::Admission, front::Front, streams},
    panics::{Panicked, drop_quietly},
    request::{
        kept::Kept,
        submission::{Asked, Submission},
    },
    run::work::{BoxWork, NewCall, is_release},
    stream_place::StreamPlace,
    time::later,
};

/// The stage of a call. One large part replaces the other in place.
pub(super) enum Progress<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    /// Not polled yet.
    Due {
        // `None` if its call panicked, or its client has disconnected.
        call: Option<NewCall<S, B>>,
        principal: Option<Principal>,
        policy: Option<Arc<Policy>>,
    },
    Begun(Begun<B, R, S::Error>),
}

impl<S, B, R> Progress<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    pub(super) const OVER: Self = Self::Due {
        call: None,
        principal: None,
        policy: None,
    };
}

pub(super) struct Begun<B: Body, R, E> {
    // `None` during a poll, and after its end or move to the job.
    pub(super) work: Option<BoxWork<R, E>>,
    // `None` after its move to the job.
    pub(super) submission: Option<Submission>,
    pub(super) spool: Option<Spool<B>>,
    pub(super) context: Option<HandlerContext>,
    pub(super) stage: Stage<R, E>,
    // `Some` if the answer may upgrade the connection.
    pub(super) place: Option<StreamPlace>,
    // Ends the inline wait, then the deadline.
    pub(super) timer: Timer,
}

pub(super) enum Stage<R, E> {
    /// Within the inline wait.
    Waiting,
    /// The inline wait is over; the rest of the upload is being read.
    Spooling,
    /// The handler has left its job to an outside party; the rest of the upload is being read.
    Left,
    /// The call stays inline: it may not be deferred, or its upload cannot be spooled.
    Staying,
    /// A task makes a job of the work.
    Deferred(oneshot::Receiver<Early<R, E>>),
}

impl<S, B, R> Progress<S, B, R>
where
    S: HandlerService<B, R>,
    B: RequestBody,
{
    #[inline]
    pub(super) fn begin(
        &mut self,
        cx: &mut Context<'_>,
        front: &Front,
        asked: &Asked,
    ) -> Result<(), Panicked> {
        let Self::Due {
            call: due,
            principal,
            policy,
        } = self
        else {
            return Ok(());
        };
        let call = due.as_mut().expect("polled after completion");
        let config = &front.config;
        let context = config.context.then(|| HandlerContext::new(1));
        let (request, principal, policy) = (&mut call.request, principal.take(), policy.take());
        let submission = Submission::of(
            config,
            request,
            *asked,
            principal,
            policy,
            context.as_deref(),
        );
        let Ok(mut submission) = submission else {
            drop_quietly(due.take());
            return Err(Panicked);
        };
        if asked.deferrable && submission.policy(config).resume {
            keep_resumable(config, request, &mut submission);
        }
        let place = streams::place(asked, &front.node, request);
        // Taken in place, since moving it is expensive.
        if let Some(call) = due.take() {
            let principal = submission.principal.as_ref();
            let is_watched = asked.deferrable || call.admission.is_some();
            let room = is_watched.then_some(&front.spool_room);
            let (work, spool) = call.begin(cx, room, principal);
            *self = Self::Begun(Begun {
                work: Some(work),
                submission: None,
                spool,
                context,
                stage: if asked.deferrable {
                    Stage::Waiting
                } else {
                    Stage::Staying
                },
                place,
                timer: Timer::default(),
            });
            if let Self::Begun(begun) = self {
                // Set only now, to avoid a second move.
                begun.submission = Some(submission);
            }
        }
        Ok(())
    }
}

impl<B, R, E> Begun<B, R, E>
where
    B: Body,
    R: HandlerBody,
    E: Into<BoxError> + Send + 'static,
{
    #[inline(always)]
    pub(super) fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<R>, E>> {
        // Taken, so that work that panics is not detached and polled again.
        let mut work = self.work.take().expect("polled after completion");
        let result = work.poll(cx);
        if result.is_pending() {
            self.work = Some(work);
        }
        result
    }

    /// Returns whether a result leaves its job to an outside party, and a job can be made at once.
    pub(super) fn is_left_by(&self, result: &Result<Response<R>, E>, front: &Front) -> bool {
        matches!(self.stage, Stage::Waiting | Stage::Spooling)
            && !front.node.shutdown.begun.is_set()
            && result
                .as_ref()
                .is_ok_and(|response| is_release(response, false))
    }

    /// Keeps the response of a handler that has left its job, for which the rest of the upload is
    /// read.
    #[cold]
    pub(super) fn leave(&mut self, result: Result<Response<R>, E>) {
        self.work = result.ok().map(BoxWork::answered);
        if let Stage::Waiting = self.stage {
            self.timer.unset();
        }
        self.stage = Stage::Left;
    }

    #[inline]
    pub(super) fn poll_wait(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Over> {
        let wait = self.submission().inline_wait(config);
        if wait.is_zero() {
            return Poll::Ready(Over::Stage);
        }
        let over = ready!(self.poll_until(cx, config, |_| wait));
        self.timer.unset();
        Poll::Ready(over)
    }

    pub(super) fn poll_time(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Over> {
        self.poll_until(cx, config, |submission| submission.deadline(config))
    }

    /// Waits for the end of a stage or a late upload.
    pub(super) fn poll_until(
        &mut self,
        cx: &mut Context<'_>,
        config: &Config,
        wait: impl FnOnce(&Submission) -> Duration,
    ) -> Poll<Over> {
        let submission = self.submission.as_ref();
        let end = || later(wait(submission.expect("not taken before")));
        // Once the submission is handed over, its upload is whole.
        let policy = submission.map_or(&config.policy, |submission| submission.policy(config));
        self.timer
            .poll(cx, end, self.spool.as_ref(), &policy.pace())
    }

    pub(super) fn poll_upload(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Spooled> {
        let limit = self.submission().policy(config).request_spool;
        let upload = self.spool.as_ref();
        upload.map_or(Poll::Ready(Spooled::Complete), |upload| {
            upload.poll(cx, limit)
        })
    }

    pub(super) fn with_place(&mut self, change: fn(&mut Admission)) {
        let work = self.work.as_mut().expect("not taken before");
        if let Some(admission) = work.admission() {
            change(admission);
        }
    }

    /// Drops the work whose time is over.
    pub(super) fn give_up(
        &mut self,
        front: &Front,
        asked: &Asked,
        over: Over,
    ) -> Response<ResponseBody<R>> {
        self.work = None;
        self.context = None;
        answer::refusal(&front.node.meter, over.into(), asked.protocol).map(ResponseBody::from)
    }

    pub(super) fn submission(&self) -> &Submission {
        self.submission.as_ref().expect("not taken before")
    }

    /// Hands the work over to become a job.
    pub(super) fn defer(&mut self, front: &Arc<Front>) -> HandedOver<R, E> {
        let deadline = self.submission().deadline(&front.config);
        let deferral = Deferral {
            front: front.clone(),
            work: self.work.take().expect("not taken before"),
            submission: self.submission.take().expect("not taken before"),
            context: self.context.take(),
            is_left: matches!(self.stage, Stage::Left),
        };
        let handed_over = deferral.begin();
        if let HandedOver::Waiting(_) = handed_over {
            self.timer.set(later(deadline));
        }
        handed_over
    }
}

/// Keeps the head of a request whose job can be resumed. It stands apart, since few calls need it.
#[cold]
fn keep_resumable<B>(config: &Config, request: &mut Request<B>, submission: &mut Submission) {
    if let Some(principal) = &submission.principal {
        request.extensions_mut().insert(principal.clone());
    }
    let kept = config.keep_resumable(submission.policy(config), request);
    submission.kept = kept.map(|request| {
        let room = None;
        Box::new(Kept { request, room })
    });
}
