//! Bytes that are sent as they are, and the responses to them.

use std::time::Duration;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::timeout,
};

/// The time after which no further response is expected.
const QUIET: Duration = Duration::from_millis(150);

/// Sends bytes, and returns the status of each response: of as many as are expected, and of those
/// that come soon after them.
pub(crate) async fn statuses(
    address: &str,
    bytes: &[u8],
    expected: usize,
    patience: Duration,
) -> Vec<u16> {
    let mut stream = TcpStream::connect(address).await.unwrap();
    // The peer may close the connection before it has read all.
    let _ = stream.write_all(bytes).await;
    let mut received = Vec::new();
    loop {
        let statuses = parse(&received);
        let limit = match statuses.len() < expected {
            true => patience,
            false => QUIET,
        };
        match timeout(limit, stream.read_buf(&mut received)).await {
            Ok(Ok(1..)) => {}
            _ => return statuses,
        }
    }
}

/// Returns the status of each response that has begun.
fn parse(mut received: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while let Some((head, rest)) = split(received, b"\r\n\r\n") {
        let head = String::from_utf8_lossy(head).to_lowercase();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        statuses.push(status.unwrap_or(0));
        let field = |name: &str| head.lines().find_map(|line| line.strip_prefix(name));
        received = match field("content-length: ") {
            Some(length) => rest.get(length.parse().unwrap_or(0)..).unwrap_or_default(),
            None if field("transfer-encoding: ").is_some() => {
                split(rest, b"0\r\n\r\n").map_or(&[], |(_, rest)| rest)
            }
            None => rest,
        };
    }
    statuses
}

fn split<'a>(bytes: &'a [u8], end: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let index = bytes.windows(end.len()).position(|window| window == end)?;
    Some((&bytes[..index], &bytes[index + end.len()..]))
}
