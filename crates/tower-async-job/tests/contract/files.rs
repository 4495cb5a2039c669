//! Results as files: validators, conditional requests and ranges (RFC 9110, sections 8.8, 13 and
//! 14).

use std::{convert::Infallible, sync::Arc};

use crate::support::{
    Answer, Body, Handler, SECOND, ask, call, eager, faulty::FaultyStore, get, grpc, handler,
    id_of, memory, path_of, post, request, send, trailed, with, wrap,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::BodyExt;
use tokio::time::sleep;
use tower::{Layer, ServiceExt, service_fn};
use tower_async_job::{
    AsyncJobLayer, Builder, ObservedJob,
    store::{Detail, JobStore},
};

pub(super) const CHUNK: usize = 1000;

/// A length whose last chunk is shorter than the others.
pub(super) const LENGTH: usize = 4 * CHUNK + 17;

pub(super) fn bytes(length: usize) -> Bytes {
    (0..length).map(|at| (at % 251) as u8).collect()
}

/// Returns a handler that answers with this number of bytes, and with these headers.
pub(super) fn answering(
    length: usize,
    headers: &'static [(&'static str, &'static str)],
) -> Handler {
    handler(move |_| async move {
        sleep(SECOND).await;
        let mut response = Response::new(Body::from(bytes(length)));
        for (name, value) in headers {
            let value = HeaderValue::from_static(value);
            response.headers_mut().append(*name, value);
        }
        response
    })
}

/// Returns the URL of a job that has ended with the handler's answer.
pub(super) async fn ended(layer: &AsyncJobLayer, handler: Handler) -> String {
    let accepted = send(&wrap(layer, handler), post("/report")).await.pending();
    sleep(2 * SECOND).await;
    path_of(accepted.location()).to_owned()
}

/// Returns one store that keeps results whole, and one that keeps them in chunks.
pub(super) fn stores() -> [Arc<FaultyStore>; 2] {
    [memory(), memory().chunk_size(CHUNK)].map(|store| Arc::new(FaultyStore::new(store.build())))
}

pub(super) fn over(store: &Arc<FaultyStore>) -> Builder {
    AsyncJobLayer::builder().store(store.clone())
}

pub(super) fn asking_for(job: &str, fields: &[(&'static str, &str)]) -> Request<Body> {
    let mut request = get(job);
    for (name, value) in fields {
        let value = HeaderValue::from_str(value).expect("valid");
        request
            .headers_mut()
            .append(HeaderName::from_static(name), value);
    }
    request
}

#[tokio::test(start_paused = true)]
async fn result_has_validators_that_are_the_same_on_every_node() {
    for store in stores() {
        let layer = eager(over(&store));
        let job = ended(&layer, answering(LENGTH, &[])).await;
        let first = ask(&layer, get(&job)).await;
        assert_eq!(first.header("accept-ranges"), "bytes");
        assert_eq!(first.header("cache-control"), "no-store");
        let tag = first.header("etag");
        assert!(tag.starts_with('"') && tag.ends_with("-1\""), "{tag}");
        assert!(!tag.contains(&job[job.len() - 8..]), "the id is a secret");
        let record = store.read(&id_of(&job), Detail::Full).await;
        let end = record.expect("memory").expect("a job").ended.expect("done");
        let date = httpdate::fmt_http_date(end);
        assert_eq!(first.header("last-modified"), date);
        sleep(100 * SECOND).await;
        let mut others = vec![ask(&eager(over(&store)), get(&job)).await];
        for fields in [
            &[][..],
            &[("range", "bytes=0-9")],
            &[("if-none-match", "\"x\"")],
        ] {
            let mut head = asking_for(&job, fields);
            *head.method_mut() = Method::HEAD;
            let mut head = ask(&layer, head).await;
            assert_eq!(
                head.headers.remove("content-length").expect("known"),
                LENGTH.to_string()
            );
            assert!(head.body.is_empty());
            others.push(head);
        }
        for other in others {
            assert_eq!(
                (other.status, &other.headers),
                (StatusCode::OK, &first.headers)
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_submissions_have_no_validators_of_the_layer() {
    let layer = eager(AsyncJobLayer::builder());
    let service = wrap(&layer, answering(10, &[]));
    let keyed = || {
        with(
            with(post("/report"), "idempotency-key", "\"k\""),
            "range",
            "bytes=0-1",
        )
    };
    send(&service, keyed()).await.pending();
    sleep(2 * SECOND).await;
    let repeat = send(&service, with(keyed(), "if-none-match", "*")).await;
    assert_eq!((repeat.status, &repeat.body), (StatusCode::OK, &bytes(10)));
    for name in ["etag", "last-modified", "accept-ranges"] {
        assert_eq!(repeat.header(name), "", "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn conditions_are_those_of_the_result() {
    for store in stores() {
        let layer = eager(over(&store));
        let own = &[
            ("vary", "accept"),
            ("content-type", "text/csv"),
            ("x-own", "1"),
        ];
        let job = ended(&layer, answering(LENGTH, own)).await;
        let known = ask(&layer, get(&job)).await;
        let (tag, date) = (known.header("etag"), known.header("last-modified"));
        for method in [Method::GET, Method::HEAD] {
            for (fields, status) in [
                (&[("if-none-match", tag)][..], StatusCode::NOT_MODIFIED),
                (&[("if-modified-since", date)], StatusCode::NOT_MODIFIED),
                (
                    &[("if-none-match", tag), ("range", "bytes=0-1")],
                    StatusCode::NOT_MODIFIED,
                ),
                (&[("if-match", "\"x\"")], StatusCode::PRECONDITION_FAILED),
                (
                    &[("if-match", "\"x\""), ("range", "bytes=9999-")],
                    StatusCode::PRECONDITION_FAILED,
                ),
                (
                    &[("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")],
                    StatusCode::PRECONDITION_FAILED,
                ),
                (
                    &[("if-match", tag), ("if-none-match", "\"x\"")],
                    StatusCode::OK,
                ),
            ] {
                let mut request = asking_for(&job, fields);
                *request.method_mut() = method.clone();
                let answer = ask(&layer, request).await;
                assert_eq!(answer.status, status, "{method} {fields:?}");
                assert_eq!(answer.header("job-status"), "done");
                assert_eq!(answer.header("cache-control"), "no-store");
                if status == StatusCode::NOT_MODIFIED {
                    assert!(answer.body.is_empty());
                    let mut names: Vec<_> = answer.headers.keys().map(HeaderName::as_str).collect();
                    names.sort_unstable();
                    assert_eq!(names, ["cache-control", "etag", "job-status", "vary"]);
                }
            }
        }
        let both = [("if-match", tag), ("range", "bytes=1-2")];
        let part = ask(&layer, asking_for(&job, &both)).await;
        assert_eq!((part.status.as_u16(), part.body.len()), (206, 2));
    }
}

#[tokio::test(start_paused = true)]
async fn result_is_dropped_only_if_the_preconditions_hold() {
    for store in stores() {
        let layer = eager(over(&store));
        let job = ended(&layer, answering(LENGTH, &[])).await;
        let known = ask(&layer, get(&job)).await;
        let (tag, date) = (known.header("etag"), known.header("last-modified"));
        let drop_if = async |fields: &[(&'static str, &str)]| {
            let mut request = asking_for(&job, fields);
            *request.method_mut() = Method::DELETE;
            ask(&layer, request).await
        };
        for field in [
            ("if-match", "\"x\""),
            ("if-none-match", "*"),
            ("if-none-match", tag),
            ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ] {
            let refused = drop_if(&[field]).await;
            assert_eq!(refused.status, StatusCode::PRECONDITION_FAILED, "{field:?}");
            assert_eq!(refused.header("job-status"), "done");
            assert_eq!(ask(&layer, get(&job)).await.body, bytes(LENGTH));
        }
        // The others are defined for GET only.
        let fields = [
            ("if-match", tag),
            ("if-modified-since", date),
            ("range", "bytes=9999-"),
        ];
        assert_eq!(drop_if(&fields).await.status, StatusCode::NO_CONTENT);
        assert_eq!(ask(&layer, get(&job)).await.status, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(start_paused = true)]
async fn validators_and_ranges_of_the_handler_take_precedence() {
    let layer = eager(AsyncJobLayer::builder());
    let own: &[_] = &[
        ("etag", "\"v1\""),
        ("last-modified", "Thu, 26 Nov 2020 12:00:00 GMT"),
    ];
    let job = ended(&layer, answering(10, own)).await;
    let answer = ask(&layer, get(&job)).await;
    for (name, value) in own {
        assert_eq!(
            answer.headers.get_all(*name).iter().collect::<Vec<_>>(),
            [value]
        );
    }
    for validator in ["\"v1\"", "Thu, 26 Nov 2020 12:00:00 GMT"] {
        let fields = [("range", "bytes=0-1"), ("if-range", validator)];
        let part = ask(&layer, asking_for(&job, &fields)).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{validator}");
    }
    let known = asking_for(&job, &[("if-none-match", "\"v1\"")]);
    assert_eq!(ask(&layer, known).await.status, StatusCode::NOT_MODIFIED);

    let weak = ended(&layer, answering(10, &[("etag", "W/\"v1\"")])).await;
    let fields = [("range", "bytes=0-1"), ("if-range", "W/\"v1\"")];
    assert_eq!(
        ask(&layer, asking_for(&weak, &fields)).await.status,
        StatusCode::OK
    );

    for (units, status) in [("none", 200), ("lines", 200), ("lines, Bytes", 206)] {
        let own: &'static [_] = vec![("accept-ranges", units)].leak();
        let job = ended(&layer, answering(10, own)).await;
        for range in ["bytes=0-1", "bytes=10-"] {
            let answer = ask(&layer, asking_for(&job, &[("range", range)])).await;
            let expected = if status == 206 && range == "bytes=10-" {
                416
            } else {
                status
            };
            assert_eq!(answer.status.as_u16(), expected, "{units}, {range}");
        }
        assert_eq!(ask(&layer, get(&job)).await.header("accept-ranges"), units);
    }
}

/// Asserts that a job is answered alike under all conditions, without validators of the layer.
async fn assert_unchanged(layer: &AsyncJobLayer, job: &str, body: &Bytes) {
    let whole = ask(layer, get(job)).await;
    assert_eq!(whole.body, body);
    for name in ["etag", "last-modified", "accept-ranges"] {
        assert_eq!(whole.header(name), "", "{name}");
    }
    for field in [
        ("range", "bytes=0-0"),
        ("range", "bytes=999-"),
        ("if-match", "\"x\""),
        ("if-none-match", "*"),
    ] {
        let answer = ask(layer, asking_for(job, &[field])).await;
        assert_eq!(answer.status, whole.status, "{field:?}");
        assert_eq!(
            (&answer.body, &answer.headers),
            (body, &whole.headers),
            "{field:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn results_that_are_no_files_are_replayed_as_they_are() {
    let layer = eager(AsyncJobLayer::builder());
    for (status, field) in [
        (206, ("content-range", "bytes 0-3/9")),
        (200, ("content-range", "bytes 0-3/9")),
        (201, ("x-own", "1")),
        (304, ("x-own", "1")),
        (404, ("x-own", "1")),
        (416, ("content-range", "bytes */9")),
    ] {
        let body = if status == 304 {
            Bytes::new()
        } else {
            bytes(4)
        };
        let given = body.clone();
        let inner = handler(move |_| {
            let mut response = Response::new(Body::from(given.clone()));
            *response.status_mut() = StatusCode::from_u16(status).expect("valid");
            response
                .headers_mut()
                .insert(field.0, HeaderValue::from_static(field.1));
            async move {
                sleep(SECOND).await;
                response
            }
        });
        let job = ended(&layer, inner).await;
        assert_unchanged(&layer, &job, &body).await;
    }
}

#[tokio::test(start_paused = true)]
async fn results_with_trailers_and_of_grpc_are_replayed_as_they_are() {
    let layer = eager(AsyncJobLayer::builder());
    let service = layer.layer(service_fn(|_| async {
        sleep(SECOND).await;
        let mut trailers = HeaderMap::new();
        trailers.insert("x-sum", HeaderValue::from_static("7"));
        Ok::<_, Infallible>(Response::new(trailed("data", trailers)))
    }));
    let accepted = Answer::of(call(&service, post("/report")).await).await;
    sleep(2 * SECOND).await;
    let job = path_of(accepted.location());
    assert_unchanged(&layer, job, &Bytes::from("data")).await;

    let service = wrap(
        &layer,
        answering(4, &[("content-type", "application/grpc")]),
    );
    let accepted = send(&service, grpc("/report")).await.pending();
    sleep(2 * SECOND).await;
    assert_unchanged(&layer, path_of(accepted.location()), &bytes(4)).await;
}

#[tokio::test(start_paused = true)]
async fn s52_poll_that_was_held_is_answered_in_full() {
    for field in [
        ("range", "bytes=0-1"),
        ("range", "bytes=10-"),
        ("if-none-match", "*"),
        ("if-match", "\"x\""),
    ] {
        let layer = eager(AsyncJobLayer::builder());
        let service = wrap(&layer, answering(10, &[]));
        let accepted = send(&service, post("/report")).await.pending();
        let held = with(
            asking_for(accepted.location(), &[field]),
            "prefer",
            "wait=60",
        );
        let answer = ask(&layer, held).await;
        assert_eq!(answer.header("job-status"), "done");
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (200, 10),
            "{field:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn s52_preconditions_of_a_submission_do_not_reach_the_result_by_a_redirect() {
    let layer = eager(AsyncJobLayer::builder().estimator(|_: &ObservedJob<'_>| 60 * SECOND));
    let accepted = send(&wrap(&layer, answering(10, &[])), post("/report"))
        .await
        .pending();
    let followed = accepted.location().to_owned();
    sleep(2 * SECOND).await;
    // The client follows at once, with the headers of its submission, though it is due in a minute.
    for field in [("if-match", "\"v7\""), ("if-none-match", "*")] {
        let answer = ask(&layer, asking_for(&followed, &[field])).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body.len()),
            (200, 10),
            "{field:?}"
        );
    }
    let continued = ask(&layer, asking_for(&followed, &[("range", "bytes=4-")])).await;
    assert_eq!(continued.status, StatusCode::PARTIAL_CONTENT);
    sleep(60 * SECOND).await;
    let due = ask(&layer, asking_for(&followed, &[("if-none-match", "*")])).await;
    assert_eq!(due.status, StatusCode::NOT_MODIFIED);
}

#[tokio::test(start_paused = true)]
async fn only_a_range_to_the_end_of_unknown_length_delivers_a_result() {
    for store in stores() {
        let layer = eager(over(&store).retention_after_delivery(SECOND));
        let job = ended(&layer, answering(LENGTH, &[])).await;
        let tag = ask(&layer, request(Method::HEAD, &job))
            .await
            .header("etag")
            .to_owned();
        let state = async || {
            sleep(5 * SECOND).await;
            let head = ask(&layer, request(Method::HEAD, &job)).await;
            head.header("job-status").to_owned()
        };
        for field in [
            ("range", "bytes=0-9"),
            ("range", "bytes=0-9999"),
            ("range", "bytes=-1"),
            ("range", "bytes=9999-"),
            ("if-none-match", &*tag),
            ("if-match", "\"x\""),
        ] {
            ask(&layer, asking_for(&job, &[field])).await;
            assert_eq!(state().await, "done", "{field:?}");
        }
        // It is cut off, and then read to its end.
        let rest = || {
            layer
                .resource()
                .oneshot(asking_for(&job, &[("range", "bytes=0-")]))
        };
        drop(rest().await.expect("infallible"));
        assert_eq!(state().await, "done");
        let rest = rest()
            .await
            .expect("infallible")
            .into_body()
            .collect()
            .await;
        assert_eq!(rest.expect("whole").to_bytes(), bytes(LENGTH));
        assert_eq!(state().await, "expired");
    }
}

#[tokio::test(start_paused = true)]
async fn rest_of_a_result_delivers_it_only_after_its_beginning() {
    // The length of frames.
    for (store, frame) in stores().into_iter().zip([64 << 10, CHUNK]) {
        let length = 4 * frame;
        let layer = eager(over(&store).retention_after_delivery(SECOND));
        let job = ended(&layer, answering(length, &[])).await;
        // Reads some frames from a position on, or all.
        let read = async |first: usize, frames: usize| {
            let range = format!("bytes={first}-");
            let asked = asking_for(&job, &[("range", &range)]);
            let response = layer.resource().oneshot(asked).await.expect("infallible");
            assert_eq!(response.status(), StatusCode::PARTIAL_CONTENT);
            let mut body = response.into_body();
            for _ in 0..frames {
                body.frame().await.expect("more").expect("readable");
            }
            drop(body);
            sleep(5 * SECOND).await;
            let head = ask(&layer, request(Method::HEAD, &job)).await;
            head.header("job-status").to_owned()
        };
        assert_eq!(read(3 * frame, 1).await, "done", "the end alone");
        assert_eq!(read(0, 1).await, "done");
        assert_eq!(read(frame + 1, 3).await, "done", "there is a gap");
        assert_eq!(read(frame, 2).await, "done", "it breaks off again");
        assert_eq!(read(3 * frame - 1, 2).await, "expired");
    }
}
