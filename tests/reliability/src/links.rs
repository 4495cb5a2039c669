//! The links of a process to its servers.

use std::net::SocketAddr;

use test_services::Proxy;

/// The links of a process to its servers, which can be cut.
#[derive(Debug)]
pub(crate) struct Links {
    proxies: Vec<Proxy>,
}

/// The links that a fault concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    All,
    /// That for notifications alone, the last one.
    Notifications,
}

impl Links {
    pub(crate) async fn new(servers: &[SocketAddr]) -> Self {
        let mut proxies = Vec::new();
        for server in servers {
            proxies.push(Proxy::start(*server).await);
        }
        Self { proxies }
    }

    /// Returns the addresses at which the process reaches the servers.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        self.proxies.iter().map(Proxy::address).collect()
    }

    /// Resets all connections, and refuses new ones until the links are healed.
    pub(crate) async fn cut(&self, which: Which) {
        for proxy in self.of(which) {
            proxy.cut().await;
        }
    }

    /// Carries nothing until the links are healed.
    pub(crate) fn half_open(&self) {
        for proxy in &self.proxies {
            proxy.half_open();
        }
    }

    /// Carries everything again, and what was sent meanwhile.
    pub(crate) async fn heal(&self) {
        for proxy in &self.proxies {
            proxy.heal().await;
        }
    }

    fn of(&self, which: Which) -> &[Proxy] {
        let from = match which {
            Which::All => 0,
            Which::Notifications => self.proxies.len().saturating_sub(1),
        };
        &self.proxies[from..]
    }
}
