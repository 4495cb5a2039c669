//! Leases that are renewed or released.

use tokio_postgres::types::Type;
use tower_async_job_core::{JobId, Lease, Outside, Release, Released, Renewal, Report, StoreError};

use super::{StoredReport, Verdict, in_order, verdict_of};
use crate::{
    database::{Database, Retry, column},
    job::{Id, ids, narrow, state_of},
    time::{Micros, micros},
};

/// The maximum number of leases that one statement renews or releases.
pub(crate) const LEASES_AT_ONCE: usize = 1000;

/// Renews leases, by one statement for each thousand.
pub(crate) async fn renew(
    database: &Database,
    lease: Micros,
    leases: &[Lease],
) -> Result<Vec<Renewal>, StoreError> {
    let mut renewals = Vec::with_capacity(leases.len());
    for part in leases.chunks(LEASES_AT_ONCE) {
        let (jobs, epochs) = columns_of(part);
        let parameters = [
            (&lease as _, Type::INT8),
            (&jobs as _, Type::UUID_ARRAY),
            (&epochs as _, Type::INT8_ARRAY),
        ];
        let rows = database.call("renew", &parameters, Retry::Always).await?;
        let answers = in_order(part.iter().map(|_| Renewal::Held), &rows, |row| {
            Ok(renewal_of(column(row, "verdict")?))
        })?;
        renewals.extend(answers.into_iter().collect::<Result<Vec<_>, _>>()?);
    }
    Ok(renewals)
}

/// Renews the hold of an outside party.
pub(crate) async fn renew_outside(
    database: &Database,
    id: &JobId,
    outside: Outside,
    report: Report,
) -> Result<Renewal, StoreError> {
    let report = StoredReport::of(report)?;
    let [progress, partial, metadata, checkpoint] = report.fields();
    let parameters = [
        (&Id(*id) as _, Type::UUID),
        (&&outside.token[..] as _, Type::BYTEA),
        (&micros(outside.until) as _, Type::INT8),
        (&progress as _, Type::BYTEA),
        (&partial as _, Type::BYTEA),
        (&metadata as _, Type::BYTEA),
        (&checkpoint as _, Type::BYTEA),
    ];
    let row = database
        .call_one("renew_outside", &parameters, Retry::Always)
        .await?;
    Ok(match verdict_of(&row)? {
        Verdict::No => Renewal::Lost,
        Verdict::Done(number) => renewal_of(number),
    })
}

/// Releases some leases by one statement. The answers say whether something became due.
pub(crate) async fn release(
    database: &Database,
    leases: &[Lease],
    how: &Release,
) -> Result<Vec<Result<(Released, bool), StoreError>>, StoreError> {
    let party = how.outside.as_ref().map(|outside| &outside.token[..]);
    let until = how.outside.as_ref().map(|outside| micros(outside.until));
    let (jobs, epochs) = columns_of(leases);
    let parameters = [
        (&jobs as _, Type::UUID_ARRAY),
        (&epochs as _, Type::INT8_ARRAY),
        (&micros(how.after) as _, Type::INT8),
        (&how.counts as _, Type::BOOL),
        (&party as _, Type::BYTEA),
        (&until as _, Type::INT8),
    ];
    let rows = database.call("release_jobs", &parameters, Retry::RolledBack);
    let usual = leases.iter().map(|_| (Released::Lost, false));
    in_order(usual, &rows.await?, |row| {
        let released = released_of(column(row, "verdict")?);
        Ok((released, column::<bool>(row, "is_due")?))
    })
}

fn columns_of(leases: &[Lease]) -> (Vec<Id>, Vec<i64>) {
    let epochs = leases.iter().map(|lease| narrow(lease.epoch)).collect();
    (ids(leases.iter().map(|lease| lease.id)), epochs)
}

fn renewal_of(verdict: i32) -> Renewal {
    match verdict {
        1 => Renewal::Held,
        2 => Renewal::Cancelled,
        3 => Renewal::Missing,
        _ => Renewal::Lost,
    }
}

fn released_of(verdict: i32) -> Released {
    match verdict {
        1 => Released::Queued,
        2 => Released::Outside,
        ended => {
            let state = i16::try_from(ended - 10).ok().and_then(state_of);
            state
                .filter(|state| state.is_final())
                .map_or(Released::Lost, Released::Ended)
        }
    }
}
