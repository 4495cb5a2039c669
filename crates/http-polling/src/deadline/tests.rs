use http::HeaderValue;

use super::*;

fn asked(text: &str) -> Result<Option<Duration>, InvalidCancelAfter> {
    let mut headers = HeaderMap::new();
    headers.insert(
        CANCEL_AFTER,
        HeaderValue::from_str(text).expect("a header value"),
    );
    cancel_after(&headers)
}

#[test]
fn cancel_after_takes_seconds_and_units() {
    for (text, seconds) in [
        ("5", 5),
        (" 90 ", 90),
        ("90s", 90),
        ("2m", 120),
        ("1h30m", 5400),
    ] {
        assert_eq!(
            asked(text),
            Ok(Some(Duration::from_secs(seconds))),
            "{text}"
        );
    }
}

#[test]
fn absurd_cancel_after_is_the_largest_there_is() {
    let absurd = "9".repeat(30);
    let seconds = Duration::from_secs(u64::MAX);
    assert_eq!(asked(&absurd), Ok(Some(seconds)));
    for unit in ["s", "h", " years"] {
        assert_eq!(asked(&format!("{absurd}{unit}")), Ok(Some(Duration::MAX)));
    }
    assert_eq!(asked(&format!("{}y", u64::MAX)), Ok(Some(Duration::MAX)));
}

#[test]
fn any_other_cancel_after_is_invalid() {
    for text in ["", "soon", "-5", "1.5.5", "5x", "5s, 6s"] {
        assert_eq!(asked(text), Err(InvalidCancelAfter(())), "{text}");
    }
    let mut twice = HeaderMap::new();
    twice.append(CANCEL_AFTER, HeaderValue::from_static("5"));
    twice.append(CANCEL_AFTER, HeaderValue::from_static("5"));
    assert_eq!(cancel_after(&twice), Err(InvalidCancelAfter(())));
}

#[test]
fn every_unit_of_grpc_timeout_is_read() {
    assert_eq!(grpc_timeout("2H"), Some(Duration::from_secs(7200)));
    assert_eq!(grpc_timeout("3M"), Some(Duration::from_secs(180)));
    assert_eq!(grpc_timeout("4S"), Some(Duration::from_secs(4)));
    assert_eq!(grpc_timeout("5m"), Some(Duration::from_millis(5)));
    assert_eq!(grpc_timeout("6u"), Some(Duration::from_micros(6)));
    assert_eq!(grpc_timeout("7n"), Some(Duration::from_nanos(7)));
}

#[test]
fn longest_grpc_timeout_does_not_overflow() {
    let hours = Duration::from_secs(99_999_999 * 3600);
    assert_eq!(grpc_timeout("99999999H"), Some(hours));
}

#[test]
fn anything_else_is_no_grpc_timeout() {
    for text in ["", "S", "5", "5s", "-5S", "1.5S", "123456789S", "5 S"] {
        assert_eq!(grpc_timeout(text), None, "{text:?}");
    }
}
