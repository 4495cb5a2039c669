//! Handles of jobs: read from arguments, and offered to go on with.

use std::{
    fs::File,
    io::{self, Read, stdin},
    sync::{Arc, Mutex, PoisonError},
};

use tower_poll::PendingJob;

/// The longest handle that is read.
const LIMIT: u64 = 64 * 1024;

/// The job of `argument`: JSON itself, `-` for standard input, or the name of
/// a file with the JSON.
///
/// # Errors
///
/// Fails, and says why, where there is no such file or no job in it.
pub(crate) fn read(argument: &str) -> Result<PendingJob, String> {
    let text = if argument.trim_start().starts_with('{') {
        argument.to_owned()
    } else if argument == "-" {
        text_of(stdin().lock(), "standard input")?
    } else {
        let file = File::open(argument).map_err(|error| unread(error, argument))?;
        text_of(file, argument)?
    };
    serde_json::from_str(&text).map_err(|error| format!("this is no handle of a job: {error}"))
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

/// The handle as JSON.
pub(crate) fn to_json(job: &PendingJob) -> String {
    serde_json::to_string(job).unwrap_or_default()
}

/// What tells how to go on with a job: its handle, and the command.
pub(crate) fn offer(job: &PendingJob) -> String {
    let json = to_json(job);
    // Within single quotes a shell reads everything but these as it is.
    let quoted = json.replace('\'', r"'\''");
    format!("{json}\nresume with: poll resume '{quoted}'")
}

/// The job that would be left behind if the command ended now.
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
mod tests {
    use std::process::Command;

    use super::*;

    fn job() -> PendingJob {
        read(r#"{"version":1,"url":"http://a.example/it's?a=$HOME","origin":"http://a.example/"}"#)
            .unwrap()
    }

    #[cfg(unix)]
    #[test]
    fn offered_command_survives_a_shell() {
        let offer = offer(&job());
        let (_, command) = offer.split_once("poll resume ").unwrap();
        let script = format!("printf %s {command}");
        let output = Command::new("sh").args(["-c", &script]).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), to_json(&job()));
    }

    #[test]
    fn what_is_no_job_is_refused() {
        for text in ["{", "{}", r#"{"version":1}"#, "/no/such/file", "/"] {
            assert!(read(text).is_err(), "{text}");
        }
    }

    #[test]
    fn endless_file_is_not_read_whole() {
        assert!(text_of(io::repeat(b'a'), "a").unwrap().len() as u64 == LIMIT);
    }
}
