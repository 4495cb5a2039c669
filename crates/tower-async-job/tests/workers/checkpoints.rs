//! Checkpoints: what a run saves for a later run of its job.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use crate::{
    App, LEASE, Node, RECOVERY, record, shared, state,
    support::{
        Answer, Body, SECOND, ask, call,
        faulty::{Fault, FaultyStore, Op},
        get, path_of, post, send,
    },
};
use bytes::Bytes;
use http::{Request, Response, StatusCode, header::CONTENT_LENGTH};
use http_polling::JobState;
use tokio::time::{Instant, sleep, timeout};
use tower::ServiceExt;
use tower_async_job::{Builder, CheckpointError, JobContext, Policy, Release};

/// The fates of all saves, with the times that they took.
type Fates = Arc<Mutex<Vec<(Duration, Result<(), CheckpointError>)>>>;

/// Returns a handler whose first run saves this checkpoint after a time. Each run answers 20 s later
/// with the checkpoint that it began with.
fn saving(after: Duration, checkpoint: &'static str) -> (App, Fates) {
    let fates = Fates::default();
    let noted = fates.clone();
    let app = App::new(move |request: Request<Bytes>| {
        let (job, fates) = (JobContext::of(&request), noted.clone());
        async move {
            let found = job.checkpoint();
            if found.is_none() {
                sleep(after).await;
                let begun = Instant::now();
                let fate = job.save_checkpoint(checkpoint).await;
                let mut fates = fates.lock().expect("unpoisoned");
                fates.push((begun.elapsed(), fate));
            }
            sleep(20 * SECOND).await;
            let found = found.unwrap_or_else(|| "none".into());
            Response::new(Body::from(format!("found {found:?}")))
        }
    });
    (app, fates)
}

fn taken(fates: &Fates) -> Vec<(Duration, Result<(), CheckpointError>)> {
    std::mem::take(&mut *fates.lock().expect("unpoisoned"))
}

/// Has a node killed some time after it has accepted a job, and another one run the job again. Returns
/// the answer of the job.
async fn rerun(app: &App, killed_after: Duration, configure: fn(Builder) -> Builder) -> String {
    let store = shared();
    let [one, other] = [(), ()].map(|()| Node::new(&store, configure));
    let job = one.submit(app).await;
    sleep(killed_after).await;
    one.kill();
    other.work(app);
    sleep(RECOVERY + 20 * SECOND).await;
    let answer = ask(&other.layer, get(&job)).await;
    String::from_utf8(answer.body.to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn s88_later_run_has_the_checkpoint_of_the_killed_one() {
    let (app, fates) = saving(SECOND, "half");
    assert_eq!(rerun(&app, 2 * SECOND, |it| it).await, "found b\"half\"");
    assert_eq!(taken(&fates), [(Duration::ZERO, Ok(()))]);
}

#[tokio::test(start_paused = true)]
async fn s88_checkpoint_from_before_the_acceptance_is_stored_when_the_job_is_announced() {
    let (app, fates) = saving(Duration::ZERO, "early");
    let waiting = |builder: Builder| builder.inline_wait(SECOND);
    assert_eq!(
        rerun(&app, Duration::ZERO, waiting).await,
        "found b\"early\""
    );
    assert_eq!(taken(&fates), [(Duration::ZERO, Ok(()))]);
}

#[tokio::test(start_paused = true)]
async fn empty_checkpoint_removes_the_previous_one() {
    let app = App::new(|request: Request<Bytes>| async move {
        let job = JobContext::of(&request);
        let found = job.checkpoint();
        if job.attempt() == 1 {
            job.save_checkpoint("half").await.expect("saved");
            assert_eq!(job.checkpoint().as_deref(), Some(&b"half"[..]));
            job.save_checkpoint(Bytes::new()).await.expect("saved");
            assert_eq!(job.checkpoint(), None);
        }
        sleep(20 * SECOND).await;
        Response::new(Body::from(format!("{found:?}")))
    });
    assert_eq!(rerun(&app, 2 * SECOND, |it| it).await, "None");
}

/// Runs a job with these faults of the store. Returns the fate of its save.
async fn save_with(store: FaultyStore) -> (Duration, Result<(), CheckpointError>) {
    let (store, (app, fates)) = (Arc::new(store), saving(SECOND, "half"));
    let node = Node::new(&store, |builder| builder);
    let job = node.submit(&app).await;
    sleep(25 * SECOND).await;
    assert_eq!(state(&store, &job).await, JobState::Done);
    let [fate] = &taken(&fates)[..] else {
        panic!("one save");
    };
    fate.clone()
}

#[tokio::test(start_paused = true)]
async fn save_waits_for_a_store_that_cannot_be_reached() {
    let store = FaultyStore::shared(LEASE).times(Op::Report, Fault::Unavailable, 3);
    let (took, fate) = save_with(store).await;
    assert_eq!(fate, Ok(()));
    assert_eq!(took, 3 * SECOND);
}

#[tokio::test(start_paused = true)]
async fn save_fails_if_the_store_is_full_and_the_job_goes_on() {
    for (fault, is_full) in [(Fault::Full, true), (Fault::Unsupported, false)] {
        let store = FaultyStore::shared(LEASE).then(Op::Report, fault);
        let (_, fate) = save_with(store).await;
        let error = fate.expect_err("the store refuses it");
        assert_eq!((error.is_full(), error.is_over()), (is_full, false));
    }
}

#[tokio::test(start_paused = true)]
async fn save_fails_once_the_lease_is_lost() {
    let (store, (app, fates)) = (shared(), saving(SECOND, "late"));
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let job = one.submit(&app).await;
    one.kill();
    other.work(&app);
    sleep(RECOVERY + 22 * SECOND).await;
    let fates = taken(&fates);
    let failed = fates.iter().filter_map(|(_, fate)| fate.as_ref().err());
    assert_eq!(
        failed.map(CheckpointError::is_over).collect::<Vec<_>>(),
        [true]
    );
    assert_eq!(fates.len(), 2, "the later run has saved its own");
    assert_eq!(record(&store, &job).await.attempt, 2);
}

#[tokio::test(start_paused = true)]
async fn s88_checkpoint_is_stored_again_with_a_record_that_the_store_has_lost() {
    let (store, (app, _)) = (shared(), saving(SECOND, "half"));
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let job = one.submit(&app).await;
    sleep(2 * SECOND).await;
    store.fail_over();
    sleep(12 * SECOND).await;
    assert_eq!(state(&store, &job).await, JobState::Running);
    one.kill();
    other.work(&app);
    sleep(RECOVERY + 20 * SECOND).await;
    let answer = ask(&other.layer, get(&job)).await;
    assert_eq!(answer.body, "found b\"half\"");
}

#[tokio::test(start_paused = true)]
async fn checkpoint_costs_one_write_and_waits_for_the_interval_of_reports() {
    let store = shared();
    let app = App::new(|request: Request<Bytes>| async move {
        let job = JobContext::of(&request);
        sleep(Duration::from_millis(1)).await;
        for step in ["1", "2", "3"] {
            job.progress(0.5);
            job.save_checkpoint(step).await.expect("saved");
        }
        Response::new(Body::from("done"))
    });
    let node = Node::new(&store, |builder| builder.report_interval(2 * SECOND));
    let job = node.submit(&app).await;
    sleep(3 * SECOND).await;
    assert_eq!(state(&store, &job).await, JobState::Running);
    sleep(2 * SECOND).await;
    assert_eq!(state(&store, &job).await, JobState::Done);
    assert_eq!(store.calls(Op::Report), 3);
}

/// Returns a node whose jobs can only be resumed.
fn resuming(store: &Arc<FaultyStore>) -> Node {
    Node::configured(store, |builder| {
        let mut policy = Policy::default();
        policy.inline_wait = Duration::ZERO;
        policy.resume = true;
        let policy = Arc::new(policy);
        builder.policy(move |_| policy.clone())
    })
}

/// Returns a handler that notes what each run receives, and saves a checkpoint in the first one.
fn noting(saves: bool) -> (App, Arc<AtomicUsize>) {
    let runs = Arc::new(AtomicUsize::new(0));
    let counted = runs.clone();
    let app = App::new(move |request: Request<Bytes>| {
        let runs = counted.clone();
        async move {
            let job = JobContext::of(&request);
            if runs.fetch_add(1, Ordering::SeqCst) == 0 {
                assert_eq!(request.body(), "the work");
                if saves {
                    job.save_checkpoint("begun").await.expect("saved");
                }
            } else {
                assert_eq!(request.body(), "");
                assert_eq!(request.headers().get(CONTENT_LENGTH), None);
                assert_eq!(request.headers()["content-type"], "text/plain");
                assert_eq!(request.uri().path(), "/report");
                assert_eq!(job.checkpoint().as_deref(), Some(&b"begun"[..]));
            }
            sleep(20 * SECOND).await;
            crate::attempted(&request)
        }
    });
    (app, runs)
}

/// Runs a job that can only be resumed on two nodes. Returns the answer at its end, and the number of runs.
async fn resume(saves: bool, key: Option<&'static str>) -> (Answer, usize) {
    let store = shared();
    let [one, other] = [(), ()].map(|()| resuming(&store));
    let (app, runs) = noting(saves);
    let mut request = Request::post("/report")
        .header("content-type", "text/plain")
        .header(CONTENT_LENGTH, 8)
        .body(Body::from("the work"))
        .expect("valid request");
    if let Some(key) = key {
        let key = key.parse().expect("valid value");
        request.headers_mut().insert("idempotency-key", key);
    }
    let accepted = send(&one.service(&app), request).await.pending();
    let job = path_of(accepted.location()).to_owned();
    sleep(SECOND).await;
    one.kill();
    other.work(&app);
    sleep(RECOVERY + 20 * SECOND).await;
    let answer = ask(&other.layer, get(&job)).await;
    let told = operate(&other, "/").await["jobs"][0]["handle"].take();
    let told = operate(&other, &format!("/{}", told.as_str().expect("a handle"))).await;
    // Operators are told what clients are told.
    if answer.header("job-status") != "done" {
        assert_eq!(told["problem"]["detail"], answer.json()["detail"], "{told}");
    }
    (answer, runs.load(Ordering::SeqCst))
}

/// Returns what an operator is told.
async fn operate(node: &Node, path: &str) -> serde_json::Value {
    let answer = node.layer.operator_resource().oneshot(get(path)).await;
    Answer::of(answer.expect("infallible")).await.json()
}

#[tokio::test(start_paused = true)]
async fn s88_job_that_may_not_be_repeated_is_resumed_from_its_checkpoint_without_its_body() {
    for key in [None, Some("k")] {
        let (answer, runs) = resume(true, key).await;
        assert_eq!((answer.status, runs), (StatusCode::OK, 2));
        assert_eq!(answer.body, "attempt 2");
    }
}

#[tokio::test(start_paused = true)]
async fn s88_job_that_may_not_be_repeated_is_lost_without_a_checkpoint() {
    for key in [None, Some("k")] {
        let (answer, runs) = resume(false, key).await;
        assert_eq!((answer.header("job-status"), runs), ("lost", 1));
        let problem = answer.json();
        assert_eq!(problem["type"], "urn:http-polling:problem:job-lost");
        let detail = problem["detail"].as_str().expect("a detail");
        assert!(detail.contains("may not be repeated"), "{detail}");
    }
}

#[tokio::test(start_paused = true)]
async fn save_in_a_call_that_stays_inline_does_not_wait() {
    let store = FaultyStore::shared(LEASE).times(Op::Create, Fault::Unavailable, 99);
    let store = Arc::new(store);
    let node = Node::new(&store, |builder| builder);
    let (app, fates) = saving(40 * SECOND, "half");
    let answer = send(&node.service(&app), post("/report")).await;
    assert_eq!(answer.body, "found b\"none\"");
    assert_eq!(taken(&fates), [(Duration::ZERO, Ok(()))]);
}

#[tokio::test(start_paused = true)]
async fn save_in_a_call_that_is_answered_while_its_job_is_stored_does_not_wait() {
    let store = FaultyStore::shared(LEASE).then(Op::Create, Fault::Late(5 * SECOND));
    let node = Node::new(&Arc::new(store), |builder| builder);
    let known = Arc::<Mutex<Option<JobContext>>>::default();
    let noted = known.clone();
    let app = App::new(move |request: Request<Bytes>| {
        *noted.lock().expect("unpoisoned") = Some(JobContext::of(&request));
        async {
            sleep(SECOND).await;
            Response::new(Body::from("the answer"))
        }
    });
    let begun = Instant::now();
    let answer = call(&node.service(&app), post("/report")).await;
    assert_eq!((answer.status(), begun.elapsed()), (StatusCode::OK, SECOND));
    let job = known.lock().expect("unpoisoned").take().expect("a call");
    // Its body is not sent yet, and its producer notes how far it is.
    let saved = timeout(SECOND, job.save_checkpoint("half")).await;
    assert_eq!(saved, Ok(Ok(())));
    drop(answer);
}

/// Runs a job that can only be resumed, and whose handler gives it back for another run. Returns its answer.
async fn give_back(saves: bool, stored_after: Duration) -> String {
    let store = FaultyStore::shared(LEASE).then(Op::Create, Fault::Late(stored_after));
    let store = Arc::new(store);
    let node = resuming(&store);
    let app = App::new(move |request: Request<Bytes>| async move {
        let job = JobContext::of(&request);
        let mut response = crate::attempted(&request);
        if saves && job.attempt() == 1 {
            // While its job is being stored, a save ends after that.
            let saving = job.clone();
            tokio::spawn(async move { saving.save_checkpoint("begun").await });
            tokio::task::yield_now().await;
        }
        sleep(SECOND).await;
        if job.attempt() == 1 {
            response.extensions_mut().insert(Release::default());
        }
        response
    });
    let answer = send(&node.service(&app), post("/report")).await;
    if answer.status == StatusCode::OK {
        return String::from_utf8(answer.body.to_vec()).expect("text");
    }
    let job = path_of(answer.pending().location()).to_owned();
    node.work(&app);
    sleep(RECOVERY).await;
    let answer = ask(&node.layer, get(&job)).await;
    String::from_utf8(answer.body.to_vec()).expect("text")
}

#[tokio::test(start_paused = true)]
async fn job_that_can_only_be_resumed_is_given_back_with_a_checkpoint() {
    for stored_after in [Duration::ZERO, 2 * SECOND] {
        assert_eq!(give_back(true, stored_after).await, "attempt 2");
        // It could not run again, so its response is the answer.
        assert_eq!(give_back(false, stored_after).await, "attempt 1");
    }
}

#[tokio::test(start_paused = true)]
async fn checkpoint_that_hangs_holds_up_the_acceptance_for_a_third_of_a_lease() {
    let store = FaultyStore::shared(6 * SECOND)
        .then(Op::Create, Fault::Late(SECOND))
        .then(Op::Report, Fault::Hangs);
    let store = Arc::new(store);
    let node = Node::new(&store, |builder| builder.inline_wait(SECOND));
    let (app, _) = saving(Duration::ZERO, "early");
    let begun = Instant::now();
    let accepted = send(&node.service(&app), post("/report")).await.pending();
    assert_eq!(begun.elapsed(), 3 * SECOND);
    // Its run has written it since.
    sleep(2 * SECOND).await;
    assert_eq!(
        state(&store, path_of(accepted.location())).await,
        JobState::Running
    );
    assert_eq!(store.calls(Op::Report), 2);
}

#[tokio::test(start_paused = true)]
async fn checkpoint_that_is_refused_leaves_the_previous_one() {
    let store = FaultyStore::shared(LEASE)
        .then(Op::Report, Fault::None)
        .then(Op::Report, Fault::Full);
    let (store, fates) = (Arc::new(store), Fates::default());
    let noted = fates.clone();
    let app = App::new(move |request: Request<Bytes>| {
        let (job, fates) = (JobContext::of(&request), noted.clone());
        async move {
            let found = job.checkpoint();
            if found.is_none() {
                sleep(SECOND).await;
                for step in ["one", "two"] {
                    let begun = Instant::now();
                    let fate = job.save_checkpoint(step).await;
                    fates
                        .lock()
                        .expect("unpoisoned")
                        .push((begun.elapsed(), fate));
                    assert_eq!(job.checkpoint().as_deref(), Some(&b"one"[..]));
                }
            }
            sleep(40 * SECOND).await;
            Response::new(Body::from(format!("found {found:?}")))
        }
    });
    let [one, other] = [(), ()].map(|()| Node::new(&store, |builder| builder));
    let job = one.submit(&app).await;
    sleep(5 * SECOND).await;
    let fates = taken(&fates);
    assert!(matches!(&fates[..], [(_, Ok(())), (_, Err(error))] if error.is_full()));
    // The record that is stored again has it too.
    store.fail_over();
    sleep(12 * SECOND).await;
    one.kill();
    other.work(&app);
    sleep(RECOVERY + 40 * SECOND).await;
    let answer = ask(&other.layer, get(&job)).await;
    assert_eq!(answer.body, "found Some(b\"one\")");
}

#[tokio::test]
async fn inert_context_saves_nothing() {
    let job = JobContext::inert();
    assert_eq!(job.save_checkpoint("half").await, Ok(()));
    assert_eq!(job.checkpoint(), None);
    let long = vec![0; JobContext::CHECKPOINT_LIMIT + 1];
    assert!(job.save_checkpoint(long).await.unwrap_err().is_too_large());
}
