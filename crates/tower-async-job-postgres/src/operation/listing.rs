//! Lists for operators.

use tokio_postgres::types::Type;
use tower_async_job_core::{Detail, JobCursor, JobPage, JobQuery, JobRecord, StoreError};

use crate::{
    database::{Database, column},
    job::{Id, handle_number, owner_hash, record_of, state_of},
    time::of_day,
};

/// The number of rows that one statement of a list scans.
const SCANNED_AT_ONCE: i32 = 5000;

/// Scans all jobs from a position on until a page is full, by several statements.
pub(crate) async fn page(database: &Database, query: &JobQuery) -> Result<JobPage, StoreError> {
    let limit = query.limit();
    let state = query.state.map(state_number);
    let route = query.route.as_ref().map(|route| route.as_bytes());
    let owner = query.principal.as_ref();
    let owner_name = owner.map(|owner| owner.as_str().as_bytes());
    let mut after = query.after.map_or((i64::MAX, i64::MAX), |after| {
        (of_day(after.created()), handle_number(after.handle()))
    });
    let mut jobs: Vec<JobRecord> = Vec::new();
    // Unreadable ones after the last job of the page are on the next one, if there is one.
    let (mut unreadable, mut later) = (0, 0);
    loop {
        // One more than the page has room for shows that there is another page.
        let wanted = (limit + 1).saturating_sub(jobs.len());
        let parameters = [
            (&after.0 as _, Type::INT8),
            (&after.1 as _, Type::INT8),
            (&state as _, Type::INT2),
            (&route as _, Type::BYTEA),
            (&owner_hash(owner) as _, Type::INT8),
            (&owner_name as _, Type::BYTEA),
            (&SCANNED_AT_ONCE as _, Type::INT4),
            (&(wanted as i32) as _, Type::INT4),
        ];
        let mut more = false;
        for row in database.read("list", &parameters).await? {
            if column::<Option<Id>>(&row, "id")?.is_none() {
                after = (column(&row, "created")?, column(&row, "handle")?);
                more = true;
                continue;
            }
            match record_of(&row, Detail::Status) {
                Ok(record) => jobs.extend(record),
                Err(_) if jobs.len() < limit => unreadable += 1,
                Err(_) => later += 1,
            }
        }
        if jobs.len() > limit || !more {
            break;
        }
    }
    let is_last = jobs.len() <= limit;
    jobs.truncate(limit);
    let place = |job: &JobRecord| JobCursor::new(job.created, job.handle);
    let next = jobs.last().map(place).filter(|_| !is_last);
    let mut page = JobPage::new(jobs, next);
    page.unreadable = if is_last {
        unreadable + later
    } else {
        unreadable
    };
    Ok(page)
}

fn state_number(state: http_polling::JobState) -> i16 {
    let known = (0..=8).find(|number| state_of(*number) == Some(state));
    // Jobs whose result was dropped are shown as expired.
    known.map_or(i16::MAX, |number| if number == 7 { 8 } else { number })
}
