//! The body of a submission: from the command line, files and standard input.

use std::{
    io::{self, Cursor},
    path::{Path, PathBuf},
    str::FromStr,
};

use bytes::Bytes;
use futures_util::TryStreamExt;
use http_body::Frame;
use http_body_util::{BodyExt, Full, StreamBody, combinators::UnsyncBoxBody};
use tokio::{
    fs::File,
    io::{AsyncRead, AsyncReadExt, stdin},
};
use tokio_util::io::ReaderStream;
use tower::BoxError;

use crate::exit::{Code, Failure, Unread};

/// A body that is streamed.
pub(crate) type Streamed = UnsyncBoxBody<Bytes, BoxError>;

/// A body that can be sent again.
pub(crate) type Whole = Full<Bytes>;

/// The maximum length of a body that is buffered for repeats: 64 MiB.
const WHOLE_LIMIT: u64 = 64 * 1024 * 1024;

/// The size of the read buffer, in bytes.
const CHUNK: usize = 64 * 1024;

type Reader = Box<dyn AsyncRead + Send + Unpin>;

/// A part of a body, such as a value of `-d`.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Part {
    Text(Bytes),
    File(PathBuf),
    StandardInput,
}

impl Part {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into().into())
    }

    /// Creates a part from the file with this name, or from standard input for
    /// `-`.
    pub(super) fn file(name: &str) -> Result<Self, String> {
        match name {
            "" => Err("a file name or `-` is missing".to_owned()),
            "-" => Ok(Self::StandardInput),
            file => Ok(Self::File(file.into())),
        }
    }
}

impl FromStr for Part {
    type Err = String;

    fn from_str(value: &str) -> Result<Self, String> {
        match value.strip_prefix('@') {
            None => Ok(Self::text(value)),
            Some(file) => Self::file(file),
        }
    }
}

/// Creates a streamed body that concatenates `parts`, and returns its length if
/// that is known.
pub(crate) async fn streamed(parts: &[Part]) -> Result<(Streamed, Option<u64>), Failure> {
    let (reader, length) = open(parts).await?;
    let frames = ReaderStream::with_capacity(reader, CHUNK)
        .map_ok(Frame::data)
        .map_err(|error| Unread(error).into());
    Ok((StreamBody::new(frames).boxed_unsync(), length))
}

/// Reads a body that concatenates `parts`.
///
/// # Errors
///
/// Fails if a part cannot be read, or if the body is longer than 64 MiB.
pub(crate) async fn whole(parts: &[Part]) -> Result<Bytes, Failure> {
    let (reader, _) = open(parts).await?;
    let mut bytes = Vec::new();
    reader
        .take(WHOLE_LIMIT + 1)
        .read_to_end(&mut bytes)
        .await
        .map_err(|error| Failure::new(Code::Read, "cannot read the body").with(error))?;
    if bytes.len() as u64 > WHOLE_LIMIT {
        let text = "a body that may be sent again is kept for that, and must not exceed 64 MiB";
        return Err(Failure::new(Code::Usage, text));
    }
    Ok(bytes.into())
}

async fn open(parts: &[Part]) -> Result<(Reader, Option<u64>), Failure> {
    let mut all: Reader = Box::new(tokio::io::empty());
    let mut length = Some(0_u64);
    for part in parts {
        let (reader, more) = open_part(part).await?;
        all = Box::new(all.chain(reader));
        length = sum(length, more);
    }
    Ok((all, length))
}

fn sum(length: Option<u64>, more: Option<u64>) -> Option<u64> {
    length?.checked_add(more?)
}

async fn open_part(part: &Part) -> Result<(Reader, Option<u64>), Failure> {
    match part {
        Part::Text(text) => {
            let length = text.len() as u64;
            Ok((Box::new(Cursor::new(text.clone())), Some(length)))
        }
        Part::StandardInput => Ok((Box::new(stdin()), None)),
        Part::File(path) => open_file(path).await.map_err(|error| {
            Failure::new(Code::Read, format!("cannot read {}", path.display())).with(error)
        }),
    }
}

async fn open_file(path: &Path) -> io::Result<(Reader, Option<u64>)> {
    let file = File::open(path).await?;
    let metadata = file.metadata().await?;
    if metadata.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    if !metadata.is_file() {
        // The length of a pipe or a device is not known in advance.
        return Ok((Box::new(file), None));
    }
    // A file that grows is sent up to its length at this time.
    let length = metadata.len();
    Ok((Box::new(file.take(length)), Some(length)))
}
