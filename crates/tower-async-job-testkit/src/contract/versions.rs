//! The version of a record.

use http_polling::Progress;
use tower_async_job_core::{JobId, Outside, Release, Report, Start};

use crate::{harness::Harness, node::*};

/// The version of the last read.
struct Version<'a> {
    node: &'a Node,
    id: JobId,
    latest: u64,
}

impl Version<'_> {
    /// Checks that the version has risen.
    async fn rises(&mut self, after: &str) {
        let now = self.node.known(&self.id).await.version;
        assert!(now > self.latest, "{after}: {now} after {}", self.latest);
        assert!(now < 1 << 53, "{after}: {now}");
        self.latest = now;
    }

    /// Checks that the version has not risen.
    async fn stays(&self, after: &str) {
        let now = self.node.known(&self.id).await.version;
        assert_eq!(now, self.latest, "{after}");
    }
}

fn half() -> Report {
    Report::default().with_progress(Progress::fraction(0.5))
}

pub(crate) async fn the_version_rises_with_each_change_that_a_record_shows(
    harness: &dyn Harness,
) -> Ran {
    let (node, other) = (Node::of(harness), Node::second(harness).await?);
    let job = node.replayable().with_start(Start::Queued);
    let lease = node.add(job.with_max_attempts(9)).await;
    let id = lease.id;
    let mut version = Version {
        node: &other,
        id,
        latest: 0,
    };
    version.rises("create").await;
    node.start(&lease).await.unwrap();
    version.rises("start").await;
    node.start(&lease).await.unwrap();
    assert!(node.renew(&[lease]).await.unwrap()[0].is_held());
    harness.advance(SECOND).await?;
    version.stays("what no record shows").await;
    for _ in 0..3 {
        node.say(&lease, half()).await;
        version.rises("report").await;
    }
    let how = Release::default().with_counts(false);
    node.release_one(&lease, how).await;
    version.rises("release").await;
    let first = node.claim_one().await.lease;
    version.rises("claim").await;
    harness.advance(node.lease()?).await?;
    node.sweep_all().await;
    version.rises("lapse").await;
    assert_lost(node.report(&first, half()).await);
    version.stays("a stale report").await;
    let second = node.claim_one().await.lease;
    version.rises("second claim").await;
    let outside = Outside::new("token", node.lease()?);
    node.release_one(&second, Release::default().with_outside(outside))
        .await;
    version.rises("release outside").await;
    node.renew_outside(&id, outside, half()).await.unwrap();
    version.rises("report from outside").await;
    let resumed = node.resume(&id, &outside.token).await.unwrap().unwrap();
    version.rises("resume").await;
    node.end(&resumed.lease, done(b"x")).await.unwrap();
    version.rises("finish").await;
    node.end(&resumed.lease, done(b"x")).await.unwrap();
    version.stays("repeated finish").await;
    harness.advance(HOUR).await?;
    version.rises("expiry").await;
    node.sweep_all().await;
    version.stays("sweep").await;
    Ok(())
}

pub(crate) async fn the_version_rises_with_a_cancel(harness: &dyn Harness) -> Ran {
    let node = Node::of(harness);
    let id = node.add(node.job()).await.id;
    let mut version = Version {
        node: &node,
        id,
        latest: 0,
    };
    version.rises("create").await;
    node.cancel(&id).await.unwrap();
    version.rises("cancel").await;
    node.cancel(&id).await.unwrap();
    version.stays("repeated cancel").await;
    Ok(())
}
