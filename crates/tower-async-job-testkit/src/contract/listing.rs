//! Lists of jobs, and finding a job by its handle.

use std::collections::HashSet;

use http_polling::JobState;
use tower_async_job_core::{JobHandle, JobQuery, JobRecord, Principal};

use crate::{harness::Harness, node::*};

/// Returns all pages of a list, and their sizes.
async fn pages(node: &Node, mut query: JobQuery) -> (Vec<JobRecord>, Vec<usize>) {
    let (mut jobs, mut sizes) = (Vec::new(), Vec::new());
    loop {
        let page = node.list(&query).await.unwrap();
        sizes.push(page.jobs.len());
        jobs.extend(page.jobs);
        let Some(next) = page.next else {
            return (jobs, sizes);
        };
        query = query.with_after(next);
    }
}

pub(crate) async fn operators_find_a_job_by_its_handle(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let job = node.job();
    let handle = job.handle;
    let lease = node.add(job).await;
    assert_eq!(node.find(handle).await.unwrap(), Some(lease.id));
    assert_eq!(node.find(JobHandle::random()).await.unwrap(), None);
    node.discard(&lease).await.unwrap();
    assert_eq!(node.find(handle).await.unwrap(), None);
    Ok(())
}

pub(crate) async fn a_list_contains_each_job_once(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let mut made = HashSet::new();
    for _ in 0..25 {
        made.insert(node.add(node.job()).await.id);
    }
    let (jobs, sizes) = pages(&node, JobQuery::default().with_limit(10)).await;
    assert_eq!(sizes, [10, 10, 5]);
    let listed: HashSet<_> = jobs.iter().map(|record| record.id).collect();
    assert_eq!(listed, made);
    let places: Vec<_> = jobs.iter().map(|job| (job.created, job.handle)).collect();
    assert!(places.is_sorted_by(|one, next| one > next), "newest first");
    Ok(())
}

pub(crate) async fn a_list_is_filtered_by_state_and_route(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let running = node.add(node.job().with_route("/a")).await;
    let ended = node.add_ended(node.job().with_route("/b"), 0).await;
    let all = JobQuery::default;
    for (query, expected) in [
        (all().with_state(JobState::Running), running.id),
        (all().with_state(JobState::Done), ended.id),
        (all().with_route("/b"), ended.id),
    ] {
        let (jobs, _) = pages(&node, query.clone()).await;
        let ids: Vec<_> = jobs.iter().map(|record| record.id).collect();
        assert_eq!(ids, [expected], "{query:?}");
    }
    Ok(())
}

pub(crate) async fn a_list_is_filtered_by_principal_and_is_newest_first(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let of = |name| node.job().with_principal(Principal::new(name));
    let mut mine = Vec::new();
    for _ in 0..12 {
        mine.insert(0, node.add(of("mine")).await.id);
        harness.advance(SECOND).await?;
        node.add(of("other")).await;
        node.add(node.job()).await;
        harness.advance(SECOND).await?;
    }
    // Names that a key or a pattern of a database could take for another one.
    for name in [
        "", "min", "MINE", "mine ", "mine\n", "mine\0", "mine:", "m%", "*", "{mine}",
    ] {
        let own = node.add(of(name)).await.id;
        let query = JobQuery::default().with_principal(Principal::new(name));
        let (jobs, _) = pages(&node, query).await;
        let ids: Vec<_> = jobs.iter().map(|record| record.id).collect();
        assert_eq!(ids, [own], "{name:?}");
    }
    node.end(&tower_async_job_core::Lease::new(mine[3], 1), done(b""))
        .await
        .unwrap();
    let query = JobQuery::default()
        .with_principal(Principal::new("mine"))
        .with_limit(5);
    let (jobs, sizes) = pages(&node, query.clone()).await;
    let ids: Vec<_> = jobs.iter().map(|record| record.id).collect();
    assert_eq!(ids, mine);
    assert!(sizes.iter().all(|size| *size <= 5));
    let (jobs, _) = pages(&node, query.with_state(JobState::Done)).await;
    let ids: Vec<_> = jobs.iter().map(|record| record.id).collect();
    assert_eq!(ids, [mine[3]]);
    let none = JobQuery::default().with_principal(Principal::new("nobody"));
    assert!(pages(&node, none).await.0.is_empty());
    Ok(())
}

pub(crate) async fn a_list_of_a_principal_has_each_job_once_while_jobs_come_and_end(
    harness: &dyn Harness,
) -> Ran {
    let one = Node::of(harness);
    let other = Node::second(harness).await.unwrap_or_else(|_| one.clone());
    let of = |name| one.job().with_principal(Principal::new(name));
    let mut mine = Vec::new();
    for number in 0..14 {
        mine.insert(0, one.add(of("mine")).await);
        one.add(of("other")).await;
        // Some of them are created at the same time.
        if number % 3 == 0 {
            harness.advance(SECOND).await?;
        }
    }
    let mut query = JobQuery::default()
        .with_principal(Principal::new("mine"))
        .with_limit(4);
    let mut listed = Vec::new();
    loop {
        let page = other.list(&query).await.unwrap();
        assert!(page.jobs.len() <= 4);
        listed.extend(page.jobs);
        let Some(next) = page.next else { break };
        query = query.with_after(next);
        // Jobs come, a listed one ends, and another is forgotten.
        harness.advance(SECOND).await?;
        one.add(of("mine")).await;
        one.add(of("other")).await;
        let [.., before, last] = &listed[..] else {
            panic!("a page of one job, with others after it");
        };
        one.cancel(&last.id).await.unwrap();
        let lease = mine.iter().find(|lease| lease.id == before.id).unwrap();
        one.discard(lease).await.unwrap();
    }
    let places: Vec<_> = listed.iter().map(|job| (job.created, job.handle)).collect();
    assert!(places.is_sorted_by(|one, next| one > next), "newest first");
    let ids: HashSet<_> = listed.iter().map(|record| record.id).collect();
    assert_eq!(ids, mine.iter().map(|lease| lease.id).collect());
    Ok(())
}

pub(crate) async fn jobs_that_were_discarded_or_removed_are_in_no_list_of_their_principal(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let mine = || node.job().with_principal(Principal::new("mine"));
    let offered = mine().with_start(tower_async_job_core::Start::Offered);
    let (kept, offered) = (node.add(mine()).await, node.offer(offered).await);
    let discarded = node.add(mine()).await;
    node.discard(&discarded).await.unwrap();
    let removed = node.add_ended(mine(), 1).await;
    assert!(node.remove(&removed.id).await.unwrap());
    let query = JobQuery::default().with_principal(Principal::new("mine"));
    let (jobs, _) = pages(&node, query.clone()).await;
    let listed: HashSet<_> = jobs.iter().map(|record| record.id).collect();
    assert_eq!(listed, HashSet::from([kept.id, offered]));
    for id in listed {
        node.cancel(&id).await.unwrap();
    }
    for _ in 0..3 {
        harness.advance(HOUR).await?;
        node.sweep_all().await;
    }
    assert!(pages(&node, query).await.0.is_empty());
    Ok(())
}

pub(crate) async fn s42_a_list_counts_unreadable_jobs(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let (first, damaged, last) = (
        node.add(node.job()).await,
        node.add(node.job()).await,
        node.add(node.job()).await,
    );
    harness.corrupt(damaged.id).await?;
    let page = node.list(&JobQuery::default()).await.unwrap();
    assert_eq!(page.unreadable, 1);
    let listed: HashSet<_> = page.jobs.iter().map(|record| record.id).collect();
    assert_eq!(listed, HashSet::from([first.id, last.id]));
    let error = node.read(&damaged.id, tower_async_job_core::Detail::Status);
    assert!(error.await.unwrap_err().is_corrupt());
    Ok(())
}

pub(crate) async fn expired_jobs_are_listed_by_the_principal_that_they_had(
    harness: &dyn Harness,
) -> Ran {
    let node = Node::of(harness);
    let (one, other) = (Principal::new("one"), Principal::new("other"));
    let mut expected = HashSet::new();
    for principal in [&one, &other, &one] {
        let job = node.job().with_principal(principal.clone());
        let lease = node.add_ended(job, 0).await;
        if *principal == one {
            expected.insert(lease.id);
        }
    }
    for _ in 0..2 {
        let query = JobQuery::default().with_principal(one.clone());
        let (jobs, _) = pages(&node, query).await;
        let listed: HashSet<_> = jobs.iter().map(|record| record.id).collect();
        assert_eq!(listed, expected);
        harness.advance(HOUR).await?;
        node.sweep_all().await;
    }
    Ok(())
}
