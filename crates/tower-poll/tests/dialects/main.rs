//! Whole calls to APIs that say in their own way how work goes on.

#[path = "../common/mod.rs"]
mod common;

mod azure;
mod deletions;
mod documents;
mod others;
mod unreadable;

use std::collections::HashMap;

use http::{Method, Request, Response};
use http_body_util::Full;
use tower::Layer;
use tower_poll::{Error, PollLayer, Submitted, Update};

use crate::common::{Answer, Script, TestBody, answer_with, exact_layer, send, text};

/// The answer to a request: status, headers, body.
type Reply = (u16, &'static [(&'static str, &'static str)], &'static str);

const HOST: &str = "https://example.com";

/// A server that has a list of replies for each method and path. The last one
/// is given again and again.
fn server(replies: &[(&'static str, &[Reply])]) -> Script {
    let replies: HashMap<_, _> = replies
        .iter()
        .map(|(target, replies)| (*target, replies.to_vec()))
        .collect();
    let given = std::sync::Mutex::new(HashMap::<String, usize>::new());
    Script::new(move |_, request| -> Answer {
        let target = format!("{} {}", request.method(), request.uri().path());
        let Some(replies) = replies.get(target.as_str()) else {
            panic!("nobody was to ask for {target}");
        };
        let mut given = given.lock().unwrap();
        let number = given.entry(target).or_default();
        let (status, headers, body) = replies[(*number).min(replies.len() - 1)];
        *number += 1;
        answer_with(status, headers, body)
    })
}

fn request(method: Method, path: &str) -> Request<TestBody> {
    Request::builder()
        .method(method)
        .uri(format!("{HOST}{path}"))
        .body(Full::from("the work"))
        .unwrap()
}

async fn call(
    layer: PollLayer,
    server: &Script,
    method: Method,
    path: &str,
) -> Result<Response<TestBody>, Error> {
    send(layer, server, request(method, path)).await
}

/// The status and body that a call without settings comes to.
async fn outcome(server: &Script, method: Method, path: &str) -> (u16, String) {
    let response = call(exact_layer(), server, method, path).await.unwrap();
    (response.status().as_u16(), text(response).await)
}

/// The methods and paths that were asked for, in order.
fn asked(server: &Script) -> Vec<String> {
    let seen = server.seen();
    seen.iter()
        .map(|seen| format!("{} {}", seen.method, seen.uri.path()))
        .collect()
}

/// Submits, polls `polls` times, and cancels. Returns the deleted URL.
async fn deleted(layer: PollLayer, server: &Script, path: &str, polls: usize) -> Option<String> {
    let mut service = layer.layer(server.clone());
    let submitted = service.submit(request(Method::PUT, path)).await;
    let Submitted::Pending(mut job) = submitted.unwrap() else {
        panic!("final");
    };
    for _ in 0..polls {
        let update = job.poll_now().await.unwrap().unwrap();
        assert!(matches!(update, Update::Pending(_)));
    }
    match job.cancel().await {
        Ok(_) => Some(server.uris().pop().unwrap()),
        Err(error) => {
            assert!(error.is_not_cancellable() && error.pending_job().is_some());
            None
        }
    }
}
