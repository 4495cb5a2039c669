//! The fields that a server receives.

use http::Request;

use crate::support::{Gateway, Seen, Upstream, client, full, soon, talk};

const OK: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";

/// Sends a request with these fields, and returns the head that the server received.
async fn seen(arguments: &[&str], fields: &[u8]) -> Head {
    seen_at("GET /a?b HTTP/1.1", arguments, fields).await
}

async fn seen_at(line: &str, arguments: &[&str], fields: &[u8]) -> Head {
    let (upstream, seen) = Upstream::of_bytes(OK).await;
    let gateway = Gateway::before(&upstream.url(), arguments).await;
    let mut request = format!("{line}\r\nhost: shop.example:8080\r\n").into_bytes();
    request.extend(fields);
    request.extend(b"\r\n");
    let answer = talk(gateway.address(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Head::of(&seen)
}

struct Head(Vec<String>);

impl Head {
    fn of(seen: &Seen) -> Self {
        Self(seen.only())
    }

    fn all(&self, name: &str) -> Vec<&str> {
        let lines = self.0[1..].iter();
        let fields = lines.filter_map(|line| line.split_once(": "));
        let named = fields.filter(|(key, _)| key.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value).collect()
    }

    #[track_caller]
    fn only(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {:?}", self.0);
        all[0]
    }
}

#[tokio::test]
async fn the_target_and_unknown_fields_are_passed_on_as_they_are() {
    let line = "PURGE /a//b/%41%2F?c=%20&d=../e HTTP/1.1";
    let fields = b"x-unknown:  a  b \r\nx-unknown: c\r\nx-bytes: \xe4\xf6\r\nx-empty:\r\n\
        cookie: a=1\r\ncookie: b=2\r\nauthorization: Basic eA==\r\nuser-agent: x\r\n\
        prefer: return=minimal\r\nconnection: close\r\n";
    let head = seen_at(line, &[], fields).await;
    assert_eq!(head.0[0], line);
    assert_eq!(head.all("x-unknown"), ["a  b", "c"]);
    assert_eq!(head.only("x-bytes"), "\u{e4}\u{f6}");
    assert_eq!(head.only("x-empty"), "");
    assert_eq!(head.all("cookie"), ["a=1", "b=2"]);
    assert_eq!(head.only("authorization"), "Basic eA==");
    assert_eq!(head.only("user-agent"), "x");
    assert_eq!(head.only("prefer"), "return=minimal");
}

#[tokio::test]
async fn a_server_learns_the_job_and_the_way_of_a_request() {
    let head = seen(&[], b"connection: close\r\n").await;
    let handle = head.only("job-handle");
    assert_eq!(handle.len(), 16);
    assert!(
        handle.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{handle}"
    );
    assert_eq!(head.only("job-attempt"), "1");
    assert_eq!(head.only("cancel-after"), "3599s");
    assert_eq!(head.only("host"), "shop.example:8080");
    assert_eq!(head.only("via"), "1.1 job-gateway");
    let forwarded = "for=127.0.0.1;host=\"shop.example:8080\";proto=http";
    assert_eq!(head.only("forwarded"), forwarded);
    assert_eq!(head.only("x-forwarded-for"), "127.0.0.1");
    assert_eq!(head.only("x-forwarded-host"), "shop.example:8080");
    assert_eq!(head.only("x-forwarded-proto"), "http");
    let parent = head.only("traceparent");
    assert_eq!(parent.len(), 55, "{parent}");
    assert!(
        parent.starts_with("00-") && parent.ends_with("-00"),
        "{parent}"
    );
    assert!(head.all("idempotency-key").is_empty());
    assert!(head.all("job-principal").is_empty());
}

#[tokio::test]
async fn a_client_cannot_name_the_gateways_fields_away() {
    let fields = b"connection: close, job-handle, Job-Attempt, cancel-after, host, via\r\n\
        connection: forwarded, x-forwarded-for, x-forwarded-proto, traceparent\r\n\
        connection: x-named, te\r\nx-named: 1\r\nte: trailers\r\n";
    let head = seen(&[], fields).await;
    for name in [
        "job-handle",
        "job-attempt",
        "job-progress-url",
        "cancel-after",
        "host",
        "via",
        "forwarded",
        "x-forwarded-for",
        "x-forwarded-proto",
        "traceparent",
    ] {
        head.only(name);
    }
    assert!(head.all("x-named").is_empty());
    assert_eq!(head.only("connection"), "te");
    assert_eq!(head.only("te"), "trailers");
}

#[tokio::test]
async fn a_client_sets_none_of_the_gateways_fields() {
    let fields = b"connection: close\r\njob-handle: 0123456789abcdef\r\njob-attempt: 7\r\n\
        job-progress-url: http://evil.example\r\njob-principal: root\r\n\
        forwarded: for=203.0.113.1\r\nx-forwarded-for: 203.0.113.1\r\n\
        x-forwarded-proto: https\r\nx-forwarded-host: evil.example\r\n\
        x-forwarded-prefix: /evil\r\nproxy: http://evil.example\r\nhttp2-settings: AAAA\r\n\
        x_forwarded_for: 203.0.113.1\r\njob_principal: root\r\nx-under_score: 1\r\n\
        keep-alive: timeout=9\r\nproxy-connection: keep-alive\r\nproxy-authorization: x\r\n\
        te: gzip\r\nupgrade: h2c\r\n";
    let head = seen(&[], fields).await;
    assert_ne!(head.only("job-handle"), "0123456789abcdef");
    assert_eq!(head.only("job-attempt"), "1");
    assert_eq!(head.only("x-forwarded-for"), "127.0.0.1");
    assert_eq!(head.only("x-forwarded-proto"), "http");
    assert_eq!(head.only("x-forwarded-host"), "shop.example:8080");
    assert!(!head.only("forwarded").contains("203.0.113.1"));
    let progress = head.only("job-progress-url");
    assert!(progress.starts_with("http://127.0.0.1:"), "{progress}");
    for name in [
        "job-principal",
        "x-forwarded-prefix",
        "proxy",
        "http2-settings",
        "x_forwarded_for",
        "job_principal",
        "x-under_score",
        "keep-alive",
        "proxy-connection",
        "proxy-authorization",
        "te",
        "upgrade",
        "connection",
    ] {
        assert!(head.all(name).is_empty(), "{name}");
    }
}

#[tokio::test]
async fn a_client_limits_the_time_of_its_request() {
    let head = seen(&[], b"connection: close\r\ncancel-after: 1m\r\n").await;
    assert_eq!(head.only("cancel-after"), "59s");
}

#[tokio::test]
async fn a_trace_of_the_client_is_continued() {
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let fields = format!("connection: close\r\ntraceparent: {parent}\r\ntracestate: a=1\r\n");
    let head = seen(&[], fields.as_bytes()).await;
    assert_eq!(head.only("traceparent"), parent);
    assert_eq!(head.only("tracestate"), "a=1");
}

#[tokio::test]
async fn earlier_hops_stay_in_via() {
    let head = seen(&[], b"connection: close\r\nvia: 1.0 nginx\r\n").await;
    assert_eq!(head.all("via").join(", "), "1.0 nginx, 1.1 job-gateway");
}

#[tokio::test]
async fn a_target_with_a_host_takes_precedence_over_the_field() {
    let line = "GET http://other.example/a HTTP/1.1";
    let head = seen_at(line, &[], b"connection: close\r\n").await;
    assert_eq!(head.0[0], "GET /a HTTP/1.1");
    assert_eq!(head.only("host"), "other.example");
}

#[tokio::test]
async fn the_host_of_a_request_over_http_2_is_its_authority() {
    for host in [None, Some("other.example")] {
        let (upstream, seen) = Upstream::of_bytes(OK).await;
        let gateway = Gateway::before(&upstream.url(), &[]).await;
        let mut request = Request::get(gateway.url("/a"));
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let asking = client(true).request(request.body(full("")).unwrap());
        assert_eq!(soon(asking).await.unwrap().status(), 200);
        let head = Head::of(&seen);
        assert_eq!(head.0[0], "GET /a HTTP/1.1");
        assert_eq!(head.only("host"), gateway.address());
        assert_eq!(head.only("x-forwarded-host"), gateway.address());
        assert_eq!(head.only("via"), "2 job-gateway");
    }
}

#[tokio::test]
async fn an_answer_has_no_fields_of_the_servers_connection() {
    const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close, x-hop\r\n\
        x-hop: 1\r\nkeep-alive: timeout=5\r\nproxy-connection: close\r\nx-end: a\r\nx-end: b\r\n\
        server: me\r\ndate: Mon, 01 Jan 2024 00:00:00 GMT\r\n\r\nok";
    let (upstream, _) = Upstream::of_bytes(ANSWER).await;
    let gateway = Gateway::before(&upstream.url(), &[]).await;
    let answer = crate::support::get(gateway.url("/")).await;
    for name in ["x-hop", "keep-alive", "proxy-connection"] {
        assert!(!answer.headers.contains_key(name), "{name}");
    }
    let ends: Vec<_> = answer.headers.get_all("x-end").iter().collect();
    assert_eq!(ends, ["a", "b"]);
    assert_eq!(answer.header("server"), "me");
    assert_eq!(answer.header("date"), "Mon, 01 Jan 2024 00:00:00 GMT");
    assert!(!answer.headers.contains_key("proxy-status"));
}

/// Sends a request through a gateway with these settings.
async fn seen_with(settings: &str, fields: &[u8]) -> Head {
    let (upstream, seen) = Upstream::of_bytes(OK).await;
    let settings = settings.replace("URL", &upstream.url());
    let gateway = Gateway::with(&settings).await;
    let mut request = b"POST /a HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n".to_vec();
    request.extend(fields);
    request.extend(b"content-length: 0\r\n\r\n");
    let answer = talk(gateway.address(), &request).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    Head::of(&seen)
}

#[tokio::test]
async fn a_trusted_proxy_is_believed() {
    let settings = "trusted_proxies = [\"127.0.0.0/8\"]\n[upstreams.app]\nurl = \"URL\"\n";
    let fields = b"x-forwarded-for: 203.0.113.1\r\nx-forwarded-proto: https\r\n\
        x-forwarded-host: www.example\r\nx-forwarded-port: 443\r\nconnection: x-forwarded-for\r\n";
    let head = seen_with(settings, fields).await;
    assert_eq!(head.only("x-forwarded-for"), "203.0.113.1, 127.0.0.1");
    assert_eq!(head.only("x-forwarded-proto"), "https");
    assert_eq!(head.only("x-forwarded-host"), "www.example");
    assert_eq!(head.only("x-forwarded-port"), "443");
    let forwarded = "for=203.0.113.1, for=127.0.0.1;host=shop.example;proto=http";
    assert_eq!(head.only("forwarded"), forwarded);
}

#[tokio::test]
async fn a_server_can_be_asked_by_its_own_name() {
    let settings = "[upstreams.app]\nurl = \"URL\"\nown_host = true\n";
    let head = seen_with(settings, b"").await;
    assert!(head.only("host").starts_with("127.0.0.1:"), "{:?}", head.0);
    assert_eq!(head.only("x-forwarded-host"), "shop.example");
}

#[tokio::test]
async fn a_request_that_can_be_sent_again_has_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let store = format!("sqlite:{}", folder.path().join("jobs.db").display());
    let again = ["--store", &*store, "--replay", "all"];
    let line = "POST /a HTTP/1.1";
    let close = "connection: close\r\ncontent-length: 0\r\n";
    let head = seen_at(line, &again, close.as_bytes()).await;
    let handle = head.only("job-handle");
    assert_eq!(head.only("idempotency-key"), format!("\"{handle}\""));

    let keyed = format!("{close}idempotency-key: \"mine\"\r\n");
    let head = seen_at(line, &again, keyed.as_bytes()).await;
    assert_eq!(head.only("idempotency-key"), "\"mine\"");

    let head = seen_at(line, &["--store", &store], close.as_bytes()).await;
    assert!(head.all("idempotency-key").is_empty());
}
