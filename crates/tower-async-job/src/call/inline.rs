//! The inline part of a call: the inline wait, the rest of the upload, and the hand-over to a task.

use std::{
    mem,
    panic::resume_unwind,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
    thread,
};

use http::{Request, Response};
use http_body::Body;
use http_polling::ProblemType;
use pin_project_lite::pin_project;
use tokio::sync::oneshot::error::RecvError;
use tower::Service;
use tower_async_job_core::Principal;

use crate::{
    answer,
    body::{JobBody, ResponseBody, Spooled},
    bounds::{HandlerBody, HandlerService, RequestBody},
    call::{
        deferral::{Early, HandedOver},
        detached::detach,
        progress::{Begun, Progress, Stage},
        timer::{Over, Timer},
    },
    config::{OnDisconnect, policy::Policy},
    context::handler::HandlerContext,
    node::{capacity::Admission, front::Front, holds::Holds, streams},
    observe::metrics::Meter,
    panics::drop_quietly,
    request::submission::{Asked, Submission},
    run::work::{BoxWork, NewCall},
    stream_place::StreamPlace,
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

impl<S, B, R> Inline<S, B, R>
where
    S: HandlerService<B, R>,
    B: RequestBody,
    R: Send + 'static,
{
    pub(crate) fn new(
        front: Arc<Front>,
        call: NewCall<S, B>,
        asked: Asked,
        principal: Option<Principal>,
        policy: Option<Arc<Policy>>,
    ) -> Self {
        Self {
            front,
            asked,
            progress: Progress::Due {
                call: Some(call),
                principal,
                policy,
            },
            detach,
        }
    }

    /// Continues with work whose request is read to its end.
    pub(super) fn begun(
        front: Arc<Front>,
        work: BoxWork<R, S::Error>,
        submission: Submission,
        context: Option<HandlerContext>,
    ) -> Self {
        Self {
            front,
            asked: submission.asked,
            progress: Progress::Begun(Begun {
                work: Some(work),
                submission: Some(submission),
                spool: None,
                context,
                stage: Stage::Waiting,
                place: None,
                timer: Timer::default(),
            }),
            detach,
        }
    }
}

impl<S, B, R> Future for Inline<S, B, R>
where
    S: HandlerService<B, R>,
    B: RequestBody,
    R: HandlerBody,
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
                return Poll::Ready(Ok(refused(front, asked, ProblemType::JobTimedOut)));
            }
            // Work before timers: a response that is ready is the answer.
            if !matches!(begun.stage, Stage::Left)
                && let Poll::Ready(mut result) = begun.poll_work(cx)
            {
                if begun.is_left_by(&result, front) {
                    begun.leave(result);
                    continue;
                }
                // Added before the result is moved for the last time, since moving it is expensive.
                if let (Stage::Waiting, Ok(response)) = (&begun.stage, &mut result) {
                    answer::apply_wait(response.headers_mut(), &asked.prefer);
                }
                let principal = begun
                    .submission
                    .as_ref()
                    .and_then(|it| it.principal.as_ref());
                let (place, context) = (&mut begun.place, begun.context.take());
                return Poll::Ready(answered(front, asked, principal, place, context, result));
            }
            if let Stage::Waiting = begun.stage {
                let over = ready!(begun.poll_wait(cx, &front.config));
                // A node that shuts down creates no jobs, which it would only release.
                begun.stage = match over {
                    Over::Upload => return Poll::Ready(Ok(begun.give_up(front, asked, over))),
                    Over::Stage if front.node.shutdown.begun.is_set() => Stage::Staying,
                    Over::Stage => {
                        // While reading, it holds no place to run.
                        begun.with_place(Admission::stand_aside);
                        Stage::Spooling
                    }
                };
            }
            if let Stage::Spooling | Stage::Left = begun.stage
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
            return Poll::Ready(Ok(begun.give_up(front, asked, over)));
        }
    }
}

/// Returns the answer that follows from the task's report.
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
        Err(_) => Ok(refused(front, asked, ProblemType::CapacityExhausted)),
    }
}

#[inline(always)]
fn answered<R, E>(
    front: &Arc<Front>,
    asked: &Asked,
    principal: Option<&Principal>,
    place: &mut Option<StreamPlace>,
    context: Option<HandlerContext>,
    result: Result<Response<R>, E>,
) -> Result<Response<ResponseBody<R>>, E> {
    front.node.meter.inline();
    if let Some(streams) = &front.node.streams
        && streams::is_stream(asked, &result)
    {
        let place = place.take().unwrap_or_default();
        return streamed(
            &front.node.meter,
            streams,
            asked,
            principal,
            place,
            context,
            result,
        );
    }
    Ok(result?.map(|body| ResponseBody::of_handler(body, context, None)))
}

/// Returns the answer of an open-ended stream, which takes a place if these are limited.
#[cold]
fn streamed<R, E>(
    meter: &Meter,
    streams: &Arc<Holds>,
    asked: &Asked,
    principal: Option<&Principal>,
    place: StreamPlace,
    context: Option<HandlerContext>,
    result: Result<Response<R>, E>,
) -> Result<Response<ResponseBody<R>>, E> {
    let response = result?;
    if let Err(no_place) = streams::take(streams, principal).map(|taken| place.keep(taken)) {
        let refusal = answer::no_place(meter, no_place, asked.protocol, response.version());
        return Ok(refusal.map(ResponseBody::from));
    }
    Ok(response.map(|body| ResponseBody::of_handler(body, context, Some(place))))
}

fn refused<R>(front: &Front, asked: &Asked, problem: ProblemType) -> Response<ResponseBody<R>> {
    answer::refusal(&front.node.meter, problem, asked.protocol).map(ResponseBody::from)
}

fn panicked<R>(asked: &Asked) -> Response<ResponseBody<R>> {
    answer::panicked(asked.protocol).map(ResponseBody::from)
}
