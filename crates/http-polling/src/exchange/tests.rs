use std::time::UNIX_EPOCH;

use http::{
    HeaderName, HeaderValue,
    header::{CONTENT_LOCATION, LOCATION, RETRY_AFTER},
};

use super::*;
use crate::{job_state::JOB_STATUS, retry_after::RETRY_AFTER_MS};

type Fields<'a> = &'a [(HeaderName, &'static str)];

struct Case {
    method: Method,
    polling: bool,
}

const SUBMIT: Case = case(Method::POST, false);
const GET: Case = case(Method::GET, false);
const HEAD: Case = case(Method::HEAD, false);
const POLL: Case = case(Method::GET, true);

const fn case(method: Method, polling: bool) -> Case {
    Case { method, polling }
}

const REDIRECTS: [u16; 5] = [301, 302, 303, 307, 308];

impl Case {
    fn read(&self, status: u16, fields: Fields<'_>) -> Result<Reading, LocationError> {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(name, HeaderValue::from_static(value));
        }
        let uri = Uri::from_static("https://example.com/here");
        let exchange = Exchange::new(&self.method, &uri).polling(self.polling);
        exchange.read(StatusCode::from_u16(status).unwrap(), &headers, UNIX_EPOCH)
    }

    #[track_caller]
    fn pending(&self, status: u16, fields: Fields<'_>) -> NextPoll {
        match self.read(status, fields) {
            Ok(Reading::Pending(pending)) => pending,
            other => panic!("{status} {fields:?}: {other:?}"),
        }
    }

    /// Pending at this path.
    #[track_caller]
    fn goes(&self, status: u16, fields: Fields<'_>, path: &str) {
        assert_eq!(
            self.pending(status, fields).uri.path(),
            path,
            "{status} {fields:?}"
        );
    }

    #[track_caller]
    fn is_final(&self, status: u16, fields: Fields<'_>) {
        let reading = self.read(status, fields);
        assert_eq!(reading, Ok(Reading::Final(None)), "{status} {fields:?}");
    }

    #[track_caller]
    fn fails(&self, status: u16, fields: Fields<'_>, error: LocationError) {
        assert_eq!(self.read(status, fields), Err(error), "{status} {fields:?}");
    }
}

#[test]
fn a_redirect_that_says_when_is_pending() {
    for status in [301, 302, 303] {
        for case in [SUBMIT, GET] {
            let pending = case.pending(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
            assert_eq!(pending.uri, "https://example.com/job");
            assert_eq!(pending.method, Method::GET);
            assert_eq!(pending.retry_after, Some(Duration::from_secs(3)));
            assert_eq!(pending.state, None);
        }
    }
    SUBMIT.goes(303, &[(LOCATION, "/job"), (RETRY_AFTER_MS, "3")], "/job");
}

#[test]
fn a_plain_redirect_of_a_submission_is_final() {
    for status in REDIRECTS {
        GET.is_final(status, &[(LOCATION, "/job")]);
        GET.is_final(status, &[(LOCATION, "file:///x"), (LOCATION, "/job")]);
        GET.is_final(status, &[(RETRY_AFTER, "3")]);
    }
}

#[test]
fn c29_unreadable_retry_after_is_pending_without_a_delay() {
    for unreadable in ["soon", "-1", "", "Wed, 99 Oct 2031 07:28:00 UTC"] {
        let fields = [(LOCATION, "/job"), (RETRY_AFTER, unreadable)];
        for (case, status, fields) in [
            (SUBMIT, 303, &fields[..]),
            (GET, 307, &fields),
            (SUBMIT, 202, &fields),
            (GET, 202, &fields[1..]),
            (POLL, 303, &fields),
            (POLL, 202, &fields[1..]),
            (POLL, 429, &fields[1..]),
            (POLL, 503, &fields[1..]),
        ] {
            let pending = case.pending(status, fields);
            assert_eq!(pending.retry_after, None, "{status} {fields:?}");
        }
    }
    SUBMIT.goes(303, &[(LOCATION, "/job"), (RETRY_AFTER, "0")], "/job");
    SUBMIT.goes(303, &[(LOCATION, "/job"), (RETRY_AFTER_MS, "x")], "/job");
}

#[test]
fn c09_a_redirect_that_keeps_an_unsafe_method_is_final() {
    let fields: Fields<'_> = &[(LOCATION, "/job"), (RETRY_AFTER, "3")];
    for status in [307, 308] {
        for method in [Method::POST, Method::PUT, Method::PATCH, Method::DELETE] {
            case(method, false).is_final(status, fields);
        }
        GET.goes(status, fields, "/job");
        HEAD.goes(status, fields, "/job");
    }
}

#[test]
fn c09_choices_and_not_modified_are_final() {
    for status in [300, 304, 305, 306] {
        for case in [SUBMIT, GET, POLL] {
            case.is_final(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
        }
    }
}

#[test]
fn c09_head_stays_head_and_all_else_becomes_get() {
    let fields: Fields<'_> = &[(LOCATION, "/job"), (RETRY_AFTER, "3")];
    assert_eq!(HEAD.pending(303, fields).method, Method::HEAD);
    assert_eq!(
        case(Method::HEAD, true).pending(303, fields).method,
        Method::HEAD
    );
    assert_eq!(
        case(Method::DELETE, false).pending(303, fields).method,
        Method::GET
    );
}

#[test]
fn accepted_goes_to_location_else_content_location() {
    SUBMIT.goes(
        202,
        &[(LOCATION, "/job"), (CONTENT_LOCATION, "/other")],
        "/job",
    );
    SUBMIT.goes(202, &[(CONTENT_LOCATION, "/job")], "/job");
    assert_eq!(SUBMIT.pending(202, &[(LOCATION, "/job")]).retry_after, None);
}

#[test]
fn accepted_with_nothing_to_follow_is_final() {
    SUBMIT.is_final(202, &[]);
    SUBMIT.is_final(202, &[(RETRY_AFTER, "3")]);
    GET.is_final(202, &[]);
}

#[test]
fn accepted_with_a_delay_alone_stays_where_it_is() {
    GET.goes(202, &[(RETRY_AFTER, "3")], "/here");
    HEAD.goes(202, &[(RETRY_AFTER, "3")], "/here");
}

#[test]
fn other_answers_to_a_submission_are_final() {
    for status in [200, 201, 204, 400, 404, 429, 500, 503] {
        SUBMIT.is_final(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
        GET.is_final(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
    }
}

#[test]
fn a_poll_follows_any_redirect() {
    for status in REDIRECTS {
        POLL.goes(status, &[(LOCATION, "/job")], "/job");
        let pending = POLL.pending(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
        assert_eq!(pending.retry_after, Some(Duration::from_secs(3)));
    }
}

#[test]
fn c07_a_redirect_of_a_poll_that_leads_nowhere_is_an_error() {
    for status in REDIRECTS {
        POLL.fails(
            status,
            &[(CONTENT_LOCATION, "/job")],
            LocationError::Missing,
        );
    }
}

#[test]
fn c24_a_poll_that_is_put_off_stays_where_it_is() {
    for status in [429, 503] {
        POLL.goes(status, &[(RETRY_AFTER, "3"), (LOCATION, "/job")], "/here");
        POLL.is_final(status, &[]);
    }
}

#[test]
fn an_accepted_poll_moves_where_it_is_told_and_else_stays() {
    POLL.goes(202, &[], "/here");
    POLL.goes(202, &[(CONTENT_LOCATION, "/there")], "/there");
    POLL.goes(
        202,
        &[(CONTENT_LOCATION, "/there"), (LOCATION, "/job")],
        "/job",
    );
}

#[test]
fn other_answers_to_a_poll_are_final() {
    for status in [200, 204, 400, 404, 410, 500, 502, 504] {
        POLL.is_final(status, &[(LOCATION, "/job"), (RETRY_AFTER, "3")]);
    }
}

#[test]
fn a_pending_job_status_makes_any_answer_pending() {
    for status in [200, 202, 303, 404, 500] {
        for (text, state) in [("queued", JobState::Queued), ("running", JobState::Running)] {
            let pending = SUBMIT.pending(status, &[(JOB_STATUS, text), (LOCATION, "/job")]);
            assert_eq!(pending.uri.path(), "/job");
            assert_eq!(pending.state, Some(state));
        }
    }
}

#[test]
fn c08_a_pending_job_may_stay_where_it_is() {
    let running: Fields<'_> = &[(JOB_STATUS, "running")];
    POLL.goes(200, running, "/here");
    GET.goes(200, running, "/here");
    POLL.goes(
        200,
        &[(JOB_STATUS, "running"), (CONTENT_LOCATION, "/job")],
        "/job",
    );
    POLL.goes(303, &[(LOCATION, "/here")], "/here");
}

#[test]
fn c07_a_pending_job_of_a_submission_needs_a_location() {
    SUBMIT.fails(202, &[(JOB_STATUS, "running")], LocationError::Missing);
}

#[test]
fn c25_a_final_job_status_makes_any_answer_final() {
    let words = [
        "done",
        "failed",
        "timed-out",
        "lost",
        "cancelled",
        "expired",
        "unknown",
    ];
    for status in [200, 202, 301, 303, 307, 429, 503, 504] {
        for word in words {
            for case in [SUBMIT, GET, POLL] {
                let fields: Fields<'_> =
                    &[(JOB_STATUS, word), (LOCATION, "/job"), (RETRY_AFTER, "3")];
                assert_eq!(
                    case.read(status, fields),
                    Ok(Reading::Final(Some(word.parse().unwrap()))),
                    "{status} {word}"
                );
            }
        }
    }
}

#[test]
fn an_unrecognised_job_status_counts_as_absent() {
    POLL.is_final(200, &[(JOB_STATUS, "paused")]);
    POLL.goes(303, &[(JOB_STATUS, "paused"), (LOCATION, "/job")], "/job");
}

#[test]
fn c07_several_locations_are_an_error_where_one_is_needed() {
    let two: Fields<'_> = &[(LOCATION, "/a"), (LOCATION, "/b"), (RETRY_AFTER, "3")];
    SUBMIT.fails(303, two, LocationError::Duplicate);
    SUBMIT.fails(202, two, LocationError::Duplicate);
    POLL.fails(303, two, LocationError::Duplicate);
    POLL.is_final(200, two);
    POLL.goes(503, two, "/here");
    let two: Fields<'_> = &[(CONTENT_LOCATION, "/a"), (CONTENT_LOCATION, "/b")];
    SUBMIT.fails(202, two, LocationError::Duplicate);
    SUBMIT.goes(
        202,
        &[two[0].clone(), two[1].clone(), (LOCATION, "/job")],
        "/job",
    );
}

#[test]
fn c37_the_same_location_twice_counts_as_one() {
    let two: Fields<'_> = &[(LOCATION, "/a"), (RETRY_AFTER, "3"), (LOCATION, "/a")];
    for (case, status) in [(SUBMIT, 303), (SUBMIT, 202), (POLL, 303), (POLL, 202)] {
        case.goes(status, two, "/a");
    }
    let two: Fields<'_> = &[(CONTENT_LOCATION, "/a"), (CONTENT_LOCATION, "/a")];
    SUBMIT.goes(202, two, "/a");
    let three: Fields<'_> = &[(LOCATION, "/a"), (LOCATION, "/a"), (LOCATION, "/b")];
    SUBMIT.fails(202, three, LocationError::Duplicate);
}

#[test]
fn c06_a_bad_location_is_an_error_where_one_is_needed() {
    let file: Fields<'_> = &[(LOCATION, "file:///etc/passwd"), (RETRY_AFTER, "3")];
    SUBMIT.fails(303, file, LocationError::Scheme);
    POLL.fails(202, file, LocationError::Scheme);
    SUBMIT.is_final(200, file);
}
