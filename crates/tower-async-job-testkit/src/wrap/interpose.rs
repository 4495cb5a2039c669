use std::{fmt, time::Duration};

use bytes::Bytes;
use tower_async_job_core::{
    Cancellation, Claim, ClaimQuery, Claims, Created, Detail, End, IdempotencyKey, JobHandle,
    JobId, JobPage, JobQuery, JobRecord, JobStore, Lease, NewJob, Outside, Principal, Release,
    Released, Renewal, Report, ResultRef, StoreError, StoreFuture, StoreProperties, Subscription,
    Upkeep, Usage,
};

/// Generates the trait, its implementation for stores, and the names of the calls from one table.
macro_rules! interpose {
    ($($call:ident $name:ident ($($argument:ident: $type:ty),*) -> $answer:ty;)*) => {
        /// A call to a [`JobStore`] that does I/O.
        ///
        /// ```
        /// use tower_async_job_testkit::Call;
        ///
        /// assert_ne!(Call::Create, Call::Finish);
        /// ```
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Call {
            $(
                #[doc = concat!("[`JobStore::", stringify!($name), "`].")]
                $call,
            )*
        }

        /// The changes to a wrapped store. By default, every method forwards to that store.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use tower_async_job_core::{JobStore, MemoryStore, Usage};
        /// use tower_async_job_testkit::{Interpose, Interposed};
        ///
        /// #[derive(Debug)]
        /// struct Discreet(MemoryStore);
        ///
        /// impl Interpose for Discreet {
        ///     fn inner(&self) -> &dyn JobStore {
        ///         &self.0
        ///     }
        ///
        ///     fn usage(&self) -> Option<Usage> {
        ///         None
        ///     }
        /// }
        ///
        /// let store: Arc<dyn JobStore> = Arc::new(Interposed::new(Discreet(MemoryStore::new())));
        /// assert_eq!(store.usage(), None);
        /// ```
        #[expect(clippy::result_large_err, reason = "the job is given back as it came")]
        pub trait Interpose: fmt::Debug + Send + Sync + 'static {
            /// Returns the wrapped store.
            fn inner(&self) -> &dyn JobStore;

            /// Answers any call that does I/O; `answer` is its future.
            fn around<'a, T: Send + 'a>(
                &'a self,
                call: Call,
                answer: StoreFuture<'a, T>,
            ) -> StoreFuture<'a, T> {
                let _ = call;
                answer
            }

            $(
                #[doc = concat!("Answers [`JobStore::", stringify!($name), "`].")]
                fn $name<'a>(&'a self, $($argument: $type),*) -> StoreFuture<'a, $answer> {
                    self.inner().$name($($argument),*)
                }
            )*

            /// Answers [`JobStore::properties`].
            fn properties(&self) -> &StoreProperties {
                self.inner().properties()
            }

            /// Answers [`JobStore::new_id`].
            fn new_id(&self, key: Option<&IdempotencyKey>, owner: Option<&Principal>) -> JobId {
                self.inner().new_id(key, owner)
            }

            /// Answers [`JobStore::create_now`]. By default it returns the job, so that every
            /// create uses [`create`](Self::create).
            fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
                Err(job)
            }

            /// Answers [`JobStore::check_room`].
            fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
                self.inner().check_room(bytes)
            }

            /// Answers [`JobStore::read_now`]. By default it returns `None`, so that every read
            /// uses [`read`](Self::read).
            fn read_now(
                &self,
                id: &JobId,
                detail: Detail,
            ) -> Option<Result<Option<JobRecord>, StoreError>> {
                let _ = (id, detail);
                None
            }

            /// Answers [`JobStore::note_delivery`].
            fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
                self.inner().note_delivery(id, keep);
            }

            /// Answers [`JobStore::subscribe`].
            fn subscribe(&self, id: &JobId) -> Subscription {
                self.inner().subscribe(id)
            }

            /// Answers [`JobStore::work`].
            fn work(&self) -> Subscription {
                self.inner().work()
            }

            /// Answers [`JobStore::usage`].
            fn usage(&self) -> Option<Usage> {
                self.inner().usage()
            }
        }

        impl<I: Interpose> JobStore for Interposed<I> {
            $(
                fn $name<'a>(&'a self, $($argument: $type),*) -> StoreFuture<'a, $answer> {
                    self.0.around(Call::$call, self.0.$name($($argument),*))
                }
            )*

            fn properties(&self) -> &StoreProperties {
                self.0.properties()
            }

            fn new_id(&self, key: Option<&IdempotencyKey>, owner: Option<&Principal>) -> JobId {
                self.0.new_id(key, owner)
            }

            fn create_now(&self, job: NewJob) -> Result<Result<Created, StoreError>, NewJob> {
                self.0.create_now(job)
            }

            fn check_room(&self, bytes: usize) -> Result<(), StoreError> {
                self.0.check_room(bytes)
            }

            fn read_now(
                &self,
                id: &JobId,
                detail: Detail,
            ) -> Option<Result<Option<JobRecord>, StoreError>> {
                self.0.read_now(id, detail)
            }

            fn note_delivery(&self, id: &JobId, keep: Option<Duration>) {
                self.0.note_delivery(id, keep);
            }

            fn subscribe(&self, id: &JobId) -> Subscription {
                self.0.subscribe(id)
            }

            fn work(&self) -> Subscription {
                self.0.work()
            }

            fn usage(&self) -> Option<Usage> {
                self.0.usage()
            }
        }
    };
}

interpose! {
    Create create(job: NewJob) -> Created;
    LookUp look_up(owner: Option<&'a Principal>, key: &'a IdempotencyKey) -> Option<Created>;
    Start start(lease: &'a Lease) -> ();
    Renew renew(leases: &'a [Lease]) -> Vec<Renewal>;
    Report report(lease: &'a Lease, report: Report) -> ();
    Reserve reserve(lease: &'a Lease, bytes: usize) -> ();
    WriteChunk write_chunk(lease: &'a Lease, index: u32, data: Bytes) -> ();
    Finish finish(lease: &'a Lease, end: End) -> ();
    Release release(leases: &'a [Lease], how: Release) -> Vec<Released>;
    Resume resume(id: &'a JobId, token: &'a [u8; 32]) -> Option<Claim>;
    RenewOutside renew_outside(id: &'a JobId, outside: Outside, report: Report) -> Renewal;
    Discard discard(lease: &'a Lease) -> ();
    Read read(id: &'a JobId, detail: Detail) -> Option<JobRecord>;
    ReadChunk read_chunk(result: &'a ResultRef, index: u32) -> Option<Bytes>;
    Cancel cancel(id: &'a JobId) -> Cancellation;
    Remove remove(id: &'a JobId) -> bool;
    Extend extend(id: &'a JobId, keep: Duration) -> bool;
    Claim claim(query: &'a ClaimQuery) -> Claims;
    Notified notified(lease: &'a Lease, again: Option<Duration>) -> ();
    Sweep sweep() -> Upkeep;
    Find find(handle: JobHandle) -> Option<JobId>;
    List list(query: &'a JobQuery) -> JobPage;
}

/// The store made of an [`Interpose`] and the store that it wraps.
///
/// ```
/// use tower_async_job_core::{Detail, JobStore, MemoryStore};
/// use tower_async_job_testkit::{Interpose, Interposed};
///
/// #[derive(Debug)]
/// struct Remote(MemoryStore);
///
/// impl Interpose for Remote {
///     fn inner(&self) -> &dyn JobStore {
///         &self.0
///     }
/// }
///
/// let store = Interposed::new(Remote(MemoryStore::new()));
/// assert!(store.read_now(&store.new_id(None, None), Detail::Status).is_none());
/// assert!(format!("{:?}", store.get_ref()).starts_with("Remote"));
/// ```
#[derive(Debug)]
pub struct Interposed<I>(I);

impl<I> Interposed<I> {
    /// Creates the store.
    pub const fn new(interpose: I) -> Self {
        Self(interpose)
    }

    /// Returns the [`Interpose`].
    pub const fn get_ref(&self) -> &I {
        &self.0
    }
}
