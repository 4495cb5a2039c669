//! Real answers, all of whose fields the document describes.

use std::sync::Arc;

use super::{EVENTS, JOB, STATUS, assert_conforms, builder, json_of, merged, resolve};
use crate::support::{
    self, Answer, SECOND, ask, asking, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, memory, path_of, post, request, send, slow, stream, upload, with, wrap,
};
use http::{HeaderMap, Method, Request, StatusCode, Version};
use serde_json::Value;
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer, PendingStatus, Policy,
    store::{Principal, Retention},
};

/// Asserts that the document describes an answer: its status, each field with its value, and its
/// body.
#[track_caller]
fn assert_described(document: &Value, path: &str, method: &Method, answer: &Answer) {
    let responses = &document["paths"][path][method.as_str().to_lowercase()]["responses"];
    let of_handler = answer.header("job-status") == "done" && path != STATUS;
    let described = match of_handler {
        true => responses.get("default"),
        false => responses.get(answer.status.as_str()),
    };
    let described =
        described.unwrap_or_else(|| panic!("{method} {path} says nothing of {}", answer.status));
    let described = resolve(document, described);
    let fields = described["headers"].as_object().expect("fields");
    for (name, value) in &answer.headers {
        // `content` describes Content-Type, and HTTP defines the framing.
        if matches!(name.as_str(), "content-type" | "content-length") {
            continue;
        }
        let (_, field) = fields
            .iter()
            .find(|(field, _)| field.eq_ignore_ascii_case(name.as_str()))
            .unwrap_or_else(|| panic!("{method} {path} {} has no {name}", answer.status));
        let text = value.to_str().expect("text");
        let value = match field["schema"]["type"].as_str() {
            Some("integer") => text.parse::<u64>().expect("a number").into(),
            _ => Value::from(text),
        };
        assert_conforms(document, &field["schema"], &value);
    }
    let Some(content) = described.get("content") else {
        assert!(answer.body.is_empty(), "a body that is not described");
        return;
    };
    if method == Method::HEAD {
        panic!("an answer to HEAD has no content");
    }
    if of_handler {
        return;
    }
    let media_type = answer.header("content-type").split(';').next();
    let media_type = media_type.expect("never empty");
    let described = content
        .get(media_type)
        .unwrap_or_else(|| panic!("{content} has no {media_type}"));
    let body = match media_type.ends_with("json") {
        true => answer.json(),
        false => String::from_utf8_lossy(&answer.body).into(),
    };
    assert_conforms(document, &described["schema"], &body);
}

#[tokio::test(start_paused = true)]
async fn answers_of_the_list_of_own_jobs_are_described() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let user = |request: http_polling::RequestHead<'_>| {
        let user = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(user))
    };
    let layer = builder().principal(user).list_own_jobs(true);
    let layer = eager(layer.store(store.clone()));
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    for _ in 0..2 {
        let own = with(post("/report"), "x-user", "me");
        send(&service, own).await.pending();
    }
    for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
        for (uri, status) in [
            ("/work?limit=1", StatusCode::OK),
            ("/work?limit=0", StatusCode::BAD_REQUEST),
            ("/work", StatusCode::SERVICE_UNAVAILABLE),
        ] {
            if status == StatusCode::SERVICE_UNAVAILABLE {
                store.plan(Op::List, Fault::Unavailable, 1);
            }
            let own = with(request(method.clone(), uri), "x-user", "me");
            let answer = ask(&layer, own).await;
            assert_described(&document, "/work", &method, &answer);
            assert!(
                answer.status == status || method == Method::OPTIONS,
                "{uri}"
            );
        }
        let stranger = ask(&layer, request(method.clone(), "/work")).await;
        assert_described(&document, "/work", &method, &stranger);
    }
    let none = json_of(&AsyncJobLayer::new().openapi());
    assert!(none["paths"].get("/work").is_none());
}

/// Requests a job and its status in every way, and asserts that each answer is described.
async fn assert_all_described(layer: &AsyncJobLayer, document: &Value, location: &str) {
    let job = path_of(location);
    let status = format!("{job}/status");
    for (path, uri) in [(JOB, job), (STATUS, &status)] {
        for method in [Method::GET, Method::HEAD, Method::OPTIONS] {
            let answer = ask(layer, request(method.clone(), uri)).await;
            assert_described(document, path, &method, &answer);
        }
        let asked = with(get(uri), "prefer", "wait=0");
        assert_described(document, path, &Method::GET, &ask(layer, asked).await);
    }
}

#[tokio::test(start_paused = true)]
async fn answers_about_a_job_are_described() {
    for pending_status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let retention = Retention::new(60 * SECOND, 60 * SECOND);
        let layer = eager(
            builder()
                .pending_status(pending_status)
                .retention(retention),
        );
        let document = json_of(&merged(&layer));
        let accepted = send(
            &wrap(&layer, slow(10 * SECOND, "the result")),
            asking(post("/report")),
        )
        .await
        .pending();
        assert_described(&document, "/report", &Method::POST, &accepted);
        let location = accepted.location().to_owned();
        assert_all_described(&layer, &document, &location).await;
        sleep(11 * SECOND).await;
        assert_eq!(ask(&layer, get(&location)).await.body, "the result");
        assert_all_described(&layer, &document, &location).await;
        sleep(61 * SECOND).await;
        assert_eq!(ask(&layer, get(&location)).await.status, StatusCode::GONE);
        assert_all_described(&layer, &document, &location).await;
        sleep(61 * SECOND).await;
        assert_eq!(
            ask(&layer, get(&location)).await.status,
            StatusCode::NOT_FOUND
        );
        assert_all_described(&layer, &document, &location).await;
        let dropped = ask(&layer, request(Method::DELETE, &location)).await;
        assert_described(&document, JOB, &Method::DELETE, &dropped);
    }
}

#[tokio::test(start_paused = true)]
async fn announcements_of_every_policy_are_described() {
    let [usual, mut other] = [Policy::default(), Policy::default()];
    other.pending_status = PendingStatus::Accepted;
    let [usual, other] = [usual, other].map(Arc::new);
    let layer = builder().page(false).policy(move |request| {
        let asks = request.headers.contains_key("x-accepted");
        if asks { other.clone() } else { usual.clone() }
    });
    let layer = layer.build().expect("valid");
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(10 * SECOND, "done"));
    for (request, status) in [
        (post("/report"), StatusCode::SEE_OTHER),
        (
            with(post("/report"), "x-accepted", "1"),
            StatusCode::ACCEPTED,
        ),
    ] {
        let accepted = send(&service, request).await.pending();
        assert_eq!(accepted.status, status);
        assert_described(&document, "/report", &Method::POST, &accepted);
        assert_all_described(&layer, &document, accepted.location()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_client_that_listens_are_described() {
    let layer = eager(builder().events(true).hold_limits(0, 0));
    let document = json_of(&merged(&layer));
    let asked = async |request| {
        let method = Request::method(&request).clone();
        let answer = ask(&layer, request).await;
        assert_described(&document, EVENTS, &method, &answer);
        answer
    };
    let service = wrap(&layer, slow(10 * SECOND, "the result"));
    let accepted = send(&service, asking(post("/report"))).await.pending();
    assert_ne!(accepted.header("link"), "");
    assert_described(&document, "/report", &Method::POST, &accepted);
    assert_all_described(&layer, &document, accepted.location()).await;
    let events = format!("{}/events", path_of(accepted.location()));
    let refused = asked(get(&events)).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    let unknown = asked(get("/work/0/events")).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let mut old = get(&events);
    *old.version_mut() = Version::HTTP_10;
    asked(old).await;
    asked(request(Method::OPTIONS, &events)).await;
    sleep(11 * SECOND).await;
    let end = asked(get(&events)).await;
    assert_eq!(end.status, StatusCode::OK);
    let text = str::from_utf8(&end.body).expect("text");
    let id = text.lines().find_map(|line| line.strip_prefix("id: "));
    let mut again = get(&events);
    let id = id.expect("an id").parse().expect("a value");
    again.headers_mut().insert("last-event-id", id);
    assert_eq!(asked(again).await.status, StatusCode::NO_CONTENT);
}

#[tokio::test(start_paused = true)]
async fn answers_about_jobs_that_end_badly_are_described() {
    let layer = eager(builder().job_deadline(100 * SECOND));
    let document = json_of(&layer.openapi());
    let panics = handler(|_| async {
        sleep(SECOND).await;
        panic!("as it must")
    });
    for (handler, status) in [
        (panics, StatusCode::INTERNAL_SERVER_ERROR),
        (slow(600 * SECOND, "late"), StatusCode::GATEWAY_TIMEOUT),
    ] {
        let accepted = send(&wrap(&layer, handler), post("/report"))
            .await
            .pending();
        sleep(200 * SECOND).await;
        assert_eq!(ask(&layer, get(accepted.location())).await.status, status);
        assert_all_described(&layer, &document, accepted.location()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn answers_to_a_cancellation_are_described() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(builder().store(store.clone()));
    let document = json_of(&layer.openapi());
    let accepted = send(&wrap(&layer, slow(SECOND, "done")), post("/report"))
        .await
        .pending();
    let location = accepted.location();
    store.plan(Op::Cancel, Fault::Unavailable, 1);
    for status in [
        StatusCode::SERVICE_UNAVAILABLE,
        StatusCode::ACCEPTED,
        StatusCode::NO_CONTENT,
        StatusCode::NOT_FOUND,
    ] {
        let answer = ask(&layer, request(Method::DELETE, location)).await;
        assert_eq!(answer.status, status);
        assert_described(&document, JOB, &Method::DELETE, &answer);
        if status == StatusCode::ACCEPTED {
            assert_all_described(&layer, &document, location).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn answers_without_the_store_are_described() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(builder().store(store.clone()));
    let document = json_of(&layer.openapi());
    store.plan(Op::Read, Fault::Unavailable, 6);
    let path = format!("/work/{}", "0".repeat(32));
    assert_all_described(&layer, &document, &path).await;
    assert_eq!(store.calls(Op::Read), 6);
}

#[tokio::test(start_paused = true)]
async fn answers_about_damaged_records_are_described() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(builder().store(store.clone()));
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let keyed = || with(post("/report"), "idempotency-key", "k");
    let location = send(&service, keyed())
        .await
        .pending()
        .location()
        .to_owned();
    let reads = store.calls(Op::Read);
    store.plan(Op::Read, Fault::Corrupt, 8);
    assert_all_described(&layer, &document, &location).await;
    let deleted = ask(&layer, request(Method::DELETE, &location)).await;
    assert_described(&document, JOB, &Method::DELETE, &deleted);
    let repeat = send(&service, with(keyed(), "prefer", "wait=1")).await;
    assert_described(&document, "/report", &Method::POST, &repeat);
    assert_eq!(store.calls(Op::Read) - reads, 8);
}

#[tokio::test(start_paused = true)]
async fn refusals_of_a_submission_are_described() {
    let layer = eager(
        builder()
            .limits(1, 0)
            .request_spool(10)
            .refuse_large_requests(true)
            .request_read_timeout(SECOND),
    );
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let too_large = with(post("/report"), "content-length", "11");
    let too_large = send(&service, too_large).await;
    assert_eq!(too_large.status, StatusCode::PAYLOAD_TOO_LARGE);
    let (_sender, body) = stream();
    let stalled = {
        use tower::{Layer, ServiceExt};
        let handler = tower::service_fn(
            |request: http::Request<tower_async_job::JobBody<support::Stream>>| async move {
                let _kept = request;
                sleep(600 * SECOND).await;
                Ok::<_, std::convert::Infallible>(http::Response::new(support::Body::default()))
            },
        );
        Answer::of(
            layer
                .layer(handler)
                .oneshot(upload("/report", body))
                .await
                .expect("infallible"),
        )
        .await
    };
    assert_eq!(stalled.status, StatusCode::REQUEST_TIMEOUT);
    send(&service, post("/report")).await.pending();
    let full = send(&service, post("/report")).await;
    assert_eq!(full.status, StatusCode::SERVICE_UNAVAILABLE);
    for refused in [too_large, stalled, full] {
        assert_described(&document, "/report", &Method::POST, &refused);
    }
}

#[tokio::test(start_paused = true)]
async fn refusals_for_what_a_submission_says_are_described() {
    let layer = eager(builder());
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let keyed = |uri| with(post(uri), "idempotency-key", "\"one\"");
    let accepted = send(&service, keyed("/report")).await.pending();
    assert_described(&document, "/report", &Method::POST, &accepted);
    let malformed = with(post("/report"), "idempotency-key", "\"");
    let never = with(post("/report"), "cancel-after", "soon");
    for (submission, status) in [
        (keyed("/other"), StatusCode::UNPROCESSABLE_ENTITY),
        (malformed, StatusCode::BAD_REQUEST),
        (never, StatusCode::BAD_REQUEST),
    ] {
        let refused = send(&service, submission).await;
        assert_eq!(refused.status, status);
        assert_described(&document, "/report", &Method::POST, &refused);
    }
}

#[tokio::test(start_paused = true)]
async fn the_refusal_of_a_principal_that_has_its_share_is_described() {
    let layer = eager(
        builder()
            .principal(|_| Some(Principal::new("somebody")))
            .limits_per_principal(1, 0),
    );
    let document = json_of(&merged(&layer));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    send(&service, post("/report")).await.pending();
    let refused = send(&service, post("/report")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_described(&document, "/report", &Method::POST, &refused);
}

#[tokio::test(start_paused = true)]
async fn the_answer_to_a_poll_that_comes_too_early_is_described() {
    let layer = eager(builder().hold_limits(0, 0));
    let document = json_of(&layer.openapi());
    let accepted = send(&wrap(&layer, slow(60 * SECOND, "late")), post("/report"))
        .await
        .pending();
    let refused = ask(&layer, get(accepted.location())).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert_described(&document, JOB, &Method::GET, &refused);
}

#[tokio::test(start_paused = true)]
async fn what_a_browser_is_shown_is_described() {
    let browsing = |request| {
        let request = with(request, "accept", "text/html");
        with(request, "upgrade-insecure-requests", "1")
    };
    for pending_status in [PendingStatus::SeeOther, PendingStatus::Accepted] {
        let layer = eager(builder().pending_status(pending_status));
        let document = json_of(&merged(&layer));
        let service = wrap(&layer, slow(60 * SECOND, "late"));
        let accepted = send(&service, browsing(post("/report"))).await.pending();
        assert_eq!(accepted.status, StatusCode::SEE_OTHER);
        assert_described(&document, "/report", &Method::POST, &accepted);
        let job = path_of(accepted.location());
        for method in [Method::GET, Method::HEAD] {
            let page = ask(&layer, browsing(request(method.clone(), job))).await;
            assert_eq!(page.status, StatusCode::OK);
            assert_described(&document, JOB, &method, &page);
        }
    }
}

#[test]
#[should_panic(expected = "has no x-new")]
fn a_field_that_is_not_described_is_noticed() {
    let document = json_of(&AsyncJobLayer::new().openapi());
    let mut headers = HeaderMap::new();
    headers.insert("x-new", http::HeaderValue::from_static("1"));
    let answer = Answer {
        status: StatusCode::NOT_FOUND,
        headers,
        body: bytes::Bytes::new(),
        trailers: None,
    };
    assert_described(&document, JOB, &Method::GET, &answer);
}
