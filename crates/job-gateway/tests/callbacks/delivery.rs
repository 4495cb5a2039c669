//! Callbacks are asked for, made once they are due, and repeated until they succeed.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use http::{Request, Response, StatusCode};
use http_body_util::Full;
use rustix::process::Signal;

use crate::{
    asking,
    receiver::Receiver,
    slow, start, start_with,
    support::{Answer, Gateway, Upstream, full, get, send, soon},
};

/// Returns the preferences that an answer says were applied.
fn applied(answer: &Answer) -> Vec<&str> {
    let fields = answer.headers.get_all("preference-applied").iter();
    fields.map(|field| field.to_str().unwrap()).collect()
}

/// Returns the public URL of the job of an answer, and the one at this gateway.
fn job(gateway: &Gateway, answer: &Answer) -> (String, String) {
    let public = answer.header("location").split('?').next().unwrap();
    let path = public.strip_prefix("https://api.example").unwrap();
    (public.to_owned(), gateway.url(path))
}

#[tokio::test]
async fn job_is_called_back_once_with_its_url_and_without_its_result() {
    let (upstream, receiver) = (slow().await, Receiver::answering([]).await);
    let gateway = start(&upstream, &receiver, "memory").await;
    let request = asking(&gateway, "/called", &receiver.preference());
    let accepted = send(request).await;
    assert_eq!(accepted.status, StatusCode::SEE_OTHER);
    assert_eq!(applied(&accepted), ["respond-async", "callback"]);
    let (public, local) = job(&gateway, &accepted);
    let callback = receiver.received(1).await.remove(0);
    let body = callback.json();
    assert_eq!(body["type"], "job.done");
    let expected = serde_json::json!({ "url": public, "state": "done", "status": 200 });
    assert_eq!(body["data"], expected);
    assert!(callback.header("webhook-id").starts_with("job_"));
    assert_eq!(callback.header("content-type"), "application/json");
    let listed = async || {
        let list = get(gateway.operators("/jobs")).await;
        let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
        list["jobs"][0]["notification"].clone()
    };
    let completed = serde_json::json!({ "state": "completed", "attempts": 1 });
    let noted = async {
        while listed().await != completed {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon(noted).await;
    let result = get(local).await;
    // The preference of this route is not the server's.
    assert_eq!((result.status, result.text()), (StatusCode::OK, "none"));
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert_eq!(receiver.connections(), 1);
}

#[tokio::test]
async fn inline_answers_and_other_routes_are_not_called_back() {
    let (upstream, receiver) = (slow().await, Receiver::answering([]).await);
    let gateway = start(&upstream, &receiver, "memory").await;
    let inline = receiver.preference().replace("respond-async", "wait=10");
    let answer = send(asking(&gateway, "/called", &inline)).await;
    assert_eq!((answer.status, answer.text()), (StatusCode::OK, "none"));
    assert_eq!(applied(&answer), ["wait=10"]);
    let mut keyed = asking(&gateway, "/called", &inline);
    let key = http::HeaderValue::from_static("\"a\"");
    keyed.headers_mut().insert("idempotency-key", key);
    let answer = send(keyed).await;
    assert_eq!(answer.status, StatusCode::OK);
    let accepted = send(asking(&gateway, "/other", &receiver.preference())).await;
    assert_eq!(applied(&accepted), ["respond-async"]);
    receiver.assert_silent().await;
    let (_, local) = job(&gateway, &accepted);
    let passed = get(local).await;
    let preference = receiver.preference().replace("respond-async, ", "");
    assert_eq!(passed.text(), preference);
}

#[tokio::test]
async fn url_that_may_not_be_called_is_refused_before_the_server_is_asked() {
    let asked = Arc::new(AtomicUsize::new(0));
    let counted = asked.clone();
    let upstream = Upstream::of_requests(move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        async { Response::new(full("answered")) }
    })
    .await;
    let receiver = Receiver::answering([]).await;
    let gateway = start(&upstream, &receiver, "memory").await;
    let port = receiver.address.port();
    for url in [
        String::new(),
        format!("http://localhost:{port}/"),
        format!("https://me@localhost:{port}/"),
        "https://localhost/".to_owned(),
        format!("https://127.0.0.1:{port}/"),
        format!("https://0x7f.1:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        format!("https://localhost.evil:{port}/"),
        "https://169.254.169.254/latest/meta-data/".to_owned(),
    ] {
        let preference = format!("respond-async, callback; url=\"{url}\"");
        let answer = send(asking(&gateway, "/called", &preference)).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{url}");
        assert_eq!(answer.header("content-type"), "application/problem+json");
        assert!(answer.text().contains("callback"), "{}", answer.text());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 0);
    // The preference of a request that never becomes a job is ignored.
    let request =
        Request::head(gateway.url("/called")).header("prefer", "callback; url=\"http://evil\"");
    let answer = send(request.body(Full::default()).unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    receiver.assert_silent().await;
}

#[tokio::test]
async fn special_addresses_of_a_listed_name_are_not_called() {
    let (upstream, receiver) = (slow().await, Receiver::answering([]).await);
    let gateway = start_with(&upstream, &receiver, "memory", "[]").await;
    let accepted = send(asking(&gateway, "/called", &receiver.preference())).await;
    assert_eq!(applied(&accepted), ["respond-async", "callback"]);
    receiver.assert_silent().await;
}

#[tokio::test]
async fn callback_survives_the_death_of_the_gateway() {
    let (upstream, receiver) = (slow().await, Receiver::answering([503]).await);
    let store = format!(
        "sqlite:{}",
        receiver.folder.path().join("jobs.db").display()
    );
    let mut first = start(&upstream, &receiver, &store).await;
    let accepted = send(asking(&first, "/called", &receiver.preference())).await;
    let (public, _) = job(&first, &accepted);
    receiver.received(1).await;
    let list = get(first.operators("/jobs")).await;
    let list: serde_json::Value = serde_json::from_slice(&list.body).unwrap();
    let due = serde_json::json!({ "state": "due", "attempts": 1 });
    assert_eq!(list["jobs"][0]["notification"], due);
    first.signal(Signal::KILL);
    first.ended().await;
    assert_eq!(receiver.connections(), 1);

    // The attempt that failed is repeated after 5 s, or its claim ends after 30 s.
    let _second = start(&upstream, &receiver, &store).await;
    let both = tokio::time::timeout(std::time::Duration::from_secs(45), async {
        loop {
            let received = receiver.received(1).await;
            if received.len() == 2 {
                return received;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    });
    let both = both.await.unwrap();
    for callback in &both {
        assert_eq!(callback.json()["data"]["url"], public);
    }
    assert_eq!(both[0].body, both[1].body);
    assert_eq!(both[0].header("webhook-id"), both[1].header("webhook-id"));
}
