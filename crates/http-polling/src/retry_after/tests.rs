use super::*;

const NOW: Duration = Duration::from_secs(784_111_777); // Sun, 06 Nov 1994 08:49:37 GMT

fn now() -> SystemTime {
    UNIX_EPOCH + NOW
}

fn headers(fields: &[(HeaderName, &str)]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for (name, value) in fields {
        headers.append(name, HeaderValue::from_str(value).unwrap());
    }
    headers
}

fn asked(fields: &[(HeaderName, &str)]) -> Option<Duration> {
    retry_after(&headers(fields), now())
}

fn seconds(seconds: u64) -> Option<Duration> {
    Some(Duration::from_secs(seconds))
}

#[test]
fn delays_are_whole_seconds() {
    assert_eq!(asked(&[(RETRY_AFTER, "120")]), seconds(120));
    assert_eq!(asked(&[(RETRY_AFTER, " 007\t")]), seconds(7));
}

#[test]
fn c10_zero_is_a_delay_and_garbage_is_none() {
    assert_eq!(asked(&[(RETRY_AFTER, "0")]), seconds(0));
    for text in [
        "",
        "-1",
        "+5",
        "soon",
        ",",
        "1.",
        ".5",
        "1.2.3",
        "5;x",
        "5 fortnights",
        "2031-01-01T00:00:00Z",
        "Wed, 01 Jan 2031 10:00:00 UTC",
        "Wed, 01 Jan 2031 10:00:00",
        "1e3",
        "Sun, 99 Nov 1994 08:49:37 GMT",
    ] {
        assert_eq!(asked(&[(RETRY_AFTER, text)]), None, "{text:?}");
    }
    assert_eq!(asked(&[]), None);
}

#[test]
fn c29_delays_outside_the_grammar_are_read() {
    for (text, expected) in [
        ("2.0", 2),
        ("0.3", 1),
        ("299.997", 300),
        ("0.0", 0),
        ("30 s", 30),
        ("30s", 30),
        ("30 Seconds", 30),
        ("2.5 sec", 3),
        ("2 minutes", 120),
        ("1m 30s", 90),
        ("500 ms", 1),
        ("30,120", 120),
        ("120, 30", 120),
        ("0.3, 2 s,", 2),
        ("30, soon", 30),
        ("999999999999999999999999.5", u64::MAX),
    ] {
        assert_eq!(asked(&[(RETRY_AFTER, text)]), seconds(expected), "{text:?}");
    }
}

#[test]
fn c29_the_largest_delay_of_several_fields_counts() {
    let fields = [
        (RETRY_AFTER, "30"),
        (RETRY_AFTER, "120"),
        (RETRY_AFTER, "x"),
    ];
    assert_eq!(asked(&fields), seconds(120));
    let date = "Sun, 06 Nov 1994 08:50:37 GMT";
    assert_eq!(
        asked(&[(RETRY_AFTER, date), (RETRY_AFTER, "5")]),
        seconds(60)
    );
    assert_eq!(
        asked(&[(RETRY_AFTER, "5"), (RETRY_AFTER, date)]),
        seconds(5)
    );
}

#[test]
fn c29_unreadable_delays_are_told_from_none() {
    for name in [RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS] {
        assert!(has_retry_after(&headers(&[(name, "soon")])));
    }
    assert!(!has_retry_after(&headers(&[(DATE, "soon")])));
}

#[test]
fn c11_an_absurd_delay_saturates() {
    let absurd = format!("1{}", "0".repeat(30));
    assert_eq!(asked(&[(RETRY_AFTER, &absurd)]), seconds(u64::MAX));
    assert_eq!(
        asked(&[(RETRY_AFTER_MS, &absurd)]),
        Some(Duration::from_millis(u64::MAX))
    );
}

#[test]
fn c11_the_year_9999_is_a_long_delay() {
    let delay = asked(&[(RETRY_AFTER, "Fri, 31 Dec 9999 23:59:59 GMT")]).unwrap();
    assert_eq!(delay, LAST_DATE - NOW);
}

#[test]
fn dates_are_read_in_all_three_forms() {
    for text in [
        "Sun, 06 Nov 1994 08:50:37 GMT",
        "Sunday, 06-Nov-94 08:50:37 GMT",
        "Sun Nov  6 08:50:37 1994",
    ] {
        assert_eq!(asked(&[(RETRY_AFTER, text)]), seconds(60), "{text:?}");
    }
}

#[test]
fn c12_a_date_is_measured_against_the_responses_own() {
    let skewed = [
        (DATE, "Mon, 07 Nov 1994 08:00:00 GMT"),
        (RETRY_AFTER, "Mon, 07 Nov 1994 08:00:05 GMT"),
    ];
    assert_eq!(asked(&skewed), seconds(5));
}

#[test]
fn c12_a_date_that_has_passed_is_zero() {
    let past = [
        (DATE, "Mon, 07 Nov 1994 08:00:05 GMT"),
        (RETRY_AFTER, "Mon, 07 Nov 1994 08:00:00 GMT"),
    ];
    assert_eq!(asked(&past), seconds(0));
}

#[test]
fn c12_the_date_of_a_cached_response_is_not_trusted() {
    let cached = [
        (AGE, "3600"),
        (DATE, "Sun, 06 Nov 1994 07:49:37 GMT"),
        (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:40 GMT"),
    ];
    assert_eq!(asked(&cached), seconds(3));
}

#[test]
fn c12_without_a_usable_date_the_own_clock_counts() {
    let garbage = [
        (DATE, "today"),
        (RETRY_AFTER, "Sun, 06 Nov 1994 08:49:40 GMT"),
    ];
    assert_eq!(asked(&garbage), seconds(3));
}

#[test]
fn milliseconds_go_first_and_round_up() {
    let all = [
        (RETRY_AFTER, "3"),
        (X_MS_RETRY_AFTER_MS, "2000"),
        (RETRY_AFTER_MS, "1500.2"),
    ];
    assert_eq!(asked(&all), Some(Duration::from_millis(1_501)));
    assert_eq!(asked(&all[..2]), Some(Duration::from_millis(2_000)));
    assert_eq!(
        asked(&[(RETRY_AFTER_MS, "1500.000")]),
        Some(Duration::from_millis(1_500))
    );
}

#[test]
fn an_unusable_value_gives_way_to_the_next() {
    for garbage in ["", "-5", ".5", "5.", "1.2.3", "1s", "1e9"] {
        let fields = [
            (RETRY_AFTER_MS, garbage),
            (RETRY_AFTER, "x"),
            (RETRY_AFTER, "3"),
        ];
        assert_eq!(asked(&fields), seconds(3), "{garbage:?}");
    }
}

#[test]
fn what_is_set_rounds_up_and_is_at_least_a_second() {
    for (delay, seconds, millis) in [
        (Duration::ZERO, "1", "0"),
        (Duration::from_nanos(1), "1", "1"),
        (Duration::from_millis(1_000), "1", "1000"),
        (Duration::from_micros(2_000_001), "3", "2001"),
        (
            Duration::MAX,
            "18446744073709551615",
            "18446744073709551615",
        ),
    ] {
        let mut headers = headers(&[(RETRY_AFTER, "77"), (RETRY_AFTER, "78")]);
        set_retry_after(&mut headers, delay);
        assert_eq!(headers[RETRY_AFTER], seconds, "{delay:?}");
        assert_eq!(headers[RETRY_AFTER_MS], millis, "{delay:?}");
        assert_eq!(headers.len(), 2, "{delay:?}");
    }
}

#[test]
fn a_date_is_written_within_what_http_can_write() {
    let written = |date| RetryAfter::Date(date).to_header_value();
    assert_eq!(written(now()), "Sun, 06 Nov 1994 08:49:37 GMT");
    assert_eq!(
        written(now() - Duration::from_millis(1)),
        "Sun, 06 Nov 1994 08:49:37 GMT"
    );
    assert_eq!(
        written(UNIX_EPOCH - Duration::from_secs(9)),
        "Thu, 01 Jan 1970 00:00:00 GMT"
    );
    assert_eq!(
        written(UNIX_EPOCH + LAST_DATE * 2),
        "Fri, 31 Dec 9999 23:59:59 GMT"
    );
}
