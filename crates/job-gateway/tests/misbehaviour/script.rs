//! Servers that play a script instead of answering.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::sleep,
};

use self::Step::{Forever, Hang, Reset, Send};
use crate::support::Upstream;

/// A step of a script. The connection is closed at the end.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Send(&'static str),
    /// Sends a text until the connection is closed.
    Forever(&'static str),
    /// Closes the connection so that what was not read yet is lost.
    Reset,
    /// Keeps the connection until the peer closes it.
    Hang,
}

/// The answer to a request that no script is for.
pub(crate) const SOUND: &str = "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nsound";

/// Starts a server that plays the script whose number is the last segment of the path.
pub(crate) async fn playing(scripts: Vec<Vec<Step>>) -> Upstream {
    let scripts: &'static [_] = scripts.leak();
    Upstream::of_connections(move |stream| play(stream, scripts)).await
}

async fn play(mut stream: TcpStream, scripts: &[Vec<Step>]) {
    while let Some(head) = read_head(&mut stream).await {
        let path = head.split(' ').nth(1).unwrap_or_default();
        if path.starts_with("/jobs/") {
            // Until the request has become a job.
            sleep(Duration::from_millis(100)).await;
        }
        let number = path.rsplit('/').next().unwrap_or_default();
        let script = number
            .parse()
            .ok()
            .and_then(|number: usize| scripts.get(number));
        let Some(script) = script else {
            if stream.write_all(SOUND.as_bytes()).await.is_err() {
                return;
            }
            continue;
        };
        for step in script {
            match step {
                Send(text) => {
                    if stream.write_all(text.as_bytes()).await.is_err() {
                        return;
                    }
                    // The peer reads each piece by itself.
                    sleep(Duration::from_millis(5)).await;
                }
                Forever(text) => {
                    let many = text.repeat(1.max(4096 / text.len()));
                    while stream.write_all(many.as_bytes()).await.is_ok() {}
                    return;
                }
                Reset => {
                    stream.set_zero_linger().unwrap();
                    return;
                }
                Hang => {
                    while stream.read(&mut [0; 4096]).await.is_ok_and(|read| read > 0) {}
                    return;
                }
            }
        }
        // A script that ends in the middle of a connection is followed by its end.
        if !matches!(script.last(), Some(Send(text)) if text.is_empty()) {
            return;
        }
    }
}

/// Reads the head of a request, or none at the end of the connection.
async fn read_head(stream: &mut TcpStream) -> Option<String> {
    let mut read = Vec::new();
    while !read.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.ok()? == 0 {
            return None;
        }
        read.push(byte[0]);
    }
    Some(String::from_utf8_lossy(&read).into_owned())
}
