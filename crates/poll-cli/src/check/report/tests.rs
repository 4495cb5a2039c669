use super::{
    super::{table::CHECKS, verdict::Finding},
    *,
};

fn finding() -> Finding {
    Finding {
        expected: "202".to_owned(),
        got: "200 \u{1b}[2J<&\"".to_owned(),
        curl: "curl -i -X DELETE 'http://a/w/1'".to_owned(),
    }
}

fn report() -> Report<'static> {
    let verdicts = [
        Verdict::Pass,
        Verdict::Fail(finding()),
        Verdict::Warn(finding()),
        Verdict::NotApplicable("not offered\n".to_owned()),
        Verdict::Timeout("too late".to_owned()),
    ];
    Report {
        method: "POST".to_owned(),
        url: "http://a/report?a=1&b=2".to_owned(),
        verdicts: CHECKS.iter().zip(verdicts).collect(),
        requests: 70,
        jobs: 9,
    }
}

#[test]
fn each_requirement_is_a_line_with_details_of_failures() {
    let text = text::text(&report());
    assert_eq!(
        text,
        "1.1   pass     An answer within the inline wait is the handler's\n\
         1.2   FAIL     A deferral is 303 or 202, and its job ends\n      \
         expected 202\n      \
         got      200 \u{fffd}[2J<&\"\n      \
         curl -i -X DELETE 'http://a/w/1'\n\
         1.3   warn     A pending answer has its fields and document\n      \
         expected 202\n      \
         got      200 \u{fffd}[2J<&\"\n      \
         curl -i -X DELETE 'http://a/w/1'\n\
         1.4   n/a      Retry-After is whole seconds, also in ms: not offered\u{fffd}\n\
         1.5   timeout  Location does not depend on Host: too late\n\
         1 pass, 1 FAIL, 1 warn, 1 timeout, 1 n/a; 70 requests, 9 of them the request itself"
    );
}

#[test]
fn json_has_the_same_information() {
    let document: serde_json::Value = serde_json::from_str(&json::json(&report())).unwrap();
    assert_eq!(document["requests"], 70);
    assert_eq!(document["submissions"], 9);
    let checks = document["checks"].as_array().unwrap();
    let verdicts: Vec<_> = checks
        .iter()
        .map(|check| check["verdict"].as_str())
        .collect();
    let expected = ["pass", "fail", "warn", "n/a", "timeout"].map(Some);
    assert_eq!(verdicts, expected);
    assert_eq!(checks[1]["got"], "200 \u{1b}[2J<&\"");
    assert_eq!(checks[3]["reason"], "not offered\n");
    assert!(!json::json(&report()).contains('\u{1b}'));
}

#[test]
fn junit_escapes_what_xml_does_not_allow() {
    let text = junit::junit(&report());
    assert!(
        text.contains(r#"tests="5" failures="1" errors="0" skipped="2""#),
        "{text}"
    );
    assert!(text.contains("a=1&amp;b=2"), "{text}");
    assert!(
        text.contains("got 200 \u{fffd}[2J&lt;&amp;&quot;\">"),
        "{text}"
    );
    assert!(!text.contains('\u{1b}'));
}
