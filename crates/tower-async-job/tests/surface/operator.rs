//! The list of jobs for operators: what it shows, what it hides, and cancelling by handle.

use std::{collections::HashSet, sync::Arc, time::SystemTime};

use crate::support::{
    self, Answer, Body, SECOND, ask, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, id_of, memory, path_of, post, request, send, settle, slow, watched, wrap,
};
use axum::{Router, extract::Request as AxumRequest, middleware::Next, response::IntoResponse};
use http::{Method, Request, StatusCode};
use http_polling::{JobState, Progress};
use serde_json::Value;
use tokio::time::sleep;
use tower::ServiceExt;
use tower_async_job::{
    AsyncJobLayer, JobContext, OperatorResource,
    store::{
        Clock, Created, JobId, JobStore, MemoryStore, NewJob, Outcome, Principal, Report,
        StoredResponse,
    },
};

async fn operate(resource: &OperatorResource, request: Request<Body>) -> Answer {
    Answer::of(resource.clone().oneshot(request).await.expect("infallible")).await
}

async fn list(layer: &AsyncJobLayer, query: &str) -> Answer {
    operate(&layer.operator_resource(), get(query)).await
}

async fn submit(layer: &AsyncJobLayer, handler: support::Handler, route: &str) -> String {
    let accepted = send(&wrap(layer, handler), post(route)).await.pending();
    accepted.location().to_owned()
}

fn jobs(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    answer.json()["jobs"]
        .as_array()
        .expect("a list of jobs")
        .clone()
}

fn handles(answer: &Answer) -> Vec<String> {
    let handle = |job: &Value| job["handle"].as_str().expect("a handle").to_owned();
    jobs(answer).iter().map(handle).collect()
}

/// The handle of the only job.
async fn handle(layer: &AsyncJobLayer) -> String {
    let listed = handles(&list(layer, "/").await);
    assert_eq!(listed.len(), 1);
    listed[0].clone()
}

#[track_caller]
fn assert_problem(answer: &Answer, status: StatusCode) {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(answer.header("content-type"), "application/problem+json");
    assert_eq!(answer.header("cache-control"), "no-store");
    assert_eq!(answer.header("job-status"), "", "this is no job's answer");
    assert_eq!(answer.json()["status"], status.as_u16());
}

/// Tokio's clock for the time of day too, since the list is in the order of it.
struct PausedClock(tokio::time::Instant);

impl Clock for PausedClock {
    fn now(&self) -> std::time::Instant {
        tokio::time::Instant::now().into_std()
    }

    fn system_time(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + self.0.elapsed()
    }
}

fn paused() -> MemoryStore {
    let clock = PausedClock(tokio::time::Instant::now());
    MemoryStore::builder().clock(clock).build()
}

/// A layer over a store with so many jobs, each of a route of its own, a second apart.
async fn crowd(count: usize) -> AsyncJobLayer {
    let store = paused();
    for number in 0..count {
        let mut job = NewJob::new(JobId::random());
        job.route = format!("/{number}").into();
        store.create(job).await.expect("memory");
        sleep(SECOND).await;
    }
    eager(AsyncJobLayer::builder().store(Arc::new(store)))
}

#[tokio::test(start_paused = true)]
async fn jobs_are_listed_by_handle_and_never_by_id() {
    let layer = eager(AsyncJobLayer::builder());
    let location = submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let id = id_of(&location).encode();
    sleep(5 * SECOND).await;
    let answer = list(&layer, "/").await;
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("cache-control"), "no-store");
    let job = &jobs(&answer)[0];
    assert_eq!(job["state"], "running");
    assert_eq!(job["protocol"], "http");
    assert_eq!(job["owned"], false);
    assert_eq!(job["attempt"], 1);
    assert_eq!(job["age_ms"], 5000);
    assert_eq!(job["running_for_ms"], 5000);
    assert!(
        job["route"]
            .as_str()
            .is_some_and(|route| route.contains("/report"))
    );
    assert!(
        job["created"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z'))
    );
    let handle = job["handle"].as_str().expect("a handle");
    let alone = list(&layer, &format!("/{handle}")).await;
    assert_eq!(alone.json()["handle"], handle);
    for answer in [&answer, &alone] {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains(id.as_str()), "{text}");
        assert!(!text.contains(&id.as_str()[..8]), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn results_metadata_and_principals_are_not_shown() {
    let store = memory().build();
    let mut job = NewJob::new(JobId::random());
    job.principal = Some(Principal::new("alice@secret.example"));
    let Created::New(lease) = store.create(job).await.expect("memory") else {
        panic!("a new job");
    };
    let secret = ("secret".to_owned(), Value::from(1));
    let report = Report::default()
        .with_progress(Progress::fraction(0.5).with_message("half way"))
        .with_partial(Value::from("secret so far"))
        .with_metadata([secret].into_iter().collect());
    store.report(&lease, report).await.expect("memory");
    let mut response = StoredResponse::recorder(StatusCode::OK, &http::HeaderMap::new(), 100);
    response.push(b"secret result").expect("room");
    let layer = eager(AsyncJobLayer::builder().store(Arc::new(store)));
    let handle = handle(&layer).await;
    for path in ["/".to_owned(), format!("/{handle}")] {
        let answer = list(&layer, &path).await;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert!(!text.contains("secret"), "{text}");
        assert!(text.contains(r#""owned":true"#), "{text}");
        assert!(text.contains("half way"), "{text}");
    }
    let layer = {
        let store = memory().build();
        let Created::New(lease) = store
            .create(NewJob::new(JobId::random()))
            .await
            .expect("memory")
        else {
            panic!("a new job");
        };
        let done = Outcome::Done(response.finish(None));
        store.finish(&lease, done).await.expect("memory");
        eager(AsyncJobLayer::builder().store(Arc::new(store)))
    };
    let done = list(&layer, &format!("/{}", self::handle(&layer).await)).await;
    assert_eq!(done.json()["state"], "done");
    assert!(!String::from_utf8_lossy(&done.body).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn one_job_tells_the_problem_that_it_ended_with() {
    let layer = eager(AsyncJobLayer::builder().job_deadline(SECOND));
    submit(&layer, slow(60 * SECOND, "never"), "/report").await;
    sleep(10 * SECOND).await;
    let handle = handle(&layer).await;
    let job = list(&layer, &format!("/{handle}")).await.json();
    assert_eq!(job["state"], "timed-out");
    assert_eq!(job["problem"]["status"], 504);
    assert!(jobs(&list(&layer, "/").await)[0].get("problem").is_none());
}

#[tokio::test(start_paused = true)]
async fn pages_lead_through_all_jobs_once_newest_first() {
    let layer = crowd(7).await;
    let everything = handles(&list(&layer, "/").await);
    let routes: Vec<Value> = jobs(&list(&layer, "/").await)
        .iter()
        .map(|job| job["route"].clone())
        .collect();
    assert_eq!(routes.first(), Some(&Value::from("/6")));
    let mut seen = Vec::new();
    let mut query = "/?limit=3".to_owned();
    let mut pages = 0;
    loop {
        let page = list(&layer, &query).await;
        assert!(jobs(&page).len() <= 3);
        seen.extend(handles(&page));
        pages += 1;
        match page.json().get("next").and_then(Value::as_str) {
            Some(next) => {
                assert_eq!(page.header("link"), format!("<{next}>; rel=\"next\""));
                assert!(next.starts_with('?'), "relative to the list's own URL");
                query = format!("/{next}");
            }
            None => {
                assert_eq!(page.header("link"), "");
                break;
            }
        }
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, everything);
    assert_eq!(seen.iter().collect::<HashSet<_>>().len(), 7);
}

#[tokio::test(start_paused = true)]
async fn the_next_link_keeps_the_filters() {
    let store = paused();
    for number in 0..6 {
        let mut job = NewJob::new(JobId::random());
        job.route = ["POST /a b&c=d", "other"][number % 2].into();
        store.create(job).await.expect("memory");
        sleep(SECOND).await;
    }
    let layer = eager(AsyncJobLayer::builder().store(Arc::new(store)));
    let mut query = "/?limit=2&state=running&route=POST+/a%20b%26c%3Dd".to_owned();
    let first = list(&layer, &query).await;
    assert_eq!(jobs(&first).len(), 2);
    query = format!("/{}", first.json()["next"].as_str().expect("another page"));
    let second = list(&layer, &query).await;
    assert_eq!(jobs(&second).len(), 1);
    for job in jobs(&first).iter().chain(&jobs(&second)) {
        assert_eq!(job["route"], "POST /a b&c=d");
    }
}

#[tokio::test(start_paused = true)]
async fn jobs_are_filtered_by_state_and_route() {
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(SECOND, "done"), "/short").await;
    submit(&layer, slow(600 * SECOND, "late"), "/long").await;
    sleep(2 * SECOND).await;
    let listed = jobs(&list(&layer, "/").await);
    assert_eq!(listed.len(), 2);
    for job in &listed {
        let state = job["state"].as_str().expect("a state");
        let found = jobs(&list(&layer, &format!("/?state={state}")).await);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0]["handle"], job["handle"]);
    }
    let route = listed[0]["route"].as_str().expect("a route");
    let encoded: String = form_urlencoded::byte_serialize(route.as_bytes()).collect();
    assert!(!jobs(&list(&layer, &format!("/?route={encoded}")).await).is_empty());
    assert!(jobs(&list(&layer, "/?state=lost").await).is_empty());
    assert!(jobs(&list(&layer, "/?route=nothing").await).is_empty());
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_are_told_and_the_store_is_not_asked() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    store.plan(Op::List, Fault::Panics, 100);
    for (query, word) in [
        ("?state=weird", "state"),
        ("?state=", "state"),
        ("?state=Running", "state"),
        ("?state=unknown", "state"),
        ("?limit=0", "limit"),
        ("?limit=1001", "limit"),
        ("?limit=-1", "limit"),
        ("?limit=99999999999999999999", "limit"),
        ("?limit=x", "limit"),
        ("?cursor=yesterday", "cursor"),
        ("?cursor=1-2", "cursor"),
        ("?stat=running", "parameters"),
        ("?state=running&state=done", "parameters"),
        ("?%00=%ff", "parameters"),
    ] {
        let answer = list(&layer, &format!("/{query}")).await;
        assert_problem(&answer, StatusCode::BAD_REQUEST);
        let detail = answer.json()["detail"]
            .as_str()
            .expect("a detail")
            .to_owned();
        assert!(detail.contains(word), "{query}: {detail}");
        let head = operate(
            &layer.operator_resource(),
            request(Method::HEAD, &format!("/{query}")),
        )
        .await;
        assert_eq!(head.status, StatusCode::BAD_REQUEST);
        assert!(head.body.is_empty());
    }
    assert_eq!(store.calls(Op::List), 0);
}

#[tokio::test(start_paused = true)]
async fn cancelling_by_handle_does_what_the_client_s_delete_does() {
    let layer = eager(AsyncJobLayer::builder());
    let noticed = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let seen = noticed.clone();
    let handler = handler(move |request| {
        let seen = seen.clone();
        async move {
            let job = JobContext::of(&request);
            job.cancelled().await;
            seen.store(true, std::sync::atomic::Ordering::SeqCst);
            http::Response::new(Body::from("too late"))
        }
    });
    let location = submit(&layer, handler, "/report").await;
    settle().await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    let path = format!("/{handle}");
    let cancelled = operate(&resource, request(Method::DELETE, &path)).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.header("cache-control"), "no-store");
    assert_eq!(cancelled.json()["handle"], *handle);
    assert_eq!(cancelled.json()["state"], "cancelled");
    // Seen by the client before anything else happens, and by the handler.
    let answer = ask(&layer, get(&location)).await;
    assert_eq!(answer.status, StatusCode::GONE);
    assert_eq!(answer.header("job-status"), "cancelled");
    settle().await;
    assert!(noticed.load(std::sync::atomic::Ordering::SeqCst));
    let again = operate(&resource, request(Method::DELETE, &path)).await;
    assert_problem(&again, StatusCode::CONFLICT);
    assert_eq!(again.json()["state"], "cancelled");
}

#[tokio::test(start_paused = true)]
async fn handler_that_does_not_notice_an_operator_is_dropped_after_the_grace() {
    let layer = eager(AsyncJobLayer::builder());
    let (handler, lifeline, ended) = watched(600 * SECOND, "late");
    submit(&layer, handler, "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert!(lifeline.is_alive());
    sleep(6 * SECOND).await;
    assert!(!lifeline.is_alive());
    assert_eq!(ended.load(std::sync::atomic::Ordering::SeqCst), 0);
}

#[tokio::test(start_paused = true)]
async fn operator_who_is_late_does_not_drop_the_result() {
    let layer = eager(AsyncJobLayer::builder());
    let location = submit(&layer, slow(SECOND, "the result"), "/report").await;
    let handle = handle(&layer).await;
    sleep(2 * SECOND).await;
    let resource = layer.operator_resource();
    let late = operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert_problem(&late, StatusCode::CONFLICT);
    assert_eq!(late.json()["state"], "done");
    assert_eq!(ask(&layer, get(&location)).await.body, "the result");
}

#[tokio::test(start_paused = true)]
async fn unknown_and_malformed_handles_are_answered_alike() {
    let layer = eager(AsyncJobLayer::builder());
    let location = submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let id = id_of(&location).encode();
    let resource = layer.operator_resource();
    for path in [
        "/0000000000000000",
        "/x",
        "/00000000000000FF",
        "//",
        "/0000000000000000/status",
        "/../secret",
        "/%00",
        &format!("/{id}"),
        path_of(&location),
    ] {
        for method in [Method::GET, Method::DELETE] {
            let answer = operate(&resource, request(method, path)).await;
            assert_problem(&answer, StatusCode::NOT_FOUND);
        }
        let head = operate(&resource, request(Method::HEAD, path)).await;
        assert_eq!(head.status, StatusCode::NOT_FOUND);
        assert!(head.body.is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn head_options_and_other_methods() {
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource();
    for (path, allowed) in [
        ("/".to_owned(), "GET, HEAD, OPTIONS"),
        (format!("/{handle}"), "GET, HEAD, DELETE, OPTIONS"),
    ] {
        let full = operate(&resource, get(&path)).await;
        let head = operate(&resource, request(Method::HEAD, &path)).await;
        assert_eq!(head.status, StatusCode::OK);
        assert!(head.body.is_empty());
        assert_eq!(head.header("content-length"), full.body.len().to_string());
        let options = operate(&resource, request(Method::OPTIONS, &path)).await;
        assert_eq!(options.status, StatusCode::NO_CONTENT);
        assert_eq!(options.header("allow"), allowed);
        let mut others = vec![Method::POST, Method::PUT, Method::PATCH];
        if path == "/" {
            others.push(Method::DELETE);
        }
        for method in others {
            let answer = operate(&resource, request(method, &path)).await;
            assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED);
            assert_eq!(answer.header("allow"), allowed);
        }
    }
    assert_eq!(jobs(&list(&layer, "/").await).len(), 1, "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn s17_store_out_of_reach_is_told_with_when_to_come_again() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = format!("/{}", handle(&layer).await);
    let resource = layer.operator_resource();
    for (op, method, path) in [
        (Op::List, Method::GET, "/"),
        (Op::List, Method::HEAD, "/"),
        (Op::Find, Method::GET, &*handle),
        (Op::Read, Method::GET, &*handle),
        (Op::Find, Method::DELETE, &*handle),
        (Op::Cancel, Method::DELETE, &*handle),
    ] {
        store.plan(op, Fault::Unavailable, 1);
        let answer = operate(&resource, request(method.clone(), path)).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE, "{op:?}");
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
    assert_eq!(store.jobs_in(JobState::Running).await, 1);
}

#[tokio::test(start_paused = true)]
async fn cancellation_by_handle_is_answered_although_the_record_cannot_be_read_after_it() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    store.plan(Op::Read, Fault::Unavailable, 1);
    let resource = layer.operator_resource();
    let cancelled = operate(&resource, request(Method::DELETE, &format!("/{handle}"))).await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
    assert_eq!(cancelled.json()["state"], "cancelled");
    assert_eq!(cancelled.json()["handle"], *handle);
}

#[tokio::test(start_paused = true)]
async fn stands_in_plain_tower_under_its_own_path() {
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let handle = handle(&layer).await;
    let resource = layer.operator_resource().base("/admin/jobs/");
    for path in ["/admin/jobs", "/admin/jobs/", "/admin/jobs?limit=1"] {
        assert_eq!(
            jobs(&operate(&resource, get(path)).await).len(),
            1,
            "{path}"
        );
    }
    let job = operate(&resource, get(&format!("/admin/jobs/{handle}"))).await;
    assert_eq!(job.json()["handle"], *handle);
    for path in ["/admin/jobsx", "/admin", "/other"] {
        assert_problem(&operate(&resource, get(path)).await, StatusCode::NOT_FOUND);
    }
}

#[tokio::test(start_paused = true)]
async fn nests_in_axum_behind_a_guard_and_is_mounted_nowhere_by_default() {
    async fn guard(request: AxumRequest, next: Next) -> axum::response::Response {
        if request.headers().contains_key("x-operator") {
            next.run(request).await
        } else {
            StatusCode::FORBIDDEN.into_response()
        }
    }
    let layer = eager(AsyncJobLayer::builder());
    submit(&layer, slow(60 * SECOND, "late"), "/report").await;
    let operators = Router::new()
        .nest_service("/admin/jobs", layer.operator_resource())
        .layer(axum::middleware::from_fn(guard));
    let app: Router = Router::new()
        .route("/report", axum::routing::post(|| async { "done" }))
        .layer(layer.clone())
        .merge(operators);
    let asked = async |path: &str, operator: bool| {
        let mut request = get(path).map(axum::body::Body::new);
        if operator {
            request
                .headers_mut()
                .insert("x-operator", http::HeaderValue::from_static("yes"));
        }
        Answer::of(app.clone().oneshot(request).await.expect("infallible")).await
    };
    for path in ["/admin/jobs", "/admin/jobs/", "/admin/jobs?state=running"] {
        assert_eq!(asked(path, false).await.status, StatusCode::FORBIDDEN);
        assert_eq!(jobs(&asked(path, true).await).len(), 1, "{path}");
    }
    let handle = handle(&layer).await;
    let job = asked(&format!("/admin/jobs/{handle}"), true).await;
    assert_eq!(job.json()["handle"], *handle);
    for path in ["/work", "/work/", "/work/admin", "/jobs", "/operators"] {
        let answer = asked(path, true).await;
        assert_eq!(answer.status, StatusCode::NOT_FOUND, "{path}");
    }
}
