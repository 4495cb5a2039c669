//! Queries of operators about all jobs.

use futures_util::future::join_all;
use tower_async_job_core::{
    Detail, JobCursor, JobHandle, JobId, JobPage, JobQuery, JobRecord, StoreError,
};

use crate::{
    engine::Engine,
    keys::Set,
    script::{FIND, LIST},
    time::{NEVER, of_day},
    value::{list, text},
};

/// The number of jobs that are looked at together.
const LOOKED: usize = 200;

/// Finds the job with this handle.
pub(crate) async fn find(engine: &Engine, handle: JobHandle) -> Result<Option<JobId>, StoreError> {
    let answers = engine
        .for_groups(|shards| {
            let keys = engine.keys.sets(shards, &[Set::Handles]);
            engine.call(&FIND, keys).arg(handle.to_string())
        })
        .await?;
    for answer in answers {
        for id in list(answer)? {
            let id = text(id)?.parse().map_err(StoreError::corrupt)?;
            if engine.read((id, Detail::Status)).await?.record.is_some() {
                return Ok(Some(id));
            }
        }
    }
    Ok(None)
}

/// The place of a job in the list: its time of creation, and its handle and id. The latest is first.
type Place = (i64, String);

/// Returns some places from this one on, in order; none if there are no more.
async fn places(engine: &Engine, from: &Place, limit: usize) -> Result<Vec<Place>, StoreError> {
    let answers = engine
        .for_groups(|shards| {
            let call = engine.call(&LIST, engine.keys.sets(shards, &[Set::List]));
            call.number(from.0).arg(&from.1).number(limit)
        })
        .await?;
    let (mut places, mut horizon) = (Vec::new(), None::<Place>);
    for answer in answers {
        for members in list(answer)? {
            let mut members = list(members)?.into_iter();
            let (mut last, mut count) = (None, 0);
            while let (Some(member), Some(created)) = (members.next(), members.next()) {
                let created = text(created)?.parse::<f64>().map_err(StoreError::corrupt)?;
                let place = (created as i64, text(member)?);
                last = Some(place.clone());
                count += 1;
                places.push(place);
            }
            if count == limit {
                // The shard may have more after its last one.
                horizon = horizon.into_iter().chain(last).max();
            }
        }
    }
    places.sort_unstable_by(|one, other| other.cmp(one));
    if let Some(horizon) = horizon {
        places.retain(|place| *place >= horizon);
    }
    Ok(places)
}

pub(crate) async fn list_jobs(engine: &Engine, query: &JobQuery) -> Result<JobPage, StoreError> {
    let limit = query.limit();
    let mut from = query.after.map_or((NEVER, "~".to_owned()), |after| {
        (of_day(after.created()), after.handle().to_string())
    });
    let (mut jobs, mut unreadable, mut unreadable_later) = (Vec::<JobRecord>::new(), 0, 0);
    let is_wanted = |job: &JobRecord| {
        let is_of = |principal| job.owner.as_ref().is_some_and(|owner| owner.is(principal));
        query.state.is_none_or(|state| job.state == state)
            && query.route.as_ref().is_none_or(|route| *route == job.route)
            && query.principal.as_ref().is_none_or(is_of)
    };
    // One job more than the limit shows that there is another page.
    while jobs.len() <= limit {
        let places = places(engine, &from, LOOKED).await?;
        let Some(last) = places.last() else { break };
        from = last.clone();
        let reads = places.iter().map(|(_, member)| async move {
            let id = member.get(16..).and_then(|id| id.parse().ok())?;
            Some(
                engine
                    .read((id, Detail::Status))
                    .await
                    .map(|seen| seen.record),
            )
        });
        for read in join_all(reads).await.into_iter().flatten() {
            if jobs.len() > limit {
                break;
            }
            match read {
                Ok(record) => jobs.extend(record.filter(is_wanted)),
                Err(error) if error.is_corrupt() || error.is_unsupported_version() => {
                    // Those after the last job of the page are on the next one, if there is one.
                    match jobs.len() < limit {
                        true => unreadable += 1,
                        false => unreadable_later += 1,
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }
    let is_last = jobs.len() <= limit;
    jobs.truncate(limit);
    let place = |job: &JobRecord| JobCursor::new(job.created, job.handle);
    let next = jobs.last().map(place).filter(|_| !is_last);
    let mut page = JobPage::new(jobs, next);
    page.unreadable = unreadable;
    if is_last {
        page.unreadable += unreadable_later;
    }
    Ok(page)
}
