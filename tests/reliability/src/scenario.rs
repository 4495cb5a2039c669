//! The ways in which processes and their servers die, or nearly so.

use std::fmt;

use fastrand::Rng;
use serde::{Deserialize, Serialize};

use crate::subject::Subject;

/// Declares the scenarios, each with its weight in rounds, its name in tables, and its stores.
macro_rules! scenarios {
    ($($(#[$doc:meta])* $name:ident: $weight:literal, $text:literal, $on:ident;)*) => {
        /// A way in which processes or their servers die, or nearly so.
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub(crate) enum Scenario {
            $($(#[$doc])* $name,)*
        }

        impl Scenario {
            pub(crate) const ALL: &[Self] = &[$(Self::$name),*];

            /// Returns the weight in rounds of several faults.
            fn weight(self) -> u32 {
                match self {
                    $(Self::$name => $weight,)*
                }
            }

            fn on(self) -> On {
                match self {
                    $(Self::$name => On::$on,)*
                }
            }
        }

        impl fmt::Display for Scenario {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$name => $text,)*
                })
            }
        }
    };
}

/// The stores on which a scenario is tried.
enum On {
    /// All, and gateways on them.
    Every,
    All,
    /// Gateways.
    Gateway,
    /// Those in one place, which can be filled, and copied as a whole.
    Whole,
    /// Those that processes reach by links of their own.
    Linked,
    /// Those with a link for notifications.
    Notified,
    /// Those whose time can be shifted.
    Shifted,
    /// A single server.
    Single,
    PgBouncer,
    Cluster,
}

scenarios! {
    /// SIGKILL at any moment.
    Any: 6, "kill at any moment", Every;
    /// SIGKILL while a request becomes a job.
    Acceptance: 5, "kill during acceptance", Every;
    /// SIGKILL between the end of a handler and the end of its job.
    Finish: 5, "kill during the end of a job", Every;
    /// SIGKILL while a long result is stored.
    Chunks: 4, "kill while a long result is stored", Every;
    /// SIGKILL while a process starts on a store that others use.
    StartUp: 3, "kill during start-up", Every;
    /// SIGKILL while a process creates the store.
    Migration: 0, "kill while the store is created", Every;
    /// SIGKILL of all processes at once.
    Everyone: 2, "kill of all processes at once", Every;
    /// SIGKILL of the server behind gateways.
    Upstream: 6, "kill of the server behind gateways", Gateway;
    /// SIGKILL of a gateway and the server behind it.
    Both: 5, "kill of a gateway and the server behind it", Gateway;
    /// SIGSTOP for longer than the lease, then SIGCONT.
    Pause: 2, "stopped beyond the lease, continued", All;
    /// SIGTERM.
    Terminate: 1, "SIGTERM once", All;
    /// SIGTERM twice.
    TerminateTwice: 1, "SIGTERM twice", All;
    /// The time of day of one process is shifted, and another process starts with a shifted one.
    Clock: 2, "clock shifted by an hour", Shifted;
    /// A job that kills its process each time.
    Poison: 1, "job that kills its process", All;
    /// SIGKILL while the store is full.
    Full: 0, "kill while the store is full", Whole;
    /// The store returns to a backup.
    Restore: 1, "restored from a backup", Whole;
    /// Processes of the next version run beside those of this one, which then come back.
    Upgrade: 1, "upgraded and rolled back", All;
    /// The links of a process are reset.
    Cut: 2, "links of a process cut", Linked;
    /// The links of all processes are reset.
    CutAll: 1, "links of all processes cut", Linked;
    /// The links of a process carry nothing for longer than the lease.
    HalfOpen: 2, "links of a process half open", Linked;
    /// The links of all processes carry nothing for longer than the lease.
    HalfOpenAll: 1, "links of all processes half open", Linked;
    /// The links for notifications are cut.
    Deaf: 1, "notifications cut", Notified;
    /// The server is killed, and started again.
    Crash: 2, "kill of the server", Single;
    /// The server is told to stop, and started again.
    Restart: 1, "restart of the server", Single;
    /// PgBouncer is restarted.
    Bouncer: 2, "restart of PgBouncer", PgBouncer;
    /// A master of a cluster is killed, and a replica takes over.
    MasterKilled: 2, "kill of a master", Cluster;
    /// A replica of a cluster takes over by command.
    Failover: 2, "failover by command", Cluster;
    /// A slot of a cluster moves to another master.
    SlotMoved: 2, "slots migrated", Cluster;
}

impl Scenario {
    /// Returns whether the scenario is tried on this subject.
    pub(crate) fn is_on(self, subject: Subject) -> bool {
        let store = subject.store;
        if subject.gateway {
            return matches!(self.on(), On::Every | On::Gateway);
        }
        match self.on() {
            On::Every | On::All => true,
            On::Gateway => false,
            On::Whole => !store.is_cluster(),
            On::Linked => store.has_links(),
            On::Notified => store.has_notification_link(),
            On::Shifted => store.has_shifts(),
            On::Single => store.has_servers() && !store.is_cluster(),
            On::PgBouncer => store.is_pooled(),
            On::Cluster => store.is_cluster(),
        }
    }

    /// Chooses a scenario of a round that has a store already.
    pub(crate) fn random(subject: Subject, rng: &mut Rng) -> Self {
        let offered = Self::ALL.iter().filter(|scenario| scenario.is_on(subject));
        let mut left = rng.u32(0..offered.clone().map(|scenario| scenario.weight()).sum());
        let mut chosen = offered.skip_while(|scenario| {
            let is_before = left >= scenario.weight();
            left = left.saturating_sub(scenario.weight());
            is_before
        });
        *chosen.next().expect("the weights of all are the sum")
    }
}
