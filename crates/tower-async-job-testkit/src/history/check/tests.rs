use tower_async_job_core::Lease;

use super::*;

const ID: JobId = JobId::from_bits(7);

fn seen(version: u64, epoch: u64, state: JobState) -> Seen {
    Seen {
        version,
        epoch,
        state,
        progress: None,
        mark: (state == JobState::Done).then_some(7),
    }
}

/// Checks facts, one after the other.
fn check_in_order(facts: impl IntoIterator<Item = Fact>) -> Result<(), String> {
    let events: Vec<_> = (0..)
        .step_by(2)
        .zip(facts)
        .map(|(began, fact)| Event {
            began,
            ended: began + 1,
            id: ID,
            fact,
        })
        .collect();
    check(&events)
}

#[test]
fn the_life_of_a_job_is_right() {
    use JobState::{Done, Queued, Running};
    let lease = Lease::new(ID, 2);
    let reported = Fact::Reported { lease, progress: 3 };
    let mut running = seen(3, 2, Running);
    running.progress = Some(3);
    let mut done = seen(4, 2, Done);
    done.progress = Some(3);
    check_in_order([
        Fact::Read(None),
        Fact::Made { key: 0 },
        Fact::Read(Some(seen(1, 1, Queued))),
        Fact::Claimed { lease },
        Fact::Read(Some(seen(2, 2, Running))),
        reported,
        Fact::Read(Some(running)),
        Fact::Finished { lease, mark: 7 },
        Fact::Finished { lease, mark: 7 },
        Fact::Read(Some(done)),
    ])
    .unwrap();
}

#[test]
fn each_broken_promise_is_noticed() {
    use JobState::{Cancelled, Done, Queued, Running};
    let lease = |epoch| Lease::new(ID, epoch);
    let read = |version, epoch, state| Fact::Read(Some(seen(version, epoch, state)));
    let claimed = |epoch| Fact::Claimed {
        lease: lease(epoch),
    };
    let finished = |epoch, mark| Fact::Finished {
        lease: lease(epoch),
        mark,
    };
    let reported = |epoch, progress| Fact::Reported {
        lease: lease(epoch),
        progress,
    };
    for (facts, broken) in [
        (
            vec![Fact::Made { key: 0 }, Fact::Made { key: 0 }],
            "one key made two jobs",
        ),
        (
            vec![Fact::Made { key: 0 }, Fact::Read(None)],
            "an accepted job is gone",
        ),
        (vec![claimed(2), claimed(2)], "one epoch was claimed twice"),
        (
            vec![claimed(3), claimed(2)],
            "a later claim has no higher epoch",
        ),
        (
            vec![claimed(3), read(1, 2, Running)],
            "a read is older than a claim",
        ),
        (vec![claimed(3), finished(2, 1)], "a stale run writes"),
        (vec![claimed(3), reported(2, 1)], "a stale run writes"),
        (vec![finished(2, 1), finished(3, 2)], "a job ended twice"),
        (
            vec![finished(2, 7), read(1, 2, Running)],
            "a read is older than the end",
        ),
        (
            vec![finished(2, 8), read(1, 2, Done)],
            "or shows another result",
        ),
        (vec![finished(2, 7), claimed(3)], "an ended job runs"),
        (
            vec![Fact::Cancelled, read(1, 2, Running)],
            "a read is older than the cancelling",
        ),
        (vec![Fact::Cancelled, finished(2, 1)], "a job ended twice"),
        (vec![finished(2, 1), Fact::Cancelled], "a job ended twice"),
        (
            vec![reported(2, 1), read(1, 2, Running)],
            "a read is older than a report",
        ),
        (
            vec![read(2, 1, Running), read(1, 1, Running)],
            "a version falls",
        ),
        (
            vec![read(1, 2, Running), read(2, 1, Running)],
            "an epoch falls",
        ),
        (
            vec![read(1, 2, Done), read(2, 3, Cancelled)],
            "an end changes",
        ),
        (
            vec![read(1, 1, Queued), read(1, 1, Running)],
            "one version shows two things",
        ),
    ] {
        let error = check_in_order(facts).unwrap_err();
        assert!(error.contains(broken), "{broken}: {error}");
    }
}
