//! The output of the final answer: standard output, or a file that is replaced
//! only by a complete answer.

mod partial;
mod sink;

use std::path::PathBuf;

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use tower::BoxError;

pub(crate) use self::partial::{Partial, State};
use self::sink::{Access, Sink};
use crate::{exit::Failure, trace::final_head};

/// The output that `-o`, `-i` and `-D` describe.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// The file of `-o`; `None` is standard output.
    pub(crate) file: Option<PathBuf>,
    pub(crate) with_head: bool,
    /// The file of `-D`; `-` is standard output.
    pub(crate) head_file: Option<PathBuf>,
}

impl Output {
    /// Creates an output to a file, or to standard output for `-`.
    pub(crate) fn to(file: PathBuf) -> Self {
        Self {
            file: (file.as_os_str() != "-").then_some(file),
            ..Self::default()
        }
    }

    /// Writes a text and a line feed. Text of servers in it must have been
    /// filtered.
    pub(crate) async fn text(&self, text: &str) -> Result<(), Failure> {
        self.line(text, Access::Usual).await
    }

    /// Writes a text like [`text`](Self::text), to a file that only its owner
    /// may read.
    pub(crate) async fn secret(&self, text: &str) -> Result<(), Failure> {
        self.line(text, Access::Owner).await
    }

    async fn line(&self, text: &str, access: Access) -> Result<(), Failure> {
        let mut sink = Sink::open(self.file.as_deref(), access)?;
        sink.put(format!("{text}\n").as_bytes()).await?;
        sink.finish().await
    }

    /// Writes a response while its body arrives, and passes the body to
    /// `glance`.
    ///
    /// # Errors
    ///
    /// Fails if the body breaks off or cannot be written. An existing file is
    /// then unchanged, and no new file is created.
    pub(crate) async fn write<R>(
        &self,
        response: Response<R>,
        mut glance: impl FnMut(&[u8]),
    ) -> Result<(), Failure>
    where
        R: Body<Data = Bytes> + Unpin,
        R::Error: Into<BoxError>,
    {
        self.dump(&response).await?;
        let head = self.with_head.then(|| final_head(&response));
        let mut body = response.into_body();
        let mut sink = Sink::open(self.file.as_deref(), Access::Usual)?;
        if let Some(head) = head {
            sink.put(head.as_bytes()).await?;
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::of_body(error.into()))?;
            if let Some(data) = frame.data_ref() {
                sink.put(data).await?;
                glance(data);
            }
        }
        sink.finish().await
    }

    /// Writes only the head, if `-D` or `-i` asks for it.
    pub(crate) async fn write_head<R>(&self, response: &Response<R>) -> Result<(), Failure> {
        self.dump(response).await?;
        if self.with_head {
            let mut sink = Sink::open(self.file.as_deref(), Access::Usual)?;
            sink.put(final_head(response).as_bytes()).await?;
            sink.finish().await?;
        }
        Ok(())
    }

    pub(crate) async fn dump<R>(&self, response: &Response<R>) -> Result<(), Failure> {
        if let Some(file) = &self.head_file {
            let file = (file.as_os_str() != "-").then_some(&**file);
            let mut sink = Sink::open(file, Access::Usual)?;
            sink.put(final_head(response).as_bytes()).await?;
            sink.finish().await?;
        }
        Ok(())
    }
}
