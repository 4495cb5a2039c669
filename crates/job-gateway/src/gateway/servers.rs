//! The servers of all routes.

use std::{collections::BTreeMap, sync::Arc};

use crate::{
    config::{Config, Progress, Unusable, Upstream},
    progress::Reach,
    proxy::Queue,
    upstream::Client,
};

/// The servers of all routes by their names.
#[derive(Default)]
pub(super) struct Servers(BTreeMap<String, Server>);

/// A server, and what leads to it.
#[derive(Clone)]
pub(super) struct Server {
    settings: Arc<Upstream>,
    pub(super) client: Client,
    /// Has the places of a server that takes a limited number of requests at once.
    pub(super) queue: Option<Queue>,
    /// The way for its reports of progress.
    pub(super) progress: Option<Reach>,
}

impl Servers {
    /// Creates the clients and queues of the settings. Keeps the clients that the settings leave as they
    /// are, with their connections, and the queues of the same servers, with their places.
    ///
    /// # Errors
    ///
    /// Fails with all servers whose certificates cannot be verified.
    pub(super) fn new(config: &Config, previous: Option<&Self>) -> Result<Self, Vec<Unusable>> {
        let (mut servers, mut unusable) = (Self::default(), Vec::new());
        for (name, settings) in &config.upstreams {
            let previous = previous.and_then(|servers| servers.0.get(name));
            match Server::new(settings, &config.progress, previous) {
                Ok(server) => drop(servers.0.insert(name.clone(), server)),
                Err(reason) => {
                    let keys = ["roots", "url"].map(|key| format!("upstreams.{name}.{key}"));
                    unusable.push(Unusable::new(keys.into(), reason));
                }
            }
        }
        match unusable.is_empty() {
            true => Ok(servers),
            false => Err(unusable),
        }
    }

    /// Gives the queues that are kept the numbers of the settings.
    pub(super) fn resize_queues(&self) {
        for Server {
            settings, queue, ..
        } in self.0.values()
        {
            if let (Some(queue), Some(places)) = (queue, settings.concurrency) {
                queue.resize(places, settings.queue);
            }
        }
    }

    /// Returns the server of that name.
    pub(super) fn get(&self, name: &str) -> Option<&Server> {
        self.0.get(name)
    }
}

impl Server {
    fn new(
        settings: &Arc<Upstream>,
        progress: &Progress,
        previous: Option<&Self>,
    ) -> Result<Self, String> {
        let kept = previous.filter(|server| keeps_client(&server.settings, settings));
        let client = match kept {
            Some(server) => server.client.clone(),
            None => Client::new(settings)?,
        };
        // Requests under way count on in its queue.
        let kept = previous.filter(|server| server.settings.url == settings.url);
        let kept = kept.and_then(|server| server.queue.clone());
        let places = settings.concurrency;
        let queue = places.map(|places| kept.unwrap_or_else(|| Queue::new(places, settings.queue)));
        Ok(Self {
            settings: settings.clone(),
            client,
            queue,
            progress: Reach::of(settings, progress),
        })
    }
}

/// Returns whether a client may be kept. One that verifies certificates reads its roots again.
fn keeps_client(before: &Upstream, after: &Upstream) -> bool {
    before == after && after.url.scheme_str() != Some("https")
}
