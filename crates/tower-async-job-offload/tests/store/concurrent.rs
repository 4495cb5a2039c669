//! Long results that are recorded at once.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty, StreamBody};
use hyper::body::Frame;
use tokio::sync::watch;
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody};
use tower_async_job_core::JobStore;

use crate::{
    common::{CHUNK, Setup},
    objects::Step,
};

/// The chunks of half a result, after which its upload has begun.
const HALF: usize = 5;
const JOBS: usize = 8;

type Body = Empty<Bytes>;

fn request(method: &str, uri: &str) -> Request<Body> {
    let request = Request::builder().method(method).uri(uri);
    request.body(Body::new()).unwrap()
}

async fn get(jobs: &AsyncJobLayer, job: &str) -> (StatusCode, usize) {
    let answer = jobs.resource().oneshot(request("GET", job)).await.unwrap();
    let status = answer.status();
    let body = answer.into_body().collect().await.unwrap();
    (status, body.to_bytes().len())
}

#[tokio::test(start_paused = true)]
async fn s68_results_that_are_recorded_at_once_hold_no_more_memory_than_allowed_for_all() {
    let setup = Setup::new();
    let store = setup.node();
    let held = store.properties().recording;
    assert_eq!(held, 2 * 2500 + 2 * CHUNK, "two parts and two chunks");
    let jobs = AsyncJobLayer::builder()
        .store(store)
        .inline_wait(Duration::ZERO)
        .recording_room(2 * held)
        .build()
        .unwrap();
    // Results begin, and go on later.
    let (go_on, may_end) = watch::channel(false);
    let service = jobs.layer(service_fn(move |_: Request<JobBody<Body>>| {
        let mut may_end = may_end.clone();
        let half = || stream::iter(vec![Bytes::from(vec![b'x'; CHUNK]); HALF]);
        let rest = async move {
            may_end.wait_for(|may_end| *may_end).await.unwrap();
            half()
        };
        let body = half().chain(stream::once(rest).flatten());
        let frames = body.map(|data| Ok::<_, Infallible>(Frame::data(data)));
        async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            Ok::<_, Infallible>(Response::new(StreamBody::new(frames.boxed())))
        }
    }));
    let mut long = Vec::new();
    for _ in 0..JOBS {
        let accepted = service
            .clone()
            .oneshot(request("POST", "/long"))
            .await
            .unwrap();
        assert_eq!(accepted.status(), StatusCode::SEE_OTHER);
        let location = accepted.headers()[header::LOCATION].to_str().unwrap();
        long.push(location.split('?').next().unwrap().to_owned());
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    // Beyond the limit, one goes on.
    assert_eq!(setup.objects.calls(Step::Begin), 3);

    go_on.send(true).unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for job in long {
        assert_eq!(get(&jobs, &job).await, (StatusCode::OK, 2 * HALF * CHUNK));
    }
    assert_eq!(setup.objects.calls(Step::Complete), JOBS);
}
