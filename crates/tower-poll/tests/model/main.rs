//! The rules that the client half keeps, whatever the server answers.

mod answers;
mod by_hand;
mod case;
mod dialect;
mod ending;
mod server;

use std::{collections::BTreeMap, time::Duration};

use http::{
    HeaderValue, Method, StatusCode,
    header::{AUTHORIZATION, HOST},
};
use http_polling::{IDEMPOTENCY_KEY, JobState, PREFERENCE_APPLIED};
use proptest::{collection::vec, prelude::*, strategy::ValueTree, test_runner::TestRunner};

use crate::{
    answers::{ASYNC_RESULT, Answer, accepted, answer, done, pending, told},
    case::{API_KEY, Case, MARKED, SECRET, case, case_of},
    server::{Run, Seen, cookie_value, origin, polls, respond, run},
};

/// The time that may pass beyond the deadline: that for which a pending
/// answer's body is read, and the millisecond of timers.
const TOLERANCE: Duration = Duration::from_millis(100 + 2);

proptest! {
    #[test]
    fn a_call_ends_by_its_deadline(case in cases()) {
        let run = run(&case);
        let stopped = case.stop.map(|stop| stop.after).unwrap_or_default();
        let sent = run.seen.len() - polls(&run.seen).len();
        // The deadline is not for the submission.
        let submitted = run.seen[sent - 1].answered.unwrap_or_default();
        let submitted = match polls(&run.seen) {
            [] => submitted.max(stopped),
            _ => submitted,
        };
        let latest = case.deadline().max(submitted).saturating_add(TOLERANCE);
        prop_assert!(run.took <= latest, "after {:?}: {:#?}", run.took, run);
    }

    #[test]
    fn polls_keep_the_minimum_delay(case in cases()) {
        let run = run(&case);
        for pair in run.seen.windows(2) {
            if !pair[1].is_submission() && !pair[1].is_cancellation() {
                let answered = pair[0].answered.expect("polled only after an answer");
                prop_assert!(pair[1].at >= answered + case.settings.min_delay, "{:#?}", run);
            }
        }
    }

    #[test]
    fn polls_are_as_many_as_allowed_at_most(case in cases()) {
        let run = run(&case);
        let polls = polls(&run.seen).iter().filter(|poll| !poll.is_cancellation());
        prop_assert!(polls.count() <= case.settings.max_polls as usize, "{:#?}", run);
    }

    #[test]
    fn credentials_stay_on_the_origin_and_do_not_come_back(case in cases()) {
        check_credentials(&run(&case).seen, &case)?;
    }

    #[test]
    fn cookies_return_only_to_where_the_call_has_stayed(case in cases()) {
        let run = run(&case);
        for (number, poll) in run.seen.iter().enumerate() {
            let stayed = run.seen[..number]
                .iter()
                .rev()
                .take_while(|seen| origin(&seen.uri) == origin(&poll.uri))
                .count();
            for from in 0..number {
                if poll.cookies().contains(&cookie_value(from)) {
                    prop_assert!(case.settings.cookies, "{:#?}", run);
                    prop_assert!(from >= number - stayed, "{:#?}", run);
                }
            }
        }
    }

    #[test]
    fn a_submission_is_repeated_only_with_a_key_and_polls_are_bare(case in cases()) {
        let run = run(&case);
        let polls = polls(&run.seen);
        let submissions = &run.seen[..run.seen.len() - polls.len()];
        let again = match case.sends_key() {
            true => case.settings.resubmits.unwrap_or_default(),
            false => 0,
        };
        prop_assert!(!submissions.is_empty(), "{:#?}", run);
        prop_assert!(submissions.len() <= 1 + again as usize, "{:#?}", run);
        for submission in submissions {
            prop_assert_eq!(&submission.method, &case.method);
            prop_assert_eq!(&submission.uri, &case.uri);
            prop_assert_eq!(&submission.headers, &submissions[0].headers);
            let has_key = submission.headers.contains_key(IDEMPOTENCY_KEY);
            prop_assert_eq!(has_key, case.sends_key());
        }
        let cancels = case.stop.is_some_and(|stop| stop.remotely);
        check_bare(polls, &case, cancels)?;
    }

    #[test]
    fn only_http_on_allowed_origins_is_asked(case in cases()) {
        check_origins(&run(&case).seen, &case)?;
    }

    #[test]
    fn a_response_is_an_answer_unchanged(case in cases()) {
        let run = run(&case);
        let last = run.seen.len() - 1;
        if let Some(Ok(response)) = run.outcome {
            let expected = respond(case.answer(last), last).expect("a response");
            // What is gone with what was deleted is the end of that.
            let is_deleted = case.method == Method::DELETE
                && matches!(expected.status().as_u16(), 404 | 410)
                && response.status() == StatusCode::OK;
            // What one of the dialects puts in place of the status.
            let result = expected.headers().get(ASYNC_RESULT).map(HeaderValue::as_bytes);
            let result = result.and_then(|code| StatusCode::from_bytes(code.trim_ascii()).ok());
            let is_status = [Some(expected.status()), result].contains(&Some(response.status()));
            prop_assert!(is_status || is_deleted, "{:?} {:?}", response, expected);
            prop_assert_eq!(response.headers(), expected.headers());
            prop_assert_eq!(&response.body().pieces, &expected.body().pieces);
            prop_assert!(run.seen[last].answered.is_some());
        }
    }

    #[test]
    fn an_error_after_a_poll_has_the_job(case in cases()) {
        let run = run(&case);
        if let Some(Err(error)) = &run.outcome {
            let job = error.pending_job();
            prop_assert!(polls(&run.seen).is_empty() || job.is_some(), "{:#?}", run);
            prop_assert!(error.body().len() <= 64 * 1024);
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

pub(crate) fn check_credentials(seen: &[Seen], case: &Case) -> Result<(), TestCaseError> {
    let mut has_left = false;
    for poll in polls(seen) {
        has_left |= origin(&poll.uri) != origin(&case.uri);
        if has_left {
            for name in [AUTHORIZATION, HOST, SECRET, MARKED, API_KEY] {
                prop_assert!(!poll.headers.contains_key(name), "{:#?}", seen);
            }
            prop_assert!(!poll.cookies().contains("secret"), "{:#?}", seen);
        }
    }
    Ok(())
}

pub(crate) fn check_origins(seen: &[Seen], case: &Case) -> Result<(), TestCaseError> {
    let allowed = case.origins();
    for pair in seen.windows(2) {
        let (from, to) = (&pair[0].uri, &pair[1].uri);
        prop_assert!(allowed.contains(&origin(to)), "{:#?}", seen);
        prop_assert!(to.path().starts_with('/'), "{:#?}", seen);
        if let Some(authority) = to.authority() {
            let is_web = matches!(to.scheme_str(), Some("http" | "https"));
            prop_assert!(is_web, "{:#?}", seen);
            prop_assert!(!authority.as_str().contains('@'), "{:#?}", seen);
        }
        let is_downgrade = from.scheme_str() == Some("https") && to.scheme_str() == Some("http");
        prop_assert!(!is_downgrade, "{:#?}", seen);
    }
    Ok(())
}

pub(crate) fn check_bare(polls: &[Seen], case: &Case, cancels: bool) -> Result<(), TestCaseError> {
    for poll in polls {
        let is_cancellation = cancels && poll.is_cancellation();
        prop_assert!(
            poll.method == case.poll_method() || is_cancellation,
            "{:#?}",
            polls
        );
        prop_assert_eq!(poll.body, "");
        for name in ["content-type", "idempotency-key", "grpc-timeout"] {
            prop_assert!(!poll.headers.contains_key(name), "{:#?}", polls);
        }
    }
    Ok(())
}

/// Otherwise the properties would hold for want of anything that could break
/// them.
#[test]
fn cases_reach_every_end() {
    let mut runner = TestRunner::deterministic();
    let mut reached = BTreeMap::new();
    for _ in 0..1_500 {
        let case = cases().new_tree(&mut runner).expect("a case").current();
        let run = run(&case);
        let polls = polls(&run.seen);
        let has_left = |poll: &Seen| origin(&poll.uri) != origin(&case.uri);
        let returned = polls.iter().skip_while(|poll| !has_left(poll));
        let has_cookie = |poll: &Seen| poll.cookies().contains("from-");
        let is_original = |poll: &Seen| !case.method.is_safe() && poll.uri == case.uri;
        for (what, is_reached) in [
            ("a repeated submission", run.seen.len() - polls.len() > 1),
            ("ten polls", polls.len() > 10),
            ("another origin", polls.iter().any(has_left)),
            (
                "the origin again",
                returned.into_iter().any(|poll| !has_left(poll)),
            ),
            ("a cancellation", polls.iter().any(Seen::is_cancellation)),
            ("a cookie", polls.iter().any(has_cookie)),
            ("the original URL", polls.iter().any(is_original)),
            (
                "the results",
                polls
                    .iter()
                    .any(|poll| poll.uri.path().ends_with("/results")),
            ),
            (
                "the resource",
                polls.iter().any(|poll| poll.uri.path() == "/result"),
            ),
        ] {
            *reached.entry(what).or_insert(0) += u32::from(is_reached);
        }
        *reached.entry(end(&run)).or_insert(0) += 1;
    }
    for what in [
        "a repeated submission",
        "the original URL",
        "the results",
        "the resource",
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
        Some(Ok(_)) if polls(&run.seen).is_empty() => return "a response at once",
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
        _ if error.is_inner() && polls(&run.seen).is_empty() => "a failed submission",
        _ if error.is_inner() => "a failed poll",
        _ if error.job_state().is_some() => "an ended job",
        _ => "something else",
    }
}

/// All kinds of them.
pub(crate) fn cases() -> impl Strategy<Value = Case> {
    prop_oneof![2 => case(), 1 => wanders(), 2 => speaks()]
}

/// A submission that one of the dialects recognises, and answers as it has
/// them.
fn speaks() -> impl Strategy<Value = Case> {
    let first = (accepted(), told()).prop_map(|(head, answer)| Answer {
        head: Some(head),
        ..answer
    });
    let then = prop_oneof![3 => told(), 1 => answer()];
    let answers = (first, vec(then, 1..6)).prop_map(|(first, mut then)| {
        then.insert(0, first);
        then
    });
    case_of(answers).prop_map(|mut case| {
        let head = case.answers[0].head.as_ref().expect("accepted");
        let mut names = head.headers.iter().map(|(name, _)| name);
        if names.any(|name| *name == PREFERENCE_APPLIED) {
            // There is only POST that is answered so.
            case.method = Method::POST;
        } else if case.method.is_safe() && head.status != StatusCode::ACCEPTED {
            case.method = Method::PUT;
        }
        // Documents are read to their ends.
        case.settings.drain_limit = case.settings.drain_limit.max(4 * 1024);
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
    case_of(answers).prop_map(|mut case| {
        case.stop = None;
        // One of the user's own takes precedence over `Job-Status`.
        case.settings.dialect = None;
        case
    })
}

fn pending_at_once() -> impl Strategy<Value = Answer> {
    (pending(), answer()).prop_map(|(head, answer)| Answer {
        after: Some(Duration::ZERO),
        head: Some(head),
        ..answer
    })
}
