//! The report in the XML format of JUnit, which CI systems show.

use super::Report;
use crate::{
    check::verdict::{Finding, Verdict},
    words,
};

/// Formats the report as a document of XML.
pub(in crate::check) fn junit(report: &Report<'_>) -> String {
    let skipped = report.count("n/a") + report.count("timeout");
    let mut lines = vec![
        r#"<?xml version="1.0" encoding="UTF-8"?>"#.to_owned(),
        format!(
            r#"<testsuite name="{}" tests="{}" failures="{}" errors="0" skipped="{skipped}">"#,
            escaped(&format!("poll check {} {}", report.method, report.url)),
            report.verdicts.len(),
            report.count("FAIL"),
        ),
    ];
    for (check, verdict) in &report.verdicts {
        let name = escaped(&format!("{} {}", check.number, check.title));
        let case = format!(r#"  <testcase classname="poll.check" name="{name}""#);
        let inner = match verdict {
            Verdict::Pass => {
                lines.push(format!("{case}/>"));
                continue;
            }
            Verdict::Fail(finding) => element("failure", finding),
            Verdict::Warn(finding) => {
                format!("<system-out>{}</system-out>", escaped(&details(finding)))
            }
            Verdict::NotApplicable(reason) => skip(reason),
            Verdict::Timeout(reason) => skip(&format!("timeout: {reason}")),
        };
        lines.push(format!("{case}>\n    {inner}\n  </testcase>"));
    }
    lines.push("</testsuite>".to_owned());
    lines.join("\n")
}

fn skip(reason: &str) -> String {
    format!(r#"<skipped message="{}"/>"#, escaped(reason))
}

fn element(name: &str, finding: &Finding) -> String {
    let message = format!("expected {}, got {}", finding.expected, finding.got);
    format!(
        r#"<{name} message="{}">{}</{name}>"#,
        escaped(&message),
        escaped(&details(finding))
    )
}

fn details(finding: &Finding) -> String {
    let Finding {
        expected,
        got,
        curl,
    } = finding;
    format!("expected {expected}; got {got}; {curl}")
}

/// Escapes text for XML. Characters that XML does not allow are replaced like those that could
/// control a terminal.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in words::line(text).chars() {
        match c {
            '&' => escaped += "&amp;",
            '<' => escaped += "&lt;",
            '>' => escaped += "&gt;",
            '"' => escaped += "&quot;",
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            c => escaped.push(c),
        }
    }
    escaped
}
