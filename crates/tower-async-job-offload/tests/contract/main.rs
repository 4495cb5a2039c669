//! The contract of job stores, with results in object stores of several kinds.

mod harness;

use std::{
    path::Path,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicU64, Ordering},
    },
};

use harness::SqliteHarness;
use tower_async_job_core::{EncryptionKeys, JobStore, Sealed};
use tower_async_job_offload::{
    Offloaded,
    object_store::{ObjectStore, local::LocalFileSystem, memory::InMemory},
};
use tower_async_job_testkit::{MemoryHarness, contract};

/// The objects of all SQLite stores of this process, whose ids are different.
static OBJECTS: LazyLock<Arc<InMemory>> = LazyLock::new(Arc::default);

/// Returns an object store in a new directory, which is in that of the build.
fn directory() -> LocalFileSystem {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("contract-{next}"));
    // Those of an earlier process have other ids.
    std::fs::create_dir_all(&path).unwrap();
    LocalFileSystem::new_with_prefix(path).unwrap()
}

/// Puts all results in chunks into an object store, in parts that are no multiple of a chunk.
fn all_outside(store: impl JobStore, objects: impl ObjectStore) -> impl JobStore {
    let builder = Offloaded::builder().threshold(0).any_part_size(1300);
    builder.build(store, objects).unwrap()
}

fn keys() -> EncryptionKeys {
    EncryptionKeys::new("2026", [7; 32]).unwrap()
}

mod long_results_of_a_memory_store_in_memory {
    use super::*;

    contract!(MemoryHarness::wrapping(|store| {
        Arc::new(Offloaded::new(store, InMemory::new()).unwrap())
    }));
}

mod all_results_of_a_memory_store_in_files {
    use super::*;

    contract!(MemoryHarness::wrapping(|store| {
        Arc::new(all_outside(store, directory()))
    }));
}

mod long_results_of_sqlite_in_memory {
    use super::*;

    contract!({
        let wrap = |store| Offloaded::new(store, OBJECTS.clone()).unwrap();
        SqliteHarness::wrapping(move |store| Arc::new(wrap(store))).await
    });
}

mod all_results_of_sqlite_in_files {
    use super::*;

    contract!({
        let files = Arc::new(directory());
        SqliteHarness::wrapping(move |store| Arc::new(all_outside(store, files.clone()))).await
    });
}

mod sealed_results_in_memory {
    use super::*;

    contract!(MemoryHarness::wrapping(|store| {
        Arc::new(Sealed::new(all_outside(store, InMemory::new()), keys()))
    }));
}

mod plain_results_of_a_sealed_store_in_memory {
    use super::*;

    contract!(MemoryHarness::wrapping(|store| {
        Arc::new(all_outside(Sealed::new(store, keys()), InMemory::new()))
    }));
}
