//! Callbacks: a client that asks for one is called when its job has ended.
//!
//! The client chooses the URL, so it may only be one of a host in the settings, and only public
//! addresses are called unless the settings allow others. The call has no result but the job's URL,
//! and is signed by Standard Webhooks.

mod address;
mod call;
mod connect;
mod receiver;
mod schedule;
mod signature;

#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use http::StatusCode;
use http_polling::retry_after;
use rustls::ClientConfig;
use tokio::time::timeout;
use tower_async_job::{Notification, Notified};

use self::{
    connect::{Connector, Resolve, system},
    receiver::{Host, Receiver},
};
use crate::{
    config::{self, Unusable},
    tls::{native_roots, provider},
};

/// The time for a call.
const CALL: Duration = Duration::from_secs(15);

/// The callback that a client asks for: the bytes to note, or the reason for which it is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Asked(pub(crate) Result<Bytes, String>);

/// The hosts that may be called.
pub(crate) struct Callbacks {
    hosts: HashMap<String, Host>,
    connector: Option<Connector>,
}

impl Callbacks {
    /// Creates what the settings describe. Hosts with the same names share the limits of before.
    ///
    /// # Errors
    ///
    /// Fails if certificates could not be verified.
    pub(crate) fn new(
        settings: &config::Callbacks,
        previous: Option<&Self>,
    ) -> Result<Self, Unusable> {
        if settings.hosts.is_empty() {
            return Ok(Self {
                hosts: HashMap::new(),
                connector: None,
            });
        }
        let roots = native_roots()
            .map_err(|reason| Unusable::new(vec!["callbacks.hosts".to_owned()], reason))?;
        let tls = ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()
            .expect("ring has the ciphers of all versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self::with(settings, previous, system(), tls))
    }

    fn with(
        settings: &config::Callbacks,
        previous: Option<&Self>,
        resolve: Resolve,
        mut tls: ClientConfig,
    ) -> Self {
        tls.alpn_protocols = vec![b"http/1.1".to_vec()];
        let hosts = settings.hosts.iter().map(|(name, host)| {
            let before = previous.and_then(|previous| previous.hosts.get(name));
            (name.clone(), Host::new(name, host, before))
        });
        Self {
            hosts: hosts.collect(),
            connector: Some(Connector {
                resolve,
                tls: Arc::new(tls),
                allowed: settings.allow_networks.clone(),
            }),
        }
    }

    /// Checks the URL that a client asks to be called.
    pub(crate) fn ask(&self, url: &str) -> Asked {
        let receiver = self.receiver(url);
        Asked(match receiver {
            Ok(_) => Ok(Bytes::copy_from_slice(url.as_bytes())),
            Err(reason) => Err(reason.to_owned()),
        })
    }

    /// Calls a host, and returns whether it has the notification.
    pub(crate) async fn call(&self, notification: Notification) -> Notified {
        let (attempt, age, handle) = (notification.attempt, notification.age, notification.handle);
        let again = |asked| Notified::Again(schedule::delay(attempt, age, asked, fastrand::f64()));
        let url = String::from_utf8_lossy(&notification.target);
        let (receiver, connector) = match (self.receiver(&url), &self.connector) {
            (Ok(receiver), Some(connector)) => (receiver, connector),
            (Err(reason), _) => {
                // The settings have changed since, and may change again.
                tracing::warn!(%handle, attempt, reason, "a callback is not made");
                return again(None);
            }
            _ => return again(None),
        };
        let host = &*receiver.host.name;
        let Ok(_place) = receiver.host.places.try_acquire() else {
            return Notified::Again(schedule::busy(age, fastrand::f64()));
        };
        let posted = timeout(CALL, call::post(connector, &receiver, &notification)).await;
        let answer = match posted {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => {
                tracing::warn!(%handle, attempt, host, %error, "a callback has failed");
                return again(None);
            }
            Err(_) => {
                tracing::warn!(%handle, attempt, host, "a callback has no answer within {CALL:?}");
                return again(None);
            }
        };
        let status = answer.status();
        tracing::info!(%handle, attempt, host, status = status.as_u16(), "a callback is answered");
        match status {
            StatusCode::GONE => Notified::Refused,
            status if status.is_success() => Notified::Done,
            _ => again(retry_after(answer.headers(), SystemTime::now())),
        }
    }

    fn receiver(&self, url: &str) -> Result<Receiver<'_>, &'static str> {
        Receiver::of(url, |name| self.hosts.get(name))
    }
}
