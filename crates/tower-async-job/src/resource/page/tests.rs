use std::time::Duration;

use base64::{Engine, prelude::BASE64_STANDARD};
use http_polling::{JobState, Progress};
use sha2::{Digest, Sha256};
use tower_async_job_core::{JobHandle, JobId, JobRecord};

use super::{POLICY, SCRIPT, STYLE, TEMPLATE, View, left, spoken};

const SECOND: Duration = Duration::from_secs(1);

fn running(progress: Option<Progress>) -> JobRecord {
    let mut record = JobRecord::new(JobId::random(), JobHandle::random(), JobState::Running);
    record.age = 90 * SECOND;
    record.attempt = 2;
    record.running_for = Some(60 * SECOND);
    record.progress = progress;
    record
}

fn page(record: &JobRecord) -> String {
    View::new(record, left(record), SECOND).fill()
}

#[test]
fn the_policy_has_the_hashes_of_the_style_and_the_script() {
    for asset in [STYLE, SCRIPT] {
        let hash = BASE64_STANDARD.encode(Sha256::digest(asset));
        assert!(
            POLICY.contains(&format!("'sha256-{hash}'")),
            "the policy lacks {hash}, of {asset}"
        );
        assert!(!asset.contains('\r'), "browsers hash other line ends");
    }
}

#[test]
fn every_value_is_escaped() {
    let hostile = "</p><script>alert('1')</script><img src=x onerror=\"alert(2)\">&amp;{{script}}";
    let record = running(Some(Progress::fraction(0.5).with_message(hostile)));
    let page = page(&record);
    assert!(page.contains(
        "dir=\"auto\">&lt;/p&gt;&lt;script&gt;alert(&#x27;1&#x27;)&lt;/script&gt;\
         &lt;img src=x onerror=&quot;alert(2)&quot;&gt;&amp;amp;{{script}}</p>"
    ));
    assert_eq!(page.matches("<script").count(), 1);
    assert_eq!(page.matches("<img").count(), 0);
}

#[test]
fn metadata_and_partial_results_are_not_shown() {
    let mut record = running(None);
    record.partial = Some(serde_json::Value::from("the-partial-result").into());
    record.metadata = Some(serde_json::json!({ "the-key": "the-value" }).into());
    let page = page(&record);
    for secret in ["the-partial-result", "the-key", "the-value"] {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[test]
fn progress_is_told_with_the_time_that_is_left() {
    let page = page(&running(Some(Progress::of(3, 4))));
    assert!(page.contains("<title>75 % · Working on it</title>"));
    assert!(page.contains("<progress id=\"bar\" aria-labelledby=\"heading\" value=\"0.75\">"));
    assert!(page.contains(">1 min 30 s<"));
    assert!(page.contains(">about 20 s<"));
    assert!(
        page.contains(
            "data-age=\"90000\" data-left=\"20000\" data-delay=\"1000\" data-attempt=\"2\""
        )
    );
}

#[test]
fn a_bar_without_known_progress_has_no_value() {
    for state in [JobState::Running, JobState::Queued] {
        let mut record = running(None);
        record.state = state;
        let page = page(&record);
        assert!(page.contains("<progress id=\"bar\" aria-labelledby=\"heading\" data-value=\"\">"));
        assert!(page.contains("data-left=\"\""));
        assert!(page.contains("not known"));
        let heading = match state {
            JobState::Queued => "<title>Waiting to start</title>",
            _ => "<title>Working on it</title>",
        };
        assert!(page.contains(heading));
    }
}

#[test]
fn the_page_is_small_and_in_itself() {
    let page = page(&running(Some(Progress::fraction(0.123_456_789_012))));
    assert!(page.len() < 6 << 10, "{} bytes", page.len());
    for foreign in ["http:", "https:", "src=", "@import", "url("] {
        assert!(!page.contains(foreign), "{foreign}");
    }
    assert!(!TEMPLATE.contains(" style=") && !TEMPLATE.contains(" on"));
}

#[test]
fn times_are_told_as_people_do() {
    for (seconds, told) in [
        (0, "0 s"),
        (59, "59 s"),
        (60, "1 min 0 s"),
        (3_599, "59 min 59 s"),
        (3_600, "1 h 0 min"),
        (90_061, "25 h 1 min"),
    ] {
        assert_eq!(spoken(Duration::from_secs(seconds)), told);
    }
}
