//! Ranges of results that are stored as a whole or in chunks.

use std::sync::Arc;

use super::files::{CHUNK, LENGTH, answering, asking_for, bytes, ended, over, stores};
use crate::support::{
    ask, eager,
    faulty::{FaultyStore, Op},
    get,
};
use http::StatusCode;
use tower_async_job::{
    AsyncJobLayer,
    store::{Interpose, Interposed, JobStore, StoreProperties},
};

#[tokio::test(start_paused = true)]
async fn ranges_are_parts_of_the_stored_bytes() {
    for store in stores() {
        let layer = eager(over(&store));
        let job = ended(&layer, answering(LENGTH, &[("content-type", "text/csv")])).await;
        let tag = ask(&layer, get(&job)).await.header("etag").to_owned();
        let positions = [
            0,
            1,
            CHUNK - 1,
            CHUNK,
            CHUNK + 1,
            4 * CHUNK - 1,
            4 * CHUNK,
            LENGTH - 1,
        ];
        for first in positions {
            for last in positions.into_iter().filter(|last| *last >= first) {
                let range = format!("bytes={first}-{last}");
                let fields = [("range", &*range), ("if-range", &*tag)];
                let part = ask(&layer, asking_for(&job, &fields)).await;
                assert_eq!(part.status, StatusCode::PARTIAL_CONTENT, "{range}");
                let described = format!("bytes {first}-{last}/{LENGTH}");
                assert_eq!(part.header("content-range"), described);
                assert_eq!(part.body, bytes(LENGTH)[first..=last], "{range}");
                assert_eq!(part.header("etag"), tag);
                assert_eq!(part.header("job-status"), "done");
                assert_eq!(part.header("cache-control"), "no-store");
                assert_eq!(part.header("content-type"), "text/csv");
            }
        }
        for (range, first) in [("bytes=-18", LENGTH - 18), ("bytes=4000-9999", 4000)] {
            let part = ask(&layer, asking_for(&job, &[("range", range)])).await;
            assert_eq!(part.body, bytes(LENGTH)[first..]);
            let described = format!("bytes {first}-{}/{LENGTH}", LENGTH - 1);
            assert_eq!(part.header("content-range"), described);
        }
        for beyond in [format!("bytes={LENGTH}-"), "bytes=-0".to_owned()] {
            let refused = ask(&layer, asking_for(&job, &[("range", &beyond)])).await;
            assert_eq!(refused.status, StatusCode::RANGE_NOT_SATISFIABLE);
            assert_eq!(refused.header("content-range"), format!("bytes */{LENGTH}"));
            assert_eq!(refused.header("job-status"), "done");
            assert_eq!(refused.header("cache-control"), "no-store");
            assert_eq!(refused.json()["status"], 416);
        }
        // Several ranges are answered with the whole, and so is one of another result.
        let whole = [
            &[("range", "bytes=0-1,3-4")][..],
            &[("range", "bytes=0-1"), ("if-range", "\"0-1\"")],
        ];
        for fields in whole {
            let answer = ask(&layer, asking_for(&job, fields)).await;
            assert_eq!(answer.status, StatusCode::OK, "{fields:?}");
            assert_eq!(answer.body, bytes(LENGTH));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn range_reads_only_the_chunks_that_have_it() {
    let [_, store] = stores();
    let layer = eager(over(&store));
    let job = ended(&layer, answering(LENGTH, &[])).await;
    for (range, chunks) in [
        ("bytes=4016-", 1),
        ("bytes=3000-3999", 1),
        ("bytes=2999-3000", 2),
        ("bytes=0-0", 1),
    ] {
        let before = store.calls(Op::ReadChunk);
        let part = ask(&layer, asking_for(&job, &[("range", range)])).await;
        assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(store.calls(Op::ReadChunk) - before, chunks, "{range}");
    }
}

/// A store that now writes chunks of another size.
#[derive(Debug)]
struct Resized(Arc<FaultyStore>, StoreProperties);

impl Interpose for Resized {
    fn inner(&self) -> &dyn JobStore {
        &*self.0
    }

    fn properties(&self) -> &StoreProperties {
        &self.1
    }
}

#[tokio::test(start_paused = true)]
async fn range_is_found_in_chunks_that_were_of_another_size() {
    let [_, store] = stores();
    let job = ended(&eager(over(&store)), answering(LENGTH, &[])).await;
    for size in [1, 700, CHUNK - 1, CHUNK + 1, 3 * CHUNK, LENGTH, usize::MAX] {
        let properties = store.properties().clone().with_chunk(size);
        let resized = Interposed::new(Resized(store.clone(), properties));
        let layer = eager(AsyncJobLayer::builder().store(resized));
        for first in [
            1,
            CHUNK - 1,
            CHUNK,
            2 * CHUNK + 500,
            4 * CHUNK - 1,
            4 * CHUNK,
            LENGTH - 1,
        ] {
            let before = store.calls(Op::ReadChunk);
            let last = (first + 9).min(LENGTH - 1);
            let range = format!("bytes={first}-{last}");
            let part = ask(&layer, asking_for(&job, &[("range", &range)])).await;
            assert_eq!(part.body, bytes(LENGTH)[first..=last], "{range} by {size}");
            let reads = store.calls(Op::ReadChunk) - before;
            assert!(reads <= 3, "{range} by {size}: {reads} reads");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn digests_of_the_whole_do_not_describe_a_part() {
    let digests: &[_] = &[
        ("content-digest", "sha-256=:AAAA:"),
        ("content-md5", "AAAA"),
        ("repr-digest", "sha-256=:BBBB:"),
    ];
    let layer = eager(AsyncJobLayer::builder());
    let job = ended(&layer, answering(10, digests)).await;
    let whole = ask(&layer, get(&job)).await;
    let part = ask(&layer, asking_for(&job, &[("range", "bytes=1-2")])).await;
    assert_eq!(part.status, StatusCode::PARTIAL_CONTENT);
    for (name, value) in digests {
        assert_eq!(whole.header(name), *value);
    }
    assert_eq!(part.header("content-digest"), "");
    assert_eq!(part.header("content-md5"), "");
    // This one is of the whole in any case (RFC 9530, section 3).
    assert_eq!(part.header("repr-digest"), "sha-256=:BBBB:");
}
