//! The ways in which processes die, or nearly so.

use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

/// A way in which a process dies, or nearly so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// SIGKILL at any moment.
    Any,
    /// SIGKILL while a request becomes a job.
    Acceptance,
    /// SIGKILL between the end of a handler and the end of its job.
    Finish,
    /// SIGKILL while a long result is stored.
    Chunks,
    /// SIGKILL while a process starts on a file that others use.
    StartUp,
    /// SIGKILL while a process creates the file.
    Migration,
    /// SIGKILL of all processes at once.
    All,
    /// SIGSTOP for longer than the lease, then SIGCONT.
    Pause,
    /// SIGTERM.
    Terminate,
    /// SIGTERM twice.
    TerminateTwice,
    /// The time of day of one process is shifted, and another process starts with a shifted one.
    Clock,
    /// A job that kills its process each time.
    Poison,
    /// SIGKILL while the disk is full.
    Full,
}

impl Scenario {
    pub(crate) const ALL: [Self; 13] = [
        Self::Any,
        Self::Acceptance,
        Self::Finish,
        Self::Chunks,
        Self::StartUp,
        Self::Migration,
        Self::All,
        Self::Pause,
        Self::Terminate,
        Self::TerminateTwice,
        Self::Clock,
        Self::Poison,
        Self::Full,
    ];

    /// Chooses a scenario of a round that has a file already.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        match rng.u32(0..32) {
            0..6 => Self::Any,
            6..11 => Self::Acceptance,
            11..16 => Self::Finish,
            16..20 => Self::Chunks,
            20..23 => Self::StartUp,
            23..25 => Self::All,
            25..27 => Self::Pause,
            27 => Self::Terminate,
            28 => Self::TerminateTwice,
            29..31 => Self::Clock,
            _ => Self::Poison,
        }
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Any => "kill at any moment",
            Self::Acceptance => "kill during acceptance",
            Self::Finish => "kill during the end of a job",
            Self::Chunks => "kill while a long result is stored",
            Self::StartUp => "kill during start-up",
            Self::Migration => "kill while the file is created",
            Self::All => "kill of all processes at once",
            Self::Pause => "stopped beyond the lease, continued",
            Self::Terminate => "SIGTERM once",
            Self::TerminateTwice => "SIGTERM twice",
            Self::Clock => "clock shifted by an hour",
            Self::Poison => "job that kills its process",
            Self::Full => "kill while the disk is full",
        })
    }
}
