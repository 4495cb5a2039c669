//! The contract of job stores, on all kinds of servers, in the clear and sealed.

mod harness;

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use libtest_mimic::{Arguments, Completion, Failed, Trial};
use test_services::{Missing, Redis, RedisCluster, not_run};
use tower_async_job_testkit::Test;

use crate::harness::{RedisHarness, Servers, Variant};

/// The timeout of a test.
const LIMIT: Duration = Duration::from_secs(120);

/// A kind of server.
#[derive(Clone, Copy)]
enum Kind {
    Redis,
    Valkey,
    /// Three masters and three replicas.
    Cluster,
}

impl Kind {
    fn start(self) -> Result<Redis, Missing> {
        match self {
            Self::Valkey => Redis::valkey(),
            _ => Redis::start(),
        }
    }

    /// Returns the servers of a test: those that all share, or its own, if it kills it.
    fn servers(self, kills: bool) -> Result<Servers, Missing> {
        static SHARED: [OnceLock<Result<Redis, Missing>>; 2] = [const { OnceLock::new() }; 2];
        static CLUSTER: OnceLock<Result<RedisCluster, Missing>> = OnceLock::new();
        if let Self::Cluster = self {
            let cluster = CLUSTER.get_or_init(RedisCluster::start);
            let cluster = cluster.as_ref().map_err(Clone::clone)?;
            return Ok(Servers {
                urls: cluster.urls(),
                own: None,
            });
        }
        if kills {
            let server = Arc::new(self.start()?);
            return Ok(Servers {
                urls: vec![server.url()],
                own: Some(server),
            });
        }
        let shared = SHARED[self as usize].get_or_init(|| self.start());
        let server = shared.as_ref().map_err(Clone::clone)?;
        Ok(Servers {
            urls: vec![server.url()],
            own: None,
        })
    }
}

/// Runs a test on its own runtime.
fn run(kind: Kind, variant: Variant, test: &'static Test) -> Result<Completion, Failed> {
    let kills = ["s02_", "s80_"]
        .iter()
        .any(|row| test.name().starts_with(row));
    let servers = match kind.servers(kills) {
        Ok(servers) => servers,
        Err(missing) => return not_run(&missing.to_string()),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    let result = runtime.block_on(async {
        let harness = RedisHarness::new(servers, variant).await;
        tokio::time::timeout(LIMIT, test.run(&harness)).await
    });
    match result {
        Ok(Ok(())) => Ok(Completion::Completed),
        Ok(Err(reason)) => Ok(Completion::ignored_with(reason.to_string())),
        Err(_) => Err(Failed::from("the test has not ended")),
    }
}

fn main() {
    let arguments = Arguments::from_args();
    let clear = Variant::default();
    let sealed = Variant {
        is_sealed: true,
        ..clear
    };
    let asks = Variant {
        asks: true,
        ..clear
    };
    let variants = [
        ("", Kind::Redis, clear),
        ("sealed::", Kind::Redis, sealed),
        ("valkey::", Kind::Valkey, asks),
        ("cluster::", Kind::Cluster, clear),
    ];
    let mut trials = Vec::new();
    for (name, kind, variant) in variants {
        for test in tower_async_job_testkit::tests() {
            let name = format!("{name}{}", test.name());
            trials.push(Trial::ignorable_test(name, move || {
                run(kind, variant, test)
            }));
        }
    }
    libtest_mimic::run(&arguments, trials).exit();
}
