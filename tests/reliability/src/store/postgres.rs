//! A PostgreSQL server, with or without a PgBouncer before it.

use std::{
    fs,
    net::SocketAddr,
    os::unix::fs::{MetadataExt, chown},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context, bail, ensure};
use futures_util::future::BoxFuture;
use test_services::{PgBouncer, Postgres};
use tower_async_job::store::JobStore;
use tower_async_job_postgres::PostgresStore;

use super::{Backend, Disk, Kind, Opening, Place, blocking, opening};
use crate::scenario::Scenario;

/// The schema of the jobs.
const SCHEMA: &str = "tower_async_job";

/// The name of the connections of the next version.
const NEXT: &str = "next";

/// The migration to the next version: a column, and a newer format of the records that processes of
/// that version make. Those of this version know only the older format.
const MIGRATION: &str = include_str!("postgres.sql");

/// The tables that are empty when all jobs are gone.
const TABLES: [&str; 8] = [
    "jobs",
    "requests",
    "reports",
    "results",
    "notifications",
    "keys",
    "chunks",
    "bodies",
];

/// The server of a round.
#[derive(Debug)]
pub(super) struct Server {
    bouncer: Option<PgBouncer>,
    // Before the server, whose folder it is in.
    disk: Option<Disk>,
    postgres: Arc<Postgres>,
    backup: PathBuf,
}

impl Server {
    pub(super) fn new(kind: Kind, directory: &Path, is_small: bool) -> anyhow::Result<Self> {
        let postgres = Postgres::start()?;
        let bouncer = match kind {
            Kind::Pgbouncer => Some(PgBouncer::start(&postgres)?),
            _ => None,
        };
        Ok(Self {
            bouncer,
            disk: is_small.then(|| small(&postgres)).transpose()?,
            postgres: Arc::new(postgres),
            backup: directory.join("backup"),
        })
    }
}

/// Lets new tables be on a small disk.
fn small(postgres: &Postgres) -> anyhow::Result<Disk> {
    let data = postgres.data();
    let disk = Disk::new(data.parent().context("a folder")?)?;
    ensure!(disk.is_mounted, "no disk can be mounted");
    let owner = fs::metadata(&data)?;
    chown(disk.path(), Some(owner.uid()), Some(owner.gid()))?;
    let path = disk.path().display();
    postgres.query(&format!("CREATE TABLESPACE small LOCATION '{path}'"));
    postgres.setting("default_tablespace", "small");
    Ok(disk)
}

/// Shifts the time of the store.
fn shift(postgres: &Postgres, seconds: i64) {
    postgres.query(&format!(
        "CREATE OR REPLACE FUNCTION {SCHEMA}.job_now() RETURNS bigint LANGUAGE sql VOLATILE AS \
         $$ SELECT ((extract(epoch FROM clock_timestamp()) + {seconds}) * 1000000)::bigint $$"
    ));
}

impl Backend for Server {
    fn kind(&self) -> Kind {
        match self.bouncer {
            Some(_) => Kind::Pgbouncer,
            None => Kind::Postgres,
        }
    }

    fn servers(&self) -> Vec<SocketAddr> {
        let direct = self.postgres.address();
        let bouncer = self.bouncer.as_ref().map(PgBouncer::address);
        vec![bouncer.unwrap_or(direct), direct]
    }

    fn place(&self, links: &[SocketAddr]) -> Place {
        let servers = self.servers();
        let url = |number: usize| {
            let address = links.get(number).unwrap_or(&servers[number]);
            format!("postgres://postgres@{address}/postgres").into()
        };
        Place {
            store: self.kind(),
            at: url(0),
            listen_at: Some(url(1)),
            max_bytes: None,
        }
    }

    fn is_nearly_full(&self) -> anyhow::Result<bool> {
        self.disk.as_ref().map_or(Ok(false), Disk::is_nearly_full)
    }

    fn enlarge(&self) -> anyhow::Result<bool> {
        let is_enlarged = self.disk.as_ref().is_some_and(Disk::enlarge);
        ensure!(is_enlarged, "the disk cannot be enlarged");
        Ok(false)
    }

    fn back_up(&self) -> anyhow::Result<()> {
        let mut command = Command::new("pg_basebackup");
        command.args(["--checkpoint=fast", "--no-sync", "--pgdata"]);
        command.arg(&self.backup);
        let url = format!("postgres://postgres@{}/postgres", self.postgres.address());
        let output = command.args(["--dbname", &url]).output()?;
        let error = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "pg_basebackup: {error}");
        Ok(())
    }

    fn restore(&self) -> anyhow::Result<()> {
        let data = self.postgres.data();
        let owner = fs::metadata(&data)?;
        fs::remove_dir_all(&data)?;
        let mut command = Command::new("cp");
        let copied = command.arg("-a").arg(&self.backup).arg(&data).status()?;
        ensure!(copied.success(), "the backup cannot be copied");
        let owner = format!("{}:{}", owner.uid(), owner.gid());
        let given = Command::new("chown")
            .arg("-R")
            .arg(owner)
            .arg(&data)
            .status()?;
        ensure!(given.success(), "the backup cannot be given to the server");
        Ok(())
    }

    fn begin(&self, fault: Scenario) -> anyhow::Result<()> {
        match (fault, &self.bouncer) {
            (Scenario::Crash | Scenario::Restore, _) => self.postgres.kill(),
            (Scenario::Restart, _) => self.postgres.stop(),
            (Scenario::Bouncer, Some(bouncer)) => bouncer.restart(),
            _ => bail!("not on this store: {fault}"),
        }
        Ok(())
    }

    fn end(&self, fault: Scenario) -> anyhow::Result<()> {
        if fault != Scenario::Bouncer {
            self.postgres.start_again();
        }
        Ok(())
    }

    fn migrate(&self) -> anyhow::Result<()> {
        self.postgres.query(MIGRATION);
        Ok(())
    }

    fn shift(&self, seconds: i64) -> anyhow::Result<()> {
        shift(&self.postgres, seconds);
        Ok(())
    }

    fn open_later(&self, later: Duration) -> BoxFuture<'_, anyhow::Result<Arc<dyn JobStore>>> {
        Box::pin(async move {
            let postgres = self.postgres.clone();
            let seconds = later.as_secs().try_into()?;
            blocking(move || {
                shift(&postgres, seconds);
                Ok(())
            })
            .await?;
            self.place(&[]).open(opening(later)?).await
        })
    }

    fn remains(&self) -> anyhow::Result<Option<String>> {
        for table in TABLES {
            let rows = self
                .postgres
                .query(&format!("SELECT count(*) FROM {SCHEMA}.{table}"));
            if rows.trim() != "0" {
                return Ok(Some(format!("{} rows are left in {table}", rows.trim())));
            }
        }
        Ok(None)
    }

    fn keep(&self, directory: &Path) -> anyhow::Result<()> {
        for table in TABLES {
            let sql = format!("SELECT t.* FROM {SCHEMA}.{table} AS t LIMIT 100");
            fs::write(directory.join(table), self.postgres.query(&sql))?;
        }
        Ok(())
    }
}

pub(super) async fn open(place: &Place, how: &Opening) -> anyhow::Result<Arc<dyn JobStore>> {
    let url = place.at.to_str().context("a URL")?;
    let mut store = PostgresStore::builder(url)
        .schema(SCHEMA)
        .lease_duration(how.lease);
    if how.is_newer {
        store = store.application_name(NEXT);
    }
    if let Some(url) = &place.listen_at {
        store = store.listen_url(url.to_str().context("a URL")?);
    }
    Ok(Arc::new(store.connect().await?))
}
