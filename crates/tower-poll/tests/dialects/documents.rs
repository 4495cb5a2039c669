//! Documents that come with a byte order mark, or in a content coding.

use http::{HeaderValue, header::ACCEPT_ENCODING};
use tower_poll::dialect::named;

use super::*;

const BOM: &str = "\u{feff}";

/// The headers and the body of an answer.
type Document = (&'static [(&'static str, &'static str)], Vec<u8>);

/// PUT of a resource whose Azure monitor answers with these documents.
fn azure(documents: Vec<Document>) -> Script {
    Script::new(move |number, request| -> Answer {
        match (request.method(), request.uri().path()) {
            (&Method::PUT, _) => answer_with(201, &[("operation-location", "/operation")], ""),
            (_, "/operation") => {
                let (headers, body) = documents[number - 1].clone();
                let answer = answer_with(200, headers, "")?;
                Ok(answer.map(|_| Full::from(body)))
            }
            _ => answer_with(200, &[], "the thing"),
        }
    })
}

#[tokio::test(start_paused = true)]
async fn c30_byte_order_mark_before_a_status_is_skipped() {
    let document = |status| format!(r#"{BOM}{{"status":"{status}"}}"#).into_bytes();
    let server = azure(vec![
        (&[], document("Running")),
        (&[], document("Succeeded")),
    ]);
    let (status, body) = outcome(&server, Method::PUT, "/thing").await;
    assert_eq!((status, body.as_str()), (200, "the thing"));
}

#[tokio::test(start_paused = true)]
async fn c30_monitors_are_asked_for_no_coding_and_responses_for_the_caller_s() {
    let location = &[("location", "/jobs/7/status")] as &'static [_];
    let done = r#"{"id":"7","state":"done","status":"successful"}"#;
    for (name, path, status) in [
        ("", "/a/execution", 201),
        ("status-document=state", "/things", 202),
        ("status-resource", "/things", 202),
    ] {
        let server = Script::new(move |_, request| -> Answer {
            match (request.method(), request.uri().path()) {
                (&Method::POST, _) => answer_with(status, location, ""),
                (_, "/jobs/7/status") => answer_with(200, &[], done),
                _ => answer_with(200, &[], "the thing"),
            }
        });
        let mut submission = request(Method::POST, path);
        let coding = HeaderValue::from_static("gzip");
        submission.headers_mut().insert(ACCEPT_ENCODING, coding);
        let mut layer = exact_layer();
        if let Some(dialect) = named(name) {
            layer = layer.dialect(dialect);
        }
        send(layer, &server, submission).await.unwrap();
        let seen = server.seen();
        let codings: Vec<_> = seen
            .iter()
            .map(|seen| &seen.headers[ACCEPT_ENCODING])
            .collect();
        assert_eq!(codings, ["gzip", "identity", "gzip"], "{path} {status}");
    }
}

#[cfg(not(feature = "decompression"))]
#[tokio::test(start_paused = true)]
async fn coding_that_is_not_known_is_an_error() {
    let server = azure(vec![(&[("content-encoding", "gzip")], b"gzip".to_vec())]);
    let error = call(exact_layer(), &server, Method::PUT, "/thing").await;
    assert!(error.unwrap_err().is_bad_answer());
}

#[cfg(feature = "decompression")]
mod with_decompression {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use flate2::{Compression, write::GzEncoder};
    use http_polling::JobState;

    use super::*;

    const GZIP: &[(&str, &str)] = &[("content-encoding", "gzip")];

    fn gzip(text: &str) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap()
    }

    #[tokio::test(start_paused = true)]
    async fn c30_status_that_comes_in_a_coding_is_read_and_told() {
        let running = r#"{"id":"7","state":"running","status":"Running"}"#;
        let server = azure(vec![
            (GZIP, gzip(running)),
            (GZIP, gzip(r#"{"status":"Succeeded"}"#)),
        ]);
        let told = Arc::new(Mutex::new(Vec::new()));
        let layer = exact_layer().observe({
            let told = told.clone();
            move |update| told.lock().unwrap().extend(update.document().cloned())
        });
        let response = call(layer, &server, Method::PUT, "/thing").await.unwrap();
        assert_eq!(text(response).await, "the thing");
        assert_eq!(told.lock().unwrap()[0]["status"], "Running");
    }

    #[tokio::test(start_paused = true)]
    async fn c30_status_that_is_too_long_without_its_coding_is_an_error() {
        let long = format!(r#"{{"status":"{}"}}"#, " ".repeat(100_000));
        let server = azure(vec![(GZIP, gzip(&long))]);
        let error = call(exact_layer(), &server, Method::PUT, "/thing").await;
        let error = error.unwrap_err();
        assert!(error.is_bad_answer() && error.pending_job().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn c30_problem_that_comes_in_a_coding_is_read() {
        let problem = gzip(&format!(r#"{BOM}{{"title":"It broke"}}"#));
        let server = Script::new(move |number, _| -> Answer {
            if number == 0 {
                let headers = [("location", "/job"), ("job-status", "running")];
                return answer_with(202, &headers, "");
            }
            let headers = [
                ("content-type", "application/problem+json"),
                ("content-encoding", "gzip"),
                ("job-status", "failed"),
            ];
            Ok(answer_with(500, &headers, "")?.map(|_| Full::from(problem.clone())))
        });
        let error = call(exact_layer(), &server, Method::POST, "/things").await;
        let error = error.unwrap_err();
        assert_eq!(error.job_state(), Some(JobState::Failed));
        assert_eq!(error.problem().unwrap().to_string(), "It broke");
    }
}
