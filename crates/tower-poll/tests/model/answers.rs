//! Answers as a server may give them, sensible or not.

use std::time::Duration;

use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, StatusCode,
    header::{
        AGE, CONTENT_LENGTH, CONTENT_LOCATION, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER,
        SET_COOKIE,
    },
};
use http_polling::{
    JOB_STATUS, PREFERENCE_APPLIED, PROBLEM_JSON, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

const OPERATION_LOCATION: HeaderName = HeaderName::from_static("operation-location");
const AZURE_ASYNC_OPERATION: HeaderName = HeaderName::from_static("azure-asyncoperation");
const ODATA_VERSION: HeaderName = HeaderName::from_static("odata-version");
pub(crate) const ASYNC_RESULT: HeaderName = HeaderName::from_static("asyncresult");
const X_PROGRESS: HeaderName = HeaderName::from_static("x-progress");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// The answer to a request.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// The time that it takes. `None`: for ever.
    pub(crate) after: Option<Duration>,
    /// `None`: the connection drops.
    pub(crate) head: Option<Head>,
    pub(crate) body: Vec<Piece>,
}

#[derive(Clone, Debug)]
pub(crate) struct Head {
    pub(crate) status: StatusCode,
    pub(crate) headers: Vec<(HeaderName, HeaderValue)>,
}

/// The next step of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Data(Bytes),
    Wait(Duration),
    Trailers,
    /// The body breaks off.
    Broken,
    /// Nothing comes any more.
    Never,
    /// Chunks of this number of bytes, without end.
    Endless(usize),
    /// One byte each time, without end.
    Drip(Duration),
}

pub(crate) fn answer() -> impl Strategy<Value = Answer> {
    (
        prop_oneof![
            8 => Just(Some(Duration::ZERO)),
            4 => (0..3_000_u64).prop_map(|millis| Some(Duration::from_millis(millis))),
            1 => Just(None),
        ],
        prop_oneof![
            6 => pending().prop_map(Some),
            6 => head().prop_map(Some),
            2 => accepted().prop_map(Some),
            1 => ended().prop_map(Some),
            1 => Just(None),
        ],
        body(),
    )
        .prop_map(|(after, head, body)| Answer { after, head, body })
}

/// Any answer that bears `Job-Status: done`.
pub(crate) fn done() -> impl Strategy<Value = Answer> {
    (head(), body()).prop_map(|(mut head, body)| {
        head.headers.retain(|(name, _)| *name != JOB_STATUS);
        head.headers
            .push((JOB_STATUS, HeaderValue::from_static("done")));
        Answer {
            after: Some(Duration::ZERO),
            head: Some(head),
            body,
        }
    })
}

/// A well-formed pending answer, so that calls get far, and elsewhere.
pub(crate) fn pending() -> impl Strategy<Value = Head> {
    (
        select(vec![202, 301, 302, 303]),
        prop_oneof![
            3 => select(vec!["/work/1", "/work/1?poll=2", "2", "../up"]),
            2 => select(vec![
                "https://api.example.com/work/1",
                "https://jobs.example.com/1",
                "https://api.example.com:8443/1",
                "http://api.example.com/1",
            ]),
        ],
        select(vec!["0", "1", "1", "5"]),
        option::of(select(vec!["queued", "running"])),
        option::of(cookie()),
    )
        .prop_map(|(status, location, retry_after, state, cookie)| {
            let mut headers = vec![
                (LOCATION, HeaderValue::from_static(location)),
                (RETRY_AFTER, HeaderValue::from_static(retry_after)),
            ];
            headers.extend(state.map(|state| (JOB_STATUS, HeaderValue::from_static(state))));
            headers.extend(cookie.map(|cookie| (SET_COOKIE, cookie)));
            Head {
                status: StatusCode::from_u16(status).expect("a status"),
                headers,
            }
        })
}

/// An answer to a submission as one of the built-in dialects has it.
pub(crate) fn accepted() -> impl Strategy<Value = Head> {
    let applied = (
        PREFERENCE_APPLIED,
        HeaderValue::from_static("respond-async"),
    );
    let version = (ODATA_VERSION, HeaderValue::from_static("4.01"));
    let form = prop_oneof![
        (
            select(vec![200, 201, 202]),
            select(vec![AZURE_ASYNC_OPERATION, OPERATION_LOCATION]),
            Just(None),
        ),
        Just((201, LOCATION, Some(applied))),
        Just((202, LOCATION, Some(version))),
        progress().prop_map(|progress| (202, CONTENT_LOCATION, Some(progress))),
        // Like resources that report their own state.
        (select(vec![200, 201]), Just(CONTENT_TYPE), Just(None)),
    ];
    let rest = vec(header(), 0..2);
    (form, monitor(), rest).prop_map(|((status, name, more), monitor, rest)| {
        let value = if name == CONTENT_TYPE { JSON } else { monitor };
        let mut headers = vec![(name, value), (RETRY_AFTER, HeaderValue::from_static("1"))];
        headers.extend(more);
        headers.extend(rest);
        Head {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
        }
    })
}

/// An answer to a poll as one of the built-in dialects has it.
pub(crate) fn told() -> impl Strategy<Value = Answer> {
    let head = (
        select(vec![200, 200, 200, 200, 201, 202]),
        option::of(progress()),
        option::weighted(0.2, async_result()),
        vec(header(), 0..2),
    );
    let succeeded = select(vec![
        r#"{"status":"Succeeded"}"#,
        r#"{"status":"successful"}"#,
        r#"{"status":"Succeeded","resourceLocation":"/result"}"#,
    ])
    .prop_map(|text| Piece::Data(Bytes::from_static(text.as_bytes())));
    let document = prop_oneof![document(), succeeded];
    (head, document).prop_map(|((status, progress, result, rest), document)| {
        let mut headers = vec![(CONTENT_TYPE, JSON)];
        headers.extend(progress);
        headers.extend(result);
        headers.extend(rest);
        Answer {
            after: Some(Duration::ZERO),
            head: Some(Head {
                status: StatusCode::from_u16(status).expect("a status"),
                headers,
            }),
            body: vec![document],
        }
    })
}

/// The place of a job's status.
fn monitor() -> impl Strategy<Value = HeaderValue> {
    select(vec![
        "/work/1",
        "/work/1",
        "/work/1/status",
        "https://api.example.com/work/1",
        "https://jobs.example.com/1",
    ])
    .prop_map(HeaderValue::from_static)
}

fn progress() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    known(&["in progress: 32%", "1e999%", "%"]).prop_map(|value| (X_PROGRESS, value))
}

fn async_result() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    known(&["200", " 404 ", "100", "2"]).prop_map(|value| (ASYNC_RESULT, value))
}

/// The end of a job that has no answer of its own.
fn ended() -> impl Strategy<Value = Head> {
    let end = select(vec![
        (500, "failed"),
        (504, "timed-out"),
        (410, "cancelled"),
        (404, "unknown"),
    ]);
    end.prop_map(|(status, state)| Head {
        status: StatusCode::from_u16(status).expect("a status"),
        headers: vec![
            (JOB_STATUS, HeaderValue::from_static(state)),
            (CONTENT_TYPE, PROBLEM_JSON),
        ],
    })
}

fn head() -> impl Strategy<Value = Head> {
    let status = prop_oneof![
        4 => select(vec![202, 301, 302, 303, 307, 308, 401, 429, 503]),
        2 => select(vec![200, 201, 204, 300, 304, 400, 401, 403, 404, 408, 410, 500, 502, 504]),
        1 => 100..1000_u16,
    ];
    (status, vec(header(), 0..6)).prop_map(|(status, headers)| Head {
        status: StatusCode::from_u16(status).expect("from 100 to 999"),
        headers,
    })
}

fn header() -> impl Strategy<Value = (HeaderName, HeaderValue)> {
    let with = |names: &[HeaderName]| select(names.to_vec());
    prop_oneof![
        6 => (with(&[LOCATION]), reference()),
        2 => (
            with(&[CONTENT_LOCATION, OPERATION_LOCATION, AZURE_ASYNC_OPERATION]),
            reference(),
        ),
        4 => (with(&[RETRY_AFTER, RETRY_AFTER_MS, X_MS_RETRY_AFTER_MS]), delay()),
        2 => (
            with(&[JOB_STATUS]),
            known(&[
                "queued", "running", "failed", "timed-out", "lost", "cancelled", "expired",
                "unknown", "Done", "paused",
            ]),
        ),
        3 => (with(&[SET_COOKIE]), cookie()),
        1 => (with(&[DATE, AGE]), delay()),
        1 => (
            with(&[PREFERENCE_APPLIED]),
            known(&["respond-async", "wait=10", "respond-async, wait=99999999999999999999"]),
        ),
        2 => (
            with(&[CONTENT_TYPE]),
            known(&["application/json", "application/problem+json", "application/grpc", "text/html"]),
        ),
        1 => (with(&[ODATA_VERSION]), known(&["4.01"])),
        1 => progress(),
        1 => async_result(),
        1 => (with(&[CONTENT_LENGTH]), known(&["0", "5", "99999999999", "-1"])),
    ]
}

/// One of `values` nearly always, else garbage.
fn known(values: &[&'static str]) -> impl Strategy<Value = HeaderValue> + use<> {
    prop_oneof![
        8 => select(values.to_vec()).prop_map(HeaderValue::from_static),
        1 => garbage(),
    ]
}

fn garbage() -> impl Strategy<Value = HeaderValue> {
    vec(any::<u8>(), 0..24).prop_map(|mut bytes| {
        for byte in &mut bytes {
            if byte.is_ascii_control() {
                *byte = b'\t';
            }
        }
        HeaderValue::from_bytes(&bytes).expect("no control characters")
    })
}

fn delay() -> impl Strategy<Value = HeaderValue> {
    known(&[
        "0",
        "1",
        "2.5",
        "30",
        "250",
        "3600",
        "-1",
        "soon",
        "1000000000000000000000000000000",
        "Sun, 06 Nov 1994 08:49:37 GMT",
        "Sun, 06 Nov 1994 08:49:47 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
    ])
}

/// The server puts the number of the answer in place of `#`.
fn cookie() -> impl Strategy<Value = HeaderValue> {
    known(&[
        "node=#",
        "node=#; Path=/",
        "node=#; Path=/; Secure; HttpOnly",
        "lane=#; Path=/; Domain=example.com",
        "lane=#; Path=/; Domain=api.example.com; Max-Age=1",
        "lane=#; Domain=evil.example",
        "own=#; Path=/",
        "own=; Path=/; Max-Age=0",
        "node=#; Expires=Fri, 31 Dec 9999 23:59:59 GMT",
    ])
}

fn reference() -> impl Strategy<Value = HeaderValue> {
    let to = |values: &[&'static str]| select(values.to_vec()).prop_map(HeaderValue::from_static);
    prop_oneof![
        6 => to(&["/work/1", "/work/2?poll=3", "?poll=2", "job", "./a/../b", "", "#end"]),
        // The submission's own origin, in several spellings.
        4 => to(&[
            "https://api.example.com/work/1",
            "HTTPS://API.example.COM:443/work/1",
            "//api.example.com/work/1",
            "http://api.example.com:8080/work/1",
            "https://[::1]/work/1",
        ]),
        4 => to(&[
            "https://jobs.example.com/1",
            "https://api.example.com:8443/1",
            "http://api.example.com/1",
            "http://jobs.example.com:8080/1",
            "//jobs.example.com/1",
            "https://evil.example/",
            "http://169.254.169.254/latest/meta-data",
        ]),
        2 => to(&[
            "file:///etc/passwd",
            "javascript:alert(1)",
            "ftp://api.example.com/",
            "https:/api.example.com",
            "https:api.example.com",
            "https://",
            "https:///work",
            "https://me:secret@api.example.com/",
            "https://api.example.com@evil.example/",
            "https://evil.example\\@api.example.com/",
            "https://evil.example%2F.api.example.com/",
            "https://api.example.com:99999/",
            "https://api.example.com:/",
            "http://[::1",
            "///evil.example/",
            "\\\\evil.example/",
            "/\\evil.example/",
            "*",
        ]),
        1 => (8_000..9_000_usize).prop_map(|length| {
            HeaderValue::try_from("/".repeat(length)).expect("visible")
        }),
        1 => garbage(),
    ]
}

fn document() -> impl Strategy<Value = Piece> {
    select(vec![
        "",
        "done",
        r#"{"id":"1","state":"running","attempt":1}"#,
        r#"{"status":"InProgress","percentComplete":40}"#,
        r#"{"status":"InProgress"}"#,
        r#"{"status":"Succeeded","resourceLocation":"https://evil.example/"}"#,
        r#"{"status":"Succeeded","resourceLocation":"https://jobs.example.com/result"}"#,
        r#"{"status":"Succeeded","resourceLocation":"/result"}"#,
        r#"{"status":"failed"}"#,
        r#"{"status":"Canceled","error":{"code":"Gone","message":"gone","details":[]}}"#,
        r#"{"status":"accepted","progress":40,"message":"soon"}"#,
        r#"{"status":"running","progress":-1e300}"#,
        r#"{"status":"successful","links":[{"rel":"results","href":"https://jobs.example.com/1/results"}]}"#,
        r#"{"status":"dismissed"}"#,
        r#"{"properties":{"provisioningState":"Creating"}}"#,
        r#"{"properties":{"provisioningState":"Succeeded"}}"#,
        r#"{"id":"1","state":"done","attempt":1}"#,
        r#"{"name":"operations/1","done":false}"#,
        r#"{"name":"operations/1","done":true,"error":{"code":5,"message":"gone"}}"#,
        r#"{"id":"batch_1","object":"batch","status":"in_progress"}"#,
        r#"{"status":"succeeded","urls":{"get":"file:///etc/passwd"}}"#,
        r#"{"type":"about:blank","title":"gone","status":410}"#,
        r#"{"status":{"status":["#,
        "\u{0}\u{fffd}[[[[[[[[",
    ])
    .prop_map(|text| Piece::Data(Bytes::from_static(text.as_bytes())))
}

fn body() -> impl Strategy<Value = Vec<Piece>> {
    let piece = prop_oneof![
        2 => vec(any::<u8>(), 0..32).prop_map(|bytes| Piece::Data(bytes.into())),
        2 => (1..500_u64).prop_map(|millis| Piece::Wait(Duration::from_millis(millis))),
        1 => Just(Piece::Trailers),
        1 => Just(Piece::Broken),
        1 => Just(Piece::Never),
        1 => select(vec![0, 1, 1_000, 100_000]).prop_map(Piece::Endless),
        1 => (1..60_u64).prop_map(|seconds| Piece::Drip(Duration::from_secs(seconds))),
    ];
    prop_oneof![
        2 => Just(Vec::new()),
        3 => document().prop_map(|document| vec![document]),
        2 => vec(piece, 0..5),
    ]
}
