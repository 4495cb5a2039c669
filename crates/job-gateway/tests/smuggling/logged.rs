//! Gateways, and the requests that they have sent on according to their logs.

use serde_json::Value;
use tempfile::NamedTempFile;

use crate::{
    recorder::{Recorder, Seen},
    support::{Gateway, command},
};

/// A gateway, whose log is a file.
pub(crate) struct Logged {
    pub(crate) gateway: Gateway,
    log: NamedTempFile,
}

/// A request that was sent on: the handle that only the gateway can give it, its method and its path.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sent(String, String, String);

impl Sent {
    /// Returns a request as a server has received it.
    pub(crate) fn of(seen: &Seen) -> Self {
        let path = seen.target.split('?').next().unwrap_or_default();
        let handle = seen.field("job-handle").unwrap_or_default();
        Self(handle, seen.method.clone(), path.to_owned())
    }
}

impl Logged {
    /// Starts a gateway before a server.
    pub(crate) async fn before(recorder: &Recorder) -> Self {
        let settings = NamedTempFile::new().unwrap();
        let text = format!(
            "listen = [\"127.0.0.1:0\"]\n\
             [upstreams.app]\nurl = \"{}\"\n\
             [defaults]\ninline_wait = \"30s\"\n\
             [clients]\nbody_timeout = \"1s\"\nheader_timeout = \"1s\"\n",
            recorder.url()
        );
        std::fs::write(&settings, text).unwrap();
        let log = NamedTempFile::new().unwrap();
        let mut command = command(["--config", settings.path().to_str().unwrap()]);
        command.stderr(log.reopen().unwrap());
        let gateway = Gateway::start(command).await;
        Self { gateway, log }
    }

    /// Returns the requests that were sent on and answered, in order of their handles.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().map(|line| serde_json::from_str(line).unwrap());
        let mut sent: Vec<_> = lines
            .filter_map(|line: Value| {
                let text = |name: &str| Some(line[name].as_str()?.to_owned());
                let is_request = line["message"] == "request" && line["status"] == 200;
                let sent = Sent(text("handle")?, text("method")?, text("path")?);
                is_request.then_some(sent)
            })
            .collect();
        sent.sort();
        sent
    }
}
