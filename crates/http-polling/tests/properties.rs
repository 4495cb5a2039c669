//! Properties that hold for every input, including malformed ones.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
    header::{AGE, CONTENT_LOCATION, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER},
};
use http_polling::{
    Exchange, JOB_STATUS, JobState, LocationError, MAX_LOCATION, PREFER, Prefer, Problem, Progress,
    RETRY_AFTER_MS, Reading, RetryAfter, StatusDocument, X_MS_RETRY_AFTER_MS, is_grpc,
    is_problem_json, resolve, retry_after, same_origin, set_retry_after,
};
use proptest::{collection::vec, option, prelude::*, sample::select};
use serde_json::Value;

/// Header values of any bytes, many of them almost valid.
fn header_value() -> impl Strategy<Value = HeaderValue> {
    prop_oneof![
        vec(any::<u8>(), 0..64).prop_map(to_header_value),
        "[ -~]{0,40}".prop_map(|text| HeaderValue::from_str(&text).unwrap()),
        "[0-9.+-]{0,40}".prop_map(|text| HeaderValue::from_str(&text).unwrap()),
        reference().prop_map(|text| to_header_value(text.into_bytes())),
        select(
            &[
                "running",
                "done",
                "Sun, 06 Nov 1994 08:49:37 GMT",
                "Sunday, 06-Nov-94 08:49:37 GMT",
                "Fri, 31 Dec 9999 23:59:59 GMT",
                "application/grpc+proto",
            ][..]
        )
        .prop_map(HeaderValue::from_static),
    ]
}

/// Converts bytes to a header value, and replaces those that it may not contain.
fn to_header_value(mut bytes: Vec<u8>) -> HeaderValue {
    for byte in &mut bytes {
        if byte.is_ascii_control() {
            *byte = b'\t';
        }
    }
    HeaderValue::from_bytes(&bytes).unwrap()
}

/// References that consist of parts on which parsers disagree.
fn reference() -> impl Strategy<Value = String> {
    let piece = select(
        &[
            "http",
            "https",
            "file",
            "HTTP",
            ":",
            "/",
            "//",
            "://",
            "@",
            "?",
            "#",
            "%",
            "%2F",
            "%2e",
            "..",
            ".",
            "\\",
            "[",
            "]",
            "::1",
            "a.example",
            "80",
            "99999",
            " ",
            "\t",
            "ä",
            "\"",
            "{",
            "x",
            "base.invalid",
        ][..],
    );
    prop_oneof![
        vec(piece, 0..12).prop_map(|pieces| pieces.concat()),
        "(https?://[a-z]{1,5}(:[0-9]{0,5})?)?(/[a-z.]{0,3}){0,4}([?][a-z./?]{0,5})?",
        any::<String>(),
    ]
}

fn base() -> impl Strategy<Value = Uri> {
    select(
        &[
            "https://example.com/a/b?c",
            "http://example.com:8080",
            "https://[::1]/{x}/y",
            "http://example.com?q=//",
            "/package.Service/Method",
            "/",
            "*",
            "example.com:443",
            "ftp://example.com/",
        ][..],
    )
    .prop_map(Uri::from_static)
}

fn headers() -> impl Strategy<Value = HeaderMap> {
    let name = select(vec![
        RETRY_AFTER,
        RETRY_AFTER_MS,
        X_MS_RETRY_AFTER_MS,
        DATE,
        AGE,
        LOCATION,
        CONTENT_LOCATION,
        CONTENT_TYPE,
        JOB_STATUS,
        PREFER,
    ]);
    vec((name, header_value()), 0..8).prop_map(|fields| {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append::<HeaderName>(name, value);
        }
        headers
    })
}

fn job_state() -> impl Strategy<Value = JobState> {
    let words = [
        "queued",
        "running",
        "done",
        "failed",
        "timed-out",
        "lost",
        "unknown",
    ];
    select(words.to_vec()).prop_map(|word| word.parse().unwrap())
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((any::<String>(), inner), 0..4)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

fn millis_time() -> impl Strategy<Value = SystemTime> {
    (0..253_402_300_800_000_u64).prop_map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
}

fn progress() -> impl Strategy<Value = Progress> {
    let fields = (
        option::of(any::<f64>()),
        any::<[Option<u64>; 2]>(),
        option::of(".*"),
    );
    fields.prop_map(|(fraction, [done, total], message)| {
        let mut progress = Progress::default();
        (progress.fraction, progress.done, progress.total) = (fraction, done, total);
        progress.message = message;
        progress
    })
}

proptest! {
    #[test]
    fn reading_any_head_returns(
        headers in headers(),
        base in base(),
        code in 100..1000_u16,
        method in select(vec![Method::GET, Method::HEAD, Method::POST]),
        polling in any::<bool>(),
        now in millis_time(),
    ) {
        let status = StatusCode::from_u16(code).unwrap();
        let exchange = Exchange::new(&method, &base).polling(polling);
        if let Ok(Reading::Pending(pending)) = exchange.read(status, &headers, now) {
            prop_assert!(matches!(pending.method, Method::GET | Method::HEAD));
            prop_assert_eq!(pending.method == Method::HEAD, method == Method::HEAD);
            prop_assert_eq!(pending.retry_after, retry_after(&headers, now));
        }
        let _ = (is_grpc(&headers), is_problem_json(&headers));
    }

    #[test]
    fn a_recognised_job_status_alone_decides(
        mut headers in headers(),
        code in 100..1000_u16,
        state in job_state(),
    ) {
        headers.insert(JOB_STATUS, state.header_value());
        let uri = Uri::from_static("http://example.com/");
        let exchange = Exchange::new(&Method::GET, &uri).polling(true);
        match exchange.read(StatusCode::from_u16(code).unwrap(), &headers, UNIX_EPOCH) {
            Ok(Reading::Pending(pending)) => {
                prop_assert!(state.is_pending());
                prop_assert_eq!(pending.state, Some(state));
            }
            Ok(reading) => prop_assert_eq!(reading, Reading::Final(Some(state))),
            Err(_) => prop_assert!(state.is_pending()),
        }
    }

    #[test]
    fn a_resolved_uri_is_plain_http_or_a_path(base in base(), reference in reference()) {
        let Ok(uri) = resolve(&base, &reference) else { return Ok(()) };
        let text = uri.to_string();
        prop_assert!(!text.contains(['#', ' ', '\\', '"']) && text.is_ascii(), "{}", text);
        match uri.authority() {
            Some(authority) => {
                prop_assert!(matches!(uri.scheme_str(), Some("http" | "https")), "{}", text);
                prop_assert!(!authority.as_str().contains(['@', '%']), "{}", text);
                prop_assert!(!authority.host().is_empty(), "{}", text);
                prop_assert!(same_origin(&uri, &uri), "{}", text);
                prop_assert!(uri.path_and_query().unwrap().as_str().starts_with('/'), "{}", text);
            }
            None => {
                prop_assert!(base.authority().is_none(), "{}", text);
                prop_assert!(text.starts_with('/') && !text.starts_with("//"), "{}", text);
            }
        }
        prop_assert_eq!(text.parse::<Uri>().unwrap(), uri);
    }

    #[test]
    fn resolving_what_was_resolved_changes_nothing(base in base(), reference in reference()) {
        let Ok(uri) = resolve(&base, &reference) else { return Ok(()) };
        if uri.to_string().len() <= MAX_LOCATION {
            prop_assert_eq!(resolve(&base, uri.to_string()), Ok(uri));
        }
    }

    #[test]
    fn resolving_any_bytes_returns(base in base(), reference in vec(any::<u8>(), 0..64)) {
        let _ = resolve(&base, reference);
    }

    #[test]
    fn too_long_a_reference_is_refused(length in MAX_LOCATION + 1..MAX_LOCATION * 9) {
        let base = Uri::from_static("http://example.com/");
        prop_assert_eq!(resolve(&base, "/".repeat(length)), Err(LocationError::TooLong));
    }

    #[test]
    fn a_set_delay_reads_back_rounded_up(secs in any::<u64>(), nanos in 0..1_000_000_000_u32) {
        let delay = Duration::new(secs, nanos);
        let mut headers = HeaderMap::new();
        set_retry_after(&mut headers, delay);
        let fine = retry_after(&headers, UNIX_EPOCH).unwrap();
        let saturated = Duration::from_millis(u64::MAX);
        prop_assert!(fine >= delay.min(saturated));
        prop_assert!(fine <= delay.saturating_add(Duration::from_millis(1)));
        headers.remove(RETRY_AFTER_MS);
        let coarse = retry_after(&headers, UNIX_EPOCH).unwrap();
        prop_assert!(coarse >= delay.min(Duration::from_secs(u64::MAX)));
        prop_assert!(coarse >= Duration::from_secs(1));
    }

    #[test]
    fn a_retry_after_value_reads_back(secs in any::<u64>(), date in 0..253_402_300_800_u64) {
        for value in [
            RetryAfter::Delay(Duration::from_secs(secs)),
            RetryAfter::Date(UNIX_EPOCH + Duration::from_secs(date)),
        ] {
            prop_assert_eq!(RetryAfter::parse(&value.to_header_value()), Some(value));
        }
    }

    #[test]
    fn preferences_read_back(respond_async in any::<bool>(), wait in option::of(any::<u64>())) {
        let mut prefer = Prefer::new();
        if respond_async {
            prefer = prefer.with_respond_async();
        }
        if let Some(wait) = wait {
            prefer = prefer.with_wait(Duration::from_secs(wait));
        }
        let mut headers = HeaderMap::new();
        prefer.append_to(&mut headers);
        prop_assert_eq!(Prefer::from_headers(&headers), prefer);
        prop_assert_eq!(prefer.is_empty(), headers.is_empty());
    }

    #[test]
    fn the_first_wait_wins(waits in vec(any::<u32>(), 1..6), split in any::<bool>()) {
        let members: Vec<_> = waits.iter().map(|wait| format!("wait={wait}")).collect();
        let fields = if split { members } else { vec![members.join(", ")] };
        let mut headers = HeaderMap::new();
        for field in fields {
            headers.append(PREFER, field.parse().unwrap());
        }
        let first = Duration::from_secs(waits[0].into());
        prop_assert_eq!(Prefer::from_headers(&headers).wait(), Some(first));
    }

    #[test]
    fn taking_preferences_leaves_none_that_is_known(
        values in vec(
            prop_oneof![
                header_value(),
                "((wait|respond-async|return)(=\"?[a0,\\\\]*\"?)?[,; ]{0,2}){0,4}"
                    .prop_map(|text| HeaderValue::from_str(&text).unwrap()),
            ],
            0..4,
        ),
    ) {
        let mut headers: HeaderMap = values.into_iter().map(|value| (PREFER, value)).collect();
        let before = headers.clone();
        let read = Prefer::from_headers(&headers);
        prop_assert_eq!(Prefer::take(&mut headers), read);
        prop_assert!(Prefer::from_headers(&headers).is_empty());
        prop_assert!(headers.len() <= before.len());
        let once = headers.clone();
        let _ = Prefer::take(&mut headers);
        prop_assert_eq!(headers, once);
    }

    #[test]
    fn any_bytes_are_a_document_or_an_error(bytes in vec(any::<u8>(), 0..256)) {
        let _ = StatusDocument::from_json(&bytes);
        let _ = Problem::from_json(&bytes);
    }

    #[test]
    fn any_json_object_is_a_problem(json in json()) {
        let text = serde_json::to_vec(&json).unwrap();
        prop_assert_eq!(Problem::from_json(&text).is_ok(), json.is_object());
    }

    #[test]
    fn a_problem_reads_back(
        texts in any::<[Option<String>; 4]>(),
        status in any::<Option<u16>>(),
        name in "x[a-z]*",
        extension in json(),
    ) {
        let mut problem = Problem::default().with_extension(name, extension);
        let [kind, title, detail, instance] = texts;
        problem.kind = kind.unwrap_or(problem.kind);
        (problem.title, problem.detail, problem.instance) = (title, detail, instance);
        problem.status = status;
        prop_assert_eq!(Problem::from_json(&problem.to_json()).unwrap(), problem);
    }

    #[test]
    fn progress_is_written_whatever_it_holds(progress in progress()) {
        let written = serde_json::to_vec(&progress).unwrap();
        let read: Progress = serde_json::from_slice(&written).unwrap();
        prop_assert!(read.fraction.is_none_or(|fraction| (0.0..=1.0).contains(&fraction)));
        prop_assert_eq!(&read.message, &progress.message);
        prop_assert_eq!((read.done, read.total), (progress.done, progress.total));
        // JSON's decimal form may differ in the last place.
        let difference = read.ratio().unwrap_or(-1.0) - progress.ratio().unwrap_or(-1.0);
        prop_assert!(difference.abs() < 1e-9);
    }

    #[test]
    fn a_status_document_reads_back(
        id in any::<String>(),
        state in job_state(),
        times in [option::of(millis_time()), option::of(millis_time()), option::of(millis_time())],
        attempt in any::<u32>(),
        retry_after_ms in any::<Option<u64>>(),
        partial in option::of(json().prop_filter("null is absent", |json| !json.is_null())),
    ) {
        let mut document = StatusDocument::new(id, state);
        [document.created, document.started, document.ended] = times;
        (document.attempt, document.retry_after_ms) = (attempt, retry_after_ms);
        document.partial = partial;
        prop_assert_eq!(StatusDocument::from_json(&document.to_json()).unwrap(), document);
    }
}
