//! Downloads of results that are stored in chunks.

use axum::body::{Body, Bytes};
use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use tower::ServiceExt;

use crate::{
    node::{Node, request},
    nodes::Nodes,
    routes::routes,
    run::Ran,
};

const LENGTH: usize = 1_000_000;

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
