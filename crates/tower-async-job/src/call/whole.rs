//! Requests that are read to their end before their handler is called: they have a key, or are stored
//! to be replayed.

use std::{future::poll_fn, sync::Arc, task::Poll};

use http::Request;
use http_body::Body;
use http_polling::{ProblemType, idempotency_key};
use tower_async_job_core::IdempotencyKey;

use crate::{
    body::{JobBody, Spool, Spooled},
    call::timer::Timer,
    config::policy::Policy,
    node::front::Front,
    request::{fingerprint::Fingerprint, kept::Kept, submission::Submission},
    time::later,
};

/// A request that is read to its end.
pub(super) struct Whole<B: Body> {
    pub(super) request: Request<JobBody<B>>,
    /// Its key, with its fingerprint.
    pub(super) key: Option<IdempotencyKey>,
    /// Its stored form, if its job can be replayed or resumed.
    pub(super) kept: Option<Box<Kept>>,
}

/// Reads a whole request.
pub(super) async fn read<B: Body>(
    front: &Front,
    request: Request<B>,
    submission: &Submission,
    keyed: bool,
) -> Result<Whole<B>, ProblemType> {
    let key = keyed.then(|| idempotency_key(request.headers()));
    let key = key
        .map(|key| key.ok_or(ProblemType::IdempotencyKeyInvalid))
        .transpose()?;
    let mut fingerprint = keyed.then(|| Fingerprint::of(&request));
    let mut copy = submission.asked.replayable.then(Vec::new);
    let mut room = None;
    let (parts, body) = request.into_parts();
    let (body, spool) = JobBody::spooling(body, &front.spool_room, submission.principal.as_ref());
    let policy = submission.policy(&front.config);
    if let Some(spool) = &spool {
        read_to_end(spool, policy).await?;
        if copy.is_some() {
            let taken = spool.take_for_copy();
            room = Some(Arc::new(taken.map_err(problem_of)?));
        }
        let is_all = spool.each_chunk(|chunk| {
            if let Some(fingerprint) = &mut fingerprint {
                fingerprint.update(chunk);
            }
            if let Some(copy) = &mut copy {
                copy.extend_from_slice(chunk);
            }
        });
        if !is_all {
            // A body that is too long to compare must not count as a repeat.
            return Err(ProblemType::RequestTooLarge);
        }
    }
    let key = key.zip(fingerprint).map(|(key, fingerprint)| {
        IdempotencyKey::new(key, fingerprint.finish())
            .map_err(|_| ProblemType::IdempotencyKeyInvalid)
    });
    let request = Request::from_parts(parts, body);
    let trailers = spool.as_ref().and_then(Spool::trailers);
    let kept = match copy {
        Some(body) => front.config.keep(policy, &request, body, trailers),
        None => front.config.keep_resumable(policy, &request),
    };
    let kept = kept.map(|request| Box::new(Kept { request, room }));
    Ok(Whole {
        request,
        key: key.transpose()?,
        kept,
    })
}

/// Reads an upload to its end, or returns the problem.
async fn read_to_end<B: Body>(spool: &Spool<B>, policy: &Policy) -> Result<(), ProblemType> {
    let (mut timer, pace) = (Timer::default(), policy.pace());
    let spooled = poll_fn(|cx| {
        if let Poll::Ready(spooled) = spool.poll(cx, policy.request_spool) {
            return Poll::Ready(Ok(spooled));
        }
        let over = timer.poll(cx, || later(pace.total), Some(spool), &pace);
        over.map(|_| Err(ProblemType::RequestTimeout))
    });
    match spooled.await? {
        Spooled::Complete => Ok(()),
        unread => Err(problem_of(unread)),
    }
}

/// Returns the problem of an upload that is not read.
fn problem_of(spooled: Spooled) -> ProblemType {
    match spooled {
        Spooled::NoRoom => ProblemType::CapacityExhausted,
        Spooled::OverQuota => ProblemType::QuotaExceeded,
        Spooled::TooLarge => ProblemType::RequestTooLarge,
        Spooled::Failed | Spooled::Complete => ProblemType::RequestInvalid,
    }
}
