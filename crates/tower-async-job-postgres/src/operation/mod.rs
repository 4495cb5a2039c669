//! The operations on jobs, each by one call of a function in the database.

mod claims;
mod creating;
mod ending;
mod leases;
mod listing;
mod reading;
mod running;
mod upkeep;

pub(crate) use self::{
    claims::{claim, resumed_of},
    creating::{Create, Made},
    ending::Finish,
    leases::{LEASES_AT_ONCE, release, renew, renew_outside},
    listing::page,
    reading::{find, look_up, read, read_chunk},
    running::{Send, Start, StoredReport, write_chunk},
    upkeep::upkeep_of,
};

use tokio_postgres::Row;
use tower_async_job_core::StoreError;

use crate::{database::column, job::refused};

/// The verdict of a function on a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is no such job, or the lease is lost.
    No,
    /// The change is made, in the way that this number says.
    Done(i32),
}

/// Returns the verdict in a row.
pub(crate) fn verdict_of(row: &Row) -> Result<Verdict, StoreError> {
    match column(row, "verdict")? {
        -1 => Err(refused(column::<Option<i32>>(row, "newer")?.unwrap_or(0))),
        0 => Ok(Verdict::No),
        done => Ok(Verdict::Done(done)),
    }
}

/// Returns an error if a row says that a lease is lost.
pub(crate) fn held(row: &Row) -> Result<(), StoreError> {
    match verdict_of(row)? {
        Verdict::No => Err(StoreError::lease_lost()),
        Verdict::Done(_) => Ok(()),
    }
}

/// Returns the answers of rows with places in a batch, in the order of the batch. Those without a
/// row have the usual answer.
pub(crate) fn in_order<T>(
    usual: impl IntoIterator<Item = T>,
    rows: &[Row],
    answer: impl Fn(&Row) -> Result<T, StoreError>,
) -> Result<Vec<Result<T, StoreError>>, StoreError> {
    let mut answers: Vec<_> = usual.into_iter().map(Ok).collect();
    for row in rows {
        let place: Option<i32> = column(row, "place")?;
        if let Some(slot) = place.and_then(|place| answers.get_mut(place.unsigned_abs() as usize)) {
            *slot = answer(row);
        }
    }
    Ok(answers)
}
