use super::*;

const MODIFIED: &str = "Thu, 26 Nov 2026 12:00:00 GMT";
const BEFORE: &str = "Thu, 26 Nov 2026 11:59:59 GMT";
const LATER: &str = "Thu, 26 Nov 2026 12:00:01 GMT";

fn map(fields: &[(&'static str, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(*name, HeaderValue::from_str(value).expect("valid"));
    }
    headers
}

fn current() -> HeaderMap {
    map(&[("etag", "\"a,b\""), ("last-modified", MODIFIED)])
}

/// Asks the conditions of a request with these fields.
fn asked<T>(fields: &[(&'static str, &str)], ask: impl FnOnce(Conditions<'_>) -> T) -> T {
    ask(Conditions {
        headers: &Conditions::among(&map(fields)),
        ranges: true,
        preconditions: true,
    })
}

fn verdict(fields: &[(&'static str, &str)], current: &HeaderMap) -> Verdict {
    asked(fields, |conditions| conditions.verdict(current))
}

fn selected(fields: &[(&'static str, &str)], current: &HeaderMap, length: u64) -> Selected {
    asked(fields, |conditions| conditions.selected(current, length))
}

#[test]
fn preconditions_are_evaluated_in_their_order() {
    use Verdict::{Failed, Met, NotModified};
    for (fields, expected) in [
        (&[][..], Met),
        (&[("if-match", "\"x\", \"a,b\"")], Met),
        (&[("if-match", "\"x\""), ("if-match", "\"a,b\"")], Met),
        (&[("if-match", "*")], Met),
        (&[("if-match", "W/\"a,b\"")], Failed),
        (&[("if-match", "\"x\"")], Failed),
        (&[("if-match", "a,b")], Failed),
        (&[("if-match", "")], Failed),
        (&[("if-unmodified-since", MODIFIED)], Met),
        (&[("if-unmodified-since", BEFORE)], Failed),
        (&[("if-unmodified-since", "yesterday")], Met),
        // If-Match takes precedence over the date.
        (
            &[("if-match", "\"a,b\""), ("if-unmodified-since", BEFORE)],
            Met,
        ),
        (&[("if-none-match", "\"x\"")], Met),
        (&[("if-none-match", "\"x\" ,, W/\"a,b\"")], NotModified),
        (&[("if-none-match", "*")], NotModified),
        (&[("if-modified-since", MODIFIED)], NotModified),
        (&[("if-modified-since", LATER)], NotModified),
        (&[("if-modified-since", BEFORE)], Met),
        (&[("if-modified-since", "0")], Met),
        // If-None-Match takes precedence over the date.
        (
            &[("if-none-match", "\"x\""), ("if-modified-since", LATER)],
            Met,
        ),
        // A failed precondition takes precedence over one that saves the transfer.
        (&[("if-match", "\"x\""), ("if-none-match", "*")], Failed),
        (&[("if-match", "*"), ("if-none-match", "*")], NotModified),
    ] {
        assert_eq!(verdict(fields, &current()), expected, "{fields:?}");
    }
}

#[test]
fn preconditions_hold_for_representations_without_validators() {
    use Verdict::{Failed, Met, NotModified};
    for (field, expected) in [
        (("if-match", "*"), Met),
        (("if-match", "\"a\""), Failed),
        (("if-none-match", "*"), NotModified),
        (("if-none-match", "\"a\""), Met),
        (("if-modified-since", MODIFIED), Met),
        (("if-unmodified-since", BEFORE), Met),
    ] {
        assert_eq!(verdict(&[field], &HeaderMap::new()), expected, "{field:?}");
    }
}

fn part(first: u64, last: u64, is_rest: bool) -> Selected {
    Selected::Part {
        first,
        last,
        is_rest,
    }
}

#[test]
fn ranges_are_parts_of_the_representation() {
    use Selected::{Nothing, Whole};
    let huge = format!("bytes={0}-{0}", "9".repeat(40));
    let to_huge = format!("bytes=3-{}", "9".repeat(40));
    for (range, expected) in [
        ("bytes=0-0", part(0, 0, false)),
        ("bytes=2-5", part(2, 5, false)),
        ("bytes=2-9", part(2, 9, false)),
        ("bytes=2-10", part(2, 9, false)),
        (&to_huge, part(3, 9, false)),
        ("bytes=9-", part(9, 9, true)),
        ("bytes=0-", part(0, 9, true)),
        ("bytes=-1", part(9, 9, false)),
        ("bytes=-10", part(0, 9, false)),
        ("bytes=-11", part(0, 9, false)),
        ("Bytes= ,1-2\t, ", part(1, 2, false)),
        ("bytes=10-", Nothing),
        ("bytes=10-12", Nothing),
        ("bytes=-0", Nothing),
        (&huge, Nothing),
        ("bytes=5-2", Whole),
        ("bytes=0-0,2-3", Whole),
        ("bytes=-", Whole),
        ("bytes=", Whole),
        ("bytes=+1-2", Whole),
        ("bytes=1-2-3", Whole),
        ("bytes=1--2", Whole),
        ("bytes 0-1", Whole),
        ("lines=0-1", Whole),
        ("", Whole),
    ] {
        assert_eq!(
            selected(&[("range", range)], &current(), 10),
            expected,
            "{range}"
        );
    }
    let twice = [("range", "bytes=0-0"), ("range", "bytes=1-1")];
    assert_eq!(selected(&twice, &current(), 10), Whole);
    for (range, expected) in [
        ("bytes=0-", Nothing),
        ("bytes=-5", Whole),
        ("bytes=-0", Nothing),
    ] {
        assert_eq!(
            selected(&[("range", range)], &current(), 0),
            expected,
            "{range}"
        );
    }
}

#[test]
fn ranges_count_only_if_the_representation_is_still_the_same() {
    let range = |validator| {
        let fields = [("range", "bytes=1-2"), ("if-range", validator)];
        selected(&fields, &current(), 10) == part(1, 2, false)
    };
    for validator in ["\"a,b\"", MODIFIED] {
        assert!(range(validator), "{validator}");
    }
    for validator in [
        "\"a\"",
        "W/\"a,b\"",
        "a,b",
        BEFORE,
        LATER,
        "",
        "*",
        "\"x\", \"a,b\"",
    ] {
        assert!(!range(validator), "{validator}");
    }
    let weak = map(&[("etag", "W/\"a\"")]);
    for validator in ["W/\"a\"", "\"a\"", MODIFIED] {
        let fields = [("range", "bytes=1-2"), ("if-range", validator)];
        assert_eq!(selected(&fields, &weak, 10), Selected::Whole, "{validator}");
    }
    let twice = [
        ("range", "bytes=1-2"),
        ("if-range", MODIFIED),
        ("if-range", MODIFIED),
    ];
    assert_eq!(selected(&twice, &current(), 10), Selected::Whole);
    // The range of a request that does not count is not even looked at.
    let beyond = [("range", "bytes=20-"), ("if-range", "\"x\"")];
    assert_eq!(selected(&beyond, &current(), 10), Selected::Whole);
}
