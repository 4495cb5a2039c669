//! Jobs that the store has lost, as by a failover.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http_polling::JobState;
use tower_async_job_core::{Detail, JobStore, Principal, Renewal};

use crate::{add, builder, is_known, job, replayable, shared};

/// A clock that stands still unless moved.
#[derive(Clone, Default)]
pub(crate) struct TestClock(Arc<Mutex<Duration>>);

impl TestClock {
    pub(crate) fn advance(&self, span: Duration) {
        *self.0.lock().unwrap() += span;
    }
}

impl tower_async_job_core::Clock for TestClock {
    fn now(&self) -> std::time::Instant {
        std::time::Instant::now()
    }

    fn system_time(&self) -> std::time::SystemTime {
        let start = Duration::from_secs(1_800_000_000);
        std::time::SystemTime::UNIX_EPOCH + start + *self.0.lock().unwrap()
    }
}

/// Deletes the record of a job.
fn lose(server: &test_services::Redis, prefix: &str, id: tower_async_job_core::JobId) {
    let key = format!("{{{prefix}:{}}}:j:{}", id.to_bits() >> 122, id.encode());
    assert_eq!(server.command(&["DEL", &key]), "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_job_is_seen_as_lost_by_the_node_that_accepted_it() {
    let Some(server) = shared() else { return };
    let clock = TestClock::default();
    let prefix = "lost";
    let connect = || {
        builder(server)
            .prefix(prefix)
            .clock(clock.clone())
            .connect()
    };
    let (store, other) = (connect().await.unwrap(), connect().await.unwrap());
    let owner = Principal::new("owner");
    let lease = add(&store, job(&store).with_principal(owner.clone())).await;
    let before = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    lose(server, prefix, lease.id);
    // Its run may be alive, and store it again.
    let read = async || store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    assert_eq!(read().await.state, JobState::Running);
    assert_eq!(store.renew(&[lease]).await.unwrap(), [Renewal::Missing]);
    clock.advance(Duration::from_secs(39));
    assert_eq!(read().await.state, JobState::Running);
    clock.advance(Duration::from_secs(2));
    let lost = read().await;
    assert_eq!((lost.state, &lost.outcome), (JobState::Lost, &None));
    assert!(lost.version > before.version);
    assert!(lost.is_visible_to(Some(&owner)) && !lost.is_visible_to(None));
    assert_eq!(read().await.ended, lost.ended);
    assert!(!is_known(&other, &lease.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_and_expired_jobs_are_not_lost() {
    let Some(server) = shared() else { return };
    let clock = TestClock::default();
    let connect = || {
        builder(server)
            .prefix("gone")
            .clock(clock.clone())
            .connect()
    };
    let (store, other) = (connect().await.unwrap(), connect().await.unwrap());
    let [removed, expired, discarded] = [
        add(&store, replayable(&store)).await,
        add(&store, replayable(&store)).await,
        add(&store, replayable(&store)).await,
    ];
    other.cancel(&removed.id).await.unwrap();
    assert!(other.remove(&removed.id).await.unwrap());
    other.cancel(&expired.id).await.unwrap();
    other.discard(&discarded).await.unwrap();
    for _ in 0..5 {
        for lease in [removed, discarded] {
            assert!(!is_known(&store, &lease.id).await);
        }
        clock.advance(Duration::from_secs(1800));
        other.sweep(&Default::default()).await.unwrap();
    }
    assert!(!is_known(&store, &expired.id).await);
}
