//! What the store's walks cost with so many jobs: `storegrowth JOBS`.
use std::{hint::black_box, time::Instant};
use tower_async_job::store::{Detail, JobHandle, JobId, JobQuery, JobStore, MemoryStore, NewJob};
fn main() {
    let jobs: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    let runtime = benches::runtime();
    runtime.block_on(async {
        let store = MemoryStore::builder().max_jobs(2_000_000).build();
        let mut ids = Vec::new();
        let begun = Instant::now();
        for _ in 0..jobs { let id = JobId::random(); store.create(NewJob::new(id)).await.unwrap(); ids.push(id); }
        let create = begun.elapsed().as_nanos() as f64 / jobs as f64;
        let begun = Instant::now();
        for _ in 0..10 { black_box(store.sweep().await.unwrap()); }
        let sweep = begun.elapsed().as_micros() as f64 / 10.0;
        let begun = Instant::now();
        for _ in 0..3 { black_box(store.list(&JobQuery::default()).await.unwrap()); }
        let list = begun.elapsed().as_micros() as f64 / 3.0;
        let begun = Instant::now();
        for _ in 0..3 { black_box(store.find(JobHandle::from_bits(1)).await.unwrap()); }
        let find = begun.elapsed().as_micros() as f64 / 3.0;
        let mut read = f64::MAX;
        for round in 0..9 {
            let begun = Instant::now();
            for i in 0..20_000usize { black_box(store.read(&ids[(i * 7919 + round) % ids.len()], Detail::Full).await.unwrap()); }
            read = read.min(begun.elapsed().as_nanos() as f64 / 20_000.0);
        }
        println!("{jobs}: create {create:.0} ns, read {read:.0} ns, sweep {sweep:.1} us, list {list:.0} us, find {find:.0} us");
    });
}
