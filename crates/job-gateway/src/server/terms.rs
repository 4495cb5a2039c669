//! The terms of clients' connections, which a reload replaces.

use std::sync::Arc;

use rustls::ServerConfig;

use crate::{
    config::{Clients, Config, Unusable},
    tls,
};

/// The terms of the connections that clients open from now on.
#[derive(Clone)]
pub(crate) struct Terms {
    pub(super) clients: Arc<Clients>,
    /// The certificate; `None` for plain HTTP.
    pub(super) tls: Option<Arc<ServerConfig>>,
}

impl Terms {
    /// Reads the certificate and its key.
    ///
    /// # Errors
    ///
    /// Fails if they cannot be used.
    pub(crate) fn of(config: &Config) -> Result<Self, Unusable> {
        let tls = config.tls.as_ref().map(tls::server).transpose();
        let tls = tls.map_err(|error| match error {
            tls::Unusable::Certificate(reason) => unusable("tls.certificate", reason),
            tls::Unusable::Key(reason) => unusable("tls.key", reason),
        });
        Ok(Self {
            clients: Arc::new(config.clients.clone()),
            tls: tls?.map(Arc::new),
        })
    }
}

fn unusable(key: &str, reason: String) -> Unusable {
    Unusable::new(vec![key.to_owned()], reason)
}
