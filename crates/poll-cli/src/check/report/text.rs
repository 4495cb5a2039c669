//! One line for each requirement, with details of failures.

use super::Report;
use crate::{
    check::verdict::{Finding, Verdict},
    words,
};

/// Formats the report for people.
pub(in crate::check) fn text(report: &Report<'_>) -> String {
    let mut lines = Vec::new();
    for (check, verdict) in &report.verdicts {
        let line = format!(
            "{:<5} {:<8} {}",
            check.number.to_string(),
            verdict.word(),
            check.title
        );
        match verdict {
            Verdict::Pass => lines.push(line),
            Verdict::NotApplicable(reason) | Verdict::Timeout(reason) => {
                lines.push(words::line(&format!("{line}: {reason}")));
            }
            Verdict::Fail(finding) | Verdict::Warn(finding) => {
                lines.push(line);
                lines.extend(details(finding));
            }
        }
    }
    lines.push(summary(report));
    lines.join("\n")
}

fn details(finding: &Finding) -> [String; 3] {
    [
        format!("      expected {}", words::line(&finding.expected)),
        format!("      got      {}", words::line(&finding.got)),
        format!("      {}", words::line(&finding.curl)),
    ]
}

/// Formats the numbers of verdicts and requests.
fn summary(report: &Report<'_>) -> String {
    let words = ["pass", "FAIL", "warn", "timeout", "n/a"];
    let counts = words.map(|word| format!("{} {word}", report.count(word)));
    format!(
        "{}; {} requests, {} of them the request itself",
        counts.join(", "),
        report.requests,
        report.jobs
    )
}
