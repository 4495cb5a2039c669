//! A deleted resource takes its monitor with it.

use super::*;

const OPERATION: &[(&str, &str)] = &[("azure-asyncoperation", "/op"), ("retry-after", "1")];
const FHIR: &[(&str, &str)] = &[("content-location", "/op"), ("retry-after", "1")];

#[tokio::test(start_paused = true)]
async fn monitor_that_is_gone_after_a_delete_is_success() {
    for headers in [OPERATION, FHIR] {
        for status in [404, 410] {
            let server = server(&[
                ("DELETE /thing", &[(202, headers, "")]),
                (
                    "GET /op",
                    &[(202, headers, ""), (status, &[], "thing was not found")],
                ),
            ]);
            let outcome = outcome(&server, Method::DELETE, "/thing").await;
            assert_eq!(outcome, (200, "thing was not found".into()), "{status}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn monitor_that_is_not_there_yet_is_asked_again_first() {
    let server = server(&[
        ("DELETE /thing", &[(202, OPERATION, "")]),
        (
            "GET /op",
            &[(404, &[], ""), (202, OPERATION, ""), (204, &[], "")],
        ),
    ]);
    let (status, _) = outcome(&server, Method::DELETE, "/thing").await;
    assert_eq!(status, 204);
}

#[tokio::test(start_paused = true)]
async fn monitor_that_is_gone_after_anything_else_is_an_error_with_the_job() {
    for method in [Method::PUT, Method::POST] {
        let target = if method == Method::PUT {
            "PUT /thing"
        } else {
            "POST /thing"
        };
        let server = server(&[
            (target, &[(202, OPERATION, "")]),
            ("GET /op", &[(404, &[], "no such operation")]),
        ]);
        let error = call(exact_layer(), &server, method, "/thing")
            .await
            .unwrap_err();
        assert_eq!(error.text(), Some("no such operation"));
        assert_eq!(error.pending_job().unwrap().url().path(), "/op");
    }
}

/// Without a dialect nothing says that the URL is that of a monitor.
#[tokio::test(start_paused = true)]
async fn location_that_is_gone_after_a_delete_is_an_error() {
    let server = server(&[
        (
            "DELETE /thing",
            &[(202, &[("location", "/op"), ("retry-after", "1")], "")],
        ),
        ("GET /op", &[(404, &[], "thing was not found")]),
    ]);
    let error = call(exact_layer(), &server, Method::DELETE, "/thing")
        .await
        .unwrap_err();
    assert_eq!(error.text(), Some("thing was not found"));
}
