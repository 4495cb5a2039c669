//! The list: its members, pages and filters.

use std::{collections::HashSet, sync::Arc, time::SystemTime};

use super::{handle, handles, jobs, list, operate, submit};
use crate::support::{
    SECOND, eager,
    faulty::{Fault, FaultyStore, Op},
    id_of,
    lists::{assert_problem, paused},
    memory, request, slow,
};
use http::{Method, StatusCode};
use http_polling::Progress;
use serde_json::Value;
use tokio::time::sleep;
use tower_async_job::{
    AsyncJobLayer,
    store::{
        Created, JobId, JobStore, MemoryStore, NewJob, Outcome, Principal, Report, StoredResponse,
    },
};

/// Returns a layer over a store with `count` jobs, each with its own route, a second apart.
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
    let Created::New { lease, .. } = store.create(job).await.expect("memory") else {
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
        let Created::New { lease, .. } = store
            .create(NewJob::new(JobId::random()))
            .await
            .expect("memory")
        else {
            panic!("a new job");
        };
        let done = Outcome::Done(response.finish(None));
        store.finish(&lease, done.into()).await.expect("memory");
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
async fn jobs_are_filtered_by_principal_and_age() {
    let store = Arc::new(MemoryStore::new());
    let layer = eager(AsyncJobLayer::builder().store(store.clone()));
    let now = SystemTime::now();
    let mut made = Vec::new();
    for (owner, hours) in [("a", 1), ("a", 3), ("b", 4), ("a", 5)] {
        let job = NewJob::new(JobId::random())
            .with_principal(Principal::new(owner))
            .with_created(now - 3600 * hours * SECOND);
        made.push(job.handle.to_string());
        store.create(job).await.expect("memory");
    }
    let [first, second, third, last] = &made[..] else {
        panic!("four are made");
    };
    let listed = async |query| handles(&list(&layer, query).await);
    assert_eq!(
        listed("/?principal=a").await,
        [first, second, last].map(String::as_str)
    );
    assert_eq!(listed("/?principal=c").await, [""; 0]);
    assert_eq!(
        listed("/?older_than=7200").await,
        [second, third, last].map(String::as_str)
    );
    let page = list(&layer, "/?older_than=7200&principal=a&limit=1").await;
    assert_eq!(handles(&page), [second.as_str()]);
    let next = format!("/{}", page.json()["next"].as_str().expect("one more"));
    assert_eq!(listed(&next).await, [last.as_str()]);
    let again = format!("{next}&older_than=16200");
    assert_eq!(listed(&again).await, [last.as_str()]);
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
        ("?older_than=1h", "older_than"),
        ("?older_than=-1", "older_than"),
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
