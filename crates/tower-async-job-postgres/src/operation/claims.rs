//! Tasks that are claimed.

use bytes::Bytes;
use http_polling::JobState;
use tokio_postgres::{Row, types::Type};
use tower_async_job_core::{
    Claim, ClaimKind, ClaimQuery, Claims, JobId, JobRecord, Lease, Owner, Retention, StoreError,
    StoredRequest, Task,
};

use crate::{
    database::{Database, Retry, column},
    job::{
        Id, handle_of, narrow, owner_of, pending_status_of, protocol_of, refused, route_hash,
        state_of, text_of,
    },
    time::{Micros, of_day, span, to_day},
};

/// The maximum number of jobs claimed by one call.
const CLAIM_QUOTA: usize = 256;

/// The kind of a claim that is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    Run,
    Notify,
    Record,
}

/// The result of a claim, with its effects.
pub(crate) struct Taken {
    pub(crate) claims: Claims,
    /// The jobs that are no longer pending.
    pub(crate) ended: Vec<JobId>,
    /// Others may have something to claim.
    pub(crate) work: bool,
    /// The number of jobs that ended since their leases lapsed.
    pub(crate) lost: i32,
}

/// Claims tasks by one statement.
pub(crate) async fn claim(
    database: &Database,
    lease: Micros,
    query: &ClaimQuery,
) -> Result<Taken, StoreError> {
    let mut routes = query.routes.clone();
    if let Some(routes) = &mut routes {
        routes.sort_unstable();
        routes.dedup();
    }
    let hashes: Option<Vec<_>> = routes
        .as_ref()
        .map(|routes| routes.iter().map(|route| route_hash(route)).collect());
    let routes: Option<Vec<&[u8]>> = routes
        .as_ref()
        .map(|routes| routes.iter().map(|route| route.as_bytes()).collect());
    let limit = query.limit.min(CLAIM_QUOTA) as i32;
    let parameters = [
        (&lease as _, Type::INT8),
        (&(query.kind == ClaimKind::Notify) as _, Type::BOOL),
        (&limit as _, Type::INT4),
        (&narrow(query.max_bytes as u64) as _, Type::INT8),
        (&routes as _, Type::BYTEA_ARRAY),
        (&hashes as _, Type::INT8_ARRAY),
        (&i16::from(query.newest_format) as _, Type::INT2),
        (&query.not_after.map(of_day) as _, Type::INT8),
    ];
    let rows = database
        .call("claim", &parameters, Retry::RolledBack)
        .await?;
    taken_of(&rows, query.kind)
}

/// Returns the claims in rows of the type `task`.
fn taken_of(rows: &[Row], kind: ClaimKind) -> Result<Taken, StoreError> {
    let last = rows
        .last()
        .ok_or_else(|| StoreError::unavailable("a claim has no end"))?;
    let now: i64 = column(last, "moment")?;
    let mut claims = Claims::new(to_day(now));
    let mut ended = Vec::new();
    let expected = match kind {
        ClaimKind::Notify => Expected::Notify,
        _ => Expected::Run,
    };
    for row in rows {
        match column::<i32>(row, "kind")? {
            0 => match claim_of(row, expected) {
                Ok(claim) => claims.jobs.push(claim),
                Err(error) => {
                    claims.left.push((handle_of(column(row, "handle")?), error));
                }
            },
            1 => {
                claims.unreadable.push(handle_of(column(row, "handle")?));
                ended.push(column::<Id>(row, "id")?.0);
            }
            2 => ended.push(column::<Id>(row, "id")?.0),
            _ => {
                let next: Option<i64> = column(row, "epoch")?;
                claims.next = next.map(|next| span(now, next));
            }
        }
    }
    let work = column::<i32>(last, "attempt")? > 0;
    Ok(Taken {
        claims,
        ended,
        work,
        lost: column::<Option<i32>>(last, "max_attempts")?.unwrap_or(0),
    })
}

/// Returns the claim of a resumed job, in a row of the type `task`.
pub(crate) fn resumed_of(row: &Row) -> Result<Claim, StoreError> {
    match column::<i32>(row, "kind")? {
        0 => claim_of(row, Expected::Record),
        kind => Err(refused(-1 - kind)),
    }
}

fn claim_of(row: &Row, expected: Expected) -> Result<Claim, StoreError> {
    let now: i64 = column(row, "moment")?;
    let id = column::<Id>(row, "id")?.0;
    let epoch: i64 = column(row, "epoch")?;
    let created: i64 = column(row, "created")?;
    let data = || -> Result<Bytes, StoreError> {
        Ok(Bytes::copy_from_slice(column::<&[u8]>(row, "data")?))
    };
    let task = match expected {
        Expected::Run => Task::Run(StoredRequest::from_bytes(data()?)),
        Expected::Record => Task::Record,
        Expected::Notify => Task::Notify {
            notify: data()?,
            state: state_of(column(row, "state")?).unwrap_or(JobState::Failed),
            ended: to_day(column::<i64>(row, "ended")?.max(created)),
        },
    };
    let lease = Lease::new(id, epoch.unsigned_abs());
    let mut claim = Claim::new(lease, handle_of(column(row, "handle")?), task);
    claim.attempt = column::<i32>(row, "attempt")?.unsigned_abs();
    claim.max_attempts = column::<i32>(row, "max_attempts")?.unsigned_abs();
    claim.route = text_of(column(row, "route")?)?;
    claim.protocol = protocol_of(column(row, "protocol")?);
    claim.pending_status = pending_status_of(column(row, "pending_status")?);
    let owner = owner_of(column(row, "owner_kind")?, column(row, "owner")?)?;
    claim.principal = owner.as_ref().and_then(Owner::principal).cloned();
    claim.created = to_day(created);
    claim.age = span(created, now);
    claim.remaining = span(now, column(row, "deadline")?);
    if expected == Expected::Notify {
        return Ok(claim);
    }
    let bytes = |name| column::<Option<&[u8]>>(row, name);
    claim.checkpoint = bytes("checkpoint")?.map_or_else(Bytes::new, Bytes::copy_from_slice);
    claim.fingerprint = bytes("fingerprint")?.and_then(|digest| digest.try_into().ok());
    claim.notify = bytes("notify")?.map(Bytes::copy_from_slice);
    let (keep, tombstone) = (column(row, "keep")?, column(row, "tombstone")?);
    claim.retention = Retention::new(span(0, keep), span(0, tombstone));
    let reports = column::<i64>(row, "reports")?.unsigned_abs();
    claim.version = JobRecord::version_of(JobState::Running, lease.epoch, true, reports);
    Ok(claim)
}
