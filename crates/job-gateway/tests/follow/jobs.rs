//! Requests to the gateway, and the jobs that it makes of them.

use http::{Request, StatusCode};
use serde_json::Value;

use crate::support::{Answer, Gateway, Upstream, get, send};

/// Starts a gateway that follows the jobs of a server, with further settings of all routes.
pub(crate) async fn following(upstream: &Upstream, defaults: &str) -> Gateway {
    Gateway::with(&settings(&upstream.url(), defaults)).await
}

/// Returns the settings of a gateway that follows the jobs of a server.
pub(crate) fn settings(url: &str, defaults: &str) -> String {
    format!("[upstreams.app]\nurl = \"{url}\"\n[defaults]\nfollow = true\n{defaults}\n")
}

/// Submits work, and waits inline for this time.
pub(crate) async fn post(gateway: &Gateway, path: &str, wait: &str) -> Answer {
    let request = Request::post(gateway.url(path))
        .header("prefer", wait)
        .header("authorization", "Bearer secret-7");
    send(request.body("the work".into()).unwrap()).await
}

/// Submits work that becomes a job, and returns its path.
pub(crate) async fn accepted(gateway: &Gateway, path: &str) -> String {
    let answer = post(gateway, path, "wait=0").await;
    assert_eq!(answer.status, StatusCode::SEE_OTHER, "{answer:?}");
    let job = answer.header("location").split('?').next().unwrap();
    assert!(job.starts_with("/work/"), "{job}");
    job.to_owned()
}

/// Returns the result of a job, whose polls are held.
pub(crate) async fn result(gateway: &Gateway, job: &str) -> Answer {
    loop {
        let poll = Request::get(gateway.url(job)).header("prefer", "wait=10");
        let answer = send(poll.body("".into()).unwrap()).await;
        let state = answer.header("job-status");
        if !matches!(state, "queued" | "running") {
            return answer;
        }
    }
}

/// Returns the status document of a job.
pub(crate) async fn status(gateway: &Gateway, job: &str) -> Value {
    let answer = get(gateway.url(&format!("{job}/status"))).await;
    serde_json::from_slice(&answer.body).unwrap()
}
