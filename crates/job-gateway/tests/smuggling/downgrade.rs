//! Requests of HTTP/2 that would be others in HTTP/1: each arrives as it is, or not at all.
//!
//! In the fields and the data, `¶` is the end of a line, `$` the path of the vector, and `§` a whole
//! request that is hidden in another one. The outcome is the status of the response, or the error that
//! ends the stream or the connection; and the method and the length of the body of the request that
//! the server behind the gateway has received.

use std::time::Duration;

use futures_util::{StreamExt, future, stream};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    time::{sleep, timeout},
};

use crate::{
    logged::Logged,
    recorder::Seen,
    suite::{agree_with_the_logs, is_of_the_gateway, recorders},
    support::http2::{
        CONTINUATION, DATA, END_HEADERS, END_STREAM, Frame, GOAWAY, HEADERS, PREFACE, PUSH_PROMISE,
        RST_STREAM, SETTINGS, block, frame,
    },
};

/// The time limit of a response on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// The longest payload of a frame, unless the peer allows more.
const MAX_FRAME: usize = 16_384;

type Fields<'a> = &'a [(&'a str, &'a str)];

/// Frames of a client, and the outcome.
struct Vector {
    name: &'static str,
    frames: Vec<u8>,
    outcome: &'static str,
    /// Set if it has a field that must arrive.
    is_good: bool,
}

/// The vectors, each with its number in its path.
#[derive(Default)]
struct Vectors(Vec<Vector>);

impl Vectors {
    fn path(number: usize) -> String {
        format!("/h{number:03}")
    }

    fn text(&self, text: &str) -> String {
        let hidden = "GET $/hidden HTTP/1.1¶Host: a¶Connection: close¶¶";
        let text = text.replace('§', hidden);
        text.replace('$', &Self::path(self.0.len()))
            .replace('¶', "\r\n")
    }

    fn block(&self, fields: Fields<'_>) -> Vec<u8> {
        let fields = fields.iter();
        let fields: Vec<_> = fields
            .map(|(name, value)| (self.text(name), self.text(value)))
            .collect();
        let fields = fields.iter().map(|(name, value)| (&**name, &**value));
        block(&fields.collect::<Vec<_>>())
    }

    fn add(&mut self, name: &'static str, frames: Vec<u8>, outcome: &'static str) {
        let is_good = frames.windows(6).any(|part| part == b"x-good");
        self.0.push(Vector {
            name,
            frames,
            outcome,
            is_good,
        });
    }

    /// Adds a request without a body, with all of its fields.
    fn whole(&mut self, name: &'static str, fields: Fields<'_>, outcome: &'static str) {
        let block = self.block(fields);
        let (first, rest) = block.split_at(block.len().min(MAX_FRAME));
        let frames = match rest.is_empty() {
            true => frame(HEADERS, END_HEADERS | END_STREAM, 1, first),
            false => {
                let first = frame(HEADERS, END_STREAM, 1, first);
                [first, frame(CONTINUATION, END_HEADERS, 1, rest)].concat()
            }
        };
        self.add(name, frames, outcome);
    }

    /// Adds a request without a body, with further fields.
    fn get(&mut self, name: &'static str, fields: Fields<'_>, outcome: &'static str) {
        self.whole(name, &[&pseudo("GET"), fields].concat(), outcome);
    }

    /// Adds a request whose path is another one.
    fn target(&mut self, name: &'static str, path: &str, outcome: &'static str) {
        let mut fields = pseudo("GET");
        fields[3].1 = path;
        self.whole(name, &[&fields[..], &[("x-vector", "$")]].concat(), outcome);
    }

    /// Adds a request whose field of this number has another value.
    fn other(&mut self, name: &'static str, at: usize, value: &str, outcome: &'static str) {
        let mut fields = pseudo("GET");
        fields[at].1 = value;
        self.whole(name, &fields, outcome);
    }

    /// Adds a request with further fields and a body.
    fn post(&mut self, name: &'static str, fields: Fields<'_>, data: &str, outcome: &'static str) {
        let head = self.block(&[&pseudo("POST"), fields].concat());
        let head = frame(HEADERS, END_HEADERS, 1, head);
        let data = frame(DATA, END_STREAM, 1, self.text(data));
        self.add(name, [head, data].concat(), outcome);
    }

    /// Adds a request with a body and trailers.
    fn trailers(&mut self, name: &'static str, trailers: Fields<'_>, outcome: &'static str) {
        let head = frame(HEADERS, END_HEADERS, 1, self.block(&pseudo("POST")));
        let data = frame(DATA, 0, 1, "hello");
        let trailers = self.block(trailers);
        let trailers = frame(HEADERS, END_HEADERS | END_STREAM, 1, trailers);
        self.add(name, [head, data, trailers].concat(), outcome);
    }
}

fn pseudo(method: &str) -> [(&str, &str); 4] {
    [
        (":method", method),
        (":scheme", "http"),
        (":authority", "a"),
        (":path", "$"),
    ]
}

#[rustfmt::skip]
fn vectors() -> Vec<Vector> {
    let mut all = Vectors::default();
    let long = "a".repeat(17_000);
    let many = [("x-evil", "1"); 101];
    // Lengths and codings.
    all.get("a request", &[("x-good", "1")], "200 GET 0");
    all.post("a body without a length", &[], "§", "200 POST 57");
    all.post("a length", &[("content-length", "5"), ("x-good", "1")], "hello", "200 POST 5");
    all.post("a length that is less than that of the data", &[("content-length", "4")], "hello", "reset 1");
    all.post("a length of zero before data", &[("content-length", "0")], "§", "reset 1");
    all.post("a length that is more than that of the data", &[("content-length", "57")], "hello", "reset 1");
    all.get("a length without data", &[("content-length", "5")], "reset 1");
    all.post("two lengths", &[("content-length", "5"), ("content-length", "0")], "hello", "reset 1");
    all.post("a length with a plus", &[("content-length", "+5")], "hello", "reset 1");
    all.post("a list of lengths", &[("content-length", "5, 5")], "hello", "reset 1");
    all.post("an empty length", &[("content-length", "")], "hello", "reset 1");
    all.post("a coding", &[("transfer-encoding", "chunked")], "0¶¶§", "reset 1");
    all.post("a coding beside a length", &[("content-length", "62"), ("transfer-encoding", "chunked")], "0¶¶§", "reset 1");
    all.post("a length with an underscore", &[("content_length", "0")], "§", "200 POST 57");
    // Fields of connections.
    all.get("a connection", &[("connection", "x-evil"), ("x-evil", "1")], "reset 1");
    all.get("a time of the connection", &[("keep-alive", "timeout=5")], "reset 1");
    all.get("a connection to a proxy", &[("proxy-connection", "close")], "reset 1");
    all.get("an upgrade", &[("upgrade", "websocket")], "reset 1");
    all.get("a coding that is accepted", &[("te", "gzip")], "reset 1");
    all.get("settings of an upgrade", &[("http2-settings", "AAMAAABkAAQAAP__")], "200 GET 0");
    // Names and values.
    all.get("capitals in a name", &[("X-Evil", "1")], "goaway 1");
    all.get("a line in a name", &[("x-evil: 1¶x-evil", "1")], "goaway 1");
    all.get("a colon in a name", &[("x-evil:", "1")], "goaway 1");
    all.get("a space in a name", &[("x evil", "1")], "goaway 1");
    all.get("a null byte in a name", &[("x-evil\0", "1")], "goaway 1");
    all.get("no name", &[("", "x-evil")], "goaway 1");
    all.get("a line in a value", &[("x-evil", "1¶X-Evil: 2")], "goaway 1");
    all.get("a request in a value", &[("x-evil", "1¶¶§")], "goaway 1");
    all.get("a line feed in a value", &[("x-evil", "1\nX-Evil: 2")], "goaway 1");
    all.get("a carriage return in a value", &[("x-evil", "1\rX-Evil: 2")], "goaway 1");
    all.get("a null byte in a value", &[("x-evil", "a\0b")], "goaway 1");
    all.get("spaces around a value", &[("x-good", " 1\t")], "200 GET 0");
    all.get("a byte of another character set", &[("x-good", "ä")], "200 GET 0");
    all.get("names with underscores", &[("x_evil", "1"), ("job_principal", "admin"), ("x_forwarded_for", "1.2.3.4")], "200 GET 0");
    all.get("own fields of a client", &[("job-handle", "x"), ("job-attempt", "9"), ("job-principal", "admin"), ("cancel-after", "1s")], "200 GET 0");
    all.get("addresses of a client's own", &[("forwarded", "for=1.2.3.4"), ("x-forwarded-for", "1.2.3.4"), ("x-forwarded-proto", "https")], "200 GET 0");
    all.get("a long field", &[("x-evil", &long)], "431");
    all.get("many fields", &many, "431");
    all.get("cookies in several fields", &[("cookie", "a=1"), ("cookie", "b=2; c=3")], "200 GET 0");
    // Hosts.
    all.get("a host beside the authority", &[("host", "b")], "200 GET 0");
    all.get("two hosts", &[("host", "a"), ("host", "b")], "400");
    all.whole("a host instead of the authority", &[(":method", "GET"), (":scheme", "http"), (":path", "$"), ("host", "a")], "200 GET 0");
    all.whole("neither a host nor an authority", &[(":method", "GET"), (":scheme", "http"), (":path", "$")], "400");
    all.other("a user in the authority", 2, "me@a", "400");
    all.other("a path in the authority", 2, "a/b", "reset 1");
    all.other("a line in the authority", 2, "a¶X-Evil: 1", "reset 1");
    all.other("no name in the authority", 2, "", "reset 1");
    // Methods and paths.
    all.other("a line in the method", 0, "GET / HTTP/1.1¶X-Evil: 1¶¶GET", "goaway 1");
    all.other("a space in the method", 0, "GET /", "goaway 1");
    all.other("no name of a method", 0, "", "goaway 1");
    all.other("another scheme", 1, "https", "200 GET 0");
    all.other("a line in the scheme", 1, "http¶X-Evil: 1", "reset 1");
    all.target("a space in the path", "$ HTTP/1.1¶X-Evil: 1", "reset 1");
    all.target("a line in the path", "$¶X-Evil: 1", "reset 1");
    all.target("a request in the path", "$ HTTP/1.1¶Host: a¶¶§", "reset 1");
    all.target("a null byte in the path", "$\0", "reset 1");
    all.target("no path", "", "reset 1");
    all.target("no slash before the path", "x$", "reset 1");
    all.target("a target with a host", "http://b$", "reset 1");
    all.target("two slashes before the path", "/$/x", "200 GET 0");
    all.target("two dots", "$/../x", "400");
    all.target("encoded dots", "$/%2e%2E/x", "400");
    all.target("a fragment", "$#a", "200 GET 0");
    // Pseudo-fields.
    all.get("two paths", &[(":path", "/evil")], "reset 1");
    all.get("two methods", &[(":method", "POST")], "reset 1");
    all.get("two authorities", &[(":authority", "b")], "reset 1");
    all.get("a status", &[(":status", "200")], "reset 1");
    all.get("an unknown one", &[(":evil", "1")], "goaway 1");
    all.get("one after other fields", &[("x-evil", "1"), (":path", "/evil")], "reset 1");
    all.get("a protocol", &[(":protocol", "websocket")], "reset 1");
    all.whole("no path at all", &[(":method", "GET"), (":scheme", "http"), (":authority", "a")], "reset 1");
    all.whole("no method", &[(":scheme", "http"), (":authority", "a"), (":path", "$")], "reset 1");
    all.whole("no scheme", &[(":method", "GET"), (":authority", "a"), (":path", "$")], "reset 1");
    all.whole("a tunnel", &[(":method", "CONNECT"), (":authority", "a:443")], "501");
    // Trailers.
    all.trailers("trailers", &[("x-evil", "1")], "200 POST 5");
    all.trailers("framing in trailers", &[("content-length", "57"), ("host", "b")], "200 POST 5");
    all.trailers("a coding in trailers", &[("transfer-encoding", "chunked")], "reset 1");
    all.trailers("a path in trailers, which is left out", &[(":path", "/evil")], "200 POST 5");
    all.trailers("a line in trailers", &[("x-evil", "1¶¶§")], "goaway 1");
    // Frames.
    let request = all.block(&pseudo("GET"));
    all.add("data before the head", frame(DATA, END_STREAM, 1, "§"), "goaway 1");
    all.add("a stream of the server's", frame(HEADERS, END_HEADERS | END_STREAM, 2, &request), "goaway 1");
    all.add("a promise", frame(PUSH_PROMISE, END_HEADERS, 1, [&[0, 0, 0, 2][..], &request].concat()), "goaway 1");
    all.add("the rest of nothing", frame(CONTINUATION, END_HEADERS, 1, &request), "goaway 1");
    all.0
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_receive_the_requests_of_http_2_as_they_were_sent() {
    let Some(recorders) = recorders().await else {
        return;
    };
    let gateways = future::join_all(recorders.iter().map(Logged::before)).await;
    let vectors = vectors();
    let runs = vectors.iter().map(|vector| {
        let gateways = gateways.iter();
        future::join_all(gateways.map(|logged| answer(logged.gateway.address(), vector)))
    });
    let answers: Vec<_> = stream::iter(runs).buffered(16).collect().await;
    // Time for requests that no client has sent.
    sleep(Duration::from_millis(300)).await;
    let mut flaws = Vec::new();
    for (index, recorder) in recorders.iter().enumerate() {
        let seen = recorder.seen();
        for (number, vector) in vectors.iter().enumerate() {
            let path = Vectors::path(number);
            let requests: Vec<_> = seen.iter().filter(|request| request.is_of(&path)).collect();
            let outcome = outcome(&answers[number][index], &requests);
            let sound = requests.iter().map(|request| is_sound(request, vector));
            let flaw = match sound.collect::<Result<(), _>>() {
                _ if outcome != vector.outcome => {
                    format!("{outcome:?} instead of {:?}", vector.outcome)
                }
                Err(flaw) => format!("{flaw} in {requests:?}"),
                Ok(()) => continue,
            };
            flaws.push(format!(
                "{} ({path}), {}: {flaw}",
                vector.name,
                recorder.name()
            ));
        }
    }
    assert!(flaws.is_empty(), "{}", flaws.join("\n"));
    agree_with_the_logs(&recorders, &gateways);
}

/// Sends a vector, and returns the status of the response, or the error.
async fn answer(address: &str, vector: &Vector) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let settings = frame(SETTINGS, 0, 0, []);
    let bytes = [PREFACE, &settings, &vector.frames].concat();
    stream.write_all(&bytes).await.unwrap();
    let answering = async {
        while let Some(frame) = Frame::read(&mut stream).await {
            match (frame.kind, frame.status(), frame.error()) {
                (_, Some(status), _) => return status.to_string(),
                (RST_STREAM, _, Some(code)) => return format!("reset {code}"),
                (GOAWAY, _, Some(code)) => return format!("goaway {code}"),
                _ => {}
            }
        }
        "the end".to_owned()
    };
    timeout(PATIENCE, answering)
        .await
        .unwrap_or_else(|_| "nothing".to_owned())
}

/// Returns an answer with the requests that have arrived.
fn outcome(answer: &str, requests: &[&Seen]) -> String {
    let requests = requests
        .iter()
        .map(|seen| format!(" {} {}", seen.method, seen.body));
    answer.to_owned() + &requests.collect::<String>()
}

fn is_sound(request: &Seen, vector: &Vector) -> Result<(), String> {
    is_of_the_gateway(request)?;
    let cookies = request.field("cookie");
    if cookies.is_some_and(|cookies| cookies != "a=1; b=2; c=3") {
        return Err("cookies that servers of HTTP/1 do not expect".to_owned());
    }
    match vector.is_good && !request.fields.contains_key("x-good") {
        true => Err("x-good has not arrived".to_owned()),
        false => Ok(()),
    }
}
