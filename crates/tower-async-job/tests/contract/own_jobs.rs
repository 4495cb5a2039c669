//! The list of a client's own jobs, at the base.

use std::{collections::HashSet, sync::Arc};

use crate::support::{
    Answer, Body, SECOND, ask, eager,
    faulty::{Fault, FaultyStore, Op},
    get, handler, id_of,
    lists::{assert_problem, paused},
    memory, path_of, post, request, send, slow, wrap,
};
use axum::Router;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use serde_json::{Value, json};
use tokio::time::sleep;
use tower::ServiceExt;
use tower_async_job::{
    AsyncJobLayer, Builder, JobContext,
    store::{JobId, JobStore, MemoryStore, NewJob, Principal},
};

fn owned() -> Builder {
    AsyncJobLayer::builder().principal(|request| {
        let user = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(user))
    })
}

fn listing() -> AsyncJobLayer {
    eager(owned().list_own_jobs(true))
}

fn of(user: &'static str, mut request: Request<Body>) -> Request<Body> {
    let user = HeaderValue::from_static(user);
    request.headers_mut().insert("x-user", user);
    request
}

fn jobs(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, StatusCode::OK, "{answer:?}");
    let list = answer.json();
    list["jobs"].as_array().expect("a list of jobs").clone()
}

fn ids(answer: &Answer) -> Vec<String> {
    let id = |job: &Value| job["id"].as_str().expect("an id").to_owned();
    jobs(answer).iter().map(id).collect()
}

async fn submit(layer: &AsyncJobLayer, user: &'static str) -> String {
    let service = wrap(layer, slow(60 * SECOND, "late"));
    let accepted = send(&service, of(user, post("/report"))).await.pending();
    accepted.location().to_owned()
}

#[tokio::test(start_paused = true)]
async fn own_jobs_are_listed_as_status_documents_with_their_urls() {
    let layer = eager(owned().list_own_jobs(true).public_base("/api/work"));
    let service = wrap(
        &layer,
        handler(|request| async move {
            let job = JobContext::of(&request);
            job.progress(0.5);
            job.partial("secret so far");
            job.metadata("label", "weekly");
            sleep(60 * SECOND).await;
            Response::new(Body::from("secret result"))
        }),
    );
    let accepted = send(&service, of("me", post("/report"))).await.pending();
    let job = path_of(accepted.location());
    sleep(SECOND).await;
    let status = format!("/work/{}/status", id_of(job).encode());
    let status = send(&service, of("me", get(&status)));
    let mut expected = status.await.json();
    assert_eq!(expected["progress"]["fraction"], 0.5);
    assert_eq!(expected["metadata"], json!({ "label": "weekly" }));
    expected["href"] = job.into();
    let members = expected.as_object_mut().expect("an object");
    assert_eq!(members.remove("partial"), Some("secret so far".into()));
    for path in ["/work", "/work/"] {
        let answer = send(&service, of("me", get(path))).await;
        assert_eq!(answer.header("content-type"), "application/json");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.header("job-status"), "", "this is no job's answer");
        assert_eq!(jobs(&answer), [expected.clone()]);
        assert_eq!(answer.json().get("next"), None);
    }
    sleep(60 * SECOND).await;
    let done = send(&service, of("me", get("/work"))).await;
    assert_eq!(jobs(&done)[0]["state"], "done");
    assert!(!String::from_utf8_lossy(&done.body).contains("secret"));
}

#[tokio::test(start_paused = true)]
async fn long_metadata_is_in_no_list() {
    let layer = listing();
    let service = wrap(
        &layer,
        handler(|request| async move {
            let job = JobContext::of(&request);
            job.metadata("log", "x".repeat(5000));
            std::future::pending().await
        }),
    );
    send(&service, of("me", post("/report"))).await.pending();
    sleep(SECOND).await;
    let answer = send(&service, of("me", get("/work"))).await;
    assert_eq!(jobs(&answer)[0].get("metadata"), None);
}

#[tokio::test(start_paused = true)]
async fn s47_each_principal_is_listed_its_own_jobs_only() {
    let layer = listing();
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    let mut own = HashSet::new();
    for user in ["me", "you", "me", "you", "you"] {
        let location = submit(&layer, user).await;
        if user == "me" {
            own.insert(id_of(&location).encode().as_str().to_owned());
        }
    }
    send(&service, post("/report")).await.pending();
    // Running, done, and expired.
    for _ in 0..3 {
        let listed = ids(&send(&service, of("me", get("/work"))).await);
        assert_eq!(HashSet::from_iter(listed), own);
        let others = ids(&send(&service, of("you", get("/work"))).await);
        assert_eq!(others.len(), 3);
        assert!(others.iter().all(|id| !own.contains(id)));
        assert!(ids(&send(&service, of("new", get("/work"))).await).is_empty());
        sleep(3000 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn request_without_a_principal_gets_no_list() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let builder = owned().list_own_jobs(true).principal_limit(8);
    let layer = eager(builder.store(store.clone()));
    let service = wrap(&layer, slow(60 * SECOND, "late"));
    // A job without a principal is listed to no client.
    send(&service, post("/report")).await.pending();
    let reads = store.calls(Op::List);
    for request in [get("/work"), of("too long a name", get("/work"))] {
        assert_problem(&send(&service, request).await, StatusCode::NOT_FOUND);
    }
    assert_eq!(store.calls(Op::List), reads);
}

#[tokio::test(start_paused = true)]
async fn own_jobs_are_not_listed_by_default() {
    let layer = eager(owned());
    let service = wrap(&layer, handler(async |_| Response::new("the app's".into())));
    let base = send(&service, of("me", get("/work"))).await;
    assert_eq!(base.body, "the app's");
    let below = send(&service, of("me", get("/work/"))).await;
    assert_eq!(below.status, StatusCode::NOT_FOUND);
    assert_eq!(below.header("job-status"), "unknown");
    let mounted = ask(&layer, of("me", get("/"))).await;
    assert_eq!(mounted.status, StatusCode::NOT_FOUND);
}

#[test]
fn a_list_without_principals_is_a_configuration_error() {
    let error = AsyncJobLayer::builder().list_own_jobs(true).build();
    let error = error.unwrap_err().to_string();
    assert!(error.contains("set a function with `principal`"), "{error}");
    assert!(owned().list_own_jobs(true).build().is_ok());
    assert!(
        AsyncJobLayer::builder()
            .list_own_jobs(false)
            .build()
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn head_options_and_other_methods_of_the_list() {
    let layer = listing();
    submit(&layer, "me").await;
    let by = async |method: Method| ask(&layer, of("me", request(method, "/work"))).await;
    let full = by(Method::GET).await;
    let head = by(Method::HEAD).await;
    assert_eq!(head.status, StatusCode::OK);
    assert!(head.body.is_empty());
    assert_eq!(head.header("content-length"), full.body.len().to_string());
    let allowed = "GET, HEAD, OPTIONS";
    let options = by(Method::OPTIONS).await;
    assert_eq!(options.status, StatusCode::NO_CONTENT);
    assert_eq!(options.header("allow"), allowed);
    for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
        let answer = by(method).await;
        assert_problem(&answer, StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(answer.header("allow"), allowed);
    }
    assert_eq!(jobs(&by(Method::GET).await).len(), 1, "nothing was done");
}

#[tokio::test(start_paused = true)]
async fn bad_parameters_of_the_list_are_told_and_the_store_is_not_asked() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(owned().list_own_jobs(true).store(store.clone()));
    let calls = store.calls(Op::List);
    for (query, told) in [
        ("limit=0", "limit"),
        ("limit=101", "from 1 to 100"),
        ("limit=x", "limit"),
        ("limit=5&limit=5", "at most once"),
        ("after=yesterday", "after"),
        ("principal=you", "the parameters are limit and after"),
        ("state=running", "the parameters are limit and after"),
    ] {
        let answer = ask(&layer, of("me", get(&format!("/work?{query}")))).await;
        assert_problem(&answer, StatusCode::BAD_REQUEST);
        let detail = answer.json()["detail"].clone();
        assert!(
            detail.as_str().is_some_and(|text| text.contains(told)),
            "{detail}"
        );
    }
    assert_eq!(store.calls(Op::List), calls);
}

#[tokio::test(start_paused = true)]
async fn s17_list_of_own_jobs_without_the_store_is_told_with_when_to_come_again() {
    let store = Arc::new(FaultyStore::new(memory().build()));
    let layer = eager(owned().list_own_jobs(true).store(store.clone()));
    for method in [Method::GET, Method::HEAD] {
        store.plan(Op::List, Fault::Unavailable, 1);
        let answer = ask(&layer, of("me", request(method.clone(), "/work"))).await;
        assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(answer.header("retry-after"), "5");
        assert_eq!(answer.header("cache-control"), "no-store");
        assert_eq!(answer.body.is_empty(), method == Method::HEAD);
    }
}

/// Adds a job, a second after the one before.
async fn add(store: &MemoryStore, user: &str) -> String {
    let mut job = NewJob::new(JobId::random());
    job.principal = Some(Principal::new(user));
    let id = job.id;
    store.create(job).await.expect("memory");
    sleep(SECOND).await;
    id.encode().as_str().to_owned()
}

#[tokio::test(start_paused = true)]
async fn pages_lead_through_own_jobs_once_newest_first_while_jobs_come_and_end() {
    let store = Arc::new(paused());
    let nodes = [(), ()].map(|()| eager(owned().list_own_jobs(true).store(store.clone())));
    let mut own = Vec::new();
    for _ in 0..7 {
        own.insert(0, add(&store, "me").await);
        add(&store, "you").await;
    }
    let (mut seen, mut query, mut pages) = (Vec::new(), "/work?limit=3".to_owned(), 0);
    loop {
        // Each page is of another node that shares the store.
        let page = ask(&nodes[pages % 2], of("me", get(&query))).await;
        assert!(jobs(&page).len() <= 3);
        seen.extend(ids(&page));
        pages += 1;
        // New jobs come before the pages that were read, and a listed one ends.
        add(&store, "me").await;
        add(&store, "you").await;
        let listed = seen[seen.len() - 1].parse().expect("an id");
        store.cancel(&listed).await.expect("memory");
        let list = page.json();
        let Some(next) = list.get("next").and_then(Value::as_str) else {
            assert_eq!(page.header("link"), "");
            break;
        };
        assert_eq!(page.header("link"), format!("<{next}>; rel=\"next\""));
        query = format!("/work{next}");
    }
    assert_eq!(pages, 3);
    assert_eq!(seen, own);
}

#[tokio::test(start_paused = true)]
async fn a_page_has_at_most_fifty_own_jobs_by_default() {
    let store = Arc::new(paused());
    let layer = eager(owned().list_own_jobs(true).store(store.clone()));
    for _ in 0..51 {
        add(&store, "me").await;
    }
    let page = ask(&layer, of("me", get("/work"))).await;
    assert_eq!(jobs(&page).len(), 50);
    let next = page.json()["next"]
        .as_str()
        .expect("another page")
        .to_owned();
    let rest = ask(&layer, of("me", get(&format!("/work{next}")))).await;
    assert_eq!(jobs(&rest).len(), 1);
}

#[tokio::test(start_paused = true)]
async fn the_mounted_resource_lists_own_jobs_at_its_own_path() {
    let layer = eager(
        owned()
            .list_own_jobs(true)
            .public_base("https://api.example/v1/work"),
    );
    submit(&layer, "me").await;
    let app: Router = Router::new().nest_service("/v1/work", layer.resource());
    for path in ["/v1/work", "/v1/work/", "/v1/work?limit=1"] {
        let request = of("me", get(path)).map(axum::body::Body::new);
        let answer = Answer::of(app.clone().oneshot(request).await.expect("infallible")).await;
        let listed = jobs(&answer);
        let href = listed[0]["href"].as_str().expect("a URL");
        assert!(href.starts_with("https://api.example/v1/work/"), "{href}");
    }
    for path in ["/", "/work", "/work/", "/v1/work", "/v1/work/"] {
        assert_eq!(
            jobs(&ask(&layer, of("me", get(path))).await).len(),
            1,
            "{path}"
        );
    }
    for path in ["/other", "/workx", "/v1", "//"] {
        let other = ask(&layer, of("me", get(path))).await;
        assert_eq!(other.status, StatusCode::NOT_FOUND, "{path}");
    }
}
