//! Other principals.

use http_polling::JobState;

use super::job::has_body;
use crate::check::{
    evidence::Evidence,
    location::id,
    record::Exchange,
    step::{Moment, Step, Way},
    verdict::Judged,
};

/// The fields that are compared. Proxies add others, which differ for each request.
const FIELDS: [&str; 12] = [
    "accept-ranges",
    "allow",
    "cache-control",
    "content-location",
    "content-range",
    "content-type",
    "etag",
    "job-status",
    "last-modified",
    "location",
    "retry-after",
    "retry-after-ms",
];

/// 2.13
pub(in crate::check) fn stranger(evidence: &Evidence) -> Judged {
    evidence.look(Step::Stranger(Moment::Pending, Way::Get))?;
    for moment in [Moment::Pending, Moment::Ended] {
        for way in Way::ALL {
            let (Ok(answered), Ok(unknown)) = (
                evidence.look(Step::Stranger(moment, way)),
                evidence.look(Step::StrangerUnknown(moment, way)),
            ) else {
                continue;
            };
            same(answered, unknown, way)?;
        }
    }
    let after = evidence.look(Step::AfterStranger)?;
    after.must(
        after.answer.state() != Some(JobState::Cancelled),
        "the job unchanged by the DELETE of another principal",
        after.answer.summary(),
    )
}

fn same(answered: &Exchange, unknown: &Exchange, way: Way) -> Judged {
    answered.must(
        answered.answer.status == unknown.answer.status,
        format!("{}, as for an unknown id", unknown.answer.summary()),
        answered.answer.summary(),
    )?;
    for name in FIELDS {
        let (got, expected) = (answered.answer.field(name), unknown.answer.field(name));
        answered.must(
            got == expected,
            format!(
                "{name}: {}, as for an unknown id",
                expected.unwrap_or("none")
            ),
            got.unwrap_or("none"),
        )?;
    }
    answered.must(
        !has_body(way) || body(answered) == body(unknown),
        "the body for an unknown id",
        format!("another one of {} bytes", answered.answer.body.len()),
    )
}

/// Returns the body without the id that was asked for.
fn body(exchange: &Exchange) -> String {
    let url = exchange.sent.uri.to_string();
    let url = url.trim_end_matches("/status");
    let id = url
        .parse()
        .map(|url| id(&url).to_owned())
        .unwrap_or_default();
    String::from_utf8_lossy(&exchange.answer.body).replace(&id, "ID")
}
