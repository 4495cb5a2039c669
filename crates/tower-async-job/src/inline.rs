//! The time that a request spends in its connection: the inline wait, the rest of the upload, and
//! the hand-over to a task.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use http_polling::ProblemType;
use pin_project_lite::pin_project;
use tokio::{
    runtime::Handle,
    sync::oneshot::{self, error::RecvError},
    time::{Sleep, sleep},
};
use tower::{BoxError, Service};
use tower_async_job_core::Principal;

use crate::{
    answer,
    body::{JobBody, ResponseBody, Spool, Spooled},
    config::OnDisconnect,
    context::JobContext,
    deferral::{Begun, Deferral, Early},
    metrics,
    service::{Asked, Submission},
    shared::{Shared, later},
    work::{BoxWork, Submitted},
};

pin_project! {
    #[project = InlineProjection]
    pub(crate) struct Inline<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        shared: Arc<Shared>,
        // Until it is first polled; `work` from then on.
        call: Option<Submitted<S, B>>,
        work: Option<BoxWork<R, S::Error>>,
        // `None` before the work begins, and once it has moved to the job.
        submission: Option<Submission>,
        asked: Asked,
        principal: Option<Principal>,
        spool: Option<Spool<B>>,
        context: Option<JobContext>,
        stage: Stage<R, S::Error>,
        // Made when it is first needed: the end of the inline wait, or of the upload's patience.
        timer: Option<Pin<Box<Sleep>>>,
        detach: fn(&Arc<Shared>, Asked, Detached<S, B, R>),
    }

    impl<S, B, R> PinnedDrop for Inline<S, B, R>
    where
        S: Service<Request<JobBody<B>>>,
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            if this.call.is_none() && this.work.is_none() {
                return;
            }
            match this.shared.config.on_disconnect {
                OnDisconnect::Detach => {
                    let detached = (this.call.take(), this.work.take());
                    (this.detach)(this.shared, *this.asked, detached);
                }
                OnDisconnect::Cancel => cancel(this.context),
            }
        }
    }
}

enum Stage<R, E> {
    /// Within the inline wait.
    Waiting,
    /// The inline wait is over; the rest of the upload is being read.
    Spooling,
    /// The upload cannot be spooled: the call is answered inline however long it takes.
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
        shared: Arc<Shared>,
        call: Submitted<S, B>,
        asked: Asked,
        principal: Option<Principal>,
    ) -> Self {
        Self {
            shared,
            call: Some(call),
            work: None,
            submission: None,
            asked,
            principal,
            spool: None,
            context: None,
            stage: Stage::Waiting,
            timer: None,
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
        let mut this = self.project();
        loop {
            if let Stage::Deferred(early) = this.stage {
                let early = ready!(Pin::new(early).poll(cx));
                return Poll::Ready(this.heard(early));
            }
            // The work goes before any timer: a response that is there is the answer.
            if let Poll::Ready(result) = this.poll_work(cx) {
                return Poll::Ready(this.answered(result));
            }
            if let Stage::Waiting = this.stage {
                ready!(this.poll_wait(cx));
                // A node that shuts down makes no more jobs, which it would only hand back.
                *this.stage = if this.shared.stopping.is_set() {
                    Stage::Staying
                } else {
                    Stage::Spooling
                };
            }
            match this.stage {
                Stage::Spooling => match ready!(this.poll_upload(cx)) {
                    Upload::Spooled(Spooled::Complete) => match this.shared.hold_open() {
                        Some(_open) => match this.defer() {
                            Begun::Answered(response) => {
                                return Poll::Ready(Ok(response.map(ResponseBody::from)));
                            }
                            Begun::Waiting(early) => *this.stage = Stage::Deferred(early),
                        },
                        None => *this.stage = Stage::Staying,
                    },
                    Upload::Spooled(Spooled::TooLarge | Spooled::NoRoom | Spooled::Failed) => {
                        *this.stage = Stage::Staying;
                    }
                    Upload::StoodStill => {
                        *this.work = None;
                        cancel(this.context);
                        return Poll::Ready(Ok(this.refused(ProblemType::RequestTimeout)));
                    }
                },
                Stage::Waiting | Stage::Staying | Stage::Deferred(_) => return Poll::Pending,
            }
        }
    }
}

/// How reading the rest of an upload came to an end.
enum Upload {
    Spooled(Spooled),
    /// Nothing has come for as long as the client is given.
    StoodStill,
}

impl<S, B, R> InlineProjection<'_, S, B, R>
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
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<R>, S::Error>> {
        // It is taken meanwhile, so that work that panics is not detached to be polled again.
        let begun = self.begin(cx).or_else(|| self.work.take());
        let mut work = begun.expect("polled after completion");
        let result = work.as_mut().poll(cx);
        if result.is_pending() {
            *self.work = Some(work);
        }
        result
    }

    /// Begins the call, unless it has begun.
    #[inline]
    fn begin(&mut self, cx: &mut Context<'_>) -> Option<BoxWork<R, S::Error>> {
        let call = self.call.as_mut()?;
        *self.context = self.shared.config.context.then(JobContext::new);
        let context = self.context.as_ref();
        let principal = self.principal.take();
        let config = &self.shared.config;
        let submission = Submission::of(config, &mut call.request, *self.asked, principal, context);
        *self.submission = Some(submission);
        let (work, spool) = self.call.take()?.begin(cx, &self.shared.spool_room);
        *self.spool = spool;
        Some(work)
    }

    /// Waits for the end of the inline wait.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.timer.is_none() {
            let submission = self.submission.as_ref().expect("begun before");
            let wait = submission.inline_wait(&self.shared.config);
            if wait.is_zero() {
                return Poll::Ready(());
            }
            *self.timer = Some(Box::pin(sleep(wait)));
        }
        if let Some(timer) = self.timer {
            ready!(timer.as_mut().poll(cx));
        }
        *self.timer = None;
        Poll::Ready(())
    }

    /// Reads the rest of the upload.
    fn poll_upload(&mut self, cx: &mut Context<'_>) -> Poll<Upload> {
        let config = &self.shared.config;
        let Some(spool) = self.spool else {
            return Poll::Ready(Upload::Spooled(Spooled::Complete));
        };
        let mut advanced = false;
        if let Poll::Ready(spooled) = spool.poll(cx, config.request_spool, &mut advanced) {
            *self.timer = None;
            return Poll::Ready(Upload::Spooled(spooled));
        }
        let patience = config.request_read_timeout;
        let timer = match self.timer {
            None => self.timer.insert(Box::pin(sleep(patience))),
            Some(timer) => {
                if advanced {
                    timer.as_mut().reset(later(patience));
                }
                timer
            }
        };
        timer.as_mut().poll(cx).map(|()| Upload::StoodStill)
    }

    /// Hands the work over to become a job.
    fn defer(&mut self) -> Begun<R, S::Error> {
        let deferral = Deferral {
            shared: self.shared.clone(),
            work: self.work.take().expect("not taken before"),
            submission: self.submission.take().expect("not taken before"),
            context: self.context.take(),
        };
        deferral.begin()
    }

    /// The answer, once that task has said what became of the call.
    fn heard(
        &self,
        early: Result<Early<R, S::Error>, RecvError>,
    ) -> Result<Response<ResponseBody<R>>, S::Error> {
        match early {
            Ok(Early::Finished(result)) => self.answered(result),
            Ok(Early::Answered(response)) => Ok(response.map(ResponseBody::from)),
            Ok(Early::Panicked(payload)) => resume_unwind(payload),
            // The task is gone: the runtime shuts down, or the store panicked.
            Err(_) => Ok(self.refused(ProblemType::CapacityExhausted)),
        }
    }

    /// The handler's own answer.
    fn answered(
        &self,
        result: Result<Response<R>, S::Error>,
    ) -> Result<Response<ResponseBody<R>>, S::Error> {
        metrics::inline();
        let mut response = result?.map(ResponseBody::inner);
        answer::apply_wait(response.headers_mut(), &self.asked.prefer);
        Ok(response)
    }

    fn refused(&self, problem: ProblemType) -> Response<ResponseBody<R>> {
        answer::refusal(problem, self.asked.protocol).map(ResponseBody::from)
    }
}

fn cancel(context: &Option<JobContext>) {
    if let Some(context) = context {
        context.cancel();
    }
}

/// What a client that has gone leaves behind: a call that has not begun, or its work.
type Detached<S, B, R> = (
    Option<Submitted<S, B>>,
    Option<BoxWork<R, <S as Service<Request<JobBody<B>>>>::Error>>,
);

/// Lets it run to its end, where there is a runtime to run it.
fn detach<S, B, R>(shared: &Arc<Shared>, asked: Asked, (call, work): Detached<S, B, R>)
where
    S: Service<Request<JobBody<B>>, Response = Response<R>> + Send + 'static,
    S::Future: Send,
    S::Error: Send + 'static,
    B: Body + Send + 'static,
    B::Data: Send,
    B::Error: Send,
    R: Send + 'static,
{
    let begun = call.map(|mut call| {
        let context = shared.config.context.then(JobContext::new);
        let config = &shared.config;
        Submission::of(config, &mut call.request, asked, None, context.as_ref());
        call.put_off()
    });
    if let Some(work) = begun.or(work)
        && let Ok(runtime) = Handle::try_current()
    {
        let until_given_up = shared.clone();
        let work = async move { drop(until_given_up.given_up.or(work).await) };
        shared.tasks.spawn_on(work, &runtime);
    }
}
