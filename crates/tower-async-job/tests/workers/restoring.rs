//! Claimed jobs whose records the store has lost.

use crate::{
    App, Node, record, shared, state,
    support::{SECOND, ask, get, id_of, post, send, with},
};
use http_polling::JobState;
use tokio::time::sleep;
use tower_async_job::{
    JobContext, Role,
    store::{Principal, Retention},
};

#[tokio::test(start_paused = true)]
async fn claimed_job_that_is_stored_again_keeps_its_key_and_its_terms() {
    let store = shared();
    let front = Node::new(&store, |builder| {
        builder
            .retention(Retention::new(50 * SECOND, 70 * SECOND))
            .role(Role::Front)
            .principal(|_| Some(Principal::new("a")))
    });
    let worker = Node::new(&store, |builder| builder.role(Role::Worker));
    let app = App::new(|request| async move {
        for done in 0..9 {
            JobContext::of(&request).progress(f64::from(done) / 9.0);
            sleep(SECOND).await;
        }
        sleep(20 * SECOND).await;
        crate::attempted(&request)
    });
    let keyed = || with(post("/report"), "idempotency-key", "k");
    let service = front.service(&app);
    let accepted = send(&service, keyed()).await.pending();
    let url = crate::path_of(accepted.location()).to_owned();
    worker.work(&app);
    sleep(9 * SECOND).await;
    let lost = record(&store, &url).await;
    assert_eq!(lost.state, JobState::Running);
    store.fail_over();
    sleep(3 * SECOND).await;
    let anew = record(&store, &url).await;
    assert_eq!((anew.epoch, anew.attempt), (lost.epoch + 1, 1));
    assert_eq!((&anew.owner, anew.created), (&lost.owner, lost.created));
    assert!(anew.version > lost.version, "{anew:?} after {lost:?}");
    let again = send(&service, keyed()).await.pending();
    assert_eq!(id_of(again.location()), id_of(accepted.location()));
    assert_eq!(store.jobs().await, 1);
    sleep(25 * SECOND).await;
    assert_eq!(state(&store, &url).await, JobState::Done);
    sleep(35 * SECOND).await;
    assert_eq!(ask(&front.layer, get(&url)).await.body, "attempt 1");
    sleep(10 * SECOND).await;
    assert_eq!(state(&store, &url).await, JobState::Expired);
}
