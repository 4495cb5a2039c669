//! Jobs that belong to a principal.

use std::time::Duration;

use crate::support::{self, Answer, Body, eager, handler, post, request, send, settle, slow, wrap};
use http::{HeaderValue, Method, Request, StatusCode};
use tokio::time::sleep;
use tower_async_job::{AsyncJobLayer, Builder, store::Principal};

const SECOND: Duration = Duration::from_secs(1);

fn owned() -> Builder {
    AsyncJobLayer::builder().principal(|request| {
        let user = request.headers.get("x-user")?.to_str().ok()?;
        Some(Principal::new(user))
    })
}

fn of(user: &'static str, mut request: Request<Body>) -> Request<Body> {
    request
        .headers_mut()
        .insert("x-user", HeaderValue::from_static(user));
    request
}

type Parts = (StatusCode, Vec<(String, Vec<u8>)>, Vec<u8>);

fn parts(answer: &Answer) -> Parts {
    let headers = answer.headers.iter();
    let headers = headers.map(|(name, value)| (name.to_string(), value.as_bytes().to_vec()));
    (answer.status, headers.collect(), answer.body.to_vec())
}

#[tokio::test(start_paused = true)]
async fn s47_to_anybody_else_a_job_is_byte_identical_to_unknown() {
    let service = wrap(&eager(owned()), slow(10 * SECOND, "mine"));
    let accepted = send(&service, of("me", post("/report"))).await.pending();
    let mine = accepted
        .location()
        .split_once('?')
        .expect("hints")
        .0
        .to_owned();
    let none = format!("/work/{}", "0".repeat(32));
    // Running, done, and expired.
    for _ in 0..3 {
        for (method, suffix) in [
            (Method::GET, ""),
            (Method::HEAD, ""),
            (Method::GET, "/status"),
            (Method::DELETE, ""),
        ] {
            for user in [Some("you"), None] {
                let ask = |path: &str| {
                    let request = request(method.clone(), &format!("{path}{suffix}"));
                    match user {
                        Some(user) => of(user, request),
                        None => request,
                    }
                };
                let other = send(&service, ask(&mine)).await;
                let unknown = send(&service, ask(&none)).await;
                assert_eq!(other.status, StatusCode::NOT_FOUND);
                assert_eq!(parts(&other), parts(&unknown), "{method} {suffix} {user:?}");
            }
        }
        sleep(3000 * SECOND).await;
    }
}

#[tokio::test(start_paused = true)]
async fn s49_expired_is_told_to_the_owner_only() {
    let service = wrap(&eager(owned()), slow(SECOND, "mine"));
    let accepted = send(&service, of("me", post("/report"))).await.pending();
    sleep(4000 * SECOND).await;
    let owner = send(&service, of("me", support::get(accepted.location()))).await;
    assert_eq!(owner.status, StatusCode::GONE);
    let other = send(&service, of("you", support::get(accepted.location()))).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
}

#[tokio::test(start_paused = true)]
async fn owner_sees_and_cancels_his_job() {
    let service = wrap(&eager(owned()), slow(10 * SECOND, "mine"));
    let accepted = send(&service, of("me", post("/report"))).await.pending();
    let cancelled = send(
        &service,
        of("me", request(Method::DELETE, accepted.location())),
    )
    .await;
    assert_eq!(cancelled.status, StatusCode::ACCEPTED);
}

#[tokio::test(start_paused = true)]
async fn job_submitted_without_a_principal_is_seen_by_whoever_has_its_id() {
    let service = wrap(&eager(owned()), slow(SECOND, "anybody's"));
    let accepted = send(&service, post("/report")).await.pending();
    sleep(2 * SECOND).await;
    let answer = send(&service, of("you", support::get(accepted.location()))).await;
    assert_eq!(answer.body, "anybody's");
}

#[tokio::test(start_paused = true)]
async fn stranger_s_delete_does_not_reach_the_handler() {
    let (sender, cancelled) = tokio::sync::watch::channel(false);
    let service = wrap(
        &eager(owned()),
        handler(move |request| {
            let sender = sender.clone();
            async move {
                tower_async_job::JobContext::of(&request).cancelled().await;
                let _ = sender.send(true);
                std::future::pending().await
            }
        }),
    );
    let accepted = send(&service, of("me", post("/report"))).await.pending();
    send(
        &service,
        of("you", request(Method::DELETE, accepted.location())),
    )
    .await;
    settle().await;
    assert!(!*cancelled.borrow());
}
