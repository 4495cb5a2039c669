//! Jobs that change hands.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Claims, JobHandle, JobId, Lease, Outside, Release, Released,
    Renewal, Report, Retention, StoreError, StoredRequest, Task,
};

use super::{
    candidate::Candidate,
    due::tick_all,
    finding::{choose, look},
    leases::renewal,
    report::add_report,
};
use crate::{
    engine::Engine,
    job::{Row, State, hex, unhex},
    link::{Call, Reply},
    script::{CLAIM, CLAIM_NOTICE, NOTIFIED, RELEASE, RENEW_OUTSIDE, REPORT_OUTSIDE, RESUME},
    time::{Micros, micros, of_day, span, to_day},
    value::{bytes, list, number, text},
};

/// The number of jobs of each shard that are looked at for those of newer builds.
const PASSED: usize = 16;

/// The maximum number of jobs claimed by one call.
const CLAIM_QUOTA: usize = 256;

/// Releases leases, each by a script of its own. One whose job cannot be read is lost.
pub(crate) async fn release(
    engine: &Engine,
    leases: &[Lease],
    how: &Release,
) -> Result<Vec<Released>, StoreError> {
    let token = how
        .outside
        .map_or_else(String::new, |outside| hex(&outside.token));
    let until = how.outside.map_or(0, |outside| micros(outside.until));
    let releases = leases.iter().map(|lease| {
        let call = engine
            .job_call(&RELEASE, &lease.id)
            .number(lease.epoch)
            .number(micros(how.after))
            .mark(how.counts)
            .arg(&token)
            .number(until);
        (lease.id, call)
    });
    let replies = engine.change_all(releases.collect()).await;
    let released = replies.into_iter().map(|reply| {
        let mut reply = reply?;
        Ok(match &*reply.status {
            "queued" => Released::Queued,
            "outside" => Released::Outside,
            "ended" => {
                let state = State::shown_by_number(number(reply.next())?);
                state.map_or(Released::Lost, Released::Ended)
            }
            _ => Released::Lost,
        })
    });
    released.collect()
}

pub(crate) async fn resume(
    engine: &Engine,
    id: &JobId,
    token: &[u8; 32],
) -> Result<Option<Claim>, StoreError> {
    let call = engine.job_call(&RESUME, id).arg(hex(token));
    let reply = engine.change(id, call).await?;
    match &*reply.status {
        "none" => Ok(None),
        "claimed" => Claimed::read(*id, reply)?.run(Task::Record).map(Some),
        _ => Err(reply.error()),
    }
}

pub(crate) async fn renew_outside(
    engine: &Engine,
    id: &JobId,
    outside: &Outside,
    report: &Report,
) -> Result<Renewal, StoreError> {
    let script = match *report == Report::default() {
        true => &RENEW_OUTSIDE,
        false => &REPORT_OUTSIDE,
    };
    let call = engine
        .job_call(script, id)
        .arg(hex(&outside.token))
        .number(micros(outside.until));
    let reply = engine.change(id, add_report(call, Some(report))?).await?;
    match &*reply.status {
        "corrupt" | "newer" => Err(reply.error()),
        fate => Ok(renewal(fate)),
    }
}

pub(crate) async fn notified(
    engine: &Engine,
    lease: &Lease,
    again: Option<Duration>,
) -> Result<(), StoreError> {
    let call = engine
        .job_call(&NOTIFIED, &lease.id)
        .number(lease.epoch)
        .optional(again.map(micros));
    let reply = engine.change(&lease.id, call).await?;
    match &*reply.status {
        "ok" => Ok(()),
        _ => Err(reply.error()),
    }
}

/// The answer of a script that gives a job to a holder.
struct Claimed {
    row: Row,
    now: Micros,
    parts: std::vec::IntoIter<Value>,
    fingerprint: Option<[u8; 32]>,
}

impl Claimed {
    fn read(id: JobId, mut reply: Reply) -> Result<Self, StoreError> {
        let row = Row::read(id, &bytes(reply.next()).unwrap_or_default())?;
        let parts = list(reply.next())?.into_iter();
        let print = text(reply.next())?;
        Ok(Self {
            row,
            now: reply.now,
            parts,
            fingerprint: (!print.is_empty()).then(|| unhex(&print)).transpose()?,
        })
    }

    fn part(&mut self) -> Option<Bytes> {
        self.parts.next().and_then(bytes)
    }

    fn claim(&self, lease: Lease, task: Task) -> Claim {
        let Self { row, now, .. } = self;
        let mut claim = Claim::new(lease, row.handle, task);
        claim.attempt = row.attempt;
        claim.max_attempts = row.max_attempts;
        claim.route = row.route.as_str().into();
        claim.protocol = row.protocol;
        claim.pending_status = row.pending_status;
        claim.principal = row.principal.clone();
        claim.created = to_day(row.created);
        claim.age = span(row.created, *now);
        claim
    }

    /// Returns the claim of a run.
    fn run(mut self, task: Task) -> Result<Claim, StoreError> {
        let mut claim = self.claim(self.row.lease(), task);
        claim.remaining = span(self.now, self.row.deadline);
        claim.checkpoint = self.part().unwrap_or_default();
        claim.notify = self.part();
        claim.fingerprint = self.fingerprint;
        claim.retention = Retention::new(span(0, self.row.keep), span(0, self.row.tombstone));
        claim.version = self.row.version(http_polling::JobState::Running);
        if let Some(request) = self.part() {
            claim.task = Task::Run(StoredRequest::from_bytes(request));
        }
        Ok(claim)
    }

    /// Returns the claim of a notification.
    fn notice(mut self) -> Option<Claim> {
        let _checkpoint = self.part();
        let ended = self.row.ended?;
        let task = Task::Notify {
            notify: self.part()?,
            state: self.row.notify_state?.shown()?,
            ended: to_day(ended),
        };
        let attempt = self.row.notify_attempts;
        let mut claim = self.claim(Lease::new(self.row.id, attempt.into()), task);
        claim.attempt = attempt;
        let usual = ended.saturating_add(self.row.keep);
        claim.remaining = span(self.now, self.row.due.max(usual));
        Some(claim)
    }
}

/// Claims tasks that match the query, after the changes that are due.
pub(crate) async fn claim(engine: &Engine, query: &ClaimQuery) -> Result<Claims, StoreError> {
    let limit = query.limit.min(CLAIM_QUOTA);
    // Turns are spread evenly over the shards.
    let looked = match limit {
        0 => 0,
        limit => (limit / 8).max(4) + 1 + engine.unread.most_in_a_shard(),
    };
    let mut found = look(engine, query, looked).await?;
    if !found.is_refused && !found.due.is_empty() {
        tick_all(engine, std::mem::take(&mut found.due), query.not_after).await?;
        found = look(engine, query, looked).await?;
    }
    let mut claims = Claims::new(to_day(found.now));
    if found.is_refused {
        return Ok(claims);
    }
    let (candidates, mut is_whole) = choose(engine, &mut found, query, looked, limit);
    // A job that becomes due meanwhile is found by the next call.
    is_whole &= found.due.is_empty();
    let calls = candidates
        .iter()
        .map(|candidate| (candidate.id, act(engine, query, candidate)));
    let replies = engine.change_all(calls.collect()).await;
    let (mut failed, mut met_newer) = (None, false);
    for (reply, candidate) in replies.into_iter().zip(&candidates) {
        let status = reply.as_ref().ok().map(|reply| reply.status.as_str());
        engine
            .ended
            .note((status == Some("ended")).then_some(candidate.id));
        let is_newer = status == Some("newer");
        engine.unread.note(is_newer.then_some(candidate.id));
        met_newer |= is_newer;
        match reply.and_then(|reply| take(&mut claims, query, candidate, reply)) {
            Ok(()) if query.kind != ClaimKind::Notify => {
                engine
                    .turns
                    .claimed(&candidate.member[..16], candidate.turn);
            }
            Ok(()) => {}
            Err(error) => failed = Some(error),
        }
    }
    if let Some(error) = failed
        && claims.jobs.is_empty()
    {
        return Err(error);
    }
    if met_newer && claims.jobs.is_empty() {
        pass_over(engine, query).await?;
    }
    // A worker that takes nothing need not know of tasks that wait already.
    claims.next = if is_whole || limit == 0 {
        found.next.map(|next| span(found.now, next))
    } else {
        Some(Duration::ZERO)
    };
    if limit == 0 {
        claims.next = claims.next.map(|next| next.max(Duration::from_micros(1)));
    }
    Ok(claims)
}

/// Notes the jobs of a crowd that this build cannot read, for the next claims.
async fn pass_over(engine: &Engine, query: &ClaimQuery) -> Result<(), StoreError> {
    let looked = PASSED + engine.unread.most_in_a_shard();
    let mut found = look(engine, query, looked).await?;
    let (candidates, _) = choose(engine, &mut found, query, looked, usize::MAX);
    // Nothing of these is due, but their rows are read.
    let ids = candidates.iter().map(|candidate| candidate.id).collect();
    tick_all(engine, ids, query.not_after).await
}

fn act(engine: &Engine, query: &ClaimQuery, candidate: &Candidate) -> Call {
    let script = match query.kind {
        ClaimKind::Notify => &CLAIM_NOTICE,
        _ => &CLAIM,
    };
    engine
        .job_call(script, &candidate.id)
        .arg(&candidate.member)
        .optional(query.not_after.map(of_day))
}

/// Adds what became of a candidate to the claims.
fn take(
    claims: &mut Claims,
    query: &ClaimQuery,
    candidate: &Candidate,
    mut reply: Reply,
) -> Result<(), StoreError> {
    match &*reply.status {
        "claimed" => {
            let claimed = Claimed::read(candidate.id, reply)?;
            match query.kind {
                ClaimKind::Notify => claims.jobs.extend(claimed.notice()),
                _ => claims.jobs.push(claimed.run(Task::Record)?),
            }
        }
        "unreadable" => {
            let handle = text(reply.next()).ok();
            let handle = handle.and_then(|handle| handle.parse::<JobHandle>().ok());
            claims.unreadable.extend(handle);
        }
        _ => {}
    }
    Ok(())
}
