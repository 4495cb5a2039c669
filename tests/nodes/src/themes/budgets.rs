//! The commits and the reads of a store that each kind of exchange takes.

use std::{sync::Arc, time::Duration};

use axum::{Router, body::Body, routing::post};
use http::{Method, Request, StatusCode};
use tokio::{sync::Notify, task::JoinSet, time::sleep};
use tower::ServiceExt;
use tower_async_job::AsyncJobLayer;
use tower_async_job_core::ClaimQuery;
use tower_async_job_testkit::NotRun;

use crate::{
    counting::Counting,
    jobs::{add, job, offer},
    node::{self, Answer},
    nodes::{Cost, Nodes},
    roles::served::Served,
    run::Ran,
};

/// An application whose handler ends when it is told to.
struct Server {
    store: Counting,
    application: Router,
    end: Arc<Notify>,
}

impl Server {
    async fn start(data: &impl Nodes, inline_wait: Duration) -> Result<Self, NotRun> {
        let store = Counting::open(data).await?;
        let jobs = AsyncJobLayer::builder()
            .store(store.quiet())
            .inline_wait(inline_wait)
            .build()
            .unwrap();
        let end = Arc::new(Notify::new());
        let ended = end.clone();
        let handler = || async move {
            ended.notified().await;
            "done"
        };
        let application = Router::new()
            .route("/report", post(handler))
            .layer(jobs.clone())
            .nest_service("/work", jobs.resource());
        Ok(Self {
            store,
            application,
            end,
        })
    }

    async fn send(&self, request: http::request::Builder) -> Answer {
        let request = request.body(Body::empty()).unwrap();
        node::send(&self.application, request).await
    }

    /// Submits a job; returns its path.
    async fn submit(&self) -> String {
        let accepted = self.send(Request::post("/report")).await;
        accepted.location().to_owned()
    }

    /// Lets the handler end, and waits until the end is stored.
    async fn end(&self) {
        self.end.notify_one();
        self.store.wait_for_an_end().await;
    }
}

fn get(path: &str) -> http::request::Builder {
    Request::get(path)
}

fn delete(path: &str) -> http::request::Builder {
    Request::builder().method(Method::DELETE).uri(path)
}

fn held(path: &str, seconds: u64) -> http::request::Builder {
    get(path).header("prefer", format!("wait={seconds}"))
}

const COMMIT: Cost = Cost {
    commits: 1,
    reads: 0,
};

const READ: Cost = Cost {
    commits: 0,
    reads: 1,
};

pub(crate) async fn submission_and_end_are_one_commit_each_and_a_poll_is_one_read(
    data: &impl Nodes,
) -> Ran {
    let server = Server::start(data, Duration::ZERO).await?;
    let job = server.submit().await;
    assert_eq!(server.store.cost(), COMMIT);
    let pending = server.send(get(&job)).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    assert_eq!(server.store.cost(), READ);
    server.end().await;
    assert_eq!(server.store.cost(), COMMIT);
    let done = server.send(get(&job)).await;
    assert_eq!(done.body, "done");
    assert_eq!(server.store.cost(), READ);
    server.send(get(&format!("{job}/status"))).await;
    assert_eq!(server.store.cost(), READ);
    Ok(())
}

pub(crate) async fn held_poll_is_two_reads(data: &impl Nodes) -> Ran {
    let server = Server::start(data, Duration::ZERO).await?;
    let job = server.submit().await;
    server.store.cost();
    let pending = server.send(held(&job, 1)).await;
    assert_eq!(pending.status, StatusCode::SEE_OTHER);
    let two = Cost {
        commits: 0,
        reads: 2,
    };
    assert_eq!(server.store.cost(), two);
    let ended = async {
        server.store.wait_for_calls(3, 3).await;
        server.end().await;
    };
    let (done, ()) = tokio::join!(server.send(held(&job, 60)), ended);
    assert_eq!(done.body, "done");
    assert_eq!(server.store.cost(), two + COMMIT);
    Ok(())
}

pub(crate) async fn cancelling_and_removing_are_a_read_and_a_commit(data: &impl Nodes) -> Ran {
    let server = Server::start(data, Duration::ZERO).await?;
    let elsewhere = job(&*server.store.store);
    let path = format!("/work/{}", elsewhere.id.encode());
    server.store.store.create(elsewhere).await.unwrap();
    server.store.cost();
    for status in [StatusCode::ACCEPTED, StatusCode::NO_CONTENT] {
        let deleted = server.send(delete(&path)).await;
        assert_eq!(deleted.status, status);
        assert_eq!(server.store.cost(), READ + COMMIT);
    }
    Ok(())
}

pub(crate) async fn run_that_is_cancelled_may_read_its_job(data: &impl Nodes) -> Ran {
    let server = Server::start(data, Duration::ZERO).await?;
    let job = server.submit().await;
    server.store.cost();
    let cancelled = server.send(delete(&job)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    sleep(Duration::from_millis(50)).await;
    let cost = server.store.cost();
    assert!((1..=2).contains(&cost.reads), "{cost:?}");
    assert_eq!(cost.commits, 1);
    Ok(())
}

pub(crate) async fn result_of_a_key_is_handed_over_once_it_is_committed(data: &impl Nodes) -> Ran {
    let server = Server::start(data, Duration::from_secs(60)).await?;
    server.end.notify_one();
    let keyed = || Request::post("/report").header("idempotency-key", "k");
    let done = server.send(keyed()).await;
    assert_eq!(done.body, "done");
    assert_eq!(server.store.cost(), COMMIT + COMMIT);
    // A repeat finds the key and the job by one transaction that changes nothing, and the result
    // by a read.
    let again = server.send(keyed()).await;
    assert_eq!(again.body, "done");
    let repeat = if counts_round_trips(data) {
        READ + COMMIT
    } else {
        READ
    };
    assert_eq!(server.store.cost(), repeat + finding(data));
    Ok(())
}

/// Returns the cost of finding a job, beside that of what is done with it.
const fn finding<N: Nodes>(_: &N) -> Cost {
    Cost {
        commits: 0,
        reads: N::FINDS_BY_READS as u64,
    }
}

const fn counts_round_trips<N: Nodes>(_: &N) -> bool {
    N::COUNTS_ROUND_TRIPS
}

pub(crate) async fn offers_and_claims_of_many_jobs_are_one_commit(data: &impl Nodes) -> Ran {
    let counted = Counting::open(data).await?;
    let store = &*counted.store;
    for _ in 0..20 {
        offer(store).await;
        assert_eq!(counted.cost(), COMMIT);
    }
    let claims = store.claim(&ClaimQuery::new(20)).await.unwrap();
    assert_eq!(claims.jobs.len(), 20);
    assert_eq!(counted.cost(), COMMIT + finding(data));
    Ok(())
}

pub(crate) async fn renewals_of_a_thousand_leases_are_one_commit(data: &impl Nodes) -> Ran {
    let counted = Counting::open(data).await?;
    let mut creates = JoinSet::new();
    for _ in 0..2001 {
        let store = counted.store.clone();
        creates.spawn(async move { add(&*store, job(&*store)).await });
    }
    let leases = creates.join_all().await;
    counted.cost();
    let renewed = counted.store.renew(&leases[..1000]).await.unwrap();
    assert!(renewed.iter().all(|renewal| renewal.is_held()));
    assert_eq!(counted.cost(), COMMIT);
    counted.store.renew(&leases).await.unwrap();
    assert_eq!(counted.cost(), COMMIT + COMMIT + COMMIT);
    Ok(())
}

pub(crate) async fn s27_ten_thousand_waiters_on_a_job_of_another_process_take_three_reads_a_change(
    data: &impl Nodes,
) -> Ran {
    const WAITERS: u64 = 10_000;
    let server = Server::start(data, Duration::ZERO).await?;
    let mut process = Served::start(data, "long-lease");
    let job = process.submit("POST /once");
    server.store.cost();
    // All arrive, and all are woken, while another read is under way.
    let busy = server.store.busy().await;
    let mut polls = JoinSet::new();
    for _ in 0..WAITERS {
        let poll = held(&job, 60).body(Body::empty()).unwrap();
        polls.spawn(server.application.clone().oneshot(poll));
    }
    server.store.wait_for_calls(WAITERS, 0).await;
    busy.end().await;
    server.store.wait_for_calls(WAITERS, WAITERS).await;
    let busy = server.store.busy().await;
    process.tell("end");
    server.store.wait_for_calls(2 * WAITERS, WAITERS).await;
    busy.end().await;
    for answer in polls.join_all().await {
        let answer = answer.unwrap();
        assert_eq!(answer.headers()["job-status"], "done");
    }
    let cost = server.store.cost();
    // The end, where the commits of other processes count too.
    assert!(cost.commits <= 1, "{cost:?}");
    // Twice the other read, one by each reader for the arrival, and those for the change.
    assert!(cost.reads <= 2 + readers_of(data) + 3, "{cost:?}");
    Ok(())
}

const fn readers_of<N: Nodes>(_: &N) -> u64 {
    N::READERS
}
