use std::collections::{HashMap, HashSet};

use http_polling::JobState;
use tower_async_job_core::JobId;

use super::{Event, Fact, Seen};

/// Checks a history; an error names the broken promise.
pub(crate) fn check(history: &[Event]) -> Result<(), String> {
    let mut made = HashSet::new();
    let mut jobs: HashMap<JobId, Vec<&Event>> = HashMap::new();
    for event in history {
        jobs.entry(event.id).or_default().push(event);
        if let Fact::Made { key } = event.fact
            && !made.insert(key)
        {
            return Err(format!("one key made two jobs: {event:?}"));
        }
    }
    for events in jobs.values() {
        one_end(events)?;
        no_old_report(events)?;
        for one in events {
            for other in events {
                if let (Fact::Claimed { lease: a }, Fact::Claimed { lease: b }) =
                    (&one.fact, &other.fact)
                    && a == b
                    && one.ended != other.ended
                {
                    return Err(format!("one epoch was claimed twice: {one:?}, {other:?}"));
                }
                if one.precedes(other) {
                    in_order(one, other)
                        .map_err(|broken| format!("{broken}: {one:?}, then {other:?}"))?;
                }
                same_version(one, other)
                    .map_err(|broken| format!("{broken}: {one:?}, {other:?}"))?;
            }
        }
    }
    Ok(())
}

/// Checks that a job ends once: by one run, or by a cancellation.
fn one_end(events: &[&Event]) -> Result<(), String> {
    let is_end = |event: &&&Event| matches!(event.fact, Fact::Finished { .. } | Fact::Cancelled);
    let mut ends = events.iter().filter(is_end);
    let first = ends.next();
    match ends.find(|other| first.is_some_and(|first| first.fact != other.fact)) {
        Some(other) => Err(format!("a job ended twice: {first:?}, {other:?}")),
        None => Ok(()),
    }
}

/// Checks that no read shows a report that was replaced before the read began.
fn no_old_report(events: &[&Event]) -> Result<(), String> {
    for read in events {
        let Fact::Read(Some(seen)) = &read.fact else {
            continue;
        };
        let reports = || {
            let of_epoch = |event: &&&Event| match event.fact {
                Fact::Reported { lease, .. } => lease.epoch == seen.epoch,
                _ => false,
            };
            events.iter().filter(of_epoch)
        };
        let shown = reports().find(|event| match event.fact {
            Fact::Reported { progress, .. } => seen.progress == Some(progress),
            _ => false,
        });
        for report in reports().filter(|report| report.precedes(read)) {
            let replaced = match shown {
                Some(shown) => shown.precedes(report),
                // A report whose answer is unknown may be shown.
                None => seen.progress.is_none(),
            };
            if replaced {
                return Err(format!(
                    "a read is older than a report: {report:?}, then {read:?}"
                ));
            }
        }
    }
    Ok(())
}

/// Checks one event against another that began after it was acknowledged.
fn in_order(one: &Event, later: &Event) -> Result<(), &'static str> {
    match (&one.fact, &later.fact) {
        (Fact::Read(None), _) => Ok(()),
        (_, Fact::Read(None)) => Err("an accepted job is gone"),
        (Fact::Claimed { lease: a }, Fact::Claimed { lease: b }) if a.epoch >= b.epoch => {
            Err("a later claim has no higher epoch")
        }
        (Fact::Claimed { lease }, Fact::Read(Some(seen))) if seen.epoch < lease.epoch => {
            Err("a read is older than a claim")
        }
        (Fact::Finished { mark, .. }, Fact::Read(Some(seen)))
            if (seen.state, seen.mark) != (JobState::Done, Some(*mark)) =>
        {
            Err("a read is older than the end, or shows another result")
        }
        (Fact::Cancelled, Fact::Read(Some(seen))) if seen.state != JobState::Cancelled => {
            Err("a read is older than the cancelling, or shows another end")
        }
        (Fact::Cancelled | Fact::Finished { .. }, Fact::Claimed { .. } | Fact::Reported { .. }) => {
            Err("an ended job runs")
        }
        (
            Fact::Claimed { lease: new },
            Fact::Reported { lease, .. } | Fact::Finished { lease, .. },
        ) if lease.epoch < new.epoch => Err("a stale run writes"),
        (Fact::Read(Some(a)), Fact::Read(Some(b))) => reads_in_order(a, b),
        _ => Ok(()),
    }
}

fn reads_in_order(one: &Seen, later: &Seen) -> Result<(), &'static str> {
    if later.version < one.version {
        return Err("a version falls");
    }
    if later.epoch < one.epoch {
        return Err("an epoch falls");
    }
    if one.state.is_final() && (one.state, one.mark) != (later.state, later.mark) {
        return Err("an end changes");
    }
    Ok(())
}

/// Checks that two reads of one version return the same.
fn same_version(one: &Event, other: &Event) -> Result<(), &'static str> {
    match (&one.fact, &other.fact) {
        (Fact::Read(Some(a)), Fact::Read(Some(b))) if a.version == b.version && a != b => {
            Err("one version shows two things")
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
