//! Submissions with an Idempotency-Key (draft-ietf-httpapi-idempotency-key-header): the key is
//! taken before the handler runs, and repeats of the request get the same job.

use std::{future::poll_fn, sync::Arc, task::Poll};

use bytes::Bytes;
use http::{
    Request, Response,
    header::{UPGRADE, VARY},
};
use http_body::Body;
use http_polling::{JobState, ProblemType, idempotency_key};
use tokio::{sync::oneshot, time::Instant};
use tower::{BoxError, Service};
use tower_async_job_core::{Created, IdempotencyKey, StoreError};

use crate::{
    answer::{self, Answer},
    body::{JobBody, Spool, Spooled},
    call::{
        terms::{new_job, terms},
        timer::Timer,
    },
    context::handler::HandlerContext,
    node::{front::Front, held::Place, registration::discard, wait::record_until},
    panics::drop_quietly,
    request::{
        fingerprint::Fingerprint, glance::Glance, submission::Submission,
        trailers::carries_trailers,
    },
    run::{
        accept::{self, accept, may_be_stored},
        attempt::Run,
        restore::Creation,
        spawn::spawn,
        task::Job,
        work::{self, BoxWork},
    },
    time::{after, later},
};

/// Answers a submission with a key.
///
/// Once the key is taken the job runs, even if the connection is lost: the client repeats the
/// request with the same key. A repeat needs no place to run, so a full node and one that shuts
/// down answer it too.
pub(crate) fn submit<S, B, R>(
    front: Arc<Front>,
    service: S,
    mut request: Request<B>,
    submission: Submission,
    context: Option<HandlerContext>,
) -> Answer
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
    let begun = Instant::now();
    // A stored answer cannot switch protocols; an upgrade may be ignored (RFC 9110, section 7.8).
    request.headers_mut().remove(UPGRADE);
    Box::pin(async move {
        let asked = submission.asked;
        let inline_wait = submission.inline_wait(&front.config);
        let until = after(begun, inline_wait);
        let version = request.version();
        let trailers = carries_trailers(&request, Glance::at(request.headers()));
        let refuse = |problem| answer::refusal(problem, asked.protocol);
        let principal = submission.principal.clone();
        let (request, key) = match read_keyed(&front, request, &submission).await {
            Ok(keyed) => keyed,
            Err(problem) => return refuse(problem),
        };
        let open = front.node.hold_open();
        let created = match front.admit(principal.as_ref()) {
            Ok(admission) => {
                let reservation = Reservation {
                    front: front.clone(),
                    work: work::put_off(service, request, admission),
                    submission,
                    key,
                    context,
                    until,
                };
                let created = reservation.spawn();
                drop(open);
                // The task is gone: the runtime shuts down, or the store panicked.
                let gone = |_| Err(StoreError::unavailable("the job's task is gone"));
                created.await.unwrap_or_else(gone)
            }
            Err(no_place) => match front.node.store.look_up(principal.as_ref(), &key).await {
                Ok(None) => return answer::no_place(no_place, asked.protocol, version),
                Ok(Some(created)) => Ok(created),
                Err(error) => Err(error),
            },
        };
        // A repeat that waits is a held poll; the first request waits in the place of its work.
        let held;
        let (id, waited) = match created {
            Ok(Created::New { lease, .. }) => (lease.id, true),
            // The result was dropped, and only the key is left.
            Ok(Created::Existing(record)) if record.state == JobState::Expired => {
                return answer::ended(&front.node.store, &record, trailers);
            }
            Ok(Created::Existing(record)) => {
                held = Place::take(&front, principal.as_ref());
                (record.id, held.is_some())
            }
            Ok(_) => return refuse(ProblemType::IdempotencyKeyReused),
            Err(error) => {
                tracing::warn!(%error, "a job could not be stored");
                return answer::not_stored(&error, asked.protocol);
            }
        };
        let until = if waited { until } else { begun };
        let mut response = match record_until(&front.node, &id, until, &mut None).await {
            Ok(None) => return answer::unknown(),
            // A client that takes no jobs repeats the request.
            Ok(Some(record)) if record.state.is_pending() && !asked.deferrable => {
                return refuse(ProblemType::CapacityExhausted);
            }
            Ok(Some(record)) if record.state.is_pending() => {
                let mut response = answer::pending(&front, &record, 0, asked.may_close);
                // Vary applies to answers to GET only.
                response.headers_mut().remove(VARY);
                if waited {
                    answer::apply_preferences(response.headers_mut(), &asked.prefer);
                }
                return response;
            }
            Ok(Some(record)) => {
                front.node.undelivered.delivered(&id, 0);
                front.node.expected.came(&id);
                if record.running_for >= Some(inline_wait) {
                    front.node.learn_from(&record);
                }
                answer::ended(&front.node.store, &record, trailers)
            }
            Err(error) => return answer::unreadable(&error, Some(&id)),
        };
        answer::apply_wait(response.headers_mut(), &asked.prefer);
        response
    })
}

/// Reads a whole request, and returns it with its fingerprint.
async fn read_keyed<B: Body>(
    front: &Front,
    request: Request<B>,
    submission: &Submission,
) -> Result<(Request<JobBody<B>>, IdempotencyKey), ProblemType> {
    let key = idempotency_key(request.headers()).ok_or(ProblemType::IdempotencyKeyInvalid)?;
    let mut fingerprint = Fingerprint::of(&request);
    let (parts, body) = request.into_parts();
    let (body, spool) = JobBody::spooling(body, &front.spool_room, submission.principal.as_ref());
    if let Some(spool) = &spool {
        read_whole(front, spool, submission.policy(&front.config).request_spool).await?;
        if !spool.each_chunk(|chunk| fingerprint.update(chunk)) {
            // A body that is too long to compare must not count as a repeat.
            return Err(ProblemType::RequestTooLarge);
        }
    }
    let key = IdempotencyKey::new(key, fingerprint.finish())
        .map_err(|_| ProblemType::IdempotencyKeyInvalid)?;
    Ok((Request::from_parts(parts, body), key))
}

/// A call that takes its key and becomes a job.
struct Reservation<R, E> {
    front: Arc<Front>,
    work: BoxWork<R, E>,
    submission: Submission,
    key: IdempotencyKey,
    context: Option<HandlerContext>,
    /// The end of the inline wait of its first client.
    until: Instant,
}

impl<R, E> Reservation<R, E>
where
    R: Body<Data = Bytes> + Send + 'static,
    R::Error: Into<BoxError>,
    E: Into<BoxError> + Send + 'static,
{
    /// Takes the key in the job's own task, so that a disconnect leaves no job behind that does not
    /// run.
    fn spawn(self) -> oneshot::Receiver<Result<Created, StoreError>> {
        let (sender, receiver) = oneshot::channel();
        let front = self.front.clone();
        spawn(&front.node, Job::Accepting(Box::pin(self.create(sender))));
        receiver
    }

    async fn create(
        self,
        sender: oneshot::Sender<Result<Created, StoreError>>,
    ) -> Option<Run<R, E>> {
        let (front, submission, work) = (self.front, self.submission, self.work);
        let job = new_job(
            &front,
            &submission,
            self.context.as_deref(),
            Some(self.key),
            work.is_queued(),
        );
        let (route, lease) = (job.route.clone(), job.first_lease());
        let creation = Creation::of(&job, &front.node);
        let created = accept::create(&front.node, job).await;
        if !matches!(created, Ok(Created::New { .. })) {
            drop_quietly(work);
            let may_be_stored = may_be_stored(&created);
            let _ = sender.send(created);
            if may_be_stored {
                discard(&front.node, &lease).await;
            }
            return None;
        }
        let now = Instant::now();
        let terms = terms(&front, &submission, route, creation, now);
        let mut run = accept(&front.node, lease, work, self.context, terms);
        run.announced();
        let _ = sender.send(created);
        Some(run.inline_until(self.until))
    }
}

/// Reads an upload to its end, or returns the problem.
async fn read_whole<B: Body>(
    front: &Front,
    spool: &Spool<B>,
    limit: usize,
) -> Result<(), ProblemType> {
    let config = &front.config;
    let (mut timer, total) = (Timer::default(), config.request_pace.total);
    let spooled = poll_fn(|cx| {
        if let Poll::Ready(spooled) = spool.poll(cx, limit) {
            return Poll::Ready(Ok(spooled));
        }
        let over = timer.poll(cx, || later(total), Some(spool), &config.request_pace);
        over.map(|_| Err(ProblemType::RequestTimeout))
    });
    match spooled.await? {
        Spooled::Complete => Ok(()),
        Spooled::NoRoom => Err(ProblemType::CapacityExhausted),
        Spooled::OverQuota => Err(ProblemType::QuotaExceeded),
        Spooled::TooLarge => Err(ProblemType::RequestTooLarge),
        Spooled::Failed => Err(ProblemType::RequestInvalid),
    }
}
