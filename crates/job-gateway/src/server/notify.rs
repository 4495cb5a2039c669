//! The states of the process that systemd is notified of. Without systemd, nothing is sent.

use sd_notify::NotifyState::{self, Ready, Reloading, Status, Stopping};

use crate::config::Config;

/// Notifies that clients are served.
pub(super) fn ready() {
    notify(&[Ready, Status("serving clients")]);
}

/// Notifies that the settings are read again.
pub(super) fn reloading() {
    let now = NotifyState::monotonic_usec_now();
    let states = [
        Some(Reloading),
        now.ok(),
        Some(Status("reading the settings")),
    ];
    notify(&states.into_iter().flatten().collect::<Vec<_>>());
}

/// Notifies that the settings were read again, or stay as they were.
pub(super) fn reloaded(is_new: bool) {
    let status = match is_new {
        true => "serving clients by the settings that were read again",
        false => "serving clients by earlier settings, since the new ones have errors: see the log",
    };
    notify(&[Ready, Status(status)]);
}

/// Notifies that the process is about to end.
pub(super) fn stopping(config: &Config) {
    let most = humantime::format_duration(config.drain_delay + config.grace);
    let status = format!("waiting for running jobs, for at most {most}");
    notify(&[Stopping, Status(&status)]);
}

fn notify(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::warn!(%error, "systemd cannot be notified");
    }
}
