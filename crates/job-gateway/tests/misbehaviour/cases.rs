//! The cases: what a server sends, and what its client and a job receive.

use crate::script::Step::{self, Forever, Hang, Reset, Send};

/// A server's answer, and what is received of it: the status and the body, where `…` marks a body that
/// is cut off and `problem` a problem document of the gateway's own.
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) script: Vec<Step>,
    /// The outcome for a client that waits for the answer.
    pub(crate) inline: &'static str,
    /// The result of a job.
    pub(crate) job: &'static str,
}

fn case(name: &'static str, script: &[Step], inline: &'static str, job: &'static str) -> Case {
    Case {
        name,
        script: script.to_vec(),
        inline,
        job,
    }
}

/// Returns a case whose server sends this and keeps the connection.
fn sends(name: &'static str, sent: &'static str, inline: &'static str, job: &'static str) -> Case {
    case(name, &[Send(sent), Hang], inline, job)
}

/// Returns a case whose server sends this and closes the connection.
fn ends(name: &'static str, sent: &'static str, inline: &'static str, job: &'static str) -> Case {
    case(name, &[Send(sent)], inline, job)
}

/// A hundred informational answers before the answer.
fn hints() -> &'static str {
    let hints = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(100);
    (hints + "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello").leak()
}

/// The connection is kept for further requests.
const KEPT: Step = Send("");

#[rustfmt::skip]
pub(crate) fn cases() -> Vec<Case> {
    vec![
        // Lengths.
        ends("a body that is too short", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello", "200 hello…", "502 problem"),
        case("a body that is too long", &[Send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello, and more"), KEPT], "200 hello", "200 hello"),
        case("a second answer", &[Send("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"), KEPT], "200 hello", "200 hello"),
        case("a body where none is allowed", &[Send("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nevil"), KEPT], "204 ", "204 "),
        case("a length beside chunks", &[Send("HTTP/1.1 200 OK\r\ncontent-length: 50\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), KEPT], "200 hello", "200 hello"),
        case("a length that is less than that of the chunks", &[Send("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), KEPT], "200 hello", "200 hello"),
        sends("two lengths", "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 4\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a length with a plus", "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a list of lengths", "HTTP/1.1 200 OK\r\ncontent-length: 5, 4\r\n\r\nhello", "502 problem", "502 problem"),
        ends("a coding that is not known", "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\nhello", "502 problem", "502 problem"),
        case("chunks within a coding", &[Send("HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), KEPT], "502 problem", "502 problem"),
        case("chunks twice", &[Send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"), KEPT], "502 problem", "502 problem"),
        // Ends.
        case("no answer", &[], "502 problem", "502 problem"),
        ends("an end within the head", "HTTP/1.1 200 OK\r\ncontent-le", "502 problem", "502 problem"),
        case("a reset before the head", &[Reset], "502 problem", "502 problem"),
        case("a reset within the head", &[Send("HTTP/1.1 200 OK\r\ncontent-le"), Reset], "502 problem", "502 problem"),
        case("a reset within the body", &[Send("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhello"), Reset], "200 hello…", "502 problem"),
        case("a reset within a body without a length", &[Send("HTTP/1.1 200 OK\r\n\r\nhello"), Reset], "200 hello…", "502 problem"),
        ends("an end within a chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhello", "200 hello…", "502 problem"),
        ends("an end before the last chunk", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n", "200 hello…", "502 problem"),
        ends("an end within the trailers", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: ", "200 hello…", "502 problem"),
        // Chunks.
        sends("a chunk without a length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n\r\n", "200 hello…", "502 problem"),
        sends("a length of a chunk that is no number", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nxyz\r\n", "200 hello…", "502 problem"),
        sends("a chunk whose length overflows", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\nfffffffffffffffff\r\n", "200 hello…", "502 problem"),
        sends("a chunk that is longer than its length", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello!!\r\n0\r\n\r\n", "200 hello…", "502 problem"),
        // Heads.
        sends("another protocol", "SSH-2.0-OpenSSH_9.2\r\n\r\n", "502 problem", "502 problem"),
        ends("HTTP/0.9", "hello", "502 problem", "502 problem"),
        sends("HTTP/2", "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x64", "502 problem", "502 problem"),
        sends("a status of two digits", "HTTP/1.1 99 Less\r\ncontent-length: 0\r\n\r\n", "502 problem", "502 problem"),
        sends("a status that is no number", "HTTP/1.1 abc No\r\ncontent-length: 0\r\n\r\n", "502 problem", "502 problem"),
        sends("a switch of protocols", "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n", "502 problem", "502 problem"),
        sends("a space before a colon", "HTTP/1.1 200 OK\r\ncontent-length : 5\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a folded line", "HTTP/1.1 200 OK\r\nx: a\r\n b\r\ncontent-length: 5\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a null byte in a value", "HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 5\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a carriage return in a value", "HTTP/1.1 200 OK\r\nx: a\rb: c\r\ncontent-length: 5\r\n\r\nhello", "502 problem", "502 problem"),
        sends("a field without a colon", "HTTP/1.1 200 OK\r\nhello\r\ncontent-length: 5\r\n\r\nhello", "502 problem", "502 problem"),
        case("many fields", &[Send("HTTP/1.1 200 OK\r\n"), Forever("x: y\r\n")], "502 problem", "502 problem"),
        case("a long field", &[Send("HTTP/1.1 200 OK\r\nx: "), Forever("y")], "502 problem", "502 problem"),
        // Informational answers.
        case("informational answers", &[Send(hints()), KEPT], "200 hello", "200 hello"),
        sends("an informational answer, and no other", "HTTP/1.1 103 Early Hints\r\n\r\n", "504 problem", "504 problem"),
        case("informational answers without end", &[Forever("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n")], "502 problem", "502 problem"),
        // Silence.
        sends("no answer, and no end", "", "504 problem", "504 problem"),
        sends("a head without an end", "HTTP/1.1 200 OK\r\nx: y\r\n", "504 problem", "504 problem"),
    ]
}
