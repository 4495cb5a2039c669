//! Servers that break the rules of HTTP/2.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use self::Step::{Forever, Hang, Send};
use crate::{
    script::playing,
    suite::{AT_ONCE, sound, trial},
    support::{
        Gateway, Upstream,
        http2::{
            ACK, CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PING,
            PREFACE, PUSH_PROMISE, RST_STREAM, SETTINGS, WINDOW_UPDATE, block, frame,
        },
    },
};

/// The outcomes of a body that is cut off. Its beginning, or the
/// head, may be lost with it.
const CUT: &str = "200 hello… | 200 … | 502 problem | no answer";
const FAILED: &str = "500 problem | 502 problem";

/// The number of pieces that a server sends as fast as they are taken.
const FLOOD: u32 = 50;

/// A step of a script. The connection is closed at the end.
#[derive(Clone)]
enum Step {
    Send(Vec<u8>),
    /// Sends frames until the connection is closed.
    Forever(Vec<u8>),
    /// Keeps the connection until the peer closes it.
    Hang,
}

/// The answers of a server to its requests, and what is received of them: by a client that waits, and
/// as the result of a job.
struct Case {
    name: &'static str,
    /// The first bytes of a connection.
    settings: Vec<u8>,
    /// The answer to the request with this number of a stream.
    script: fn(u32) -> Vec<Step>,
    outcomes: [&'static str; 2],
}

/// The settings of a server that keeps the rules, and takes one request at once.
fn usual() -> Vec<u8> {
    setting(3, 1)
}

/// Returns settings of which one has a value.
fn setting(name: u8, value: u8) -> Vec<u8> {
    frame(SETTINGS, 0, 0, [0, name, 0, 0, 0, value])
}

/// Returns the frame of a response's head.
fn head(stream: u32, fields: &[(&str, &str)]) -> Vec<u8> {
    frame(HEADERS, END_HEADERS, stream, block(fields))
}

/// Returns the head of a response that has a body of this length.
fn ok(stream: u32, length: &str) -> Vec<u8> {
    head(stream, &[(":status", "200"), ("content-length", length)])
}

fn end(stream: u32, data: &str) -> Vec<u8> {
    frame(DATA, END_STREAM, stream, data)
}

fn reset(stream: u32, code: u8) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, [0, 0, 0, code])
}

/// Returns the end of a connection: the last stream that was read, and the reason.
fn goaway(last: u32, code: u8) -> Vec<u8> {
    let reason = [0, 0, 0, code];
    frame(GOAWAY, 0, 0, [last.to_be_bytes(), reason].concat())
}

fn case(
    name: &'static str,
    script: fn(u32) -> Vec<Step>,
    inline: &'static str,
    job: &'static str,
) -> Case {
    Case {
        name,
        settings: usual(),
        script,
        outcomes: [inline, job],
    }
}

/// Returns a case whose connections begin in another way, and have no answers.
fn begun(name: &'static str, settings: Vec<u8>, outcome: &'static str) -> Case {
    let silent = case(name, |_| vec![Hang], outcome, outcome);
    Case { settings, ..silent }
}

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    vec![
        case("an answer", |it| vec![Send(ok(it, "5")), Send(end(it, "hello")), Hang], "200 hello", "200 hello"),
        // Lengths.
        case("a body that is too short", |it| vec![Send(ok(it, "9")), Send(end(it, "hello")), Hang], CUT, FAILED),
        case("a body that is too long", |it| vec![Send(ok(it, "4")), Send(end(it, "hello")), Hang], CUT, FAILED),
        case("a length that is no number", |it| vec![Send(ok(it, "+5")), Send(end(it, "hello")), Hang], "502 problem", "502 problem"),
        case("data after the end", |it| vec![Send(ok(it, "5")), Send(end(it, "hello")), Send(end(it, "evil")), Hang], "200 hello", "200 hello"),
        case("data before the head", |it| vec![Send(end(it, "hello")), Hang], "502 problem", "502 problem"),
        // Ends.
        case("no answer", |_| vec![], "502 problem", "502 problem"),
        case("a reset before the head", |it| vec![Send(reset(it, 2)), Hang], "502 problem", "502 problem"),
        case("a reset of what was not processed", |it| vec![Send(reset(it, 7)), Hang], "502 problem", "502 problem"),
        case("a reset within the body", |it| vec![Send(ok(it, "9")), Send(frame(DATA, 0, it, "hello")), Send(reset(it, 2)), Hang], CUT, FAILED),
        case("an end within the body", |it| vec![Send(ok(it, "9")), Send(frame(DATA, 0, it, "hello"))], CUT, FAILED),
        case("an end within a frame", |it| vec![Send(ok(it, "5")), Send(end(it, "hello")[..12].to_vec())], CUT, FAILED),
        case("a connection that ends before the request", |_| vec![Send(goaway(0, 0))], "502 problem", "502 problem"),
        case("a connection that ends with the request", |it| vec![Send(goaway(it, 0))], "502 problem", "502 problem"),
        case("a connection that ends by an error", |_| vec![Send(goaway(0, 2)), Hang], "502 problem", "502 problem"),
        case("a connection that ends after the answer", |it| vec![Send(goaway(u32::MAX >> 1, 0)), Send(ok(it, "5")), Send(end(it, "hello")), Hang], "200 hello", "200 hello"),
        // Heads.
        case("no status", |it| vec![Send(head(it, &[("x", "y")])), Hang], "502 problem", "502 problem"),
        case("a status of two digits", |it| vec![Send(head(it, &[(":status", "99")])), Hang], "502 problem", "502 problem"),
        case("capitals in a name", |it| vec![Send(head(it, &[(":status", "200"), ("X", "y")])), Hang], "502 problem", "502 problem"),
        case("a line in a value", |it| vec![Send(head(it, &[(":status", "200"), ("x", "a\r\nb: c")])), Hang], "502 problem", "502 problem"),
        case("a coding", |it| vec![Send(head(it, &[(":status", "200"), ("transfer-encoding", "chunked")])), Send(end(it, "0\r\n\r\n")), Hang], "502 problem", "502 problem"),
        case("a switch of protocols", |it| vec![Send(head(it, &[(":status", "101")])), Hang], "504 problem", "504 problem"),
        case("a long head", |it| vec![Send(frame(HEADERS, 0, it, block(&[(":status", "200")]))), Send(frame(CONTINUATION, 0, it, long()).repeat(64)), Send(frame(CONTINUATION, END_HEADERS, it, long())), Hang], "502 problem", "502 problem"),
        case("a head that is continued elsewhere", |it| vec![Send(frame(HEADERS, 0, it, block(&[(":status", "200")]))), Send(end(it, "hello")), Hang], "502 problem", "502 problem"),
        // Informational answers.
        case("an informational answer", |it| vec![Send(head(it, &[(":status", "103")])), Send(ok(it, "5")), Send(end(it, "hello")), Hang], "200 hello", "200 hello"),
        case("an informational answer, and no other", |it| vec![Send(head(it, &[(":status", "103")])), Hang], "504 problem", "504 problem"),
        // Other streams and frames.
        case("an answer to no request", |it| vec![Send(ok(it + 100, "5")), Send(end(it + 100, "hello")), Hang], "502 problem", "502 problem"),
        case("an answer on a stream of the server's", |_| vec![Send(ok(2, "5")), Hang], "502 problem", "502 problem"),
        case("a promise", |it| vec![Send(frame(PUSH_PROMISE, END_HEADERS, it, [0, 0, 0, 2])), Hang], "502 problem", "502 problem"),
        case("a window that does not open", |it| vec![Send(frame(WINDOW_UPDATE, 0, it, [0; 4])), Hang], "502 problem", "502 problem"),
        case("a window that overflows", |_| vec![Send(frame(WINDOW_UPDATE, 0, 0, [0x7f, 255, 255, 255])), Hang], "502 problem", "502 problem"),
        case("a frame of an unknown kind", |it| vec![Send(frame(99, 0, it, "?")), Send(ok(it, "5")), Send(end(it, "hello")), Hang], "200 hello", "200 hello"),
        // Beginnings.
        begun("HTTP/1", b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello".to_vec(), "502 problem"),
        begun("no settings, and no end", Vec::new(), "504 problem"),
        begun("no requests at once", setting(3, 0), "504 problem"),
        begun("settings that are none", setting(2, 9), "502 problem"),
        begun("settings that are cut off", frame(SETTINGS, 0, 0, [0, 3, 0]), "502 problem"),
        // Frames without end.
        case("a head without an end", |it| vec![Send(frame(HEADERS, 0, it, block(&[(":status", "200")]))), Forever(frame(CONTINUATION, 0, it, long()))], "502 problem", "502 problem"),
        case("informational answers without end", |it| vec![Forever(head(it, &[(":status", "103")]))], "504 problem", "504 problem"),
        case("pings without end", |_| vec![Forever(frame(PING, 0, 0, [0; 8]))], "504 problem", "504 problem"),
        case("settings without end", |_| vec![Forever(usual())], "504 problem", "504 problem"),
    ]
}

/// Returns a part of a block that is as long as a frame may be.
fn long() -> Vec<u8> {
    block(&[("x", &"y".repeat(16_000))])
}

/// Starts a server that plays a script for each request.
async fn server(case: &Case) -> Upstream {
    let (settings, script) = (case.settings.clone(), case.script);
    Upstream::of_connections(move |stream| play(stream, settings.clone(), script)).await
}

async fn play(mut stream: TcpStream, settings: Vec<u8>, script: fn(u32) -> Vec<Step>) {
    let mut preface = [0; PREFACE.len()];
    if stream.read_exact(&mut preface).await.is_err() {
        return;
    }
    if stream.write_all(&settings).await.is_err() {
        return;
    }
    while let Some(received) = Frame::read(&mut stream).await {
        if received.kind == SETTINGS && received.flags & ACK == 0 {
            let known = frame(SETTINGS, ACK, 0, []);
            if stream.write_all(&known).await.is_err() {
                return;
            }
        }
        if received.kind != HEADERS {
            continue;
        }
        // Until the request has become a job.
        sleep(Duration::from_millis(100)).await;
        for step in script(received.stream) {
            match step {
                Send(bytes) => {
                    if stream.write_all(&bytes).await.is_err() {
                        return;
                    }
                    // The peer reads each piece by itself.
                    sleep(Duration::from_millis(5)).await;
                }
                Forever(bytes) => {
                    let many = bytes.repeat(1.max(4096 / bytes.len()));
                    let mut count = 0;
                    while stream.write_all(&many).await.is_ok() {
                        count += 1;
                        if count > FLOOD {
                            // Others of the machine have something to do, too.
                            sleep(Duration::from_millis(100)).await;
                        }
                    }
                    return;
                }
                // Further requests of the connection are answered too.
                Hang => {}
            }
        }
        if !matches!(script(received.stream).last(), Some(Hang)) {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_http_2_leave_no_wrong_answer_and_nothing_behind() {
    let cases = cases();
    let mut settings = "admin = \"127.0.0.1:0\"\n[defaults]\ndeadline = \"3s\"\n".to_owned();
    let mut add = |name: &str, url: String| {
        settings += &format!(
            "[upstreams.u{name}]\nurl = \"{url}\"\nresponse_timeout = \"3s\"\n\
             [[routes]]\nmatch = \"/inline/{name}\"\nupstream = \"u{name}\"\ndefer = false\n\
             [[routes]]\nmatch = \"/jobs/{name}\"\nupstream = \"u{name}\"\nresult_limit = \"1MB\"\n"
        );
    };
    let other = playing(Vec::new()).await;
    add("sound", other.url());
    let mut servers = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let server = server(case).await;
        add(&number.to_string(), server.url().replace("http:", "h2c:"));
        servers.push(server);
    }
    let gateway = Gateway::with(&settings).await;
    sound(&gateway).await;
    let before = gateway.usage().await;
    let memory = gateway.peak_memory();
    let trials = cases.iter().enumerate();
    let trials = trials.map(|(number, case)| trial(&gateway, number, case.name, case.outcomes));
    let flaws: Vec<_> = stream::iter(trials).buffered(AT_ONCE).collect().await;
    let flaws: Vec<_> = flaws.into_iter().flatten().collect();
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    let grown = gateway.peak_memory() - memory;
    assert!(grown < 32 << 20, "{grown} bytes more than before");
    gateway.nothing_is_left(before).await;
}
