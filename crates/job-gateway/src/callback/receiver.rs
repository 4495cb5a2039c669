//! The hosts that may be called, and the URLs at them.

use std::sync::Arc;

use http::{Uri, uri::PathAndQuery};
use tokio::sync::Semaphore;

use super::signature::Keys;
use crate::config::{CallbackHost, Secret};

/// The number of calls to a host at once.
const CALLS: usize = 8;

/// The longest URL, in bytes.
const URL_BYTES: usize = 2048;

/// A host that may be called.
pub(super) struct Host {
    pub(super) name: String,
    pub(super) keys: Keys,
    ports: Vec<u16>,
    /// The places of calls, which a reload keeps.
    pub(super) places: Arc<Semaphore>,
}

impl Host {
    /// Creates what the settings describe. The places are those of before, if there are some.
    pub(super) fn new(name: &str, settings: &CallbackHost, before: Option<&Self>) -> Self {
        let places = before.map(|host| host.places.clone());
        Self {
            name: name.to_owned(),
            keys: Keys::new(settings.secrets.iter().map(Secret::expose)),
            ports: settings.ports.clone(),
            places: places.unwrap_or_else(|| Arc::new(Semaphore::new(CALLS))),
        }
    }
}

/// A URL that may be called.
pub(super) struct Receiver<'a> {
    pub(super) host: &'a Host,
    pub(super) port: u16,
    pub(super) target: PathAndQuery,
}

impl<'a> Receiver<'a> {
    /// Reads a URL.
    ///
    /// # Errors
    ///
    /// Fails with the reason why it may not be called, for its client.
    pub(super) fn of(
        url: &str,
        find: impl FnOnce(&str) -> Option<&'a Host>,
    ) -> Result<Self, &'static str> {
        if url.is_empty() {
            return Err("the preference callback needs a URL: callback; url=\"https://…\"");
        }
        if url.len() > URL_BYTES {
            return Err("the URL of the callback is longer than 2048 bytes");
        }
        let uri = url.parse::<Uri>();
        let uri = uri.map_err(|_| "the URL of the callback is no URL")?;
        if uri.scheme_str() != Some("https") {
            return Err("the URL of the callback must begin with https://");
        }
        let authority = uri.authority().map_or("", |it| it.as_str());
        if authority.contains('@') {
            return Err("the URL of the callback names a user, which is not sent");
        }
        let name = uri.host().unwrap_or_default().to_ascii_lowercase();
        let host = find(&name).ok_or("the host of the callback is not one that is called")?;
        let port = match authority.rsplit_once(':') {
            None => Some(443),
            Some(_) => uri.port_u16(),
        };
        let port = port.filter(|port| host.ports.contains(port));
        Ok(Self {
            host,
            port: port.ok_or("the port of the callback is not one that is called")?,
            target: uri
                .path_and_query()
                .cloned()
                .unwrap_or_else(|| PathAndQuery::from_static("/")),
        })
    }

    /// Returns the host and port as the field Host has them.
    pub(super) fn authority(&self) -> String {
        match self.port {
            443 => self.host.name.clone(),
            port => format!("{}:{port}", self.host.name),
        }
    }
}
