//! The report as a JSON document.

use serde_json::{Map, Value, json};

use super::Report;
use crate::{check::verdict::Verdict, words};

/// Formats the report as a document of one line.
pub(in crate::check) fn json(report: &Report<'_>) -> String {
    let checks = report.verdicts.iter().map(|(check, verdict)| {
        let mut members = Map::new();
        members.insert("requirement".to_owned(), check.number.to_string().into());
        members.insert("title".to_owned(), check.title.into());
        members.insert("verdict".to_owned(), verdict.word().to_lowercase().into());
        match verdict {
            Verdict::Pass => {}
            Verdict::NotApplicable(reason) | Verdict::Timeout(reason) => {
                members.insert("reason".to_owned(), reason.as_str().into());
            }
            Verdict::Fail(finding) | Verdict::Warn(finding) => {
                members.insert("expected".to_owned(), finding.expected.as_str().into());
                members.insert("got".to_owned(), finding.got.as_str().into());
                members.insert("curl".to_owned(), finding.curl.as_str().into());
            }
        }
        Value::Object(members)
    });
    let document = json!({
        "method": report.method,
        "url": report.url,
        "requests": report.requests,
        "submissions": report.jobs,
        "checks": checks.collect::<Vec<_>>(),
    });
    words::json(&document.to_string())
}
