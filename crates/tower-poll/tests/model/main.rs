//! What the client half keeps to, whatever the server answers.

mod answers;
mod case;
mod dialect;
mod server;

use std::{collections::BTreeMap, time::Duration};

use http::{
    Method, Uri,
    header::{AUTHORIZATION, COOKIE, HOST},
};
use http_polling::{JobState, resolve};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    answers::{Answer, answer, done, pending},
    case::{BODY, Case, IDEMPOTENCY_KEY, SECRET, Stop, case, case_of},
    server::{Run, Seen, cookie_value, origin, respond, run},
};

/// What may go by beyond the deadline: a pending answer's body is read for so
/// long, and timers are exact to the millisecond.
const TOLERANCE: Duration = Duration::from_millis(100 + 2);

proptest! {
    #[test]
    fn a_call_ends_by_its_deadline(case in case()) {
        let run = run(&case);
        let stopped = case.stop.map(|stop| stop.after).unwrap_or_default();
        let submitted = run.seen[0].answered.unwrap_or(stopped);
        let latest = case.deadline().max(submitted).saturating_add(TOLERANCE);
        prop_assert!(run.took <= latest, "after {:?}: {:#?}", run.took, run);
    }

    #[test]
    fn polls_keep_the_minimum_delay(case in case()) {
        let run = run(&case);
        for pair in run.seen.windows(2).filter(|pair| !is_cancellation(&pair[1], &case)) {
            let answered = pair[0].answered.expect("polled only after an answer");
            prop_assert!(pair[1].at >= answered + case.settings.min_delay, "{:#?}", run);
        }
    }

    #[test]
    fn polls_are_as_many_as_allowed_at_most(case in prop_oneof![case(), wanders()]) {
        let run = run(&case);
        let polls = polls(&run).iter().filter(|poll| !is_cancellation(poll, &case));
        prop_assert!(polls.count() <= case.settings.max_polls as usize, "{:#?}", run);
    }

    #[test]
    fn credentials_stay_on_the_origin_and_do_not_come_back(case in prop_oneof![case(), wanders()]) {
        let run = run(&case);
        let mut has_left = false;
        for poll in polls(&run) {
            has_left |= origin(&poll.uri) != origin(&case.uri);
            if has_left {
                for name in [AUTHORIZATION, HOST, SECRET] {
                    prop_assert!(!poll.headers.contains_key(name), "{:#?}", run);
                }
                prop_assert!(!cookies(poll).contains("secret"), "{:#?}", run);
            }
        }
    }

    #[test]
    fn cookies_return_only_to_where_the_call_has_stayed(case in prop_oneof![case(), wanders()]) {
        let run = run(&case);
        for (number, poll) in run.seen.iter().enumerate() {
            let stayed = run.seen[..number]
                .iter()
                .rev()
                .take_while(|seen| origin(&seen.uri) == origin(&poll.uri))
                .count();
            for from in 0..number {
                if cookies(poll).contains(&cookie_value(from)) {
                    prop_assert!(case.settings.cookies, "{:#?}", run);
                    prop_assert!(from >= number - stayed, "{:#?}", run);
                }
            }
        }
    }

    #[test]
    fn a_submission_is_sent_once_and_polls_are_bare(case in case()) {
        let run = run(&case);
        let submission = &run.seen[0];
        prop_assert_eq!(&submission.method, &case.method);
        prop_assert_eq!(&submission.uri, &case.uri);
        prop_assert_eq!(submission.body, BODY);
        let adds_key = case.settings.idempotency_keys && !case.method.is_safe();
        let has_key = submission.headers.contains_key(IDEMPOTENCY_KEY);
        prop_assert_eq!(has_key, case.has_key || adds_key);
        let method = match case.method {
            Method::HEAD => Method::HEAD,
            _ => Method::GET,
        };
        for poll in polls(&run) {
            prop_assert!(poll.method == method || is_cancellation(poll, &case), "{:#?}", run);
            prop_assert_eq!(poll.body, "");
            for name in ["content-type", "idempotency-key", "grpc-timeout"] {
                prop_assert!(!poll.headers.contains_key(name), "{:#?}", run);
            }
        }
    }

    #[test]
    fn only_http_on_allowed_origins_is_asked(case in prop_oneof![case(), wanders()]) {
        let run = run(&case);
        let mut allowed = vec![origin(&case.uri)];
        // Where requests are path-only, the layer beneath knows one origin only.
        if case.uri.authority().is_some() {
            let others = case.settings.allowed.iter().copied();
            allowed.extend(others.map(|other| origin(&Uri::from_static(other))));
        }
        for pair in run.seen.windows(2) {
            let (from, to) = (&pair[0].uri, &pair[1].uri);
            prop_assert!(allowed.contains(&origin(to)), "{:#?}", run);
            prop_assert!(to.path().starts_with('/'), "{:#?}", run);
            if let Some(authority) = to.authority() {
                prop_assert!(matches!(to.scheme_str(), Some("http" | "https")), "{:#?}", run);
                prop_assert!(!authority.as_str().contains('@'), "{:#?}", run);
            }
            let is_downgrade = from.scheme_str() == Some("https") && to.scheme_str() == Some("http");
            prop_assert!(!is_downgrade, "{:#?}", run);
        }
    }

    #[test]
    fn only_what_was_announced_is_cancelled_once_and_last(case in stops()) {
        let run = run(&case);
        let is_cancellation = |seen: &&Seen| is_cancellation(seen, &case);
        let Some(at) = polls(&run).iter().position(|poll| is_cancellation(&poll)) else {
            return Ok(());
        };
        let (before, cancellation) = (&run.seen[..=at], &run.seen[at + 1]);
        prop_assert_eq!(run.seen.len(), at + 2);
        let announced = before.iter().enumerate().any(|(number, seen)| {
            announces(case.answer(number), &seen.uri, &cancellation.uri)
        });
        let is_asked_again = case.method.is_safe() && cancellation.uri == case.uri;
        let is_polled = polls(&run)[..at].iter().any(|poll| poll.uri == cancellation.uri);
        prop_assert!(announced || is_asked_again || is_polled, "{:#?}", run);
    }

    #[test]
    fn a_response_is_an_answer_unchanged(case in case()) {
        let run = run(&case);
        let last = run.seen.len() - 1;
        if let Some(Ok(response)) = run.outcome {
            let expected = respond(case.answer(last), last).expect("a response");
            prop_assert_eq!(response.status(), expected.status());
            prop_assert_eq!(response.headers(), expected.headers());
            prop_assert_eq!(&response.body().pieces, &expected.body().pieces);
            prop_assert!(run.seen[last].answered.is_some());
        }
    }

    #[test]
    fn a_done_answer_passes_up_unchanged(case in ends_done()) {
        let run = run(&case);
        let last = run.seen.len() - 1;
        let is_done = |number| JobState::from_headers(
            respond(case.answer(number), number).expect("a response").headers()
        ) == Some(JobState::Done);
        for number in 0..last {
            prop_assert!(!is_done(number), "{:#?}", run);
        }
        if is_done(last) {
            let expected = respond(case.answer(last), last).expect("a response");
            let Some(Ok(response)) = &run.outcome else {
                return Err(TestCaseError::fail(format!("{run:#?}")));
            };
            prop_assert_eq!(response.status(), expected.status());
            prop_assert_eq!(response.headers(), expected.headers());
            prop_assert_eq!(&response.body().pieces, &expected.body().pieces);
        }
    }
}

/// Otherwise the properties would hold for want of anything that could break
/// them.
#[test]
fn cases_reach_every_end() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeMap::new();
    for _ in 0..1_500 {
        let case = prop_oneof![3 => case(), 1 => wanders()];
        let case = case.new_tree(&mut runner).expect("a case").current();
        let run = run(&case);
        let has_left = |poll: &Seen| origin(&poll.uri) != origin(&case.uri);
        let returned = polls(&run).iter().skip_while(|poll| !has_left(poll));
        let has_cookie = |poll: &Seen| cookies(poll).contains("from-");
        for (what, is_reached) in [
            ("ten polls", polls(&run).len() > 10),
            ("another origin", polls(&run).iter().any(has_left)),
            (
                "the origin again",
                returned.into_iter().any(|poll| !has_left(poll)),
            ),
            (
                "a cancellation",
                polls(&run).iter().any(|poll| is_cancellation(poll, &case)),
            ),
            ("a cookie", polls(&run).iter().any(has_cookie)),
        ] {
            *reached.entry(what).or_insert(0) += u32::from(is_reached);
        }
        *reached.entry(end(&run)).or_insert(0) += 1;
    }
    for what in [
        "another origin",
        "the origin again",
        "a cookie",
        "ten polls",
        "a response at once",
        "a response",
        "the deadline",
        "too many polls",
        "cross-origin",
        "a bad location",
        "a failed submission",
        "a failed poll",
        "an ended job",
        "stopped",
        "unauthorized",
        "a bad answer",
        "a cancellation",
    ] {
        let count = reached.get(what).copied().unwrap_or_default();
        assert!(count >= 3, "{what}: {count} of {reached:?}");
    }
}

fn end(run: &Run) -> &'static str {
    let error = match &run.outcome {
        None => return "patience",
        Some(Ok(_)) if polls(run).is_empty() => return "a response at once",
        Some(Ok(_)) => return "a response",
        Some(Err(error)) => error,
    };
    match error {
        _ if error.is_deadline() => "the deadline",
        _ if error.is_too_many_polls() => "too many polls",
        _ if error.is_cross_origin() => "cross-origin",
        _ if error.is_bad_location() => "a bad location",
        _ if error.is_stopped() => "stopped",
        _ if error.is_unauthorized() => "unauthorized",
        _ if error.is_bad_answer() => "a bad answer",
        _ if error.is_inner() && polls(run).is_empty() => "a failed submission",
        _ if error.is_inner() => "a failed poll",
        _ if error.job_state().is_some() => "an ended job",
        _ => "something else",
    }
}

/// Whether this request gives the job up.
fn is_cancellation(seen: &Seen, case: &Case) -> bool {
    seen.method == Method::DELETE && case.stop.is_some_and(|stop| stop.remotely)
}

/// Whether `answer`, to a request for `asked`, names `url` in a header, or the
/// document's status is there.
fn announces(answer: &Answer, asked: &Uri, url: &Uri) -> bool {
    let Some(head) = &answer.head else {
        return false;
    };
    let values = head.headers.iter().map(|(_, value)| value.as_bytes());
    let mut urls = values.chain(["/status".as_bytes(), b"/result"]);
    urls.any(|reference| {
        resolve(asked, reference).is_ok_and(|to| {
            to == *url || (url.authority().is_none() && to.path_and_query() == url.path_and_query())
        })
    })
}

fn polls(run: &Run) -> &[Seen] {
    &run.seen[1..]
}

fn cookies(seen: &Seen) -> String {
    let values = seen.headers.get_all(COOKIE).iter();
    values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect()
}

/// Calls that are given up soon.
fn stops() -> impl Strategy<Value = Case> {
    (case(), 0..3_000_u64).prop_map(|(mut case, millis)| {
        let after = Duration::from_millis(millis);
        case.stop = Some(Stop {
            after,
            remotely: true,
        });
        case
    })
}

/// Nothing but pending answers, on several origins.
fn wanders() -> impl Strategy<Value = Case> {
    case_of(vec(pending_at_once(), 4..12))
}

/// Pending answers, and then one that is done.
fn ends_done() -> impl Strategy<Value = Case> {
    let answers = (vec(pending_at_once(), 0..6), done()).prop_map(|(mut answers, done)| {
        answers.push(done);
        answers
    });
    case_of(answers).prop_map(|case| Case { stop: None, ..case })
}

fn pending_at_once() -> impl Strategy<Value = Answer> {
    (pending(), answer()).prop_map(|(head, answer)| Answer {
        after: Some(Duration::ZERO),
        head: Some(head),
        ..answer
    })
}
