//! Handles of jobs, which are read from arguments and printed for resuming.

use std::{
    fmt,
    fs::File,
    io::{self, Read, stdin},
    sync::{Arc, Mutex, PoisonError},
};

use http::Uri;
use http_polling::same_origin;
use serde_json::{Value, json};
use tower_poll::{PendingJob, dialect::Dialect};

use crate::{
    exit::{Code, Failure},
    request::{Origin, Target},
    words,
};

/// The maximum length of a handle, in bytes.
const LIMIT: u64 = 64 * 1024;

/// A job that the command line names.
#[derive(Clone)]
pub(crate) struct Handle {
    job: PendingJob,
    is_url: bool,
    /// `user:password` in its URL.
    pub(crate) user: Option<String>,
    /// The origin that would receive credentials and that the user has not
    /// confirmed, since it comes from JSON.
    unconfirmed: Option<Uri>,
    keeps_credentials: bool,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("job", &self.job)
            .finish_non_exhaustive()
    }
}

impl Handle {
    /// Returns whether polls still carry credentials to the job's origin.
    pub(crate) fn keeps_credentials(&self) -> bool {
        self.keeps_credentials
    }

    /// Fails if the user does not trust the job's origin with credentials.
    ///
    /// # Errors
    ///
    /// A failure of usage, which names the origin.
    pub(crate) fn confirm(&self, trusted: &[Origin]) -> Result<(), Failure> {
        let Some(origin) = &self.unconfirmed else {
            return Ok(());
        };
        let is_trusted = trusted.iter().any(|trusted| match trusted {
            Origin::Any => true,
            Origin::One(trusted) => same_origin(trusted, origin),
        });
        if is_trusted {
            return Ok(());
        }
        let origin = origin.to_string();
        let origin = origin.trim_end_matches('/');
        let text = format!(
            "the job's JSON names {origin}, where the credentials would be sent: confirm that \
             with --trust-origin={origin}, or give the job by its URL"
        );
        Err(Failure::new(Code::Usage, text))
    }
}

impl Handle {
    /// Returns the job. `dialect` reads a job that was given by its URL.
    pub(crate) fn job(&self, dialect: Option<&dyn Dialect>) -> PendingJob {
        let spoken = dialect.filter(|_| self.is_url).and_then(|dialect| {
            let url = self.job.url().to_string();
            let wire = json!({
                "version": 1,
                "url": url,
                "origin": url,
                "dialect": {
                    "name": dialect.name(),
                    "method": "GET",
                    "submission": url,
                    // Azure announces its monitors in Operation-Location.
                    "operation_location": url,
                },
            });
            serde_json::from_value(wire).ok()
        });
        spoken.unwrap_or_else(|| self.job.clone())
    }
}

/// Reads the job of `argument`: a URL, JSON, `-` for standard input, or the
/// name of a file with the JSON.
///
/// # Errors
///
/// Fails with the reason if the file cannot be read or contains no job.
pub(crate) fn read(argument: &str) -> Result<Handle, String> {
    let is_json = argument.trim_start().starts_with('{');
    if !is_json && argument.contains("://") {
        return of_url(&argument.parse()?);
    }
    let text = if is_json {
        argument.to_owned()
    } else if argument == "-" {
        text_of(stdin().lock(), "standard input")?
    } else {
        let file = File::open(argument).map_err(|error| unread(error, argument))?;
        text_of(file, argument)?
    };
    of_json(&text).map_err(|error| words::line(&format!("this is no handle of a job: {error}")))
}

fn of_url(target: &Target) -> Result<Handle, String> {
    let url = target.uri.to_string();
    let wire = json!({ "version": 1, "url": url, "origin": url });
    Ok(Handle {
        job: serde_json::from_value(wire).map_err(|error| error.to_string())?,
        is_url: true,
        user: target.user.clone(),
        unconfirmed: None,
        keeps_credentials: true,
    })
}

fn of_json(text: &str) -> Result<Handle, String> {
    let wire: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let keeps_credentials = wire["credentials_dropped"] != true;
    let job: PendingJob = serde_json::from_value(wire).map_err(|error| error.to_string())?;
    // Handles of clients that add the host themselves have URLs without one.
    if [job.url(), job.origin()]
        .iter()
        .any(|url| url.host().is_none())
    {
        return Err("a URL in it has no host".to_owned());
    }
    Ok(Handle {
        unconfirmed: Some(job.origin().clone()),
        keeps_credentials,
        job,
        is_url: false,
        user: None,
    })
}

fn text_of(reader: impl Read, name: &str) -> Result<String, String> {
    let mut text = String::new();
    reader
        .take(LIMIT)
        .read_to_string(&mut text)
        .map_err(|error| unread(error, name))?;
    Ok(text)
}

fn unread(error: io::Error, name: &str) -> String {
    format!("cannot read {name}: {error}")
}

/// Formats the handle as JSON.
pub(crate) fn to_json(job: &PendingJob) -> String {
    words::json(&serde_json::to_string(job).unwrap_or_default())
}

/// Formats the handle, and the command that resumes the job.
pub(crate) fn offer(job: &PendingJob) -> String {
    let json = to_json(job);
    // Within single quotes, only single quotes are special to a shell.
    let quoted = json.replace('\'', r"'\''");
    format!("{json}\nresume with: poll resume '{quoted}'")
}

/// The job to resume if the command ends now.
#[derive(Clone, Debug, Default)]
pub(crate) struct Slot(Arc<Mutex<Option<PendingJob>>>);

impl Slot {
    pub(crate) fn set(&self, job: Option<PendingJob>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = job;
    }

    pub(crate) fn job(&self) -> Option<PendingJob> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

#[cfg(test)]
mod tests;
