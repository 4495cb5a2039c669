//! Jobs that are cancelled by their callers.

use std::time::Duration;

use http::Uri;
use http_polling::resolve;
use proptest::prelude::*;

use crate::{
    answers::Answer,
    case::{Case, Stop},
    cases, check_bare, check_credentials, check_origins,
    server::{Seen, run, run_dropped},
};

proptest! {
    #[test]
    fn only_what_was_announced_is_cancelled_once_and_last(
        mut case in cases(),
        after in soon(),
    ) {
        case.stop = Some(Stop { after, remotely: true });
        check_cancellation(&run(&case).seen, &case)?;
    }

    #[test]
    fn a_dropped_call_cancels_what_was_announced_and_nothing_else(
        case in cases(),
        after in soon(),
    ) {
        let case = Case { stop: None, ..case };
        let seen = run_dropped(&case, after);
        check_cancellation(&seen, &case)?;
        check_credentials(&seen, &case)?;
        check_origins(&seen, &case)?;
        check_bare(crate::server::polls(&seen), &case, true)?;
    }
}

fn soon() -> impl Strategy<Value = Duration> {
    (0..3_000_u64).prop_map(Duration::from_millis)
}

/// At most one, the last request, to where an answer has said the job to be.
pub(crate) fn check_cancellation(seen: &[Seen], case: &Case) -> Result<(), TestCaseError> {
    let Some(at) = seen.iter().position(Seen::is_cancellation) else {
        return Ok(());
    };
    prop_assert_eq!(seen.len(), at + 1, "{:#?}", seen);
    let url = &seen[at].uri;
    let mut before = seen[..at].iter().enumerate();
    let is_announced = before.any(|(number, from)| {
        from.answered.is_some() && announces(case.answer(number), &from.uri, url)
    });
    // A client that asks by GET may ask again at the same place.
    let is_asked_again = case.method.is_safe() && *url == case.uri;
    prop_assert!(is_announced || is_asked_again, "{:#?}", seen);
    Ok(())
}

/// Returns whether `answer`, to a request for `asked`, names `url` as that of the job:
/// in a header, or as the place where these tests' own dialect has the status.
fn announces(answer: &Answer, asked: &Uri, url: &Uri) -> bool {
    let Some(head) = &answer.head else {
        return false;
    };
    let values = head.headers.iter().map(|(_, value)| value.as_bytes());
    let mut urls = values.chain(["/status".as_bytes()]);
    urls.any(|reference| resolve(asked, reference).is_ok_and(|to| is_job_of(url, &to)))
}

/// Returns whether `url` is that of the job that is asked for at `told`: the same, or
/// the one that a status resource there is part of.
pub(crate) fn is_job_of(url: &Uri, told: &Uri) -> bool {
    let is_same_origin = url.authority().is_none() || url.authority() == told.authority();
    let is_job = told.path().strip_suffix("/status") == Some(url.path());
    is_same_origin && (is_job || told.path_and_query() == url.path_and_query())
}
