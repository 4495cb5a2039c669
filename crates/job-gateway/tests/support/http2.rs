//! Frames of HTTP/2 as bytes, also those that no library sends.

use tokio::io::{AsyncRead, AsyncReadExt};

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PUSH_PROMISE: u8 = 5;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;

/// The flags of frames.
pub(crate) const ACK: u8 = 1;
pub(crate) const END_STREAM: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;

/// The first bytes of a client.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A frame that was received.
#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    /// Reads a frame, or none at the end of the connection.
    pub(crate) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Option<Self> {
        let mut head = [0; 9];
        stream.read_exact(&mut head).await.ok()?;
        let number = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(0, |sum, byte| sum << 8 | u32::from(*byte))
        };
        let mut payload = vec![0; number(&head[..3]) as usize];
        stream.read_exact(&mut payload).await.ok()?;
        Some(Self {
            kind: head[3],
            flags: head[4],
            stream: number(&head[5..]),
            payload,
        })
    }

    /// Returns the code of the error of a frame that ends a stream or a connection.
    pub(crate) fn error(&self) -> Option<u32> {
        let code = match self.kind {
            RST_STREAM => self.payload.get(..4)?,
            GOAWAY => self.payload.get(4..8)?,
            _ => return None,
        };
        Some(u32::from_be_bytes(code.try_into().unwrap()))
    }

    /// Returns the status, if this is the first head of a response on its connection.
    pub(crate) fn status(&self) -> Option<u16> {
        const STATIC: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        match *self.payload.first().filter(|_| self.kind == HEADERS)? {
            indexed @ 0x88..=0x8e => Some(STATIC[usize::from(indexed - 0x88)]),
            0x48 => {
                let length = *self.payload.get(1)?;
                let text = self.payload.get(2..2 + usize::from(length & 0x7f))?;
                match length & 0x80 {
                    0 => std::str::from_utf8(text).ok()?.parse().ok(),
                    _ => Some(digits(text)),
                }
            }
            _ => None,
        }
    }
}

/// Returns the number of three digits in the code of Huffman (RFC 7541, appendix B).
fn digits(coded: &[u8]) -> u16 {
    let mut bits = [0; 4];
    bits[..coded.len()].copy_from_slice(coded);
    let mut bits = u32::from_be_bytes(bits);
    (0..3).fold(0, |number, _| {
        let (digit, length) = match bits >> 27 {
            short @ 0..=2 => (short, 5),
            _ => ((bits >> 26) - 0x19 + 3, 6),
        };
        bits <<= length;
        number * 10 + digit as u16
    })
}

/// Returns the bytes of a frame.
pub(crate) fn frame(kind: u8, flags: u8, stream: u32, payload: impl AsRef<[u8]>) -> Vec<u8> {
    let payload = payload.as_ref();
    let length = (payload.len() as u32).to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// Returns a block of fields, each as it is. A character stands for a byte.
pub(crate) fn block(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        // A literal that is not indexed, and has a name of its own.
        block.push(0);
        for text in [name, value] {
            let text: Vec<_> = text.chars().map(|char| char as u32 as u8).collect();
            match text.len() {
                length @ 0..127 => block.push(length as u8),
                length => {
                    let mut rest = length - 127;
                    block.push(127);
                    while rest > 127 {
                        block.push(rest as u8 | 0x80);
                        rest >>= 7;
                    }
                    block.push(rest as u8);
                }
            }
            block.extend(text);
        }
    }
    block
}
