//! The databases of the tests.

use test_services::{Missing, Postgres, Redis, RedisCluster};

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Kind {
    Sqlite,
    Postgres,
    Redis,
    RedisCluster,
}

impl Kind {
    pub(crate) const ALL: [Self; 4] = [
        Self::Sqlite,
        Self::Postgres,
        Self::Redis,
        Self::RedisCluster,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
            Self::Redis => "redis",
            Self::RedisCluster => "redis-cluster",
        }
    }
}

/// The database of one test.
pub(crate) enum Data {
    /// A file, which the processes create.
    File,
    Postgres(Postgres),
    Redis(Redis),
    RedisCluster(RedisCluster),
}

impl Data {
    pub(crate) fn start(kind: Kind) -> Result<Self, Missing> {
        Ok(match kind {
            Kind::Sqlite => Self::File,
            Kind::Postgres => Self::Postgres(Postgres::start()?),
            Kind::Redis => Self::Redis(Redis::start()?),
            Kind::RedisCluster => Self::RedisCluster(RedisCluster::start()?),
        })
    }

    /// Returns the address, unless it is that of a new file.
    pub(crate) fn url(&self) -> Option<String> {
        match self {
            Self::File => None,
            Self::Postgres(server) => Some(server.url()),
            Self::Redis(server) => Some(server.url()),
            Self::RedisCluster(servers) => servers.urls().pop(),
        }
    }

    /// Stops the server, if it is a single one. It blocks the thread.
    pub(crate) fn stop(&self) {
        match self {
            Self::File | Self::RedisCluster(_) => {}
            Self::Postgres(server) => server.stop(),
            Self::Redis(server) => server.kill(),
        }
    }

    /// Starts that server again. It blocks the thread.
    pub(crate) fn start_again(&self) {
        match self {
            Self::File | Self::RedisCluster(_) => {}
            Self::Postgres(server) => server.start_again(),
            Self::Redis(server) => server.start_again(),
        }
    }

    /// Restarts that server after a crash. It blocks the thread.
    pub(crate) fn crash(&self) {
        match self {
            Self::Postgres(server) => server.crash(),
            other => {
                other.stop();
                other.start_again();
            }
        }
    }
}
