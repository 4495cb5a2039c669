//! Submissions that are jobs from the beginning: those with an Idempotency-Key
//! (draft-ietf-httpapi-idempotency-key-header), and those that are offered to workers.
//!
//! The key is taken before the handler runs, and repeats of the request get the same job.

use std::{future::poll_fn, pin::Pin, sync::Arc, task::Poll};

use http::{Request, header::UPGRADE};
use http_polling::{JobState, ProblemType};
use tokio::time::{Instant, timeout_at};
use tower_async_job_core::{Created, Detail, JobId, JobRecord, Principal, StoreError};

use crate::{
    answer::{self, Answer},
    bounds::{HandlerBody, HandlerService, RequestBody},
    call::{
        reservation::{Reservation, Unanswered},
        terms::new_job,
        whole,
    },
    context::handler::HandlerContext,
    node::{front::Front, held::Place, submitters::Submitter, wait::record_until},
    observe::with_sources,
    request::{glance::Glance, submission::Submission, trailers::carries_trailers},
    run::{accept::Unaccepted, work},
    time::after,
};

/// Answers a submission with a key, or one that is offered to workers.
///
/// Once a key is taken the job runs, even if the connection is lost: the client repeats the
/// request with the same key. Without a key, the job is cancelled then. A repeat needs no place to
/// run, so a full node and one that shuts down answer it too.
pub(crate) fn submit<S, B, R>(
    front: Arc<Front>,
    service: S,
    mut request: Request<B>,
    mut submission: Submission,
    context: Option<HandlerContext>,
    keyed: bool,
) -> Answer
where
    S: HandlerService<B, R>,
    B: RequestBody,
    R: HandlerBody,
{
    let begun = Instant::now();
    // A stored answer cannot switch protocols; an upgrade may be ignored (RFC 9110, section 7.8).
    request.headers_mut().remove(UPGRADE);
    Box::pin(async move {
        let mut unanswered = None::<Unanswered>;
        let mut submitter = None::<Submitter>;
        let answer = async {
            let asked = submission.asked;
            let inline_wait = submission.inline_wait(&front.config);
            let until = after(begun, inline_wait);
            let version = request.version();
            let trailers = carries_trailers(&request, Glance::at(request.headers()));
            let refuse = |problem| answer::refusal(&front.node.meter, problem, asked.protocol);
            if let Err(error) = front.check_store() {
                return answer::not_stored(&front.node.meter, &error, asked.protocol);
            }
            let principal = submission.principal.clone();
            let whole = match whole::read(&front, request, &submission, keyed).await {
                Ok(whole) => whole,
                Err(problem) => return refuse(problem),
            };
            let (request, key) = (whole.request, whole.key);
            submission.kept = whole.kept;
            let open = front.node.hold_open();
            let place = if submission.is_offered(&front.config) {
                // A worker has a place for it.
                front.check_open().map(|()| None)
            } else {
                front.admit(principal.as_ref())
            };
            let taken = match place {
                Ok(admission) => {
                    let work = work::put_off(service, request, admission);
                    let (reports, is_queued) = (context.as_deref(), work.is_queued());
                    let (job, terms) = new_job(&front, &submission, reports, key, is_queued);
                    submitter = (job.notify.is_some()).then(|| front.node.submitters.enter(job.id));
                    let reservation = Reservation {
                        front: front.clone(),
                        job,
                        terms,
                        work,
                        context,
                        until,
                    };
                    let taken = reservation.spawn();
                    drop(open);
                    // The task is gone: the runtime shuts down, or the store panicked.
                    let gone = StoreError::unavailable("the job's task is gone");
                    taken.await.unwrap_or(Err(Unaccepted::Failed(gone)))
                }
                Err(no_place) => {
                    let known = match &key {
                        Some(key) => front.node.store.look_up(principal.as_ref(), key).await,
                        None => Ok(None),
                    };
                    match known {
                        Ok(None) => {
                            return answer::no_place(
                                &front.node.meter,
                                no_place,
                                asked.protocol,
                                version,
                            );
                        }
                        Ok(Some(Created::Existing(record))) => Err(Unaccepted::Existing(record)),
                        Ok(Some(_)) => Err(Unaccepted::KeyReused),
                        Err(error) => {
                            tracing::warn!(
                                error = with_sources(&error),
                                "a key could not be looked up"
                            );
                            Err(Unaccepted::Failed(error))
                        }
                    }
                }
            };
            let (id, (record, waited)) = match taken {
                Ok((mut first, mut ended)) => {
                    unanswered = first.unanswered.take();
                    // It waits in the place of its work.
                    let mut changed = front.node.store.subscribe(&first.id);
                    let end = poll_fn(|cx| match Pin::new(&mut ended).poll(cx) {
                        Poll::Pending => match Pin::new(&mut changed).poll(cx) {
                            // The run hands its end over once the store has acknowledged it.
                            Poll::Ready(()) if first.is_ending() => Poll::Pending,
                            changed => changed.map(|()| None),
                        },
                        ended => ended.map(Result::ok),
                    });
                    let over = &front.node.shutdown.over;
                    let found = match over.or(timeout_at(until, end)).await {
                        Some(Ok(Some(ended))) => (Ok(Some(first.record(*ended))), true),
                        // The job is cancelled, or another worker may have it.
                        Some(Ok(None)) if !first.is_offered || Instant::now() < until => {
                            wait(&front, principal.as_ref(), &first.id, None, until).await
                        }
                        _ => match first.unreported(&front) {
                            Some(job) if asked.deferrable => {
                                return answer::accepted(&front, &job, &submission);
                            }
                            _ => (front.node.read(&first.id, Detail::Full).await, true),
                        },
                    };
                    (first.id, found)
                }
                // The result was dropped, and only the key is left.
                Err(Unaccepted::Existing(record)) if record.state == JobState::Expired => {
                    return answer::ended(&front.node.store, &record, trailers);
                }
                Err(Unaccepted::Existing(record)) => {
                    submitter = None;
                    let (id, owner) = (record.id, principal.as_ref());
                    (id, wait(&front, owner, &id, Some(record), until).await)
                }
                Err(Unaccepted::KeyReused) => return refuse(ProblemType::IdempotencyKeyReused),
                Err(Unaccepted::Failed(error)) => {
                    return answer::not_stored(&front.node.meter, &error, asked.protocol);
                }
            };
            let mut response = match record {
                // The job is gone, and its key with it: a repeat has a job of its own.
                Ok(None) => return refuse(ProblemType::StoreUnavailable),
                // A client that takes no jobs repeats the request.
                Ok(Some(record)) if record.state.is_pending() && !asked.deferrable => {
                    return refuse(ProblemType::CapacityExhausted);
                }
                Ok(Some(record)) if record.state.is_pending() => {
                    let mut answer = answer::accepted_before(&front, &record, &asked, waited);
                    if submitter.is_some() {
                        answer::apply_callback(answer.headers_mut());
                    }
                    return answer;
                }
                Ok(Some(record)) => {
                    front.node.undelivered.delivered(&id, 0);
                    front.node.expected.came(&id);
                    if let Some(submitter) = submitter.take() {
                        submitter.has_result();
                    }
                    if record.running_for >= Some(inline_wait) {
                        front.node.learn_from(&record);
                    }
                    let mut ended = answer::ended(&front.node.store, &record, trailers);
                    if let Err(error) = ended.body_mut().open().await {
                        return answer::unreadable(&error);
                    }
                    ended
                }
                Err(error) => return answer::unreadable(&error),
            };
            answer::apply_wait(response.headers_mut(), &asked.prefer);
            response
        };
        let answer = answer.await;
        if let Some(unanswered) = unanswered {
            unanswered.answered();
        }
        answer
    })
}

/// Waits for the end of a job that no work of this client runs, like a held poll. Returns the job, and
/// whether the client was allowed to wait. `known` is the job without its outcome.
async fn wait(
    front: &Arc<Front>,
    principal: Option<&Principal>,
    id: &JobId,
    known: Option<Box<JobRecord>>,
    until: Instant,
) -> (Result<Option<JobRecord>, StoreError>, bool) {
    let is_pending = (known.as_ref()).is_none_or(|record| record.state.is_pending());
    let held = is_pending.then(|| Place::take(front, principal)).flatten();
    let until = held.as_ref().map_or_else(Instant::now, |_| until);
    let record = match known {
        Some(pending) if is_pending && Instant::now() >= until => Ok(Some(*pending)),
        _ => record_until(&front.node, id, until, &mut None).await,
    };
    (record, held.is_some())
}
