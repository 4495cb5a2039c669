//! Status documents that cannot be read, and those that never come to an end.

use std::{error::Error as _, time::Duration};

use super::*;

/// A call whose status document is `body`.
async fn error_of(layer: PollLayer, is_azure: bool, body: &'static str) -> Error {
    let monitor: Reply = (200, &[], body);
    let (method, path, server) = match is_azure {
        true => (
            Method::PUT,
            "/thing",
            server(&[
                (
                    "PUT /thing",
                    &[(201, &[("operation-location", "/monitor")], "")],
                ),
                ("GET /monitor", &[monitor]),
            ]),
        ),
        false => (
            Method::POST,
            "/a/execution",
            server(&[
                (
                    "POST /a/execution",
                    &[(201, &[("location", "/monitor")], "")],
                ),
                ("GET /monitor", &[monitor]),
            ]),
        ),
    };
    call(layer, &server, method, path).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn documents_that_cannot_be_read_are_typed_errors_with_the_job() {
    for is_azure in [true, false] {
        for (body, expected) in [
            ("", "the status document lacks a body"),
            (r#"{"status":"#, "the status document is not JSON"),
            ("<html>", "the status document is not JSON"),
            ("{}", "the status document lacks `status`"),
            (r#"{"status":1}"#, "`status` in the answer is not a string"),
        ] {
            let error = error_of(exact_layer(), is_azure, body).await;
            assert!(error.is_bad_answer());
            assert_eq!(error.source().unwrap().to_string(), expected, "{body}");
            assert_eq!(error.pending_job().unwrap().url().path(), "/monitor");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn document_longer_than_the_limit_is_an_error() {
    let layer = exact_layer().drain_limit(16);
    let error = error_of(layer, true, r#"{"status":"Succeeded"}"#).await;
    assert!(error.is_bad_answer());
}

#[tokio::test(start_paused = true)]
async fn unknown_status_is_pending_until_the_deadline() {
    for is_azure in [true, false] {
        let layer = exact_layer().deadline(Duration::from_secs(30));
        let error = error_of(layer, is_azure, r#"{"status":"Reticulating"}"#).await;
        assert!(error.is_deadline());
        assert_eq!(error.pending_job().unwrap().url().path(), "/monitor");
        assert!(error.pending_job().unwrap().polls() > 1);
    }
}

#[tokio::test(start_paused = true)]
async fn result_on_another_origin_is_refused() {
    let body = r#"{"status":"Succeeded","resourceLocation":"https://evil.example/"}"#;
    assert!(error_of(exact_layer(), true, body).await.is_cross_origin());
    let body = r#"{"status":"successful","links":[{"rel":"results","href":"//evil.example/"}]}"#;
    assert!(error_of(exact_layer(), false, body).await.is_cross_origin());
}
