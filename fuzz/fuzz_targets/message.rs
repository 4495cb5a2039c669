//! Stored messages.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tower_async_job_core::{StoreError, StoredRequest, StoredResponse};

fuzz_target!(|bytes: &[u8]| {
    let is_known = |error: &StoreError| error.is_corrupt() || error.is_unsupported_version();
    match StoredResponse::from_bytes(Bytes::copy_from_slice(bytes)).decode() {
        Ok(read) => {
            assert!(read.body.len() < bytes.len());
            let mut recorder =
                StoredResponse::recorder(read.status, &read.headers, read.body.len());
            recorder.push(&read.body).expect("within the limit");
            let again = recorder.finish(read.trailers.as_ref());
            assert_eq!(again.decode().expect("what was written is read"), read);
        }
        Err(error) => assert!(is_known(&error), "{error:?}"),
    }
    match StoredRequest::from_bytes(Bytes::copy_from_slice(bytes)).decode() {
        Ok(read) => {
            assert!(read.body.len() < bytes.len());
            let again = StoredRequest::encode(&read).decode();
            assert_eq!(again.expect("what was written is read"), read);
        }
        Err(error) => assert!(is_known(&error), "{error:?}"),
    }
});
