//! Faults of the job resource.

use super::*;

/// An id that no job has.
const OTHER_ID: &str = "/work/0123456789abcdef0123456789abcdef";

pub(super) const MUTANTS: &[Mutant] = &[
    after("2.1", "a status may be cached", |seen, response| {
        if seen.is_status() {
            remove(response, "cache-control");
        }
    }),
    after(
        "2.1",
        "a cancellation has no Job-Status",
        |seen, response| {
            if seen.method == Method::DELETE && response.status() == 202 {
                remove(response, "job-status");
            }
        },
    ),
    after(
        "2.2",
        "a cancelled job is answered with 200",
        |seen, response| {
            if text(response, "job-status") == "cancelled" && seen.method == Method::GET {
                *response.status_mut() = StatusCode::OK;
            }
        },
    ),
    after(
        "2.2",
        "an unknown job is answered with 410",
        |_, response| {
            if text(response, "job-status") == "unknown" {
                *response.status_mut() = StatusCode::GONE;
            }
        },
    ),
    after(
        "2.2",
        "a pending answer to a poll has no Location",
        |seen, response| {
            if keeps_waiting(seen, response) {
                remove(response, "location");
            }
        },
    ),
    after(
        "2.5",
        "HEAD of a pending job is answered with 200",
        |seen, response| {
            if seen.method == Method::HEAD && is_pending(response) {
                *response.status_mut() = StatusCode::OK;
            }
        },
    ),
    after("2.5", "a pending job is not modified", |seen, response| {
        if seen.header("if-none-match") == "*" {
            *response.status_mut() = StatusCode::NOT_MODIFIED;
        }
    }),
    after(
        "2.5",
        "a part of a pending answer is sent",
        |seen, response| {
            if seen.header("range") == "bytes=0-0" && is_pending(response) {
                *response.status_mut() = StatusCode::PARTIAL_CONTENT;
            }
        },
    ),
    warned(after(
        "2.6",
        "the status of an ended job is gone",
        |seen, response| {
            if seen.is_status() && text(response, "job-status") == "done" {
                *response.status_mut() = StatusCode::GONE;
            }
        },
    )),
    warned(after(
        "2.6",
        "a pending status has no delay",
        |seen, response| {
            if seen.is_status() {
                remove(response, "retry-after-ms");
            }
        },
    )),
    after(
        "2.7",
        "a cancellation is answered with 200",
        |seen, response| {
            if seen.method == Method::DELETE && response.status() == 202 {
                *response.status_mut() = StatusCode::OK;
            }
        },
    ),
    after(
        "2.7",
        "a deletion is answered with 200",
        |seen, response| {
            if seen.method == Method::DELETE && response.status() == 204 {
                *response.status_mut() = StatusCode::OK;
                set(response, "job-status", "done");
            }
        },
    ),
    mutant(
        "2.7",
        "a cancellation has no effect",
        Fault {
            before: |seen, request| {
                if seen.method == Method::DELETE && seen.header("if-match").is_empty() {
                    *request.method_mut() = Method::GET;
                    rewrite(request, &format!("{}/status", seen.uri.path()));
                }
            },
            after: |seen, response| {
                if seen.method == Method::DELETE && response.status() == 200 {
                    *response.status_mut() = StatusCode::ACCEPTED;
                }
            },
            ..Fault::NONE
        },
    ),
    warned(after(
        "2.8",
        "OPTIONS is answered with 200",
        |seen, response| {
            if seen.method == Method::OPTIONS && seen.is_of_a_job() {
                *response.status_mut() = StatusCode::OK;
            }
        },
    )),
    warned(after(
        "2.8",
        "OPTIONS does not tell the methods",
        |seen, response| {
            if seen.method == Method::OPTIONS {
                remove(response, "allow");
            }
        },
    )),
    after(
        "2.8",
        "another method is answered with 404",
        |seen, response| {
            if seen.method == Method::PATCH {
                *response.status_mut() = StatusCode::NOT_FOUND;
            }
        },
    ),
    after("2.8", "405 does not tell the methods", |_, response| {
        if response.status() == 405 {
            remove(response, "allow");
        }
    }),
    after(
        "2.6",
        "a pending status has no Retry-After",
        |seen, response| {
            if seen.is_status() {
                remove(response, "retry-after");
            }
        },
    ),
    warned(mutant(
        "2.9",
        "ids have capitals",
        Fault {
            before: |seen, request| {
                if seen.is_of_a_job() {
                    rewrite(request, &seen.uri.to_string().to_lowercase());
                }
            },
            after: |seen, response| {
                if accepts(seen, response) {
                    let location = text(response, "location");
                    let (path, query) = location.split_once('?').unwrap();
                    let id = path.trim_start_matches("/work/").to_uppercase();
                    set(response, "location", &format!("/work/{id}?{query}"));
                }
            },
            ..Fault::NONE
        },
    )),
    warned(before(
        "2.9",
        "ids are found in capitals",
        |seen, request| {
            if seen.is_of_a_job() {
                rewrite(request, &seen.uri.to_string().to_lowercase());
            }
        },
    )),
    before("2.9", "what follows an id is ignored", |seen, request| {
        if seen.is_of_a_job() && !seen.is_status() && seen.uri.path().len() > OTHER_ID.len() {
            rewrite(request, &seen.uri.path()[..OTHER_ID.len()]);
        }
    }),
    after(
        "2.11",
        "more than the wait of a poll is granted",
        |seen, response| {
            if seen.is_of_a_job() && seen.header("prefer").starts_with("wait=") {
                set(response, "preference-applied", "wait=1000");
            }
        },
    ),
    warned(slow("2.11", "a poll is held past the end", |seen| {
        let is_held = seen.is_of_a_job() && seen.header("prefer").starts_with("wait=");
        Duration::from_secs(if is_held { 6 } else { 0 })
    })),
    warned(before(
        "2.12",
        "an early poll is answered at once",
        |seen, request| {
            if seen
                .uri
                .query()
                .is_some_and(|query| query.starts_with("poll=1"))
            {
                rewrite(request, &format!("{}?poll=1&due=0", seen.uri.path()));
            }
        },
    )),
    warned(with_202(slow(
        "2.12",
        "an early poll is held where others get 202",
        |seen| {
            let is_early = seen.is_of_a_job() && seen.uri.query().is_some();
            Duration::from_millis(if is_early { 2000 } else { 0 })
        },
    ))),
    before(
        "2.13",
        "another principal can read the job",
        |seen, request| {
            if seen.header("x-user") == "bob" && seen.method == Method::GET {
                set_in(request, "x-user", "alice");
            }
        },
    ),
    before(
        "2.13",
        "another principal can cancel the job",
        |seen, request| {
            if seen.header("x-user") == "bob" && seen.method == Method::DELETE {
                set_in(request, "x-user", "alice");
            }
        },
    ),
    before(
        "2.13",
        "another principal can tell that there is a job",
        |seen, request| {
            if seen.header("x-user") == "bob" && seen.method == Method::HEAD {
                set_in(request, "x-user", "alice");
            }
        },
    ),
];
