//! Azure: each start with each end.

use std::time::Duration;

use http::HeaderMap;
use http_polling::JobState;
use tower::Layer;
use tower_poll::{
    PendingJob,
    dialect::{AzureResourceManager, FinalState},
};

use super::*;

const RUNNING: Reply = (
    200,
    &[("retry-after", "2")],
    r#"{"status":"InProgress","percentComplete":50}"#,
);
const SUCCEEDED: Reply = (200, &[], r#"{"status":"Succeeded"}"#);
const RESOURCE: Reply = (200, &[], "the resource");
const RESULT: Reply = (200, &[], "the result");
const JSON: (&str, &str) = ("content-type", "application/json");

const WITH_MONITOR: &[(&str, &str)] = &[("azure-asyncoperation", "/operation")];
const WITH_LOCATION: &[(&str, &str)] = &[
    ("operation-location", "/operation"),
    ("location", "/result"),
];

/// A start by this method, status and headers, and a monitor that ends so.
fn started(method: &Method, status: u16, headers: &'static [(&str, &str)], end: Reply) -> Script {
    let target = match *method {
        Method::PUT => "PUT /thing",
        Method::PATCH => "PATCH /thing",
        Method::POST => "POST /thing",
        _ => "DELETE /thing",
    };
    server(&[
        (target, &[(status, headers, "{}")]),
        ("GET /operation", &[RUNNING, RUNNING, end]),
        ("GET /thing", &[RESOURCE]),
        ("GET /result", &[RESULT]),
    ])
}

const METHODS: [Method; 4] = [Method::PUT, Method::PATCH, Method::POST, Method::DELETE];

#[tokio::test(start_paused = true)]
async fn every_start_that_succeeds_comes_to_its_response() {
    for method in METHODS {
        for status in [200, 201, 202] {
            for headers in [WITH_MONITOR, WITH_LOCATION] {
                let server = started(&method, status, headers, SUCCEEDED);
                let (_, body) = outcome(&server, method.clone(), "/thing").await;
                let expected = match method {
                    Method::PUT | Method::PATCH => RESOURCE.2,
                    Method::POST if headers == WITH_LOCATION => RESULT.2,
                    _ => SUCCEEDED.2,
                };
                assert_eq!(body, expected, "{method} {status} {headers:?}");
                assert_eq!(asked(&server)[1..4], ["GET /operation"; 3]);
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn every_start_that_fails_is_a_typed_error() {
    const FAILED: Reply = (
        200,
        &[],
        r#"{"status":"Failed","error":{"code":"Conflict","message":"It is taken."}}"#,
    );
    const CANCELED: Reply = (200, &[], r#"{"status":"Canceled"}"#);
    for method in METHODS {
        for status in [200, 201, 202] {
            let server = started(&method, status, WITH_MONITOR, FAILED);
            let error = call(exact_layer(), &server, method.clone(), "/thing").await;
            let error = error.unwrap_err();
            assert_eq!(error.job_state(), Some(JobState::Failed));
            assert_eq!(
                error.problem().unwrap().to_string(),
                "Conflict: It is taken."
            );

            let server = started(&method, status, WITH_MONITOR, CANCELED);
            let error = call(exact_layer(), &server, method.clone(), "/thing").await;
            let error = error.unwrap_err();
            assert_eq!(error.job_state(), Some(JobState::Cancelled));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn monitor_is_asked_when_it_says() {
    let server = started(&Method::PUT, 202, WITH_MONITOR, SUCCEEDED);
    outcome(&server, Method::PUT, "/thing").await;
    let seen = server.seen();
    assert_eq!(seen[3].at - seen[2].at, Duration::from_secs(2));
    assert_eq!(seen[4].uri.path(), "/thing");
    // The response is there, and not waited for.
    assert!(seen[4].at - seen[3].at < Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn final_state_can_be_set() {
    for (final_state, expected) in [
        (FinalState::Location, RESULT.2),
        (FinalState::OriginalUri, RESOURCE.2),
        (FinalState::OperationLocation, SUCCEEDED.2),
        (FinalState::AzureAsyncOperation, SUCCEEDED.2),
    ] {
        let server = started(&Method::POST, 202, WITH_LOCATION, SUCCEEDED);
        let dialect = AzureResourceManager::new().final_state(final_state);
        let layer = exact_layer().dialect(dialect);
        let response = call(layer, &server, Method::POST, "/thing").await.unwrap();
        assert_eq!(text(response).await, expected, "{final_state:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn resource_location_of_the_monitor_is_fetched() {
    let end = (
        200,
        &[][..],
        r#"{"status":"Succeeded","resourceLocation":"/result"}"#,
    );
    let server = started(&Method::PUT, 201, WITH_MONITOR, end);
    assert_eq!(outcome(&server, Method::PUT, "/thing").await.1, RESULT.2);
}

#[tokio::test(start_paused = true)]
async fn monitor_that_moves_is_followed() {
    let server = server(&[
        ("PUT /thing", &[(201, WITH_MONITOR, "{}")]),
        (
            "GET /operation",
            &[(202, &[("azure-asyncoperation", "/moved")], "")],
        ),
        ("GET /moved", &[SUCCEEDED]),
        ("GET /thing", &[RESOURCE]),
    ]);
    assert_eq!(outcome(&server, Method::PUT, "/thing").await.1, RESOURCE.2);
    assert_eq!(asked(&server)[1..3], ["GET /operation", "GET /moved"]);
}

#[tokio::test(start_paused = true)]
async fn resource_is_polled_until_it_is_provisioned() {
    const CREATING: &str = r#"{"properties":{"provisioningState":"Creating"}}"#;
    const READY: &str = r#"{"properties":{"provisioningState":"Succeeded"}}"#;
    for status in [200, 201] {
        let server = server(&[
            ("PUT /thing", &[(status, &[JSON], CREATING)]),
            (
                "GET /thing",
                &[(200, &[JSON], CREATING), (200, &[JSON], READY)],
            ),
        ]);
        let layer = exact_layer().dialect(AzureResourceManager::new().poll_resources(true));
        let response = call(layer, &server, Method::PUT, "/thing").await.unwrap();
        assert_eq!(text(response).await, READY);
        assert_eq!(asked(&server)[1..], ["GET /thing"; 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn resource_that_is_provisioned_at_once_is_the_response() {
    let server = server(&[
        ("PUT /thing", &[(200, &[JSON], "{}")]),
        ("GET /thing", &[RESOURCE]),
    ]);
    let layer = exact_layer().dialect(AzureResourceManager::new().poll_resources(true));
    let response = call(layer, &server, Method::PUT, "/thing").await.unwrap();
    assert_eq!(text(response).await, RESOURCE.2);
}

#[tokio::test(start_paused = true)]
async fn resource_is_not_polled_unless_asked_for() {
    let body = r#"{"properties":{"provisioningState":"Creating"}}"#;
    let server = server(&[("PUT /thing", &[(201, &[JSON], body)])]);
    assert_eq!(
        outcome(&server, Method::PUT, "/thing").await,
        (201, body.into())
    );
}

#[tokio::test(start_paused = true)]
async fn plain_location_is_polled_by_status_codes() {
    let server = server(&[
        ("DELETE /thing", &[(202, &[("location", "/result")], "")]),
        ("GET /result", &[(202, &[], ""), (204, &[], "")]),
    ]);
    assert_eq!(outcome(&server, Method::DELETE, "/thing").await.0, 204);
}

/// The outcome, in a layer without settings, of a job that an impatient one gave
/// up.
async fn resumed(layer: PollLayer, server: &Script) -> String {
    let impatient = layer.deadline(Duration::from_secs(1));
    let error = call(impatient, server, Method::PUT, "/thing").await;
    let stored = serde_json::to_string(error.unwrap_err().pending_job().unwrap()).unwrap();
    let job: PendingJob = serde_json::from_str(&stored).unwrap();

    let service = exact_layer().layer(server.clone());
    let job = service.resume(&job, &HeaderMap::new()).unwrap();
    text(job.wait().await.unwrap()).await
}

#[tokio::test(start_paused = true)]
async fn job_goes_on_in_another_process() {
    let with_monitor = started(&Method::PUT, 201, WITH_MONITOR, SUCCEEDED);
    assert_eq!(resumed(exact_layer(), &with_monitor).await, RESOURCE.2);

    let creating = r#"{"properties":{"provisioningState":"Creating"}}"#;
    let ready = r#"{"properties":{"provisioningState":"Succeeded"}}"#;
    let alone = server(&[
        (
            "PUT /thing",
            &[(201, &[JSON, ("retry-after", "2")], creating)],
        ),
        (
            "GET /thing",
            &[(200, &[JSON], creating), (200, &[JSON], ready)],
        ),
    ]);
    let layer = exact_layer().dialect(AzureResourceManager::new().poll_resources(true));
    assert_eq!(resumed(layer, &alone).await, ready);
}

/// An operation is not cancelled by DELETE, which would remove the resource.
#[tokio::test(start_paused = true)]
async fn nothing_is_deleted_to_cancel() {
    const MONITOR: &[(&str, &str)] = &[("azure-asyncoperation", "/operation")];
    const JSON: &[(&str, &str)] = &[("content-type", "application/json")];
    const RUNNING: Reply = (200, JSON, r#"{"status":"Running"}"#);
    const DONE: Reply = (200, JSON, r#"{"status":"Succeeded"}"#);
    const UPDATING: Reply = (200, JSON, r#"{"provisioningState":"Updating"}"#);
    for (polls, path) in [(1, "/monitored"), (2, "/monitored"), (1, "/disk")] {
        let server = server(&[
            ("PUT /monitored", &[(201, MONITOR, "")]),
            ("GET /operation", &[RUNNING, DONE]),
            ("PUT /disk", &[UPDATING]),
            ("GET /disk", &[UPDATING]),
        ]);
        let layer = exact_layer().dialect(AzureResourceManager::new().poll_resources(true));
        assert_eq!(deleted(layer, &server, path, polls).await, None, "{path}");
    }
}
