//! A server's job stays between the server and the gateway.

use std::time::Duration;

use http::{Request, StatusCode};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::{
    jobs::{accepted, following, post, result, settings, status},
    server::Server,
    support::{Answer, Gateway, client, get, send, soon},
};

#[tokio::test]
async fn a_result_that_comes_soon_is_the_answer() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    server.finish();
    for path in ["/slow", "/absolute", "/fhir", "/azure", "/ogc/execution"] {
        let answer = post(&gateway, path, "wait=10").await;
        assert_eq!(answer.text(), "the result", "{path}");
        assert_eq!(answer.status, StatusCode::OK, "{path}");
        assert!(!answer.headers.contains_key("job-status"), "{answer:?}");
    }
    assert_eq!(post(&gateway, "/now", "wait=10").await.text(), "at once");
}

#[tokio::test]
async fn a_job_of_the_server_becomes_one_of_the_gateway_with_its_progress() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    for (path, poll, progress) in [
        (
            "/slow",
            "GET /jobs/7",
            json!({"fraction": 3.0 / 9.0, "done": 3, "total": 9}),
        ),
        (
            "/ogc/execution",
            "GET /ogc/jobs/7",
            json!({"fraction": 0.4}),
        ),
        ("/azure", "GET /operations/7", Value::Null),
    ] {
        let job = accepted(&gateway, path).await;
        let before = server.count(poll);
        server.receives(poll, before + 3).await;
        let mut found = status(&gateway, &job).await;
        if path == "/slow" {
            let message = found["progress"].as_object_mut().unwrap().remove("message");
            assert_eq!(message.unwrap(), "page 3 of 9");
        }
        assert_eq!(found["progress"], progress, "{path}");
        server.finish();
        let answer = result(&gateway, &job).await;
        assert_eq!(
            (answer.status, answer.text()),
            (StatusCode::OK, "the result")
        );
        server.resume();
    }
}

#[tokio::test]
async fn polls_have_the_credentials_and_the_gateways_fields_of_the_request() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    let (sent, poll) = (server.fields("POST /slow"), server.fields("GET /jobs/7"));
    for name in [
        "authorization",
        "forwarded",
        "host",
        "job-handle",
        "traceparent",
        "via",
        "x-forwarded-for",
        "x-forwarded-proto",
    ] {
        assert_eq!(sent[name], poll[name], "{name}");
    }
    for name in ["content-length", "content-type", "prefer", "cancel-after"] {
        assert!(!poll.contains_key(name), "{name}");
    }
    assert!(!sent.contains_key("prefer"));
    server.finish();
    result(&gateway, &job).await;
    let prefer = "return=minimal, respond-async";
    let request = Request::post(gateway.url("/slow")).header("prefer", prefer);
    send(request.body("".into()).unwrap()).await;
    server.receives("POST /slow", 2).await;
    let sent = server.fields("POST /slow");
    let preferences: Vec<_> = sent.get_all("prefer").iter().collect();
    assert_eq!(preferences, ["return=minimal", "respond-async"]);
}

#[tokio::test]
async fn polls_and_cancellations_have_the_principal_of_a_proxy() {
    let server = Server::default();
    let upstream = server.start().await;
    let principal = "principal = { header = \"x-user\" }";
    let settings = settings(&upstream.url(), principal);
    let trusting = format!("trusted_proxies = [\"127.0.0.1\"]\n{settings}");
    let gateway = Gateway::with(&trusting).await;
    let asked = |request: http::request::Builder| {
        let request = request.header("x-user", "ada").header("prefer", "wait=0");
        send(request.body("".into()).unwrap())
    };
    let accepted = asked(Request::post(gateway.url("/slow"))).await;
    let job = accepted.header("location").split('?').next().unwrap();
    server.receives("GET /jobs/7", 1).await;
    asked(Request::delete(gateway.url(job))).await;
    server.receives("DELETE /jobs/7", 1).await;
    for line in ["GET /jobs/7", "DELETE /jobs/7"] {
        assert_eq!(server.fields(line)["x-user"], "ada", "{line}");
    }
}

#[tokio::test]
async fn a_job_at_another_host_is_not_polled() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    let answer = post(&gateway, "/elsewhere", "wait=10").await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    let error = "job-gateway; error=http_protocol_error";
    assert_eq!(answer.header("proxy-status"), error);
    assert!(answer.text().contains("another host"), "{answer:?}");
}

#[tokio::test]
async fn a_job_that_the_server_has_forgotten_is_a_failure() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    server.forget();
    let answer = result(&gateway, &job).await;
    assert_eq!(answer.status, StatusCode::BAD_GATEWAY);
    assert!(
        answer.text().contains("does not know its job"),
        "{answer:?}"
    );
    assert_eq!(server.count("POST /slow"), 1);
}

#[tokio::test]
async fn a_cancelled_job_is_cancelled_at_the_server_at_once() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "").await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    let cancel = Request::delete(gateway.url(&job)).body("".into()).unwrap();
    assert_eq!(send(cancel).await.status, StatusCode::ACCEPTED);
    let deleted = server.receives("DELETE /jobs/7", 1);
    timeout(Duration::from_secs(2), deleted).await.unwrap();
    let polls = server.count("GET /jobs/7");
    sleep(Duration::from_millis(300)).await;
    assert_eq!(server.count("GET /jobs/7"), polls);
    assert_eq!(server.count("DELETE /jobs/7"), 1);
    for line in ["GET /jobs/7", "DELETE /jobs/7"] {
        let fields = server.fields(line);
        assert_eq!(fields["authorization"], "Bearer secret-7");
        assert_eq!(fields["cookie"], "node=a", "{line}");
    }
}

#[tokio::test]
async fn a_job_past_its_deadline_is_cancelled_at_the_server() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "deadline = \"1s\"").await;
    let job = accepted(&gateway, "/slow").await;
    assert_eq!(
        result(&gateway, &job).await.header("job-status"),
        "timed-out"
    );
    server.receives("DELETE /jobs/7", 1).await;
}

#[tokio::test]
async fn a_client_that_leaves_before_the_acceptance_cancels_at_the_server() {
    let server = Server::default();
    let upstream = server.start().await;
    let gateway = following(&upstream, "inline_wait = \"20s\"").await;
    let request = Request::post(gateway.url("/slow")).body(String::new());
    let client = client::<String>(false);
    let sending = tokio::spawn(client.request(request.unwrap()));
    server.receives("GET /jobs/7", 1).await;
    sending.abort();
    server.receives("DELETE /jobs/7", 1).await;
}

#[tokio::test]
async fn other_requests_pass_as_they_are() {
    let server = Server::default();
    let upstream = server.start().await;
    let plain = Gateway::before(&upstream.url(), &[]).await;
    let answer = post(&plain, "/slow", "wait=10").await;
    assert_eq!(
        (answer.status, answer.header("location")),
        (StatusCode::ACCEPTED, "/jobs/7")
    );
    let gateway = following(&upstream, "").await;
    let stream = Request::post(gateway.url("/slow")).header("accept", "text/event-stream");
    let answer = send(stream.body("".into()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::ACCEPTED);
    assert_eq!(server.count("GET /jobs/7"), 0);
}

#[tokio::test]
async fn a_followed_job_keeps_its_place_at_the_server() {
    let server = Server::default();
    let upstream = server.start().await;
    let settings = format!(
        "[upstreams.app]\nurl = \"{}\"\nconcurrency = 1\n[defaults]\nfollow = true\n",
        upstream.url()
    );
    let gateway = Gateway::with(&settings).await;
    let job = accepted(&gateway, "/slow").await;
    server.receives("GET /jobs/7", 1).await;
    let url = gateway.url("/other");
    let other = tokio::spawn(async { get(url).await });
    server.receives("GET /jobs/7", 4).await;
    assert_eq!(server.count("GET /other"), 0);
    server.finish();
    assert_eq!(result(&gateway, &job).await.text(), "the result");
    let other: Answer = soon(other).await.unwrap();
    assert_eq!(other.text(), "the result");
}
