//! Lists of jobs, and jobs by their handles.

use futures_util::future::join_all;
use redis::Value;
use tower_async_job_core::{
    Detail, JobCursor, JobHandle, JobId, JobPage, JobQuery, JobRecord, StoreError,
};

use crate::{
    engine::Engine,
    job::owner_hash,
    keys::Set,
    script::{FIND, LIST, LIST_OWNED},
    time::{NEVER, of_day},
    value::{list, text},
};

/// The maximum number of jobs of a shard that are looked at together.
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

/// Returns some places after this one, in order, and whether they are the last. `owner` is the hash of
/// the only owner whose jobs are listed.
async fn places(
    engine: &Engine,
    owner: Option<&str>,
    from: &Place,
    limit: usize,
) -> Result<(Vec<Place>, bool), StoreError> {
    let answers = engine
        .for_groups(|shards| match owner {
            Some(owner) => {
                let call = engine.call(&LIST_OWNED, engine.keys.sets(shards, &[Set::Owned]));
                let before = format!("({owner}{:016}{}", from.0, from.1);
                call.arg(before).arg(format!("[{owner}")).number(limit)
            }
            None => {
                let call = engine.call(&LIST, engine.keys.sets(shards, &[Set::List]));
                call.number(from.0).arg(&from.1).number(limit)
            }
        })
        .await?;
    let (mut places, mut horizon) = (Vec::new(), None::<Place>);
    for answer in answers {
        for members in list(answer)? {
            let members = list(members)?;
            let of_shard = match owner {
                Some(_) => owned(members)?,
                None => listed(members)?,
            };
            if of_shard.len() == limit {
                // The shard may have more after its last one.
                horizon = horizon.into_iter().chain(of_shard.last().cloned()).max();
            }
            places.extend(of_shard);
        }
    }
    places.sort_unstable_by(|one, other| other.cmp(one));
    if let Some(horizon) = &horizon {
        places.retain(|place| place >= horizon);
    }
    Ok((places, horizon.is_none()))
}

/// Reads members of the list of all jobs, each followed by the time of its creation.
fn listed(members: Vec<Value>) -> Result<Vec<Place>, StoreError> {
    let (mut places, mut members) = (Vec::new(), members.into_iter());
    while let (Some(member), Some(created)) = (members.next(), members.next()) {
        let created = text(created)?.parse::<f64>().map_err(StoreError::corrupt)?;
        places.push((created as i64, text(member)?));
    }
    Ok(places)
}

/// Reads members of the jobs with an owner: the hash of the owner, the time of the creation, and the
/// rest.
fn owned(members: Vec<Value>) -> Result<Vec<Place>, StoreError> {
    let place = |member| {
        let member = text(member)?;
        let parts = member.get(16..32).zip(member.get(32..));
        let (created, rest) = parts.ok_or_else(|| StoreError::corrupt("a member is too short"))?;
        let created = created.parse().map_err(StoreError::corrupt)?;
        Ok((created, rest.to_owned()))
    };
    members.into_iter().map(place).collect()
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
    let owner = (query.principal.as_ref()).map(|principal| owner_hash(Some(principal)));
    let is_filtered = query.state.is_some() || query.route.is_some();
    // One job more than the limit shows that there is another page.
    while jobs.len() <= limit {
        let wanted = limit + 1 - jobs.len();
        let looked = if is_filtered {
            LOOKED
        } else {
            wanted.min(LOOKED)
        };
        let (mut places, mut are_last) = places(engine, owner.as_deref(), &from, looked).await?;
        if !is_filtered && places.len() > wanted {
            places.truncate(wanted);
            are_last = false;
        }
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
        if are_last {
            break;
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
