//! The members and the signature of a call.

use std::time::SystemTime;

use http::StatusCode;
use http_polling::JobState;

use super::*;
use crate::callback::signature::Keys;

/// Returns a field of a request.
#[track_caller]
fn field<'a>(head: &'a str, name: &str) -> &'a str {
    let mut fields = head.lines().filter_map(|line| line.split_once(": "));
    let field = fields.find(|field| field.0 == name);
    field.unwrap_or_else(|| panic!("{name} in {head}")).1
}

/// Demands that a request is signed with the secret of its host, and returns its head and its body.
#[track_caller]
fn signed<'a>(request: &'a str, secret: &str) -> (&'a str, &'a str) {
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    let timestamp: u64 = field(head, "webhook-timestamp").parse().unwrap();
    let age = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() - timestamp;
    assert!(age < 20, "{age}");
    let id = field(head, "webhook-id");
    let expected = Keys::new([secret].into_iter()).sign(id, timestamp, body.as_bytes());
    assert_eq!(field(head, "webhook-signature"), expected);
    (head, body)
}

#[tokio::test]
async fn call_is_a_signed_post_with_the_job_and_nothing_of_its_result() {
    let server = Server::answering(OK).await;
    let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
    let mut notification = notification(&server.url(HOST));
    notification.url = "https://api.example/work/1".to_owned();
    notification.state = JobState::Failed;
    notification.status = Some(StatusCode::BAD_GATEWAY);
    notification.ended = SystemTime::UNIX_EPOCH;
    assert_eq!(callbacks.call(notification).await, Notified::Done);
    let requests = server.requests.lock().unwrap();
    let (head, body) = signed(&requests[0], SECRET);
    assert_eq!(head.lines().next(), Some("POST /hook?a=1 HTTP/1.1"));
    let host = format!("{HOST}:{}", server.address.port());
    assert_eq!(field(head, "host"), host);
    assert_eq!(field(head, "content-type"), "application/json");
    assert_eq!(field(head, "connection"), "close");
    assert_eq!(field(head, "webhook-id"), "job_0000000000009f2c");
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let expected = serde_json::json!({
        "type": "job.done",
        "timestamp": "1970-01-01T00:00:00.000Z",
        "data": { "url": "https://api.example/work/1", "state": "failed", "status": 502 },
    });
    assert_eq!(body, expected);
}

#[tokio::test]
async fn each_host_has_a_secret_of_its_own() {
    let server = Server::answering(OK).await;
    let callbacks = server.callbacks(&[LOCAL], &["127.0.0.1"]);
    let hosts = [HOST, "other.example"];
    assert_ne!(secret_of(hosts[0]), secret_of(hosts[1]));
    for (number, host) in hosts.into_iter().enumerate() {
        let called = call(&callbacks, &server.url(host)).await;
        assert_eq!(called, Notified::Done);
        signed(&server.requests.lock().unwrap()[number], secret_of(host));
    }
}
