//! Downloads of results that are stored in chunks.

use std::time::Duration;

use axum::body::{Body, Bytes};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;
use tower_async_job::{Builder, store::Retention};
use tower_async_job_core::CHUNKS_LINGER;
use tower_async_job_testkit::NotRun;

use crate::{
    node::{Node, request},
    nodes::{Nodes, Settings},
    routes::routes,
    run::Ran,
};

const LENGTH: usize = 1_000_000;

/// The size of the chunks of a download that is to be read slowly.
const CHUNK: usize = 50_000;

/// The retention of results.
const KEPT: Duration = Duration::from_secs(60);

fn result() -> Bytes {
    (0..LENGTH).map(|at| (at % 251) as u8).collect()
}

pub(crate) async fn download_that_breaks_off_is_continued_after_a_restart(
    data: &impl Nodes,
) -> Ran {
    let first = Node::new(data, routes(async || result())).await?;
    let url = first.submit("/once").await;
    assert_eq!(first.ended(&url).await.status, StatusCode::OK);
    let answer = first.app.clone().oneshot(request(Method::GET, &url)).await;
    let mut answer = answer.unwrap();
    let tag = answer.headers()[header::ETAG].clone();
    let mut read = Vec::new();
    while read.len() < LENGTH / 3 {
        let frame = answer.body_mut().frame().await.unwrap().unwrap();
        read.extend(frame.into_data().unwrap());
    }
    drop((answer, first));

    let second = Node::new(data, routes(async || result())).await?;
    let rest = Request::get(&url)
        .header(header::RANGE, format!("bytes={}-", read.len()))
        .header(header::IF_RANGE, &tag);
    let answer = second.send(rest.body(Body::empty()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::PARTIAL_CONTENT);
    assert_eq!(answer.headers[header::ETAG], tag);
    let range = format!("bytes {}-{}/{LENGTH}", read.len(), LENGTH - 1);
    assert_eq!(answer.headers[header::CONTENT_RANGE], range);
    read.extend(answer.body);
    assert_eq!(read, result());
    Ok(())
}

/// The way in which a result goes away while it is read.
#[derive(Clone, Copy, Debug)]
enum Ends {
    Expires,
    IsRemoved,
}

/// A download that is under way.
struct Download {
    node: Node,
    url: String,
    body: Body,
    read: Vec<u8>,
}

impl Download {
    /// Begins to read a result in many chunks.
    async fn begin(data: &impl Nodes) -> Result<Self, NotRun> {
        let layer = |layer: Builder| layer.retention(Retention::new(KEPT, KEPT));
        let chunks = Settings {
            chunk_size: Some(CHUNK),
            ..Settings::default()
        };
        let node = Node::with(data, routes(async || result()), layer, chunks).await?;
        let url = node.submit("/once").await;
        assert_eq!(node.ended(&url).await.status, StatusCode::OK);
        let answer = node.app.clone().oneshot(request(Method::GET, &url)).await;
        let mut download = Self {
            body: answer.unwrap().into_body(),
            read: Vec::new(),
            node,
            url,
        };
        download.read_to(LENGTH / 3).await;
        Ok(download)
    }

    async fn read_to(&mut self, length: usize) {
        while self.read.len() < length {
            let frame = self.body.frame().await.expect("there is more");
            let frame = frame.unwrap_or_else(|error| panic!("{error}"));
            self.read.extend(frame.into_data().unwrap());
        }
    }

    /// Lets the result go away, and this time pass since then.
    async fn end(&self, data: &impl Nodes, how: Ends, later: Duration) -> Ran {
        let passed = match how {
            Ends::Expires => KEPT,
            Ends::IsRemoved => {
                let removed = self.node.send(request(Method::DELETE, &self.url)).await;
                assert_eq!(removed.status, StatusCode::NO_CONTENT);
                Duration::ZERO
            }
        };
        data.later(passed + later).await?;
        let answer = self.node.get(&self.url).await;
        assert_ne!(answer.state(), "done", "{how:?}");
        Ok(())
    }
}

pub(crate) async fn s50_a_download_is_completed_though_its_result_expires_or_is_removed(
    data: &impl Nodes,
) -> Ran {
    for how in [Ends::Expires, Ends::IsRemoved] {
        let data = data.another().await?;
        let mut download = Download::begin(&data).await?;
        download.end(&data, how, CHUNKS_LINGER / 2).await?;
        download.read_to(LENGTH).await;
        assert!(download.body.frame().await.is_none(), "{how:?}");
        assert_eq!(download.read, result(), "{how:?}");
    }
    Ok(())
}

pub(crate) async fn s50_a_download_that_comes_too_late_for_a_chunk_ends_with_an_error(
    data: &impl Nodes,
) -> Ran {
    let download = Download::begin(data).await?;
    let late = CHUNKS_LINGER + Duration::from_secs(10);
    download.end(data, Ends::IsRemoved, late).await?;
    assert_eq!(data.chunks().await?, []);
    let rest = download.body.collect().await;
    assert!(rest.is_err());
    Ok(())
}
