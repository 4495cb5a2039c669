//! Names of any characters, and times and numbers out of any range.

use std::time::{Duration, SystemTime};

use http_polling::JobState;
use tower_async_job_core::{
    ClaimQuery, JobCursor, JobHandle, JobQuery, Outside, Principal, QueueLimit, Release, Released,
    Renewal, Report, Retention, Start, SweepQuery,
};

use crate::{harness::Harness, node::*};

/// Names that end, quote or separate something in some language.
const NAMES: [&str; 12] = [
    "a",
    "A",
    "a\0b",
    "a\0",
    "' OR '1'='1",
    "\"; DROP SCHEMA jobs CASCADE; --",
    "{jobs:0}:j:*",
    "$$ \\x00 %s ]==]",
    "p:w:l:",
    "-",
    "\u{10ffff}\u{202e}\u{301}",
    " a ",
];

pub(crate) async fn names_of_any_characters_are_told_apart(harness: &dyn Harness) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let long = "é".repeat(2000);
    let names: Vec<&str> = NAMES.into_iter().chain([&*long]).collect();
    let mut ids = Vec::new();
    for name in &names {
        let key: String = name.replace('\0', "0").chars().take(255).collect();
        let job = node.keyed_of(Principal::new(*name), &key, 1);
        let request = node.replayable().request.unwrap();
        let job = job.with_route(*name).with_request(request);
        ids.push(node.offer(job).await);
    }
    let counted = other.sweep_all().await.pending;
    assert_eq!(counted.total, names.len() as u64);
    for (name, id) in names.iter().zip(&ids) {
        let principal = Principal::new(*name);
        assert!(
            counted.principals.contains(&(principal.clone(), 1)),
            "{name:?}"
        );
        let record = other.known(id).await;
        assert_eq!(&*record.route, *name);
        assert_eq!(record.owner.unwrap().principal(), Some(&principal));
        for query in [
            JobQuery::default().with_principal(principal.clone()),
            JobQuery::default().with_route(*name),
        ] {
            let page = other.list(&query).await.unwrap();
            let listed: Vec<_> = page.jobs.iter().map(|job| job.id).collect();
            assert_eq!(listed, [*id], "{name:?}");
        }
        let claims = other
            .claim_by(&ClaimQuery::new(9).with_routes([*name]))
            .await;
        let [claim] = &claims[..] else {
            panic!("{name:?}: {claims:?}");
        };
        assert_eq!((claim.lease.id, &*claim.route), (*id, *name));
        assert_eq!(claim.principal.as_ref(), Some(&principal));
    }
    Ok(())
}

pub(crate) async fn times_and_numbers_out_of_range_are_as_good_as_the_greatest(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let endless = Retention::new(Duration::MAX, Duration::MAX);
    let new = |start| {
        node.replayable()
            .with_start(start)
            .with_deadline(Duration::MAX)
            .with_retention(endless)
            .with_max_attempts(u32::MAX)
            .with_principal(Principal::new("a"))
            .with_queue_limit(QueueLimit::new(usize::MAX, usize::MAX))
    };
    let ended = node.add_ended(new(Start::Running), 1).await;
    let running = node.add(new(Start::Running)).await;
    let outside = node.add(new(Start::Running)).await;
    let delayed = node.add(new(Start::Queued)).await;
    let offered = node.offer(new(Start::Offered)).await;

    let how = Release::default().with_after(Duration::MAX);
    assert_eq!(node.release_one(&delayed, how).await, Released::Queued);
    let how = Release::default().with_outside(Outside::new("token", Duration::MAX));
    assert_eq!(node.release_one(&outside, how).await, Released::Outside);
    let party = Outside::new("token", Duration::MAX);
    let renewed = node.renew_outside(&outside.id, party, Report::default());
    assert_eq!(renewed.await.unwrap(), Renewal::Held);
    assert!(node.extend(&ended.id, Duration::MAX).await.unwrap());
    node.note_delivery(&ended.id, Some(Duration::MAX));

    harness.advance(1000 * HOUR).await?;
    node.sweep_all().await;
    assert_eq!(node.state(&ended.id).await, Some(JobState::Done));
    assert_eq!(node.state(&outside.id).await, Some(JobState::Running));
    assert_eq!(node.state(&delayed.id).await, Some(JobState::Queued));
    let query = ClaimQuery::new(usize::MAX)
        .with_max_bytes(usize::MAX)
        .with_newest_format(u8::MAX);
    let mut claimed = Vec::new();
    for claim in node.claim_by(&query).await {
        assert!(claim.remaining > 1000 * HOUR, "{:?}", claim.remaining);
        claimed.push(claim.lease.id);
    }
    claimed.sort_unstable();
    let mut expected = [running.id, offered];
    expected.sort_unstable();
    assert_eq!(claimed, expected);

    let far = SystemTime::UNIX_EPOCH + Duration::from_secs(1 << 50);
    for time in [far, SystemTime::UNIX_EPOCH] {
        let cursor = JobCursor::new(time, JobHandle::from_bits(u64::MAX));
        node.list(&JobQuery::default().with_after(cursor))
            .await
            .unwrap();
        node.sweep(&SweepQuery::default().with_not_after(time))
            .await
            .unwrap();
        node.claim(&query.clone().with_not_after(time))
            .await
            .unwrap();
    }
    Ok(())
}
