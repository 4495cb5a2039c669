//! The validators of results (RFC 9110, section 8.8).

use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

use http::{
    HeaderMap, HeaderValue,
    header::{ACCEPT_RANGES, ETAG, LAST_MODIFIED},
};
use tower_async_job_core::JobRecord;

/// Adds the validators of a result to its headers, and that ranges are accepted. Those of the
/// handler take precedence.
///
/// The entity-tag consists of the run's epoch, which no other result of the job has, and the second
/// of its end, which differs if a store has lost a result that clients have seen. It is scoped to
/// the URL of the job, so it need not contain the id, and other readers of the tag learn nothing of
/// it. Both validators are strong, since a stored result never changes.
pub(super) fn add(headers: &mut HeaderMap, record: &JobRecord) {
    if let Some(ended) = record.ended {
        let (tag, modified) = validators(ended, record.epoch);
        headers.entry(ETAG).or_insert(tag);
        headers.entry(LAST_MODIFIED).or_insert(modified);
    }
    let bytes = HeaderValue::from_static("bytes");
    headers.entry(ACCEPT_RANGES).or_insert(bytes);
}

/// The validators of all runs with one epoch that ended within one second.
struct Validators {
    second: u64,
    epoch: u64,
    tag: HeaderValue,
    modified: HeaderValue,
}

thread_local! {
    /// The validators of recent seconds. Most results are read soon after their end, and copies of
    /// these values take no memory.
    static RECENT: RefCell<[Option<Validators>; 64]> = const { RefCell::new([const { None }; 64]) };
}

fn validators(ended: SystemTime, epoch: u64) -> (HeaderValue, HeaderValue) {
    let since = ended.duration_since(SystemTime::UNIX_EPOCH);
    let second = since.unwrap_or_default().as_secs().min(LATEST);
    RECENT.with_borrow_mut(|recent| {
        let known = match &mut recent[(second % 64) as usize] {
            Some(known) if (known.second, known.epoch) == (second, epoch) => known,
            place => place.insert(Validators::new(second, epoch)),
        };
        (known.tag.clone(), known.modified.clone())
    })
}

/// The last second that an HTTP-date can express.
const LATEST: u64 = 253_402_300_799;

impl Validators {
    #[cold]
    fn new(second: u64, epoch: u64) -> Self {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
        let value = |text: String| HeaderValue::try_from(text).expect("visible ASCII");
        Self {
            second,
            epoch,
            tag: value(format!("\"{second:x}-{epoch:x}\"")),
            modified: value(httpdate::fmt_http_date(time)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn validators_are_those_of_the_second_and_the_epoch() {
        let second = |second| SystemTime::UNIX_EPOCH + Duration::from_millis(1000 * second + 7);
        let text = |(tag, modified): (HeaderValue, HeaderValue)| {
            [tag, modified].map(|value| value.to_str().expect("text").to_owned())
        };
        let first = ["\"3b9aca00-1\"", "Sun, 09 Sep 2001 01:46:40 GMT"];
        assert_eq!(text(validators(second(1_000_000_000), 1)), first);
        // These take the same place among the recent ones.
        let again = ["\"3b9aca00-2\"", "Sun, 09 Sep 2001 01:46:40 GMT"];
        assert_eq!(text(validators(second(1_000_000_000), 2)), again);
        let later = ["\"3b9aca40-1\"", "Sun, 09 Sep 2001 01:47:44 GMT"];
        assert_eq!(text(validators(second(1_000_000_064), 1)), later);
        assert_eq!(text(validators(second(1_000_000_000), 1)), first);
        let last = text(validators(second(LATEST + 1), u64::MAX));
        assert_eq!(last[1], "Fri, 31 Dec 9999 23:59:59 GMT");
    }
}
