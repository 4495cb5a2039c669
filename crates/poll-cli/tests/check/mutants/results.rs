//! Faults of results.

use super::*;

pub(super) const MUTANTS: &[Mutant] = &[
    after("2.3", "a result expires", |seen, response| {
        if delivers(seen, response) {
            set(response, "expires", "Fri, 31 Dec 2032 23:59:59 GMT");
        }
    }),
    after(
        "2.3",
        "a result differs the second time",
        |seen, response| {
            if delivers(seen, response) && seen.plain == 2 {
                *response.body_mut() = Bytes::from_static(b"another report");
            }
        },
    ),
    before("2.4", "a result is there once only", |seen, request| {
        if seen.plain == 2 {
            rewrite(request, "/work/0123456789abcdef0123456789abcdef");
        }
    }),
    before("2.5", "HEAD consumes a result", |seen, request| {
        if seen.plain == 1 {
            rewrite(request, "/work/0123456789abcdef0123456789abcdef");
        }
    }),
    after("2.20", "the ETag differs each time", |seen, response| {
        if delivers(seen, response) && seen.plain == 2 {
            set(response, "etag", "\"3\"");
        }
    }),
    after("2.20", "Last-Modified is no date", |seen, response| {
        if delivers(seen, response) {
            set(response, "last-modified", "yesterday");
        }
    }),
    before("2.21", "If-None-Match is ignored", |seen, request| {
        if seen.header("if-none-match") != "*" {
            request.headers_mut().remove("if-none-match");
        }
    }),
    before("2.21", "If-Match is ignored", |seen, request| {
        if seen.method == Method::GET {
            request.headers_mut().remove("if-match");
        }
    }),
    before("2.21", "ranges are announced and ignored", |_, request| {
        request.headers_mut().remove("range");
    }),
    before("2.21", "If-Range is ignored", |_, request| {
        request.headers_mut().remove("if-range");
    }),
    after("2.21", "a part does not tell its place", |_, response| {
        remove(response, "content-range");
    }),
    after(
        "2.21",
        "a part has the digest of the whole",
        |_, response| {
            if response.status() == 206 {
                set(response, "content-md5", "Q2hlY2sgSW50ZWdyaXR5IQ==");
            }
        },
    ),
    before("2.21", "a range of words is read", |seen, request| {
        if seen.header("range") == "bytes=one-two" {
            set_in(request, "range", "bytes=1-2");
        }
    }),
];
