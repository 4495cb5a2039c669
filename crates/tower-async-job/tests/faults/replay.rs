//! Replayed responses of handlers.

use std::convert::Infallible;

use crate::{
    builder, submit,
    support::{
        Answer, Body, SECOND, ask, call, eager, get, handler, post, send, trailed, with, wrap,
    },
};
use http::{HeaderMap, HeaderValue, Request, Response, Version};
use tokio::time::sleep;
use tower::{Layer, service_fn};
use tower_async_job::{AsyncJobLayer, JobBody};

/// Returns the replay of a deferred handler's response.
async fn replayed(response: impl Fn() -> Response<Body> + Clone + Send + Sync + 'static) -> Answer {
    let layer = eager(builder());
    let handler = handler(move |_| {
        let response = response.clone();
        async move {
            sleep(SECOND).await;
            response()
        }
    });
    let location = submit(&layer, handler).await;
    sleep(2 * SECOND).await;
    ask(&layer, get(&location)).await
}

#[tokio::test(start_paused = true)]
async fn s53_headers_of_one_connection_or_one_moment_are_not_replayed() {
    let answer = replayed(|| {
        let mut response = Response::new(Body::from("12345"));
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("connection", "X-Second"),
            ("x-hop", "1"),
            ("x-second", "2"),
            ("keep-alive", "timeout=5"),
            ("proxy-connection", "close"),
            ("te", "trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-length", "5"),
            ("date", "Thu, 01 Jan 1970 00:00:00 GMT"),
            ("age", "17"),
            ("job-status", "running"),
            ("etag", "\"e\""),
            ("x-end-to-end", "3"),
        ] {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(name, value);
        }
        response
    })
    .await;
    let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept-ranges",
            "cache-control",
            "etag",
            "job-status",
            "last-modified",
            "x-end-to-end"
        ]
    );
    assert_eq!(answer.header("job-status"), "done");
    assert_eq!(answer.body, "12345");
}

#[tokio::test(start_paused = true)]
async fn s54_trailers_go_only_where_they_can_be_carried() {
    let layer = eager(builder());
    let inner = service_fn(|_: Request<JobBody<Body>>| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        let mut response = Response::new(trailed("data", trailers));
        response
            .headers_mut()
            .insert("trailer", HeaderValue::from_static("x-sum"));
        Ok::<_, Infallible>(response)
    });
    let accepted = Answer::of(call(&layer.layer(inner), post("/report")).await)
        .await
        .pending();
    sleep(2 * SECOND).await;
    let plain = ask(&layer, get(accepted.location())).await;
    assert_eq!((plain.trailers, plain.headers.get("trailer")), (None, None));
    assert_eq!(plain.body, "data");
    let unwilling = ask(&layer, with(get(accepted.location()), "te", "gzip")).await;
    assert!(unwilling.trailers.is_none());
    let asked = ask(
        &layer,
        with(get(accepted.location()), "te", "gzip, Trailers"),
    )
    .await;
    assert_eq!(asked.header("trailer"), "x-sum");
    assert_eq!(asked.trailers.expect("trailers")["x-sum"], "7");
    let mut second = get(accepted.location());
    *second.version_mut() = Version::HTTP_2;
    let second = ask(&layer, second).await;
    assert_eq!(second.trailers.expect("trailers")["x-sum"], "7");
}

#[tokio::test(start_paused = true)]
async fn s59_handler_s_own_answer_is_replayed_as_it_is() {
    for status in [
        200, 201, 202, 204, 301, 303, 304, 307, 404, 410, 429, 500, 503, 504,
    ] {
        let answer = replayed(move || {
            Response::builder()
                .status(status)
                .header("retry-after", "120")
                .header("location", "https://elsewhere.example/next?a=b#c")
                .header("content-location", "/v")
                .header("job-status", "running")
                .body(Body::default())
                .expect("valid")
        })
        .await;
        assert_eq!(answer.status, status);
        assert_eq!(answer.header("job-status"), "done");
        assert_eq!(answer.header("retry-after"), "120");
        assert_eq!(answer.location(), "https://elsewhere.example/next?a=b#c");
        assert_eq!(answer.header("content-location"), "/v");
    }
}

#[tokio::test(start_paused = true)]
async fn s59_relative_references_are_resolved_against_the_original_target() {
    let layer = eager(builder());
    for (reference, resolved) in [
        ("next", "/api/v1/next"),
        ("../other?x=1#top", "/api/other?x=1#top"),
        ("?page=2", "/api/v1/report?page=2"),
        ("//cdn.example/x", "//cdn.example/x"),
        ("urn:isbn:1", "urn:isbn:1"),
        ("/absolute/./path", "/absolute/./path"),
    ] {
        let handler = handler(move |_| async move {
            sleep(SECOND).await;
            Response::builder()
                .status(303)
                .header("location", reference)
                .body(Body::default())
                .expect("valid")
        });
        let accepted = send(&wrap(&layer, handler), post("/api/v1/report?q=1"))
            .await
            .pending();
        sleep(2 * SECOND).await;
        assert_eq!(
            ask(&layer, get(accepted.location())).await.location(),
            resolved,
            "{reference}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s60_cacheable_result_is_replayed_with_no_store() {
    let answer = replayed(|| {
        Response::builder()
            .header("cache-control", "public, max-age=3600")
            .header("cache-control", "immutable")
            .header("expires", "Fri, 01 Jan 2100 00:00:00 GMT")
            .header("age", "1")
            // Targeted cache fields take precedence over Cache-Control (RFC 9213).
            .header("cdn-cache-control", "max-age=3600")
            .header("example-cdn-cache-control", "max-age=3600")
            .header("surrogate-control", "max-age=3600")
            .header("x-accel-expires", "3600")
            .body(Body::from("mine"))
            .expect("valid")
    })
    .await;
    let mut names: Vec<&str> = answer.headers.keys().map(|name| name.as_str()).collect();
    names.sort_unstable();
    let expected = [
        "accept-ranges",
        "cache-control",
        "etag",
        "job-status",
        "last-modified",
    ];
    assert_eq!(names, expected);
    assert_eq!(answer.headers.get_all("cache-control").iter().count(), 1);
    assert_eq!(answer.header("cache-control"), "no-store");
}

#[tokio::test(start_paused = true)]
async fn s60_inline_result_keeps_its_own_caching() {
    let handler = handler(|_| async {
        Response::builder()
            .header("cache-control", "public")
            .body(Body::default())
            .expect("valid")
    });
    let answer = send(&wrap(&AsyncJobLayer::new(), handler), get("/report")).await;
    assert_eq!(answer.header("cache-control"), "public");
    assert_eq!(answer.header("vary"), "");
}
