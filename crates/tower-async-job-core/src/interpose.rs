//! Stores that wrap others.

use std::{fmt, sync::Arc};

use crate::{
    error::StoreError,
    id::JobId,
    job::NewJob,
    record::{Created, Detail, JobRecord},
    store::{JobStore, StoreFuture},
};

/// Passes the methods of [`JobStore`] to another macro, after the tokens in brackets: those that do
/// I/O, those that answer immediately in their place, and the rest.
#[doc(hidden)]
#[macro_export]
macro_rules! __job_store_methods {
    ($with:path, [$($tokens:tt)*]) => {
        $with! {
            [$($tokens)*]
            {
                Create create(job: $crate::NewJob) -> $crate::Created;
                LookUp look_up(
                    principal: Option<&'a $crate::Principal>, key: &'a $crate::IdempotencyKey
                ) -> Option<$crate::Created>;
                Start start(lease: &'a $crate::Lease) -> ();
                Renew renew(leases: &'a [$crate::Lease]) -> Vec<$crate::Renewal>;
                Report report(lease: &'a $crate::Lease, report: $crate::Report) -> ();
                Reserve reserve(lease: &'a $crate::Lease, bytes: usize) -> ();
                WriteChunk write_chunk(
                    lease: &'a $crate::Lease, index: u32, data: $crate::__bytes::Bytes
                ) -> ();
                Finish finish(lease: &'a $crate::Lease, end: $crate::End) -> ();
                Release release(
                    leases: &'a [$crate::Lease], how: $crate::Release
                ) -> Vec<$crate::Released>;
                Resume resume(
                    id: &'a $crate::JobId, token: &'a [u8; 32]
                ) -> Option<$crate::Claim>;
                RenewOutside renew_outside(
                    id: &'a $crate::JobId, outside: $crate::Outside, report: $crate::Report
                ) -> $crate::Renewal;
                Discard discard(lease: &'a $crate::Lease) -> ();
                Read read(
                    id: &'a $crate::JobId, detail: $crate::Detail
                ) -> Option<$crate::JobRecord>;
                ReadChunk read_chunk(
                    result: &'a $crate::ResultRef, index: u32
                ) -> Option<$crate::__bytes::Bytes>;
                Cancel cancel(id: &'a $crate::JobId) -> $crate::Cancellation;
                Remove remove(id: &'a $crate::JobId) -> bool;
                Extend extend(id: &'a $crate::JobId, keep: std::time::Duration) -> bool;
                Claim claim(query: &'a $crate::ClaimQuery) -> $crate::Claims;
                Notified notified(
                    lease: &'a $crate::Lease, again: Option<std::time::Duration>
                ) -> ();
                Sweep sweep(query: &'a $crate::SweepQuery) -> $crate::Upkeep;
                Find find(handle: $crate::JobHandle) -> Option<$crate::JobId>;
                List list(query: &'a $crate::JobQuery) -> $crate::JobPage;
            }
            {
                create_now(
                    job: $crate::NewJob
                ) -> Result<Result<$crate::Created, $crate::StoreError>, $crate::NewJob>;
                read_now(
                    id: &$crate::JobId, detail: $crate::Detail
                ) -> Option<Result<Option<$crate::JobRecord>, $crate::StoreError>>;
            }
            {
                properties() -> &$crate::StoreProperties;
                new_id(
                    key: Option<&$crate::IdempotencyKey>, principal: Option<&$crate::Principal>
                ) -> $crate::JobId;
                check_room(bytes: usize) -> Result<(), $crate::StoreError>;
                note_delivery(id: &$crate::JobId, keep: Option<std::time::Duration>) -> ();
                subscribe(id: &$crate::JobId) -> $crate::Subscription;
                work() -> $crate::Subscription;
                usage() -> Option<$crate::Usage>;
            }
        }
    };
}

/// Implements [`JobStore`](crate::JobStore) by another store, to which it forwards every method.
///
/// An [`Interpose`](crate::Interpose) changes some methods; this gives the store made of it a name.
///
/// ```
/// use tower_async_job_core::{JobStore, MemoryStore, forward_job_store};
///
/// #[derive(Debug)]
/// struct Named {
///     inner: MemoryStore,
/// }
///
/// forward_job_store! { { impl JobStore for Named } this => this.inner }
///
/// let store = Named { inner: MemoryStore::new() };
/// assert!(store.usage().is_some());
/// ```
#[macro_export]
macro_rules! forward_job_store {
    ({ $($head:tt)* } $this:ident => $to:expr) => {
        $crate::__job_store_methods! {
            $crate::__forward_job_store, [{ $($head)* } $this => $to]
        }
    };
}

#[doc(hidden)]
#[macro_export]
macro_rules! __forward_job_store {
    (
        [{ $($head:tt)* } $this:ident => $to:expr]
        { $($call:ident $io:ident ($($a:ident: $ta:ty),*) -> $ra:ty;)* }
        { $($now:ident ($($b:ident: $tb:ty),*) -> $rb:ty;)* }
        { $($name:ident ($($c:ident: $tc:ty),*) -> $rc:ty;)* }
    ) => {
        $($head)* {
            $(
                fn $io<'a>(&'a self, $($a: $ta),*) -> $crate::StoreFuture<'a, $ra> {
                    let $this = self;
                    $to.$io($($a),*)
                }
            )*

            $(
                fn $now(&self, $($b: $tb),*) -> $rb {
                    let $this = self;
                    $to.$now($($b),*)
                }
            )*

            $(
                fn $name(&self, $($c: $tc),*) -> $rc {
                    let $this = self;
                    $to.$name($($c),*)
                }
            )*
        }
    };
}

/// Generates the trait of wrappers, and the store made of one.
macro_rules! interpose {
    (
        []
        { $($call:ident $io:ident ($($a:ident: $ta:ty),*) -> $ra:ty;)* }
        { $($now:ident ($($b:ident: $tb:ty),*) -> $rb:ty;)* }
        { $($name:ident ($($c:ident: $tc:ty),*) -> $rc:ty;)* }
    ) => {
        /// A call to a [`JobStore`] that does I/O.
        ///
        /// ```
        /// use tower_async_job_core::Call;
        ///
        /// assert_ne!(Call::Create, Call::Finish);
        /// ```
        #[non_exhaustive]
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Call {
            $(
                #[doc = concat!("[`JobStore::", stringify!($io), "`].")]
                $call,
            )*
        }

        impl Call {
            /// Returns the name of the method.
            ///
            /// ```
            /// assert_eq!(tower_async_job_core::Call::LookUp.name(), "look_up");
            /// ```
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$call => stringify!($io),)*
                }
            }
        }

        /// The changes to a wrapped store. By default, every method forwards to that store, except
        /// that the immediate calls leave their work to those that do I/O.
        ///
        /// ```
        /// use std::sync::Arc;
        /// use tower_async_job_core::{Interpose, Interposed, JobStore, MemoryStore, Usage};
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
                #[doc = concat!("Answers [`JobStore::", stringify!($io), "`].")]
                fn $io<'a>(&'a self, $($a: $ta),*) -> StoreFuture<'a, $ra> {
                    self.inner().$io($($a),*)
                }
            )*

            /// Answers [`JobStore::create_now`]. By default it returns the job, so that every
            /// create uses [`create`](Self::create).
            fn create_now(
                &self,
                job: NewJob,
            ) -> Result<Result<Created, StoreError>, NewJob> {
                Err(job)
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

            $(
                #[doc = concat!("Answers [`JobStore::", stringify!($name), "`].")]
                fn $name(&self, $($c: $tc),*) -> $rc {
                    self.inner().$name($($c),*)
                }
            )*
        }

        impl<I: Interpose> JobStore for Interposed<I> {
            $(
                fn $io<'a>(&'a self, $($a: $ta),*) -> StoreFuture<'a, $ra> {
                    self.0.around(Call::$call, self.0.$io($($a),*))
                }
            )*

            $(
                fn $now(&self, $($b: $tb),*) -> $rb {
                    self.0.$now($($b),*)
                }
            )*

            $(
                fn $name(&self, $($c: $tc),*) -> $rc {
                    self.0.$name($($c),*)
                }
            )*
        }
    };
}

__job_store_methods! { interpose, [] }
forward_job_store! { { impl<T: JobStore + ?Sized> JobStore for Arc<T> } this => (**this) }

/// The store made of an [`Interpose`] and the store that it wraps.
///
/// ```
/// use tower_async_job_core::{Detail, Interpose, Interposed, JobStore, MemoryStore};
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
/// assert!(format!("{store:?}").starts_with("Remote"));
/// ```
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

impl<I: fmt::Debug> fmt::Debug for Interposed<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    /// Checks that a table has all methods of the trait.
    macro_rules! assert_all {
        (
            []
            { $($call:ident $io:ident $a:tt -> $ra:ty;)* }
            { $($now:ident $b:tt -> $rb:ty;)* }
            { $($name:ident $c:tt -> $rc:ty;)* }
        ) => {
            let mut known = [
                $(stringify!($io),)* $(stringify!($now),)* $(stringify!($name),)*
            ];
            let text = include_str!("store.rs");
            let mut methods: Vec<_> = text
                .lines()
                .filter_map(|line| line.strip_prefix("    fn "))
                .filter_map(|rest| rest.split(['<', '(']).next())
                .collect();
            known.sort_unstable();
            methods.sort_unstable();
            assert_eq!(methods, known);
        };
    }

    #[test]
    fn every_method_of_a_store_is_forwarded() {
        __job_store_methods! { assert_all, [] }
    }
}
