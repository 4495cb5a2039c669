//! Queries of operators about all jobs.

use rusqlite::{ToSql, params_from_iter};
use tower_async_job_core::{
    Detail, JobCursor, JobHandle, JobId, JobPage, JobQuery, JobRecord, Principal,
};

use crate::{
    job::{COLUMNS, Job, State, handle_number, handle_of, owner_hash, route_hash},
    time::{of_day, to_day},
    transaction::{Snapshot, Step},
};

/// The number of rows that are scanned within one snapshot.
const SCANNED_AT_ONCE: i64 = 2000;

/// Finds the job with this handle.
pub(crate) fn find(snapshot: &Snapshot<'_>, handle: JobHandle) -> Step<Option<JobId>> {
    let sql = format!("SELECT {} FROM jobs WHERE handle = ?", *COLUMNS);
    let jobs = snapshot.rows(&sql, [handle_number(handle)], |row| {
        Ok(Job::of_row(snapshot, row))
    })?;
    for job in jobs {
        let job = job?;
        if job.state_at(snapshot.now).is_some() {
            return Ok(Some(job.id()));
        }
    }
    Ok(None)
}

/// A page of a list that is being filled.
#[derive(Debug)]
pub(crate) struct Page {
    query: JobQuery,
    /// The hash of the route of the query.
    route: Option<i64>,
    /// The position from which the scan continues.
    after: Option<JobCursor>,
    jobs: Vec<JobRecord>,
    unreadable: usize,
    /// Those after the last job of the page, which are on the next one if there is one.
    unreadable_later: usize,
}

impl Page {
    pub(crate) fn new(query: JobQuery) -> Self {
        Self {
            after: query.after,
            route: query.route.as_deref().map(route_hash),
            query,
            jobs: Vec::new(),
            unreadable: 0,
            unreadable_later: 0,
        }
    }

    fn add_unreadable(&mut self) {
        if self.jobs.len() < self.query.limit() {
            self.unreadable += 1;
        } else {
            self.unreadable_later += 1;
        }
    }

    /// Returns the page; one job more than its limit shows that there is another page.
    fn finish(&mut self) -> JobPage {
        let limit = self.query.limit();
        let is_last = self.jobs.len() <= limit;
        self.jobs.truncate(limit);
        let place = |job: &JobRecord| JobCursor::new(job.created, job.handle);
        let next = self.jobs.last().map(place).filter(|_| !is_last);
        let mut page = JobPage::new(std::mem::take(&mut self.jobs), next);
        page.unreadable = self.unreadable;
        if is_last {
            page.unreadable += self.unreadable_later;
        }
        page
    }

    /// Returns whether a job in this state and of this route may match the query. A state that this
    /// build does not know may.
    fn may_have(&self, state: Option<State>, route: i64) -> bool {
        let wanted = self.query.state.zip(state);
        wanted.is_none_or(|(wanted, state)| state.may_show(wanted))
            && self.route.is_none_or(|wanted| wanted == route)
    }

    /// Returns the job as a record, if it matches the query.
    fn record(&self, snapshot: &Snapshot<'_>, job: &Job) -> Step<Option<JobRecord>> {
        let JobQuery {
            state,
            route,
            principal,
            ..
        } = &self.query;
        let is_of = |principal: &Principal| {
            let owner = job.owner.shown();
            owner.is_some_and(|owner| owner.is(principal))
        };
        let matches = state.is_none_or(|state| job.state_at(snapshot.now) == Some(state))
            && route.as_ref().is_none_or(|route| *route == job.route)
            && principal.as_ref().is_none_or(is_of);
        match matches {
            true => job.record(snapshot, Detail::Status),
            false => Ok(None),
        }
    }
}

/// Scans some jobs for a page, which is returned once it is complete.
pub(crate) fn list(snapshot: &Snapshot<'_>, page: &mut Page) -> Step<Option<JobPage>> {
    let (from_day, from_handle) = page.after.map_or((i64::MAX, i64::MAX), |after| {
        (of_day(after.created()), handle_number(after.handle()))
    });
    let owner = owner_hash(page.query.principal.as_ref());
    let mut values: Vec<&dyn ToSql> = vec![&from_day, &from_handle];
    let mut filter = "";
    if owner != 0 {
        filter = "AND owner_hash = ? AND owner_hash <> 0";
        values.push(&owner);
    }
    values.push(&SCANNED_AT_ONCE);
    // Only rows that may match are read as a whole.
    let sql = format!(
        "SELECT key, created_day, handle, state, route_hash FROM jobs \
         WHERE (created_day, handle) < (?, ?) {filter} \
         ORDER BY created_day DESC, handle DESC LIMIT ?"
    );
    let mut statement = snapshot.connection.prepare_cached(&sql)?;
    let mut rows = statement.query(params_from_iter(values))?;
    let mut scanned = 0;
    while let Some(row) = rows.next()? {
        scanned += 1;
        let place = (row.get(1)?, row.get(2)?);
        page.after = Some(JobCursor::new(to_day(place.0), handle_of(place.1)));
        if !page.may_have(row.get(3).ok(), row.get(4)?) {
            continue;
        }
        let read = Job::find_by_key(snapshot, row.get(0)?);
        let read = read.and_then(|job| match job {
            Some(job) => page.record(snapshot, &job),
            None => Ok(None),
        });
        match read {
            Ok(record) => page.jobs.extend(record),
            Err(failure) if failure.is_corrupt() || failure.is_unsupported() => {
                page.add_unreadable();
            }
            Err(failure) => return Err(failure),
        }
        if page.jobs.len() > page.query.limit() {
            return Ok(Some(page.finish()));
        }
    }
    Ok((scanned < SCANNED_AT_ONCE).then(|| page.finish()))
}
