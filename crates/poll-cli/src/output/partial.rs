//! A file whose download is continued after a break: its bytes so far are in
//! `FILE.part`, and `FILE.part.json` describes them.

use std::{
    ffi::OsString,
    fs::{self, TryLockError},
    io::{self, Seek, Write},
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use tower_poll::PendingJob;

use super::sink::{Access, replaced, temporary_beside};
use crate::{
    exit::{Code, Failure},
    words,
};

/// The description of the bytes so far, and of the job whose result they are.
#[derive(Clone, Debug)]
pub(crate) struct State {
    /// The method and the URL of the submission, if it made the job.
    pub(crate) request: Option<String>,
    pub(crate) job: PendingJob,
    /// The strong validator of the result, for If-Range.
    pub(crate) validator: Option<String>,
    /// The length of the result, if known.
    pub(crate) length: Option<u64>,
    /// The Content-Encoding of the bytes.
    pub(crate) encoding: Option<String>,
}

impl State {
    fn to_json(&self) -> String {
        let state = json!({
            "version": 1,
            "request": self.request,
            "job": self.job,
            "validator": self.validator,
            "length": self.length,
            "encoding": self.encoding,
        });
        state.to_string()
    }

    fn of_json(text: &str) -> Option<Self> {
        let mut state: Value = serde_json::from_str(text).ok()?;
        if state["version"] != 1 {
            return None;
        }
        let text = |value: &Value| value.as_str().map(str::to_owned);
        Some(Self {
            job: serde_json::from_value(state["job"].take()).ok()?,
            request: text(&state["request"]),
            validator: text(&state["validator"]),
            length: state["length"].as_u64(),
            encoding: text(&state["encoding"]),
        })
    }
}

/// The bytes of a file that is not complete.
#[derive(Debug)]
pub(crate) struct Partial {
    /// The file that is complete in the end.
    target: PathBuf,
    file: fs::File,
    /// The number of its bytes.
    pub(crate) length: u64,
}

impl Partial {
    /// Returns the file to continue at `path`, or `None` if a download to it
    /// cannot be continued, as to a pipe or a device.
    pub(crate) fn target(path: &Path) -> Option<PathBuf> {
        let path = replaced(path);
        let existing = fs::metadata(&path).ok();
        existing
            .is_none_or(|existing| existing.is_file())
            .then_some(path)
    }

    /// Opens the bytes of an earlier call, with their description.
    ///
    /// # Errors
    ///
    /// Fails if there are bytes without a description, if they cannot be
    /// opened, or if another command writes them.
    pub(crate) fn find(target: &Path) -> Result<Option<(Self, State)>, Failure> {
        let (part, description) = (beside(target, ".part"), beside(target, ".part.json"));
        let failed = |error| Failure::of_output(error, part.display());
        let mut file = match fs::File::options().read(true).write(true).open(&part) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        if let Err(TryLockError::WouldBlock) = file.try_lock() {
            let text = format!(
                "another command writes to {}",
                words::line(&part.display().to_string())
            );
            return Err(Failure::new(Code::Usage, text));
        }
        // Once it is locked, since the other command may just have finished.
        match fs::symlink_metadata(&part) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(failed(io::Error::other("it is not a regular file"))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let text = fs::read_to_string(&description).ok();
        let Some(state) = text.and_then(|text| State::of_json(&text)) else {
            let text = format!(
                "{} does not describe {}: remove that file to start over",
                description.display(),
                part.display()
            );
            return Err(Failure::new(Code::Usage, text));
        };
        let length = file.seek(io::SeekFrom::End(0)).map_err(failed)?;
        let target = target.to_owned();
        Ok(Some((
            Self {
                target,
                file,
                length,
            },
            state,
        )))
    }

    /// Creates an empty file with this description, which no other command
    /// writes to.
    ///
    /// # Errors
    ///
    /// Fails if there is a file, or a link, by now.
    pub(crate) fn create(target: &Path, state: &State) -> Result<Self, Failure> {
        let part = beside(target, ".part");
        let create = || -> io::Result<fs::File> {
            let file = fs::File::create_new(&part)?;
            // Not all file systems have locks.
            let _ = file.try_lock();
            if let Ok(existing) = fs::metadata(target) {
                file.set_permissions(existing.permissions())?;
            }
            Ok(file)
        };
        let file = create().map_err(|error| Failure::of_output(error, part.display()))?;
        let partial = Self {
            target: target.to_owned(),
            file,
            length: 0,
        };
        // Bytes without a description would stand in the way of the next call.
        (partial.describe(state)).inspect_err(|_| drop(fs::remove_file(&part)))?;
        Ok(partial)
    }

    /// Drops the bytes, and describes those that follow.
    pub(crate) fn restart(&mut self, state: &State) -> Result<(), Failure> {
        // The bytes go first, so that they are never described as others.
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        emptied.map_err(|error| Failure::of_output(error, self.name()))?;
        self.length = 0;
        self.describe(state)
    }

    /// Writes the description, which only its owner can read: the URL of a job
    /// is a secret.
    fn describe(&self, state: &State) -> Result<(), Failure> {
        let path = beside(&self.target, ".part.json");
        let write = || -> io::Result<()> {
            let mut file = temporary_beside(&path, Access::Owner)?;
            file.write_all(state.to_json().as_bytes())?;
            file.persist(&path)?;
            Ok(())
        };
        write().map_err(|error| Failure::of_output(error, path.display()))
    }

    pub(crate) fn put(&mut self, data: &[u8]) -> Result<(), Failure> {
        let written = self.file.write_all(data);
        written.map_err(|error| Failure::of_output(error, self.name()))?;
        self.length += data.len() as u64;
        Ok(())
    }

    /// Makes the bytes the complete file.
    pub(crate) fn finish(self) -> Result<(), Failure> {
        let renamed = fs::rename(beside(&self.target, ".part"), &self.target);
        renamed.map_err(|error| Failure::of_output(error, self.target.display()))?;
        // Without the bytes, it describes nothing.
        let _ = fs::remove_file(beside(&self.target, ".part.json"));
        Ok(())
    }

    pub(crate) fn name(&self) -> String {
        words::line(&beside(&self.target, ".part").display().to_string())
    }
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
