use std::{fmt, sync::Arc};

use bytes::Bytes;
use tokio::{runtime::Handle, time::timeout};
use tower_async_job_core::{
    Call, Cancellation, Created, Detail, End, Interpose, Interposed, JobId, JobRecord, JobStore,
    Lease, NewJob, Outcome, RecordedOutcome, Release, Released, Renewal, ResultRef, StoreError,
    StoreFuture, StoreProperties, SweepQuery, Upkeep, forward_job_store,
};

use crate::{
    object::{Day, Object, Objects},
    reference::{self, Reference},
    shared::{Settings, Shared},
    upkeep::Housekeeper,
    upload::{Upload, Uploads, Written, given_up},
};

/// A job store whose long results are in an object store.
///
/// ```
/// use tower_async_job_core::{JobStore, MemoryStore};
/// use tower_async_job_offload::{Offloaded, object_store::memory::InMemory};
///
/// let store = MemoryStore::builder().chunk_size(256 << 10).build();
/// let store = Offloaded::new(store, InMemory::new())?;
/// assert_eq!(store.properties().chunk, store.get_ref().properties().chunk);
/// # Ok::<(), tower_async_job_offload::InvalidStore>(())
/// ```
pub struct Offloaded<S>(Interposed<Offloading<S>>);

impl<S: JobStore> Offloaded<S> {
    pub(crate) fn of(store: S, objects: Objects, settings: Settings) -> Self {
        let chunk = store.properties().chunk.unwrap_or(0);
        let properties = store.properties().clone();
        let properties = properties.with_recording(settings.held(objects.part, chunk));
        let shared = Shared {
            inner: store,
            objects: Arc::new(objects),
            uploads: Uploads::default(),
            settings,
        };
        Self(Interposed::new(Offloading {
            shared: Arc::new(shared),
            properties,
            housekeeper: Housekeeper::default(),
        }))
    }

    /// Returns the inner store.
    pub fn get_ref(&self) -> &S {
        &self.0.get_ref().shared.inner
    }
}

impl<S: fmt::Debug> fmt::Debug for Offloaded<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Offloaded")
            .field(&self.0.get_ref().shared.inner)
            .finish()
    }
}

forward_job_store! { { impl<S: JobStore> JobStore for Offloaded<S> } this => this.0 }

/// The store, and its housekeeper, which ends with it.
struct Offloading<S> {
    shared: Arc<Shared<S>>,
    properties: StoreProperties,
    housekeeper: Housekeeper,
}

impl<S: JobStore> Shared<S> {
    async fn write_chunk(&self, lease: &Lease, index: u32, data: Bytes) -> Result<(), StoreError> {
        // It checks the lease, and exists for as long as the chunks of the run would. No chunk of a
        // result is empty.
        let held = self.inner.write_chunk(lease, 0, Bytes::new()).await;
        self.unless_lost(lease, held)?;
        let upload = self.uploads.get_or_begin(lease, index, || {
            let day = Day::of(self.settings.clock.system_time());
            let object = Object { day, lease: *lease };
            Upload::begin(self.objects.clone(), object, self.settings.threshold)
        })?;
        let written = upload.write(index, data).await;
        if written.is_err() {
            self.uploads.give_up(lease);
        }
        written
    }

    /// Ends a job with a result in chunks.
    async fn finish(&self, lease: &Lease, mut end: End, chunks: u32) -> Result<(), StoreError> {
        let Some(upload) = self.uploads.get(lease) else {
            return self.finish_again(lease, end).await;
        };
        match self.write_body(lease, &mut end, chunks, &upload).await {
            Ok(()) => {}
            // An earlier end may have had an effect, but no answer.
            Err(error) if error.is_lease_lost() => {
                self.uploads.give_up(lease);
                return self.finish_again(lease, end).await;
            }
            Err(error) => return Err(error),
        }
        // If the answer is lost, the job may have ended with it.
        let was_kept = upload.keep(true);
        let finished = self.inner.finish(lease, end).await;
        match &finished {
            Ok(()) => self.uploads.give_up(lease),
            Err(error) if error.is_full() || error.is_lease_lost() => {
                upload.keep(was_kept);
            }
            Err(_) => {}
        }
        self.unless_lost(lease, finished)
    }

    /// Writes the body of a result, or the reference to it, into the job store.
    async fn write_body(
        &self,
        lease: &Lease,
        end: &mut End,
        chunks: u32,
        upload: &Upload,
    ) -> Result<(), StoreError> {
        match upload.finish().await {
            Ok(Written::Inside(data)) => {
                for (index, data) in data {
                    self.inner.write_chunk(lease, index, data).await?;
                }
                Ok(())
            }
            Ok(Written::Outside(reference)) if reference.layout.is_complete(chunks) => {
                if let Outcome::Streamed { head, .. } = &mut end.outcome {
                    *head = reference::mark(head);
                }
                let reference = reference.encode();
                self.inner.write_chunk(lease, chunks, reference).await
            }
            Ok(Written::Outside(_)) => Err(given_up()),
            Err(error) => {
                self.uploads.give_up(lease);
                Err(error)
            }
        }
    }

    /// Repeats an end, unless its chunks were given up before.
    async fn finish_again(&self, lease: &Lease, end: End) -> Result<(), StoreError> {
        let record = self.inner.read(&lease.id, Detail::Status).await?;
        if record.is_some_and(|record| record.state.is_pending()) {
            return Err(given_up());
        }
        self.inner.finish(lease, end).await
    }

    /// Gives up the result of a run that has lost its lease.
    fn unless_lost<T>(
        &self,
        lease: &Lease,
        result: Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        if result.as_ref().is_err_and(StoreError::is_lease_lost) {
            self.uploads.give_up(lease);
        }
        result
    }

    async fn read_chunk(
        &self,
        result: &ResultRef,
        index: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        let Some(chunks) = result.chunks.filter(|chunks| index < *chunks) else {
            return Ok(None);
        };
        // Either order finds it; this one usually at once.
        if result.len <= self.settings.threshold
            && let Some(data) = self.read_inside(result, index).await?
        {
            return Ok(Some(data));
        }
        let Some(stored) = self.inner.read_chunk(result, chunks).await? else {
            return self.read_inside(result, index).await;
        };
        let reference = Reference::decode(&stored)?;
        let object = Object {
            day: reference.day,
            lease: result.lease,
        };
        self.objects
            .read(&object, reference.find(index)?)
            .await
            .map(Some)
    }

    /// Reads a chunk that is in the job store itself.
    async fn read_inside(
        &self,
        result: &ResultRef,
        index: u32,
    ) -> Result<Option<Bytes>, StoreError> {
        let data = self.inner.read_chunk(result, index).await?;
        Ok(data.filter(|data| !data.is_empty()))
    }
}

impl<S> fmt::Debug for Offloading<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Offloading").finish_non_exhaustive()
    }
}

/// Removes the mark from the head of a record.
fn unmarked(mut record: JobRecord) -> JobRecord {
    if let Some(RecordedOutcome::Head(head)) = &mut record.outcome {
        reference::unmark(head);
    }
    record
}

impl<S: JobStore> Interpose for Offloading<S> {
    fn inner(&self) -> &dyn JobStore {
        &self.shared.inner
    }

    fn properties(&self) -> &StoreProperties {
        &self.properties
    }

    fn around<'a, T: Send + 'a>(
        &'a self,
        call: Call,
        answer: StoreFuture<'a, T>,
    ) -> StoreFuture<'a, T> {
        // The others call only the inner store.
        let (Call::WriteChunk | Call::Finish | Call::ReadChunk) = call else {
            return answer;
        };
        Box::pin(async move {
            Handle::try_current().map_err(StoreError::unavailable)?;
            let late = |_| StoreError::unavailable("the object store did not answer in time");
            timeout(self.shared.settings.timeout, answer)
                .await
                .map_err(late)?
        })
    }

    fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
        self.shared.inner.create_now(job)
    }

    fn renew<'a>(&'a self, leases: &'a [Lease]) -> StoreFuture<'a, Vec<Renewal>> {
        Box::pin(async move {
            let renewals = self.shared.inner.renew(leases).await?;
            for (lease, renewal) in leases.iter().zip(&renewals) {
                if !renewal.is_held() {
                    self.shared.uploads.give_up(lease);
                }
            }
            Ok(renewals)
        })
    }

    fn write_chunk<'a>(&'a self, lease: &'a Lease, index: u32, data: Bytes) -> StoreFuture<'a, ()> {
        Box::pin(self.shared.write_chunk(lease, index, data))
    }

    fn finish<'a>(&'a self, lease: &'a Lease, end: End) -> StoreFuture<'a, ()> {
        match end.outcome {
            Outcome::Streamed { chunks, .. } => Box::pin(self.shared.finish(lease, end, chunks)),
            _ => Box::pin(async move {
                self.shared.uploads.give_up(lease);
                self.shared.inner.finish(lease, end).await
            }),
        }
    }

    fn release<'a>(&'a self, leases: &'a [Lease], how: Release) -> StoreFuture<'a, Vec<Released>> {
        Box::pin(async move {
            for lease in leases {
                self.shared.uploads.give_up(lease);
            }
            self.shared.inner.release(leases, how).await
        })
    }

    fn discard<'a>(&'a self, lease: &'a Lease) -> StoreFuture<'a, ()> {
        Box::pin(async move {
            self.shared.uploads.give_up(lease);
            self.shared.inner.discard(lease).await
        })
    }

    fn read<'a>(&'a self, id: &'a JobId, detail: Detail) -> StoreFuture<'a, Option<JobRecord>> {
        Box::pin(async move {
            let record = self.shared.inner.read(id, detail).await?;
            Ok(record.map(unmarked))
        })
    }

    fn read_now(
        &self,
        id: &JobId,
        detail: Detail,
    ) -> Option<Result<Option<JobRecord>, StoreError>> {
        let read = self.shared.inner.read_now(id, detail)?;
        Some(read.map(|record| record.map(unmarked)))
    }

    fn read_chunk<'a>(
        &'a self,
        result: &'a ResultRef,
        index: u32,
    ) -> StoreFuture<'a, Option<Bytes>> {
        Box::pin(self.shared.read_chunk(result, index))
    }

    fn cancel<'a>(&'a self, id: &'a JobId) -> StoreFuture<'a, Cancellation> {
        Box::pin(async move {
            let cancellation = self.shared.inner.cancel(id).await?;
            self.shared.uploads.give_up_job(id);
            Ok(cancellation)
        })
    }

    fn sweep<'a>(&'a self, query: &'a SweepQuery) -> StoreFuture<'a, Upkeep> {
        Box::pin(async move {
            let upkeep = self.shared.inner.sweep(query).await?;
            if query.expects(upkeep.now) {
                self.housekeeper.keep_house(&self.shared, upkeep.nodes);
            }
            Ok(upkeep)
        })
    }
}
