//! `--check`: whether the settings can be used here and now.

use std::{path::Path, process, time::Duration};

use tokio::{net::lookup_host, runtime, time::timeout};

use crate::{
    config::{Config, Report, Source, Store, Unusable, Upstream},
    gateway::Live,
    server, store,
};

/// Reads certificates and keys, resolves the names of servers, and opens the store.
///
/// # Errors
///
/// Fails with all settings that cannot be used.
pub(super) fn check(config: &Config, source: Source) -> Result<(), Report> {
    let mut unusable = Live::new(config, None).err().unwrap_or_default();
    unusable.extend(server::Terms::of(config).err());
    let runtime = runtime::Builder::new_current_thread().enable_all().build();
    match runtime {
        Ok(runtime) => runtime.block_on(async {
            for upstream in config.upstreams.values() {
                unusable.extend(resolve(upstream).await.err());
            }
            unusable.extend(open(config).await.err());
        }),
        Err(error) => unusable.push(Unusable::new(Vec::new(), error.to_string())),
    }
    match unusable.is_empty() {
        true => Ok(()),
        false => Err(Report::unusable(source, unusable)),
    }
}

async fn resolve(upstream: &Upstream) -> Result<(), Unusable> {
    let host = upstream.url.host().unwrap_or_default();
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let resolved = async { anyhow::Ok(lookup_host((host, 0)).await?.next()) };
    let reason = match timeout(Duration::from_secs(10), resolved).await {
        Ok(Ok(Some(_))) => return Ok(()),
        Ok(Ok(None)) => "it has no address".to_owned(),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no answer within 10s".to_owned(),
    };
    let key = format!("upstreams.{}.url", upstream.name);
    let reason = format!("the name {host} cannot be resolved: {reason}");
    Err(Unusable::new(vec![key], reason))
}

async fn open(config: &Config) -> Result<(), Unusable> {
    let opened = match &config.store {
        Store::Sqlite(file) if !file.exists() => open_beside(file, config.lease).await,
        store => store::open(store, config.lease, config.max_bytes)
            .await
            .map(drop),
    };
    opened.map_err(|error| Unusable::new(vec!["store".to_owned()], format!("{error:#}")))
}

/// Opens a store beside a file that is not there: the user who checks may be another than the one
/// who runs the gateway, and could not open the file.
async fn open_beside(file: &Path, lease: Duration) -> anyhow::Result<()> {
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".check-{}", process::id()));
    let beside = file.with_file_name(name);
    let store = Store::Sqlite(beside.clone());
    let opened = store::open(&store, lease, None).await.map(drop);
    for end in ["", "-wal", "-shm"] {
        let mut part = beside.clone().into_os_string();
        part.push(end);
        let _ = std::fs::remove_file(part);
    }
    opened.map_err(|error| {
        let text =
            format!("{error:#}").replace(&*beside.to_string_lossy(), &file.to_string_lossy());
        anyhow::Error::msg(text)
    })
}
