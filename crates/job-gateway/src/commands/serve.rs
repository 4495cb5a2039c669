//! The gateway itself, until SIGTERM.

use anyhow::Context;
use tokio::runtime;

use crate::{config::Config, gateway::Gateway, server, store};

/// Serves until the process is told to end.
///
/// # Errors
///
/// Fails if the gateway cannot begin: an address is taken, or the store cannot be opened.
pub(crate) fn serve(config: Config) -> anyhow::Result<()> {
    let mut runtime = runtime::Builder::new_multi_thread();
    if let Some(threads) = config.threads {
        runtime.worker_threads(threads);
    }
    let runtime = runtime.enable_all().build();
    let runtime = runtime.context("the system starts no threads")?;
    runtime.block_on(async {
        let signals = server::Signals::new().context("the process can handle no signals")?;
        let store = store::open(&config.store).await?;
        let gateway = Gateway::new(&config, store)?;
        let listeners = server::bind(&config).await?;
        server::run(&config, listeners, gateway, signals).await;
        anyhow::Ok(())
    })?;
    // Does not wait for the resolution of a name, which cannot be ended.
    runtime.shutdown_background();
    Ok(())
}
