//! Where the final answer goes: standard output, or a file that is there
//! whole or not at all.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use http::Response;
use http_body::Body;
use http_body_util::BodyExt;
use tempfile::NamedTempFile;
use tokio::{
    fs::File,
    io::{AsyncWrite, AsyncWriteExt, stdout},
};
use tower::BoxError;

use crate::{exit::Failure, trace::final_head};

/// `-o` and `-i`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Output {
    /// Standard output, if none.
    pub(crate) file: Option<PathBuf>,
    pub(crate) with_head: bool,
}

impl Output {
    /// Writes a text of the command's own, and an end of line.
    pub(crate) async fn text(&self, text: &str) -> Result<(), Failure> {
        let mut sink = self.open()?;
        sink.put(format!("{text}\n").as_bytes()).await?;
        sink.finish().await
    }

    /// Writes a response: its body as it comes in.
    ///
    /// # Errors
    ///
    /// A file that could not be completed is not there, and one of the same
    /// name that was there before is as it was.
    pub(crate) async fn write<R>(&self, response: Response<R>) -> Result<(), Failure>
    where
        R: Body<Data = Bytes> + Unpin,
        R::Error: Into<BoxError>,
    {
        let head = self.with_head.then(|| final_head(&response));
        let mut body = response.into_body();
        let mut sink = self.open()?;
        if let Some(head) = head {
            sink.put(head.as_bytes()).await?;
        }
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| Failure::of_body(error.into()))?;
            if let Some(data) = frame.data_ref() {
                sink.put(data).await?;
            }
        }
        sink.finish().await
    }

    fn open(&self) -> Result<Sink, Failure> {
        match &self.file {
            None => Ok(Sink {
                writer: Box::new(stdout()),
                name: "standard output".to_owned(),
                replaces: None,
            }),
            Some(path) => {
                Sink::file(path).map_err(|error| Failure::of_output(error, path.display()))
            }
        }
    }
}

struct Sink {
    writer: Box<dyn AsyncWrite + Unpin>,
    name: String,
    /// The file that is written in truth, and the one that it becomes.
    replaces: Option<(NamedTempFile, PathBuf)>,
}

impl Sink {
    fn file(path: &Path) -> io::Result<Self> {
        let name = path.display().to_string();
        // Through a link, it is the file behind that is replaced.
        let path = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        let existing = fs::metadata(&path).ok();
        if existing
            .as_ref()
            .is_some_and(|existing| !existing.is_file())
        {
            // A pipe or a device cannot be replaced.
            let file = fs::File::options().write(true).open(&path)?;
            return Ok(Self {
                writer: Box::new(File::from_std(file)),
                name,
                replaces: None,
            });
        }
        let directory = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temporary = temporary_in(directory)?;
        if let Some(existing) = existing {
            temporary
                .as_file()
                .set_permissions(existing.permissions())?;
        }
        let file = temporary.as_file().try_clone()?;
        Ok(Self {
            writer: Box::new(File::from_std(file)),
            name,
            replaces: Some((temporary, path)),
        })
    }

    /// Writes at once, so that a reader sees what there is.
    async fn put(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let written = async {
            self.writer.write_all(bytes).await?;
            self.writer.flush().await
        };
        written
            .await
            .map_err(|error| Failure::of_output(error, &self.name))
    }

    async fn finish(mut self) -> Result<(), Failure> {
        self.put(&[]).await?;
        if let Some((temporary, path)) = self.replaces {
            temporary
                .persist(path)
                .map_err(|error| Failure::of_output(error.error, &self.name))?;
        }
        Ok(())
    }
}

/// With the permissions of any new file, and not the narrow ones that
/// temporary files have otherwise.
fn temporary_in(directory: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".poll-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    builder.tempfile_in(directory)
}
