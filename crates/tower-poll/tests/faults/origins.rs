//! The targets of polls, and the headers that go along.

use std::error::Error as _;

use http::{HeaderName, HeaderValue, Request, Uri};
use http_body_util::Full;
use tower_poll::{PollLayer, PollPolicyExt, Refusal, policy::ServerDelay};

use crate::common::{Script, TestBody, answer, exact, exact_layer, post, see_other, send};

const HERE: &str = "https://here.example/report";
const THERE: &str = "https://there.example/work/1";

/// A submission with everything that is kept and something that is not.
fn loaded() -> Request<TestBody> {
    let mut request = Request::post(HERE)
        .header("accept", "text/csv")
        .header("authorization", "Bearer secret")
        .header("cookie", "sid=secret")
        .header("proxy-authorization", "Basic secret")
        .header("content-type", "text/plain")
        .header("content-length", "8")
        .header("idempotency-key", "\"k\"")
        .header("prefer", "wait=1")
        .header("x-tenant", "seven")
        .header("x-other", "eight")
        .body(Full::from("the work"))
        .unwrap();
    let mut key = HeaderValue::from_static("secret");
    key.set_sensitive(true);
    request.headers_mut().insert("x-key", key);
    request
}

fn allowing_there() -> PollLayer {
    PollLayer::with_policy(exact().cross_origin([Uri::from_static("https://there.example")]))
        .keep_header(HeaderName::from_static("x-tenant"))
        .keep_header(HeaderName::from_static("x-key"))
}

fn names(headers: &http::HeaderMap) -> Vec<&str> {
    let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
    names.sort_unstable();
    names
}

#[tokio::test(start_paused = true)]
async fn c01_location_on_another_origin_is_an_error_by_default() {
    let script = Script::new(|_, _| see_other(THERE));
    let error = send(exact_layer(), &script, post(HERE)).await.unwrap_err();
    assert!(error.is_cross_origin() && error.is_refused());
    assert!(error.source().unwrap().is::<Refusal>());
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn c01_allowed_origin_gets_the_allow_list_only() {
    let script = Script::new(|number, _| match number {
        0 => see_other(THERE),
        _ => answer(200, &[]),
    });
    send(allowing_there(), &script, loaded()).await.unwrap();
    let poll = &script.seen()[1];
    assert_eq!(poll.uri, THERE);
    assert_eq!(names(&poll.headers), ["accept", "x-tenant"]);
}

#[tokio::test(start_paused = true)]
async fn c01_same_origin_gets_credentials_too_and_never_body_headers() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    send(allowing_there(), &script, loaded()).await.unwrap();
    let kept = ["accept", "authorization", "cookie", "x-key", "x-tenant"];
    assert_eq!(names(&script.seen()[1].headers), kept);
}

#[tokio::test(start_paused = true)]
async fn conditions_and_ranges_of_a_submission_are_not_those_of_its_polls() {
    let conditions = [
        "if-match",
        "if-none-match",
        "if-modified-since",
        "if-unmodified-since",
        "if-range",
        "range",
    ];
    for method in ["GET", "HEAD", "PUT"] {
        let script = Script::new(|number, _| match number {
            0 => see_other("/work/1"),
            _ => answer(200, &[]),
        });
        let mut request = post(HERE);
        *request.method_mut() = method.parse().unwrap();
        for name in conditions {
            let mut value = HeaderValue::from_static("\"v1\"");
            // All headers of some clients are marked so.
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        send(exact_layer(), &script, request).await.unwrap();
        let seen = script.seen();
        assert_eq!(seen[0].headers.len(), conditions.len(), "{method}");
        assert_eq!(names(&seen[1].headers), [""; 0], "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn c02_https_to_http_is_an_error() {
    let script = Script::new(|_, _| see_other("http://here.example/work/1"));
    let error = send(exact_layer(), &script, post(HERE)).await.unwrap_err();
    assert!(error.is_cross_origin());
    assert_eq!(script.count(), 1);
}

#[tokio::test(start_paused = true)]
async fn c03_what_was_dropped_on_one_hop_does_not_come_back() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/0"),
        1 => see_other(THERE),
        2 => see_other("https://here.example/work/1"),
        _ => answer(200, &[]),
    });
    send(allowing_there(), &script, loaded()).await.unwrap();
    let seen = script.seen();
    assert_eq!(seen[1].headers["authorization"], "Bearer secret");
    assert_eq!(seen[3].uri, "https://here.example/work/1");
    assert_eq!(names(&seen[3].headers), ["accept", "x-tenant"]);
}

#[tokio::test(start_paused = true)]
async fn c04_other_port_or_scheme_is_another_origin() {
    for (from, to) in [
        ("https://here.example/a", "https://here.example:8443/b"),
        ("http://here.example/a", "https://here.example/b"),
        ("http://here.example/a", "http://here.example:8080/b"),
    ] {
        let script = Script::new(move |_, _| see_other(to));
        let error = send(exact_layer(), &script, post(from)).await.unwrap_err();
        assert!(error.is_cross_origin(), "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn c04_default_port_and_case_of_host_are_the_same_origin() {
    for to in [
        "https://here.example:443/b",
        "https://HERE.example/b",
        "//here.example/b",
    ] {
        let script = Script::new(move |number, _| match number {
            0 => see_other(to),
            _ => answer(200, &[]),
        });
        send(exact_layer(), &script, post(HERE)).await.unwrap();
        assert_eq!(script.count(), 2, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn c04_spellings_of_an_address_are_the_same_origin() {
    let script = Script::new(|number, _| match number {
        0 => answer(
            303,
            &[
                ("location", "http://[0:0:0::1]:80/b"),
                ("retry-after", "1"),
                ("set-cookie", "lb=7; Path=/; Domain=[0::1]"),
            ],
        ),
        _ => answer(200, &[]),
    });
    let request = Request::post("http://[::1]/a")
        .header("authorization", "Bearer secret")
        .body(TestBody::default())
        .unwrap();
    let layer = PollLayer::with_policy(exact().refuse_private_addresses());
    send(layer, &script, request).await.unwrap();
    let poll = &script.seen()[1];
    assert_eq!(poll.headers["authorization"], "Bearer secret");
    assert_eq!(poll.headers["cookie"], "lb=7");
}

#[tokio::test(start_paused = true)]
async fn c36_api_keys_and_secrets_go_to_the_origin_and_nowhere_else() {
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        1 => see_other(THERE),
        2 => see_other("https://here.example/work/1"),
        _ => answer(200, &[]),
    });
    let mut secret = HeaderValue::from_static("secret");
    secret.set_sensitive(true);
    let request = Request::post(HERE)
        .header("x-api-key", "secret")
        .header("x-team-key", secret)
        .header("x-other-key", "not marked")
        .body(TestBody::default())
        .unwrap();
    let policy = exact().cross_origin([Uri::from_static("https://there.example")]);
    let layer = PollLayer::with_policy(policy);
    send(layer, &script, request).await.unwrap();
    let seen = script.seen();
    assert_eq!(names(&seen[1].headers), ["x-api-key", "x-team-key"]);
    assert!(seen[2].headers.is_empty() && seen[3].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn c05_private_addresses_can_be_refused() {
    for to in [
        "https://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "https://[fe80::1]/",
        "https://localhost/",
        "https://2130706433/",
    ] {
        let layer = PollLayer::with_policy(ServerDelay::new().refuse_private_addresses());
        let script = Script::new(move |_, _| see_other(to));
        let error = send(layer, &script, post(HERE)).await.unwrap_err();
        assert!(error.is_refused(), "{to}");
        assert_eq!(script.count(), 1, "{to}");
    }
}

#[tokio::test(start_paused = true)]
async fn c05_private_address_that_the_caller_chose_is_polled() {
    let layer = PollLayer::with_policy(ServerDelay::new().refuse_private_addresses());
    let script = Script::new(|number, _| match number {
        0 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    send(layer, &script, post("http://10.0.0.1/report"))
        .await
        .unwrap();
    assert_eq!(script.count(), 2);
}

#[tokio::test(start_paused = true)]
async fn c23_cookies_go_back_to_their_origin() {
    let script = Script::new(|number, _| match number {
        0 => answer(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after", "1"),
                ("set-cookie", "lb=7; Path=/"),
                ("set-cookie", "sid=new; Path=/"),
            ],
        ),
        1 => answer(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after", "1"),
                ("set-cookie", "lb=8; Path=/; Max-Age=1"),
            ],
        ),
        2 => see_other("/work/1"),
        _ => answer(200, &[]),
    });
    let request = Request::post(HERE)
        .header("cookie", "own=1; sid=old")
        .body(TestBody::default())
        .unwrap();
    send(exact_layer(), &script, request).await.unwrap();
    let cookies: Vec<_> = script.seen()[1..]
        .iter()
        .map(|seen| seen.headers["cookie"].to_str().unwrap().to_owned())
        .collect();
    assert_eq!(cookies[0], "own=1; lb=7; sid=new");
    assert_eq!(
        cookies[1], "own=1; sid=new",
        "lb=8 was over within the wait of a second"
    );
    assert_eq!(cookies[2], "own=1; sid=new");
}

#[tokio::test(start_paused = true)]
async fn c23_cookies_are_not_sent_elsewhere() {
    let set = |location: &'static str| {
        answer(
            303,
            &[
                ("location", location),
                ("retry-after", "1"),
                ("set-cookie", "lb=7; Path=/; Domain=example"),
            ],
        )
    };
    let script = Script::new(move |number, _| match number {
        0 => set("/work/0"),
        1 => set(THERE),
        2 => see_other("https://here.example/work/1"),
        _ => answer(200, &[]),
    });
    send(allowing_there(), &script, loaded()).await.unwrap();
    for poll in &script.seen()[2..] {
        assert!(!poll.headers.contains_key("cookie"), "{}", poll.uri);
    }
}

#[tokio::test(start_paused = true)]
async fn c23_cookies_can_be_turned_off() {
    let script = Script::new(|number, _| match number {
        0 => answer(
            303,
            &[
                ("location", "/work/1"),
                ("retry-after", "1"),
                ("set-cookie", "lb=7"),
            ],
        ),
        _ => answer(200, &[]),
    });
    send(exact_layer().cookies(false), &script, post(HERE))
        .await
        .unwrap();
    assert!(script.seen()[1].headers.is_empty());
}

#[tokio::test(start_paused = true)]
async fn c26_absolute_location_for_a_path_only_request_is_an_error() {
    for policy in [true, false] {
        let script = Script::new(|_, _| see_other(THERE));
        let request = post("/pkg.Service/Method");
        let error = match policy {
            true => send(exact_layer(), &script, request).await,
            false => send(PollLayer::with_policy(ServerDelay::new()), &script, request).await,
        };
        assert!(error.unwrap_err().is_cross_origin());
        assert_eq!(script.count(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn c26_absolute_location_on_the_configured_origin_is_polled_by_path() {
    let layer = exact_layer().base_origin(Uri::from_static("https://there.example:443"));
    let script = Script::new(|number, _| match number {
        0 => see_other("https://there.example/work/1?poll=1"),
        1 => see_other("/work/1?poll=2"),
        2 => see_other("https://elsewhere.example/work/1"),
        _ => answer(200, &[]),
    });
    let error = send(layer, &script, post("/pkg.Service/Method"))
        .await
        .unwrap_err();
    assert!(error.is_cross_origin());
    let uris = ["/pkg.Service/Method", "/work/1?poll=1", "/work/1?poll=2"];
    assert_eq!(script.uris(), uris);
    assert_eq!(error.pending_job().unwrap().url(), "/work/1?poll=2");
}
