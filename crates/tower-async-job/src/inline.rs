//! The time that a request spends in its connection: the inline wait, the rest of the upload, and
//! the hand-over to a task.

use std::{
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_polling::{PreferenceApplied, ProblemType};
use pin_project_lite::pin_project;
use tokio::{
    sync::oneshot::{self, error::RecvError},
    time::{Sleep, sleep},
};
use tower::BoxError;

use crate::{
    answer,
    body::{ResponseBody, Spool, Spooled},
    config::OnDisconnect,
    context::JobContext,
    deferral::{Deferral, Early},
    service::{Asked, Submission},
    shared::{Shared, later},
    work::BoxWork,
};

pin_project! {
    #[project = InlineProjection]
    pub(crate) struct Inline<B, R, E>
    where
        B: Body,
    {
        shared: Arc<Shared>,
        work: Option<BoxWork<R, E>>,
        // `None` once it has moved to the job.
        submission: Option<Submission>,
        asked: Asked,
        spool: Option<Spool<B>>,
        context: Option<JobContext>,
        stage: Stage<R, E>,
        // Made when it is first needed: the end of the inline wait, or of the upload's patience.
        #[pin]
        timer: Option<Sleep>,
        detach: fn(&Shared, BoxWork<R, E>),
    }

    impl<B, R, E> PinnedDrop for Inline<B, R, E>
    where
        B: Body,
    {
        fn drop(this: Pin<&mut Self>) {
            let this = this.project();
            let Some(work) = this.work.take() else {
                return;
            };
            match this.shared.config.on_disconnect {
                OnDisconnect::Detach => (this.detach)(this.shared, work),
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

impl<B, R, E> Inline<B, R, E>
where
    B: Body,
    R: Send + 'static,
    E: Send + 'static,
{
    pub(crate) fn new(
        shared: Arc<Shared>,
        work: BoxWork<R, E>,
        submission: Submission,
        spool: Option<Spool<B>>,
        context: Option<JobContext>,
    ) -> Self {
        Self {
            shared,
            work: Some(work),
            asked: submission.asked,
            submission: Some(submission),
            spool,
            context,
            stage: Stage::Waiting,
            timer: None,
            detach,
        }
    }
}

impl<B, R, E> Future for Inline<B, R, E>
where
    B: Body,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    type Output = Result<Response<ResponseBody<R>>, E>;

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
            match this.stage {
                Stage::Waiting => {
                    ready!(this.poll_wait(cx));
                    *this.stage = Stage::Spooling;
                }
                Stage::Spooling => match ready!(this.poll_upload(cx)) {
                    Upload::Spooled(Spooled::Complete) => this.defer(),
                    Upload::Spooled(Spooled::TooLarge | Spooled::Failed) => {
                        *this.stage = Stage::Staying;
                    }
                    Upload::StoodStill => {
                        *this.work = None;
                        cancel(this.context);
                        return Poll::Ready(Ok(this.refused(ProblemType::RequestTimeout)));
                    }
                },
                Stage::Staying | Stage::Deferred(_) => return Poll::Pending,
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

impl<B, R, E> InlineProjection<'_, B, R, E>
where
    B: Body,
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    fn poll_work(&mut self, cx: &mut Context<'_>) -> Poll<Result<Response<R>, E>> {
        // It is taken meanwhile, so that work that panics is not detached to be polled again.
        let mut work = self.work.take().expect("polled after completion");
        let result = work.as_mut().poll(cx);
        if result.is_pending() {
            *self.work = Some(work);
        }
        result
    }

    /// Waits for the end of the inline wait.
    fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let wait = self.shared.config.inline_wait(&self.asked.prefer);
        if !wait.is_zero() {
            if self.timer.is_none() {
                self.timer.set(Some(sleep(wait)));
            }
            ready!(self.poll_timer(cx));
            self.timer.set(None);
        }
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
            self.timer.set(None);
            return Poll::Ready(Upload::Spooled(spooled));
        }
        let patience = config.request_read_timeout;
        match self.timer.as_mut().as_pin_mut() {
            None => self.timer.set(Some(sleep(patience))),
            Some(timer) if advanced => timer.reset(later(patience)),
            Some(_) => {}
        }
        self.poll_timer(cx).map(|()| Upload::StoodStill)
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self.timer.as_mut().as_pin_mut() {
            Some(timer) => timer.poll(cx),
            None => Poll::Ready(()),
        }
    }

    /// Hands the work to a task that makes it a job.
    fn defer(&mut self) {
        let deferral = Deferral {
            shared: self.shared.clone(),
            work: self.work.take().expect("not taken before"),
            submission: self.submission.take().expect("not taken before"),
            context: self.context.take(),
        };
        *self.stage = Stage::Deferred(deferral.spawn());
    }

    /// The answer, once that task has said what became of the call.
    fn heard(&self, early: Result<Early<R, E>, RecvError>) -> Result<Response<ResponseBody<R>>, E> {
        match early {
            Ok(Early::Finished(result)) => self.answered(result),
            Ok(Early::Answered(response)) => Ok(response.map(ResponseBody::from)),
            Ok(Early::Panicked(payload)) => resume_unwind(payload),
            // The task is gone: the runtime shuts down, or the store panicked.
            Err(_) => Ok(self.refused(ProblemType::CapacityExhausted)),
        }
    }

    /// The handler's own answer.
    fn answered(&self, result: Result<Response<R>, E>) -> Result<Response<ResponseBody<R>>, E> {
        let mut response = result?.map(ResponseBody::inner);
        if let Some(wait) = self.asked.prefer.wait() {
            // RFC 7240, section 3: what was asked was done.
            let applied = PreferenceApplied::new().with_wait(wait);
            applied.append_to(response.headers_mut());
        }
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

/// Lets the work of a client that has gone run to its end, where there is a runtime to run it.
fn detach<R, E>(shared: &Shared, work: BoxWork<R, E>)
where
    R: Send + 'static,
    E: Send + 'static,
{
    if let Ok(runtime) = tokio::runtime::Handle::try_current() {
        shared
            .tasks
            .spawn_on(async move { drop(work.await) }, &runtime);
    }
}
