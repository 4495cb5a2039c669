//! Faults of submissions and their answers.

use super::*;

pub(super) const MUTANTS: &[Mutant] = &[
    mutant(
        "1.1",
        "an inline answer has the fields of a job",
        Fault {
            before: |seen, request| {
                if seen.header("prefer") == "wait=2" {
                    set_in(request, "x-quick", "1");
                }
            },
            after: |seen, response| {
                if seen.header("prefer") == "wait=2" && !is_pending(response) {
                    set(response, "job-status", "done");
                }
            },
            ..Fault::NONE
        },
    ),
    after("1.2", "a job is accepted with 201", |seen, response| {
        if accepts(seen, response) && !seen.is_navigation() {
            *response.status_mut() = StatusCode::CREATED;
        }
    }),
    after(
        "1.3",
        "an acceptance has no Job-Status",
        |seen, response| {
            if accepts(seen, response) {
                remove(response, "job-status");
            }
        },
    ),
    after(
        "1.3",
        "an acceptance has no Retry-After",
        |seen, response| {
            if accepts(seen, response) {
                remove(response, "retry-after");
            }
        },
    ),
    warned(after(
        "1.3",
        "an acceptance has no retry-after-ms",
        |seen, response| {
            if accepts(seen, response) {
                remove(response, "retry-after-ms");
            }
        },
    )),
    after("1.3", "an acceptance may be cached", |seen, response| {
        if accepts(seen, response) {
            remove(response, "cache-control");
        }
    }),
    warned(after(
        "1.3",
        "an acceptance has no document",
        |seen, response| {
            if accepts(seen, response) {
                *response.body_mut() = Bytes::from_static(b"accepted");
            }
        },
    )),
    with_202(after(
        "1.3",
        "a 202 has another Content-Location",
        |seen, response| {
            if accepts(seen, response) && response.status() == 202 {
                set(response, "content-location", "/work");
            }
        },
    )),
    after("1.4", "Retry-After is 0", |seen, response| {
        if accepts(seen, response) {
            set(response, "retry-after", "0");
        }
    }),
    after("1.4", "Retry-After is a date", |seen, response| {
        if accepts(seen, response) {
            set(response, "retry-after", "Fri, 31 Dec 2032 23:59:59 GMT");
        }
    }),
    after(
        "1.4",
        "the two delays of a poll differ",
        |seen, response| {
            if keeps_waiting(seen, response) {
                set(response, "retry-after", "7");
            }
        },
    ),
    after(
        "1.5",
        "Location has the host of the request",
        |seen, response| {
            if keeps_waiting(seen, response) {
                let location = format!(
                    "http://{}{}",
                    seen.header("host"),
                    text(response, "location")
                );
                set(response, "location", &location);
            }
        },
    ),
    after(
        "1.5",
        "Location has the host of X-Forwarded-Host",
        |seen, response| {
            let host = seen.header("x-forwarded-host");
            if keeps_waiting(seen, response) && !host.is_empty() {
                let location = format!("http://{host}{}", text(response, "location"));
                set(response, "location", &location);
            }
        },
    ),
    after(
        "1.5",
        "Location is relative to the path",
        |seen, response| {
            if accepts(seen, response) {
                let location = text(response, "location");
                set(response, "location", location.trim_start_matches('/'));
            }
        },
    ),
    after("1.6", "polls are not counted", |seen, response| {
        if keeps_waiting(seen, response) {
            let location = text(response, "location").replace("poll=2", "poll=1");
            set(response, "location", &location);
        }
    }),
    before(
        "1.6",
        "a job is found only with the hints",
        |seen, request| {
            let is_poll = seen.is_of_a_job() && !seen.is_status() && seen.method == Method::GET;
            if is_poll && seen.uri.query().is_none() {
                rewrite(request, "/work/unknown");
            }
        },
    ),
    after("1.7", "more than the wait is granted", |seen, response| {
        if seen.header("prefer") == "wait=2" {
            set(response, "preference-applied", "wait=60");
        }
    }),
    after(
        "1.7",
        "a wait is granted that was not asked for",
        |seen, response| {
            if accepts(seen, response) {
                set(response, "preference-applied", "respond-async, wait=1");
            }
        },
    ),
    after("1.8", "OPTIONS is deferred", |seen, response| {
        if seen.method == Method::OPTIONS && !seen.is_of_a_job() {
            *response.status_mut() = StatusCode::ACCEPTED;
            set(response, "location", "/work/1");
        }
    }),
    before("1.8", "an event stream is deferred", |seen, request| {
        if seen.header("accept") == "text/event-stream" {
            set_in(request, "accept", "*/*");
        }
    }),
    before("1.10", "a repeat makes another job", |seen, request| {
        if seen.keyed == 2 {
            set_in(request, "idempotency-key", "\"another\"");
        }
    }),
    before("1.10", "a malformed key is ignored", |seen, request| {
        if seen.header("idempotency-key").len() > 255 {
            request.headers_mut().remove("idempotency-key");
        }
    }),
    before(
        "1.10",
        "another body passes for the same request",
        |seen, request| {
            if seen.keyed == 4 {
                *request.body_mut() = Body::from("year=2031");
                request.headers_mut().remove("content-length");
            }
        },
    ),
    after("1.10", "a repeat has another form", |seen, response| {
        if seen.keyed == 2 {
            *response.status_mut() = StatusCode::ACCEPTED;
            let location = text(response, "location");
            set(response, "content-location", &location);
        }
    }),
    before(
        "1.11",
        "a deadline does not end the job",
        |seen, request| {
            if seen.header("cancel-after") == "100ms" {
                request.headers_mut().remove("cancel-after");
            }
        },
    ),
    before(
        "2.16",
        "the work is done again after the deletion",
        |seen, request| {
            if seen.keyed == 5 {
                set_in(request, "idempotency-key", "\"another\"");
            }
        },
    ),
    after("2.20", "an acceptance has an ETag", |seen, response| {
        if accepts(seen, response) {
            set(response, "etag", "\"a\"");
        }
    }),
    after("6.2", "a browser is accepted with 202", |seen, response| {
        if accepts(seen, response) && seen.is_navigation() {
            *response.status_mut() = StatusCode::ACCEPTED;
            let location = text(response, "location");
            set(response, "content-location", &location);
        }
    }),
];
