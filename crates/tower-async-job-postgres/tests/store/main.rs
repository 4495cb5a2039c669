//! Tests of the store beyond the contract.

#[path = "../support/mod.rs"]
mod support;

mod clock;
mod connecting;
mod costs;
mod disk;
mod documented;
mod failing;
mod limits;
mod listening;
mod migrating;
mod rows;

use http::{HeaderMap, StatusCode};
use tower_async_job_core::{
    Created, JobStore, Lease, NewJob, Outcome, ReplayedRequest, StoredRequest, StoredResponse,
};
use tower_async_job_postgres::PostgresStore;

/// Stores a running job that may be re-run.
async fn add(store: &PostgresStore) -> Lease {
    let request = StoredRequest::encode(&ReplayedRequest::default());
    let job = NewJob::new(store.new_id(None, None)).with_request(request);
    match store.create(job).await {
        Ok(Created::New { lease, .. }) => lease,
        other => panic!("no job was made: {other:?}"),
    }
}

/// Returns an outcome with a body of this length.
fn done(bytes: usize) -> Outcome {
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), bytes);
    recorder.push(&vec![b'x'; bytes]).unwrap();
    Outcome::Done(recorder.finish(None))
}
