//! The requests to the server, and the questions to the policy.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{HeaderValue, Request, header};
use tower::{Layer, ServiceExt};
use tower_poll::{Hop, PollLayer, PollPolicyExt, PreferAsync, policy::policy_fn};

use crate::common::{Script, TestBody, answer, exact, exact_layer, post, see_other, send};

const URL: &str = "https://example.com/report";

fn ok() -> Script {
    Script::new(|_, _| answer(200, &[]))
}

fn prefer(script: &Script) -> Vec<String> {
    script.seen()[0]
        .headers
        .get_all("prefer")
        .iter()
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[tokio::test(start_paused = true)]
async fn respond_async_is_not_asked_for_by_default() {
    let script = ok();
    send(exact_layer(), &script, post(URL)).await.unwrap();
    assert!(prefer(&script).is_empty());
}

#[tokio::test(start_paused = true)]
async fn respond_async_is_asked_for_where_the_predicate_says_so() {
    let layer = exact_layer().prefer_async(|request| request.uri.path() == "/report");
    for (uri, expected) in [(URL, 1), ("https://example.com/other", 0)] {
        let script = ok();
        send(layer.clone(), &script, post(uri)).await.unwrap();
        assert_eq!(prefer(&script).len(), expected, "{uri}");
    }
}

#[tokio::test(start_paused = true)]
async fn respond_async_is_asked_for_by_extension_beside_other_preferences() {
    let script = ok();
    let mut request = post(URL);
    request.extensions_mut().insert(PreferAsync);
    request
        .headers_mut()
        .insert("prefer", HeaderValue::from_static("wait=5"));
    send(exact_layer(), &script, request).await.unwrap();
    assert_eq!(prefer(&script), ["wait=5", "respond-async"]);
}

#[tokio::test(start_paused = true)]
async fn respond_async_is_not_asked_for_twice() {
    let script = ok();
    let mut request = post(URL);
    request
        .headers_mut()
        .insert("prefer", HeaderValue::from_static("respond-async, wait=5"));
    send(exact_layer().prefer_async(|_| true), &script, request)
        .await
        .unwrap();
    assert_eq!(prefer(&script), ["respond-async, wait=5"]);
}

#[tokio::test(start_paused = true)]
async fn policy_sees_every_hop() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&seen);
    let policy = policy_fn(move |hop: &Hop<'_>| {
        log.lock().unwrap().push((
            hop.poll(),
            hop.from().path().to_owned(),
            hop.to().path().to_owned(),
            hop.status().as_u16(),
            hop.headers().contains_key("x-any"),
            hop.elapsed().as_secs(),
            hop.remaining().as_secs(),
        ));
        Ok(hop.retry_after().unwrap())
    });
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => answer(202, &[("retry-after", "2"), ("x-any", "thing")]),
        _ => answer(200, &[]),
    });
    let layer = PollLayer::with_policy(policy).deadline(Duration::from_secs(60));
    send(layer, &script, post(URL)).await.unwrap();
    let (report, work) = ("/report".to_owned(), "/work/1".to_owned());
    let expected = [
        (1, report, work.clone(), 303, false, 0, 60),
        (2, work.clone(), work, 202, true, 1, 59),
    ];
    assert_eq!(*seen.lock().unwrap(), expected);
}

#[derive(Clone)]
struct Marker(u32);

#[tokio::test(start_paused = true)]
async fn policy_may_add_headers_and_extensions_to_polls() {
    let policy = exact().prepare(|parts, hop| {
        assert_eq!(parts.uri.path(), hop.to().path());
        parts
            .headers
            .insert("x-poll", HeaderValue::from(hop.poll()));
        parts.extensions.insert(Marker(hop.poll()));
    });
    let script = Script::new(|number, request: &Request<TestBody>| {
        let marker = request.extensions().get::<Marker>().map(|marker| marker.0);
        match number {
            0 => {
                assert_eq!(marker, None);
                see_other("/work/1")
            }
            1 => {
                assert_eq!(marker, Some(1));
                see_other("/work/1")
            }
            _ => {
                assert_eq!(marker, Some(2));
                answer(200, &[])
            }
        }
    });
    let layer = PollLayer::with_policy(policy);
    send(layer, &script, post(URL)).await.unwrap();
    let seen = script.seen();
    assert!(!seen[0].headers.contains_key("x-poll"));
    assert_eq!(seen[2].headers["x-poll"], "2");
}

#[tokio::test(start_paused = true)]
async fn each_call_starts_from_the_layer_own_policy() {
    let script = Script::new(|_, _| answer(202, &[("location", "/work/1")]));
    let layer = exact_layer().max_polls(2);
    for call in 0..3 {
        send(layer.clone(), &script, post(URL)).await.unwrap_err();
        let seen = script.seen();
        let first = seen[call * 3 + 1].at - seen[call * 3].at;
        assert_eq!(first, Duration::from_secs(1));
    }
}

#[tokio::test(start_paused = true)]
async fn body_headers_cannot_be_kept() {
    let layer = exact_layer()
        .keep_header(header::CONTENT_LENGTH)
        .keep_header(header::CONTENT_TYPE)
        .keep_header(header::TRANSFER_ENCODING);
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let mut request = post(URL);
    for name in [header::CONTENT_LENGTH, header::CONTENT_TYPE] {
        request
            .headers_mut()
            .insert(name, HeaderValue::from_static("8"));
    }
    send(layer, &script, request).await.unwrap();
    assert!(script.seen()[1].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn layers_services_and_futures_can_be_sent() {
    fn assert_send<T: Send + 'static>(value: T) -> T {
        value
    }
    let layer = assert_send(PollLayer::new());
    let service = assert_send(layer.layer(ok()));
    drop(assert_send(service.oneshot(Request::default())));
}
