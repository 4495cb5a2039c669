use super::*;

#[derive(Debug, PartialEq, serde::Serialize, serde::Deserialize)]
struct Document {
    #[serde(default, with = "super")]
    #[serde(skip_serializing_if = "is_unwritable")]
    at: Option<SystemTime>,
}

fn json(at: SystemTime) -> String {
    serde_json::to_string(&Document { at: Some(at) }).unwrap()
}

fn read(json: &str) -> Option<SystemTime> {
    serde_json::from_str::<Document>(json).unwrap().at
}

#[test]
fn times_are_utc_with_milliseconds() {
    let at = UNIX_EPOCH + Duration::from_micros(1_767_323_045_678_900);
    assert_eq!(json(at), r#"{"at":"2026-01-02T03:04:05.678Z"}"#);
    assert_eq!(
        read(&json(at)),
        Some(UNIX_EPOCH + Duration::from_millis(1_767_323_045_678))
    );
}

#[test]
fn times_without_a_text_are_left_out() {
    for at in [
        UNIX_EPOCH - Duration::from_nanos(1),
        UNIX_EPOCH + END,
        UNIX_EPOCH + Duration::from_secs(u64::MAX / 4),
    ] {
        assert_eq!(json(at), "{}", "{at:?}");
    }
    let last = UNIX_EPOCH + END - Duration::from_nanos(1);
    assert_eq!(json(last), r#"{"at":"9999-12-31T23:59:59.999Z"}"#);
}

#[test]
fn text_that_is_no_time_is_an_absent_time() {
    for text in [
        "",
        "yesterday",
        "2026-13-01T00:00:00Z",
        "2026-01-02",
        "é026-01-02T03:04:05Z",
    ] {
        assert_eq!(read(&format!(r#"{{"at":"{text}"}}"#)), None, "{text:?}");
    }
    assert_eq!(read("{}"), None);
    assert_eq!(read(r#"{"at":null}"#), None);
}

#[test]
fn every_day_has_the_date_that_the_calendar_gives_it() {
    let end = END.as_secs() / 86_400;
    for day in (0..end).step_by(13).chain(0..40_000) {
        let at = UNIX_EPOCH + Duration::from_secs(day * 86_400 + 86_399);
        let expected = humantime::format_rfc3339_millis(at).to_string();
        assert_eq!(
            text(Some(at)).as_ref().map(<[u8; 24]>::as_slice),
            Some(expected.as_bytes())
        );
    }
}
