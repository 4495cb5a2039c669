//! OGC, OData, FHIR, and our own status documents.

use http_polling::JobState;
use tower_poll::dialect::{BareAccepted, StatusField, StatusResource};

use super::*;

const EXECUTION: &str = "/processes/a/execution";
const CREATED: Reply = (201, &[("location", "/jobs/7")], r#"{"status":"accepted"}"#);
const RUNNING: Reply = (200, &[], r#"{"status":"running","progress":50}"#);

#[tokio::test(start_paused = true)]
async fn ogc_results_are_the_response() {
    const PLAIN: &str = r#"{"status":"successful"}"#;
    const LINKED: &str = r#"{"status":"successful","links":[{"href":"/elsewhere",
        "rel":"http://www.opengis.net/def/rel/ogc/1.0/results"}]}"#;
    for (end, results) in [(PLAIN, "GET /jobs/7/results"), (LINKED, "GET /elsewhere")] {
        let server = server(&[
            ("POST /processes/a/execution", &[CREATED]),
            ("GET /jobs/7", &[RUNNING, (200, &[], end)]),
            (results, &[(200, &[], "a map")]),
        ]);
        assert_eq!(
            outcome(&server, Method::POST, EXECUTION).await,
            (200, "a map".into())
        );
        assert_eq!(asked(&server).last().unwrap(), results);
    }
}

#[tokio::test(start_paused = true)]
async fn ogc_results_suit_the_caller_s_accept() {
    const LINKED: &str = r#"{"status":"successful","links":[
        {"href":"/html","rel":"results","type":"text/html"},
        {"href":"/json","rel":"results","type":"application/json"}]}"#;
    for (accept, expected) in [(None, "{}"), (Some("text/html"), "<p>")] {
        let server = server(&[
            ("POST /processes/a/execution", &[CREATED]),
            ("GET /jobs/7", &[(200, &[], LINKED)]),
            ("GET /html", &[(200, &[], "<p>")]),
            ("GET /json", &[(200, &[], "{}")]),
        ]);
        let mut request = request(Method::POST, EXECUTION);
        if let Some(accept) = accept {
            let accept = http::HeaderValue::from_static(accept);
            request.headers_mut().insert(http::header::ACCEPT, accept);
        }
        let response = send(exact_layer(), &server, request).await.unwrap();
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn ogc_preference_alone_is_enough() {
    let headers = &[
        ("location", "/jobs/7"),
        ("preference-applied", "respond-async"),
    ];
    let server = server(&[
        ("POST /run", &[(201, headers, "")]),
        ("GET /jobs/7", &[(200, &[], r#"{"status":"successful"}"#)]),
        ("GET /jobs/7/results", &[(200, &[], "a map")]),
    ]);
    assert_eq!(outcome(&server, Method::POST, "/run").await.1, "a map");
}

#[tokio::test(start_paused = true)]
async fn plain_creation_is_not_polled() {
    let server = server(&[("POST /things", &[CREATED])]);
    assert_eq!(
        outcome(&server, Method::POST, "/things").await,
        (201, CREATED.2.into())
    );
}

#[tokio::test(start_paused = true)]
async fn ogc_job_that_ends_badly_is_a_typed_error() {
    const FAILED: &str = r#"{"status":"failed","message":"no such layer"}"#;
    const DISMISSED: &str = r#"{"status":"dismissed","message":"no such layer"}"#;
    for (end, state) in [(FAILED, JobState::Failed), (DISMISSED, JobState::Cancelled)] {
        let server = server(&[
            ("POST /processes/a/execution", &[CREATED]),
            ("GET /jobs/7", &[RUNNING, (200, &[], end)]),
        ]);
        let error = call(exact_layer(), &server, Method::POST, EXECUTION).await;
        let error = error.unwrap_err();
        assert_eq!(error.job_state(), Some(state));
        let detail = error.problem().unwrap().detail.as_deref();
        assert_eq!(detail, Some("no such layer"));
    }
}

#[tokio::test(start_paused = true)]
async fn odata_response_has_the_status_of_its_async_result() {
    const ACCEPTED: Reply = (
        202,
        &[("location", "/monitor"), ("odata-version", "4.01")],
        "",
    );
    let ends: [(Reply, u16); 3] = [
        ((200, &[("asyncresult", "201")], "an entity"), 201),
        ((200, &[("asyncresult", "503")], "an entity"), 503),
        ((200, &[], "an entity"), 200),
    ];
    for (end, status) in ends {
        let server = server(&[
            ("POST /entities", &[ACCEPTED]),
            ("GET /monitor", &[ACCEPTED, end]),
        ]);
        let outcome = outcome(&server, Method::POST, "/entities").await;
        assert_eq!(outcome, (status, "an entity".into()));
        assert_eq!(server.count(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn fhir_ends_are_passed_up() {
    const ACCEPTED: Reply = (
        202,
        &[("content-location", "/status"), ("x-progress", "10%")],
        "",
    );
    const BUSY: Reply = (202, &[("x-progress", "in progress: 60%")], "");
    let ends: [Reply; 3] = [
        (200, &[], "a manifest"),
        (422, &[], "an OperationOutcome"),
        (303, &[("location", "/result")], ""),
    ];
    for end in ends {
        let server = server(&[
            ("GET /export", &[ACCEPTED]),
            ("GET /status", &[BUSY, end]),
            ("GET /result", &[(200, &[], "a result")]),
        ]);
        let expected = match end.0 {
            303 => (200, "a result".into()),
            status => (status, end.2.into()),
        };
        assert_eq!(outcome(&server, Method::GET, "/export").await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn fhir_progress_is_told() {
    const ACCEPTED: Reply = (202, &[("content-location", "/status")], "");
    const BUSY: Reply = (202, &[("x-progress", "in progress: 60%")], "");
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let server = server(&[
        ("GET /export", &[ACCEPTED]),
        ("GET /status", &[BUSY, (200, &[], "a manifest")]),
    ]);
    let layer = exact_layer().observe({
        let told = told.clone();
        move |update| told.lock().unwrap().push(update.progress().cloned())
    });
    call(layer, &server, Method::GET, "/export").await.unwrap();
    let told = told.lock().unwrap();
    let ratios: Vec<_> = told.iter().flatten().map(|told| told.ratio()).collect();
    assert_eq!(ratios, [Some(0.6)]);
}

const STATUS: &[(&str, &str)] = &[("content-type", "application/json")];
const AT_WORK: Reply = (200, STATUS, r#"{"id":"8f14","state":"running"}"#);

#[tokio::test(start_paused = true)]
async fn status_document_leads_to_the_job() {
    let done = (200, STATUS, r#"{"id":"8f14","state":"done"}"#);
    let server = server(&[
        (
            "POST /report",
            &[(202, &[("location", "/work/8f14/status")], "")],
        ),
        ("GET /work/8f14/status", &[AT_WORK, AT_WORK, done]),
        ("GET /work/8f14", &[(200, &[], "the report")]),
    ]);
    for (method, path) in [
        (Method::POST, "/report"),
        (Method::GET, "/work/8f14/status"),
    ] {
        let layer = exact_layer().dialect(StatusResource::new());
        let response = call(layer, &server, method, path).await.unwrap();
        assert_eq!(text(response).await, "the report");
    }
}

#[tokio::test(start_paused = true)]
async fn status_document_of_a_bad_end_is_a_typed_error() {
    let lost = (200, STATUS, r#"{"id":"8f14","state":"lost"}"#);
    let server = server(&[("GET /work/8f14/status", &[AT_WORK, lost])]);
    let layer = exact_layer().dialect(StatusResource::new());
    let error = call(layer, &server, Method::GET, "/work/8f14/status").await;
    assert_eq!(error.unwrap_err().job_state(), Some(JobState::Lost));
}

#[tokio::test(start_paused = true)]
async fn status_document_is_read_beside_job_status() {
    const RUNNING: &[(&str, &str)] = &[
        ("content-type", "application/json"),
        ("job-status", "running"),
        ("retry-after", "2"),
    ];
    const DONE: &[(&str, &str)] = &[("content-type", "application/json"), ("job-status", "done")];
    let server = server(&[
        (
            "GET /work/8f14/status",
            &[
                (200, RUNNING, r#"{"id":"8f14","state":"running"}"#),
                (200, RUNNING, r#"{"id":"8f14","state":"running"}"#),
                (200, DONE, r#"{"id":"8f14","state":"done"}"#),
            ],
        ),
        (
            "GET /work/8f14",
            &[(200, &[("job-status", "done")], "the report")],
        ),
    ]);
    let layer = exact_layer().dialect(StatusResource::new());
    let response = call(layer, &server, Method::GET, "/work/8f14/status").await;
    assert_eq!(text(response.unwrap()).await, "the report");
}

#[tokio::test(start_paused = true)]
async fn job_of_a_status_document_is_what_is_deleted() {
    let server = server(&[
        (
            "PUT /report",
            &[(202, &[("location", "/work/8f14/status")], "")],
        ),
        ("GET /work/8f14/status", &[AT_WORK]),
        ("DELETE /work/8f14", &[(202, &[], "")]),
    ]);
    let layer = exact_layer().dialect(StatusResource::new());
    let deleted = deleted(layer, &server, "/report", 1).await;
    assert_eq!(deleted.as_deref(), Some("https://example.com/work/8f14"));
}

/// The work is done, and what is there may be anything.
#[tokio::test(start_paused = true)]
async fn result_that_is_being_fetched_is_not_deleted() {
    let done = (200, STATUS, r#"{"id":"8f14","state":"done"}"#);
    let server = server(&[
        (
            "PUT /report",
            &[(202, &[("location", "/work/8f14/status")], "")],
        ),
        ("GET /work/8f14/status", &[done]),
    ]);
    let layer = exact_layer().dialect(StatusResource::new());
    assert_eq!(deleted(layer, &server, "/report", 1).await, None);
}

#[tokio::test(start_paused = true)]
async fn result_that_may_not_be_fetched_leaves_a_job_that_can_be_resumed() {
    const DONE: Reply = (
        200,
        &[],
        r#"{"status":"successful","links":[{"href":"http://elsewhere.test/results",
            "rel":"http://www.opengis.net/def/rel/ogc/1.0/results"}]}"#,
    );
    let server = server(&[
        ("POST /processes/a/execution", &[CREATED]),
        ("GET /jobs/7", &[DONE]),
    ]);
    let error = call(exact_layer(), &server, Method::POST, EXECUTION).await;
    let error = error.unwrap_err();
    assert!(error.is_cross_origin());
    let stored = serde_json::to_value(error.pending_job().unwrap()).unwrap();
    assert!(stored["url"].as_str().unwrap().ends_with("/jobs/7"));
    // What is there is still to be read as the status of a job.
    assert!(stored["dialect"].is_object(), "{stored}");
}

#[tokio::test(start_paused = true)]
async fn status_field_is_followed_to_the_response() {
    const ACCEPTED: Reply = (202, &[("location", "/operations/7")], "");
    const RUNNING: Reply = (200, STATUS, r#"{"status":"Running"}"#);
    let ends: [(Reply, &str); 2] = [
        (
            (
                200,
                &[("location", "/operations/7/result")],
                r#"{"status":"Succeeded"}"#,
            ),
            "the item",
        ),
        (
            (200, &[], r#"{"status":"Succeeded"}"#),
            r#"{"status":"Succeeded"}"#,
        ),
    ];
    for (end, expected) in ends {
        let server = server(&[
            ("POST /items", &[ACCEPTED]),
            ("GET /operations/7", &[RUNNING, end]),
            ("GET /operations/7/result", &[(200, &[], "the item")]),
        ]);
        let layer = exact_layer().dialect(StatusField::new("status"));
        let response = call(layer, &server, Method::POST, "/items").await.unwrap();
        assert_eq!(text(response).await, expected);
    }
}

#[tokio::test(start_paused = true)]
async fn status_field_of_a_bad_end_is_a_typed_error() {
    const ACCEPTED: Reply = (202, &[("location", "/operations/7")], "");
    const FAILED: Reply = (200, STATUS, r#"{"state":"failed","error":"No disk."}"#);
    let server = server(&[
        ("DELETE /items/1", &[ACCEPTED]),
        ("GET /operations/7", &[FAILED]),
    ]);
    let layer = exact_layer().dialect(StatusField::new("state"));
    let error = call(layer, &server, Method::DELETE, "/items/1").await;
    let error = error.unwrap_err();
    assert_eq!(error.job_state(), Some(JobState::Failed));
    let detail = error.problem().unwrap().detail.as_deref();
    assert_eq!(detail, Some("No disk."));
}

#[tokio::test(start_paused = true)]
async fn job_of_a_status_field_is_resumed_by_its_name() {
    const ACCEPTED: Reply = (202, &[("location", "/operations/7")], "");
    let server = server(&[
        ("POST /items", &[ACCEPTED]),
        (
            "GET /operations/7",
            &[
                (200, STATUS, r#"{"state":"running"}"#),
                (200, STATUS, r#"{"state":"done"}"#),
            ],
        ),
    ]);
    let layer = exact_layer().dialect(StatusField::new("state"));
    let mut service = layer.layer(server.clone());
    let submitted = service.submit(request(Method::POST, "/items")).await;
    let Submitted::Pending(job) = submitted.unwrap() else {
        panic!("final");
    };
    let stored = serde_json::to_string(&job.pending()).unwrap();
    let job = serde_json::from_str(&stored).unwrap();
    let elsewhere = exact_layer().layer(server.clone());
    let resumed = elsewhere.resume(&job, &http::HeaderMap::new()).unwrap();
    let response = resumed.wait().await.unwrap();
    assert_eq!(text(response).await, r#"{"state":"done"}"#);
}

#[tokio::test(start_paused = true)]
async fn bare_202_is_asked_again_where_it_is() {
    const EMPTY: Reply = (202, STATUS, "{}");
    let server = server(&[("GET /stats", &[EMPTY, EMPTY, (200, STATUS, "[1,2]")])]);
    assert_eq!(outcome(&server, Method::GET, "/stats").await.1, "{}");
    let layer = exact_layer().dialect(BareAccepted::new());
    let response = call(layer, &server, Method::GET, "/stats").await.unwrap();
    assert_eq!(text(response).await, "[1,2]");
}
