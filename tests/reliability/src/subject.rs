//! The subjects of a run.

use std::fmt;

use clap::Args;

use crate::store::Kind;

/// A store, with nodes or gateways on it.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Subject {
    /// The store under test.
    #[arg(long, value_enum, default_value = "sqlite")]
    pub(crate) store: Kind,
    /// Tests two processes of `job-gateway` before a server, instead of nodes.
    #[arg(long)]
    pub(crate) gateway: bool,
}

impl Subject {
    /// Returns the arguments that select it.
    pub(crate) fn arguments(self) -> String {
        let gateway = if self.gateway { " --gateway" } else { "" };
        format!("--store {}{gateway}", self.store)
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gateway = if self.gateway { "gateway-" } else { "" };
        write!(f, "{gateway}{}", self.store)
    }
}
