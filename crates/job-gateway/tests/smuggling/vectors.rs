//! The vectors: bytes of a client, and the outcome.
//!
//! In the bytes, `¶` is the end of a line and `\n` a bare line feed, `$` the path of the vector, and
//! `§` a whole request that is hidden in another one. The outcome lists the status of each response,
//! with the method and the length of the body of the request that the server behind the gateway has
//! received; without these if the gateway has answered itself.
//!
//! A field `X-Evil` must not arrive at a server, and a field `X-Good` must.

/// Bytes of a client, and the outcome.
pub(crate) struct Vector {
    pub(crate) name: &'static str,
    bytes: String,
    pub(crate) outcome: &'static str,
    /// Set if its first request has a field that must arrive.
    pub(crate) is_good: bool,
}

impl Vector {
    /// Returns the path of the vector with this number.
    pub(crate) fn path(number: usize) -> String {
        format!("/v{number:03}")
    }

    /// Returns the bytes of the vector with this number.
    pub(crate) fn bytes(&self, number: usize) -> Vec<u8> {
        let hidden = "GET $/hidden HTTP/1.1¶Host: a¶Connection: close¶¶";
        let bytes = self.bytes.replace('§', hidden);
        let bytes = bytes.replace('$', &Self::path(number)).replace('¶', "\r\n");
        // Those that are not ASCII stand for single bytes.
        bytes.chars().map(|char| char as u32 as u8).collect()
    }
}

fn raw(name: &'static str, bytes: impl Into<String>, outcome: &'static str) -> Vector {
    let bytes = bytes.into();
    Vector {
        name,
        is_good: bytes.contains("X-Good:"),
        bytes,
        outcome,
    }
}

fn post(name: &'static str, fields: &str, body: &str, outcome: &'static str) -> Vector {
    raw(
        name,
        format!("POST $ HTTP/1.1¶Host: a¶{fields}¶¶{body}"),
        outcome,
    )
}

fn get(name: &'static str, fields: &str, outcome: &'static str) -> Vector {
    raw(name, format!("GET $ HTTP/1.1¶Host: a¶{fields}¶¶"), outcome)
}

fn target(name: &'static str, target: &str, outcome: &'static str) -> Vector {
    raw(name, format!("GET {target} HTTP/1.1¶Host: a¶¶"), outcome)
}

#[rustfmt::skip]
pub(crate) fn vectors() -> Vec<Vector> {
    let long = "a".repeat(17_000);
    let many = "X-Good: 1¶".repeat(101);
    vec![
        // Lengths.
        post("a length before a coding", "Content-Length: 5¶Transfer-Encoding: chunked", "0¶¶§", "200 POST 0"),
        post("a length after a coding", "Transfer-Encoding: chunked¶Content-Length: 5", "0¶¶§", "200 POST 0"),
        post("a length that is less than that of the chunks", "Content-Length: 4¶Transfer-Encoding: chunked", "39¶§¶0¶¶", "200 POST 57"),
        post("a length that ends within the hidden request", "Content-Length: 6¶Transfer-Encoding: chunked", "0¶¶G", "200 POST 0"),
        post("two lengths", "Content-Length: 5¶Content-Length: 6", "hello§", "400"),
        post("two equal lengths", "Content-Length: 5¶Content-Length: 5", "hello", "200 POST 5"),
        post("a list of lengths", "Content-Length: 5, 6", "hello§", "400"),
        post("a list of equal lengths", "Content-Length: 5, 5", "hello§", "400"),
        post("a length with a plus", "Content-Length: +5", "hello§", "400"),
        post("a length with a minus", "Content-Length: -5", "hello§", "400"),
        post("a length of two numbers", "Content-Length: 5 0", "hello§", "400"),
        post("a hexadecimal length", "Content-Length: 0x5", "hello§", "400"),
        post("an empty length", "Content-Length:", "§", "400"),
        post("a length that overflows", "Content-Length: 18446744073709551621", "hello§", "400"),
        post("a length with zeros before it", "Content-Length: 005", "hello", "200 POST 5"),
        post("a length between spaces and tabs", "Content-Length: \t 5 \t", "hello", "200 POST 5"),
        post("a length in quotes", "Content-Length: \"5\"", "hello§", "400"),
        post("a space before the colon of a length", "Content-Length : 5", "hello§", "400"),
        post("a length with an underscore", "Content_Length: 5¶Content-Length: 0", "§", "200 POST 0, 200 GET 0"),
        post("a length beside text of the next request", "Content-Length: 5¶X-Good: 1", "hello§", "200 POST 5, 200 GET 0"),
        get("a GET with a body", "Content-Length: 5¶¶hello", "200 GET 5"),
        get("a GET with a body that is a request", "Connection: close¶Content-Length: 57¶¶§", "200 GET 57"),
        // Codings.
        post("spaces and tabs around a coding", "Transfer-Encoding: \t chunked \t", "5¶hello¶0¶¶", "200 POST 5"),
        post("a coding in capitals", "Transfer-Encoding: CHUNKED", "5¶hello¶0¶¶", "200 POST 5"),
        post("a coding after chunked", "Transfer-Encoding: chunked, identity", "0¶¶§", "400"),
        post("a coding before chunked", "Transfer-Encoding: gzip, chunked", "0¶¶§", "501"),
        post("identity before chunked", "Transfer-Encoding: identity, chunked", "0¶¶§", "501"),
        post("chunked twice", "Transfer-Encoding: chunked, chunked", "0¶¶§", "501"),
        post("two fields with chunked", "Transfer-Encoding: chunked¶Transfer-Encoding: chunked", "0¶¶§", "501"),
        post("two fields, chunked first", "Transfer-Encoding: chunked¶Transfer-Encoding: x", "0¶¶§", "400"),
        post("two fields, chunked last", "Transfer-Encoding: x¶Transfer-Encoding: chunked", "0¶¶§", "501"),
        post("a coding that ends with chunked", "Transfer-Encoding: xchunked", "0¶¶§", "400"),
        post("a coding that begins with chunked", "Transfer-Encoding: chunkedx", "0¶¶§", "400"),
        post("identity alone", "Transfer-Encoding: identity¶Content-Length: 5", "hello§", "400"),
        post("no coding", "Transfer-Encoding:¶Content-Length: 5", "hello§", "400"),
        post("chunked in quotes", "Transfer-Encoding: \"chunked\"", "0¶¶§", "400"),
        post("chunked with a parameter", "Transfer-Encoding: chunked;a=b", "0¶¶§", "400"),
        post("a vertical tab after chunked", "Transfer-Encoding: chunked\x0b", "0¶¶§", "400"),
        post("a coding on a folded line", "Transfer-Encoding:¶ chunked", "0¶¶§", "400"),
        post("a coding after a folded line", "X-Evil: 1¶\tTransfer-Encoding: chunked¶Content-Length: 5", "hello§", "400"),
        post("a space before the colon of a coding", "Transfer-Encoding : chunked¶Content-Length: 5", "hello§", "400"),
        post("a coding with an underscore", "Transfer_Encoding: chunked¶Content-Length: 5", "hello", "200 POST 5"),
        post("a space before the first field", " Transfer-Encoding: chunked¶Content-Length: 5", "hello§", "400"),
        raw("a coding in HTTP/1.0", "POST $ HTTP/1.0¶Host: a¶Transfer-Encoding: chunked¶¶0¶¶§", "400"),
        // Chunks.
        post("extensions of chunks", "Transfer-Encoding: chunked", "5;a=b¶hello¶0;c=\"d\"¶¶", "200 POST 5"),
        post("a bare line feed in an extension", "Transfer-Encoding: chunked", "5;a\nhello¶0¶¶", "400"),
        post("a long extension", "Transfer-Encoding: chunked", &format!("5;{long}¶hello¶0¶¶"), "400"),
        post("a chunk whose length overflows", "Transfer-Encoding: chunked", "10000000000000005¶hello¶0¶¶§", "400"),
        post("a length of a chunk with a prefix", "Transfer-Encoding: chunked", "0x5¶hello¶0¶¶§", "400"),
        post("a length of a chunk with a sign", "Transfer-Encoding: chunked", "+5¶hello¶0¶¶§", "400"),
        post("a chunk without a length", "Transfer-Encoding: chunked", "¶hello¶0¶¶§", "400"),
        post("a chunk that is longer than its length", "Transfer-Encoding: chunked", "4¶hello¶0¶¶§", "400"),
        post("chunks that end with bare line feeds", "Transfer-Encoding: chunked", "5\nhello\n0\n\n§", "400"),
        post("a chunk that ends with two other bytes", "Transfer-Encoding: chunked", "5¶helloxx0¶¶§", "400"),
        post("framing in trailers", "Transfer-Encoding: chunked", "0¶Content-Length: 57¶Host: b¶X-Evil: 1¶¶§", "200 POST 0, 200 GET 0"),
        post("a request in trailers", "Transfer-Encoding: chunked", "0¶GET /hidden HTTP/1.1¶¶", "400"),
        // Heads.
        raw("bare line feeds", "GET $ HTTP/1.1\nHost: a\nX-Good: 1\n\n", "200 GET 0"),
        get("a bare carriage return in a value", "X-Evil: a\rX-Evil: b", "400"),
        get("a null byte in a value", "X-Evil: a\0b", "400"),
        get("a null byte in a name", "X-Evil\0: a", "400"),
        get("a control in a value", "X-Evil: a\x7fb", "400"),
        get("a control in a name", "X-Evil\x01: a", "400"),
        get("a byte of another character set", "X-Good: ä", "200 GET 0"),
        get("a field without a colon", "X-Evil", "400"),
        get("a field without a name", ": x-evil", "400"),
        get("a space in a name", "X Evil: 1", "400"),
        get("a folded line", "X-Evil: a¶ b", "400"),
        get("names with underscores", "X_Evil: 1¶Job_Principal: admin¶X_Forwarded_For: 1.2.3.4", "200 GET 0"),
        get("own names in Connection", "Connection: close, job-handle, via, x-forwarded-for, forwarded, host, job-attempt, traceparent", "200 GET 0"),
        post("a length named in Connection", "Connection: content-length, close¶Content-Length: 57", "§", "200 POST 57"),
        post("a coding named in Connection", "Connection: transfer-encoding, close¶Transfer-Encoding: chunked", "39¶§¶0¶¶", "200 POST 57"),
        get("fields named in Connection", "Connection: x-evil, close¶X-Evil: 1¶X-Good: 1", "200 GET 0"),
        get("fields of the connection", "Keep-Alive: timeout=5¶Proxy-Connection: close¶Proxy-Authorization: x¶TE: gzip", "200 GET 0"),
        get("own fields of a client", "Job-Handle: x¶Job-Attempt: 9¶Job-Principal: admin¶Job-Progress-Url: http://b¶Cancel-After: 1s", "200 GET 0"),
        get("addresses of a client's own", "Forwarded: for=1.2.3.4¶X-Forwarded-For: 1.2.3.4¶X-Forwarded-Proto: https¶X-Forwarded-Evil: 1", "200 GET 0"),
        get("a proxy for programs run by CGI", "Proxy: http://b/", "200 GET 0"),
        get("a request that was here before", "Via: 1.1 job-gateway", "508"),
        // Upgrades and expectations.
        get("an upgrade to HTTP/2", "Connection: Upgrade, HTTP2-Settings¶Upgrade: h2c¶HTTP2-Settings: AAMAAABkAAQAAP__", "200 GET 0"),
        get("a hidden request after an upgrade to HTTP/2", "Connection: Upgrade¶Upgrade: h2c¶¶§", "200 GET 0, 200 GET 0"),
        post("a websocket with a body", "Connection: Upgrade¶Upgrade: websocket¶Sec-WebSocket-Version: 13¶Content-Length: 5", "hello", "200 POST 5"),
        get("an upgrade to something else", "Connection: Upgrade¶Upgrade: websocket, h2c", "200 GET 0"),
        get("fields of an upgrade that is not asked for", "Upgrade: websocket", "200 GET 0"),
        post("an expectation", "Expect: 100-continue¶Content-Length: 5", "hello", "100, 200 POST 5"),
        post("an unknown expectation", "Expect: x¶Content-Length: 5", "hello", "200 POST 5"),
        get("an expectation without a body", "Expect: 100-continue", "200 GET 0"),
        // Targets.
        target("a target with another host", "http://a$", "200 GET 0"),
        raw("a host beside that of the target", "GET http://a$ HTTP/1.1¶Host: b¶¶", "200 GET 0"),
        raw("two hosts", "GET $ HTTP/1.1¶Host: a¶Host: b¶¶§", "400, 200 GET 0"),
        raw("two equal hosts", "GET $ HTTP/1.1¶Host: a¶Host: a¶¶", "400"),
        raw("no host", "GET $ HTTP/1.1¶¶", "400"),
        raw("a host with a path", "GET $ HTTP/1.1¶Host: a/b¶¶", "400"),
        raw("a host with a user", "GET $ HTTP/1.1¶Host: me@a¶¶", "400"),
        raw("a host with a space", "GET $ HTTP/1.1¶Host: a b¶¶", "400"),
        raw("HTTP/1.0 with a host", "GET $ HTTP/1.0¶Host: a¶¶", "200 GET 0"),
        raw("a tunnel", "CONNECT a:443 HTTP/1.1¶Host: a:443¶¶§", "501"),
        target("two dots", "$/../x", "400"),
        target("encoded dots", "$/%2e%2E/x", "400"),
        target("one encoded dot", "$/.%2e", "400"),
        target("dots before a parameter", "$/..;a=b/x", "400"),
        target("dots before an encoded parameter", "$/..%3Ba=b/x", "400"),
        target("dots before a backslash", "$/..\\x", "400"),
        target("dots before an encoded backslash", "$/..%5cx", "400"),
        target("dots before an encoded slash", "$/..%2fx", "400"),
        target("dots in the query", "$?a=/../b", "200 GET 0"),
        target("a null byte", "$/%00\0", "400"),
        target("a space", "$/a b", "400"),
        target("a fragment", "$#a", "200 GET 0"),
        target("no slash before it", "x$", "400"),
        target("two slashes before it", "/$/x", "200 GET 0"),
        target("bytes that are not ASCII", "$/ä", "400"),
        raw("all of the server", "OPTIONS * HTTP/1.1¶Host: a¶X-Vector: $¶¶", "200 OPTIONS 0"),
        raw("a method of WebDAV", "PROPFIND $ HTTP/1.1¶Host: a¶¶", "200 PROPFIND 0"),
        raw("a method with a space", "GE T $ HTTP/1.1¶Host: a¶¶", "400"),
        raw("an unknown version", "GET $ HTTP/1.2¶Host: a¶¶", "400"),
        raw("a version with more digits", "GET $ HTTP/1.10¶Host: a¶¶", "400"),
        raw("two spaces after the method", "GET  $ HTTP/1.1¶Host: a¶¶", "400"),
        raw("no version", "GET $¶¶", "400"),
        raw("empty lines before a request", "¶¶GET $ HTTP/1.1¶Host: a¶¶", "200 GET 0"),
        raw("a request of HTTP/2 without it", "PRI * HTTP/2.0¶Host: a¶¶", "400"),
        get("a long field", &format!("X-Evil: {long}"), "431"),
        get("many fields", &many, "431"),
        target("a long target", &format!("$/{long}"), "431"),
        // Several.
        raw("two requests at once", "POST $ HTTP/1.1¶Host: a¶Content-Length: 5¶¶hello§", "200 POST 5, 200 GET 0"),
        raw("a request after a refused one", "GET $/../x HTTP/1.1¶Host: a¶¶§", "400, 200 GET 0"),
        post("an upload that stands still", "Content-Length: 50", "hello", "408"),
    ]
}
