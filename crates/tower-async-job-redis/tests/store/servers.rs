//! Servers that are killed, restarted, full, or hang.

use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::join_all;
use http::{HeaderMap, StatusCode};
use http_polling::{JobState, Problem, ProblemType};
use test_services::{Proxy, Redis, available};
use tower_async_job_core::{
    ClaimQuery, Detail, IdempotencyKey, JobStore, NewJob, Outcome, Outside, PendingJobs, Release,
    Renewal, Report, ResultRef, Start, StoredResponse, SweepQuery,
};
use tower_async_job_offload::{Offloaded, object_store::memory::InMemory};
use tower_async_job_redis::RedisStore;

use crate::{add, builder, is_known, job, own, replayable, shared};

fn failed() -> Outcome {
    Outcome::Failed(Problem::new(ProblemType::JobFailed))
}

#[tokio::test(flavor = "multi_thread")]
async fn s02_a_killed_server_loses_nothing_acknowledged() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let mut leases = Vec::new();
    for _ in 0..50 {
        leases.push(add(&store, replayable(&store)).await);
    }
    server.kill();
    server.start_again();
    for lease in &leases {
        assert!(is_known(&store, &lease.id).await);
    }
    assert_eq!(store.renew(&leases).await.unwrap(), vec![Renewal::Held; 50]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_servers_the_master_is_used_also_after_a_failover() {
    let master = Redis::builder().setting("repl-diskless-sync-delay", "0");
    let (Some(master), Some(replica)) = (available(master.start()), own()) else {
        return;
    };
    let port = master.port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]);
    let servers = RedisStore::builder([replica.url(), master.url()]);
    let store = servers.replicas(1).connect().await.unwrap();
    let before = add(&store, replayable(&store)).await;
    master.kill();
    replica.command(&["REPLICAOF", "NO", "ONE"]);
    assert!(is_known(&store, &before.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s02_a_server_that_flushes_later_acknowledges_only_what_it_has_flushed() {
    let server = Redis::builder().valkey().setting("appendfsync", "everysec");
    let Some(server) = available(server.start()) else {
        return;
    };
    let store = builder(&server)
        .operation_timeout(Duration::from_secs(3))
        .connect()
        .await
        .unwrap();
    let lease = add(&store, replayable(&store)).await;
    // Until it flushes again, nothing is acknowledged.
    server.command(&["CONFIG", "SET", "appendfsync", "no"]);
    let late = store.create(replayable(&store)).await.unwrap_err();
    assert!(late.is_unavailable(), "{late}");
    server.command(&["CONFIG", "SET", "appendfsync", "everysec"]);
    let other = add(&store, replayable(&store)).await;
    server.kill();
    server.start_again();
    for lease in [lease, other] {
        assert!(is_known(&store, &lease.id).await);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s22_scripts_that_are_lost_are_loaded_again() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let lease = add(&store, job(&store)).await;
    server.command(&["SCRIPT", "FLUSH"]);
    store.start(&lease).await.unwrap();
    store.finish(&lease, failed().into()).await.unwrap();
    server.restart();
    assert!(is_known(&store, &lease.id).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_server_without_memory_keeps_jobs_and_lets_them_end() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let lease = add(&store, replayable(&store)).await;
    let waiting = add(&store, replayable(&store).with_start(Start::Queued)).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let key = IdempotencyKey::new("key".to_owned(), [7; 32]).unwrap();
    let keyed = NewJob::new(store.new_id(Some(&key), None)).with_idempotency(key);
    for new in [
        job(&store),
        replayable(&store).with_start(Start::Offered),
        replayable(&store).with_start(Start::Queued),
        keyed,
    ] {
        let full = store.create(new).await.unwrap_err();
        assert!(full.is_full(), "{full:?}");
    }
    let report = Report::default().with_checkpoint("checkpoint");
    let full = store.report(&lease, report).await.unwrap_err();
    assert!(full.is_full(), "{full:?}");
    let chunk = store.write_chunk(&lease, 0, Bytes::from_static(b"data"));
    assert!(chunk.await.unwrap_err().is_full());
    assert!(is_known(&store, &lease.id).await);
    assert!(store.renew(&[lease]).await.unwrap()[0].is_held());
    let released = store.release(&[waiting], Release::default()).await;
    assert_eq!(released.unwrap().len(), 1);
    store.finish(&lease, failed().into()).await.unwrap();
    let claimed = store.claim(&ClaimQuery::new(1)).await.unwrap();
    assert_eq!(claimed.jobs.len(), 1);
    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    add(&store, job(&store)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_results_without_room_prevent_no_end_that_has_room() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let leases = join_all((0..40).map(|_| add(&store, job(&store)))).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let ends = leases.iter().enumerate().map(|(number, lease)| {
        let result = || Outcome::Done(StoredResponse::from_bytes("result".into()));
        let is_result = number % 2 == 0;
        let outcome = if is_result { result() } else { failed() };
        let store = &store;
        async move { (is_result, store.finish(lease, outcome.into()).await) }
    });
    for (is_result, ended) in join_all(ends).await {
        assert_eq!(ended.is_err_and(|error| error.is_full()), is_result);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_parties_report_nothing_to_a_server_without_memory_and_keep_their_jobs() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let leases = join_all((0..40).map(|_| add(&store, replayable(&store)))).await;
    let outside = Outside::new("token", Duration::from_secs(60));
    let how = Release::default().with_outside(outside);
    store.release(&leases, how).await.unwrap();
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let renewals = leases.iter().enumerate().map(|(number, lease)| {
        let has_report = number % 2 == 1;
        let report = match has_report {
            true => Report::default().with_checkpoint("checkpoint"),
            false => Report::default(),
        };
        let store = &store;
        async move {
            (
                has_report,
                store.renew_outside(&lease.id, outside, report).await,
            )
        }
    });
    for (has_report, renewed) in join_all(renewals).await {
        match has_report {
            true => assert!(
                renewed.as_ref().is_err_and(|error| error.is_full()),
                "{renewed:?}"
            ),
            false => assert_eq!(renewed.unwrap(), Renewal::Held),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_s50_a_server_without_memory_lets_downloads_of_removed_jobs_go_on() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let lease = add(&store, job(&store)).await;
    let data = Bytes::from_static(b"data");
    store.write_chunk(&lease, 0, data.clone()).await.unwrap();
    store.cancel(&lease.id).await.unwrap();
    store.remove(&lease.id).await.unwrap();
    // The time for which the chunk is kept is prolonged by a read, at most once per second.
    tokio::time::sleep(Duration::from_millis(1200)).await;
    let kept_until = || {
        let shard = lease.id.to_bits() >> 122;
        let run = format!("c:{}:{}", lease.id.encode(), lease.epoch);
        server.command(&["ZSCORE", &format!("{{jobs:{shard}}}:due"), &run])
    };
    let before = kept_until();
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    let result = ResultRef::new(lease, 4).with_chunks(1);
    assert_eq!(store.read_chunk(&result, 0).await.unwrap(), Some(data));
    assert_ne!(kept_until(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn s20_a_replicated_server_without_memory_lets_jobs_end() {
    let (Some(server), Some(replica)) = (own(), own()) else {
        return;
    };
    replica.command(&["REPLICAOF", "127.0.0.1", &server.port().to_string()]);
    let store = builder(&server).replicas(1).connect().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(30);
    let cancelled = loop {
        // The replica copies all data first.
        let new = replayable(&store);
        let lease = new.first_lease();
        match store.create(new).await {
            Ok(_) => break lease,
            Err(error) => assert!(Instant::now() < deadline, "{error:?}"),
        }
    };
    let ended = add(&store, replayable(&store)).await;
    let released = add(&store, replayable(&store)).await;
    server.command(&["CONFIG", "SET", "maxmemory", "1mb"]);
    assert!(store.create(job(&store)).await.unwrap_err().is_full());
    store.cancel(&cancelled.id).await.unwrap();
    store.finish(&ended, failed().into()).await.unwrap();
    let how = Release::default();
    store.release(&[released], how).await.unwrap();
    let claimed = store.claim(&ClaimQuery::new(1)).await.unwrap();
    assert_eq!(claimed.jobs.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_hangs_ends_calls_in_time_and_is_replaced() {
    let Some(server) = shared() else { return };
    let proxy = Proxy::start(server.address()).await;
    let store = RedisStore::builder([format!("redis://{}", proxy.address())])
        .prefix("hung")
        .operation_timeout(Duration::from_millis(500));
    let store = store.connect().await.unwrap();
    let lease = add(&store, job(&store)).await;
    proxy.half_open();
    let since = Instant::now();
    let read = store.read(&lease.id, Detail::Status).await;
    assert!(read.unwrap_err().is_unavailable());
    assert!(
        since.elapsed() < Duration::from_secs(3),
        "{:?}",
        since.elapsed()
    );
    proxy.heal().await;
    let deadline = Instant::now() + Duration::from_secs(10);
    while store.read(&lease.id, Detail::Status).await.is_err() {
        assert!(Instant::now() < deadline, "the connection is not replaced");
    }
}

#[tokio::test]
async fn larger_results_are_refused() {
    let Some(server) = shared() else { return };
    let store = builder(server).prefix("large").connect().await.unwrap();
    let lease = add(&store, job(&store)).await;
    let chunk = Bytes::from(vec![7; 256 << 10]);
    for index in 0..64 {
        store
            .write_chunk(&lease, index, chunk.clone())
            .await
            .unwrap();
    }
    let refused = store.write_chunk(&lease, 64, chunk.clone()).await;
    let refused = refused.unwrap_err();
    assert!(refused.is_full());
    assert_eq!(refused.limit().unwrap().value, 16 << 20);
    let record = store
        .read(&lease.id, Detail::Status)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.state, JobState::Running);
    // A chunk may be written again.
    store.write_chunk(&lease, 63, chunk).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn larger_results_are_kept_in_an_object_store() {
    const CHUNKS: u32 = 80;
    let Some(server) = shared() else { return };
    let store = builder(server).prefix("outside").connect().await.unwrap();
    let store = Offloaded::new(store, InMemory::new()).unwrap();
    let new = job(store.get_ref());
    let lease = new.first_lease();
    store.create(new).await.unwrap();
    let chunk = |index: u32| Bytes::from(vec![index as u8; 256 << 10]);
    for index in 0..CHUNKS {
        let data = chunk(index);
        store.write_chunk(&lease, index, data).await.unwrap();
    }
    let head = StoredResponse::recorder(StatusCode::OK, &HeaderMap::new(), 0).finish(None);
    let len = u64::from(CHUNKS) * (256 << 10);
    let streamed = Outcome::Streamed {
        head,
        chunks: CHUNKS,
        len,
    };
    store.finish(&lease, streamed.into()).await.unwrap();
    let read = store.read(&lease.id, Detail::Full).await.unwrap().unwrap();
    let result = read.result.unwrap();
    assert_eq!(result.len, len);
    for index in 0..CHUNKS {
        let read = store.read_chunk(&result, index).await.unwrap();
        assert_eq!(read, Some(chunk(index)));
    }
    // Nothing of it is in memory.
    let shard = lease.id.to_bits() >> 122;
    let run = format!(
        "{{outside:{shard}}}:c:{}:{}",
        lease.id.encode(),
        lease.epoch
    );
    assert_eq!(server.command(&["HLEN", &run]), "2");
}

#[tokio::test(flavor = "multi_thread")]
async fn s38_a_sweep_with_many_principals_holds_up_no_other_call() {
    let Some(server) = own() else { return };
    let store = builder(&server).connect().await.unwrap();
    let owners = "for shard = 0, 63 do for owner = 1, 300 do \
                  local name = shard .. '-' .. owner \
                  redis.call('HSET', '{jobs:' .. shard .. '}:counts', 'p:' .. name, 1, 'o:' .. name, name) \
                  end end";
    server.command(&["EVAL", owners, "0"]);
    let since = Instant::now();
    let swept = store.sweep(&SweepQuery::default()).await.unwrap();
    let quarter = (since.elapsed() / 4).as_micros().to_string();
    assert_eq!(swept.pending.principals.len(), PendingJobs::MAX_PRINCIPALS);
    // The server does nothing else while it runs a script.
    server.command(&["CONFIG", "SET", "slowlog-log-slower-than", &quarter]);
    server.command(&["SLOWLOG", "RESET"]);
    store.sweep(&SweepQuery::default()).await.unwrap();
    assert_eq!(server.command(&["SLOWLOG", "LEN"]), "0");
}
