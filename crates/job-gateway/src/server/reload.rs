//! SIGHUP: the settings are read again, and replace those of today as a whole or not at all.

use std::{path::PathBuf, sync::Arc};

use arc_swap::ArcSwap;

use super::{places::Places, terms::Terms};
use crate::{
    config::{Config, Overrides, Report, file, swap::check_swap},
    gateway::{Gateway, log_unreplayable},
    observe::metrics::note_reload,
};

/// The settings of today, and all that is made of them.
pub(crate) struct Reload {
    /// The settings of today.
    pub(crate) config: Config,
    file: Option<PathBuf>,
    flags: Overrides,
    gateway: Gateway,
    terms: Arc<ArcSwap<Terms>>,
    places: Arc<Places>,
}

impl Reload {
    pub(crate) fn new(
        config: Config,
        file: Option<PathBuf>,
        flags: Overrides,
        gateway: Gateway,
        terms: Terms,
    ) -> Self {
        let places = Places::new(config.clients.connections);
        note_reload(true);
        Self {
            config,
            file,
            flags,
            gateway,
            terms: Arc::new(ArcSwap::from_pointee(terms)),
            places: Arc::new(places),
        }
    }

    /// Returns the terms of connections, which each reload replaces.
    pub(super) fn terms(&self) -> (Arc<ArcSwap<Terms>>, Arc<Places>) {
        (self.terms.clone(), self.places.clone())
    }

    pub(super) fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Reads the settings again. After any error, those of today stay. Returns whether there was none.
    pub(super) fn reload(&mut self) -> bool {
        let reloaded = self.try_reload();
        let is_new = reloaded.is_ok();
        note_reload(is_new);
        match reloaded {
            Ok(()) => tracing::info!("the settings were read again"),
            Err(report) => tracing::error!(%report, "the settings stay as they were"),
        }
        is_new
    }

    fn try_reload(&mut self) -> Result<(), Report> {
        let (config, source) = file::load(self.file.as_deref(), &self.flags)?;
        check_swap(&self.config, &config, source.clone())?;
        let prepared = (self.gateway.prepare(&config), Terms::of(&config));
        let (live, terms) = match prepared {
            (Ok(live), Ok(terms)) => (live, terms),
            (live, terms) => {
                let mut unusable = live.err().unwrap_or_default();
                unusable.extend(terms.err());
                return Err(Report::unusable(source, unusable));
            }
        };
        self.gateway.replace(live);
        self.terms.store(Arc::new(terms));
        let today = self.config.clients.connections;
        self.places.resize(today, config.clients.connections);
        let has_other_routes =
            self.config.routes != config.routes || self.config.fallback != config.fallback;
        self.config = config;
        if has_other_routes {
            log_unreplayable(&self.config);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, sync::Arc};

    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use tower_async_job::store::MemoryStore;

    use super::*;
    use crate::{gateway::Live, progress::Runs};

    const SETTINGS: &str = "grace = \"1s\"\n[upstreams.app]\nurl = \"http://127.0.0.1:3000\"\n";

    /// Returns the value of the gauge after a reload.
    fn success(reload: &mut Reload) -> f64 {
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || reload.reload());
        let recorded = recorder.snapshotter().snapshot().into_vec();
        let [(key, _, _, DebugValue::Gauge(value))] = &recorded[..] else {
            panic!("{recorded:?}");
        };
        assert_eq!(key.key().name(), "config_reload_success");
        value.into_inner()
    }

    #[tokio::test]
    async fn a_gauge_tells_whether_the_last_reload_has_succeeded() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, SETTINGS).unwrap();
        let path = Some(file.path().to_owned());
        let (config, _) = file::load(path.as_deref(), &Overrides::default()).unwrap();
        let live = Live::new(&config, None).ok().unwrap();
        let runs = Runs::new(config.progress.listen);
        let store = Arc::new(MemoryStore::new());
        let gateway = Gateway::new(&config.fixed(), live, store, runs).unwrap();
        let terms = Terms::of(&config).ok().unwrap();
        let mut reload = Reload::new(config, path, Overrides::default(), gateway, terms);

        fs::write(&file, SETTINGS.replace("1s", "2s")).unwrap();
        assert_eq!(success(&mut reload), 1.0);
        assert_eq!(reload.config.grace.as_secs(), 2);
        fs::write(&file, SETTINGS.replace("1s", "3")).unwrap();
        assert_eq!(success(&mut reload), 0.0);
        fs::write(&file, format!("base = \"/jobs\"\n{SETTINGS}")).unwrap();
        assert_eq!(success(&mut reload), 0.0);
        assert_eq!(reload.config.grace.as_secs(), 2);
        fs::write(&file, SETTINGS).unwrap();
        assert_eq!(success(&mut reload), 1.0);
        assert_eq!(reload.config.grace.as_secs(), 1);
    }
}
