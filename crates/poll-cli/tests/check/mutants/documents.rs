//! Faults of documents and pages.

use super::*;

/// Changes a member of status documents.
fn member(seen: &Seen, response: &mut Response<Bytes>, name: &str, value: serde_json::Value) {
    if seen.is_status() && response.status() == 200 {
        edit(response, |document| document[name] = value);
    }
}

fn is_page(seen: &Seen, response: &Response<Bytes>) -> bool {
    seen.is_of_a_job() && seen.is_navigation() && is_pending(response)
}

pub(super) const MUTANTS: &[Mutant] = &[
    after(
        "3.1",
        "the document tells another state",
        |seen, response| {
            member(seen, response, "state", "done".into());
        },
    ),
    after("3.1", "times are numbers", |seen, response| {
        member(seen, response, "created", 1_924_905_600.into());
    }),
    after("3.1", "times are local", |seen, response| {
        member(
            seen,
            response,
            "created",
            "2031-01-01T00:00:00+02:00".into(),
        );
    }),
    after("3.1", "the attempt is a text", |seen, response| {
        member(seen, response, "attempt", "first".into());
    }),
    after("3.1", "the fraction is in percent", |seen, response| {
        member(
            seen,
            response,
            "progress",
            serde_json::json!({ "fraction": 25 }),
        );
    }),
    after(
        "3.1",
        "the delay is another one than in the header",
        |seen, response| {
            if seen.is_status() && is_pending(response) {
                edit(response, |document| document["retry_after_ms"] = 7.into());
            }
        },
    ),
    warned(after(
        "3.1",
        "the document has no times",
        |seen, response| {
            if seen.is_status() {
                edit(response, |document| {
                    document.as_object_mut().unwrap().remove("created");
                });
            }
        },
    )),
    after("3.1", "the document has no id", |seen, response| {
        if seen.is_status() && response.status() == 200 {
            edit(response, |document| {
                document.as_object_mut().unwrap().remove("id");
            });
        }
    }),
    after("3.2", "a problem is plain JSON", |_, response| {
        if response.status() == 410 {
            set(response, "content-type", "application/json");
        }
    }),
    warned(after(
        "3.2",
        "a problem has a type of its own",
        |_, response| {
            if response.status() == 410 {
                edit(response, |document| document["type"] = "about:blank".into());
            }
        },
    )),
    before("6.1", "a script gets the page", |seen, request| {
        if seen.header("sec-fetch-mode") == "cors" {
            set_in(request, "sec-fetch-mode", "navigate");
        }
    }),
    after("6.3", "the page does not refresh itself", |_, response| {
        remove(response, "refresh");
    }),
    after("6.3", "the page varies with nothing", |seen, response| {
        if is_page(seen, response) {
            remove(response, "vary");
        }
    }),
    after("6.4", "the page has no policy", |seen, response| {
        if is_page(seen, response) {
            remove(response, "content-security-policy");
        }
    }),
    after(
        "6.4",
        "the page tells its URL to others",
        |seen, response| {
            if is_page(seen, response) {
                remove(response, "referrer-policy");
            }
        },
    ),
    after("6.4", "the page loads an image", |seen, response| {
        if is_page(seen, response) {
            *response.body_mut() = Bytes::from_static(b"<img src='https://a.example/i.png'>");
        }
    }),
    after(
        "6.5",
        "a browser gets another answer in the end",
        |seen, response| {
            if seen.is_navigation() && text(response, "job-status") == "done" {
                *response.body_mut() = Bytes::from_static(b"done");
            }
        },
    ),
    with_202(after(
        "6.6",
        "pages of other origins see too little",
        |seen, response| {
            if !seen.header("origin").is_empty() {
                set(response, "access-control-allow-origin", "*");
                set(response, "access-control-allow-methods", "GET, DELETE");
                set(
                    response,
                    "access-control-expose-headers",
                    "Location, Retry-After",
                );
            }
        },
    )),
];
