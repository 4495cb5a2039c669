use http::HeaderValue;

use super::*;

fn headers(values: &[&str]) -> HeaderMap {
    values
        .iter()
        .map(|value| (PREFER, HeaderValue::from_str(value).unwrap()))
        .collect()
}

fn read(values: &[&str]) -> (bool, Option<u64>) {
    let prefer = Prefer::from_headers(&headers(values));
    (
        prefer.respond_async(),
        prefer.wait().map(|wait| wait.as_secs()),
    )
}

/// The values that remain once the known preferences are taken.
fn left(values: &[&str]) -> Vec<String> {
    let mut headers = headers(values);
    let read = Prefer::from_headers(&headers);
    assert_eq!(Prefer::take(&mut headers), read);
    assert!(Prefer::from_headers(&headers).is_empty());
    let values = headers.get_all(PREFER).iter();
    values
        .map(|value| value.to_str().unwrap().to_owned())
        .collect()
}

#[test]
fn preferences_are_read_from_lists_and_several_fields() {
    assert_eq!(read(&["respond-async, wait=10"]), (true, Some(10)));
    assert_eq!(read(&["wait=10", "respond-async"]), (true, Some(10)));
    assert_eq!(read(&[" ,, wait=3 ,"]), (false, Some(3)));
    assert_eq!(read(&[]), (false, None));
    assert_eq!(read(&[""]), (false, None));
}

#[test]
fn names_have_no_case_and_white_space_no_meaning() {
    assert_eq!(read(&["Respond-Async,WAIT\t= 5 ; x=y"]), (true, Some(5)));
}

#[test]
fn the_first_instance_counts() {
    assert_eq!(read(&["wait=1, wait=2", "wait=3"]), (false, Some(1)));
    assert_eq!(read(&["wait=soon, wait=2"]), (false, None));
}

#[test]
fn values_may_be_quoted_and_empty_ones_are_none() {
    assert_eq!(read(&[r#"wait="10""#]), (false, Some(10)));
    assert_eq!(read(&[r#"wait="1\0""#]), (false, Some(10)));
    assert_eq!(read(&[r#"respond-async="""#]), (true, None));
    assert_eq!(read(&["respond-async="]), (true, None));
}

#[test]
fn unusable_values_are_ignored() {
    for value in [
        "wait",
        "wait=",
        "wait=-1",
        "wait=1.5",
        "wait=1 2",
        r#"wait="1"#,
        "wait='1'",
    ] {
        assert_eq!(read(&[value]), (false, None), "{value:?}");
    }
    assert_eq!(read(&["respond-async=no"]), (false, None));
}

#[test]
fn s28_an_absurd_wait_saturates() {
    let absurd = format!("wait={}", "9".repeat(30));
    assert_eq!(read(&[&absurd]), (false, Some(u64::MAX)));
}

#[test]
fn what_stands_in_a_quoted_string_or_a_parameter_is_no_preference() {
    assert_eq!(read(&[r#"x="a, respond-async, wait=1""#]), (false, None));
    assert_eq!(read(&[r#"x="a\", wait=1""#]), (false, None));
    assert_eq!(read(&["x; wait=1; respond-async"]), (false, None));
    assert_eq!(read(&[r#"x="unclosed, wait=1"#]), (false, None));
}

#[test]
fn taking_leaves_unknown_preferences_as_they_are() {
    assert_eq!(left(&["respond-async, wait=1"]), [""; 0]);
    assert_eq!(
        left(&[r#"return=minimal ; a="b,c" ,wait=1, x"#]),
        [r#"return=minimal ; a="b,c", x"#]
    );
    assert_eq!(
        left(&["a ,, b", "respond-async", "c,wait=1,wait=2", "d"]),
        ["a ,, b", "c", "d"]
    );
}

#[test]
fn taking_touches_nothing_where_there_is_nothing() {
    assert_eq!(left(&["a ,, b", ""]), ["a ,, b", ""]);
    assert_eq!(left(&[]), [""; 0]);
}

#[test]
fn taking_keeps_values_sensitive() {
    let mut value = HeaderValue::from_static("a, wait=1");
    value.set_sensitive(true);
    let mut headers = HeaderMap::from_iter([(PREFER, value)]);
    let _ = Prefer::take(&mut headers);
    assert!(headers[PREFER].is_sensitive());
}

#[test]
fn what_is_written_reads_back_and_stands_beside_the_rest() {
    let prefer = Prefer::new()
        .with_respond_async()
        .with_wait(Duration::from_millis(1_500));
    let mut headers = headers(&["return=minimal"]);
    prefer.append_to(&mut headers);
    let values: Vec<_> = headers.get_all(PREFER).iter().collect();
    assert_eq!(values, ["return=minimal", "respond-async, wait=2"]);
    assert_eq!(Prefer::from_headers(&headers), prefer);
}

#[test]
fn no_preference_writes_nothing() {
    let mut headers = HeaderMap::new();
    Prefer::new().append_to(&mut headers);
    PreferenceApplied::new().append_to(&mut headers);
    assert!(headers.is_empty());
}

#[test]
fn what_was_applied_stands_in_its_own_field() {
    let applied = PreferenceApplied::new().with_wait(Duration::from_secs(3));
    let mut headers = headers(&["respond-async"]);
    applied.append_to(&mut headers);
    assert_eq!(headers[PREFERENCE_APPLIED], "wait=3");
    assert_eq!(PreferenceApplied::from_headers(&headers), applied);
}

#[test]
fn callback_is_read_and_removed_and_the_rest_is_kept() {
    let taken = |values: &[&'static str]| {
        let mut headers = headers(values);
        let url = take_callback(&mut headers);
        let left: Vec<_> = headers.get_all(PREFER).iter().cloned().collect();
        (url, left)
    };
    let (none, left) = taken(&["respond-async, callbacks; url=a"]);
    assert_eq!(none, None);
    assert_eq!(left, ["respond-async, callbacks; url=a"]);
    let (url, left) = taken(&[
        r#"a; url=x, Callback ; b=1 ; URL = "https://h/\"?a=1,2;3" , wait=3"#,
        "odata.callback; url=https://second",
    ]);
    assert_eq!(url.as_deref(), Some(r#"https://h/"?a=1,2;3"#));
    assert_eq!(left, ["a; url=x, wait=3"]);
    let (url, left) = taken(&["odata.callback; url=https://h"]);
    assert_eq!(url.as_deref(), Some("https://h"));
    assert!(left.is_empty());
    for without in ["callback", "callback; url", "callback; other=https://h"] {
        assert_eq!(taken(&[without]).0.as_deref(), Some(""), "{without}");
    }
}
