//! Delays that a front learns from the jobs of other processes, and its share of all polls.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::Method;
use tower_async_job::{Builder, Estimator, Learned, ObservedJob, Role};

use crate::{
    node::{Answer, Node, request, until_async},
    nodes::Nodes,
    roles::served::{SLOW, Served},
    routes::endless,
    run::Ran,
};

/// An estimator that records its inputs, and forwards them to another.
#[derive(Clone, Default)]
struct Witness {
    learned: Arc<Learned>,
    completed: Arc<Mutex<Vec<Duration>>>,
    /// The latest number of pending jobs.
    jobs: Arc<Mutex<usize>>,
}

impl Estimator for Witness {
    fn retry_after(&self, pending: &ObservedJob<'_>) -> Duration {
        *self.jobs.lock().unwrap() = pending.jobs;
        self.learned.retry_after(pending)
    }

    fn completed(&self, route: &str, duration: Duration) {
        self.completed.lock().unwrap().push(duration);
        self.learned.completed(route, duration);
    }
}

fn delay(answer: &Answer) -> Duration {
    Duration::from_millis(answer.header("retry-after-ms").parse().unwrap())
}

pub(crate) async fn a_front_learns_once_from_each_job_that_another_process_runs(
    data: &impl Nodes,
) -> Ran {
    const JOBS: usize = 10;
    let witness = Witness::default();
    let front = |layer: Builder| layer.role(Role::Front).estimator(witness.clone());
    let front = Node::configured(data, endless(), front).await?;
    let _worker = Served::start(data, "worker slow");
    let submission = || request(Method::POST, "/again");
    let before = delay(&front.send(submission()).await);
    let mut urls = Vec::new();
    for _ in 0..JOBS {
        urls.push(front.submit("/again").await);
    }
    for url in urls {
        assert_eq!(front.ended(&url).await.body, "attempt 1");
        assert_eq!(front.get(&url).await.body, "attempt 1");
    }
    let completed = witness.completed.lock().unwrap().clone();
    assert_eq!(completed.len(), JOBS);
    assert!(
        completed.iter().all(|time| (SLOW..3 * SLOW).contains(time)),
        "{completed:?}"
    );
    let after = delay(&front.send(submission()).await);
    assert!(after >= SLOW && after < 2 * SLOW, "{after:?}");
    assert_ne!(before, after);
    Ok(())
}

pub(crate) async fn the_budget_of_polls_is_for_a_share_of_the_jobs_of_all_live_processes(
    data: &impl Nodes,
) -> Ran {
    const JOBS: usize = 24;
    let witness = Witness::default();
    let front = |layer: Builder| layer.role(Role::Front).estimator(witness.clone());
    let front = Node::configured(data, endless(), front).await?;
    let mut urls = Vec::new();
    for _ in 0..JOBS {
        urls.push(front.submit("/again").await);
    }
    let share_is = async |share: usize| {
        until_async("the share is told", async || {
            front.get(&urls[0]).await.location();
            *witness.jobs.lock().unwrap() == share
        })
        .await;
    };
    share_is(JOBS).await;
    let other = Served::start(data, "front");
    share_is(JOBS / 2).await;
    let third = Served::start(data, "front");
    share_is(JOBS / 3).await;
    drop((other, third));
    share_is(JOBS).await;
    Ok(())
}
