//! The order of claims between tenants.

use tower_async_job_core::{Claim, ClaimQuery, JobStore, NewJob, Principal};

use crate::{claim, offer, replayable};

fn of(tenant: &str, route: &str) -> NewJob {
    replayable(0)
        .with_principal(Principal::new(tenant))
        .with_route(route)
}

#[tokio::test]
async fn s38_the_first_job_of_a_tenant_does_not_wait_behind_the_backlog_of_another() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::SqliteStore::open(directory.path().join("jobs.db"));
    let store = store.await.unwrap();
    for _ in 0..500 {
        offer(&store, of("large", "/a")).await;
    }
    // Some rounds later too.
    claim(&store, 100).await;
    for small in ["one", "other"] {
        let id = offer(&store, of(small, "/a")).await;
        // Two tenants are active.
        let claims = claim(&store, 4).await;
        assert!(claims.iter().any(|claim| claim.lease.id == id));
    }
}

#[tokio::test]
async fn s38_tenants_take_turns() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::SqliteStore::open(directory.path().join("jobs.db"));
    let store = store.await.unwrap();
    for tenant in ["a", "b", "c"] {
        for _ in 0..20 {
            offer(&store, of(tenant, "/a")).await;
        }
    }
    for round in 1..=6 {
        let claims = claim(&store, 9).await;
        for tenant in ["a", "b", "c"] {
            let is_of = |claim: &&Claim| claim.principal.as_ref().unwrap().as_str() == tenant;
            let count = claims.iter().filter(is_of).count();
            // A round begins with a tenant's job, and the others' are of the next one.
            assert!(
                (2..=4).contains(&count),
                "{count} of {tenant} in round {round}"
            );
        }
    }
}

#[tokio::test]
async fn s38_jobs_that_no_worker_claims_do_not_change_the_turns_of_others() {
    let directory = tempfile::tempdir().unwrap();
    let store = crate::SqliteStore::open(directory.path().join("jobs.db"));
    let store = store.await.unwrap();
    for _ in 0..3 {
        offer(&store, of("large", "/unserved")).await;
    }
    for _ in 0..50 {
        offer(&store, of("large", "/served")).await;
    }
    let served = |limit| ClaimQuery::new(limit).with_routes(["/served"]);
    store.claim(&served(40)).await.unwrap();
    // A burst does not get all the turns that have passed.
    for _ in 0..50 {
        offer(&store, of("small", "/served")).await;
    }
    let claims = store.claim(&served(12)).await.unwrap().jobs;
    let large = claims
        .iter()
        .filter(|claim| claim.principal.as_ref().unwrap().as_str() == "large");
    assert!((5..=7).contains(&large.count()));
}
