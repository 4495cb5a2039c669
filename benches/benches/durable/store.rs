//! The clients of a store.

use std::{sync::Arc, time::Instant};

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use tower_async_job::store::{
    Detail, JobId, JobStore, NewJob, Outcome, ReplayedRequest, StoredRequest, StoredResponse,
};

use crate::PAYLOAD;

/// Lets jobs live one after another; returns their number.
pub(crate) async fn live(store: Arc<dyn JobStore>, until: Instant) -> usize {
    let request = request();
    let result = result();
    let mut jobs = 0;
    while Instant::now() < until {
        let job = NewJob::new(JobId::random())
            .with_route("/report")
            .with_request(request.clone());
        let lease = job.first_lease();
        store.create(job).await.expect("there is room");
        let outcome = Outcome::Done(result.clone());
        store.finish(&lease, outcome.into()).await.expect("held");
        jobs += 1;
    }
    jobs
}

/// Reads a job again and again; returns the number of reads.
pub(crate) async fn poll(store: Arc<dyn JobStore>, until: Instant) -> usize {
    let job = NewJob::new(JobId::random());
    let id = job.id;
    store.create(job).await.expect("there is room");
    let mut reads = 0;
    while Instant::now() < until {
        let record = store.read(&id, Detail::Full).await.expect("readable");
        assert!(record.is_some());
        reads += 1;
    }
    reads
}

pub(crate) fn request() -> StoredRequest {
    let mut request = ReplayedRequest::default();
    request.body = Bytes::from_static(&PAYLOAD);
    StoredRequest::encode(&request)
}

pub(crate) fn result() -> StoredResponse {
    let head = HeaderMap::new();
    let mut recorder = StoredResponse::recorder(StatusCode::OK, &head, PAYLOAD.len());
    recorder.push(&PAYLOAD).expect("it fits");
    recorder.finish(None)
}
