//! Objects: their names, and the calls to the store that has them.

mod day;
mod error;
mod name;

use std::{ops::Range, sync::Arc, time::Duration};

use bytes::Bytes;
use object_store::{Error, MultipartUpload, ObjectStore, ObjectStoreExt, UploadPart, path::Path};
use tokio::{sync::Semaphore, time::timeout};
use tower_async_job_core::{Lease, StoreError};

pub(crate) use self::{day::Day, name::Object};

/// The longest time of a call that begins, ends or removes an object. Object stores have timeouts and
/// repeats of their own, which are shorter.
const LONGEST: Duration = Duration::from_secs(600);

/// The object store, and the limits of its use.
#[derive(Debug)]
pub(crate) struct Objects {
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The bytes of each part of an upload, except for the last.
    pub(crate) part: usize,
    /// The parts that may be uploaded at once.
    pub(crate) places: Semaphore,
}

impl Objects {
    pub(crate) async fn begin(
        &self,
        object: &Object,
    ) -> Result<Box<dyn MultipartUpload>, StoreError> {
        let path = object.path();
        let begun = in_time(self.store.put_multipart(&path)).await;
        begun.map_err(|error| error::failed(object, "uploaded", &error))
    }

    /// Uploads a part, once there is a place.
    pub(crate) async fn put(&self, object: &Object, part: UploadPart) -> Result<(), StoreError> {
        // Never closed.
        let _place = self.places.acquire().await;
        let put = part.await;
        put.map_err(|error| error::failed(object, "uploaded", &error))
    }

    pub(crate) async fn complete(
        &self,
        object: &Object,
        upload: &mut dyn MultipartUpload,
    ) -> Result<(), StoreError> {
        match in_time(upload.complete()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(error::failed(object, "completed", &error)),
        }
    }

    /// Aborts an upload, so that no part of it stays.
    pub(crate) async fn abort(&self, object: &Object, upload: &mut dyn MultipartUpload) {
        if let Err(error) = in_time(upload.abort()).await {
            let error = error::reason(&object.lease, &error);
            tracing::warn!(%object, error, "an upload could not be aborted: its parts stay");
        }
    }

    /// Deletes the object of a run, if it exists.
    pub(crate) async fn delete(&self, path: &Path, run: &Lease) {
        match in_time(self.store.delete(path)).await {
            Ok(()) | Err(Error::NotFound { .. }) => {}
            Err(error) => {
                let error = error::reason(run, &error);
                tracing::warn!(
                    ?run,
                    error,
                    "an object could not be deleted; it is tried again"
                );
            }
        }
    }

    /// Reads a part of an object.
    pub(crate) async fn read(
        &self,
        object: &Object,
        range: Range<u64>,
    ) -> Result<Bytes, StoreError> {
        let expected = range.end - range.start;
        let end = range.end;
        let data = match self.store.get_range(&object.path(), range).await {
            Ok(data) => data,
            Err(error @ Error::NotFound { .. }) => return Err(error::unread(object, &error)),
            Err(error) => {
                // Some stores have no error of their own for a range that an object does not have.
                let head = self.store.head(&object.path()).await;
                return Err(match head {
                    Ok(head) if head.size < end => error::truncated(object),
                    _ => error::unread(object, &error),
                });
            }
        };
        if data.len() as u64 != expected {
            return Err(error::truncated(object));
        }
        Ok(data)
    }
}

/// Limits the time of a call.
async fn in_time<T>(call: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(LONGEST, call).await.unwrap_or_else(|late| {
        Err(Error::Generic {
            store: "object store",
            source: late.into(),
        })
    })
}
