//! Schemas that nodes share, in a database that they reach by a proxy.

use std::{fs, path::Path, sync::Arc, time::Duration};

use test_nodes::{Counted, Hook, Nodes, NotRun, Outage, Settings};
use test_services::{Postgres, Proxy, available};
use tower_async_job_core::{JobId, JobStore, SweepQuery};

use crate::{
    counted::CountedStore,
    support::{BOUNCER, Place, SYSTEM},
};

/// A schema that nodes share, which connect to the server itself or to PgBouncer alone.
pub(crate) struct PostgresNodes<const POOLED: bool> {
    place: Place,
    /// The proxy before the server or PgBouncer, in the process that has created the schema.
    proxy: Option<Arc<Proxy>>,
    /// A server of its own, whose data can be searched.
    server: Option<Postgres>,
}

impl<const POOLED: bool> PostgresNodes<POOLED> {
    async fn before(direct: &str, server: Option<Postgres>) -> Self {
        // PgBouncer is before the server of the system.
        let bouncer = BOUNCER.as_ref().filter(|_| POOLED && server.is_none());
        let url = bouncer.map_or(direct.to_owned(), |bouncer| bouncer.url());
        let (_, target) = url.split_once('@').unwrap();
        let target = target.split('/').next().unwrap().parse().unwrap();
        let proxy = Proxy::start(target).await;
        let url = format!("postgres://postgres@{}/postgres", proxy.address());
        Self {
            place: Place::new(url, direct),
            proxy: Some(Arc::new(proxy)),
            server,
        }
    }

    fn proxy(&self) -> Arc<Proxy> {
        Arc::clone(self.proxy.as_ref().unwrap())
    }

    /// Changes the row of a job behind the store's back.
    async fn tamper(&self, id: JobId, change: &str) {
        let id = id.encode();
        let sql = format!("UPDATE jobs SET {change} WHERE id = '{id}' RETURNING 1");
        let answer = self.place.execute(&sql).await;
        // The description of the row, the row and the end.
        assert_eq!(answer.len(), 3);
    }
}

impl<const POOLED: bool> Nodes for PostgresNodes<POOLED> {
    const NOTIFIES: bool = !POOLED;
    const READERS: u64 = 2;
    const COUNTS_ROUND_TRIPS: bool = true;

    fn create() -> Hook<'static, Self> {
        Box::pin(async {
            let missing = NotRun::because("the server is missing");
            let server = SYSTEM.as_ref().ok_or(missing)?;
            if POOLED && BOUNCER.is_none() {
                return Err(NotRun::because("PgBouncer is missing"));
            }
            Ok(Self::before(&server.url(), None).await)
        })
    }

    fn another(&self) -> Hook<'static, Self> {
        Box::pin(async {
            let missing = NotRun::because("the server is missing");
            let server = available(Postgres::start()).ok_or(missing)?;
            Ok(Self::before(&server.url(), Some(server)).await)
        })
    }

    fn address(&self) -> String {
        let Place {
            url,
            direct,
            schema,
            ..
        } = &self.place;
        format!("{url} {direct} {schema}")
    }

    fn at(address: &str) -> Self {
        let parts: Vec<_> = address.split(' ').map(str::to_owned).collect();
        let [url, direct, schema] = parts.try_into().unwrap();
        Self {
            place: Place {
                schema,
                ..Place::new(url, direct)
            },
            proxy: None,
            server: None,
        }
    }

    fn open(&self, settings: Settings) -> Hook<'_, Arc<dyn JobStore>> {
        let mut builder = self
            .place
            .builder()
            .listen_url(&self.place.url)
            .lease_duration(settings.lease);
        if let Some(timeout) = settings.operation_timeout {
            builder = builder.operation_timeout(timeout);
        }
        if let Some(bytes) = settings.chunk_size {
            builder = builder.chunk_size(bytes);
        }
        Box::pin(async move {
            if settings.max_bytes.is_some() {
                return Err(NotRun::because("the room is that of the server's disk"));
            }
            if !settings.ahead.is_zero() {
                return Err(NotRun::because("the store asks no node for the time"));
            }
            let store = builder.connect().await.unwrap();
            if settings.is_deaf {
                store.lose_notifications();
            }
            Ok(Arc::new(store) as _)
        })
    }

    fn outage(&self) -> Hook<'_, Outage> {
        Box::pin(async {
            let proxy = self.proxy();
            proxy.cut().await;
            let end = async move {
                proxy.heal().await;
                Ok(())
            };
            Ok(Box::pin(end) as _)
        })
    }

    fn cut(&self) -> Hook<'_, ()> {
        Box::pin(async { self.outage().await?.await })
    }

    fn later(&self, span: Duration) -> Hook<'_, ()> {
        Box::pin(async move {
            let sql = format!(
                "ALTER FUNCTION job_now() RENAME TO earlier_now; \
                 CREATE FUNCTION job_now() RETURNS bigint LANGUAGE sql VOLATILE AS \
                 $$ SELECT {}.earlier_now() + {} $$",
                self.place.schema,
                span.as_micros()
            );
            self.place.execute(&sql).await;
            let store = self.open(Settings::default()).await?;
            store.sweep(&SweepQuery::default()).await.unwrap();
            Ok(())
        })
    }

    fn corrupt(&self, id: JobId) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, "protocol = 77").await;
            Ok(())
        })
    }

    fn add_to_format(&self, id: JobId, number: i8) -> Hook<'_, ()> {
        Box::pin(async move {
            self.tamper(id, &format!("format = format + ({number})"))
                .await;
            Ok(())
        })
    }

    fn chunks(&self) -> Hook<'_, Vec<(u64, usize)>> {
        Box::pin(async {
            let sql = "SELECT epoch, count(*) FROM chunks GROUP BY epoch ORDER BY epoch";
            let rows = self.place.client().await.query(sql, &[]).await.unwrap();
            let rows = rows.iter().map(|row| {
                let (epoch, count): (i64, i64) = (row.get(0), row.get(1));
                (epoch.unsigned_abs(), count as usize)
            });
            Ok(rows.collect())
        })
    }

    fn contains<'a>(&'a self, text: &'a str) -> Hook<'a, bool> {
        Box::pin(async move {
            self.place.execute("CHECKPOINT").await;
            let server = self.server.as_ref().or(SYSTEM.as_ref()).unwrap();
            Ok(is_below(&server.data(), text.as_bytes()))
        })
    }

    fn counted(&self) -> Hook<'_, Box<dyn Counted>> {
        Box::pin(async { Ok(Box::new(CountedStore::open(&self.place).await) as _) })
    }
}

/// Returns whether a file below this folder has the text.
fn is_below(folder: &Path, text: &[u8]) -> bool {
    fs::read_dir(folder).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return is_below(&path, text);
        }
        // The server may have removed it.
        let data = fs::read(path).unwrap_or_default();
        data.windows(text.len()).any(|part| part == text)
    })
}
