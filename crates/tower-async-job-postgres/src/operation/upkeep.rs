//! The results of sweeps.

use std::time::Duration;

use tokio_postgres::Row;
use tower_async_job_core::{Principal, StoreError, Upkeep};

use crate::{
    database::column,
    time::{span, to_day},
};

/// Returns the result of a sweep, whose next is at the latest after the rest.
pub(crate) fn upkeep_of(row: &Row, rest: Duration) -> Result<Upkeep, StoreError> {
    let now: i64 = column(row, "moment")?;
    let mut upkeep = Upkeep::new(to_day(now));
    if column(row, "is_refused")? {
        return Ok(upkeep);
    }
    upkeep.nodes = column::<i32>(row, "live")?.unsigned_abs().max(1);
    let next = match column(row, "more")? {
        true => Some(now),
        false => column::<Option<i64>>(row, "next")?,
    };
    upkeep.next = Some(next.map_or(rest, |next| span(now, next)).min(rest));
    let total: Option<i64> = column(row, "total")?;
    upkeep.pending.total = total.unwrap_or(0).unsigned_abs();
    let oldest: Option<i64> = column(row, "oldest")?;
    upkeep.oldest_due = oldest.map(|created| span(created, now));
    let owners: Option<Vec<&[u8]>> = column(row, "owners")?;
    let counts: Option<Vec<i64>> = column(row, "counts")?;
    let counted = owners
        .into_iter()
        .flatten()
        .zip(counts.into_iter().flatten());
    for (owner, count) in counted {
        if let Ok(name) = str::from_utf8(owner) {
            let principal = (Principal::new(name), count.unsigned_abs());
            upkeep.pending.principals.push(principal);
        }
    }
    Ok(upkeep)
}
