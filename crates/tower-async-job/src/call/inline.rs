//! The time that a request spends in its connection: the inline wait, the rest of the upload, and
//! the hand-over to a task.

use std::{
    future::poll_fn,
    mem,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_polling::ProblemType;
use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    sync::oneshot::{self, error::RecvError},
    time::timeout_at,
};
use tower::{BoxError, Service};
use tower_async_job_core::Principal;

use crate::{
    answer,
    body::{JobBody, ResponseBody, Spool, Spooled},
    call::{
        deferral::{Deferral, Early, HandedOver},
        timer::{Over, Timer},
    },
    config::{Config, OnDisconnect},
    context::HandlerContext,
    node::{capacity::Admission, front::Front, holds::Holds, streams},
    observe::metrics,
    panics::{self, Panicked, drop_quietly},
    request::submission::{Asked, Submission},
    run::work::{BoxWork, Submitted},
    stream_place::StreamPlace,
    time::later,
};

pin_project! {
    #[project = InlineProjection]
    pub(crate) struct Inline<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        front: Arc<Front>,
        asked: Asked,
        progress: Progress<S, B, R>,
        detach: fn(&Arc<Front>, Asked, Progress<S, B, R>),
    }

    impl<S, B, R> PinnedDrop for Inline<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let is_over = matches!(
                this.progress,
                Progress::Due { call: None, .. } | Progress::Begun(Begun { work: None, .. })
            );
            if is_over {
                return;
            }
            match this.front.config.on_disconnect {
                OnDisconnect::Detach => {
                    let left = mem::replace(this.progress, Progress::OVER);
                    (this.detach)(this.front, *this.asked, left);
                }
                OnDisconnect::Cancel if thread::panicking() => {
                    drop_quietly(mem::replace(this.progress, Progress::OVER));
                }
                OnDisconnect::Cancel => {}
            }
        }
    }
}

/// How far a call has come. One large part after the other is kept, and never both.
enum Progress<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    /// Not polled yet.
    Due {
        // `None` if it panicked when it was called, or its client has gone.
        call: Option<Submitted<S, B>>,
        principal: Option<Principal>,
    },
    Begun(Begun<B, R, S::Error>),
}

impl<S, B, R> Progress<S, B, R>
where
    S: Service<Request<JobBody<B>>>,
    B: Body,
{
    const OVER: Self = Self::Due {
        call: None,
        principal: None,
    };
}

struct Begun<B: Body, R, E> {
    // `None` while it is polled, and once it is over or has moved to the job.
    work: Option<BoxWork<R, E>>,
    // `None` once it has moved to the job.
    submission: Option<Submission>,
    spool: Option<Spool<B>>,
    context: Option<HandlerContext>,
    stage: Stage<R, E>,
    // There if the answer may begin a conversation over an upgraded connection.
    place: Option<StreamPlace>,
    // Of the inline wait, and after it of the deadline.
    timer: Timer,
}

enum Stage<R, E> {
    /// Within the inline wait.
    Waiting,
    /// The inline wait is over; the rest of the upload is being read.
    Spooling,
    /// The call is answered inline: it may not be deferred, or its upload cannot be spooled.
    Staying,
    /// The work is with a task that makes it a job.
    Deferred(oneshot::Receiver<Early<R, E>>),
}

impl<S, B, R> Inline<S, B, R>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Send + 'static,
{
    pub(crate) fn new(
        front: Arc<Front>,
        call: Submitted<S, B>,
        asked: Asked,
        principal: Option<Principal>,
    ) -> Self {
        Self {
            front,
            asked,
            progress: Progress::Due {
                call: Some(call),
                principal,
            },
            detach,
        }
    }
}

impl<S, B, R> Future for Inline<S, B, R>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Into<BoxError> + Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
{
    type Output = Result<Response<ResponseBody<R>>, S::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let InlineProjection {
            front,
            asked,
            progress,
            ..
        } = self.project();
        if progress.begin(cx, front, asked).is_err() {
            return Poll::Ready(Ok(panicked(asked)));
        }
        let Progress::Begun(begun) = progress else {
            panic!("polled after completion");
        };
        loop {
            if let Stage::Deferred(early) = &mut begun.stage {
                if let Poll::Ready(early) = Pin::new(early).poll(cx) {
                    return Poll::Ready(heard(front, asked, early));
                }
                ready!(begun.poll_time(cx, &front.config));
                return Poll::Ready(Ok(refused(asked, ProblemType::JobTimedOut)));
            }
            // The work goes before any timer: a response that is there is the answer.
            if let Poll::Ready(result) = begun.poll_work(cx) {
                let principal = begun
                    .submission
                    .as_ref()
                    .and_then(|it| it.principal.as_ref());
                let (place, context) = (&mut begun.place, begun.context.take());
                let mut result = answered(front, asked, principal, place, context, result);
                if let (Stage::Waiting, Ok(response)) = (&begun.stage, &mut result) {
                    answer::apply_wait(response.headers_mut(), &asked.prefer);
                }
                return Poll::Ready(result);
            }
            if let Stage::Waiting = begun.stage {
                let over = ready!(begun.poll_wait(cx, &front.config));
                // A node that shuts down makes no more jobs, which it would only hand back.
                begun.stage = match over {
                    Over::Upload => return Poll::Ready(Ok(begun.give_up(asked, over))),
                    Over::Stage if front.node.shutdown.begun.is_set() => Stage::Staying,
                    Over::Stage => {
                        // While it is read, it holds no place to run.
                        begun.with_place(Admission::stand_aside);
                        Stage::Spooling
                    }
                };
            }
            if let Stage::Spooling = begun.stage
                && let Poll::Ready(spooled) = begun.poll_upload(cx, &front.config)
            {
                begun.with_place(Admission::stand_in);
                let open = matches!(spooled, Spooled::Complete).then(|| front.node.hold_open());
                begun.stage = match open.flatten() {
                    Some(_open) => match begun.defer(front) {
                        HandedOver::Answered(response) => {
                            return Poll::Ready(Ok(response.map(ResponseBody::from)));
                        }
                        HandedOver::Waiting(early) => Stage::Deferred(early),
                    },
                    None => Stage::Staying,
                };
                continue;
            }
            let over = ready!(begun.poll_time(cx, &front.config));
            return Poll::Ready(Ok(begun.give_up(asked, over)));
        }
    }
}

impl<S, B, R> Progress<S, B, R>
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
{
    /// Begins the call, unless it has begun.
    #[inline]
    fn begin(
        &mut self,
        cx: &mut Context<'_>,
        front: &Front,
        asked: &Asked,
    ) -> Result<(), Panicked> {
        let Self::Due {
            call: due,
            principal,
        } = self
        else {
            return Ok(());
        };
        let call = due.as_mut().expect("polled after completion");
        let config = &front.config;
        let context = config.context.then(HandlerContext::new);
        let (request, principal) = (&mut call.request, principal.take());
        let submission = Submission::of(config, request, *asked, principal, context.as_deref());
        let Ok(submission) = submission else {
            drop_quietly(due.take());
            return Err(Panicked);
        };
        let place = streams::place(asked, &front.node, request);
        // Taken in place, since moving what is large costs.
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
                // Only now, or it would be moved twice.
                begun.submission = Some(submission);
            }
        }
        Ok(())
    }
}

impl<B, R, E> Begun<B, R, E>
where
    B: Body,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    #[inline(always)]
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<R>, E>> {
        // It is taken meanwhile, so that work that panics is not detached to be polled again.
        let mut work = self.work.take().expect("polled after completion");
        let result = work.poll(cx);
        if result.is_pending() {
            self.work = Some(work);
        }
        result
    }

    /// Waits for the end of the inline wait.
    #[inline]
    fn poll_wait(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Over> {
        let wait = self.submission().inline_wait(config);
        if wait.is_zero() {
            return Poll::Ready(Over::Stage);
        }
        let over = ready!(self.poll_until(cx, config, |_| wait));
        self.timer.unset();
        Poll::Ready(over)
    }

    /// Waits for the deadline.
    fn poll_time(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Over> {
        self.poll_until(cx, config, |submission| submission.deadline(config))
    }

    /// Waits for the end of a stage, or for an upload to be late.
    fn poll_until(
        &mut self,
        cx: &mut Context<'_>,
        config: &Config,
        wait: impl FnOnce(&Submission) -> Duration,
    ) -> Poll<Over> {
        let submission = self.submission.as_ref();
        let end = || later(wait(submission.expect("not taken before")));
        let (upload, pace) = (self.spool.as_ref(), &config.request_pace);
        self.timer.poll(cx, end, upload, pace)
    }

    /// Reads the rest of the upload.
    fn poll_upload(&mut self, cx: &mut Context<'_>, config: &Config) -> Poll<Spooled> {
        let upload = self.spool.as_ref();
        upload.map_or(Poll::Ready(Spooled::Complete), |upload| {
            upload.poll(cx, config.request_spool)
        })
    }

    fn with_place(&mut self, change: fn(&mut Admission)) {
        let work = self.work.as_mut().expect("not taken before");
        if let Some(admission) = work.admission() {
            change(admission);
        }
    }

    /// Drops the work, whose time is over.
    fn give_up(&mut self, asked: &Asked, over: Over) -> Response<ResponseBody<R>> {
        self.work = None;
        self.context = None;
        refused(asked, over.into())
    }

    fn submission(&self) -> &Submission {
        self.submission.as_ref().expect("not taken before")
    }

    /// Hands the work over to become a job.
    fn defer(&mut self, front: &Arc<Front>) -> HandedOver<R, E> {
        let deadline = self.submission().deadline(&front.config);
        let deferral = Deferral {
            front: front.clone(),
            work: self.work.take().expect("not taken before"),
            submission: self.submission.take().expect("not taken before"),
            context: self.context.take(),
        };
        let handed_over = deferral.begin();
        if let HandedOver::Waiting(_) = handed_over {
            self.timer.set(later(deadline));
        }
        handed_over
    }
}

/// The answer, once that task has said what became of the call.
fn heard<R, E>(
    front: &Arc<Front>,
    asked: &Asked,
    early: Result<Early<R, E>, RecvError>,
) -> Result<Response<ResponseBody<R>>, E> {
    match early {
        Ok(Early::Finished(result, principal, context)) => {
            answered(front, asked, principal.as_ref(), &mut None, context, result)
        }
        Ok(Early::Answered(response)) => Ok(response.map(ResponseBody::from)),
        Ok(Early::Panicked(payload)) => resume_unwind(payload),
        // The task is gone: the runtime shuts down, or the store panicked.
        Err(_) => Ok(refused(asked, ProblemType::CapacityExhausted)),
    }
}

/// The handler's own answer.
#[inline(always)]
fn answered<R, E>(
    front: &Arc<Front>,
    asked: &Asked,
    principal: Option<&Principal>,
    place: &mut Option<StreamPlace>,
    context: Option<HandlerContext>,
    result: Result<Response<R>, E>,
) -> Result<Response<ResponseBody<R>>, E> {
    metrics::inline();
    if let Some(streams) = &front.node.streams
        && streams::is_stream(asked, &result)
    {
        let place = place.take().unwrap_or_default();
        return streamed(streams, asked, principal, place, context, result);
    }
    Ok(result?.map(|body| ResponseBody::of_handler(body, context, None)))
}

/// An answer that does not end by itself: it takes its place, where such are limited.
#[cold]
fn streamed<R, E>(
    streams: &Arc<Holds>,
    asked: &Asked,
    principal: Option<&Principal>,
    place: StreamPlace,
    context: Option<HandlerContext>,
    result: Result<Response<R>, E>,
) -> Result<Response<ResponseBody<R>>, E> {
    let response = result?;
    if let Err(no_place) = streams::take(streams, principal).map(|taken| place.keep(taken)) {
        let refusal = answer::no_place(no_place, asked.protocol, response.version());
        return Ok(refusal.map(ResponseBody::from));
    }
    Ok(response.map(|body| ResponseBody::of_handler(body, context, Some(place))))
}

fn refused<R>(asked: &Asked, problem: ProblemType) -> Response<ResponseBody<R>> {
    answer::refusal(problem, asked.protocol).map(ResponseBody::from)
}

fn panicked<R>(asked: &Asked) -> Response<ResponseBody<R>> {
    answer::panicked(asked.protocol).map(ResponseBody::from)
}

/// Lets a call whose client has gone run to its end or its deadline, where there is a runtime to run it.
/// Called by a destructor: what may panic is left to the task.
fn detach<S, B, R>(front: &Arc<Front>, asked: Asked, left: Progress<S, B, R>)
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Send + 'static,
{
    let (work, context) = match left {
        Progress::Due { call, .. } => {
            let context = front.config.context.then(HandlerContext::new);
            let work = call.map(|mut call| {
                Submission::prepare(&mut call.request, &asked, context.as_deref());
                call.put_off()
            });
            (work, context)
        }
        Progress::Begun(begun) => (begun.work, begun.context),
    };
    if let Some(mut work) = work
        && let Ok(runtime) = Handle::try_current()
    {
        let until_given_up = front.clone();
        let end = later(asked.deadline(&front.config));
        let work = async move {
            // Its upload may have been under way: nothing is waited for that is still to come.
            if let Some(admission) = work.admission() {
                admission.stand_in();
            }
            let work = poll_fn(|cx| work.poll_catching(cx));
            match timeout_at(end, until_given_up.node.shutdown.given_up.or(work)).await {
                Ok(Some(Err(payload))) => {
                    panics::log("the handler of a call without client", payload);
                }
                answer => drop_quietly(answer),
            }
            drop(context);
        };
        front.node.tasks.spawn_on(work, &runtime);
    }
}
