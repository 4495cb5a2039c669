//! Clients that cost little: they write prepared requests, and read no more of an answer than they need.

use std::{
    net::SocketAddr,
    str,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::JoinSet,
};

use crate::Outcome;

/// The number of clients, each of which sends its next request after the answer.
const CLIENTS: usize = 16;

/// A connection of a client.
pub(crate) struct Client {
    stream: TcpStream,
    read: Vec<u8>,
}

/// An answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    head: &'a str,
}

impl<'a> Answer<'a> {
    pub(crate) fn status(self) -> &'a str {
        self.head.get(9..12).unwrap_or_default()
    }

    pub(crate) fn field(self, name: &str) -> Option<&'a str> {
        self.head.lines().find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Outcome<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            read: Vec::with_capacity(4 << 10),
        })
    }

    /// Returns the address of the server.
    pub(crate) fn address(&self) -> Outcome<SocketAddr> {
        Ok(self.stream.peer_addr()?)
    }

    /// Sends a request, and reads its answer to the end.
    pub(crate) async fn send(&mut self, request: &[u8]) -> Outcome<Answer<'_>> {
        self.stream.write_all(request).await?;
        self.read.clear();
        let end = loop {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the connection has ended before an answer".into());
            }
            let end = self.read.windows(4).position(|end| end == b"\r\n\r\n");
            if let Some(end) = end {
                break end;
            }
        };
        let head = str::from_utf8(&self.read[..end])?;
        let length = Answer { head }.field("content-length").unwrap_or("0");
        let whole = end + 4 + length.parse::<usize>()?;
        while self.read.len() < whole {
            if self.stream.read_buf(&mut self.read).await? == 0 {
                return Err("the connection has ended within an answer".into());
            }
        }
        let head = str::from_utf8(&self.read[..end])?;
        Ok(Answer { head })
    }
}

/// Returns a request with eight fields and no body.
pub(crate) fn request(method_and_path: &str, prefer: &str) -> Vec<u8> {
    format!(
        "{method_and_path} HTTP/1.1\r\n\
         host: shop.example\r\n\
         user-agent: measured/1.0\r\n\
         accept: application/json\r\n\
         accept-encoding: gzip, br\r\n\
         accept-language: en\r\n\
         origin: https://app.example\r\n\
         referer: https://app.example/reports\r\n\
         {prefer}\r\n\r\n"
    )
    .into_bytes()
}

/// Sends a request again and again, for a time. Returns the number of answers.
///
/// # Errors
///
/// Fails if an answer has another status.
pub(crate) async fn send_for(
    address: SocketAddr,
    request: &[u8],
    status: &'static str,
    time: Duration,
) -> Outcome<u64> {
    let until = Instant::now() + time;
    send_while(address, request, status, move |_| Instant::now() < until).await
}

/// Sends a request this many times. Returns the number of answers.
///
/// # Errors
///
/// Fails if an answer has another status.
pub(crate) async fn send_times(
    address: SocketAddr,
    request: &[u8],
    status: &'static str,
    times: u64,
) -> Outcome<u64> {
    let each = times / CLIENTS as u64;
    send_while(address, request, status, move |sent| sent < each).await
}

async fn send_while(
    address: SocketAddr,
    request: &[u8],
    status: &'static str,
    goes_on: impl Fn(u64) -> bool + Copy + Send + 'static,
) -> Outcome<u64> {
    let mut clients = JoinSet::<Outcome<u64>>::new();
    for _ in 0..CLIENTS {
        let mut client = Client::connect(address).await?;
        let request = request.to_vec();
        clients.spawn(async move {
            let mut sent = 0;
            while goes_on(sent) {
                let answer = client.send(&request).await?;
                if answer.status() != status {
                    return Err(format!("not {status}: {}", answer.head).into());
                }
                sent += 1;
            }
            Ok(sent)
        });
    }
    let mut sent = 0;
    while let Some(client) = clients.join_next().await {
        sent += client??;
    }
    Ok(sent)
}
