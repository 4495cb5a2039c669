//! The gateway itself, until SIGTERM.

use anyhow::Context;
use tokio::runtime;

use crate::{
    arguments::Arguments,
    config::{Config, Report, Source},
    gateway::{Gateway, Live, log_unreplayable},
    observe::{log, metrics},
    progress, proxy, server, store,
};

/// Serves until the process is told to end.
///
/// # Errors
///
/// Fails if the gateway cannot begin: a file of the settings cannot be used, an address is taken, or
/// the store cannot be opened.
pub(super) fn serve(arguments: Arguments, config: Config, source: Source) -> anyhow::Result<()> {
    log::begin();
    proxy::set_name(&config.name);
    let mut runtime = runtime::Builder::new_multi_thread();
    if let Some(threads) = config.threads {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().build();
    let runtime = runtime.context("the system starts no threads")?;
    runtime.block_on(async {
        let signals = server::Signals::new().context("the process can handle no signals")?;
        let metrics = config.admin.as_ref().map(|_| metrics::collect());
        let metrics = metrics.transpose()?;
        let (live, terms) = prepare(&config, source)?;
        let store = store::open(&config.store, config.lease, config.max_bytes).await?;
        let progress = progress::Listener::bind(config.progress.listen).await?;
        let gateway = Gateway::new(&config.fixed(), live, store, progress.runs().clone())?;
        let listeners = server::bind(&config).await?;
        tokio::spawn(progress.serve(gateway.parties()));
        log_unreplayable(&config);
        let flags = arguments.overrides();
        let reload = server::Reload::new(config, arguments.config, flags, gateway, terms);
        server::run(listeners, reload, metrics, signals).await;
        anyhow::Ok(())
    })?;
    // Does not wait for the resolution of a name, which cannot be ended.
    runtime.shutdown_background();
    Ok(())
}

/// Reads the files that the settings name.
fn prepare(config: &Config, source: Source) -> Result<(Live, server::Terms), Report> {
    match (Live::new(config, None), server::Terms::of(config)) {
        (Ok(live), Ok(terms)) => Ok((live, terms)),
        (live, terms) => {
            let mut unusable = live.err().unwrap_or_default();
            unusable.extend(terms.err());
            Err(Report::unusable(source, unusable))
        }
    }
}
