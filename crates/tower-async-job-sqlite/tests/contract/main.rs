//! The contract of job stores, in the clear and sealed.

mod harness;

use harness::SqliteHarness;

tower_async_job_testkit::contract!(SqliteHarness::new().await);

mod sealed {
    use std::sync::Arc;

    use tower_async_job_core::{EncryptionKeys, Sealed};

    use crate::harness::SqliteHarness;

    tower_async_job_testkit::contract!({
        SqliteHarness::wrapping(|store| {
            let keys = EncryptionKeys::new("2026", [7; 32]).unwrap();
            Arc::new(Sealed::new(store, keys))
        })
        .await
    });
}
