//! Processes that are suspended, and processes that are told to stop.

use std::time::Duration;

use tokio::time::Instant;
use tower_async_job_core::Detail;

use crate::{
    child::Child,
    node::{Node, RECOVERY, id_of},
    nodes::{LEASE, Nodes, Settings},
    routes::slow,
    run::Ran,
};

const SHORT: Duration = Duration::from_millis(200);

pub(crate) async fn s07_a_process_suspended_for_longer_than_its_lease_aborts_and_changes_nothing(
    data: &impl Nodes,
) -> Ran {
    let mut child = Child::start("watch", data);
    let url = child.word().unwrap();
    child.signal("STOP");
    let other = Node::new(data, slow(SHORT)).await?;
    other.work();
    assert_eq!(other.ended(&url).await.body, "attempt 2");
    child.signal("CONT");
    assert_eq!(child.word().as_deref(), Some("dropped"));
    tokio::time::sleep(LEASE).await;
    assert_eq!(other.get(&url).await.body, "attempt 2");
    Ok(())
}

pub(crate) async fn s39_a_process_that_is_terminated_ends_what_it_can_and_hands_back_the_rest(
    data: &impl Nodes,
) -> Ran {
    let mut child = Child::start("stop", data);
    let [short, long, once] = [(); 3].map(|()| child.word().unwrap());
    let other = Node::new(data, slow(SHORT)).await?;
    other.work();
    child.signal("TERM");
    assert_eq!(other.ended(&short).await.body, "attempt 1 before the end");
    assert_eq!(child.word().as_deref(), Some("stopped"));
    let stopped = Instant::now();
    assert_eq!(other.ended(&long).await.body, "attempt 1");
    assert!(stopped.elapsed() < LEASE, "{:?}", stopped.elapsed());
    let store = data.open(Settings::default()).await?;
    let record = store.read(&id_of(&long), Detail::Status).await;
    let record = record.unwrap().unwrap();
    assert_eq!((record.epoch, record.attempt), (3, 1));
    assert_eq!(other.ended(&once).await.state(), "lost");
    Ok(())
}

pub(crate) async fn s40_a_process_that_is_terminated_twice_ends_at_once_and_its_jobs_as_if_it_were_killed(
    data: &impl Nodes,
) -> Ran {
    let mut child = Child::start("stop", data);
    let [short, long, once] = [(); 3].map(|()| child.word().unwrap());
    let other = Node::new(data, slow(SHORT)).await?;
    other.work();
    assert_eq!(other.ended(&short).await.body, "attempt 1 before the end");
    child.signal("TERM");
    // One signal at a time, or they are taken for one.
    tokio::time::sleep(SHORT).await;
    let begun = Instant::now();
    child.signal("TERM");
    assert_eq!(child.rest(), [""; 0]);
    assert!(begun.elapsed() < Duration::from_secs(1), "{begun:?}");
    assert_eq!(other.ended(&long).await.body, "attempt 2");
    assert_eq!(other.ended(&once).await.state(), "lost");
    assert!(begun.elapsed() < RECOVERY, "{:?}", begun.elapsed());
    Ok(())
}
